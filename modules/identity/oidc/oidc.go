// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// Package oidc lets people sign in at any OpenID Connect provider.
package oidc

import (
	"fmt"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/crmgate/crmgate/modules/identity/internal/openid"
	"github.com/crmgate/crmgate/modules/internal/oidc"
	"github.com/crmgate/crmgate/modules/internal/signin"
)

func init() {
	caddy.RegisterModule(OIDC{})
}

// OIDC sends people to an OpenID Connect provider. Nothing is asked of it before
// somebody signs in: a provider that is away keeps no gateway from starting.
type OIDC struct {
	openid.Options
	// The provider's issuer, exactly as its discovery document has it.
	Issuer string `json:"issuer,omitempty"`
	// How the gate proves itself at the token endpoint: basic or post. Default: basic.
	ClientAuth string `json:"client_auth,omitempty"`
	// The claims that may hold the e-mail address; the first that is there counts.
	// Default: email.
	EmailClaims []string `json:"email_claims,omitempty"`
	// Accept an address although the provider does not say that it verified it. Only
	// for a directory that issues every address itself.
	TrustEmail bool `json:"trust_email,omitempty"`
	// Signature algorithms accepted in tokens. Default: every asymmetric one.
	Algorithms []string `json:"algorithms,omitempty"`

	*oidc.Provider `json:"-"`
}

// CaddyModule returns the Caddy module information.
func (OIDC) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "crmgate.identity.oidc", New: func() caddy.Module { return new(OIDC) }}
}

// UnmarshalCaddyfile sets up the provider from Caddyfile tokens. Syntax:
//
//	identity oidc [<name>] {
//	    issuer        <url>
//	    client_id     <id>
//	    client_secret {env.NAME}|{file./path}
//	    client_auth   basic|post
//	    label         <text>
//	    scopes        <scope...>
//	    email_claims  <claim...>
//	    trust_email
//	    algorithms    <algorithm...>
//	    recheck       <duration>
//	    clock_skew    <duration>
//	    form_post
//	    ca            <file>
//	}
func (o *OIDC) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	if err := o.Head(d); err != nil {
		return err
	}
	return o.Blocks(d, func(name string) (bool, error) {
		switch name {
		case "issuer":
			return true, openid.One(d, &o.Issuer)
		case "client_auth":
			return true, openid.One(d, &o.ClientAuth)
		case "email_claims":
			if o.EmailClaims = d.RemainingArgs(); len(o.EmailClaims) == 0 {
				return true, d.ArgErr()
			}
		case "algorithms":
			if o.Algorithms = d.RemainingArgs(); len(o.Algorithms) == 0 {
				return true, d.ArgErr()
			}
		case "trust_email":
			o.TrustEmail = true
			return true, openid.None(d)
		default:
			return false, nil
		}
		return true, nil
	})
}

// Provision resolves references and checks everything that can be checked without
// asking the provider.
func (o *OIDC) Provision(caddy.Context) error {
	c, err := o.Config("oidc", "Single sign-on")
	if err != nil {
		return err
	}
	if c.Issuer, err = openid.Resolve(o.Issuer); err != nil {
		return fmt.Errorf("reading identity %s: issuer: %w", c.Name, err)
	}
	c.ClientAuth, c.EmailClaims, c.TrustEmail, c.Algorithms = o.ClientAuth, o.EmailClaims, o.TrustEmail, o.Algorithms
	if o.Recheck > 0 && o.Scopes == nil {
		c.Scopes = []string{"email", "offline_access"} // or there is no refresh token
	}
	o.Provider, err = oidc.New(c)
	return err //nolint:wrapcheck // it names the provider
}

// Interface guards
var (
	_ signin.RedirectProvider = (*OIDC)(nil)
	_ signin.Renewer          = (*OIDC)(nil)
	_ signin.Leaver           = (*OIDC)(nil)
	_ signin.Listener         = (*OIDC)(nil)
	_ caddyfile.Unmarshaler   = (*OIDC)(nil)
	_ caddy.Provisioner       = (*OIDC)(nil)
)
