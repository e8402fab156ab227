// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"strings"
	"testing"

	"github.com/crmgate/crmgate/policy/plan"
	"github.com/crmgate/crmgate/policy/resource"
)

// Where every value is text, a condition that compares with something else would be
// true of every record when it says "is not": it is not asked at all.
func TestConditionOnTexts(t *testing.T) {
	lead := smallMap(t).Entities["lead"]
	text := func(s string) plan.Value { return plan.Value{Kind: '"', Text: s} }
	rec := map[string]plan.Value{"ProspectStage": text("Open"), "Score": text("7"), "mx_PAN": {Kind: '['}, "Extra": text("true"), "Notes": text("many")}
	u := &conditionUser{p: &Principal{Kind: Mobile, Email: "a@b.test", OwnerIDs: []string{"U1"}}}
	for expr, want := range map[string]string{
		`record.stage == "Open"`:                                  "yes",
		`record.stage != "Open"`:                                  "no",
		`record.score == "7"`:                                     "yes",
		`int(record.score) > 5`:                                   "yes",
		`double(record.score) > 7.5`:                              "no",
		`!(int(record.score) in [7, 8])`:                          "no",
		`int(record.notes) > 5`:                                   "?",
		`int(record.notes) != 5`:                                  "?",
		`bool(record.extra)`:                                      "yes",
		`record.pan == "x"`:                                       "?",
		`record.pan != "x"`:                                       "?",
		`!has(record.pan)`:                                        "no",
		`has(record.first_name)`:                                  "no",
		`record.first_name != "x"`:                                "?",
		`!has(record.first_name) || record.stage == "x"`:          "yes",
		`record.stage in ["Open", "New"]`:                         "yes",
		`record.stage.matches("^O") && user.owners != []`:         "yes",
		`user.owners.exists(o, o == record.stage)`:                "no",
		`size(record.stage) == 4`:                                 "yes",
		`record.score > 5`:                                        "never",
		`record.score != 7`:                                       "never",
		`!(record.score == 7.0)`:                                  "never",
		`!(record.score in [7])`:                                  "never",
		`!(record.score in [7, "x"])`:                             "never",
		`dyn(record.score) != 7`:                                  "never",
		`record.extra != true`:                                    "never",
		`record.stage != null`:                                    "never",
		`record.stage != (user.email == "x" ? dyn(1) : dyn("y"))`: "never",
		`{"a": 1, "b": "c"}["a"] != record.score`:                 "never",
	} {
		c, err := compileCondition(expr, lead)
		if err != nil {
			t.Errorf("%s: %v", expr, err)
			continue
		}
		got := "never"
		if c.texts != nil {
			ok, err := c.run(c.texts, u, members(rec))
			if got = map[bool]string{true: "yes", false: "no"}[ok]; err != nil {
				got = "?"
			}
		} else if c.cannot == nil || strings.Contains(c.cannot.Error(), "\n") {
			t.Errorf("%s cannot be asked of texts, and nobody says why on one line: %v", expr, c.cannot)
		}
		if got != want {
			t.Errorf("%s of texts: %s (%v), want %s", expr, got, c.cannot, want)
		}
	}
}

// A format of texts is given the condition as it is asked of texts, and refused to
// whoever is under one that cannot be.
func TestConditionsByFormat(t *testing.T) {
	for response, texts := range map[string]bool{
		"{records: {at: /*}}": false, "{format: ndjson, records: {at: /}}": false, "{format: sse, records: {at: /}}": false, "{format: multipart, parts: http, records: {at: /}}": false,
		"{format: csv, records: {at: /*}}": true, "{format: xlsx, records: {at: /*}}": true, "{format: xml, records: {at: /Leads/Lead}}": true,
	} {
		m, err := resource.Parse("formats.yaml", []byte(strings.Replace(formatMap, "RESPONSE", response, 1)))
		if err != nil {
			t.Fatal(err)
		}
		s := compileSrc(t, m, `
version: 1
templates:
  some: {entities: {lead: {rows: {cel: "record.phone != '7'"}}}}
  more: {entities: {lead: {rows: {cel: "record.phone != 7"}}}}
assign:
  - {template: some, roles: [sales_manager, marketing_user]}
  - {template: more, roles: [marketing_user]}
`)
		op := resource.Operation{ID: "r", Entity: "lead", Action: resource.View, Kind: resource.Data, Route: m.RouteByID("r")}
		d := s.Decide(as("sales_manager"), []resource.Operation{op}, Env{})
		if !d.Allow || d.Plans[0].Pass || d.Viewer == nil {
			t.Fatalf("%s: allowed %v (%s): nobody sees a record", response, d.Allow, d.Detail)
		}
		where := where(d.Plans[0].Root)
		for v, want := range map[plan.Value]bool{{Kind: '"', Text: "7"}: false, {Kind: '"', Text: "8"}: true, {Kind: '['}: false, {}: false} {
			ok, err := where.Holds(d.Viewer, members(map[string]plan.Value{"Phone": v}))
			if ok != want || (err != nil) != (v.Kind != '"') {
				t.Errorf("%s: of %+v: %v, %v", response, v, ok, err)
			}
		}
		d = s.Decide(as("marketing_user"), []resource.Operation{op}, Env{})
		if d.Allow == texts || texts && (d.Reason != RowDenied || !strings.Contains(d.Detail, "nothing but text")) {
			t.Errorf("%s: a condition on a number is asked: %v, %s %s", response, d.Allow, d.Reason, d.Detail)
		}
	}
}

// where finds the condition in a tree with one record.
func where(n *plan.Node) plan.Condition {
	if n == nil {
		return nil
	}
	if n.Record != nil {
		return n.Record.Rows.Where
	}
	for _, k := range n.Members {
		if w := where(k); w != nil {
			return w
		}
	}
	return where(n.Elements)
}
