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

// StripHeaders removes every header whose folded name is in the set, and every
// mention of one in Connection, so that no hop can be made to drop ours.
func (f *Forbidden) StripHeaders(h http.Header) {
	for name := range h {
		if f.headers.has(name) {
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
	if raw == "" || len(f.queries) == 0 {
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

// names is a set of folded names.
type names map[string]struct{}

func newNames(list []string) names {
	set := names{}
	for _, n := range list {
		set[foldName(n)] = struct{}{}
	}
	return set
}

// has says whether a name is in the set, in whatever spelling. It costs no
// allocation for names of ordinary length.
func (n names) has(name string) bool {
	var buf [64]byte
	_, ok := n[string(appendName(buf[:0], name))]
	return ok
}

// foldName reduces a name to its letters and digits in lower case.
func foldName(name string) string { return string(appendName(nil, name)) }

// appendName appends the folded name to dst.
func appendName(dst []byte, name string) []byte {
	for i := 0; i < len(name); i++ {
		switch c := name[i]; {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
			dst = append(dst, c)
		case c >= 'A' && c <= 'Z':
			dst = append(dst, c+'a'-'A')
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
