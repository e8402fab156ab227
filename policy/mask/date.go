// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package mask

import "bytes"

// appendDate keeps the year, or year and month, and returns a valid date of the
// same shape: "2024-05-17 10:11:12.000" becomes "2024-01-01 00:00:00.000". It
// reads year-month-day and day-month-year (or month-day-year) with '-', '/' or
// '.', and a time behind it. Where day and month cannot be told apart, the month
// is not shown.
func appendDate(dst, s []byte, month bool) ([]byte, bool) {
	n := dateLen(s)
	if n == 0 || !isTime(s[n:]) {
		return dst, false
	}
	if isDigit(s[2]) { // the year comes first
		dst = append(dst, s[:5]...)
		if month {
			dst = append(dst, s[5:7]...)
		} else {
			dst = append(dst, '0', '1')
		}
		dst = append(dst, s[7], '0', '1')
	} else {
		dst = append(dst, '0', '1', s[2], '0', '1')
		dst = append(dst, s[5:10]...)
	}
	noon := s[len(s)-1] == 'M' // a twelve-hour clock has no hour 00
	for i, c := range s[n:] {
		switch {
		case isDigit(c) && noon && (i == 1 || i == 2):
			c = "12"[i-1]
		case isDigit(c):
			c = '0'
		}
		dst = append(dst, c)
	}
	return dst, true
}

// dateLen returns the length of the date that s starts with: 10, or 0 for none.
func dateLen(s []byte) int {
	if len(s) < 10 {
		return 0
	}
	num := func(i, n int) int {
		v := 0
		for _, c := range s[i : i+n] {
			if !isDigit(c) {
				return -1
			}
			v = v*10 + int(c-'0')
		}
		return v
	}
	sep := func(c byte) bool { return c == '-' || c == '/' || c == '.' }
	in := func(v, lo, hi int) bool { return lo <= v && v <= hi }
	if sep(s[4]) && s[7] == s[4] && in(num(0, 4), 1000, 2999) && in(num(5, 2), 1, 12) && in(num(8, 2), 1, 31) {
		return 10
	}
	a, b := 0, 0
	if sep(s[2]) && s[5] == s[2] && in(num(6, 4), 1000, 2999) {
		a, b = num(0, 2), num(3, 2)
	}
	if in(a, 1, 31) && in(b, 1, 31) && (a <= 12 || b <= 12) {
		return 10
	}
	return 0
}

// isTime reports whether s is empty or a time of day behind a date.
func isTime(s []byte) bool {
	if len(s) == 0 {
		return true
	}
	const shape = "T00:00"
	if len(s) < len(shape) || (s[0] != 'T' && s[0] != ' ') || !clock(s[1:6]) {
		return false
	}
	s = s[6:]
	if len(s) >= 3 && s[0] == ':' && isDigit(s[1]) && isDigit(s[2]) {
		s = s[3:]
		if len(s) >= 2 && s[0] == '.' && isDigit(s[1]) {
			s = bytes.TrimLeft(s[1:], "0123456789")
		}
	}
	switch string(s) {
	case "", "Z", " AM", " PM":
		return true
	}
	switch s[0] {
	case '+', '-':
		return clock(s[1:]) || len(s) == 5 && allDigits(s[1:])
	}
	return false
}

// clock reports whether s is hh:mm.
func clock(s []byte) bool {
	return len(s) == 5 && allDigits(s[:2]) && s[2] == ':' && allDigits(s[3:])
}
