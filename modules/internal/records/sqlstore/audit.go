// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/crmgate/crmgate/modules/internal/audit"
	"github.com/crmgate/crmgate/modules/internal/records"
)

// auditColumns are the members of a record, one column each: an admin can ask
// them with any SQL tool, and a change of any shows in the hash.
var auditColumns = []string{
	"chain", "seq", "at", "kind", "request_id", "person_id", "email", "role", "session", "device", "ip", "ip_flags",
	"method", "host", "path", "operation", "entity", "action", "records", "record_count", "decision", "reason", "detail",
	"plan", "masked", "hidden", "dropped", "status", "bytes", "micros", "prev", "hash",
}

func auditArgs(args []any, r *audit.Record) []any {
	return append(args,
		r.Chain, r.Seq, micros(r.Time), r.Kind, r.RequestID, r.PersonID, r.Email, r.Role, r.Session, r.Device, r.IP, r.IPFlags,
		r.Method, r.Host, r.Path, r.Operation, r.Entity, r.Action, listText(r.Records), r.Count, r.Decision, r.Reason, r.Detail,
		r.Plan, listText(r.Masked), listText(r.Hidden), r.Dropped, r.Status, r.Bytes, r.Micros, r.Prev, r.Hash)
}

func scanAudit(rows *sql.Rows) (audit.Record, error) {
	var r audit.Record
	var at int64
	var ids, masked, hidden string
	err := rows.Scan(
		&r.Chain, &r.Seq, &at, &r.Kind, &r.RequestID, &r.PersonID, &r.Email, &r.Role, &r.Session, &r.Device, &r.IP, &r.IPFlags,
		&r.Method, &r.Host, &r.Path, &r.Operation, &r.Entity, &r.Action, &ids, &r.Count, &r.Decision, &r.Reason, &r.Detail,
		&r.Plan, &masked, &hidden, &r.Dropped, &r.Status, &r.Bytes, &r.Micros, &r.Prev, &r.Hash)
	r.Time, r.Records, r.Masked, r.Hidden = fromMicros(at), listFrom(ids), listFrom(masked), listFrom(hidden)
	return r, err
}

// insertAudit is the INSERT of so many rows. Plain marks keep SQLite's driver
// from comparing each of them by name with each value.
func insertAudit(rows int, plainMarks bool) string {
	var b strings.Builder
	b.WriteString("INSERT INTO crmgate_audit (account, " + strings.Join(auditColumns, ", ") + ") VALUES ")
	n := 0
	for i := range rows {
		if i > 0 {
			b.WriteByte(',')
		}
		for j := range len(auditColumns) + 1 {
			n++
			mark := "$" + strconv.Itoa(n)
			if plainMarks {
				mark = "?"
			}
			b.WriteString([2]string{"(", ", "}[min(j, 1)] + mark)
		}
		b.WriteByte(')')
	}
	return b.String()
}

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
	for i := range rs {
		r := &rs[i]
		if err := checkAudit(r); err != nil {
			return nil, err
		}
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

func checkAudit(r *audit.Record) error {
	err := checkKeys("the chain", r.Chain, "the hash", r.Hash)
	if err == nil {
		err = checkLengths("the request id", r.RequestID, "the e-mail address", r.Email, "the previous hash", r.Prev)
	}
	if err == nil {
		err = checkText("kind", r.Kind, "person_id", r.PersonID, "role", r.Role, "session", r.Session, "device", r.Device,
			"ip", r.IP, "ip_flags", r.IPFlags, "method", r.Method, "host", r.Host, "path", r.Path, "operation", r.Operation,
			"entity", r.Entity, "action", r.Action, "decision", r.Decision, "reason", r.Reason, "detail", r.Detail, "plan", r.Plan)
	}
	for _, list := range [...][]string{r.Records, r.Masked, r.Hidden} {
		for _, item := range list {
			if err == nil {
				err = checkText("an item of a list", item)
			}
		}
	}
	return err
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

func (s *Store) insertAll(ctx context.Context, tx *sql.Tx, rs []audit.Record) error {
	args := make([]any, 0, min(len(rs), s.cfg.Rows)*(len(auditColumns)+1))
	for _, n := range []int{s.cfg.Rows, 1} {
		if len(rs) < n {
			continue
		}
		stmt, err := tx.PrepareContext(ctx, s.inserts[n-1])
		if err != nil {
			return err
		}
		defer stmt.Close()
		for ; len(rs) >= n; rs = rs[n:] {
			args = args[:0]
			for i := range n {
				args = auditArgs(append(args, s.cfg.Account), &rs[i])
			}
			if _, err := stmt.ExecContext(ctx, args...); err != nil {
				return err
			}
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
				UNION ALL SELECT MIN(chain) FROM crmgate_audit WHERE account = $1 AND chain > $2) AS either`,
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

// Audit implements audit.Source.
func (s *Store) Audit(ctx context.Context, q audit.Query) ([]audit.Record, error) {
	if checkText("kind", q.Kind, "e-mail", q.Email, "operation", q.Operation, "decision", q.Decision,
		"request id", q.RequestID, "chain", q.Chain) != nil {
		return nil, s.Ping(ctx) // no record can hold such text
	}
	text, args := s.auditQuery(q)
	out := make([]audit.Record, 0, 128)
	err := s.query(ctx, "reading the audit", func(rows *sql.Rows) error {
		r, err := scanAudit(rows)
		out = append(out, r)
		return err
	}, text, args...)
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (s *Store) auditQuery(q audit.Query) (text string, args []any) {
	var b strings.Builder
	args = []any{s.cfg.Account}
	b.WriteString("SELECT " + strings.Join(auditColumns, ", ") + " FROM crmgate_audit WHERE account = $1")
	where := func(condition string, values ...any) {
		for _, v := range values {
			args = append(args, v)
			condition = strings.Replace(condition, "?", "$"+strconv.Itoa(len(args)), 1)
		}
		b.WriteString(" AND " + condition)
	}
	if !q.From.IsZero() {
		where("at >= ?", micros(q.From))
	}
	if !q.To.IsZero() {
		where("at < ?", micros(q.To))
	}
	for _, c := range [...][2]string{
		{"kind", q.Kind}, {"operation", q.Operation}, {"decision", q.Decision}, {"request_id", q.RequestID}, {"chain", q.Chain},
	} {
		if c[1] != "" {
			where(c[0]+" = ?", c[1])
		}
	}
	if q.Email != "" {
		where("email IN (?, ?)", q.Email, records.FoldEmail(q.Email))
	}
	if q.Chain != "" && q.AfterSeq > 0 {
		where("seq > ?", q.AfterSeq)
	}
	direction, limit := " DESC", q.Limit
	if q.Ascending {
		direction = ""
	}
	if limit <= 0 {
		limit = 100
	}
	order := []string{"at", "chain", "seq"}
	if q.Chain != "" {
		order = []string{"seq"}
	}
	b.WriteString(" ORDER BY " + strings.Join(order, direction+", ") + direction + " LIMIT " + strconv.Itoa(limit))
	return b.String(), args
}
