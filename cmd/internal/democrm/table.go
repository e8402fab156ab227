// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package democrm

import (
	"slices"
	"strings"
)

// kind says how values of a column compare.
type kind uint8

const (
	text   kind = iota
	number      // decimal digits; compares by size
	date        // timeLayout; compares by time
)

// column is one field of an entity, by its schema name.
type column struct {
	name     string
	label    string
	kind     kind
	readOnly bool   // set by the CRM alone
	group    string // heading it stands under in the web UI
}

// schema is the ordered list of an entity's columns. Immutable.
type schema struct {
	entity string
	cols   []column
	index  map[string]int
	id     int
	all    []int
}

func newSchema(entity, id string, cols []column) *schema {
	s := &schema{entity: entity, cols: cols, index: make(map[string]int, len(cols))}
	for i, c := range cols {
		s.index[strings.ToLower(c.name)] = i
		s.all = append(s.all, i)
	}
	s.id = s.index[strings.ToLower(id)]
	return s
}

// find returns the position of a column by name, in any case.
func (s *schema) find(name string) (int, bool) {
	i, ok := s.index[strings.ToLower(strings.TrimSpace(name))]
	return i, ok
}

// must is find for names written in this package.
func (s *schema) must(name string) int {
	i, ok := s.find(name)
	if !ok {
		panic("democrm: " + s.entity + " has no column " + name)
	}
	return i
}

// record is one row; a nil cell is JSON null. Never changed once in a table.
type record struct{ cells []*string }

func (s *schema) blank() *record { return &record{make([]*string, len(s.cols))} }

func (s *schema) get(r *record, name string) string { return r.at(s.must(name)) }

func (s *schema) set(r *record, name, value string) { r.cells[s.must(name)] = &value }

func (s *schema) idOf(r *record) string { return r.at(s.id) }

func (r *record) at(i int) string {
	if p := r.cells[i]; p != nil {
		return *p
	}
	return ""
}

func (r *record) clone() *record { return &record{slices.Clone(r.cells)} }

// table is an entity's records in the order they were made, with a look-up by id.
type table struct {
	*schema
	rows []*record
	byID map[string]int
}

func newTable(s *schema) *table { return &table{schema: s, byID: map[string]int{}} }

func (t *table) insert(r *record) {
	t.byID[strings.ToLower(t.idOf(r))] = len(t.rows)
	t.rows = append(t.rows, r)
}

func (t *table) lookup(id string) (*record, bool) {
	i, ok := t.byID[strings.ToLower(strings.TrimSpace(id))]
	if !ok {
		return nil, false
	}
	return t.rows[i], true
}

// replace puts a changed copy in the stead of the record of the same id.
func (t *table) replace(r *record) { t.rows[t.byID[strings.ToLower(t.idOf(r))]] = r }

// removeIf drops the records for which gone says so and tells how many.
func (t *table) removeIf(gone func(*record) bool) int {
	before := len(t.rows)
	t.rows = slices.DeleteFunc(t.rows, gone)
	if len(t.rows) == before {
		return 0
	}
	clear(t.byID)
	for i, r := range t.rows {
		t.byID[strings.ToLower(t.idOf(r))] = i
	}
	return before - len(t.rows)
}

// where returns the records that keep says yes to, in a slice of its own.
func where(rows []*record, keep func(*record) bool) []*record {
	var out []*record
	for _, r := range rows {
		if keep(r) {
			out = append(out, r)
		}
	}
	return out
}
