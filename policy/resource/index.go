// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package resource

import (
	"net/url"
	"sort"
	"strings"
)

// index finds the routes of a path at a cost that does not grow with their
// number: a hash of methods and literal paths, and a trie of segments for paths
// with captures.
type index struct {
	fold    bool
	methods map[string]*pathIndex
}

type pathIndex struct {
	literal map[string]*group
	trie    *node
}

// node is one segment depth of the trie. A literal segment wins over one with
// literal parts, that over a capture, that over the rest.
type node struct {
	literal map[string]*node
	partial []partial
	capture *node
	rest    *group
	end     *group
}

// partial is a segment with captures and literal parts, heaviest first.
type partial struct {
	template Template
	to       *node
}

// entry is one route on one path shape.
type entry struct {
	route *Route
	names []string // captures of the path in order, "*" for the ones nobody asks for
	order int
}

// group holds the routes that share method and path shape, the most precise
// first, with a table over the body values that tell them apart.
type group struct {
	entries []entry
	bodies  []Pointer // the places conditions look at
	exact   []map[string][]int
	tails   []map[string][]int
	others  []int // entries the tables do not find: no body condition, or one of another form
	form    bool
	body    bool // some condition needs the body
	hosts   bool // every entry is for some host only
}

// tail returns what follows the last separator of a value, by which templates
// such as "model.{model}.read" are found.
func tail(s string) string {
	return s[strings.LastIndexAny(s, "./:#")+1:]
}

// compile builds everything that is looked up per request.
func (d *decoder) compile() {
	ix := &index{fold: d.m.CaseInsensitivePaths, methods: map[string]*pathIndex{}}
	for i, r := range d.m.Routes {
		d.compileShape(r)
		for _, e := range r.On {
			ix.add(e, entry{route: r, order: i})
		}
	}
	for _, pi := range ix.methods {
		for _, g := range pi.literal {
			d.finishGroup(g)
		}
		d.finishNode(pi.trie)
	}
	d.m.index = ix
}

func (ix *index) add(e Endpoint, en entry) {
	pi := ix.methods[e.Method]
	if pi == nil {
		pi = &pathIndex{literal: map[string]*group{}, trie: &node{}}
		ix.methods[e.Method] = pi
	}
	if !strings.ContainsAny(e.Path, "{*") {
		key := ix.key(unescape(e.Path))
		if pi.literal[key] == nil {
			pi.literal[key] = &group{}
		}
		pi.literal[key].entries = append(pi.literal[key].entries, en)
		return
	}
	n := pi.trie
	for seg := range strings.SplitSeq(e.Path[1:], "/") {
		if seg == "**" {
			if n.rest == nil {
				n.rest = &group{}
			}
			n.rest.entries = append(n.rest.entries, en)
			return
		}
		t, _ := parseTemplate(seg)
		for i, lit := range t.literals {
			t.literals[i] = unescape(lit)
		}
		t.Text = unescape(t.Text)
		en.names = append(en.names, t.Names...)
		n = n.child(t, ix)
	}
	if n.end == nil {
		n.end = &group{}
	}
	n.end.entries = append(n.end.entries, en)
}

// child returns the node a segment leads to, made when missing.
func (n *node) child(t Template, ix *index) *node {
	if lit, ok := t.literal(); ok {
		if n.literal == nil {
			n.literal = map[string]*node{}
		}
		key := ix.key(lit)
		if n.literal[key] == nil {
			n.literal[key] = &node{}
		}
		return n.literal[key]
	}
	if len(t.Names) == 1 && t.literals[0] == "" && t.literals[1] == "" {
		if n.capture == nil {
			n.capture = &node{}
		}
		return n.capture
	}
	for _, p := range n.partial {
		if sameShape(&p.template, &t, ix.fold) {
			return p.to
		}
	}
	to := &node{}
	n.partial = append(n.partial, partial{template: t, to: to})
	sort.SliceStable(n.partial, func(i, j int) bool { return n.partial[i].template.weight() > n.partial[j].template.weight() })
	return to
}

// sameShape reports whether two templates match the same texts.
func sameShape(a, b *Template, fold bool) bool {
	if len(a.literals) != len(b.literals) {
		return false
	}
	for i := range a.literals {
		if !equalASCII(a.literals[i], b.literals[i], fold) {
			return false
		}
	}
	return true
}

// key is a text as the index compares it.
func (ix *index) key(s string) string {
	if !ix.fold {
		return s
	}
	return lowerText(s)
}

func lowerText(s string) string {
	for i := 0; i < len(s); i++ {
		if c := s[i]; 'A' <= c && c <= 'Z' {
			b := []byte(s)
			for ; i < len(b); i++ {
				b[i] = lowerASCII(b[i])
			}
			return string(b)
		}
	}
	return s
}

// unescape decodes a canonical path or segment; canonical text always decodes.
func unescape(s string) string {
	if strings.IndexByte(s, '%') < 0 {
		return s
	}
	out, err := url.PathUnescape(s)
	if err != nil {
		return s
	}
	return out
}

func (d *decoder) finishNode(n *node) {
	if n == nil {
		return
	}
	d.finishGroup(n.end)
	d.finishGroup(n.rest)
	d.finishNode(n.capture)
	for _, c := range n.literal {
		d.finishNode(c)
	}
	for i, p := range n.partial {
		d.finishNode(p.to)
		for _, q := range n.partial[:i] {
			if p.template.weight() == q.template.weight() && p.template.overlaps(&q.template, d.m.CaseInsensitivePaths) {
				r := firstRoute(p.to)
				d.failAt(r.line, r.column, "make one of the two more precise", "segments %q and %q match the same paths, and neither is more precise", q.template.Text, p.template.Text)
			}
		}
	}
}

// firstRoute finds a route below a node, to have a line to report.
func firstRoute(n *node) *Route {
	switch {
	case n.end != nil:
		return n.end.entries[0].route
	case n.rest != nil:
		return n.rest.entries[0].route
	case n.capture != nil:
		return firstRoute(n.capture)
	case len(n.partial) > 0:
		return firstRoute(n.partial[0].to)
	}
	for _, c := range n.literal {
		return firstRoute(c)
	}
	return &Route{}
}

// finishGroup orders the routes of one path shape, refuses those that cannot be
// ordered, and builds the table over body values.
func (d *decoder) finishGroup(g *group) {
	if g == nil {
		return
	}
	sort.SliceStable(g.entries, func(i, j int) bool { return morePrecise(g.entries[i].route, g.entries[j].route) })
	fold := d.m.CaseInsensitivePaths
	g.hosts = true
	jsonBody := false
	for i, e := range g.entries {
		g.hosts = g.hosts && len(e.route.Hosts) > 0
		for _, c := range e.route.When {
			g.form = g.form || c.Source.Form != ""
			jsonBody = jsonBody || c.Source.InBody
		}
		for _, o := range g.entries[:i] {
			if !morePrecise(o.route, e.route) && overlap(o.route, e.route, fold) {
				d.failAt(e.route.line, e.route.column, "add a condition under when:, or remove one of them",
					"route %q can never be told apart from route %q", e.route.ID, o.route.ID)
			}
		}
		g.enter(i, e.route)
	}
	g.body = g.form || jsonBody
	if g.form && jsonBody {
		r := g.entries[0].route
		d.failAt(r.line, r.column, "let them look at one kind of body", "routes of one path are told apart by JSON and by form bodies")
	}
}

// enter puts an entry into the table over body values.
func (g *group) enter(i int, r *Route) {
	for _, c := range r.When {
		if !c.Source.InBody || c.Type != "" {
			continue
		}
		lit, exact := c.Is.literal()
		end := c.Is.literals[len(c.Is.literals)-1]
		if !exact && strings.LastIndexAny(end, "./:#") < 0 {
			continue
		}
		k := g.pointer(c.Source.Body)
		if exact {
			g.exact[k][lit] = append(g.exact[k][lit], i)
		} else {
			g.tails[k][tail(end)] = append(g.tails[k][tail(end)], i)
		}
		return
	}
	g.others = append(g.others, i)
}

func (g *group) pointer(p Pointer) int {
	for i, known := range g.bodies {
		if known.String() == p.String() {
			return i
		}
	}
	g.bodies = append(g.bodies, p)
	g.exact = append(g.exact, map[string][]int{})
	g.tails = append(g.tails, map[string][]int{})
	return len(g.bodies) - 1
}

// morePrecise says that a is tried before b: hosts first, then the number of
// conditions, then their literal text.
func morePrecise(a, b *Route) bool {
	if x, y := len(a.Hosts) > 0, len(b.Hosts) > 0; x != y {
		return x
	}
	if len(a.When) != len(b.When) {
		return len(a.When) > len(b.When)
	}
	return whenWeight(a) > whenWeight(b)
}

func whenWeight(r *Route) int {
	n := 0
	for i := range r.When {
		n += 2 * r.When[i].Is.weight()
		if _, exact := r.When[i].Is.literal(); exact {
			n++
		}
	}
	return n
}

// overlap reports whether one request could satisfy both routes' conditions.
func overlap(a, b *Route, fold bool) bool {
	if len(a.Hosts) > 0 && len(b.Hosts) > 0 && !anyShared(a.Hosts, b.Hosts) {
		return false
	}
	for _, c := range a.When {
		for _, o := range b.When {
			if c.Source.String() != o.Source.String() {
				continue
			}
			if c.Type != "" && o.Type != "" {
				if c.Type != o.Type {
					return false
				}
				continue
			}
			if c.Type == "" && o.Type == "" && !c.Is.overlaps(&o.Is, false) {
				return false
			}
			if c.Type != "" && c.Type != "string" && c.Type != "number" || o.Type != "" && o.Type != "string" && o.Type != "number" {
				return false // a template only matches text
			}
		}
	}
	return true
}

func anyShared(a, b []string) bool {
	for _, x := range a {
		if contains(b, x) {
			return true
		}
	}
	return false
}
