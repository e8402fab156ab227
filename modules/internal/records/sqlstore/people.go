// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/crmgate/crmgate/modules/internal/records"
)

const personColumns = `id, email, name, role, owner_ids, user_type, status, version, created, updated`

func scanPerson(row interface{ Scan(...any) error }) (records.Person, error) {
	var p records.Person
	var owners string
	var created, updated int64
	err := row.Scan(&p.ID, &p.Email, &p.Name, &p.Role, &owners, &p.UserType, &p.Status, &p.Version, &created, &updated)
	p.OwnerIDs, p.Created, p.Updated = listFrom(owners), fromMicros(created), fromMicros(updated)
	return p, err
}

func checkPerson(p records.Person) error {
	if err := checkKeys("the person's id", p.ID, "the e-mail address", p.Email); err != nil {
		return err
	}
	if p.Status != records.Active && p.Status != records.Inactive {
		return fmt.Errorf("%w: status %q is neither %q nor %q", records.ErrInvalid, p.Status, records.Active, records.Inactive)
	}
	pairs := []string{"the name", p.Name, "the role", p.Role, "the user type", p.UserType}
	for _, id := range p.OwnerIDs {
		pairs = append(pairs, "an owner id", id)
	}
	return checkText(pairs...)
}

// PutPerson implements records.Store.
func (s *Store) PutPerson(ctx context.Context, p records.Person) (records.Person, error) {
	const doing = "writing a person"
	if err := checkPerson(p); err != nil {
		return records.Person{}, s.fail(doing, err)
	}
	now := s.now()
	read := p.Version
	p.Version, p.Updated = read+1, now
	key, owners := records.FoldEmail(p.Email), listText(p.OwnerIDs)
	if read == 0 {
		p.Created = now
		err := s.write(ctx, doing, func(tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, `INSERT INTO crmgate_person
				(account, email_key, id, email, name, role, owner_ids, user_type, status, version, created, updated)
				VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
				s.cfg.Account, key, p.ID, p.Email, p.Name, p.Role, owners, p.UserType, string(p.Status), p.Version, micros(now), micros(now))
			return err
		})
		if err != nil {
			return records.Person{}, err
		}
		return p, nil
	}
	err := s.write(ctx, doing, func(tx *sql.Tx) error {
		var created int64
		err := tx.QueryRowContext(ctx, `UPDATE crmgate_person
			SET email_key = $3, email = $4, name = $5, role = $6, owner_ids = $7, user_type = $8, status = $9, version = $10, updated = $11
			WHERE account = $1 AND id = $2 AND version = $12 RETURNING created`,
			s.cfg.Account, p.ID, key, p.Email, p.Name, p.Role, owners, p.UserType, string(p.Status), p.Version, micros(now), read).Scan(&created)
		p.Created = fromMicros(created)
		return staleIfNone(err)
	})
	if err != nil {
		return records.Person{}, err
	}
	return p, nil
}

// staleIfNone turns "no row at that version" into a conflict.
func staleIfNone(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return records.ErrConflict
	}
	return err
}

// Person implements records.Store.
func (s *Store) Person(ctx context.Context, id string) (records.Person, error) {
	return s.person(ctx, `id = $2`, id)
}

// PersonByEmail implements records.Store.
func (s *Store) PersonByEmail(ctx context.Context, email string) (records.Person, error) {
	return s.person(ctx, `email_key = $2`, records.FoldEmail(email))
}

func (s *Store) person(ctx context.Context, where, key string) (records.Person, error) {
	if err := findable(key); err != nil {
		return records.Person{}, s.fail("reading a person", err)
	}
	p, err := scanPerson(s.cfg.Read.QueryRowContext(ctx,
		`SELECT `+personColumns+` FROM crmgate_person WHERE account = $1 AND `+where, s.cfg.Account, key))
	if err != nil {
		return records.Person{}, s.fail("reading a person", err)
	}
	return p, nil
}

// findable answers for a key that no row can have, before a database trips over
// its bytes.
func findable(keys ...string) error {
	for _, k := range keys {
		if checkKeys("key", k) != nil {
			return records.ErrNotFound
		}
	}
	return nil
}

// People implements records.Store.
func (s *Store) People(ctx context.Context) ([]records.Person, error) {
	var out []records.Person
	err := s.query(ctx, "reading people", func(rows *sql.Rows) error {
		p, err := scanPerson(rows)
		out = append(out, p)
		return err
	}, `SELECT `+personColumns+` FROM crmgate_person WHERE account = $1 ORDER BY id`, s.cfg.Account)
	if err != nil {
		return nil, err
	}
	return out, nil
}

// PutCRMKey implements records.Store.
func (s *Store) PutCRMKey(ctx context.Context, k records.CRMKey) error {
	const doing = "writing a key of the CRM"
	if err := checkKeys("the person's id", k.PersonID, "the look-up value", k.Lookup); err != nil {
		return s.fail(doing, err)
	}
	return s.write(ctx, doing, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO crmgate_crm_key (account, person_id, lookup, sealed, updated)
			VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (account, person_id) DO UPDATE SET lookup = excluded.lookup, sealed = excluded.sealed, updated = excluded.updated`,
			s.cfg.Account, k.PersonID, k.Lookup, nonNil(k.Sealed), micros(s.now()))
		return err
	})
}

const crmKeyQuery = `SELECT person_id, lookup, sealed, updated FROM crmgate_crm_key WHERE account = $1`

func scanCRMKey(row interface{ Scan(...any) error }) (records.CRMKey, error) {
	var k records.CRMKey
	var updated int64
	err := row.Scan(&k.PersonID, &k.Lookup, &k.Sealed, &updated)
	k.Updated = fromMicros(updated)
	return k, err
}

// CRMKey implements records.Store.
func (s *Store) CRMKey(ctx context.Context, personID string) (records.CRMKey, error) {
	return s.crmKey(ctx, ` AND person_id = $2`, personID)
}

// CRMKeyByLookup implements records.Store.
func (s *Store) CRMKeyByLookup(ctx context.Context, lookup string) (records.CRMKey, error) {
	return s.crmKey(ctx, ` AND lookup = $2`, lookup)
}

func (s *Store) crmKey(ctx context.Context, where, key string) (records.CRMKey, error) {
	const doing = "reading a key of the CRM"
	if err := findable(key); err != nil {
		return records.CRMKey{}, s.fail(doing, err)
	}
	k, err := scanCRMKey(s.cfg.Read.QueryRowContext(ctx, crmKeyQuery+where, s.cfg.Account, key))
	if err != nil {
		return records.CRMKey{}, s.fail(doing, err)
	}
	return k, nil
}

// CRMKeys implements records.Store.
func (s *Store) CRMKeys(ctx context.Context) ([]records.CRMKey, error) {
	var out []records.CRMKey
	err := s.query(ctx, "reading the keys of the CRM", func(rows *sql.Rows) error {
		k, err := scanCRMKey(rows)
		out = append(out, k)
		return err
	}, crmKeyQuery+` ORDER BY person_id`, s.cfg.Account)
	if err != nil {
		return nil, err
	}
	return out, nil
}
