// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package jsonmask

import "github.com/crmgate/crmgate/policy/plan"

// Most answers are a few records in an envelope that is written like the last one's.
// What step does for one member after the other, hurry does for all of them in one go
// where it cannot fall short and need not be taken back. Everything else is left to step,
// which also says what is wrong.

// hurry goes as far as it can and reports whether it went anywhere.
func (m *Masker) hurry() (went bool, err error) {
	if m.state == atStart {
		if went, err = m.outset(); err != nil {
			return went, err
		}
	}
	full := max(chunk, len(m.out)+chunk/2) // a total may hold back more than a chunk
	for m.state == within && (!m.armed || m.whole) && len(m.out) < full {
		f := &m.frames[len(m.frames)-1]
		var some bool
		switch {
		case f.names == nil:
			if some, err = m.records(f); err != nil {
				return true, err
			}
		case !m.echoing || m.whole && !m.armed: // else every member is listened to
			if some, err = m.foreseen(f); err != nil {
				return true, err
			}
		}
		if m.pos < len(m.in) && m.in[m.pos] == f.close && f == &m.frames[len(m.frames)-1] && (!m.echoing || m.whole) {
			m.pop(f, m.pos+1)
			some = true
		}
		if !some {
			return went, nil
		}
		went = true
	}
	if m.state != behind || m.pos < len(m.in) || m.echoing {
		return went, nil
	}
	if m.final {
		m.closeScope(true)
		m.finish()
		return true, nil
	}
	m.starve = true
	m.put(m.pos, m.pos)
	return true, m.yield()
}

// outset opens the body's value where nothing stands before it and it is a declared
// container.
func (m *Masker) outset() (bool, error) {
	n := m.plan.Root
	if len(m.in) == 0 || n == nil || m.plan.Prefix != "" || m.plan.Format == plan.NoBody || !contains(n, m.in[0]) {
		return false, nil
	}
	if !m.gathered && !m.gather(0) {
		return false, nil
	}
	m.openScope()
	m.depth, m.state = 0, within
	return true, m.enter(0, n, &env{ent: m.fallback, rec: -1, single: true}, false)
}

// foreseen reads members of f for as long as they are foreseen, and their values stay as
// they are or are read member by member themselves.
func (m *Masker) foreseen(f *frame) (went bool, err error) {
	s := f.names
	for {
		e, v := m.comes(f)
		if e == nil || *e.stamp == s.object || f.n >= m.lim.Members || e.slot.owner {
			return went, nil
		}
		c, n := m.in[v], e.slot.node
		if e.slot.role == nodeRole && contains(n, c) {
			*e.stamp, s.last = s.object, e
			f.n++
			f.kept++
			scope := !f.env.single
			if scope {
				m.openScope()
			}
			m.depth = len(m.frames)
			in := f.env // enter moves f
			return true, m.enter(v, n, &in, scope)
		}
		end := -1
		switch {
		case e.slot.role != nodeRole:
			if e.quick < masks {
				end = m.quickEnd(v, e.quick, least(f.env.floor))
			}
		case n.Total != "" && n.Record == nil && n.Matrix == nil && m.plan.MaxRows <= 0:
			end = m.digitsEnd(v)
		}
		if end < 0 || end-v > m.lim.Record {
			return went, nil
		}
		if e.slot.role == nodeRole && m.filters {
			if _, err = m.total(v, n.Total); err != nil {
				return went, err
			}
		}
		if *e.stamp, s.last = s.object, e; m.find.short {
			m.find = finder{}
		}
		f.n++
		f.kept++
		m.pos, went = end, true
	}
}

// comes returns the name that stands next in f as it is foreseen, and where its value is;
// nil where another one does, or where one before it was left out.
func (m *Masker) comes(f *frame) (*entry, int) {
	s := f.names
	if f.n > 0 {
		e := s.upcoming()
		if f.kept == 0 || e == nil || !e.glue.stands(m.in, m.pos, 0) {
			return nil, 0
		}
		return e, m.pos + len(e.glue.text)
	}
	if s.opener == nil || m.pos == 0 || !s.opens.stands(m.in, m.pos-1, 0) {
		return nil, 0
	}
	return s.opener, m.pos - 1 + len(s.opens.text)
}

// digitsEnd returns the end of the whole number of a few digits at v where something
// stands behind it that ends it, else -1.
func (s *scanner) digitsEnd(v int) int {
	end := digits(s.in, v)
	if end == v || end >= len(s.in) || s.in[v] == '0' && end > v+1 {
		return -1
	}
	if c := s.in[end]; c != ',' && c != '}' && c != ' ' && c != '\n' {
		return -1
	}
	return end
}
