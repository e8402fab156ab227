// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// The formats of Export.
const (
	JSONL = "jsonl" // one JSON object a line, members as in Record
	CSV   = "csv"   // RFC 4180 with a header line
)

// Export writes the records q selects to w, oldest first, whatever q.Ascending
// says; a zero Limit means all of them. It holds one page of each chain in
// memory. A format it does not know, and a source or writer that fails, are
// errors; what was written until then is then incomplete.
func Export(ctx context.Context, src Source, q Query, w io.Writer, format string) error {
	put, flush, err := encoder(w, format)
	if err != nil {
		return err
	}
	chains := []string{q.Chain}
	if q.Chain == "" {
		if chains, err = src.AuditChains(ctx); err != nil {
			return fmt.Errorf("exporting the audit: %w", err)
		}
	}
	limit := q.Limit
	cursors := make([]*cursor, len(chains))
	for i, chain := range chains {
		cursors[i] = &cursor{src: src, q: q}
		cursors[i].q.Chain, cursors[i].q.Limit, cursors[i].q.Ascending = chain, page, true
		if chain != q.Chain {
			cursors[i].q.AfterSeq = 0
		}
	}
	for n := 0; limit <= 0 || n < limit; n++ {
		r, err := oldest(ctx, cursors)
		if err != nil {
			return fmt.Errorf("exporting the audit: %w", err)
		}
		if r == nil {
			break
		}
		if err := put(r); err != nil {
			return fmt.Errorf("exporting the audit: writing: %w", err)
		}
	}
	if err := flush(); err != nil {
		return fmt.Errorf("exporting the audit: writing: %w", err)
	}
	return nil
}

// cursor reads one chain page by page.
type cursor struct {
	src  Source
	q    Query
	rs   []Record
	last bool
}

// peek returns the next record, nil when there is none.
func (c *cursor) peek(ctx context.Context) (*Record, error) {
	if len(c.rs) == 0 && !c.last {
		rs, err := c.src.Audit(ctx, c.q)
		if err != nil {
			return nil, err
		}
		c.rs, c.last = rs, len(rs) < page
		if len(rs) > 0 {
			c.q.AfterSeq = rs[len(rs)-1].Seq
		}
	}
	if len(c.rs) == 0 {
		return nil, nil
	}
	return &c.rs[0], nil
}

// oldest takes the oldest record off the cursors.
func oldest(ctx context.Context, cursors []*cursor) (*Record, error) {
	var from *cursor
	var first *Record
	for _, c := range cursors {
		r, err := c.peek(ctx)
		if err != nil {
			return nil, err
		}
		if r != nil && (first == nil || r.Time.Before(first.Time)) {
			from, first = c, r
		}
	}
	if from != nil {
		from.rs = from.rs[1:]
	}
	return first, nil
}

func encoder(w io.Writer, format string) (put func(*Record) error, flush func() error, err error) {
	switch format {
	case JSONL:
		enc := json.NewEncoder(w)
		enc.SetEscapeHTML(false)
		return func(r *Record) error { return enc.Encode(r) }, func() error { return nil }, nil
	case CSV:
		enc := csv.NewWriter(w)
		enc.UseCRLF = true
		flush = func() error {
			enc.Flush()
			return enc.Error()
		}
		if err := enc.Write(csvHeader); err != nil {
			return nil, nil, fmt.Errorf("exporting the audit: writing: %w", err)
		}
		return func(r *Record) error { return enc.Write(csvRow(r)) }, flush, nil
	}
	return nil, nil, fmt.Errorf("exporting the audit: format %q is neither %q nor %q", format, JSONL, CSV)
}

var csvHeader = []string{
	"chain", "seq", "time", "kind", "request_id", "person_id", "email", "role", "session", "device", "ip", "ip_flags",
	"method", "host", "path", "operation", "entity", "action", "records", "count", "decision", "reason", "detail", "plan",
	"masked", "hidden", "dropped", "status", "bytes", "micros", "prev", "hash",
}

func csvRow(r *Record) []string {
	number := func(n int64) string { return strconv.FormatInt(n, 10) }
	list := func(items []string) string { return strings.Join(items, "; ") }
	row := []string{
		r.Chain, number(r.Seq), r.Time.Format(time.RFC3339Nano), r.Kind, r.RequestID, r.PersonID, r.Email, r.Role,
		r.Session, r.Device, r.IP, r.IPFlags, r.Method, r.Host, r.Path, r.Operation, r.Entity, r.Action,
		list(r.Records), number(int64(r.Count)), r.Decision, r.Reason, r.Detail, r.Plan, list(r.Masked), list(r.Hidden),
		number(int64(r.Dropped)), number(int64(r.Status)), number(r.Bytes), number(r.Micros), r.Prev, r.Hash,
	}
	for i := range row {
		row[i] = plainCell(row[i])
	}
	return row
}

// plainCell makes a cell that no spreadsheet takes for a formula, by an
// apostrophe in front. Half of what is in a record was sent by a client.
func plainCell(s string) string {
	first := strings.TrimLeft(s, " \u00a0\u3000")
	for _, c := range [...]string{"=", "+", "-", "@", "\t", "\r", "\n", "|", "%", "＝", "＋", "－", "＠"} {
		if strings.HasPrefix(first, c) {
			return "'" + s
		}
	}
	return s
}
