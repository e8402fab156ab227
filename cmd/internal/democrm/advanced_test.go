// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package democrm

import (
	"os"
	"strings"
	"testing"
)

// search wraps one row in the envelope of an advanced search.
func search(rows string) string {
	return `{"GrpConOp":"And","Conditions":[{"Type":"Lead","ConOp":"and","RowCondition":[` + rows + `]}]}`
}

func TestAdvancedSearch(t *testing.T) {
	b := newBench(t)
	stage := func(r *record) string { return leadSchema.get(r, "ProspectStage") }
	score := func(r *record) int { return atoi(leadSchema.get(r, "Score")) }
	city := func(r *record) string { return leadSchema.get(r, "mx_City") }
	hasDemo := func(r *record) bool {
		for _, a := range b.crm.activities.rows {
			if activitySchema.get(a, "RelatedProspectId") == leadSchema.idOf(r) && activitySchema.get(a, "ActivityEvent") == "201" {
				return true
			}
		}
		return false
	}
	cases := []struct {
		name, text string
		want       func(*record) bool
	}{
		{"eq", search(`{"LSO":"ProspectStage","Operator":"eq","RSO":"new"}`), func(r *record) bool { return stage(r) == "New" }},
		{"neq", search(`{"LSO":"ProspectStage","Operator":"neq","RSO":"New"}`), func(r *record) bool { return stage(r) != "New" }},
		{"number, not text", search(`{"LSO":"Score","Operator":"gt","RSO":99}`), func(r *record) bool { return score(r) > 99 }},
		{"between", search(`{"LSO":"Score","Operator":"between","RSO":"50,60"}`), func(r *record) bool { return score(r) >= 50 && score(r) <= 60 }},
		{"in", search(`{"LSO":"mx_City","Operator":"in","RSO":"Pune, Kochi"}`), func(r *record) bool { return city(r) == "Pune" || city(r) == "Kochi" }},
		{"contains", search(`{"LSO":"mx_City","Operator":"contains","RSO":"mum"}`), func(r *record) bool { return city(r) == "Mumbai" }},
		{"starts", search(`{"LSO":"mx_City","Operator":"startswith","RSO":"ko"}`), func(r *record) bool { return city(r) == "Kochi" || city(r) == "Kolkata" }},
		{"empty", search(`{"LSO":"mx_PAN_Number","Operator":"isempty"}`), func(r *record) bool { return leadSchema.get(r, "mx_PAN_Number") == "" }},
		{
			"rows joined by or", search(`{"LSO":"mx_City","Operator":"eq","RSO":"Pune"},{"SubConOp":"Or","LSO":"Score","Operator":"lt","RSO":"10"}`),
			func(r *record) bool { return city(r) == "Pune" || score(r) < 10 },
		},
		{
			"rows joined by and", search(`{"LSO":"mx_City","Operator":"eq","RSO":"Pune"},{"SubConOp":"And","LSO":"Score","Operator":"ge","RSO":"100"}`),
			func(r *record) bool { return city(r) == "Pune" && score(r) >= 100 },
		},
		{"activity of the lead", `{"GrpConOp":"And","Conditions":[{"Type":"Activity","RowCondition":[{"LSO":"ActivityEvent","LSO_Type":"PAEvent","Operator":"eq","RSO":"201"}]}]}`, hasDemo},
		{
			"conditions joined by the group's word", `{"GrpConOp":"Or","Conditions":[` +
				`{"Type":"Activity","RowCondition":[{"LSO":"ActivityEvent","Operator":"eq","RSO":"201"}]},` +
				`{"Type":"Lead","RowCondition":[{"LSO":"mx_City","Operator":"eq","RSO":"Pune"}]}]}`,
			func(r *record) bool { return hasDemo(r) || city(r) == "Pune" },
		},
		{
			"a condition's own word beats the group's", `{"GrpConOp":"Or","Conditions":[` +
				`{"Type":"Activity","RowCondition":[{"LSO":"ActivityEvent","Operator":"eq","RSO":"201"}]},` +
				`{"Type":"Lead","ConOp":"and","RowCondition":[{"LSO":"mx_City","Operator":"eq","RSO":"Pune"}]}]}`,
			func(r *record) bool { return hasDemo(r) && city(r) == "Pune" },
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			b.t = t
			body := `{"AdvancedSearch":` + string(appendString(nil, c.text)) + `,"Columns":{"Include_CSV":"ProspectID"},"Paging":{"PageIndex":1,"PageSize":5000}}`
			var got struct {
				RecordCount int
				Leads       []struct {
					LeadPropertyList []struct{ Attribute, Value string }
				}
			}
			b.call("asha", post, "/v2/LeadManagement.svc/Leads/Retrieve/BySearchParameter", body, &got)
			want := where(b.crm.leads.rows, c.want)
			if len(want) == 0 || len(want) == len(b.crm.leads.rows) {
				t.Fatalf("the case proves nothing: %d of %d leads match", len(want), len(b.crm.leads.rows))
			}
			if got.RecordCount != len(want) || len(got.Leads) != len(want) {
				t.Fatalf("found %d (count %d), want %d", len(got.Leads), got.RecordCount, len(want))
			}
			for i, r := range want {
				if id := got.Leads[i].LeadPropertyList[0].Value; id != leadSchema.idOf(r) {
					t.Errorf("row %d is lead %s, want %s", i, id, leadSchema.idOf(r))
				}
			}
		})
	}
}

// A search that cannot be understood never finds everything.
func TestAdvancedSearchRefuses(t *testing.T) {
	many := strings.TrimSuffix(strings.Repeat(`{"LSO":"Score","Operator":"eq","RSO":"1"},`, maxConditions+1), ",")
	for name, text := range map[string]string{
		"empty":            "",
		"junk":             "x",
		"null":             "null",
		"no conditions":    `{"GrpConOp":"And","Conditions":[]}`,
		"no rows":          `{"GrpConOp":"And","Conditions":[{"Type":"Lead","RowCondition":[]}]}`,
		"unknown join":     `{"GrpConOp":"Xor","Conditions":[{"Type":"Lead","RowCondition":[{"LSO":"Score","Operator":"eq","RSO":"1"}]}]}`,
		"unknown row join": search(`{"SubConOp":"not","LSO":"Score","Operator":"eq","RSO":"1"}`),
		"unknown operator": search(`{"LSO":"Score","Operator":"matches","RSO":"1"}`),
		"no operator":      search(`{"LSO":"Score","RSO":"1"}`),
		"unknown field":    search(`{"LSO":"Nope","Operator":"eq","RSO":"1"}`),
		"no field":         search(`{"Operator":"eq","RSO":"1"}`),
		"too many rows":    search(many),
		"half a between":   search(`{"LSO":"Score","Operator":"between","RSO":"1"}`),
		"unknown type":     `{"GrpConOp":"And","Conditions":[{"Type":"Task","RowCondition":[{"LSO":"Score","Operator":"eq","RSO":"1"}]}]}`,
		"list as a value":  search(`{"LSO":"Score","Operator":"in","RSO":["1"]}`),
		"junk behind":      search(`{"LSO":"Score","Operator":"eq","RSO":"1"}`) + "x",
	} {
		a, err := parseAdvanced(text)
		if err == nil {
			_, err = a.compile(map[string]side{"lead": {leadSchema, itself}})
		}
		if err == nil {
			t.Errorf("%s: the search was taken; it would answer records nobody asked for", name)
		}
	}
}

// FuzzAdvanced: whatever the text, parsing and running it ends in an error or
// in a test that can be asked of a lead.
func FuzzAdvanced(f *testing.F) {
	seeds, err := os.ReadFile("testdata/advanced.txt")
	if err != nil {
		f.Fatalf("reading the seeds: %v", err)
	}
	for line := range strings.Lines(string(seeds)) {
		f.Add(strings.TrimSuffix(line, "\n"))
	}
	lead := leadSchema.blank()
	leadSchema.set(lead, "Phone", "+919876543210")
	leadSchema.set(lead, "Score", "7")
	f.Fuzz(func(t *testing.T, text string) {
		a, err := parseAdvanced(text)
		if err != nil {
			return
		}
		if len(a.Conditions) == 0 {
			t.Fatal("a search without conditions was taken: it would find everything")
		}
		match, err := a.compile(map[string]side{"lead": {leadSchema, itself}, "": {leadSchema, itself}})
		if err != nil {
			return
		}
		match(lead)
		match(leadSchema.blank())
	})
}
