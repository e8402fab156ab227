// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package jsonmask

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/crmgate/crmgate/modules/internal/textform"
	"github.com/crmgate/crmgate/policy/plan"
	"github.com/crmgate/crmgate/policy/resource"
)

// tree is a decoded value: the slow and obvious picture the masker is held to.
type tree struct {
	kind  byte // { [ " 0 t f n
	text  string
	names []string
	kids  []*tree
	form  *plan.Form // of text that holds what its only kid says
}

// parse decodes strict JSON with another reader than the masker's own.
func parse(doc []byte) (*tree, error) {
	d := jsontext.NewDecoder(bytes.NewReader(doc))
	t, err := parseValue(d)
	if err != nil {
		return nil, err
	}
	if _, err := d.ReadToken(); !errors.Is(err, io.EOF) {
		return nil, errors.New("oracle: bytes behind the value")
	}
	return t, nil
}

func parseValue(d *jsontext.Decoder) (*tree, error) {
	tok, err := d.ReadToken()
	if err != nil {
		return nil, err
	}
	t := &tree{kind: byte(tok.Kind())}
	switch t.kind {
	case '"', '0':
		t.text = tok.String()
	case '{', '[':
		for byte(d.PeekKind()) != t.kind+2 {
			if t.kind == '{' {
				name, err := d.ReadToken()
				if err != nil {
					return nil, err
				}
				t.names = append(t.names, name.String())
			}
			kid, err := parseValue(d)
			if err != nil {
				return nil, err
			}
			t.kids = append(t.kids, kid)
		}
		_, err = d.ReadToken()
	}
	return t, err
}

func (t *tree) String() string {
	var b strings.Builder
	t.write(&b)
	return b.String()
}

func (t *tree) write(b *strings.Builder) {
	switch t.kind {
	case '"':
		b.Write(appendQuoted(nil, []byte(t.text)))
	case '0':
		b.WriteString(t.text)
	case 't', 'f', 'n':
		b.WriteString(map[byte]string{'t': "true", 'f': "false", 'n': "null"}[t.kind])
	default:
		b.WriteByte(t.kind)
		for i, k := range t.kids {
			if i > 0 {
				b.WriteByte(',')
			}
			if t.kind == '{' {
				b.Write(appendQuoted(nil, []byte(t.names[i])))
				b.WriteByte(':')
			}
			k.write(b)
		}
		b.WriteByte(t.kind + 2)
	}
}

func null() *tree            { return &tree{kind: 'n'} }
func text(s string) *tree    { return &tree{kind: '"', text: s} }
func fold(s string) string   { return resource.Fold(s) }
func (t *tree) scalar() bool { return t.kind != '{' && t.kind != '[' }

// equal compares trees. A document in a string is compared as a document.
func equal(want, got *tree) bool {
	if inner, ok := strings.CutPrefix(want.text, "\x00json"); ok && got.kind == '"' {
		a, errA := parse([]byte(inner))
		b, errB := parse([]byte(got.text))
		return errA == nil && errB == nil && equal(a, b)
	}
	if want.form != nil && got.kind == '"' {
		doc, ok := textform.Open(want.form, []byte(got.text))
		inner, err := parse(doc)
		return ok && err == nil && equal(want.kids[0], inner)
	}
	if want.kind != got.kind || want.text != got.text || !slices.Equal(want.names, got.names) || len(want.kids) != len(got.kids) {
		return false
	}
	for i := range want.kids {
		if !equal(want.kids[i], got.kids[i]) {
			return false
		}
	}
	return true
}
