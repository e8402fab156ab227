// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/crmgate/crmgate/modules/internal/audit"
	"github.com/crmgate/crmgate/modules/internal/records"
)

// Audit implements audit.Source. A request id of ours is looked for at the time
// it tells first.
func (s *Store) Audit(ctx context.Context, q audit.Query) ([]audit.Record, error) {
	if checkText("kind", q.Kind, "e-mail", q.Email, "operation", q.Operation, "decision", q.Decision,
		"request id", q.RequestID, "chain", q.Chain) != nil {
		return nil, s.Ping(ctx) // no record can hold such text
	}
	if near, ok := q.Near(); ok {
		if rs, err := s.selectAudit(ctx, near); err != nil || len(rs) > 0 {
			return rs, err
		}
	}
	return s.selectAudit(ctx, q)
}

func (s *Store) selectAudit(ctx context.Context, q audit.Query) ([]audit.Record, error) {
	if q.Limit <= 0 {
		q.Limit = 100
	}
	sel := &selection{q: q, folded: records.FoldEmail(q.Email)}
	text, args := s.blockQuery(q, sel.folded)
	err := s.query(ctx, "reading the audit", func(rows *sql.Rows) error {
		var b block
		if err := rows.Scan(&b.chain, &b.firstSeq, &b.lastSeq, &b.firstAt, &b.lastAt, &b.body); err != nil {
			return err
		}
		return sel.add(&b)
	}, text, args...)
	if err != nil {
		return nil, err
	}
	sel.cut()
	return sel.rs, nil
}

// block is a row of records.
type block struct {
	chain             string
	firstSeq, lastSeq int64
	firstAt, lastAt   int64
	body              []byte
}

// blockQuery selects the blocks that may hold records of q, in the order in which
// a selection can tell when it has enough.
func (s *Store) blockQuery(q audit.Query, folded string) (text string, args []any) {
	var b strings.Builder
	args = []any{s.cfg.Account}
	b.WriteString("SELECT b.chain, b.first_seq, b.last_seq, b.first_at, b.last_at, b.body FROM crmgate_audit_block b WHERE b.account = $1")
	where := func(condition string, values ...any) {
		for _, v := range values {
			args = append(args, v)
			condition = strings.Replace(condition, "?", "$"+strconv.Itoa(len(args)), 1)
		}
		b.WriteString(" AND " + condition)
	}
	if !q.From.IsZero() {
		where("b.last_at >= ?", micros(q.From))
	}
	if !q.To.IsZero() {
		where("b.first_at < ?", micros(q.To))
	}
	if q.Chain != "" {
		where("b.chain = ?", q.Chain)
		where("b.last_seq > ?", q.AfterSeq)
	}
	if q.Email != "" {
		where("b.id IN (SELECT block FROM crmgate_audit_person p WHERE p.account = $1 AND p.email IN (?, ?))", q.Email, folded)
	}
	switch {
	case q.Chain != "" && q.Ascending:
		b.WriteString(" ORDER BY b.first_seq")
	case q.Chain != "":
		b.WriteString(" ORDER BY b.first_seq DESC")
	case q.Ascending:
		b.WriteString(" ORDER BY b.first_at")
	default:
		b.WriteString(" ORDER BY b.last_at DESC")
	}
	return b.String(), args
}

// errEnough ends a reading: no later block can hold a record that is wanted.
var errEnough = errors.New("enough")

// selection collects the records a query asks for.
type selection struct {
	q      audit.Query
	folded string
	rs     []audit.Record
}

func (sel *selection) add(b *block) error {
	if len(sel.rs) >= sel.q.Limit {
		sel.cut()
		if sel.beyond(b, &sel.rs[len(sel.rs)-1]) {
			return errEnough
		}
	}
	rs := b.records()
	for i := range rs {
		if sel.q.Selects(&rs[i], sel.folded) {
			sel.rs = append(sel.rs, rs[i])
		}
	}
	return nil
}

// beyond says whether every record of b, and of the blocks after it, comes behind
// last.
func (sel *selection) beyond(b *block, last *audit.Record) bool {
	switch {
	case sel.q.Chain != "" && sel.q.Ascending:
		return b.firstSeq > last.Seq
	case sel.q.Chain != "":
		return b.lastSeq < last.Seq
	case sel.q.Ascending:
		return b.firstAt > micros(last.Time)
	}
	return b.lastAt < micros(last.Time)
}

// cut sorts and keeps as many as were asked for.
func (sel *selection) cut() {
	slices.SortFunc(sel.rs, func(x, y audit.Record) int {
		c := cmp.Compare(x.Seq, y.Seq)
		if sel.q.Chain == "" {
			c = cmp.Or(x.Time.Compare(y.Time), cmp.Compare(x.Chain, y.Chain), c)
		}
		if !sel.q.Ascending {
			return -c
		}
		return c
	})
	if len(sel.rs) > sel.q.Limit {
		clear(sel.rs[sel.q.Limit:])
		sel.rs = sel.rs[:sel.q.Limit]
	}
}

// span is the earliest and the latest time of records.
func span(rs []audit.Record) (first, last int64) {
	for i := range rs {
		at := micros(rs[i].Time)
		if i == 0 {
			first, last = at, at
		}
		first, last = min(first, at), max(last, at)
	}
	return first, last
}

// records reads the block. One that cannot be read, or is not what its row says,
// gives a record without a hash for each it should hold: nothing is left out
// silently, and audit.Verify shows each as changed.
func (b *block) records() []audit.Record {
	rs, err := b.read()
	if err == nil {
		return rs
	}
	n := min(max(b.lastSeq-b.firstSeq+1, 1), audit.MaxBlockRecords)
	rs = make([]audit.Record, n)
	for i := range rs {
		rs[i] = audit.Record{
			Chain: b.chain, Seq: b.firstSeq + int64(i), Time: fromMicros(b.lastAt), Kind: "unreadable",
			Detail: "what the store holds here cannot be read: it was damaged or changed",
		}
	}
	return rs
}

// read reads the block if it is what its row says.
func (b *block) read() ([]audit.Record, error) {
	rs, err := audit.DecodeBlock(b.body)
	if err == nil && (rs[0].Chain != b.chain || rs[0].Seq != b.firstSeq || rs[len(rs)-1].Seq != b.lastSeq) {
		err = fmt.Errorf("%w: it belongs elsewhere", audit.ErrBlock)
	}
	if first, last := span(rs); err == nil && (first != b.firstAt || last != b.lastAt) {
		err = fmt.Errorf("%w: its times are others, so that a search by time passes it over", audit.ErrBlock)
	}
	return rs, err
}
