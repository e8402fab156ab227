// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package mask

import (
	"bytes"
	"unicode/utf8"
)

const (
	alike    = 7  // digits by which two numbers can be told to be the same
	telling  = 10 // digits that are compared of longer ones
	maxWhole = 40 // digits of a whole number that is looked at
)

// AppendDigits appends the last digits of text to dst, at most ten of them, as the
// number they are whatever separators stand between them, and returns dst and how
// many there are. Digits of other scripts are none.
func AppendDigits(dst, text []byte) ([]byte, int) {
	from := len(text)
	for n := 0; from > 0 && n < telling; from-- {
		if isDigit(text[from-1]) {
			n++
		}
	}
	n := len(dst)
	for _, c := range text[from:] {
		if isDigit(c) {
			dst = append(dst, c)
		}
	}
	return dst, len(dst) - n
}

// IsNumber reports whether text is digits, seven or more, and what separates them,
// and no date.
func IsNumber(text []byte) bool {
	n := 0
	for i := 0; i < len(text); {
		c, w := rune(text[i]), 1
		if c >= utf8.RuneSelf {
			c, w = utf8.DecodeRune(text[i:])
		}
		i += w
		switch {
		case c < utf8.RuneSelf && isDigit(byte(c)):
			n++
		case c == '+' || c == '\uff0b' || separates(c) || invisible(c):
		default:
			return false
		}
	}
	return n >= alike && plainDate(text, 0) == 0
}

// SameNumber reports whether two rows of digits, as AppendDigits gives them, are the
// same number, one of them perhaps without its country or area: the shorter ends the
// longer, and has seven digits at least.
func SameNumber(a, b []byte) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	return len(a) >= alike && bytes.HasSuffix(b, a)
}

// AppendRuns appends the stretches of text that are digits as Detect reads them,
// separators between them or not, with a plus in front: those that can be told to be
// a number that is known. Those of fewer than seven digits cannot, nor can dates,
// GUIDs, or fewer than ten digits that touch a letter.
func AppendRuns(out []Find, text []byte) []Find {
	if fewDigits(text) {
		return out
	}
	var buf [8]span
	for _, s := range addRuns(buf[:0], text, true) {
		out = append(out, Find{Start: s.start, End: s.end, Value: -1, Loose: true})
	}
	return out
}

// fewDigits reports whether text surely has too few digits, of whatever script, for a
// number that can be told to be the same.
func fewDigits(text []byte) bool {
	n := 0
	for _, c := range text {
		if isDigit(c) || c >= 0xC0 {
			if n++; n == alike {
				return false
			}
		}
	}
	return true
}

// AppendWhole appends the digits of a JSON number to dst, without its sign, when it
// is a whole number, however it is written: 98.1e3 is 98100. ok is false for
// others, and for those of more than forty digits.
func AppendWhole(dst, raw []byte) (out []byte, ok bool) {
	start := len(dst)
	shift, point, i := 0, false, 0
	for ; i < len(raw); i++ {
		switch c := raw[i]; {
		case c == '-' && i == 0:
		case c == '.':
			point = true
		case isDigit(c):
			if point {
				shift--
			}
			if len(dst) > start || c != '0' {
				dst = append(dst, c)
			}
		default: // e
			exp, neg := 0, false
			for _, c := range raw[i+1:] {
				if c == '-' {
					neg = true
				} else if isDigit(c) && exp < 1<<20 {
					exp = 10*exp + int(c-'0')
				}
			}
			if neg {
				exp = -exp
			}
			shift += exp
			i = len(raw)
		}
	}
	for ; shift < 0 && len(dst) > start; shift++ {
		if dst[len(dst)-1] != '0' {
			return dst[:start], false
		}
		dst = dst[:len(dst)-1]
	}
	if len(dst) == start {
		return append(dst, '0'), true
	}
	if len(dst)-start+max(shift, 0) > maxWhole {
		return dst[:start], false
	}
	for ; shift > 0; shift-- {
		dst = append(dst, '0')
	}
	return dst, true
}

// AppendDecimal appends a JSON number that is not whole to dst, without its sign, in the
// one way in which equal numbers are alike: 012.50e-1 and 1.25 are 1.25. ok is false for
// whole numbers, and for those of more than forty digits.
func AppendDecimal(dst, raw []byte) (out []byte, ok bool) {
	var buf [maxWhole]byte
	digits, places, exp, neg := buf[:0], 0, 0, false
	part := byte('0') // what is read: digits, those behind the point, those of the exponent
	for _, c := range raw {
		switch {
		case c == '.':
			part = c
		case c|0x20 == 'e':
			part = 'e'
		case part == 'e' && isDigit(c):
			exp = min(10*exp+int(c-'0'), 1<<20)
		case part == 'e':
			neg = neg || c == '-'
		case isDigit(c):
			if part == '.' {
				places++
			}
			if len(digits) == maxWhole {
				return dst, false
			}
			if len(digits) > 0 || c != '0' {
				digits = append(digits, c)
			}
		}
	}
	if neg {
		exp = -exp
	}
	places -= exp
	for len(digits) > 0 && digits[len(digits)-1] == '0' {
		digits, places = digits[:len(digits)-1], places-1
	}
	if len(digits) == 0 || places <= 0 || places > maxWhole {
		return dst, false
	}
	if whole := len(digits) - places; whole > 0 {
		dst, digits = append(dst, digits[:whole]...), digits[whole:]
	} else {
		dst = append(dst, '0')
	}
	dst = append(dst, '.')
	for range places - len(digits) {
		dst = append(dst, '0')
	}
	return append(dst, digits...), true
}

// IsPersonal reports whether a whole number, by its digits, is one that Detect would
// find as text, from ten digits on: shorter ones are more often amounts. Ten or
// thirteen digits that begin with 1 are the time of day in programs, in seconds or
// milliseconds since 1970, and hardly anybody's number.
func IsPersonal(digits []byte) bool {
	if len(digits) < telling || len(digits) > 19 {
		return false
	}
	if isStamp(digits) {
		return false
	}
	r := run{span: span{0, len(digits)}, digits: digits, count: len(digits), groups: 1, first: len(digits), last: len(digits)}
	return r.personal()
}

// isStamp reports whether text is the time of day in programs: seconds or milliseconds
// since 1970, of the years 2001 to 2033.
func isStamp(text []byte) bool {
	if len(text) != 10 && len(text) != 13 || text[0] != '1' {
		return false
	}
	for _, c := range text {
		if !isDigit(c) {
			return false
		}
	}
	return true
}
