// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package echo

import (
	"bytes"
	"encoding/binary"
	"unicode"
	"unicode/utf8"

	"github.com/crmgate/crmgate/policy/mask"
)

const folds = 0x2020202020202020

// windowAt returns the window of text at i, folded: bytes that are the same but for the
// case of letters, and some others, give the same.
func windowAt(text []byte, i int) uint64 {
	b := text[i : i+window]
	return (uint64(binary.LittleEndian.Uint32(b)) | uint64(binary.LittleEndian.Uint16(b[4:]))<<32) | folds>>16
}

func windowHash(w uint64) uint32 { return uint32(w * 0x9E3779B97F4A7C15 >> (64 - headLog)) }

// gramHash is for four bytes that are folded.
func gramHash(g uint32) uint32 { return g * 0x9E3779B1 >> (32 - gramLog) }

// tailHash is for the last seven digits of a number in any writing.
func tailHash(number []byte) uint32 {
	h, n := uint32(0), 0
	for i := len(number) - 1; i >= 0 && n < 7; i-- {
		if c := number[i]; digit(c) {
			h = 10*h + uint32(c-'0')
			n++
		}
	}
	return h * 0x9E3779B1 >> (32 - tailLog)
}

// lastDigits returns what mask.AppendDigits appends, four bits a digit, and how many there are.
func lastDigits(number []byte) (last uint64, n uint8) {
	var buf [16]byte
	digits, _ := mask.AppendDigits(buf[:0], number)
	for _, c := range digits {
		last = last<<4 | uint64(c-'0')
	}
	return last, uint8(len(digits))
}

// sameDigits is mask.SameNumber for an entry that is a number.
func sameDigits(last uint64, n uint8, e *entry) bool {
	n = min(n, e.digits)
	return n >= 7 && (last^e.last)<<(64-4*n) == 0
}

// hash is the same for texts that differ in the case of letters only.
func hash(text []byte) uint32 {
	h, i := uint64(len(text)), 0
	for ; i+8 <= len(text); i += 8 {
		h = (h ^ (binary.LittleEndian.Uint64(text[i:]) | folds)) * multiplier
		h ^= h >> 32
	}
	h = (h ^ (wordAt(text, i) | folds)) * multiplier
	return uint32(h >> 32)
}

// look looks at a value. ascii says that there is nothing else in it,
// plain that there is nothing of what Plain names in it.
func look(text []byte) (ascii, plain bool) {
	if len(text) < 8 {
		x := wordAt(text, 0)
		return x&highs == 0, (x|telling(x|folds<<(8*len(text))))&highs == 0 // blanks behind it
	}
	last := binary.LittleEndian.Uint64(text[len(text)-8:])
	all, plain := last, true
	for i := 0; i+8 <= len(text); i += 8 {
		x := binary.LittleEndian.Uint64(text[i:])
		all |= x
		plain = plain && telling(x)&highs == 0
	}
	return all&highs == 0, plain && (all|telling(last))&highs == 0
}

// telling has a high bit where x has a byte that few texts have. Of bytes that are not ASCII it says
// nothing.
func telling(x uint64) uint64 {
	x &^= highs
	digits := (x + (0x80-'0')*lows) &^ (x + (0x80-'@'-1)*lows)
	signs := (x + (0x80-'%')*lows) &^ (x + (0x80-'&'-1)*lows)
	written := (x ^ 0x02*lows - 0x21*lows) | (x ^ '\\'*lows - lows)
	return digits | signs | written
}

// same compares texts of one length, letters of ASCII in either case.
func same(a, b []byte) bool {
	if bytes.Equal(a, b) {
		return true
	}
	for i, c := range a {
		if d := b[i]; c != d && (c|0x20 != d|0x20 || c|0x20 < 'a' || c|0x20 > 'z') {
			return false
		}
	}
	return true
}

// glued reports whether a letter or digit stands on either side of the cut at i.
func glued(text []byte, i int) bool {
	if i <= 0 || i >= len(text) {
		return false
	}
	return wordy(text[:i], true) && wordy(text[i:], false)
}

// wordy reports whether text begins or ends with a letter, a digit or a mark.
func wordy(text []byte, end bool) bool {
	c := text[0]
	if end {
		c = text[len(text)-1]
	}
	if c < utf8.RuneSelf {
		return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z'
	}
	r, _ := utf8.DecodeRune(text)
	if end {
		r, _ = utf8.DecodeLastRune(text)
	}
	return unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r)
}
