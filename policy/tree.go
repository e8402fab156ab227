// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"
	"slices"

	"github.com/crmgate/crmgate/policy/plan"
	"github.com/crmgate/crmgate/policy/resource"
)

// tree compiles the declared shape of an answer into plan nodes. What cannot be
// said in nodes while something must be rewritten is a cannot, and refuses the
// operation.
type tree struct {
	set     *Set
	rights  *rights
	root    *plan.Node
	entity  string                   // the operation's
	route   *resource.Route          //
	columns []string                 // of the request
	part    bool                     // the answer is a part of another
	nested  int                      // records around what is compiled now
	scoped  bool                     // false for what describes the caller or the schema: no rows, no view cell
	primary bool                     // the operation's entity is one of accounts: which group right counts
	records map[recordKey]*plan.Node // records that nest in themselves are one node
	touched map[string]bool          // entities whose records are in the answer
	exact   *resource.Field          // what records were looked up by; nil for no such thing
	twice   bool                     // some record is known by the owner of another
	limited bool                     // some record is filtered by rows
	cannot  error
	reason  Reason
}

type recordKey struct {
	set    *resource.RecordSet
	entity string
	scoped bool
}

func (t *tree) fail(reason Reason, format string, args ...any) {
	if t.cannot == nil {
		t.reason, t.cannot = reason, fmt.Errorf(format, args...)
	}
}

// resolveEntity finds the entity a record set names: a template is the route's
// own entity, read from the request.
func (t *tree) resolveEntity(name, outer string) string {
	if name == "" {
		return outer
	}
	if e := t.set.crm.EntityNamed(name); e != nil {
		return e.Name
	}
	return t.entity
}

// table is the field table of an entity in this answer. What a person is told
// about himself does not fall under what he may see of others.
func (t *tree) table(entity string) *plan.Entity {
	if !t.scoped && t.rights.tables[entity] != nil {
		return t.rights.tables[entity]
	}
	return t.rights.table(entity)
}

func (t *tree) build(sets []*resource.RecordSet) {
	t.root = &plan.Node{}
	for _, rs := range sets {
		t.add(t.root, rs, t.entity, false)
		if rs.Total != nil {
			n := t.descend(t.root, rs.Total.Steps)
			n.Total = setName(rs)
		}
	}
}

func setName(rs *resource.RecordSet) string {
	if rs.Set != "" {
		return rs.Set
	}
	return rs.At.String()
}

// descend walks from a node along steps, making what is not there.
func (t *tree) descend(n *plan.Node, steps []resource.Step) *plan.Node {
	for _, s := range steps {
		switch {
		case s.Kind == resource.Elements || s.Kind == resource.Members || s.Index >= 0:
			if n.Elements == nil {
				n.Elements = &plan.Node{}
			}
			n.Keyed = n.Keyed || s.Kind == resource.Members
			n = n.Elements
		default:
			if n.Members == nil {
				n.Members = map[string]*plan.Node{}
			}
			next := n.Members[s.Fold]
			if next == nil {
				next = &plan.Node{}
				n.Members[s.Fold] = next
			}
			n = next
		}
	}
	return n
}

// add puts one record set below a node. Inside says that the record it hangs in
// is filtered by rows already.
func (t *tree) add(n *plan.Node, rs *resource.RecordSet, outer string, inside bool) {
	entity := t.resolveEntity(rs.Entity, outer)
	t.touched[entity] = true
	steps := rs.At.Steps
	switch rs.Style {
	case resource.MatrixRecord:
		t.matrix(n, rs, entity)
		return
	case resource.HistoryRecord:
		t.noRows(rs, entity, inside)
		if len(steps) > 0 && steps[len(steps)-1].Kind == resource.Elements {
			at := t.descend(n, steps[:len(steps)-1])
			at.Pairs = &plan.Pairs{Name: foldAll(rs.Name), Value: foldAll(rs.Value)}
			at.Entity = t.table(entity)
			return
		}
		t.opaque(entity, "a change history that is not a list")
		return
	case resource.PairsRecord:
		t.noRows(rs, entity, inside)
		at := t.descend(n, steps)
		at.Pairs = &plan.Pairs{Name: foldAll(rs.Name), Value: foldAll(rs.Value)}
		at.Entity = t.table(entity)
		return
	case resource.IDNameRecord:
		t.noRows(rs, entity, inside)
		t.opaque(entity, "records written as id and name")
		t.descend(n, steps).Entity = t.table(entity)
		return
	}
	at := t.descend(n, steps)
	record := t.record(rs, entity, inside)
	at.Record, at.Entity = record.Record, record.Entity
}

// record compiles one record; a set that nests in itself gives one shared node.
func (t *tree) record(rs *resource.RecordSet, entity string, inside bool) *plan.Node {
	key := recordKey{rs, entity, inside}
	if n := t.records[key]; n != nil {
		return n
	}
	rec := &plan.Record{Entity: t.table(entity), Set: setName(rs), Scalar: rs.Style == resource.IDRecord}
	rec.Free = t.nested > 0 && entity != t.entity // a cap is one of the operation's entity
	n := &plan.Node{Record: rec}
	t.records[key] = n
	rec.Rows = t.rowsOf(rs, entity, inside)
	if rec.Scalar {
		if rec.Rows != nil {
			t.fail(RowDenied, "the answer lists ids of %s alone, so that nobody can tell whose they are", entity)
		}
		return n
	}
	body := &plan.Node{} // collects what is inside the record; its members become Nested
	for _, p := range rs.Parts {
		at := t.descend(body, p.At.Steps)
		pe := t.table(t.resolveEntity(p.Entity, entity))
		if pe != rec.Entity {
			at.Entity = pe
		}
		if p.Style == "map" {
			at.Fields = true
			continue
		}
		at.Pairs = pairs(p)
	}
	inner := slices.Clone(rs.Nested)
	if e := t.set.crm.Entities[entity]; e != nil {
		inner = append(inner, e.Nested...)
	}
	t.nested++
	defer func() { t.nested-- }()
	for _, nested := range inner {
		if len(nested.At.Steps) == 0 {
			t.opaque(entity, "a record that is two records at once")
			continue
		}
		t.add(body, nested, entity, inside || rec.Rows != nil)
	}
	rec.Nested = body.Members
	if body.Elements != nil {
		t.opaque(entity, "a record that is a list")
	}
	return n
}

func pairs(p *resource.Part) *plan.Pairs {
	out := &plan.Pairs{Name: foldAll(p.Name), Value: foldAll(p.Value)}
	for _, m := range p.Nested {
		if out.Nested == nil {
			out.Nested = map[string]*plan.Node{}
		}
		out.Nested[resource.Fold(m)] = &plan.Node{Pairs: out}
	}
	return out
}

func foldAll(names []string) []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = resource.Fold(n)
	}
	return out
}

// farColumns refuses columns that lead through other records to a field that is
// restricted there: a row has one table, and it is not that record's.
func (t *tree) farColumns(entity string) {
	e := t.set.crm.Entities[entity]
	for _, name := range t.columns {
		if e == nil {
			return
		}
		far, f := t.set.crm.FieldNamed(e, name)
		switch {
		case far == e:
		case far == nil && len(t.rights.hard) > 0:
			t.fail(ActionDenied, "the answer holds a column that leads where the map does not know the way")
		case far != nil && t.rights.hard[far.Name] && (f == nil || restrictedWire(t.table(far.Name), f)):
			t.fail(ActionDenied, "the answer holds a column of %s, which cannot be masked in a table of %s", far.Name, entity)
		}
	}
}

// restrictedWire says whether any wire name of a field is not shown as it is.
func restrictedWire(table *plan.Entity, f *resource.Field) bool {
	for _, name := range f.Names {
		if table.Treat([]byte(resource.Fold(name))).Effect != plan.Show {
			return true
		}
	}
	return false
}

// matrix compiles rows by position. Columns and rows must stand side by side.
func (t *tree) matrix(n *plan.Node, rs *resource.RecordSet, entity string) {
	t.noRows(rs, entity, false)
	rows := rs.At.Steps
	if rs.Columns.Rows != nil {
		rows = rs.Columns.Rows.Steps
	} else if len(rows) > 0 && rows[len(rows)-1].Kind == resource.Elements {
		rows = rows[:len(rows)-1]
	}
	m := &plan.Matrix{Entity: t.table(entity), Set: setName(rs)}
	if rs.Columns.Request {
		m.Columns = t.columns
		t.farColumns(entity)
		t.descend(n, rows).Matrix = m
		if len(m.Columns) == 0 {
			t.opaque(entity, "a table whose columns the request does not name")
		}
		return
	}
	cols := rs.Columns.At.Steps
	last := len(cols) - 1
	if last < 0 || len(rows) != len(cols) || !sameSteps(rows[:last], cols[:last]) || rows[last].Kind != resource.Member || cols[last].Kind != resource.Member {
		t.opaque(entity, "a table whose columns do not stand beside its rows")
		return
	}
	if t.set.crm.NamePath != "" {
		t.opaque(entity, "a table whose columns may lead through other records")
	}
	m.At, m.Rows = cols[last].Fold, rows[last].Fold
	t.descend(n, rows[:last]).Matrix = m
}

func sameSteps(a, b []resource.Step) bool {
	return slices.EqualFunc(a, b, func(x, y resource.Step) bool { return x.Kind == y.Kind && x.Fold == y.Fold })
}

// opaque is met where the nodes have no word for a shape: harmless as long as
// nothing is to be rewritten in it.
func (t *tree) opaque(entity, what string) {
	if t.rights.hard[entity] {
		t.fail(ActionDenied, "the answer holds %s, which cannot be masked", what)
	}
}

// noRows refuses shapes that have no place for an owner under a row scope.
func (t *tree) noRows(rs *resource.RecordSet, entity string, inside bool) {
	if t.rowsOf(rs, entity, inside) != nil {
		t.fail(RowDenied, "records of %s come in a shape that does not say whose they are", entity)
	}
}
