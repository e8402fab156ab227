// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package resource

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// linkReadBack checks the route of a read_back and what its texts ask for.
func (d *decoder) linkReadBack(n *yaml.Node, b *ReadBack) {
	d.needRoute(n, b.Route)
	to := d.m.routes[b.Route]
	if to == nil {
		return
	}
	if len(to.Actions) != 1 || to.Actions[0] != View {
		d.fail(n, "name a route that reads", "read_back reads by route %q, which does something else", b.Route)
	}
	if b.Body == "" && len(b.Args) == 0 {
		d.fail(n, "give args or body", "read_back does not say how route %q is asked for a record", b.Route)
	}
	if b.Body != "" {
		probe := b.body([]string{"1"}, []string{"x"}, "x", func(string) (string, bool) { return "x", true })
		if _, err := decodeJSON([]byte(probe)); err != nil {
			d.fail(n, "write JSON; {record_ids} and {fields} stand for whole lists", "the body of read_back: %v", err)
		}
	}
}

// body fills the texts in. Everything but ids that are numbers is written as JSON
// text or as a list of it.
func (b *ReadBack) body(ids, fields []string, entity string, capture func(string) (string, bool)) string {
	list := func(of []string, bare bool) string {
		parts := make([]string, len(of))
		for i, s := range of {
			if parts[i] = `"` + jsonText(s) + `"`; bare {
				parts[i] = s
			}
		}
		return "[" + strings.Join(parts, ",") + "]"
	}
	return b.fill(b.Body, func(name string) (string, bool) {
		switch name {
		case "record_ids":
			return list(ids, b.Numbers), true
		case "fields":
			return list(fields, false), true
		case "record_id":
			return jsonText(ids[0]), true
		case "entity":
			return jsonText(entity), true
		}
		s, ok := capture(name)
		return jsonText(s), ok
	})
}

// fill replaces every {name} that value knows; what only looks like one stays.
func (b *ReadBack) fill(text string, value func(string) (string, bool)) string {
	var out strings.Builder
	for {
		open := strings.IndexByte(text, '{')
		if open < 0 {
			return out.String() + text
		}
		out.WriteString(text[:open])
		text = text[open:]
		if end := strings.IndexByte(text, '}'); end > 0 && isName(text[1:end]) {
			if s, ok := value(text[1:end]); ok {
				out.WriteString(s)
				text = text[end+1:]
				continue
			}
		}
		out.WriteByte('{')
		text = text[1:]
	}
}

// ErrNoReadBack says that records cannot be read: the map does not say how, or not
// so many at once, or not by such ids.
var ErrNoReadBack = errors.New("the record cannot be read as it is now")

// Reading is a request for records as they are now, and what its answer looks like.
type Reading struct {
	Entity   *Entity
	IDs      []string
	Method   string
	Path     string // escaped, canonical
	RawQuery string
	Body     []byte // JSON; nil for none
	Route    *Route

	m *Map
}

// ReadBack returns the request that reads records of an entity as they are now, for
// an operation that touches them: by the route's read_back when they are the
// operation's own, by the entity's otherwise. Fields are the wire names that
// matter, beside the id and the owner.
//
// The request is matched and read like any other before it is returned: it must be
// the declared route, read that entity and name exactly those ids, or the error
// wraps ErrNoReadBack. So no id can make it a request for something else.
func (m *Map) ReadBack(op *Operation, e *Entity, ids, fields []string) (*Reading, error) {
	b := e.ReadBack
	if op.Route.ReadBack != nil && op.Entity == e.Name {
		b = op.Route.ReadBack
	}
	switch {
	case b == nil:
		return nil, fmt.Errorf("%w: the map does not say how a %s is read", ErrNoReadBack, e.Name)
	case len(ids) == 0 || len(ids) > b.Max:
		return nil, fmt.Errorf("%w: %d records of %s are touched, and at most %d can be read at once", ErrNoReadBack, len(ids), e.Name, b.Max)
	}
	if b.Numbers && slices.ContainsFunc(ids, func(s string) bool { return !isNumber(s) }) {
		return nil, fmt.Errorf("%w: an id of %s is no number", ErrNoReadBack, e.Name)
	}
	return m.read(b, op, e, ids, fields)
}

func isNumber(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != "" && len(s) < 20 && (s == "0" || s[0] != '0')
}

func (m *Map) read(b *ReadBack, op *Operation, e *Entity, ids, fields []string) (*Reading, error) {
	wire := e.Name
	if len(e.Names) > 0 {
		wire = e.Names[0]
	}
	capture := func(string) (string, bool) { return "", false }
	req := &Request{Query: map[string][]string{}, Header: map[string][]string{}}
	if op.from != nil {
		capture, req.Host = op.from.capture, op.from.request.Host
	}
	arg := func(text string) string {
		return b.fill(text, func(name string) (string, bool) {
			switch name {
			case "record_id":
				return ids[0], true
			case "entity":
				return wire, true
			}
			return capture(name)
		})
	}
	route := m.routes[b.Route]
	on := route.On[0]
	path, used := on.Path, map[string]bool{}
	if strings.Contains(path, "**") {
		return nil, fmt.Errorf("%w: the path of route %s is open", ErrNoReadBack, b.Route)
	}
	path = b.fill(path, func(name string) (string, bool) {
		used[name] = true
		if text, ok := b.Args[name]; ok {
			return url.PathEscape(arg(text)), true
		}
		s, ok := capture(name)
		return url.PathEscape(s), ok
	})
	for name, text := range b.Args {
		if !used[name] {
			req.Query[name] = []string{arg(text)}
		}
	}
	var err error
	if req.Path, err = Canonical(path); err != nil {
		return nil, fmt.Errorf("%w: its id is none", ErrNoReadBack)
	}
	req.Method = on.Method
	if b.Body != "" {
		req.Body = []byte(b.body(ids, names(e, fields), wire, capture))
		req.Header["Content-Type"] = []string{"application/json"}
	}
	out := &Reading{Entity: e, IDs: ids, Method: req.Method, Path: req.Path, RawQuery: url.Values(req.Query).Encode(), Body: req.Body, Route: route, m: m}
	return out, m.prove(req, b.Route, e, ids)
}

// names are the wire names to ask for: id, owner, what leads to an owner, and
// fields, each once.
func names(e *Entity, fields []string) []string {
	var out []string
	add := func(list ...string) {
		for _, n := range list {
			if !slices.ContainsFunc(out, func(o string) bool { return Fold(o) == Fold(n) }) {
				out = append(out, n)
			}
		}
	}
	add(e.ID...)
	add(e.Owner...)
	for _, via := range e.OwnerVia {
		add(via.At)
	}
	add(fields...)
	return out
}

// prove reads a request of our own the way a client's is read.
func (m *Map) prove(req *Request, route string, e *Entity, ids []string) error {
	mt, err := m.Match(req)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNoReadBack, err)
	}
	ops, err := mt.Operations(req)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNoReadBack, err)
	}
	if len(ops) != 1 || ops[0].Route.ID != route || ops[0].Entity != e.Name || ops[0].Action != View || !slices.Equal(ops[0].Records, ids) {
		return fmt.Errorf("%w: route %s would be asked for something else", ErrNoReadBack, route)
	}
	return nil
}

// Record is one record of an answer, read whole.
type Record struct {
	Entity *Entity

	values map[string]Value
}

// Get returns a value by its wire name, compared folded; none when the record does
// not have it.
func (r *Record) Get(wire string) Value { return r.values[Fold(wire)] }

// Each calls f for every value of the record by its folded wire name, in no order.
func (r *Record) Each(f func(folded string, v Value)) {
	for folded, v := range r.values {
		f(folded, v)
	}
}

// Is reports whether the record has the id, under any of the names ids have.
func (r *Record) Is(id string, fold func(string) string) bool {
	for _, name := range r.Entity.ID {
		if v := r.Get(name); v.Scalar() && fold(v.Text) == fold(id) {
			return true
		}
	}
	return false
}

// errAnswer is an answer that does not hold records where the map says.
var errAnswer = errors.New("the answer does not hold records where the map says")

// Records reads an answer: every record of the entity that stands where the map
// says. It is as strict as the rewriting: what is no JSON, holds a name twice, or
// has another shape is an error, which never holds content.
func (rd *Reading) Records(body []byte) ([]*Record, error) {
	resp := rd.Route.Response
	if resp.Format != FormatJSON {
		return nil, errAnswer
	}
	doc, err := decodeJSON([]byte(strings.TrimPrefix(string(body), resp.Prefix)))
	if err != nil {
		return nil, fmt.Errorf("reading the record as it is now: %w", err)
	}
	var out []*Record
	for _, set := range resp.Records {
		if set.Entity != "" && !strings.Contains(set.Entity, "{") && set.Entity != rd.Entity.Name || set.Style != ObjectRecord && set.Style != "" {
			continue
		}
		if err := each(doc, set.At.Steps, func(v *value) error {
			r, err := readRecord(rd.Entity, set, v)
			out = append(out, r)
			return err
		}); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// each calls f for every value at a pointer. A place that is not there has none.
func each(v *value, steps []Step, f func(*value) error) error {
	if len(steps) == 0 {
		return f(v)
	}
	s := steps[0]
	if s.Kind == Elements || s.Kind == Members {
		if s.Kind == Elements && v.kind != '[' || s.Kind == Members && v.kind != '{' {
			return errAnswer
		}
		for i := range v.items {
			if err := each(&v.items[i], steps[1:], f); err != nil {
				return err
			}
		}
		return nil
	}
	next, err := v.at(Pointer{Steps: steps[:1]})
	if err != nil || next == nil {
		return err
	}
	return each(next, steps[1:], f)
}

func readRecord(e *Entity, set *RecordSet, v *value) (*Record, error) {
	if v.kind != '{' {
		return nil, errAnswer
	}
	r := &Record{Entity: e, values: make(map[string]Value, len(v.names))}
	parts := map[*value]bool{}
	for _, p := range set.Parts {
		err := each(v, p.At.Steps, func(part *value) error {
			parts[part] = true
			return r.part(p, part, 0)
		})
		if err != nil {
			return nil, err
		}
	}
	return r, r.members(v, parts)
}

// members takes the members of an object for fields.
func (r *Record) members(v *value, but map[*value]bool) error {
	for i, name := range v.names {
		if !but[&v.items[i]] {
			if err := r.set(name, &v.items[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// set keeps a value. A name that comes again with another value, whatever its
// spelling, makes the record unreadable.
func (r *Record) set(name string, v *value) error {
	fold, val := Fold(name), v.plain()
	if have, twice := r.values[fold]; twice && have != val {
		return errTwice
	}
	r.values[fold] = val
	return nil
}

func (r *Record) part(p *Part, v *value, depth int) error {
	switch {
	case v.kind == 'n':
		return nil
	case p.Style == "map" && v.kind == '{':
		return r.members(v, nil)
	case p.Style == "map" || v.kind != '[' || depth > 8:
		return errAnswer
	}
	for i := range v.items {
		if err := r.pair(p, &v.items[i], depth); err != nil {
			return err
		}
	}
	return nil
}

func (r *Record) pair(p *Part, v *value, depth int) error {
	if v.kind != '{' {
		return errAnswer
	}
	name := ""
	var val, more *value
	for i, member := range v.names {
		switch item := &v.items[i]; {
		case anyFold(p.Name, member):
			name, _ = item.scalar()
		case len(p.Value) > 0 && foldsTo(member, Fold(p.Value[len(p.Value)-1])):
			val = item // of several the last: old and new
		case anyFold(p.Nested, member):
			more = item
		}
	}
	if name != "" && val != nil {
		if err := r.set(name, val); err != nil {
			return err
		}
	}
	if more != nil && more.kind == '[' {
		return r.part(p, more, depth+1)
	}
	return nil
}

// NewRecord makes a record out of values by wire name.
func NewRecord(e *Entity, values map[string]Value) *Record {
	r := &Record{Entity: e, values: make(map[string]Value, len(values))}
	for name, v := range values {
		r.values[Fold(name)] = v
	}
	return r
}
