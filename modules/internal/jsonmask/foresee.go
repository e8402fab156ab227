// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package jsonmask

import (
	"bytes"

	"github.com/crmgate/crmgate/policy/plan"
)

// Records of one kind have much the same names in much the same order, written
// in the same way. So what stands between two values is kept, and the next
// record's is compared with it in one go. What is foreseen is therefore never a
// guess about what a name means, only about which one comes; where it does not
// come, the name is read letter by letter.

const maxTries = 6 // names tried for the next one

// foresee returns the entry whose glue stands at i. Names that were left out
// this time are passed over; -1 means that none of those tried stands there.
func (s *shape) foresee(in []byte, i int) int {
	k := s.upcoming()
	for range maxTries {
		if k >= len(s.entries) {
			break
		}
		e := &s.entries[k]
		if e.glue.stands(in, i) {
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
		if s.stamps[m.stamp] == s.object {
			return end, n, w.syntax(end+bytes.IndexByte(m.glue.text, '"'), "duplicate name")
		}
		s.stamps[m.stamp] = s.object
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
	in, k, last, tries := w.in, s.upcoming(), s.last, 0
	for {
		if uint(k) >= uint(len(s.entries)) || n >= w.lim.Members {
			k = -1
			break
		}
		m := &s.entries[k]
		if !m.glue.stands(in, end) {
			if tries++; tries == maxTries || end >= len(in) || in[end] == '}' {
				k = -1
				break
			}
			k = m.next
			continue
		}
		if s.stamps[m.stamp] == s.object {
			break
		}
		v := end + len(m.glue.text)
		behind := -1
		if m.quick == copies && floor == plan.Show && in[v] == '"' { // what most values are, without another call
			if behind = w.plain(v + 1); behind < len(in) && in[behind] == '"' {
				behind++
			} else {
				behind = w.scalarEnd(v)
			}
		} else {
			behind = w.quickEnd(v, m.quick, floor)
		}
		if behind < 0 {
			break
		}
		if m.quick >= masks {
			w.act(end, v, behind, m)
		}
		s.stamps[m.stamp] = s.object
		end, last, k, tries = behind, k, m.next, 0
		n++
	}
	s.last = last
	return end, n, k
}

// scalarEnd returns the end of the text, number or literal at v, -1 where there
// is none, or not a whole one.
func (w *walker) scalarEnd(v int) int {
	if c := w.in[v]; c <= ' ' || c == '{' || c == '[' {
		return -1
	}
	end, err := w.scalar(v)
	if err != nil {
		return -1
	}
	return end
}

// quickEnd returns the end of the value at v where what is done with it takes a
// moment, else -1.
func (w *walker) quickEnd(v int, q quick, floor plan.Effect) int {
	switch text := w.in[v] == '"'; {
	case q == no, q == masks && !text && w.in[v] != 'n':
		return -1
	case !text, q == hides, q == copies && floor == plan.Show:
		return w.scalarEnd(v)
	}
	end := w.plain(v + 1)
	if end >= len(w.in) || w.in[end] != '"' {
		return -1
	}
	if q != masks && w.hinted(v+1, end) && !harmless(w.in[v+1:end]) {
		return -1
	}
	return end + 1
}

// act masks the value at v, which quickEnd gave the end of, or takes it out with
// everything from lead on.
func (w *walker) act(lead, v, end int, m *entry) {
	switch {
	case m.quick == hides:
		w.event(m.slot.treat, true)
		w.cut(lead, end, false, 1)
	case w.in[v] == '"' && end > v+2:
		w.maskText(v, end, w.in[v+1:end-1], m.slot.treat)
	}
}

// quick says what may be done with a value on the quick way.
type quick uint8

const (
	no       quick = iota // nothing
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
// value, and what the name in it stands for.
func (w *walker) learnPair(s *shape, lead []byte, sl slot) {
	if !s.learn || len(lead) > maxGlue {
		return
	}
	k, ok := s.index[string(lead)]
	if !ok {
		if len(s.entries) >= maxLearned || w.learned >= maxLearnedAll {
			return
		}
		w.learned++
		k = len(s.entries)
		e := entry{slot: sl, next: k + 1, quick: sl.quick(), glue: nowhere}
		e.glue.set(lead)
		s.entries = append(s.entries, e)
		s.index[string(lead)] = k
	}
	s.follow(k)
}

// foreseenPair walks the name/value object at v when it begins as foreseen, has
// one value that is text, number or literal, and nothing behind it. Otherwise ok
// is false and nothing has happened. It may walk pairs behind it as well.
func (w *walker) foreseenPair(s *shape, v int, e env) (end int, keep, ok bool, err error) {
	k := s.foresee(w.in, v)
	if k < 0 || w.depth >= w.lim.Depth || w.lim.Members < 2 {
		return v, false, false, nil
	}
	m := &s.entries[k]
	v += len(m.glue.text)
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
		_ = w.readOwner(v, e.rec) // the value was read before: it cannot fail
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

// glidePairs walks pairs behind a pair that was kept, for as long as they are
// foreseen and their values are text, number or literal.
func (w *walker) glidePairs(s *shape, end int, floor plan.Effect) int {
	in, k, last, tries := w.in, s.upcoming(), s.last, 0
	for uint(k) < uint(len(s.entries)) && end < len(in) && in[end] == ',' {
		m := &s.entries[k]
		if !m.glue.stands(in, end+1) {
			if tries++; tries == maxTries {
				break
			}
			k = m.next
			continue
		}
		v := end + 1 + len(m.glue.text)
		behind := -1
		if m.quick == copies && floor == plan.Show && in[v] == '"' {
			if behind = w.plain(v + 1); behind < len(in) && in[behind] == '"' {
				behind++
			} else {
				behind = w.scalarEnd(v)
			}
		} else {
			behind = w.quickEnd(v, m.quick, floor)
		}
		if behind < 0 || behind >= len(in) || in[behind] != '}' {
			break
		}
		switch m.quick {
		case hides:
			w.act(end, v, behind+1, m)
		case masks:
			w.act(end, v, behind, m)
		}
		end, last, k, tries = behind+1, k, m.next, 0
	}
	s.last = last
	return end
}
