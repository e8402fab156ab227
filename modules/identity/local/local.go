// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// Package local proves people by passwords the gate keeps itself.
package local

import (
	"context"
	"errors"
	"fmt"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/crmgate/crmgate/modules/internal/password"
	"github.com/crmgate/crmgate/modules/internal/records"
	"github.com/crmgate/crmgate/modules/internal/signin"
)

func init() {
	caddy.RegisterModule(Local{})
}

// CredentialKind is the kind under which password hashes are kept.
const CredentialKind = password.CredentialKind

// Local checks passwords against argon2id hashes in the records store. An unknown
// account costs the same work as a known one with a wrong password.
type Local struct{}

// CaddyModule returns the Caddy module information.
func (Local) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "crmgate.identity.local", New: func() caddy.Module { return new(Local) }}
}

// UnmarshalCaddyfile sets up the provider from Caddyfile tokens. Syntax:
//
//	identity local
func (*Local) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume provider name
	if d.NextArg() || d.NextBlock(1) {
		return d.ArgErr()
	}
	return nil
}

// Name is the provider's name in audit and metrics.
func (*Local) Name() string { return "local" }

// Password checks a password. A hash of older parameters is replaced after it
// proved right; failing to do so does not fail the sign-in.
func (*Local) Password(ctx context.Context, env signin.Env, email, pw string) (records.Person, error) {
	person, known := env.Directory.ByEmail(email)
	hash := "" // costs the same work and is never right
	if known {
		cred, err := env.Records.Credential(ctx, person.ID, CredentialKind)
		switch {
		case err == nil:
			hash = string(cred.Secret)
		case !errors.Is(err, records.ErrNotFound):
			return records.Person{}, fmt.Errorf("reading the credential: %w", err)
		}
	}
	res, err := env.Passwords.Verify(ctx, hash, pw)
	switch {
	case errors.Is(err, password.ErrBusy):
		return records.Person{}, signin.ErrBusy
	case errors.Is(err, password.ErrUnusable):
		return records.Person{}, signin.ErrWrong
	case err != nil:
		return records.Person{}, fmt.Errorf("checking the password: %w", err)
	case !res.OK || !known:
		return records.Person{}, signin.ErrWrong
	}
	if res.Rehash {
		hashed := hash
		if hash, err := env.Passwords.Hash(ctx, pw); err == nil {
			// When this fails the old hash still holds. A password that was changed
			// meanwhile stays: only the very hash that was verified is replaced.
			_ = env.Records.SwapCredential(ctx, records.Credential{PersonID: person.ID, Kind: CredentialKind, Secret: []byte(hash)}, []byte(hashed))
		}
	}
	return *person, nil
}

// Interface guards
var (
	_ signin.PasswordProvider = (*Local)(nil)
	_ caddyfile.Unmarshaler   = (*Local)(nil)
)
