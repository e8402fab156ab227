// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"maps"
	"slices"

	"github.com/crmgate/crmgate/policy/mask"
	"github.com/crmgate/crmgate/policy/plan"
	"github.com/crmgate/crmgate/policy/resource"
)

// buildTables makes the field tables of all entities.
//
// A name that is masked or hidden on one entity is masked or hidden on every
// other entity that does not declare it: a copy nobody thought of is no hole.
func (s *Set) buildTables(r *rights) {
	r.tables = map[string]*plan.Entity{}
	r.hidden = map[string]*plan.Entity{}
	r.fallback = &plan.Entity{Name: "", Fields: map[string]*plan.Treatment{}, Unknown: &plan.Treatment{}}
	names := slices.Sorted(maps.Keys(s.crm.Entities))
	for _, en := range names {
		e := s.crm.Entities[en]
		er := r.merged.of(en)
		t := &plan.Entity{Name: en, Fields: map[string]*plan.Treatment{}, Unknown: s.unknownTreatment(er.unknown)}
		r.tables[en] = t
		for _, fn := range slices.Sorted(maps.Keys(e.Fields)) {
			f := e.Fields[fn]
			tr := s.treatment(e, f, er.fields[fn].view, t)
			if !r.sensitive { // there is nothing to be found in a text, and one that cannot be read is shown as well
				tr.Text = nil
			}
			for _, wire := range f.Names {
				t.Fields[resource.Fold(wire)] = tr
			}
			t.Fields[resource.Fold(fn)] = stricter(t.Fields[resource.Fold(fn)], tr)
		}
		r.hidden[en] = hideAll(en)
		if er.unknown > r.fallback.Unknown.Effect {
			r.fallback.Unknown = s.unknownTreatment(er.unknown)
		}
	}
	for _, en := range names {
		for folded, tr := range r.tables[en].Fields {
			if tr.Effect > plan.Show {
				r.fallback.Fields[folded] = stricter(r.fallback.Fields[folded], tr)
			}
		}
	}
	for _, en := range names {
		t := r.tables[en]
		for folded, tr := range r.fallback.Fields {
			if t.Fields[folded] == nil && tr.Effect > t.Unknown.Effect {
				t.Fields[folded] = tr
			}
		}
	}
}

// stricter returns the treatment that shows less; of two alike the first by
// name, so that the choice does not depend on the order of a map.
func stricter(a, b *plan.Treatment) *plan.Treatment {
	switch {
	case a == nil:
		return b
	case b == nil || a.Effect > b.Effect:
		return a
	case b.Effect > a.Effect || b.Field < a.Field:
		return b
	}
	return a
}

func (s *Set) treatment(e *resource.Entity, f *resource.Field, effect plan.Effect, t *plan.Entity) *plan.Treatment {
	out := &plan.Treatment{Field: f.Name, Effect: effect}
	if f.Embedded != "" {
		out.Text = &plan.Node{Entity: t, Form: formOf(f)}
	}
	if out.Effect == plan.Mask {
		out.Mask = s.maskOf(e, f)
	}
	return out
}

// formOf is how the text of a field holds fields of its own; nil for JSON.
func formOf(f *resource.Field) *plan.Form {
	switch f.Embedded {
	case resource.EmbeddedForm:
		return &plan.Form{Between: "&", Is: "=", Escaped: true}
	case resource.EmbeddedBase64:
		return &plan.Form{Base64: true}
	case resource.EmbeddedPairs:
		return &plan.Form{Between: f.Between, Is: f.Is}
	}
	return nil
}

// maskOf finds the mask of a field: its own, that of the field it copies, or the
// full one.
func (s *Set) maskOf(e *resource.Entity, f *resource.Field) *mask.Func {
	if m := s.masks[e.Name+"."+f.Name]; m != nil {
		return m
	}
	if f.CopyOf != "" {
		if m := s.masks[f.CopyOf]; m != nil {
			return m
		}
	}
	return s.masks[""]
}

func (s *Set) unknownTreatment(effect plan.Effect) *plan.Treatment {
	t := &plan.Treatment{Effect: effect}
	if effect == plan.Mask {
		t.Mask = s.masks[""]
	}
	return t
}

// metadata puts the tables of objects whose member names are fields and whose
// values describe them: a hidden field goes with its description, a masked one
// has no value there to mask.
func (t *tree) metadata(at []resource.Pointer) {
	for _, p := range at {
		last := len(p.Steps) - 1
		if last < 0 || p.Steps[last].Kind != resource.Members {
			continue // names in lists are values, which the fallback reads
		}
		fields := t.table(t.entity)
		described := &plan.Entity{Name: fields.Name, Fields: make(map[string]*plan.Treatment, len(fields.Fields)), Unknown: describe(fields.Unknown)}
		for folded, tr := range fields.Fields {
			described.Fields[folded] = describe(tr)
		}
		t.descend(t.root, p.Steps[:last]).Entity = described
	}
}

// describe is how the description of a field is treated.
func describe(tr *plan.Treatment) *plan.Treatment {
	if tr.Effect == plan.Hide {
		return tr
	}
	return &plan.Treatment{Field: tr.Field, Effect: plan.Show}
}

// hideAll is the table of an entity that may not be seen at all.
func hideAll(entity string) *plan.Entity {
	return &plan.Entity{Name: entity, Fields: map[string]*plan.Treatment{}, Unknown: &plan.Treatment{Effect: plan.Hide}}
}

// table returns the table by which records of an entity are shown.
func (r *rights) table(entity string) *plan.Entity {
	if r.merged.of(entity).cells[cView] == NoAccess {
		if t := r.hidden[entity]; t != nil {
			return t
		}
	}
	if t := r.tables[entity]; t != nil {
		return t
	}
	return r.fallback
}
