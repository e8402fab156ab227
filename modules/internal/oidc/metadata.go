// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/crmgate/crmgate/modules/internal/signin"
)

const (
	metaLife   = 24 * time.Hour
	keysLife   = time.Hour // after which keys the provider no longer publishes are forgotten
	firstPause = time.Second
	lastPause  = time.Minute
)

// metadata is what the provider says of itself.
type metadata struct {
	endpoint    oauth2.Endpoint
	keysURL     string
	endSession  string // "" when it has none
	issInAnswer bool   // it promises iss in every answer (RFC 9207)
	algorithms  []string
	tokenIssuer string // "" or another issuer of tokens
	keys        *oidc.RemoteKeySet
	keysRead    time.Time
	read        time.Time
}

// document is the part of the discovery document that go-oidc leaves to us.
type document struct {
	KeysURL           string   `json:"jwks_uri"`
	EndSession        string   `json:"end_session_endpoint"`
	IssInAnswer       bool     `json:"authorization_response_iss_parameter_supported"`
	Algorithms        []string `json:"id_token_signing_alg_values_supported"`
	Challenges        []string `json:"code_challenge_methods_supported"`
	AccessTokenIssuer string   `json:"access_token_issuer"`
}

// metaCache holds the metadata; its channel is a lock one can give up waiting for.
type metaCache struct {
	lock  chan struct{}
	now   *metadata
	fails int
	next  time.Time // no attempt before it
	err   error     // of the last attempt
}

// metadata returns what is known of the provider, asking it when that is too old.
func (p *Provider) metadata(ctx context.Context, env signin.Env) (*metadata, error) {
	c := &p.meta
	select {
	case c.lock <- struct{}{}:
		defer func() { <-c.lock }()
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for discovery: %w", ctx.Err())
	}
	now := env.Clock.Now()
	if c.now != nil && now.Sub(c.now.read) < metaLife && !now.Before(c.now.read) {
		return p.freshKeys(now), nil
	}
	if now.Before(c.next) {
		if c.now != nil {
			return p.freshKeys(now), nil
		}
		return nil, c.err
	}
	// For whoever asks next too: a visitor who goes away is no failure of the provider.
	m, err := p.discover(context.WithoutCancel(ctx), now)
	if err != nil {
		c.err = err
		c.next = now.Add(min(lastPause, firstPause<<min(c.fails, 8)))
		c.fails++
		if c.now != nil {
			if env.Log != nil {
				env.Log.WarnContext(ctx, "single sign-on: reading the discovery document again failed", "provider", p.cfg.Name, "error", err)
			}
			return p.freshKeys(now), nil
		}
		return nil, err
	}
	c.now, c.err, c.fails, c.next = m, nil, 0, time.Time{}
	return p.freshKeys(now), nil
}

// freshKeys forgets keys that were read long ago; the caller has the lock.
func (p *Provider) freshKeys(now time.Time) *metadata {
	m := p.meta.now
	if age := now.Sub(m.keysRead); age >= keysLife || age < 0 {
		next := *m
		next.keys, next.keysRead = oidc.NewRemoteKeySet(oidc.ClientContext(context.Background(), p.client), m.keysURL), now
		p.meta.now, m = &next, &next
	}
	return m
}

// discover reads and checks the discovery document.
func (p *Provider) discover(ctx context.Context, now time.Time) (*metadata, error) {
	ctx = oidc.ClientContext(ctx, p.client)
	found, err := oidc.NewProvider(ctx, p.cfg.Issuer)
	var other *oidc.IssuerMismatchError
	switch {
	case errors.As(err, &other):
		return nil, fmt.Errorf("reading the discovery document: the provider calls itself %q and the configuration %q; write the provider's own issuer", clip(other.Discovered), p.cfg.Issuer)
	case err != nil:
		return nil, fmt.Errorf("reading the discovery document of %s: %s", p.cfg.Issuer, clip(err.Error()))
	}
	var d document
	if err := found.Claims(&d); err != nil {
		return nil, errors.New("reading the discovery document: a member has another type than it should")
	}
	e := found.Endpoint()
	for name, u := range map[string]string{"authorization_endpoint": e.AuthURL, "token_endpoint": e.TokenURL, "jwks_uri": d.KeysURL} {
		if err := checkEndpoint(p.cfg.Issuer, u); err != nil {
			return nil, fmt.Errorf("reading the discovery document: %s is %q: %w", name, clip(u), err)
		}
	}
	if d.EndSession != "" && checkEndpoint(p.cfg.Issuer, d.EndSession) != nil {
		d.EndSession = "" // signing out there is a courtesy
	}
	algorithms := p.cfg.Algorithms
	if len(d.Algorithms) > 0 {
		algorithms = slices.DeleteFunc(slices.Clone(algorithms), func(a string) bool { return !slices.Contains(d.Algorithms, a) })
	}
	if len(algorithms) == 0 {
		return nil, fmt.Errorf("reading the discovery document: the provider signs with %s only, which is not accepted", clip(strings.Join(d.Algorithms, ", ")))
	}
	if len(d.Challenges) > 0 && !slices.Contains(d.Challenges, "S256") {
		return nil, errors.New("reading the discovery document: the provider's PKCE has no S256")
	}
	e.AuthStyle = oauth2.AuthStyleInHeader
	if p.cfg.ClientAuth == "post" {
		e.AuthStyle = oauth2.AuthStyleInParams
	}
	p.trans.watchKeys(d.KeysURL)
	return &metadata{
		endpoint: e, keysURL: d.KeysURL, endSession: d.EndSession, issInAnswer: d.IssInAnswer,
		algorithms: algorithms, tokenIssuer: p.tokenIssuer(d), read: now,
	}, nil
}

// tokenIssuer is the second issuer, if the configuration wants one. A discovered
// one must be on the issuer's own host: the document may say http for https, and
// nothing further away.
func (p *Provider) tokenIssuer(d document) string {
	if p.cfg.TokenIssuer != "" || !p.cfg.DiscoverTokenIssuer {
		return p.cfg.TokenIssuer
	}
	own, err1 := url.Parse(p.cfg.Issuer)
	other, err2 := url.Parse(d.AccessTokenIssuer)
	if err1 != nil || err2 != nil || other.Hostname() == "" || !strings.EqualFold(own.Hostname(), other.Hostname()) {
		return ""
	}
	return d.AccessTokenIssuer
}

// oauth is the client at this provider.
func (p *Provider) oauth(env signin.Env, m *metadata) *oauth2.Config {
	return &oauth2.Config{
		ClientID: p.cfg.ClientID, ClientSecret: string(p.cfg.ClientSecret.Reveal()), Endpoint: m.endpoint,
		RedirectURL: p.redirectURI(env), Scopes: append([]string{oidc.ScopeOpenID}, p.cfg.Scopes...),
	}
}

// verifier checks tokens of one issuer. The clock it is given is behind by the
// skew: a token that ended within it is good.
func (p *Provider) verifier(env signin.Env, m *metadata, issuer string) *oidc.IDTokenVerifier {
	return oidc.NewVerifier(issuer, m.keys, &oidc.Config{
		ClientID: p.cfg.ClientID, SupportedSigningAlgs: m.algorithms,
		Now: func() time.Time { return env.Clock.Now().Add(-p.cfg.Skew) },
	})
}

// clip makes a text of somebody else's fit for a log line.
func clip(s string) string {
	const most = 200
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}
