// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/crmgate/crmgate/policy/plan"
)

// Every name is checked, and the fault says where it stands and how to mend it.
func TestCompileRefuses(t *testing.T) {
	m := smallMap(t)
	tests := []struct{ name, src, want string }{
		{"entity", "templates:\n  t:\n    entities:\n      leed: {delete: none}", `p.yaml:4:7: unknown entity "leed"; use one of lead`},
		{"field", "templates: {t: {entities: {lead: {view: {partial: {mask: [fone]}}}}}}", `p.yaml:1:59: unknown field "fone" of lead; use one of`},
		{"tag", "templates: {t: {entities: {lead: {view: {partial: {hide: [\"tag:pi\"]}}}}}}", `no field of lead has the tag "pi"; use one of pii`},
		{"feature", "templates: {t: {features: {report: deny}}}", `p.yaml:1:28: unknown feature "report"; use one of reports`},
		{"role feature", "roles: {sales_user: {features: {report: deny}}}", `unknown feature "report"`},
		{"unrestrictable", "templates: {t: {entities: {lead: {edit: {partial: {deny: [score]}}}}}}", `the field "score" of lead cannot be restricted`},
		{"template", "assign: [{template: t, roles: [sales_user]}]", `p.yaml:1:21: unknown template "t"`},
		{"role", "templates: {t: {}}\nassign: [{template: t, roles: [sales_usr]}]", `p.yaml:2:32: unknown role "sales_usr"; use one of sales_user`},
		{"group", "templates: {t: {}}\nassign: [{template: t, groups: [north]}]", `unknown group "north"`},
		{"nobody", "templates: {t: {}}\nassign: [{template: t}]", `nobody gets the template`},
		{"the only template misspelt", "templates: {t: {}}\nassign: [{template: u, roles: [sales_user]}]", `unknown template "u"; use one of t`},
		{"no groups at all", "templates: {t: {}}\nassign: [{template: t, groups: [north]}]", `unknown group "north"; use one of those that are declared: there is none yet`},
		{"cut short", "templates: {t: {entities: {lead: {export: none}}}}", `nothing says who gets them; add assign`},
		{"exclusive", "templates: {t: {}}\nassign: [{template: t, roles: [sales_user], users: [a@b.c], exclusive: true}]", `exclusive is for users alone`},
		{"network role", "settings: {network: {roles: {chef: {allow: []}}}}", `p.yaml:1:30: unknown role "chef"`},
		{"network user twice", "settings: {network: {users: {a@b.c: {allow: []}, A@b.c: {allow: []}}}}", `two spellings`},
		{"member twice", "groups: {north: {members: {a@b.c: [], A@b.c: []}}}", `two spellings`},
		{"automation", "groups: {north: {members: {a@b.c: [create_automation]}}}", `create_automation stands without`},
		{"circle", "templates: {a: {clone_of: b}, b: {clone_of: a}}", `the copies go round in a circle`},
		{"clone of nothing", "templates: {a: {clone_of: b}}", `p.yaml:1:27: unknown template "b"`},
		{"rows without owner", "templates: {t: {entities: {country: {rows: own}}}}", `the map knows no owner of a country`},
		{"nothing taken", "templates: {t: {entities: {lead: {view: {partial: {}}}}}}", `nothing is taken away`},
		{"fill of shown", "templates: {t: {entities: {lead: {edit: {partial: {fill_if_empty: [phone]}}}}}}", `"phone" is not masked by this template`},
		{"lookup of shown", "templates: {t: {entities: {lead: {lookup: {phone: exact}}}}}", `"phone" is not masked by this template`},
		{"user switches for sales users", "templates: {t: {features: {create_users: deny}}}\nassign: [{template: t, roles: [sales_user]}]", `which sales users never have`},
		{"user switches for groups", "groups: {north: {}}\ntemplates: {t: {features: {create_users: deny}}}\nassign: [{template: t, groups: [north]}]", `which members of sales groups never have`},
		{"no sales activities", "switches: {sales_activities: deny}", `the map has no entity sales_activity`},
		{"passwords", "settings: {password: {min_length: 128, max_length: 64}}", `min_length is above max_length`},
		{"waits", "settings: {throttle: {wait: 1h, max_wait: 1m}}", `wait is longer than max_wait`},
		{"idle", "settings: {session: {idle: 24h, absolute: 12h}}", `idle is longer than absolute`},
		{"fault in a copy is where it was written", "templates:\n  a: {clone_of: b}\n  b:\n    entities: {lead: {view: {partial: {mask: [nix]}}}}", `p.yaml:4:47: unknown field "nix"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d, err := Parse("p.yaml", []byte(tt.src))
			if err != nil {
				t.Fatal(err)
			}
			_, err = Compile(d, m)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("got  %v\nwant %s", err, tt.want)
			}
			wantPlaces(t, err)
		})
	}
	if _, err := Compile(nil, m); err == nil {
		t.Error("no document compiles")
	}
	if _, err := Compile(Empty(), nil); err == nil {
		t.Error("no map compiles")
	}
}

func TestSystemFieldsByFlag(t *testing.T) {
	compileSrc(t, smallMap(t), "templates: {t: {entities: {lead: {edit: {partial: {deny: [score]}}}}}}\nassign: []\ndefaults: {restrict_system_fields: true}")
}

func TestFieldsByWireName(t *testing.T) {
	m := smallMap(t)
	s := compileSrc(t, m, "templates: {t: {entities: {lead: {view: {partial: {hide: [mx_PAN, Mobile]}}}}}}\nassign: [{template: t, roles: [sales_manager]}]")
	r := s.resolve(as("sales_manager"))
	if r.merged.of("lead").fields["pan"].view != plan.Hide || r.merged.of("lead").fields["phone"].view != plan.Hide {
		t.Error("a field named the CRM's way is not restricted")
	}
}

func TestCloneLaysCellsOver(t *testing.T) {
	m := smallMap(t)
	s := compileSrc(t, m, `
templates:
  a:
    user_access: group
    features: {dashboard: deny, reports: deny}
    entities: {lead: {view: {partial: {mask: [phone]}}, delete: none, rows: own, bulk: {edit: none}}}
    mobile: {max_leads: 50}
  b:
    clone_of: a
    features: {reports: allow}
    entities: {lead: {delete: full}, task: {delete: none}}
assign: [{template: b, roles: [sales_manager]}]`)
	r := s.resolve(as("sales_manager")).merged
	lead := r.of("lead")
	if lead.fields["phone"].view != plan.Mask || lead.rows != plan.Own || lead.cells[cBulkEdit] != NoAccess || !r.features["dashboard"] || r.mobile.maxLeads != 50 || r.of("user").rows != plan.Group {
		t.Errorf("the copy lost something: %+v", lead)
	}
	if lead.cells[cDelete] != Full || r.features["reports"] || r.of("task").cells[cDelete] != NoAccess {
		t.Errorf("the copy's own words do not hold")
	}
}

func TestExclusive(t *testing.T) {
	m := smallMap(t)
	s := compileSrc(t, m, `
groups: {north: {members: {lena@acme.test: []}}}
templates:
  strict: {entities: {lead: {delete: none, export: none}}}
  mine: {entities: {lead: {export: none}}}
  also: {entities: {lead: {import: none}}}
assign:
  - {template: strict, roles: [sales_user], groups: [north]}
  - {template: mine, users: [Lena@acme.test], exclusive: true}
  - {template: also, users: [lena@acme.test]}`)
	p := as("sales_user")
	p.Email = "lena@acme.test"
	r := s.resolve(p)
	if got := r.because; !slices.Equal(got, []string{"role:sales_user", "template:mine"}) {
		t.Errorf("because %v: only the exclusive templates and the role count", got)
	}
	if r.merged.of("lead").rows != plan.Own {
		t.Error("exclusive takes the role's own rows away")
	}
	if got := s.resolve(as("sales_user")).because; !slices.Equal(got, []string{"role:sales_user", "template:strict"}) {
		t.Errorf("because %v for others", got)
	}
}

func TestMobile(t *testing.T) {
	m := smallMap(t)
	s := compileSrc(t, m, `
roles: {sales_user: {mobile: {overwrite: overwrite, max_leads: 250}}}
templates: {t: {mobile: {max_leads: 1000, track_location: false}}, u: {mobile: {overwrite: ignore}}}
assign: [{template: t, roles: [sales_user]}, {template: u, users: [lena@acme.test]}]`)
	lena := as("sales_user")
	lena.Email = "lena@acme.test"
	for _, tt := range []struct {
		name string
		p    *Principal
		want MobileRights
	}{
		{"merged", as("sales_user"), MobileRights{Offline: true, MaxLeads: 250, Overwrite: true, RecordCalls: true}},
		{"ignore wins", lena, MobileRights{Offline: true, MaxLeads: 250, RecordCalls: true}},
		{"defaults", as("sales_manager"), MobileRights{Offline: true, MaxLeads: 100, RecordCalls: true, TrackLocation: true}},
		{"marketing", as("marketing_user"), MobileRights{MaxLeads: 100, RecordCalls: true, TrackLocation: true}},
		{"unknown role", as("king"), MobileRights{}},
		{"nobody", nil, MobileRights{}},
	} {
		if got := s.Mobile(tt.p); got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
	}
}

func TestSameRightsAreShared(t *testing.T) {
	m := smallMap(t)
	s := compileSrc(t, m, `
templates: {a: {entities: {lead: {delete: none}}}, b: {entities: {lead: {delete: none}}}}
assign: [{template: a, roles: [sales_manager]}, {template: b, users: [lena@acme.test]}]`)
	p := as("sales_manager")
	p.Email = "lena@acme.test"
	if s.resolve(p).rights != s.resolve(as("sales_manager")).rights {
		t.Error("equal rights are compiled twice: plans would grow with people")
	}
}

// The algebra of merging: whatever the order, whatever is repeated, the result
// is the same, and never laxer than any part.
func TestMergeAlgebra(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := genRestriction(t, "a"), genRestriction(t, "b"), genRestriction(t, "c")
		same := func(what string, x, y *restriction) {
			if x.digest(false) != y.digest(false) {
				t.Fatalf("%s: the order of templates decides what a person sees", what)
			}
		}
		same("commutative", join(a, b), join(b, a))
		same("associative", join(a, join(b, c)), join(join(a, b), c))
		same("idempotent", join(a, a), a)
		same("neutral", join(a, &restriction{}), a)
		same("never laxer", join(join(a, b), a), join(a, b))
		ab := join(a, b)
		for name, e := range a.entities {
			for cl := range cells {
				if ab.of(name).cells[cl] < e.cells[cl] {
					t.Fatalf("cell %s of %s got laxer", cellNames[cl], name)
				}
			}
			for f, x := range e.fields {
				if y := ab.of(name).fields[f]; y.view < x.view || y.edit < x.edit || y.create < x.create || x.noLookup && !y.noLookup {
					t.Fatalf("field %s.%s got laxer", name, f)
				}
			}
			if ab.of(name).rows < e.rows || ab.of(name).unknown < e.unknown {
				t.Fatalf("rows or unknown fields of %s got laxer", name)
			}
		}
	})
}

func genRestriction(t *rapid.T, label string) *restriction {
	r := &restriction{}
	for _, f := range rapid.SliceOfN(rapid.SampledFrom([]string{"reports", "api", "leads"}), 0, 3).Draw(t, label+" features") {
		r.deny(f)
	}
	for _, name := range []string{"lead", "task"} {
		if !rapid.Bool().Draw(t, label+name) {
			continue
		}
		e := r.entity(name)
		for c := range cells {
			e.cells[c] = Level(rapid.IntRange(0, 2).Draw(t, "cell"))
			if rapid.IntRange(0, 9).Draw(t, "typed") == 0 {
				e.types[c] = set(rapid.SliceOfN(rapid.SampledFrom([]string{"1", "2"}), 1, 2).Draw(t, "types"))
			}
		}
		for _, f := range []string{"phone", "pan"} {
			x := fieldRestriction{
				view: plan.Effect(rapid.IntRange(0, 3).Draw(t, "view")), create: writing(rapid.IntRange(0, 2).Draw(t, "create")),
				edit: writing(rapid.IntRange(0, 2).Draw(t, "edit")), noLookup: rapid.Bool().Draw(t, "lookup"),
			}
			if x != (fieldRestriction{}) {
				e.fields[f] = x
			}
		}
		e.rows = plan.Scope(rapid.IntRange(0, 3).Draw(t, "rows"))
		e.unknown = plan.Effect(rapid.IntRange(0, 3).Draw(t, "unknown"))
		e.spelled = rapid.Bool().Draw(t, "spelled")
	}
	r.mobile = mobileRestriction{
		noOffline: rapid.Bool().Draw(t, "off"), maxLeads: rapid.SampledFrom([]int{0, 50, 100}).Draw(t, "max"),
		ignore: rapid.Bool().Draw(t, "ignore"), noCalls: rapid.Bool().Draw(t, "calls"), noLocation: rapid.Bool().Draw(t, "location"),
	}
	return r
}
