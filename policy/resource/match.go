// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package resource

import (
	"errors"
	"fmt"
	"net/textproto"
	"net/url"
	"slices"
	"sort"
	"strings"
)

// undecided stands in for a route that only the body can tell.
var undecided = &Route{ID: "undecided", Kind: Data, Request: &RequestShape{Body: JSONBody}, Response: &Response{Format: FormatJSON}}

// Match is a request whose path the map knows.
type Match struct {
	m        *Map
	group    *group
	entry    *entry // nil while the body must be read to decide
	captures []string
	needs    bool
	max      int64
}

// Match finds the route of a request. The path decides first: of all path
// patterns that match, the one with the most literal text counts, from the left;
// then hosts and conditions are looked at within that pattern alone.
//
// ErrUnmapped (wrapped, with the reason) is returned when no route matches,
// ErrUnreadable when something routes are told apart by stands there twice.
// Conditions on the body are looked at by Operations, so that Match can be
// called before the body has been read; see Undecided.
func (m *Map) Match(r *Request) (*Match, error) {
	if err := m.refused(r); err != nil {
		return nil, err
	}
	g, captures := m.index.find(r.Method, r.Path, r.Host)
	if g == nil && r.Method == "HEAD" {
		g, captures = m.index.find("GET", r.Path, r.Host)
	}
	if g == nil {
		return nil, ErrUnmapped
	}
	mt := &Match{m: m, group: g, captures: captures}
	if !g.body {
		e, _, err := g.choose(r, nil)
		if err != nil {
			return nil, err
		}
		mt.entry = e
		shape := e.route.Request
		mt.needs = shape.Body == JSONBody || shape.Body == FormBody || e.route.Batch != nil
		mt.max = shape.MaxBody
		return mt, nil
	}
	mt.needs = true
	for i := range g.entries {
		mt.max = max(mt.max, g.entries[i].route.Request.MaxBody)
	}
	return mt, nil
}

// refused applies the map's refusals.
func (m *Map) refused(r *Request) error {
	for i := range m.Refuse {
		ref := &m.Refuse[i]
		values, _ := requestValues(r, ref.When.Source)
		for _, v := range values {
			if _, ok := ref.When.Is.match(v, true, nil); ok {
				return fmt.Errorf("%w: %s", ErrUnmapped, ref.Why)
			}
		}
	}
	return nil
}

// Route returns the route that was matched. While Undecided, it returns a
// stand-in of kind Data without entity; the operations carry the real one.
func (mt *Match) Route() *Route {
	if mt.entry == nil {
		return undecided
	}
	return mt.entry.route
}

// Undecided says that only the body tells which route this is.
func (mt *Match) Undecided() bool { return mt.entry == nil }

// MayBePublic says that the route is open to everybody, or, while Undecided, that
// one of the routes it can be is.
func (mt *Match) MayBePublic() bool {
	if mt.entry != nil {
		return open(mt.entry.route)
	}
	for i := range mt.group.entries {
		if open(mt.group.entries[i].route) {
			return true
		}
	}
	return false
}

func open(r *Route) bool { return r.Kind == Public || r.Kind == Static }

// NeedsBody says that Operations reads the body. A request whose match does not
// need it may be decided before its body has arrived; a body on a route that
// declares none should be refused or dropped by the caller, see TakesBody.
func (mt *Match) NeedsBody() bool { return mt.needs }

// ReadsAs says as what Operations reads the body, while NeedsBody.
func (mt *Match) ReadsAs() BodyKind {
	switch {
	case mt.entry != nil:
		return mt.entry.route.Request.Body
	case mt.group.form:
		return FormBody
	}
	return JSONBody
}

// TakesBody says that the route declares a body of any kind. What a client
// sends as body to any other route was not judged and must not be forwarded.
func (mt *Match) TakesBody() bool {
	return mt.entry == nil || mt.entry.route.Request.Body != NoRequestBody
}

// MaxBody returns how many bytes of body may be read; more is ErrUnreadable.
func (mt *Match) MaxBody() int64 { return mt.max }

// find returns the group of a path and the captured texts.
func (ix *index) find(method, path, host string) (*group, []string) {
	pi := ix.methods[method]
	if pi == nil || path == "" || path[0] != '/' {
		return nil, nil
	}
	plain := unescape(path)
	if g := pi.literal[ix.key(plain)]; g != nil && g.serves(host) {
		return g, nil
	}
	return pi.trie.find(plain[1:], host, ix, nil)
}

// serves says that some route of the group answers on the host.
func (g *group) serves(host string) bool {
	if !g.hosts {
		return true
	}
	for i := range g.entries {
		if contains(g.entries[i].route.Hosts, host) {
			return true
		}
	}
	return false
}

func (n *node) find(rest, host string, ix *index, captures []string) (*group, []string) {
	seg, after, more := strings.Cut(rest, "/")
	down := func(to *node, captures []string) (*group, []string) {
		if more {
			return to.find(after, host, ix, captures)
		}
		if to.end != nil && to.end.serves(host) {
			return to.end, captures
		}
		if to.rest != nil && to.rest.serves(host) {
			return to.rest, captures
		}
		return nil, nil
	}
	if c := n.literal[ix.key(seg)]; c != nil {
		if g, caps := down(c, captures); g != nil {
			return g, caps
		}
	}
	for i := range n.partial {
		if caps, ok := n.partial[i].template.match(seg, ix.fold, captures); ok {
			if g, caps := down(n.partial[i].to, caps); g != nil {
				return g, caps
			}
		}
	}
	if n.capture != nil && seg != "" {
		if g, caps := down(n.capture, append(captures, seg)); g != nil {
			return g, caps
		}
	}
	if n.rest != nil && n.rest.serves(host) {
		return n.rest, captures
	}
	return nil, nil
}

// body is a request body as far as conditions and reads look at it.
type body struct {
	doc  *value
	form url.Values
}

// choose returns the first entry, the most precise first, whose host and
// conditions hold, with the captures of its conditions.
func (g *group) choose(r *Request, b *body) (*entry, []string, error) {
	candidates, err := g.candidates(b)
	if err != nil {
		return nil, nil, err
	}
	for _, i := range candidates {
		e := &g.entries[i]
		if len(e.route.Hosts) > 0 && !contains(e.route.Hosts, r.Host) {
			continue
		}
		var captures []string
		hold := true
		for k := range e.route.When {
			var err error
			if captures, hold, err = e.route.When[k].holds(r, b, captures); err != nil {
				return nil, nil, err
			}
			if !hold {
				break
			}
		}
		if hold {
			return e, captures, nil
		}
	}
	return nil, nil, fmt.Errorf("%w: the path is known, its conditions do not hold", ErrUnmapped)
}

// candidates returns the entries worth trying, in order of precision.
func (g *group) candidates(b *body) ([]int, error) {
	if len(g.bodies) == 0 || b == nil || b.doc == nil {
		if len(g.entries) == 1 {
			return zero, nil
		}
		all := make([]int, len(g.entries))
		for i := range all {
			all[i] = i
		}
		return all, nil
	}
	out := append([]int(nil), g.others...)
	for k, p := range g.bodies {
		v, err := b.doc.at(p)
		if err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrUnreadable, rootedPointer(p), err)
		}
		if v == nil {
			continue
		}
		if text, ok := v.scalar(); ok {
			out = append(out, g.exact[k][text]...)
			out = append(out, g.tails[k][tail(text)]...)
		}
	}
	sort.Ints(out)
	return out, nil
}

var zero = []int{0}

// holds evaluates a condition and appends its captures.
func (c *Condition) holds(r *Request, b *body, captures []string) ([]string, bool, error) {
	if c.Source.InBody {
		if b == nil || b.doc == nil {
			return captures, false, nil
		}
		v, err := b.doc.at(c.Source.Body)
		switch {
		case err != nil:
			return captures, false, fmt.Errorf("%w: %s: %w", ErrUnreadable, rootedPointer(c.Source.Body), err)
		case v == nil:
			return captures, false, nil
		case c.Type != "":
			return captures, v.typeName() == c.Type, nil
		}
		text, ok := v.scalar()
		if !ok {
			return captures, false, nil
		}
		captures, ok = c.Is.match(text, false, captures)
		return captures, ok, nil
	}
	var values []string
	if c.Source.Form != "" {
		if b != nil {
			values = foldedValues(b.form, c.Source.Form)
		}
	} else {
		values, _ = requestValues(r, c.Source)
	}
	switch len(values) {
	case 0:
		return captures, false, nil
	case 1:
		captures, ok := c.Is.match(values[0], false, captures)
		return captures, ok, nil
	}
	return captures, false, fmt.Errorf("%w: %s stands there twice", ErrUnreadable, c.Source)
}

// requestValues returns what a query parameter or header holds.
func requestValues(r *Request, s Source) ([]string, bool) {
	switch {
	case s.Query != "":
		v := foldedValues(r.Query, s.Query)
		return v, len(v) > 0
	case s.Header != "":
		v := r.Header[textproto.CanonicalMIMEHeaderKey(s.Header)]
		return v, len(v) > 0
	}
	return nil, false
}

// foldedValues returns the values of every spelling of a name. They must not be
// changed.
func foldedValues(from map[string][]string, name string) []string {
	if len(from) == 0 {
		return nil
	}
	fold := Fold(name)
	var out []string
	for k, v := range from {
		switch {
		case !foldsTo(k, fold):
		case len(out) == 0: // most names are spelled in one way
			out = slices.Clip(v)
		default:
			out = append(out, v...)
		}
	}
	return out
}

// readBody decodes a body the way the route, or the group, declares it.
func readBody(raw []byte, kind BodyKind, optional bool) (*body, error) {
	if len(raw) == 0 {
		if optional {
			return &body{}, nil
		}
		return nil, fmt.Errorf("%w: the body is empty", ErrUnreadable)
	}
	switch kind {
	case FormBody:
		form, err := url.ParseQuery(string(raw))
		if err != nil {
			return nil, fmt.Errorf("%w: the form is broken", ErrUnreadable)
		}
		return &body{form: form}, nil
	case JSONBody:
		doc, err := decodeJSON(raw)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrUnreadable, err)
		}
		return &body{doc: doc}, nil
	}
	return nil, errors.New("resource: a body of this kind is not read")
}
