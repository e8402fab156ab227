// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package mask

import (
	"bytes"
	"math"
	"strconv"
	"strings"
)

// appendAmount masks a number written as text: round gives the nearest step,
// bucket the range the number falls in, "40000-50000". Text that is no plain
// number is masked fully.
func (f *Func) appendAmount(dst, text []byte) ([]byte, bool) {
	s := string(bytes.TrimSpace(text))
	if !plainNumber(s) {
		return dst, false
	}
	if f.kind == round {
		return f.appendNumber(dst, s)
	}
	lo, ok := f.lower(s)
	if !ok {
		return dst, false
	}
	out, ok := appendFloat(dst, lo)
	if !ok {
		return dst, false
	}
	return appendFloat(append(out, '-'), lo+f.step)
}

// appendNumber appends the rounded number, or the lower end of its bucket.
func (f *Func) appendNumber(dst []byte, s string) ([]byte, bool) {
	lo, ok := f.lower(s)
	if !ok {
		return dst, false
	}
	if f.kind == round {
		x, _ := strconv.ParseFloat(s, 64)
		lo = math.Round(x/f.step) * f.step
	}
	return appendFloat(dst, lo)
}

func (f *Func) lower(s string) (float64, bool) {
	x, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsInf(x, 0) || math.IsNaN(x) {
		return 0, false
	}
	return math.Floor(x/f.step) * f.step, true
}

func appendFloat(dst []byte, x float64) ([]byte, bool) {
	if math.IsInf(x, 0) || math.IsNaN(x) || math.Abs(x) > 1e18 {
		return dst, false
	}
	if x == 0 {
		x = 0 // no "-0"
	}
	// Twelve significant digits: multiples of a step such as 0.1 come out as
	// people write them.
	y, err := strconv.ParseFloat(strconv.FormatFloat(x, 'g', 12, 64), 64)
	if err != nil {
		return dst, false
	}
	return strconv.AppendFloat(dst, y, 'f', -1, 64), true
}

// plainNumber reports whether s is digits with at most one point and a sign:
// no exponent, no hexadecimal, nothing strconv takes beyond that.
func plainNumber(s string) bool {
	s = strings.TrimPrefix(s, "-")
	whole, frac, point := strings.Cut(s, ".")
	return allDigits(whole) && (!point || allDigits(frac))
}

func allDigits[T string | []byte](s T) bool {
	for i := range len(s) {
		if !isDigit(s[i]) {
			return false
		}
	}
	return len(s) > 0
}
