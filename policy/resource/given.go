// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package resource

import (
	"bytes"
	"errors"
	"strconv"
)

// Value is one value of a JSON document. The zero Value is none at all.
type Value struct {
	Kind byte   // '"', '0' (a number), 't', 'f', 'n', '{', '['; 0 for no value
	Text string // text decoded, a number as written; "" for the others
}

// Empty reports the values that stand for "nothing": null, "" and none at all.
func (v Value) Empty() bool { return v.Kind == 0 || v.Kind == 'n' || v.Kind == '"' && v.Text == "" }

// Scalar reports text and numbers.
func (v Value) Scalar() bool { return v.Kind == '"' || v.Kind == '0' }

// String names the kind, never the value: this must not stand in any log.
func (v Value) String() string { return "a value of kind " + strconv.QuoteRune(rune(v.Kind)) }

// Given is a value in a request: one that is to be stored, or one that is looked
// for. It prints as nothing.
type Given struct {
	value *value
	whole *value // what to leave out of the body to leave the field alone; nil when nothing can be
}

// Value returns the value; none for a nil Given.
func (g *Given) Value() Value {
	if g == nil || g.value == nil {
		return Value{}
	}
	return g.value.plain()
}

// String says nothing of the value.
func (*Given) String() string { return "a value" }

func (v *value) plain() Value {
	out := Value{Kind: byte(v.kind)}
	if out.Scalar() {
		out.Text = v.text
	}
	return out
}

// errWhole is a value that cannot be taken out of its request.
var errWhole = errors.New("a value cannot be left out of this request")

// Without returns the JSON body of the request an operation was read from, with
// the given values and their names left out. A value that does not stand in the
// body by itself is an error, and then nothing was left out.
func (op *Operation) Without(given []*Given) ([]byte, error) {
	if op.from == nil || op.from.body == nil || op.from.body.doc == nil {
		return nil, errWhole
	}
	out := &leaver{drop: map[*value]bool{}}
	for _, g := range given {
		if g == nil || g.whole == nil {
			return nil, errWhole
		}
		out.drop[g.whole] = true
	}
	want := len(out.drop)
	out.value(op.from.body.doc)
	if out.dropped != want {
		return nil, errWhole
	}
	return out.Bytes(), nil
}

// leaver writes a document without some of its parts.
type leaver struct {
	bytes.Buffer
	drop    map[*value]bool
	dropped int
}

func (l *leaver) value(v *value) {
	switch v.kind {
	case '"':
		l.text(v.text)
	case '0':
		l.WriteString(v.text)
	case '{', '[':
		l.WriteByte(byte(v.kind))
		first := true
		for i := range v.items {
			if l.drop[&v.items[i]] {
				l.dropped++
				continue
			}
			if !first {
				l.WriteByte(',')
			}
			first = false
			if v.kind == '{' {
				l.text(v.names[i])
				l.WriteByte(':')
			}
			l.value(&v.items[i])
		}
		l.WriteByte(byte(v.kind) + 2) // "{" and "}", "[" and "]" are two apart
	case 't':
		l.WriteString("true")
	case 'f':
		l.WriteString("false")
	default:
		l.WriteString("null")
	}
}

func (l *leaver) text(s string) {
	l.WriteByte('"')
	l.WriteString(jsonText(s))
	l.WriteByte('"')
}
