// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package resource

import (
	"fmt"
	"net/url"
	"strings"
)

// Operations reads the request into what it does to the CRM: one operation, or
// one and its further effects (Operation.Also), for each item of a batch. The
// first operation of an item is the one whose Route describes the answer.
//
// When NeedsBody is false, r.Body is not touched. A body that is not what the
// route declares, that is larger than MaxBody, or that names more than the map's
// limit of things, is an error that wraps ErrUnreadable and names the place,
// never the content. A request whose body asks for something the map does not
// know (a JSON-RPC method, a model) is ErrUnmapped. What the route declares
// nothing about becomes a FieldUse with Use Unknown.
func (mt *Match) Operations(r *Request) ([]Operation, error) {
	if !mt.needs {
		return mt.m.operate(mt.entry, mt.captures, nil, r, nil, 0)
	}
	if int64(len(r.Body)) > mt.max {
		return nil, fmt.Errorf("%w: the body is larger than %d bytes", ErrUnreadable, mt.max)
	}
	if mt.entry != nil && mt.entry.route.Batch != nil && mt.entry.route.Batch.Parts {
		return mt.parts(mt.entry.route, r)
	}
	optional := mt.entry != nil && mt.entry.route.Request.Optional
	b, err := readBody(r.Body, mt.ReadsAs(), optional)
	if err != nil {
		return nil, err
	}
	return mt.operations(r, b, 0)
}

// operations decides the route if the body must, and reads it.
func (mt *Match) operations(r *Request, b *body, depth int) ([]Operation, error) {
	e, more := mt.entry, []string(nil)
	if e == nil {
		var err error
		if e, more, err = mt.group.choose(r, b); err != nil {
			return nil, err
		}
	}
	if e.route.Batch != nil {
		return mt.batch(e.route, r, b, depth)
	}
	return mt.m.operate(e, mt.captures, more, r, b, depth)
}

// batch reads every item by itself.
func (mt *Match) batch(route *Route, r *Request, b *body, depth int) ([]Operation, error) {
	if depth > 0 || route.Batch.Parts {
		return nil, fmt.Errorf("%w: a batch within a batch, or one of parts that only the body tells", ErrUnreadable)
	}
	items := route.Batch.Items
	list, err := b.doc.at(Pointer{Steps: items.Steps[:len(items.Steps)-1]})
	if err != nil || list == nil || list.kind != '[' {
		return nil, fmt.Errorf("%w: %s is not a list of requests", ErrUnreadable, items)
	}
	if len(list.items) == 0 || len(list.items) > route.Batch.Max {
		return nil, fmt.Errorf("%w: a batch of %d requests, allowed are 1 to %d", ErrUnreadable, len(list.items), route.Batch.Max)
	}
	var out []Operation
	for i := range list.items {
		ops, err := mt.item(route.Batch, r, &list.items[i])
		if err != nil {
			return nil, fmt.Errorf("reading item %d of the batch: %w", i, err)
		}
		for k := range ops {
			ops[k].Item, ops[k].Batched, ops[k].from = i, true, nil
		}
		out = append(out, ops...)
	}
	return out, nil
}

// item reads one item of a batch as a request of its own.
func (mt *Match) item(batch *Batch, r *Request, item *value) ([]Operation, error) {
	if !batch.URL {
		return mt.operations(r, &body{doc: item}, 1)
	}
	sub := &Request{Host: r.Host, Header: r.Header, Query: map[string][]string{}}
	text := func(p Pointer) string {
		if v, err := item.at(p); err == nil && v != nil && v.kind == '"' {
			return v.text
		}
		return ""
	}
	target := text(batch.Path)
	path, query, _ := strings.Cut(target, "?")
	canon, err := Canonical(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrUnreadable, batch.Path, err)
	}
	if canon != path { // it is sent as it is
		return nil, fmt.Errorf("%w: %s is not in its one form", ErrUnreadable, batch.Path)
	}
	if sub.Query, err = url.ParseQuery(query); err != nil || strings.Contains(query, "#") {
		return nil, fmt.Errorf("%w: %s has a broken query", ErrUnreadable, batch.Path)
	}
	for name := range sub.Query {
		if (&reading{m: mt.m}).credential(name) {
			return nil, fmt.Errorf("%w: %s holds credentials of the CRM", ErrUnreadable, batch.Path)
		}
	}
	sub.Method, sub.Path = strings.ToUpper(text(batch.Method)), canon
	inner, err := mt.m.Match(sub)
	if err != nil {
		return nil, err
	}
	if !inner.needs {
		return inner.operations(sub, nil, 1)
	}
	v, err := item.at(batch.Body)
	if err != nil || v == nil {
		return nil, fmt.Errorf("%w: %s is missing", ErrUnreadable, batch.Body)
	}
	if inner.group.form || inner.entry != nil && inner.entry.route.Request.Body == FormBody {
		return nil, fmt.Errorf("%w: a form within a batch", ErrUnreadable)
	}
	return inner.operations(sub, &body{doc: v}, 1)
}

// operate reads one request by its route.
func (m *Map) operate(e *entry, path, conditions []string, r *Request, b *body, depth int) ([]Operation, error) {
	if e.route.Batch != nil {
		return nil, fmt.Errorf("%w: a batch cannot be read here", ErrUnreadable)
	}
	rd := &reading{m: m, route: e.route, request: r, body: b, entry: e, path: path, conditions: conditions}
	if e.route.Entity != "" {
		if rd.entity = rd.resolve(e.route.Entity); rd.entity == nil {
			return nil, fmt.Errorf("%w: %q stands for no entity of the map", ErrUnmapped, e.route.Entity)
		}
	}
	if rd.entity != nil && len(e.route.Only) > 0 && !contains(e.route.Only, rd.entity.Name) {
		return nil, fmt.Errorf("%w: route %s is not for %s", ErrUnmapped, e.route.ID, rd.entity.Name)
	}
	if err := rd.read(); err != nil {
		return nil, err
	}
	return rd.operations()
}

// reading is the state of reading one request.
type reading struct {
	m          *Map
	route      *Route
	request    *Request
	body       *body
	entry      *entry
	path       []string // captured texts of the path
	conditions []string // captured texts of the conditions
	entity     *Entity  // nil for routes without

	uses      []FieldUse
	ids       []string
	types     []string
	parents   []Ref
	columns   []string
	callbacks []string
	bases     []string
	written   []tally
	nested    []Operation
	limit     int
	named     int // things named so far, against the map's limit
}

// tally counts the records one Read saw.
type tally struct {
	read   *Read
	entity string
	n      int
}

// capture returns the text a capture of path or conditions took.
func (rd *reading) capture(name string) (string, bool) {
	for i, n := range rd.entry.names {
		if n == name && i < len(rd.path) {
			return rd.path[i], true
		}
	}
	i := 0
	for k := range rd.route.When {
		for _, n := range rd.route.When[k].Is.Names {
			if n == name && i < len(rd.conditions) {
				return rd.conditions[i], true
			}
			i++
		}
	}
	return "", false
}

// resolve finds an entity by name or template; nil when there is none.
func (rd *reading) resolve(entity string) *Entity {
	if strings.IndexByte(entity, '{') < 0 {
		return rd.m.Entities[entity]
	}
	t, err := parseTemplate(entity)
	if err != nil {
		return nil
	}
	name, ok := t.expand(rd.capture)
	if !ok {
		return nil
	}
	return rd.m.EntityNamed(name)
}

// operations assembles what was read.
func (rd *reading) operations() ([]Operation, error) {
	r := rd.route
	first := Operation{
		ID: r.ID, Kind: r.Kind, Records: rd.ids, Types: rd.types, Parents: rd.parents, Feature: r.Feature,
		NoTouch: r.NoTouch, Route: r, Limit: rd.limit, Columns: rd.columns, Callbacks: rd.callbacks, Bases: rd.bases, from: rd,
	}
	if len(r.Types) > 0 {
		first.Types = append(append([]string(nil), r.Types...), rd.types...)
	}
	if rd.entity != nil {
		first.Entity = rd.entity.Name
		first.Count = max(len(rd.ids), rd.count(rd.entity.Name))
		first.Bulk = r.Bulk || first.Count > 1
	}
	if len(r.Actions) > 0 {
		first.Action = r.Actions[0]
	}
	out := make([]Operation, 1, 1+len(r.Also)+len(rd.nested))
	out[0] = first
	for _, a := range r.Actions[min(1, len(r.Actions)):] {
		twin := first
		twin.Action, twin.Also = a, true
		out = append(out, twin)
	}
	for i := range r.Also {
		if err := rd.also(&out, &r.Also[i]); err != nil {
			return nil, err
		}
	}
	out = append(out, rd.nested...)
	rd.share(out)
	return out, nil
}

// also appends a further effect, if it happens.
func (rd *reading) also(out *[]Operation, a *Also) error {
	happens := len(a.If) == 0
	for _, src := range a.If {
		there, err := rd.present(src)
		if err != nil {
			return err
		}
		happens = happens || there
	}
	if !happens {
		return nil
	}
	e := rd.resolve(a.Entity)
	if e == nil {
		return fmt.Errorf("%w: %q stands for no entity of the map", ErrUnmapped, a.Entity)
	}
	op := Operation{ID: rd.route.ID, Kind: rd.route.Kind, Entity: e.Name, Feature: rd.route.Feature, NoTouch: rd.route.NoTouch, Route: rd.route, Also: true, from: rd}
	if e == rd.entity {
		op.Records, op.Types = rd.ids, rd.types
	}
	for _, p := range rd.parents {
		if p.Entity == e.Name {
			op.Records = append(op.Records, p.ID)
		}
	}
	op.Count = max(len(op.Records), rd.count(e.Name))
	op.Bulk = op.Count > 1
	for _, action := range a.Actions {
		op.Action = action
		*out = append(*out, op)
	}
	return nil
}

// Written returns how many records of the operation's entity the request writes
// values for; one set of values for many records counts once.
func (op *Operation) Written() int {
	if op.from == nil {
		return 0
	}
	return op.from.count(op.Entity)
}

// Writes returns how many fields the request writes.
func (op *Operation) Writes() int {
	n := 0
	for i := range op.Fields {
		if op.Fields[i].Use == Write {
			n++
		}
	}
	return n
}

// Alone says that the operation was read from a request of its own, not from an
// item of a batch.
func (op *Operation) Alone() bool { return op.from != nil }

// count returns how many records of an entity the request writes. Several reads
// of one record do not make it several.
func (rd *reading) count(entity string) int {
	n := 0
	for _, t := range rd.written {
		if t.entity == entity {
			n = max(n, t.n)
		}
	}
	return n
}

// share gives each operation the uses of its entity, and the first one what is
// left, so that no use is ever without somebody who checks it.
func (rd *reading) share(ops []Operation) {
	if len(ops) == 1 {
		ops[0].Fields = rd.uses
		return
	}
	for _, use := range rd.uses {
		taken := false
		for i := range ops {
			if ops[i].Entity == use.Entity {
				ops[i].Fields = append(ops[i].Fields, use)
				taken = true
			}
		}
		if !taken {
			ops[0].Fields = append(ops[0].Fields, use)
		}
	}
}

// present reports whether a source has a value that is not empty.
func (rd *reading) present(src Source) (bool, error) {
	switch {
	case src.InBody:
		if rd.body == nil || rd.body.doc == nil {
			return false, nil
		}
		if src.Body.Fixed() {
			v, err := rd.body.doc.at(src.Body)
			if err != nil {
				return false, fmt.Errorf("%w: %s: %w", ErrUnreadable, rootedPointer(src.Body), err)
			}
			return v != nil && !v.empty(), nil
		}
		return true, nil // many places: taken for there
	case src.Capture != "":
		_, ok := rd.capture(src.Capture)
		return ok, nil
	case src.Form != "":
		return rd.body != nil && len(foldedValues(rd.body.form, src.Form)) > 0, nil
	}
	values, _ := requestValues(rd.request, src)
	return len(values) > 0, nil
}
