// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package resource

import (
	"fmt"
	"strings"
)

// Template is text with captures: "model.{model}.read", "{id}.json". A capture
// takes at least one character, and as many as it can from the left. A template
// without captures matches itself.
type Template struct {
	Text     string
	Names    []string // capture names in order
	literals []string // len(Names)+1: what stands before, between and after
}

// parseTemplate reads a template; "{*}" is a capture nobody asks for.
func parseTemplate(s string) (Template, error) {
	t := Template{Text: s}
	rest := s
	for {
		open := strings.IndexByte(rest, '{')
		if open < 0 {
			if strings.IndexByte(rest, '}') >= 0 {
				return t, fmt.Errorf("%q has a \"}\" without its \"{\"", s)
			}
			t.literals = append(t.literals, rest)
			return t, nil
		}
		end := strings.IndexByte(rest[open:], '}')
		if end < 0 {
			return t, fmt.Errorf("%q has a \"{\" without its \"}\"", s)
		}
		name := rest[open+1 : open+end]
		if name != "*" && !isName(name) {
			return t, fmt.Errorf("%q has a capture without a proper name", s)
		}
		if open == 0 && len(t.Names) > 0 {
			return t, fmt.Errorf("%q has two captures side by side", s)
		}
		t.literals = append(t.literals, rest[:open])
		t.Names = append(t.Names, name)
		rest = rest[open+end+1:]
	}
}

// isName reports whether s can name a capture: letters, digits and "_".
func isName(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if ('a' > c || c > 'z') && ('A' > c || c > 'Z') && ('0' > c || c > '9') && c != '_' {
			return false
		}
	}
	return s != ""
}

// literal returns the template's text when it has no captures.
func (t *Template) literal() (string, bool) { return t.Text, len(t.Names) == 0 }

// weight is the number of literal bytes: the heavier of two templates that
// match the same text is the more precise one.
func (t *Template) weight() int {
	n := 0
	for _, l := range t.literals {
		n += len(l)
	}
	return n
}

// match appends the captured texts to dst. With fold, literals are compared
// without regard to ASCII case.
func (t *Template) match(s string, fold bool, dst []string) ([]string, bool) {
	if len(t.Names) == 0 {
		return dst, equalASCII(s, t.Text, fold)
	}
	first := t.literals[0]
	if len(s) < len(first) || !equalASCII(s[:len(first)], first, fold) {
		return dst, false
	}
	return t.rest(s[len(first):], 1, fold, dst)
}

// rest matches capture i-1 and everything after it.
func (t *Template) rest(s string, i int, fold bool, dst []string) ([]string, bool) {
	lit := t.literals[i]
	if i == len(t.literals)-1 {
		cut := len(s) - len(lit)
		if cut < 1 || !equalASCII(s[cut:], lit, fold) {
			return dst, false
		}
		return append(dst, s[:cut]), true
	}
	for cut := len(s) - len(lit); cut >= 1; cut-- {
		if !equalASCII(s[cut:cut+len(lit)], lit, fold) {
			continue
		}
		if out, ok := t.rest(s[cut+len(lit):], i+1, fold, append(dst, s[:cut])); ok {
			return out, true
		}
	}
	return dst, false
}

// overlaps reports whether some text could match both templates. It may err on
// the side of yes.
func (t *Template) overlaps(u *Template, fold bool) bool {
	if lit, ok := t.literal(); ok {
		_, hit := u.match(lit, fold, nil)
		return hit
	}
	if lit, ok := u.literal(); ok {
		_, hit := t.match(lit, fold, nil)
		return hit
	}
	a, b := t.literals[0], u.literals[0]
	n := min(len(a), len(b))
	x, y := t.literals[len(t.literals)-1], u.literals[len(u.literals)-1]
	k := min(len(x), len(y))
	return equalASCII(a[:n], b[:n], fold) && equalASCII(x[len(x)-k:], y[len(y)-k:], fold)
}

// expand fills the captures in by name; an unknown name is reported.
func (t *Template) expand(value func(string) (string, bool)) (string, bool) {
	if len(t.Names) == 0 {
		return t.Text, true
	}
	if len(t.Names) == 1 && t.literals[0] == "" && t.literals[1] == "" {
		return value(t.Names[0])
	}
	var b strings.Builder
	for i, name := range t.Names {
		v, ok := value(name)
		if !ok {
			return "", false
		}
		b.WriteString(t.literals[i])
		b.WriteString(v)
	}
	b.WriteString(t.literals[len(t.literals)-1])
	return b.String(), true
}

// equalASCII compares two texts, without regard to ASCII case when fold is set.
func equalASCII(a, b string, fold bool) bool {
	if len(a) != len(b) {
		return false
	}
	if !fold {
		return a == b
	}
	for i := 0; i < len(a); i++ {
		if lowerASCII(a[i]) != lowerASCII(b[i]) {
			return false
		}
	}
	return true
}

func lowerASCII(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
