// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package resource

import (
	"strings"

	"go.yaml.in/yaml/v3"
)

// FoundBy says what a CRM compares a text with when it stands for a record: many
// look it up in more fields than the one that is shown, so that a question about
// a party's name is a question about its phone numbers too.
//
// It holds for questions about the fields named by Name, and for questions with a
// text about any field that points at a record of the entity. A question by the
// record's id is none.
type FoundBy struct {
	Name []string // wire names of the fields that ask so: rec_name
	Over []string // fields that are looked through, of this entity or as entity.field; one that points at a record brings what that is found by

	fields map[*Field]bool
	reach  []fieldRef // Over with everything it brings
}

// fieldRef names a field of an entity, both by the map's name.
type fieldRef struct{ entity, field string }

func (d *decoder) foundBy(e *Entity, n *yaml.Node) {
	by := &FoundBy{fields: map[*Field]bool{}}
	d.object(n, "found_by", keys{
		"name": d.setTexts(&by.Name, "name"),
		"over": d.setTexts(&by.Over, "over"),
	})
	e.FoundBy = by
	if len(by.Over) == 0 {
		d.fail(n, "list the fields that are looked through", "found_by of %s has no over", e.Name)
	}
	d.later = append(d.later, func() {
		for _, name := range by.Name {
			f := e.FieldByName(name)
			if f == nil {
				d.fail(n, "declare it under fields", "found_by names %q, which is no field of %s", shorten(name), e.Name)
				continue
			}
			by.fields[f] = true
		}
		for _, over := range by.Over {
			if other, f := d.m.fieldRef(e, over); f == nil {
				d.fail(n, "write field, or entity.field", "found_by looks through %q, which %s does not have", shorten(over), entityName(other, over))
			}
		}
		by.reach = d.m.reach(nil, e, map[*Entity]bool{})
	})
}

// fieldRef finds a field written as field or entity.field.
func (m *Map) fieldRef(e *Entity, text string) (*Entity, *Field) {
	if entity, field, ok := strings.Cut(text, "."); ok {
		if e = m.Entities[entity]; e == nil {
			return nil, nil
		}
		text = field
	}
	return e, e.Fields[text]
}

func entityName(e *Entity, text string) string {
	if e == nil {
		text, _, _ = strings.Cut(text, ".")
		return "the map (entity " + shorten(text) + ")"
	}
	return e.Name
}

// reach appends what a text for a record of e is compared with, through the
// records it points at too.
func (m *Map) reach(dst []fieldRef, e *Entity, seen map[*Entity]bool) []fieldRef {
	if e == nil || e.FoundBy == nil || seen[e] {
		return dst
	}
	seen[e] = true
	for _, over := range e.FoundBy.Over {
		at, f := m.fieldRef(e, over)
		if f == nil {
			continue // reported already
		}
		dst = append(dst, fieldRef{at.Name, f.Name})
		if f.Entity != "" {
			dst = m.reach(dst, m.Entities[f.Entity], seen)
		}
	}
	return dst
}

// asked notes what a question about a field is a question about besides.
func (rd *reading) asked(at *Entity, f *Field, wire string, use Use, op string) {
	switch use {
	case Filter, Sort, Group, Search, Lookup:
	default:
		return
	}
	if at == nil || f == nil {
		return
	}
	var reach []fieldRef
	if at.FoundBy != nil && at.FoundBy.fields[f] {
		reach = at.FoundBy.reach
	} else if to := rd.m.Entities[f.Entity]; to != nil && to.FoundBy != nil {
		reach = to.FoundBy.reach
	}
	for _, r := range reach {
		rd.uses = append(rd.uses, FieldUse{Entity: r.entity, Field: r.field, Name: wire, Use: use, Op: op})
	}
}

// textual reports whether a value holds a text anywhere, as opposed to ids.
func textual(v *value) bool {
	if v.kind == '"' {
		return true
	}
	for i := range v.items {
		if textual(&v.items[i]) {
			return true
		}
	}
	return false
}
