// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// lead reads one lead from the CRM itself.
func (d *demo) lead(t testing.TB, id string) map[string]any {
	t.Helper()
	var out map[string]any
	d.direct(t, "admin@acme.test", http.MethodGet, "/app/api/leads/"+id, "").json(t, &out)
	return out
}

// change writes fields of a lead in the CRM itself.
func (d *demo) change(t testing.TB, id, body string) {
	t.Helper()
	if a := d.direct(t, "admin@acme.test", http.MethodPost, "/app/api/leads/"+id, body); a.StatusCode != http.StatusOK {
		t.Fatalf("changing the lead: %s %s", a.Status, a.text())
	}
}

// TestRowsReadBeforeWrite: people limited to their own rows change their own leads
// and no others, and masks that come back with a form are never stored.
func TestRowsReadBeforeWrite(t *testing.T) {
	d := startDemo(t, "", "--leads", "300")
	asha, ravi := d.signedIn(t, "asha@acme.test"), d.signedIn(t, "ravi@acme.test")
	const path, update = "/app/api/leads/" + knownLead, "/v2/LeadManagement.svc/Lead.Update?leadId=" + knownLead
	before := d.lead(t, knownLead)
	pair := func(name, value string) string { return fmt.Sprintf(`[{"Attribute":%q,"Value":%q}]`, name, value) }
	for _, c := range []struct {
		name, path, body string
		who              *browser
		status           int
		field            string
		want             any
	}{
		{"her own", path, `{"FirstName":"Ada"}`, asha, 200, "FirstName", "Ada"},
		{"not his", path, `{"FirstName":"Eve"}`, ravi, 404, "FirstName", "Ada"},
		{"her own, in pairs", update, pair("FirstName", "Bea"), asha, 200, "FirstName", "Bea"},
		{"not his, in pairs", update, pair("FirstName", "Eve"), ravi, 404, "FirstName", "Bea"},
		{"the mask comes back", path, `{"Phone":"+91XXXXXX3210","FirstName":"Cleo"}`, asha, 200, "Phone", before["Phone"]},
		{"and the rest is written", path, `{"mx_City":"x"}`, asha, 200, "FirstName", "Cleo"},
		{"the mask comes back in pairs", update, strings.TrimSuffix(pair("EmailAddress", "XXXXXX@example.com"), "]") + "," + pair("FirstName", "Dora")[1:], asha, 200, "EmailAddress", before["EmailAddress"]},
		{"and so is its rest", path, `{"mx_City":"y"}`, asha, 200, "FirstName", "Dora"},
		{"another number", path, `{"Phone":"+919800000000"}`, asha, 403, "Phone", before["Phone"]},
		{"a guess that is right", path, fmt.Sprintf(`{"Phone":%q}`, before["Phone"]), asha, 403, "Phone", before["Phone"]},
		{"clearing", path, `{"Phone":""}`, asha, 403, "Phone", before["Phone"]},
		{"another's mask", path, `{"Phone":"+91XXXXXX9999"}`, asha, 403, "Phone", before["Phone"]},
		{"a hidden field", path, `{"mx_PAN_Number":"ABCDE1234F"}`, asha, 403, "mx_PAN_Number", before["mx_PAN_Number"]},
		{"two leads named", "/v2/LeadManagement.svc/Lead.Update?leadId=" + knownLead + "," + noLead, pair("FirstName", "Eve"), asha, 403, "FirstName", "Dora"},
		{"a lead that is not there", "/app/api/leads/" + noLead, `{"FirstName":"Eve"}`, asha, 404, "FirstName", "Dora"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := c.who.post(c.path, c.body)
			if a.StatusCode != c.status {
				t.Errorf("%s %s: %s %s, want %d", c.path, c.body, a.Status, a.text(), c.status)
			}
			if got := d.lead(t, knownLead)[c.field]; got != c.want {
				t.Errorf("%s is %v in the CRM, want %v", c.field, got, c.want)
			}
		})
	}
	t.Run("not there and not his look alike", func(t *testing.T) {
		x, y := ravi.post(path, `{"FirstName":"Eve"}`), ravi.post("/app/api/leads/"+noLead, `{"FirstName":"Eve"}`)
		if x.StatusCode != y.StatusCode || drop(drop(x.text(), "instance"), "request_id") != drop(drop(y.text(), "instance"), "request_id") {
			t.Errorf("ravi can tell that asha's lead exists:\n%s\n%s", x.text(), y.text())
		}
	})
	t.Run("filled in while empty", func(t *testing.T) {
		d.change(t, knownLead, `{"Phone":""}`)
		if a := asha.post(path, `{"Phone":"XXXXXXXX"}`); a.StatusCode != 403 {
			t.Errorf("a mask is filled in: %s %s", a.Status, a.text())
		}
		if a := asha.post(path, `{"Phone":"+919811111111"}`); a.StatusCode != 200 || d.lead(t, knownLead)["Phone"] == "" {
			t.Errorf("asha fills in an empty phone: %s %s", a.Status, a.text())
		}
		if a := asha.post(path, `{"Phone":"+919822222222"}`); a.StatusCode != 403 || strings.HasSuffix(fmt.Sprint(d.lead(t, knownLead)["Phone"]), "9822222222") {
			t.Errorf("asha changes what she filled in: %s %s", a.Status, a.text())
		}
	})
	t.Run("what hangs on a lead", func(t *testing.T) {
		note := fmt.Sprintf(`{"RelatedProspectId":%q,"ActivityEvent":201,"ActivityNote":"called"}`, knownLead)
		if a := ravi.post("/v2/ProspectActivity.svc/Create", note); a.StatusCode != 404 {
			t.Errorf("ravi puts an activity on asha's lead: %s %s", a.Status, a.text())
		}
		if a := asha.post("/v2/ProspectActivity.svc/Create", note); a.StatusCode >= 400 && a.reason() != "" {
			t.Errorf("asha puts an activity on her lead: %s %s", a.Status, a.text())
		}
	})
	t.Run("audited, and without values", func(t *testing.T) {
		out, err := d.command(t, "", "audit", "list", "--json", "--limit", "1000")
		if err != nil || !strings.Contains(out, `"read_before_write"`) || strings.Contains(out, "9800000000") || strings.Contains(out, "9811111111") {
			t.Errorf("the audit lacks the reads, or holds values: %v\n%.2000s", err, out)
		}
	})
}

// TestRowsOfParents: records without an owner of their own are seen by whoever owns
// the lead they hang on.
func TestRowsOfParents(t *testing.T) {
	d := sharedDemo(t)
	asha, ravi := d.signedIn(t, "asha@acme.test"), d.signedIn(t, "ravi@acme.test")
	for _, path := range []string{"/app/api/leads/" + knownLead + "/activities", "/app/api/leads/" + knownLead + "/opportunities", "/app/api/leads/" + knownLead + "/tasks"} {
		a, b := asha.get(path), ravi.get(path)
		if a.StatusCode != 200 || b.StatusCode != 200 && b.StatusCode != 404 {
			t.Errorf("%s: asha %s %.300s, ravi %s %.300s", path, a.Status, a.text(), b.Status, b.text())
		}
		if strings.Contains(b.text(), knownLead) {
			t.Errorf("%s: ravi sees what hangs on asha's lead: %.300s", path, b.text())
		}
	}
	var list struct {
		List []struct{ ProspectOpportunityId string }
	}
	asha.get("/app/api/leads/"+knownLead+"/opportunities").json(t, &list)
	if len(list.List) == 0 {
		t.Fatal("asha's lead has no opportunity to ask for")
	}
	details := "/v2/OpportunityManagement.svc/GetOpportunityDetails?OpportunityId=" + list.List[0].ProspectOpportunityId
	if a := asha.get(details); a.StatusCode != 200 || !strings.Contains(a.text(), knownLead) {
		t.Errorf("asha cannot open an opportunity of her lead: %s %.300s", a.Status, a.text())
	}
	if a := ravi.get(details); a.StatusCode == 200 || strings.Contains(a.text(), knownLead) {
		t.Errorf("ravi opens an opportunity of asha's lead: %s %.300s", a.Status, a.text())
	}
}
