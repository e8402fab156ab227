// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
)

// TestBrokenPages: a page of leads that the CRM announced with its length, and that
// breaks at its very end, is a clean 502 with nothing of it; where nobody knows how
// long it will be, or beyond two megabytes, it is cut in a way no client takes for
// the end.
func TestBrokenPages(t *testing.T) {
	const lead = `{"ProspectID":"l-1","Phone":"+91-9812345670","ProspectStage":"Qualified","FirstName":"Ann"},`
	crm := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, _ := strconv.Atoi(r.URL.Query().Get("size"))
		body := `{"RecordCount":1,"Leads":[` + strings.Repeat(lead, n/len(lead)) + `{"ProspectID":]}`
		w.Header().Set("Content-Type", "application/json")
		if n%2 == 1 { // the CRM says how long it is
			w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		}
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(crm.Close)
	s := &setup{crm: crm.URL, policy: `version: 1
account: acme
templates:
  masked: {entities: {lead: {view: {partial: {mask: [phone]}}}}}
assign: [{template: masked, roles: [sales_manager]}]
`}
	d := s.start(t)
	d.add(t, "mira@acme.test", "sales_manager", crmUser{})
	b := d.signedIn(t, "mira@acme.test")
	for _, c := range []struct {
		name, query string
		whole       bool
	}{
		{"a short one", "size=10001", true},
		{"a short one of unknown length", "size=10000", true},
		{"a megabyte", "size=1000001", true},
		{"a megabyte of unknown length", "size=1000000", false},
		{"three megabytes", "size=3000001", false},
	} {
		req, err := http.NewRequest(http.MethodGet, b.base+"/app/api/leads?"+c.query, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Accept", "application/json")
		res, err := b.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		switch text := string(raw); {
		case strings.Contains(text, "9812345670"):
			t.Errorf("%s: the number comes through", c.name)
		case c.whole && (res.StatusCode != http.StatusBadGateway || err != nil || strings.Contains(text, "Qualified")):
			t.Errorf("%s: not a clean 502: %s, %d bytes, %v", c.name, res.Status, len(raw), err)
		case !c.whole && (res.StatusCode != http.StatusOK || err == nil || !strings.Contains(text, "Qualified")):
			t.Errorf("%s: ends like a whole one: %s, %d bytes, %v", c.name, res.Status, len(raw), err)
		}
	}
}
