// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// Package google lets people sign in with their Google Workspace account.
package google

import (
	"fmt"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/crmgate/crmgate/modules/identity/internal/openid"
	"github.com/crmgate/crmgate/modules/internal/oidc"
	"github.com/crmgate/crmgate/modules/internal/signin"
)

func init() {
	caddy.RegisterModule(Google{})
}

// Issuer is Google's.
const Issuer = "https://accounts.google.com"

// Google sends people to Google. An account counts when it belongs to one of the
// organisations named, and its address is verified. Google says nothing about when
// somebody proved himself, so a step that asks for fresh proof is refused here and
// needs a second factor of the gate.
type Google struct {
	openid.Options
	// The primary domains of the organisations whose accounts may sign in, as Google
	// puts them into the claim hd. Required: without it any Google account with an
	// address of the directory would do.
	Domains []string `json:"hosted_domains,omitempty"`
	// Another issuer, for a rehearsal. Default: Google's.
	Issuer string `json:"issuer,omitempty"`

	*oidc.Provider `json:"-"`
}

// CaddyModule returns the Caddy module information.
func (Google) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "crmgate.identity.google", New: func() caddy.Module { return new(Google) }}
}

// UnmarshalCaddyfile sets up the provider from Caddyfile tokens. Syntax:
//
//	identity google [<name>] {
//	    client_id      <id>
//	    client_secret  {env.NAME}|{file./path}
//	    hosted_domains <domain...>
//	    label          <text>
//	    scopes         <scope...>
//	    recheck        <duration>
//	    clock_skew     <duration>
//	    form_post
//	    issuer         <url>
//	    ca             <file>
//	}
func (g *Google) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	if err := g.Head(d); err != nil {
		return err
	}
	return g.Blocks(d, func(name string) (bool, error) {
		switch name {
		case "hosted_domains":
			if g.Domains = d.RemainingArgs(); len(g.Domains) == 0 {
				return true, d.ArgErr()
			}
			return true, nil
		case "issuer":
			return true, openid.One(d, &g.Issuer)
		}
		return false, nil
	})
}

// Provision resolves references and checks everything that can be checked without
// asking Google.
func (g *Google) Provision(caddy.Context) error {
	c, err := g.Config("google", "Google")
	if err != nil {
		return err
	}
	if len(g.Domains) == 0 {
		return fmt.Errorf("reading identity %s: hosted_domains: it is missing; name the primary domain of your Google Workspace, such as example.com", c.Name)
	}
	c.Issuer, c.HostedDomains = Issuer, g.Domains
	if g.Issuer != "" {
		c.Issuer = g.Issuer
	}
	if g.Recheck > 0 {
		// Google gives a refresh token for offline access only, and only when it asks
		// the person to consent.
		c.Extra = map[string]string{"access_type": "offline", "prompt": "consent"}
	}
	g.Provider, err = oidc.New(c)
	return err //nolint:wrapcheck // it names the provider
}

// Interface guards
var (
	_ signin.RedirectProvider = (*Google)(nil)
	_ signin.Renewer          = (*Google)(nil)
	_ signin.Leaver           = (*Google)(nil)
	_ signin.Listener         = (*Google)(nil)
	_ caddyfile.Unmarshaler   = (*Google)(nil)
	_ caddy.Provisioner       = (*Google)(nil)
)
