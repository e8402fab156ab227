// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/crmgate/crmgate/policy/resource"
)

// The oracle decides slowly and obviously, from the document itself: it walks
// every assignment for every question and knows no merged tables. It judges the
// matrix, features, fields and rows of one operation; what depends on the shape
// of the answer is not its concern.
type oracle struct {
	d *Document
	m *resource.Map
}

// templates lists the templates that count for a person.
func (o *oracle) templates(p *Principal) []Template {
	exclusive := false
	for _, a := range o.d.Assign {
		exclusive = exclusive || a.Exclusive && slices.Contains(a.Users, p.Email)
	}
	var out []Template
	for _, a := range o.d.Assign {
		hit := slices.Contains(a.Roles, p.Role) || slices.Contains(a.Users, p.Email)
		for _, g := range a.Groups {
			if _, in := o.d.Groups[g].Members[p.Email]; in {
				hit = true
			}
		}
		if hit && (!exclusive || a.Exclusive) {
			out = append(out, o.d.Templates[a.Template])
		}
	}
	return out
}

func (o *oracle) role(id string) Role {
	base, ok := builtinRoles()[id]
	if !ok {
		base = Role{Rows: "own"}
	}
	return o.d.Roles[id].over(base)
}

// listed says whether a list of field names and tags names a field.
func (o *oracle) listed(list []string, f *resource.Field) bool {
	return slices.ContainsFunc(list, func(name string) bool {
		tag, ok := strings.CutPrefix(name, "tag:")
		return ok && f.HasTag(tag) || name == f.Name
	})
}

// names says whether a list of field names and tags covers a field, or one it
// copies or derives from.
func (o *oracle) names(list []string, entity string, f *resource.Field, listOf string) bool {
	if entity == listOf && o.listed(list, f) {
		return true
	}
	for _, from := range f.DerivedFrom {
		if o.names(list, entity, o.m.Entities[entity].Fields[from], listOf) {
			return true
		}
	}
	if oe, of := f.Original(); oe != "" {
		return o.names(list, oe, o.m.Entities[oe].Fields[of], listOf)
	}
	return false
}

// covered says whether any template masks or hides a field.
func (o *oracle) covered(ts []Template, entity string, f *resource.Field) bool {
	for _, t := range ts {
		for en, e := range t.Entities {
			if e.View != nil && (o.names(e.View.Partial.Mask, entity, f, en) || o.names(e.View.Partial.Hide, entity, f, en)) {
				return true
			}
		}
	}
	return false
}

func cellAt(e EntityRule, c cell) Level {
	for _, a := range e.accesses() {
		if a.cell == c && *a.access != nil {
			return (*a.access).Level
		}
	}
	return Full
}

// decide returns the reason the oracle finds, Allowed when it finds none.
func (o *oracle) decide(p *Principal, op *resource.Operation) Reason {
	ts := o.templates(p)
	role := o.role(p.Role)
	if op.Feature != "" && role.Features[op.Feature] == FeatureDeny {
		return FeatureDenied
	}
	hides := func(t Template) bool {
		for en, e := range t.Entities {
			for _, of := range []string{"lead", "opportunity"} {
				for _, f := range o.m.Entities[of].Fields {
					if e.View != nil && o.names(e.View.Partial.Hide, of, f, en) {
						return true
					}
				}
			}
			if (en == "lead" || en == "opportunity") && e.View != nil && e.View.Level == NoAccess {
				return true
			}
		}
		return false
	}
	for _, t := range ts {
		s := t.Features[op.Feature]
		if op.Feature != "" && (s == FeatureDeny || (op.Feature == "reports" && (s == "" || s == FeatureAuto) && hides(t))) {
			return FeatureDenied
		}
	}
	if op.Entity == "" {
		return Allowed
	}
	c, _ := cellOf(op.Action)
	for _, t := range ts {
		if cellAt(t.Entities[op.Entity], c) == NoAccess {
			return ActionDenied
		}
	}
	for _, t := range ts {
		b := t.Entities[op.Entity].Bulk
		if op.Bulk && (c == cEdit && b.Edit == "none" || c == cCreate && b.Create == "none" || c == cDelete && b.Delete == "none") {
			return BulkDenied
		}
	}
	rows := o.rows(p, role, ts, op.Entity)
	if rows == "none" {
		return RowDenied
	}
	for _, u := range op.Fields {
		if r := o.use(ts, op, u, c); r != Allowed {
			return r
		}
	}
	if rows != "all" && op.Action != resource.View && op.Action != resource.Create {
		return RowDenied
	}
	return Allowed
}

var rowOrder = []string{"all", "group", "own", "none"}

func (o *oracle) rows(p *Principal, role Role, ts []Template, entity string) string {
	out := "all"
	if belongs(o.m.Entities[entity]) {
		out = role.Rows
		for _, g := range o.d.Groups {
			if out == "own" && slices.Contains(g.Members[p.Email], ViewLeads) {
				out = "group"
			}
		}
	}
	for _, t := range ts {
		if r := t.Entities[entity].Rows.Scope; slices.Index(rowOrder, r) > slices.Index(rowOrder, out) {
			out = r
		}
	}
	return out
}

func (o *oracle) use(ts []Template, op *resource.Operation, u resource.FieldUse, c cell) Reason {
	f := o.m.Entities[op.Entity].Fields[u.Field]
	covered := o.covered(ts, op.Entity, f)
	switch u.Use {
	case resource.Select:
		return Allowed
	case resource.Write:
		for _, t := range ts {
			e := t.Entities[op.Entity]
			if c == cCreate && e.Create != nil && o.listed(e.Create.Partial.Deny, f) ||
				c == cEdit && e.Edit != nil && o.listed(e.Edit.Partial.Deny, f) {
				return FieldDenied
			}
		}
		if c == cEdit && covered {
			return FieldDenied
		}
		return Allowed
	}
	if covered {
		return QueryDenied
	}
	return Allowed
}

var (
	oracleFields = []string{"phone", "email", "pan", "first_name", "stage", "tag:pii"}
	oracleRoutes = []string{"lead.list", "lead.update", "lead.create", "lead.bulk", "lead.delete", "reports", "task.complete", "task.list"}
)

func genPolicy(t *rapid.T) string {
	var b strings.Builder
	pick := func(label string) string {
		return "[" + strings.Join(quoteAll(rapid.SliceOfNDistinct(rapid.SampledFrom(oracleFields), 1, 3, rapid.ID).Draw(t, label)), ", ") + "]"
	}
	b.WriteString("groups: {north: {members: {asha@acme.test: [view_leads], ravi@acme.test: []}}}\ntemplates:\n")
	for i := range 3 {
		fmt.Fprintf(&b, "  t%d:\n    features: {reports: %s}\n    entities:\n      lead:\n", i, rapid.SampledFrom([]string{"auto", "auto", "deny", "allow"}).Draw(t, "reports"))
		fmt.Fprintf(&b, "        rows: %s\n", rapid.SampledFrom([]string{"all", "all", "all", "group", "own", "none"}).Draw(t, "rows"))
		fmt.Fprintf(&b, "        view: %s\n", rapid.SampledFrom([]string{"full", "full", "none", "{partial: {mask: " + pick("mask") + "}}", "{partial: {hide: " + pick("hide") + "}}"}).Draw(t, "view"))
		fmt.Fprintf(&b, "        edit: %s\n", rapid.SampledFrom([]string{"full", "none", "{partial: {deny: " + pick("deny edit") + "}}"}).Draw(t, "edit"))
		fmt.Fprintf(&b, "        create: %s\n", rapid.SampledFrom([]string{"full", "none", "{partial: {deny: " + pick("deny create") + "}}"}).Draw(t, "create"))
		fmt.Fprintf(&b, "        delete: %s\n", rapid.SampledFrom([]string{"full", "none"}).Draw(t, "delete"))
		fmt.Fprintf(&b, "        bulk: {edit: %s}\n", rapid.SampledFrom([]string{"full", "none"}).Draw(t, "bulk"))
		fmt.Fprintf(&b, "      task: {mark_complete: %s}\n", rapid.SampledFrom([]string{"full", "none"}).Draw(t, "complete"))
	}
	b.WriteString("assign:\n")
	for i := range 3 {
		who := rapid.SampledFrom([]string{
			"roles: [sales_user]", "roles: [sales_manager]", "roles: [sales_user, sales_manager]", "groups: [north]",
			"users: [ravi@acme.test]", "users: [ravi@acme.test], exclusive: true", "users: [asha@acme.test]",
		}).Draw(t, "who")
		fmt.Fprintf(&b, "  - {template: t%d, %s}\n", i, who)
	}
	return b.String()
}

func quoteAll(list []string) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = `"` + s + `"`
	}
	return out
}

func genOperation(t *rapid.T, m *resource.Map) resource.Operation {
	r := m.RouteByID(rapid.SampledFrom(oracleRoutes).Draw(t, "route"))
	op := resource.Operation{ID: r.ID, Kind: r.Kind, Entity: r.Entity, Bulk: r.Bulk, Feature: r.Feature, Route: r}
	if len(r.Actions) > 0 {
		op.Action = r.Actions[0]
	}
	if op.Entity != "lead" || op.Action == resource.Delete {
		return op
	}
	for range rapid.IntRange(0, 2).Draw(t, "uses") {
		use := rapid.SampledFrom([]resource.Use{resource.Filter, resource.Sort, resource.Group, resource.Lookup, resource.Select}).Draw(t, "use")
		if op.Action != resource.View {
			use = resource.Write
		}
		f := rapid.SampledFrom([]string{"phone", "email", "pan", "first_name", "stage", "summary", "score"}).Draw(t, "field")
		op.Fields = append(op.Fields, resource.FieldUse{Entity: "lead", Field: f, Name: m.Entities["lead"].Fields[f].Names[0], Use: use})
	}
	return op
}

// Decide agrees with the oracle, Explain with Decide, and PlanFor with both.
func TestDecideAgreesWithOracle(t *testing.T) {
	m := smallMap(t)
	rapid.Check(t, func(t *rapid.T) {
		src := genPolicy(t)
		d, err := Parse("p.yaml", []byte(src))
		if err != nil {
			t.Fatal(err)
		}
		s, err := Compile(d, m)
		if err != nil {
			t.Fatalf("%v\n%s", err, src)
		}
		o := &oracle{d, m}
		for range 12 {
			p := &Principal{
				Kind: User, Role: rapid.SampledFrom([]string{"sales_user", "sales_manager", "administrator"}).Draw(t, "role"),
				Email: rapid.SampledFrom([]string{"ravi@acme.test", "asha@acme.test", "lena@acme.test"}).Draw(t, "email"), OwnerIDs: []string{"1"},
			}
			op := genOperation(t, m)
			list := []resource.Operation{op}
			got, want := s.Decide(p, list, Env{}), o.decide(p, &op)
			if got.Reason != want {
				t.Fatalf("%s %v as %s/%s: %s (%s), the oracle says %s\n%s", op.ID, op.Fields, p.Role, p.Email, got.Reason, got.Detail, want, src)
			}
			x := s.Explain(p, list, Env{})
			if x.Reason != got.Reason || x.Allow != got.Allow || x.Operations[0].Reason != got.Reason {
				t.Fatalf("explain says %s, decide %s", x.Reason, got.Reason)
			}
			if got.Allow && x.Operations[0].Plan != got.Plans[0].ID || got.Allow != (s.PlanFor(p, &op) != nil) {
				t.Fatalf("explain, decide and PlanFor name different plans")
			}
			if got.Reason == ActionDenied && len(x.Operations[0].Cell.From) == 0 {
				t.Fatalf("%s is refused and nobody is behind it: %+v", op.ID, x.Operations[0].Cell)
			}
		}
	})
}

// A further template never gives anything back.
func TestMoreTemplatesNeverLaxer(t *testing.T) {
	m := smallMap(t)
	rapid.Check(t, func(t *rapid.T) {
		src := strings.ReplaceAll(genPolicy(t), ", exclusive: true", "") // exempts from other templates by design
		less, more := compileRapid(t, m, src[:strings.LastIndex(src, "  - {template")]), compileRapid(t, m, src)
		for range 6 {
			p := &Principal{Kind: User, Role: "sales_manager", Email: "ravi@acme.test"}
			op := genOperation(t, m)
			a, b := less.Decide(p, []resource.Operation{op}, Env{}), more.Decide(p, []resource.Operation{op}, Env{})
			if b.Allow && !a.Allow {
				t.Fatalf("%s: refused by two templates, allowed by three\n%s", op.ID, src)
			}
		}
	})
}

func compileRapid(t *rapid.T, m *resource.Map, src string) *Set {
	d, err := Parse("p.yaml", []byte(src))
	if err != nil {
		t.Fatal(err)
	}
	s, err := Compile(d, m)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Many decide at once while plans are compiled for the first time.
func TestDecideAtOnce(t *testing.T) {
	m := smallMap(t)
	s := compileSrc(t, m, telecaller)
	list := ops(t, m, "GET /leads")
	var wg sync.WaitGroup
	ids := make([]string, 16)
	for i := range ids {
		wg.Go(func() {
			p := as("sales_manager")
			for range 50 {
				ids[i] = s.Decide(p, list, Env{OwnersOf: directory, Directory: 1}).Plans[0].ID
			}
		})
	}
	wg.Wait()
	for _, id := range ids {
		if id != ids[0] {
			t.Errorf("the same person gets two plans: %v", ids)
		}
	}
}
