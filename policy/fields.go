// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"github.com/crmgate/crmgate/policy/plan"
	"github.com/crmgate/crmgate/policy/resource"
)

// fields judges every field a request names. A restricted field is refused,
// never taken out: a query without its condition would find everything. When all
// that is refused are writes that the present values may allow, the refusal lists
// them.
func (s *Set) fields(r *rights, op *resource.Operation) verdict {
	out := verdict{reason: Allowed}
	if v := s.replaces(r, op); !v.ok() {
		return v
	}
	for i := range op.Fields {
		v := s.field(r, op, &op.Fields[i])
		switch {
		case v.ok() && v.exact != nil && out.exact != nil:
			return deny(QueryDenied, "%s: looked up by two masked fields at once", op.ID)
		case v.ok() && v.exact != nil:
			out.exact = v.exact
		case v.ok():
		case len(v.writes) == 0:
			return v
		case out.ok():
			v.exact = out.exact
			out = v
		default:
			out.writes = append(out.writes, v.writes...)
		}
	}
	return out
}

// replaces refuses a write that erases what it does not name, by somebody who
// cannot name everything.
func (s *Set) replaces(r *rights, op *resource.Operation) verdict {
	t := r.tables[op.Entity]
	if op.Route.Write != resource.Replace || creates(op) || t == nil {
		return verdict{reason: Allowed}
	}
	whole := t.Unknown.Effect == plan.Show
	for _, tr := range t.Fields {
		whole = whole && tr.Effect == plan.Show
	}
	if !whole {
		return deny(FieldDenied, "%s: the write erases what it does not name, and some fields of %s are not shown as they are", op.ID, op.Entity)
	}
	return verdict{reason: Allowed}
}

func (s *Set) field(r *rights, op *resource.Operation, u *resource.FieldUse) verdict {
	entity := u.Entity
	if entity == "" {
		entity = op.Entity
	}
	if e := s.crm.EntityNamed(entity); e != nil {
		entity = e.Name
	} else if r.sensitive {
		return deny(refusal(u), "%s: the map does not know the entity of %q", op.ID, u.Name)
	} else {
		return verdict{reason: Allowed}
	}
	switch u.Use {
	case resource.Select:
		return verdict{reason: Allowed}
	case resource.Write:
		return s.write(r, op, u, entity)
	}
	return s.query(r, op, u, entity)
}

func refusal(u *resource.FieldUse) Reason {
	if u.Use == resource.Write {
		return FieldDenied
	}
	return QueryDenied
}

// query judges a question about a value. What cannot be read as a question about
// one field is a question about all of them.
func (s *Set) query(r *rights, op *resource.Operation, u *resource.FieldUse, entity string) verdict {
	hard := r.hard[entity]
	switch u.Use {
	case resource.Filter, resource.Sort, resource.Group, resource.Search, resource.Lookup:
	default:
		if hard {
			return deny(QueryDenied, "%s: the request holds a query nobody can read, and fields of %s are restricted", op.ID, entity)
		}
		if len(r.hard) > 0 && s.leadsAway(entity, u.Name) {
			return deny(QueryDenied, "%s: %q leads to records the map does not know, and the person is restricted in some", op.ID, u.Name)
		}
		return verdict{reason: Allowed}
	}
	if u.Field == "" && u.Name == "" || u.Field == "" && u.Use == resource.Search {
		if hard {
			return deny(QueryDenied, "%s: the %s goes through all fields of %s, and some are restricted", op.ID, u.Use, entity)
		}
		return verdict{reason: Allowed}
	}
	tr := s.treatmentOf(r, u, entity)
	switch {
	case tr.Text != nil && r.sensitive:
		return deny(QueryDenied, "%s: %s by %s.%s, whose text holds fields that are restricted", op.ID, u.Use, entity, u.Field)
	case tr.Effect == plan.Show:
	case tr.Effect == plan.Detect && !hard:
		// Nothing of this entity was restricted; its texts are looked through in
		// passing only.
	case tr.Field == "":
		return deny(QueryDenied, "%s: %s by %q, which the map does not know, while fields of %s are restricted", op.ID, u.Use, u.Name, entity)
	case r.exactly(op, u, entity, tr):
		return verdict{reason: Allowed, exact: u}
	default:
		return deny(QueryDenied, "%s: %s by %s.%s, which is restricted", op.ID, u.Use, entity, tr.Field)
	}
	return verdict{reason: Allowed}
}

// leadsAway says whether a name goes through other records by a way the map does
// not know. What stands at its end may be a restricted field of any entity, under
// a name that is another field's here.
func (s *Set) leadsAway(entity, name string) bool {
	e := s.crm.Entities[entity]
	if e == nil {
		return true
	}
	at, _ := s.crm.FieldNamed(e, name)
	return at == nil
}

// treatmentOf finds how the field of a use is shown, by the map's name when the
// map knows it, by the name as written otherwise.
func (s *Set) treatmentOf(r *rights, u *resource.FieldUse, entity string) *plan.Treatment {
	t := r.tables[entity]
	if u.Field != "" {
		if tr := t.Fields[resource.Fold(u.Field)]; tr != nil {
			return tr
		}
	}
	var buf [64]byte
	return t.Treat(resource.AppendFold(buf[:0], []byte(u.Name)))
}

// write judges a value that is to be stored.
//
// Making a record is judged by the create cell alone: who types a phone number
// knows it. Anything that may change a record that exists is judged as an edit,
// an upsert and an import too, and whoever does not see a value as it is may not
// write it: a mask must never be stored over what it stands for. Whether it is
// empty, or the mask is all that is written, only the present value tells; such a
// refusal says so.
func (s *Set) write(r *rights, op *resource.Operation, u *resource.FieldUse, entity string) verdict {
	if u.Field == "" {
		tr := s.treatmentOf(r, u, entity)
		if tr.Effect > plan.Show && !creates(op) {
			return unread(u, "%s: %q, which the map does not know, may not be written by somebody who does not see it as it is", op.ID, u.Name)
		}
		return verdict{reason: Allowed}
	}
	f := r.merged.of(entity).fields[u.Field]
	if op.Action == resource.Create && f.create == mayNotWrite {
		return deny(FieldDenied, "%s: %s.%s may not be written", op.ID, entity, u.Field)
	}
	if creates(op) {
		return verdict{reason: Allowed}
	}
	tr := s.treatmentOf(r, u, entity)
	switch {
	case f.edit == mayNotWrite && tr.Effect < plan.Mask:
		return deny(FieldDenied, "%s: %s.%s may not be written", op.ID, entity, u.Field)
	case f.edit == mayFill:
		return unread(u, "%s: %s.%s is masked and can be filled in only while its current value is empty", op.ID, entity, u.Field)
	case tr.Effect > plan.Show || f.edit != mayWrite || tr.Text != nil && r.sensitive:
		return unread(u, "%s: %s.%s may not be written by somebody who does not see it as it is", op.ID, entity, u.Field)
	}
	return verdict{reason: Allowed}
}

// unread refuses a write that the present value may allow.
func unread(u *resource.FieldUse, format string, args ...any) verdict {
	v := deny(FieldDenied, format, args...)
	v.writes = []*resource.FieldUse{u}
	return v
}

// creates says whether the operation can only make records.
func creates(op *resource.Operation) bool {
	return op.Action == resource.Create && op.Route.Write != resource.Upsert
}
