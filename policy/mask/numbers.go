// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package mask

import (
	"unicode"
	"unicode/utf8"
)

// run is a run of digits with separators between them.
type run struct {
	span
	digits []byte // at most 20 of them, as ASCII
	count  int
	groups int
	dots   int  // separators that are one plain point
	other  int  // all other separators
	first  int  // digits before the first separator
	last   int  // digits after the last separator
	word   bool // touches a letter or an underscore
	script bool // has digits of another script, whose check digit is not read
	called bool // begins as what is dialled does: with a plus, or with a zero and more
	high   bool // has a group of three digits above 255
}

// addNumbers adds the runs of digits that may be somebody's number.
func addNumbers(out []span, text []byte) []span { return addRuns(out, text, false) }

// addRuns adds the runs of digits that may be somebody's number, or any that may be
// compared with one.
func addRuns(out []span, text []byte, all bool) []span {
	var buf [20]byte
	for i := 0; i < len(text); {
		c := text[i]
		if c < utf8.RuneSelf && !isDigit(c) {
			if n := guidLen(text, i); n > 0 {
				i += n
				continue
			}
			i++
			continue
		}
		if n := max(guidLen(text, i), plainDate(text, i)); n > 0 {
			i += n
			continue
		}
		if _, w := digitAt(text, i); w == 0 {
			_, w = utf8.DecodeRune(text[i:])
			i += w
			continue
		}
		r := readRun(text, i, buf[:0])
		if all && r.count >= alike && (!r.word || r.count >= 10) || !all && r.personal() {
			start := r.start
			if start > 0 && text[start-1] == '+' {
				start--
			}
			out = append(out, span{start, r.end})
		}
		i = r.end
	}
	return out
}

// readRun reads the run of digits that starts at i.
func readRun(text []byte, i int, buf []byte) run {
	r := run{span: span{i, i}, digits: buf, groups: 1}
	r.word = i > 0 && (endsWord(text[:i]) || text[i-1] == '_')
	group := 0 // what the digits since the last separator say, while they are three
	for {
		d, w := digitAt(text, i)
		if w > 0 {
			if len(r.digits) < cap(r.digits) {
				r.digits = append(r.digits, d)
			}
			r.count++
			r.script = r.script || d == 0
			if r.last++; r.last <= 3 && d != 0 {
				group = 10*group + int(d-'0')
			}
			if r.groups == 1 {
				r.first++
			}
			i += w
			r.end = i
			continue
		}
		gap := gapLen(text, i)
		if gap == 0 {
			break
		}
		if gap == 1 && text[i] == '.' {
			r.dots++
		} else {
			r.other++
		}
		if plainDate(text, i+gap) > 0 {
			break
		}
		i += gap
		r.groups++
		r.high = r.high || r.last == 3 && group > 255
		r.last, group = 0, 0
	}
	r.high = r.high || r.last == 3 && group > 255
	r.called = r.start > 0 && text[r.start-1] == '+' || r.first > 1 && r.digits[0] == '0' && !isSecond(text, r.start)
	r.word = r.word || r.end < len(text) && (startsWord(text[r.end:]) || text[r.end] == '_')
	return r
}

// isSecond reports whether what stands at i is behind a colon and a digit, as the
// seconds of a time of day are.
func isSecond(text []byte, i int) bool { return i > 1 && text[i-1] == ':' && isDigit(text[i-2]) }

// personal reports whether the run may be somebody's number.
func (r *run) personal() bool {
	switch {
	case r.count < 8, r.word && r.count < 10:
		return false
	case r.dots == 1 && r.other == 0 && (r.first <= 3 && !r.called || r.last <= 2): // a decimal: 12.9715987, 1234567.89
		return false
	case r.dots == 3 && r.other == 0 && r.first <= 3 && r.last <= 3 && r.count <= 12 && !r.called && !r.high: // a dotted address
		return false
	case r.groups == 1 && r.count > 15:
		return r.script || r.count <= 19 && isCard(r.digits)
	}
	return true
}

// digitAt returns the ASCII digit at i, 0 for a digit of another script, and its
// width in bytes; width 0 means that there is none.
func digitAt(text []byte, i int) (byte, int) {
	if i >= len(text) {
		return 0, 0
	}
	if isDigit(text[i]) {
		return text[i], 1
	}
	if text[i] < utf8.RuneSelf {
		return 0, 0
	}
	if r, w := utf8.DecodeRune(text[i:]); unicode.Is(unicode.Nd, r) {
		return 0, w
	}
	return 0, 0
}

const (
	maxSeparators = 4 // that may stand between two digits, as in "(415) - 555"
	maxGap        = 8 // of them, and of characters that nobody sees
)

// gapLen returns the length of the separators at i when a digit follows them: up to
// four that are seen, and the invisible ones that come with copied text. 0 means that
// the run ends.
func gapLen(text []byte, i int) int {
	start, n := i, 0
	for range maxGap {
		if i >= len(text) {
			return 0
		}
		r, w := rune(text[i]), 1
		if r >= utf8.RuneSelf {
			r, w = utf8.DecodeRune(text[i:])
		}
		switch {
		case r >= utf8.RuneSelf && invisible(r):
		case separates(r) && n < maxSeparators:
			n++
		default:
			return 0
		}
		i += w
		if _, w := digitAt(text, i); w > 0 {
			return i - start
		}
	}
	return 0
}

// separates reports whether r is written between the digits of a number: blanks, dashes,
// points, slashes and brackets, of ASCII, as wide as letters of East Asia are, and those
// that look like them.
func separates(r rune) bool {
	switch r {
	case ' ', '-', '.', '/', '(', ')', '[', ']', '\u00a0', '\u00b7', '\u202f', '\u205f', '\u2212':
		return true
	case '\u3000', '\u30fb', '\u30fc', '\ufe63', '\uff08', '\uff09', '\uff0d', '\uff0e', '\uff0f', '\uff3b', '\uff3d', '\uff65', '\uff70':
		return true
	}
	return '\u2000' <= r && r <= '\u200a' || '\u2010' <= r && r <= '\u2015'
}

// invisible reports whether r says nothing between digits: nobody sees it, or it makes an
// emoji of one.
func invisible(r rune) bool { return r == '\u20e3' || unicode.Is(unseen, r) }

// plainDate returns the length of a date at i that no further digit touches.
func plainDate(text []byte, i int) int {
	if i >= len(text) || endsWord(text[:i]) {
		return 0
	}
	n := dateLen(text[i:])
	if n > 0 && i+n < len(text) && isDigit(text[i+n]) {
		return 0
	}
	return n
}

// guidLen returns the length of a GUID at i, 0 for none.
func guidLen(text []byte, i int) int {
	const n = 36
	if i+n > len(text) || endsWord(text[:i]) || startsWord(text[i+n:]) {
		return 0
	}
	for k := range n {
		c := text[i+k]
		if k == 8 || k == 13 || k == 18 || k == 23 {
			if c != '-' {
				return 0
			}
		} else if !isDigit(c) && (c|0x20 < 'a' || c|0x20 > 'f') {
			return 0
		}
	}
	return n
}

// isCard reports whether d has the start and the check digit of a payment card.
func isCard(d []byte) bool {
	if d[0] < '2' || d[0] > '6' {
		return false
	}
	sum := 0
	for i := range d {
		v := int(d[len(d)-1-i] - '0')
		if i%2 == 1 {
			if v *= 2; v > 9 {
				v -= 9
			}
		}
		sum += v
	}
	return sum%10 == 0
}
