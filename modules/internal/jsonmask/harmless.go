// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package jsonmask

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"

	"github.com/crmgate/crmgate/policy/mask"
)

// shortest is the length of the shortest text in which mask.Detect finds anything,
// such as a@b.in.
const shortest = 6

// harmless reports whether text surely holds nothing that mask.Detect finds. It
// knows the kinds of text that most fields hold: very short text, text with fewer
// than four digits, a GUID, and a date with or without a time. Of all other text
// it says no, and so it does of every other @, %, & and <, of base64, and of anything
// else that is not ASCII.
func harmless(text []byte) bool {
	if len(text) < shortest {
		return true
	}
	n, ok := countDigits(text)
	switch {
	case !ok:
		return false
	case n < 4:
		return !mask.LongRun(text)
	}
	switch len(text) {
	case 36:
		return isGUID(text)
	case 10:
		return isDay(text)
	case 19, 20, 23, 24:
		return isDay(text[:10]) && isMoment(text[10:])
	}
	return false
}

// countDigits counts the digits of text; ok is false when it is not ASCII or has
// a @, a %, a & or a <.
func countDigits(text []byte) (n int, ok bool) {
	for len(text) >= 8 {
		x := binary.LittleEndian.Uint64(text)
		at, percent, and, less := x^'@'*lows, x^'%'*lows, x^'&'*lows, x^'<'*lows
		if ((at-lows)|(percent-lows)|(and-lows)|(less-lows)|x)&highs != 0 {
			return n, false
		}
		// Without a high bit no sum carries: the first marks '0' and above, the
		// second what is above '9'.
		n += bits.OnesCount64((x + (0x80-'0')*lows) &^ (x + (0x80-'9'-1)*lows) & highs)
		text = text[8:]
	}
	for _, c := range text {
		if c >= utf8.RuneSelf || c == '@' || c == '%' || c == '&' || c == '<' {
			return n, false
		}
		if '0' <= c && c <= '9' {
			n++
		}
	}
	return n, true
}

func isGUID(text []byte) bool { return fits(text, "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx") }

// isDay reports whether text is a date like 2024-05-17.
func isDay(text []byte) bool {
	if !fits(text, "0000-00-00") || text[0] != '1' && text[0] != '2' {
		return false
	}
	month, day := 10*(text[5]-'0')+text[6]-'0', 10*(text[8]-'0')+text[9]-'0'
	return 1 <= month && month <= 12 && 1 <= day && day <= 31
}

// isMoment reports whether text is a time of day behind a date, to the second
// or the millisecond, with a Z or without.
func isMoment(text []byte) bool {
	if text[0] != ' ' && text[0] != 'T' {
		return false
	}
	text = text[1:]
	if n := len(text) - 1; text[n] == 'Z' {
		text = text[:n]
	}
	return fits(text, "00:00:00") || fits(text, "00:00:00.000")
}

// fits compares text with a pattern: 0 is a digit, x a hexadecimal one, anything
// else itself.
func fits(text []byte, pattern string) bool {
	if len(text) != len(pattern) {
		return false
	}
	for i, c := range text {
		digit := '0' <= c && c <= '9'
		switch p := pattern[i]; p {
		case '0':
			if !digit {
				return false
			}
		case 'x':
			if !digit && (c|0x20 < 'a' || c|0x20 > 'f') {
				return false
			}
		default:
			if c != p {
				return false
			}
		}
	}
	return true
}
