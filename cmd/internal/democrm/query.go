// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package democrm

import (
	"slices"
	"strings"
)

// Caps of one page.
const (
	defaultPage  = 25
	maxLeads     = 5000
	maxEvents    = 1000
	maxQuickHits = 100
)

// The parts that searches share.
type (
	lookup struct {
		LookupName  string
		LookupValue scalar
		SqlOperator string
	}
	columns struct {
		Include_CSV string
		Exclude_CSV string
	}
	sorting struct {
		ColumnName string
		Direction  scalar
	}
	paging struct {
		PageIndex, PageSize scalar
		Offset, RowCount    scalar
	}
	period struct {
		FromDate, ToDate    scalar
		ActivityEvent       scalar
		IncludeCustomFields scalar
	}
)

// test compiles the look-up for a schema; a missing or unknown name is an error.
func (l lookup) test(s *schema) (func(*record) bool, error) {
	if strings.TrimSpace(l.LookupName) == "" {
		return nil, fail("MandatoryAttributeMissing", "'LookupName' is mandatory")
	}
	i, ok := s.find(l.LookupName)
	if !ok {
		return nil, unknownAttribute(s, l.LookupName)
	}
	op := l.SqlOperator
	if strings.TrimSpace(op) == "" {
		op = "="
	}
	t, err := newTest(s.cols[i].kind, op, string(l.LookupValue))
	if err != nil {
		return nil, err
	}
	return func(r *record) bool { return t(r.cells[i]) }, nil
}

func unknownAttribute(s *schema, name string) error {
	return fail("UnknownAttribute", "%s has no attribute %q", s.entity, name)
}

// pick resolves the columns to answer. Nothing asked for means everything.
func (c columns) pick(s *schema) ([]int, error) {
	include, err := csvColumns(s, c.Include_CSV)
	if err != nil {
		return nil, err
	}
	exclude, err := csvColumns(s, c.Exclude_CSV)
	if err != nil {
		return nil, err
	}
	if len(include) == 0 {
		include = s.all
	}
	if len(exclude) == 0 {
		return include, nil
	}
	return slices.DeleteFunc(slices.Clone(include), func(i int) bool { return slices.Contains(exclude, i) }), nil
}

func csvColumns(s *schema, csv string) ([]int, error) {
	var out []int
	for name := range strings.SplitSeq(csv, ",") {
		if strings.TrimSpace(name) == "" {
			continue
		}
		i, ok := s.find(name)
		if !ok {
			return nil, unknownAttribute(s, strings.TrimSpace(name))
		}
		if !slices.Contains(out, i) {
			out = append(out, i)
		}
	}
	return out, nil
}

// sort orders rows by the column asked for; without one the order stays.
// Direction 1 is descending, 0 ascending. Nulls come lowest.
func (o sorting) sort(s *schema, rows []*record) error {
	if strings.TrimSpace(o.ColumnName) == "" {
		return nil
	}
	i, ok := s.find(o.ColumnName)
	if !ok {
		return unknownAttribute(s, o.ColumnName)
	}
	desc := false
	switch strings.ToLower(strings.TrimSpace(string(o.Direction))) {
	case "", "0", "asc":
	case "1", "desc":
		desc = true
	default:
		return fail("InvalidInput", "sort direction must be 0 (ascending) or 1 (descending)")
	}
	sortBy(s, rows, i, desc)
	return nil
}

func sortBy(s *schema, rows []*record, col int, desc bool) {
	k := s.cols[col].kind
	slices.SortStableFunc(rows, func(a, b *record) int {
		n := compareCells(k, a.cells[col], b.cells[col])
		if desc {
			return -n
		}
		return n
	})
}

func compareCells(k kind, a, b *string) int {
	switch {
	case a == nil && b == nil:
		return 0
	case a == nil:
		return -1
	case b == nil:
		return 1
	}
	return compare(k, *a, *b)
}

// cut takes the page asked for out of rows, in either dialect. Sizes beyond
// the cap are brought down to it.
func (p paging) cut(rows []*record, limit int) ([]*record, error) {
	size, err := p.PageSize.number("PageSize", defaultPage)
	if err != nil {
		return nil, err
	}
	page, err := p.PageIndex.number("PageIndex", 1)
	if err != nil {
		return nil, err
	}
	if page < 1 || size < 1 {
		return nil, fail("InvalidInput", "PageIndex and PageSize start at 1")
	}
	size = min(size, limit)
	start := min(page-1, len(rows)) * size
	if p.Offset != "" || p.RowCount != "" {
		if start, err = p.Offset.number("Offset", 0); err != nil {
			return nil, err
		}
		if size, err = p.RowCount.number("RowCount", defaultPage); err != nil {
			return nil, err
		}
		if start < 0 || size < 1 {
			return nil, fail("InvalidInput", "Offset starts at 0 and RowCount at 1")
		}
		size = min(size, limit)
	}
	start = min(start, len(rows))
	return rows[start:min(start+size, len(rows))], nil
}

// within keeps the records whose named date column lies in the period. Both
// ends are needed, as the API documents.
func (p period) within(s *schema, column string) (func(*record) bool, error) {
	from, okFrom := parseTime(string(p.FromDate))
	to, okTo := parseTime(string(p.ToDate))
	if !okFrom || !okTo {
		return nil, fail("InvalidInput", "'FromDate' and 'ToDate' are mandatory, as YYYY-MM-DD HH:MM:SS")
	}
	i, low, high := s.must(column), formatTime(from), formatTime(to)
	return func(r *record) bool { v := r.at(i); return v >= low && v <= high }, nil
}
