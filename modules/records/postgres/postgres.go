// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// Package postgres keeps the records of many gateways in one PostgreSQL, 12 or
// newer.
//
// An address that cannot be parsed, a server that does not answer, a user that
// may not create tables, and tables that a newer crmgate made are each one clear
// error of Open. The address, and with it the password, is never part of an
// error.
package postgres

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/crmgate/crmgate/modules/internal/clock"
	"github.com/crmgate/crmgate/modules/internal/records"
	"github.com/crmgate/crmgate/modules/internal/records/sqlstore"
)

// Config says where the records are.
type Config struct {
	// DSN is the address: postgres://user:password@host:5432/database?sslmode=...
	// or a list of key=value. pool_max_conns and the other settings of pgxpool may
	// be part of it.
	DSN string
	// Account is the name of the account, part of every key. Must not be empty.
	Account string
	// Clock tells the store the time; nil is the machine's.
	Clock clock.Clock
}

// Store is a records.Store in PostgreSQL.
type Store struct{ *sqlstore.Store }

// connectTimeout bounds how long one attempt to connect may take unless the
// address says otherwise.
const connectTimeout = 5 * time.Second

// Open connects, creates or updates the tables, and returns the store.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	pc, err := pgxpool.ParseConfig(cfg.DSN)
	if err != nil {
		// The parser quotes what it could not parse.
		return nil, errors.New("opening the records: the address of PostgreSQL cannot be parsed; write postgres://user:password@host:5432/database?sslmode=verify-full")
	}
	if pc.ConnConfig.ConnectTimeout == 0 {
		pc.ConnConfig.ConnectTimeout = connectTimeout
	}
	if pc.ConnConfig.RuntimeParams["application_name"] == "" {
		pc.ConnConfig.RuntimeParams["application_name"] = "crmgate"
	}
	where := fmt.Sprintf("%s:%d/%s", pc.ConnConfig.Host, pc.ConnConfig.Port, pc.ConnConfig.Database)
	pool, err := pgxpool.NewWithConfig(ctx, pc)
	if err != nil {
		return nil, fmt.Errorf("opening the records at %s: %w", where, hush(err, pc.ConnConfig.Password))
	}
	if err := migrate(ctx, pool); err != nil {
		pool.Close()
		return nil, fmt.Errorf("opening the records at %s: %w", where, hush(err, pc.ConnConfig.Password))
	}
	db := stdlib.OpenDBFromPool(pool)
	s, err := sqlstore.New(ctx, sqlstore.Config{
		Account: cfg.Account, Write: db, Read: db, Fault: fault, Clock: cfg.Clock,
		Close: func() error { pool.Close(); return nil },
	})
	if err != nil {
		err = errors.Join(err, db.Close())
		pool.Close()
		return nil, err
	}
	return &Store{s}, nil
}

// hush makes sure that no driver's message carries the password on.
func hush(err error, password string) error {
	if password != "" && strings.Contains(err.Error(), password) {
		return fmt.Errorf("%w: the server cannot be reached with this address", records.ErrUnavailable)
	}
	if errors.Is(err, errNewer) {
		return err
	}
	return fmt.Errorf("%w: %w", records.ErrUnavailable, err)
}

//go:embed migrations/*.sql
var migrations embed.FS

var errNewer = errors.New("a newer crmgate made the tables; use that release")

// migrationLock is the advisory lock under which one gateway at a time looks
// after the tables: "crmgate" in ASCII.
const migrationLock = 0x63726d67617465

// migrate brings the tables up to date in one transaction.
func migrate(ctx context.Context, pool *pgxpool.Pool) error {
	files, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return err
	}
	return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1)`, int64(migrationLock)); err != nil {
			return err
		}
		var made bool
		if err := tx.QueryRow(ctx, `SELECT to_regclass('crmgate_schema') IS NOT NULL`).Scan(&made); err != nil {
			return err
		}
		version := 0
		if made {
			if err := tx.QueryRow(ctx, `SELECT version FROM crmgate_schema`).Scan(&version); err != nil {
				return fmt.Errorf("reading the version of the tables: %w", err)
			}
		} else if _, err := tx.Exec(ctx, `CREATE TABLE crmgate_schema (version INTEGER NOT NULL); INSERT INTO crmgate_schema VALUES (0)`); err != nil {
			return fmt.Errorf("creating the tables: %w", err)
		}
		switch {
		case version < 0 || version > len(files):
			return fmt.Errorf("%w (version %d, this one knows %d)", errNewer, version, len(files))
		case version == len(files):
			return nil
		}
		for _, name := range files[version:] {
			text, err := migrations.ReadFile(name)
			if err != nil {
				return err
			}
			if _, err := tx.Exec(ctx, string(text)); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
		_, err := tx.Exec(ctx, `UPDATE crmgate_schema SET version = $1`, len(files))
		return err
	})
}

// The SQLSTATE codes the store tells apart (PostgreSQL, appendix A).
const (
	uniqueViolation     = "23505"
	foreignKeyViolation = "23503"
)

func fault(err error) sqlstore.Fault {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch e.Code {
		case uniqueViolation:
			return sqlstore.Duplicate
		case foreignKeyViolation:
			return sqlstore.Parentless
		}
	}
	return sqlstore.Unreachable
}
