// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/crmgate/crmgate/modules/internal/signin"
)

// host remembers what it was asked to end.
type host struct {
	calls []string
	err   error
}

func (h *host) EndSessions(_ context.Context, provider, subject, session string) (int, error) {
	h.calls = append(h.calls, provider+"|"+subject+"|"+session)
	return 1, h.err
}

func (*host) GrantOf(*http.Request, string) (signin.Grant, bool) { return signin.Grant{}, false }

// logoutClaims are those of a good logout token, with changes.
func (h *hostile) logoutClaims(change map[string]any) map[string]any {
	now := time.Now().Unix()
	c := map[string]any{
		"iss": h.issuer, "aud": hostileClient, "iat": now, "exp": now + 120, "jti": "j1", "sub": "s1", "sid": "sid-1",
		"events": map[string]any{logoutEvent: map[string]any{}},
	}
	maps.Copy(c, change)
	for name, v := range c {
		if v == nil {
			delete(c, name)
		}
	}
	return c
}

func (s *stage) postLogout(h *host, form url.Values) int {
	s.t.Helper()
	r := httptest.NewRequest(http.MethodPost, "/.crmgate/sso/idp/backchannel-logout", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	if !s.rp.Listen(w, r, s.env, "backchannel-logout", h) {
		s.t.Fatal("nobody listens to logout tokens")
	}
	return w.Code
}

func TestLogoutTokens(t *testing.T) {
	now := time.Now().Unix()
	event := func(x any) map[string]any { return map[string]any{"events": map[string]any{logoutEvent: x}} }
	for _, c := range []struct {
		name   string
		change map[string]any
		want   string // what is ended; "" when the token is refused
	}{
		{"subject and session", nil, "idp|s1|sid-1"},
		{"subject only", map[string]any{"sid": nil}, "idp|s1|"},
		{"session only", map[string]any{"sub": nil}, "idp||sid-1"},
		{"neither", map[string]any{"sub": nil, "sid": nil}, ""},
		{"an ID token", map[string]any{"nonce": "n"}, ""},
		{"a nonce that is empty", map[string]any{"nonce": ""}, ""},
		{"a nonce that is null", map[string]any{"nonce": json.RawMessage("null")}, ""},
		{"no event", map[string]any{"events": nil}, ""},
		{"another event", map[string]any{"events": map[string]any{"http://schemas.openid.net/event/other": map[string]any{}}}, ""},
		{"an event that is no object", event("yes"), ""},
		{"an event that is null", event(nil), ""},
		{"no jti", map[string]any{"jti": nil}, ""},
		{"jti without end", map[string]any{"jti": strings.Repeat("j", 300)}, ""},
		{"no iat", map[string]any{"iat": nil}, ""},
		{"no exp", map[string]any{"exp": nil}, ""},
		{"from the future", map[string]any{"iat": now + 3600}, ""},
		{"ended", map[string]any{"exp": now - 3600}, ""},
		{"old, with an end far away", map[string]any{"iat": now - 7200, "exp": now + 1e6}, ""},
		{"exp 1e300", map[string]any{"exp": 1e300}, ""},
		{"iat -1", map[string]any{"iat": -1}, ""},
		{"another issuer", map[string]any{"iss": "https://evil.example"}, ""},
		{"another application", map[string]any{"aud": "other"}, ""},
		{"several applications", map[string]any{"aud": []string{hostileClient, "other"}}, ""},
		{"a subject that is a number", map[string]any{"sub": 1}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStage(t)
			h := new(host)
			code := s.postLogout(h, url.Values{"logout_token": {s.op.sign(s.op.logoutClaims(c.change))}})
			got := strings.Join(h.calls, " ")
			if got != c.want || (c.want != "") != (code == 200) || c.want == "" && code != 400 {
				t.Errorf("answered %d and ended %q, want %q", code, got, c.want)
			}
		})
	}
}

func TestLogoutTokensThatAreForged(t *testing.T) {
	s := newStage(t)
	c := s.op.logoutClaims(nil)
	for name, form := range map[string]url.Values{
		"alg none":      {"logout_token": {handmade(map[string]any{"alg": "none", "typ": "logout+jwt"}, c, nil)}},
		"HS256":         {"logout_token": {handmade(map[string]any{"alg": "HS256", "kid": "k0"}, c, hmacWithPublicKey)}},
		"another key":   {"logout_token": {signWith(t, jose.RS256, testKeys()[1], "k0", c)}},
		"an unknown id": {"logout_token": {signWith(t, jose.RS256, testKeys()[1], "k7", c)}},
		"two tokens":    {"logout_token": {s.op.sign(c), s.op.sign(c)}},
		"no token":      {"token": {s.op.sign(c)}},
		"an ID token":   {"logout_token": {s.op.sign(s.op.claims("n", nil))}},
		"without end":   {"logout_token": {strings.Repeat("A", maxLogout)}},
	} {
		h := new(host)
		if code := s.postLogout(h, form); code != 400 || len(h.calls) != 0 {
			t.Errorf("%s: answered %d and ended %v: anybody can sign people out", name, code, h.calls)
		}
	}
	r := httptest.NewRequest(http.MethodGet, "/.crmgate/sso/idp/backchannel-logout?logout_token="+s.op.sign(c), nil)
	w := httptest.NewRecorder()
	h := new(host)
	s.rp.Listen(w, r, s.env, "backchannel-logout", h)
	if w.Code != http.StatusMethodNotAllowed || len(h.calls) != 0 {
		t.Errorf("by GET: %d, ended %v", w.Code, h.calls)
	}
	if s.rp.Listen(w, r, s.env, "frontchannel-logout", h) {
		t.Error("an unauthenticated front-channel logout signs people out")
	}
}

func TestLogoutTokenReplayIsRefusedAndAFailureIsNot(t *testing.T) {
	s := newStage(t)
	form := url.Values{"logout_token": {s.op.sign(s.op.logoutClaims(nil))}}
	away := &host{err: errors.New("the session store is away")}
	if code := s.postLogout(away, form); code != 503 {
		t.Errorf("answered %d although nobody was signed out", code)
	}
	h := new(host)
	if code := s.postLogout(h, form); code != 200 || len(h.calls) != 1 {
		t.Errorf("sent again after a failure: %d, ended %v: the person stays signed in", code, h.calls)
	}
	if code := s.postLogout(h, form); code != 400 || len(h.calls) != 1 {
		t.Errorf("sent a third time: %d, ended %v: a recorded token signs people out again and again", code, h.calls)
	}
}

func TestLogoutEndsTheSessionsOfThatSignIn(t *testing.T) {
	s := newStage(t)
	if !s.signIn() {
		t.Fatalf("refused %+v", s.lastRefusal())
	}
	s.op.token = func(nonce string) string { return s.op.sign(s.op.claims(nonce, map[string]any{"sid": "sid-2"})) }
	s.c = s.browser()
	s.signIn()
	res, err := http.PostForm(s.plain.URL+"/.crmgate/sso/idp/backchannel-logout", url.Values{"logout_token": {s.op.sign(s.op.logoutClaims(nil))}})
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != 200 || s.alive("session-1") || !s.alive("session-2") {
		t.Errorf("answered %d; alive: %v %v", res.StatusCode, s.alive("session-1"), s.alive("session-2"))
	}
}
