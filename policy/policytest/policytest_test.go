// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package policytest

import (
	"strings"
	"testing"

	"github.com/crmgate/crmgate/policy"
	"github.com/crmgate/crmgate/policy/maps"
	"github.com/crmgate/crmgate/policy/resource"
)

const source = `
groups: {north: {members: {asha@acme.test: [view_leads], ravi@acme.test: []}}}
templates: {t: {entities: {lead: {view: {partial: {mask: [phone], hide: [pan]}}}}}}
assign: [{template: t, groups: [north]}]
`

func load(t testing.TB) (*policy.Set, *resource.Map) {
	t.Helper()
	m, err := maps.Load("leadsquared")
	if err != nil {
		t.Fatal(err)
	}
	d, err := policy.Parse("p.yaml", []byte(source))
	if err != nil {
		t.Fatal(err)
	}
	s, err := policy.Compile(d, m)
	if err != nil {
		t.Fatal(err)
	}
	return s, m
}

// Every expectation can fail: each case here is wrong in one way, and the fault
// says so.
func TestEveryExpectationCanFail(t *testing.T) {
	set, m := load(t)
	tests := []struct{ expect, fault string }{
		{"{decision: deny}", "decision is allow, not deny"},
		{"{reason: query_denied}", "reason is allowed, not query_denied"},
		{"{detail: nothing}", `without "nothing"`},
		{"{operation: lead.get}", `the operation is "app.leads"`},
		{"{rows: own}", "rows are group, not own"},
		{"{masked: []}", "masked are [phone], not []"},
		{"{masked: [phone, email]}", "masked are [phone], not [email, phone]"},
		{"{hidden: [phone]}", "hidden are [pan], not [phone]"},
		{"{shown: [phone]}", "phone is not shown but treated by mask"},
		{"{because: [template:x]}", "template:x is not behind it"},
		{"{untouched: true}", "untouched is false"},
	}
	for _, tt := range tests {
		s, err := Parse("s.yaml", []byte("cases:\n  - {name: a, as: {role: sales_user, groups: [north]}, send: {path: /app/api/leads}, expect: "+tt.expect+"}"))
		if err != nil {
			t.Fatal(err)
		}
		r := Run(s, set, m)[0]
		if r.Passed() || !strings.Contains(strings.Join(r.Faults, "\n"), tt.fault) {
			t.Errorf("%s: a wrong policy would pass its suite: %v", tt.expect, r.Faults)
		}
		if r.Line != 2 {
			t.Errorf("the fault is at line %d", r.Line)
		}
	}
}

func TestRun(t *testing.T) {
	set, m := load(t)
	s, err := Parse("s.yaml", []byte(`
owners: {asha@acme.test: [a], ravi@acme.test: [r]}
cases:
  - {name: manager, as: {role: sales_user, user: asha@acme.test}, send: {path: "/app/api/leads?page=1"}, expect: {decision: allow, rows: group, masked: [phone], hidden: [pan], shown: [stage]}}
  - {name: body, as: {role: sales_user, user: ravi@acme.test}, send: {method: POST, path: /v2/LeadManagement.svc/Leads.Get, body: {Parameter: {LookupName: Phone}}}, expect: {reason: query_denied}}
  - {name: text body, as: {role: sales_user, user: ravi@acme.test}, send: {method: POST, path: /v2/LeadManagement.svc/Leads.Get, body: '{"Parameter":{"LookupName":"Phone"}}'}, expect: {reason: query_denied}}
  - {name: broken body, as: {role: sales_user, user: ravi@acme.test}, send: {method: POST, path: /v2/LeadManagement.svc/Leads.Get, body: '{"Parameter":'}, expect: {reason: unreadable}}
  - {name: query, as: {role: sales_user, user: ravi@acme.test}, send: {path: /app/api/leads, query: {sort: Phone}}, expect: {reason: query_denied}}
  - {name: path, as: {role: administrator}, send: {path: /a/%2f/b}, expect: {reason: bad_request}}
  - {name: unmapped, as: {role: sales_user}, send: {path: /nowhere}, expect: {reason: unmapped}}
  - {name: nobody, send: {path: /app/api/leads}, expect: {reason: no_session}}
  - {name: static, send: {path: /app/static/app.js}, expect: {reason: allowed_public}}
`))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range Run(s, set, m) {
		if !r.Passed() {
			t.Errorf("%s: %v", r.Name, r.Faults)
		}
	}
	for _, groups := range []string{"[south]", "[north], user: x@acme.test"} {
		s, err := Parse("s.yaml", []byte("cases: [{name: a, as: {role: sales_user, groups: "+groups+"}, send: {path: /}, expect: {decision: allow}}]"))
		if err != nil {
			t.Fatal(err)
		}
		if r := Run(s, set, m)[0]; r.Passed() {
			t.Errorf("%s: a case about nobody passes", groups)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	tests := []struct{ src, want string }{
		{"", "the suite is empty"},
		{"cases: []", "the list is empty"},
		{"map: x", `the key "cases" is missing`},
		{"cases: [{name: a, send: {path: /}}]", `the key "expect" is missing`},
		{"cases: [{name: a, send: {}, expect: {decision: deny}}]", `the key "path" is missing`},
		{"cases: [{name: a, send: {path: /}, expect: {}}]", `the case "a" expects nothing`},
		{"cases: [{name: a, send: {path: /}, expect: {reason: because}}]", `unknown value "because"`},
		{"cases: [{name: a, send: {path: /, boddy: 1}, expect: {decision: deny}}]", `unknown key "boddy"; use one of body`},
		{"cases: [{name: a, send: {path: /, body: {a: &x 1, b: *x}}, expect: {decision: deny}}]", "anchors, aliases and tags"},
	}
	for _, tt := range tests {
		if _, err := Parse("s.yaml", []byte(tt.src)); err == nil || !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), "s.yaml:") {
			t.Errorf("%s: %v, want %s", tt.src, err, tt.want)
		}
	}
}
