// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package resource

import (
	"maps"
	"strings"

	"go.yaml.in/yaml/v3"
)

var (
	allKinds = []Kind{
		Data, Feature, Public, Static, Page, WhoAmI, SignIn, SignOut, Schema, Poll, Stream, Socket,
		SyncPull, SyncPush, CheckIn, Location, Recording,
	}
	allActions = []Action{View, Create, Edit, Delete, Export, Import, MarkComplete}
)

func (d *decoder) route(n *yaml.Node) {
	r := &Route{Kind: Data, line: n.Line, column: n.Column}
	var request, response *yaml.Node
	if !d.object(n, "route", keys{
		"id":    d.setName(&r.ID, "id"),
		"kind":  setWord(d, &r.Kind, "kind", allKinds...),
		"on":    func(n *yaml.Node) { d.list(n, func(i *yaml.Node) { d.endpoint(r, i) }) },
		"hosts": d.setTexts(&r.Hosts, "hosts"),
		"when": func(n *yaml.Node) {
			d.list(n, func(i *yaml.Node) { c, _ := d.condition(i, nil); r.When = append(r.When, c) })
		},
		"entity":      d.setName(&r.Entity, "entity"),
		"only":        d.setTexts(&r.Only, "only"),
		"action":      d.actions(&r.Actions),
		"also":        func(n *yaml.Node) { d.list(n, func(i *yaml.Node) { d.also(r, i) }) },
		"types":       d.setTexts(&r.Types, "types"),
		"bulk":        d.setFlag(&r.Bulk, "bulk"),
		"feature":     d.setName(&r.Feature, "feature"),
		"no_touch":    d.setFlag(&r.NoTouch, "no_touch"),
		"write":       setWord(d, &r.Write, "write mode", Patch, Replace, Upsert),
		"batch":       func(n *yaml.Node) { r.Batch = d.batch(n) },
		"read_back":   func(n *yaml.Node) { r.ReadBack = d.readBack(n) },
		"conditional": func(n *yaml.Node) { r.Conditional = d.conditional(n) },
		"follow_up":   func(n *yaml.Node) { r.FollowUp = d.followUp(n) },
		"grants":      func(n *yaml.Node) { r.Grants = d.grants(n) },
		"request":     func(n *yaml.Node) { request = n },
		"response":    func(n *yaml.Node) { response = n },
	}) {
		return
	}
	d.nameRoute(r, n)
	r.Request, r.Response = &RequestShape{}, &Response{Format: FormatJSON}
	if request != nil {
		r.Request = d.requestShape(request)
	}
	if response != nil {
		r.Response = d.response(response)
	}
	for i, h := range r.Hosts {
		r.Hosts[i] = strings.TrimSuffix(strings.ToLower(h), ".")
	}
	if r.Kind == Poll || r.Kind == Static {
		r.NoTouch = true
	}
	d.later = append(d.later, func() { d.linkRoute(r, n) })
	d.m.Routes = append(d.m.Routes, r)
}

func (d *decoder) nameRoute(r *Route, n *yaml.Node) {
	switch {
	case r.ID == "":
		d.fail(n, "write \"id: lead.search\"", "a route has no id")
	case d.m.routes[r.ID] != nil:
		d.fail(n, "give every route an id of its own", "route id %q stands twice", shorten(r.ID))
	default:
		d.m.routes[r.ID] = r
	}
	if len(r.On) == 0 {
		d.fail(n, "write \"on: GET /path\"", "route %q answers on no path", shorten(r.ID))
	}
}

// linkRoute checks what needs the rest of the map.
func (d *decoder) linkRoute(r *Route, n *yaml.Node) {
	captures := d.captures(r)
	d.entityRef(n, r.Entity, captures)
	for _, name := range r.Only {
		d.needEntity(n, name)
	}
	if r.Feature != "" && !contains(d.m.Features, r.Feature) {
		d.fail(n, "declare it under features:"+closest(r.Feature, d.m.Features), "route %q falls under the unknown feature %q", r.ID, shorten(r.Feature))
	}
	switch {
	case r.Kind == Data && (r.Entity == "" || len(r.Actions) == 0) && r.Batch == nil:
		d.fail(n, "give entity and action, or a kind that has none", "route %q reads or writes records, but of which entity and how?", r.ID)
	case r.Entity != "" && len(r.Actions) == 0 && r.Kind != WhoAmI && r.Kind != Schema:
		d.fail(n, "give action", "route %q has an entity and no action", r.ID)
	case r.Kind == Feature && r.Feature == "":
		d.fail(n, "give feature", "route %q is of kind feature and names none", r.ID)
	}
	for _, a := range r.Also {
		d.entityRef(n, a.Entity, captures)
		if len(a.Actions) == 0 {
			d.fail(n, "give action", "an also of route %q has no action", r.ID)
		}
	}
	if r.ReadBack != nil {
		d.linkReadBack(n, r.ReadBack)
	}
	if r.FollowUp != nil {
		d.needRoute(n, r.FollowUp.Route)
	}
	if r.Kind == SignIn && d.m.Session != nil {
		for _, part := range d.m.Session.Form.Names {
			if _, ok := r.Grants[part]; !ok {
				d.fail(n, "say under grants: where it stands", "route %q signs in and does not say where %q of the session comes from", r.ID, part)
			}
		}
	}
	for _, read := range r.Request.Reads {
		if c := read.Source.Capture; c != "" && !captures[c] {
			d.failAt(read.line, read.col, "use a capture of the path or of a condition", "route %q has no capture %q", r.ID, c)
		}
		if e := d.m.Entities[r.Entity]; e != nil {
			d.inherited(read, e)
		}
		if read.Entity != "" {
			d.entityRefAt(read.line, read.col, read.Entity, captures)
		}
	}
	d.linkRecords(n, r, r.Response.Records, captures)
}

// captures returns the names a route's path and conditions capture; a name must
// be captured by every path of a route to count.
func (d *decoder) captures(r *Route) map[string]bool {
	out := map[string]bool{}
	for _, e := range r.On {
		names := map[string]bool{}
		for seg := range strings.SplitSeq(e.Path, "/") {
			if t, err := parseTemplate(seg); err == nil {
				for _, name := range t.Names {
					names[name] = true
				}
			}
		}
		if len(out) == 0 {
			out = names
			continue
		}
		for name := range out {
			if !names[name] {
				delete(out, name)
			}
		}
	}
	for _, c := range r.When {
		for _, name := range c.Is.Names {
			out[name] = true
		}
	}
	return out
}

func (d *decoder) entityRef(n *yaml.Node, entity string, captures map[string]bool) {
	d.entityRefAt(n.Line, n.Column, entity, captures)
}

func (d *decoder) entityRefAt(line, col int, entity string, captures map[string]bool) {
	if entity == "" {
		return
	}
	t, err := parseTemplate(entity)
	if err != nil {
		d.failAt(line, col, "write an entity's name or \"{capture}\"", "entity: %v", err)
		return
	}
	for _, name := range t.Names {
		if !captures[name] {
			d.failAt(line, col, "use a capture of the path or of a condition", "entity %q uses a capture the route does not have", shorten(entity))
		}
	}
	if len(t.Names) == 0 && d.m.Entities[entity] == nil {
		d.failAt(line, col, "declare it under entities:"+closest(entity, mapKeys(d.m.Entities)), "unknown entity %q", shorten(entity))
	}
}

// endpoint reads "GET /path/{id}".
func (d *decoder) endpoint(r *Route, n *yaml.Node) {
	s, ok := d.text(n, "on")
	if !ok {
		return
	}
	method, path, ok := strings.Cut(s, " ")
	if !ok || !isMethod(method) {
		d.fail(n, "write it like \"POST /v2/Lead.Update\"", "%q is not a method and a path", shorten(s))
		return
	}
	path = strings.TrimSpace(path)
	if why := checkPattern(path); why != "" {
		d.fail(n, "write the path the way it arrives, with {captures} and ** at the end only", "path %q: %s", shorten(path), why)
		return
	}
	r.On = append(r.On, Endpoint{Method: method, Path: path})
}

func isMethod(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < 'A' || s[i] > 'Z' {
			return false
		}
	}
	return s != "" && s != "HEAD"
}

// checkPattern returns what is wrong with a path pattern, "" for nothing. A
// pattern whose literal parts are not canonical could never match.
func checkPattern(path string) string {
	if !strings.HasPrefix(path, "/") {
		return "it must begin with a slash"
	}
	segments := strings.Split(path[1:], "/")
	seen := map[string]bool{}
	plain := make([]string, len(segments))
	for i, seg := range segments {
		if seg == "**" && i == len(segments)-1 {
			plain[i] = "x"
			continue
		}
		if strings.Contains(seg, "**") {
			return "** may only stand at the end, as a segment"
		}
		t, err := parseTemplate(seg)
		if err != nil {
			return err.Error()
		}
		for _, name := range t.Names {
			if name != "*" && seen[name] {
				return "capture " + name + " stands twice"
			}
			seen[name] = true
		}
		plain[i] = strings.Join(t.literals, "x")
	}
	text := "/" + strings.Join(plain, "/")
	if canon, err := Canonical(text); err != nil || canon != text {
		return "no canonical path looks like that"
	}
	return ""
}

func (d *decoder) actions(to *[]Action) func(*yaml.Node) {
	return func(n *yaml.Node) {
		d.list(n, func(item *yaml.Node) {
			var a Action
			setWord(d, &a, "action", allActions...)(item)
			if a != "" {
				*to = append(*to, a)
			}
		})
	}
}

func (d *decoder) also(r *Route, n *yaml.Node) {
	var a Also
	d.object(n, "also", keys{
		"entity": d.setName(&a.Entity, "entity"),
		"action": d.actions(&a.Actions),
		"if": func(n *yaml.Node) {
			d.list(n, func(i *yaml.Node) { a.If = append(a.If, d.onlySource(i, "if")) })
		},
	})
	if a.Entity == "" {
		d.fail(n, "give entity", "also names no entity")
	}
	r.Also = append(r.Also, a)
}

// condition reads one condition; extra keys may stand beside it. It also says
// whether the node was a mapping at all.
func (d *decoder) condition(n *yaml.Node, extra keys) (Condition, bool) {
	var c Condition
	is := ""
	src, k := d.sourceKeys()
	k["is"] = d.setName(&is, "is")
	k["type"] = setWord(d, &c.Type, "JSON type", "object", "array", "string", "number", "boolean", "null")
	maps.Copy(k, extra)
	if !d.object(n, "condition", k) {
		return c, false
	}
	c.Source = d.source(n, src)
	t, err := parseTemplate(is)
	switch {
	case err != nil:
		d.fail(n, "write text with {captures}", "is: %v", err)
	case (is == "") == (c.Type == ""):
		d.fail(n, "give one of is, type", "a condition needs a value to compare with")
	case c.Type != "" && !c.Source.InBody:
		d.fail(n, "use is", "only a place in a JSON body has a type")
	case c.Source.InBody && !c.Source.Body.Fixed():
		d.fail(n, "point at one place, without *", "a condition cannot look at many places")
	case c.Source.Capture != "":
		d.fail(n, "write the value into the path", "a condition cannot look at a capture")
	}
	c.Is = t
	return c, true
}

func (d *decoder) batch(n *yaml.Node) *Batch {
	b := &Batch{Max: defaultBatch}
	method, path, body := false, false, false
	parts := ""
	flag := func(to *Pointer, set *bool, what string) func(*yaml.Node) {
		return func(n *yaml.Node) { d.setPointer(to, what)(n); *set = true }
	}
	d.object(n, "batch", keys{
		"items":  d.setPointer(&b.Items, "items"),
		"max":    d.setNumber(&b.Max, "max", 1, 1000),
		"method": flag(&b.Method, &method, "method"),
		"path":   flag(&b.Path, &path, "path"),
		"body":   flag(&b.Body, &body, "body"),
		"parts":  setWord(d, &parts, "kind of parts", "http"),
	})
	if b.Parts = parts != ""; b.Parts {
		if len(b.Items.Steps) > 0 || method || path || body {
			d.fail(n, "leave out all but parts and max", "a batch of parts has no places in a JSON body")
		}
		return b
	}
	if k := len(b.Items.Steps); k == 0 || b.Items.Steps[k-1].Kind != Elements {
		d.fail(n, "write it like /requests/*", "items must end in *")
	}
	if method != path || body && !path {
		d.fail(n, "give method, path and body, or none of them", "items are whole requests or bodies, not half")
	}
	b.URL = path
	return b
}

func (d *decoder) readBack(n *yaml.Node) *ReadBack {
	r := &ReadBack{Args: map[string]string{}, Max: 1, line: n.Line, column: n.Column}
	most := MaxReadBack
	d.object(n, "read_back", keys{
		"route": d.setName(&r.Route, "route"),
		"args": func(n *yaml.Node) {
			d.table(n, "args", func(k, v *yaml.Node) {
				if s, ok := d.text(v, "argument"); ok {
					r.Args[k.Value] = s
				}
			})
		},
		"body":    d.setText(&r.Body, "body"),
		"numbers": d.setFlag(&r.Numbers, "numbers"),
		"max":     d.setNumber(&most, "max", 1, MaxReadBack),
	})
	if strings.Contains(r.Body, "{record_ids}") {
		r.Max = most
	}
	return r
}

func (d *decoder) conditional(n *yaml.Node) *Conditional {
	c := &Conditional{}
	d.object(n, "conditional", keys{
		"kind":   setWord(d, &c.Kind, "kind of condition", "fill", "match"),
		"header": d.setName(&c.Header, "header"),
		"value":  d.setText(&c.Value, "value"),
	})
	if c.Kind == "" || c.Header == "" {
		d.fail(n, "give kind and header", "a conditional write needs to say how")
	}
	return c
}

func (d *decoder) followUp(n *yaml.Node) *FollowUp {
	f, id := &FollowUp{}, Pointer{} // the id is for people who read the map, see docs/maps.md
	d.object(n, "follow_up", keys{
		"id":    d.setPointer(&id, "id"),
		"route": d.setName(&f.Route, "route"),
	})
	return f
}

func (d *decoder) grants(n *yaml.Node) map[string]Source {
	out := map[string]Source{}
	d.table(n, "grants", func(k, v *yaml.Node) { out[k.Value] = d.onlySource(v, "grant") })
	return out
}
