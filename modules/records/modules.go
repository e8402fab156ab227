// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// Package records holds the guest modules that open records stores; the stores
// themselves know nothing of Caddy.
package records

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/crmgate/crmgate/modules/internal/records"
	"github.com/crmgate/crmgate/modules/internal/secretref"
	"github.com/crmgate/crmgate/modules/records/postgres"
	"github.com/crmgate/crmgate/modules/records/sqlite"
)

func init() {
	caddy.RegisterModule(SQLite{})
	caddy.RegisterModule(Postgres{})
}

// SQLite keeps people, keys, revisions and audit in records.db in the data
// folder: the choice for one machine.
type SQLite struct{}

// CaddyModule returns the Caddy module information.
func (SQLite) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "crmgate.records.sqlite", New: func() caddy.Module { return new(SQLite) }}
}

// UnmarshalCaddyfile sets up the module from Caddyfile tokens. Syntax:
//
//	records sqlite
func (*SQLite) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume module name
	if d.NextArg() || d.NextBlock(1) {
		return d.ArgErr()
	}
	return nil
}

// RecordsKey names the store; the app adds account and data folder.
func (*SQLite) RecordsKey() string { return "sqlite" }

// OpenRecords opens the file. A data folder that cannot be written is an error.
func (*SQLite) OpenRecords(ctx context.Context, w records.Where) (records.Store, error) {
	if w.Data == "" {
		return nil, errors.New("opening the sqlite records store: no data folder is configured")
	}
	s, err := sqlite.Open(ctx, sqlite.Config{Path: filepath.Join(w.Data, "records.db"), Account: w.Account})
	if err != nil {
		return nil, fmt.Errorf("opening the sqlite records store: %w", err)
	}
	return s, nil
}

// Postgres keeps people, keys, revisions and audit in PostgreSQL, shared by every
// gateway of the account. A server that is away at start is an error.
type Postgres struct {
	// Address: postgres://user[:password]@host:port/database. A password must be a
	// reference: {env.NAME} or {file./path}.
	DSN string `json:"dsn"`

	resolved string
}

// CaddyModule returns the Caddy module information.
func (Postgres) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "crmgate.records.postgres", New: func() caddy.Module { return new(Postgres) }}
}

// UnmarshalCaddyfile sets up the module from Caddyfile tokens. Syntax:
//
//	records postgres <dsn>
func (p *Postgres) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume module name
	if !d.AllArgs(&p.DSN) || d.NextBlock(1) {
		return d.ArgErr()
	}
	return nil
}

// Provision resolves the address. It connects to nothing.
func (p *Postgres) Provision(caddy.Context) error {
	if p.DSN == "" {
		return errors.New("reading records postgres: no address is given")
	}
	if err := secretref.Check(p.DSN); err != nil {
		return fmt.Errorf("reading records postgres: %w", err)
	}
	var err error
	if p.resolved, err = caddy.NewReplacer().ReplaceOrErr(p.DSN, true, true); err != nil {
		return fmt.Errorf("reading records postgres: %w", err)
	}
	return nil
}

// RecordsKey names the store.
func (p *Postgres) RecordsKey() string { return secretref.Redact(p.resolved) }

// OpenRecords connects.
func (p *Postgres) OpenRecords(ctx context.Context, w records.Where) (records.Store, error) {
	s, err := postgres.Open(ctx, postgres.Config{DSN: p.resolved, Account: w.Account})
	if err != nil {
		return nil, fmt.Errorf("opening the postgres records store: %w", err)
	}
	return s, nil
}

// Interface guards
var (
	_ records.Opener        = (*SQLite)(nil)
	_ caddyfile.Unmarshaler = (*SQLite)(nil)
	_ records.Opener        = (*Postgres)(nil)
	_ caddyfile.Unmarshaler = (*Postgres)(nil)
	_ caddy.Provisioner     = (*Postgres)(nil)
)
