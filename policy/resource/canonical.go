// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package resource

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Canonical returns the one spelling of an escaped request path: what is judged
// is what is sent. It decodes escapes of unreserved characters (RFC 3986
// section 2.3), writes the remaining escapes in upper case, escapes the
// characters a path may not hold raw, collapses empty segments and resolves "."
// and "..". The result is escaped and ready to be sent, and
// Canonical(Canonical(x)) equals Canonical(x).
//
// Everything two parsers could read in two ways is refused with an error that
// wraps ErrPath: an empty path or one without a leading slash; encoded or raw
// backslashes, encoded slashes, NUL and control characters, ";" in any
// spelling, raw "?", "#", space and non-ASCII bytes, escapes that are not UTF-8,
// invalid escapes, double encoding, ".." above the root, and segments that end
// in a dot or a space.
func Canonical(escapedPath string) (string, error) {
	if escapedPath == "" || escapedPath[0] != '/' {
		return "", fmt.Errorf("%w: it must begin with a slash", ErrPath)
	}
	if isPlainPath(escapedPath) {
		return escapedPath, nil
	}
	segments := make([]string, 0, 8)
	raw := strings.Split(escapedPath[1:], "/")
	directory := false // the path ends in a slash
	for i, s := range raw {
		seg, err := canonicalSegment(s)
		if err != nil {
			return "", err
		}
		last := i == len(raw)-1
		switch seg {
		case "":
			directory = last
		case ".":
			directory = last
		case "..":
			if len(segments) == 0 {
				return "", fmt.Errorf("%w: \"..\" leads above the root", ErrPath)
			}
			segments = segments[:len(segments)-1]
			directory = last
		default:
			if end := seg[len(seg)-1]; end == '.' || strings.HasSuffix(seg, "%20") {
				return "", fmt.Errorf("%w: a segment ends in a dot or a space", ErrPath)
			}
			segments = append(segments, seg)
			directory = false
		}
	}
	out := "/" + strings.Join(segments, "/")
	if directory && len(segments) > 0 {
		out += "/"
	}
	return out, nil
}

// isPlainPath says that a path is canonical already, so that the usual request
// costs one scan and no allocation.
func isPlainPath(p string) bool {
	for i := 1; i < len(p); i++ {
		c := p[i]
		switch {
		case c == '/':
			if p[i-1] == '/' {
				return false
			}
		case c == '.':
			if i+1 == len(p) || p[i+1] == '/' {
				return false
			}
		case !isPathChar(c):
			return false
		}
	}
	return true
}

// canonicalSegment decodes and checks one segment.
func canonicalSegment(s string) (string, error) {
	var b strings.Builder
	decoded := make([]byte, 0, len(s)) // what the CRM will see, to judge it as text
	for i := 0; i < len(s); i++ {
		c := s[i]
		escaped := c == '%'
		if escaped {
			if i+2 >= len(s) {
				return "", fmt.Errorf("%w: an escape is cut off", ErrPath)
			}
			hi, ok1 := unhex(s[i+1])
			lo, ok2 := unhex(s[i+2])
			if !ok1 || !ok2 {
				return "", fmt.Errorf("%w: an escape is not hexadecimal", ErrPath)
			}
			c = hi<<4 | lo
			i += 2
		}
		if err := checkPathByte(c, escaped); err != nil {
			return "", err
		}
		decoded = append(decoded, c)
		switch {
		case isUnreserved(c), !escaped && isPathChar(c):
			b.WriteByte(c)
		default:
			b.WriteByte('%')
			b.WriteByte(upperHex[c>>4])
			b.WriteByte(upperHex[c&15])
		}
	}
	if !utf8.Valid(decoded) {
		return "", fmt.Errorf("%w: it is not UTF-8", ErrPath)
	}
	for _, r := range string(decoded) {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || r == '\ufeff' {
			return "", fmt.Errorf("%w: it holds a control character", ErrPath)
		}
	}
	out := b.String()
	// Judged on the result: "%25%32%66" only becomes "%252f" on the way.
	for i := 0; i+4 < len(out); i++ {
		if out[i] == '%' && out[i+1] == '2' && out[i+2] == '5' {
			_, ok1 := unhex(out[i+3])
			_, ok2 := unhex(out[i+4])
			if ok1 && ok2 {
				return "", fmt.Errorf("%w: it is encoded twice", ErrPath)
			}
		}
	}
	return out, nil
}

// checkPathByte refuses the bytes that parsers disagree about.
func checkPathByte(c byte, escaped bool) error {
	switch {
	case c == '\\' || escaped && c == '/':
		return fmt.Errorf("%w: it hides a separator", ErrPath)
	case c == ';':
		return fmt.Errorf("%w: it holds a \";\" parameter", ErrPath)
	case c < 0x20 || c == 0x7f:
		return fmt.Errorf("%w: it holds a control character", ErrPath)
	case !escaped && (c == ' ' || c == '?' || c == '#' || c >= utf8.RuneSelf):
		return fmt.Errorf("%w: it holds a character that must be escaped", ErrPath)
	}
	return nil
}

const upperHex = "0123456789ABCDEF"

func unhex(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, true
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}

// isUnreserved reports the characters of RFC 3986 section 2.3.
func isUnreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		c == '-' || c == '.' || c == '_' || c == '~'
}

// isPathChar reports the characters a segment may hold unescaped: pchar of RFC
// 3986 section 3.3 without ";".
func isPathChar(c byte) bool {
	if isUnreserved(c) {
		return true
	}
	switch c {
	case '!', '$', '&', '\'', '(', ')', '*', '+', ',', '=', ':', '@':
		return true
	}
	return false
}
