// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"slices"
	"testing"

	"github.com/crmgate/crmgate/policy"
	"github.com/crmgate/crmgate/policy/maps"
	"github.com/crmgate/crmgate/policy/plan"
	"github.com/crmgate/crmgate/policy/resource"
)

// Every route of every map that is shipped gets a plan or a reason, for every
// built-in role and for one who is restricted everywhere, and a plan that
// passes an answer on untouched is never one for a masked entity.
func TestEveryRouteOfEveryMap(t *testing.T) {
	for _, name := range maps.Names() {
		m, err := maps.Load(name)
		if err != nil {
			t.Fatal(err)
		}
		src := "roles: {masked: {rows: all}}\ntemplates:\n  t:\n    entities:\n"
		masked := map[string]bool{}
		for _, e := range m.Entities {
			for fn, f := range e.Fields {
				if !f.Unrestrictable && f.CopyOf == "" && !masked[e.Name] {
					src += "      " + e.Name + ": {view: {partial: {mask: [" + fn + "]}}}\n"
					masked[e.Name] = true
				}
			}
		}
		d, err := policy.Parse("p.yaml", []byte(src+"assign: [{template: t, roles: [masked]}]\n"))
		if err != nil {
			t.Fatal(err)
		}
		s, err := policy.Compile(d, m)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, r := range m.Routes {
			for _, role := range append(s.Roles(), "nobody knows this role") {
				decideRoute(t, s, r, role, masked)
			}
		}
	}
}

func decideRoute(t *testing.T, s *policy.Set, r *resource.Route, role string, masked map[string]bool) {
	op := resource.Operation{ID: r.ID, Kind: r.Kind, Entity: r.Entity, Bulk: r.Bulk, Feature: r.Feature, Route: r, Columns: []string{"id"}}
	if len(r.Actions) > 0 {
		op.Action = r.Actions[0]
	}
	p := &policy.Principal{Kind: policy.User, Role: role, Email: "x@acme.test", OwnerIDs: []string{"u"}}
	d := s.Decide(p, []resource.Operation{op}, policy.Env{})
	switch {
	case !d.Allow:
		if d.Detail == "" || d.Reason == "" || d.Reason.Status() < 400 {
			t.Errorf("%s as %s: refused without a reason anybody could mend: %+v", r.ID, role, d)
		}
	case len(d.Plans) != 1 || d.Plans[0] == nil || d.Plans[0].ID == "":
		t.Errorf("%s as %s: let through without a plan", r.ID, role)
	case role == "masked" && d.Plans[0].Pass && masked[op.Entity] && r.Response.Format != resource.FormatPage:
		t.Errorf("%s as %s: %s passes as it is in %s", r.ID, role, op.Entity, r.Response.Format)
	case !d.Plans[0].Pass && !slices.Contains([]plan.Format{plan.JSON, plan.NoBody, plan.CSV}, d.Plans[0].Format):
		t.Errorf("%s as %s: nobody rewrites %s", r.ID, role, d.Plans[0].Format)
	}
}
