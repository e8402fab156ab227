// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/crmgate/crmgate/policy"
)

func TestProviderThatIsDownStopsNothing(t *testing.T) {
	s := newStage(t)
	s.op.down = true
	get := func() int {
		res, err := s.c.Get(s.path("idp", "start"))
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		return res.StatusCode
	}
	if got := get(); got != 503 || s.lastRefusal().Reason != policy.StoreUnavailable {
		t.Errorf("answered %d: an outage must be called one", got)
	}
	s.op.down = false
	get()
	if s.op.discovery != 0 {
		t.Error("a provider that does not answer is asked at once again, by everybody who waits")
	}
	s.clock.Advance(firstPause)
	if !s.signIn() {
		t.Errorf("the provider is back and nobody can sign in: %+v", s.lastRefusal())
	}
	n := s.op.discovery
	s.signIn()
	if s.op.discovery != n {
		t.Error("the discovery document is read for every sign-in")
	}
}

func TestDiscoveryRefused(t *testing.T) {
	for name, c := range map[string]struct {
		change func(map[string]any)
		detail string
	}{
		"another issuer":            {func(d map[string]any) { d["issuer"] = "https://evil.example" }, "calls itself"},
		"no token endpoint":         {func(d map[string]any) { delete(d, "token_endpoint") }, "token_endpoint"},
		"a token endpoint by http":  {func(d map[string]any) { d["token_endpoint"] = "http://evil.example/token" }, "not https"},
		"keys from a file":          {func(d map[string]any) { d["jwks_uri"] = "file:///etc/passwd" }, "jwks_uri"},
		"symmetric algorithms only": {func(d map[string]any) { d["id_token_signing_alg_values_supported"] = []string{"HS256", "none"} }, "HS256"},
		"members of another type":   {func(d map[string]any) { d["authorization_response_iss_parameter_supported"] = "yes" }, "another type"},
		"without end":               {func(d map[string]any) { d["pad"] = strings.Repeat("x", maxAnswer) }, "too large"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			s.op.document = c.change
			_, err := s.rp.metadata(t.Context(), s.env)
			if err == nil || !strings.Contains(err.Error(), c.detail) {
				t.Errorf("said %v, want %q", err, c.detail)
			}
			if _, err := s.rp.Probe(t.Context(), s.clock); err == nil {
				t.Error("the rehearsal found nothing wrong")
			}
		})
	}
}

func TestNewerDocumentThatIsWrongReplacesNone(t *testing.T) {
	s := newStage(t)
	if !s.signIn() {
		t.Fatal("the first sign-in")
	}
	s.op.document = func(d map[string]any) { d["issuer"] = "https://evil.example" }
	s.clock.Advance(metaLife)
	s.op.token = func(nonce string) string { return s.op.sign(s.at(nonce)) }
	if !s.signIn() {
		t.Errorf("a good document was thrown away for a bad one: %+v", s.lastRefusal())
	}
}

// at are good claims by the gateway's moved clock.
func (s *stage) at(nonce string) map[string]any {
	now := s.clock.Now().Unix()
	return s.op.claims(nonce, map[string]any{"iat": now, "exp": now + 300})
}

func TestKeysAreFetchedSeldomAndFailClosed(t *testing.T) {
	s := newStage(t)
	if !s.signIn() {
		t.Fatalf("refused %+v", s.lastRefusal())
	}
	read := s.op.keysRead
	bogus := 0
	s.op.token = func(nonce string) string {
		bogus++
		return signWith(t, jose.RS256, testKeys()[1], fmt.Sprintf("bogus-%d", bogus), s.op.claims(nonce, nil))
	}
	for range 20 {
		s.mustRefuse("")
	}
	if s.op.keysRead > read {
		t.Errorf("keys were fetched %d times for 20 tokens with unknown keys: anybody makes the gate flood the provider", s.op.keysRead-read)
	}
	// A real rotation gets through as soon as keys may be fetched again.
	s.op.keys = []jose.JSONWebKey{{Key: testKeys()[2].Public(), KeyID: "k2", Use: "sig", Algorithm: "RS256"}}
	s.op.token = func(nonce string) string {
		return signWith(t, jose.RS256, testKeys()[2], "k2", s.op.claims(nonce, nil))
	}
	s.mustRefuse("")
	s.rp.trans.now = func() time.Time { return time.Now().Add(keysEvery) }
	if !s.signIn() {
		t.Errorf("after a key rotation nobody can sign in: %+v", s.lastRefusal())
	}
	// The old key is no longer published, and no longer good.
	s.op.token = func(nonce string) string { return s.op.sign(s.op.claims(nonce, nil)) }
	s.mustRefuse("")
}

func TestWithdrawnKeyIsForgotten(t *testing.T) {
	s := newStage(t)
	if !s.signIn() {
		t.Fatalf("refused %+v", s.lastRefusal())
	}
	s.op.keys = nil
	s.clock.Advance(keysLife)
	s.rp.trans.now = func() time.Time { return time.Now().Add(keysLife) }
	s.op.token = func(nonce string) string { return s.op.sign(s.at(nonce)) }
	s.mustRefuse("")
}

func TestTokenEndpoint(t *testing.T) {
	elsewhere := 0
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere++ }))
	defer other.Close()
	for _, c := range []struct {
		name   string
		answer http.HandlerFunc
		reason policy.Reason
	}{
		{"a redirect", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
		}, policy.StoreUnavailable},
		{"an answer without end", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = fmt.Fprintf(w, `{"access_token":"at","token_type":"Bearer","pad":"%s"}`, strings.Repeat("x", 4*maxAnswer))
		}, policy.StoreUnavailable},
		{"invalid_grant", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write([]byte(`{"error":"invalid_grant","error_description":"code\nused"}`))
		}, policy.WrongCredentials},
		{"invalid_client", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = w.Write([]byte(`{"error":"invalid_client"}`))
		}, policy.StoreUnavailable},
		{"500", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "oops", 500) }, policy.StoreUnavailable},
		{"no ID token", func(w http.ResponseWriter, _ *http.Request) {
			writeJSON(w, map[string]any{"access_token": "at", "token_type": "Bearer"})
		}, policy.WrongCredentials},
		{"an ID token that is no text", func(w http.ResponseWriter, _ *http.Request) {
			writeJSON(w, map[string]any{"access_token": "at", "token_type": "Bearer", "id_token": 7})
		}, policy.WrongCredentials},
		{"HTML", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) }, policy.StoreUnavailable},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStage(t)
			s.op.answer = c.answer
			if s.signIn() || s.lastRefusal().Reason != c.reason {
				t.Errorf("refused %+v, want %s: an outage and a no must be told apart", s.lastRefusal(), c.reason)
			}
			if elsewhere != 0 {
				t.Error("the client secret and the code went to where the provider redirected")
			}
			if out := s.log.String() + fmt.Sprint(s.refused); strings.Contains(out, "a client's secret") || strings.Contains(out, "code-1") {
				t.Errorf("a secret or a code is in the log: %s", out)
			}
		})
	}
}

func TestRenewalAgainstAHostileProvider(t *testing.T) {
	answer := func(x map[string]any) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, x) }
	}
	for _, c := range []struct {
		name  string
		set   func(s *stage)
		ended string // "" when the session goes on
	}{
		{"all is well", func(*stage) {}, ""},
		{"no new ID token", func(s *stage) {
			s.op.answer = answer(map[string]any{"access_token": "at", "token_type": "Bearer"})
		}, ""},
		{"503", func(s *stage) {
			s.op.answer = func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "later", http.StatusServiceUnavailable) }
		}, ""},
		{"our own client is refused", func(s *stage) {
			s.op.answer = func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(401)
				_, _ = w.Write([]byte(`{"error":"invalid_client"}`))
			}
		}, ""},
		{"revoked", func(s *stage) {
			s.op.answer = func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(400)
				_, _ = w.Write([]byte(`{"error":"invalid_grant"}`))
			}
		}, "invalid_grant"},
		{"another subject", func(s *stage) { s.renewed(map[string]any{"sub": "s2"}) }, "sub"},
		{"another address", func(s *stage) { s.renewed(map[string]any{"email": "boss@example.test"}) }, "e-mail"},
		{"no longer verified", func(s *stage) { s.renewed(map[string]any{"email_verified": false}) }, "verified"},
		{"hd gone", func(s *stage) { s.renewed(map[string]any{"hd": nil}) }, "hd"},
		{"another application", func(s *stage) { s.renewed(map[string]any{"aud": "other"}) }, "audience"},
		{"another nonce", func(s *stage) { s.renewed(map[string]any{"nonce": "other"}) }, "nonce"},
		{"another sign-in", func(s *stage) { s.renewed(map[string]any{"auth_time": time.Now().Unix() + 30}) }, "auth_time"},
		{"ended", func(s *stage) { s.renewed(map[string]any{"exp": time.Now().Unix() - 3600}) }, "expired"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStage(t)
			at := time.Now().Unix() - 5
			s.op.token = func(nonce string) string { return s.op.sign(s.op.claims(nonce, map[string]any{"auth_time": at})) }
			if !s.signIn() {
				t.Fatalf("refused %+v", s.lastRefusal())
			}
			s.op.token = func(string) string {
				x := s.at("")
				delete(x, "nonce") // OpenID Connect Core section 12.2
				return s.op.sign(x)
			}
			c.set(s)
			s.clock.Advance(time.Minute)
			_ = s.grants.Renew(t.Context(), "session-1")
			if got := s.ended["session-1"]; (got == "") != (c.ended == "") || !strings.Contains(got, c.ended) {
				t.Errorf("ended %q, want %q", got, c.ended)
			}
			if last := s.op.asked[len(s.op.asked)-1]; last.Get("refresh_token") != "rt-2" {
				t.Errorf("renewed with %v", last)
			}
		})
	}
}

// renewed makes the next ID token one with these claims.
func (s *stage) renewed(change map[string]any) {
	s.op.token = func(string) string {
		x := s.at("")
		delete(x, "nonce")
		for name, v := range change {
			x[name] = v
			if v == nil {
				delete(x, name)
			}
		}
		return s.op.sign(x)
	}
}

func TestLeave(t *testing.T) {
	s := newStage(t)
	s.signIn()
	g, err := s.grants.Of(t.Context(), "session-1")
	if err != nil {
		t.Fatal(err)
	}
	next, err := s.rp.Leave(t.Context(), s.env, g)
	if err != nil || !strings.HasPrefix(next.URL, s.op.issuer+"/bye?") || !strings.Contains(next.URL, "x=1") {
		t.Errorf("sent to %q, %v", next.URL, err)
	}
	s.op.document = func(d map[string]any) { d["end_session_endpoint"] = "javascript:alert(1)" }
	fresh, err := New(s.op.config())
	if err != nil {
		t.Fatal(err)
	}
	if next, err := fresh.Leave(t.Context(), s.env, g); err != nil || next.URL != "" {
		t.Errorf("sent to %q, %v", next.URL, err)
	}
}

func TestManyFirstSignInsAskForOneDocument(t *testing.T) {
	s := newStage(t)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if _, err := s.rp.metadata(t.Context(), s.env); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if s.op.discovery != 1 {
		t.Errorf("the document was read %d times", s.op.discovery)
	}
}

func TestNewRefusesParametersThatAreTheGates(t *testing.T) {
	h := newHostile(t)
	for _, name := range []string{"nonce", "state", "redirect_uri", "code_challenge_method", "response_type", "request"} {
		if _, err := New(h.config(func(c *Config) { c.Extra = map[string]string{name: "x"} })); err == nil {
			t.Errorf("%s can be overridden", name)
		}
	}
}

// Whoever asks first and goes away must not leave a failure behind that keeps the
// others out, again and again.
func TestAVisitorWhoGoesAwayStopsNobody(t *testing.T) {
	s := newStage(t)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for range 20 { // each gets its turn or not, by chance
		_, _ = s.rp.metadata(gone, s.env)
	}
	if _, err := s.rp.metadata(t.Context(), s.env); err != nil {
		t.Errorf("the next one: %v", err)
	}
}
