// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"strings"
	"testing"

	"github.com/crmgate/crmgate/policy/plan"
	"github.com/crmgate/crmgate/policy/resource"
)

const partMap = `version: 1
map: parts
entities:
  lead: {id: [Id], owner: [OwnerId], owner_via: [{at: Up, entity: lead}], fields: {id: Id, owner: OwnerId, phone: {names: [Phone]}}, read_back: {route: one, args: {id: "{record_id}"}}}
routes:
  - {id: batch, on: "POST /$batch", batch: {parts: http}}
  - {id: list, on: GET /leads, entity: lead, action: view, response: {records: {at: /value/*}, inject: {query: owner, many: comma}}}
  - {id: one, on: "GET /leads({id})", entity: lead, action: view, request: {read: [{capture: id, as: id}]}, response: {single: true, records: {at: /}}}
  - {id: table, on: GET /table, entity: lead, action: view, response: {format: csv, records: {at: /*}}}
  - {id: save, on: "PATCH /leads({id})", entity: lead, action: edit, write: patch, request: {read: [{capture: id, as: id}, {body: /, as: object}]}, response: {format: none}}
`

const partPolicy = `version: 1
account: acme
templates:
  masked: {entities: {lead: {view: {partial: {mask: [phone]}}}}}
  own: {entities: {lead: {rows: own}}}
  few: {entities: {lead: {max_records: 3}}}
assign:
  - {template: masked, roles: [marketing_user]}
  - {template: own, roles: [sales_user]}
  - {template: few, roles: [sales_manager]}
`

// A batch of parts is decided request by request, and its answer rewritten by the
// plan that holds for all of them, as a body of parts.
func TestBatchesOfPartsAreDecided(t *testing.T) {
	m, err := resource.Parse("parts.yaml", []byte(partMap))
	if err != nil {
		t.Fatal(err)
	}
	s := compileSrc(t, m, partPolicy)
	batch := func(requests ...string) []resource.Operation {
		body := ""
		for _, r := range requests {
			body += "--b\r\nContent-Type: application/http\r\n\r\n" + r + "\r\n"
		}
		r := &resource.Request{Method: "POST", Path: "/$batch", Query: map[string][]string{}, Header: map[string][]string{"Content-Type": {"multipart/mixed; boundary=b"}}, Body: []byte(body + "--b--\r\n")}
		mt, err := m.Match(r)
		if err != nil {
			t.Fatal(err)
		}
		ops, err := mt.Operations(r)
		if err != nil {
			t.Fatal(err)
		}
		return ops
	}
	const (
		list  = "GET leads HTTP/1.1\r\n\r\n"
		one   = "GET leads(1) HTTP/1.1\r\n\r\n"
		table = "GET table HTTP/1.1\r\n\r\n"
		save  = "PATCH leads(1) HTTP/1.1\r\nContent-Type: application/json\r\n\r\n{\"Phone\":\"1\"}"
	)
	for _, c := range []struct {
		name, role string
		ops        []resource.Operation
		allow      bool
		plans      int // different ones
	}{
		{"masked lists", "marketing_user", batch(list, list), true, 1},
		{"a masked list and a lead", "marketing_user", batch(list, one), true, 2}, // which the gate refuses
		{"a masked table", "marketing_user", batch(table), false, 0},
		{"a write of a masked field", "marketing_user", batch(save), false, 0},
		{"a read, and a write of a masked field", "marketing_user", batch(list, save), false, 0},
		{"own leads", "sales_user", batch(one, one), true, 1},
		{"a write under a row scope", "sales_user", batch(save), false, 0},
		{"more than may be counted", "sales_manager", batch(list), false, 0},
		{"nothing to rewrite", "administrator", batch(list, one, table, save), true, 4},
	} {
		d := s.Decide(as(c.role), c.ops, Env{})
		if d.Allow != c.allow {
			t.Errorf("%s: allowed %v, %s (%s)", c.name, d.Allow, d.Reason, d.Detail)
			continue
		}
		different := map[*plan.Plan]bool{}
		for _, p := range d.Plans {
			if d.Allow {
				different[p] = true
			}
			if d.Allow && p.Pass != (c.role == "administrator") || !p.Pass && (p.Format != plan.Multipart || !p.HTTP || p.Twice) {
				t.Errorf("%s: goes through as %s (parts %v), untouched %v", c.name, p.Format, p.HTTP, p.Pass)
			}
		}
		if len(different) != c.plans || len(d.Inject) > 0 {
			t.Errorf("%s: %d plans, want %d; pushed into the batch's own query: %v", c.name, len(different), c.plans, d.Inject)
		}
	}
	alone := s.Decide(as("marketing_user"), ops(t, m, "GET /leads"), Env{})
	within := s.Decide(as("marketing_user"), batch(list), Env{})
	if !alone.Allow || !within.Allow || alone.Plans[0].Format != plan.JSON || alone.Plans[0].ID == within.Plans[0].ID || !strings.Contains(string(within.Plans[0].Format), "multipart") {
		t.Error("a list by itself and one within a batch are rewritten in one way")
	}
	if d := s.Decide(as("sales_user"), ops(t, m, "GET /leads"), Env{}); !d.Allow || len(d.Inject) != 1 || !d.Plans[0].Twice {
		t.Errorf("a list by itself: %v, pushed %v", d.Detail, d.Inject)
	}
}
