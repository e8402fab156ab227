// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package xmlmask

import (
	"bytes"
	"slices"

	"github.com/crmgate/crmgate/modules/internal/textmask"
	"github.com/crmgate/crmgate/policy/plan"
)

// pairOf returns the names and values of a pair, decoded. Text of the pair
// itself is a value.
func pairOf(el *element, p *plan.Pairs) (names, values [][]byte) {
	see := func(name string, text []byte) {
		switch f := fold(name); {
		case slices.Contains(p.Name, f):
			names = append(names, text)
		case slices.Contains(p.Value, f):
			values = append(values, text)
		}
	}
	for _, a := range el.attrs {
		see(a.name, []byte(a.text))
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

// pairs rewrites a list of pairs.
func (u *emitter) pairs(el *element, p *plan.Pairs, ent *plan.Entity) error {
	if err := u.attrs(el, ent, plan.Detect, nil, nil); err != nil {
		return err
	}
	if !el.parents {
		return u.leaf(el, u.unnamed(ent), ent)
	}
	torn := u.torn(el)
	for _, k := range el.kids {
		if k.text != nil {
			u.loose(k, u.unnamed(ent), ent, torn)
		} else if err := u.pair(k.el, p, ent); err != nil {
			return err
		}
	}
	return nil
}

// pair rewrites one pair. One without a name that can be read is masked as a
// whole; of several names the strictest counts. An element with the name of a masked
// or hidden field is that field.
func (u *emitter) pair(el *element, p *plan.Pairs, ent *plan.Entity) error {
	names, _ := pairOf(el, p)
	t := textmask.Full
	for i, name := range names {
		if f := u.m.judge.Field(ent, bytes.TrimSpace(name)); i == 0 || f.Effect > t.Effect {
			t = f
		}
	}
	if own := u.m.judge.Field(ent, []byte(el.name)); own.Field != "" && own.Effect >= plan.Mask && own.Effect >= t.Effect {
		return u.field(el, own, ent, plan.Show)
	}
	if t.Effect == plan.Hide {
		u.hide(el, t, p)
		u.cut(el.start, el.end)
		return nil
	}
	for _, a := range el.attrs {
		switch {
		case a.fixed || slices.Contains(p.Name, fold(a.name)):
			u.attr(a, textmask.Searched, ent)
		default:
			u.attr(a, u.member(p, a.name, t, ent), ent)
		}
	}
	if !el.parents {
		return u.leaf(el, t, ent)
	}
	torn := t.Effect == plan.Detect && u.torn(el)
	for _, k := range el.kids {
		var err error
		switch {
		case k.text != nil:
			u.loose(k, t, ent, torn)
		case slices.Contains(p.Name, fold(k.el.name)):
			err = u.field(k.el, textmask.Searched, ent, plan.Detect)
		case p.Nested[fold(k.el.name)] != nil && t.Effect < plan.Mask:
			err = u.element(k.el, p.Nested[fold(k.el.name)], ent, false)
		default:
			err = u.field(k.el, u.member(p, k.el.name, t, ent), ent, plan.Show)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// member treats a member of a pair that is not its name: as the pair, or as the
// field its own name means where that is stricter.
func (u *emitter) member(p *plan.Pairs, name string, t *plan.Treatment, ent *plan.Entity) *plan.Treatment {
	if slices.Contains(p.Value, fold(name)) {
		return t
	}
	if own := u.m.judge.Field(ent, []byte(name)); own.Effect > t.Effect && (own.Field != "" || own.Effect == plan.Detect) {
		return own
	}
	return t
}
