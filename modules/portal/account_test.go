// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package portal

import (
	"strings"
	"testing"
	"time"

	"github.com/crmgate/crmgate/policy"
)

func TestAccountPage(t *testing.T) {
	b := newFake()
	res := do(t, newPortal(b), ask{path: AccountPath + "?done=ended", token: testToken, head: browser})
	body := bodyOf(t, res)
	for _, want := range []string{
		"Ann &lt;Admin&gt;", testEmail, "Sales manager", "Firefox on Linux", "Safari on iPhone", "203.0.113.7",
		`name="id" value="2c9a"`, "At least 12 characters.", "The session was ended.", `data-left="2026-11-20T20:30:00Z"`,
		`<time datetime="2026-11-20T20:30:00Z" data-local>20 November 2026, 20:30 UTC</time>`, "End all others",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("the account page lacks %s\n%s", want, body)
		}
	}
	if strings.Contains(body, `value="`+testID+`"`) {
		t.Error("the session in use has an end button beside Sign out")
	}
	if strings.Index(body, "this one") > strings.Index(body, "Safari on iPhone") {
		t.Error("the session in use is not first")
	}
}

func TestAccountPageWithoutLimits(t *testing.T) {
	b := newFake()
	b.all = []SessionView{{ID: testID, Email: testEmail}}
	b.session[testToken] = b.all[0]
	body := bodyOf(t, do(t, newPortal(b), ask{path: AccountPath, token: testToken, head: browser}))
	for _, bad := range []string{"0001", "Ends", "End all others", "data-left"} {
		if strings.Contains(body, bad) {
			t.Errorf("the page shows %q for a session without limits", bad)
		}
	}
}

func TestAccountNeedsASession(t *testing.T) {
	for _, tc := range []struct {
		method, path string
		status       int
	}{
		{"GET", AccountPath, 303},
		{"POST", endSessionPath, 401},
		{"POST", endOthersPath, 401},
		{"GET", "/.crmgate/api/session", 401},
		{"GET", "/.crmgate/api/sessions", 401},
		{"DELETE", "/.crmgate/api/sessions/2c9a", 401},
	} {
		for name, token := range map[string]string{"none": "", "dead": otherToken} {
			t.Run(tc.method+tc.path+" "+name, func(t *testing.T) {
				b := newFake()
				res := do(t, newPortal(b), ask{method: tc.method, path: tc.path, token: token, head: browser})
				if res.StatusCode != tc.status {
					t.Errorf("%d, want %d", res.StatusCode, tc.status)
				}
				if tc.status == 303 && res.Header.Get("Location") != SignInPath+"?return=%2F.crmgate%2Faccount" {
					t.Errorf("to %q", res.Header.Get("Location"))
				}
				if len(b.ended)+b.others != 0 {
					t.Error("somebody who is not signed in ends sessions")
				}
			})
		}
		t.Run(tc.method+tc.path+" two cookies", func(t *testing.T) {
			res := do(t, newPortal(newFake()), ask{method: tc.method, path: tc.path, head: map[string]string{
				"Cookie": CookieName + "=" + testToken + "; " + CookieName + "=" + otherToken,
			}})
			if res.StatusCode != 400 || setCookies(res)[CookieName] != "-" {
				t.Errorf("%d %v, want 400 and the cookie cleared", res.StatusCode, setCookies(res))
			}
		})
		t.Run(tc.method+tc.path+" store away", func(t *testing.T) {
			b := newFake()
			b.err = &Refusal{Reason: policy.StoreUnavailable}
			res := do(t, newPortal(b), ask{method: tc.method, path: tc.path, token: testToken})
			if res.StatusCode != 503 || len(res.Cookies()) != 0 {
				t.Errorf("%d %v: a store that is away signs people out", res.StatusCode, res.Cookies())
			}
		})
	}
}

func TestEndSession(t *testing.T) {
	for _, tc := range []struct {
		name, id  string
		page, api int
		to        string
		ended     int
		out       bool
	}{
		{"the phone", "2c9a", 303, 204, AccountPath + "?done=ended", 1, false},
		{"this one", testID, 303, 204, SignInPath + "?why=signed_out", 0, true},
		{"somebody else's", "ffff", 404, 404, "", 0, false},
		{"too long", strings.Repeat("f", maxID+1), 404, 404, "", 0, false},
		{"none", "", 404, 404, "", 0, false},
		{"with a slash", "2c9a/x", 404, 404, "", 0, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newFake()
			res := do(t, newPortal(b), ask{method: "POST", path: endSessionPath, token: testToken, head: browser, body: "id=" + tc.id})
			if res.StatusCode != tc.page || res.Header.Get("Location") != tc.to || len(b.ended) != tc.ended || (len(b.signedOut) > 0) != tc.out {
				t.Errorf("page: %d to %q, ended %v, out %v", res.StatusCode, res.Header.Get("Location"), b.ended, b.signedOut)
			}
			b = newFake()
			res = do(t, newPortal(b), ask{method: "DELETE", path: apiSessionsPath + tc.id, token: testToken})
			if res.StatusCode != tc.api || len(b.ended) != tc.ended || (setCookies(res)[CookieName] == "-") != tc.out {
				t.Errorf("api: %d, ended %v, cookies %v", res.StatusCode, b.ended, setCookies(res))
			}
		})
	}
}

func TestEndOthers(t *testing.T) {
	b := newFake()
	res := do(t, newPortal(b), ask{method: "POST", path: endOthersPath, token: testToken, head: browser})
	if res.StatusCode != 303 || res.Header.Get("Location") != AccountPath+"?done=others" || b.others != 1 {
		t.Errorf("%d to %q, %d calls", res.StatusCode, res.Header.Get("Location"), b.others)
	}
}

func TestAPISession(t *testing.T) {
	b := newFake()
	m := object(t, do(t, newPortal(b), ask{path: "/.crmgate/api/session", token: testToken}))
	for name, want := range map[string]any{
		"email": testEmail, "role": "sales_manager", "expires_in": 39600.0, "idle_in": 840.0,
		"expires": "2026-11-20T20:30:00Z", "now": "2026-11-20T09:30:00Z", "current": true, "id": testID,
	} {
		if m[name] != want {
			t.Errorf("%s is %v, want %v: a countdown shows the wrong time", name, m[name], want)
		}
	}
	s := b.session[testToken]
	s.Expires, s.IdleEnds = time.Time{}, testNow.Add(-time.Second)
	b.session[testToken] = s
	m = object(t, do(t, newPortal(b), ask{path: "/.crmgate/api/session", token: testToken}))
	if _, ok := m["expires_in"]; ok || m["idle_in"] != 0.0 {
		t.Errorf("%v: a limit that is not there is counted, or one that is over counts below 0", m)
	}
}

func TestAPISessions(t *testing.T) {
	m := object(t, do(t, newPortal(newFake()), ask{path: "/.crmgate/api/sessions", token: testToken}))
	list, _ := m["sessions"].([]any)
	if len(list) != 2 {
		t.Fatalf("%v, want two sessions", m)
	}
	first, _ := list[0].(map[string]any)
	second, _ := list[1].(map[string]any)
	if first["current"] != true || first["id"] != testID || second["current"] != false || second["device"] != "Safari on iPhone" {
		t.Errorf("%v: people end the wrong session", m)
	}
	b := newFake()
	b.all = nil
	if m = object(t, do(t, newPortal(b), ask{path: "/.crmgate/api/sessions", token: testToken})); m["sessions"] == nil {
		t.Error("no sessions are null, not an empty list")
	}
}

func TestRoleName(t *testing.T) {
	for in, want := range map[string]string{"": "", "sales_user": "Sales user", "écrivain": "Écrivain"} {
		if got := roleName(in); got != want {
			t.Errorf("roleName(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestSpan(t *testing.T) {
	for in, want := range map[time.Duration]string{
		0: "1 second", time.Second: "1 second", 1500 * time.Millisecond: "2 seconds", 90 * time.Second: "90 seconds",
		2 * time.Minute: "2 minutes", 121 * time.Second: "3 minutes", 3 * time.Hour: "3 hours", 49 * time.Hour: "3 days",
	} {
		if got := span(in); got != want {
			t.Errorf("span(%v) = %q, want %q", in, got, want)
		}
	}
}
