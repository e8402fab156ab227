// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const batchMap = `version: 1
map: batches
errors: {statuses: [200, 400, 404, 500], at: /error, type: /type, message: /message, body: '{"error":{"type":"{type}","message":"{message}"}}', types: {default: refused}}
entities:
  lead: {names: [Lead], id: [Id], owner: [OwnerId], unknown: detect, fields: {id: Id, first_name: FirstName}}
routes:
  - {id: batch, on: POST /batch, batch: {items: /*, max: 50, method: /method, path: /url, body: /body}}
  - {id: lead.get, on: "GET /leads/{id}", entity: lead, action: view, request: {read: [{capture: id, as: id}]}, response: {single: true, records: {at: /}}}
  - {id: lead.delete, on: "DELETE /leads/{id}", entity: lead, action: delete, request: {read: [{capture: id, as: id}]}, response: {single: true, records: {at: /}}}
`

// TestAuditOfABatch: what a batch does stands in its record, however many harmless
// requests stand before it.
func TestAuditOfABatch(t *testing.T) {
	file := filepath.Join(t.TempDir(), "map.yaml")
	write(t, file, batchMap)
	s := &setup{crm: serve(t, new(recorder)), crmMap: file}
	d := s.start(t)
	d.add(t, "boss@acme.test", "administrator", crmUser{ID: "1"})
	d.add(t, "asha@acme.test", "sales_user", crmUser{ID: "2"})
	send := func(who string, items ...string) (*answer, entry) {
		a := d.signedIn(t, who).post("/batch", "["+strings.Join(items, ",")+"]")
		var last entry
		for _, e := range d.audit(t, "--kind", "request") {
			if e.Path == "/batch" && e.Seq > last.Seq {
				last = e
			}
		}
		return a, last
	}
	item := func(method, id string) string { return fmt.Sprintf(`{"method":%q,"url":"/leads/%s"}`, method, id) }
	var many []string
	for i := range 30 {
		many = append(many, item("GET", fmt.Sprint("r", i)))
	}
	many = append(many, item("DELETE", "x"), item("DELETE", "y"))

	a, e := send("boss@acme.test", many...)
	if a.StatusCode != http.StatusOK {
		t.Fatalf("the batch: %s %s", a.Status, a.text())
	}
	if e.Operation != "lead.delete" || e.Action != "delete" || e.Entity != "lead" || !slices.Contains(e.Records, "x") || !slices.Contains(e.Records, "y") || e.Count != 32 ||
		e.Detail != "a batch of 30 lead.get, 2 lead.delete" {
		t.Errorf("the record of a batch that deletes two leads: %+v", e)
	}
	if text := d.admin(t, http.MethodGet, "/crmgate/audit?operation=lead.delete", ""); !strings.Contains(text, e.RequestID) {
		t.Errorf("the deletions are not found by their operation: %s", text)
	}
	a, e = send("asha@acme.test", item("GET", "r"), item("DELETE", "x"))
	if a.StatusCode < 400 || e.Decision != "deny" || !strings.HasSuffix(e.Detail, "; a batch of 1 lead.get, 1 lead.delete") || !slices.Contains(e.Records, "x") {
		t.Errorf("the record of a batch that was refused: %s %+v", a.Status, e)
	}
	if _, e = send("boss@acme.test", item("GET", "r")); e.Operation != "lead.get" || e.Detail != "" || e.Count != 1 {
		t.Errorf("the record of a batch of one: %+v", e)
	}
}
