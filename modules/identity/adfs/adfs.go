// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// Package adfs lets people sign in at Active Directory Federation Services by
// OpenID Connect (AD FS 2016 and later).
package adfs

import (
	"errors"
	"fmt"
	"net/url"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/crmgate/crmgate/modules/identity/internal/openid"
	"github.com/crmgate/crmgate/modules/internal/oidc"
	"github.com/crmgate/crmgate/modules/internal/signin"
)

func init() {
	caddy.RegisterModule(ADFS{})
}

// ADFS sends people to an AD FS server. The directory issues every address itself
// and AD FS has no claim that says so: an address is taken as verified unless
// AD FS says that it is not.
//
// AD FS has two names: https://<host>/adfs, and http://<host>/adfs/services/trust,
// which it puts into access tokens and, in some set-ups, into ID tokens. The second
// one is accepted when the discovery document names it and it is on the same host,
// or when token_issuer says so; no other.
type ADFS struct {
	openid.Options
	// The server's name, such as adfs.example.com.
	Host string `json:"host,omitempty"`
	// The issuer, when it is not https://<host>/adfs.
	Issuer string `json:"issuer,omitempty"`
	// Another issuer in ID tokens. Default: the discovery document's
	// access_token_issuer, when it is on the same host.
	TokenIssuer string `json:"token_issuer,omitempty"`
	// The claims that may hold the e-mail address; the first that is there counts.
	// Default: email, then upn.
	EmailClaims []string `json:"email_claims,omitempty"`
	// The identifier of the web API whose claim rules AD FS is to apply to the ID
	// token. Default: none, AD FS sends its fixed set of claims.
	Resource string `json:"resource,omitempty"`

	*oidc.Provider `json:"-"`
}

// CaddyModule returns the Caddy module information.
func (ADFS) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "crmgate.identity.adfs", New: func() caddy.Module { return new(ADFS) }}
}

// UnmarshalCaddyfile sets up the provider from Caddyfile tokens. Syntax:
//
//	identity adfs [<name>] {
//	    host          <name>
//	    client_id     <id>
//	    client_secret {env.NAME}|{file./path}
//	    email_claims  <claim...>
//	    token_issuer  <url>
//	    resource      <identifier>
//	    label         <text>
//	    scopes        <scope...>
//	    recheck       <duration>
//	    clock_skew    <duration>
//	    form_post
//	    issuer        <url>
//	    ca            <file>
//	}
func (a *ADFS) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	if err := a.Head(d); err != nil {
		return err
	}
	return a.Blocks(d, func(name string) (bool, error) {
		switch name {
		case "host":
			return true, openid.One(d, &a.Host)
		case "issuer":
			return true, openid.One(d, &a.Issuer)
		case "token_issuer":
			return true, openid.One(d, &a.TokenIssuer)
		case "resource":
			return true, openid.One(d, &a.Resource)
		case "email_claims":
			if a.EmailClaims = d.RemainingArgs(); len(a.EmailClaims) == 0 {
				return true, d.ArgErr()
			}
			return true, nil
		}
		return false, nil
	})
}

// Provision resolves references and checks everything that can be checked without
// asking the server.
func (a *ADFS) Provision(caddy.Context) error {
	c, err := a.Config("adfs", "Company account")
	if err != nil {
		return err
	}
	if c.Issuer, err = a.issuer(); err != nil {
		return fmt.Errorf("reading identity %s: %w", c.Name, err)
	}
	c.ClientAuth, c.TrustEmail = "post", true
	c.TokenIssuer, c.DiscoverTokenIssuer = a.TokenIssuer, a.TokenIssuer == ""
	if c.EmailClaims = a.EmailClaims; len(c.EmailClaims) == 0 {
		c.EmailClaims = []string{"email", "upn"}
	}
	if a.Resource != "" {
		c.Extra = map[string]string{"resource": a.Resource}
	}
	a.Provider, err = oidc.New(c)
	return err //nolint:wrapcheck // it names the provider
}

func (a *ADFS) issuer() (string, error) {
	if a.Issuer != "" {
		return a.Issuer, nil
	}
	u, err := url.Parse("https://" + a.Host)
	if a.Host == "" || err != nil || u.Host != a.Host || u.Path != "" {
		return "", errors.New("host: name the AD FS server as people reach it, such as adfs.example.com")
	}
	return "https://" + a.Host + "/adfs", nil
}

// Interface guards
var (
	_ signin.RedirectProvider = (*ADFS)(nil)
	_ signin.Renewer          = (*ADFS)(nil)
	_ signin.Leaver           = (*ADFS)(nil)
	_ signin.Listener         = (*ADFS)(nil)
	_ caddyfile.Unmarshaler   = (*ADFS)(nil)
	_ caddy.Provisioner       = (*ADFS)(nil)
)
