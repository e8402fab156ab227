// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// Package xlsxmask rewrites a workbook (ECMA-376, SpreadsheetML) by a plan. Each
// row of a sheet is a record and each column a field, by the first row's names or
// by the positions the plan names.
//
// Nothing is copied. The cells of the visible sheets are read and judged, and a
// new workbook is written of what remains: the sheets' values, the strings they
// need, and the number formats, without which a date is a number. Formulas,
// comments, hidden sheets, names, filters, pivot caches, pictures, macros and the
// properties of the document are in none of it.
package xlsxmask

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/crmgate/crmgate/modules/internal/jsonmask"
	"github.com/crmgate/crmgate/modules/internal/textmask"
	"github.com/crmgate/crmgate/policy/plan"
)

// ErrWorkbook is wrapped by every error about a body that is not the workbook
// that was declared. Errors name sheets by number and rows, never values.
var ErrWorkbook = errors.New("xlsxmask: no such workbook")

func bad(what string) error { return fmt.Errorf("%w: %s", ErrWorkbook, what) }

// bounds are what a workbook may take of the gateway's memory and time.
type bounds struct {
	packed   int   // bytes of the body, and of what comes out
	unpacked int64 // bytes of all parts that are read, and of the texts of all cells
	ratio    int64 // unpacked bytes a packed one may become, beyond 1 MiB
	parts    int
	sheets   int
	strings  int // shared strings
	formats  int // of cells
}

var usual = bounds{packed: 64 << 20, unpacked: 256 << 20, ratio: 100, parts: 2000, sheets: 200, strings: 2 << 20, formats: 65_490}

// Masker rewrites one body after the other by one plan; it must not be used by
// two goroutines at once.
type Masker struct {
	judge  textmask.Judge
	plan   *plan.Plan
	table  plan.Table
	rec    *plan.Record
	ent    *plan.Entity
	most   int  // bytes of a row
	echoes bool // values are looked for where they come again
	bounds bounds

	book    *book
	out     *writer
	changed []byte // a value that was written anew
}

// New returns a masker for a plan of the format XLSX: its Root's elements are the
// records, and its Table says whether the first row has the names.
func New(p *plan.Plan, v *plan.Viewer, l jsonmask.Limits) *Masker {
	m := &Masker{bounds: usual}
	m.Reset(p, v, l)
	return m
}

// Reset makes m ready for the next body.
func (m *Masker) Reset(p *plan.Plan, v *plan.Viewer, l jsonmask.Limits) {
	m.judge.Reset(p, v, l)
	if m.plan != p {
		m.echoes = jsonmask.Echoes(p)
	}
	m.plan, m.table = p, plan.Table{}
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
	m.book, m.out = nil, nil
}

// Plan returns the plan m was made for.
func (m *Masker) Plan() *plan.Plan { return m.plan }

// Stats returns what was done so far.
func (m *Masker) Stats() jsonmask.Stats { return m.judge.Stats() }

// Reader returns the rewritten workbook of src. It may be called once after New
// or Reset. All of src is read, and judged, before the first byte comes out.
//
// Refused are, wrapping ErrWorkbook: what is no zip, an empty body too; parts that
// are encrypted, packed in another way than deflate, broken, of one name, or named
// so that they lead elsewhere; parts nobody knows; a workbook without a visible
// sheet, or with a chart or macros for one; parts that are not well-formed XML in
// UTF-8, or have a document type, an entity but XML's five, an instruction, a name
// beyond ASCII or a prefix that is not declared; strings and formats that are not
// there; cells out of order or twice; a sheet whose first row names no declared
// field; values in a column without a name. What is beyond a bound is a
// *jsonmask.LimitError.
// jsonmask.ErrNotVisible is returned for the single record that was asked for.
func (m *Masker) Reader(src io.Reader) io.Reader { return &reader{m: m, src: src} }

type reader struct {
	m   *Masker
	src io.Reader
	out bytes.Buffer
	err error
}

// Read implements io.Reader.
func (r *reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if r.src != nil {
		src := r.src
		r.src = nil
		if r.err = r.m.rewrite(&r.out, src); r.err != nil {
			r.out = bytes.Buffer{}
		}
	}
	if r.err != nil {
		return 0, r.err
	}
	return r.out.Read(p)
}

// rewrite reads the workbook of src and writes the new one.
func (m *Masker) rewrite(dst *bytes.Buffer, src io.Reader) error {
	body, err := io.ReadAll(io.LimitReader(src, int64(m.bounds.packed)+1))
	if err != nil {
		return fmt.Errorf("reading body: %w", err)
	}
	if len(body) > m.bounds.packed {
		return &jsonmask.LimitError{What: "size of a workbook", Limit: m.bounds.packed}
	}
	if m.book, err = m.open(body); err != nil {
		return err
	}
	defer func() { m.book, m.out = nil, nil }()
	m.out = newWriter(dst, m.bounds.packed, len(m.book.strings))
	for i, s := range m.book.sheets {
		if err := m.sheet(i+1, s.part); err != nil {
			return fmt.Errorf("sheet %d: %w", i+1, err)
		}
	}
	if m.judge.Missed() {
		return jsonmask.ErrNotVisible
	}
	return m.out.finish(m.book, m.sheetNames())
}
