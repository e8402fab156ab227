// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package xmlmask

import (
	"encoding/xml"
	"slices"
	"strings"

	"github.com/crmgate/crmgate/policy/mask"
	"github.com/crmgate/crmgate/policy/plan"
)

var full = &plan.Treatment{Effect: plan.Mask, Mask: &mask.Func{Name: "full"}}

// element is one that its node speaks of.
func (o *oracle) element(el *tree, n *plan.Node, ent *plan.Entity, whole bool) string {
	if n != nil && n.Entity != nil {
		ent = n.Entity
	}
	switch {
	case n != nil && (n.Link || n.Cursor) && !el.parents:
		head := o.open(el, ent, plan.Show, n, nil)
		if el.end == "" || strings.TrimSpace(el.text()) == "" {
			return head + o.texts(el) + el.end
		}
		return head + o.aside(el.text(), o.texts(el), n, ent) + el.end
	case n != nil && (n.Link || n.Cursor):
		if n.Members == nil {
			return o.element(el, nil, ent, whole)
		}
		return o.inside(el, ent, plan.Show, n)
	case n == nil || !special(n) && n.Members == nil && n.Elements == nil:
		if whole {
			return o.document(el, ent)
		}
		return o.field(el, o.named(ent, el.name), ent, plan.Show)
	case n.Record != nil:
		return o.record(el, n.Record, ent, whole)
	case n.Pairs != nil:
		return o.pairs(el, n.Pairs, ent)
	case n.Matrix != nil:
		return o.fail("rows by position")
	case n.Total != "":
		return o.total(el, n.Total, ent)
	case n.Fields:
		return o.inside(el, ent, plan.Show, nil)
	}
	return o.inside(el, ent, plan.Show, n)
}

// document is the element of a document of another shape than declared.
func (o *oracle) document(el *tree, ent *plan.Entity) string {
	floor := plan.Show
	if o.p.Root != nil && (o.p.Root.Members != nil || o.p.Root.Elements != nil) {
		floor = plan.Detect
	}
	t := ent.Fields[fold(el.name)]
	switch {
	case o.odd(ent, el.name):
		return o.fail("a name that is personal data")
	case t == nil || t.Effect < plan.Mask:
		return o.inside(el, ent, floor, nil)
	case t.Effect == plan.Mask:
		return o.field(el, t, ent, floor)
	}
	o.gone(el, true)
	return o.tag(el, func(_ int, a xml.Attr, raw string) (string, bool) { return raw, fixed(a) }) + el.end
}

func (o *oracle) record(el *tree, r *plan.Record, ent *plan.Entity, whole bool) string {
	if r.Entity != nil {
		ent = r.Entity
	}
	if r.Rows != nil {
		var f facts
		o.owners(el, r, nil, &f)
		mine := len(f.owners) > 0 && !slices.ContainsFunc(f.owners, func(id string) bool { return plan.FoldID(id) != "u1" })
		if r.Rows.Scope != plan.All && (!mine || r.Rows.Scope == plan.None) {
			return o.drop(whole)
		}
		slices.Sort(f.stages)
		if f.stages = slices.Compact(f.stages); r.Rows.Where != nil && (len(f.stages) != 1 || f.stages[0] == unreadable || f.stages[0] == "Lost") {
			return o.drop(whole)
		}
	}
	if o.p.MaxRows > 0 && o.kept-o.free >= o.p.MaxRows && !r.Free {
		return o.drop(whole)
	}
	if o.kept++; r.Free {
		o.free++
	}
	o.unit[r.Set]++
	o.whole[r.Set]++
	if r.Scalar {
		return o.field(el, &plan.Treatment{}, ent, plan.Show)
	}
	return o.inside(el, ent, plan.Show, &plan.Node{Members: r.Nested})
}

func (o *oracle) drop(whole bool) string {
	o.dropped++
	if whole && o.p.NotFound == nil {
		return o.fail("a document that is not visible")
	}
	return ""
}

// facts are what a record says of its owner, and of the stage that notLost asks for.
type facts struct{ owners, stages []string }

const unreadable = "\x00"

func (f *facts) owner(id string) {
	if id = strings.TrimSpace(id); id != "" {
		f.owners = append(f.owners, id)
	}
}

func (f *facts) stage(name, text string) {
	if text = strings.TrimSpace(text); text != "" && fold(name) == "stage" {
		f.stages = append(f.stages, text)
	}
}

// plain says that an element has no elements, and text or else no attributes.
func plain(el *tree) bool {
	return !el.parents && (strings.TrimSpace(el.text()) != "" || !slices.ContainsFunc(el.attrs, func(a xml.Attr) bool { return !fixed(a) }))
}

// owners collects what a record says of itself, in fields of its own and in the
// part n of it.
func (o *oracle) owners(el *tree, r *plan.Record, part *plan.Node, f *facts) {
	at, fields := &plan.Node{Members: r.Nested}, true
	if part != nil {
		at, fields = part, part.Fields
	}
	owner := func(name string) bool { return slices.Contains(r.Rows.Owner, fold(name)) }
	for _, a := range el.attrs {
		if !fields || fixed(a) {
			continue
		}
		if owner(a.Name.Local) {
			f.owner(a.Value)
		}
		f.stage(a.Name.Local, a.Value)
	}
	for _, k := range el.kids {
		if k.el == nil {
			continue
		}
		if fields && owner(k.el.name) {
			f.owner(k.el.text())
			if k.el.parents {
				f.owner("nobody")
			}
		}
		if fields && plain(k.el) {
			f.stage(k.el.name, k.el.text())
		} else if fields {
			f.stage(k.el.name, unreadable)
		}
		n := at.Members[fold(k.el.name)]
		if n == nil {
			n = at.Elements
		}
		switch {
		case n == nil || n.Record != nil:
		case n.Pairs != nil:
			for _, pair := range k.el.kids {
				if pair.el != nil {
					o.pairSays(pair.el, n.Pairs, owner, f)
				}
			}
		default:
			o.owners(k.el, r, n, f)
		}
	}
}

func (o *oracle) pairSays(el *tree, p *plan.Pairs, owner func(string) bool, f *facts) {
	names, values := o.pairOf(el, p)
	clear := len(values) > 0
	for _, name := range names {
		clear = clear && strings.TrimSpace(name) == strings.TrimSpace(names[0])
	}
	for _, k := range el.kids {
		if k.el != nil && slices.Contains(p.Value, fold(k.el.name)) {
			clear = clear && plain(k.el)
		}
	}
	for _, name := range names {
		if !clear {
			f.stage(name, unreadable)
		}
		for _, v := range values {
			if owner(name) {
				f.owner(v)
			}
			if clear {
				f.stage(name, v)
			}
		}
	}
}

func (o *oracle) pairOf(el *tree, p *plan.Pairs) (names, values []string) {
	see := func(name, text string) {
		if slices.Contains(p.Name, fold(name)) {
			names = append(names, text)
		} else if slices.Contains(p.Value, fold(name)) {
			values = append(values, text)
		}
	}
	for _, a := range el.attrs {
		see(a.Name.Local, a.Value)
	}
	for _, k := range el.kids {
		if k.el != nil {
			see(k.el.name, k.el.text())
		}
	}
	if !el.parents {
		values = append(values, el.text())
	}
	return names, values
}

func (o *oracle) total(el *tree, set string, ent *plan.Entity) string {
	if el.parents {
		return o.fail("a total that is no number")
	}
	head := o.open(el, ent, plan.Detect, nil, nil)
	if strings.TrimSpace(el.text()) == "" {
		return head + o.texts(el) + el.end
	}
	return head + o.count(el.text(), o.texts(el), set) + el.end
}

// texts are those of an element as they are written.
func (o *oracle) texts(el *tree) string {
	out := ""
	for _, k := range el.kids {
		if k.text != nil {
			out += k.raw
		}
	}
	return out
}

// inside is an element that holds fields.
func (o *oracle) inside(el *tree, ent *plan.Entity, floor plan.Effect, n *plan.Node) string {
	head := o.open(el, ent, floor, n, nil)
	if !el.parents {
		return head + o.leaf(el, o.unnamed(ent))
	}
	return head + o.kids(el, ent, floor, n, nil) + el.end
}

// leaf is what an element holds that has no others in it, and its end.
func (o *oracle) leaf(el *tree, t *plan.Treatment) string {
	text := el.text()
	if el.end == "" || strings.TrimSpace(text) == "" {
		return o.texts(el) + el.end
	}
	return o.written(text, o.texts(el), t) + el.end
}

func (o *oracle) kids(el *tree, ent *plan.Entity, floor plan.Effect, n *plan.Node, t *plan.Treatment) string {
	if t == nil || t.Effect == plan.Show {
		t = o.unnamed(ent)
	}
	beside := t
	t = o.apart(el, t)
	out := ""
	for _, k := range el.kids {
		if k.el == nil {
			out += o.loose(k, t)
			continue
		}
		var next *plan.Node
		if n != nil {
			if next = n.Members[fold(k.el.name)]; next == nil {
				next = n.Elements
			}
		}
		f := o.named(ent, k.el.name)
		if t != beside && next == nil && f.Field == "" && f.Effect < plan.Mask {
			f = full
		}
		if declared := ent.Fields[fold(k.el.name)]; next == nil || declared != nil && declared.Field != "" && f.Effect >= plan.Mask || o.odd(ent, k.el.name) || o.stays(next, ent, k.el.name) {
			out += o.field(k.el, f, ent, floor)
		} else {
			out += o.element(k.el, next, ent, false)
		}
	}
	return out
}

// apart is what becomes of text between elements: nothing of it is shown where they tear
// what is found in all of it.
func (o *oracle) apart(el *tree, t *plan.Treatment) *plan.Treatment {
	if joined, hits := el.all(); strings.TrimSpace(el.text()) != "" && t.Effect < plan.Mask {
		if _, n := mask.Detect(nil, []byte(joined)); !o.learning && (n > hits || o.torn(el)) {
			return full
		}
	}
	return t
}

// loose is text between elements.
func (o *oracle) loose(k branch, t *plan.Treatment) string {
	if strings.TrimSpace(*k.text) == "" {
		return k.raw
	}
	return o.written(*k.text, k.raw, t)
}

// field is an element that is a field.
func (o *oracle) field(el *tree, t *plan.Treatment, ent *plan.Entity, floor plan.Effect) string {
	if t.Effect == plan.Hide {
		o.gone(el, true)
		return ""
	}
	if t.Effect < floor {
		t = &plan.Treatment{Field: t.Field, Effect: floor}
	}
	if t.Effect == plan.Mask {
		head := o.open(el, ent, floor, nil, t)
		if el.parents {
			o.gone(el, false)
			return head + el.end
		}
		return head + o.leaf(el, t)
	}
	head := o.open(el, ent, floor, nil, nil)
	if !el.parents {
		return head + o.leaf(el, t)
	}
	if t.Effect == plan.Detect && t.Field != "" {
		floor = plan.Detect
	}
	return head + o.kids(el, ent, floor, nil, t) + el.end
}

func (o *oracle) pairs(el *tree, p *plan.Pairs, ent *plan.Entity) string {
	head := o.open(el, ent, plan.Detect, nil, nil)
	if !el.parents {
		return head + o.leaf(el, o.unnamed(ent))
	}
	t := o.apart(el, o.unnamed(ent))
	for _, k := range el.kids {
		if k.el == nil {
			head += o.loose(k, t)
		} else {
			head += o.pair(k.el, p, ent)
		}
	}
	return head + el.end
}

func (o *oracle) pair(el *tree, p *plan.Pairs, ent *plan.Entity) string {
	t := full
	names, _ := o.pairOf(el, p)
	for i, name := range names {
		if f := o.named(ent, strings.TrimSpace(name)); i == 0 || f.Effect > t.Effect {
			t = f
		}
	}
	if own := ent.Fields[fold(el.name)]; own != nil && own.Field != "" && own.Effect >= plan.Mask && own.Effect >= t.Effect {
		return o.field(el, own, ent, plan.Show)
	}
	if t.Effect == plan.Hide {
		o.pairGone(el, p)
		return ""
	}
	member := func(name string) *plan.Treatment {
		own := o.named(ent, name)
		if !slices.Contains(p.Value, fold(name)) && own.Effect > t.Effect && (own.Field != "" || own.Effect == plan.Detect) {
			return own
		}
		return t
	}
	out := o.tag(el, func(_ int, a xml.Attr, raw string) (string, bool) {
		m := member(a.Name.Local)
		if isSpaceOf(a) {
			return raw, true
		}
		if fixed(a) || slices.Contains(p.Name, fold(a.Name.Local)) {
			m = searched
		}
		return o.written(a.Value, raw, m), m.Effect != plan.Hide
	})
	if !el.parents {
		return out + o.leaf(el, t)
	}
	between := t
	if t.Effect == plan.Detect {
		between = o.apart(el, t)
	}
	for _, k := range el.kids {
		switch {
		case k.el == nil:
			out += o.loose(k, between)
		case slices.Contains(p.Name, fold(k.el.name)):
			out += o.field(k.el, searched, ent, plan.Detect)
		case p.Nested[fold(k.el.name)] != nil && t.Effect < plan.Mask:
			out += o.element(k.el, p.Nested[fold(k.el.name)], ent, false)
		default:
			out += o.field(k.el, member(k.el.name), ent, plan.Show)
		}
	}
	return out + el.end
}
