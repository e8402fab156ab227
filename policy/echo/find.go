// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package echo

import (
	"encoding/binary"
	"math"
	"math/bits"

	"github.com/crmgate/crmgate/policy/mask"
)

// Echoes reports whether text, as it stands, may hold a value: whether Finds would find
// one, numbers in another writing aside. It takes about a nanosecond for two bytes.
func (s *Set) Echoes(text []byte) bool {
	if len(s.entries) == 0 || len(text) < window {
		return false
	}
	s.ready()
	s.turn(text)
	for i, g := s.near(text, 0); i >= 0; i, g = s.near(text, i+stride) {
		for ; g != 0; g &= g - 1 {
			if s.at(text, i-bits.TrailingZeros8(g), false) {
				return true
			}
		}
		if s.tired() {
			return true
		}
	}
	return false
}

// EchoesNumber reports whether text holds a number that is known, in whatever writing.
func (s *Set) EchoesNumber(text []byte) bool {
	if len(s.entries) == 0 || len(text) < window {
		return false
	}
	if s.runs = mask.AppendRuns(s.runs[:0], text); len(s.runs) == 0 {
		return false
	}
	if s.ready(); s.numbers == 0 {
		return false
	}
	s.turn(text)
	for _, r := range s.runs {
		if s.number(text[r.Start:r.End]) > 0 || s.tired() {
			return true
		}
	}
	return false
}

// Finds returns where values stand in text: each that is not glued to letters or
// digits, and each row of digits that is one of the numbers, see mask.SameNumber,
// whatever separators stand in either. A text that cannot be searched in reasonable
// time is one find. The result stands until the next call. It implements mask.Known.
func (s *Set) Finds(text []byte) []mask.Find {
	s.finds = s.finds[:0]
	if len(s.entries) == 0 {
		return nil
	}
	s.ready()
	s.turn(text)
	for i, g := s.near(text, 0); i >= 0; i, g = s.near(text, i+stride) {
		for ; g != 0; g &= g - 1 {
			s.at(text, i-bits.TrailingZeros8(g), true)
		}
		if s.tired() {
			return s.everything(text)
		}
	}
	if s.numbers > 0 {
		s.runs = mask.AppendRuns(s.runs[:0], text)
		for _, r := range s.runs {
			if k := s.number(text[r.Start:r.End]); k > 0 {
				r.Value = k - 1
				s.finds = append(s.finds, r)
			}
			if s.tired() {
				return s.everything(text)
			}
		}
	}
	return s.finds
}

func (s *Set) everything(text []byte) []mask.Find {
	s.finds = append(s.finds[:0], mask.Find{End: len(text), Value: -1})
	return s.finds
}

// near returns the next place from i on, by strides, that lies in what may be the window of
// a value, and a bit for each place of the window that it may be; -1 where there is none.
func (s *Set) near(text []byte, i int) (int, byte) {
	grams := (*[1 << gramLog]byte)(s.grams)
	for i+2*stride+8 <= len(text) {
		b := (*[2*stride + 8]byte)(text[i:])
		x, y := binary.LittleEndian.Uint64(b[:])|folds, binary.LittleEndian.Uint64(b[2*stride:])|folds
		g0, g1 := grams[gramHash(uint32(x))], grams[gramHash(uint32(x>>(8*stride)))]
		g2, g3 := grams[gramHash(uint32(y))], grams[gramHash(uint32(y>>(8*stride)))]
		if g0|g1|g2|g3 != 0 {
			switch {
			case g0 != 0:
				return i, g0
			case g1 != 0:
				return i + stride, g1
			case g2 != 0:
				return i + 2*stride, g2
			}
			return i + 3*stride, g3
		}
		i += 4 * stride
	}
	for ; i+gram <= len(text); i += stride {
		if g := grams[gramHash(binary.LittleEndian.Uint32(text[i:])|folds&math.MaxUint32)]; g != 0 {
			return i, g
		}
	}
	return -1, 0
}

// at finds the values that have their window at w. Where all is set they are noted,
// otherwise the first is enough.
func (s *Set) at(text []byte, w int, all bool) bool {
	if w < 0 || w+window > len(text) {
		return false
	}
	key := windowAt(text, w)
	for k := s.heads[windowHash(key)]; k > 0 && !s.tired(); {
		e := &s.entries[k-1]
		s.hops++
		start := w - int(e.at)
		end := start + int(e.size)
		if e.window == key && start >= 0 && end <= len(text) {
			s.hops += int(e.size) / 8
			if same(s.original(e), text[start:end]) && !glued(text, start) && (e.cut || !glued(text, end)) {
				if !all {
					return true
				}
				if e.cut {
					end = len(text)
				}
				s.finds = append(s.finds, mask.Find{Start: start, End: end, Value: int(k - 1)})
			}
		}
		k = e.next[byWindow]
	}
	return false
}

// turn goes on to another text.
func (s *Set) turn(text []byte) {
	s.over += max(0, s.hops-s.due)
	s.hops, s.due = 0, worth*len(text)
	s.limit = s.due + max(0, min(extra, overall-s.over))
}

// tired reports whether looking has taken out of all proportion to the text, as it can
// where somebody wrote values and texts to that end: one long text, or many short ones.
func (s *Set) tired() bool { return s.hops > s.limit }

// number returns the entry, counted from 1, of the number that digits are; 0 for none. Of
// several it is one that is hidden, else the one that came first.
func (s *Set) number(run []byte) int {
	last, n := lastDigits(run)
	best := 0
	for k := s.tails[tailHash(run)]; k > 0 && !s.tired(); k = s.entries[k-1].next[byTail] {
		e := &s.entries[k-1]
		s.hops++
		if sameDigits(last, n, e) {
			if best == 0 || e.hidden || !s.entries[best-1].hidden {
				best = int(k)
			}
		}
	}
	return best
}

// AppendMasked appends what the value of a find is shown as within a text: its own
// masked form where everybody sees that it is one, mask.FullText otherwise. It
// implements mask.Known.
func (s *Set) AppendMasked(dst []byte, value int) []byte {
	e, n := &s.entries[value], len(dst)
	if !e.hidden {
		if dst = e.mask.AppendBytes(dst, s.original(e)); mask.Marks(dst[n:]) > 0 {
			return dst
		}
	}
	return append(dst[:n], mask.FullText...)
}

// Search is mask.Detect that finds the values of the set as well.
func (s *Set) Search(dst, text []byte) ([]byte, int) {
	if len(s.entries) == 0 {
		return mask.Detect(dst, text)
	}
	return mask.Search(dst, text, s)
}

// AppendNumber appends what the JSON number raw becomes, when it is one of the values,
// as a JSON literal: what the value's own function makes of a number, null where that
// is another writing of it or not shown at all.
func (s *Set) AppendNumber(dst, raw []byte) ([]byte, bool) {
	var buf [48]byte
	text, ok := mask.AppendWhole(buf[:0], raw)
	if ok {
		return s.appendNumber(dst, raw, text, true)
	}
	if text = raw; text[0] == '-' {
		text = text[1:]
	}
	if dst, ok = s.appendNumber(dst, raw, text, false); ok {
		return dst, true
	}
	if text, ok = mask.AppendDecimal(buf[:0], raw); !ok {
		return dst, false
	}
	return s.appendNumber(dst, raw, text, false)
}

// appendNumber is AppendNumber for one way to write the number.
func (s *Set) appendNumber(dst, raw, text []byte, whole bool) ([]byte, bool) {
	another := false
	for _, f := range s.Finds(text) {
		switch {
		case f.Value < 0:
			another = true
		case f.Start > 0 || f.End < len(text) || f.Loose && !whole: // a part of it is another number
		case !f.Loose && !s.entries[f.Value].hidden:
			return s.entries[f.Value].mask.AppendNumber(dst, raw), true
		default:
			another = true
		}
	}
	if !another {
		return dst, false
	}
	return append(dst, "null"...), true
}
