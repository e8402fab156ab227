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
// are: foreseen, and a value that is plain text of less than 57 bytes, a short
// number or a literal, which is shown, or searched and holds nothing to find.
// They call nothing that looks at more, which is what makes them quick, and leave
// everything else to their caller. least is searches where shown text is searched
// as well.

func (s *shape) rush(w *walker, p *place, least quick) {
	in, ends := w.in, w.ends
	end, n, k, object := p.end, p.n, p.next, s.object
	p.sure = false
	if n+len(s.entries) > w.lim.Members {
		return
	}
	for end <= len(in)-glueReach && uint(k) < uint(len(s.entries)) {
		m := &s.entries[k]
		if m.glue.size == 0 {
			break
		}
		here := (*[glueReach]byte)(in[end:])
		if m.glue.front(here) != 0 || m.glue.size > 16 && m.glue.back(here) != 0 {
			if k, m = s.follower(m, here); m == nil {
				break
			}
		}
		if *m.stamp == object || m.quick|least != copies && m.quick-copies > searches-copies {
			p.sure = true
			break
		}
		i := end + m.glue.size + 1
		if here[m.glue.size&(glueReach-1)] == '"' {
			x := ends.from(i)
			if x == 0 || m.quick|least != copies && bits.TrailingZeros64(x) >= shortest && w.hints.touch(i, x) {
				p.sure = true
				break
			}
			if i += bits.TrailingZeros64(x); uint(i) >= uint(len(in)) || in[i] != '"' {
				p.sure = true
				break
			}
			i++
		} else if i = short(in, i-1); i < 0 {
			p.sure = true
			break
		}
		*m.stamp = object
		end, p.last, k = i, k, m.next
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
		if m.glue.size == 0 {
			break
		}
		here := (*[glueReach]byte)(in[end:])
		if m.glue.front(here)|m.glue.back(here) != 0 {
			if k, m = s.follower(m, here); m == nil {
				break
			}
		}
		if m.quick|least != copies && m.quick-copies > searches-copies {
			p.sure = true
			break
		}
		i := end + m.glue.size + 1
		if here[m.glue.size&(glueReach-1)] == '"' {
			x := ends.from(i)
			if x == 0 || m.quick|least != copies && bits.TrailingZeros64(x) >= shortest && w.hints.touch(i, x) {
				p.sure = true
				break
			}
			if i += bits.TrailingZeros64(x); uint(i) >= uint(len(in)) || in[i] != '"' {
				p.sure = true
				break
			}
			i++
		} else if i = short(in, i-1); i < 0 {
			p.sure = true
			break
		}
		if i >= len(in) || in[i] != '}' {
			p.sure = true
			break
		}
		end, p.last, k = i+1, k, m.next
	}
	p.end, p.next = end, k
}

// short returns the end of the literal or of the short number at v, which must not
// be near the end of the window; -1 where there is something else.
func short(in []byte, v int) int {
	if v > len(in)-glueReach/2 {
		return -1
	}
	switch word := binary.LittleEndian.Uint32(in[v:]); word {
	case 'n' | 'u'<<8 | 'l'<<16 | 'l'<<24, 't' | 'r'<<8 | 'u'<<16 | 'e'<<24:
		return v + 4
	case 'f' | 'a'<<8 | 'l'<<16 | 's'<<24:
		if in[v+4] == 'e' {
			return v + 5
		}
		return -1
	}
	if in[v]-'1' > 8 && (in[v] != '0' || in[v+1]-'0' <= 9) {
		return -1
	}
	point := 0
	for i, c := range in[v : v+16] {
		switch {
		case c-'0' <= 9:
		case c == '.' && point == 0:
			point = i
		case c == '.' || c|0x20 == 'e' || point == i-1 && point > 0:
			return -1
		default:
			return v + i
		}
	}
	return -1
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
