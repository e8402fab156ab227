// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"slices"
	"strings"
	"testing"

	"github.com/crmgate/crmgate/policy/plan"
	"github.com/crmgate/crmgate/policy/resource"
)

const formatMap = `version: 1
map: formats
entities:
  lead: {id: [Id], owner: [OwnerId], fields: {id: Id, owner: OwnerId, phone: {names: [Phone]}}}
routes:
  - {id: r, on: GET /r, entity: lead, action: view, response: RESPONSE}
`

const formatPolicy = `version: 1
account: acme
templates:
  masked: {entities: {lead: {view: {partial: {mask: [phone]}}}}}
  own: {entities: {lead: {rows: own}}}
assign:
  - {template: masked, roles: [marketing_user]}
  - {template: own, roles: [sales_manager]}
`

// Who can rewrite an answer is settled when the plan is made: nobody is asked to
// mask what no engine reads.
func TestFormatsThatAreRewritten(t *testing.T) {
	const yes, no = true, false
	for _, c := range []struct {
		response    string
		masked, own bool // allowed
	}{
		{"{format: json, records: {at: /*}}", yes, yes},
		{"{format: ndjson, records: {at: /}}", yes, yes},
		{"{format: json_seq, records: {at: /}}", yes, yes},
		{"{format: sse, records: {at: /data}}", yes, yes},
		{"{format: ndjson}", yes, no}, // nobody knows where records are
		{"{format: csv, records: {at: /*}}", yes, yes},
		{"{format: csv}", no, no},
		{"{format: csv, records: {at: /Leads/*}}", no, no},
		{"{format: csv, records: {at: /*, style: matrix, columns: {request: true}}}", no, no},
		{"{format: xml, records: {at: /Leads/Lead}}", yes, yes},
		{"{format: xml}", yes, no},
		{"{format: xml, records: {at: /}}", no, no},
		{"{format: xml, records: {at: /rows, style: matrix, columns: {at: /cols}}}", no, no},
		{"{format: multipart, records: {at: /*}}", yes, yes},
		{"{format: multipart, parts: http, records: {at: /}}", yes, yes},
		{"{format: websocket, records: {at: /}, say: [ping]}", yes, yes},
		{"{format: html, elements: [{at: \"td.phone[data-x='1']\", field: phone}]}", yes, no},
		{"{format: html, elements: [{at: \"#a\", field: fax}]}", no, no},
		{"{format: html}", no, no},
		{"{format: xlsx, records: {at: /*}}", yes, yes},
		{"{format: xlsx}", no, no},
		{"{format: xlsx, records: {at: /Leads/*}}", no, no},
		{"{format: opaque}", no, no},
	} {
		m, err := resource.Parse("formats.yaml", []byte(strings.Replace(formatMap, "RESPONSE", c.response, 1)))
		if err != nil {
			t.Fatal(err)
		}
		s := compileSrc(t, m, formatPolicy)
		for role, want := range map[string]bool{"marketing_user": c.masked, "sales_manager": c.own} {
			route := m.RouteByID("r")
			op := resource.Operation{ID: "r", Entity: "lead", Action: resource.View, Kind: resource.Data, Route: route}
			d := s.Decide(as(role), []resource.Operation{op}, Env{})
			if d.Allow != want {
				t.Errorf("%s for %s: allowed %v (%s), want %v", c.response, role, d.Allow, d.Detail, want)
			}
			if d.Allow && d.Plans[0].HTTP != (route.Response.Parts == "http") {
				t.Errorf("%s for %s: parts are taken for HTTP answers: %v", c.response, role, d.Plans[0].HTTP)
			}
			if d.Allow && (d.Plans[0].Pass || d.Plans[0].Format != plan.Format(route.Response.Format)) {
				t.Errorf("%s for %s: goes through as %s, untouched %v", c.response, role, d.Plans[0].Format, d.Plans[0].Pass)
			}
		}
	}
}

func TestTables(t *testing.T) {
	for response, want := range map[string]plan.Table{
		"{format: csv, records: {at: /*}}":                                         {Delimiter: ','},
		`{format: csv, records: {at: /*}, table: {delimiter: "\t"}}`:               {Delimiter: '\t'},
		"{format: csv, records: {at: /*}, table: {columns: [Id, Phone]}}":          {Delimiter: ',', Columns: []string{"Id", "Phone"}, Empty: true},
		"{format: csv, records: {at: /*}, table: {columns: [Id], hidden: drop}}":   {Delimiter: ',', Columns: []string{"Id"}},
		`{format: csv, records: {at: /*}, table: {delimiter: ";", hidden: empty}}`: {Delimiter: ';', Empty: true},
		"{format: xlsx, records: {at: /*}, table: {columns: [Id, Phone]}}":         {Delimiter: ',', Columns: []string{"Id", "Phone"}, Empty: true},
	} {
		m, err := resource.Parse("formats.yaml", []byte(strings.Replace(formatMap, "RESPONSE", response, 1)))
		if err != nil {
			t.Fatal(err)
		}
		op := resource.Operation{ID: "r", Entity: "lead", Action: resource.View, Kind: resource.Data, Route: m.RouteByID("r")}
		p := compileSrc(t, m, formatPolicy).PlanFor(as("marketing_user"), &op)
		if p == nil || p.Table == nil || p.Table.Delimiter != want.Delimiter || p.Table.Empty != want.Empty || !slices.Equal(p.Table.Columns, want.Columns) {
			t.Errorf("%s is compiled to %+v", response, p)
		}
	}
	for _, response := range []string{
		"{table: {delimiter: \";\"}}", "{format: xlsx, table: {delimiter: \";\"}}", "{format: xml, table: {hidden: drop}}", "{format: csv, table: {delimiter: x}}", "{format: csv, table: {quote: x}}", "{format: csv, prefix: x}", "{say: [ping]}",
		"{parts: http}", "{format: csv, parts: json}", "{format: multipart, parts: xml}",
		"{elements: [{at: a, field: phone}]}", "{format: html, elements: [{at: \"a b\", field: phone}]}", "{format: html, elements: [{at: a}]}",
		"{format: html, elements: [{at: a, json: true}]}", "{format: html, elements: [{at: \"a,b\", field: phone}]}", "{format: html, elements: [{field: phone}]}",
	} {
		if _, err := resource.Parse("formats.yaml", []byte(strings.Replace(formatMap, "RESPONSE", response, 1))); err == nil {
			t.Errorf("%s is taken for an answer somebody can read", response)
		}
	}
}
