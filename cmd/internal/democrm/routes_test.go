// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package democrm

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
)

var update = flag.Bool("update", false, "write the shapes of testdata/shapes anew")

// shape reduces an answer to its member names, in order, and the kinds of its
// values; of a list the first element stands for all.
func shape(t *testing.T, body []byte) string {
	t.Helper()
	var b strings.Builder
	dec := jsontext.NewDecoder(bytes.NewReader(body))
	describe(t, dec, &b, "")
	return b.String()
}

func describe(t *testing.T, dec *jsontext.Decoder, b *strings.Builder, indent string) {
	t.Helper()
	tok, err := dec.ReadToken()
	if err != nil {
		t.Fatalf("the answer is not strict JSON: %v", err)
	}
	switch tok.Kind() {
	case '{':
		b.WriteString("{\n")
		for dec.PeekKind() != '}' {
			name, err := dec.ReadToken()
			if err != nil {
				t.Fatalf("the answer is not strict JSON: %v", err)
			}
			fmt.Fprintf(b, "%s  %s: ", indent, name.String())
			describe(t, dec, b, indent+"  ")
		}
		b.WriteString(indent + "}\n")
		_, err = dec.ReadToken()
	case '[':
		b.WriteString("[")
		var rest strings.Builder
		for first := true; dec.PeekKind() != ']'; first = false {
			to := &rest
			if first {
				to = b
			}
			describe(t, dec, to, indent)
		}
		b.WriteString(indent + "]\n")
		_, err = dec.ReadToken()
	case '"':
		b.WriteString("text\n")
	case '0':
		b.WriteString("number\n")
	case 'n':
		b.WriteString("null\n")
	default:
		b.WriteString("boolean\n")
	}
	if err != nil {
		t.Fatalf("the answer is not strict JSON: %v", err)
	}
}

// routeCase is one call of one route. shape names a file in testdata/shapes;
// "-" means the answer is no JSON.
type routeCase struct {
	route, who, query, body, shape string
}

const (
	leadsSvc = "/v2/LeadManagement.svc/"
	actSvc   = "/v2/ProspectActivity.svc/"
	taskSvc  = "/v2/Task.svc/"
	oppSvc   = "/v2/OpportunityManagement.svc/"
	compSvc  = "/v2/CompanyManagement.svc/"
	userSvc  = "/v2/UserManagement.svc/"
	tplSvc   = "/v2/PermissionTemplate.svc/"
	saleSvc  = "/v2/SalesActivity.svc/"
	mailSvc  = "/v2/EmailMarketing.svc/"
)

const (
	allTime   = `"FromDate":"2020-01-01 00:00:00","ToDate":"2030-01-01 00:00:00"`
	onePage   = `"Paging":{"PageIndex":1,"PageSize":2}`
	fewFields = `"Columns":{"Include_CSV":"ProspectID, FirstName,Phone"}`
)

// ids are the records that routeCases write to, found anew for each CRM.
type ids struct{ lead, other, activity, opp, task, company, group, template, sale, request string }

func routeCases(i ids) []routeCase {
	asha, admin := "asha", "admin"
	return []routeCase{
		{"GET /v2/Authentication.svc/UserByAccessKey.Get", asha, "", "", "RN"},
		{"GET " + leadsSvc + "LeadsMetaData.Get", asha, "schemaName=Phone", "", "metadata"},
		{"GET " + leadsSvc + "Leads.GetById", asha, "id=" + knownLead, "", "RA"},
		{"GET " + leadsSvc + "Leads.GetByEmailaddress", asha, "emailaddress=ishaan.kapoor@example.com", "", "RA"},
		{"GET " + leadsSvc + "RetrieveLeadByPhoneNumber", asha, "phone=9876543210", "", "RA"},
		{"GET " + leadsSvc + "Leads.GetByQuickSearch", asha, "key=ishaan", "", "RA"},
		{"POST " + leadsSvc + "Leads.Get", asha, "", `{"Parameter":{"LookupName":"ProspectID","LookupValue":"` + knownLead + `","SqlOperator":"="},` + fewFields + `}`, "RA_columns"},
		{"POST " + leadsSvc + "Leads.RecentlyModified", asha, "", `{"Parameter":{` + allTime + `},` + fewFields + `,` + onePage + `}`, "RB"},
		{"POST " + leadsSvc + "Leads/Retrieve/ByIds", asha, "", `{"SearchParameters":{"LeadIds":["` + knownLead + `"]},` + fewFields + `}`, "RC"},
		{"POST " + leadsSvc + "Leads/Retrieve/BySearchParameter", asha, "", `{"AdvancedSearch":"{\"GrpConOp\":\"And\",\"Conditions\":[{\"Type\":\"Lead\",\"RowCondition\":[{\"LSO\":\"Phone\",\"Operator\":\"eq\",\"RSO\":\"+919876543210\"}]}]}",` + fewFields + `}`, "RB"},
		{"POST " + leadsSvc + "Lead.Create", asha, "", `[{"Attribute":"FirstName","Value":"Nila"},{"Attribute":"mx_KYC","Value":"","Fields":[{"Attribute":"mx_CustomObject_1","Value":"Open"}]}]`, "Id"},
		{"POST " + leadsSvc + "Lead.Update", asha, "leadId=" + knownLead, `[{"Attribute":"Notes","Value":"Met."}]`, "AffectedRows"},
		{"POST " + leadsSvc + "Lead.CreateOrUpdate", asha, "postUpdatedLead=false", `[{"Attribute":"Phone","Value":"+919876543210"},{"Attribute":"Notes","Value":"Met."},{"Attribute":"SearchBy","Value":"Phone"}]`, "Id"},
		{"POST " + leadsSvc + "Lead.Capture", asha, "LeadUpdateBehavior=DoNotUpdate", `[{"Attribute":"EmailAddress","Value":"ishaan.kapoor@example.com"}]`, "Id"},
		{"POST " + leadsSvc + "Lead.Convert", asha, "leadId=" + i.lead, `[]`, "Id"},
		{"POST " + leadsSvc + "Lead/Bulk/Create", asha, "", `[[{"Attribute":"FirstName","Value":"One"}],[{"Attribute":"Nope","Value":"Two"}]]`, "bulk"},
		{"POST " + leadsSvc + "Lead/Bulk/CreateOrUpdate", asha, "", `[[{"Attribute":"Phone","Value":"+919876543210"},{"Attribute":"Notes","Value":"x"}]]`, "bulk"},
		{"POST " + leadsSvc + "Lead/Bulk/Update", asha, "", `{"LeadIds":["` + i.lead + `"],"LeadFields":{"Attribute":"mx_City","Value":"Pune"}}`, "AffectedRows"},
		{"POST " + leadsSvc + "Lead/Bulk/UpdateV2", asha, "", `{"LeadIds":["` + i.lead + `"],"LeadFields":{"Attribute":"mx_City","Value":"Kochi"}}`, "AffectedRows"},
		{"GET " + leadsSvc + "Lead/Delete/ById", asha, "leadId=" + i.other, "", "Status"},
		{"GET " + leadsSvc + "RetrieveTaskByLeadId", asha, "leadId=" + knownLead, "", "RJ"},
		{"GET " + leadsSvc + "LeadOwner.Get", asha, "leadId=" + knownLead, "", "owner"},
		{"GET " + leadsSvc + "RetrieveNote", asha, "leadId=" + knownLead, "", "notes"},
		{"GET " + leadsSvc + "Lists.Get", asha, "", "", "lists"},

		{"POST " + actSvc + "Create", asha, "", `{"RelatedProspectId":"` + knownLead + `","ActivityEvent":201,"ActivityNote":"Shown","ProcessFilesAsync":true,"ActivityDateTime":"2026-06-30 10:00:00","Fields":[{"SchemaName":"mx_Custom_1","Value":"Home Loan"}]}`, "Id"},
		{"POST " + actSvc + "CustomActivity/Update", asha, "", `{"ProspectActivityId":"` + i.activity + `","ActivityNote":"Changed"}`, "Status"},
		{"POST " + actSvc + "Retrieve", asha, "leadId=" + knownLead, `{"Parameter":{"ActivityEvent":22},"Paging":{"Offset":0,"RowCount":5}}`, "RE"},
		{"POST " + actSvc + "CustomActivity/RetrieveByActivityEvent", asha, "", `{"Parameter":{` + allTime + `,"ActivityEvent":21,"IncludeCustomFields":1},` + onePage + `}`, "RF_activity"},
		{"POST " + actSvc + "RetrieveRecentlyModified", asha, "", `{"Parameter":{` + allTime + `,"ActivityEvent":22},` + onePage + `}`, "RE"},
		{"GET " + actSvc + "GetActivityDetails", asha, "activityId=" + i.activity, "", "RG"},
		{"POST " + actSvc + "RetrieveActivityChange", asha, "", `{"Parameter":{` + allTime + `}}`, "changes"},
		{"POST " + actSvc + "GetLeadReferences", asha, "leadId=" + knownLead, `{}`, "references"},
		{"POST " + actSvc + "DeleteActivities", asha, "", `{"ProspectId":"` + i.lead + `","ActivityEventList":[14]}`, "queued"},
		{"GET " + actSvc + "ActivityTypes.Get", asha, "", "", "types"},
		{"POST " + actSvc + "CreateType", admin, "", `{"ActivityEventName":"Branch Tour","Score":5}`, "Id"},

		{"POST " + taskSvc + "Create", asha, "", `{"Name":"Call","RelatedEntity":1,"RelatedEntityId":"` + knownLead + `","DueDate":"2026-07-02 10:00:00","Reminder":30,"NotifyBy":"1100","OwnerEmailAddress":"ravi@acme.test","TaskType":{"Name":"Meeting"},"CustomFields":{"mx_Custom_1":"x"}}`, "Id"},
		{"POST " + taskSvc + "Update", asha, "", `{"UserTaskId":"` + i.task + `","Name":"Call again"}`, "Status"},
		{"POST " + taskSvc + "Bulk/Create", asha, "", `{"TaskList":[{"Name":"One"},{"Name":"Two"}],"StatusWebhookURL":"https://hooks.example.com/x"}`, "AffectedRows"},
		{"GET " + taskSvc + "MarkComplete", asha, "id=" + i.task, "", "Status"},
		{"POST " + taskSvc + "Retrieve", asha, "", `{"Parameter":{"LookupName":"OwnerEmailAddress","LookupValue":"asha@acme.test","FromDate":"2020-01-01","ToDate":"2030-01-01"},"Columns":{"Exclude_CSV":"Description"},"Sorting":{"ColumnName":"Duedate","Direction":"1"},"Paging":{"Offset":0,"RowCount":2}}`, "RF_task"},
		{"POST " + taskSvc + "RetrieveToDos/ByUserId", asha, "userId=" + idAsha, `{"Paging":{"Offset":0,"RowCount":2}}`, "RF_todo"},
		{"GET " + taskSvc + "RetrieveTaskType", asha, "", "", "tasktypes"},
		{"POST " + taskSvc + "DeleteTasks", asha, "", `{"TaskIds":["` + i.task + `"],"StatusWebhookURL":"https://hooks.example.com/x"}`, "TasksCount"},

		{"POST " + oppSvc + "Capture", asha, "", `{"LeadDetails":[{"Attribute":"Phone","Value":"+919876543210"},{"Attribute":"SearchBy","Value":"Phone"}],"Opportunity":{"OpportunityEventCode":12000,"OpportunityNote":"New","OpportunityDateTime":"2026-06-30 10:00:00","Fields":[{"SchemaName":"mx_Custom_1","Value":"Loan"}]}}`, "oppcapture"},
		{"POST " + oppSvc + "Update", asha, "", `{"ProspectOpportunityId":"` + i.opp + `","OpportunityNote":"x","Fields":[{"SchemaName":"mx_Custom_2","Value":"Won"}]}`, "Status"},
		{"POST " + oppSvc + "GetOpportunitiesOfLead", asha, "leadId=" + knownLead + "&opportunityType=12000", `{}`, "RF"},
		{"POST " + oppSvc + "GetOpportunitiesByUniqueLeadField", asha, "", `{"Parameter":{"LookupName":"Phone","LookupValue":"+919876543210","SqlOperator":"="}}`, "RF"},
		{"GET " + oppSvc + "GetOpportunityDetails", asha, "OpportunityId=" + i.opp, "", "RG"},
		{"POST " + oppSvc + "GetOpportunitiesById", asha, "", `{"SearchParameters":[{"EventCode":"12000","ProspectActivityId":["` + i.opp + `"],"Columns":{"Include_CSV":"ProspectOpportunityId,Phone,P_Phone"}}]}`, "RI"},
		{"POST " + oppSvc + "Retrieve/BySearchParameter", admin, "", `{"OpportunityEventCode":12000,"AdvancedSearch":"{\"GrpConOp\":\"And\",\"Conditions\":[{\"Type\":\"Activity\",\"ConOp\":\"and\",\"RowCondition\":[{\"SubConOp\":\"And\",\"LSO\":\"ActivityEvent\",\"LSO_Type\":\"PAEvent\",\"Operator\":\"eq\",\"RSO\":\"12000\"}]}]}","Paging":{"PageIndex":1,"PageSize":1}}`, "RF"},
		{"GET " + oppSvc + "Delete", asha, "OpportunityId=" + i.opp, "", "Status"},

		{"POST /lead/create", asha, "", `[{"Attribute":"FirstName","Value":"Late"}]`, "accepted"},
		{"POST /lead/update", asha, "leadId=" + knownLead, `[{"Attribute":"Notes","Value":"x"}]`, "accepted"},
		{"POST /lead/createorupdate", asha, "", `[{"Attribute":"Phone","Value":"+919876543210"}]`, "accepted"},
		{"POST /lead/capture", asha, "", `[{"Attribute":"Phone","Value":"+919876543210"}]`, "accepted"},
		{"POST /opportunity/capture", asha, "", `{"LeadDetails":[{"Attribute":"Phone","Value":"+919876543210"}],"Opportunity":{"OpportunityEventCode":12000}}`, "accepted"},
		{"POST /opportunity/update", asha, "", `{"ProspectOpportunityId":"x"}`, "accepted"},
		{"GET /status", asha, "requestId=" + i.request, "", "async"},

		{"POST " + compSvc + "Company.Create", asha, "", `{"CompanyType":{"CompanyTypeName":"Partners"},"CompanyProperties":[{"Attribute":"CompanyName","Value":"Rain Works"}]}`, "Id"},
		{"POST " + compSvc + "Company.Update", asha, "companyId=" + i.company, `{"CompanyProperties":[{"Attribute":"Stage","Value":"Active"}]}`, "Id"},
		{"POST " + compSvc + "Company.Get", asha, "", `{"Query":{"SearchText":"1","FilterBy":{"LookupName":"CompanyName","LookupValue":"%","SqlOperator":"LIKE"}},"Columns":{"Include_CSV":"CompanyId,Phone"},"Sorting":{"ColumnName":"CompanyName","Direction":"0"},` + onePage + `}`, "RD"},
		{"POST " + compSvc + "Company/Bulk/CreateOrUpdate", asha, "", `{"CompanyType":{"CompanyTypeName":"Partners"},"Options":{"SearchBy":"CompanyName","CollisionResolutionStrategy":"FillMissingFields"},"Companies":[[{"Attribute":"CompanyName","Value":"Rain Works"}]]}`, "companybulk"},
		{"GET " + compSvc + "Company.Delete", asha, "companyId=" + i.company + "&withLeadDelete=false", "", "Status"},
		{"GET /v2/CompanyActivity.svc/RetrieveById", asha, "activityId=" + i.activity, "", "RH"},

		{"GET " + userSvc + "Users.Get", asha, "", "", "RK"},
		{"GET " + userSvc + "User/Retrieve/ByUserId", asha, "userId=" + idAdmin, "", "RK"},
		{"GET " + userSvc + "User/Retrieve/ByEmailAddress", asha, "emailAddress=admin@acme.test", "", "RK"},
		{"POST " + userSvc + "User/AdvancedSearch", asha, "", `{"AdvancedSearch":"{\"GrpConOp\":\"And\",\"Conditions\":[{\"Type\":\"User\",\"RowCondition\":[{\"LSO\":\"Role\",\"Operator\":\"eq\",\"RSO\":\"Administrator\"}]}]}"}`, "RK"},
		{"POST " + userSvc + "User/Create", admin, "", `{"FirstName":"Nila","EmailAddress":"nila@acme.test","Role":"Sales_User","AssociatedGroups":[{"GroupId":"` + i.group + `"}],"CustomFields":{"mx_1":"x"}}`, "Id"},
		{"POST " + userSvc + "User/Update", admin, "", `{"UserId":"` + idRavi + `","FirstName":"Ravi"}`, "AffectedRows"},
		{"GET " + userSvc + "ReportingHierarchy/RetrieveAllReportingUsers", asha, "UserId=" + idAdmin, "", "RL"},
		{"GET /v2/UserGroup.svc/Retrieve", asha, "", "", "RM"},
		{"POST /v2/UserGroup.svc/AddUsers", admin, "", `{"GroupId":"` + i.group + `","CallbackURL":"https://hooks.example.com/x","Users":[{"UserId":"` + idRavi + `","ViewAllLeadsOfGroup":true}]}`, "AffectedUsers"},

		{"POST " + tplSvc + "Create", admin, "", `{"Name":"No phones","EntityPermissions":[{"Entity":"Lead","Permissions":[{"Action":"Create","Access":"PartialAccess","Properties":{"RestrictedFields":["FirstName"]}},{"Action":"Delete","Access":"NoAccess"}]}]}`, "Id"},
		{"POST " + tplSvc + "Update", admin, "Id=" + i.template, `{"Name":"Kept","EntityPermissions":[{"Entity":"Lead","Permissions":[{"Action":"Export","Access":"NoAccess","Properties":{"RestrictedFields":["Phone"],"Restrictions":["x"]}}]}]}`, "AffectedRows"},
		{"POST " + tplSvc + "Retrieve", admin, "", `{"Parameter":{"TemplateId":"` + i.template + `"}}`, "template"},
		{"POST " + tplSvc + "Apply", admin, "overWriteAll=false", `{"Id":"` + i.template + `","UserIds":["` + idAsha + `"]}`, "AffectedUsers"},
		{"POST " + tplSvc + "OverridePermissionTemplate", admin, "", `{"Id":"` + i.template + `","UserIds":["` + idRavi + `"]}`, "AffectedUsers"},

		{"POST " + saleSvc + "Create", asha, "", `{"RelatedProspectId":"` + knownLead + `","Product":"P-100","OrderValue":1000}`, "Id"},
		{"POST " + saleSvc + "Update", asha, "", `{"SalesActivityId":"` + i.sale + `","OrderValue":2000}`, "AffectedRows"},
		{"GET " + saleSvc + "RetrieveActivity", asha, "leadId=" + knownLead, "", "sales"},
		{"POST " + saleSvc + "Cancel", asha, "", `{"SalesActivityId":"` + i.sale + `"}`, "AffectedRows"},
		{"POST " + saleSvc + "CreateProduct", asha, "", `{"Name":"Boat Loan"}`, "Id"},
		{"GET " + saleSvc + "DeleteProduct", asha, "id=P-100", "", "Status"},

		{"POST " + mailSvc + "SendEmailToLead", asha, "", `{"RecipientType":"LeadEmailAddress","Recipient":"ishaan.kapoor@example.com","Subject":"Hello","ContentText":"x"}`, "Id"},
		{"POST " + mailSvc + "ScheduleEmailToLead", asha, "", `{"ProspectId":"` + knownLead + `","Subject":"Hello","ScheduledDateUTC":"2026-07-02 10:00:00"}`, "Id"},
		{"POST " + mailSvc + "SendMail", asha, "", `{"EmailAddress":"someone@example.com","Subject":"Hello","ContentHTML":"<p>x</p>"}`, "Id"},

		{"GET /app/leads", "", "", "", "-"},
		{"GET /app/leads/{id}", "", "", "", "-"},
		{"GET /app/reports", "", "", "", "-"},
		{"GET /app/dashboard", "", "", "", "-"},
		{"GET /app/tasks", "", "", "", "-"},
		{"GET /app/static/{file...}", "", "", "", "-"},
		{"GET /app/favicon.ico", "", "", "", "-"},
		{"GET /app/api/me", asha, "", "", "me"},
		{"GET /app/api/leads", asha, "page=1&size=2&sort=FirstName&dir=asc&q=a&owner=" + idAsha + "&stage=New,Qualified", "", "RC_app"},
		{"GET /app/api/leads/{id}", asha, "", "", "lead"},
		{"POST /app/api/leads/{id}", asha, "", `{"mx_City":"Pune"}`, "lead"},
		{"GET /app/api/leads/{id}/activities", asha, "", "", "RE_app"},
		{"GET /app/api/leads/{id}/opportunities", asha, "", "", "RF"},
		{"GET /app/api/leads/{id}/tasks", asha, "", "", "RJ"},
		{"GET /app/api/users", asha, "", "", "RK"},
		{"GET /app/api/ping", asha, "", "", "ping"},
		{"GET /app/api/report/stage-counts", asha, "", "", "stages"},
		{"GET /app/print/leads/{id}", asha, "", "", "-"},
		{"GET /app/export/leads.csv", asha, "", "", "-"},
		{"POST /mobile/v1/sync/pull", asha, "", `{"Since":"","PageIndex":1,"PageSize":2}`, "pull"},
		{"POST /mobile/v1/sync/push", asha, "", `{"Leads":[{"ProspectID":"` + knownLead + `","BaseModifiedOn":"","Fields":[{"Attribute":"mx_City","Value":"Pune"}]}]}`, "push"},
		{"POST /mobile/v1/checkin", asha, "", `{"Latitude":19.07,"Longitude":"72.87","At":"2026-07-01 09:00:00"}`, "Status"},
		{"POST /mobile/v1/checkout", asha, "", `{"Latitude":null,"Longitude":null}`, "Status"},
		{"POST /mobile/v1/location", asha, "", `{"Points":[{"Latitude":19.07,"Longitude":72.87,"At":"2026-07-01 09:00:00"}]}`, "AffectedRows"},
		{"GET /mobile/v1/settings", asha, "", "", "settings"},
	}
}

// elsewhere are routes that have a test of their own.
var elsewhere = map[string]string{
	"GET /{$}":                       "TestHomeRedirects",
	"GET /app/api/events":            "TestEvents",
	"GET /app/socket":                "TestSocket",
	"POST /mobile/v1/recordings":     "TestRecordings",
	"GET /mobile/v1/recordings/{id}": "TestRecordings",
}

func (b *bench) prepare() ids {
	b.t.Helper()
	var made struct{ Message struct{ Id string } }
	create := func(who, target, body string) string {
		b.call(who, post, target, body, &made)
		return made.Message.Id
	}
	crm := b.crm
	i := ids{
		lead: leadSchema.idOf(crm.leads.rows[10]), other: leadSchema.idOf(crm.leads.rows[11]),
		company: companySchema.idOf(crm.companies.rows[0]), group: crm.groups[0].id,
	}
	for _, r := range crm.activitiesOf(knownLead) {
		if activitySchema.get(r, "ActivityEvent") == "201" {
			i.activity = activitySchema.idOf(r)
		}
	}
	i.opp = oppSchema.idOf(where(crm.opps.rows, func(r *record) bool {
		return oppSchema.get(r, "OpportunityEvent") == "12000" && oppSchema.get(r, "RelatedProspectId") != knownLead
	})[0])
	i.task = create("asha", taskSvc+"Create", `{"Name":"For the table"}`)
	i.template = create("admin", tplSvc+"Create", `{"Name":"For the table"}`)
	i.sale = create("asha", saleSvc+"Create", `{"RelatedProspectId":"`+knownLead+`","OrderValue":1}`)
	b.call("asha", post, actSvc+"CustomActivity/Update", `{"ProspectActivityId":"`+i.activity+`","Fields":[{"SchemaName":"mx_Custom_2","Value":"New outcome"}]}`, nil)
	r := b.request("asha", post, "/lead/create", `[{"Attribute":"FirstName","Value":"Async"}]`)
	r.Header.Set("x-api-key", crm.APIKey())
	w := b.do(r)
	_, rest, _ := strings.Cut(w.Body.String(), `"RequestID":"`)
	i.request, _, _ = strings.Cut(rest, `"`)
	return i
}

// Every route answers its documented shape, in any case of its path, and no
// route is without a case.
func TestRoutes(t *testing.T) {
	b := newBench(t)
	cases := routeCases(b.prepare())
	covered := map[string]bool{}
	for _, c := range cases {
		covered[c.route] = true
		t.Run(strings.ReplaceAll(c.route, "/", "_"), func(t *testing.T) {
			b.t = t
			method, path, _ := strings.Cut(c.route, " ")
			path = strings.NewReplacer("{id}", knownLead, "{file...}", "app.css").Replace(path)
			if c.query != "" {
				path += "?" + c.query
			}
			r := b.request(c.who, method, path, c.body)
			r.Header.Set("x-api-key", b.crm.APIKey())
			w := b.do(r)
			if w.Code != 200 || w.Body.Len() == 0 || strings.Contains(w.Body.String(), `"Status":"Error"`) {
				t.Fatalf("status %d: %s", w.Code, w.Body)
			}
			if c.shape != "-" {
				compareShape(t, c.shape, shape(t, w.Body.Bytes()))
			}
		})
	}
	for _, rt := range b.crm.routes() {
		name := rt.method + " " + rt.path
		if !covered[name] && elsewhere[name] == "" {
			t.Errorf("no case for %s: a route nobody calls is a route nobody notices breaking", name)
		}
	}
}

func compareShape(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", "shapes", name+".txt")
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("reading the golden shape: %v", err)
	}
	if sameShape(got) != sameShape(string(want)) {
		t.Errorf("shape %s changed: maps written for this CRM no longer fit\ngot:\n%s\nwant:\n%s", name, got, want)
	}
}

// sameShape lets null stand for text: which fields are empty is not shape.
func sameShape(s string) string { return strings.ReplaceAll(s, ": null\n", ": text\n") }

// docs/demo-crm.md names every route.
func TestDocumentation(t *testing.T) {
	text, err := os.ReadFile("../../../docs/demo-crm.md")
	if err != nil {
		t.Fatalf("reading the documentation: %v", err)
	}
	b := newBench(t)
	for _, rt := range b.crm.routes() {
		path := strings.NewReplacer("{$}", "", "{file...}", "**").Replace(rt.path)
		if !strings.Contains(string(text), "`"+rt.method+" "+path+"`") {
			t.Errorf("docs/demo-crm.md does not name `%s %s`", rt.method, path)
		}
	}
}
