// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"os"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/crmgate/crmgate/policy/plan"
)

// decideFile is one file of cases: a policy and what it decides.
type decideFile struct {
	Policy yaml.Node `yaml:"policy"`
	Cases  []struct {
		Name    string   `yaml:"name"`
		Role    string   `yaml:"role"`
		User    string   `yaml:"user"`
		Kind    string   `yaml:"kind"`
		Send    string   `yaml:"send"`
		Want    Reason   `yaml:"want"`
		Detail  string   `yaml:"detail"`
		Pass    *bool    `yaml:"pass"`
		Inject  string   `yaml:"inject"`
		MaxRows int      `yaml:"max_rows"`
		Because []string `yaml:"because"`
	} `yaml:"cases"`
}

func TestDecideCases(t *testing.T) {
	m := smallMap(t)
	for _, file := range []string{"testdata/decide/builtin.yaml", "testdata/decide/telecaller.yaml", "testdata/decide/more.yaml"} {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var f decideFile
		if err := yaml.Unmarshal(b, &f); err != nil {
			t.Fatal(err)
		}
		src, err := yaml.Marshal(&f.Policy)
		if err != nil {
			t.Fatal(err)
		}
		s := compileSrc(t, m, string(src))
		for _, c := range f.Cases {
			t.Run(strings.TrimSuffix(strings.TrimPrefix(file, "testdata/decide/"), ".yaml")+"/"+c.Name, func(t *testing.T) {
				p := as(c.Role)
				if c.User != "" {
					p.Email = c.User
				}
				if c.Kind != "" {
					p.Kind = PrincipalKind(c.Kind)
				}
				o := ops(t, m, c.Send)
				env := Env{OwnersOf: directory}
				d := s.Decide(p, o, env)
				if d.Reason != c.Want || !strings.Contains(d.Detail, c.Detail) {
					t.Fatalf("%s as %s: %s (%s), want %s (%s)", c.Send, c.Role, d.Reason, d.Detail, c.Want, c.Detail)
				}
				if d.Allow != (c.Want == Allowed || c.Want == AllowedPublic) {
					t.Errorf("allow is %v with reason %s", d.Allow, d.Reason)
				}
				if d.Allow && len(d.Plans) != len(o) {
					t.Errorf("%d plans for %d operations", len(d.Plans), len(o))
				}
				if c.Pass != nil && d.Plans[0].Pass != *c.Pass {
					t.Errorf("pass is %v, want %v", d.Plans[0].Pass, *c.Pass)
				}
				if c.Inject != "" && (len(d.Inject) != 1 || d.Inject[0].Value != c.Inject) {
					t.Errorf("inject %v, want %s", d.Inject, c.Inject)
				}
				if c.MaxRows != 0 && d.Plans[0].MaxRows != c.MaxRows {
					t.Errorf("max rows %d, want %d", d.Plans[0].MaxRows, c.MaxRows)
				}
				for _, b := range c.Because {
					if !strings.Contains(strings.Join(d.Because, " "), b) {
						t.Errorf("because %v lacks %s", d.Because, b)
					}
				}
				x := s.Explain(p, o, env)
				if x.Allow != d.Allow || x.Reason != d.Reason || x.Detail != d.Detail {
					t.Errorf("explain says %s (%s), decide %s (%s)", x.Reason, x.Detail, d.Reason, d.Detail)
				}
			})
		}
	}
}

func directory(email string) []string {
	return map[string][]string{"asha@acme.test": {"U-ASHA"}, "ravi@acme.test": {"U-RAVI"}, "lena@acme.test": {"U-LENA", "U-LENA2"}}[email]
}

func TestDecideWithoutPrincipal(t *testing.T) {
	m := smallMap(t)
	s := compileSrc(t, m, "")
	for _, p := range []*Principal{nil, {}, {Kind: Nobody, Role: "administrator"}} {
		for send, want := range map[string]Reason{
			"GET /t.js": AllowedPublic, "GET /s.css": AllowedPublic, "GET /": NoSession, "GET /ping": NoSession,
			"GET /leads": NoSession, "GET /me": NoSession, "GET /socket": NoSession,
		} {
			if d := s.Decide(p, ops(t, m, send), Env{}); d.Reason != want || d.Allow != (want == AllowedPublic) {
				t.Errorf("%s without a session: %s, want %s", send, d.Reason, want)
			}
		}
		if d := s.DecideUnmapped(p); d.Reason != NoSession || d.Allow {
			t.Errorf("unmapped without a session: %s", d.Reason)
		}
		if !s.Restricted(p) {
			t.Error("nobody is unrestricted")
		}
	}
	if d := s.Decide(as("administrator"), nil, Env{}); d.Allow {
		t.Error("a request without operations was let through")
	}
	if d := s.Decide(as("king"), ops(t, m, "GET /leads"), Env{}); d.Allow || d.Reason != ActionDenied {
		t.Errorf("an unknown role was let through: %s", d.Reason)
	}
}

func TestDecideRefusesWhatItDoesNotKnow(t *testing.T) {
	m := smallMap(t)
	s := compileSrc(t, m, telecaller)
	base := ops(t, m, "GET /leads/7")
	for name, change := range map[string]func(int){
		"route":  func(int) { base[0].Route = nil },
		"kind":   func(int) { base[0].Kind = "gossip" },
		"action": func(int) { base[0].Action = "tickle" },
		"entity": func(int) { base[0].Entity = "unicorn" },
	} {
		base = ops(t, m, "GET /leads/7")
		change(0)
		for _, role := range []string{"sales_manager", "administrator"} {
			if d := s.Decide(as(role), base, Env{}); d.Allow {
				t.Errorf("unknown %s was let through for %s", name, role)
			}
		}
	}
}

func TestUnmapped(t *testing.T) {
	m := smallMap(t)
	tests := []struct {
		name, src, role string
		want            Reason
	}{
		{"own rows", "", "sales_user", Unmapped},
		{"built-in switches alone", "", "sales_manager", Allowed},
		{"nothing", "", "administrator", Allowed},
		{"template", "templates: {t: {entities: {lead: {delete: none}}}}\nassign: [{template: t, roles: [sales_manager]}]", "sales_manager", Unmapped},
		{"feature", "templates: {t: {features: {reports: deny}}}\nassign: [{template: t, roles: [sales_manager]}]", "sales_manager", Unmapped},
		{"spelled role feature", "roles: {sales_manager: {features: {reports: deny}}}", "sales_manager", Unmapped},
		{"deny_all", "defaults: {unmapped: deny_all}", "administrator", Unmapped},
		{"switch", "switches: {export: deny}", "administrator", Unmapped},
		{"unknown role", "", "king", Unmapped},
	}
	for _, tt := range tests {
		s := compileSrc(t, m, tt.src)
		d := s.DecideUnmapped(as(tt.role))
		if d.Reason != tt.want || d.Allow != (tt.want == Allowed) {
			t.Errorf("%s: %s (%s), want %s", tt.name, d.Reason, d.Detail, tt.want)
		}
		if d.Allow && (len(d.Plans) != 1 || !d.Plans[0].Pass) {
			t.Errorf("%s: no plan for what passes", tt.name)
		}
	}
}

const telecaller = `
templates:
  telecaller:
    entities:
      lead:
        view: {partial: {mask: ["tag:pii"], hide: [pan]}}
        edit: {partial: {deny: [stage]}}
        delete: none
assign: [{template: telecaller, roles: [sales_manager]}]
`

func TestPlanTreatsFields(t *testing.T) {
	m := smallMap(t)
	s := compileSrc(t, m, telecaller)
	effects := func(send string, table func(*plan.Plan) *plan.Entity) *plan.Entity {
		d := s.Decide(as("sales_manager"), ops(t, m, send), Env{})
		if !d.Allow {
			t.Fatalf("%s: %s", send, d.Detail)
		}
		return table(d.Plans[0])
	}
	lead := effects("GET /leads", func(p *plan.Plan) *plan.Entity {
		return p.Root.Members["leads"].Elements.Record.Entity
	})
	opp := effects("GET /opportunities", func(p *plan.Plan) *plan.Entity { return p.Root.Members["list"].Elements.Record.Entity })
	task := effects("GET /tasks", func(p *plan.Plan) *plan.Entity { return p.Root.Members["tasklist"].Elements.Record.Entity })
	tests := []struct {
		table *plan.Entity
		name  string
		want  plan.Effect
		why   string
	}{
		{lead, "phone", plan.Mask, "by tag"},
		{lead, "mobile", plan.Mask, "second wire name"},
		{lead, "mxpan", plan.Hide, "hide beats mask"},
		{lead, "summary", plan.Mask, "derived from the phone"},
		{lead, "packed", plan.Show, "text whose fields are treated one by one"},
		{lead, "firstname", plan.Show, "not named"},
		{lead, "score", plan.Show, "not named"},
		{lead, "notes", plan.Detect, "free text"},
		{task, "description", plan.Detect, "free text of another entity"},
		{lead, "somethingelse", plan.Detect, "unknown"},
		{opp, "phone", plan.Mask, "copy of the lead's"},
		{opp, "pphone", plan.Mask, "prefixed copy"},
		{opp, "mxpan", plan.Hide, "copy of a hidden field"},
		{opp, "amount", plan.Show, "not named"},
		{task, "mxpan", plan.Hide, "a restricted name nobody declared here"},
		{task, "emailaddress", plan.Mask, "a restricted name nobody declared here"},
		{task, "name", plan.Show, "declared and not restricted"},
		{task, "other", plan.Detect, "default for all entities"},
	}
	for _, tt := range tests {
		if got := tt.table.Treat([]byte(tt.name)); got.Effect != tt.want {
			t.Errorf("%s.%s (%s): %s, want %s: the value would be shown to somebody who may not see it", tt.table.Name, tt.name, tt.why, effectWord(got.Effect), effectWord(tt.want))
		}
	}
	if lead.Treat([]byte("phone")).Mask.Name != "phone" || opp.Treat([]byte("phone")).Mask.Name != "phone" {
		t.Error("the map's mask is not used")
	}
	if text := lead.Treat([]byte("packed")).Text; text == nil || text.Entity != lead || text.Form == nil || *text.Form != (plan.Form{Between: "&", Is: "=", Escaped: true}) {
		t.Error("the fields within a form are not treated")
	}
	if lead.Treat([]byte("extra")).Text == nil {
		t.Error("JSON in a string is not looked into")
	}
	admin := s.Decide(as("administrator"), ops(t, m, "GET /leads"), Env{})
	if !admin.Plans[0].Pass {
		t.Error("the answer to somebody without restrictions is rewritten")
	}
}

// A template that only looks through one text is a rewrite all the same.
func TestDetectAloneIsRewritten(t *testing.T) {
	m := smallMap(t)
	s := compileSrc(t, m, `
templates: {t: {entities: {lead: {view: {partial: {detect: [stage]}}}}}}
assign: [{template: t, roles: [sales_manager]}]
defaults: {unknown_fields: show}`)
	p := s.PlanFor(as("sales_manager"), &ops(t, m, "GET /leads")[0])
	if p.Pass || p.Root.Members["leads"].Elements.Record.Entity.Treat([]byte("prospectstage")).Effect != plan.Detect {
		t.Error("a text that should be looked through passes as it is")
	}
}

func TestPlanShape(t *testing.T) {
	m := smallMap(t)
	s := compileSrc(t, m, telecaller)
	p := s.PlanFor(as("sales_manager"), &ops(t, m, "GET /leads")[0])
	if p.Root.Members["recordcount"].Total != p.Root.Members["leads"].Elements.Record.Set {
		t.Error("the total does not count its records")
	}
	p = s.PlanFor(as("sales_manager"), &ops(t, m, "GET /leads/1/activities")[0])
	rec := p.Root.Members["activities"].Elements.Record
	if pairs := rec.Nested["data"].Pairs; pairs == nil || pairs.Name[0] != "key" || pairs.Value[0] != "value" {
		t.Error("pairs inside a record are not compiled")
	}
	p = s.PlanFor(as("sales_manager"), &ops(t, m, "GET /opportunities")[0])
	if n := p.Root.Members["list"].Elements.Record.Nested["lead"]; n.Record == nil || n.Record.Entity.Name != "lead" {
		t.Error("a record inside a record is not treated by its own entity")
	}
	p = s.PlanFor(as("sales_manager"), &ops(t, m, "GET /history")[0])
	if n := p.Root.Members["changes"]; n.Pairs == nil || len(n.Pairs.Value) != 2 {
		t.Error("old and new values of a history would pass")
	}
	p = s.PlanFor(as("sales_manager"), &ops(t, m, "GET /matrix")[0])
	if p.Root.Matrix == nil || p.Root.Matrix.At != "cols" || p.Root.Matrix.Rows != "rows" {
		t.Error("rows by position are not compiled")
	}
	if p.Problem == nil || p.Problem.Fallback.Unknown.Effect < plan.Detect || p.Problem.Fallback.Treat([]byte("phone")).Effect != plan.Mask {
		t.Error("an error text that echoes a value would pass")
	}
}

func TestViewers(t *testing.T) {
	m := smallMap(t)
	s := compileSrc(t, m, `
groups:
  north: {members: {Lena@acme.test: [view_leads], ravi@acme.test: [], asha@acme.test: []}}
  south: {members: {lena@acme.test: [view_accounts], paul@acme.test: []}}
`)
	env := Env{OwnersOf: directory, Directory: 7}
	lena := &Principal{Kind: User, Email: "lena@ACME.test", Role: "sales_user", OwnerIDs: []string{"U-LENA"}}
	for range 2 { // the second time from what is remembered
		d := s.Decide(lena, ops(t, m, "GET /leads"), env)
		rows := d.Plans[0].Root.Members["leads"].Elements.Record.Rows
		if rows.Scope != plan.Group || rows.Owner[0] != "ownerid" {
			t.Errorf("a group manager sees scope %s", scopeWord(rows.Scope))
		}
		if _, ok := d.Viewer.Group["uravi"]; !ok || len(d.Viewer.Own) != 1 || len(d.Viewer.Group) != 4 {
			t.Errorf("viewer %v", d.Viewer)
		}
		if d.Inject[0].Value != "U-ASHA,U-LENA,U-LENA2,U-RAVI" {
			t.Errorf("inject %v", d.Inject)
		}
	}
	d := s.Decide(lena, ops(t, m, "GET /accounts"), env)
	if _, leak := d.Viewer.Group["uravi"]; leak {
		t.Error("the right to see leads of north shows accounts of north")
	}
	env.Directory, env.OwnersOf = 8, nil
	if d := s.Decide(lena, ops(t, m, "GET /leads"), env); len(d.Viewer.Group) != 1 {
		t.Errorf("an old directory is remembered: %v", d.Viewer.Group)
	}
	d = s.Decide(as("sales_user"), ops(t, m, "GET /leads"), Env{OwnersOf: directory})
	if rows := d.Plans[0].Root.Members["leads"].Elements.Record.Rows; rows.Scope != plan.Own {
		t.Errorf("a plain member sees scope %s", scopeWord(rows.Scope))
	}
	nobody := &Principal{Kind: User, Email: "x@acme.test", Role: "sales_user", OwnerIDs: []string{"{-}", ""}}
	if d := s.Decide(nobody, ops(t, m, "GET /leads"), env); len(d.Viewer.Own) != 0 {
		t.Errorf("an empty id owns something: %v", d.Viewer.Own)
	}
}

func TestPlanIDs(t *testing.T) {
	m := smallMap(t)
	id := func(src, role, send string) string {
		return compileSrc(t, m, src).PlanFor(as(role), &ops(t, m, send)[0]).ID
	}
	base := id(telecaller, "sales_manager", "GET /leads")
	if again := id(telecaller, "sales_manager", "GET /leads"); again != base {
		t.Error("the same policy gives another plan id: caches would never hit")
	}
	if other := id(strings.ReplaceAll(telecaller, "telecaller", "phone_team"), "sales_manager", "GET /leads"); other != base {
		t.Error("a new name of a template changes the plan id")
	}
	for name, other := range map[string]string{
		"rights": id(strings.Replace(telecaller, "hide: [pan]", "hide: [pan, email]", 1), "sales_manager", "GET /leads"),
		"route":  id(telecaller, "sales_manager", "GET /leads/1"),
		"person": id(telecaller, "administrator", "GET /leads"),
	} {
		if other == base {
			t.Errorf("other %s, same plan id: a cached answer of somebody else would be served", name)
		}
	}
}

// A code that is the same number is the same type, however it is written.
func TestTypesThatAreNumbers(t *testing.T) {
	denied := map[string]bool{foldType("22"): true, foldType("Lead Capture"): true}
	for said, want := range map[string]bool{
		"22": true, " 22 ": true, "22.0": true, "2.2e1": true, "022": true, "+22": true, "LEAD capture": true,
		"23": false, "-22": false, "22.5": false, "220": false, "222222222222222222222222": false, "0x16": false, "inf": false, "": false,
	} {
		if got := denied[foldType(said)]; got != want {
			t.Errorf("type %q is without access: %v, want %v", said, got, want)
		}
	}
}
