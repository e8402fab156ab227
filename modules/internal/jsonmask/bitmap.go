// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package jsonmask

import (
	"encoding/binary"
	"math/bits"
)

// Every byte of a window is looked at as it comes in, many at once where the
// processor can, and what ends a stretch of plain text is noted as a bit. The bits
// say where plain text ends and nothing else: what stands there is read as strictly
// as if there were none.

// bitmap has a bit for each byte of a window, and 64 more. Those beyond the
// window's last byte are set, so that eight bytes can be read from any of its.
type bitmap []byte

// look looks at the bytes of the window from one on.
func (s *scanner) look(from int) {
	s.ends = looked(s.ends, s.in, from, false)
	if s.hinting {
		s.hints = looked(s.hints, s.in, from, true)
	}
}

// looked looks at in from a byte on; what is known about those before it stays.
func looked(m bitmap, in []byte, from int, hints bool) bitmap {
	from &^= 63
	whole := len(in) &^ 63
	size := whole/8 + 16
	if cap(m) < size {
		m = append(make(bitmap, 0, size+size/2), m[:from/8]...)
	}
	m = m[:size]
	find(m[from/8:whole/8], in[from:whole], hints)
	var last [64]byte
	n := copy(last[:], in[whole:])
	find(m[whole/8:whole/8+8], last[:], hints)
	tail := m[whole/8:]
	binary.LittleEndian.PutUint64(tail, binary.LittleEndian.Uint64(tail)|^uint64(0)<<n)
	binary.LittleEndian.PutUint64(tail[8:], ^uint64(0))
	return m
}

// find sets the bits of those bytes that plainEnd stops at, or of what a text has in
// which Detect finds anything: digits, @, %, &, <, = and what lies between those. in is a multiple of 64 bytes, dst an eighth of in.
func find(dst, in []byte, hints bool) {
	switch {
	case wide && hints:
		wideHints(dst, in)
	case wide:
		wideEnds(dst, in)
	default:
		narrow(dst, in, hints)
	}
}

// narrow is find for processors that look at eight bytes at once. In a word that
// has no high bit no sum carries, so that every mark is right.
func narrow(dst, in []byte, hints bool) {
	for i := range dst {
		x := binary.LittleEndian.Uint64(in[8*i:])
		y := x &^ highs
		var m uint64
		if hints {
			m = (y+(0x80-'0')*lows)&^(y+(0x80-'@'-1)*lows) | (y+(0x80-'%')*lows)&^(y+(0x80-'&'-1)*lows)
			m &^= x
		} else {
			// Flipping the second bit brings the quote to 0x20, see plainEnd.
			m = ^((y ^ 0x02*lows + (0x80-0x21)*lows) & (y ^ '\\'*lows + 0x7F*lows)) | x
		}
		dst[i] = byte(m & highs * 0x0002040810204081 >> 56) // the high bits side by side
	}
}

// moved drops what is known about the first bytes, whole words of it.
func (m bitmap) moved(gone int) bitmap { return m[:copy(m, m[min(gone/8, len(m)):])] }

// from returns the bits of byte i and of at least 56 behind it; 0 may also mean
// that nothing is known.
func (m bitmap) from(i int) uint64 {
	if i>>3 > len(m)-8 {
		return 0
	}
	return binary.LittleEndian.Uint64(m[i>>3:]) >> (i & 7)
}

// touch reports whether there may be a bit for one of the bytes from i to the
// lowest bit of x, which is what another bitmap has from i on.
func (m bitmap) touch(i int, x uint64) bool {
	return i>>3 > len(m)-8 || binary.LittleEndian.Uint64(m[i>>3:])>>(i&7)&(x-1)&^x != 0
}

// plain returns what plainEnd does.
func (s *scanner) plain(i int) int {
	if x := s.ends.from(i); x != 0 {
		return i + bits.TrailingZeros64(x)
	}
	return s.farther(i)
}

// farther is plain for text that is longer, or that nothing is known about.
func (s *scanner) farther(i int) int {
	for j := i>>3 + 7; j <= len(s.ends)-8; j += 8 {
		if x := binary.LittleEndian.Uint64(s.ends[j:]); x != 0 {
			return j<<3 + bits.TrailingZeros64(x)
		}
	}
	return plainEnd(s.in, i)
}

// hinted reports whether plain text from i to end may hold anything that is looked
// for. The bits for that are made from the first time on that a body needs them.
func (s *scanner) hinted(i, end int) bool {
	if !s.hinting && len(s.ends) > 0 {
		s.hinting = true
		s.hints = looked(s.hints[:0], s.in, 0, true)
	}
	for ; i < end; i += 56 {
		if i>>3 > len(s.hints)-8 || s.hints.from(i)<<(64-min(56, end-i)) != 0 {
			return true
		}
	}
	return false
}
