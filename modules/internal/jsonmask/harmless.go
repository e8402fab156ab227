// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package jsonmask

import (
	"bytes"
	"encoding/binary"
	"math/bits"

	"github.com/crmgate/crmgate/policy/mask"
)

// shortest is the length of the shortest text in which mask.Detect finds anything,
// such as a@b.in.
const shortest = 6

// kind says what is known of a text that need not be searched.
type kind uint8

const (
	unsure kind = iota // it must be
	bland              // nothing more
	guid
	moment // a date, with or without a time
)

// harmless reports whether text surely holds nothing that mask.Detect finds, and no
// number that may be known. It knows the kinds of text that most fields hold: very
// short text, text with few digits, a GUID, and a date with or without a time. Of all
// other text it says no, and so it does of every other @, however wide, of what may be %40, a reference or
// a tag, of characters that nobody sees, of base64, and of more than a few letters of scripts that have digits of their own.
func harmless(text []byte) bool { return kindOf(text) != unsure }

// kindOf says of what kind a harmless text is.
func kindOf(text []byte) kind {
	if len(text) < shortest {
		return bland
	}
	if k := formOf(text); k != unsure {
		return k
	}
	n, four, signs := countDigits(text)
	if n >= fewDigits || four && hasPAN(text) || signs && means(text) || len(text) >= codedLen && mask.LongRun(text) {
		return unsure
	}
	return bland
}

const (
	fewDigits = 7  // from as many on a number may be somebody's, or be known
	codedLen  = 16 // of the shortest run of base64 that is read

	// The first byte of the first digit that is not ASCII, U+0660. Letters of Latin, Greek,
	// Cyrillic, Armenian and Hebrew begin with lesser ones.
	firstForeign = 0xD9

	wideAt = 0xEF // the first byte of an @ as wide as letters of East Asia are
)

// hasPAN reports whether four digits stand in text between letters, as in a PAN.
func hasPAN(text []byte) bool {
	row := 0
	for i, c := range text {
		if digit(c) {
			row++
			continue
		}
		if row == 4 && i >= 9 && letter(c) && letter(text[i-5]) {
			return true
		}
		row = 0
	}
	return false
}

// means reports whether text has a @, or a sign that may stand for one or begin a reference
// or a tag, or a character that nobody sees.
func means(text []byte) bool {
	for i, c := range text {
		next := byte(' ')
		if i+1 < len(text) {
			next = text[i+1]
		}
		switch {
		case c == wideAt && bytes.ContainsAny(text[i:min(i+3, len(text))], "\uff20\ufe6b"):
			return true
		case c == '@', c == '%' && next == '4', c == '&' && (next == '#' || letter(next)), c == '<' && mask.BeginsTag(next):
			return true
		}
	}
	return mask.Unseen(text)
}

// countDigits counts the digits of text, and the characters that may be digits of another
// script; four says that four digits may stand side by side, signs that there is a @, a %,
// a &, a < or a character beyond ASCII.
func countDigits(text []byte) (n int, four, signs bool) {
	row := uint64(0) // a bit for each of the last 64 bytes that is a digit
	for i := 0; i < len(text); i += 8 {
		var x uint64
		switch rest := text[i:]; {
		case len(rest) >= 8:
			x = binary.LittleEndian.Uint64(rest)
		case i > 0:
			x = binary.LittleEndian.Uint64(text[len(text)-8:]) >> (8 * (8 - len(rest)) & 63)
		default:
			for k, c := range rest {
				x |= uint64(c) << (8 * k)
			}
		}
		if high := x & highs; high != 0 {
			n += bits.OnesCount64(high & (x&^highs + (0x100-firstForeign)*lows))
			x &^= high >> 7 * 0xFF
			signs = true
		}
		at, percent, and, less := x^'@'*lows, x^'%'*lows, x^'&'*lows, x^'<'*lows
		signs = signs || ((at-lows)|(percent-lows)|(and-lows)|(less-lows))&highs != 0
		digits := between(x, '0', '9')
		n += bits.OnesCount64(digits)
		row = row>>8 | digits>>7*0x0102040810204080>>56<<56
		four = four || row&(row>>1)&(row>>2)&(row>>3) != 0
	}
	return n, four, signs
}

// between marks the bytes of x from one on to another by their high bits. Without a high
// bit in x no sum carries: the first marks what is not below, the second what is above.
func between(x uint64, first, last uint64) uint64 {
	return (x + (0x80-first)*lows) &^ (x + (0x80-last-1)*lows) & highs
}

// formOf says of what kind a text is by its form alone, if it has such.
func formOf(text []byte) kind {
	switch len(text) {
	case 36:
		if text[8] == '-' && isGUID(text) {
			return guid
		}
	case 10, 19, 20, 23, 24:
		if text[4] == '-' && isDay(text) && (len(text) == 10 || isMoment(text)) {
			return moment
		}
	}
	return unsure
}

// hexes marks the bytes of x that are digits by their high bits, and those that are digits or letters up to f.
// Without a high bit in x both are right.
func hexes(x uint64) (digits, all uint64) {
	digits = between(x, '0', '9')
	return digits, digits | between(x|0x20*lows, 'a', 'f')
}

const (
	zeros = '0' * lows
	// What makes a zero of a dash, or of a colon.
	dash  = '-' ^ '0'
	colon = ':' ^ '0'
)

// isGUID reports whether 36 bytes are a GUID with as many digits that there is no need to
// see whether it is base64.
func isGUID(text []byte) bool {
	b := (*[36]byte)(text)
	x0, x1, x2 := binary.LittleEndian.Uint64(b[:]), binary.LittleEndian.Uint64(b[8:]), binary.LittleEndian.Uint64(b[16:])
	x3, x4 := binary.LittleEndian.Uint64(b[24:]), binary.LittleEndian.Uint64(b[28:])
	x1 ^= dash | dash<<40
	x2 ^= dash<<16 | dash<<56
	if (x1^zeros)&(0xFF|0xFF<<40) != 0 || (x2^zeros)&(0xFF<<16|0xFF<<56) != 0 || (x0|x1|x2|x3|x4)&highs != 0 {
		return false
	}
	d0, h0 := hexes(x0)
	d1, h1 := hexes(x1)
	d2, h2 := hexes(x2)
	d3, h3 := hexes(x3)
	_, h4 := hexes(x4)
	const dashes = 4 // which count as digits now
	return h0&h1&h2&h3&h4 == highs && bits.OnesCount64(d0>>7|d1>>6|d2>>5|d3>>4) >= fewDigits+dashes
}

// isDay reports whether text begins with a date like 2024-05-17.
func isDay(text []byte) bool {
	b := (*[10]byte)(text)
	x, y := binary.LittleEndian.Uint64(b[:])^(dash<<32|dash<<56), binary.LittleEndian.Uint64(b[2:])^(dash<<16|dash<<40)
	if (x^zeros)&(0xFF<<32|0xFF<<56) != 0 || (x|y)&highs != 0 || between(x, '0', '9')&between(y, '0', '9') != highs || b[0] != '1' && b[0] != '2' {
		return false
	}
	month, day := 10*(b[5]-'0')+b[6]-'0', 10*(b[8]-'0')+b[9]-'0'
	return 1 <= month && month <= 12 && 1 <= day && day <= 31
}

// isMoment reports whether behind a date there is a time of day, to the second or the
// millisecond, with a Z or without.
func isMoment(text []byte) bool {
	n := len(text)
	if text[n-1] == 'Z' {
		n--
	}
	x := binary.LittleEndian.Uint64(text[11:]) ^ (colon<<16 | colon<<40)
	if (x^zeros)&(0xFF<<16|0xFF<<40) != 0 || x&highs != 0 || between(x, '0', '9') != highs || text[10] != ' ' && text[10] != 'T' {
		return false
	}
	if n != 23 {
		return n == 19
	}
	return text[19] == '.' && digit(text[20]) && digit(text[21]) && digit(text[22])
}

func letter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

func digit(c byte) bool { return '0' <= c && c <= '9' }
