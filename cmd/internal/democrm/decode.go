// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package democrm

import (
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// maxBody is the largest request body read, in bytes.
const maxBody = 32 << 20

// scalar is a string, number or boolean of a request, as text: clients of this
// API send numbers as strings and strings as numbers.
type scalar string

// UnmarshalJSONFrom takes any JSON scalar; null becomes the empty text.
func (s *scalar) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	switch dec.PeekKind() {
	case '{', '[':
		return badRequest("a single value was expected at %s, not a list or an object", dec.StackPointer())
	}
	tok, err := dec.ReadToken()
	if err != nil {
		return err
	}
	if tok.Kind() == 'n' {
		*s = ""
		return nil
	}
	*s = scalar(tok.String())
	return nil
}

// number reads a whole number; empty gives def.
func (s scalar) number(name string, def int) (int, error) {
	t := strings.TrimSpace(string(s))
	if t == "" {
		return def, nil
	}
	n, err := strconv.Atoi(t)
	if err != nil {
		return 0, fail("InvalidInput", "%s must be a whole number", name)
	}
	return n, nil
}

// pair is one attribute of a request: {"Attribute":"Phone","Value":"..."}, or
// {"SchemaName":..,"Value":..} in activities. A nil Value is null. Fields are
// the parts of a composite attribute.
type pair struct {
	Attribute  string
	SchemaName string
	Value      *scalar
	Fields     []pair
}

func (p pair) name() string {
	if p.Attribute != "" {
		return strings.TrimSpace(p.Attribute)
	}
	return strings.TrimSpace(p.SchemaName)
}

// cell is the value as it will be kept: composite attributes as a JSON object
// in a string.
func (p pair) cell() *string {
	if len(p.Fields) > 0 {
		s := string(composite(p.Fields))
		return &s
	}
	return (*string)(p.Value)
}

func composite(fields []pair) []byte {
	out := []byte{'{'}
	for i, f := range fields {
		if i > 0 {
			out = append(out, ',')
		}
		out = appendString(out, f.name())
		out = append(out, ':')
		if c := f.cell(); c != nil {
			out = appendString(out, *c)
		} else {
			out = append(out, "null"...)
		}
	}
	return append(out, '}')
}

// appendString quotes s as JSON; bytes that are not UTF-8 become U+FFFD.
func appendString(dst []byte, s string) []byte {
	out, err := jsontext.AppendQuote(dst, strings.ToValidUTF8(s, "\uFFFD"))
	if err != nil {
		return append(dst, `""`...)
	}
	return out
}

// find returns the value of a named pair, in any case.
func findPair(pairs []pair, name string) (string, bool) {
	for _, p := range pairs {
		if strings.EqualFold(p.name(), name) && p.Value != nil {
			return string(*p.Value), true
		}
	}
	return "", false
}

// readBody reads a request's body whole, before any lock is taken.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if r.Body == nil || r.Method == http.MethodGet {
		return nil, nil
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return nil, badRequest("the request body could not be read or is larger than 32 MB")
	}
	return body, nil
}

// decode reads a JSON body the forgiving way such servers do: names in any
// case, the last of two equal names wins, unknown names ignored.
func decode(body []byte, into any) error {
	err := json.Unmarshal(body, into,
		json.MatchCaseInsensitiveNames(true),
		jsontext.AllowDuplicateNames(true))
	if err != nil {
		return badRequest("the request body is not the JSON this call takes")
	}
	return nil
}
