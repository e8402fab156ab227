// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package mask

import (
	"bytes"
	"html"
	"unicode/utf8"
)

// addMarked adds what is found in text read without its markup.
func (s *scratch) addMarked(out []Find, text []byte, known Known) []Find {
	if !s.strip(text) {
		return out
	}
	n := len(out)
	out = addFinds(out, s.text, known)
	for i := n; i < len(out); i++ {
		f := &out[i]
		f.Start, f.End = int(s.at[f.Start]), int(s.to[f.End-1])
	}
	return out
}

// strip reads text the way a page shows it, and reports whether that is anything
// else than what is written. Tags vanish; those that begin a block or a cell, or end
// one, become a line's end. References to characters become the characters.
func (s *scratch) strip(text []byte) bool {
	s.text, s.at, s.to = s.text[:0], s.at[:0], s.to[:0]
	changed := false
	for i := 0; i < len(text); {
		n := 1
		switch text[i] {
		case '<':
			if n = tagLen(text[i:]); n == 0 {
				n = 1
				break
			}
			changed = true
			if isBlock(text[i : i+n]) {
				s.add('\n', i, n)
			}
			i += n
			continue
		case '&':
			if chars, n := reference(text[i:]); n > 0 {
				changed = true
				for k := range len(chars) {
					s.add(chars[k], i, n)
				}
				i += n
				continue
			}
		}
		s.add(text[i], i, n)
		i++
	}
	return changed
}

func (s *scratch) add(c byte, at, n int) {
	s.text, s.at, s.to = append(s.text, c), append(s.at, int32(at)), append(s.to, int32(at+n))
}

// maxTag is the length of a tag or comment that is known as one. A text of a thousand
// beginnings would take a thousand looks at all of it otherwise.
const maxTag = 4 << 10

// tagLen returns the length of the tag or comment that text starts with, 0 for none.
func tagLen(text []byte) int {
	if len(text) < 3 || !isLetter(text[1]) && text[1] != '/' && text[1] != '!' {
		return 0
	}
	text = text[:min(len(text), maxTag)]
	if bytes.HasPrefix(text, []byte("<!--")) {
		if end := bytes.Index(text, []byte("-->")); end >= 0 {
			return end + 3
		}
	}
	return bytes.IndexByte(text, '>') + 1
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
