// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package xlsxmask

import (
	"bytes"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// escaped is a character written by its number in a string of a workbook
// (ST_Xstring, ECMA-376 part 1, 22.9.2.19). Left alone, a telephone number written
// so is none to whoever looks for one, and is shown as one.
var escaped = regexp.MustCompile(`_x[0-9A-Fa-f]{4}_`)

// unescape returns what a program shows of a string.
func unescape(s []byte) []byte {
	if !bytes.Contains(s, []byte("_x")) {
		return s
	}
	var out bytes.Buffer
	high := rune(-1) // the first half of a character
	flush := func() {
		if high >= 0 {
			out.WriteRune(utf8.RuneError)
			high = -1
		}
	}
	from := 0
	for _, at := range escaped.FindAllIndex(s, -1) {
		if at[0] > from {
			flush()
			out.Write(s[from:at[0]])
		}
		from = at[1]
		n, _ := strconv.ParseUint(string(s[at[0]+2:at[0]+6]), 16, 16)
		r := rune(n)
		if high >= 0 {
			if both := utf16.DecodeRune(high, r); both != utf8.RuneError {
				out.WriteRune(both)
				high = -1
				continue
			}
		}
		flush()
		if r >= 0xD800 && r < 0xDC00 {
			high = r
			continue
		}
		out.WriteRune(r) // the second half alone becomes U+FFFD
	}
	flush()
	out.Write(s[from:])
	return out.Bytes()
}

// itself are the bytes that stand for themselves in a string of a workbook.
var itself = func() (is [256]bool) {
	for c := ' '; c < utf8.RuneSelf; c++ {
		is[c] = !strings.ContainsRune(`_&<>"`, c)
	}
	return is
}()

// appendText appends a text as a string of a workbook is written in XML.
func appendText(dst, s []byte) []byte {
	for i := 0; i < len(s); {
		from := i
		for i < len(s) && itself[s[i]] {
			i++
		}
		if dst = append(dst, s[from:i]...); i == len(s) {
			break
		}
		r, n := utf8.DecodeRune(s[i:])
		switch {
		case r == '_' && len(s)-i >= 7 && s[i+1] == 'x' && escaped.Match(s[i:i+7]):
			dst = append(dst, "_x005F_"...)
		case r == '&':
			dst = append(dst, "&amp;"...)
		case r == '<':
			dst = append(dst, "&lt;"...)
		case r == '>':
			dst = append(dst, "&gt;"...)
		case r == '"':
			dst = append(dst, "&quot;"...)
		case r < ' ' && r != '\t' && r != '\n' || r == 0xFFFE || r == 0xFFFF:
			dst = append(dst, "_x"...)
			for shift := 12; shift >= 0; shift -= 4 {
				dst = append(dst, "0123456789ABCDEF"[r>>shift&15])
			}
			dst = append(dst, '_')
		case r == utf8.RuneError && n == 1:
			dst = append(dst, "\uFFFD"...)
		default:
			dst = append(dst, s[i:i+n]...)
		}
		i += n
	}
	return dst
}

// number returns a number as it is written out, and whether it is one.
func number(s []byte) ([]byte, bool) {
	whole, plain := len(s) <= 40, len(s) <= 16
	point := -1
	for i, c := range s {
		switch {
		case c >= '0' && c <= '9':
			continue
		case c == '.' && point < 0:
			point = i
		case c != '+' && c != '-' && c != '.' && c != 'e' && c != 'E':
			return nil, false
		default:
			plain = false
		}
		whole = false
	}
	if len(s) == 0 {
		return nil, false
	}
	// No more digits of an id are lost than it came without; and one with so few
	// digits, and none too many, is written as it is.
	if whole || plain && point > 0 && point < len(s)-1 && (s[0] != '0' || point == 1) && s[len(s)-1] != '0' {
		return s, true
	}
	f, err := strconv.ParseFloat(string(s), 64)
	if err != nil {
		return nil, false
	}
	out := strconv.AppendFloat(nil, f, 'f', -1, 64)
	if len(out) > 40 {
		out = strconv.AppendFloat(out[:0], f, 'E', -1, 64)
	}
	return out, true
}

var (
	// bracketWords are parts of a number format that say no text of its maker's,
	// plainLetters all others.
	bracketWords = regexp.MustCompile(`(?i)\[(h+|m+|s+|black|blue|cyan|green|magenta|red|white|yellow|\$[^\]"0-9a-z-]{0,2}-[0-9a-f]{1,6})\]`)
	plainLetters = regexp.MustCompile(`^([ymdhsYMDHSE/0#?.,:;_()*+ %@-]|AM/PM|am/pm|A/P|General|\\[ ,./:()$-]|"[^"0-9A-Za-z\\]{1,2}")*$`)
	quotedText   = regexp.MustCompile(`"[^"]*"`)
)

// plainCode says whether a number format holds nothing but how numbers are
// written: a text in it is shown in place of whatever the cell holds.
func plainCode(code string) bool {
	code = bracketWords.ReplaceAllString(code, "")
	return code != "" && len(code) <= 255 && plainLetters.MatchString(code) && len(quotedText.FindAllString(code, -1)) <= 4
}

// showsDate says whether a plain code shows a date or a time.
func showsDate(code string) bool {
	code = strings.ReplaceAll(quotedText.ReplaceAllString(code, ""), "General", "")
	return strings.ContainsAny(code, "ymdhsYMDHS") && !strings.ContainsAny(code, "#?")
}
