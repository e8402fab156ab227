// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// Package sqlstore is records.Store in SQL that SQLite and PostgreSQL both
// speak. modules/records/sqlite and modules/records/postgres open the database,
// bring its tables up to date and say what an error means; everything else is
// here, once.
//
// Nothing is read that was not asked for under the account's own name, and every
// failure that is not a plain answer is ErrUnavailable.
package sqlstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/crmgate/crmgate/modules/internal/clock"
	"github.com/crmgate/crmgate/modules/internal/records"
)

// Fault is what a database's own error means to the store.
type Fault uint8

// The faults.
const (
	Unreachable Fault = iota // anything not named below
	Duplicate                // a unique value is taken
	Parentless               // the person a row belongs to does not exist
)

// Config is what a database package gives.
type Config struct {
	Account string  // name of the account, part of every key; must not be empty
	Write   *sql.DB // transactions that write
	Read    *sql.DB // everything else; may be the same
	Fault   func(error) Fault
	Clock   clock.Clock  // nil: the machine's
	Close   func() error // called once by Store.Close, after both pools are closed; may be nil
}

// Store is a records.Store over SQL.
type Store struct {
	cfg Config
}

var _ records.Store = (*Store)(nil)

// New returns the store of one account. The tables must be up to date.
func New(ctx context.Context, cfg Config) (*Store, error) {
	if err := checkKeys("account", cfg.Account); err != nil {
		return nil, err
	}
	if cfg.Clock == nil {
		cfg.Clock = clock.System{}
	}
	s := &Store{cfg: cfg}
	_, err := cfg.Write.ExecContext(ctx,
		`INSERT INTO crmgate_account (account) VALUES ($1) ON CONFLICT DO NOTHING`, cfg.Account)
	if err != nil {
		return nil, s.fail("opening the account", err)
	}
	return s, nil
}

// Ping checks that the database answers.
func (s *Store) Ping(ctx context.Context) error {
	var one int
	if err := s.cfg.Read.QueryRowContext(ctx, `SELECT 1`).Scan(&one); err != nil {
		return s.fail("reaching the store", err)
	}
	return nil
}

// Close releases the database; every call after it is records.ErrUnavailable.
func (s *Store) Close() error {
	err := s.cfg.Write.Close()
	if s.cfg.Read != s.cfg.Write {
		err = errors.Join(err, s.cfg.Read.Close())
	}
	if s.cfg.Close != nil {
		err = errors.Join(err, s.cfg.Close())
	}
	if err != nil {
		return fmt.Errorf("closing the records store: %w", err)
	}
	return nil
}

// fail says what err means. A conflict's own text is left out: it can quote the
// row, and a row is somebody's data.
func (s *Store) fail(doing string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, sql.ErrNoRows):
		return fmt.Errorf("%s: %w", doing, records.ErrNotFound)
	case errors.Is(err, records.ErrConflict), errors.Is(err, records.ErrInvalid), errors.Is(err, records.ErrNotFound):
		return fmt.Errorf("%s: %w", doing, err)
	}
	switch s.cfg.Fault(err) {
	case Duplicate:
		return fmt.Errorf("%s: %w", doing, records.ErrConflict)
	case Parentless:
		return fmt.Errorf("%s: there is no such person: %w", doing, records.ErrNotFound)
	}
	return fmt.Errorf("%s: %w: %w", doing, records.ErrUnavailable, err)
}

// write runs fn in one transaction and commits it, or leaves no trace.
func (s *Store) write(ctx context.Context, doing string, fn func(*sql.Tx) error) error {
	tx, err := s.cfg.Write.BeginTx(ctx, nil)
	if err != nil {
		return s.fail(doing, err)
	}
	if err := fn(tx); err != nil {
		_ = tx.Rollback() // the first error is the one that says why
		return s.fail(doing, err)
	}
	return s.fail(doing, tx.Commit())
}

// query calls scan for every row, until it returns errEnough.
func (s *Store) query(ctx context.Context, doing string, scan func(*sql.Rows) error, text string, args ...any) error {
	rows, err := s.cfg.Read.QueryContext(ctx, text, args...)
	if err != nil {
		return s.fail(doing, err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); errors.Is(err, errEnough) {
			return nil
		} else if err != nil {
			return s.fail(doing, err)
		}
	}
	return s.fail(doing, rows.Err())
}

func (s *Store) now() time.Time { return s.cfg.Clock.Now().UTC().Truncate(time.Microsecond) }

func micros(t time.Time) int64 { return t.UnixMicro() }

func fromMicros(n int64) time.Time { return time.UnixMicro(n).UTC() }

// checkKeys takes pairs of what a key is and the key: each must be there, be
// text every database can hold, and fit into an index.
func checkKeys(pairs ...string) error {
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] == "" {
			return fmt.Errorf("%w: %s is empty", records.ErrInvalid, pairs[i])
		}
	}
	return checkLengths(pairs...)
}

func checkLengths(pairs ...string) error {
	for i := 0; i+1 < len(pairs); i += 2 {
		if n := len(pairs[i+1]); n > records.MaxKey {
			return fmt.Errorf("%w: %s has %d bytes, at most %d are possible", records.ErrInvalid, pairs[i], n, records.MaxKey)
		}
	}
	return checkText(pairs...)
}

func checkText(pairs ...string) error {
	for i := 0; i+1 < len(pairs); i += 2 {
		if v := pairs[i+1]; !utf8.ValidString(v) || strings.IndexByte(v, 0) >= 0 {
			return fmt.Errorf("%w: %s is not text: bad UTF-8 or a NUL", records.ErrInvalid, pairs[i])
		}
	}
	return nil
}

// listText writes a list as a JSON array, the empty one as "".
func listText(list []string) string {
	if len(list) == 0 {
		return ""
	}
	b, _ := json.Marshal(list) // a []string always marshals
	return string(b)
}

// listFrom reads what listText wrote. Anything else becomes one item holding the
// raw text: nothing is lost or hidden, and in the audit the hash then shows it.
func listFrom(text string) []string {
	if text == "" {
		return nil
	}
	var list []string
	if json.Unmarshal([]byte(text), &list) != nil || len(list) == 0 {
		return []string{text}
	}
	return list
}
