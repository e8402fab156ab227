// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package xmlmask

import (
	"bytes"
	"encoding/xml"
	"maps"
	"slices"

	"github.com/crmgate/crmgate/policy/plan"
)

// learn goes through a part for what nobody may see in it, before it is written.
func (o *oracle) learn(write func()) {
	before := *o
	o.whole, o.unit, o.learning = maps.Clone(o.whole), maps.Clone(o.unit), true
	write()
	o.whole, o.unit, o.kept, o.free, o.dropped, o.learning = before.whole, before.unit, before.kept, before.free, before.dropped, false
}

// gone has the oracle know all that an element says of which nothing is shown: its
// attributes, every text, and all texts together.
func (o *oracle) gone(el *tree, attrs bool) {
	if !o.learning {
		return
	}
	add := func(s string) { o.known.Add([]byte(s), nil, true) }
	for _, a := range el.attrs {
		if attrs && !fixed(a) {
			add(a.Value)
		}
	}
	if !el.parents {
		add(el.text())
		return
	}
	add(el.everything())
	for _, k := range el.kids {
		if k.text != nil {
			add(*k.text)
		} else if k.el != nil {
			o.gone(k.el, true)
		}
	}
}

// pairGone has the oracle know what a hidden pair says, apart from its name.
func (o *oracle) pairGone(el *tree, p *plan.Pairs) {
	rest := *el
	rest.attrs = slices.DeleteFunc(slices.Clone(el.attrs), func(a xml.Attr) bool { return slices.Contains(p.Name, fold(a.Name.Local)) })
	if !el.parents {
		o.gone(&rest, true)
		return
	}
	for _, k := range el.kids {
		switch {
		case !o.learning:
		case k.text != nil:
			o.known.Add([]byte(*k.text), nil, true)
		case k.el != nil && !slices.Contains(p.Name, fold(k.el.name)):
			o.gone(k.el, true)
		}
	}
	rest.kids, rest.parents = nil, false
	o.gone(&rest, true)
}

func (t *tree) everything() string {
	out := ""
	for _, k := range t.kids {
		if k.el != nil {
			out += k.el.everything()
		} else if k.text != nil {
			out += *k.text
		}
	}
	return out
}

// torn says that a known value begins in one text and ends in another, and one of those
// that it touches is the element's own.
func (o *oracle) torn(el *tree) bool {
	owner := []byte{} // of each byte: which of the element's parts it is of
	for i, k := range el.kids {
		n := byte(i % 100)
		switch {
		case k.text != nil:
			owner = append(owner, bytes.Repeat([]byte{n + 100}, len(*k.text))...)
		case k.el != nil:
			owner = append(owner, bytes.Repeat([]byte{n}, len(k.el.everything()))...)
		}
	}
	for _, f := range o.known.Finds([]byte(el.everything())) {
		seen := map[byte]bool{}
		own := false
		for _, n := range owner[f.Start:f.End] {
			seen[n], own = true, own || n >= 100
		}
		if own && len(seen) > 1 {
			return true
		}
	}
	return false
}
