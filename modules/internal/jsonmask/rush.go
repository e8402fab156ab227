// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package jsonmask

import (
	"encoding/binary"
	"math/bits"
)

// The two below pass over members of an object, or over pairs, that stay as they
// are: foreseen, and a value that is plain text of less than 57 bytes, or of less than
// 113 where it is not searched, a short number or a literal, which is shown, or searched
// and holds nothing to find. They call nothing, which is what makes them quick, and leave
// everything else to their caller. least is searches where shown text is searched as well.
//
// Names that may be passed over have a stamp of their own, their gate, so that
// one comparison says that a name is of that kind and has not come before.

func (s *shape) rush(w *walker, end, n int, last, m *entry, least quick) (int, int, *entry, *entry, bool) {
	sure, tries := false, 0
	in, ends := w.in, w.ends
	object := s.object
	for m != nil && end <= len(in)-glueReach {
		here := (*[glueReach]byte)(in[end:])
		if m.glue.ends(here) != 0 || m.glue.size > 16 && (m.glue.middle(here) != 0 || m.glue.size > 32 && m.glue.core(here) != 0) {
			if tries++; tries == maxTries || here[0] != ',' {
				break
			}
			m = m.next
			continue
		}
		sure = true
		if m.gate >= object {
			break
		}
		v := int(m.glue.size & 63)
		i := end + v
		if here[v] == '"' {
			i++
			x := ends.from(i)
			if x == 0 {
				if x = ends.from(i + 56); x == 0 || m.quick|least != copies {
					break
				}
				i += 56
			}
			text := bits.TrailingZeros64(x)
			if m.quick|least != copies && text >= shortest && (text >= w.bar || w.hints.touch(i, x)) {
				break
			}
			if i += text; uint(i) >= uint(len(in)) || in[i] != '"' {
				break
			}
			i++
		} else if word := binary.LittleEndian.Uint32(here[v:]); word == nullWord || word == trueWord {
			i += 4
		} else if word == falsWord && here[v+4] == 'e' {
			i += 5
		} else {
			k := v
			if here[k] != '0' {
				for k < glueReach-2 && here[k]-'0' <= 9 {
					k++
				}
			} else {
				k++
			}
			if k > v && here[k] == '.' && here[k+1]-'0' <= 9 {
				for k++; k < glueReach-1 && here[k]-'0' <= 9; k++ {
				}
			}
			if k == v || here[k] != ',' && here[k] != '}' || m.quick|least != copies && k-v >= shortNumber {
				break
			}
			i += k - v
		}
		m.gate = object
		end = i
		n++
		sure, tries = false, 0
		last, m = m, m.next
	}
	return end, n, last, m, sure
}

func (s *shape) rushPairs(w *walker, end int, last, m *entry, least quick) (int, *entry, *entry, bool) {
	sure, tries := false, 0
	in, ends := w.in, w.ends
	for m != nil && end <= len(in)-glueReach {
		here := (*[glueReach]byte)(in[end:])
		if m.glue.ends(here) != 0 || m.glue.size > 16 && (m.glue.middle(here) != 0 || m.glue.size > 32 && m.glue.core(here) != 0) {
			if tries++; tries == maxTries || here[0] != ',' {
				break
			}
			m = m.next
			continue
		}
		sure = true
		if m.gate != 0 {
			break
		}
		v := int(m.glue.size & 63)
		i := end + v
		if here[v] == '"' {
			i++
			x := ends.from(i)
			if x == 0 {
				if x = ends.from(i + 56); x == 0 || m.quick|least != copies {
					break
				}
				i += 56
			}
			text := bits.TrailingZeros64(x)
			if m.quick|least != copies && text >= shortest && (text >= w.bar || w.hints.touch(i, x)) {
				break
			}
			if i += text; uint(i) >= uint(len(in)) || in[i] != '"' {
				break
			}
			i++
		} else if word := binary.LittleEndian.Uint32(here[v:]); word == nullWord || word == trueWord {
			i += 4
		} else if word == falsWord && here[v+4] == 'e' {
			i += 5
		} else {
			k := v
			if here[k] != '0' {
				for k < glueReach-2 && here[k]-'0' <= 9 {
					k++
				}
			} else {
				k++
			}
			if k > v && here[k] == '.' && here[k+1]-'0' <= 9 {
				for k++; k < glueReach-1 && here[k]-'0' <= 9; k++ {
				}
			}
			if k == v || here[k] != ',' && here[k] != '}' || m.quick|least != copies && k-v >= shortNumber {
				break
			}
			i += k - v
		}
		if uint(i) >= uint(len(in)) || in[i] != '}' {
			break
		}
		end = i + 1
		sure, tries = false, 0
		last, m = m, m.next
	}
	return end, last, m, sure
}

// shortNumber is the length of the shortest number that is looked at where texts
// are searched.
const shortNumber = 6

// The literals as words; false without its end.
const (
	nullWord = 'n' | 'u'<<8 | 'l'<<16 | 'l'<<24
	trueWord = 't' | 'r'<<8 | 'u'<<16 | 'e'<<24
	falsWord = 'f' | 'a'<<8 | 'l'<<16 | 's'<<24
)
