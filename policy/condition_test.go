// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"strings"
	"testing"

	"github.com/crmgate/crmgate/policy/plan"
	"github.com/crmgate/crmgate/policy/resource"
)

func members(m map[string]plan.Value) func(string) plan.Value {
	folded := map[string]plan.Value{}
	for name, v := range m {
		folded[resource.Fold(name)] = v
	}
	return func(name string) plan.Value { return folded[name] }
}

// A row condition holds, does not, or comes to no answer, which is no.
func TestConditionHolds(t *testing.T) {
	lead := smallMap(t).Entities["lead"]
	text := func(s string) plan.Value { return plan.Value{Kind: '"', Text: s} }
	rec := map[string]plan.Value{
		"ProspectStage": text("Open"), "Score": {Kind: '0', Text: "7"}, "mx_PAN": {Kind: 'n'}, "Notes": {Kind: '['},
		"Phone": text("1"), "Mobile": text("2"), "EmailAddress": text("a@b.test"), "Extra": {Kind: '0', Text: "1.5"},
	}
	u := &conditionUser{p: &Principal{Kind: Mobile, Role: "sales_user", Email: "a@b.test", OwnerIDs: []string{"U1"}}, groups: []string{"north"}}
	for expr, want := range map[string]string{
		`record.stage == "Open"`:                                     "yes",
		`record.stage == "Won"`:                                      "no",
		`record.score > 5`:                                           "yes",
		`record.score > 5.5 && record.extra < 2.0`:                   "yes",
		`record.pan == null`:                                         "yes",
		`has(record.pan)`:                                            "no",
		`has(record.first_name)`:                                     "no",
		`record.first_name == "x"`:                                   "?",
		`record.first_name == "x" || record.stage == "Open"`:         "yes",
		`record.phone == "1"`:                                        "?",
		`!has(record.phone) || record.phone != "2"`:                  "?",
		`!has(record.notes) || record.notes != "x"`:                  "?",
		`record.notes == "x"`:                                        "?",
		`record.stage > 5`:                                           "?",
		`record.stage + 1 == 2`:                                      "?",
		`user.kind == "mobile" && "north" in user.groups`:            "yes",
		`record.email == user.email`:                                 "yes",
		`user.owners.exists(o, o == "U1")`:                           "yes",
		`record.stage.matches("^O")`:                                 "yes",
		`record == record`:                                           "?",
		`[1,2,3].all(x, x > 0) && record.stage == "Open"`:            "yes",
		`record.score / 0 == 1`:                                      "?",
		`"` + strings.Repeat("a", 200) + `".matches("(a*)*(a*)*b$")`: "no",
	} {
		c, err := compileCondition(expr, lead)
		if err != nil {
			t.Errorf("%s: %v", expr, err)
			continue
		}
		ok, err := c.holds(u, members(rec))
		got := map[bool]string{true: "yes", false: "no"}[ok]
		if err != nil {
			got = "?"
			if ok || strings.Contains(err.Error(), "Open") {
				t.Errorf("%s: %v with %v: a value stands in the error, or an error shows a record", expr, ok, err)
			}
		}
		if got != want {
			t.Errorf("%s: %s (%v), want %s", expr, got, err, want)
		}
	}
	c, _ := compileCondition(`record.stage == "Open"`, lead)
	if ok, err := c.holds(nil, members(rec)); ok || err == nil {
		t.Error("a condition holds for nobody")
	}
}

// What a condition may not cost it does not.
func TestConditionCostIsLimited(t *testing.T) {
	c, err := compileCondition(`user.owners.all(x, user.email.contains(x)) || user.owners.all(x, user.email.contains(x))`, nil)
	if err != nil {
		t.Fatal(err)
	}
	owners := make([]string, 100000)
	u := &conditionUser{p: &Principal{OwnerIDs: owners, Email: strings.Repeat("x", 1000)}}
	if ok, err := c.holds(u, nil); ok || err == nil {
		t.Error("a condition that goes on for ever comes to an answer")
	}
}

// A condition that cannot be checked is refused with its place.
func TestConditionFaults(t *testing.T) {
	for expr, want := range map[string]string{
		`record.stage =`:                         "1:14: ",
		"record.stage == 'x' &&\n record.nosuch": "2:8: ",
		`record.nosuch == 1`:                     "undefined field 'nosuch'",
		`user.nosuch == "x"`:                     "undefined field 'nosuch'",
		`nobody.id == "x"`:                       "undeclared reference",
		`record.stage`:                           "is of type dyn",
		`"x"`:                                    "is of type string",
		`user.email == 1`:                        "no matching overload",
		`user.email.matches("(")`:                "1:20: ",
		``:                                       "1:1: ",
		strings.Repeat("(", 100) + "true" + strings.Repeat(")", 100):         "1:",
		strings.Repeat("a", 3000):                                            "1:",
		`user.owners.all(x, user.owners.all(y, user.owners.all(z, x == z)))`: "1:",
	} {
		_, err := compileCondition(expr, smallMap(t).Entities["lead"])
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%.80s: %v, want %s on one line", expr, err, want)
		}
	}
	_, err := compileCondition(`record.stage == "x"`, nil)
	if err == nil {
		t.Error("the condition of an assignment looks at a record")
	}
	d, err := Parse("p.yaml", []byte("version: 1\ntemplates:\n  t:\n    entities:\n      lead: {rows: {cel: 'record.nosuch == 1'}}\nassign: []\n"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err = Compile(d, smallMap(t)); err == nil || !strings.Contains(err.Error(), "p.yaml:5:") || !strings.Contains(err.Error(), "1:7: undefined field 'nosuch'") {
		t.Errorf("compiling says %v: nobody finds the fault", err)
	}
}

// Rows, writes and answers follow a template's condition, and it survives cloning
// and joining.
func TestConditionOnRows(t *testing.T) {
	m := smallMap(t)
	s := compileSrc(t, m, `
version: 1
templates:
  open: {entities: {lead: {rows: {cel: "record.stage == 'Open'", scope: all}}}}
  low: {clone_of: open, entities: {lead: {max_records: 3}}}
  few: {entities: {lead: {rows: {cel: "record.score < 5"}, max_records: 9}}}
assign:
  - {template: low, roles: [sales_manager]}
  - {template: few, roles: [sales_manager]}
`)
	d := s.Decide(as("sales_manager"), ops(t, m, "GET /leads"), Env{})
	if !d.Allow {
		t.Fatal(d.Reason, d.Detail)
	}
	p := d.Plans[0]
	rows := p.Root.Members["leads"].Elements.Record.Rows
	if p.Pass || p.MaxRows != 3 || rows == nil || rows.Where == nil || len(rows.Where.Needs()) != 2 {
		t.Fatalf("pass %v, cap %d, rows %v: everybody sees everything", p.Pass, p.MaxRows, rows)
	}
	for _, c := range []struct {
		stage, score string
		want         bool
	}{{"Open", "4", true}, {"Won", "4", false}, {"Open", "6", false}} {
		ok, err := rows.Where.Holds(d.Viewer, members(map[string]plan.Value{"ProspectStage": {Kind: '"', Text: c.stage}, "Score": {Kind: '0', Text: c.score}}))
		if ok != c.want || err != nil {
			t.Errorf("%v: %v %v", c, ok, err)
		}
	}
	// A write is judged by the record as it is now.
	d = s.Decide(as("sales_manager"), ops(t, m, `POST /leads/7 {"ProspectStage":"x"}`), Env{})
	if d.Allow || d.Pending == nil || d.Reason != RowDenied {
		t.Fatalf("%v %s: a record nobody has looked at is written", d.Allow, d.Reason)
	}
	for stage, want := range map[string]Reason{"Open": Allowed, "Won": RowDenied} {
		if got := answer(t, s, m, "sales_manager", `POST /leads/7 {"ProspectStage":"x"}`, map[string]resource.Value{
			"ProspectID": {Kind: '"', Text: "7"}, "ProspectStage": {Kind: '"', Text: stage}, "Score": {Kind: '0', Text: "1"},
		}); got.Reason != want {
			t.Errorf("writing a lead that is %s: %s (%s), want %s", stage, got.Reason, got.Detail, want)
		}
	}
}

// answer settles a pending decision with one lead.
func answer(t *testing.T, s *Set, m *resource.Map, role, send string, lead map[string]resource.Value) Settled {
	t.Helper()
	d := s.Decide(as(role), ops(t, m, send), Env{})
	if d.Allow || d.Pending == nil {
		t.Fatalf("%s: allow %v, %s (%s), and nothing to be read", send, d.Allow, d.Reason, d.Detail)
	}
	for reads := d.Pending.Reads(); len(reads) > 0; reads = d.Pending.Reads() {
		for _, rd := range reads {
			var found []*resource.Record
			if lead != nil {
				found = append(found, resource.NewRecord(rd.Entity, lead))
			}
			d.Pending.Answer(rd, found, nil)
		}
	}
	return d.Pending.Settle()
}

// An assignment's condition is asked each time; one that comes to no answer applies.
func TestConditionOnAssignments(t *testing.T) {
	m := smallMap(t)
	s := compileSrc(t, m, `
version: 1
templates:
  phone: {entities: {lead: {view: {partial: {mask: [phone]}}}}}
  email: {entities: {lead: {view: {partial: {mask: [email]}}}}}
  free: {description: nothing}
assign:
  - {template: phone, roles: [sales_manager], when: "user.kind == 'mobile'"}
  - {template: email, roles: [sales_manager], when: "user.owners[3] == 'x'"}
  - {template: free, users: [lena@acme.test], exclusive: true, when: "user.kind == 'user'"}
`)
	masked := func(p *Principal) string {
		d := s.Decide(p, ops(t, m, "GET /leads"), Env{})
		if !d.Allow {
			t.Fatal(d.Detail)
		}
		out := ""
		for _, f := range []string{"phone", "email"} {
			if d.Plans[0].Pass || d.Plans[0].Root.Members["leads"].Elements.Record.Entity.Treat([]byte(f)).Effect != plan.Mask {
				continue
			}
			out += f + " "
		}
		return out
	}
	for range 2 {
		for kind, want := range map[PrincipalKind]string{User: "email ", Mobile: "phone email "} {
			p := as("sales_manager")
			if p.Kind = kind; masked(p) != want {
				t.Errorf("%s has %q masked, want %q", kind, masked(p), want)
			}
			lena := as("sales_manager")
			lena.Email, lena.Kind = "lena@acme.test", kind
			if want := map[PrincipalKind]string{User: "", Mobile: "phone email "}[kind]; masked(lena) != want {
				t.Errorf("lena by %s has %q masked, want %q", kind, masked(lena), want)
			}
		}
	}
}

func FuzzCondition(f *testing.F) {
	for _, s := range []string{`record.stage == "x"`, `has(record.pan) || user.email.matches("^a")`, `user.groups.exists(g, g in user.owners)`, `[{"a":1}].map(x, x.a)[0] == 1u`, "\"\\u00", `b"x" == b'''y'''`, `1 ? 2 : 3`, "record.`stage`", "//\n\x00"} {
		f.Add(s)
	}
	m := smallMap(f)
	lead := m.Entities["lead"]
	u := &conditionUser{p: &Principal{Email: "a@b.test", OwnerIDs: []string{"1"}}}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := compileCondition(text, lead)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\r") {
				t.Errorf("the fault of %q has several lines: %q", text, err)
			}
			return
		}
		if ok, err := c.holds(u, members(map[string]plan.Value{"ProspectStage": {Kind: '"', Text: "x"}})); ok && err != nil {
			t.Errorf("%q holds and fails", text)
		}
	})
}
