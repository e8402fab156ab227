// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// Package match holds matchers for the rest of a Caddyfile, for use in a route
// after the gate: who asks is not known before.
package match

import (
	"errors"
	"net/http"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/crmgate/crmgate/modules/crmgate"
)

func init() {
	caddy.RegisterModule(Role{})
	caddy.RegisterModule(User{})
}

// Role matches requests the gate let through for a person of one of the roles.
// Before the gate, and for nobody, it matches nothing.
type Role []string

// CaddyModule returns the Caddy module information.
func (Role) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.matchers.crmgate_role", New: func() caddy.Module { return new(Role) }}
}

// UnmarshalCaddyfile sets up the matcher from Caddyfile tokens. Syntax:
//
//	crmgate_role <roles...>
func (m *Role) UnmarshalCaddyfile(d *caddyfile.Dispenser) error { return arguments(d, (*[]string)(m)) }

// Validate refuses a matcher without roles.
func (m Role) Validate() error { return notEmpty(m, "crmgate_role") }

// MatchWithError says whether the request's person has one of the roles.
func (m Role) MatchWithError(r *http.Request) (bool, error) {
	d := crmgate.DecisionFrom(r.Context())
	return handedOn(d) && d.Principal != nil && d.Principal.Role != "" && slices.Contains(m, d.Principal.Role), nil
}

// User matches requests the gate let through for one of the people, by e-mail
// address or id. Before the gate, and for nobody, it matches nothing.
type User []string

// CaddyModule returns the Caddy module information.
func (User) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.matchers.crmgate_user", New: func() caddy.Module { return new(User) }}
}

// UnmarshalCaddyfile sets up the matcher from Caddyfile tokens. Syntax:
//
//	crmgate_user <e-mail addresses or ids...>
func (m *User) UnmarshalCaddyfile(d *caddyfile.Dispenser) error { return arguments(d, (*[]string)(m)) }

// Validate refuses a matcher without people.
func (m User) Validate() error { return notEmpty(m, "crmgate_user") }

// MatchWithError says whether the request's person is one of the people.
func (m User) MatchWithError(r *http.Request) (bool, error) {
	d := crmgate.DecisionFrom(r.Context())
	if !handedOn(d) || d.Principal == nil || d.Principal.ID == "" {
		return false, nil
	}
	return slices.Contains(m, d.Principal.ID) || slices.Contains(m, d.Principal.Email), nil
}

// handedOn says whether the gate let a request through to the rest of the route. What
// depends on records as they are now is among it until the transport has read them: who
// asks is known, and the way it goes must be that of the person's other requests.
func handedOn(d *crmgate.Decision) bool {
	return d != nil && (d.Allow || d.Pending != nil && d.Settled == nil)
}

// arguments appends the arguments of every line of the matcher.
func arguments(d *caddyfile.Dispenser, dst *[]string) error {
	for d.Next() {
		args := d.RemainingArgs()
		if len(args) == 0 {
			return d.ArgErr()
		}
		*dst = append(*dst, args...)
		if d.NextBlock(0) {
			return d.Err("this matcher takes no block")
		}
	}
	return nil
}

func notEmpty(values []string, name string) error {
	if len(values) == 0 {
		return errors.New("reading " + name + ": it names nobody")
	}
	return nil
}

// Interface guards
var (
	_ caddyhttp.RequestMatcherWithError = (*Role)(nil)
	_ caddyhttp.RequestMatcherWithError = (*User)(nil)
	_ caddyfile.Unmarshaler             = (*Role)(nil)
	_ caddyfile.Unmarshaler             = (*User)(nil)
	_ caddy.Validator                   = (*Role)(nil)
	_ caddy.Validator                   = (*User)(nil)
)
