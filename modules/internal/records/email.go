// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package records

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// FoldEmail returns the form under which an e-mail address is unique and found:
// lower case. A letter from outside ASCII never becomes an ASCII letter (the
// Kelvin sign is not a k, the dotted capital I is not an i), so that nobody can
// register an address that reads as somebody else's.
func FoldEmail(email string) string {
	if !needsFold(email) {
		return email
	}
	return strings.Map(func(r rune) rune {
		low := unicode.ToLower(r)
		if r >= utf8.RuneSelf && low < utf8.RuneSelf {
			return r
		}
		return low
	}, email)
}

func needsFold(s string) bool {
	for i := range len(s) {
		if c := s[i]; c >= utf8.RuneSelf || 'A' <= c && c <= 'Z' {
			return true
		}
	}
	return false
}
