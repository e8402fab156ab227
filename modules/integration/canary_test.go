// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"bytes"
	"compress/gzip"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// canaries are values of leads that people with masks may never read.
type canaries struct {
	phones map[string]string // last ten digits → whose
	papers map[string]string // identity papers → whose
	mails  map[string]string // e-mail addresses → whose; nil for who may read them
}

var (
	digitRun = regexp.MustCompile(`[0-9](?:[0-9 .()-]{8,18})[0-9]`)
	address  = regexp.MustCompile(`[A-Za-z0-9._+-]+@[A-Za-z0-9-]+\.[A-Za-z0-9.-]+`)
	paper    = regexp.MustCompile(`[A-Z]{3}P[A-Z][0-9]{4}[A-Z]|[0-9]{4} [0-9]{4} [0-9]{4}`)
	nonDigit = regexp.MustCompile(`[^0-9]`)
)

// plant reads every lead as the administrator does.
func plant(t testing.TB, d *demo) *canaries {
	c := &canaries{phones: map[string]string{}, papers: map[string]string{}, mails: map[string]string{}}
	admin := d.signedIn(t, "admin@acme.test")
	for page := 1; ; page++ {
		var list struct {
			Leads []map[string]any
		}
		admin.get(fmt.Sprintf("/app/api/leads?size=200&page=%d", page)).json(t, &list)
		if len(list.Leads) == 0 {
			break
		}
		for _, l := range list.Leads {
			id, _ := l["ProspectID"].(string)
			for _, name := range []string{"Phone", "Mobile", "mx_Phone_2"} {
				if v, _ := l[name].(string); len(v) > 10 {
					c.phones[v[len(v)-10:]] = name + " of " + id
				}
			}
			for name, set := range map[string]map[string]string{"EmailAddress": c.mails, "mx_Secondary_Email": c.mails, "mx_PAN_Number": c.papers, "mx_Aadhaar": c.papers} {
				if v, _ := l[name].(string); v != "" {
					set[strings.ToLower(v)] = name + " of " + id
				}
			}
		}
	}
	if len(c.phones) < 1000 || len(c.mails) < 1000 || len(c.papers) < 1000 {
		t.Fatalf("only %d phones, %d addresses and %d papers to look for", len(c.phones), len(c.mails), len(c.papers))
	}
	return c
}

// find looks for canaries in what a client got, decoded where it can be.
func (c *canaries) find(body string) []string {
	var found []string
	forms := []string{body}
	if u, err := url.QueryUnescape(body); err == nil && u != body {
		forms = append(forms, u)
	}
	for _, s := range forms {
		for _, run := range digitRun.FindAllString(s, -1) {
			digits := nonDigit.ReplaceAllString(run, "")
			for i := 0; i+10 <= len(digits); i++ {
				if whose, ok := c.phones[digits[i:i+10]]; ok {
					found = append(found, whose+" as "+run)
				}
			}
		}
		for set, values := range map[*regexp.Regexp]map[string]string{address: c.mails, paper: c.papers} {
			for _, a := range set.FindAllString(s, -1) {
				if whose, ok := values[strings.ToLower(a)]; ok {
					found = append(found, whose+" as "+a)
				}
			}
		}
	}
	if strings.Contains(body, "9876543210") || c.mails != nil && strings.Contains(strings.ToLower(body), "ishaan.kapoor") {
		found = append(found, "the well-known lead, in some surroundings")
	}
	return found
}

// transports are the ways a client may talk.
var transports = []struct {
	name  string
	http2 bool
	gzip  bool
}{{"HTTP 1.1", false, false}, {"HTTP 1.1 gzip", false, true}, {"HTTP 2", true, false}, {"HTTP 2 gzip", true, true}}

// over returns a client that speaks one version and unpacks nothing itself.
func (b *browser) over(http2 bool) *browser {
	tr := b.Transport.(*http.Transport).Clone()
	tr.DisableCompression = true
	tr.ForceAttemptHTTP2 = http2
	if !http2 {
		tr.TLSClientConfig.NextProtos = []string{"http/1.1"}
		tr.TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{}
	}
	b.t.Cleanup(tr.CloseIdleConnections)
	client := *b.Client
	client.Transport = tr
	return &browser{t: b.t, base: b.base, Client: &client}
}

// TestCanaries: whatever asha asks, over every protocol, in every coding, no phone
// number, e-mail address or identity paper of any lead comes back.
func TestCanaries(t *testing.T) {
	d := sharedDemo(t)
	c := plant(t, d)
	// What one transport is told may not depend on another, so all four run all routes.
	for _, via := range transports {
		t.Run(via.name, func(t *testing.T) {
			b := d.signedIn(t, "asha@acme.test").over(via.http2)
			ids := idsOf(t, d)
			packed, served := 0, 0
			for _, r := range ashaAsks(ids) {
				header := []string{}
				if via.gzip {
					header = append(header, "Accept-Encoding", "gzip")
				}
				a := b.send(r.method, r.path, r.body, header...)
				if a.ProtoMajor == 2 != via.http2 {
					t.Fatalf("%s was answered over %s", via.name, a.Proto)
				}
				text := a.text()
				if a.Header.Get("Content-Encoding") == "gzip" {
					packed++
					z, err := gzip.NewReader(bytes.NewReader(a.body))
					if err != nil {
						t.Fatalf("%s: %v", r.name, err)
					}
					plain, err := io.ReadAll(z)
					if err != nil {
						t.Fatalf("%s: %v", r.name, err)
					}
					text = string(plain)
				}
				if a.StatusCode == http.StatusOK {
					served++
				}
				if a.StatusCode != r.want {
					t.Errorf("%s: %s, want %d\n%.400s", r.name, a.Status, r.want, text)
				}
				if found := c.find(headerText(a.Header) + "\n" + text); len(found) > 0 {
					t.Errorf("%s tells asha %q\n%.600s", r.name, found, text)
				}
				if r.holds != "" && !strings.Contains(text, r.holds) {
					t.Errorf("%s does not hold %q: it proves nothing\n%.600s", r.name, r.holds, text)
				}
			}
			if via.gzip && packed < 10 {
				t.Errorf("only %d answers were packed: encode was not tried", packed)
			}
			if served < 20 {
				t.Errorf("only %d answers were served: nothing was tried", served)
			}
		})
	}
	marketing(t, d, &canaries{phones: c.phones, papers: c.papers})
	if c.find(`{"n":"+91 98765-43210"}`) == nil || c.find("x%40y ishaan.kapoor%40example.com") == nil {
		t.Error("the search itself finds nothing")
	}
}

// marketing asks the same: all rows are hers, phones and papers are not. What is
// refused to asha for its rows is masked here.
func marketing(t *testing.T, d *demo, c *canaries) {
	ids := idsOf(t, d)
	admin := d.signedIn(t, "admin@acme.test")
	for _, note := range []string{"Ph: +919876543210", "none"} { // so that there is a change to tell
		body := fmt.Sprintf(`{"ProspectActivityId":%q,"ActivityEvent":203,"ActivityNote":%q,"Fields":[]}`, ids.activity, note)
		if a := admin.post("/v2/ProspectActivity.svc/CustomActivity/Update", body); a.StatusCode != http.StatusOK {
			t.Fatalf("changing an activity: %s %s", a.Status, a.text())
		}
	}
	b := d.signedIn(t, "marketing@acme.test")
	served := map[string]bool{}
	for _, r := range ashaAsks(ids) {
		a := b.send(r.method, r.path, r.body)
		served[r.name] = a.StatusCode == http.StatusOK
		if found := c.find(headerText(a.Header) + "\n" + a.text()); len(found) > 0 {
			t.Errorf("%s tells marketing %q\n%.600s", r.name, found, a.text())
		}
		if r.name == "changes" && (!strings.Contains(a.text(), "XXXX") || !strings.Contains(a.text(), "OldValue")) {
			t.Errorf("the change of a phone is not in the history, masked: %s %.600s", a.Status, a.text())
		}
	}
	for _, name := range []string{"changes", "one activity", "opportunity", "activities", "references", "opportunities by id"} {
		if !served[name] {
			t.Errorf("%s was not served to marketing: nothing was tried", name)
		}
	}
}

// recordIDs are ids of records behind asha's lead.
type recordIDs struct{ opportunity, activity, task, asha string }

func idsOf(t testing.TB, d *demo) recordIDs {
	t.Helper()
	admin := d.signedIn(t, "admin@acme.test")
	var opps struct {
		List []struct{ ProspectOpportunityId string }
	}
	var acts struct{ ProspectActivities []struct{ Id string } }
	var tasks struct{ TaskList []struct{ TaskID string } }
	admin.get("/app/api/leads/"+knownLead+"/opportunities").json(t, &opps)
	admin.get("/app/api/leads/"+knownLead+"/activities").json(t, &acts)
	admin.get("/app/api/leads/"+knownLead+"/tasks").json(t, &tasks)
	if len(opps.List) == 0 || len(acts.ProspectActivities) == 0 || len(tasks.TaskList) == 0 {
		t.Fatal("the well-known lead has nothing behind it")
	}
	return recordIDs{opps.List[0].ProspectOpportunityId, acts.ProspectActivities[0].Id, tasks.TaskList[0].TaskID, keysOf(t, "asha@acme.test").ID}
}

// asked is one request with the status it must have and a text its answer must hold.
type asked struct {
	name, method, path, body string
	want                     int
	holds                    string
}

// ashaAsks is every family of routes, reading; and what is refused to her.
func ashaAsks(id recordIDs) []asked {
	const lead, act, opp, task = "/v2/LeadManagement.svc/", "/v2/ProspectActivity.svc/", "/v2/OpportunityManagement.svc/", "/v2/Task.svc/"
	const span = `{"Parameter":{"FromDate":"2024-01-01 00:00:00","ToDate":"2027-01-01 00:00:00"},"Paging":{"PageIndex":1,"PageSize":200}}`
	const event = `{"Parameter":{"FromDate":"2024-01-01 00:00:00","ToDate":"2027-01-01 00:00:00","ActivityEvent":%d},"Paging":{"PageIndex":1,"PageSize":200}}`
	where := func(name, value string) string {
		return fmt.Sprintf(`{"Parameter":{"LookupName":%q,"LookupValue":%q,"SqlOperator":"="},"Paging":{"PageIndex":1,"PageSize":200}}`, name, value)
	}
	advanced := func(kind, field, value string) string {
		return fmt.Sprintf(`{"AdvancedSearch":"{\"GrpConOp\":\"And\",\"Conditions\":[{\"Type\":\"%s\",\"ConOp\":\"and\",\"RowCondition\":[{\"SubConOp\":\"And\",\"LSO\":\"%s\",\"LSO_Type\":\"String\",\"Operator\":\"eq\",\"RSO\":\"%s\"}]}]}","Paging":{"PageIndex":1,"PageSize":200}}`, kind, field, value)
	}
	const get, post = http.MethodGet, http.MethodPost
	const xs = "XXXX"
	return []asked{
		{"one lead", get, "/app/api/leads/" + knownLead, "", 200, xs},
		{"her leads", get, "/app/api/leads?size=200", "", 200, xs},
		{"activities", get, "/app/api/leads/" + knownLead + "/activities", "", 200, xs},
		{"opportunities", get, "/app/api/leads/" + knownLead + "/opportunities", "", 200, xs},
		{"tasks", get, "/app/api/leads/" + knownLead + "/tasks", "", 200, "TaskID"},
		{"GetById", get, lead + "Leads.GetById?id=" + knownLead, "", 200, xs},
		{"Leads.Get by city", post, lead + "Leads.Get", where("mx_Country", "India"), 200, xs},
		{"RecentlyModified", post, lead + "Leads.RecentlyModified", span, 200, xs},
		{"ByIds", post, lead + "Leads/Retrieve/ByIds", `{"SearchParameters":{"LeadIds":["` + knownLead + `"]}}`, 200, xs},
		{"advanced by country", post, lead + "Leads/Retrieve/BySearchParameter", advanced("Lead", "mx_Country", "India"), 200, xs},
		{"owner", get, lead + "LeadOwner.Get?leadId=" + knownLead, "", 404, ""},
		{"notes", get, lead + "RetrieveNote?leadId=" + knownLead, "", 200, ""},
		{"fields", get, lead + "LeadsMetaData.Get", "", 200, "SchemaName"},
		{"tasks of a lead", get, lead + "RetrieveTaskByLeadId?leadId=" + knownLead, "", 200, ""},
		{"activities of a lead", post, act + "Retrieve?leadId=" + knownLead, `{"Paging":{"Offset":0,"RowCount":100}}`, 200, xs},
		{"calls", post, act + "CustomActivity/RetrieveByActivityEvent", fmt.Sprintf(event, 21), 200, ""},
		{"outgoing calls", post, act + "CustomActivity/RetrieveByActivityEvent", fmt.Sprintf(event, 22), 200, ""},
		{"recent activities", post, act + "RetrieveRecentlyModified", span, 200, xs},
		{"one activity", get, act + "GetActivityDetails?activityId=" + id.activity, "", 200, "RelatedProspectId"},
		{"changes", post, act + "RetrieveActivityChange", span, 404, ""},
		{"references", post, act + "GetLeadReferences?leadId=" + knownLead, `{}`, 200, ""},
		{"activity types", get, act + "ActivityTypes.Get", "", 200, "ActivityEvent"},
		{"opportunities of a lead", post, opp + "GetOpportunitiesOfLead?leadId=" + knownLead, `{}`, 200, xs},
		{"opportunity", get, opp + "GetOpportunityDetails?OpportunityId=" + id.opportunity, "", 200, "RelatedProspectId"},
		{"opportunities by id", post, opp + "GetOpportunitiesById", `{"SearchParameters":[{"EventCode":12000,"ProspectActivityId":["` + id.opportunity + `"]}]}`, 200, ""},
		{"opportunities by status", post, opp + "Retrieve/BySearchParameter", strings.Replace(advanced("Opportunity", "mx_Custom_2", "Open"), `{"Adv`, `{"OpportunityEventCode":12000,"Adv`, 1), 403, "query_denied"},
		{"her tasks", post, task + "Retrieve", `{"Parameter":{"LookupName":"OwnerId","LookupValue":"` + id.asha + `"},"Paging":{"PageIndex":1,"PageSize":200}}`, 200, ""},
		{"to-dos", post, task + "RetrieveToDos/ByUserId?userId=" + id.asha, `{}`, 200, ""},
		{"task types", get, task + "RetrieveTaskType", "", 200, "Follow-Up"},
		{"users", get, "/v2/UserManagement.svc/Users.Get", "", 200, "EmailAddress"},
		{"user by id", get, "/v2/UserManagement.svc/User/Retrieve/ByUserId?userId=" + id.asha, "", 200, ""},
		{"groups", get, "/v2/UserGroup.svc/Retrieve", "", 200, "UserGroups"},
		{"accounts", post, "/v2/CompanyManagement.svc/Company.Get", `{"Query":{"CompanyType":"Customers"},"Paging":{"PageIndex":1,"PageSize":100}}`, 200, ""},
		{"sales", get, "/v2/SalesActivity.svc/RetrieveActivity?leadId=" + knownLead, "", 200, ""},
		{"mobile pull", post, "/mobile/v1/sync/pull", `{"PageIndex":1,"PageSize":500}`, 200, xs},
		{"mobile pull without a body", post, "/mobile/v1/sync/pull", "", 200, xs},
		{"mobile settings", get, "/mobile/v1/settings", "", 200, ""},
		{"who am I", get, "/app/api/me", "", 200, "asha@acme.test"},

		{"find by phone", get, lead + "RetrieveLeadByPhoneNumber?phone=%2B919876543210", "", 403, "query_denied"},
		{"find by e-mail", get, lead + "Leads.GetByEmailaddress?emailaddress=ishaan", "", 403, "query_denied"},
		{"quick search", get, lead + "Leads.GetByQuickSearch?key=98", "", 403, "query_denied"},
		{"search in the list", get, "/app/api/leads?q=98", "", 403, "query_denied"},
		{"sort by phone", get, "/app/api/leads?sort=Phone", "", 403, "query_denied"},
		{"Leads.Get by phone", post, lead + "Leads.Get", where("Phone", "1"), 403, "query_denied"},
		{"Leads.Get by hidden", post, lead + "Leads.Get", where("mx_PAN_Number", "1"), 403, "query_denied"},
		{"advanced by phone", post, lead + "Leads/Retrieve/BySearchParameter", advanced("Lead", "Phone", "1"), 403, "query_denied"},
		{"opportunities by the lead's phone", post, opp + "GetOpportunitiesByUniqueLeadField", where("Phone", "1"), 403, "query_denied"},
		{"the print page", get, "/app/print/leads/" + knownLead, "", 403, "action_denied"},
		{"the CSV", get, "/app/export/leads.csv", "", 403, "action_denied"},
		{"reports", get, "/app/api/report/stage-counts", "", 403, "feature_denied"},
		{"an edit of the masked phone", post, "/app/api/leads/" + knownLead, `{"Phone":"+911111111111"}`, 403, "field_denied"},
		{"an edit with the mask", post, "/app/api/leads/" + knownLead, `{"Phone":"+91XXXXXX3210","mx_City":"Pune"}`, 200, xs},
		{"deleting", get, lead + "Lead/Delete/ById?leadId=" + knownLead, "", 403, "action_denied"},
		{"a callback", get, "/app/api/leads?callback=x", "", 403, "query_denied"},
		{"an unknown route", get, "/v2/LeadManagement.svc/Leads.Everything", "", 403, "unmapped"},
		{"an unknown column", post, lead + "Leads.Get", where("mx_No_Such", "1"), 403, "query_denied"},
		{"an edit of an unknown field", post, "/app/api/leads/" + knownLead, `{"mx_No_Such":"1"}`, 403, "field_denied"},
		{"a duplicate", post, lead + "Lead.Create", `[{"Attribute":"FirstName","Value":"A"},{"Attribute":"Phone","Value":"+919876543210"}]`, 500, "already exists"},
		{"a new lead like an old one", post, lead + "Lead.Capture", `[{"Attribute":"FirstName","Value":"A"},{"Attribute":"EmailAddress","Value":"other@example.com"},{"Attribute":"Phone","Value":"+919876543210"}]`, 403, "field_denied"},
		{"a broken body", post, lead + "Leads.Get", `{"Parameter":{"LookupName":"9876`, 400, "unreadable"},
		{"the case of names", get, "/V2/leadmanagement.SVC/leads.getbyid?ID=" + knownLead, "", 200, xs},
	}
}
