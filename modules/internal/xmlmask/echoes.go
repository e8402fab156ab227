// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package xmlmask

import (
	"bytes"
	"slices"

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
	for _, a := range el.attrs {
		if !a.fixed && !names(p, a.name) {
			u.m.judge.Remember([]byte(a.text), gone)
		}
	}
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

// rememberKids remembers the texts within an element of which nothing is shown: all
// they say together, and each one.
func (u *emitter) rememberKids(el *element) {
	if !el.parents {
		u.m.judge.Remember(el.text(), gone)
		return
	}
	var all [][]byte
	el.texts(func(text []byte) { all = append(all, text) })
	u.m.judge.Remember(bytes.Join(all, nil), gone)
	u.rememberEach(el)
}

func (u *emitter) rememberEach(el *element) {
	for _, k := range el.kids {
		switch {
		case k.el == nil:
			u.m.judge.Remember(k.text, gone)
		case k.el.parents:
			u.rememberAttrs(k.el)
			u.rememberEach(k.el)
		default:
			u.rememberAttrs(k.el)
			u.m.judge.Remember(k.el.text(), gone)
		}
	}
}

func (u *emitter) rememberAttrs(el *element) {
	for _, a := range el.attrs {
		if !a.fixed {
			u.m.judge.Remember([]byte(a.text), gone)
		}
	}
}
