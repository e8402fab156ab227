// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"strings"
	"testing"

	"github.com/crmgate/crmgate/policy/plan"
	"github.com/crmgate/crmgate/policy/resource"
)

func decideOn(t *testing.T, response, role string) *plan.Plan {
	t.Helper()
	m, err := resource.Parse("formats.yaml", []byte(strings.Replace(formatMap, "RESPONSE", response, 1)))
	if err != nil {
		t.Fatal(err)
	}
	s := compileSrc(t, m, formatPolicy)
	d := s.Decide(as(role), []resource.Operation{{ID: "r", Entity: "lead", Action: resource.View, Kind: resource.Data, Route: m.RouteByID("r")}}, Env{})
	if !d.Allow {
		t.Fatalf("%s for %s is refused: %s", response, role, d.Detail)
	}
	return d.Plans[0]
}

// TestLinksAreReadForEverybody: an administrator follows links as well. A restricted
// field stays one, whatever its place is said to be, and so does a record.
func TestLinksAreReadForEverybody(t *testing.T) {
	const response = "{records: {at: /v/*}, links: [/next/href, /next, /v/*/up, /v/*/Phone, /v/*, /v/*/links/self], cursors: [/after/at, /after, /next]}"
	for role, phone := range map[string]bool{"administrator": true, "marketing_user": false} {
		p := decideOn(t, response, role)
		if p.Pass || !p.Links {
			t.Errorf("%s: links lead to the CRM: pass %v, links %v", role, p.Pass, p.Links)
		}
		rec := p.Root.Members["v"].Elements
		if n := p.Root.Members["next"]; !n.Link || n.Cursor || !n.Members["href"].Link || !p.Root.Members["after"].Members["at"].Cursor {
			t.Errorf("%s: what is a link and a cursor, or holds another, is no link", role)
		}
		if !p.Root.Members["after"].Cursor || rec.Link || !rec.Record.Nested["up"].Link || !rec.Record.Nested["links"].Members["self"].Link {
			t.Errorf("%s: links and cursors are not where they were declared", role)
		}
		if n := rec.Record.Nested["phone"]; (n != nil && n.Link) != phone {
			t.Errorf("%s: a phone is a link: %v, want %v", role, !phone, phone)
		}
	}
	if p := decideOn(t, "{records: {at: /v/*}, cursors: [/after]}", "administrator"); !p.Pass {
		t.Error("answers with cursors are read for those who see everything")
	}
}

// TestNoLinksIntoWhatIsNotSeen: where an entity may not be seen, links to it are not either.
func TestNoLinksIntoWhatIsNotSeen(t *testing.T) {
	m, err := resource.Parse("formats.yaml", []byte(strings.Replace(formatMap, "action: view, response: RESPONSE", "action: edit, response: {records: {at: /v/*}, links: [/next, /v/*/up], cursors: [/after]}", 1)))
	if err != nil {
		t.Fatal(err)
	}
	s := compileSrc(t, m, strings.Replace(formatPolicy, "view: {partial: {mask: [phone]}}", "view: none", 1))
	d := s.Decide(as("marketing_user"), []resource.Operation{{ID: "r", Entity: "lead", Action: resource.Edit, Kind: resource.Data, Route: m.RouteByID("r")}}, Env{})
	if len(d.Plans) == 0 {
		t.Fatalf("there is no plan: %s", d.Detail)
	}
	p := d.Plans[0]
	if p.Pass || p.Links || p.Root.Members["next"] != nil || p.Root.Members["after"] != nil || p.Root.Members["v"].Elements.Record.Nested["up"] != nil {
		t.Error("links and cursors of an entity that may not be seen are shown")
	}
}

// TestCountsAndNothing: who may see all records gets the CRM's own counts.
func TestCountsAndNothing(t *testing.T) {
	const response = "{records: {at: /v/*}, total: X-Rows, empty: {status: 404, body: none}}"
	for role, few := range map[string]bool{"marketing_user": false, "sales_manager": true} {
		p := decideOn(t, response, role)
		if p.Few != few || p.Total != "X-Rows" || (p.Empty != nil) != few || p.Problem != nil && p.Problem.Few != few || few && (p.Problem == nil || p.Empty.Status != 404 || string(p.Empty.Body) != "none") {
			t.Errorf("%s: few %v, want %v; empty %+v", role, p.Few, few, p.Empty)
		}
	}
	if p := decideOn(t, "{records: {at: /v/*}, max_records: 3}", "marketing_user"); !p.Few {
		t.Error("a cap leaves no record out")
	}
}

// TestRestrictedFieldsLeadNowhere: around records a field that is restricted stays one too, and so does what is
// within it.
func TestRestrictedFieldsLeadNowhere(t *testing.T) {
	const response = "{records: {at: /v/*}, links: [/Phone, /m/Phone/href, /v/*/links/self], cursors: [/Phone]}"
	for role, phone := range map[string]bool{"administrator": true, "marketing_user": false} {
		p := decideOn(t, response, role)
		n := p.Root.Members["phone"]
		if m := p.Root.Members["m"]; (n != nil && n.Link) != phone || (m.Members["phone"] != nil) != phone || !p.Root.Members["v"].Elements.Record.Nested["links"].Members["self"].Link {
			t.Errorf("%s: a phone around records leads on: %v, want %v", role, !phone, phone)
		}
	}
}

// TestAnswersReadForTheirLinksAlone: who sees everything gets all else as it came, texts of
// fields that hold documents too.
func TestAnswersReadForTheirLinksAlone(t *testing.T) {
	for role, open := range map[string]bool{"administrator": true, "marketing_user": false, "sales_manager": false} {
		for _, format := range []string{"json", "xml"} {
			if p := decideOn(t, "{format: "+format+", records: {at: /v/r}, links: [/next]}", role); p.Open != open || p.Pass || !p.Links {
				t.Errorf("%s in %s: open %v, want %v; untouched %v", role, format, p.Open, open, p.Pass)
			}
		}
	}
}

func TestLinksOfOtherFormats(t *testing.T) {
	for response, want := range map[string]string{
		"{format: csv, links: [/next]}":                                        "not in csv",
		"{format: xlsx, cursors: [/next]}":                                     "not in xlsx",
		"{format: html, links: [/next]}":                                       "not in html",
		"{format: none, cursors: [/next]}":                                     "not in none",
		"{format: sse, links: [/next]}":                                        "hold no records",
		"{format: sse, cursors: [/next]}":                                      "hold no records",
		"{format: sse, messages: true, links: [/next]}":                        "",
		"{format: xml, links: [/feed/next], cursors: [/feed/at]}":              "",
		"{format: xml, records: {at: /feed/lead}, links: [/feed/lead/a/href]}": "",
		"{format: xml, records: {at: /}, links: [/a]}":                         "none is a record at /",
		"{format: websocket, records: {at: /}, links: [/a]}":                   "in answers alone",
		"{format: websocket, records: {at: /}, cursors: [/next]}":              "",
	} {
		_, err := resource.Parse("formats.yaml", []byte(strings.Replace(formatMap, "RESPONSE", response, 1)))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", response, err, want)
		}
	}
}
