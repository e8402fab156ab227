// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"
	"slices"

	"github.com/crmgate/crmgate/policy/plan"
	"github.com/crmgate/crmgate/policy/resource"
)

// Pending is what a decision still depends on: records as they are now. The
// decision that carries one is a refusal, and stays one for everybody who does not
// read the records and ask again.
//
// The one who reads calls Reads until it returns nothing, and Answer for each of
// what it returns; then Settle says what is decided. A Pending belongs to one
// request and is not safe for concurrent use.
type Pending struct {
	set   *Set
	needs []need
	known map[*resource.Entity]map[string]*resource.Record // by the id as it was asked for; nil record: not there
	reads int
	cause error
}

// need is what one operation needs to know of its records.
type need struct {
	rights *rights
	op     *resource.Operation
	entity *resource.Entity
	ids    []string
	rows   *plan.Rows // nil: whoever's they are
	viewer *plan.Viewer
	writes []*resource.FieldUse // fields whose present value counts
	hung   *resource.Entity     // the records are those that the written ones of this entity are to hang on; nil for written ones
	unless verdict              // what is decided unless all is well
}

// Settled is what comes of a pending decision.
type Settled struct {
	Reason Reason                                    // Allowed, or why not
	Detail string                                    // names, never values
	Leave  map[*resource.Operation][]*resource.Given // values to leave out of the body
	Filled []string                                  // fields that were empty and are filled in
}

// maxReads is how many requests may be made before one write.
const maxReads = 16

// existing says whether the records of an operation can be read before it: they are
// named by id, there is one way to find them, and it makes no new ones.
func existing(op *resource.Operation, e *resource.Entity) bool {
	switch op.Action {
	case resource.Edit, resource.Delete, resource.MarkComplete:
	default:
		return false
	}
	if op.Route.Write == resource.Upsert || len(op.Records) == 0 || op.Written() > 1 || !op.Alone() {
		return false
	}
	return !slices.ContainsFunc(op.Fields, func(u resource.FieldUse) bool {
		if u.Use != resource.Write {
			return u.Use != resource.Select // a second way to find a record
		}
		return isNamed(e, &u, idNames(e)) && !same(u.Given.Value(), op.Records)
	})
}

// idNames are the names of a record's id. A CRM may go by one that is written rather than
// by the id that stands elsewhere in the request.
func idNames(e *resource.Entity) []string {
	if e == nil {
		return nil
	}
	return e.ID
}

// isNamed says whether what is written is what one of these names means in the entity.
func isNamed(e *resource.Entity, u *resource.FieldUse, want []string) bool {
	if e == nil || u.Entity != "" && u.Entity != e.Name {
		return false
	}
	names := []string{u.Name}
	if f := e.Fields[u.Field]; f != nil {
		names = append(names, f.Names...)
	}
	return slices.ContainsFunc(foldAll(names), func(name string) bool { return slices.Contains(foldAll(want), name) })
}

// same says whether an id that is written is that of the one record, in the same
// spelling: what another spelling means only the CRM knows.
func same(id resource.Value, records []string) bool {
	return id.Scalar() && !slices.ContainsFunc(records, func(other string) bool { return other != id.Text })
}

// rowNeeds says what must be known for a write under a row scope, after v refused
// it: whose the records are, or those that a new one hangs on. Nothing is returned
// when the refusal stands.
func (s *Set) rowNeeds(r *rights, op *resource.Operation, v verdict) []need {
	rows := func(entity string) *plan.Rows {
		er := r.merged.of(entity)
		return &plan.Rows{Scope: er.rows, Where: er.where()}
	}
	if e := s.crm.Entities[op.Entity]; existing(op, e) {
		out := []need{{rights: r, op: op, entity: e, ids: distinct(op.Records), rows: rows(op.Entity), unless: v}}
		hung, clear := r.hangOn(op, e)
		for _, parent := range hung {
			if n := rows(parent.Entity); s.crm.Entities[parent.Entity] != nil && (n.Scope != plan.All || n.Where != nil) && hangs(e, parent.Entity) {
				out = append(out, need{rights: r, op: op, entity: s.crm.Entities[parent.Entity], ids: []string{parent.ID}, rows: n, hung: e, unless: v})
			}
		}
		if !clear {
			return nil
		}
		return out
	}
	if op.Action != resource.Create || op.Route.Write == resource.Upsert || !op.Alone() || r.merged.of(op.Entity).rows == plan.None {
		return nil
	}
	var out []need
	hung, clear := r.hangOn(op, s.crm.Entities[op.Entity])
	if !clear || findsFirst(op) {
		return nil
	}
	for _, parent := range hung {
		e := s.crm.Entities[parent.Entity]
		if er := r.merged.of(parent.Entity); er.rows == plan.All && er.where() == nil {
			continue
		}
		if e == nil {
			return nil
		}
		out = append(out, need{rights: r, op: op, entity: e, ids: []string{parent.ID}, rows: rows(parent.Entity), unless: v})
	}
	return out
}

// hangs says whether records of an entity belong to whom those of another belong to.
func hangs(e *resource.Entity, parent string) bool {
	return e != nil && slices.ContainsFunc(e.OwnerVia, func(v *resource.OwnerVia) bool { return v.Entity == parent })
}

// moves says whether a written record does not hang yet on what n is about.
func (p *Pending) moves(n *need) bool {
	return slices.ContainsFunc(n.op.Records, func(id string) bool {
		rec := p.record(n.hung, id)
		return rec != nil && !slices.ContainsFunc(n.hung.OwnerVia, func(via *resource.OwnerVia) bool {
			v := rec.Get(via.At)
			return via.Entity == n.entity.Name && v.Scalar() && v.Text == n.ids[0]
		})
	})
}

func distinct(ids []string) []string {
	var out []string
	for _, id := range ids {
		if !slices.Contains(out, id) {
			out = append(out, id)
		}
	}
	return out
}

// modifyRight is the group right under which records of others may be changed.
func modifyRight(entity string) string {
	if isAccount(entity) {
		return ModifyAccounts
	}
	return ModifyLeads
}

// Reads returns the records to be read now; none when everything that can be known
// is known.
func (p *Pending) Reads() []*resource.Reading {
	var out []*resource.Reading
	for i := range p.needs {
		n := &p.needs[i]
		if n.hung != nil && !p.moves(n) {
			continue
		}
		out = p.missing(out, n.op, n.entity, n.ids, wireNames(n.writes, n.rows))
		if n.rows == nil {
			continue
		}
		for _, id := range n.ids {
			rec := p.record(n.entity, id)
			if rec == nil || len(owners(rec)) > 0 {
				continue
			}
			for _, via := range n.entity.OwnerVia {
				if v := rec.Get(via.At); v.Scalar() && !v.Empty() {
					out = p.missing(out, n.op, p.set.crm.Entities[via.Entity], []string{v.Text}, nil)
				}
			}
		}
	}
	return out
}

// missing appends the reads of those records that nobody has asked for yet.
func (p *Pending) missing(out []*resource.Reading, op *resource.Operation, e *resource.Entity, ids, fields []string) []*resource.Reading {
	if p.known == nil {
		p.known = map[*resource.Entity]map[string]*resource.Record{}
	}
	if p.known[e] == nil {
		p.known[e] = map[string]*resource.Record{}
	}
	var ask []string
	for _, id := range ids {
		if _, asked := p.known[e][id]; !asked {
			if slices.ContainsFunc(ask, func(o string) bool { return FoldID(o) == FoldID(id) }) {
				p.cause = fmt.Errorf("two ids of %s that cannot be told apart", e.Name)
			}
			ask = append(ask, id)
			p.known[e][id] = nil
		}
	}
	if len(ask) == 0 || p.cause != nil {
		return out
	}
	if p.reads++; p.reads > maxReads {
		p.cause = fmt.Errorf("more than %d reads would be needed", maxReads)
		return out
	}
	rd, err := p.set.crm.ReadBack(op, e, ask, fields)
	if err != nil {
		p.cause = err
		return out
	}
	return append(out, rd)
}

// Answer notes the records that came; err says that they could not be read. A CRM may
// write an id otherwise than it was asked for, so they are compared folded; but what
// came for one spelling says nothing of another, which may be another record there.
func (p *Pending) Answer(rd *resource.Reading, records []*resource.Record, err error) {
	if err != nil && p.cause == nil {
		p.cause = err
	}
	for _, id := range rd.IDs {
		for _, rec := range records {
			if !rec.Is(id, FoldID) {
				continue
			}
			if p.known[rd.Entity][id] != nil {
				p.cause = fmt.Errorf("the %s that was asked for came twice", rd.Entity.Name)
			}
			p.known[rd.Entity][id] = rec
		}
	}
}

func (p *Pending) record(e *resource.Entity, id string) *resource.Record {
	return p.known[e][id]
}

// Settle decides. What could not be read is refused as if it were not there.
func (p *Pending) Settle() Settled {
	out := Settled{Reason: Allowed}
	for i := range p.needs {
		n := &p.needs[i]
		if p.cause != nil {
			return refused(n, p.cause.Error())
		}
		if n.hung != nil && !p.moves(n) {
			continue
		}
		for _, id := range n.ids {
			rec := p.record(n.entity, id)
			if rec == nil {
				return refused(n, "there is no such "+n.entity.Name+", or it cannot be read")
			}
			if why := p.seen(n, rec); why != "" {
				return Settled{Reason: RowDenied, Detail: n.op.ID + ": " + why}
			}
		}
		for _, u := range n.writes {
			if v := p.value(n, u, &out); !v.ok() {
				return Settled{Reason: v.reason, Detail: v.detail}
			}
		}
	}
	return out
}

// refused is what was decided before anything was read. A record that is not there
// looks like one that is not visible.
func refused(n *need, why string) Settled {
	out := Settled{Reason: n.unless.reason, Detail: n.unless.detail + ": " + why}
	if n.rows != nil {
		out.Reason = RowDenied
	}
	return out
}

// seen says why a record is outside the row scope; "" when it is not.
func (p *Pending) seen(n *need, rec *resource.Record) string {
	if n.rows == nil {
		return ""
	}
	if n.rows.Where != nil {
		if ok, err := n.rows.Where.Holds(n.viewer, present(rec)); err != nil || !ok {
			return "the row condition does not hold for the " + n.entity.Name
		}
	}
	if n.rows.Scope == plan.All {
		return ""
	}
	ids := owners(rec)
	if len(ids) == 0 {
		ids = p.inherited(n, rec)
	}
	if len(ids) == 0 {
		return "the " + n.entity.Name + " does not say whose it is"
	}
	for _, id := range ids {
		mine := n.viewer.Own
		if n.rows.Scope == plan.Group {
			mine = n.viewer.Group
		}
		if _, ok := mine[FoldID(id)]; !ok || n.rows.Scope == plan.None {
			return "the " + n.entity.Name + " is not one of the " + scopeWord(n.rows.Scope) + " records"
		}
	}
	return ""
}

// inherited finds the owners of the record another one hangs on, by the first way
// that leads anywhere.
func (p *Pending) inherited(n *need, rec *resource.Record) []string {
	for _, via := range n.entity.OwnerVia {
		v := rec.Get(via.At)
		if !v.Scalar() || v.Empty() {
			continue
		}
		if parent := p.record(p.set.crm.Entities[via.Entity], v.Text); parent != nil {
			return owners(parent)
		}
		return nil
	}
	return nil
}

// owners returns the ids of all owners a record names. One that cannot be read is
// nobody's id.
func owners(rec *resource.Record) []string {
	names := rec.Entity.Owner
	if rec.Entity.Name == "user" {
		names = rec.Entity.ID
	}
	var out []string
	for _, name := range names {
		v := rec.Get(name)
		switch {
		case v.Empty():
		case v.Scalar():
			out = append(out, v.Text)
		default:
			out = append(out, "\x00")
		}
	}
	return out
}

// wireNames are the fields that a read must bring.
func wireNames(writes []*resource.FieldUse, rows *plan.Rows) []string {
	var out []string
	for _, u := range writes {
		out = append(out, u.Name)
	}
	if rows != nil && rows.Where != nil {
		out = append(out, rows.Where.Wire()...)
	}
	return out
}

// present gives the values of a record to a condition.
func present(rec *resource.Record) func(string) plan.Value {
	return func(folded string) plan.Value {
		v := rec.Get(folded)
		return plan.Value{Kind: v.Kind, Text: v.Text}
	}
}
