// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package mask

import (
	"bytes"
	"unicode"
	"unicode/utf8"
)

// span is a stretch of text, end exclusive.
type span struct{ start, end int }

// Detect appends text to dst with everything that looks like personal data
// replaced by FullText, and returns the number of replacements. With none, dst
// has the text unchanged.
//
// It finds e-mail addresses (also with %40 or a wide @, and with what is quoted before
// it), Indian PANs, and runs of digits, grouped by blanks, dashes, points, slashes and
// brackets or not:
//   - 8 to 15 digits: phone, Aadhaar and social security numbers, some cards;
//   - 16 to 19 digits in one piece that are a payment card by their start and
//     their check digit; other such runs are ids and stay;
//   - more than 15 digits in several groups: several numbers side by side.
//
// A run that touches a letter, of whatever script, or an underscore is taken for part
// of a name unless it has ten digits. Digits and separators of other scripts count.
// Dates, GUIDs, and dotted addresses and decimals with a short part stay; but behind a
// plus, or with a zero and more before the first point, those two are numbers that are
// dialled, as +1.4155552671 and 02.123.45.67 are.
//
// Text with markup is read a second time without its tags and with its
// references undone, and runs that are base64 of other text are read as that
// text; see Search.
func Detect(dst, text []byte) ([]byte, int) { return Search(dst, text, nil) }

// Stands reports whether Detect finds anything in text as it stands, with neither
// markup nor base64 undone.
func Stands(text []byte) bool {
	if !suspect(text) {
		return false
	}
	var buf [8]span
	return len(addNumbers(addPANs(addMails(buf[:0], text), text), text)) > 0
}

// Stretches returns where Detect finds something in text as it stands.
func Stretches(text []byte) []Find { return addFinds(nil, text, nil) }

// suspect is the cheap look before the real one: text with fewer than four
// digits and no @, however wide, nor % holds nothing that Detect finds as it stands.
func suspect(text []byte) bool {
	digits := 0
	for _, c := range text {
		if isDigit(c) || c >= 0x80 {
			if digits++; digits == 4 || c == wideAt[0] {
				return true
			}
		} else if c == '@' || c == '%' {
			return true
		}
	}
	return false
}

const (
	wideAt  = "\uff20" // as keyboards of East Asia write it
	smallAt = "\ufe6b"
)

// atLen returns the length of an @ at i, as it stands, as wide as letters of East Asia are
// or as addresses of pages have it; 0 for none.
func atLen(text []byte, i int) int {
	switch text[i] {
	case '@':
		return 1
	case '%':
		if bytes.HasPrefix(text[i:], []byte("%40")) {
			return len("%40")
		}
	case wideAt[0]:
		if bytes.HasPrefix(text[i:], []byte(wideAt)) || bytes.HasPrefix(text[i:], []byte(smallAt)) {
			return len(wideAt)
		}
	}
	return 0
}

// addMails adds the e-mail addresses of text.
func addMails(out []span, text []byte) []span {
	for i := 0; i < len(text); i++ {
		if c := text[i]; c != '@' && c != '%' && c != wideAt[0] {
			continue
		}
		w := atLen(text, i)
		if w == 0 {
			continue
		}
		start, end := localStart(text, i), i+w
		for end < len(text) && (isWord(text[end]) || text[end] == '-' || text[end] == '.') {
			end++
		}
		for end > i+w && !isWord(text[end-1]) { // the full stop of a sentence
			end--
		}
		if start < i && isMailDomain(text[i+w:end]) {
			out = append(out, span{start, end})
			i = end - 1
		}
	}
	return out
}

// maxQuoted is the length of what is quoted before an @, as mail allows it.
const maxQuoted = 64

// localStart returns where the part of an address begins that ends at i.
func localStart(text []byte, i int) int {
	if i > 1 && text[i-1] == '"' {
		from := max(0, i-2-maxQuoted)
		if open := bytes.LastIndexByte(text[from:i-1], '"'); open >= 0 {
			return from + open
		}
	}
	start := i
	for start > 0 && (isLocal(text[start-1]) || text[start-1] == '%' && isPlus(text[start:i])) {
		start--
	}
	return start
}

// isPlus reports whether s is what stands behind the % of a plus in an address of a page.
func isPlus(s []byte) bool { return len(s) >= 2 && s[0] == '2' && s[1]|0x20 == 'b' }

// isMailDomain reports whether s has a point with two letters or more behind it. The full
// stop of East Asia is one only in front of Latin letters: people end sentences by it.
func isMailDomain(s []byte) bool {
	if dot := bytes.LastIndexByte(s, '.'); dot > 0 && len(s)-dot > 2 {
		return true
	}
	for i := 1; i < len(s); {
		r, w := utf8.DecodeRune(s[i:])
		i += w
		if r == '\u3002' || r == '\uff0e' || r == '\uff61' {
			one, w := utf8.DecodeRune(s[i:])
			two, _ := utf8.DecodeRune(s[i+w:])
			if isLatin(one) && isLatin(two) {
				return true
			}
		}
	}
	return false
}

// isLatin reports whether r is a letter of ASCII, or such a letter as wide as those of
// East Asia are.
func isLatin(r rune) bool {
	if r >= 0xFF01 && r <= 0xFF5E {
		r -= 0xFF01 - '!'
	}
	return r < utf8.RuneSelf && isLetter(byte(r))
}

func isLocal(c byte) bool {
	switch c {
	case '.', '+', '-', '_', '\'', '~', '!', '#', '$', '*':
		return true
	}
	return isWord(c)
}

// isWord reports whether c belongs to a word; bytes of other scripts do.
func isWord(c byte) bool { return isLetter(c) || isDigit(c) || c >= 0x80 }

// startsWord reports whether text begins with what belongs to a word: a letter, a digit
// or a mark of whatever script. Quotes, dashes, blanks and emoji of Unicode do not, or a
// number would hide behind the no-break space in front of it.
func startsWord(text []byte) bool {
	if len(text) == 0 || text[0] < utf8.RuneSelf {
		return len(text) > 0 && isWord(text[0])
	}
	r, _ := utf8.DecodeRune(text)
	return inWord(r)
}

// endsWord is startsWord for the end of text.
func endsWord(text []byte) bool {
	n := len(text)
	if n == 0 || text[n-1] < utf8.RuneSelf {
		return n > 0 && isWord(text[n-1])
	}
	r, _ := utf8.DecodeLastRune(text)
	return inWord(r)
}

// inWord is for characters beyond ASCII. What only says how the one before it looks, as
// behind a telephone that is an emoji, is no mark of a word.
func inWord(r rune) bool {
	return unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r) && !unicode.Is(unicode.Variation_Selector, r)
}

// addPANs adds the Indian permanent account numbers of text: five letters, the
// fourth of which is a holder type, four digits, a letter.
func addPANs(out []span, text []byte) []span {
	for i := 0; i+10 <= len(text); i++ {
		if !isLetter(text[i]) || endsWord(text[:i]) {
			continue
		}
		if isPAN(text[i:i+10]) && !startsWord(text[i+10:]) {
			out = append(out, span{i, i + 10})
			i += 9
		}
	}
	return out
}

// isPAN reports whether s has the shape of an Indian PAN, in either case.
func isPAN(s []byte) bool {
	return len(s) == 10 && isHolder(s[3]) && isDigit(s[5]) && isDigit(s[6]) && isDigit(s[7]) && isDigit(s[8]) &&
		isLetter(s[0]) && isLetter(s[1]) && isLetter(s[2]) && isLetter(s[4]) && isLetter(s[9])
}

// isHolder reports whether c, in either case, is a type of holder.
func isHolder(c byte) bool {
	const all = 1<<('A'-'A') | 1<<('B'-'A') | 1<<('C'-'A') | 1<<('F'-'A') | 1<<('G'-'A') | 1<<('H'-'A') | 1<<('J'-'A') |
		1<<('L'-'A') | 1<<('P'-'A') | 1<<('T'-'A')
	return isLetter(c) && all>>(c&^0x20-'A')&1 == 1
}
