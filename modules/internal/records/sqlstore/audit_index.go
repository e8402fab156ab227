// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"
)

// What is compared at a time: as many blocks, or as many rows of the index, as bound
// the memory it takes.
const (
	indexBlocks = 8192
	indexRows   = 1 << 16
)

// indexRow is a row of the index by person.
type indexRow struct {
	email  string
	lastAt int64
	block  int64
}

// indexWindow is a run of blocks with what the index must say of them.
type indexWindow struct {
	after, last       int64           // ids of the blocks: above after, up to last
	earliest, latest  int64           // of the times the index has for them
	blocks            map[int64]place // those that could be read; what is wrong with the others is found by their chains
	rows              map[indexRow]int64
	unseen, misplaced []indexFinding
}

// place is where a block begins.
type place struct {
	chain string
	seq   int64
}

type indexFinding struct {
	place
	detail string
}

// AuditIndex implements audit.Source. A block and its rows are written in one
// transaction, and blocks are read before rows: what is written meanwhile is no
// difference. Blocks after the last one there is now are left to the next time: a busy
// gateway may write them as fast as they are read.
func (s *Store) AuditIndex(ctx context.Context, found func(chain string, seq int64, detail string)) error {
	var end sql.NullInt64
	err := s.cfg.Read.QueryRowContext(ctx, `SELECT MAX(id) FROM crmgate_audit_block WHERE account = $1`, s.cfg.Account).Scan(&end)
	if err != nil {
		return s.fail("reading the blocks of the audit", err)
	}
	for w := (indexWindow{}); ; {
		w = indexWindow{after: w.last, last: w.last, blocks: map[int64]place{}, rows: map[indexRow]int64{}}
		if err := s.readIndexed(ctx, &w, end.Int64); err != nil {
			return err
		}
		if w.last == w.after {
			break
		}
		if err := s.readIndex(ctx, &w); err != nil {
			return err
		}
		for _, f := range w.findings() {
			found(f.chain, f.seq, f.detail)
		}
	}
	return s.readStray(ctx, found)
}

// readIndexed reads the next blocks and what the index must have for them.
func (s *Store) readIndexed(ctx context.Context, w *indexWindow, end int64) error {
	return s.query(ctx, "reading the blocks of the audit", func(rows *sql.Rows) error {
		var b block
		var id int64
		if err := rows.Scan(&id, &b.chain, &b.firstSeq, &b.lastSeq, &b.firstAt, &b.lastAt, &b.body); err != nil {
			return err
		}
		w.last = id
		rs, err := b.read()
		if err != nil {
			return nil //nolint:nilerr // its chain says so
		}
		if len(w.blocks) == 0 {
			w.earliest, w.latest = b.lastAt, b.lastAt
		}
		w.earliest, w.latest = min(w.earliest, b.lastAt), max(w.latest, b.lastAt)
		w.blocks[id] = place{b.chain, b.firstSeq}
		for i := range rs {
			row := indexRow{rs[i].Email, b.lastAt, id}
			if _, known := w.rows[row]; row.email != "" && !known {
				w.rows[row] = rs[i].Seq
			}
		}
		if len(w.rows) >= indexRows {
			return errEnough
		}
		return nil
	}, `SELECT id, chain, first_seq, last_seq, first_at, last_at, body FROM crmgate_audit_block
		WHERE account = $1 AND id > $2 AND id <= $3 ORDER BY id LIMIT $4`, s.cfg.Account, w.after, end, indexBlocks)
}

// readIndex takes what the index has for the blocks off what it must have. It goes from
// one address to the next, and for each reads only the time the blocks are of.
func (s *Store) readIndex(ctx context.Context, w *indexWindow) error {
	return s.query(ctx, "reading the index of the audit", func(rows *sql.Rows) error {
		var row indexRow
		if err := rows.Scan(&row.email, &row.lastAt, &row.block); err != nil {
			return err
		}
		at, read := w.blocks[row.block]
		if _, must := w.rows[row]; must {
			delete(w.rows, row)
		} else if read {
			w.misplaced = append(w.misplaced, indexFinding{at, fmt.Sprintf("the index by person names the block that begins here for %q, of whom nothing is in it", row.email)})
		}
		return nil
	}, `WITH RECURSIVE who(email) AS (
			SELECT MIN(email) FROM crmgate_audit_person WHERE account = $1
			UNION ALL
			SELECT (SELECT MIN(n.email) FROM crmgate_audit_person n WHERE n.account = $1 AND n.email > who.email)
			FROM who WHERE who.email IS NOT NULL)
		SELECT p.email, p.last_at, p.block FROM who CROSS JOIN crmgate_audit_person p
		WHERE p.account = $1 AND p.email = who.email AND p.last_at BETWEEN $2 AND $3 AND p.block > $4 AND p.block <= $5`,
		s.cfg.Account, w.earliest, w.latest, w.after, w.last)
}

// findings are the differences, in the order of chains and records.
func (w *indexWindow) findings() []indexFinding {
	for row, seq := range w.rows {
		w.unseen = append(w.unseen, indexFinding{
			place{w.blocks[row.block].chain, seq},
			fmt.Sprintf("the index by person lacks the block of this record for %q: a list of that person's records passes it over", row.email),
		})
	}
	all := slices.Concat(w.unseen, w.misplaced)
	slices.SortFunc(all, func(a, b indexFinding) int {
		return cmp.Or(cmp.Compare(a.chain, b.chain), cmp.Compare(a.seq, b.seq), cmp.Compare(a.detail, b.detail))
	})
	return all
}

// readStray finds rows of the index that name no block of the account, or name one with
// another time than it has.
func (s *Store) readStray(ctx context.Context, found func(chain string, seq int64, detail string)) error {
	return s.query(ctx, "reading the index of the audit", func(rows *sql.Rows) error {
		var email string
		var id int64
		var chain sql.NullString
		var seq sql.NullInt64
		if err := rows.Scan(&email, &id, &chain, &seq); err != nil {
			return err
		}
		if !chain.Valid {
			found("", 0, fmt.Sprintf("the index by person names block %d for %q, and there is no such block", id, email))
			return nil
		}
		found(chain.String, seq.Int64, fmt.Sprintf("the index by person names the block that begins here for %q with another time than it has", email))
		return nil
	}, `SELECT p.email, p.block, b.chain, b.first_seq FROM crmgate_audit_person p
		LEFT JOIN crmgate_audit_block b ON b.id = p.block AND b.account = p.account
		WHERE p.account = $1 AND (b.id IS NULL OR b.last_at <> p.last_at)`, s.cfg.Account)
}
