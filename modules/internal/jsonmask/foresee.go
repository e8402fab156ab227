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
	in := w.in
	for {
		end, n = w.glide(s, end, n, e.floor)
		if n >= w.lim.Members || end >= len(in) || in[end] == '}' {
			return end, n, nil
		}
		k := s.foresee(in, end)
		if k < 0 {
			return end, n, nil
		}
		m := &s.entries[k]
		if s.stamps[m.stamp] == s.object {
			return end, n, w.syntax(end+bytes.IndexByte(m.glue, '"'), "duplicate name")
		}
		s.stamps[m.stamp] = s.object
		s.last = k
		n++
		lead := end
		v, err := w.ws(end + len(m.glue))
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

// glide is run for members whose values are text, number or literal and stay as
// they are.
func (w *walker) glide(s *shape, end, n int, floor plan.Effect) (int, int) {
	in, k, last := w.in, s.upcoming(), s.last
	for n < w.lim.Members && uint(k) < uint(len(s.entries)) {
		m := &s.entries[k]
		if m.quick == no || !m.glue.stands(in, end) || s.stamps[m.stamp] == s.object {
			break
		}
		v := end + len(m.glue)
		var behind int
		if m.quick == copied && floor == plan.Show && in[v] == '"' {
			behind = textEnd(in, v) // what most values are, without another call
		} else {
			behind = w.stays(v, m.quick, floor)
		}
		if behind < 0 {
			break
		}
		s.stamps[m.stamp] = s.object
		end, last, k = behind, k, m.next
		n++
	}
	s.last = last
	return end, n
}

// stays returns the end of the value at v when it is text, number or literal and
// stays as it is, and -1 when that is not so, or not sure.
func (w *walker) stays(v int, q quick, floor plan.Effect) int {
	c := w.in[v]
	if c == '"' {
		end := textEnd(w.in, v)
		if end >= 0 && (q == search || floor == plan.Detect) && !harmless(w.in[v+1:end-1]) {
			return -1
		}
		return end
	}
	if c <= ' ' || c == '{' || c == '[' {
		return -1
	}
	end, err := w.scalar(v)
	if err != nil {
		return -1
	}
	return end
}

// textEnd returns the end of the text at v when it is plain ASCII, else -1.
func textEnd(in []byte, v int) int {
	if end := plainEnd(in, v+1); end < len(in) && in[end] == '"' {
		return end + 1
	}
	return -1
}

// quick says what may be done with a value on the quick way.
type quick uint8

const (
	no     quick = iota // nothing
	copied              // it is shown
	search              // it is searched by the detectors when it is text
)

// quick reports what may be done with values of a slot.
func (s *slot) quick() quick {
	switch {
	case s.owner:
	case s.role == skipRole:
		return copied
	case s.role == fieldRole && s.treat.Text == nil && s.treat.Effect == plan.Show:
		return copied
	case s.role == fieldRole && s.treat.Text == nil && s.treat.Effect == plan.Detect:
		return search
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
		e := entry{slot: sl, next: k + 1, quick: sl.quick()}
		e.glue.set(lead)
		s.entries = append(s.entries, e)
		s.index[string(lead)] = k
	}
	s.follow(k)
}

// foreseenPair walks the name/value object at v when it begins as foreseen, has
// one value that is text, number or literal, and nothing behind it. Otherwise ok
// is false and nothing has happened. It may walk pairs behind it as well, when
// they are shown.
func (w *walker) foreseenPair(s *shape, v int, e env) (end int, keep, ok bool, err error) {
	k := s.foresee(w.in, v)
	if k < 0 || w.depth >= w.lim.Depth || w.lim.Members < 2 {
		return v, false, false, nil
	}
	m := &s.entries[k]
	v += len(m.glue)
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

// glidePairs passes over pairs behind a pair that was kept, for as long as they
// are foreseen and their values stay as they are.
func (w *walker) glidePairs(s *shape, end int, floor plan.Effect) int {
	in, k, last := w.in, s.upcoming(), s.last
	for uint(k) < uint(len(s.entries)) && end < len(in) && in[end] == ',' {
		m := &s.entries[k]
		if m.quick == no || !m.glue.stands(in, end+1) {
			break
		}
		v := end + 1 + len(m.glue)
		var behind int
		if m.quick == copied && floor == plan.Show && in[v] == '"' {
			behind = textEnd(in, v)
		} else {
			behind = w.stays(v, m.quick, floor)
		}
		if behind < 0 || behind >= len(in) || in[behind] != '}' {
			break
		}
		end, last, k = behind+1, k, m.next
	}
	s.last = last
	return end
}
