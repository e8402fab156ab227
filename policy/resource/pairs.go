// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package resource

import "strings"

// pairs reads a list of name/value objects, members in any order. One object in
// the list's place is a list of one.
func (rd *reading) pairs(read *Read, v *value, t *trail) error {
	e := rd.entityOf(read)
	if e == nil {
		rd.unknown(read.Source.String())
		return nil
	}
	switch v.kind {
	case 'n':
		return nil
	case '{':
		rd.count1(read, e)
		return rd.pair(read, e, v, t, 0)
	case '[':
		rd.count1(read, e)
		return rd.pairList(read, e, v, t, 0)
	}
	return wrong(t, "a list of name/value pairs")
}

func (rd *reading) pairList(read *Read, e *Entity, v *value, t *trail, depth int) error {
	for i := range v.items {
		at := &trail{t, "", i}
		if v.items[i].kind != '{' || depth > 8 {
			return wrong(at, "a name/value pair")
		}
		if err := rd.pair(read, e, &v.items[i], at, depth); err != nil {
			return err
		}
	}
	return rd.checkLimit()
}

// pair reads one pair. Without a name, with two names, or with members the map
// does not declare, it is not understood.
func (rd *reading) pair(read *Read, e *Entity, v *value, t *trail, depth int) error {
	name, named := "", false
	null := value{kind: 'n'}
	val, nested := &null, (*value)(nil)
	for i, member := range v.names {
		item := &v.items[i]
		switch {
		case anyFold(read.Name, member):
			if named || item.kind != '"' {
				return wrong(t, "a pair with one name")
			}
			name, named = item.text, true
		case anyFold(read.Value, member):
			if val != &null && !val.empty() {
				rd.write(e, name, read.Use, val, nil) // a second value, such as old and new
			}
			val = item
		case read.Nested != "" && foldsTo(member, Fold(read.Nested)):
			nested = item
		case anyFold(read.Skip, member):
		default:
			rd.unknown("body " + (&trail{t, member, -1}).String())
		}
	}
	if !named || strings.TrimSpace(name) == "" {
		return wrong(t, "a pair with one name")
	}
	if meaning, ok := read.Control[Fold(name)]; ok {
		return rd.control(read, e, meaning, val, t)
	}
	whole := v
	if nested != nil && nested.kind != 'n' {
		whole = nil // it holds further fields
	}
	rd.write(e, name, read.Use, val, whole)
	if err := rd.insideField(e, name, read, val, t); err != nil {
		return err
	}
	switch {
	case nested == nil || nested.kind == 'n':
		return nil
	case nested.kind != '[':
		return wrong(&trail{t, read.Nested, -1}, "a list of name/value pairs")
	}
	return rd.pairList(read, e, nested, &trail{t, read.Nested, -1}, depth+1)
}

// control reads a pair that is no field.
func (rd *reading) control(read *Read, e *Entity, meaning string, v *value, t *trail) error {
	if meaning == "ignore" || v.empty() {
		return nil
	}
	text, ok := v.scalar()
	if !ok {
		return wrong(t, "a pair with a plain value")
	}
	rd.named++
	switch meaning {
	case "lookup":
		for part := range strings.SplitSeq(text, ",") {
			rd.name(e, part, Lookup, "")
		}
	case "id":
		rd.id(e, text)
	case "parent":
		rd.parents = append(rd.parents, Ref{Entity: e.Name, ID: text})
	}
	return nil
}

func anyFold(names []string, member string) bool {
	for _, n := range names {
		if foldsTo(member, Fold(n)) {
			return true
		}
	}
	return false
}
