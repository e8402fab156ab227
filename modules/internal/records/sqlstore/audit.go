// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"github.com/crmgate/crmgate/modules/internal/audit"
	"github.com/crmgate/crmgate/modules/internal/records"
)

// AppendAudit implements audit.Sink. The head is kept in the same transaction,
// so that a missing tail shows.
func (s *Store) AppendAudit(ctx context.Context, rs []audit.Record) error {
	const doing = "writing the audit"
	if len(rs) == 0 {
		return nil
	}
	heads, err := newHeads(rs)
	if err != nil {
		return s.fail(doing, err)
	}
	return s.write(ctx, doing, func(tx *sql.Tx) error {
		for _, h := range heads {
			if err := s.moveHead(ctx, tx, h); err != nil {
				return err
			}
		}
		return s.insertAll(ctx, tx, rs)
	})
}

// headMove is a step of one chain: from the head a batch continues to the head
// it leaves.
type headMove struct {
	prevSeq  int64
	prevHash string
	end      audit.Head
}

// newHeads checks each record and that records of a chain follow each other.
func newHeads(rs []audit.Record) ([]headMove, error) {
	var moves []headMove
	before := new(audit.Record) // what is as it was there has been checked
	for i := range rs {
		r := &rs[i]
		if err := checkAudit(r, before); err != nil {
			return nil, err
		}
		before = r
		m := -1
		for j := range moves {
			if moves[j].end.Chain == r.Chain {
				m = j
			}
		}
		if m < 0 {
			moves = append(moves, headMove{prevSeq: r.Seq - 1, prevHash: r.Prev})
			m = len(moves) - 1
		} else if end := moves[m].end; r.Seq != end.Seq+1 || r.Prev != end.Hash {
			return nil, fmt.Errorf("%w: record %d of chain %q does not continue record %d", records.ErrConflict, r.Seq, r.Chain, end.Seq)
		}
		moves[m].end = audit.Head{Chain: r.Chain, Seq: r.Seq, Hash: r.Hash}
	}
	return moves, nil
}

// checkAudit checks a record. Most of its texts are those of the one before it, of the
// same request or person, and are compared alone.
func checkAudit(r, before *audit.Record) error {
	if err := checkKeys("the chain", r.Chain, "the hash", r.Hash); err != nil {
		return err
	}
	if err := checkLengths("the request id", r.RequestID, "the e-mail address", r.Email, "the previous hash", r.Prev); err != nil {
		return err
	}
	is, was := auditTexts(r), auditTexts(before)
	for i, text := range is {
		if text == was[i] {
			continue
		}
		if err := checkText(auditTextNames[i], text); err != nil {
			return err
		}
	}
	lists, had := [...][]string{r.Records, r.Masked, r.Hidden}, [...][]string{before.Records, before.Masked, before.Hidden}
	for i, list := range lists {
		if slices.Equal(list, had[i]) {
			continue
		}
		for _, item := range list {
			if err := checkText("an item of a list", item); err != nil {
				return err
			}
		}
	}
	return nil
}

// auditTextNames name auditTexts in errors.
var auditTextNames = [...]string{
	"kind", "person_id", "role", "session", "device", "ip", "ip_flags", "method", "host", "path", "operation",
	"entity", "action", "decision", "reason", "detail", "plan",
}

// auditTexts are the texts of a record that may be of any length.
func auditTexts(r *audit.Record) [len(auditTextNames)]string {
	return [...]string{
		r.Kind, r.PersonID, r.Role, r.Session, r.Device, r.IP, r.IPFlags, r.Method, r.Host, r.Path, r.Operation,
		r.Entity, r.Action, r.Decision, r.Reason, r.Detail, r.Plan,
	}
}

// moveHead moves a chain's head if it stands where the batch begins.
func (s *Store) moveHead(ctx context.Context, tx *sql.Tx, m headMove) error {
	if m.prevSeq == 0 && m.prevHash == "" {
		_, err := tx.ExecContext(ctx, `INSERT INTO crmgate_audit_head (account, chain, seq, hash) VALUES ($1, $2, $3, $4)`,
			s.cfg.Account, m.end.Chain, m.end.Seq, m.end.Hash)
		return err
	}
	var seq int64
	err := tx.QueryRowContext(ctx, `UPDATE crmgate_audit_head SET seq = $3, hash = $4
		WHERE account = $1 AND chain = $2 AND seq = $5 AND hash = $6 RETURNING seq`,
		s.cfg.Account, m.end.Chain, m.end.Seq, m.end.Hash, m.prevSeq, m.prevHash).Scan(&seq)
	if errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("%w: chain %q does not end at record %d", records.ErrConflict, m.end.Chain, m.prevSeq)
	}
	return err
}

// insertAll writes a block for each run of records of one chain, and notes in
// which blocks a person's address stands.
func (s *Store) insertAll(ctx context.Context, tx *sql.Tx, rs []audit.Record) error {
	for len(rs) > 0 {
		n := 1
		for n < len(rs) && n < audit.MaxBlockRecords && rs[n].Chain == rs[0].Chain {
			n++
		}
		if err := s.insertBlock(ctx, tx, rs[:n]); err != nil {
			return err
		}
		rs = rs[n:]
	}
	return nil
}

func (s *Store) insertBlock(ctx context.Context, tx *sql.Tx, rs []audit.Record) error {
	body, err := audit.EncodeBlock(rs)
	if err != nil {
		return fmt.Errorf("%w: %w", records.ErrInvalid, err)
	}
	first, last := span(rs)
	emails := make(map[string]bool, 1)
	for i := range rs {
		if e := rs[i].Email; e != "" {
			emails[e] = true
		}
	}
	var id int64
	err = tx.QueryRowContext(ctx, `INSERT INTO crmgate_audit_block (account, chain, first_seq, last_seq, first_at, last_at, body)
		VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id`,
		s.cfg.Account, rs[0].Chain, rs[0].Seq, rs[len(rs)-1].Seq, first, last, body).Scan(&id)
	if err != nil {
		return err
	}
	for e := range emails {
		_, err := tx.ExecContext(ctx, `INSERT INTO crmgate_audit_person (account, email, last_at, block) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`,
			s.cfg.Account, e, last, id)
		if err != nil {
			return err
		}
	}
	return nil
}

// AuditHead implements audit.Source.
func (s *Store) AuditHead(ctx context.Context, chain string) (audit.Head, error) {
	if checkText("chain", chain) != nil {
		return audit.Head{}, s.Ping(ctx)
	}
	h := audit.Head{Chain: chain}
	err := s.cfg.Read.QueryRowContext(ctx, `SELECT seq, hash FROM crmgate_audit_head WHERE account = $1 AND chain = $2`,
		s.cfg.Account, chain).Scan(&h.Seq, &h.Hash)
	if errors.Is(err, sql.ErrNoRows) {
		return audit.Head{}, nil
	}
	if err != nil {
		return audit.Head{}, s.fail("reading the head of the audit", err)
	}
	return h, nil
}

// AuditChains implements audit.Source. A chain counts when it has a head or a
// record, so that neither can vanish without the other telling.
func (s *Store) AuditChains(ctx context.Context) ([]string, error) {
	var out []string
	chain := ""
	for {
		// One index seek a chain, however many records it has.
		var next sql.NullString
		err := s.cfg.Read.QueryRowContext(ctx, `SELECT MIN(chain) FROM (
				SELECT MIN(chain) AS chain FROM crmgate_audit_head WHERE account = $1 AND chain > $2
				UNION ALL SELECT MIN(chain) FROM crmgate_audit_block WHERE account = $1 AND chain > $2) AS either`,
			s.cfg.Account, chain).Scan(&next)
		if err != nil {
			return nil, s.fail("reading the chains of the audit", err)
		}
		if !next.Valid {
			return out, nil
		}
		chain = next.String
		out = append(out, chain)
	}
}
