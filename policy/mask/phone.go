// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package mask

import "encoding/binary"

// appendPhone shows the country code of an international number and its last
// keep digits: "+91-98765 43210" becomes "+91XXXXXX3210". Four digits are shown
// of ten or more national ones, at most a third of fewer, none of fewer than
// seven. Text that is not one number alone is not a phone number here.
func appendPhone(dst, s []byte, keep int) ([]byte, bool) {
	s = trim(s)
	international := len(s) > 0 && s[0] == '+'
	if international {
		s = s[1:]
	}
	var own [16]byte
	d := s
	if len(s) < 8 || len(s) >= len(own) || !eightDigits(s) || !eightDigits(s[len(s)-8:]) {
		if d = phoneDigits(&own, s); d == nil {
			return dst, false
		}
	}
	code := 0
	if international {
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
		dst = append(dst, '+', d[0], d[1], d[2])
		dst = dst[:len(dst)-3+code]
	}
	return append(append(dst, hidden...), national[len(national)-k:]...), true
}

// phoneDigits returns the digits of s between its separators, in own, or nil where it
// holds anything else or sixteen digits and more. No digits at all are not nil.
func phoneDigits(own *[16]byte, s []byte) []byte {
	n := 0
	for _, c := range s {
		k := phoneBytes[c]
		if k == 0 || n == len(own) {
			return nil
		}
		own[n&15] = c // a separator is written over by what comes next
		n += int(k) - 1
	}
	if n == len(own) {
		return nil
	}
	return own[:n]
}

// eightDigits says whether s, eight bytes or more, begins with eight digits.
func eightDigits(s []byte) bool {
	x := binary.LittleEndian.Uint64(s)
	const high, zeros, sixes = 0xF0F0F0F0F0F0F0F0, 0x3030303030303030, 0x0606060606060606
	return x&high == zeros && (x+sixes)&high == zeros
}

// phoneBytes says of the digits of a telephone number 2 and of its separators 1.
var phoneBytes = [256]uint8{
	'0': 2, '1': 2, '2': 2, '3': 2, '4': 2, '5': 2, '6': 2, '7': 2, '8': 2, '9': 2,
	' ': 1, '-': 1, '.': 1, '(': 1, ')': 1, '/': 1,
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
	if twoDigits[10*(d[0]-'0')+d[1]-'0'] {
		return 2
	}
	return 3
}

// twoDigits are the country calling codes of two digits.
var twoDigits = [100]bool{
	20: true, 27: true, 28: true, 30: true, 31: true, 32: true, 33: true, 34: true, 36: true, 39: true,
	40: true, 41: true, 43: true, 44: true, 45: true, 46: true, 47: true, 48: true, 49: true,
	51: true, 52: true, 53: true, 54: true, 55: true, 56: true, 57: true, 58: true,
	60: true, 61: true, 62: true, 63: true, 64: true, 65: true, 66: true,
	81: true, 82: true, 83: true, 84: true, 86: true, 89: true,
	90: true, 91: true, 92: true, 93: true, 94: true, 95: true, 98: true,
}
