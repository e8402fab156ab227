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

// foresee returns the first entry from m on, of those tried, whose glue stands at
// i, without its first bytes. Names that were left out this time are passed over;
// nil means that none of those tried stands there.
func (m *entry) foresee(in []byte, i, without int) *entry {
	for range maxTries {
		if m == nil || m.glue.stands(in, i, without) {
			return m
		}
		m = m.next
	}
	return nil
}

// run reads members of an object, from the end of one that was kept on, for as
// long as their names are foreseen. n counts the members read.
func (w *walker) run(s *shape, end, n int, e env) (int, int, error) {
	for {
		var m *entry
		if end, n, m = w.glide(s, end, n, e.floor); m == nil {
			return end, n, nil
		}
		if *m.stamp == s.object {
			return end, n, w.syntax(end+bytes.IndexByte(m.glue.text, '"'), "duplicate name")
		}
		*m.stamp = s.object
		s.last = m
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
// front of the first other one and returns its entry, nil where none is foreseen.
func (w *walker) glide(s *shape, end, n int, floor plan.Effect) (int, int, *entry) {
	if w.armed {
		return end, n, nil
	}
	least := least(floor)
	many := n+s.size > w.lim.Members
	last, m, sure := s.last, s.upcoming(), false
	for {
		if !many {
			end, n, last, m, sure = s.rush(w, end, n, last, m, least)
		}
		if !sure {
			m = w.ahead(end, s.behind(last))
		}
		if m == nil || n >= w.lim.Members {
			m = nil
			break
		}
		if *m.stamp == s.object {
			break
		}
		v := end + len(m.glue.text)
		behind := w.quickly(end, v, 0, m)
		if behind < 0 {
			if behind = w.quickEnd(v, m.quick, least); behind < 0 {
				break
			}
			w.act(end, v, behind, behind, m)
		}
		*m.stamp = s.object
		end, n, last, m, sure = behind, n+1, m, m.next, false
	}
	s.last = last
	return end, n, m
}

// glidePairs walks pairs behind a pair that was kept, for as long as they are
// foreseen and their values are text, number or literal.
func (w *walker) glidePairs(s *shape, end int, floor plan.Effect) int {
	if w.armed {
		return end
	}
	least := least(floor)
	last, m, sure := s.last, s.upcoming(), false
	for {
		end, last, m, sure = s.rushPairs(w, end, last, m, least)
		if !sure {
			if m = w.ahead(end, s.behind(last)); m == nil {
				break
			}
		}
		v := end + len(m.glue.text)
		behind := w.quickly(end, v, 1, m)
		if behind < 0 {
			if behind = w.quickEnd(v, m.quick, least); behind < 0 || behind >= len(w.in) || w.in[behind] != '}' {
				break
			}
			w.act(end, v, behind, behind+1, m)
			behind++
		}
		end, last, m = behind, m, m.next
	}
	s.last = last
	return end
}

// ahead returns the first entry from m on whose glue stands at end, nil for none
// of those tried.
func (w *walker) ahead(end int, m *entry) *entry {
	if end >= len(w.in) || w.in[end] == '}' || w.in[end] == ']' {
		return nil
	}
	return m.foresee(w.in, end, 0)
}

// quickly masks or hides the plain text at v where that is what an entry asks for,
// and returns its end; otherwise it does nothing and returns -1. lead is where the
// glue is, and brace 1 where a brace must follow and is part of it. The quotes around
// masked text stay, the first at the end of a run and the second at the start of one.
func (w *walker) quickly(lead, v, brace int, m *entry) int {
	if w.in[v] != '"' || m.quick < masks {
		return -1
	}
	x := w.ends.from(v + 1)
	end := v + 1 + bits.TrailingZeros64(x)
	if x == 0 || end+brace >= len(w.in) || w.in[end] != '"' || brace > 0 && w.in[end+1] != '}' {
		return -1
	}
	behind := end + 1 + brace
	switch {
	case m.quick == hides:
		w.event(m.slot.treat, true)
		if w.echoing {
			w.secret(v, end+1, m.slot.treat, true)
		}
		w.out = append(w.out, w.in[w.from:lead]...) // what stood before was kept
		w.from = behind
	case m.veil == nil:
		return -1
	case end > v+1:
		w.event(m.slot.treat, false)
		if w.echoing {
			w.secret(v, end+1, m.slot.treat, false)
		}
		out := append(w.out, w.in[w.from:v+1]...)
		w.out = m.veil.AppendBytes(out, w.in[v+1:end])
		w.from = end
	}
	return behind
}

// act does what an entry asks for with its value at v, which quickEnd gave the
// end of; lead to behind is what goes with it.
func (w *walker) act(lead, v, end, behind int, m *entry) {
	switch m.quick {
	case hides:
		w.event(m.slot.treat, true)
		w.secret(v, end, m.slot.treat, true)
		w.out = append(w.out, w.in[w.from:lead]...) // what stood before was kept
		w.from = behind
	case masks:
		_, _ = w.masked(v, m.slot.treat) // the value was read before: it cannot fail
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
		end := w.plain(v + 1)
		if end < len(in) && in[end] == '"' {
			if (q == searches || q == copies && least == searches) && !w.passes(v+1, end) {
				return -1
			}
			return end + 1
		}
		if q == masks || q == searches || q == copies && least == searches {
			return -1
		}
		end, _, err := w.strFrom(end)
		if err != nil {
			return -1
		}
		return end
	}
	if c := in[v]; c <= ' ' || c == '{' || c == '[' || q == masks && c != 'n' {
		return -1
	}
	end, err := w.scalar(v)
	if err != nil {
		return -1
	}
	if q == searches || q == copies && least == searches {
		if !quiet(in[v:end]) {
			return -1
		}
		if end-v >= shortNumber {
			w.note(v, end, bland)
		}
	}
	return end
}

// quiet reports whether a literal or number need not be looked at where texts are
// searched.
func quiet(raw []byte) bool {
	return len(raw) <= shortNumber && (raw[0] > '9' || bytes.IndexByte(raw, 'e') < 0 && bytes.IndexByte(raw, 'E') < 0)
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
	m := s.index[string(lead)]
	if m == nil {
		if s.size >= maxLearned || w.learned >= maxLearnedAll {
			return
		}
		w.learned++
		m = s.enter(sl)
		m.stamp = &m.gate
		m.glue.set(append([]byte{','}, lead...), s)
		s.index[string(lead)] = m
	}
	s.follow(m)
}

// foreseenPair walks the name/value object at v when it begins as foreseen, has
// one value that is text, number or literal, and nothing behind it. Otherwise ok
// is false and nothing has happened. It may walk pairs behind it as well.
func (w *walker) foreseenPair(s *shape, v int, e env) (end int, keep, ok bool, err error) {
	m := s.upcoming().foresee(w.in, v, 1)
	if m == nil || w.depth >= w.lim.Depth || w.lim.Members < 2 {
		return v, false, false, nil
	}
	v += len(m.glue.text) - 1
	if c := w.in[v]; c <= ' ' || c == '{' || c == '[' {
		return v, false, false, nil
	}
	if end, err = w.scalar(v); err != nil {
		return end, false, true, err
	}
	valueEnd := end
	if end, err = w.ws(end); err != nil {
		return end, false, true, err
	}
	if w.in[end] != '}' {
		return v, false, false, nil
	}
	end++
	s.last = m
	if m.slot.owner {
		_ = w.readOwner(v, e.rec, m.slot.row) // the value was read before: it cannot fail
	}
	t := m.slot.treat
	switch effect := max(t.Effect, e.floor); {
	case effect == plan.Hide:
		w.event(t, true)
		w.secret(v, valueEnd, t, true)
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
