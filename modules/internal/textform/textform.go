// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// Package textform reads texts that hold fields of their own in another form than
// JSON: forms (application/x-www-form-urlencoded), base64 of a document, and notes
// with delimiters such as Phone{=}98..{next}City{=}Pune. It says the same as JSON,
// for the JSON engine to rewrite, and puts what came of it back into the form.
//
// What was not rewritten keeps its bytes. A text that is not in its form is no
// document (ok is false), and its caller masks it fully.
package textform

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/crmgate/crmgate/policy/plan"
)

// most is how many stretches a text may have.
const most = 10_000

// Open returns the JSON document that says what text says.
//
// Of names and values it is an array with an object of one member for each pair, and
// a string for each stretch that is no pair, so that a name that comes twice is no
// error and an order is kept. Base64 becomes what it is the base64 of, when that
// starts like a document, and otherwise an array of that one text.
//
// ok is false for base64 of either alphabet that is broken or stands for no UTF-8,
// for escapes that are broken or stand for none, and for more than 10,000 stretches.
func Open(f *plan.Form, text []byte) (doc []byte, ok bool) {
	if f.Base64 {
		plain, _, ok := decode(text)
		switch {
		case !ok:
			return nil, false
		case isDocument(plain):
			return plain, true
		}
		return appendJSON([]byte{'['}, string(plain), ']')
	}
	doc = []byte{'['}
	for i, s := range split(f, text) {
		if i > 0 {
			doc = append(doc, ',')
		}
		name, value, ok := s.decoded(f)
		if !ok || i == most {
			return nil, false
		}
		if s.pair {
			if doc, ok = appendJSON(append(doc, '{'), name, ':'); !ok {
				return nil, false
			}
		}
		if doc, ok = appendJSON(doc, value, 0); !ok {
			return nil, false
		}
		if s.pair {
			doc = append(doc, '}')
		}
	}
	return append(doc, ']'), true
}

// Close returns text as doc has it, which is what became of the document that Open
// made of it: values may be others or null, which is written as nothing, and members
// may be gone, with which their stretch goes. ok is false for anything else, and where
// a new value would read as a delimiter.
func Close(f *plan.Form, text, doc []byte) (out []byte, ok bool) {
	if f.Base64 {
		return closeBase64(text, doc)
	}
	var rows []json.RawMessage
	stretches := split(f, text)
	if json.Unmarshal(doc, &rows) != nil || len(rows) != len(stretches) {
		return nil, false
	}
	kept := 0
	for i, s := range stretches {
		value, gone, ok := s.rewritten(f, rows[i])
		switch {
		case !ok:
			return nil, false
		case gone:
			continue
		}
		if kept++; kept > 1 {
			out = append(out, f.Between...)
		}
		out = append(out, value...)
	}
	return out, true
}

// stretch is what stands between two delimiters.
type stretch struct {
	raw         string
	name, value string // as they are written; of what is no pair, value is all of it
	pair        bool
}

func split(f *plan.Form, text []byte) (out []stretch) {
	for raw := range strings.SplitSeq(string(text), f.Between) {
		s := stretch{raw: raw, value: raw}
		if name, value, pair := strings.Cut(raw, f.Is); pair {
			s.name, s.value, s.pair = name, value, true
		}
		if out = append(out, s); len(out) > most {
			break
		}
	}
	return out
}

// decoded returns name and value without their escapes, and the name without the blanks
// and line ends around it, with which people set pairs apart: it would be another name.
func (s stretch) decoded(f *plan.Form) (name, value string, ok bool) {
	name, value = s.name, s.value
	if f.Escaped {
		var first, second error
		name, first = url.QueryUnescape(s.name)
		value, second = url.QueryUnescape(s.value)
		if first != nil || second != nil {
			return "", "", false
		}
	}
	return strings.TrimSpace(name), value, utf8.ValidString(name) && utf8.ValidString(value)
}

// rewritten is the stretch as its part of the document has it.
func (s stretch) rewritten(f *plan.Form, row json.RawMessage) (out string, gone, ok bool) {
	was, value, ok := s.decoded(f)
	if !ok {
		return "", false, false
	}
	var now *string
	if s.pair {
		var members map[string]*string
		if json.Unmarshal(row, &members) != nil || members == nil || len(members) > 1 {
			return "", false, false
		}
		if len(members) == 0 {
			return "", true, true
		}
		if now, ok = members[was]; !ok {
			return "", false, false
		}
	} else if json.Unmarshal(row, &now) != nil {
		return "", false, false
	}
	if now == nil {
		now = new(string)
	}
	if *now == value {
		return s.raw, false, true
	}
	written := *now
	if f.Escaped {
		written = url.QueryEscape(written)
	}
	if s.pair {
		written = s.name + f.Is + written
	}
	// Nobody may read it in another way than it was meant.
	again := split(f, []byte(written))
	return written, false, len(again) == 1 && again[0].pair == s.pair && again[0].name == s.name
}

var codings = []*base64.Encoding{base64.StdEncoding.Strict(), base64.RawStdEncoding.Strict(), base64.URLEncoding.Strict(), base64.RawURLEncoding.Strict()}

func decode(text []byte) (plain []byte, by *base64.Encoding, ok bool) {
	for _, by := range codings {
		plain, err := by.DecodeString(string(text))
		if err == nil && utf8.Valid(plain) && !bytes.ContainsAny(text, "\r\n") { // which the decoder overlooks
			return plain, by, true
		}
	}
	return nil, nil, false
}

func closeBase64(text, doc []byte) (out []byte, ok bool) {
	plain, by, ok := decode(text)
	if !ok {
		return nil, false
	}
	if !isDocument(plain) {
		var rows []*string
		if json.Unmarshal(doc, &rows) != nil || len(rows) != 1 {
			return nil, false
		}
		if rows[0] == nil {
			return nil, true
		}
		doc = []byte(*rows[0])
	}
	return by.AppendEncode(nil, doc), true
}

// isDocument says whether text starts like a JSON document with names in it.
func isDocument(text []byte) bool {
	text = bytes.TrimLeft(text, " \t\r\n\uFEFF")
	return len(text) > 0 && (text[0] == '{' || text[0] == '[')
}

// appendJSON appends text as a JSON string, and what stands behind it.
func appendJSON(dst []byte, text string, behind byte) ([]byte, bool) {
	quoted, err := json.Marshal(text)
	if dst = append(dst, quoted...); behind != 0 {
		dst = append(dst, behind)
	}
	return dst, err == nil
}
