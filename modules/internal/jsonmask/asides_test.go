// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package jsonmask

import (
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/crmgate/crmgate/policy/mask"
	"github.com/crmgate/crmgate/policy/plan"
)

// asidePlan has a link and a cursor beside its records and a link in each of them.
func asidePlan(unknown plan.Effect) *plan.Plan {
	e := &plan.Entity{Name: "lead", Fields: map[string]*plan.Treatment{}, Unknown: &plan.Treatment{Effect: unknown}}
	if unknown == plan.Mask {
		e.Unknown.Mask = &mask.Func{}
	}
	if unknown != plan.Show {
		e.Fields["name"] = &plan.Treatment{Field: "name", Effect: plan.Mask, Mask: &mask.Func{}}
	}
	record := &plan.Record{Entity: e, Set: "v", Nested: map[string]*plan.Node{
		"links": {Members: map[string]*plan.Node{"self": {Link: true}}},
		"up":    {Link: true},
	}}
	return &plan.Plan{Format: plan.JSON, Fallback: e, Links: true, Root: &plan.Node{Members: map[string]*plan.Node{
		"next": {Link: true}, "after": {Cursor: true}, "v": {Elements: &plan.Node{Record: record, Entity: e}},
	}}}
}

// TestAsides: what leads on from an answer stays where unknown fields do not, leads to
// the gate, and is searched like any other text.
func TestAsides(t *testing.T) {
	limits := Limits{Link: func(address string) string {
		if rest, is := strings.CutPrefix(address, "http://crm"); is {
			return "https://gate" + rest
		}
		return address
	}}
	for _, c := range []struct {
		name    string
		unknown plan.Effect
		in      string
		want    string
	}{
		{"shown", plan.Show, `{"next":"http://crm/a?b=9812345670","after":"9812345670","x":"http://crm/"}`, `{"next":"https://gate/a?b=9812345670","after":"9812345670","x":"http://crm/"}`},
		{"in records", plan.Detect, `{"v":[{"id":1,"links":{"self":"http://crm/1","x":"http://crm/"},"up":"http://crm/"},{"id":2,"up":"/3"}]}`, `{"v":[{"id":1,"links":{"self":"https://gate/1","x":"http://crm/"},"up":"https://gate/"},{"id":2,"up":"/3"}]}`},
		{"where unknown fields are hidden", plan.Hide, `{"next":"http://crm/a","after":"p2","x":1,"v":[{"up":"http://crm/1","y":"z"}]}`, `{"next":"https://gate/a","after":"p2","v":[{"up":"https://gate/1"}]}`},
		{"where unknown fields are masked", plan.Mask, `{"next":"http://crm/a","after":"p2","x":"y"}`, `{"next":"https://gate/a","after":"p2","x":"XXXXXXXX"}`},
		{"escaped", plan.Detect, `{"next":"http:\/\/crm\/\u0061?q=\"\u00e9"}`, `{"next":"https://gate/a?q=\"é"}`},
		{"personal data", plan.Detect, `{"next":"http://crm/?q=meera@canary.example","after":"98123 45670"}`, `{"next":"http://crm/?q=XXXXXXXX","after":"XXXXXXXX"}`},
		{"personal data where all is hidden", plan.Hide, `{"after":"98123 45670"}`, `{"after":"XXXXXXXX"}`},
		{"a value behind it", plan.Detect, `{"next":"http://crm/?q=Kestrel Holdings","v":[{"name":"Kestrel Holdings","up":"http://crm/kestrel holdings/1"}]}`, `{"next":"http://crm/?q=XXXXXXXX","v":[{"name":"XXXXXXXX","up":"http://crm/XXXXXXXX/1"}]}`},
		{"elsewhere", plan.Detect, `{"next":"http://other/a","after":""}`, `{"next":"http://other/a","after":""}`},
		{"no text", plan.Detect, `{"next":null,"after":17,"v":[{"up":false,"links":null}]}`, `{"next":null,"after":17,"v":[{"up":false,"links":null}]}`},
		{"no text that may be seen", plan.Hide, `{"next":null,"after":17,"v":[{"up":false}]}`, `{"next":null,"after":null,"v":[{"up":null}]}`},
		{"an object", plan.Detect, `{"next":{"href":"98123 45670"},"after":["http://crm/"]}`, `{"next":{"href":"XXXXXXXX"},"after":["http://crm/"]}`},
	} {
		for chunks, wrap := range map[string]func(io.Reader) io.Reader{"whole": func(r io.Reader) io.Reader { return r }, "byte by byte": iotest.OneByteReader} {
			m := New(asidePlan(c.unknown), nil, limits)
			got, err := io.ReadAll(m.Reader(wrap(strings.NewReader(c.in))))
			if err != nil || string(got) != c.want {
				t.Errorf("%s, %s: %v\ngot  %s\nwant %s", c.name, chunks, err, got, c.want)
			}
		}
	}
	m := New(asidePlan(plan.Detect), nil, Limits{})
	if got, err := io.ReadAll(m.Reader(strings.NewReader(`{"next":"http://crm/a"}`))); err != nil || string(got) != `{"next":"http://crm/a"}` {
		t.Errorf("without a gate to lead to: %s, %v", got, err)
	}
}
