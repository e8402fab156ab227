// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package jsonmask

import (
	"bytes"

	"github.com/crmgate/crmgate/policy/plan"
)

// owner is what is known about the owner of a record being read.
type owner struct {
	rec   *plan.Record
	named bool // an owner was named
	alien bool // an owner was named who is not the viewer's, or who cannot be read
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
	if w.hiddenFromAll(r.Rows) || w.capped(set) {
		if end, err = w.skip(v); err != nil {
			return end, false, err
		}
		return end, false, w.drop(r, e)
	}
	mark := w.mark()
	w.recs = append(w.recs, owner{rec: r})
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
	if filtered(r.Rows) && (!o.named || o.alien) {
		w.closeScope(false)
		w.back(mark)
		return end, false, w.drop(r, e)
	}
	w.closeScope(true)
	w.count(set)
	w.kept++
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
	return r.Scope != plan.Own && r.Scope != plan.Group || w.viewer == nil || len(r.Owner) == 0
}

// readOwner notes the owner's id at v. An empty one says nothing; one that is
// neither text nor number cannot be read and counts as somebody else's. Where a
// record names several owners, all of them must be the viewer's.
func (w *walker) readOwner(v, rec int) error {
	o := &w.recs[rec]
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
		o.named, o.alien = true, true
		return nil
	}
	if id = bytes.TrimSpace(id); len(id) == 0 {
		return nil
	}
	w.fold = plan.AppendFoldID(w.fold[:0], id)
	ids := w.viewer.Own
	if o.rec.Rows.Scope == plan.Group {
		ids = w.viewer.Group
	}
	_, mine := ids[string(w.fold)]
	o.named, o.alien = true, o.alien || !mine || len(w.fold) == 0
	return nil
}

// mark is a state of the walker that it can go back to.
type mark struct {
	out, from, depth, events, kept, drops int
	recs, pairs, cols, counts, totals     int
	wait                                  bool
}

func (w *walker) mark() mark {
	return mark{
		len(w.out), w.from, w.depth, len(w.events), w.kept, w.drops,
		len(w.recs), len(w.pairs), len(w.cols), len(w.counts), len(w.totals), w.wait,
	}
}

// back takes back everything since the mark, counts of outer scopes aside.
func (w *walker) back(m mark) {
	w.out, w.from, w.depth = w.out[:m.out], m.from, m.depth
	w.events, w.kept, w.drops = w.events[:m.events], m.kept, m.drops
	w.recs, w.pairs, w.cols = w.recs[:m.recs], w.pairs[:m.pairs], w.cols[:m.cols]
	w.counts, w.totals, w.wait = w.counts[:m.counts], w.totals[:m.totals], m.wait
}
