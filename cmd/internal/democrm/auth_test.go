// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package democrm

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// Every route but static files and pages without data wants a key pair.
func TestKeysAreNeededEverywhere(t *testing.T) {
	b := newBench(t)
	for _, rt := range b.crm.routes() {
		path := strings.NewReplacer("{id}", knownLead, "{file...}", "app.css", "{$}", "").Replace(rt.path)
		w := b.do(b.request("", rt.method, path, ""))
		if rt.access == open {
			if w.Code != http.StatusOK && w.Code != http.StatusFound {
				t.Errorf("%s %s is open and answered %d", rt.method, path, w.Code)
			}
			if strings.Contains(w.Body.String(), "9876543210") {
				t.Errorf("%s %s shows record data to nobody in particular", rt.method, path)
			}
			continue
		}
		if w.Code != http.StatusUnauthorized || !strings.Contains(w.Body.String(), `"ExceptionType":"MXUnAuthorizedAccessException"`) {
			t.Errorf("%s %s without keys: %d %s, want 401 in an envelope", rt.method, path, w.Code, w.Body)
		}
	}
}

func TestKeyTransports(t *testing.T) {
	b := newBench(t)
	asha, gita := b.users["asha"], b.users["gita"]
	const path = "/v2/Authentication.svc/UserByAccessKey.Get"
	cases := []struct {
		name   string
		target string
		header map[string]string
		want   int
	}{
		{"query", withQuery(path, "accessKey", asha.AccessKey, "secretKey", asha.SecretKey), nil, 200},
		{"query, other case", withQuery(path, "accesskey", asha.AccessKey, "SECRETKEY", asha.SecretKey), nil, 200},
		{"query, dollar not encoded", path + "?accessKey=" + asha.AccessKey + "&secretKey=" + asha.SecretKey, nil, 200},
		{"headers", path, map[string]string{"x-LSQ-AccessKey": asha.AccessKey, "X-LSQ-SECRETKEY": asha.SecretKey}, 200},
		{"path in another case", strings.ToUpper(path), map[string]string{"x-LSQ-AccessKey": asha.AccessKey, "x-LSQ-SecretKey": asha.SecretKey}, 200},
		{"wrong secret", withQuery(path, "accessKey", asha.AccessKey, "secretKey", gita.SecretKey), nil, 401},
		{"no secret", withQuery(path, "accessKey", asha.AccessKey), nil, 401},
		{"unknown key", withQuery(path, "accessKey", "u$r00", "secretKey", asha.SecretKey), nil, 401},
		{"half in the header, half in the query", withQuery(path, "secretKey", asha.SecretKey), map[string]string{"x-LSQ-AccessKey": asha.AccessKey}, 401},
		{"deactivated person", withQuery(path, "accessKey", gita.AccessKey, "secretKey", gita.SecretKey), nil, 401},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := b.request("", get, c.target, "")
			for k, v := range c.header {
				r.Header.Set(k, v)
			}
			if w := b.do(r); w.Code != c.want {
				t.Errorf("status %d, want %d: %s", w.Code, c.want, w.Body)
			}
		})
	}
}

func TestDeactivatingKillsTheKeysAtOnce(t *testing.T) {
	b := newBench(t)
	b.call("ravi", get, "/app/api/ping", "", nil)
	b.call("admin", post, "/v2/UserManagement.svc/User/Update", `{"UserId":"`+idRavi+`","StatusCode":1}`, nil)
	b.refused("ravi", get, "/app/api/ping", "", 401, "MXUnAuthorizedAccessException")
}

func TestRateLimit(t *testing.T) {
	b := newBench(t, func(c *Config) { c.RateLimit = 3 })
	for range 3 {
		b.call("asha", get, "/app/api/ping", "", nil)
	}
	b.refused("asha", get, "/app/api/ping", "", 429, "MXAPIRateLimitExceededException")
	b.call("ravi", get, "/app/api/ping", "", nil)
	b.clock.advance(5 * time.Second)
	b.call("asha", get, "/app/api/ping", "", nil)
}

func TestAsyncKey(t *testing.T) {
	b := newBench(t)
	body := `[{"Attribute":"FirstName","Value":"Later"}]`
	b.refused("asha", post, "/lead/create", body, 401, "MXUnAuthorizedAccessException")
	r := b.request("", post, "/lead/create", body)
	r.Header.Set("x-api-key", b.crm.APIKey())
	if w := b.do(r); w.Code != 401 {
		t.Errorf("the account's key alone must not write: status %d", w.Code)
	}
}

func TestErrorEnvelopes(t *testing.T) {
	b := newBench(t)
	const leads = "/v2/LeadManagement.svc/"
	cases := []struct {
		name, who, method, target, body string
		status                          int
		exception                       string
	}{
		{"no such route", "asha", get, "/v2/Nothing.svc/Here", "", 404, "MXInvalidOperationException"},
		{"wrong method", "asha", get, leads + "Leads.Get", "", 405, "MXInvalidOperationException"},
		{"body is not JSON", "asha", post, leads + "Leads.Get", "{", 400, "MXInvalidInputException"},
		{"body is a list", "asha", post, leads + "Leads.Get", "[]", 400, "MXInvalidInputException"},
		{"list where a value was expected", "asha", post, leads + "Leads.Get", `{"Parameter":{"LookupName":"Phone","LookupValue":["1"]}}`, 400, "MXInvalidInputException"},
		{"no lookup name", "asha", post, leads + "Leads.Get", "{}", 500, "MXMandatoryAttributeMissingException"},
		{"unknown lookup name", "asha", post, leads + "Leads.Get", `{"Parameter":{"LookupName":"Nope","LookupValue":"1"}}`, 500, "MXUnknownAttributeException"},
		{"unknown operator", "asha", post, leads + "Leads.Get", `{"Parameter":{"LookupName":"Phone","LookupValue":"1","SqlOperator":"~"}}`, 500, "MXInvalidInputException"},
		{"unknown column", "asha", post, leads + "Leads.Get", `{"Parameter":{"LookupName":"Phone","LookupValue":"1"},"Columns":{"Include_CSV":"Nope"}}`, 500, "MXUnknownAttributeException"},
		{"unknown sort column", "asha", post, leads + "Leads.Get", `{"Parameter":{"LookupName":"Phone","LookupValue":"1"},"Sorting":{"ColumnName":"Nope"}}`, 500, "MXUnknownAttributeException"},
		{"bad direction", "asha", post, leads + "Leads.Get", `{"Parameter":{"LookupName":"Phone","LookupValue":"1"},"Sorting":{"ColumnName":"Phone","Direction":"up"}}`, 500, "MXInvalidInputException"},
		{"page zero", "asha", post, leads + "Leads.Get", `{"Parameter":{"LookupName":"Phone","LookupValue":"1"},"Paging":{"PageIndex":0,"PageSize":5}}`, 500, "MXInvalidInputException"},
		{"period without an end", "asha", post, leads + "Leads.RecentlyModified", `{"Parameter":{"FromDate":"2026-01-01"}}`, 500, "MXInvalidInputException"},
		{"empty advanced search", "asha", post, leads + "Leads/Retrieve/BySearchParameter", `{"AdvancedSearch":""}`, 500, "MXInvalidInputException"},
		{"duplicate phone", "asha", post, leads + "Lead.Create", `[{"Attribute":"FirstName","Value":"X"},{"Attribute":"Phone","Value":"98765 43210"}]`, 500, "MXDuplicateEntryException"},
		{"unknown attribute", "asha", post, leads + "Lead.Create", `[{"Attribute":"Nope","Value":"X"}]`, 500, "MXUnknownAttributeException"},
		{"system attribute", "asha", post, leads + "Lead.Create", `[{"Attribute":"CreatedOn","Value":"2026-01-01"}]`, 500, "MXInvalidInputException"},
		{"update without an id", "asha", post, leads + "Lead.Update", `[{"Attribute":"FirstName","Value":"X"}]`, 500, "MXMandatoryAttributeMissingException"},
		{"lead without a name", "asha", post, leads + "Lead.Create", `[{"Attribute":"Company","Value":"X"}]`, 500, "MXMandatoryAttributeMissingException"},
		{"owner who is nobody", "asha", post, leads + "Lead.Update?leadId=" + knownLead, `[{"Attribute":"OwnerId","Value":"x"}]`, 500, "MXInvalidInputException"},
		{"unknown activity type", "asha", post, "/v2/ProspectActivity.svc/Create", `{"RelatedProspectId":"` + knownLead + `","ActivityEvent":9}`, 500, "MXInvalidActivityException"},
		{"field the type lacks", "asha", post, "/v2/ProspectActivity.svc/Create", `{"RelatedProspectId":"` + knownLead + `","ActivityEvent":201,"Fields":[{"SchemaName":"mx_Custom_8","Value":"x"}]}`, 500, "MXInvalidActivityFieldsException"},
		{"unknown activity", "asha", get, "/v2/ProspectActivity.svc/GetActivityDetails?activityId=x", "", 500, "MXInvalidInputException"},
		{"admin only", "asha", post, "/v2/UserManagement.svc/User/Create", `{"FirstName":"X","EmailAddress":"x@acme.test","Role":"Sales_User"}`, 500, "MXUnAuthorizedAccessException"},
		{"tasks err inside 200", "asha", get, "/v2/Task.svc/MarkComplete?id=x", "", 200, "MXInvalidInputException"},
		{"tasks inside 200, but bad JSON is 400", "asha", post, "/v2/Task.svc/Create", "{", 400, "MXInvalidInputException"},
		{"lead that is gone", "asha", get, "/app/api/leads/x", "", 404, "MXNotFoundException"},
		{"app patch of an unknown field", "asha", post, "/app/api/leads/" + knownLead, `{"Nope":"x"}`, 400, "MXUnknownAttributeException"},
		{"app patch that is a list", "asha", post, "/app/api/leads/" + knownLead, `["x"]`, 400, "MXInvalidInputException"},
		{"app sort by an unknown field", "asha", get, "/app/api/leads?sort=Nope", "", 400, "MXUnknownAttributeException"},
		{"coordinates out of range", "asha", post, "/mobile/v1/checkin", `{"Latitude":91,"Longitude":1}`, 400, "MXInvalidInputException"},
		{"coordinates that are not a number", "asha", post, "/mobile/v1/checkin", `{"Latitude":"NaN","Longitude":1}`, 400, "MXInvalidInputException"},
		{"pull since nonsense", "asha", post, "/mobile/v1/sync/pull", `{"Since":"soon"}`, 400, "MXInvalidInputException"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			b.t = t
			b.refused(c.who, c.method, c.target, c.body, c.status, c.exception)
		})
	}
}

func TestNotFoundShape(t *testing.T) {
	b := newBench(t)
	w := b.do(b.request("asha", get, "/app/api/leads/nobody", ""))
	const want = `{"Status":"Error","ExceptionType":"MXNotFoundException","ExceptionMessage":"Lead not found"}`
	if w.Code != 404 || w.Body.String() != want {
		t.Errorf("got %d %s, want 404 %s: the gateway hides records behind this very answer", w.Code, w.Body, want)
	}
}
