// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"encoding/json"
	"fmt"
	"html"
	"maps"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/crmgate/crmgate/modules/internal/factor/factortest"
)

// openRedirects is the portal's corpus.
func openRedirects(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("../portal/testdata/open-redirects.txt")
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		s, err := strconv.Unquote(line)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		out = append(out, s)
	}
	if len(out) < 800 {
		t.Fatalf("the corpus has %d payloads, want 800", len(out))
	}
	return out
}

// leavesSite says whether a browser that follows an address leaves the gateway's
// site: read after the WHATWG rules, in every percent-decoded form, return
// targets within it included. It knows nothing of the gateway's own code.
func leavesSite(to, host string) bool {
	for range 8 {
		s := strings.Map(func(r rune) rune {
			switch r {
			case '\t', '\n', '\r':
				return -1
			case '\\':
				return '/'
			}
			return r
		}, strings.TrimFunc(to, func(r rune) bool { return r <= ' ' }))
		s = strings.TrimPrefix(s, "https://"+host)
		if strings.HasPrefix(s, "#") {
			return false
		}
		if !strings.HasPrefix(s, "/") || strings.HasPrefix(s, "//") {
			return true
		}
		path, query, _ := strings.Cut(s, "?")
		if q, err := url.ParseQuery(query); err == nil {
			for _, next := range q["return"] {
				if leavesSite(next, host) {
					return true
				}
			}
		}
		next, err := url.PathUnescape(path)
		if err != nil || next == path {
			return false
		}
		to = next
	}
	return false
}

var (
	addressOnPage = regexp.MustCompile(`(?:href|action|src)="([^"]*)"`)
	returnOnPage  = regexp.MustCompile(`name="return" value="([^"]*)"`)
	refreshOnPage = regexp.MustCompile(`(?i)http-equiv="?refresh`)
)

// leads returns every address an answer leads a browser to.
func (a *answer) leads() []string {
	var out []string
	for _, name := range []string{"Location", "Refresh", "Link", "Content-Location"} {
		out = append(out, a.Header.Values(name)...)
	}
	for _, m := range append(addressOnPage.FindAllStringSubmatch(a.text(), -1), returnOnPage.FindAllStringSubmatch(a.text(), -1)...) {
		out = append(out, html.UnescapeString(m[1]))
	}
	if refreshOnPage.Match(a.body) {
		out = append(out, "//a page refreshes itself")
	}
	return out
}

// TestOpenRedirectsThroughTheGateway sends the whole corpus to every door that
// takes a place to go on to: CVE-2020-4037, CVE-2021-21291, CVE-2021-29456,
// CVE-2019-13038, CVE-2022-28923 and their like.
func TestOpenRedirectsThroughTheGateway(t *testing.T) {
	corpus := openRedirects(t)
	l := newLesson(t, nil, nil)
	host := strings.TrimPrefix(l.Gateway, "https://")
	l.add(t, "asha@example.test", "administrator", crmUser{})
	inside := l.signedIn(t, "asha@example.test")
	var who string // one person begins so many sign-ins at most
	var key *factortest.Authenticator
	begun := 0
	form := func(b *browser, path, raw string, more url.Values) *answer {
		v := url.Values{"return": {raw}}
		maps.Copy(v, more)
		return b.lessonForm(path, v)
	}
	query := func(raw string) string { return "?return=" + url.QueryEscape(raw) }
	doors := map[string]func(t *testing.T, b *browser, raw string) []*answer{
		"sign-in page": func(_ *testing.T, b *browser, raw string) []*answer {
			return []*answer{b.get("/.crmgate/sign-in"+query(raw), lessonPage...)}
		},
		"sign-in page, inside": func(_ *testing.T, _ *browser, raw string) []*answer {
			return []*answer{inside.get("/.crmgate/sign-in"+query(raw), lessonPage...)}
		},
		"check page": func(_ *testing.T, _ *browser, raw string) []*answer {
			return []*answer{inside.get("/.crmgate/signed-in"+query(raw), lessonPage...)}
		},
		"step-up page": func(_ *testing.T, _ *browser, raw string) []*answer {
			return []*answer{inside.get("/.crmgate/step-up"+query(raw), lessonPage...)}
		},
		"sign-out": func(_ *testing.T, b *browser, raw string) []*answer {
			return []*answer{form(b, "/.crmgate/sign-out"+query(raw), raw, nil)}
		},
		"signed out elsewhere": func(_ *testing.T, b *browser, raw string) []*answer {
			return []*answer{b.get("/.crmgate/sso/google/signed-out"+query(raw)+"&state="+url.QueryEscape(raw), lessonPage...)}
		},
		"kept form, dropped": func(_ *testing.T, b *browser, raw string) []*answer {
			return []*answer{form(b, "/.crmgate/kept/drop"+query(raw), raw, nil)}
		},
		"kept form, sent": func(_ *testing.T, _ *browser, raw string) []*answer {
			return []*answer{form(inside, "/.crmgate/kept"+query(raw), raw, nil)}
		},
		"sign-in form, refused": func(_ *testing.T, b *browser, raw string) []*answer {
			return []*answer{form(b, "/.crmgate/sign-in", raw, url.Values{"email": {""}, "password": {""}})}
		},
		"sign-in form and step": func(t *testing.T, b *browser, raw string) []*answer {
			if begun++; begun%25 == 1 {
				who = fmt.Sprintf("person%d@example.test", begun)
				key = l.elsewhere(t, who)
			}
			first := form(b, "/.crmgate/sign-in", raw, url.Values{"email": {who}, "password": {lessonAPIPassword}})
			if !utf8.ValidString(raw) {
				return []*answer{first}
			}
			step := b.cookie(t, "__Host-crmgate_step")
			if step == "" {
				t.Fatalf("no second factor is asked: %s %s", first.Status, first.text())
			}
			shown := b.get("/.crmgate/step", lessonPage...)
			var asked struct{ Request json.RawMessage }
			b.with(step, "/.crmgate/api/step/passkey", struct{}{}).json(t, &asked)
			got, err := key.Get(asked.Request)
			if err != nil {
				t.Fatal(err)
			}
			last := form(b, "/.crmgate/step", raw, url.Values{"kind": {"passkey"}, "response": {string(got)}})
			if last.StatusCode != http.StatusSeeOther {
				t.Fatalf("the step does not end: %s %s", last.Status, last.text())
			}
			return []*answer{first, shown, last}
		},
		"identity provider": func(t *testing.T, b *browser, raw string) []*answer {
			start := b.get("/.crmgate/sso/google/start"+query(raw), lessonPage...)
			to := start.Header.Get("Location")
			if !strings.HasPrefix(to, l.op.URL+"/authorize?") {
				t.Fatalf("%q: the browser is sent to %q, not to the provider: %s", raw, to, start.Status)
			}
			if u, err := url.Parse(to); err != nil || u.Query().Get("redirect_uri") != l.Gateway+"/.crmgate/sso/google/callback" {
				t.Fatalf("%q: the provider is to send people back to %q", raw, to)
			}
			return []*answer{b.get(l.op.answer(t, to, "asha@example.test"), append(lessonPage, "Sec-Fetch-Site", "cross-site")...)}
		},
	}
	for name, door := range doors {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			from, bad := 0, 0
			base := l.browser(t)
			costly := name == "identity provider" || name == "sign-in form and step"
			for i, raw := range corpus {
				if costly && i%5 > 2 {
					continue // more than 800 are left
				}
				if i%400 == 0 { // one address begins so many flows at most
					from++
					base = l.browser(t).from(t, fmt.Sprintf("127.0.30.%d", from))
				}
				b := &browser{t: t, base: base.base, Client: &http.Client{Transport: base.Transport, Timeout: base.Timeout, CheckRedirect: base.CheckRedirect, Jar: l.browser(t).Jar}}
				for _, res := range door(t, b, raw) {
					if res.StatusCode == http.StatusBadRequest {
						bad++
					}
					if res.StatusCode >= 500 || res.StatusCode == http.StatusTooManyRequests || res.StatusCode == http.StatusForbidden {
						t.Fatalf("%q was not tried: %s", raw, res.Status)
					}
					for _, to := range res.leads() {
						if leavesSite(to, host) {
							t.Fatalf("%q leads to %q: a person who signs in can be sent to a foreign site", raw, to)
						}
					}
				}
			}
			if bad > len(corpus)/10 && name != "sign-in form, refused" {
				t.Errorf("%d of %d payloads were refused before they were looked at", bad, len(corpus))
			}
		})
	}
}

// elsewhere adds somebody whose password another system checks, with a passkey.
func (l *lesson) elsewhere(t *testing.T, email string) *factortest.Authenticator {
	t.Helper()
	l.admin(t, http.MethodPost, "/crmgate/people", fmt.Sprintf(`{"email":%q,"role":"administrator"}`, email))
	l.mu.Lock()
	l.api[email] = true
	l.mu.Unlock()
	b := l.browser(t)
	if res := b.signIn(email, lessonAPIPassword); res.StatusCode != http.StatusOK {
		t.Fatalf("signing in elsewhere: %s %s", res.Status, res.text())
	}
	return b.lessonPasskey()
}

// TestTheRedirectOracleSeesHostile: the judge of the test above.
func TestTheRedirectOracleSeesHostile(t *testing.T) {
	for _, bad := range []string{"//evil.example", "/\\evil.example", "https://evil.example", "/%2fevil.example", "/\t/evil.example", "evil", "/.crmgate/signed-in?return=//evil.example", "/x?return=%2F%2Fevil.example", ""} {
		if !leavesSite(bad, "localhost:1") {
			t.Errorf("%q is taken for harmless", bad)
		}
	}
	for _, good := range []string{"/", "/app/leads?x=//y", "https://localhost:1/app", "/.crmgate/signed-in?return=/app"} {
		if leavesSite(good, "localhost:1") {
			t.Errorf("%q is taken for hostile", good)
		}
	}
}
