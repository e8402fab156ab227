// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package portal

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// everyRoute returns a path for each route of w, with something in place of what
// stands in braces.
func everyRoute(w *world) map[string]route {
	out := map[string]route{}
	for path, rt := range w.routes {
		path = strings.NewReplacer("{id}", "2c9a", "{hashed}", "x.css", "{name}", "google", "{endpoint}", "start").Replace(path)
		out[path] = rt
	}
	return out
}

// bodies a route would act on, so that a refusal is due to the origin alone.
func actBody(path string) string {
	if strings.HasPrefix(path, apiPrefix) {
		return `{}`
	}
	return "email=ann%40example.com&password=x&kind=mail&code=1&id=2c9a&label=x&new=y&repeat=y&old=x&link=" + testLink + "&flow=" + testFlow + "&response=%7B%7D"
}

// TestEveryRouteChecksTheOrigin holds that no route that changes something can be
// reached from another site, and that a program without a browser's headers can.
func TestEveryRouteChecksTheOrigin(t *testing.T) {
	senders := map[string]struct {
		head    map[string]string
		refused bool
	}{
		"another site":              {map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}, true},
		"a subdomain":               {map[string]string{"Sec-Fetch-Site": "same-site", "Origin": "https://cdn." + testHost}, true},
		"another site, old browser": {map[string]string{"Origin": "https://evil.example"}, true},
		"a subdomain, old browser":  {map[string]string{"Origin": "https://cdn." + testHost}, true},
		"another port":              {map[string]string{"Origin": "https://" + testHost + ":8443"}, true},
		"a sandbox, old browser":    {map[string]string{"Origin": "null"}, true},
		"our own page":              {map[string]string{"Sec-Fetch-Site": "same-origin", "Origin": "https://" + testHost}, false},
		"typed by hand":             {map[string]string{"Sec-Fetch-Site": "none"}, false},
		"no browser":                {nil, false},
	}
	checked := 0
	for path, rt := range everyRoute(newWorld()) {
		for method, handler := range map[string]http.HandlerFunc{"POST": rt.post, "DELETE": rt.del} {
			if handler == nil {
				continue
			}
			checked++
			for name, s := range senders {
				t.Run(method+" "+path+" from "+name, func(t *testing.T) {
					w := newWorld()
					head := map[string]string{"Cookie": cookies(CookieName, testToken, stepCookie, testStep, keptCookie, testKept)}
					maps.Copy(head, s.head)
					res := do(t, w, ask{method: method, path: path, head: head, body: actBody(path)})
					if s.refused && (res.StatusCode != 403 || w.deeds() != 0) {
						t.Errorf("%d, %d deeds: another site acts for the person", res.StatusCode, w.deeds())
					}
					if s.refused && len(res.Cookies()) != 0 {
						t.Errorf("cookies %v: another site signs the person out", res.Cookies())
					}
					if !s.refused && res.StatusCode == 403 {
						t.Error("403: people and programs cannot do it at all")
					}
				})
			}
		}
	}
	if checked < 35 {
		t.Errorf("%d routes were looked at, want 35: the table has shrunk", checked)
	}
}

// TestReadingChangesNothing holds that no GET does anything: a link or an image
// must not act.
func TestReadingChangesNothing(t *testing.T) {
	for path, rt := range everyRoute(newWorld()) {
		if rt.get == nil || strings.Contains(path, "/sso/") {
			continue
		}
		for _, query := range []string{"", "?link=" + testLink, "?method=passkey", "?method=mail", "?kind=mail&id=2c9a"} {
			w := newWorld()
			do(t, w, ask{path: path + query, head: map[string]string{"Cookie": cookies(CookieName, testToken, stepCookie, testStep, keptCookie, testKept)}})
			if n := w.deeds(); n != 0 {
				t.Errorf("GET %s%s does %d deeds: a picture on some page can do that", path, query, n)
			}
		}
	}
}

func TestProvidersMayPostFromTheirSite(t *testing.T) {
	foreign := map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "https://idp.example", "Sec-Fetch-Mode": "navigate"}
	for _, tc := range []struct {
		method, path string
		status       int
	}{
		{"POST", "/.crmgate/sso/google/acs", 204},
		{"POST", "/.crmgate/sso/google/slo", 204},
		{"POST", "/.crmgate/sso/google/callback", 204},
		{"POST", "/.crmgate/sso/google/backchannel-logout", 204},
		{"GET", "/.crmgate/sso/google/callback", 204},
		{"GET", "/.crmgate/sso/google/start", 204},
		{"GET", "/.crmgate/sso/google/signed-out", 204},
		{"POST", "/.crmgate/sso/google/start", 403},
		{"POST", "/.crmgate/sso/google/signed-out", 403},
		{"POST", "/.crmgate/sso/google/metadata", 403},
		{"POST", "/.crmgate/sso/google/acs/", 403},
		{"POST", "/.crmgate/sso/google/x/acs", 403},
		{"POST", "/.crmgate/sso/google/ACS", 403},
		{"POST", "/.crmgate/sso/acs", 403},
		{"POST", "/.crmgate/sso//acs", 403},
		{"POST", "/.crmgate/sso/Google/acs", 403},
		{"POST", "/.crmgate/sso/" + strings.Repeat("a", 33) + "/acs", 403},
		{"POST", "/.crmgate/account/acs", 404},
		{"DELETE", "/.crmgate/sso/google/acs", 405},
		{"GET", "/.crmgate/sso/", 404},
		{"GET", "/.crmgate/sso/google", 404},
		{"GET", "/.crmgate/sso/google/", 404},
		{"GET", "/.crmgate/sso/a%2fb/start", 204}, // a/b/start: provider a has no such endpoint, says the handler
	} {
		t.Run(tc.method+" "+tc.path, func(t *testing.T) {
			w := newWorld()
			res := do(t, w, ask{method: tc.method, path: tc.path, head: foreign})
			if res.StatusCode != tc.status || (w.sso > 0) != (tc.status == 204) {
				t.Errorf("%d, handed over %v, want %d: providers are locked out, or others let in", res.StatusCode, w.sso > 0, tc.status)
			}
		})
	}
}

// TestTwoCookiesAreRefusedAndCleared: a planted cookie stands beside the person's
// own, and nobody can tell which is which.
func TestTwoCookiesAreRefusedAndCleared(t *testing.T) {
	for _, name := range []string{CookieName, stepCookie, DeviceCookie, keptCookie} {
		for path, rt := range everyRoute(newWorld()) {
			if rt.open {
				continue
			}
			for method, handler := range map[string]http.HandlerFunc{"GET": rt.get, "POST": rt.post, "DELETE": rt.del} {
				if handler == nil {
					continue
				}
				w := newWorld()
				res := do(t, w, ask{method: method, path: path, body: actBody(path), head: map[string]string{
					"Cookie": cookies(CookieName, testToken, name, testStep, name, otherStep), "Sec-Fetch-Site": "same-origin",
				}})
				if res.StatusCode != 400 || setCookies(res)[name] != "-" || w.deeds() != 0 {
					t.Errorf("%s %s with two of %s: %d, %v, %d deeds; want 400, cleared, nothing done", method, path, name, res.StatusCode, setCookies(res), w.deeds())
				}
			}
		}
	}
}

// TestFeaturesThatAreOffAreNotThere holds that a portal without a feature has
// neither its routes nor a way to them.
func TestFeaturesThatAreOffAreNotThere(t *testing.T) {
	plain := newPortal(newFake())
	var gone []string
	for path, rt := range everyRoute(newWorld()) {
		if _, ok := plain.find(path); ok {
			continue
		}
		gone = append(gone, path)
		for method, handler := range map[string]http.HandlerFunc{"GET": rt.get, "POST": rt.post, "DELETE": rt.del} {
			if handler == nil {
				continue
			}
			if res := do(t, plain, ask{method: method, path: path, token: testToken, body: actBody(path)}); res.StatusCode != 404 {
				t.Errorf("%s %s: %d, want 404", method, path, res.StatusCode)
			}
		}
	}
	if len(gone) < 40 {
		t.Errorf("%d routes are optional, want 40: %v", len(gone), slices.Sorted(slices.Values(gone)))
	}
	for _, path := range []string{SignInPath, AccountPath, SignOutPath} {
		for _, head := range []map[string]string{browser, with(CookieName, testToken)} {
			body := bodyOf(t, do(t, plain, ask{path: path, head: head}))
			for _, g := range gone {
				if strings.Contains(body, `"`+g) {
					t.Errorf("%s shows a way to %s, which is off", path, g)
				}
			}
		}
	}
}
