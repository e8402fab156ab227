// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"
	"maps"
	"slices"

	"github.com/crmgate/crmgate/policy/plan"
	"github.com/crmgate/crmgate/policy/resource"
)

// Everything that follows from a row scope is decided in this file.

// rowsOf says how the records of a set are filtered; nil when all are seen. A
// record inside a filtered one that has no owner of its own is seen with it.
func (t *tree) rowsOf(rs *resource.RecordSet, entity string, inside bool) *plan.Rows {
	if !t.scoped {
		return nil
	}
	er := t.rights.merged.of(entity)
	scope, where := er.rows, er.where()
	if f := t.route.Response.Format; where != nil && isText(f) {
		var err error
		if where, err = er.whereTexts(); err != nil {
			t.fail(RowDenied, "the answer is %s, which holds nothing but text, and the rows of %s are limited by something else: %v", f, entity, err)
			return &plan.Rows{Scope: plan.None}
		}
	}
	if t.exact != nil && entity == t.entity && !inside {
		where = newExactly(t.exact, where)
	}
	if scope == plan.All && where == nil {
		return nil
	}
	if where != nil && len(where.Needs()) > maxConditionNames {
		t.fail(RowDenied, "the conditions on %s look at more than %d names", entity, maxConditionNames)
	}
	// A person's two view rights may hold for different groups; the viewer of one
	// answer can carry only one of them.
	if scope == plan.Group && isAccount(entity) != t.primary {
		scope = plan.Own
	}
	owner := rs.Owner
	if e := t.set.crm.Entities[entity]; len(owner) == 0 && e != nil {
		owner = e.Owner
		if entity == "user" {
			owner = e.ID
			if len(rs.ID) > 0 {
				owner = rs.ID
			}
		}
	}
	via := t.ways(entity, scope)
	if len(owner)+len(via) == 0 && scope != plan.None && scope != plan.All {
		if inside && where == nil {
			return nil
		}
		if !inside {
			t.fail(RowDenied, "records of %s do not say whose they are, and only %s records may be seen", entity, scopeWord(scope))
		}
		scope = plan.All // the record it is in is filtered by its owner
	}
	t.limited, t.twice = true, t.twice || len(via) > 0
	return &plan.Rows{Scope: scope, Owner: foldAll(owner), Via: via, Where: where}
}

// ways are the ways to an owner that records of an entity may not name themselves.
// Only answers that can be read twice have any.
func (t *tree) ways(entity string, scope plan.Scope) []plan.Via {
	e := t.set.crm.Entities[entity]
	if e == nil || scope != plan.Own && scope != plan.Group || t.route.Response.Format != resource.FormatJSON || t.part {
		return nil
	}
	var out []plan.Via
	for _, via := range e.OwnerVia {
		out = append(out, plan.Via{At: resource.Fold(via.At), To: plan.Parent{Entity: via.Entity, Scope: scope}})
	}
	return out
}

// ParentReads returns the requests that tell which of the records other records
// hang on are the viewer's, for an answer to an operation; ids are by entity. More
// than can be read is an error, and then none of them is.
func (s *Set) ParentReads(op *resource.Operation, ids map[string][]string) ([]*resource.Reading, error) {
	var out []*resource.Reading
	for _, name := range slices.Sorted(maps.Keys(ids)) {
		e := s.crm.Entities[name]
		if e == nil || e.ReadBack == nil {
			return nil, fmt.Errorf("%w: of a %s nobody can tell whose it is", resource.ErrNoReadBack, name)
		}
		if len(ids[name]) > resource.MaxReadBack {
			return nil, fmt.Errorf("%w: the answer hangs on %d records of %s", resource.ErrNoReadBack, len(ids[name]), name)
		}
		for some := range slices.Chunk(ids[name], e.ReadBack.Max) {
			if len(out) == maxReads {
				return nil, fmt.Errorf("%w: more than %d requests would be needed", resource.ErrNoReadBack, maxReads)
			}
			rd, err := s.crm.ReadBack(op, e, some, nil)
			if err != nil {
				return nil, err
			}
			out = append(out, rd)
		}
	}
	return out, nil
}

// Owns says whether all owners a record names are the viewer's: his own, or his
// groups' where the scope is Group. A record that names none is not.
func Owns(v *plan.Viewer, scope plan.Scope, rec *resource.Record) bool {
	ids := owners(rec)
	mine := v.Own
	if scope == plan.Group {
		mine = v.Group
	}
	for _, id := range ids {
		if _, ok := mine[FoldID(id)]; !ok {
			return false
		}
	}
	return len(ids) > 0
}

// reads says whether the operation asks for records.
func (t *tree) reads(op *resource.Operation) bool {
	return t.scoped && op.Entity != "" && (op.Action == resource.View || op.Action == resource.Export)
}

// unlimited refuses an answer with records of a limited entity in which the map
// does not say where they are, or nobody can tell.
func (t *tree) unlimited(resp *resource.Response, op *resource.Operation) {
	er := t.rights.merged.of(op.Entity)
	scope := er.rows
	if scope == plan.All && len(er.conds) == 0 || resp.Format == resource.FormatNone || resp.Format == resource.FormatPage {
		return
	}
	if resp.Format == resource.FormatJSON {
		t.fail(RowDenied, "the map does not say where records of %s are in the answer, and only %s records may be seen", op.Entity, er.rowsWord())
		return
	}
	t.fail(ActionDenied, "the answer is %s, in which nobody can tell whose records of %s it shows", resp.Format, op.Entity)
}

func scopeWord(s plan.Scope) string {
	switch s {
	case plan.All:
		return "all"
	case plan.Group:
		return "group"
	case plan.Own:
		return "own"
	}
	return "none"
}

// rowsWord says in words which records may be seen.
func (e *entityRestriction) rowsWord() string {
	if len(e.conds) == 0 {
		return scopeWord(e.rows)
	}
	if e.rows == plan.All {
		return "certain"
	}
	return "certain " + scopeWord(e.rows)
}

// rowWrite judges writes under a row scope. Whose record it is can only be known
// by reading it first: see Pending.
func (r *rights) rowWrite(op *resource.Operation, e *resource.Entity) error {
	switch op.Action {
	case resource.View, resource.Export:
		return nil
	case resource.Create:
		if scope := r.merged.of(op.Entity).rows; scope == plan.None {
			return fmt.Errorf("no record of %s may be touched", op.Entity)
		}
		if er := r.merged.of(op.Entity); (er.rows != plan.All || len(er.conds) > 0) && findsFirst(op) {
			return fmt.Errorf("the new %s may be one that is found, and whether that is one of the %s records cannot be known from the request", op.Entity, er.rowsWord())
		}
		hung, clear := r.hangOn(op, e)
		if !clear {
			return fmt.Errorf("what the new %s hangs on cannot be read", op.Entity)
		}
		for _, parent := range hung {
			if er := r.merged.of(parent.Entity); er.rows != plan.All || len(er.conds) > 0 {
				return fmt.Errorf("the new %s hangs on a %s, and whether that is one of the %s records cannot be known from the request", op.Entity, parent.Entity, er.rowsWord())
			}
		}
		return nil
	}
	if er := r.merged.of(op.Entity); er.rows != plan.All || len(er.conds) > 0 {
		return fmt.Errorf("whether the %s is one of the %s records cannot be known from the request", op.Entity, er.rowsWord())
	}
	return nil
}

// hangOn are the records that those of an operation hang on or are made to: the ones the
// map reads as such, and those that are written into a field by which records belong to
// somebody. What cannot be read is not clear; of entities all of whose records may be
// seen nothing is asked.
func (r *rights) hangOn(op *resource.Operation, e *resource.Entity) (refs []resource.Ref, clear bool) {
	refs, clear = slices.Clone(op.Parents), true
	for i := range op.Fields {
		u := &op.Fields[i]
		if e == nil || u.Use != resource.Write || u.Entity != "" && u.Entity != e.Name {
			continue
		}
		for _, via := range e.OwnerVia {
			if er := r.merged.of(via.Entity); er.rows == plan.All && len(er.conds) == 0 || !isNamed(e, u, []string{via.At}) {
				continue
			}
			v := u.Given.Value()
			if v.Scalar() && !v.Empty() {
				refs = append(refs, resource.Ref{Entity: via.Entity, ID: v.Text})
			}
			clear = clear && u.Given != nil && (v.Scalar() || v.Empty())
		}
	}
	return refs, clear
}

// findsFirst says whether the CRM looks for a record before it makes one, and takes
// what it finds.
func findsFirst(op *resource.Operation) bool {
	return slices.ContainsFunc(op.Fields, func(u resource.FieldUse) bool { return u.Use == resource.Lookup })
}

// inject pushes a row scope down into the CRM's own query where the map says how.
func (s *Set) inject(r *rights, op *resource.Operation, p *Principal, env *Env, alone bool, dst []Injection) []Injection {
	in := op.Route.Response.Inject
	if in == nil || op.Action != resource.View && op.Action != resource.Export {
		return dst
	}
	var ids []string
	switch r.merged.of(op.Entity).rows {
	case plan.Own:
		ids = p.OwnerIDs
	case plan.Group:
		ids = s.groupOwners(p, env, rightFor(op.Entity))
	}
	if len(ids) == 0 || len(ids) > 1 && in.Many != "comma" {
		return dst
	}
	inj := Injection{Query: in.Query, Value: joinIDs(ids), Whole: alone && r.merged.of(op.Entity).where() == nil}
	if in.InBody {
		inj.Pointer = in.Body.String()
	}
	return append(dst, inj)
}
