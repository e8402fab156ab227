// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"net/http/httptest"
	"testing"

	"github.com/crmgate/crmgate/policy/plan"
	"github.com/crmgate/crmgate/policy/resource"
)

// The order is part of the promise: who asks is not looked at before where from,
// nothing is decided before who asks, and nothing is sent before it is decided.
func TestStageOrder(t *testing.T) {
	at := map[string]int{}
	for i, s := range stages {
		at[s.name] = i
	}
	for _, pair := range [][2]string{
		{"early data", "running"},
		{"running", "client"},
		{"client", "network"},
		{"path", "network"},
		{"network", "own pages"},
		{"own pages", "who"},
		{"find route", "who"},
		{"who", "personal network"},
		{"who", "cross-site"},
		{"cross-site", "operation"},
		{"operation", "throttle"},
		{"operation", "decide"},
		{"decide", "hygiene"},
		{"hygiene", "identity"},
	} {
		first, ok1 := at[pair[0]]
		second, ok2 := at[pair[1]]
		if !ok1 || !ok2 || first >= second {
			t.Errorf("%s does not stand before %s", pair[0], pair[1])
		}
	}
	if stages[len(stages)-1].name != "identity" {
		t.Error("something stands after the identity: what was decided could change")
	}
}

// Row scopes pushed into a query hold against every spelling of the parameter.
func TestSetQuery(t *testing.T) {
	for in, want := range map[string]string{
		"":                      "owner=a%2Cb",
		"x=1&y=2":               "x=1&y=2&owner=a%2Cb",
		"owner=":                "owner=a%2Cb",
		"owner&x=1":             "x=1&owner=a%2Cb",
		"%6fwner=&x=%20":        "x=%20&owner=a%2Cb",
		"&&x=1&":                "x=1&owner=a%2Cb",
		"a%zz=1&owner=evil&b=2": "b=2&owner=a%2Cb",
	} {
		if got := setQuery(in, "owner", "a,b"); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}

func TestWithin(t *testing.T) {
	for asked, want := range map[string]bool{"a-1": true, "A1": true, "a1,b2": true, "a1,c3": false, "c3": false, "": false, "a1,": false, "a1 ,b2": false} {
		if got := within(asked, "a-1,b-2"); got != want {
			t.Errorf("asking for %q within a-1,b-2: %v, want %v", asked, got, want)
		}
	}
}

// A batch is forwarded only when its answers are rewritten in one way.
func TestOnePlan(t *testing.T) {
	a, b := &plan.Plan{ID: "a"}, &plan.Plan{ID: "b"}
	pass, pass2 := &plan.Plan{Pass: true}, &plan.Plan{Pass: true}
	for name, c := range map[string]struct {
		ps   []*plan.Plan
		want bool
	}{
		"none": {nil, true}, "one": {[]*plan.Plan{a}, true}, "the same": {[]*plan.Plan{a, a}, true}, "two": {[]*plan.Plan{a, b}, false},
		"masked after pass": {[]*plan.Plan{pass, a}, false}, "pass after masked": {[]*plan.Plan{a, pass}, false}, "two that pass": {[]*plan.Plan{pass, pass2}, true},
	} {
		if got := onePlan(c.ps); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// What browsers say about where a request comes from.
func TestSameSite(t *testing.T) {
	for _, c := range []struct {
		name, method string
		header       [2]string
		want         bool
	}{
		{"a page of ours", "GET", [2]string{"Sec-Fetch-Site", "same-origin"}, true},
		{"a sister site", "POST", [2]string{"Sec-Fetch-Site", "same-site"}, false},
		{"another site", "POST", [2]string{"Sec-Fetch-Site", "cross-site"}, false},
		{"typed, and it writes by GET", "GET", [2]string{"Sec-Fetch-Site", "none"}, false},
		{"typed", "POST", [2]string{"Sec-Fetch-Site", "none"}, true},
		{"our origin", "POST", [2]string{"Origin", "https://crm.example.com"}, true},
		{"our origin with its port", "POST", [2]string{"Origin", "https://CRM.example.com:443"}, true},
		{"no origin at all", "POST", [2]string{"Origin", "null"}, false},
		{"a longer name", "POST", [2]string{"Origin", "https://crm.example.com.evil.example"}, false},
		{"an ending like ours", "POST", [2]string{"Origin", "https://evilcrm.example.com"}, false},
		{"another port", "POST", [2]string{"Origin", "https://crm.example.com:8443"}, false},
		{"our referer", "GET", [2]string{"Referer", "https://crm.example.com/app?x=//evil"}, true},
		{"another referer", "GET", [2]string{"Referer", "https://evil.example/crm.example.com"}, false},
		{"a program", "POST", [2]string{"X", "y"}, true},
		{"a link from nowhere", "GET", [2]string{"X", "y"}, false},
		{"a page of an old browser, which names no origin with HEAD", "HEAD", [2]string{"X", "y"}, false},
		{"our referer with HEAD", "HEAD", [2]string{"Referer", "https://crm.example.com/app"}, true},
	} {
		r := httptest.NewRequest(c.method, "https://crm.example.com/x", nil)
		r.Header.Set(c.header[0], c.header[1])
		if got := sameSite(r); got != c.want {
			t.Errorf("%s (%s %s: %s): %v, want %v", c.name, c.method, c.header[0], c.header[1], got, c.want)
		}
	}
}

// What a route changes, it changes by whatever line of the map says so.
func TestWrites(t *testing.T) {
	m, err := resource.Parse("m.yaml", []byte(`
version: 1
map: m
entities: {lead: {id: [id], fields: {id: id}}, task: {id: [id], fields: {id: id}}}
routes:
  - {id: reads, on: GET /r, entity: lead, action: view}
  - {id: exports, on: GET /x, entity: lead, action: export}
  - {id: deletes, on: GET /d, entity: lead, action: delete}
  - {id: marks, on: GET /m, entity: lead, action: view, also: {entity: task, action: mark_complete}}
  - {id: shows, on: GET /s, entity: lead, action: view, also: {entity: task, action: view}}
  - {id: lists, on: POST /b, batch: {items: /requests/*, method: /method, path: /path}}
`))
	if err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]bool{"reads": false, "exports": false, "deletes": true, "marks": true, "shows": false, "lists": true} {
		if got := writes(m.RouteByID(id)); got != want {
			t.Errorf("%s changes something: %v, want %v", id, got, want)
		}
	}
}

func TestOwnPaths(t *testing.T) {
	for path, want := range map[string]bool{"/.crmgate": true, "/.crmgate/": true, "/.crmgate/x": true, "/.crmgatex": false, "/x/.crmgate/": false, "/": false} {
		if isOwn(path) != want {
			t.Errorf("%s is the gate's own: %v, want %v", path, !want, want)
		}
	}
	for host, want := range map[string]string{"CRM.Example.com:8443": "crm.example.com", "crm.example.com.": "crm.example.com", "[::1]:80": "::1"} {
		if got := canonicalHost(host); got != want {
			t.Errorf("host %s is %s, want %s", host, got, want)
		}
	}
}

// What may go on for ever ends when the policy changes, whatever kind of route the map has for it.
func TestEndless(t *testing.T) {
	m, err := resource.Parse("m.yaml", []byte(`
version: 1
map: m
entities: {lead: {id: [id], fields: {id: id}}}
routes:
  - {id: page, on: GET /p, entity: lead, action: view, response: {records: {at: /v/*}}}
  - {id: table, on: GET /t, entity: lead, action: export, response: {format: csv}}
  - {id: save, on: POST /s, entity: lead, action: edit}
  - {id: stream, kind: stream, on: GET /k, response: {format: json}}
  - {id: events, on: GET /e, entity: lead, action: view, response: {format: sse, records: {at: /}}}
  - {id: lines, on: GET /l, entity: lead, action: view, response: {format: ndjson, records: {at: /}}}
`))
	if err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]bool{"page": false, "table": false, "save": false, "stream": true, "events": true, "lines": true} {
		r := m.RouteByID(id)
		if got := endless(&resource.Operation{Kind: r.Kind, Route: r}); got != want {
			t.Errorf("%s goes on for ever: %v, want %v", id, got, want)
		}
	}
	if !endless(nil) {
		t.Error("an answer nobody knows is left alone")
	}
}
