// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package mask

import (
	"bytes"
	"unicode"
	"unicode/utf8"
)

// shown returns how many of n characters may be shown when want are asked for:
// at most a third, and never so many that fewer than four stay hidden.
func shown(n, want int) int {
	k := min(want, n/3)
	if n-k < 4 {
		return 0
	}
	return k
}

// characters counts the characters of s that tell anything. Blanks with which a CRM
// fills a column up do not, nor do accents and signs that belong to the letter before
// them: of four letters with as many blanks or accents all four would be shown.
func characters(s []byte) int {
	n := 0
	for i := 0; i < len(s); {
		r, w := rune(s[i]), 1
		if r >= utf8.RuneSelf {
			r, w = utf8.DecodeRune(s[i:])
		}
		if tells(r) {
			n++
		}
		i += w
	}
	return n
}

func tells(r rune) bool {
	if r < utf8.RuneSelf {
		return ' ' < r && r < 0x7F
	}
	return !unicode.IsSpace(r) && !unicode.IsMark(r) && !unicode.Is(unicode.C, r) &&
		!unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r) && r != '\u2800' // a pattern of Braille without a dot
}

func appendLast(dst, s []byte, keep int) []byte {
	k := shown(characters(s), keep)
	if k == 0 {
		return append(dst, FullText...)
	}
	i := len(s)
	for k > 0 {
		r, w := utf8.DecodeLastRune(s[:i])
		if i -= w; tells(r) {
			k--
		}
	}
	return append(append(dst, hidden...), s[i:]...)
}

func appendFirst(dst, s []byte, keep int) []byte {
	k := shown(characters(s), keep)
	if k == 0 {
		return append(dst, FullText...)
	}
	i := 0
	for k > 0 {
		r, w := utf8.DecodeRune(s[i:])
		if i += w; tells(r) {
			k--
		}
	}
	return append(append(dst, s[:i]...), hidden...)
}

// appendEmail shows the domain unless bare. An address whose domain could be
// taken for the secret itself (more than one @, blanks, nothing before the @)
// is masked fully.
func appendEmail(dst, s []byte, bare bool) ([]byte, bool) {
	at := bytes.IndexByte(s, '@')
	if at <= 0 {
		return dst, false
	}
	domain := s[at+1:]
	if !isDomain(domain) {
		return dst, false
	}
	if bare {
		return append(append(append(dst, hidden...), '@'), hidden...), true
	}
	return append(append(dst, hidden+"@"...), domain...), true
}

// isDomain reports whether s is a plain dotted host name.
func isDomain(s []byte) bool {
	if len(s) > 253 {
		return false
	}
	dot := -1
	for i, c := range s {
		if !domainBytes[c] {
			return false
		}
		if c == '.' {
			dot = i
		}
	}
	return dot >= 1 && len(s)-dot >= 3 && isTop(s[dot+1:])
}

// isTop reports whether s, behind the last point of a host name, can be a domain: letters
// alone, or what stands for those of another script, which has few digits. Else it has
// something glued to it, such as a number.
func isTop(s []byte) bool {
	if len(s) > len("xn--") && bytes.EqualFold(s[:len("xn--")], []byte("xn--")) {
		return !hasDigits(s, alike)
	}
	for _, c := range s {
		if !isLetter(c) {
			return false
		}
	}
	return true
}

// domainBytes are the bytes of a host name.
var domainBytes = func() (t [256]bool) {
	for c := range t {
		b := byte(c)
		t[c] = isLetter(b) || isDigit(b) || b == '-' || b == '.'
	}
	return t
}()

func appendCard(dst, s []byte, keep int) ([]byte, bool) {
	var buf [19]byte
	d, ok := digitsOf(buf[:0], s)
	if !ok || len(d) < 13 {
		return dst, false
	}
	return append(append(dst, "XXXXXXXXXXXX"...), d[len(d)-shown(len(d), keep):]...), true
}

func appendPAN(dst, s []byte, keep int) ([]byte, bool) {
	s = trim(s)
	if !isPAN(s) {
		return dst, false
	}
	return append(append(dst, "XXXXXXX"...), s[len(s)-shown(len(s), keep):]...), true
}

func appendAadhaar(dst, s []byte, keep int) ([]byte, bool) {
	var buf [12]byte
	d, ok := digitsOf(buf[:0], s)
	if !ok || len(d) != 12 {
		return dst, false
	}
	return append(append(dst, "XXXX-XXXX-"...), d[12-shown(12, keep):]...), true
}

// digitsOf appends the digits of s, which may be grouped by single blanks or
// dashes, to d; anything else in s, and more digits than d has room for, make it
// false.
func digitsOf(d, s []byte) ([]byte, bool) {
	s = trim(s)
	for i, c := range s {
		switch {
		case isDigit(c) && len(d) < cap(d):
			d = append(d, c)
		case (c == ' ' || c == '-') && i > 0 && i < len(s)-1 && isDigit(s[i-1]):
		default:
			return d, false
		}
	}
	return d, len(d) > 0
}

// trim is bytes.TrimSpace, with nothing to do for most values.
func trim(s []byte) []byte {
	if n := len(s) - 1; n >= 0 && s[0]-'!' < 0x7F-'!' && s[n]-'!' < 0x7F-'!' {
		return s
	}
	return bytes.TrimSpace(s)
}

func isDigit(c byte) bool  { return '0' <= c && c <= '9' }
func isUpper(c byte) bool  { return 'A' <= c && c <= 'Z' }
func isLetter(c byte) bool { return isUpper(c &^ 0x20) }
