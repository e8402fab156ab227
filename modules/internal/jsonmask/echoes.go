// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package jsonmask

import (
	"bytes"

	"github.com/crmgate/crmgate/policy/echo"
	"github.com/crmgate/crmgate/policy/mask"
	"github.com/crmgate/crmgate/policy/plan"
)

// A value that is masked or hidden must not come through a second time in a text that
// nobody declared. So where a plan searches texts, such values are noted while a record
// is walked, and when it has been, its bytes are looked over for them once. Only where
// one of them stands in it elsewhere is the record walked again, armed: then every text
// that is searched is searched for the values too. An object of less than maxWhole bytes,
// such as an error, is treated as one record. Of a longer body, and of a list, which goes
// out record by record, the values of the last records are kept.

// Echoes reports whether a plan looks for values that are masked or hidden where they
// come again: whether it masks or hides any field and searches any text.
func Echoes(p *plan.Plan) bool {
	return newConfig(p).echoes
}

// original is a value that is masked or hidden. One without a treatment is only passed
// over: the values in it are noted by themselves.
type original struct {
	v, end int // in the window, or in walker.apart
	treat  *plan.Treatment
	hide   bool
	apart  bool
}

// secret notes that the value v to end is masked, or hidden.
func (w *walker) secret(v, end int, t *plan.Treatment, hide bool) {
	if w.echoing && !w.armed && (w.in[v] != '"' || end-v >= echo.Shortest+2) {
		w.origs = append(w.origs, original{v: v, end: end, treat: t, hide: hide})
	}
}

// note is a searched text that stands in the window as it reads.
type note struct {
	v, end int
	kind   kind
}

// note notes the text v to end.
func (w *walker) note(v, end int, k kind) {
	if w.echoing && !w.armed {
		w.notes = append(w.notes, note{v, end, k})
	}
}

// hear notes a searched text whose bytes in the window do not say all of what it reads.
func (w *walker) hear(text []byte) {
	w.views = append(append(w.views, 0), text...)
	w.views = mask.AppendViews(w.views, text)
}

// overhear notes what stands in the document c in the string v to end.
func (w *walker) overhear(v, end int, c *walker) {
	if !w.echoing || w.armed {
		return
	}
	w.origs = append(w.origs, original{v: v, end: end})
	from := 0
	for _, o := range c.origs {
		raw := c.in
		if o.apart {
			raw = c.apart
		} else if o.v >= from {
			w.views = append(append(w.views, 0), c.in[from:o.v]...)
			from = o.end
		}
		if o.treat != nil {
			n := len(w.apart)
			w.apart = append(w.apart, raw[o.v:o.end]...)
			w.origs = append(w.origs, original{v: n, end: len(w.apart), treat: o.treat, hide: o.hide, apart: true})
		}
	}
	w.views = append(append(w.views, 0), c.in[from:]...)
	w.views = append(w.views, c.views...)
}

// standpoint is where the masker is in a body, beside what a mark says.
type standpoint struct {
	pos, frames, n, kept, unclear int
	state                         state
}

func (m *Masker) standpoint() standpoint {
	s := standpoint{pos: m.pos, frames: len(m.frames), unclear: m.unclear, state: m.state}
	if s.frames > 0 {
		f := &m.frames[s.frames-1]
		s.n, s.kept = f.n, f.kept
	}
	return s
}

func (m *Masker) returnTo(s standpoint) {
	m.pos, m.unclear, m.state = s.pos, s.unclear, s.state
	if s.frames > 0 {
		f := &m.frames[s.frames-1]
		f.n, f.kept = s.n, s.kept
	}
}

// gather waits until it is known whether the body, whose value starts at v, is judged as
// a whole.
func (m *Masker) gather(v int) bool {
	object := m.in[v] == '{'
	if object && !m.final && len(m.in) < maxWhole {
		return false
	}
	m.gathered = true
	m.whole = object && len(m.in) < maxWhole
	return true
}

// repeats reports whether what was just walked must be walked again, armed: a value that
// is masked or hidden stands in it elsewhere.
func (m *Masker) repeats(was standpoint) bool {
	switch {
	case m.whole && m.state != done:
		return false
	case m.armed:
		m.armed = m.whole
		return false
	case m.whole:
		was = standpoint{}
	}
	// Frames that begin or end hold no text, and of a member that is not kept nothing
	// is shown.
	return m.rearm(was.pos, m.pos, len(m.frames) == was.frames && (was.frames == 0 || m.frames[was.frames-1].kept > was.kept))
}

// rearm has the set remember what was noted between from and to, and arms the masker
// when that is shown and has one of the values elsewhere.
func (m *Masker) rearm(from, to int, shown bool) bool {
	m.known.Trim()
	for _, o := range m.origs {
		m.learn(o)
	}
	m.armed = shown && !m.known.Empty() && (m.known.Plain() < m.bar && m.heard(from, to) || m.noted())
	m.quietly()
	m.raise()
	return m.armed
}

// noted looks for the values in the texts that were noted.
func (m *Masker) noted() bool {
	for _, n := range m.notes {
		text, holds := m.in[n.v:n.end], false
		switch n.kind {
		case guid:
			holds = m.known.HoldsGUID(text)
		case moment:
			holds = m.known.HoldsMoment(text)
		default:
			holds = m.known.Holds(text)
		}
		if holds {
			return true
		}
	}
	return len(m.views) > 0 && (m.known.Holds(m.views) || m.known.EchoesNumber(m.views))
}

// raise says from which length on text without anything telling is noted: that of the
// shortest value that can stand in such, among those of the last body as well, which has
// much the same.
func (m *Masker) raise() {
	n := m.known.Plain()
	m.least, m.bar = min(m.least, n), min(m.lastBar, n)
}

// learn has the set remember a value.
func (m *Masker) learn(o original) {
	if o.treat == nil {
		return
	}
	raw := m.in
	if o.apart {
		raw = m.apart
	}
	raw = raw[o.v:o.end]
	if raw[0] == '"' && !o.apart {
		if end := m.plain(o.v + 1); end == o.end-1 {
			m.known.Add(raw[1:len(raw)-1], o.treat.Mask, o.hide)
			return
		} else if m.in[end] == '\\' {
			m.walker.value = appendDecoded(m.walker.value[:0], raw)
			m.known.Add(m.walker.value, o.treat.Mask, o.hide)
			return
		}
	}
	switch raw[0] {
	case '{', '[':
		m.learnAll(raw)
	default:
		m.learnScalar(raw, o)
	}
}

func (m *Masker) learnScalar(raw []byte, o original) {
	switch c := raw[0]; {
	case c == '"' && bytes.IndexByte(raw, '\\') < 0:
		m.known.Add(raw[1:len(raw)-1], o.treat.Mask, o.hide)
	case c == '"':
		m.walker.value = appendDecoded(m.walker.value[:0], raw)
		m.known.Add(m.walker.value, o.treat.Mask, o.hide)
	case c == '-' || '0' <= c && c <= '9':
		m.known.AddNumber(raw, o.treat.Mask, o.hide)
	}
}

// learnAll has the set remember the values in an array or object that was read before.
func (m *Masker) learnAll(raw []byte) {
	s := scanner{in: raw, final: true}
	hidden := original{treat: nameless, hide: true}
	for i := 0; i < len(raw); {
		switch c := raw[i]; {
		case c == '"':
			end, _, _ := s.str(i) // it was read before: it cannot fail
			behind, _ := s.ws(end)
			if behind >= len(raw) || raw[behind] != ':' {
				m.learnScalar(raw[i:end], hidden)
			}
			i = end
		case c == '-' || '0' <= c && c <= '9':
			end, _ := s.number(i)
			m.learnScalar(raw[i:end], hidden)
			i = end
		default:
			i++
		}
	}
}

// heard looks for the values in what was walked.
func (m *Masker) heard(from, to int) bool {
	for _, o := range m.origs {
		if o.apart || o.v < from {
			continue
		}
		if m.known.Echoes(m.in[from:o.v]) {
			return true
		}
		from = o.end
	}
	return m.known.Echoes(m.in[from:max(from, to)]) || m.known.Echoes(m.views) || m.known.EchoesNumber(m.views)
}

// quietly forgets what was noted, and leaves nothing of it in memory.
func (m *Masker) quietly() {
	if len(m.apart)+len(m.views) > 0 {
		clear(m.apart)
		clear(m.views)
	}
	m.origs, m.apart, m.views, m.notes = m.origs[:0], m.apart[:0], m.views[:0], m.notes[:0]
	if cap(m.apart)+cap(m.views) > maxKept {
		m.apart, m.views = nil, nil
	}
}

// restart has the body walked again from its start, of which nothing has gone out.
func (m *Masker) restart() {
	for k := range m.tallies {
		m.tallies[k].masked, m.tallies[k].hidden = 0, 0
	}
	m.back(mark{})
	m.unclear, m.wait = 0, m.single
	m.frames, m.state, m.pos, m.find, m.large = m.frames[:0], atStart, 0, finder{}, false
}
