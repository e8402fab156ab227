// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package xmlmask

import (
	"bytes"
	"slices"

	"github.com/crmgate/crmgate/modules/internal/textmask"
	"github.com/crmgate/crmgate/policy/plan"
)

// visible judges a record, once.
func (u *emitter) visible(el *element, r *plan.Record) bool {
	if el.judged {
		return el.seen
	}
	var o textmask.Owner
	u.about(el, r, nil, &o)
	el.judged, el.seen = true, u.m.judge.Visible(r.Rows, o, r.Free)
	if el.seen {
		u.counts[r.Set]++
		u.m.counts[r.Set]++
	}
	return el.seen
}

// about notes what is said of a record, in fields of its own and in its parts:
// whose it is, and what its condition looks at.
func (u *emitter) about(el *element, r *plan.Record, n *plan.Node, o *textmask.Owner) {
	if r.Rows == nil {
		return
	}
	members := r.Nested
	if n != nil {
		members = n.Members
	}
	direct := n == nil || n.Fields
	for _, a := range el.attrs {
		if !direct || a.fixed {
			continue
		}
		if u.m.judge.Owns(r.Rows, []byte(a.name)) {
			u.m.judge.Name(o, r.Rows, []byte(a.text))
		}
		o.Keep(u.m.judge.Needs(r.Rows, []byte(a.name)), []byte(a.text))
	}
	for _, k := range el.kids {
		if k.el == nil {
			continue
		}
		if direct {
			u.saying(k.el, r.Rows, o)
		}
		next := members[fold(k.el.name)]
		if next == nil && n != nil {
			next = n.Elements
		}
		switch {
		case next == nil || next.Record != nil:
		case next.Pairs != nil:
			u.aboutPairs(k.el, r.Rows, next.Pairs, o)
		default:
			u.about(k.el, r, next, o)
		}
	}
}

// saying notes what a field says.
func (u *emitter) saying(el *element, rows *plan.Rows, o *textmask.Owner) {
	if u.m.judge.Owns(rows, []byte(el.name)) {
		u.m.judge.Name(o, rows, el.text())
		if el.parents { // an owner nobody can read counts as another's
			u.m.judge.Name(o, rows, []byte("{-}"))
		}
	}
	if need := u.m.judge.Needs(rows, []byte(el.name)); el.plain() {
		o.Keep(need, el.text())
	} else {
		o.Unread(need)
	}
}

// plain reports whether what an element says is its text: it holds no elements,
// and where it has no text it has no attributes that may say it.
func (el *element) plain() bool {
	if el.parents {
		return false
	}
	return len(bytes.TrimSpace(el.text())) > 0 || !slices.ContainsFunc(el.attrs, func(a attr) bool { return !a.fixed })
}

// aboutPairs notes what pairs say. Of a pair with several names, or without a value
// where one is looked for, nobody can tell what it says.
func (u *emitter) aboutPairs(el *element, rows *plan.Rows, p *plan.Pairs, o *textmask.Owner) {
	for _, k := range el.kids {
		if k.el == nil {
			continue
		}
		names, values := pairOf(k.el, p)
		readable := len(values) > 0
		for _, name := range names {
			readable = readable && bytes.Equal(bytes.TrimSpace(name), bytes.TrimSpace(names[0]))
		}
		for _, v := range k.el.kids {
			if v.el == nil {
				continue
			}
			if slices.Contains(p.Value, fold(v.el.name)) {
				readable = readable && v.el.plain()
			}
			if next := p.Nested[fold(v.el.name)]; next != nil && next.Pairs != nil && rows.Where != nil {
				u.aboutPairs(v.el, &plan.Rows{Where: rows.Where}, next.Pairs, o)
			}
		}
		for _, name := range names {
			if u.m.judge.Owns(rows, name) {
				for _, v := range values {
					u.m.judge.Name(o, rows, v)
				}
			}
			need := u.m.judge.Needs(rows, name)
			if !readable {
				o.Unread(need)
				continue
			}
			for _, v := range values {
				o.Keep(need, v)
			}
		}
	}
}
