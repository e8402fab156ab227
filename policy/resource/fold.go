// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package resource

import (
	"unicode"
	"unicode/utf8"
)

// Fold returns the form in which names of fields, members and parameters are
// compared: letters without their case (Unicode simple folding, so that the
// Kelvin sign is a k), and '_', '-' and ' ' left out. "Phone Number",
// "phone_number" and "PhoneNumber" fold to the same. Two names that fold alike
// are one name on every side of the gate. Bytes that are not UTF-8 stay as they
// are.
func Fold(name string) string {
	for i := 0; i < len(name); i++ {
		if c := name[i]; c >= utf8.RuneSelf || 'A' <= c && c <= 'Z' || c == '_' || c == '-' || c == ' ' {
			return string(AppendFold(make([]byte, 0, len(name)), []byte(name)))
		}
	}
	return name
}

// AppendFold appends the folded form of name to dst and returns it. It does not
// allocate when dst has room.
func AppendFold(dst, name []byte) []byte {
	for i := 0; i < len(name); {
		c := name[i]
		if c < utf8.RuneSelf {
			i++
			switch {
			case 'A' <= c && c <= 'Z':
				dst = append(dst, c+'a'-'A')
			case c == '_' || c == '-' || c == ' ':
			default:
				dst = append(dst, c)
			}
			continue
		}
		r, size := utf8.DecodeRune(name[i:])
		if r == utf8.RuneError && size == 1 {
			dst = append(dst, c)
		} else {
			dst = utf8.AppendRune(dst, foldRune(r))
		}
		i += size
	}
	return dst
}

// foldRune returns the representative of a rune's case orbit: its smallest
// member, lower case for ASCII.
func foldRune(r rune) rune {
	least := r
	for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
		least = min(least, f)
	}
	if 'A' <= least && least <= 'Z' {
		least += 'a' - 'A'
	}
	return least
}
