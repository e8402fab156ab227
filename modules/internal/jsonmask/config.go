// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package jsonmask

import (
	"github.com/crmgate/crmgate/policy/mask"
	"github.com/crmgate/crmgate/policy/plan"
)

var (
	nullJSON = []byte("null")

	// closed is the table of a plan that names none: nothing is shown.
	closed = &plan.Entity{Unknown: &plan.Treatment{Effect: plan.Hide}}

	// nameless treats a value whose field cannot be told.
	nameless = &plan.Treatment{Effect: plan.Mask, Mask: &mask.Func{Name: "full"}}
)

// config is what the masker reads off a plan once.
type config struct {
	plan     *plan.Plan
	fallback *plan.Entity
	sets     map[string]int      // index of each set of records
	rowed    []bool              // by set: rows are filtered
	filters  bool                // any record of the plan can be dropped
	single   bool                // a record reached by member names alone can be dropped
	detects  bool                // personal data is looked for in fields
	secrets  bool                // a field is masked or hidden
	echoes   bool                // what is masked or hidden is looked for elsewhere
	declared map[string]struct{} // names that records of filtered sets have
}

// envelope holds the names that the error answers of most APIs use. An object
// in place of another shape may have them where rows are filtered, though a
// field of the same name is declared.
var envelope = map[string]struct{}{
	"status": {}, "code": {}, "type": {}, "message": {}, "error": {}, "success": {},
}

func newConfig(p *plan.Plan) *config {
	c := &config{plan: p, fallback: p.Fallback, sets: map[string]int{}, declared: map[string]struct{}{}, filters: p.MaxRows > 0}
	if c.fallback == nil {
		c.fallback = closed
	}
	b := builder{config: c, nodes: map[*plan.Node]bool{}, ents: map[*plan.Entity]bool{}}
	b.entity(c.fallback)
	b.node(p.Root, nil)
	c.single = singleRows(p.Root)
	c.echoes = c.detects && c.secrets && hears(p)
	return c
}

// hears reports whether texts are searched in the records of a plan, or in anything
// where there are no records. Where unknown fields of all records are shown as they
// are, their values are not looked for around the records either.
func hears(p *plan.Plan) bool {
	type place struct {
		node   *plan.Node
		inside bool // a record: plans may share nodes between there and elsewhere
	}
	records, searched, seen := false, false, map[place]bool{}
	table := func(e *plan.Entity) {
		if e == nil || e.Unknown == nil || e.Unknown.Effect == plan.Show {
			return
		}
		searched = searched || e.Unknown.Effect == plan.Detect
		for _, t := range e.Fields {
			searched = searched || t.Effect == plan.Detect
		}
	}
	var visit func(n *plan.Node, ent *plan.Entity, inside bool)
	visit = func(n *plan.Node, ent *plan.Entity, inside bool) {
		if n == nil || seen[place{n, inside}] {
			return
		}
		seen[place{n, inside}] = true
		if n.Entity != nil {
			ent = n.Entity
		}
		if r := n.Record; r != nil {
			if records, inside = true, true; r.Entity != nil {
				ent = r.Entity
			}
			table(ent)
			for _, m := range r.Nested {
				visit(m, ent, true)
			}
		}
		if inside {
			table(n.Entity)
		}
		if n.Matrix != nil && n.Matrix.Entity != nil {
			table(n.Matrix.Entity)
		}
		if n.Pairs != nil {
			for _, m := range n.Pairs.Nested {
				visit(m, ent, inside)
			}
		}
		for _, m := range n.Members {
			visit(m, ent, inside)
		}
		visit(n.Elements, ent, inside)
	}
	visit(p.Root, p.Fallback, false)
	return searched || !records
}

// builder visits every node of a plan once; plans may share nodes.
type builder struct {
	*config
	nodes map[*plan.Node]bool
	ents  map[*plan.Entity]bool
}

func (b *builder) node(n *plan.Node, ent *plan.Entity) {
	if n == nil || b.nodes[n] {
		return
	}
	b.nodes[n] = true
	if n.Entity != nil {
		ent = n.Entity
	}
	b.entity(n.Entity)
	for _, m := range n.Members {
		b.node(m, ent)
	}
	b.node(n.Elements, ent)
	if n.Total != "" {
		b.set(n.Total)
	}
	if n.Pairs != nil {
		for _, m := range n.Pairs.Nested {
			b.node(m, ent)
		}
	}
	if n.Matrix != nil {
		b.entity(n.Matrix.Entity)
		if b.plan.MaxRows > 0 { // otherwise nobody counts its rows
			b.set(n.Matrix.Set)
		}
	}
	if r := n.Record; r != nil {
		i := b.set(r.Set)
		b.entity(r.Entity)
		if filtered(r.Rows) {
			b.rowed[i], b.filters = true, true
			b.declare(r, ent)
		}
		for _, m := range r.Nested {
			b.node(m, r.Entity)
		}
	}
}

// declare notes the names by which a record of r can be known.
func (b *builder) declare(r *plan.Record, ent *plan.Entity) {
	if r.Entity != nil {
		ent = r.Entity
	}
	if ent != nil {
		for n := range ent.Fields {
			b.declared[n] = struct{}{}
		}
	}
	for n := range r.Nested {
		b.declared[n] = struct{}{}
	}
	for n := range envelope {
		delete(b.declared, n)
	}
	for _, n := range r.Rows.Owner {
		b.declared[n] = struct{}{}
	}
	for _, via := range r.Rows.Via {
		b.declared[via.At] = struct{}{}
	}
	if r.Rows.Where != nil {
		for _, n := range r.Rows.Where.Needs() {
			b.declared[n] = struct{}{}
		}
	}
}

func (b *builder) entity(e *plan.Entity) {
	if e == nil || b.ents[e] {
		return
	}
	b.ents[e] = true
	for _, t := range e.Fields {
		b.effect(t)
		b.node(t.Text, e)
	}
	if e.Unknown != nil {
		b.effect(e.Unknown)
		b.node(e.Unknown.Text, e)
	}
}

func (b *builder) effect(t *plan.Treatment) {
	b.detects = b.detects || t.Effect == plan.Detect
	b.secrets = b.secrets || t.Effect >= plan.Mask
}

func (b *builder) set(name string) int {
	i, ok := b.sets[name]
	if !ok {
		i = len(b.rowed)
		b.sets[name] = i
		b.rowed = append(b.rowed, false)
	}
	return i
}

// filtered reports whether rows can keep a record from somebody.
func filtered(r *plan.Rows) bool { return r != nil && (r.Scope != plan.All || r.Where != nil) }

// singleRows reports whether a record that can be dropped sits at the root or
// at members of it: what was asked for is one record then, not a list.
func singleRows(n *plan.Node) bool {
	seen := map[*plan.Node]bool{}
	var visit func(n *plan.Node) bool
	visit = func(n *plan.Node) bool {
		if n == nil || n.Keyed || seen[n] {
			return false
		}
		seen[n] = true
		if n.Record != nil {
			return filtered(n.Record.Rows)
		}
		for _, m := range n.Members {
			if visit(m) {
				return true
			}
		}
		return false
	}
	return visit(n)
}
