// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package resource

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// maxDepth bounds the nesting of request bodies.
const maxDepth = 256

// value is one JSON value of a request body.
type value struct {
	kind  jsontext.Kind // '{', '[', '"', '0', 't', 'f', 'n'
	text  string        // strings decoded, numbers as written
	names []string      // objects
	items []value       // objects and arrays
}

var errTrailing = errors.New("something follows the document")

// decodeJSON reads one document strictly: duplicate names, bad UTF-8, depth
// beyond 256 and anything after the value are errors. Errors name places, never
// content.
func decodeJSON(b []byte) (*value, error) {
	dec := jsontext.NewDecoder(bytes.NewReader(b))
	v, err := decodeValue(dec, 0)
	if err != nil {
		return nil, err
	}
	if _, err := dec.ReadToken(); !errors.Is(err, io.EOF) {
		return nil, errTrailing
	}
	return &v, nil
}

func decodeValue(dec *jsontext.Decoder, depth int) (value, error) {
	if depth > maxDepth {
		return value{}, fmt.Errorf("it is nested deeper than %d", maxDepth)
	}
	tok, err := dec.ReadToken()
	if err != nil {
		return value{}, fmt.Errorf("the JSON is broken at byte %d", dec.InputOffset())
	}
	v := value{kind: tok.Kind()}
	switch v.kind {
	case '"', '0':
		v.text = tok.String()
	case '{':
		for dec.PeekKind() != '}' {
			name, err := dec.ReadToken()
			if err != nil {
				return value{}, fmt.Errorf("the JSON is broken at byte %d", dec.InputOffset())
			}
			v.names = append(v.names, name.String())
			item, err := decodeValue(dec, depth+1)
			if err != nil {
				return value{}, err
			}
			v.items = append(v.items, item)
		}
		_, err = dec.ReadToken()
	case '[':
		for dec.PeekKind() != ']' {
			item, err := decodeValue(dec, depth+1)
			if err != nil {
				return value{}, err
			}
			v.items = append(v.items, item)
		}
		_, err = dec.ReadToken()
	}
	if err != nil {
		return value{}, fmt.Errorf("the JSON is broken at byte %d", dec.InputOffset())
	}
	return v, nil
}

// scalar returns the text of a string or number.
func (v *value) scalar() (string, bool) { return v.text, v.kind == '"' || v.kind == '0' }

// empty reports the values that stand for "nothing": null and "".
func (v *value) empty() bool { return v.kind == 'n' || v.kind == '"' && v.text == "" }

// typeName names the JSON type as conditions write it.
func (v *value) typeName() string {
	switch v.kind {
	case '{':
		return "object"
	case '[':
		return "array"
	case '"':
		return "string"
	case '0':
		return "number"
	case 'n':
		return "null"
	}
	return "boolean"
}

// errTwice is a place that two spellings of one name claim.
var errTwice = errors.New("a name stands there in two spellings")

// at finds the value at a fixed pointer; nil when there is none.
func (v *value) at(p Pointer) (*value, error) {
	for _, s := range p.Steps {
		switch v.kind {
		case '{':
			var found *value
			for i, name := range v.names {
				if !foldsTo(name, s.Fold) {
					continue
				}
				if found != nil {
					return nil, errTwice
				}
				found = &v.items[i]
			}
			if found == nil {
				return nil, nil
			}
			v = found
		case '[':
			if s.Index < 0 || s.Index >= len(v.items) {
				return nil, nil
			}
			v = &v.items[s.Index]
		default:
			return nil, nil
		}
	}
	return v, nil
}

// foldsTo compares a name with a folded name without allocating.
func foldsTo(name, folded string) bool {
	if name == folded {
		return true
	}
	var buf [64]byte
	return string(AppendFold(buf[:0], []byte(name))) == folded
}

func itoa(n int) string { return strconv.Itoa(n) }

// jsonText returns s as it stands within a JSON string.
func jsonText(s string) string {
	b, err := json.Marshal(s)
	if err != nil || len(b) < 2 {
		return ""
	}
	return string(b[1 : len(b)-1])
}
