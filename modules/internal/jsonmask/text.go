// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package jsonmask

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"slices"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/crmgate/crmgate/policy/plan"
)

// appendDecoded appends the text of the string in, quotes included, which the
// scanner has found right.
func appendDecoded(dst, in []byte) []byte {
	in = in[1 : len(in)-1]
	dst = slices.Grow(dst, len(in)+8)
	for i := 0; i < len(in); {
		for i+8 <= len(in) { // eight bytes at a time; those from a backslash on are written anew
			x, n := binary.LittleEndian.Uint64(in[i:]), len(dst)
			binary.LittleEndian.PutUint64(dst[n:n+8], x)
			x ^= '\\' * lows
			if x = (x - lows) &^ x & highs; x != 0 {
				n += bits.TrailingZeros64(x) / 8
				i += n - len(dst)
				dst = dst[:n]
				break
			}
			i, dst = i+8, dst[:n+8]
		}
		for ; i < len(in) && in[i] != '\\'; i++ {
			dst = append(dst, in[i])
		}
		if i == len(in) {
			return dst
		}
		c := in[i+1]
		i += 2
		switch c {
		case 'b':
			c = '\b'
		case 'f':
			c = '\f'
		case 'n':
			c = '\n'
		case 'r':
			c = '\r'
		case 't':
			c = '\t'
		case 'u':
			r := hexRune(in[i:])
			i += 4
			if utf16.IsSurrogate(r) {
				r = utf16.DecodeRune(r, hexRune(in[i+2:]))
				i += 6
			}
			dst = utf8.AppendRune(dst, r)
			continue
		}
		dst = append(dst, c)
	}
	return dst
}

func hexRune(in []byte) rune {
	var u rune
	for _, c := range in[:4] {
		if c <= '9' {
			u = u<<4 | rune(c-'0')
		} else {
			u = u<<4 | rune(c|0x20-'a'+10)
		}
	}
	return u
}

// appendQuoted appends text as a JSON string. Bytes that are not UTF-8 cannot
// occur in decoded text and become U+FFFD.
func appendQuoted(dst, text []byte) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	for i := 0; i < len(text); {
		if n := plainEnd(text, i); n > i {
			dst = append(dst, text[i:n]...)
			if i = n; i == len(text) {
				break
			}
		}
		c := text[i]
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c == '\n':
			dst = append(dst, '\\', 'n')
		case c == '\t':
			dst = append(dst, '\\', 't')
		case c == '\r':
			dst = append(dst, '\\', 'r')
		case c < ' ':
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			r, w := utf8.DecodeRune(text[i:])
			dst = utf8.AppendRune(dst, r)
			i += w
			continue
		}
		i++
	}
	return append(dst, '"')
}

// looksLikeJSON reports whether text starts the way an object or array with
// contents does, as against text that happens to start with a bracket.
func looksLikeJSON(text []byte) bool {
	text = trimSpace(text)
	if len(text) == 0 || text[0] != '{' && text[0] != '[' {
		return false
	}
	rest := trimSpace(text[1:])
	if len(rest) == 0 {
		return true
	}
	c := rest[0]
	if text[0] == '{' {
		return c == '"' || c == '\'' || c == '}' || c == '/'
	}
	return c == '"' || c == '{' || c == '[' || c == ']' || c == '-' || '0' <= c && c <= '9' || beginsWithLiteral(rest)
}

// beginsWithLiteral reports whether text begins with null, true or false as the first
// element of an array, as against a word that happens to begin so.
func beginsWithLiteral(text []byte) bool {
	for _, word := range []string{"null", "true", "false"} {
		if rest, ok := bytes.CutPrefix(text, []byte(word)); ok {
			rest = trimSpace(rest)
			return len(rest) > 0 && (rest[0] == ',' || rest[0] == ']')
		}
	}
	return false
}

// Twice reports whether text is JSON that was made JSON a second time: a string, quotes
// and escapes included, that reads as a document. No field says how often that was
// done, so what stands in it cannot be told.
func Twice(text []byte) bool {
	for {
		text = trimSpace(text)
		if len(text) < 2 || text[0] != '"' {
			return false
		}
		s := scanner{in: text, final: true}
		end, _, err := s.str(0)
		if err != nil || len(trimSpace(text[end:])) > 0 {
			return false
		}
		if text = appendDecoded(nil, text[:end]); looksLikeJSON(text) {
			return true
		}
	}
}

func trimSpace(text []byte) []byte {
	for len(text) > 0 && (text[0] <= ' ' || text[0] == 0xEF || text[0] == 0xBB || text[0] == 0xBF) {
		text = text[1:]
	}
	return text
}

// embedded rewrites the string at v, which holds a document of its own, by the
// treatment's node. A document within it that cannot be read is masked fully, and
// so is one that was made JSON twice; text that does not look like a document is searched by the detectors.
func (w *walker) embedded(v int, t *plan.Treatment, e env) (int, error) {
	end, _, err := w.str(v)
	if err != nil || end == v+2 {
		return end, err
	}
	c := w.child()
	if c == nil { // documents nested too deep to be read
		w.masksFully(v, end, t)
		return end, nil
	}
	c.text = appendDecoded(c.text[:0], w.in[v:end])
	if t.Text.Form != nil {
		w.formed(v, end, t, e, c)
		return end, nil
	}
	if Twice(c.text) {
		w.masksFully(v, end, t)
		return end, nil
	}
	keep, changed, err := c.document(t.Text, e.ent)
	switch {
	case err == nil && !keep:
		w.replace(v, end, nullJSON)
		w.event(t, true)
	case err == nil && changed:
		w.put(v, end)
		w.out = appendQuoted(w.out, c.out)
	case err == nil:
	case looksLikeJSON(c.text):
		w.masksFully(v, end, t)
		return end, nil
	default:
		return w.detect(v, t)
	}
	w.adopt(v, end, c)
	return end, nil
}
