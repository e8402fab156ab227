// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// taggedMap is a CRM whose writes can be made to depend on what was read.
const taggedMap = `version: 1
map: tagged
errors:
  statuses: [200, 404, 412]
  at: /error
  body: '{"error":"{type}"}'
  types: {default: refused}
entities:
  lead:
    id: [id]
    owner: [owner_id]
    read_back: {route: lead.get, args: {id: "{record_id}"}}
    fields:
      id: id
      owner: owner_id
      name: name
      phone: {names: [phone], tags: [pii], mask: {fn: phone, keep_last: 4}}
responses:
  one: {single: true, not_found: {status: 404, body: '{"error":"none"}'}, records: {at: /}}
routes:
  - {id: lead.get, on: "GET /leads/{id}", entity: lead, action: view, request: {read: {capture: id, as: id}}, response: one}
  - id: lead.match
    on: PATCH /leads/{id}
    entity: lead
    action: edit
    write: patch
    request: {read: [{capture: id, as: id}, {body: /, as: object}]}
    response: one
    conditional: {kind: match, header: If-Match, value: "{etag}"}
  - id: lead.fill
    on: POST /leads/{id}/fill
    entity: lead
    action: edit
    write: patch
    request: {read: [{capture: id, as: id}, {body: /, as: object}]}
    response: one
    conditional: {kind: fill, header: X-Only-Empty, value: "yes"}
`

const taggedPolicy = `version: 1
account: acme
templates:
  own:
    entities:
      lead:
        rows: own
        view: {partial: {mask: [phone]}}
        edit: {partial: {fill_if_empty: [phone]}}
assign:
  - {template: own, roles: [sales_user]}
`

// taggedCRM has one lead of the seller's, with an entity tag, and keeps what it is
// sent.
type taggedCRM struct {
	mu      sync.Mutex
	tag     string
	changes bool // somebody else writes between a read and the write
	wrote   []http.Header
}

func (c *taggedCRM) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	c.mu.Lock()
	defer c.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	if r.Method != http.MethodGet {
		c.wrote = append(c.wrote, r.Header.Clone())
		if m := r.Header.Get("If-Match"); m != "" && m != c.tag {
			w.WriteHeader(http.StatusPreconditionFailed)
			_, _ = io.WriteString(w, `{"error":"changed"}`)
			return
		}
	}
	if c.tag != "" {
		w.Header().Set("Etag", c.tag)
	}
	_, _ = io.WriteString(w, `{"id":"1","owner_id":"seller-1","name":"Asha","phone":""}`)
	if r.Method == http.MethodGet && c.changes {
		c.tag = `"later"`
	}
}

// sent returns the headers of the writes since the last call.
func (c *taggedCRM) sent() []http.Header {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := c.wrote
	c.wrote = nil
	return out
}

// TestRowsConditionalWrite: where the CRM can make a write depend on what was read
// before it, it is asked to, and what it says then reaches the person.
func TestRowsConditionalWrite(t *testing.T) {
	crm := &taggedCRM{}
	file := filepath.Join(t.TempDir(), "tagged.yaml")
	write(t, file, taggedMap)
	s := &setup{crm: serve(t, crm), crmMap: file, policy: taggedPolicy}
	d := s.start(t)
	d.add(t, "seller-1@acme.test", "sales_user", crmUser{ID: "seller-1"})
	d.add(t, "boss-1@acme.test", "administrator", crmUser{ID: "boss-1"})
	seller, boss := d.signedIn(t, "seller-1@acme.test"), d.signedIn(t, "boss-1@acme.test")
	for _, c := range []struct {
		name, method, path, body string
		who                      *browser
		tag                      string
		changes                  bool
		status                   int
		header, want             string // of the write; "" for not there
	}{
		{"the tag that was read", http.MethodPatch, "/leads/1", `{"name":"Ada"}`, seller, `"v7"`, false, 200, "If-Match", `"v7"`},
		{"somebody else was faster", http.MethodPatch, "/leads/1", `{"name":"Ada"}`, seller, `"v7"`, true, 412, "If-Match", `"v7"`},
		{"no tag", http.MethodPatch, "/leads/1", `{"name":"Ada"}`, seller, "", false, 200, "If-Match", ""},
		{"nothing is read first", http.MethodPatch, "/leads/1", `{"name":"Ada"}`, boss, `"v7"`, false, 200, "If-Match", ""},
		{"an empty field and nothing else", http.MethodPost, "/leads/1/fill", `{"phone":"+919811111111"}`, seller, "", false, 200, "X-Only-Empty", "yes"},
		{"an empty field and another", http.MethodPost, "/leads/1/fill", `{"phone":"+919811111111","name":"Ada"}`, seller, "", false, 200, "X-Only-Empty", ""},
		{"no empty field", http.MethodPost, "/leads/1/fill", `{"name":"Ada"}`, seller, "", false, 200, "X-Only-Empty", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			crm.mu.Lock()
			crm.tag, crm.changes = c.tag, c.changes
			crm.mu.Unlock()
			crm.sent()
			a := c.who.send(c.method, c.path, c.body)
			if a.StatusCode != c.status {
				t.Errorf("%s %s, want %d", a.Status, a.text(), c.status)
			}
			sent := crm.sent()
			if len(sent) != 1 {
				t.Fatalf("the CRM got %d writes, want 1", len(sent))
			}
			if got := strings.Join(sent[0].Values(c.header), ", "); got != c.want {
				t.Errorf("the CRM got %s: %q, want %q: the write overwrites what changed meanwhile", c.header, got, c.want)
			}
		})
	}
}
