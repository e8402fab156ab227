// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package jsonmask

import (
	"bytes"
	"encoding/binary"

	"github.com/crmgate/crmgate/policy/plan"
)

// Records of one kind have much the same names in much the same order, written
// in the same way. So the bytes between two values, comma, blanks, name and
// colon, are kept as they were read strictly, and the next record's are compared
// with them in one go. Bytes that are equal mean the same; bytes that are not
// are read strictly again. What is foreseen is therefore never a guess about
// what a name means, only about which one comes.

const (
	maxGlue  = 160 // bytes between two values that are kept
	maxTries = 6   // names tried before the next one is read letter by letter
)

// glued keeps what stands between the value before and that of the name just
// read, which is an entry. Its last byte is the colon or a blank behind it.
func (s *shape) glued(glue []byte) {
	e := &s.entries[s.last]
	if len(glue) <= maxGlue && !bytes.Equal(e.glue, glue) {
		e.glue = append(e.glue[:0], glue...)
	}
}

// foresee returns the entry whose glue stands at i. Names that were left out
// this time are passed over; -1 means that none of those tried stands there.
func (s *shape) foresee(in []byte, i int) int {
	k := s.upcoming()
	for range maxTries {
		if k >= len(s.entries) {
			break
		}
		e := &s.entries[k]
		if stands(in, i, e.glue) {
			return k
		}
		k = e.next
	}
	return -1
}

// stands reports whether want, which is not empty, stands at i and has at least
// one byte behind it. Names differ in their ends more often than in their
// beginnings.
func stands(in []byte, i int, want []byte) bool {
	n := len(want)
	if i+n >= len(in) {
		return false
	}
	at := in[i : i+n]
	if n < 8 {
		return n > 0 && string(at) == string(want)
	}
	if binary.LittleEndian.Uint64(at[n-8:]) != binary.LittleEndian.Uint64(want[n-8:]) {
		return false
	}
	for ; len(at) > 8 && len(want) > 8; at, want = at[8:], want[8:] {
		if binary.LittleEndian.Uint64(at) != binary.LittleEndian.Uint64(want) {
			return false
		}
	}
	return true
}

// run reads members of an object, from the end of one that was kept on, for as
// long as their names are foreseen. n counts the members read.
func (w *walker) run(s *shape, end, n int, e env) (int, int, error) {
	in := w.in
	for n < w.lim.Members && end < len(in) && in[end] != '}' {
		k := s.foresee(in, end)
		if k < 0 {
			break
		}
		m := &s.entries[k]
		v := end + len(m.glue)
		if s.stamps[m.stamp] == s.object {
			return end, n, w.syntax(end+bytes.IndexByte(m.glue, '"'), "duplicate name")
		}
		s.stamps[m.stamp] = s.object
		s.last = k
		n++
		var keep bool
		var err error
		lead := end
		switch effect := m.slot.plain(e.floor); {
		case effect > plan.Detect || in[v] <= ' ' || in[v] == '{' || in[v] == '[':
			if v, err = w.ws(v); err != nil {
				return end, n, err
			}
			end, keep, err = w.member(v, m.slot, e)
		case in[v] != '"':
			end, err = w.scalar(v)
			keep = true
		case effect == plan.Detect:
			end, err = w.detect(v, m.slot.treat)
			keep = true
		default:
			end = plainEnd(in, v+1)
			if end < len(in) && in[end] == '"' {
				end++
				continue
			}
			end, _, err = w.strFrom(end)
			keep = true
		}
		if err != nil {
			return end, n, err
		}
		if !keep {
			w.cut(lead, end, false, 1)
		}
	}
	return end, n, nil
}

// plain is the effect on a value that is text, number or literal and needs
// nothing but to be shown or searched; it is Mask for all others.
func (s *slot) plain(floor plan.Effect) plan.Effect {
	switch {
	case s.owner:
	case s.role == skipRole:
		return plan.Show
	case s.role == fieldRole && s.treat.Text == nil:
		return min(plan.Mask, max(s.treat.Effect, floor))
	}
	return plan.Mask
}

// learnPair keeps the beginning of a name/value object, from its brace to its
// value, and what the name in it stands for.
func (s *shape) learnPair(lead []byte, sl slot) {
	if !s.learn || len(lead) > maxGlue {
		return
	}
	k, ok := s.index[string(lead)]
	if !ok {
		if len(s.entries) >= maxLearned {
			return
		}
		k = len(s.entries)
		s.entries = append(s.entries, entry{glue: bytes.Clone(lead), slot: sl, next: k + 1})
		s.index[string(lead)] = k
	}
	s.follow(k)
}

// foreseenPair walks the name/value object at v when it begins as foreseen, has
// one value that is text, number or literal, and nothing behind it. Otherwise ok
// is false and nothing has happened.
func (w *walker) foreseenPair(s *shape, v int, e env) (end int, keep, ok bool, err error) {
	k := s.foresee(w.in, v)
	if k < 0 || w.depth >= w.lim.Depth || w.lim.Members < 2 {
		return v, false, false, nil
	}
	m := &s.entries[k]
	v += len(m.glue)
	switch c := w.in[v]; {
	case c == '"':
		end = plainEnd(w.in, v+1)
		if end < len(w.in) && w.in[end] == '"' {
			end++
		} else if end, _, err = w.strFrom(end); err != nil {
			return end, false, true, err
		}
	case c <= ' ' || c == '{' || c == '[':
		return v, false, false, nil
	default:
		if end, err = w.scalar(v); err != nil {
			return end, false, true, err
		}
	}
	p, err := w.ws(end)
	if err != nil {
		return end, false, true, err
	}
	if w.in[p] != '}' {
		return v, false, false, nil
	}
	s.last = k
	if m.slot.owner {
		_ = w.readOwner(v, e.rec) // the value was read before: it cannot fail
	}
	t := m.slot.treat
	switch effect := max(t.Effect, e.floor); {
	case effect == plan.Hide:
		w.event(t, true)
		return p + 1, false, true, nil
	case effect == plan.Mask:
		_, err = w.masked(v, t)
	case effect == plan.Detect || t.Text != nil:
		_, err = w.shown(v, under(t, e))
	}
	return p + 1, true, true, err
}
