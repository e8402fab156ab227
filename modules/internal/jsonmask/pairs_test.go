// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package jsonmask

import (
	"strings"
	"testing"

	"github.com/crmgate/crmgate/policy/plan"
)

// TestPairsAreLearnedForTheirPlace holds that what one pair taught is used only
// where it holds: by the record around it, and by what is looked for there.
func TestPairsAreLearnedForTheirPlace(t *testing.T) {
	ent := &plan.Entity{Unknown: &plan.Treatment{}, Fields: map[string]*plan.Treatment{
		"phone": crm.Fields["phone"], "obj": {Field: "obj", Effect: plan.Detect}, "ownerid": {Field: "owner"},
	}}
	pairs := &plan.Pairs{Name: []string{"attribute", "name"}, Value: []string{"value"}}
	pairs.Nested = map[string]*plan.Node{"value": {Pairs: pairs}}
	rec := func(r *plan.Rows) *plan.Node {
		return &plan.Node{Elements: &plan.Node{Record: &plan.Record{
			Entity: ent, Set: "s", Rows: r, Nested: map[string]*plan.Node{"p": {Pairs: pairs}},
		}}}
	}
	p := &plan.Plan{Fallback: ent, Root: &plan.Node{Members: map[string]*plan.Node{"all": rec(nil), "own": rec(own)}}}
	pair := func(name, value string) string { return `{"Attribute":"` + name + `","Value":` + value + `}` }
	lead := func(owner, more string) string {
		return `{"p":[` + pair("City", `"`+far+`"`) + `,` + pair("OwnerId", `"`+owner+`"`) + `,` + pair("City", `"`+far+`"`) + more + `]}`
	}
	inner := func(value string) string {
		return `,` + pair("Obj", `[`+pair("City", `"`+value+`"`)+`,`+pair("City", `"`+value+`"`)+`]`)
	}
	for _, c := range []struct{ name, in, want string }{
		{
			"owners count in records with rows, and nowhere else",
			`{"all":[` + lead("u2", "") + `,` + lead("u2", "") + `],"own":[` + lead("u2", "") + `,` + lead("u1", "") + `,` + lead("u3", "") + `,` + lead("u1", "") + `]}`,
			`{"all":[` + lead("u2", "") + `,` + lead("u2", "") + `],"own":[` + lead("u1", "") + `,` + lead("u1", "") + `]}`,
		},
		{
			"within a field that is searched, shown pairs are searched",
			`{"all":[` + lead("u2", inner("98765 43210")) + `,` + lead("u2", inner("98765 43210")) + `]}`,
			`{"all":[` + lead("u2", inner("XXXXXXXX")) + `,` + lead("u2", inner("XXXXXXXX")) + `]}`,
		},
		{
			"a pair of two names does not mask the pairs of one",
			`{"all":[{"p":[{"Attribute":"City","Value":"x","Name":"Phone"},` + pair("City", `"`+far+`"`) + `,` + pair("City", `"`+far+`"`) + `]}]}`,
			`{"all":[{"p":[{"Attribute":"City","Value":"XXXXXXXX","Name":"Phone"},` + pair("City", `"`+far+`"`) + `,` + pair("City", `"`+far+`"`) + `]}]}`,
		},
	} {
		m := New(p, viewer, Limits{})
		for round := range 3 {
			got, err := m.Append(nil, []byte(c.in))
			if err != nil || string(got) != c.want {
				t.Errorf("%s, body %d: %v\ngot  %s\nwant %s", c.name, round, err, got, c.want)
			}
			m.Reset(p, viewer, Limits{})
		}
	}
}

// TestMatrixNameless holds that a member without a name, which a matrix whose
// columns the request named cannot mean, is treated like any other.
func TestMatrixNameless(t *testing.T) {
	p := &plan.Plan{Fallback: crm, Root: &plan.Node{Matrix: &plan.Matrix{Columns: []string{"a"}, Rows: "rows"}}}
	for _, name := range []string{"", "_", "- "} {
		in := `{"` + name + `":["98765 43210","x","y"],"rows":[[1]]}`
		got, err := New(p, viewer, Limits{}).Append(nil, []byte(in))
		if want := strings.Replace(in, "98765 43210", "XXXXXXXX", 1); err != nil || string(got) != want {
			t.Errorf("%v: %s, want %s: somebody reads what nobody looked at", err, got, want)
		}
	}
}

// TestPlainEnd tries every byte at every place of a word.
func TestPlainEnd(t *testing.T) {
	for c := range 256 {
		plain := c >= ' ' && c < 0x80 && c != '"' && c != '\\'
		for at := range 24 {
			for _, fill := range []byte{' ', '!', '#', 'a', ']', '~', 0x7F} {
				text := []byte(strings.Repeat(string(fill), 27))
				text[at] = byte(c)
				want := len(text)
				if !plain {
					want = at
				}
				if got := plainEnd(text, 0); got != want {
					t.Fatalf("byte %#x at %d among %q: plain up to %d, want %d", c, at, fill, got, want)
				}
				text[20] = '"'
				if got := plainEnd(text, 0); got != min(want, 20) {
					t.Fatalf("byte %#x at %d among %q with a quote behind: plain up to %d", c, at, fill, got)
				}
			}
		}
	}
}
