// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package jsonmask

import "math/bits"

// Where the processor can look at many bytes at once, every byte of a window is
// looked at as it comes in, and what ends a stretch of plain text is noted as a
// bit. Where it cannot there are no bits, and the same is found word by word.
// Bits say where plain text ends and nothing else: what stands there is read as
// strictly as without them.

// bitmap has a bit for each byte of a window. Beyond the last byte all bits of
// the last word are set.
type bitmap []uint64

// look looks at the bytes of the window from one on.
func (s *scanner) look(from int) {
	if !vectors {
		return
	}
	s.ends = looked(s.ends, s.in, from, false)
	if s.hinting {
		s.hints = looked(s.hints, s.in, from, true)
	}
}

// looked looks at in from a byte on; the words before that byte's stay.
func looked(m bitmap, in []byte, from int, hints bool) bitmap {
	from &^= 63
	words := (len(in) + 63) / 64
	if cap(m) < words {
		m = append(make(bitmap, 0, words+words/2), m[:from/64]...)
	}
	m = m[:words]
	whole := len(in) &^ 63
	find(m[from/64:whole/64], in[from:whole], hints)
	if whole < len(in) {
		var last [64]byte
		n := copy(last[:], in[whole:])
		find(m[words-1:], last[:], hints)
		m[words-1] |= ^uint64(0) << n
	}
	return m
}

func find(dst []uint64, in []byte, hints bool) {
	if hints {
		findHints(dst, in)
	} else {
		findEnds(dst, in)
	}
}

// moved drops the first words.
func (m bitmap) moved(words int) bitmap { return m[:copy(m, m[min(words, len(m)):])] }

// plain returns what plainEnd does.
func (s *scanner) plain(i int) int {
	if w := i >> 6; w < len(s.ends) {
		if x := s.ends[w] >> (i & 63); x != 0 {
			return i + bits.TrailingZeros64(x)
		}
	}
	return s.farther(i)
}

// farther is plain for text that ends in another word of the bitmap.
func (s *scanner) farther(i int) int {
	w := i>>6 + 1
	if w > len(s.ends) {
		return plainEnd(s.in, i)
	}
	for ; w < len(s.ends); w++ {
		if x := s.ends[w]; x != 0 {
			return w<<6 + bits.TrailingZeros64(x)
		}
	}
	return len(s.in)
}

// hinted reports whether text from i to end, which is plain, may hold a digit, a
// @ or a %.
func (s *scanner) hinted(i, end int) bool {
	w, last := i>>6, end>>6
	if last >= len(s.hints) {
		return true
	}
	x := s.hints[w] >> (i & 63) << (i & 63)
	for ; w < last; w++ {
		if x != 0 {
			return true
		}
		x = s.hints[w+1]
	}
	return x&(1<<(end&63)-1) != 0
}
