// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"context"
	"database/sql"

	"github.com/crmgate/crmgate/modules/internal/records"
)

// PutCredential implements records.Store.
func (s *Store) PutCredential(ctx context.Context, c records.Credential) error {
	const doing = "writing a credential"
	if err := checkKeys("the person's id", c.PersonID, "the kind", c.Kind); err != nil {
		return s.fail(doing, err)
	}
	return s.write(ctx, doing, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO crmgate_credential (account, person_id, kind, secret, updated)
			VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (account, person_id, kind) DO UPDATE SET secret = excluded.secret, updated = excluded.updated`,
			s.cfg.Account, c.PersonID, c.Kind, nonNil(c.Secret), micros(s.now()))
		return err
	})
}

func nonNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// Credential implements records.Store.
func (s *Store) Credential(ctx context.Context, personID, kind string) (records.Credential, error) {
	const doing = "reading a credential"
	if err := findable(personID, kind); err != nil {
		return records.Credential{}, s.fail(doing, err)
	}
	c := records.Credential{PersonID: personID, Kind: kind}
	var updated int64
	err := s.cfg.Read.QueryRowContext(ctx, `SELECT secret, updated FROM crmgate_credential
		WHERE account = $1 AND person_id = $2 AND kind = $3`, s.cfg.Account, personID, kind).Scan(&c.Secret, &updated)
	if err != nil {
		return records.Credential{}, s.fail(doing, err)
	}
	c.Updated = fromMicros(updated)
	return c, nil
}

// DeleteCredential implements records.Store.
func (s *Store) DeleteCredential(ctx context.Context, personID, kind string) error {
	if findable(personID, kind) != nil {
		return s.Ping(ctx)
	}
	return s.write(ctx, "deleting a credential", func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM crmgate_credential WHERE account = $1 AND person_id = $2 AND kind = $3`,
			s.cfg.Account, personID, kind)
		return err
	})
}

// Credentials implements records.Store.
func (s *Store) Credentials(ctx context.Context, personID string) ([]records.Credential, error) {
	if findable(personID) != nil {
		return nil, s.Ping(ctx)
	}
	var out []records.Credential
	err := s.query(ctx, "reading credentials", func(rows *sql.Rows) error {
		c := records.Credential{PersonID: personID}
		var updated int64
		err := rows.Scan(&c.Kind, &c.Secret, &updated)
		c.Updated = fromMicros(updated)
		out = append(out, c)
		return err
	}, `SELECT kind, secret, updated FROM crmgate_credential WHERE account = $1 AND person_id = $2 ORDER BY kind`,
		s.cfg.Account, personID)
	if err != nil {
		return nil, err
	}
	return out, nil
}

// SwapCredential implements records.Store.
func (s *Store) SwapCredential(ctx context.Context, c records.Credential, old []byte) error {
	const doing = "changing a credential"
	if err := checkKeys("the person's id", c.PersonID, "the kind", c.Kind); err != nil {
		return s.fail(doing, err)
	}
	now := micros(s.now())
	if old == nil {
		return s.writeOne(ctx, doing, `INSERT INTO crmgate_credential (account, person_id, kind, secret, updated)
			VALUES ($1, $2, $3, $4, $5) ON CONFLICT (account, person_id, kind) DO NOTHING`,
			s.cfg.Account, c.PersonID, c.Kind, nonNil(c.Secret), now)
	}
	return s.writeOne(ctx, doing, `UPDATE crmgate_credential SET secret = $4, updated = $5
		WHERE account = $1 AND person_id = $2 AND kind = $3 AND secret = $6`,
		s.cfg.Account, c.PersonID, c.Kind, nonNil(c.Secret), now, old)
}

// DropCredential implements records.Store.
func (s *Store) DropCredential(ctx context.Context, personID, kind string, old []byte) error {
	const doing = "deleting a credential that was read"
	if findable(personID, kind) != nil {
		if err := s.Ping(ctx); err != nil {
			return err
		}
		return s.fail(doing, records.ErrConflict)
	}
	return s.writeOne(ctx, doing, `DELETE FROM crmgate_credential
		WHERE account = $1 AND person_id = $2 AND kind = $3 AND secret = $4`,
		s.cfg.Account, personID, kind, nonNil(old))
}

// writeOne runs a statement that must change one row; none is a conflict.
func (s *Store) writeOne(ctx context.Context, doing, text string, args ...any) error {
	return s.write(ctx, doing, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, text, args...)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil {
			return err
		} else if n != 1 {
			return records.ErrConflict
		}
		return nil
	})
}
