// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package jsonmask

import (
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
// other text it says no, and so it does of every other @, %, & and <, of base64, and of
// most else that is not ASCII.
func harmless(text []byte) bool { return kindOf(text) != unsure }

// kindOf says of what kind a harmless text is.
func kindOf(text []byte) kind {
	if len(text) < shortest {
		return bland
	}
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
	n, other, four, ok := countDigits(text)
	switch {
	case !ok:
		return unsure
	case n+other < 4, other == 0 && n < fewDigits && (len(text) < panLen || !four):
		if len(text) < codedLen || !mask.LongRun(text) {
			return bland
		}
	}
	return unsure
}

const (
	fewDigits = 7  // from as many on a number may be somebody's, or be known
	panLen    = 10 // letters, four digits, a letter
	codedLen  = 16 // of the shortest run of base64 that is read
)

// countDigits counts the digits of text, and the bytes that are not ASCII; four says that
// four digits may stand side by side. ok is false when it has a @, a %, a & or a <.
func countDigits(text []byte) (n, other int, four, ok bool) {
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
			other += bits.OnesCount64(high)
			x &^= high >> 7 * 0xFF
		}
		at, percent, and, less := x^'@'*lows, x^'%'*lows, x^'&'*lows, x^'<'*lows
		if ((at-lows)|(percent-lows)|(and-lows)|(less-lows))&highs != 0 {
			return n, other, four, false
		}
		digits := between(x, '0', '9')
		n += bits.OnesCount64(digits)
		row = row>>8 | digits>>7*0x0102040810204080>>56<<56
		four = four || row&(row>>1)&(row>>2)&(row>>3) != 0
	}
	return n, other, four, true
}

// between marks the bytes of x from one on to another by their high bits. Without a high
// bit in x no sum carries: the first marks what is not below, the second what is above.
func between(x uint64, first, last uint64) uint64 {
	return (x + (0x80-first)*lows) &^ (x + (0x80-last-1)*lows) & highs
}

// spelled marks the digits among the eight bytes of text from i on by their high bits. ok is
// false unless all are digits, but for the places where a pattern has something else than a
// zero byte, which is what stands there. hex lets through letters up to f as well.
func spelled(text []byte, i int, pattern uint64, hex bool) (digits uint64, ok bool) {
	x := binary.LittleEndian.Uint64(text[i:])
	fixed := between(pattern, 1, 0x7F) // its high bits
	digits = between(x, '0', '9')
	fine := digits
	if hex {
		fine |= between(x|0x20*lows, 'a', 'f')
	}
	return digits, x&highs == 0 && fine&^fixed|fixed == highs && (x^pattern)&(fixed>>7*0xFF) == 0
}

// isGUID reports whether 36 bytes are a GUID with as many digits that there is no need to see whether it is base64.
func isGUID(text []byte) bool {
	text = text[:36]
	a, fine := spelled(text, 0, 0, true)
	b, ok := spelled(text, 8, '-'|'-'<<40, true)
	fine = fine && ok
	c, ok := spelled(text, 16, '-'<<16|'-'<<56, true)
	fine = fine && ok
	d, ok := spelled(text, 24, 0, true)
	fine = fine && ok
	_, ok = spelled(text, 28, 0, true)
	return fine && ok && bits.OnesCount64(a)+bits.OnesCount64(b)+bits.OnesCount64(c)+bits.OnesCount64(d) >= fewDigits
}

// isDay reports whether text begins with a date like 2024-05-17.
func isDay(text []byte) bool {
	_, year := spelled(text, 0, '-'<<32|'-'<<56, false)
	_, rest := spelled(text, 2, '-'<<16|'-'<<40, false)
	if !year || !rest || text[0] != '1' && text[0] != '2' {
		return false
	}
	month, day := 10*(text[5]-'0')+text[6]-'0', 10*(text[8]-'0')+text[9]-'0'
	return 1 <= month && month <= 12 && 1 <= day && day <= 31
}

// isMoment reports whether behind a date there is a time of day, to the second or the
// millisecond, with a Z or without.
func isMoment(text []byte) bool {
	n := len(text)
	if text[n-1] == 'Z' {
		n--
	}
	if _, ok := spelled(text, 11, ':'<<16|':'<<40, false); !ok || text[10] != ' ' && text[10] != 'T' {
		return false
	}
	if n == 23 {
		_, ok := spelled(text, 15, ':'<<8|'.'<<32, false)
		return ok
	}
	return n == 19
}
