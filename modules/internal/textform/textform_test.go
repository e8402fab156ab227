// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package textform

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/crmgate/crmgate/policy/plan"
)

var (
	form  = &plan.Form{Between: "&", Is: "=", Escaped: true}
	note  = &plan.Form{Between: "{next}", Is: "{=}"}
	coded = &plan.Form{Base64: true}
)

func TestOpen(t *testing.T) {
	for name, c := range map[string]struct {
		form *plan.Form
		text string
		want string // "" is no document
	}{
		"a form":                         {form, "Phone=%2B91+98&City=Pune", `[{"Phone":"+91 98"},{"City":"Pune"}]`},
		"a form with a bare name":        {form, "x&Phone=1", `["x",{"Phone":"1"}]`},
		"a name twice":                   {form, "a=1&a=2", `[{"a":"1"},{"a":"2"}]`},
		"an escaped name":                {form, "Ph%6Fne=1", `[{"Phone":"1"}]`},
		"a value with the second sign":   {form, "a=b=c", `[{"a":"b=c"}]`},
		"a broken escape":                {form, "a=%4", ""},
		"an escape of no UTF-8":          {form, "a=%ff", ""},
		"nothing between two delimiters": {form, "a=1&&b=2", `[{"a":"1"},"",{"b":"2"}]`},
		"a note":                         {note, `Call{next}UserId{=}u1{next}SourceData{=}{"SourceNumber":"98"}`, `["Call",{"UserId":"u1"},{"SourceData":"{\"SourceNumber\":\"98\"}"}]`},
		"a note a line a pair":           {note, "Call\r\n{next}\r\nPhone {=} 98{next}\u00a0\tPAN{=}x", `["Call\r\n",{"Phone":" 98"},{"PAN":"x"}]`},
		"a form with lines in it":        {form, "a=1&%0AFull+Name+=x", `[{"a":"1"},{"Full Name":"x"}]`},
		"a note with escapes of forms":   {note, "a{=}%zz+", `[{"a":"%zz+"}]`},
		"a document":                     {coded, "eyJQaG9uZSI6Iis5MS05ODEyMzQ1NjcwIn0=", `{"Phone":"+91-9812345670"}`},
		"a document without padding":     {coded, "eyJhIjoxfQ", `{"a":1}`},
		"the other alphabet":             {coded, "eyJhIjoiPz8_In0", `{"a":"???"}`},
		"plain text in base64":           {coded, "Y2FsbCA5OA==", `["call 98"]`},
		"no base64":                      {coded, "call me", ""},
		"base64 in lines":                {coded, "eyJh\nIjoxfQ==", ""},
		"base64 of no UTF-8":             {coded, "//79", ""},
		"too many stretches":             {form, strings.Repeat("a&", most), ""},
	} {
		got, ok := Open(c.form, []byte(c.text))
		if ok != (c.want != "") || ok && string(got) != c.want {
			t.Errorf("%s: %q %v, want %q", name, got, ok, c.want)
		}
	}
}

func TestClose(t *testing.T) {
	for name, c := range map[string]struct {
		form            *plan.Form
		text, doc, want string // want "-" is refused
	}{
		"a value masked":                 {form, "Phone=%2b91&City=Navi%20Mumbai&x", `[{"Phone":"+X&"},{"City":"Navi Mumbai"},"x"]`, "Phone=%2BX%26&City=Navi%20Mumbai&x"},
		"a pair gone":                    {form, "a=1&Phone=2&b=3", `[{"a":"1"},{},{"b":"3"}]`, "a=1&b=3"},
		"the first gone":                 {note, "a{=}1{next}b{=}2", `[{},{"b":"2"}]`, "b{=}2"},
		"all gone":                       {note, "a{=}1", `[{}]`, ""},
		"a note a line a pair":           {note, "a{=}1{next}\n Phone{=}98", `[{"a":"1"},{"Phone":"X"}]`, "a{=}1{next}\n Phone{=}X"},
		"a null":                         {form, "a=1", `[{"a":null}]`, "a="},
		"a stretch that is no pair":      {note, "call 98{next}b{=}2", `["call X",{"b":"2"}]`, "call X{next}b{=}2"},
		"a value with a delimiter":       {note, "a{=}1{next}b{=}2", `[{"a":"x{next}b{=}9"},{"b":"2"}]`, "-"},
		"a stretch that became a pair":   {note, "a", `["b{=}1"]`, "-"},
		"a name that is another":         {form, "a=1", `[{"b":"1"}]`, "-"},
		"a row more":                     {form, "a=1", `[{"a":"1"},"x"]`, "-"},
		"a row that is a list":           {form, "a=1", `[["a"]]`, "-"},
		"no document":                    {form, "a=1", `nonsense`, "-"},
		"null for the whole":             {form, "a=1", `[null]`, "-"},
		"a document in base64":           {coded, "eyJhIjoxfQ", `{"a":2}`, "eyJhIjoyfQ"},
		"a text in base64":               {coded, "Y2FsbCA5OA==", `["call X"]`, "Y2FsbCBY"},
		"a text in base64 that is gone":  {coded, "Y2FsbCA5OA==", `[null]`, ""},
		"a text in base64, and two came": {coded, "Y2FsbCA5OA==", `["a","b"]`, "-"},
	} {
		got, ok := Close(c.form, []byte(c.text), []byte(c.doc))
		if ok != (c.want != "-") || ok && string(got) != c.want {
			t.Errorf("%s: %q %v, want %q", name, got, ok, c.want)
		}
	}
}

// What nobody rewrites stays to the byte, and what is opened is JSON.
func FuzzForms(f *testing.F) {
	for _, s := range []string{"Phone=%2B91+98&City=Pune&x", `Call{next}UserId{=}u1{next}SourceData{=}{"a":"98"}`, "eyJhIjoxfQ", "Y2FsbCA5OA==", "&&==", "{next}{=}{next}"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, by := range []*plan.Form{form, note, coded} {
			doc, ok := Open(by, text)
			if !ok {
				continue
			}
			if !by.Base64 && !json.Valid(doc) {
				t.Fatalf("%q is opened as %q", text, doc)
			}
			if by.Base64 && !json.Valid(doc) {
				continue // starts like a document and is none: the engine refuses it
			}
			again, ok := Close(by, text, doc)
			if !ok || !bytes.Equal(again, text) {
				t.Fatalf("%q comes back as %q, %v", text, again, ok)
			}
		}
	})
}
