// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"maps"

	"github.com/crmgate/crmgate/policy/plan"
	"github.com/crmgate/crmgate/policy/resource"
)

// restriction is what one template, role or switch takes away, in the map's
// names. Restrictions form a semilattice: join is commutative, associative and
// idempotent, the zero value is its neutral element, and a join is never laxer
// than either side.
type restriction struct {
	features map[string]bool // denied
	entities map[string]*entityRestriction
	mobile   mobileRestriction
}

// entityRestriction is what is taken away of one entity.
type entityRestriction struct {
	cells   [cells]Level
	types   [cells]map[string]bool      // types without access, folded
	fields  map[string]fieldRestriction // by the map's field name
	rows    plan.Scope
	conds   []*condition // all must hold for a record to be seen; sorted, each once
	most    int          // records one answer may hold; 0: not said
	unknown plan.Effect  // names the map does not know
	spelled bool         // unknown was written for this entity, not a default
}

// fieldRestriction is what is taken away of one field.
type fieldRestriction struct {
	view     plan.Effect
	create   writing
	edit     writing
	noLookup bool // may not be looked up by its whole value
}

// writing is what may be written into a field; joining takes the larger.
type writing uint8

const (
	mayWrite writing = iota
	mayFill          // only while it is empty
	mayNotWrite
)

// mobileRestriction holds the mobile permissions as restrictions.
type mobileRestriction struct {
	noOffline  bool
	maxLeads   int // 0: not said
	ignore     bool
	overwrite  bool // somebody wrote overwrite; ignore wins
	noCalls    bool
	noLocation bool
}

// cell is one column of the matrix; the bulk half follows the single half.
type cell uint8

const (
	cView cell = iota
	cCreate
	cEdit
	cDelete
	cExport
	cImport
	cComplete
	cBulkCreate
	cBulkEdit
	cBulkDelete
	cells
)

var cellNames = [cells]string{"view", "create", "edit", "delete", "export", "import", "mark_complete", "bulk create", "bulk edit", "bulk delete"}

// cellOf returns the single cell of an action; ok is false for an action that is
// no column, which is then refused.
func cellOf(a resource.Action) (c cell, ok bool) {
	switch a {
	case resource.View:
		return cView, true
	case resource.Create:
		return cCreate, true
	case resource.Edit:
		return cEdit, true
	case resource.Delete:
		return cDelete, true
	case resource.Export:
		return cExport, true
	case resource.Import:
		return cImport, true
	case resource.MarkComplete:
		return cComplete, true
	}
	return 0, false
}

// bulkOf returns the bulk cell that stands beside a single one.
func bulkOf(c cell) (cell, bool) {
	switch c {
	case cCreate:
		return cBulkCreate, true
	case cEdit:
		return cBulkEdit, true
	case cDelete:
		return cBulkDelete, true
	}
	return 0, false
}

// join returns what a and b take away together. Neither is changed.
func join(a, b *restriction) *restriction {
	out := &restriction{
		features: union(a.features, b.features),
		entities: make(map[string]*entityRestriction, len(a.entities)+len(b.entities)),
		mobile:   a.mobile.join(b.mobile),
	}
	maps.Copy(out.entities, a.entities)
	for name, e := range b.entities {
		if mine := out.entities[name]; mine != nil {
			e = joinEntity(mine, e)
		}
		out.entities[name] = e
	}
	return out
}

func joinEntity(a, b *entityRestriction) *entityRestriction {
	out := &entityRestriction{
		fields:  maps.Clone(a.fields),
		rows:    max(a.rows, b.rows),
		conds:   joinConditions(a.conds, b.conds),
		most:    least(a.most, b.most),
		unknown: max(a.unknown, b.unknown),
		spelled: a.spelled || b.spelled,
	}
	for c := range cells {
		out.cells[c] = max(a.cells[c], b.cells[c])
		out.types[c] = union(a.types[c], b.types[c])
	}
	if out.fields == nil {
		out.fields = make(map[string]fieldRestriction, len(b.fields))
	}
	for name, f := range b.fields {
		out.fields[name] = out.fields[name].join(f)
	}
	return out
}

func (f fieldRestriction) join(g fieldRestriction) fieldRestriction {
	return fieldRestriction{
		view:     max(f.view, g.view),
		create:   max(f.create, g.create),
		edit:     max(f.edit, g.edit),
		noLookup: f.noLookup || g.noLookup,
	}
}

func (m mobileRestriction) join(n mobileRestriction) mobileRestriction {
	out := mobileRestriction{
		noOffline:  m.noOffline || n.noOffline,
		maxLeads:   m.maxLeads,
		ignore:     m.ignore || n.ignore,
		overwrite:  m.overwrite || n.overwrite,
		noCalls:    m.noCalls || n.noCalls,
		noLocation: m.noLocation || n.noLocation,
	}
	out.maxLeads = least(m.maxLeads, n.maxLeads)
	return out
}

// least is the smaller of two caps, of which 0 says nothing.
func least(a, b int) int {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

func union(a, b map[string]bool) map[string]bool {
	if len(b) == 0 {
		return a
	}
	if len(a) == 0 {
		return b
	}
	out := maps.Clone(a)
	maps.Copy(out, b)
	return out
}

// entity returns the part about one entity, made when it is not there yet. Only
// for a restriction that is being built.
func (r *restriction) entity(name string) *entityRestriction {
	if r.entities == nil {
		r.entities = map[string]*entityRestriction{}
	}
	e := r.entities[name]
	if e == nil {
		e = &entityRestriction{fields: map[string]fieldRestriction{}}
		r.entities[name] = e
	}
	return e
}

// none is what an entity nobody restricts has. It is never written to.
var none = &entityRestriction{}

// of returns the part about one entity; it never returns nil.
func (r *restriction) of(name string) *entityRestriction {
	if e := r.entities[name]; e != nil {
		return e
	}
	return none
}

// hard says whether somebody decided something about what is seen of the
// entity's fields: a masked or hidden field, or a spelled rule for unknown ones.
func (e *entityRestriction) hard() bool {
	if e.spelled && e.unknown > plan.Show || e.cells[cView] == NoAccess {
		return true
	}
	for _, f := range e.fields {
		if f.view > plan.Detect {
			return true
		}
	}
	return false
}

// any says whether anything at all is taken away of the entity.
func (e *entityRestriction) any() bool {
	for c := range cells {
		if e.cells[c] != Full || len(e.types[c]) > 0 {
			return true
		}
	}
	return e.rows != plan.All || len(e.conds) > 0 || e.most > 0 || e.unknown > plan.Show || len(e.fields) > 0
}
