// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/crmgate/crmgate/modules/internal/sso"
	"github.com/crmgate/crmgate/modules/internal/testpeer"
	"github.com/crmgate/crmgate/modules/internal/vault"
)

// peer is a gateway and a real provider that know each other.
type peer struct {
	*gateway
	op *testpeer.OIDC
}

func newPeer(t *testing.T, change ...func(google, adfs *Config)) *peer {
	t.Helper()
	g := newGateway(t)
	p := &peer{g, testpeer.StartOIDC(t, testpeer.OIDCClient{
		Redirects:   []string{g.path("google", "callback"), g.path("adfs", "callback")},
		PostLogout:  []string{g.path("google", "signed-out"), g.path("adfs", "signed-out")},
		BackChannel: g.plain.URL + "/.crmgate/sso/google/backchannel-logout",
	})}
	secret := vault.NewSecret([]byte(testpeer.OIDCClientSecret))
	google := Config{
		Name: "google", Issuer: p.op.Google, ClientID: testpeer.OIDCClientID, ClientSecret: secret,
		HostedDomains: []string{"example.test"}, Recheck: time.Minute, Scopes: []string{"email", "offline_access"},
		Extra: map[string]string{"prompt": "consent"}, // without it there is no offline_access
	}
	adfs := Config{
		Name: "adfs", Issuer: p.op.ADFS, ClientID: testpeer.OIDCClientID, ClientSecret: secret, ClientAuth: "post",
		EmailClaims: []string{"upn", "email"}, TrustEmail: true, DiscoverTokenIssuer: true,
	}
	for _, fn := range change {
		fn(&google, &adfs)
	}
	one, err := New(google)
	if err != nil {
		t.Fatal(err)
	}
	two, err := New(adfs)
	if err != nil {
		t.Fatal(err)
	}
	g.serve(one, two)
	return p
}

// signIn does the whole of it and returns where the browser ends.
func (p *peer) signIn(c *http.Client, name, query, login string) *http.Response {
	p.t.Helper()
	back, err := testpeer.OIDCSignIn(c, p.start(c, name, query).String(), login, p.path(name, "callback"))
	if err != nil {
		p.t.Fatal(err)
	}
	res, err := c.Get(back.String())
	if err != nil {
		p.t.Fatal(err)
	}
	_ = res.Body.Close()
	return res
}

func TestRealProvider(t *testing.T) {
	p := newPeer(t)
	for _, c := range []struct {
		provider, login, detail string
	}{
		{"google", "sally", ""},
		{"google", "mark@example.test", ""},
		{"google", "unverified", "not verified"},
		{"google", "private", "no organisation"},
		{"google", "guest", "another organisation"},
		{"google", "", "access_denied"},
		{"adfs", "mona", ""},
		{"adfs", "", "access_denied"},
	} {
		t.Run(c.provider+" "+c.login, func(t *testing.T) {
			before := len(p.finished)
			res := p.signIn(p.browser(), c.provider, "?return=/leads", c.login)
			if c.detail == "" {
				if len(p.finished) != before+1 || res.Request.URL.Path != "/leads" {
					t.Fatalf("did not sign in; ended at %s, refused %+v, provider %v", res.Request.URL, p.lastRefusal(), p.op.Events(c.provider))
				}
				got := p.finished[before].Proof
				if want := strings.Split(c.login, "@")[0] + "@example.test"; got.Email != want || got.Subject == "" || got.Grant.Session == "" {
					t.Errorf("proof %+v, want %s with a subject and a session", got, want)
				}
				return
			}
			if len(p.finished) != before || !strings.Contains(p.lastRefusal().Detail, c.detail) {
				t.Errorf("signed in %v, refused %+v, want %q", len(p.finished) != before, p.lastRefusal(), c.detail)
			}
		})
	}
	if s := p.log.String(); strings.Contains(s, testpeer.OIDCClientSecret) || strings.Contains(s, "eyJ") {
		t.Error("the log holds a secret or a token")
	}
}

func TestRealProviderManyTabs(t *testing.T) {
	p := newPeer(t)
	c := p.browser()
	var asks []*url.URL
	for _, tab := range []string{"a", "b", "c"} {
		asks = append(asks, p.start(c, "google", "?return=/"+tab))
	}
	for i, ask := range slices.Backward(asks) {
		back, err := testpeer.OIDCSignIn(c, ask.String(), "sally", p.path("google", "callback"))
		if err != nil {
			t.Fatal(err)
		}
		res, err := c.Get(back.String())
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if want := "/" + string(rune('a'+i)); res.Request.URL.Path != want {
			t.Errorf("tab %d ended at %s: %+v", i, res.Request.URL, p.lastRefusal())
		}
	}
}

func TestRealProviderRefusesCodeWithoutVerifier(t *testing.T) {
	p := newPeer(t)
	c := p.browser()
	ask := p.start(c, "google", "")
	if q := ask.Query(); q.Get("code_challenge_method") != "S256" || len(q.Get("code_challenge")) != 43 || len(q.Get("nonce")) != 43 {
		t.Fatalf("asked with %v: a stolen code could be redeemed by whoever has it", q)
	}
	back, err := testpeer.OIDCSignIn(c, ask.String(), "sally", p.path("google", "callback"))
	if err != nil {
		t.Fatal(err)
	}
	// An attacker puts the victim's code into a sign-in of his own.
	mine := p.browser()
	q := back.Query()
	q.Set("state", p.start(mine, "google", "").Query().Get("state"))
	back.RawQuery = q.Encode()
	if _, err := mine.Get(back.String()); err != nil {
		t.Fatal(err)
	}
	if len(p.finished) != 0 || !strings.Contains(p.lastRefusal().Detail, "invalid_grant") {
		t.Errorf("an injected code: finished %d, refused %+v", len(p.finished), p.lastRefusal())
	}
}

func TestRealProviderKeyRotation(t *testing.T) {
	p := newPeer(t)
	p.signIn(p.browser(), "google", "", "sally")
	p.op.RotateKeys("google", true)
	later(p, "google")
	p.signIn(p.browser(), "google", "", "mark")
	p.op.RotateKeys("google", false)
	later(p, "google")
	p.signIn(p.browser(), "google", "", "mona")
	if len(p.finished) != 3 {
		t.Errorf("%d of 3 sign-ins after key rotations: %+v", len(p.finished), p.lastRefusal())
	}
}

// later moves the time at which keys may be fetched again, without waiting for it.
func later(p *peer, name string) {
	rp, _ := p.sso.Provider(name)
	t := rp.(*Provider).trans
	t.mu.Lock()
	defer t.mu.Unlock()
	t.fetched = time.Time{}
}

func TestRealProviderRenewal(t *testing.T) {
	p := newPeer(t)
	p.signIn(p.browser(), "google", "", "sally")
	g, err := p.grants.Of(t.Context(), "session-1")
	if err != nil || g.Recheck.IsZero() {
		t.Fatalf("grant %+v, %v: there is no refresh token", g, err)
	}
	for range 2 { // the second with the rotated token
		p.clock.Advance(time.Minute)
		if err := p.grants.Renew(t.Context(), "session-1"); err != nil {
			t.Fatalf("renewing: %v; %v", err, p.op.Events("google"))
		}
	}
	if h, _ := p.grants.Of(t.Context(), "session-1"); string(h.Data) == string(g.Data) || !p.alive("session-1") {
		t.Error("the rotated refresh token was not kept")
	}
	p.op.SetClaims("google", "sally", map[string]any{"email": "sally.new@example.test"})
	p.clock.Advance(time.Minute)
	_ = p.grants.Renew(t.Context(), "session-1")
	if p.alive("session-1") || !strings.Contains(p.ended["session-1"], "e-mail") {
		t.Errorf("somebody whose address changed keeps the session; ended %v", p.ended)
	}
	p.op.SetClaims("google", "sally", map[string]any{})
	p.signIn(p.browser(), "google", "", "sally")
	p.op.SetClaims("google", "sally", map[string]any{"hd": "other.test"})
	p.clock.Advance(time.Minute)
	_ = p.grants.RenewDue(t.Context())
	if p.alive("session-2") {
		t.Error("somebody who left the organisation keeps the session")
	}
}

func TestRealProviderSignOut(t *testing.T) {
	p := newPeer(t)
	c := p.browser()
	p.signIn(c, "google", "", "sally")
	p.signIn(p.browser(), "google", "", "mark")
	g, err := p.grants.Of(t.Context(), "session-1")
	if err != nil {
		t.Fatal(err)
	}
	next, err := p.sso.Leave(t.Context(), g)
	if err != nil || next.URL == "" {
		t.Fatalf("leaving: %+v, %v", next, err)
	}
	if q, _ := url.Parse(next.URL); q.Query().Get("id_token_hint") == "" || q.Query().Get("state") == "" {
		t.Errorf("sent to %s", next.URL)
	}
	pressLogout(t, c, next.URL)
	// The provider tells us over the back channel as well.
	for deadline := time.Now().Add(10 * time.Second); p.alive("session-1"); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the back channel ended nothing: %v\n%s", p.op.Events("google"), p.log.String())
		}
	}
	if !p.alive("session-2") {
		t.Error("signing out ended somebody else's session")
	}
}

// pressLogout answers the provider's question whether to sign out.
func pressLogout(t *testing.T, c *http.Client, address string) {
	t.Helper()
	res, err := c.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	body := make([]byte, 64<<10)
	n, _ := res.Body.Read(body)
	_ = res.Body.Close()
	form := string(body[:n])
	_, rest, ok := strings.Cut(form, `action="`)
	action, _, _ := strings.Cut(rest, `"`)
	_, rest, ok2 := strings.Cut(form, `name="xsrf" value="`)
	xsrf, _, _ := strings.Cut(rest, `"`)
	if !ok || !ok2 {
		t.Fatalf("no question: %s", form)
	}
	res, err = c.PostForm(action, url.Values{"xsrf": {xsrf}, "logout": {"yes"}})
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
}

func TestRealProviderStepUp(t *testing.T) {
	p := newPeer(t)
	c := p.browser()
	p.signIn(c, "google", "", "sally")
	// The provider remembers the person, and must ask again all the same.
	p.signIn(c, "google", "?for=step-up", "sally")
	if len(p.finished) != 2 {
		t.Fatalf("refused %+v", p.lastRefusal())
	}
	if f := p.finished[1]; f.Purpose != sso.StepUp || f.Session != "session-1" || f.Proof.AuthTime.IsZero() {
		t.Errorf("finished %+v", f)
	}
}

func TestRealProviderFormPost(t *testing.T) {
	p := newPeer(t, func(google, _ *Config) { google.FormPost = true })
	c := p.browser()
	if mode := p.start(c, "google", "").Query().Get("response_mode"); mode != "form_post" {
		t.Errorf("response_mode %q", mode)
	}
}

func TestRealProviderProbe(t *testing.T) {
	p := newPeer(t)
	rp, _ := p.sso.Provider("adfs")
	checks, err := rp.(*Provider).Probe(t.Context(), p.clock)
	if err != nil || len(checks) != 4 {
		t.Errorf("checks %+v, %v", checks, err)
	}
	p.clock.Advance(10 * time.Minute)
	if _, err := rp.(*Provider).Probe(t.Context(), p.clock); err == nil || !strings.Contains(err.Error(), "clock") {
		t.Errorf("ten minutes off: %v", err)
	}
	p.op.Stop()
	if _, err := rp.(*Provider).Probe(t.Context(), p.clock); err == nil || !strings.Contains(err.Error(), "discovery") {
		t.Errorf("a provider that is away: %v", err)
	}
}
