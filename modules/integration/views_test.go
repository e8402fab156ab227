// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// The well-known lead and a lead that does not exist.
const (
	knownLead = "00000000-0000-4000-8000-000000000001"
	noLead    = "00000000-0000-4000-8000-00000000ffff"
)

// direct asks the CRM itself, with somebody's own key pair.
func (d *demo) direct(t testing.TB, email, method, path, body string) *answer {
	t.Helper()
	k := keysOf(t, email)
	b := newBrowser(t, d.CRM, nil)
	return b.send(method, path, body, "x-LSQ-AccessKey", k.AccessKey, "x-LSQ-SecretKey", k.SecretKey)
}

// TestViews: four people, four views of one lead.
func TestViews(t *testing.T) {
	d := sharedDemo(t)
	const path = "/app/api/leads/" + knownLead
	raw := d.direct(t, "admin@acme.test", http.MethodGet, path, "")
	var clear map[string]any
	raw.json(t, &clear)
	for _, c := range []struct {
		who    string
		want   map[string]any // nil: the member is not there
		absent []string
	}{
		{"manager@acme.test", map[string]any{"Phone": "+919876543210", "EmailAddress": "ishaan.kapoor@example.com"}, nil},
		{"marketing@acme.test", map[string]any{"Phone": "+91XXXXXX3210", "EmailAddress": "ishaan.kapoor@example.com"}, []string{"mx_PAN_Number", "mx_Aadhaar"}},
		{"asha@acme.test", map[string]any{"Phone": "+91XXXXXX3210", "EmailAddress": "XXXXXX@example.com", "FirstName": "Ishaan"}, []string{"mx_PAN_Number", "mx_Aadhaar", "mx_Annual_Income"}},
	} {
		t.Run(c.who, func(t *testing.T) {
			a := d.signedIn(t, c.who).get(path)
			if a.StatusCode != http.StatusOK {
				t.Fatalf("the lead: %s %s", a.Status, a.text())
			}
			var got map[string]any
			a.json(t, &got)
			for name, want := range c.want {
				if got[name] != want {
					t.Errorf("%s sees %s as %v, want %v", c.who, name, got[name], want)
				}
			}
			for _, name := range c.absent {
				if v, there := got[name]; there {
					t.Errorf("%s sees the hidden %s (%v)", c.who, name, v)
				}
			}
			for _, name := range []string{"mx_PAN_Number", "mx_Aadhaar"} {
				if v, there := got[name]; there && v == clear[name] {
					t.Errorf("%s sees %s in clear", c.who, name)
				}
			}
		})
	}
	t.Run("admin@acme.test", func(t *testing.T) {
		a := d.signedIn(t, "admin@acme.test").get(path)
		if a.text() != raw.text() {
			t.Errorf("the administrator's lead is not what the CRM answers, byte for byte:\n%s\n%s", a.text(), raw.text())
		}
	})
}

// TestViewsAbsentLead: somebody else's lead and no lead at all look the same, with
// every method and to the last header.
func TestViewsAbsentLead(t *testing.T) {
	d := sharedDemo(t)
	ravi := d.signedIn(t, "ravi@acme.test")
	asha := d.signedIn(t, "asha@acme.test")
	var other string // an opportunity of asha's lead
	{
		var list struct {
			List []struct{ ProspectOpportunityId string }
		}
		asha.get("/app/api/leads/"+knownLead+"/opportunities").json(t, &list)
		if len(list.List) == 0 {
			t.Fatal("asha's lead has no opportunity to ask for")
		}
		other = list.List[0].ProspectOpportunityId
	}
	for _, c := range []struct{ name, method, theirs, none, body string }{
		{"one lead", http.MethodGet, "/app/api/leads/" + knownLead, "/app/api/leads/" + noLead, ""},
		{"only its header", http.MethodHead, "/app/api/leads/" + knownLead, "/app/api/leads/" + noLead, ""},
		{"by id", http.MethodGet, "/v2/LeadManagement.svc/Leads.GetById?id=" + knownLead, "/v2/LeadManagement.svc/Leads.GetById?id=" + noLead, ""},
		{"an opportunity", http.MethodGet, "/v2/OpportunityManagement.svc/GetOpportunityDetails?OpportunityId=" + other, "/v2/OpportunityManagement.svc/GetOpportunityDetails?OpportunityId=" + noLead, ""},
		{"its owner", http.MethodGet, "/v2/LeadManagement.svc/LeadOwner.Get?leadId=" + knownLead, "/v2/LeadManagement.svc/LeadOwner.Get?leadId=" + noLead, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, b := ravi.send(c.method, c.theirs, c.body), ravi.send(c.method, c.none, c.body)
			for _, x := range []*answer{a, b} {
				x.Header.Del("Date")
			}
			if a.StatusCode != b.StatusCode || headerText(a.Header) != headerText(b.Header) || drop(a.text(), "instance") != drop(b.text(), "instance") {
				t.Errorf("ravi can tell that asha's record exists:\n%s\n%s%s\n\n%s\n%s%s", a.Status, headerText(a.Header), a.text(), b.Status, headerText(b.Header), b.text())
			}
		})
	}
	a := ravi.get("/app/api/leads/" + knownLead)
	crm := d.direct(t, "ravi@acme.test", http.MethodGet, "/app/api/leads/"+noLead, "")
	if a.StatusCode != crm.StatusCode || a.text() != crm.text() {
		t.Errorf("the answer is not the CRM's own:\n%s %s\n%s %s", a.Status, a.text(), crm.Status, crm.text())
	}
}

// TestViewsLists: lists hold the rows their reader may see, and count them.
func TestViewsLists(t *testing.T) {
	d := sharedDemo(t)
	type list struct {
		RecordCount int
		Leads       []map[string]any
	}
	asha := keysOf(t, "asha@acme.test")
	var own, all list
	d.direct(t, "admin@acme.test", http.MethodGet, "/app/api/leads?size=200&owner="+asha.ID, "").json(t, &own)
	d.direct(t, "admin@acme.test", http.MethodGet, "/app/api/leads?size=10", "").json(t, &all)

	for _, path := range []string{"/app/api/leads?size=200", "/app/api/leads?size=200&owner=" + asha.ID} {
		var got list
		d.signedIn(t, "asha@acme.test").get(path).json(t, &got)
		if got.RecordCount != own.RecordCount || len(got.Leads) == 0 {
			t.Errorf("%s: asha reads a total of %d over %d rows, the CRM counts %d of hers", path, got.RecordCount, len(got.Leads), own.RecordCount)
		}
		for _, l := range got.Leads {
			if l["OwnerId"] != asha.ID {
				t.Errorf("%s: asha sees a lead of %v", path, l["OwnerIdName"])
			}
			if p, _ := l["Phone"].(string); p != "" && !strings.Contains(p, "XXXXXX") {
				t.Errorf("%s: asha sees the phone %s", path, p)
			}
		}
	}
	a := d.signedIn(t, "asha@acme.test").get("/app/api/leads?owner=" + keysOf(t, "ravi@acme.test").ID)
	if a.StatusCode == http.StatusOK && strings.Contains(a.text(), "ProspectID") {
		t.Errorf("asha lists ravi's leads: %.300s", a.text())
	}
	for _, who := range []string{"manager@acme.test", "marketing@acme.test", "admin@acme.test"} {
		var got list
		d.signedIn(t, who).get("/app/api/leads?size=10").json(t, &got)
		if got.RecordCount != all.RecordCount || len(got.Leads) != 10 {
			t.Errorf("%s reads %d of %d leads, the CRM has %d", who, len(got.Leads), got.RecordCount, all.RecordCount)
		}
	}
}

// TestViewsProgram: a key pair is judged like its person.
func TestViewsProgram(t *testing.T) {
	d := sharedDemo(t)
	k := keysOf(t, "asha@acme.test")
	const search = `{"Parameter":{"LookupName":"mx_Country","LookupValue":"India","SqlOperator":"="},"Columns":{"Include_CSV":"ProspectID,OwnerId,Phone,EmailAddress,mx_PAN_Number"},"Paging":{"PageIndex":1,"PageSize":200}}`
	for _, c := range []struct {
		name   string
		suffix string
		header []string
	}{
		{"in headers", "", []string{"x-LSQ-AccessKey", k.AccessKey, "x-LSQ-SecretKey", k.SecretKey}},
		{"in the query", fmt.Sprintf("?accessKey=%s&secretKey=%s", strings.ReplaceAll(k.AccessKey, "$", "%24"), k.SecretKey), nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := d.browser(t)
			a := b.post("/v2/LeadManagement.svc/Leads.Get"+c.suffix, strings.Replace(search, ",mx_PAN_Number", "", 1), c.header...)
			if a.StatusCode != http.StatusOK {
				t.Fatalf("asha's program searching: %s %s", a.Status, a.text())
			}
			var rows []map[string]any
			a.json(t, &rows)
			if len(rows) == 0 {
				t.Fatal("asha's program finds none of her leads")
			}
			for _, r := range rows {
				if p, _ := r["Phone"].(string); r["OwnerId"] != k.ID || p != "" && !strings.Contains(p, "XXXXXX") {
					j, _ := json.Marshal(r)
					t.Errorf("asha's program reads %s", j)
				}
			}
			if a := b.post("/v2/LeadManagement.svc/Leads.Get"+c.suffix, search, c.header...); strings.Contains(a.text(), "mx_PAN_Number\":") {
				t.Errorf("asha's program reads hidden fields by asking for them: %s %.300s", a.Status, a.text())
			}
		})
	}
}
