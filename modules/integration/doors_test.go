// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// TestDoors holds what programs rely on: the ready line and the JSON twin of the
// sign-in page.
func TestDoors(t *testing.T) {
	d := sharedDemo(t)
	roles := map[string]int{}
	for _, p := range d.People {
		roles[p.Role]++
		if p.Email == "" || p.Password == "" {
			t.Errorf("the ready line has a person nobody can sign in as: %+v", p)
		}
	}
	for role, least := range map[string]int{"administrator": 1, "sales_manager": 1, "marketing_user": 1, "sales_user": 2} {
		if roles[role] < least {
			t.Errorf("the ready line names %d people of role %s, %d were promised", roles[role], role, least)
		}
	}

	b := d.browser(t)
	if a := b.get("/.crmgate/api/session"); a.StatusCode != http.StatusUnauthorized || a.reason() != "no_session" {
		t.Errorf("a session without a cookie: %s %s, want 401 no_session", a.Status, a.text())
	}
	if a := b.get("/app/api/me"); a.StatusCode != http.StatusUnauthorized || a.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("the CRM's API without a session: %s %q, want a 401 problem document", a.Status, a.Header.Get("Content-Type"))
	}
	known, unknown := b.signIn("ravi@acme.test", "not it"), b.signIn("nobody@acme.test", "not it")
	if known.StatusCode != http.StatusUnauthorized || unknown.StatusCode != http.StatusUnauthorized {
		t.Errorf("a wrong password: %s for a known address, %s for an unknown one, want 401", known.Status, unknown.Status)
	}
	if drop(known.text(), "instance") != drop(unknown.text(), "instance") {
		t.Errorf("the answers tell whether an account exists:\n%s\n%s", known.text(), unknown.text())
	}

	a := b.signIn("asha@acme.test", "juniper-window-78")
	if a.StatusCode != http.StatusOK {
		t.Fatalf("the right password: %s %s", a.Status, a.text())
	}
	cookies := a.Cookies()
	if len(cookies) == 0 || !strings.HasPrefix(cookies[0].Name, "__Host-") || !cookies[0].Secure || !cookies[0].HttpOnly {
		t.Errorf("the session's cookie is not a guarded one: %v", a.Header["Set-Cookie"])
	}
	var s struct {
		Email, Role string
		IdleIn      int64 `json:"idle_in"`
		ExpiresIn   int64 `json:"expires_in"`
	}
	b.get("/.crmgate/api/session").json(t, &s)
	if s.Email != "asha@acme.test" || s.Role != "sales_user" || s.IdleIn < 1700 || s.IdleIn > 1800 || s.ExpiresIn < 43000 {
		t.Errorf("the session's remaining time is wrong: %+v", s)
	}
	token := cookies[0].Value
	if a := b.post("/.crmgate/api/sign-out", ""); a.StatusCode != http.StatusNoContent {
		t.Errorf("signing out: %s %s", a.Status, a.text())
	}
	again := d.browser(t)
	base, _ := url.Parse(d.Gateway)
	again.Jar.SetCookies(base, []*http.Cookie{{Name: cookies[0].Name, Value: token, Secure: true, Path: "/"}})
	if a := again.get("/app/api/me"); a.StatusCode != http.StatusUnauthorized {
		t.Errorf("a session that was signed out still opens the CRM: %s", a.Status)
	}
}

// TestDoorsThrottle counts wrong passwords down to a wait.
func TestDoorsThrottle(t *testing.T) {
	d := startDemo(t, "", "--leads", "5")
	b := d.browser(t)
	var last *answer
	for range 7 {
		if last = b.signIn("ravi@acme.test", "not it"); last.StatusCode == http.StatusTooManyRequests {
			break
		}
	}
	if last.StatusCode != http.StatusTooManyRequests || last.Header.Get("Retry-After") == "" {
		t.Fatalf("seven wrong passwords: %s, Retry-After %q, want a wait", last.Status, last.Header.Get("Retry-After"))
	}
	if a := b.signIn("ravi@acme.test", "saffron-bridge-90"); a.StatusCode != http.StatusTooManyRequests {
		t.Errorf("the right password during the wait: %s, want 429: the wait must not tell right from wrong", a.Status)
	}
	if a := b.signIn("asha@acme.test", "juniper-window-78"); a.StatusCode != http.StatusOK {
		t.Errorf("somebody else from the same address: %s, want 200", a.Status)
	}
}

// drop cuts the value of one member out of a JSON text.
func drop(s, member string) string {
	i := strings.Index(s, `"`+member+`":"`)
	if i < 0 {
		return s
	}
	rest := s[i+len(member)+4:]
	return s[:i] + rest[strings.Index(rest, `"`):]
}
