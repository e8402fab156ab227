// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package jsonmask

import (
	"encoding/binary"
	"math/bits"
)

// place is where a run over members or pairs is.
type place struct {
	end  int  // behind the last value, or the brace of the last pair
	n    int  // members read
	last int  // entry of the last one
	next int  // entry that may come next
	sure bool // its glue stands at end
}

// The two below pass over members of an object, or over pairs, that stay as they
// are: foreseen, their values plain text of less than 57 bytes that is shown, or
// searched and holds nothing to find. They call nothing, which is what makes them
// quick, and leave everything else to their caller. least is searches where shown
// text is searched as well.

func (s *shape) rush(w *walker, p *place, least quick) {
	in, ends := w.in, w.ends
	end, n, k, object := p.end, p.n, p.next, s.object
	p.sure = false
	if n+len(s.entries) > w.lim.Members {
		return
	}
	for end <= len(in)-glueReach && uint(k) < uint(len(s.entries)) {
		m := &s.entries[k]
		here := (*[glueReach]byte)(in[end:])
		if m.glue.differs(here) {
			if k, m = s.follower(m, here); m == nil {
				break
			}
		}
		i := end + m.glue.size + 1
		if i>>3 > len(ends)-8 || *m.stamp == object || here[m.glue.size&(glueReach-1)] != '"' {
			p.sure = m.glue.size > 0
			break
		}
		x := binary.LittleEndian.Uint64(ends[i>>3:]) >> (i & 7)
		if m.quick|least != copies && (m.quick-copies > searches-copies || w.hints.touch(i, x)) {
			p.sure = m.glue.size > 0
			break
		}
		i += bits.TrailingZeros64(x)
		if x == 0 || i >= len(in) || in[i] != '"' {
			p.sure = m.glue.size > 0
			break
		}
		*m.stamp = object
		end, p.last, k = i+1, k, m.next
		n++
	}
	p.end, p.n, p.next = end, n, k
}

func (s *shape) rushPairs(w *walker, p *place, least quick) {
	in, ends := w.in, w.ends
	end, k := p.end, p.next
	p.sure = false
	for end <= len(in)-glueReach && uint(k) < uint(len(s.entries)) {
		m := &s.entries[k]
		here := (*[glueReach]byte)(in[end:])
		if m.glue.differs(here) {
			if k, m = s.follower(m, here); m == nil {
				break
			}
		}
		i := end + m.glue.size + 1
		if i>>3 > len(ends)-8 || here[m.glue.size&(glueReach-1)] != '"' {
			p.sure = m.glue.size > 0
			break
		}
		x := binary.LittleEndian.Uint64(ends[i>>3:]) >> (i & 7)
		if m.quick|least != copies && (m.quick-copies > searches-copies || w.hints.touch(i, x)) {
			p.sure = m.glue.size > 0
			break
		}
		i += bits.TrailingZeros64(x) + 1
		if x == 0 || i >= len(in) || in[i-1] != '"' || in[i] != '}' {
			p.sure = m.glue.size > 0
			break
		}
		end, p.last, k = i+1, k, m.next
	}
	p.end, p.next = end, k
}

// follower returns the first entry behind m, of those tried, whose glue stands
// here.
func (s *shape) follower(m *entry, here *[glueReach]byte) (int, *entry) {
	if here[0] == '}' || here[0] == ']' {
		return -1, nil
	}
	for range maxTries - 1 {
		k := m.next
		if k >= len(s.entries) {
			break
		}
		if m = &s.entries[k]; !m.glue.differs(here) {
			return k, m
		}
	}
	return -1, nil
}
