// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package jsonmask

import (
	"errors"
	"math/bits"
	"slices"

	"github.com/crmgate/crmgate/policy/plan"
)

// list is what the records of an array have in common, so that it is worked out once. It
// stays for the next array of that kind.
type list struct {
	elem  *plan.Node   // what the array is declared to hold
	from  *plan.Entity // the table around it
	depth int          // the frames around it, and its own

	usable bool // the records can be read one behind the other
	set    int
	rec    *plan.Record
	ent    *plan.Entity
	shape  *shape
}

// records reads records of the array f one behind the other, written without blanks
// between them. It does what step does for each, in fewer moves, and reports whether it
// did anything. Everything else is left to step: a record as well in which a value stands
// a second time, for which it arms the masker.
func (m *Masker) records(f *frame) (went bool, err error) {
	if f.elem == nil {
		return false, nil
	}
	l := f.list
	if l == nil {
		l = m.judge(f)
		f.list = l
	}
	if !l.usable || f.env.single || m.hiddenFromAll(l.rec.Rows) {
		return false, nil
	}
	lead, before := m.pos, byte(',')
	if f.n == 0 {
		lead, before = lead-1, '['
	}
	mark := m.mark()
	for full := max(chunk, len(m.out)+chunk/2); len(m.out) < full; {
		if lead < 0 || lead+1 >= len(m.in) || m.in[lead] != before || m.in[lead+1] != '{' {
			break
		}
		if f.kept == 0 && f.n > 0 {
			m.from = lead + 1 // the comma behind records that went
		}
		end, err := m.recordOf(lead+1, l)
		if err = m.unit(lead+1, end, err); err != nil {
			if errors.Is(err, errShort) {
				m.back(mark)
				m.commit()
			}
			return went, err
		}
		o := m.recs[len(m.recs)-1]
		m.recs = m.recs[:len(m.recs)-1]
		unclear := m.unclear
		visible := m.visible(o)
		if m.echoing && !m.whole && visible && m.rearm(m.pos, end, true) {
			m.back(mark)
			m.unclear, went = unclear, true
			break
		}
		m.vals = m.vals[:o.vals]
		m.closeScope(visible)
		if visible {
			m.count(l.set)
			if m.kept++; l.rec.Free {
				m.free++
			}
			f.kept++
		} else {
			m.back(mark)
			m.drops++
			m.cut(m.pos, end, f.n == 0, f.kept)
		}
		f.n++
		m.pos, went = end, true
		lead, before = end, ','
		if m.whole {
			mark = m.mark()
			continue
		}
		mark.out, mark.from, mark.kept, mark.drops, mark.free = len(m.out), m.from, m.kept, m.drops, m.free
		mark.events, mark.totals = len(m.events), len(m.totals)
	}
	m.commit()
	return went, nil
}

// judge finds out, or works out, what the records of f have in common.
func (m *Masker) judge(f *frame) *list {
	for _, l := range m.lists {
		if l.elem == f.elem && l.from == f.env.ent && l.depth == len(m.frames) {
			return l
		}
	}
	n := f.elem
	l := &list{elem: n, from: f.env.ent, depth: len(m.frames)}
	if len(m.lists) == maxLists {
		m.lists = m.lists[:0]
	}
	m.lists = append(m.lists, l)
	if l.rec = n.Record; l.rec == nil || l.rec.Scalar || n.Matrix != nil || m.plan.MaxRows > 0 {
		return l
	}
	l.usable, l.set = true, m.sets[l.rec.Set]
	if l.ent = entering(n, f.env).ent; l.rec.Entity != nil {
		l.ent = l.rec.Entity
	}
	return l
}

// maxLists bounds the kinds of arrays that are remembered.
const maxLists = 16

// recordOf walks the record at v.
func (m *Masker) recordOf(v int, l *list) (int, error) {
	w := &m.walker
	w.depth = len(m.frames)
	w.recs = append(w.recs, owner{rec: l.rec, vals: len(w.vals)})
	w.openScope()
	e := env{ent: l.ent, rec: len(w.recs) - 1}
	if l.shape == nil || !slices.Contains(w.shapes[w.depth], l.shape) { // forgotten for others
		l.shape = w.shapeFor(table{kind: recordTable, ent: l.ent, rec: l.rec})
	} else {
		l.shape.begin()
	}
	s := l.shape
	if w.depth >= w.lim.Depth {
		return w.objectOf(s, v, e, nil)
	}
	end := s.open(w, v)
	if end >= 0 && s.last.quick == searches && !w.clean(v+int(s.opens.size)+1, end-1) {
		s.last.gate, s.last, end = 0, nil, -1
	}
	if end < 0 {
		return w.objectOf(s, v, e, nil)
	}
	w.depth++
	end, n, err := w.run(s, end, 1, e)
	if err != nil {
		return v, err
	}
	return w.onward(s, v, end, n, e)
}

// clean reports whether nothing is to be found in the plain text v to end.
func (w *walker) clean(v, end int) bool {
	return !w.armed && w.passes(v, end)
}

// passes is clean for a walker that is not armed. It notes what a value may be found in.
func (w *walker) passes(v, end int) bool {
	if end-v < shortest {
		return true
	}
	k := formOf(w.in[v:end])
	if k != unsure {
		w.note(v, end, k)
		return true
	}
	if k = bland; w.hinted(v, end) {
		if k = kindOf(w.in[v:end]); k == unsure {
			return false
		}
	} else if end-v < w.bar {
		return true
	}
	w.note(v, end, k)
	return true
}

// open passes over the brace, the name and the value that an object begins with at v
// where all three are as foreseen and the value is shown or searched, and returns the end of the value, else -1.
func (s *shape) open(w *walker, v int) int {
	m := s.opener
	if m == nil || m.gate == shut || v > len(w.in)-glueReach {
		return -1
	}
	here := (*[glueReach]byte)(w.in[v:])
	if !s.opens.is(here) || here[s.opens.size&63] != '"' {
		return -1
	}
	i := v + int(s.opens.size) + 1
	x := w.ends.from(i)
	if i += bits.TrailingZeros64(x); x == 0 || i >= len(w.in) || w.in[i] != '"' {
		return -1
	}
	m.gate, s.last = s.object, m
	return i + 1
}
