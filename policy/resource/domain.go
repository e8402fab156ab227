// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package resource

// maxDomainDepth bounds the nesting of conditions.
const maxDomainDepth = 32

// domain reads a domain: a clause [name, operator, value, ...], or a list of
// clauses, further lists, and the words AND, OR, &, | and !. The value of the
// operators that look into other records ("where", "not where", "any") is a
// domain over those.
func (rd *reading) domain(e *Entity, read *Read, v *value, t *trail, depth int) error {
	if v.kind == 'n' {
		return nil
	}
	if v.kind != '[' || depth > maxDomainDepth {
		return wrong(t, "a list of conditions")
	}
	if isClause(v) {
		return rd.clause(e, read, v, t, depth)
	}
	for i := range v.items {
		item, at := &v.items[i], &trail{t, "", i}
		switch {
		case item.kind == '[':
			if err := rd.domain(e, read, item, at, depth+1); err != nil {
				return err
			}
		case item.kind == '"' && isLogic(item.text):
		default:
			return wrong(at, "a condition")
		}
	}
	return rd.checkLimit()
}

func isLogic(s string) bool {
	switch s {
	case "AND", "OR", "&", "|", "!":
		return true
	}
	return false
}

// isClause tells a clause from a list of conditions: it begins with two texts
// that are no logic words.
func isClause(v *value) bool {
	return len(v.items) >= 2 && v.items[0].kind == '"' && !isLogic(v.items[0].text) && v.items[1].kind == '"'
}

func (rd *reading) clause(e *Entity, read *Read, v *value, t *trail, depth int) error {
	if len(v.items) < 3 {
		return wrong(t, "a condition of name, operator and value")
	}
	name, op := v.items[0].text, v.items[1].text
	if len(v.items) > 3 { // a fourth part names another model
		rd.unknown("body " + t.String())
		return nil
	}
	at, f := rd.notes(e, name, read.Use, op)
	switch op {
	case "where", "not where", "any", "not any":
		var to *Entity
		if e != nil {
			if f := e.FieldByName(name); f != nil && f.Entity != "" {
				to = rd.m.Entities[f.Entity]
			}
		}
		if to == nil {
			rd.unknown("body " + t.String())
			return nil
		}
		return rd.domain(to, read, &v.items[2], &trail{t, "", 2}, depth+1)
	}
	if f != nil && (f.Entity == "" || textual(&v.items[2])) { // an id names a record, a text looks for one
		rd.asked(at, f, name, read.Use, op)
	}
	return nil
}
