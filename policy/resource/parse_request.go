// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package resource

import "go.yaml.in/yaml/v3"

var (
	allStyles = []Style{
		AsID, AsType, AsParent, AsName, AsNames, AsOrder, AsField, AsObject, AsPairs, AsColumns, AsDomain,
		AsBrackets, AsJSON, AsSearch, AsCallback, AsBase, AsOptions, AsIgnore, AsUnknown, AsOData, AsSQL, AsGraphQL, AsXML,
	}
	allUses = []Use{Write, Filter, Sort, Select, Group, Search, Lookup, Unknown}
)

// rawSource is a source as written, before it is known to be one.
type rawSource struct {
	Source
	set int
}

func (d *decoder) sourceKeys() (*rawSource, keys) {
	s := &rawSource{}
	name := func(to *string, what string) func(*yaml.Node) {
		return func(n *yaml.Node) { s.set++; d.setName(to, what)(n) }
	}
	return s, keys{
		"query":   name(&s.Query, "query"),
		"header":  name(&s.Header, "header"),
		"capture": name(&s.Capture, "capture"),
		"form":    name(&s.Form, "form"),
		"body": func(n *yaml.Node) {
			s.set++
			s.InBody = true
			d.setPointer(&s.Body, "body")(n)
		},
		"reply": func(n *yaml.Node) {
			s.set++
			s.Reply = true
			d.setPointer(&s.Body, "reply")(n)
		},
	}
}

func (d *decoder) source(n *yaml.Node, s *rawSource) Source {
	if s.set != 1 {
		d.fail(n, "give one of query, body, capture, header, form", "one place in the request is needed, not %d", s.set)
	}
	return s.Source
}

// onlySource reads a mapping that is a source and nothing else.
func (d *decoder) onlySource(n *yaml.Node, what string) Source {
	s, k := d.sourceKeys()
	if !d.object(n, what, k) {
		return Source{}
	}
	return d.source(n, s)
}

// requestShape reads a shape in place, or the name of one, or one with "use".
func (d *decoder) requestShape(n *yaml.Node) *RequestShape {
	return d.requestShapeDepth(n, 0)
}

func (d *decoder) requestShapeDepth(n *yaml.Node, depth int) *RequestShape {
	s := &RequestShape{}
	if n.Kind == yaml.ScalarNode {
		return d.usedRequest(n, depth)
	}
	var use *yaml.Node
	for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == "use" {
			use = n.Content[i+1]
		}
	}
	if use != nil {
		s = d.usedRequest(use, depth)
	}
	d.object(n, "request", keys{
		"use":      func(*yaml.Node) {},
		"body":     setWord(d, &s.Body, "kind of body", NoRequestBody, JSONBody, FormBody, MultipartBody, XMLBody, GraphQLBody, OpaqueBody),
		"optional": d.setFlag(&s.Optional, "optional"),
		"max_body": d.setSize(&s.MaxBody, "max_body"),
		"page":     func(n *yaml.Node) { d.list(n, func(i *yaml.Node) { s.Pages = append(s.Pages, d.paging(s, i)) }) },
		"read":     func(n *yaml.Node) { d.list(n, func(i *yaml.Node) { s.Reads = append(s.Reads, d.read(i, 0)) }) },
		"ignore":   func(n *yaml.Node) { d.list(n, func(i *yaml.Node) { d.ignore(s, i) }) },
	})
	return s
}

func (d *decoder) usedRequest(n *yaml.Node, depth int) *RequestShape {
	shape, ok := d.requests[n.Value]
	if n.Kind != yaml.ScalarNode || !ok || depth > 4 {
		d.fail(n, "declare it under requests:"+closest(n.Value, mapKeys(d.requests)), "unknown request shape %q", shorten(n.Value))
		return &RequestShape{}
	}
	return d.requestShapeDepth(shape, depth+1)
}

// ignore reads "query name" texts or places that say nothing about fields.
func (d *decoder) ignore(s *RequestShape, n *yaml.Node) {
	r := &Read{As: AsIgnore, line: n.Line, col: n.Column}
	switch text := n.Value; {
	case n.Kind == yaml.MappingNode:
		r.Source = d.onlySource(n, "ignore")
	case n.Kind == yaml.ScalarNode && len(text) > 0 && text[0] == '/':
		p, ok := d.pointer(n, "ignore")
		if !ok {
			return
		}
		r.Source = Source{InBody: true, Body: p}
	default:
		d.setName(&r.Source.Query, "ignore")(n)
	}
	s.Reads = append(s.Reads, r)
}

func (d *decoder) paging(s *RequestShape, n *yaml.Node) *Paging {
	p := &Paging{}
	place := func(to **Source) func(*yaml.Node) {
		return func(n *yaml.Node) {
			var src Source
			switch {
			case n.Kind == yaml.ScalarNode && len(n.Value) > 0 && n.Value[0] == '/':
				ptr, ok := d.pointer(n, "page")
				if !ok {
					return
				}
				src = Source{InBody: true, Body: ptr}
			case n.Kind == yaml.ScalarNode:
				d.setName(&src.Query, "page")(n)
			default:
				src = d.onlySource(n, "page")
			}
			if src.InBody && !src.Body.Fixed() {
				d.fail(n, "point at one place, without *", "paging cannot look at many places")
			}
			*to = &src
			s.Reads = append(s.Reads, &Read{Source: src, As: AsIgnore, line: n.Line, col: n.Column})
		}
	}
	d.object(n, "page", keys{
		"index":  place(&p.Index),
		"offset": place(&p.Offset),
		"size":   place(&p.Size),
		"max":    d.setNumber(&p.Max, "max", 1, 1000000),
		"usual":  d.setNumber(&p.Usual, "usual", 1, 1000000),
	})
	return p
}

func (d *decoder) read(n *yaml.Node, depth int) *Read {
	r := &Read{line: n.Line, col: n.Column}
	if depth > 4 {
		d.fail(n, "flatten it", "reads are nested too deep")
		return r
	}
	src, k := d.sourceKeys()
	k["as"] = setWord(d, &r.As, "style", allStyles...)
	k["use"] = setWord(d, &r.Use, "use", allUses...)
	k["entity"] = d.setName(&r.Entity, "entity")
	k["field"] = d.setName(&r.Field, "field")
	k["over"] = d.setTexts(&r.Over, "over")
	k["split"] = d.setName(&r.Split, "split")
	k["name"] = d.setTexts(&r.Name, "name")
	k["value"] = d.setTexts(&r.Value, "value")
	k["nested"] = d.setName(&r.Nested, "nested")
	k["skip"] = d.setTexts(&r.Skip, "skip")
	k["op"] = d.setPointer(&r.Op, "op")
	k["value_at"] = d.setPointer(&r.ValueAt, "value_at")
	k["rows"] = d.setPointer(&r.Rows, "rows")
	k["commands"] = setWord(d, &r.Commands, "command language", "tryton", "odoo")
	k["required"] = d.setFlag(&r.Required, "required")
	k["control"] = func(n *yaml.Node) {
		r.Control = map[string]string{}
		d.table(n, "control", func(key, v *yaml.Node) {
			word := ""
			setWord(d, &word, "meaning", "lookup", "id", "parent", "ignore")(v)
			r.Control[Fold(key.Value)] = word
		})
	}
	k["inner"] = func(n *yaml.Node) {
		d.list(n, func(i *yaml.Node) {
			if i.Kind == yaml.ScalarNode {
				p, _ := d.pointer(i, "inner")
				r.Inner = append(r.Inner, &Read{Source: Source{InBody: true, Body: p}, As: AsIgnore, line: i.Line, col: i.Column})
				return
			}
			r.Inner = append(r.Inner, d.read(i, depth+1))
		})
	}
	if !d.object(n, "read", k) {
		return r
	}
	r.Source = d.source(n, src)
	d.finishRead(n, r)
	return r
}

// finishRead fills in defaults and refuses combinations that say nothing.
func (d *decoder) finishRead(n *yaml.Node, r *Read) {
	need := func(ok bool, mend string) {
		if !ok {
			d.fail(n, mend, "a read as %s says too little", r.As)
		}
	}
	usual := map[Style]Use{AsOrder: Sort, AsDomain: Filter, AsBrackets: Filter, AsObject: Write, AsPairs: Write, AsColumns: Write, AsSearch: Search}
	if r.Use == "" {
		r.Use = usual[r.As]
	}
	if r.Split == "" {
		r.Split = ","
	}
	switch r.As {
	case "":
		d.fail(n, "give as: "+wordList(allStyles), "a read does not say how")
	case AsName, AsNames:
		need(r.Use != "", "give use: filter, sort, select, group, lookup or write")
	case AsField:
		need(r.Use != "" && r.Field != "", "give field and use")
	case AsPairs:
		need(len(r.Name) > 0 && len(r.Value) > 0 && r.Source.InBody, "give body, name and value")
	case AsObject, AsDomain, AsColumns, AsOptions:
		need(r.Source.InBody, "read it from the body")
	case AsJSON:
		need(len(r.Inner) > 0, "say under inner: what the text holds")
	case AsBrackets:
		need(r.Source.Query != "", "read it from a query parameter")
	case AsParent:
		need(r.Entity != "", "give entity")
	}
	if !r.Op.Fixed() || !r.ValueAt.Fixed() {
		d.fail(n, "point at one place, without *", "op and value_at cannot look at many places")
	}
	if r.Source.Reply {
		d.fail(n, "use body", "a request is not read from its reply")
	}
	if (r.As == AsObject || r.As == AsPairs) && r.Use == Write {
		r.Record = true
	}
	d.later = append(d.later, func() { d.linkRead(r) })
}

// linkRead checks entity and fields; a template's entity is known too late to
// check fields.
func (d *decoder) linkRead(r *Read) {
	if r.Entity == "" {
		return
	}
	e := d.m.Entities[r.Entity]
	if e == nil {
		return // reported with the route, which knows its captures
	}
	d.readFields(r, e)
}

// inherited checks the fields of reads that are about their route's entity.
func (d *decoder) inherited(r *Read, e *Entity) {
	if r.Entity == "" {
		d.readFields(r, e)
	}
	for _, inner := range r.Inner {
		d.inherited(inner, e)
	}
}

// readFields checks the fields a read names.
func (d *decoder) readFields(r *Read, e *Entity) {
	for _, name := range append(append([]string(nil), r.Over...), r.Field) {
		if name != "" && e.Fields[name] == nil {
			d.failAt(r.line, r.col, "name a field of "+e.Name+closest(name, mapKeys(e.Fields)), "unknown field %q", shorten(name))
		}
	}
}
