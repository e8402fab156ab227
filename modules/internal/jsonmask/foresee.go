// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package jsonmask

import (
	"bytes"
	"math/bits"

	"github.com/crmgate/crmgate/policy/plan"
)

// Records of one kind have much the same names in much the same order, written
// in the same way. So what stands between two values is kept, and the next
// record's is compared with it in one go. What is foreseen is therefore never a
// guess about what a name means, only about which one comes; where it does not
// come, the name is read letter by letter.

const maxTries = 6 // names tried for the next one

// foresee returns the entry whose glue stands at i, without its first bytes, when
// the one before was last. Names that were left out
// this time are passed over; -1 means that none of those tried stands there.
func (s *shape) foresee(in []byte, i, last, without int) int {
	k := s.after(last)
	for range maxTries {
		if k >= len(s.entries) {
			break
		}
		e := &s.entries[k]
		if e.glue.stands(in, i, without) {
			return k
		}
		k = e.next
	}
	return -1
}

// run reads members of an object, from the end of one that was kept on, for as
// long as their names are foreseen. n counts the members read.
func (w *walker) run(s *shape, end, n int, e env) (int, int, error) {
	for {
		var k int
		if end, n, k = w.glide(s, end, n, e.floor); k < 0 {
			return end, n, nil
		}
		m := &s.entries[k]
		if *m.stamp == s.object {
			return end, n, w.syntax(end+bytes.IndexByte(m.glue.text, '"'), "duplicate name")
		}
		*m.stamp = s.object
		s.last = k
		n++
		lead := end
		v, err := w.ws(end + len(m.glue.text))
		if err != nil {
			return end, n, err
		}
		var keep bool
		if end, keep, err = w.member(v, m.slot, e); err != nil {
			return end, n, err
		}
		if !keep {
			w.cut(lead, end, false, 1)
		}
	}
}

// glide is run for members whose values are text, number or literal. It stops in
// front of the first other one and returns its entry, -1 where none is foreseen.
func (w *walker) glide(s *shape, end, n int, floor plan.Effect) (int, int, int) {
	p := place{end: end, n: n, last: s.last, next: s.upcoming()}
	least := least(floor)
	for s.rush(w, &p, least); p.sure || w.sure(s, &p); s.rush(w, &p, least) {
		m := &s.entries[p.next]
		if p.n >= w.lim.Members || *m.stamp == s.object {
			break
		}
		v := p.end + len(m.glue.text)
		end := w.maskEnd(v, m)
		if end < 0 {
			if end = w.quickEnd(v, m.quick, least); end < 0 {
				break
			}
			w.act(p.end, v, end, m)
		}
		*m.stamp = s.object
		p = place{end: end, n: p.n + 1, last: p.next, next: m.next}
	}
	s.last = p.last
	if !p.sure || p.n >= w.lim.Members {
		return p.end, p.n, -1
	}
	return p.end, p.n, p.next
}

// glidePairs walks pairs behind a pair that was kept, for as long as they are
// foreseen and their values are text, number or literal.
func (w *walker) glidePairs(s *shape, end int, floor plan.Effect) int {
	p := place{end: end, last: s.last, next: s.upcoming()}
	least := least(floor)
	for s.rushPairs(w, &p, least); p.sure || w.sure(s, &p); s.rushPairs(w, &p, least) {
		m := &s.entries[p.next]
		v := p.end + len(m.glue.text)
		end := w.quickEnd(v, m.quick, least)
		if end < 0 || end >= len(w.in) || w.in[end] != '}' {
			break
		}
		w.act(p.end, v, end+1, m)
		p = place{end: end + 1, last: p.next, next: m.next}
	}
	s.last = p.last
	return p.end
}

// sure reports whether a glue stands where p is, and has p say which.
func (w *walker) sure(s *shape, p *place) bool {
	if p.end < len(w.in) && w.in[p.end] != '}' && w.in[p.end] != ']' {
		p.next = s.foresee(w.in, p.end, p.last, 0)
		p.sure = p.next >= 0
	}
	return p.sure
}

// maskEnd masks the plain text at v where that is what an entry asks for, and
// returns its end; otherwise it does nothing and returns -1. The quotes around the
// text stay, the first at the end of a run and the second at the start of one.
func (w *walker) maskEnd(v int, m *entry) int {
	t := m.slot.treat
	if m.quick != masks || w.in[v] != '"' || t.Mask.Null() || !t.Mask.Plain() {
		return -1
	}
	x := w.ends.from(v + 1)
	end := v + 1 + bits.TrailingZeros64(x)
	if x == 0 || end >= len(w.in) || w.in[end] != '"' {
		return -1
	}
	if end > v+1 {
		w.event(t, false)
		w.out = append(w.out, w.in[w.from:v+1]...)
		w.out = t.Mask.AppendBytes(w.out, w.in[v+1:end])
		w.from = end
	}
	return end + 1
}

// act does what an entry asks for with its value at v, which quickEnd gave the
// end of; lead to behind is what goes with it.
func (w *walker) act(lead, v, behind int, m *entry) {
	switch m.quick {
	case hides:
		w.event(m.slot.treat, true)
		w.out = append(w.out, w.in[w.from:lead]...) // what stood before was kept
		w.from = behind
	case masks:
		if w.maskEnd(v, m) < 0 {
			_, _ = w.masked(v, m.slot.treat) // the value was read before: it cannot fail
		}
	}
}

// quickEnd returns the end of the value at v where what is done with it takes a
// moment, else -1.
func (w *walker) quickEnd(v int, q, least quick) int {
	in := w.in
	if q == no {
		return -1
	}
	if in[v] == '"' {
		if end := w.plain(v + 1); end < len(in) && in[end] == '"' {
			if (q == searches || q == copies && least == searches) && w.hinted(v+1, end) && !harmless(in[v+1:end]) {
				return -1
			}
			return end + 1
		}
		if q == masks || q == searches || q == copies && least == searches {
			return -1
		}
	} else if c := in[v]; c <= ' ' || c == '{' || c == '[' || q == masks && c != 'n' {
		return -1
	}
	end, err := w.scalar(v)
	if err != nil {
		return -1
	}
	return end
}

// least is searches where what is shown is searched.
func least(floor plan.Effect) quick {
	if floor == plan.Detect {
		return searches
	}
	return no
}

// quick says what may be done with a value on the quick way.
type quick uint8

const (
	no       quick = iota // nothing; must be 0
	copies                // it is shown
	searches              // it is searched by the detectors when it is text
	masks                 // it is masked
	hides                 // it goes
)

// quick reports what may be done with values of a slot.
func (s *slot) quick() quick {
	switch {
	case s.owner:
	case s.role == skipRole:
		return copies
	case s.role == fieldRole && s.treat.Text == nil:
		return [...]quick{plan.Show: copies, plan.Detect: searches, plan.Mask: masks, plan.Hide: hides}[s.treat.Effect]
	}
	return no
}

// learnPair keeps the beginning of a name/value object, from its brace to its
// value, and what the name in it stands for. Its glue has the comma before it.
func (w *walker) learnPair(s *shape, lead []byte, sl slot) {
	if !s.learn || len(lead) >= maxGlue {
		return
	}
	k, ok := s.index[string(lead)]
	if !ok {
		if len(s.entries) >= maxLearned || w.learned >= maxLearnedAll {
			return
		}
		w.learned++
		k = len(s.entries)
		e := entry{slot: sl, next: k + 1, quick: sl.quick()}
		e.glue.set(append([]byte{','}, lead...))
		s.entries = append(s.entries, e)
		s.index[string(lead)] = k
	}
	s.follow(k)
}

// foreseenPair walks the name/value object at v when it begins as foreseen, has
// one value that is text, number or literal, and nothing behind it. Otherwise ok
// is false and nothing has happened. It may walk pairs behind it as well.
func (w *walker) foreseenPair(s *shape, v int, e env) (end int, keep, ok bool, err error) {
	k := s.foresee(w.in, v, s.last, 1)
	if k < 0 || w.depth >= w.lim.Depth || w.lim.Members < 2 {
		return v, false, false, nil
	}
	m := &s.entries[k]
	v += len(m.glue.text) - 1
	if c := w.in[v]; c <= ' ' || c == '{' || c == '[' {
		return v, false, false, nil
	}
	if end, err = w.scalar(v); err != nil {
		return end, false, true, err
	}
	if end, err = w.ws(end); err != nil {
		return end, false, true, err
	}
	if w.in[end] != '}' {
		return v, false, false, nil
	}
	end++
	s.last = k
	if m.slot.owner {
		_ = w.readOwner(v, e.rec, m.slot.row) // the value was read before: it cannot fail
	}
	t := m.slot.treat
	switch effect := max(t.Effect, e.floor); {
	case effect == plan.Hide:
		w.event(t, true)
		return end, false, true, nil
	case effect == plan.Mask:
		_, err = w.masked(v, t)
	case effect == plan.Detect || t.Text != nil:
		_, err = w.shown(v, under(t, e))
	}
	if err == nil {
		end = w.glidePairs(s, end, e.floor)
	}
	return end, true, true, err
}
