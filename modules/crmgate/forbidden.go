// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package crmgate

import (
	"net/http"
	"slices"
	"strings"
)

// Forbidden is the set of names that say who somebody is: header and query names
// only the gate may set on the way to the CRM. They are compared in one folded
// form (letters and digits, lower case), so that X_Crmgate_Jwt.Assertion is the
// same name as X-Crmgate-Jwt-Assertion.
//
// The zero value forbids nothing.
type Forbidden struct {
	headers, queries names
}

// NewForbidden returns the set of the given header and query names.
func NewForbidden(headers, queries []string) *Forbidden {
	return &Forbidden{headers: newNames(headers), queries: newNames(queries)}
}

// Carried says whether a request has any of the names, in its header or its query.
func (f *Forbidden) Carried(h http.Header, rawQuery string) bool {
	for name := range h {
		if f.headers.has(name) {
			return true
		}
	}
	return f.StripQuery(rawQuery) != rawQuery
}

// Header says whether a header's name is in the set, in whatever spelling.
func (f *Forbidden) Header(name string) bool { return f.headers.has(name) }

// StripHeaders removes every header whose folded name is in the set, and every
// mention of one in Connection, so that no hop can be made to drop ours.
func (f *Forbidden) StripHeaders(h http.Header) {
	for name := range h {
		if f.Header(name) {
			delete(h, name)
		}
	}
	if conn := h["Connection"]; len(conn) > 0 {
		lines := make([]string, len(conn)) // h may share its lists with the request it was copied of
		for i, line := range conn {
			lines[i] = f.stripTokens(line)
		}
		h["Connection"] = lines
	}
}

// stripTokens removes the names in the set from a list of names.
func (f *Forbidden) stripTokens(line string) string {
	keep := make([]string, 0, 2)
	for token := range strings.SplitSeq(line, ",") {
		if token = strings.TrimSpace(token); token != "" && !f.headers.has(token) {
			keep = append(keep, token)
		}
	}
	return strings.Join(keep, ", ")
}

// StripQuery removes the parameters in the set from a raw query. Everything else
// stays byte for byte: what was judged is what is sent.
func (f *Forbidden) StripQuery(raw string) string {
	if raw == "" || len(f.queries.set) == 0 {
		return raw
	}
	carried := false
	for part := range strings.SplitSeq(raw, "&") {
		carried = carried || f.named(part)
	}
	if !carried {
		return raw
	}
	parts := strings.Split(raw, "&")
	return strings.Join(slices.DeleteFunc(parts, f.named), "&")
}

// named says whether a part of a query is one of the forbidden parameters.
func (f *Forbidden) named(part string) bool {
	name, _, _ := strings.Cut(part, "=")
	return f.queries.has(unescapeName(name))
}

// names is a set of folded names, and with which characters they begin and end:
// almost every other name is told apart by that.
type names struct {
	set         map[string]struct{}
	first, last uint64 // a bit for each of the 36 characters
}

func newNames(list []string) names {
	n := names{set: map[string]struct{}{}}
	for _, name := range list {
		folded := foldName(name)
		n.set[folded] = struct{}{}
		if folded != "" {
			n.first |= folds[folded[0]].bit
			n.last |= folds[folded[len(folded)-1]].bit
		}
	}
	return n
}

// has says whether a name is in the set, in whatever spelling. It costs no
// allocation for names of ordinary length.
func (n *names) has(name string) bool {
	if len(n.set) == 0 {
		return false
	}
	i, j := 0, len(name)-1
	for i <= j && folds[name[i]].bit == 0 {
		i++
	}
	for j > i && folds[name[j]].bit == 0 {
		j--
	}
	if i <= j && (n.first&folds[name[i]].bit == 0 || n.last&folds[name[j]].bit == 0) {
		return false
	}
	var buf [64]byte
	_, ok := n.set[string(appendName(buf[:0], name))]
	return ok
}

// folds says what each byte of a name is folded to; nothing where bit is 0.
var folds = func() (t [256]struct {
	to  byte
	bit uint64
}) {
	for i, c := range []byte("0123456789abcdefghijklmnopqrstuvwxyz") {
		t[c].to, t[c].bit = c, 1<<i
	}
	for c := byte('A'); c <= 'Z'; c++ {
		t[c] = t[c+'a'-'A']
	}
	return t
}()

// foldName reduces a name to its letters and digits in lower case.
func foldName(name string) string { return string(appendName(nil, name)) }

// appendName appends the folded name to dst.
func appendName(dst []byte, name string) []byte {
	for i := 0; i < len(name); i++ {
		if c := folds[name[i]]; c.bit != 0 {
			dst = append(dst, c.to)
		}
	}
	return dst
}

// unescapeName decodes a query name leniently: a bad escape stays as it is, so
// that it can only fold to fewer names, never hide one.
func unescapeName(name string) string {
	if strings.IndexByte(name, '%') < 0 {
		return name
	}
	var b strings.Builder
	for i := 0; i < len(name); i++ {
		if name[i] == '%' && i+2 < len(name) {
			if hi, lo := hexValue(name[i+1]), hexValue(name[i+2]); hi >= 0 && lo >= 0 {
				b.WriteByte(byte(hi<<4 | lo))
				i += 2
				continue
			}
		}
		b.WriteByte(name[i])
	}
	return b.String()
}

func hexValue(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
