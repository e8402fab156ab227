// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package democrm

import (
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// maxConditions bounds an advanced search: groups, and rows of one group.
const maxConditions = 100

// advancedSearch is what the AdvancedSearch string of a request holds: JSON
// inside a JSON string.
type advancedSearch struct {
	GrpConOp   string
	Conditions []searchCondition
}

type searchCondition struct {
	Type         string
	ConOp        string
	RowCondition []searchRow
}

type searchRow struct {
	SubConOp string
	LSO      string
	LSO_Type string
	Operator string
	RSO      scalar
}

// parseAdvanced reads an AdvancedSearch string. An empty string, junk, no
// conditions, an unknown joining word or an over-long search is an error: a
// search that cannot be understood never finds everything.
func parseAdvanced(text string) (*advancedSearch, error) {
	var a advancedSearch
	err := json.Unmarshal([]byte(text), &a,
		json.MatchCaseInsensitiveNames(true), jsontext.AllowDuplicateNames(true))
	if err != nil {
		return nil, fail("InvalidInput", "'AdvancedSearch' is not a search: JSON in a string was expected")
	}
	if len(a.Conditions) == 0 || len(a.Conditions) > maxConditions {
		return nil, fail("InvalidInput", "'AdvancedSearch' takes 1 to %d conditions", maxConditions)
	}
	if !isJoin(a.GrpConOp) {
		return nil, fail("InvalidInput", "'GrpConOp' must be And or Or")
	}
	for _, c := range a.Conditions {
		if !isJoin(c.ConOp) {
			return nil, fail("InvalidInput", "'ConOp' must be And or Or")
		}
		if len(c.RowCondition) == 0 || len(c.RowCondition) > maxConditions {
			return nil, fail("InvalidInput", "each condition takes 1 to %d rows in 'RowCondition'", maxConditions)
		}
		for _, r := range c.RowCondition {
			if !isJoin(r.SubConOp) {
				return nil, fail("InvalidInput", "'SubConOp' must be And or Or")
			}
		}
	}
	return &a, nil
}

func isJoin(s string) bool {
	return s == "" || strings.EqualFold(s, "and") || strings.EqualFold(s, "or")
}

// side is one kind of record a condition may speak about, seen from the record
// that is searched for: the lead itself, its activities, an opportunity's lead.
type side struct {
	schema *schema
	of     func(*record) []*record
}

// compile makes the search a test. sides maps the lower-case Type of a
// condition; a condition of another type is an error. Rows of a condition are
// joined by their SubConOp, conditions by their ConOp (or GrpConOp when they
// have none), both from left to right.
func (a *advancedSearch) compile(sides map[string]side) (func(*record) bool, error) {
	type joined struct {
		or    bool
		match func(*record) bool
	}
	var all []joined
	for _, c := range a.Conditions {
		s, ok := sides[strings.ToLower(c.Type)]
		if !ok {
			return nil, fail("InvalidInput", "a condition of type %q cannot be used in this search", c.Type)
		}
		rows, err := compileRows(s.schema, c.RowCondition)
		if err != nil {
			return nil, err
		}
		join := c.ConOp
		if join == "" {
			join = a.GrpConOp
		}
		all = append(all, joined{strings.EqualFold(join, "or"), func(r *record) bool {
			return slices.ContainsFunc(s.of(r), rows)
		}})
	}
	return func(r *record) bool {
		result := all[0].match(r)
		for _, j := range all[1:] {
			if j.or {
				result = result || j.match(r)
			} else {
				result = result && j.match(r)
			}
		}
		return result
	}, nil
}

func compileRows(s *schema, rows []searchRow) (func(*record) bool, error) {
	type joined struct {
		or  bool
		col int
		t   test
	}
	var all []joined
	for _, row := range rows {
		i, ok := s.find(row.LSO)
		if !ok {
			return nil, unknownAttribute(s, row.LSO)
		}
		t, err := newTest(s.cols[i].kind, row.Operator, string(row.RSO))
		if err != nil {
			return nil, err
		}
		all = append(all, joined{strings.EqualFold(row.SubConOp, "or"), i, t})
	}
	return func(r *record) bool {
		result := all[0].t(r.cells[all[0].col])
		for _, j := range all[1:] {
			if j.or {
				result = result || j.t(r.cells[j.col])
			} else {
				result = result && j.t(r.cells[j.col])
			}
		}
		return result
	}, nil
}
