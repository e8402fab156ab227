// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// Package oidc proves people at an OpenID Connect provider: authorization code
// with PKCE and nonce, as a confidential client.
//
// Sources: OpenID Connect Core 1.0, Discovery 1.0, RP-Initiated Logout 1.0,
// Back-Channel Logout 1.0; RFC 6749, 7636 (PKCE), 9207 (iss in answers), 9700.
//
// # What must hold
//
// An answer signs somebody in when all of this is true: it belongs to a flow of
// this browser (package sso); its iss, where there is one or the provider promises
// one, is the provider's; the code is redeemed with the flow's PKCE verifier; the
// ID token is signed by a key the provider publishes, with an algorithm of Config
// that is also one of the provider's, never none or HMAC; iss, aud, azp, nonce,
// exp, iat and, where given, at_hash are right; sub is there; the hosted domain is
// one of Config's, when it names any; the e-mail address is one address, and
// verified.
//
// email_verified must be true. Some providers write it as the text "true", which is
// accepted. One that is absent is accepted with Config.TrustEmail only, for
// directories that issue every address themselves and have no such claim (ADFS);
// one that says anything else is refused even then.
//
// Names of claims are compared exactly, and a token with a claim given twice is
// refused. Times that are no whole number of seconds of this era (1e300, -1, text)
// are refused, not rounded.
//
// # When the provider is away
//
// Nothing is asked of it before the first sign-in. Its discovery document is read
// when it is needed, kept for a day, and read again after a failure one second
// later, then two, up to a minute; until then every sign-in is told at once. A
// document that is newer and wrong replaces no good one. Redirects of the provider's
// endpoints are not followed, and no answer above 1 MiB is read.
//
// Keys are read when a token names one that is not known, at most once in ten
// seconds, and again every hour; a token nobody can check signs nobody in.
package oidc

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/crmgate/crmgate/modules/internal/records"
	"github.com/crmgate/crmgate/modules/internal/signin"
	"github.com/crmgate/crmgate/modules/internal/vault"
)

// The defaults and bounds of Config.
const (
	DefaultSkew    = time.Minute
	MaxSkew        = 5 * time.Minute
	DefaultTimeout = 10 * time.Second
	MinRecheck     = time.Minute
)

// Algorithms are those a provider may sign with, unless Config says fewer. None of
// them can be forged with what the provider publishes.
var Algorithms = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}

// Config says where the provider is and what is expected of it.
type Config struct {
	Name  string // see signin.RedirectProvider
	Label string // default "OpenID Connect"

	// Issuer is the provider's identifier, exactly as its discovery document has it:
	// https, or http for a provider on this machine.
	Issuer   string
	ClientID string
	// ClientSecret proves the gate at the token endpoint.
	ClientSecret vault.Secret
	// ClientAuth says how: "basic" or "post"; default "basic".
	ClientAuth string

	Scopes []string // beside openid; default email
	// EmailClaims are the claims that hold the e-mail address; the first that is
	// there is taken. Default email.
	EmailClaims []string
	// TrustEmail accepts an address without email_verified.
	TrustEmail bool
	// HostedDomains, when not empty, are the values of which the claim hd must have
	// one: Google's name of the organisation an account belongs to.
	HostedDomains []string

	// TokenIssuer is another issuer whose ID tokens are accepted, signed by the same
	// keys: some ADFS set-ups put http://<host>/adfs/services/trust into tokens.
	TokenIssuer string
	// DiscoverTokenIssuer takes access_token_issuer of the discovery document as
	// TokenIssuer, when its host is the issuer's.
	DiscoverTokenIssuer bool

	Algorithms []string      // default Algorithms
	Skew       time.Duration // by which clocks may differ, up to MaxSkew; default DefaultSkew
	// Recheck is how often the provider is asked whether a sign-in still holds; it
	// takes effect for sign-ins for which the provider gave a refresh token. 0: never.
	Recheck time.Duration
	// FormPost asks for answers by POST, so that the code stands in no address.
	FormPost bool
	// Extra are more parameters of the authorization request.
	Extra map[string]string

	Timeout time.Duration     // of one call; default DefaultTimeout
	HTTP    http.RoundTripper // default: a transport of its own, with the system's roots
}

// Provider is a signin.RedirectProvider. Safe for concurrent use.
type Provider struct {
	cfg    Config
	client *http.Client
	meta   metaCache
	trans  *transport
}

// Parameters that are the provider's own business to set.
var reserved = []string{
	"response_type", "client_id", "redirect_uri", "scope", "state", "nonce", "code_challenge", "code_challenge_method",
	"response_mode", "login_hint", "max_age", "request", "request_uri", "client_secret", "id_token_hint",
}

// New returns a provider. It asks the provider nothing.
func New(c Config) (*Provider, error) {
	c.Label = cmp.Or(c.Label, "OpenID Connect")
	c.ClientAuth = cmp.Or(c.ClientAuth, "basic")
	c.Timeout = cmp.Or(c.Timeout, DefaultTimeout)
	c.Skew = cmp.Or(c.Skew, DefaultSkew)
	if len(c.Scopes) == 0 {
		c.Scopes = []string{"email"}
	}
	if len(c.EmailClaims) == 0 {
		c.EmailClaims = []string{"email"}
	}
	if len(c.Algorithms) == 0 {
		c.Algorithms = Algorithms
	}
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("setting up the provider %s: %w", c.Name, err)
	}
	t := newTransport(c.HTTP)
	return &Provider{cfg: c, trans: t, meta: metaCache{lock: make(chan struct{}, 1)}, client: &http.Client{
		Transport: t, Timeout: c.Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return errRedirect },
	}}, nil
}

func (c *Config) check() error {
	if err := checkIssuer(c.Issuer); err != nil {
		return err
	}
	switch {
	case c.Name == "":
		return errors.New("a name is needed")
	case c.ClientID == "":
		return errors.New("a client id is needed: the provider shows it where the gate was registered as an application")
	case c.ClientSecret.Empty():
		return errors.New("a client secret is needed")
	case c.ClientAuth != "basic" && c.ClientAuth != "post":
		return fmt.Errorf("client authentication is basic or post, not %q", c.ClientAuth)
	case c.Skew < 0 || c.Skew > MaxSkew:
		return fmt.Errorf("the clock skew is at most %v, not %v", MaxSkew, c.Skew)
	case c.Recheck != 0 && c.Recheck < MinRecheck:
		return fmt.Errorf("the provider can be asked again every %v at most, not every %v", MinRecheck, c.Recheck)
	}
	for _, a := range c.Algorithms {
		if !slices.Contains(Algorithms, a) {
			return fmt.Errorf("tokens signed with %q cannot be trusted; choose of %s", a, strings.Join(Algorithms, ", "))
		}
	}
	for _, d := range c.HostedDomains {
		if d == "" || strings.ContainsAny(d, "@* /") {
			return fmt.Errorf("%q is no hosted domain; write it as example.com", d)
		}
	}
	for name := range c.Extra {
		if slices.Contains(reserved, name) {
			return fmt.Errorf("the parameter %s is set by the gate and cannot be changed", name)
		}
	}
	if c.TokenIssuer != "" {
		if u, err := url.Parse(c.TokenIssuer); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return fmt.Errorf("the token issuer %q is no address", c.TokenIssuer)
		}
	}
	return nil
}

// checkIssuer takes https without query and fragment, and http for this machine.
func checkIssuer(s string) error {
	u, err := url.Parse(s)
	switch {
	case s == "":
		return errors.New("an issuer is needed, such as https://accounts.google.com")
	case err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Opaque != "":
		return fmt.Errorf("the issuer %q is no address of a provider; write it as its discovery document does, without /.well-known/openid-configuration", s)
	case strings.HasSuffix(u.Path, "/.well-known/openid-configuration"):
		return errors.New("the issuer is the address in front of /.well-known/openid-configuration")
	case u.Scheme == "https", u.Scheme == "http" && isLoopback(u.Hostname()):
		return nil
	}
	return fmt.Errorf("the issuer %q must be https", s)
}

func isLoopback(host string) bool {
	return host == "localhost" || host == "127.0.0.1" || host == "::1"
}

// checkEndpoint takes what an issuer of this kind may name as its endpoints.
func checkEndpoint(issuer, s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" {
		return errors.New("it is no address")
	}
	own, err := url.Parse(issuer)
	if err != nil {
		return errors.New("the issuer is no address")
	}
	if u.Scheme == "https" || u.Scheme == "http" && own.Scheme == "http" && isLoopback(u.Hostname()) {
		return nil
	}
	return errors.New("it is not https")
}

// Name is the provider's name in paths, audit and metrics.
func (p *Provider) Name() string { return p.cfg.Name }

// Label is what people read on the button.
func (p *Provider) Label() string { return p.cfg.Label }

// AnswersByPost says whether the provider is asked for answers by POST.
func (p *Provider) AnswersByPost() bool { return p.cfg.FormPost }

// Issuer is the issuer the provider is configured with.
func (p *Provider) Issuer() string { return p.cfg.Issuer }

// redirectURI is exactly what must be registered at the provider.
func (p *Provider) redirectURI(env signin.Env) string {
	return env.Origin + signin.SSOPath(p.cfg.Name, "callback")
}

// sameDomain compares hosted domains.
func sameDomain(a, b string) bool { return records.FoldEmail(a) == records.FoldEmail(b) }

var (
	_ signin.RedirectProvider = (*Provider)(nil)
	_ signin.Renewer          = (*Provider)(nil)
	_ signin.Leaver           = (*Provider)(nil)
	_ signin.Listener         = (*Provider)(nil)
)
