// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package mask

import "strings"

// appendPhone shows the country code of an international number and its last
// keep digits: "+91-98765 43210" becomes "+91XXXXXX3210". Four digits are shown
// of ten or more national ones, at most a third of fewer, none of fewer than
// seven. Text that is not one number alone is not a phone number here.
func appendPhone(dst []byte, s string, keep int) ([]byte, bool) {
	s = strings.TrimSpace(s)
	var buf [16]byte
	d := buf[:0]
	for i := range len(s) {
		switch c := s[i]; {
		case isDigit(c):
			if len(d) == 15 {
				return dst, false
			}
			d = append(d, c)
		case c == '+' && i == 0, strings.IndexByte(" -.()/", c) >= 0:
		default:
			return dst, false
		}
	}
	code := 0
	if strings.HasPrefix(s, "+") {
		code = countryCode(d)
	}
	national := d[code:]
	if len(national) < 7 {
		return dst, false
	}
	k := keep
	if len(national) < 10 {
		k = shown(len(national), keep)
	}
	if code > 0 {
		dst = append(append(dst, '+'), d[:code]...)
	}
	return append(append(dst, hidden...), national[len(national)-k:]...), true
}

// countryCode returns how many leading digits are the country calling code
// (ITU-T E.164): one for zones 1 and 7, two for the codes listed, three for all
// others. A code that is guessed too long would show a digit of the number, so
// an unassigned start is still taken as three digits only when seven stay.
func countryCode(d []byte) int {
	if len(d) < 4 {
		return 0
	}
	if d[0] == '1' || d[0] == '7' {
		return 1
	}
	if d[0] == '0' {
		return 0
	}
	if strings.Contains(" 20 27 28 30 31 32 33 34 36 39 40 41 43 44 45 46 47 48 49 51 52 53 54 55 56 57 58 "+
		"60 61 62 63 64 65 66 81 82 83 84 86 89 90 91 92 93 94 95 98 ", " "+string(d[:2])+" ") {
		return 2
	}
	return 3
}
