// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package crmgate

import (
	"net/http"
	"strings"
)

// Forbidden is the set of names that say who somebody is: header and query names
// only the gate may set on the way to the CRM. They are compared in one folded
// form (letters and digits, lower case), so that X_Crmgate_Jwt.Assertion is the
// same name as X-Crmgate-Jwt-Assertion.
//
// The zero value forbids nothing.
type Forbidden struct {
	headers map[string]bool
	queries map[string]bool
}

// NewForbidden returns the set of the given header and query names.
func NewForbidden(headers, queries []string) *Forbidden {
	f := &Forbidden{headers: map[string]bool{}, queries: map[string]bool{}}
	for _, h := range headers {
		f.headers[foldName(h)] = true
	}
	for _, q := range queries {
		f.queries[foldName(q)] = true
	}
	return f
}

// Carried says whether a request has any of the names, in its header or its query.
func (f *Forbidden) Carried(h http.Header, rawQuery string) bool {
	for name := range h {
		if f.headers[foldName(name)] {
			return true
		}
	}
	return f.StripQuery(rawQuery) != rawQuery
}

// StripHeaders removes every header whose folded name is in the set, and every
// mention of one in Connection, so that no hop can be made to drop ours.
func (f *Forbidden) StripHeaders(h http.Header) {
	for name := range h {
		if f.headers[foldName(name)] {
			delete(h, name)
		}
	}
	conn := h["Connection"]
	for i, line := range conn {
		keep := make([]string, 0, 2)
		for token := range strings.SplitSeq(line, ",") {
			if token = strings.TrimSpace(token); token != "" && !f.headers[foldName(token)] {
				keep = append(keep, token)
			}
		}
		conn[i] = strings.Join(keep, ", ")
	}
}

// StripQuery removes the parameters in the set from a raw query. Everything else
// stays byte for byte: what was judged is what is sent.
func (f *Forbidden) StripQuery(raw string) string {
	if raw == "" || len(f.queries) == 0 {
		return raw
	}
	parts := strings.Split(raw, "&")
	keep := parts[:0]
	for _, part := range parts {
		name, _, _ := strings.Cut(part, "=")
		if !f.queries[foldName(unescapeName(name))] {
			keep = append(keep, part)
		}
	}
	return strings.Join(keep, "&")
}

// foldName reduces a name to its letters and digits in lower case.
func foldName(name string) string {
	var b strings.Builder
	for i := 0; i < len(name); i++ {
		switch c := name[i]; {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
			b.WriteByte(c)
		case c >= 'A' && c <= 'Z':
			b.WriteByte(c + 'a' - 'A')
		}
	}
	return b.String()
}

// unescapeName decodes a query name leniently: a bad escape stays as it is, so
// that it can only fold to fewer names, never hide one.
func unescapeName(name string) string {
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
