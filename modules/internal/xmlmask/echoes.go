// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package xmlmask

import (
	"bytes"
	"slices"
	"unicode"

	"github.com/crmgate/crmgate/modules/internal/textmask"
	"github.com/crmgate/crmgate/policy/plan"
)

// A value that is masked or hidden must not come through a second time in a text that
// nobody declared. So where a plan searches texts, a unit is gone through twice: once
// noting, when such values are remembered and nothing is written, and then as ever.

// gone treats a text within what is masked or hidden as a whole.
var gone = textmask.Closed.Unknown

// note goes through a unit, or the start tag of a frame, by what rewrites it.
func (u *emitter) note(rewrite func() error) error {
	if !u.m.echoes {
		return nil
	}
	u.m.judge.Next()
	u.noting = true
	err := rewrite()
	u.noting = false
	return err
}

// hide counts an element that goes, or remembers all values in it. Names of pairs are
// none; p is nil for what is no pair.
func (u *emitter) hide(el *element, t *plan.Treatment, p *plan.Pairs) {
	if !u.noting {
		u.m.judge.Hide(t)
		return
	}
	u.rememberAttrs(el, p)
	if p == nil || !el.parents {
		u.rememberKids(el)
		return
	}
	for _, k := range el.kids {
		if k.el != nil && !names(p, k.el.name) {
			u.hide(k.el, t, nil)
		}
		u.m.judge.Remember(k.text, gone)
	}
}

func names(p *plan.Pairs, name string) bool { return p != nil && slices.Contains(p.Name, fold(name)) }

// rememberKids remembers the texts within an element of which nothing is shown: each
// one, and what every element says with all in it.
func (u *emitter) rememberKids(el *element) {
	if !el.parents {
		u.m.judge.Remember(el.text(), gone)
		return
	}
	u.m.judge.Remember(el.beginning(nil), gone)
	for _, k := range el.kids {
		if k.el == nil {
			u.m.judge.Remember(k.text, gone)
		} else {
			u.rememberAttrs(k.el, nil)
			u.rememberKids(k.el)
		}
	}
}

// enough is more of a text than is remembered of any.
const enough = 1 << 10

// beginning appends all text within, up to as much as is remembered, from the first
// that is no white space on.
func (el *element) beginning(dst []byte) []byte {
	for _, k := range el.kids {
		switch {
		case len(dst) > enough:
			return dst
		case k.el != nil:
			dst = k.el.beginning(dst)
		case len(dst) == 0:
			dst = append(dst, bytes.TrimLeftFunc(k.text, unicode.IsSpace)...)
		default:
			dst = append(dst, k.text...)
		}
	}
	return dst
}

// tears reports whether a value that is known stands partly in a text of an element's
// own and partly in what is beside it.
func (u *emitter) tears(el *element) bool {
	var all []byte
	var own [][2]int
	for _, k := range el.kids {
		if k.el != nil {
			k.el.texts(func(text []byte) { all = append(all, text...) })
		} else if k.text != nil {
			own = append(own, [2]int{len(all), len(all) + len(k.text)})
			all = append(all, k.text...)
		}
	}
	for _, f := range u.m.judge.Known().Finds(all) {
		for _, o := range own {
			if f.Start < o[1] && o[0] < f.End && (f.Start < o[0] || o[1] < f.End) {
				return true
			}
		}
	}
	return false
}

func (u *emitter) rememberAttrs(el *element, p *plan.Pairs) {
	for _, a := range el.attrs {
		if !a.fixed && !names(p, a.name) {
			u.m.judge.Remember([]byte(a.text), gone)
		}
	}
}
