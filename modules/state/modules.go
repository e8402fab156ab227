// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// Package state holds the guest modules that open state stores; the stores
// themselves know nothing of Caddy.
package state

import (
	"context"
	"errors"
	"fmt"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/crmgate/crmgate/modules/internal/secretref"
	"github.com/crmgate/crmgate/modules/internal/state"
	"github.com/crmgate/crmgate/modules/state/embedded"
	"github.com/crmgate/crmgate/modules/state/redis"
)

func init() {
	caddy.RegisterModule(Embedded{})
	caddy.RegisterModule(Redis{})
}

// Embedded keeps sessions, locks and counters in memory and in one SQLite file in
// the data folder: the choice for one machine. A restart loses no session.
type Embedded struct{}

// CaddyModule returns the Caddy module information.
func (Embedded) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "crmgate.state.embedded", New: func() caddy.Module { return new(Embedded) }}
}

// UnmarshalCaddyfile sets up the module from Caddyfile tokens. Syntax:
//
//	state embedded
func (*Embedded) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume module name
	if d.NextArg() || d.NextBlock(1) {
		return d.ArgErr()
	}
	return nil
}

// StateKey names the store; the app adds account and data folder.
func (*Embedded) StateKey() string { return "embedded" }

// OpenState opens the file. A data folder that cannot be written is an error.
func (*Embedded) OpenState(ctx context.Context, w state.Where) (state.Store, error) {
	if w.Data == "" {
		return nil, errors.New("opening the embedded state store: no data folder is configured")
	}
	s, err := embedded.Open(ctx, embedded.Config{Path: w.Data, Account: w.Account, Clock: w.Clock})
	if err != nil {
		return nil, fmt.Errorf("opening the embedded state store: %w", err)
	}
	return s, nil
}

// Redis keeps sessions, locks and counters in Redis, shared by every gateway of
// the account: the choice for several machines. A server that is away at start is
// an error; one that goes away later makes the gate refuse what needs it until it
// is back.
type Redis struct {
	// Address: redis://[user[:password]@]host:port/db, or rediss:// for TLS. A
	// password must be a reference: {env.NAME} or {file./path}.
	URL string `json:"url"`

	resolved string
}

// CaddyModule returns the Caddy module information.
func (Redis) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "crmgate.state.redis", New: func() caddy.Module { return new(Redis) }}
}

// UnmarshalCaddyfile sets up the module from Caddyfile tokens. Syntax:
//
//	state redis <url>
func (r *Redis) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume module name
	if !d.AllArgs(&r.URL) || d.NextBlock(1) {
		return d.ArgErr()
	}
	return nil
}

// Provision resolves the address. It connects to nothing.
func (r *Redis) Provision(caddy.Context) error {
	if r.URL == "" {
		return errors.New("reading state redis: no url is given")
	}
	if err := secretref.Check(r.URL); err != nil {
		return fmt.Errorf("reading state redis: %w", err)
	}
	var err error
	if r.resolved, err = caddy.NewReplacer().ReplaceOrErr(r.URL, true, true); err != nil {
		return fmt.Errorf("reading state redis: %w", err)
	}
	return nil
}

// StateKey names the store.
func (r *Redis) StateKey() string { return secretref.Redact(r.resolved) }

// OpenState makes the client.
func (r *Redis) OpenState(ctx context.Context, w state.Where) (state.Store, error) {
	cfg, err := redis.ParseURL(r.resolved)
	if err != nil {
		return nil, fmt.Errorf("opening the redis state store: %w", err)
	}
	cfg.Account, cfg.Clock = w.Account, w.Clock
	s, err := redis.Open(cfg)
	if err != nil {
		return nil, fmt.Errorf("opening the redis state store: %w", err)
	}
	if err := s.Ping(ctx); err != nil {
		_ = s.Close()
		return nil, fmt.Errorf("opening the redis state store: %w", err)
	}
	return s, nil
}

// Interface guards
var (
	_ state.Opener          = (*Embedded)(nil)
	_ caddyfile.Unmarshaler = (*Embedded)(nil)
	_ state.Opener          = (*Redis)(nil)
	_ caddyfile.Unmarshaler = (*Redis)(nil)
	_ caddy.Provisioner     = (*Redis)(nil)
)
