// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package xmlmask

import (
	"bytes"
	"encoding/xml"

	"github.com/crmgate/crmgate/modules/internal/textmask"
	"github.com/crmgate/crmgate/policy/mask"
	"github.com/crmgate/crmgate/policy/plan"
)

// emitter rewrites one unit: an element that was read to its end.
type emitter struct {
	m      *Masker
	bytes  []byte // of the unit, as it is collected
	raw    []byte // what is copied from
	from   int    // in raw: where the run that has not been copied yet starts
	out    []byte
	totals []total // within the unit
	counts map[string]int
	noting bool // see echoes.go
}

func (u *emitter) reset() {
	u.bytes, u.counts = shed(u.bytes), map[string]int{}
}

// copyTo copies the run up to i.
func (u *emitter) copyTo(i int) {
	if i > u.from && !u.noting {
		u.out = append(u.out, u.raw[u.from:i]...)
		u.from = i
	}
}

// cut leaves a stretch out.
func (u *emitter) cut(from, to int) {
	if u.noting {
		return
	}
	u.copyTo(from)
	u.from = max(u.from, to)
}

// element rewrites an element as its node declares it; whole says that it is the
// document, which cannot go.
func (u *emitter) element(el *element, n *plan.Node, ent *plan.Entity, whole bool) error {
	if n != nil && onward(n) && !el.parents {
		return u.aside(el, n, ent)
	}
	if n == nil || n.Record == nil && n.Pairs == nil && !n.Fields && n.Matrix == nil && n.Total == "" && n.Members == nil && n.Elements == nil {
		if n != nil && n.Entity != nil {
			ent = n.Entity
		}
		t := u.m.judge.Field(ent, []byte(el.name))
		if whole {
			return u.document(el, t, ent)
		}
		return u.field(el, t, ent, plan.Show)
	}
	if n.Entity != nil {
		ent = n.Entity
	}
	switch {
	case n.Record != nil:
		return u.record(el, n.Record, ent, whole)
	case n.Pairs != nil:
		return u.pairs(el, n.Pairs, ent)
	case n.Matrix != nil:
		return bad("rows by position")
	case n.Total != "":
		return u.total(el, n.Total, ent)
	case n.Fields:
		return u.inside(el, ent, plan.Show, nil)
	}
	return u.inside(el, ent, plan.Show, n)
}

// document rewrites a document's element of which the plan says nothing. It
// cannot go: what is in it is treated by names of its own.
func (u *emitter) document(el *element, t *plan.Treatment, ent *plan.Entity) error {
	floor := plan.Show
	if u.m.root.Members != nil || u.m.root.Elements != nil {
		floor = plan.Detect // something else was declared
	}
	switch {
	case personal(t, ent):
		return bad("a document whose name looks like personal data")
	case t.Field == "" || t.Effect < plan.Mask:
		return u.inside(el, ent, floor, nil)
	case t.Effect == plan.Mask:
		return u.field(el, t, ent, floor)
	}
	u.hide(el, t, nil)
	for _, a := range el.attrs {
		if !a.fixed {
			u.cut(a.from, a.end+1)
		}
	}
	u.cut(el.open, el.close)
	return nil
}

// personal reports whether t is the treatment of a name that nobody declared and
// that looks like personal data.
func personal(t *plan.Treatment, ent *plan.Entity) bool {
	return t.Field == "" && t.Effect == plan.Hide && ent.Unknown != nil && ent.Unknown.Effect < plan.Mask
}

// record rewrites a record, or leaves it out.
func (u *emitter) record(el *element, r *plan.Record, ent *plan.Entity, whole bool) error {
	if r.Entity != nil {
		ent = r.Entity
	}
	if !u.visible(el, r) {
		if whole && u.m.plan.NotFound == nil {
			return bad("a document that is not visible")
		}
		u.cut(el.start, el.end)
		return nil
	}
	if r.Scalar {
		return u.field(el, &plan.Treatment{}, ent, plan.Show)
	}
	return u.inside(el, ent, plan.Show, &plan.Node{Members: r.Nested})
}

// inside rewrites what an element holds, as fields of ent; members of n are what
// n says. Text beside elements is searched.
func (u *emitter) inside(el *element, ent *plan.Entity, floor plan.Effect, n *plan.Node) error {
	if err := u.attrs(el, ent, floor, n, nil); err != nil {
		return err
	}
	if !el.parents {
		return u.leaf(el, u.unnamed(ent), ent)
	}
	return u.kids(el, ent, floor, n, nil)
}

// unnamed treats text that no name stands for.
func (u *emitter) unnamed(ent *plan.Entity) *plan.Treatment {
	t := ent.Unknown
	switch {
	case t == nil:
		return textmask.Closed.Unknown
	case t.Effect == plan.Show:
		return textmask.Searched
	}
	return t
}

// kids rewrites elements and the text between them. Text of a field is treated
// as the field, and searched at least. Where something is torn by elements, those that nobody declared are
// masked with the text beside them.
func (u *emitter) kids(el *element, ent *plan.Entity, floor plan.Effect, n *plan.Node, t *plan.Treatment) error {
	if t == nil || t.Effect == plan.Show {
		t = u.unnamed(ent)
	}
	torn := u.torn(el) && t.Effect < plan.Mask
	for _, k := range el.kids {
		switch {
		case k.text != nil:
			u.loose(k, t, ent, torn)
		default:
			var next *plan.Node
			if n != nil {
				next = child(n, k.el.name)
			}
			f := u.m.judge.Field(ent, []byte(k.el.name))
			if torn && next == nil && f.Field == "" && f.Effect < plan.Mask { // what is torn may go on in it
				f = textmask.Full
			}
			if next == nil || f.Effect >= plan.Mask && f.Field != "" || personal(f, ent) || onward(next) && restricted(f) {
				if err := u.field(k.el, f, ent, floor); err != nil {
					return err
				}
				continue
			}
			if err := u.element(k.el, next, ent, false); err != nil {
				return err
			}
		}
	}
	return nil
}

// torn reports whether an element has text of its own beside elements, and all
// its text put together holds personal data, or a value that is known, that no one piece
// does.
func (u *emitter) torn(el *element) bool {
	own := false
	if u.noting {
		return false
	}
	for _, k := range el.kids {
		own = own || len(bytes.TrimSpace(k.text)) > 0
	}
	if !own {
		return false
	}
	var all []byte
	hits := 0
	el.texts(func(text []byte) {
		_, n := mask.Detect(nil, text)
		hits += n
		all = append(all, bytes.TrimSpace(text)...)
	})
	_, n := mask.Detect(nil, all)
	return n > hits || u.m.echoes && u.tears(el)
}

// loose treats text that stands between elements.
func (u *emitter) loose(k kid, t *plan.Treatment, ent *plan.Entity, torn bool) {
	if len(bytes.TrimSpace(k.text)) == 0 {
		return
	}
	if torn && t.Effect < plan.Mask {
		t = textmask.Full
	}
	if u.noting {
		u.m.judge.Remember(k.text, t)
		return
	}
	u.copyTo(k.from)
	u.out = u.m.treatText(u.out, k.text, u.raw[k.from:k.to], t, ent)
	u.from = k.to
}

// field rewrites an element that is a field. A masked field that holds elements
// is emptied.
func (u *emitter) field(el *element, t *plan.Treatment, ent *plan.Entity, floor plan.Effect) error {
	if t.Effect == plan.Hide {
		u.hide(el, t, nil)
		u.cut(el.start, el.end)
		return nil
	}
	if t.Effect < floor {
		t = &plan.Treatment{Field: t.Field, Effect: floor, Text: t.Text}
	}
	if t.Effect == plan.Mask {
		if err := u.attrs(el, ent, floor, nil, t); err != nil {
			return err
		}
		if !el.parents {
			return u.leaf(el, t, ent)
		}
		if u.noting {
			u.rememberKids(el)
			return nil
		}
		_, _ = u.m.judge.Text(nil, []byte("x"), t, ent)
		u.cut(el.open, el.close)
		return nil
	}
	if err := u.attrs(el, ent, floor, nil, nil); err != nil {
		return err
	}
	if !el.parents {
		return u.leaf(el, t, ent)
	}
	if t.Effect == plan.Detect && t.Field != "" {
		floor = plan.Detect // a declared field in which personal data is looked for has it looked for at any depth
	}
	return u.kids(el, ent, floor, nil, t)
}

// leaf treats the text of an element that holds nothing else.
func (u *emitter) leaf(el *element, t *plan.Treatment, ent *plan.Entity) error {
	if el.empty() {
		return nil
	}
	text := el.text()
	if len(bytes.TrimSpace(text)) == 0 {
		return nil
	}
	if u.noting {
		u.m.judge.Remember(text, t)
		return nil
	}
	value, v := u.m.judge.Text(nil, text, t, ent)
	switch v {
	case textmask.Changed:
		u.cut(el.open, el.close)
		u.out = appendEscaped(u.out, value)
	case textmask.Hidden:
		u.cut(el.open, el.close)
	}
	return nil
}

// attrs rewrites the attributes of an element. Those of a masked field are
// masked with it.
func (u *emitter) attrs(el *element, ent *plan.Entity, floor plan.Effect, n *plan.Node, field *plan.Treatment) error {
	for _, a := range el.attrs {
		var next *plan.Node
		if n != nil {
			next = n.Members[fold(a.name)]
		}
		if next != nil && onward(next) && u.asideAttr(a, next, ent) {
			continue
		}
		if a.fixed {
			u.attr(a, textmask.Searched, ent)
			continue
		}
		if next != nil && next.Total != "" {
			if err := u.count(a.value, a.end, []byte(a.text), next.Total); err != nil {
				return err
			}
			continue
		}
		t := u.m.judge.Field(ent, []byte(a.name))
		if field != nil && t.Effect < field.Effect {
			t = field
		}
		if t.Effect < floor {
			t = &plan.Treatment{Field: t.Field, Effect: floor, Text: t.Text}
		}
		u.attr(a, t, ent)
	}
	return nil
}

// attr rewrites one attribute.
func (u *emitter) attr(a attr, t *plan.Treatment, ent *plan.Entity) {
	switch {
	case a.space: // it was searched when it was read
		return
	case u.noting:
		u.m.judge.Remember([]byte(a.text), t)
		return
	}
	value, v := u.m.judge.Text(nil, []byte(a.text), t, ent)
	switch v {
	case textmask.Changed:
		u.cut(a.value, a.end)
		u.out = appendEscaped(u.out, value)
	case textmask.Hidden:
		u.cut(a.from, a.end+1)
	}
}

// openTag writes the start tag of a frame.
func (m *Masker) openTag(t xml.StartElement, raw []byte, n *plan.Node, ent *plan.Entity) error {
	u := &m.unit
	u.reset()
	el, err := u.opened(t, raw)
	if err != nil {
		return err
	}
	u.out, u.raw, u.from, u.totals = m.out, u.bytes, 0, u.totals[:0]
	rewrite := func() error { return u.attrs(el, ent, plan.Show, n, nil) }
	if m.plan.Open {
		rewrite = func() error { u.follow(el, n); return nil }
	}
	if err := u.note(rewrite); err != nil {
		return err
	}
	if err := rewrite(); err != nil {
		return err
	}
	u.copyTo(len(u.raw))
	m.out = u.out
	m.totals = append(m.totals, u.totals...)
	return nil
}

// appendEscaped appends text as XML has it within elements and attributes.
func appendEscaped(dst, text []byte) []byte {
	for _, c := range text {
		switch c {
		case '&':
			dst = append(dst, "&amp;"...)
		case '<':
			dst = append(dst, "&lt;"...)
		case '>':
			dst = append(dst, "&gt;"...)
		case '"':
			dst = append(dst, "&#34;"...)
		case '\'':
			dst = append(dst, "&#39;"...)
		case '\r':
			dst = append(dst, "&#13;"...)
		default:
			dst = append(dst, c)
		}
	}
	return dst
}
