// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package maptest

import (
	"strings"
	"testing"

	"github.com/crmgate/crmgate/policy/resource"
)

const small = `
version: 1
map: small
entities: {lead: {fields: {phone: Phone}}}
routes:
  - {id: get, on: GET /leads, entity: lead, action: view, request: {read: [{query: id, as: id}, {query: by, as: name, use: filter}]}}
  - {id: put, on: POST /leads, entity: lead, action: edit, request: {read: {body: /, as: object}}}
`

func TestRun(t *testing.T) {
	m, err := resource.Parse("small.yaml", []byte(small))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, suite, says string }{
		{"as expected", `{send: "GET /leads?id=7&by=Phone", expect: {id: get, do: lead.view, records: ["7"], fields: ["filter lead.phone"], count: 1}}`, ""},
		{"a body as YAML", `{send: POST /leads, body: {Phone: ""}, expect: {id: put, do: lead.edit, fields: ["write lead.phone (empty)"]}}`, ""},
		{"a refusal as expected", `{send: GET /nosuch, error: unmapped}`, ""},
		{"another record", `{send: "GET /leads?id=7", expect: {id: get, do: lead.view, records: ["8"]}}`, `records: expected ["8"], got ["7"]`},
		{"a use nobody expected", `{send: "GET /leads?by=Phone", expect: {id: get, do: lead.view}}`, `fields: expected [], got ["filter lead.phone"]`},
		{"another action", `{send: GET /leads, expect: {id: get, do: lead.delete}}`, "do: expected"},
		{"bulk nobody expected", `{send: "GET /leads?id=1,2", expect: {id: get, do: lead.view, records: ["1", "2"]}}`, "bulk: expected"},
		{"two instead of one", `{send: GET /leads, expect: [{id: get, do: lead.view}, {id: get, do: lead.view}]}`, "expected 2 operations, got 1"},
		{"no refusal", `{send: GET /leads, error: unmapped}`, "expected the request to be refused as unmapped"},
		{"another refusal", `{send: POST /leads, body: "[", error: unmapped}`, "expected the request to be refused as unmapped"},
		{"refused instead of read", `{send: GET /a%2fb, expect: {id: get}}`, "path refused"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := Parse("s.yaml", []byte("suite: s\ncases:\n  - {name: x, "+c.suite[1:]))
			if err != nil {
				t.Fatal(err)
			}
			err = s.Cases[0].Run(m)
			if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("a suite that should say %q says %v", c.says, err)
			}
			if r := s.Run(m); (len(r.Failed) == 0) != (c.says == "") || r.Passed+len(r.Failed) != 1 {
				t.Errorf("the result does not add up: %+v", r)
			}
		})
	}
}

func TestUnusedRoutes(t *testing.T) {
	m, err := resource.Parse("small.yaml", []byte(small))
	if err != nil {
		t.Fatal(err)
	}
	s, err := Parse("s.yaml", []byte("suite: s\ncases: [{name: x, send: GET /leads, expect: {id: get, do: lead.view}}]"))
	if err != nil {
		t.Fatal(err)
	}
	if r := s.Run(m); len(r.Unused) != 1 || r.Unused[0] != "put" {
		t.Errorf("a route without a case goes unnoticed: %v", r.Unused)
	}
}

func TestParseRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"nothing":            "",
		"no cases":           "suite: s",
		"an unknown key":     "suite: s\ncases: [{name: x, send: GET /, expects: {id: a}}]",
		"an unknown member":  "suite: s\ncases: [{name: x, send: GET /, expect: {ids: a}}]",
		"no name":            "suite: s\ncases: [{send: GET /, expect: {id: a}}]",
		"a name twice":       "suite: s\ncases: [{name: x, send: GET /, expect: {id: a}}, {name: x, send: GET /, expect: {id: a}}]",
		"no expectation":     "suite: s\ncases: [{name: x, send: GET /}]",
		"two expectations":   "suite: s\ncases: [{name: x, send: GET /, expect: {id: a}, error: path}]",
		"an unknown refusal": "suite: s\ncases: [{name: x, send: GET /, error: other}]",
	} {
		if _, err := Parse("s.yaml", []byte(text)); err == nil {
			t.Errorf("%s: a suite that tests nothing was taken", name)
		}
	}
}
