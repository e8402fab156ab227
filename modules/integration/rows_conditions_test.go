// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// conditionsPolicy keeps lost leads from sellers, those without a short job title
// from ravi, and gives managers three records an answer.
const conditionsPolicy = `version: 1
account: acme
templates:
  open_leads:
    entities:
      lead:
        view: {partial: {hide: [stage]}}
        rows: {cel: "record.stage != 'Lost'", scope: own}
  scored:
    entities:
      lead: {rows: {cel: "record.job_title.size() < 8"}}
  few:
    entities:
      lead: {max_records: 3}
  caller:
    entities:
      lead:
        view: {partial: {mask: [phone, email]}}
        lookup: {phone: exact}
assign:
  - {template: open_leads, roles: [sales_user]}
  - {template: scored, roles: [sales_user], when: "user.email == 'ravi@acme.test' && user.kind == 'user'"}
  - {template: few, roles: [sales_manager]}
  - {template: caller, roles: [marketing_user]}
`

// leadList is what lists of leads answer.
type leadList struct {
	RecordCount int
	Leads       []map[string]any
}

// ids are those of the list, in its order.
func (l *leadList) ids() []string {
	out := []string{}
	for _, lead := range l.Leads {
		out = append(out, fmt.Sprint(lead["ProspectID"]))
	}
	return out
}

// enforce puts a policy into force and returns its digest.
func (d *demo) enforce(t testing.TB, text string) string {
	t.Helper()
	write(t, filepath.Join(d.data, "policy.yaml"), text)
	d.admin(t, http.MethodPost, "/crmgate/refresh", "{}")
	return d.digest(t)
}

// digest is the one of the policy in force.
func (d *demo) digest(t testing.TB) string {
	t.Helper()
	var in struct {
		Digest string `json:"policy_digest"`
	}
	if err := json.Unmarshal([]byte(d.admin(t, http.MethodGet, "/crmgate/info", "")), &in); err != nil || in.Digest == "" {
		t.Fatalf("the gateway does not say which policy is in force: %v", err)
	}
	return in.Digest
}

// theirs lists the leads of a person as the CRM has them.
func (d *demo) theirs(t testing.TB, email string) []map[string]any {
	t.Helper()
	var out leadList
	d.direct(t, "admin@acme.test", http.MethodGet, "/app/api/leads?size=200&sort=ProspectAutoId&owner="+keysOf(t, email).ID, "").json(t, &out)
	if len(out.Leads) == 0 || len(out.Leads) == 200 {
		t.Fatalf("%s has %d leads: that proves nothing", email, len(out.Leads))
	}
	return out.Leads
}

// TestRowsUnderConditions: a template's condition decides which leads are seen,
// counted and changed, over fields that are hidden too; a record for which it comes
// to no answer is not there; an assignment applies only while its own condition
// holds.
func TestRowsUnderConditions(t *testing.T) {
	d := startDemo(t, "", "--leads", "300")
	d.enforce(t, conditionsPolicy)
	asha, ravi := d.signedIn(t, "asha@acme.test"), d.signedIn(t, "ravi@acme.test")
	const list = "/app/api/leads?size=200&sort=ProspectAutoId"

	// What each of them may see, by hand.
	split := func(email string, sees func(map[string]any) bool) (seen, kept []string) {
		for _, l := range d.theirs(t, email) {
			if id := fmt.Sprint(l["ProspectID"]); sees(l) {
				seen = append(seen, id)
			} else {
				kept = append(kept, id)
			}
		}
		if len(seen) == 0 || len(kept) == 0 {
			t.Fatalf("of the leads of %s %d are to be seen and %d are not: that proves nothing", email, len(seen), len(kept))
		}
		return seen, kept
	}
	open := func(l map[string]any) bool { return l["ProspectStage"] != "Lost" }
	ashas, lost := split("asha@acme.test", open)
	ravis, rest := split("ravi@acme.test", func(l map[string]any) bool {
		job, there := l["JobTitle"].(string) // null has no size: no answer
		return open(l) && there && len([]rune(job)) < 8
	})

	for _, c := range []struct {
		name       string
		who        *browser
		seen, kept []string
	}{{"asha", asha, ashas, lost}, {"ravi", ravi, ravis, rest}} {
		t.Run("lists of "+c.name, func(t *testing.T) {
			var got leadList
			c.who.get(list).json(t, &got)
			if fmt.Sprint(got.ids()) != fmt.Sprint(c.seen) {
				t.Errorf("%s is shown the wrong leads:\n%v, want\n%v", c.name, got.ids(), c.seen)
			}
			if got.RecordCount != len(c.seen) {
				t.Errorf("the total says %d, and %d leads are shown: it counts what nobody is to see", got.RecordCount, len(c.seen))
			}
		})
		t.Run("single leads of "+c.name, func(t *testing.T) {
			for _, id := range c.seen[:1] {
				if a := c.who.get("/app/api/leads/" + id); a.StatusCode != http.StatusOK || strings.Contains(a.text(), "ProspectStage") {
					t.Errorf("%s opens a lead for which the condition holds: %s %.300s", c.name, a.Status, a.text())
				}
			}
			for _, id := range c.kept[:min(5, len(c.kept))] {
				a, none := c.who.get("/app/api/leads/"+id), c.who.get("/app/api/leads/"+noLead)
				crm := d.direct(t, "admin@acme.test", http.MethodGet, "/app/api/leads/"+noLead, "")
				if a.StatusCode != crm.StatusCode || a.text() != crm.text() || none.text() != a.text() {
					t.Errorf("%s can tell that the lead is there: %s %s, the CRM says of none: %s %s", c.name, a.Status, a.text(), crm.Status, crm.text())
				}
			}
		})
	}
	t.Run("a page of them", func(t *testing.T) {
		var got leadList
		asha.get("/app/api/leads?size=5&page=1&sort=ProspectAutoId").json(t, &got)
		for _, id := range got.ids() {
			if !strings.Contains(fmt.Sprint(ashas), id) {
				t.Errorf("asha sees %s on a small page", id)
			}
		}
	})
	t.Run("columns that leave the field out", func(t *testing.T) {
		const search = `{"Parameter":{"LookupName":"mx_Country","LookupValue":"India","SqlOperator":"="},"Columns":{"Include_CSV":"ProspectID,FirstName,OwnerId%s"},"Paging":{"PageIndex":1,"PageSize":200}}`
		a := asha.post("/v2/LeadManagement.svc/Leads.Get", fmt.Sprintf(search, ""))
		if strings.Contains(a.text(), lost[0]) || a.StatusCode == http.StatusOK && strings.Contains(a.text(), "ProspectID") {
			t.Errorf("leads are shown of which nobody can tell: %s %.300s", a.Status, a.text())
		}
	})
	t.Run("writes", func(t *testing.T) {
		for id, want := range map[string]int{ashas[0]: http.StatusOK, lost[0]: http.StatusNotFound} {
			before := d.lead(t, id)["FirstName"]
			a := asha.post("/app/api/leads/"+id, `{"FirstName":"Ada"}`)
			now := d.lead(t, id)["FirstName"]
			if a.StatusCode != want || (want == http.StatusOK) != (now == "Ada" && now != before) {
				t.Errorf("asha writes %s: %s %.300s, and the CRM has %v", id, a.Status, a.text(), now)
			}
		}
	})
	t.Run("a lead that is lost goes out of sight", func(t *testing.T) {
		d.change(t, ashas[1], `{"ProspectStage":"Lost"}`)
		if a := asha.get("/app/api/leads/" + ashas[1]); a.StatusCode != http.StatusNotFound {
			t.Errorf("a lead that has been lost is still seen: %s %.300s", a.Status, a.text())
		}
	})
	t.Run("without the assignment's condition", func(t *testing.T) {
		d.enforce(t, strings.Replace(conditionsPolicy, "user.kind == 'user'", "user.kind == 'mobile'", 1))
		var got leadList
		ravi.get(list).json(t, &got)
		if len(got.Leads) <= len(ravis) {
			t.Errorf("ravi sees %d leads, as many as under a template that does not apply", len(got.Leads))
		}
		d.enforce(t, strings.Replace(conditionsPolicy, "user.kind == 'user'", "1 / user.name.size() == 0 / 0", 1))
		got = leadList{}
		ravi.get(list).json(t, &got)
		if fmt.Sprint(got.ids()) != fmt.Sprint(ravis) {
			t.Errorf("an assignment whose condition comes to no answer was left out: ravi sees %v", got.ids())
		}
	})
}

// TestRowsConditionsAreChecked: a condition that cannot be checked is refused with
// its place, and the last good policy stays.
func TestRowsConditionsAreChecked(t *testing.T) {
	d := startDemo(t, "", "--leads", "50")
	first := d.enforce(t, conditionsPolicy)
	manager := d.signedIn(t, "manager@acme.test")
	for name, c := range map[string]struct{ old, new, want string }{
		"an unknown field":            {"record.stage !=", "record.stagee !=", "policy.yaml:8:"},
		"half a condition":            {"record.stage != 'Lost'", "record.stage !=", "policy.yaml:8:"},
		"a record in an assignment":   {"user.kind == 'user'", "record.stage == 'x'", "policy.yaml:22:"},
		"a person nobody knows of":    {"user.kind == 'user'", "user.shoe_size == '44'", "policy.yaml:22:"},
		"no condition but a value":    {"record.stage != 'Lost'", "record.stage", "policy.yaml:8:"},
		"a cap that lets nothing out": {"max_records: 3", "max_records: 0", "policy.yaml:14:"},
		"a look-up by a piece":        {"phone: exact", "phone: prefix", "policy.yaml:19:"},
	} {
		t.Run(name, func(t *testing.T) {
			broken := strings.Replace(conditionsPolicy, c.old, c.new, 1)
			if broken == conditionsPolicy {
				t.Fatal("the policy has not been broken")
			}
			write(t, filepath.Join(d.data, "policy.yaml"), broken)
			status, text := d.tryAdmin(http.MethodPost, "/crmgate/refresh", "{}")
			if status != http.StatusBadRequest || !strings.Contains(text, c.want) || strings.Contains(text, `\n`) {
				t.Errorf("the admin API says %d %s, want one line with %s", status, text, c.want)
			}
			if out, err := runBinary(t, "", "policy", "check", filepath.Join(d.data, "policy.yaml")); err == nil || !strings.Contains(out, c.want) {
				t.Errorf("crmgate policy check says %v %s, want %s", err, out, c.want)
			}
			if now := d.digest(t); now != first {
				t.Errorf("the policy in force is %s, not the last good one %s", now, first)
			}
			var got leadList
			manager.get("/app/api/leads?size=10").json(t, &got)
			if len(got.Leads) != 3 {
				t.Errorf("the manager sees %d leads: the last good policy does not hold", len(got.Leads))
			}
		})
	}
}

// TestRowsCapped: an answer holds no more records than the template lets it, its
// total says so, and the audit how many were left out.
func TestRowsCapped(t *testing.T) {
	d := startDemo(t, "", "--leads", "50")
	d.enforce(t, conditionsPolicy)
	manager := d.signedIn(t, "manager@acme.test")
	for _, c := range []struct {
		name, path, operation string
		shown, dropped        int
	}{
		{"more than the cap", "/app/api/leads?size=10", "app.leads", 3, 7},
		{"as many as the cap", "/app/api/leads?size=3", "app.leads", 3, 0},
		{"fewer", "/app/api/leads?size=2", "app.leads", 2, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := manager.get(c.path)
			var got leadList
			a.json(t, &got)
			if len(got.Leads) != c.shown || got.RecordCount > 3 || got.RecordCount < c.shown {
				t.Errorf("%d leads and a total of %d, want %d and no more than the cap of 3: %s", len(got.Leads), got.RecordCount, c.shown, a.Status)
			}
			var last entry
			eventually(t, 20*time.Second, "the audit has the request", func() bool {
				list := d.audit(t, "--kind", "request")
				last = list[len(list)-1]
				return last.Operation == c.operation && last.RequestID == a.Header.Get("X-Request-Id") || last.Operation == c.operation && a.Header.Get("X-Request-Id") == ""
			})
			if last.Dropped != c.dropped {
				t.Errorf("the audit says %d were left out, want %d", last.Dropped, c.dropped)
			}
		})
	}
	t.Run("a list without a total", func(t *testing.T) {
		var rows []map[string]any
		manager.post("/v2/LeadManagement.svc/Leads.Get", `{"Parameter":{"LookupName":"mx_Country","LookupValue":"India","SqlOperator":"="},"Paging":{"PageIndex":1,"PageSize":20}}`).json(t, &rows)
		if len(rows) != 3 {
			t.Errorf("%d leads in one answer, want 3", len(rows))
		}
	})
	t.Run("a single lead", func(t *testing.T) {
		if a := manager.get("/app/api/leads/" + knownLead); a.StatusCode != http.StatusOK || !strings.Contains(a.text(), knownLead) {
			t.Errorf("one lead is below every cap: %s %.200s", a.Status, a.text())
		}
	})
}

// TestRowsLookedUpExactly: somebody who knows a masked number finds whose it is;
// nobody finds out a number by asking.
func TestRowsLookedUpExactly(t *testing.T) {
	d := startDemo(t, "", "--leads", "300")
	d.enforce(t, conditionsPolicy)
	m := d.signedIn(t, "marketing@acme.test")
	byPhone := func(number string) *answer {
		return m.get("/v2/LeadManagement.svc/RetrieveLeadByPhoneNumber?phone=" + strings.ReplaceAll(number, "+", "%2B"))
	}
	search := func(name, op, value string) *answer {
		return m.post("/v2/LeadManagement.svc/Leads.Get", fmt.Sprintf(`{"Parameter":{"LookupName":%q,"LookupValue":%q,"SqlOperator":%q},"Paging":{"PageIndex":1,"PageSize":100}}`, name, value, op))
	}
	taken := 0
	for _, c := range []struct {
		name  string
		a     *answer
		finds bool // the known lead; else none, where it is allowed
		asked bool // it is a look-up, and not refused
	}{
		{"the whole number", byPhone("+919876543210"), true, true},
		{"without its country", byPhone("9876543210"), true, true},
		{"a search for it", search("Phone", "=", "+919876543210"), true, true},
		{"nobody's number", byPhone("+919000000000"), false, true},
		{"the last digits", byPhone("6543210"), false, true},
		{"the first digits", byPhone("+9198765"), false, true},
		{"too little of it", byPhone("3210"), false, false},
		{"a wildcard", byPhone("98765%2543210"), false, false},
		{"a star", byPhone("98765*"), false, false},
		{"several", byPhone("+919876543210,+919876543211"), false, false},
		{"the start of it", search("Phone", "LIKE", "+919876543210"), false, false},
		{"begins with", search("Phone", "starts with", "+91987654"), false, false},
		{"a wildcard in a search", search("Phone", "=", "+9198765%"), false, false},
		{"more than it", search("Phone", ">", "+919876543209"), false, false},
		{"not it", search("Phone", "!=", "+919876543210"), false, false},
		{"no operator", search("Phone", "", "+919876543210"), false, false},
		{"empty", search("Phone", "=", ""), false, false},
		{"another masked field", search("EmailAddress", "=", "ishaan.kapoor@example.com"), false, false},
		{"by the other address", m.get("/v2/LeadManagement.svc/Leads.GetByEmailaddress?emailaddress=ishaan.kapoor@example.com"), false, false},
		{"sorted by it", m.get("/app/api/leads?sort=Phone"), false, false},
	} {
		if c.asked {
			taken++
		}
		t.Run(c.name, func(t *testing.T) {
			if c.asked != (c.a.StatusCode == http.StatusOK) {
				t.Fatalf("%s %.300s, want it to be let through: %v", c.a.Status, c.a.text(), c.asked)
			}
			if got := strings.Contains(c.a.text(), knownLead); got != c.finds {
				t.Errorf("it finds the lead: %v, want %v: %.300s", got, c.finds, c.a.text())
			}
			if n := strings.Count(c.a.text(), `"ProspectID"`); !c.finds && n > 0 || n > 1 {
				t.Errorf("it finds %d leads: %.300s", n, c.a.text())
			}
			if strings.Contains(c.a.text(), "9876543210") && c.a.StatusCode == http.StatusOK {
				t.Errorf("the number that was asked for comes back in clear: %.300s", c.a.text())
			}
		})
	}
	t.Run("twenty a minute", func(t *testing.T) {
		began, refused := time.Now(), 0
		for range 60 {
			a := byPhone("+919876543210")
			if a.StatusCode != http.StatusOK {
				if a.StatusCode != http.StatusTooManyRequests || a.Header.Get("Retry-After") == "" {
					t.Errorf("one look-up too many is answered with %s %.200s", a.Status, a.text())
				}
				refused++
				break
			}
			taken++
		}
		if refused == 0 || taken != 20 && time.Since(began) < 30*time.Second {
			t.Errorf("%d look-ups went through before one was refused, want 20: numbers can be tried out", taken)
		}
		if a := m.get("/app/api/leads?size=5"); a.StatusCode != http.StatusOK {
			t.Errorf("who may look nothing up may not work either: %s", a.Status)
		}
	})
	t.Run("audited, without the number", func(t *testing.T) {
		out, err := d.command(t, "", "audit", "export", "--limit", "1000")
		if err != nil || !strings.Contains(out, "looked up by the whole value of lead.phone") || strings.Contains(out, "9876543210") {
			t.Errorf("the audit lacks the look-ups, or holds the number: %v\n%.1000s", err, out)
		}
	})
	if b, err := os.ReadFile(filepath.Join(d.data, "policy.yaml")); err != nil || string(b) != conditionsPolicy {
		t.Errorf("the policy is another one than these tests are about: %v", err)
	}
}
