// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package echo

import (
	"encoding/binary"
	"math"
	"math/bits"
)

// Most texts hold no value, and most that might are told from what stands where a word
// of theirs begins. A value that is not glued to letters or digits begins with a word, or
// with signs and a word behind them: that word begins in the text as well. So its first
// bytes are kept as a few bits, which takes a moment, and the tables that say which value
// it is are filled only when a text has bytes that may be such.

const (
	beginLog = 10 // words of bits
	lasting  = 16 // bytes of a long value's beginning
)

// begin notes how a value begins.
func (s *Set) begin(e *entry, text []byte) {
	if e.plain && (s.plain == 0 || len(text) < s.plain) {
		s.plain = len(text)
	}
	i := 0
	for !starts(text[i]) { // it has a letter or digit, see recognised
		i++
	}
	var h uint64
	switch n := len(text) - i; {
	case n >= lasting:
		h = longHash(text[i:])
	case n >= window:
		h = windowAt(text, i) * multiplier
	default:
		s.odd++
		return
	}
	s.begins[h>>(64-beginLog)] |= beginBits(h)
}

// Plain is the length of the shortest value that holds nothing but letters, blanks and
// signs: none of the bytes 0 to 9, : ; < = > ? @ % & and none that JSON has to escape. It is the
// largest int where there is none. A text of such bytes that is shorter holds no value.
func (s *Set) Plain() int {
	if s.plain == 0 {
		return math.MaxInt
	}
	return s.plain
}

// May reports whether text may hold a value as it stands. It is quicker than Echoes, and says
// yes of some texts that hold none.
func (s *Set) May(text []byte) bool {
	if s.odd > 0 {
		return true
	}
	if len(s.entries) == 0 {
		return false
	}
	carry := uint64(0)
	for from := 0; from <= len(text)-window; from += 64 {
		words, others := wordBytes(text[from:])
		marks := words&^(words<<1|carry) | others
		carry = words >> 63
		for ; marks != 0; marks &= marks - 1 {
			i := from + bits.TrailingZeros64(marks)
			if i > len(text)-window {
				break
			}
			h := windowAt(text, i) * multiplier
			if has := beginBits(h); s.begins[h>>(64-beginLog)]&has == has {
				return true
			}
			if i <= len(text)-lasting {
				h = longHash(text[i:])
				if has := beginBits(h); s.begins[h>>(64-beginLog)]&has == has {
					return true
				}
			}
		}
	}
	return false
}

// wordBytes has a bit for each of the first 64 bytes of text that is a letter or digit of
// ASCII, and one for each that is not ASCII.
func wordBytes(text []byte) (words, others uint64) {
	for k := 0; k < 64; k += 8 {
		var x uint64
		if len(text) >= 8 {
			x = binary.LittleEndian.Uint64(text)
			text = text[8:]
		} else {
			for i, c := range text {
				x |= uint64(c) << (8 * i)
			}
			text = nil
		}
		y := x &^ highs
		z := y | folds
		m := ((z + (0x80-'a')*lows) &^ (z + (0x80-'z'-1)*lows)) | (y+(0x80-'0')*lows)&^(y+(0x80-'9'-1)*lows)
		words |= m & highs &^ x * 0x0002040810204081 >> 56 << k
		if x&highs != 0 {
			others |= x & highs * 0x0002040810204081 >> 56 << k
		}
		if len(text) == 0 {
			break
		}
	}
	return words, others
}

func starts(c byte) bool {
	return c >= 0x80 || '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z'
}

const multiplier = 0x9E3779B97F4A7C15

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
