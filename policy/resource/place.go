// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package resource

// place is a node of the tree of places a request shape reads in a body. What
// the tree does not reach is not declared, and so is an unknown use.
type place struct {
	members  map[string]*place // by folded name
	byIndex  map[int]*place    // array elements by position
	elements *place            // every array element
	keyed    *place            // every member of an object keyed by id
	reads    []*Read
}

// step returns the child for a step, made when missing.
func (p *place) step(s Step) *place {
	switch s.Kind {
	case Elements:
		if p.elements == nil {
			p.elements = &place{}
		}
		return p.elements
	case Members:
		if p.keyed == nil {
			p.keyed = &place{}
		}
		return p.keyed
	}
	if p.members == nil {
		p.members = map[string]*place{}
	}
	child := p.members[s.Fold]
	if child == nil {
		child = &place{}
		p.members[s.Fold] = child
	}
	if s.Index >= 0 {
		if p.byIndex == nil {
			p.byIndex = map[int]*place{}
		}
		p.byIndex[s.Index] = child
	}
	return child
}

// add puts a read into the tree.
func (p *place) add(at Pointer, r *Read) {
	for _, s := range at.Steps {
		p = p.step(s)
	}
	if r != nil {
		p.reads = append(p.reads, r)
	}
}

// leaf reports whether nothing is declared below.
func (p *place) leaf() bool {
	return len(p.members) == 0 && len(p.byIndex) == 0 && p.elements == nil && p.keyed == nil
}

// compileShape builds what a request shape needs at run time.
func (d *decoder) compileShape(r *Route) {
	s := r.Request
	s.tree = &place{}
	s.params, s.forms = map[string]*Read{}, map[string]*Read{}
	inBody, inForm := false, false
	for _, c := range r.When {
		inBody = inBody || c.Source.InBody
		inForm = inForm || c.Source.Form != ""
		d.claim(s, c.Source)
	}
	for _, src := range r.Grants {
		if !src.Reply {
			inBody = inBody || src.InBody
			inForm = inForm || src.Form != ""
			d.claim(s, src)
		}
	}
	if r.Batch != nil && !r.Batch.Parts {
		inBody = true
	}
	for _, read := range s.Reads {
		inBody = inBody || read.Source.InBody
		inForm = inForm || read.Source.Form != ""
		d.compileRead(s, read)
	}
	if r.Batch != nil && r.Batch.Parts {
		if s.Body == "" {
			s.Body = MultipartBody
		}
		if s.Body != MultipartBody || inBody || inForm || len(s.Reads) > 0 {
			d.failAt(r.line, r.column, "leave request out", "route %q is a batch of parts, and reads something else", r.ID)
		}
	}
	switch {
	case s.Body == "" && inForm:
		s.Body = FormBody
	case s.Body == "" && inBody:
		s.Body = JSONBody
	case s.Body == "":
		s.Body = NoRequestBody
	}
	if inBody && s.Body != JSONBody || inForm && s.Body != FormBody {
		d.failAt(r.line, r.column, "read one kind of body: body: json with pointers, body: form with form fields", "route %q reads a %s body in another way", r.ID, s.Body)
	}
	d.checkTree(r, s.tree)
	if s.MaxBody == 0 {
		s.MaxBody = d.m.MaxBody
	}
}

// claim marks a place as known.
func (d *decoder) claim(s *RequestShape, src Source) {
	ignore := &Read{Source: src, As: AsIgnore}
	switch {
	case src.InBody:
		s.tree.add(src.Body, ignore)
	case src.Query != "":
		chain(s.params, src.Query, ignore)
	case src.Form != "":
		chain(s.forms, src.Form, ignore)
	}
}

func (d *decoder) compileRead(s *RequestShape, read *Read) {
	if read.As == AsJSON {
		read.tree = &place{}
		for _, inner := range read.Inner {
			if !inner.Source.InBody {
				d.failAt(inner.line, inner.col, "use body, relative to the text", "an inner read looks outside of its text")
				continue
			}
			read.tree.add(inner.Source.Body, inner)
			d.compileInner(inner)
		}
	}
	switch src := read.Source; {
	case src.InBody:
		s.tree.add(src.Body, read)
		if read.As == AsColumns && len(read.Rows.Steps) > 0 {
			s.tree.add(read.Rows, &Read{Source: Source{InBody: true, Body: read.Rows}, As: AsIgnore})
		}
	case read.As == AsBrackets:
		s.bracket = append(s.bracket, read)
	case src.Query != "":
		chain(s.params, src.Query, read)
	case src.Form != "":
		chain(s.forms, src.Form, read)
	default:
		s.simple = append(s.simple, read)
	}
}

// compileInner prepares JSON within JSON within JSON.
func (d *decoder) compileInner(read *Read) {
	if read.As != AsJSON {
		return
	}
	read.tree = &place{}
	for _, inner := range read.Inner {
		read.tree.add(inner.Source.Body, inner)
		d.compileInner(inner)
	}
}

func chain(to map[string]*Read, name string, r *Read) {
	fold := Fold(name)
	r.next = to[fold]
	to[fold] = r
}

// checkTree refuses reads below a place another read takes whole: they could
// never see anything.
func (d *decoder) checkTree(r *Route, p *place) {
	whole := (*Read)(nil)
	for _, read := range p.reads {
		if read.As != AsObject {
			whole = read
		}
	}
	if whole != nil && !p.leaf() {
		d.failAt(max(whole.line, r.line), max(whole.col, 1), "read the parts one by one, or the whole", "route %q reads %s as %s and something below it too", r.ID, whole.Source, whole.As)
	}
	for _, child := range p.children() {
		d.checkTree(r, child)
	}
}

func (p *place) children() []*place {
	out := make([]*place, 0, len(p.members)+2)
	for _, c := range p.members {
		out = append(out, c)
	}
	if p.elements != nil {
		out = append(out, p.elements)
	}
	if p.keyed != nil {
		out = append(out, p.keyed)
	}
	return out
}
