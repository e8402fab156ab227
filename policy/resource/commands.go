// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package resource

import "strings"

// insideField reads what is written through a field into other records: nested
// commands, objects and lists of objects. A structured value nobody can read is
// an unknown use.
func (rd *reading) insideField(e *Entity, wire string, read *Read, v *value, t *trail) error {
	if v.kind != '{' && v.kind != '[' || rd.wrapper(v) {
		return nil
	}
	f := e.FieldByName(wire)
	plain := v.kind == '['
	for i := range v.items {
		plain = plain && v.items[i].kind != '{' && v.items[i].kind != '['
	}
	switch {
	case plain: // a list of scalars is a value
		return nil
	case f == nil || f.Entity == "":
		rd.unknown("body " + t.String())
		return nil
	case v.kind == '{':
		return rd.nestedObject(rd.m.Entities[f.Entity], read, v, t)
	}
	for i := range v.items {
		item, at := &v.items[i], &trail{t, "", i}
		switch {
		case item.kind == '{':
			if err := rd.nestedObject(rd.m.Entities[f.Entity], read, item, at); err != nil {
				return err
			}
		case item.kind == '[' && rd.command(rd.m.Entities[f.Entity], read, item, at):
		default:
			rd.unknown("body " + at.String())
		}
	}
	return rd.checkLimit()
}

// wrapper reports an object that stands for one scalar.
func (rd *reading) wrapper(v *value) bool {
	if v.kind != '{' {
		return false
	}
	for _, w := range rd.m.Wrappers {
		for i, name := range v.names {
			if name == w.At && v.items[i].kind == '"' && (w.Is == "" || v.items[i].text == w.Is) {
				return true
			}
		}
	}
	return false
}

// nestedObject reads the fields of another record.
func (rd *reading) nestedObject(e *Entity, read *Read, v *value, t *trail) error {
	sub := &Read{Source: read.Source, As: AsObject, Use: read.Use, Entity: e.Name, Commands: read.Commands}
	return rd.object(sub, v, nil, t)
}

// command reads one nested command; false when it is none.
func (rd *reading) command(e *Entity, read *Read, v *value, t *trail) bool {
	if len(v.items) == 0 {
		return false
	}
	switch {
	case read.Commands == "tryton" && v.items[0].kind == '"':
		return rd.trytonCommand(e, read, v, t)
	case read.Commands == "odoo" && v.items[0].kind == '0':
		return rd.odooCommand(e, read, v, t)
	}
	return false
}

// trytonCommand reads ["create",[{..}]], ["write",[ids],{..},...],
// ["delete",[ids]], ["add",[ids]], ["remove",[ids]] and ["copy",[ids],{..}].
func (rd *reading) trytonCommand(e *Entity, read *Read, v *value, t *trail) bool {
	args := v.items[1:]
	switch v.items[0].text {
	case "create":
		if len(args) != 1 || args[0].kind != '[' {
			return false
		}
		for i := range args[0].items {
			if !rd.commandValues(e, read, &args[0].items[i], t) {
				return false
			}
		}
		rd.effect(e, Create, nil, len(args[0].items))
		return true
	case "write":
		if len(args) == 0 || len(args)%2 != 0 {
			return false
		}
		for i := 0; i < len(args); i += 2 {
			ids, ok := idList(&args[i])
			if !ok || !rd.commandValues(e, read, &args[i+1], t) {
				return false
			}
			rd.effect(e, Edit, ids, len(ids))
		}
		return true
	case "delete", "add", "remove", "copy":
		if len(args) == 0 || len(args) > 2 {
			return false
		}
		ids, ok := idList(&args[0])
		if !ok || len(args) == 2 && !rd.commandValues(e, read, &args[1], t) {
			return false
		}
		rd.effect(e, map[string]Action{"delete": Delete, "copy": Create, "add": Edit, "remove": Edit}[v.items[0].text], ids, len(ids))
		return true
	}
	return false
}

// odooCommand reads [0,_,{..}], [1,id,{..}], [2,id], [3,id], [4,id], [5] and
// [6,_,[ids]].
func (rd *reading) odooCommand(e *Entity, read *Read, v *value, t *trail) bool {
	args := v.items
	var ids []string
	if len(args) > 1 && args[1].kind == '0' && strings.IndexAny(args[0].text, "1234") == 0 {
		ids = []string{args[1].text}
	}
	switch args[0].text {
	case "0", "1":
		if len(args) != 3 || !rd.commandValues(e, read, &args[2], t) {
			return false
		}
		rd.effect(e, map[string]Action{"0": Create, "1": Edit}[args[0].text], ids, 1)
	case "2":
		rd.effect(e, Delete, ids, 1)
	case "3", "4":
		rd.effect(e, Edit, ids, 1)
	case "5":
		rd.effect(e, Edit, nil, 0)
	case "6":
		if len(args) != 3 {
			return false
		}
		list, ok := idList(&args[2])
		if !ok {
			return false
		}
		rd.effect(e, Edit, list, len(list))
	default:
		return false
	}
	return true
}

func (rd *reading) commandValues(e *Entity, read *Read, v *value, t *trail) bool {
	return v.kind == '{' && rd.nestedObject(e, read, v, t) == nil
}

// effect notes an operation on the records behind a relation.
func (rd *reading) effect(e *Entity, a Action, ids []string, n int) {
	rd.named += n
	rd.nested = append(rd.nested, Operation{
		ID: rd.route.ID, Kind: rd.route.Kind, Entity: e.Name, Action: a, Records: ids, Count: n, Bulk: n > 1,
		Feature: rd.route.Feature, NoTouch: rd.route.NoTouch, Route: rd.route, Also: true, from: rd,
	})
}

// idList reads a list of ids.
func idList(v *value) ([]string, bool) {
	if v.kind != '[' {
		return nil, false
	}
	ids := make([]string, 0, len(v.items))
	for i := range v.items {
		text, ok := v.items[i].scalar()
		if !ok {
			return nil, false
		}
		ids = append(ids, text)
	}
	return ids, true
}
