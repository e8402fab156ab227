// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"context"
	"database/sql"
	"errors"

	"github.com/crmgate/crmgate/modules/internal/records"
)

// PutBlob implements records.Store.
func (s *Store) PutBlob(ctx context.Context, b records.Blob) (records.Blob, error) {
	const doing = "writing a blob"
	if err := checkKeys("the blob's name", b.Name); err != nil {
		return records.Blob{}, s.fail(doing, err)
	}
	read := b.Version
	b.Version++
	err := s.write(ctx, doing, func(tx *sql.Tx) error {
		if read == 0 {
			_, err := tx.ExecContext(ctx, `INSERT INTO crmgate_blob (account, name, value, version) VALUES ($1, $2, $3, $4)`,
				s.cfg.Account, b.Name, nonNil(b.Value), b.Version)
			return err
		}
		var version int64
		return staleIfNone(tx.QueryRowContext(ctx, `UPDATE crmgate_blob SET value = $3, version = $4
			WHERE account = $1 AND name = $2 AND version = $5 RETURNING version`,
			s.cfg.Account, b.Name, nonNil(b.Value), b.Version, read).Scan(&version))
	})
	if err != nil {
		return records.Blob{}, err
	}
	return b, nil
}

// Blob implements records.Store.
func (s *Store) Blob(ctx context.Context, name string) (records.Blob, error) {
	const doing = "reading a blob"
	if err := findable(name); err != nil {
		return records.Blob{}, s.fail(doing, err)
	}
	b := records.Blob{Name: name}
	err := s.cfg.Read.QueryRowContext(ctx, `SELECT value, version FROM crmgate_blob WHERE account = $1 AND name = $2`,
		s.cfg.Account, name).Scan(&b.Value, &b.Version)
	if err != nil {
		return records.Blob{}, s.fail(doing, err)
	}
	return b, nil
}

const revisionQuery = `SELECT number, digest, source, by_person, at FROM crmgate_revision WHERE account = $1 ORDER BY number DESC`

func scanRevision(row interface{ Scan(...any) error }) (records.Revision, error) {
	var r records.Revision
	var at int64
	err := row.Scan(&r.Number, &r.Digest, &r.Source, &r.By, &at)
	r.At = fromMicros(at)
	return r, err
}

// AddRevision implements records.Store.
func (s *Store) AddRevision(ctx context.Context, r records.Revision) (records.Revision, error) {
	const doing = "adding a policy revision"
	err := errors.Join(checkKeys("the digest", r.Digest), checkText("the author", r.By))
	if err != nil {
		return records.Revision{}, s.fail(doing, err)
	}
	if r.At.IsZero() {
		r.At = s.now()
	}
	r.At = fromMicros(micros(r.At))
	err = s.write(ctx, doing, func(tx *sql.Tx) error {
		// The account's row is the lock that makes numbers follow each other.
		if _, err := tx.ExecContext(ctx, `UPDATE crmgate_account SET account = account WHERE account = $1`, s.cfg.Account); err != nil {
			return err
		}
		newest, err := scanRevision(tx.QueryRowContext(ctx, revisionQuery+` LIMIT 1`, s.cfg.Account))
		switch {
		case err == nil && newest.Digest == r.Digest:
			r = newest
			return nil
		case err != nil && !errors.Is(err, sql.ErrNoRows):
			return err
		}
		r.Number = newest.Number + 1
		_, err = tx.ExecContext(ctx, `INSERT INTO crmgate_revision (account, number, digest, source, by_person, at)
			VALUES ($1, $2, $3, $4, $5, $6)`, s.cfg.Account, r.Number, r.Digest, nonNil(r.Source), r.By, micros(r.At))
		return err
	})
	if err != nil {
		return records.Revision{}, err
	}
	return r, nil
}

// Revisions implements records.Store.
func (s *Store) Revisions(ctx context.Context, limit int) ([]records.Revision, error) {
	text, args := revisionQuery, []any{s.cfg.Account}
	if limit > 0 {
		text, args = text+` LIMIT $2`, append(args, limit)
	}
	var out []records.Revision
	err := s.query(ctx, "reading policy revisions", func(rows *sql.Rows) error {
		r, err := scanRevision(rows)
		out = append(out, r)
		return err
	}, text, args...)
	if err != nil {
		return nil, err
	}
	return out, nil
}
