// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package mask

import (
	"bytes"
	"html"
	"unicode"
	"unicode/utf8"
)

// reading is a way to read a text.
type reading uint8

const (
	asShown  reading = 0         // as a page shows it, but for blanks, which stay
	sections reading = 1 << iota // sections of character data are what is in them, and nothing for pages
	spaced                       // each row of blanks is one space
)

// addMarked adds what is found in text read without its markup.
func (s *scratch) addMarked(out []Find, text []byte, known Known) []Find {
	s.read(text, known != nil, func(how reading) {
		n := len(out)
		if how&spaced == 0 {
			out = addFinds(out, s.text, known)
		} else { // the numbers of two lines are no telephone number
			out = append(out, known.Finds(s.text)...)
		}
		for i := n; i < len(out); i++ {
			f := &out[i]
			f.Start, f.End = int(s.at[f.Start]), int(s.to[f.End-1])
		}
	})
	return out
}

// read calls f for each way to read a text that is another one than how it stands. Known values are looked for
// in more of them.
func (s *scratch) read(text []byte, known bool, f func(reading)) {
	parted := bytes.Contains(text, cdata)
	if s.strip(text, asShown) {
		f(asShown)
	} else if !parted && (!known || !Unseen(text)) {
		return
	}
	if known && s.strip(text, spaced) {
		f(spaced)
	}
	if parted && s.strip(text, sections) {
		f(sections)
	}
	if parted && known && s.strip(text, sections|spaced) {
		f(sections | spaced)
	}
}

var cdata, cdataEnd = []byte("<![CDATA["), []byte("]]>")

// strip reads text the way a page shows it, and reports whether that is anything
// else than what is written. Tags vanish; those that begin a block or a cell, or end
// one, become a line's end. References to characters become the characters, and those that nobody sees vanish.
func (s *scratch) strip(text []byte, how reading) bool {
	s.text, s.at, s.to = s.text[:0], s.at[:0], s.to[:0]
	changed := false
	for i := 0; i < len(text); {
		c, n := text[i], 0
		switch {
		case c == '<':
			if n = markLen(text[i:], how); n > 0 && isBlock(text[i:i+n]) {
				s.add('\n', i, n, asShown)
			}
		case c == ']' && how&sections != 0 && bytes.HasPrefix(text[i:], cdataEnd):
			n = len(cdataEnd)
		case c == '&':
			var chars string
			if chars, n = reference(text[i:]); n > 0 {
				s.addAll(chars, i, n, how)
			}
		case c >= utf8.RuneSelf:
			if n = unseenLen(text[i:]); n == 0 && how&spaced != 0 {
				if n = blankLen(text[i:]); n > 0 {
					s.add(' ', i, n, how)
				}
			}
		}
		if n > 0 {
			changed = true
			i += n
			continue
		}
		if how&spaced != 0 && blankLen(text[i:i+1]) > 0 {
			c = ' '
			changed = changed || text[i] != c || len(s.text) > 0 && s.text[len(s.text)-1] == c
		}
		s.add(c, i, 1, how)
		i++
	}
	return changed
}

// addAll adds what a reference stands for.
func (s *scratch) addAll(chars string, at, n int, how reading) {
	for k, r := range chars {
		switch {
		case unicode.Is(unseen, r):
		case how&spaced != 0 && unicode.IsSpace(r):
			s.add(' ', at, n, how)
		default:
			for _, c := range []byte(chars[k : k+utf8.RuneLen(r)]) {
				s.add(c, at, n, how)
			}
		}
	}
}

// add adds a byte that stands for the n bytes at a place. A space behind another one is
// the same.
func (s *scratch) add(c byte, at, n int, how reading) {
	if last := len(s.text) - 1; how&spaced != 0 && c == ' ' && last >= 0 && s.text[last] == ' ' {
		s.to[last] = int32(at + n)
		return
	}
	s.text, s.at, s.to = append(s.text, c), append(s.at, int32(at)), append(s.to, int32(at+n))
}

// markLen is tagLen, and the length of what a section of character data begins with, where
// such are read.
func markLen(text []byte, how reading) int {
	if how&sections != 0 && bytes.HasPrefix(text, cdata) {
		return len(cdata)
	}
	return tagLen(text)
}

// maxTag is the length of a tag or comment that is known as one. A text of a thousand
// beginnings would take a thousand looks at all of it otherwise.
const maxTag = 4 << 10

// tagLen returns the length of the tag, comment or processing instruction that text starts with, 0 for none.
func tagLen(text []byte) int {
	if len(text) < 3 || !BeginsTag(text[1]) {
		return 0
	}
	text = text[:min(len(text), maxTag)]
	switch {
	case bytes.HasPrefix(text, []byte("<!--")):
		// Pages end a comment at --!> too, and at <!--> and <!--->.
		end := bytes.Index(text, []byte("-->"))
		if other := bytes.Index(text, []byte("--!>")); other >= 0 && (end < 0 || other < end) {
			return other + 4
		}
		if end >= 0 {
			return end + 3
		}
	case text[1] != '!' && text[1] != '?':
		if end := quotedLen(text); end > 0 {
			return end
		}
	}
	return bytes.IndexByte(text, '>') + 1
}

// BeginsTag reports whether c, behind <, begins a tag or what else pages and readers of XML do not show.
func BeginsTag(c byte) bool {
	return isLetter(c) || c == '/' || c == '!' || c == '?' || c == '_' || c >= utf8.RuneSelf
}

// quotedLen returns the length of a tag, in which a quoted value may have a > of its own; 0 where
// it does not end. A quote begins a value behind an equals sign alone.
func quotedLen(tag []byte) int {
	value := false // an equals sign was read, and nothing but blanks behind it
	for i := 1; i < len(tag); i++ {
		switch c := tag[i]; {
		case c == '>':
			return i + 1
		case (c == '"' || c == '\'') && value:
			end := bytes.IndexByte(tag[i+1:], c)
			if end < 0 {
				return 0
			}
			i += end + 1
			value = false
		case c == '=':
			value = true
		case blankLen(tag[i:i+1]) == 0:
			value = false
		}
	}
	return 0
}

// tagName returns the name in a tag.
func tagName(tag []byte) []byte {
	name := bytes.TrimPrefix(tag[1:], []byte("/"))
	n := 0
	for n < len(name) && (isLetter(name[n]) || isDigit(name[n])) {
		n++
	}
	return name[:n]
}

// blocks are the elements whose text stands apart from what is around it.
var blocks = map[string]bool{
	"p": true, "div": true, "br": true, "hr": true, "li": true, "ul": true, "ol": true, "dl": true, "dt": true, "dd": true,
	"table": true, "tr": true, "td": true, "th": true, "tbody": true, "thead": true, "tfoot": true, "caption": true,
	"h1": true, "h2": true, "h3": true, "h4": true, "h5": true, "h6": true, "pre": true, "blockquote": true,
	"section": true, "article": true, "header": true, "footer": true, "nav": true, "aside": true, "main": true,
	"form": true, "fieldset": true, "option": true, "select": true, "body": true, "html": true, "head": true, "title": true,
	"address": true, "figure": true, "figcaption": true, "details": true, "summary": true,
}

// Block reports whether an element, by its name in lower case, is one whose text stands apart.
func Block(name string) bool { return blocks[name] }

func isBlock(tag []byte) bool {
	var buf [10]byte
	name := tagName(tag)
	if len(name) == 0 || len(name) > len(buf) {
		return false
	}
	for i, c := range name {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		buf[i] = c
	}
	return blocks[string(buf[:len(name)])]
}

// appendTags appends the tags of text that are a name and nothing more: those that
// open what is closed elsewhere, or close it.
func appendTags(dst, text []byte) []byte {
	for {
		i := bytes.IndexByte(text, '<')
		if i < 0 {
			return dst
		}
		text = text[i:]
		n := tagLen(text)
		if n == 0 {
			text = text[1:]
			continue
		}
		if name := tagName(text[:n]); len(name) > 0 && len(name) <= 10 && isLetter(name[0]) && !hasDigits(name, 2) &&
			(n == len(name)+2 || n == len(name)+3 && text[1] == '/') {
			dst = append(dst, text[:n]...)
		}
		text = text[n:]
	}
}

func hasDigits(text []byte, n int) bool {
	for _, c := range text {
		if isDigit(c) {
			n--
		}
	}
	return n <= 0
}

// reference reads the reference to a character that text starts with, as pages do:
// by number, or by name. It returns its length, 0 for none.
func reference(text []byte) (string, int) {
	if len(text) < 3 {
		return "", 0
	}
	end := 1
	for end < len(text) && end < 32 && (isLetter(text[end]) || isDigit(text[end]) || text[end] == '#' && end == 1) {
		end++
	}
	if end < len(text) && text[end] == ';' {
		end++
	}
	ref := text[:end]
	switch string(ref) {
	case "&amp;":
		return "&", end
	case "&nbsp;":
		return "\u00a0", end
	case "&lt;":
		return "<", end
	case "&gt;":
		return ">", end
	case "&quot;":
		return `"`, end
	case "&#39;", "&apos;":
		return "'", end
	}
	if end < 3 {
		return "", 0
	}
	written := string(ref)
	meant := html.UnescapeString(written)
	if meant == written {
		return "", 0
	}
	// A reference without its semicolon may be followed by letters, which stay.
	rest := 0
	for rest < len(meant) && rest < len(written) && meant[len(meant)-1-rest] == written[len(written)-1-rest] && written[len(written)-1-rest] != ';' {
		rest++
	}
	_, w := utf8.DecodeRuneInString(meant)
	rest = min(rest, len(meant)-w)
	return meant[:len(meant)-rest], end - rest
}
