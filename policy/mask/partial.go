// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package mask

import (
	"strings"
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

func appendLast(dst []byte, s string, keep int) []byte {
	k := shown(utf8.RuneCountInString(s), keep)
	if k == 0 {
		return append(dst, FullText...)
	}
	i := len(s)
	for range k {
		_, w := utf8.DecodeLastRuneInString(s[:i])
		i -= w
	}
	return append(append(dst, hidden...), s[i:]...)
}

func appendFirst(dst []byte, s string, keep int) []byte {
	k := shown(utf8.RuneCountInString(s), keep)
	if k == 0 {
		return append(dst, FullText...)
	}
	i := 0
	for range k {
		_, w := utf8.DecodeRuneInString(s[i:])
		i += w
	}
	return append(append(dst, s[:i]...), hidden...)
}

// appendEmail shows the domain unless bare. An address whose domain could be
// taken for the secret itself (more than one @, blanks, nothing before the @)
// is masked fully.
func appendEmail(dst []byte, s string, bare bool) ([]byte, bool) {
	local, domain, ok := strings.Cut(s, "@")
	if !ok || local == "" || !isDomain(domain) {
		return dst, false
	}
	if bare {
		return append(append(append(dst, hidden...), '@'), hidden...), true
	}
	return append(append(append(dst, hidden...), '@'), domain...), true
}

// isDomain reports whether s is a plain dotted host name.
func isDomain(s string) bool {
	dot := strings.LastIndexByte(s, '.')
	if dot < 1 || len(s)-dot < 3 || len(s) > 253 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if !isLetter(c) && !isDigit(c) && c != '-' && c != '.' {
			return false
		}
	}
	return isLetter(s[dot+1])
}

func appendCard(dst []byte, s string, keep int) ([]byte, bool) {
	d, ok := digitsOf(s)
	if !ok || len(d) < 13 || len(d) > 19 {
		return dst, false
	}
	return append(append(dst, "XXXXXXXXXXXX"...), d[len(d)-shown(len(d), keep):]...), true
}

func appendPAN(dst []byte, s string, keep int) ([]byte, bool) {
	s = strings.TrimSpace(s)
	if !isPAN(strings.ToUpper(s)) {
		return dst, false
	}
	return append(append(dst, "XXXXXXX"...), s[len(s)-shown(len(s), keep):]...), true
}

func appendAadhaar(dst []byte, s string, keep int) ([]byte, bool) {
	d, ok := digitsOf(s)
	if !ok || len(d) != 12 {
		return dst, false
	}
	return append(append(dst, "XXXX-XXXX-"...), d[12-shown(12, keep):]...), true
}

// digitsOf returns the digits of s, which may be grouped by single blanks or
// dashes; anything else in s makes it false.
func digitsOf(s string) (string, bool) {
	s = strings.TrimSpace(s)
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case isDigit(c):
			b.WriteByte(c)
		case (c == ' ' || c == '-') && i > 0 && i < len(s)-1 && isDigit(s[i-1]):
		default:
			return "", false
		}
	}
	return b.String(), b.Len() > 0
}

func isDigit(c byte) bool  { return '0' <= c && c <= '9' }
func isUpper(c byte) bool  { return 'A' <= c && c <= 'Z' }
func isLetter(c byte) bool { return isUpper(c &^ 0x20) }
