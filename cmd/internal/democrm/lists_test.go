// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package democrm

import (
	"encoding/csv"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
)

type leadPage struct {
	RecordCount int
	Leads       []flatRow
}

// all reads every lead over the app's own route, page by page.
func (b *bench) all(query string) []flatRow {
	b.t.Helper()
	var out []flatRow
	for page := 1; ; page++ {
		var p leadPage
		b.call("asha", get, fmt.Sprintf("/app/api/leads?page=%d&size=50&%s", page, query), "", &p)
		out = append(out, p.Leads...)
		if len(p.Leads) == 0 {
			if len(out) != p.RecordCount {
				b.t.Fatalf("the pages hold %d leads and the total says %d: people would miss some", len(out), p.RecordCount)
			}
			return out
		}
	}
}

func TestPagesHoldEveryLeadOnce(t *testing.T) {
	b := newBench(t)
	for _, query := range []string{"", "sort=ProspectStage", "sort=mx_Phone_2&dir=desc"} {
		seen := map[string]bool{}
		for _, row := range b.all(query) {
			if seen[str(row["ProspectID"])] {
				t.Fatalf("%q: lead %s is on two pages", query, str(row["ProspectID"]))
			}
			seen[str(row["ProspectID"])] = true
		}
		if len(seen) != 240 {
			t.Errorf("%q: %d leads over all pages, want 240", query, len(seen))
		}
	}
}

func TestSortingOracle(t *testing.T) {
	b := newBench(t)
	numeric := func(s string) float64 { f, _ := strconv.ParseFloat(s, 64); return f }
	for _, col := range []string{"FirstName", "Phone", "Score", "CreatedOn", "mx_Annual_Income", "mx_Phone_2"} {
		for _, dir := range []string{"asc", "desc"} {
			rows := b.all("sort=" + strings.ToLower(col) + "&dir=" + dir)
			inOrder := slices.IsSortedFunc(rows, func(a, c flatRow) int {
				x, y, n := a[col], c[col], 0
				switch {
				case x == nil || y == nil:
					n = btoi(x != nil) - btoi(y != nil)
				case col == "Score" || col == "mx_Annual_Income":
					n = int(numeric(*x) - numeric(*y))
				default:
					n = strings.Compare(strings.ToLower(*x), strings.ToLower(*y))
				}
				if dir == "desc" {
					n = -n
				}
				return n
			})
			if !inOrder {
				t.Errorf("sorted by %s %s the list is out of order", col, dir)
			}
		}
	}
}

func TestAppFiltersOracle(t *testing.T) {
	b := newBench(t)
	all := b.all("")
	ravi, asha := b.users["ravi"].ID, b.users["asha"].ID
	has := func(row flatRow, part string) bool {
		for _, name := range []string{"FirstName", "LastName", "EmailAddress", "Phone", "Mobile", "Company"} {
			if p := row[name]; p != nil && strings.Contains(strings.ToLower(*p), part) {
				return true
			}
		}
		return false
	}
	cases := []struct {
		query string
		want  func(flatRow) bool
	}{
		{"owner=" + ravi, func(r flatRow) bool { return str(r["OwnerId"]) == ravi }},
		{"owner=" + ravi + "," + asha, func(r flatRow) bool { return str(r["OwnerId"]) == ravi || str(r["OwnerId"]) == asha }},
		{"owner=nobody", func(flatRow) bool { return false }},
		{"stage=New,Lost", func(r flatRow) bool { return str(r["ProspectStage"]) == "New" || str(r["ProspectStage"]) == "Lost" }},
		{"q=sha", func(r flatRow) bool { return has(r, "sha") }},
		{"q=sha&owner=" + ravi, func(r flatRow) bool { return has(r, "sha") && str(r["OwnerId"]) == ravi }},
	}
	for _, c := range cases {
		want := 0
		for _, row := range all {
			want += btoi(c.want(row))
		}
		got := b.all(c.query)
		if len(got) != want {
			t.Errorf("%s: %d leads, want %d", c.query, len(got), want)
		}
		for _, row := range got {
			if !c.want(row) {
				t.Errorf("%s: lead %s does not match", c.query, str(row["ProspectID"]))
			}
		}
	}
}

func TestLookupOperatorsOracle(t *testing.T) {
	b := newBench(t)
	get := func(r *record, name string) string { return leadSchema.get(r, name) }
	cases := []struct {
		lookup string
		want   func(*record) bool
	}{
		{`{"LookupName":"mx_City","LookupValue":"pune","SqlOperator":"="}`, func(r *record) bool { return get(r, "mx_City") == "Pune" }},
		{`{"LookupName":"mx_City","LookupValue":"Pune"}`, func(r *record) bool { return get(r, "mx_City") == "Pune" }},
		{`{"LookupName":"mx_City","LookupValue":"Pune","SqlOperator":"<>"}`, func(r *record) bool { return get(r, "mx_City") != "Pune" }},
		{`{"LookupName":"mx_City","LookupValue":"Pune,Kochi","SqlOperator":"IN"}`, func(r *record) bool { return get(r, "mx_City") == "Pune" || get(r, "mx_City") == "Kochi" }},
		{`{"LookupName":"FirstName","LookupValue":"an","SqlOperator":"LIKE"}`, func(r *record) bool { return strings.Contains(strings.ToLower(get(r, "FirstName")), "an") }},
		{`{"LookupName":"Phone","LookupValue":"%1","SqlOperator":"like"}`, func(r *record) bool { return strings.HasSuffix(get(r, "Phone"), "1") }},
		{`{"LookupName":"Score","LookupValue":"99","SqlOperator":">"}`, func(r *record) bool { return atoi(get(r, "Score")) > 99 }},
		{`{"LookupName":"Score","LookupValue":99,"SqlOperator":"<="}`, func(r *record) bool { return atoi(get(r, "Score")) <= 99 }},
		{`{"LookupName":"CreatedOn","LookupValue":"2026-01-01","SqlOperator":">="}`, func(r *record) bool { return get(r, "CreatedOn") >= "2026-01-01 00:00:00.000" }},
		{`{"LookupName":"CreatedOn","LookupValue":"2026-01-01T00:00:00Z","SqlOperator":"<"}`, func(r *record) bool { return get(r, "CreatedOn") < "2026-01-01 00:00:00.000" }},
	}
	for _, c := range cases {
		var got []map[string]string
		b.call("asha", post, leadsSvc+"Leads.Get", `{"Parameter":`+c.lookup+`,"Columns":{"Include_CSV":"prospectid"},"Paging":{"PageIndex":1,"PageSize":5000}}`, &got)
		want := where(b.crm.leads.rows, c.want)
		if len(want) == 0 || len(want) == 240 {
			t.Errorf("%s proves nothing: %d match", c.lookup, len(want))
		}
		if len(got) != len(want) {
			t.Errorf("%s: %d leads, want %d", c.lookup, len(got), len(want))
			continue
		}
		for i := range got {
			if got[i]["ProspectID"] != leadSchema.idOf(want[i]) {
				t.Errorf("%s: row %d is another lead", c.lookup, i)
			}
		}
	}
}

// Both paging dialects, the default page and the caps.
func TestPagingDialects(t *testing.T) {
	rows := make([]*record, 6000)
	for i := range rows {
		rows[i] = &record{}
	}
	at := func(r *record) int { return slices.Index(rows, r) }
	cases := []struct {
		name              string
		p                 paging
		limit, first, len int
	}{
		{"default", paging{}, maxLeads, 0, 25},
		{"third page", paging{PageIndex: "3", PageSize: "10"}, maxLeads, 20, 10},
		{"offset", paging{Offset: "7", RowCount: "5"}, maxLeads, 7, 5},
		{"offset alone", paging{Offset: "7"}, maxLeads, 7, 25},
		{"cap of leads", paging{PageSize: "100000"}, maxLeads, 0, 5000},
		{"cap of activities", paging{RowCount: "100000"}, maxEvents, 0, 1000},
		{"last page is short", paging{PageIndex: "2", PageSize: "5000"}, maxLeads, 5000, 1000},
		{"behind the end", paging{PageIndex: "3", PageSize: "5000"}, maxLeads, -1, 0},
		{"far behind the end", paging{PageIndex: "9223372036854775807", PageSize: "5000"}, maxLeads, -1, 0},
		{"offset behind the end", paging{Offset: "9223372036854775807", RowCount: "5"}, maxLeads, -1, 0},
	}
	for _, c := range cases {
		got, err := c.p.cut(rows, c.limit)
		if err != nil || len(got) != c.len {
			t.Errorf("%s: %d rows, error %v; want %d", c.name, len(got), err, c.len)
			continue
		}
		if c.len > 0 && at(got[0]) != c.first {
			// The records are all alike, so identity is what tells them apart.
			t.Errorf("%s: starts at %d, want %d", c.name, at(got[0]), c.first)
		}
	}
}

func TestColumns(t *testing.T) {
	b := newBench(t)
	ask := func(columns string) string {
		return b.call("asha", post, leadsSvc+"Leads.Get", `{"Parameter":{"LookupName":"ProspectID","LookupValue":"`+knownLead+`"},"Columns":`+columns+`}`, nil)
	}
	if got := ask(`{"Include_CSV":" phone , FirstName,Phone"}`); got != `[{"Phone":"+919876543210","FirstName":"Ishaan"}]` {
		t.Errorf("Include_CSV must answer the columns asked for, in that order, once: %s", got)
	}
	if got := ask(`{"Include_CSV":""}`); !strings.Contains(got, `"mx_PAN_Number"`) {
		t.Error("no columns asked for means all columns, as this API family has it")
	}
	if got := ask(`{"Exclude_CSV":"Phone"}`); strings.Contains(got, `"Phone"`) || !strings.Contains(got, `"Mobile"`) {
		t.Errorf("Exclude_CSV must leave out what it names and nothing else: %s", got)
	}
}

func TestExport(t *testing.T) {
	b := newBench(t)
	w := b.do(b.request("asha", get, "/app/export/leads.csv", ""))
	if kind := w.Header().Get("Content-Type"); kind != "text/csv; charset=utf-8" {
		t.Errorf("content type %q", kind)
	}
	rows, err := csv.NewReader(w.Body).ReadAll()
	if err != nil {
		t.Fatalf("the export is not CSV: %v", err)
	}
	if len(rows) != 241 || rows[0][0] != "ProspectID" || !slices.Contains(rows[1], "+919876543210") {
		t.Errorf("%d lines, first column %q: the export must hold a line of names and every lead", len(rows), rows[0][0])
	}
}
