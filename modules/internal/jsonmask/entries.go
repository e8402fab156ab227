// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package jsonmask

import (
	"math"

	"github.com/crmgate/crmgate/policy/mask"
)

// entry is a name that was learned, or the beginning of a pair. It stays where it
// is. What a run over members looks at comes first.
type entry struct {
	glue  glue   // what stood between the value before and this one's
	next  *entry // the one that followed last time
	gate  uint32 // the stamp of a name that a run may pass over, else shut
	quick quick
	veil  *mask.Func // masks plain text, which stays plain; nil where nothing does
	stamp *uint32    // number of the object that has the name, or a spelling of it
	slot  slot
	raw   []byte // the name as written, quotes and colon included
}

// shut is a gate that no run passes.
const shut = math.MaxUint32

// enter makes an entry, empty but for what its slot says. The one that was made
// before it is taken to come before it until something else is seen.
func (s *shape) enter(sl slot) *entry {
	if len(s.room) == 0 {
		s.room = make([]entry, min(48, 8+s.size))
	}
	m := &s.room[0]
	s.room = s.room[1:]
	m.glue, m.slot, m.quick, m.gate = nowhere, sl, sl.quick(), shut
	if m.quick == copies || m.quick == searches {
		m.gate = 0
	}
	if m.quick == masks && !sl.treat.Mask.Null() && sl.treat.Mask.Plain() {
		if m.veil = sl.treat.Mask; m.veil == nil {
			m.veil = &mask.Func{}
		}
	}
	if s.newest != nil && s.newest.next == nil {
		s.newest.next = m
	}
	s.newest = m
	s.size++
	return m
}

// keep keeps text, and more behind it, for as long as s is there.
func (s *shape) keep(text []byte, more string) []byte {
	n := len(s.letters)
	if size := len(text) + len(more); size > cap(s.letters)-n {
		s.letters, n = make([]byte, 0, max(size, min(2048, 256+2*n))), 0
	}
	s.letters = append(append(s.letters, text...), more...)
	return s.letters[n:len(s.letters):len(s.letters)]
}

// upcoming is the entry that is foreseen to come next; nil where there is none.
func (s *shape) upcoming() *entry { return s.behind(s.last) }

// behind is the entry that is foreseen to come behind last.
func (s *shape) behind(last *entry) *entry {
	if last == nil {
		return s.first
	}
	return last.next
}

// follow notes that m came now.
func (s *shape) follow(m *entry) {
	if s.last != nil {
		s.last.next = m
	} else {
		s.first = m
	}
	s.last, s.known = m, true
}

// stood notes what stood in front of the value of the name just read: text from lead
// on, all of it where the name is the first of its object.
func (s *shape) stood(text []byte, lead int, first bool) {
	if first {
		s.opens.set(text, s)
		s.opener = s.last
	} else {
		s.last.glue.set(text[lead:], s)
	}
}
