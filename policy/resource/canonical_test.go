// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package resource

import (
	"errors"
	"net/url"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestCanonical(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"/", "/"},
		{"/a/b", "/a/b"},
		{"/a/b/", "/a/b/"},
		{"//a///b", "/a/b"},
		{"/a//", "/a/"},
		{"/./a/./b/.", "/a/b/"},
		{"/a/../b", "/b"},
		{"/a/b/..", "/a/"},
		{"/a/..", "/"},
		{"/%2e%2E/x", ""},
		{"/a/%2e%2e/b", "/b"},
		{"/Leads%2EGet", "/Leads.Get"},
		{"/%7euser/%41", "/~user/A"},
		{"/a%20b", "/a%20b"},
		{"/%c3%a9", "/%C3%A9"},
		{"/a(b)!$&'*+,=:@", "/a(b)!$&'*+,=:@"},
		{"/a%28b", "/a%28b"},
		{"/a\"<>^`{|}[]", "/a%22%3C%3E%5E%60%7B%7C%7D%5B%5D"},
		{"/100%25", "/100%25"},
		{"/.well-known/x", "/.well-known/x"},
		{"/%23%3f", "/%23%3F"},
	} {
		got, err := Canonical(c.in)
		if c.want == "" {
			if !errors.Is(err, ErrPath) {
				t.Errorf("Canonical(%q) = %q, %v; it leads above the root and must be refused", c.in, got, err)
			}
			continue
		}
		if err != nil || got != c.want {
			t.Errorf("Canonical(%q) = %q, %v; want %q, or an honest client is turned away", c.in, got, err, c.want)
		}
	}
}

func TestCanonicalRefuses(t *testing.T) {
	for name, in := range map[string]string{
		"nothing":                   "",
		"no slash":                  "a/b",
		"the asterisk form":         "*",
		"an encoded slash":          "/a%2fb",
		"an encoded backslash":      "/a%5Cb",
		"a backslash":               `/a\b`,
		"a parameter":               "/a;x=y",
		"an encoded parameter":      "/a%3bx=y",
		"dots with a parameter":     "/a/..;/b",
		"NUL":                       "/a%00",
		"a control character":       "/a%0ab",
		"a raw control character":   "/a\tb",
		"an escaped C1 character":   "/a%C2%85",
		"a line separator":          "/%E2%80%A8",
		"DEL":                       "/a%7f",
		"a query":                   "/a?b",
		"a fragment":                "/a#b",
		"a space":                   "/a b",
		"raw UTF-8":                 "/é",
		"bad UTF-8":                 "/%ff",
		"an overlong slash":         "/%c0%af",
		"a surrogate":               "/%ed%a0%80",
		"a cut escape":              "/a%2",
		"an escape without digits":  "/a%zz",
		"double encoding":           "/a%252fb",
		"double encoding in pieces": "/a%25%32%66b",
		"above the root":            "/..",
		"far above the root":        "/a/../../b",
		"a trailing dot":            "/a./b",
		"an encoded trailing dot":   "/a%2e",
		"three dots":                "/...",
		"a trailing space":          "/a%20/b",
		"dots before a space":       "/..%20/b",
	} {
		if got, err := Canonical(in); !errors.Is(err, ErrPath) {
			t.Errorf("%s: Canonical(%q) = %q, %v; two parsers would read it in two ways", name, in, got, err)
		}
	}
}

func FuzzCanonical(f *testing.F) {
	for _, s := range []string{"/", "/a/../b/./c//", "/%2e%2e/%41", "/%25%32%66", "/a%20b;c", "/é", "/..;/x", "/[id]", "/%e2%80%a8"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		got, err := Canonical(in)
		if err != nil {
			if !errors.Is(err, ErrPath) || got != "" {
				t.Fatalf("Canonical(%q) = %q, %v: not a clean refusal", in, got, err)
			}
			return
		}
		again, err := Canonical(got)
		if err != nil || again != got {
			t.Fatalf("Canonical(%q) = %q and then %q, %v: what is judged is not what is sent", in, got, again, err)
		}
		plain, err := url.PathUnescape(got)
		if err != nil || !utf8.ValidString(plain) || strings.ContainsFunc(plain, unicode.IsControl) || strings.ContainsAny(plain, "\\;") {
			t.Fatalf("Canonical(%q) = %q decodes to %q, %v", in, got, plain, err)
		}
		if strings.Count(plain, "/") != strings.Count(got, "/") || strings.Contains(got, "//") {
			t.Fatalf("Canonical(%q) = %q hides a separator", in, got)
		}
		for seg := range strings.SplitSeq(plain[1:], "/") {
			if seg == "." || seg == ".." || strings.HasSuffix(seg, ".") || strings.HasSuffix(seg, " ") {
				t.Fatalf("Canonical(%q) = %q keeps the segment %q", in, got, seg)
			}
		}
		u, err := url.ParseRequestURI(got)
		if err != nil || u.EscapedPath() != got {
			t.Fatalf("Canonical(%q) = %q is not sent as it is: %v", in, got, err)
		}
	})
}

func TestFold(t *testing.T) {
	for _, c := range []struct{ a, b string }{
		{"Phone Number", "phone_number"},
		{"PHONE-NUMBER", "PhoneNumber"},
		{"\u212Aelvin", "kelvin"},
		{"mx_\u017Ftate", "MX_STATE"},
		{"\u00C4rger", "\u00e4rger"},
		{"\u03a3\u03c2", "\u03c3\u03c3"},
	} {
		if Fold(c.a) != Fold(c.b) {
			t.Errorf("%q and %q fold to %q and %q: a masked field could be asked for by the other spelling", c.a, c.b, Fold(c.a), Fold(c.b))
		}
	}
	if Fold("Phone") == Fold("Phone2") || Fold("party.") == Fold("party") {
		t.Error("different names fold alike")
	}
	if s := "\xffAb"; Fold(s) != "\xffab" {
		t.Errorf("bytes that are no text must stay: %q", Fold(s))
	}
	if n := testing.AllocsPerRun(100, func() {
		var buf [32]byte
		AppendFold(buf[:0], []byte("mx_Phone_2"))
	}); n > 0 {
		t.Errorf("folding a name costs %v allocations, on every name of every answer", n)
	}
}
