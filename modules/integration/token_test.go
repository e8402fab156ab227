// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
)

// TestTokens: a field masked by a token shows the same text for the same value, in
// every record, and after a restart, so that people can tell records apart by it;
// without the key nobody finds out what stands behind it.
func TestTokens(t *testing.T) {
	crm := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `[{"id":"1","phone":"+919876543210"},{"id":"2","phone":"+919876543211"},{"id":"3","phone":"+919876543210"}]`)
	}))
	file := filepath.Join(t.TempDir(), "tokens.yaml")
	write(t, file, `version: 1
map: tokens
entities:
  lead:
    id: [id]
    fields:
      id: id
      phone: {names: [phone], tags: [pii], mask: {fn: token}}
responses:
  list: {records: {at: "/*"}}
routes:
  - {id: lead.list, on: "GET /leads", entity: lead, action: view, response: list}
`)
	policy := "version: 1\naccount: acme\ntemplates:\n  t:\n    entities:\n      lead: {view: {partial: {mask: [phone]}}}\nassign:\n  - {template: t, roles: [sales_manager]}\n"
	s := &setup{crm: crm, crmMap: file, policy: policy}
	d := s.start(t)
	d.add(t, "boss-1@acme.test", "sales_manager", crmUser{})
	ask := func(d *demo) []string {
		t.Helper()
		var leads []struct{ Phone string }
		b := d.browser(t)
		if res := b.signIn("boss-1@acme.test", password); res.StatusCode != http.StatusOK {
			t.Fatalf("signing in: %s %s", res.Status, res.text())
		}
		res := b.get("/leads")
		if res.StatusCode != http.StatusOK || strings.Contains(res.text(), "98765") {
			t.Fatalf("tokens: %s %s", res.Status, res.text())
		}
		res.json(t, &leads)
		if len(leads) != 3 {
			t.Fatalf("%d leads are shown: %s", len(leads), res.text())
		}
		return []string{leads[0].Phone, leads[1].Phone, leads[2].Phone}
	}
	first := ask(d)
	if first[0] == "" || first[0] != first[2] || first[0] == first[1] {
		t.Errorf("tokens do not tell records apart: %q", first)
	}
	d.stop(t)
	if again := ask(s.start(t)); again[0] != first[0] || again[1] != first[1] {
		t.Errorf("after a restart the tokens are others: %q, then %q", first, again)
	}
	if out, err := runBinary(t, "", "policy", "check", "--map", file, filepath.Join(filepath.Dir(s.data), filepath.Base(s.data)+"-policy.yaml")); err != nil {
		t.Errorf("the policy cannot be checked without the account's key: %v\n%s", err, out)
	}
}
