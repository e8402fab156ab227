// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// Package csvmask rewrites a table of text (RFC 4180, with the delimiter of the
// plan) by a plan while it flows. Each row is a record and each column a field,
// by the first row's names or by the positions the plan names. Cells that stay
// are copied as they are written, quotes, line ends and a byte order mark
// included; a cell that changes is quoted when it was, or has to be.
//
// One row is held at a time. Programs read tables in many ways, so all that some
// of them would read in another way is refused: see Masker.Reader.
package csvmask

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/crmgate/crmgate/modules/internal/jsonmask"
	"github.com/crmgate/crmgate/modules/internal/textmask"
	"github.com/crmgate/crmgate/policy/plan"
)

// ErrTable is wrapped by every error about a body that is not the table that was
// declared. Errors name rows, never values.
var ErrTable = errors.New("csvmask: no such table")

const (
	chunk      = 32 << 10 // bytes asked of the source at once
	maxColumns = 10_000
)

// Masker rewrites one body after the other by one plan; it must not be used by
// two goroutines at once.
type Masker struct {
	judge textmask.Judge
	plan  *plan.Plan
	table plan.Table
	rec   *plan.Record
	ent   *plan.Entity
	most  int // bytes of a row
	hold  int // bytes that wait for the record that was asked for

	columns []column // nil until they are known
	row     int

	src    io.Reader
	in     []byte // from the start of the row at hand
	seen   int    // bytes of it in which its end was looked for
	quoted bool   // they end within quotes
	final  bool
	first  bool // nothing was read yet
	out    []byte
	sent   int
	err    error
	cells  []cell
	text   []byte // scratch
	value  []byte
}

// column is what becomes of the cells at one position.
type column struct {
	treat *plan.Treatment
	owner bool
	need  int  // what the rows' condition looks at, counted from 1
	drop  bool // hidden, and not merely emptied
}

// cell is one cell of a row: the bytes from, to as they are written.
type cell struct {
	from, to int
	quoted   bool
	escaped  bool // holds doubled quotes
}

// New returns a masker for a plan of the format CSV: its Root's elements are the
// records, and its Table says how they are written.
func New(p *plan.Plan, v *plan.Viewer, l jsonmask.Limits) *Masker {
	m := &Masker{}
	m.Reset(p, v, l)
	return m
}

// Reset makes m ready for the next body.
func (m *Masker) Reset(p *plan.Plan, v *plan.Viewer, l jsonmask.Limits) {
	m.judge.Reset(p, v, l)
	m.plan, m.table = p, plan.Table{Delimiter: ','}
	if p.Table != nil {
		m.table = *p.Table
	}
	m.rec, m.ent = nil, m.judge.Fallback()
	if p.Root != nil && p.Root.Elements != nil && p.Root.Elements.Record != nil {
		m.rec = p.Root.Elements.Record
		if m.rec.Entity != nil {
			m.ent = m.rec.Entity
		}
	}
	if m.most = l.Record; m.most <= 0 {
		m.most = 1 << 20
	}
	if m.hold = l.Hold; m.hold <= 0 {
		m.hold = 128 << 10
	}
	m.columns, m.row = nil, 0
	m.src, m.in, m.out, m.seen, m.sent = nil, shed(m.in), shed(m.out), 0, 0
	m.quoted, m.final, m.first, m.err = false, false, true, nil
}

// shed empties a buffer, and drops one that a large row made grow.
func shed(b []byte) []byte {
	if cap(b) > 8*chunk {
		return nil
	}
	return b[:0]
}

// Plan returns the plan m was made for.
func (m *Masker) Plan() *plan.Plan { return m.plan }

// Stats returns what was done so far.
func (m *Masker) Stats() jsonmask.Stats { return m.judge.Stats() }

// Reader returns the rewritten body of src. It may be called once after New or
// Reset. An empty body stays empty, and so do empty lines.
//
// Refused are, wrapping ErrTable: a first row that names no declared field, or
// that has another of the usual delimiters outside of quotes; a row with more or
// fewer cells than columns; a quote within a cell that does not start with one,
// and bytes behind a closing one; a backslash that may be meant to escape a quote;
// a carriage return that ends no line; bytes that are not UTF-8, and NUL; a quote
// that is not closed. A row beyond the limit of a record is a
// *jsonmask.LimitError, and so is more in front of the single record that was asked for
// than may be held. jsonmask.ErrNotVisible is returned, before any byte, for
// the single record that was asked for.
func (m *Masker) Reader(src io.Reader) io.Reader {
	m.src = src
	return reader{m}
}

type reader struct{ m *Masker }

// Read implements io.Reader.
func (r reader) Read(p []byte) (int, error) {
	m := r.m
	for len(p) > 0 {
		if m.sent < len(m.out) && !m.waits() {
			n := copy(p, m.out[m.sent:])
			if m.sent += n; m.sent == len(m.out) {
				m.out, m.sent = m.out[:0], 0
			}
			return n, nil
		}
		if m.err != nil {
			return 0, m.err
		}
		if m.err = m.advance(); m.err == io.EOF && m.judge.Missed() {
			m.err = jsonmask.ErrNotVisible
		}
	}
	return 0, nil
}

// waits reports whether the one record that was asked for is still to be judged.
func (m *Masker) waits() bool {
	return m.plan.NotFound != nil && m.judge.Stats().Kept == 0 && m.err != io.EOF
}

// advance rewrites the rows that are there, or reads on when there is none.
func (m *Masker) advance() error {
	done := 0
	for len(m.in) > done && (len(m.out)-m.sent < chunk || m.waits()) {
		n := m.end(m.in[done:])
		if n == 0 {
			break
		}
		m.seen = 0
		m.row++
		if n > m.most {
			return m.tooLong()
		}
		if err := m.rewrite(m.in[done : done+n]); err != nil {
			return fmt.Errorf("row %d: %w", m.row, err)
		}
		done += n
	}
	m.in = m.in[:copy(m.in, m.in[done:])]
	switch {
	case m.waits() && len(m.out) > m.hold:
		return &jsonmask.LimitError{What: "bytes in front of the record asked for", Limit: m.hold}
	case done > 0:
		return nil
	case m.final && m.quoted:
		return fmt.Errorf("row %d: %w: a quote is not closed", m.row+1, ErrTable)
	case m.final:
		return io.EOF
	case len(m.in) > m.most:
		return m.tooLong()
	}
	return m.fill()
}

func (m *Masker) tooLong() error {
	return &jsonmask.LimitError{What: "size of a row", Limit: m.most}
}

// end returns the length of the row that starts at in, its line end included, 0
// when it is not all there. It takes every quote for one that opens or closes;
// the row is looked at strictly once it is there.
func (m *Masker) end(in []byte) int {
	for m.seen < len(in) {
		stops := "\"\n"
		if m.quoted {
			stops = "\""
		}
		n := bytes.IndexAny(in[m.seen:], stops)
		if n < 0 {
			m.seen = len(in)
			break
		}
		m.seen += n + 1
		if in[m.seen-1] == '\n' {
			return m.seen
		}
		m.quoted = !m.quoted
	}
	if m.final && !m.quoted {
		return len(in)
	}
	return 0
}

// fill reads more of the source.
func (m *Masker) fill() error {
	if cap(m.in)-len(m.in) < chunk {
		m.in = append(make([]byte, 0, 2*len(m.in)+2*chunk), m.in...)
	}
	for range 100 {
		n, err := m.src.Read(m.in[len(m.in):cap(m.in)])
		m.in = m.in[:len(m.in)+n]
		switch {
		case errors.Is(err, io.EOF):
			m.final = true
		case err != nil:
			return fmt.Errorf("reading body: %w", err)
		}
		if m.first && (len(m.in) >= 3 || m.final) {
			m.first = false
			if mark := []byte("\xEF\xBB\xBF"); bytes.HasPrefix(m.in, mark) {
				m.out = append(m.out, mark...)
				m.in = m.in[:copy(m.in, m.in[3:])]
			}
		}
		if (len(m.in) > 0 && !m.first) || m.final {
			return nil
		}
	}
	return fmt.Errorf("reading body: %w", io.ErrNoProgress)
}
