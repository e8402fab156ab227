// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package jsonmask

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// scanner reads the tokens of strict JSON (RFC 8259, and RFC 7493 in that lone
// surrogates and bytes that are not UTF-8 are refused) from a window of the
// body. Every method takes an index into the window and returns the index
// behind what it read; errShort means that the window ended first.
type scanner struct {
	in    []byte
	final bool  // the body ends where the window ends
	base  int64 // offset of in[0] in the body

	ends    bitmap // of what ends plain text in the window
	hints   bitmap // of what personal data has, where it is looked for
	hinting bool
}

func (s *scanner) syntax(i int, what string) error {
	return &SyntaxError{Offset: s.base + int64(i), What: what}
}

func (s *scanner) shape(i int, what string) error {
	return &ShapeError{Offset: s.base + int64(i), What: what}
}

// unlike is the error for a value at i that is not what was declared, or for
// something at i that is no value at all.
func (s *scanner) unlike(i int, what string) error {
	switch c := s.in[i]; {
	case c == '{', c == '[', c == '"', c == '-', '0' <= c && c <= '9', c == 't', c == 'f', c == 'n':
		return s.shape(i, what)
	}
	return s.syntax(i, "value expected")
}

func (s *scanner) limit(i int, what string, limit int) error {
	return &LimitError{Offset: s.base + int64(i), What: what, Limit: limit}
}

// short is the error for a window that ends too early.
func (s *scanner) short() error {
	if s.final {
		return s.syntax(len(s.in), "unexpected end")
	}
	return errShort
}

// ws skips white space and requires a byte behind it.
func (s *scanner) ws(i int) (int, error) {
	for ; i < len(s.in); i++ {
		switch s.in[i] {
		case ' ', '\n', '\t', '\r':
		default:
			return i, nil
		}
	}
	return i, s.short()
}

const (
	lows  = 0x0101010101010101
	highs = 0x8080808080808080
)

// plainEnd returns the index of the first byte from i on that is more than
// plain ASCII text in a string: a quote, a backslash, a control character, a
// byte of a longer character, or the end of the window.
func plainEnd(in []byte, i int) int {
	for ; i <= len(in)-8; i += 8 {
		x := binary.LittleEndian.Uint64(in[i:])
		// Flipping the second bit brings the quote to 0x20, right above the control
		// characters, and nothing else below 0x21. What is not ASCII keeps its high
		// bit in one of the two. The lowest marked byte is right; bitmap above it may
		// be borrows.
		m := ((x ^ 0x02*lows - 0x21*lows) | (x ^ '\\'*lows - lows)) & highs
		if m != 0 {
			return i + bits.TrailingZeros64(m)/8
		}
	}
	for ; i < len(in); i++ {
		if c := in[i]; c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			break
		}
	}
	return i
}

// str reads the string whose opening quote is at i.
func (s *scanner) str(i int) (end int, escaped bool, err error) {
	return s.strFrom(s.plain(i + 1))
}

// strFrom reads the rest of a string from i on.
func (s *scanner) strFrom(i int) (end int, escaped bool, err error) {
	in := s.in
	for i < len(in) {
		switch c := in[i]; {
		case c == '"':
			return i + 1, escaped, nil
		case c == '\\':
			escaped = true
			if i+1 < len(in) && short[in[i+1]] {
				i = s.plain(i + 2)
				continue
			}
			if i, err = s.escape(i); err != nil {
				return i, escaped, err
			}
		case c < ' ':
			return i, escaped, s.syntax(i, "control character in a string")
		case c < utf8.RuneSelf:
			i = s.plain(i + 1)
		default:
			r, w := utf8.DecodeRune(in[i:])
			if r == utf8.RuneError && w <= 1 {
				if !utf8.FullRune(in[i:]) {
					return i, escaped, s.short()
				}
				return i, escaped, s.syntax(i, "bytes that are not UTF-8")
			}
			i += w
		}
	}
	return i, escaped, s.short()
}

// short are the bytes that are an escape sequence behind a backslash.
var short = [256]bool{'"': true, '\\': true, '/': true, 'b': true, 'f': true, 'n': true, 'r': true, 't': true}

// escape reads the escape sequence at i, both halves of a surrogate pair.
func (s *scanner) escape(i int) (int, error) {
	if i+1 >= len(s.in) {
		return i, s.short()
	}
	switch s.in[i+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 2, nil
	case 'u':
	default:
		return i, s.syntax(i, "unknown escape")
	}
	u, err := s.hex(i + 2)
	if err != nil || u < 0xD800 || u > 0xDFFF {
		return i + 6, err
	}
	if u > 0xDBFF {
		return i, s.syntax(i, "lone surrogate")
	}
	for k, c := range []byte(`\u`) {
		if i+6+k >= len(s.in) {
			return i, s.short()
		}
		if s.in[i+6+k] != c {
			return i, s.syntax(i, "lone surrogate")
		}
	}
	low, err := s.hex(i + 8)
	if err != nil {
		return i, err
	}
	if low < 0xDC00 || low > 0xDFFF {
		return i, s.syntax(i, "lone surrogate")
	}
	return i + 12, nil
}

func (s *scanner) hex(i int) (rune, error) {
	var u rune
	for k := i; k < i+4; k++ {
		if k >= len(s.in) {
			return 0, s.short()
		}
		switch c := s.in[k]; {
		case '0' <= c && c <= '9':
			u = u<<4 | rune(c-'0')
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			u = u<<4 | rune(c|0x20-'a'+10)
		default:
			return 0, s.syntax(k, "four hexadecimal digits expected")
		}
	}
	return u, nil
}

// number reads the number at i.
func (s *scanner) number(i int) (int, error) {
	in := s.in
	if i < len(in) && in[i] == '-' {
		i++
	}
	switch {
	case i >= len(in):
		return i, s.short()
	case in[i] == '0':
		i++
	case '1' <= in[i] && in[i] <= '9':
		i = digits(in, i)
	default:
		return i, s.syntax(i, "digit expected")
	}
	if i < len(in) && in[i] == '.' {
		start := i + 1
		if i = digits(in, start); i == start {
			return s.noDigit(i)
		}
	}
	if i < len(in) && in[i]|0x20 == 'e' {
		i++
		if i < len(in) && (in[i] == '+' || in[i] == '-') {
			i++
		}
		start := i
		if i = digits(in, start); i == start {
			return s.noDigit(i)
		}
	}
	if i == len(in) && !s.final {
		return i, errShort
	}
	return i, nil
}

func (s *scanner) noDigit(i int) (int, error) {
	if i >= len(s.in) {
		return i, s.short()
	}
	return i, s.syntax(i, "digit expected")
}

func digits(in []byte, i int) int {
	for i < len(in) && '0' <= in[i] && in[i] <= '9' {
		i++
	}
	return i
}

// literal reads true, false or null at i.
func (s *scanner) literal(i int) (int, error) {
	word := "null"
	switch s.in[i] {
	case 't':
		word = "true"
	case 'f':
		word = "false"
	case 'n':
	default:
		return i, s.syntax(i, "value expected")
	}
	for k := range len(word) {
		if i+k >= len(s.in) {
			return i, s.short()
		}
		if s.in[i+k] != word[k] {
			return i, s.syntax(i, "value expected")
		}
	}
	return i + len(word), nil
}

// scalar reads the string, number or literal at i.
func (s *scanner) scalar(i int) (int, error) {
	switch c := s.in[i]; {
	case c == '"':
		end, _, err := s.str(i)
		return end, err
	case c == '-' || '0' <= c && c <= '9':
		return s.number(i)
	}
	return s.literal(i)
}
