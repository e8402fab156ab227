// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package democrm

import (
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
)

func pairsJSON(kv ...string) string {
	var parts []string
	for i := 0; i < len(kv); i += 2 {
		parts = append(parts, `{"Attribute":`+string(appendString(nil, kv[i]))+`,"Value":`+string(appendString(nil, kv[i+1]))+`}`)
	}
	return "[" + strings.Join(parts, ",") + "]"
}

func TestWritesActAsThePersonOfTheKeys(t *testing.T) {
	b := newBench(t)
	var made struct{ Message struct{ Id string } }
	b.call("asha", post, leadsSvc+"Lead.Create", pairsJSON("FirstName", "Nila", "Phone", "+919811100000"), &made)
	b.clock.advance(time.Minute)
	b.call("ravi", post, leadsSvc+"Lead.Update?leadId="+made.Message.Id, pairsJSON("mx_City", "Pune"), nil)
	row := b.lead(made.Message.Id)
	for name, want := range map[string]string{
		"CreatedByName": "Asha Rao", "ModifiedByName": "Ravi Menon", "OwnerIdEmailAddress": "asha@acme.test",
		"mx_City": "Pune", "CreatedOn": "2026-07-01 09:00:00.000", "ModifiedOn": "2026-07-01 09:01:00.000",
	} {
		if str(row[name]) != want {
			t.Errorf("%s is %s, want %s", name, str(row[name]), want)
		}
	}
	b.call("ravi", post, leadsSvc+"Lead.Update?leadId="+made.Message.Id, pairsJSON("OwnerId", idRavi), nil)
	if row := b.lead(made.Message.Id); str(row["OwnerIdName"]) != "Ravi Menon" {
		t.Errorf("handing a lead over must change the owner's name too, it is %s", str(row["OwnerIdName"]))
	}
}

func TestAFailedWriteChangesNothing(t *testing.T) {
	b := newBench(t)
	before := b.call("asha", get, "/app/api/leads/"+knownLead, "", nil)
	b.refused("asha", post, leadsSvc+"Lead.Update?leadId="+knownLead, pairsJSON("mx_City", "Pune", "Nope", "x"), 500, "MXUnknownAttributeException")
	b.refused("asha", post, leadsSvc+"Lead.Update?leadId="+knownLead, pairsJSON("mx_City", "Pune", "Score", "high"), 500, "MXInvalidInputException")
	if after := b.call("asha", get, "/app/api/leads/"+knownLead, "", nil); after != before {
		t.Error("a refused update must leave the lead as it was")
	}
	n := len(b.crm.leads.rows)
	b.refused("asha", post, actSvc+"Create", `{"EmailAddress":"new@example.com","ActivityEvent":999}`, 500, "MXInvalidActivityException")
	b.refused("asha", post, oppSvc+"Capture", `{"LeadDetails":`+pairsJSON("FirstName", "X")+`,"Opportunity":{"OpportunityEventCode":201}}`, 500, "MXInvalidActivityException")
	if len(b.crm.leads.rows) != n {
		t.Error("a refused activity or opportunity must not leave a new lead behind")
	}
}

func TestUpsertBehaviors(t *testing.T) {
	const email = "ishaan.kapoor@example.com"
	cases := []struct {
		name, query, body            string
		city, language, phone, count string
	}{
		{"update", "", pairsJSON("EmailAddress", email, "mx_City", "Pune"), "Pune", "same", "+919876543210", "0"},
		{"DoNotUpdate", "?LeadUpdateBehavior=DoNotUpdate", pairsJSON("EmailAddress", email, "mx_City", "Pune"), "same", "same", "+919876543210", "0"},
		{"UpdateOnlyEmptyFields", "?LeadUpdateBehavior=UpdateOnlyEmptyFields", pairsJSON("EmailAddress", email, "mx_City", "Pune", "Revenue", "5"), "same", "same", "+919876543210", "0"},
		{"DoNotUpdateUniqueFields", "?LeadUpdateBehavior=donotupdateuniquefields", pairsJSON("EmailAddress", email, "Phone", "+919800011122", "mx_City", "Pune"), "Pune", "same", "+919876543210", "0"},
		{"SearchBy", "", pairsJSON("Phone", "09876543210", "SearchBy", "phone", "mx_City", "Pune"), "Pune", "same", "09876543210", "0"},
		{"no match creates", "", pairsJSON("EmailAddress", "fresh@example.com", "mx_City", "Pune"), "same", "same", "+919876543210", "1"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t)
			city, n := str(b.lead(knownLead)["mx_City"]), len(b.crm.leads.rows)
			if c.city == "same" {
				c.city = city
			}
			b.call("asha", post, leadsSvc+"Lead.Capture"+c.query, c.body, nil)
			row := b.lead(knownLead)
			if str(row["mx_City"]) != c.city || str(row["Phone"]) != c.phone || itoa(len(b.crm.leads.rows)-n) != c.count {
				t.Errorf("city %s, phone %s, %d new leads; want %s, %s, %s", str(row["mx_City"]), str(row["Phone"]),
					len(b.crm.leads.rows)-n, c.city, c.phone, c.count)
			}
			if c.name == "UpdateOnlyEmptyFields" && str(row["Revenue"]) != "5" {
				t.Errorf("an empty field must be filled, Revenue is %s", str(row["Revenue"]))
			}
		})
	}
	b := newBench(t)
	b.refused("asha", post, leadsSvc+"Lead.Capture?LeadUpdateBehavior=Sometimes", pairsJSON("EmailAddress", email), 500, "MXInvalidInputException")
	b.refused("asha", post, leadsSvc+"Lead.CreateOrUpdate", pairsJSON("SearchBy", "Nope", "FirstName", "X"), 500, "MXUnknownAttributeException")
}

// GET requests that write: this API family has them, and a gateway has to know.
func TestGetWrites(t *testing.T) {
	b := newBench(t)
	i := b.prepare()
	b.call("asha", get, taskSvc+"MarkComplete?id="+i.task, "", nil)
	if r, _ := b.crm.tasks.lookup(i.task); taskSchema.get(r, "StatusCode") != "1" || taskSchema.get(r, "ModifiedByName") != "Asha Rao" {
		t.Error("MarkComplete must complete the task as the caller")
	}
	b.call("asha", get, oppSvc+"Delete?OpportunityId="+i.opp, "", nil)
	if _, ok := b.crm.opps.lookup(i.opp); ok {
		t.Error("the opportunity must be gone")
	}
	b.call("asha", get, leadsSvc+"Lead/Delete/ById?leadId="+knownLead, "", nil)
	if got := b.call("asha", get, leadsSvc+"Leads.GetById?id="+knownLead, "", nil); got != "[]" {
		t.Errorf("a deleted lead must be an empty list, got %s", got)
	}
	if n := len(b.crm.activitiesOf(knownLead)); n != 0 {
		t.Errorf("%d activities outlive their lead", n)
	}

	company := companySchema.idOf(b.crm.companies.rows[1])
	of := func() int {
		return len(where(b.crm.leads.rows, func(r *record) bool { return leadSchema.get(r, "RelatedCompanyId") == company }))
	}
	before, linked := len(b.crm.leads.rows), of()
	if linked == 0 {
		t.Fatal("the account has no leads: the case proves nothing")
	}
	b.call("asha", get, compSvc+"Company.Delete?companyId="+company+"&withLeadDelete=true", "", nil)
	if len(b.crm.leads.rows) != before-linked {
		t.Errorf("withLeadDelete=true must take the account's %d leads with it", linked)
	}
	company = companySchema.idOf(b.crm.companies.rows[1])
	before, linked = len(b.crm.leads.rows), of()
	b.call("asha", get, compSvc+"Company.Delete?companyId="+company, "", nil)
	if len(b.crm.leads.rows) != before || of() != 0 || linked == 0 {
		t.Errorf("without withLeadDelete the %d leads must stay, without the account", linked)
	}
}

func TestActivities(t *testing.T) {
	b := newBench(t)
	var list activityList
	b.call("asha", get, "/app/api/leads/"+knownLead+"/activities", "", &list)
	note := ""
	for _, a := range list.ProspectActivities {
		if a.EventCode == eventInboundCall {
			note = str(a.Data[0].Value)
		}
	}
	for _, part := range []string{"{next}UserId{=}" + idAsha, `{next}SourceData{=}{"SourceNumber":"+919876543210","DestinationNumber":"`} {
		if !strings.Contains(note, part) {
			t.Errorf("a call's note must carry the number the way connectors write it: %q lacks %q", note, part)
		}
	}

	n := len(b.crm.leads.rows)
	b.call("asha", post, actSvc+"Create", `{"EmailAddress":"brand.new@example.com","FirstName":"Brand","ActivityEvent":"201"}`, nil)
	if len(b.crm.leads.rows) != n+1 {
		t.Error("an activity with an unknown e-mail address must make its lead")
	}
	b.call("asha", post, actSvc+"Create", `{"EmailAddress":"brand.new@example.com","ActivityEvent":"201"}`, nil)
	if len(b.crm.leads.rows) != n+1 {
		t.Error("the second activity with that address must find the lead")
	}

	id := list.ProspectActivities[0].Id
	b.call("asha", post, actSvc+"CustomActivity/Update", `{"ProspectActivityId":"`+id+`","ActivityNote":"Now +919876543210"}`, nil)
	got := b.call("asha", post, actSvc+"RetrieveActivityChange", `{"Parameter":{`+allTime+`}}`, nil)
	if !strings.Contains(got, `"SchemaName":"ActivityEvent_Note"`) || !strings.Contains(got, `"NewValue":"Now +919876543210"`) || !strings.Contains(got, `"OldValue":"Salary slip received."`) {
		t.Errorf("the history must hold old and new values: %s", got)
	}
	if got := b.call("asha", post, actSvc+"RetrieveActivityChange", `{"Parameter":{"FromDate":"2020-01-01","ToDate":"2021-01-01"}}`, nil); !strings.Contains(got, `"RecordCount":0`) {
		t.Errorf("the history must keep to its period: %s", got)
	}
	b.call("asha", post, actSvc+"DeleteActivities", `{"ProspectId":"`+knownLead+`","ActivityEventList":[14,21]}`, nil)
	for _, r := range b.crm.activitiesOf(knownLead) {
		if code := activitySchema.get(r, "ActivityEvent"); code == "14" || code == "21" {
			t.Errorf("an activity of type %s survived its deletion", code)
		}
	}
}

func TestBulk(t *testing.T) {
	b := newBench(t)
	row := pairsJSON("FirstName", "Many")
	for route, limit := range map[string]int{"Lead/Bulk/Create": 50, "Lead/Bulk/CreateOrUpdate": 25} {
		rows := "[" + strings.TrimSuffix(strings.Repeat(row+",", limit+1), ",") + "]"
		b.refused("asha", post, leadsSvc+route, rows, 500, "MXInvalidInputException")
	}
	var out []bulkRow
	b.call("asha", post, leadsSvc+"Lead/Bulk/CreateOrUpdate", `[`+pairsJSON("Phone", "+919876543210", "mx_City", "Pune")+`,`+
		pairsJSON("Phone", "+919822200000", "FirstName", "Two")+`,`+pairsJSON("Nope", "x")+`]`, &out)
	if !out[0].LeadUpdated || out[0].LeadId != knownLead || !out[1].LeadCreated || out[2].ErrorMessage == "" || out[2].AffectedRows != 0 {
		t.Errorf("each row stands or falls alone: %+v", out)
	}
	b.refused("asha", post, leadsSvc+"Lead/Bulk/Update", `{"LeadIds":["`+knownLead+`","x"],"LeadFields":{"Attribute":"mx_City","Value":"Kochi"}}`, 500, "MXInvalidInputException")
	if city := str(b.lead(knownLead)["mx_City"]); city != "Pune" {
		t.Errorf("a bulk update with an unknown lead must change none, city is %s", city)
	}
}

func TestTemplatesAreStored(t *testing.T) {
	b := newBench(t)
	for range maxTemplates {
		b.call("admin", post, tplSvc+"Create", `{"Name":"T"}`, nil)
	}
	b.refused("admin", post, tplSvc+"Create", `{"Name":"T"}`, 500, "MXInvalidInputException")
	id := b.crm.templates[0].Id
	b.call("admin", post, tplSvc+"Apply", `{"Id":"`+id+`","UserIds":["`+idAsha+`","`+idRavi+`"]}`, nil)
	got := b.call("admin", post, tplSvc+"Apply?overWriteAll=true", `{"Id":"`+id+`"}`, nil)
	if !strings.Contains(got, `"AffectedRows":2`) || len(b.crm.templates[0].assigned) != 0 {
		t.Errorf("overWriteAll with an id alone must take the template from everybody: %s", got)
	}
	b.refused("asha", post, tplSvc+"Create", `{"Name":"T"}`, 500, "MXUnAuthorizedAccessException")
}

func TestMail(t *testing.T) {
	b := newBench(t)
	b.call("asha", post, mailSvc+"SendEmailToLead", `{"ProspectId":"`+knownLead+`","Subject":"Hello"}`, nil)
	mails := b.crm.Mails()
	if len(mails) != 1 || mails[0].To != "ishaan.kapoor@example.com" || mails[0].From != idAsha {
		t.Errorf("the message must be recorded with its sender and recipient: %+v", mails)
	}
	b.call("asha", post, leadsSvc+"Lead.Update?leadId="+knownLead, pairsJSON("DoNotEmail", "1"), nil)
	b.refused("asha", post, mailSvc+"SendEmailToLead", `{"ProspectId":"`+knownLead+`","Subject":"Hello"}`, 500, "MXInvalidInputException")
}

func TestAsync(t *testing.T) {
	b := newBench(t)
	send := func(path, body string) asyncResult {
		t.Helper()
		r := b.request("asha", post, path, body)
		r.Header.Set("x-api-key", b.crm.APIKey())
		var accepted asyncAccepted
		if err := json.Unmarshal(b.do(r).Body.Bytes(), &accepted); err != nil || accepted.RequestID == "" {
			t.Fatalf("an asynchronous write must answer a request id: %v", err)
		}
		r = b.request("", get, "/status?requestId="+accepted.RequestID, "")
		r.Header.Set("x-api-key", b.crm.APIKey())
		var result asyncResult
		if err := json.Unmarshal(b.do(r).Body.Bytes(), &result); err != nil {
			t.Fatalf("the status needs the account's key alone: %v", err)
		}
		return result
	}
	if got := send("/lead/create", pairsJSON("FirstName", "Later")); got.Status != "Success" || got.Id == "" {
		t.Errorf("status of a write that went well: %+v", got)
	}
	if got := send("/lead/create", pairsJSON("Nope", "x")); got.Status != "Error" || got.Message == "" {
		t.Errorf("status of a write that failed: %+v", got)
	}
}
