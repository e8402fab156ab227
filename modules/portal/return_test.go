// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package portal

import (
	"bufio"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"
)

const testHost = "crm.example.com"

// corpus reads a file of Go strings.
func corpus(t testing.TB, name string) []string {
	t.Helper()
	f, err := os.Open("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var out []string
	sc := bufio.NewScanner(f)
	for n := 1; sc.Scan(); n++ {
		line := sc.Text()
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		s, err := strconv.Unquote(line)
		if err != nil {
			t.Fatalf("%s:%d: not a Go string: %v", name, n, err)
		}
		out = append(out, s)
	}
	if err := sc.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

// staysHere is the oracle: what a browser makes of a Location, written after the
// WHATWG URL rules and without any code of the package under test. It also holds
// for every percent-decoded form.
func staysHere(location string) bool {
	for range 8 {
		s := strings.Trim(location, "\x00\x01\x02\x03\x04\x05\x06\x07\x08\t\n\x0b\x0c\r\x0e\x0f\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f ")
		s = strings.NewReplacer("\t", "", "\n", "", "\r", "", "\\", "/").Replace(s)
		if !strings.HasPrefix(s, "/") || strings.HasPrefix(s, "//") {
			return false
		}
		path, _, _ := strings.Cut(s, "?")
		base, err := url.Parse("https://" + testHost + "/x")
		if err != nil {
			return false
		}
		if u, err := url.Parse(path); err == nil {
			to := base.ResolveReference(u)
			if to.Host != testHost || strings.HasPrefix(to.Path, "//") {
				return false
			}
			low := strings.ToLower(to.Path)
			if strings.HasPrefix(low, "/.crmgate") && (strings.Contains(low, "sign") || strings.Contains(low, "/api")) {
				return false
			}
		}
		next, err := url.PathUnescape(path)
		if err != nil || next == path {
			return true
		}
		location = next
	}
	return true
}

func TestReturnTargetOpenRedirects(t *testing.T) {
	all := corpus(t, "open-redirects.txt")
	if len(all) < 800 {
		t.Fatalf("the corpus has %d payloads, want 800: it was cut", len(all))
	}
	home := 0
	for _, raw := range all {
		got := ReturnTarget(raw, testHost)
		if got == "/" {
			home++
		} else if !staysHere(got) || got != raw {
			t.Errorf("ReturnTarget(%q) = %q: a person who signs in can be sent to a foreign site", raw, got)
		}
	}
	if home < len(all)*95/100 {
		t.Errorf("%d of %d hostile payloads were kept: the rules have become too wide", len(all)-home, len(all))
	}
	t.Logf("%d payloads, %d to the home page", len(all), home)
}

func TestReturnTargetOracleSeesHostile(t *testing.T) {
	for _, s := range []string{"//evil.example", `/\evil.example`, "https://evil.example", "/\t/evil.example", "/%2fevil.example", "/%5cevil.example", "/.crmgate/sign-out", ""} {
		if staysHere(s) {
			t.Errorf("the oracle calls %q harmless: the corpus test proves nothing", s)
		}
	}
}

func TestReturnTargetKeeps(t *testing.T) {
	for _, raw := range corpus(t, "return-targets.txt") {
		if got := ReturnTarget(raw, testHost); got != raw {
			t.Errorf("ReturnTarget(%q) = %q: people lose the page they wanted", raw, got)
		}
	}
}

func TestReturnTargetLength(t *testing.T) {
	if got := ReturnTarget("/"+strings.Repeat("a", maxReturn-1), testHost); got == "/" {
		t.Error("a target of exactly the limit is lost")
	}
	if got := ReturnTarget("/"+strings.Repeat("a", maxReturn), testHost); got != "/" {
		t.Error("a target above the limit is kept: redirects can be made to overflow a header")
	}
}

func FuzzReturnTarget(f *testing.F) {
	for _, s := range corpus(f, "open-redirects.txt") {
		f.Add(s)
	}
	for _, s := range corpus(f, "return-targets.txt") {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		got := ReturnTarget(raw, testHost)
		if got != "/" && got != raw {
			t.Errorf("ReturnTarget(%q) = %q: neither kept nor home", raw, got)
		}
		if !staysHere(got) {
			t.Errorf("ReturnTarget(%q) = %q leaves the site", raw, got)
		}
		if again := ReturnTarget(got, testHost); again != got {
			t.Errorf("ReturnTarget(%q) = %q, and again %q: not stable", raw, got, again)
		}
	})
}
