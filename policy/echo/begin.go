// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package echo

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/bits"
)

// Most texts hold no value, and most that might are told from what stands where a word
// of theirs begins. A value that is not glued to letters or digits begins with a word, or
// with signs and a word behind them: that word begins in the text as well. So its first
// bytes are kept as a few bits, which takes a moment, and the tables that Finds and Echoes
// go by are filled only when there is something to find.

const (
	beginLog = 10           // words of bits
	lasting  = 16           // bytes of a long value's beginning
	step     = 64 - lasting // bytes of a text that are looked at with as many behind them
	credit   = 64           // entries compared for each that is added
)

// hints say what the values of a set are like.
type hints struct {
	begins  *[1 << beginLog]uint64
	days    [64]uint64 // a bit for each value that begins with a day
	groups  [64]uint64 // a bit for each value that is the first or the last group of a GUID
	odd     int        // values that have no beginning
	guids   int        // values that may otherwise stand in a GUID
	moments int        // values that may stand in a date or a time of day, but for those that begin with a day
	least   int        // bytes of the shortest value, 0 for none
	plain   int        // bytes of the shortest plain value, 0 for none
	credit  int        // entries that may still be compared one by one
}

// forget forgets what was noted of the values.
func (h *hints) forget() {
	if h.begins != nil {
		clear(h.begins[:])
	}
	*h = hints{begins: h.begins}
}

// beginning returns the hash of how a value begins, 0 for a value without a beginning.
func beginning(text []byte, cut bool) uint64 {
	i := first(text)
	switch n := len(text) - i; {
	case n >= lasting:
		return longHash(text[i:])
	case n >= window && !cut:
		words, _ := wordBytes(text[i:])
		return shortHash(text, i, words)
	}
	return 0
}

// first returns where the first word of a value begins. There is one, see recognised.
func first(text []byte) int {
	i := 0
	for !starts(text[i]) {
		i++
	}
	return i
}

func starts(c byte) bool {
	return c >= 0x80 || digit(c) || 'a' <= c|0x20 && c|0x20 <= 'z'
}

// begin notes how the values begin that were added since the last time.
func (s *Set) begin() {
	if s.begins == nil {
		s.begins = new([1 << beginLog]uint64)
	}
	for ; s.begun < len(s.entries); s.begun++ {
		e := &s.entries[s.begun]
		if e.begin == 0 {
			e.begin = beginning(s.original(e), e.cut)
		}
		if e.begin == 0 {
			s.odd++
			continue
		}
		at, has := e.begin>>(64-beginLog), beginBits(e.begin)
		e.fresh = s.begins[at]&has != has
		s.begins[at] |= has
	}
}

// may reports whether a value may begin as a hash says.
func (h *hints) may(hash uint64) bool {
	has := beginBits(hash)
	return h.begins[hash>>(64-beginLog)]&has == has
}

// likeness says what a value is like.
type likeness uint8

const (
	likeText  likeness = 1 << iota // plain, see Plain
	likeGroup                      // it may be the first group of a GUID, or the last
	likeGUID                       // it may be another part of a GUID
	likeDay                        // it may begin with the day of a date
	likeClock                      // it may be another part of a date or a time of day
)

// like says what a value is like. The first bytes of most say that they are a part of nothing.
func like(text []byte, plain bool) (out likeness) {
	if plain {
		out = likeText
	}
	n, c := len(text), parts[text[0]]
	if n >= 10 && text[4] == '-' && text[7] == '-' {
		out |= likeDay
	} else if c&ofMoment != 0 && partOfMoment(text) {
		out |= likeClock
	}
	if c&ofGUID != 0 && (n == 8 || n == 12 || text[4] == '-' || n > 8 && text[8] == '-' || n > 12 && text[12] == '-' || text[0] == '-') && partOfGUID(text) {
		if (n == 8 || n == 12) && bytes.IndexByte(text, '-') < 0 {
			out |= likeGroup
		} else {
			out |= likeGUID
		}
	}
	return out
}

// hint notes what the value of an entry is like.
func (s *Set) hint(e *entry) {
	n := int(e.size)
	if s.credit = min(s.credit+credit, credit*most); s.least == 0 || n < s.least {
		s.least = n
	}
	if e.like == 0 {
		return
	}
	if e.like&likeText != 0 && (s.plain == 0 || n < s.plain) {
		s.plain = n
	}
	if e.like&likeGUID != 0 {
		s.guids++
	}
	if e.like&likeGroup != 0 {
		at, bit := groupBit(s.original(e))
		s.groups[at] |= bit
	}
	if e.like&likeClock != 0 {
		s.moments++
	}
	if e.like&likeDay != 0 {
		at, bit := dayBit(s.original(e))
		s.days[at] |= bit
	}
}

// parts says what a byte may be a part of.
var parts = func() (out [256]byte) {
	for c := range out {
		c := byte(c)
		if digit(c) || c == '-' || 'a' <= c|0x20 && c|0x20 <= 'f' {
			out[c] |= ofGUID
		}
		if digit(c) || c == '-' || c == ':' || c == '.' || c == ' ' || c|0x20 == 't' || c|0x20 == 'z' {
			out[c] |= ofMoment
		}
	}
	return out
}()

const (
	ofGUID   = 1
	ofMoment = 2
)

// Plain is the length of the shortest value that holds nothing but letters, blanks and
// signs: none of the bytes 0 to 9, : ; < = > ? @ % & and none that JSON has to escape. It is
// the largest int where there is none. A text of such bytes that is shorter holds no value.
func (s *Set) Plain() int {
	if s.plain == 0 {
		return math.MaxInt
	}
	return s.plain
}

// HoldsGUID is Holds for a text that is a GUID. Values of eight and of twelve digits, such
// as numbers of people, would be its first group or its last.
func (s *Set) HoldsGUID(text []byte) bool {
	first, has := groupBit(text[:8])
	last, ends := groupBit(text[24:36])
	return (s.guids > 0 || s.groups[first]&has != 0 || s.groups[last]&ends != 0) && s.Holds(text)
}

// HoldsMoment is Holds for a text that is a date like 2024-05-17, perhaps with a time
// like 10:11:12 or 10:11:12.000 behind it, and with a Z.
func (s *Set) HoldsMoment(text []byte) bool {
	at, bit := dayBit(text)
	return (s.moments > 0 || s.days[at]&bit != 0) && s.Holds(text)
}

// Holds reports what Echoes does. It is much quicker where there is no value in text, and
// fills no tables as long as that is so.
func (s *Set) Holds(text []byte) bool {
	if len(s.entries) == 0 || len(text) < s.least {
		return false
	}
	if s.begin(); s.odd > 0 {
		return s.Echoes(text)
	}
	carry := uint64(0)
	for from := 0; from <= len(text)-window; from += step {
		words, others := wordBytes(text[from:])
		marks := (words&^(words<<1|carry) | others) & (1<<step - 1)
		carry = words >> (step - 1) & 1
		for ; marks != 0; marks &= marks - 1 {
			at := bits.TrailingZeros64(marks)
			i := from + at
			if i > len(text)-window {
				break
			}
			h := shortHash(text, i, words>>at)
			if !s.may(h) {
				if i > len(text)-lasting {
					continue
				}
				if h = longHash(text[i:]); !s.may(h) {
					continue
				}
			} else if i <= len(text)-lasting && s.may(longHash(text[i:])) {
				return s.Echoes(text)
			}
			if s.credit < len(s.entries) {
				return s.Echoes(text)
			}
			s.credit -= len(s.entries)
			if s.stands(text, i, h) {
				return true
			}
		}
	}
	return false
}

// stands reports whether a value that begins as h says has its first word at i.
func (s *Set) stands(text []byte, i int, h uint64) bool {
	for k := range s.entries {
		e := &s.entries[k]
		if e.begin != h {
			continue
		}
		value := s.original(e)
		start := i - first(value)
		end := start + len(value)
		if start >= 0 && end <= len(text) && same(value, text[start:end]) && !glued(text, start) && (e.cut || !glued(text, end)) {
			return true
		}
	}
	return false
}

// wordBytes has a bit for each of the first 64 bytes of text that is a letter or digit of
// ASCII, and one for each that is not ASCII.
func wordBytes(text []byte) (words, others uint64) {
	for k, i := 0, 0; k < 64 && i < len(text); k, i = k+8, i+8 {
		x := wordAt(text, i)
		y := x &^ highs
		z := y | folds
		m := ((z + (0x80-'a')*lows) &^ (z + (0x80-'z'-1)*lows)) | (y+(0x80-'0')*lows)&^(y+(0x80-'9'-1)*lows)
		words |= m & highs &^ x * 0x0002040810204081 >> 56 << k
		if x &= highs; x != 0 {
			others |= x * 0x0002040810204081 >> 56 << k
		}
	}
	return words, others
}

// wordAt returns eight bytes of text from i on, zero bytes behind its end.
func wordAt(text []byte, i int) uint64 {
	switch n := len(text); {
	case i+8 <= n:
		return binary.LittleEndian.Uint64(text[i:])
	case n >= 8:
		return binary.LittleEndian.Uint64(text[n-8:]) >> (8 * (i + 8 - n) & 63)
	}
	var all [8]byte
	copy(all[:], text[i:])
	return binary.LittleEndian.Uint64(all[:])
}

const multiplier = 0x9E3779B97F4A7C15

// shortHash is for the six bytes of text from i on, and for how long the first word of them
// is: words has a bit for each byte from i on that is a letter or digit. A value ends
// with a word or goes on behind it, so that the word is as long in the text.
func shortHash(text []byte, i int, words uint64) uint64 {
	return (windowAt(text, i) | uint64(bits.TrailingZeros64(^words|1<<(lasting-1)))<<48) * multiplier
}

// longHash is for the first sixteen bytes of text.
func longHash(text []byte) uint64 {
	b := (*[lasting]byte)(text)
	h := (binary.LittleEndian.Uint64(b[:]) | folds) * multiplier
	return (h ^ h>>32 ^ (binary.LittleEndian.Uint64(b[8:]) | folds)) * multiplier
}

// beginBits are those that stand for a hash, of a word that other bits of it choose.
func beginBits(h uint64) uint64 {
	return 1<<(h>>48&63) | 1<<(h>>42&63) | 1<<(h>>36&63)
}

// partOfGUID reports whether a value may be a part of a GUID that no letter or digit touches:
// the first two of its groups are as long as such are.
func partOfGUID(text []byte) bool {
	run, groups := 0, 0
	for i, c := range text {
		if c != '-' {
			if run++; parts[c]&ofGUID == 0 {
				return false
			}
			if i < len(text)-1 {
				continue
			}
		}
		if run > 0 {
			if groups++; groups <= 2 && run != 4 && run != 8 && run != 12 {
				return false
			}
		}
		run = 0
	}
	return true
}

// partOfMoment reports whether a value may be a part of a date, of a time of day or of both:
// its groups of digits are as long as such have.
func partOfMoment(text []byte) bool {
	run := 0
	for i, c := range text {
		switch {
		case digit(c):
			if run++; run > 4 {
				return false
			}
			if i < len(text)-1 {
				continue
			}
		case parts[c]&ofMoment == 0:
			return false
		}
		if run == 1 {
			return false
		}
		run = 0
	}
	return true
}

// groupBit is where a bit stands for a group of eight or twelve digits or letters.
func groupBit(text []byte) (at, bit uint64) {
	x := binary.LittleEndian.Uint64(text) | folds
	if len(text) > 8 {
		x ^= uint64(binary.LittleEndian.Uint32(text[8:])) | folds>>32
	}
	x *= multiplier
	return x >> 58, 1 << (x >> 52 & 63)
}

// dayBit is where a bit stands for a day like 2024-05-17.
func dayBit(text []byte) (at, bit uint64) {
	h := (binary.LittleEndian.Uint64(text) ^ uint64(binary.LittleEndian.Uint16(text[8:]))) * multiplier
	return h >> 58, 1 << (h >> 52 & 63)
}
