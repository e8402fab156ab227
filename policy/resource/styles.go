// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package resource

import (
	"fmt"
	"strings"
)

// take reads a value that came as text: a parameter, capture or header.
func (rd *reading) take(read *Read, v *value, name string) error {
	if read.As == AsField {
		rd.field(read, v, name)
		return nil
	}
	return rd.takeAt(read, v, nil)
}

// takeAt reads a value by the style of its read.
func (rd *reading) takeAt(read *Read, v *value, t *trail) error {
	switch read.As {
	case AsIgnore:
		return nil
	case AsOptions:
		if v.kind != '{' && v.kind != 'n' {
			return wrong(t, "an object of options")
		}
	case AsID, AsParent, AsType, AsCallback, AsBase:
		return rd.scalars(read, v, t)
	case AsName, AsNames:
		return rd.names(read, v, t)
	case AsOrder:
		return rd.order(read, v, t)
	case AsField:
		rd.field(read, v, t.String())
	case AsPairs:
		return rd.pairs(read, v, t)
	case AsColumns:
		return rd.positional(read, v, t)
	case AsDomain:
		return rd.domain(rd.entityOf(read), read, v, t, 0)
	case AsJSON:
		return rd.embedded(read, v, t)
	case AsSearch:
		rd.search(read, v, t)
	default: // said, and not read yet
		if !v.empty() {
			rd.unknown(read.Source.String() + " as " + string(read.As))
		}
	}
	return nil
}

// scalars reads ids, types and their like: a scalar, a separated text or a list.
func (rd *reading) scalars(read *Read, v *value, t *trail) error {
	if v.kind == '[' {
		for i := range v.items {
			if v.items[i].kind == '[' {
				return wrong(&trail{t, "", i}, "plain text or a number")
			}
			if err := rd.scalars(read, &v.items[i], &trail{t, "", i}); err != nil {
				return err
			}
		}
		return nil
	}
	if v.empty() {
		return nil
	}
	text, ok := v.scalar()
	if !ok {
		return wrong(t, "plain text or a number")
	}
	if read.As == AsCallback || read.As == AsBase || strings.IndexByte(text, read.Split[0]) < 0 {
		rd.scalar(read, text)
		return nil
	}
	for part := range strings.SplitSeq(text, read.Split) {
		if part = strings.TrimSpace(part); part != "" {
			rd.scalar(read, part)
		}
	}
	return nil
}

func (rd *reading) scalar(read *Read, text string) {
	rd.named++
	switch read.As {
	case AsID:
		rd.id(rd.entityOf(read), text)
	case AsParent:
		if e := rd.entityOf(read); e != nil {
			rd.parents = append(rd.parents, Ref{Entity: e.Name, ID: text})
		} else {
			rd.unknown(read.Source.String())
		}
	case AsType:
		rd.types = append(rd.types, text)
	case AsCallback:
		rd.callbacks = append(rd.callbacks, text)
	case AsBase:
		rd.bases = append(rd.bases, text)
	}
}

// id notes a record; of another entity than the route's, it is a parent.
func (rd *reading) id(e *Entity, text string) {
	switch {
	case e == nil || rd.entity == nil || e == rd.entity:
		rd.ids = append(rd.ids, text)
	default:
		rd.parents = append(rd.parents, Ref{Entity: e.Name, ID: text})
	}
}

// names reads names of fields: a text, a separated text or a list of texts.
func (rd *reading) names(read *Read, v *value, t *trail) error {
	switch v.kind {
	case 'n':
		return nil
	case '"':
		parts := []string{v.text}
		if read.As == AsNames {
			parts = strings.Split(v.text, read.Split)
		}
		op, given, err := rd.operator(read)
		if err != nil {
			return err
		}
		for _, part := range parts {
			before := len(rd.uses)
			rd.name(rd.entityOf(read), part, read.Use, op)
			for i := before; i < len(rd.uses) && len(parts) == 1; i++ {
				rd.uses[i].Given = given
			}
			rd.column(read, part)
		}
		return nil
	case '[':
		for i := range v.items {
			if v.items[i].kind != '"' {
				return wrong(&trail{t, "", i}, "the name of a field")
			}
			rd.name(rd.entityOf(read), v.items[i].text, read.Use, "")
			rd.column(read, v.items[i].text)
		}
		return nil
	}
	return wrong(t, "the name of a field")
}

// column notes the position of a column when the answer is written by position.
func (rd *reading) column(read *Read, name string) {
	if read.Use == Select {
		rd.columns = append(rd.columns, strings.TrimSpace(name))
	}
}

// operator finds the operator and the value beside a name.
func (rd *reading) operator(read *Read) (op string, given *Given, err error) {
	v, err := rd.beside(read.Op)
	if err != nil {
		return "", nil, err
	}
	if v != nil {
		op, _ = v.scalar()
	}
	if v, err = rd.beside(read.ValueAt); err != nil {
		return "", nil, err
	}
	if v != nil {
		given = &Given{value: v}
	}
	return op, given, nil
}

// beside finds what stands at a fixed place of the body; nil when nothing does.
func (rd *reading) beside(p Pointer) (*value, error) {
	if len(p.Steps) == 0 || rd.body == nil || rd.body.doc == nil {
		return nil, nil
	}
	v, err := rd.body.doc.at(p)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrUnreadable, p, err)
	}
	return v, nil
}

// order reads an order in any of its common spellings.
func (rd *reading) order(read *Read, v *value, t *trail) error {
	e := rd.entityOf(read)
	one := func(text string) {
		text = strings.TrimLeft(strings.TrimSpace(text), "+-")
		if cut := strings.IndexAny(text, " :"); cut > 0 {
			text = text[:cut]
		}
		rd.name(e, text, read.Use, "")
	}
	switch v.kind {
	case 'n':
		return nil
	case '"':
		for part := range strings.SplitSeq(v.text, ",") {
			one(part)
		}
		return nil
	case '{':
		for _, name := range v.names {
			rd.name(e, name, read.Use, "")
		}
		return nil
	case '[':
		for i := range v.items {
			item := &v.items[i]
			switch {
			case item.kind == '"':
				one(item.text)
			case item.kind == '[' && len(item.items) > 0 && item.items[0].kind == '"':
				rd.name(e, item.items[0].text, read.Use, "")
			default:
				return wrong(&trail{t, "", i}, "an order")
			}
		}
		return nil
	}
	return wrong(t, "an order")
}

// field reads the value of a field the map names.
func (rd *reading) field(read *Read, v *value, name string) {
	e := rd.entityOf(read)
	if e == nil {
		rd.unknown(name)
		return
	}
	rd.named++
	u := FieldUse{Entity: e.Name, Name: name, Use: read.Use, Empty: v.empty(), Given: &Given{value: v}}
	if read.Source.InBody {
		u.Given.whole = v
	}
	if f := e.Fields[read.Field]; f != nil {
		u.Field = f.Name
	} else {
		u.Name = read.Field
	}
	rd.uses = append(rd.uses, u)
}

// search reads free text; an empty one searches for nothing.
func (rd *reading) search(read *Read, v *value, t *trail) {
	e := rd.entityOf(read)
	if v.empty() {
		return
	}
	name := read.Source.String()
	if e == nil {
		rd.unknown(name)
		return
	}
	if len(read.Over) == 0 {
		rd.uses = append(rd.uses, FieldUse{Entity: e.Name, Name: name, Use: read.Use})
		return
	}
	for _, field := range read.Over {
		rd.uses = append(rd.uses, FieldUse{Entity: e.Name, Field: field, Name: name, Use: read.Use})
	}
}

// count1 notes one record a read saw.
func (rd *reading) count1(read *Read, e *Entity) {
	if !read.Record || e == nil {
		return
	}
	for i := range rd.written {
		if rd.written[i].read == read {
			rd.written[i].n++
			return
		}
	}
	rd.written = append(rd.written, tally{read: read, entity: e.Name, n: 1})
}

// write notes a field written by its wire name. whole is what would have to be
// left out of the body to leave the field alone; nil when nothing can be.
func (rd *reading) write(e *Entity, wire string, use Use, v, whole *value) {
	before := len(rd.uses)
	rd.name(e, wire, use, "")
	for i := before; i < len(rd.uses); i++ {
		rd.uses[i].Empty, rd.uses[i].Given = v.empty(), &Given{value: v, whole: whole}
	}
}

// object reads an object whose members are fields, apart from the members other
// reads claim.
func (rd *reading) object(read *Read, v *value, p *place, t *trail) error {
	if v.kind == 'n' {
		return nil
	}
	if v.kind != '{' {
		return wrong(t, "an object of fields")
	}
	e := rd.entityOf(read)
	if e == nil {
		return fmt.Errorf("%w: %s speaks of no entity", ErrUnmapped, read.Source)
	}
	rd.count1(read, e)
	for i, name := range v.names {
		var buf [64]byte
		if p != nil && p.members[string(AppendFold(buf[:0], []byte(name)))] != nil {
			continue
		}
		item := &v.items[i]
		rd.write(e, name, read.Use, item, item)
		if err := rd.insideField(e, name, read, item, &trail{t, name, -1}); err != nil {
			return err
		}
	}
	return rd.checkLimit()
}

// positional reads a list of column names and counts the rows.
func (rd *reading) positional(read *Read, v *value, t *trail) error {
	if v.kind != '[' {
		return wrong(t, "a list of columns")
	}
	e := rd.entityOf(read)
	for i := range v.items {
		if v.items[i].kind != '"' {
			return wrong(&trail{t, "", i}, "the name of a column")
		}
		rd.name(e, v.items[i].text, read.Use, "")
		rd.columns = append(rd.columns, v.items[i].text)
	}
	if e == nil || len(read.Rows.Steps) == 0 {
		return nil
	}
	rows, err := rd.body.doc.at(read.Rows)
	if err != nil || rows == nil || rows.kind != '[' {
		return fmt.Errorf("%w: body %s is not a list of rows", ErrUnreadable, read.Rows)
	}
	rd.written = append(rd.written, tally{read: read, entity: e.Name, n: len(rows.items)})
	return nil
}

// embedded reads text that holds a JSON document of its own.
func (rd *reading) embedded(read *Read, v *value, t *trail) error {
	if v.empty() {
		return nil
	}
	if v.kind != '"' {
		return wrong(t, "text that holds JSON")
	}
	doc, err := decodeJSON([]byte(v.text))
	if err != nil {
		return fmt.Errorf("%w: the JSON within %s: %w", ErrUnreadable, read.Source, err)
	}
	return rd.walk(doc, read.tree, t)
}
