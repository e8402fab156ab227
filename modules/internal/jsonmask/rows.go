// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package jsonmask

import (
	"bytes"
	"slices"

	"github.com/crmgate/crmgate/policy/plan"
)

// owner is what is known about the owner of a record being read.
type owner struct {
	rec   *plan.Record
	named bool  // an owner was named
	alien bool  // an owner was named who is not the viewer's, or who cannot be read
	via   uint8 // the best way to an owner that was there, counted from 1
	mine  bool  // it leads to the viewer's
	vals  int   // where its values start
}

// rowUse is what the filter of rows reads a member for. The zero value is nothing.
type rowUse struct {
	owner bool
	via   uint8 // a way to the owner, counted from 1
	need  uint8 // a member the condition looks at, counted from 1
	torn  bool  // it stands for several, so that nobody can tell
}

func useOf(r *plan.Rows, folded []byte) rowUse {
	var u rowUse
	if r.Scope == plan.Own || r.Scope == plan.Group {
		u.owner = slices.Contains(r.Owner, string(folded))
		u.via = uint8(1 + slices.IndexFunc(r.Via, func(v plan.Via) bool { return v.At == string(folded) }))
	}
	if r.Where != nil {
		u.need = uint8(1 + slices.Index(r.Where.Needs(), string(folded)))
	}
	return u
}

// and is the use of a pair that has two names.
func (u rowUse) and(o rowUse) rowUse {
	if u == (rowUse{}) || u == o {
		return o
	}
	if o != (rowUse{}) {
		u.torn = true
	}
	return u
}

// fieldValue is a value a condition looks at.
type fieldValue struct {
	need  uint8
	value plan.Value
}

// record walks the record at v and judges it. A record that is not visible is
// not kept, and leaves no trace in the output.
func (w *walker) record(v int, r *plan.Record, e env) (end int, keep bool, err error) {
	if r.Entity != nil {
		e.ent = r.Entity
	}
	c := w.in[v]
	if (c == '{') == r.Scalar || c == '[' || c == 't' || c == 'f' {
		end, err = w.misplaced(v, e)
		return end, true, err
	}
	set := w.sets[r.Set]
	if w.hiddenFromAll(r.Rows) || !r.Free && w.capped(set) {
		if end, err = w.skip(v); err != nil {
			return end, false, err
		}
		return end, false, w.drop(r, e)
	}
	mark := w.mark()
	w.recs = append(w.recs, owner{rec: r, vals: len(w.vals)})
	w.openScope()
	if r.Scalar {
		end, err = w.scalar(v)
	} else {
		in := env{ent: e.ent, rec: len(w.recs) - 1}
		end, err = w.object(v, table{kind: recordTable, ent: e.ent, rec: r}, in)
	}
	if err != nil {
		return end, false, err
	}
	o := w.recs[len(w.recs)-1]
	w.recs = w.recs[:len(w.recs)-1]
	visible := w.visible(o)
	w.vals = w.vals[:o.vals]
	if !visible {
		w.closeScope(false)
		w.back(mark)
		return end, false, w.drop(r, e)
	}
	w.closeScope(true)
	w.count(set)
	if w.kept++; r.Free {
		w.free++
	}
	if e.single && filtered(r.Rows) {
		w.wait = false
	}
	return end, true, nil
}

// drop counts a record that is not visible. The single record that was asked
// for ends the whole answer while nothing of it has gone out.
func (w *walker) drop(r *plan.Record, e env) error {
	if e.single && w.wait && filtered(r.Rows) {
		return ErrNotVisible
	}
	w.drops++
	return nil
}

// hiddenFromAll reports whether no record can be visible, whoever owns it.
func (w *walker) hiddenFromAll(r *plan.Rows) bool {
	if !filtered(r) {
		return false
	}
	if w.viewer == nil || r.Scope == plan.All {
		return w.viewer == nil
	}
	return r.Scope != plan.Own && r.Scope != plan.Group || len(r.Owner)+len(r.Via) == 0
}

// visible judges a record that has been read. Its own owner counts before the one
// of the record it hangs on.
func (w *walker) visible(o owner) bool {
	r := o.rec.Rows
	switch {
	case !filtered(r):
		return true
	case r.Where != nil && !w.holds(o):
		return false
	case r.Scope == plan.All:
		return !o.alien // a pair of which nobody can tell what it holds
	case o.named:
		return !o.alien
	}
	return o.via > 0 && o.mine
}

// holds asks the condition of a record; what it cannot tell does not hold.
func (w *walker) holds(o owner) bool {
	ok, err := o.rec.Rows.Where.Holds(w.viewer, func(folded string) plan.Value { return w.valueFor(o, folded) })
	if err != nil {
		w.unclear++
	}
	return ok && err == nil
}

// valueFor finds a value for a condition. One that was there twice with different
// values is of a kind that nothing can be said about.
func (w *walker) valueFor(o owner, folded string) plan.Value {
	need := uint8(1 + slices.Index(o.rec.Rows.Where.Needs(), folded))
	var out plan.Value
	for _, v := range w.vals[o.vals:] {
		switch {
		case v.need != need || need == 0 || v.value == out:
		case out.Kind == 0:
			out = v.value
		default:
			return plan.Value{Kind: '['}
		}
	}
	return out
}

// nestedParent walks the record that the enclosing one hangs on, where it stands
// in it whole: the one is seen as far as the other is.
func (w *walker) nestedParent(v int, s slot, e env) (int, bool, error) {
	end, keep, err := w.element(v, s.node, e)
	if err == nil && filtered(s.node.Record.Rows) {
		w.leads(&w.recs[e.rec], s.row.via, keep)
	}
	return end, keep, err
}

// leads notes a way to an owner.
func (w *walker) leads(o *owner, via uint8, mine bool) {
	switch {
	case o.via == 0 || via < o.via:
		o.via, o.mine = via, mine
	case via == o.via:
		o.mine = o.mine && mine
	}
}

// readOwner notes what the value at v says about the enclosing record: who owns it,
// which record it hangs on, what its condition looks at. An empty id says nothing;
// one that is neither text nor number cannot be read and counts as somebody else's.
// Where a record names several owners, all of them must be the viewer's.
func (w *walker) readOwner(v, rec int, row rowUse) error {
	o := &w.recs[rec]
	if row.torn {
		o.named, o.alien = true, true
		return nil
	}
	if row.need > 0 {
		if err := w.keepValue(v, row.need); err != nil {
			return err
		}
	}
	if !row.owner && row.via == 0 {
		return nil
	}
	var id []byte
	switch c := w.in[v]; {
	case c == '"':
		end, _, err := w.str(v)
		if err != nil {
			return err
		}
		w.value = appendDecoded(w.value[:0], w.in[v:end])
		id = w.value
	case c == '-' || '0' <= c && c <= '9':
		end, err := w.number(v)
		if err != nil {
			return err
		}
		id = w.in[v:end]
	case c == 'n':
		return nil
	default:
		if row.via > 0 {
			w.leads(o, row.via, false)
		}
		if row.owner {
			o.named, o.alien = true, true
		}
		return nil
	}
	if id = bytes.TrimSpace(id); len(id) == 0 {
		return nil
	}
	w.fold = plan.AppendFoldID(w.fold[:0], id)
	if row.via > 0 {
		to := o.rec.Rows.Via[row.via-1].To
		if w.viewer.Ask != nil {
			w.viewer.Ask(to, id)
		}
		_, mine := w.viewer.Parents[to][string(w.fold)]
		w.leads(o, row.via, mine && len(w.fold) > 0)
	}
	if !row.owner {
		return nil
	}
	ids := w.viewer.Own
	if o.rec.Rows.Scope == plan.Group {
		ids = w.viewer.Group
	}
	_, mine := ids[string(w.fold)]
	o.named, o.alien = true, o.alien || !mine || len(w.fold) == 0
	return nil
}

// keepValue keeps the value at v for a condition.
func (w *walker) keepValue(v int, need uint8) error {
	out := plan.Value{Kind: w.in[v]}
	switch c := w.in[v]; {
	case c == '"':
		end, _, err := w.str(v)
		if err != nil {
			return err
		}
		w.value = appendDecoded(w.value[:0], w.in[v:end])
		out.Text = string(w.value)
	case c == '-' || '0' <= c && c <= '9':
		end, err := w.number(v)
		if err != nil {
			return err
		}
		out = plan.Value{Kind: '0', Text: string(w.in[v:end])}
	}
	w.vals = append(w.vals, fieldValue{need, out})
	return nil
}

// mark is a state of the walker that it can go back to.
type mark struct {
	out, from, depth, events, kept, drops, free int
	recs, pairs, cols, counts, totals           int
	vals, origs, apart, views, notes            int
	wait                                        bool
}

func (w *walker) mark() mark {
	return mark{
		len(w.out), w.from, w.depth, len(w.events), w.kept, w.drops, w.free,
		len(w.recs), len(w.pairs), len(w.cols), len(w.counts), len(w.totals), len(w.vals), len(w.origs), len(w.apart), len(w.views), len(w.notes), w.wait,
	}
}

// back takes back everything since the mark, counts of outer scopes aside.
func (w *walker) back(m mark) {
	clear(w.apart[m.apart:])
	clear(w.views[m.views:])
	w.out, w.from, w.depth = w.out[:m.out], m.from, m.depth
	w.events, w.kept, w.drops, w.free = w.events[:m.events], m.kept, m.drops, m.free
	w.recs, w.pairs, w.cols = w.recs[:m.recs], w.pairs[:m.pairs], w.cols[:m.cols]
	w.counts, w.totals, w.wait = w.counts[:m.counts], w.totals[:m.totals], m.wait
	w.vals, w.origs, w.apart, w.views = w.vals[:m.vals], w.origs[:m.origs], w.apart[:m.apart], w.views[:m.views]
	w.notes = w.notes[:m.notes]
}
