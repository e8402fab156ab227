// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package mask

import (
	"encoding/base64"
	"unicode"
	"unicode/utf8"
)

// shortestRun is the length of the shortest run of base64 that is read: twelve bytes.
const shortestRun = 16

// LongRun reports whether text has a run of base64 that Detect reads: sixteen
// characters or more, with a digit among them or an equals sign behind them, so that
// it is not merely a long word.
func LongRun(text []byte) bool {
	start, end := nextRun(text, 0)
	return start < end
}

// nextRun returns the first such run that starts at i or behind it; an empty one means
// that there is none. A run of that length covers one of the places looked at.
func nextRun(text []byte, i int) (start, end int) {
	for k := i + shortestRun - 1; k < len(text); k += shortestRun {
		if !isCoded(text[k]) {
			continue
		}
		start, end = runAround(text, k)
		if end-start >= shortestRun && (end < len(text) && text[end] == '=' || hasDigits(text[start:end], 1)) {
			return start, end
		}
		k = max(k, end)
	}
	return 0, 0
}

func runAround(text []byte, i int) (start, end int) {
	for start = i; start > 0 && isCoded(text[start-1]); start-- {
	}
	for end = i + 1; end < len(text) && isCoded(text[end]); end++ {
	}
	return start, end
}

// isCoded reports whether c is a character of base64, of either alphabet.
func isCoded(c byte) bool {
	return isLetter(c) || isDigit(c) || c == '+' || c == '/' || c == '-' || c == '_'
}

// addCoded adds the runs of base64 whose meaning holds something to be found.
func (s *scratch) addCoded(out []Find, text []byte, known Known) []Find {
	for i := 0; ; {
		start, end := nextRun(text, i)
		if i = end; start == end {
			return out
		}
		if !s.decode(text[start:end]) {
			continue
		}
		var buf [8]Find
		for _, f := range addFinds(buf[:0], s.coded, known) {
			if f.Value >= 0 || !isStamp(s.coded[f.Start:f.End]) { // which every signed token has in it
				out = append(out, Find{Start: start, End: end, Value: -1})
				break
			}
		}
	}
}

// decode undoes base64, of either alphabet, and reports whether that is text.
func (s *scratch) decode(run []byte) bool {
	if len(run)%4 == 1 {
		return false
	}
	s.coded = append(s.coded[:0], run...)
	for i, c := range s.coded {
		switch c {
		case '-':
			s.coded[i] = '+'
		case '_':
			s.coded[i] = '/'
		}
	}
	// The first bytes say of most runs that they are something else.
	var head [12]byte
	if _, err := base64.RawStdEncoding.Decode(head[:], s.coded[:shortestRun]); err != nil || !isText(head[:], true) {
		return false
	}
	n, err := base64.RawStdEncoding.Decode(s.coded, s.coded)
	s.coded = s.coded[:n]
	return err == nil && isText(s.coded, false)
}

// isText reports whether b is UTF-8 that can be read; cut says that it may end
// within a character.
func isText(b []byte, cut bool) bool {
	for len(b) > 0 {
		r, w := utf8.DecodeRune(b)
		if r == utf8.RuneError && w <= 1 {
			return cut && !utf8.FullRune(b)
		}
		if !unicode.IsPrint(r) && r != '\n' && r != '\r' && r != '\t' && r != '\u00a0' {
			return false
		}
		b = b[w:]
	}
	return true
}
