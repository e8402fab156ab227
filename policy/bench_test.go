// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"
	"strings"
	"testing"

	"github.com/crmgate/crmgate/policy/resource"
)

// bigPolicy has n roles, assignments, groups and people, and as many templates as
// an account may have.
func bigPolicy(n int) string {
	var b strings.Builder
	b.WriteString("templates:\n")
	for i := range min(n, MaxTemplates) {
		fmt.Fprintf(&b, "  t%d: {entities: {lead: {view: {partial: {mask: [phone], hide: [pan]}}, bulk: {delete: none}}, task: {delete: %s}}}\n", i, []string{"none", "full"}[i%2])
	}
	b.WriteString("roles:\n")
	for i := range min(n, 200) {
		fmt.Fprintf(&b, "  r%d: {rows: all}\n", i)
	}
	b.WriteString("groups:\n")
	for i := range n {
		fmt.Fprintf(&b, "  g%d: {members: {p%d@acme.test: [view_leads], q%d@acme.test: []}}\n", i, i, i)
	}
	b.WriteString("assign:\n")
	for i := range n {
		fmt.Fprintf(&b, "  - {template: t%d, roles: [r%d], groups: [g%d], users: [p%d@acme.test]}\n", i%min(n, MaxTemplates), i%min(n, 200), i, i)
	}
	return b.String()
}

func benchRequests(t testing.TB, m *resource.Map) map[string][]resource.Operation {
	return map[string][]resource.Operation{
		"get":    ops(t, m, "GET /leads?sort=FirstName"),
		"denied": ops(t, m, "GET /leads?sort=Phone"),
		"write":  ops(t, m, `POST /leads/7 {"FirstName":"a","ProspectStage":"b"}`),
	}
}

func BenchmarkDecide(b *testing.B) {
	m := smallMap(b)
	requests := benchRequests(b, m)
	for _, n := range []int{10, 1000} {
		s := compileSrc(b, m, bigPolicy(n))
		for _, who := range []struct{ name, role, email string }{{"role", "r7", "x@acme.test"}, {"person", "r7", "p7@acme.test"}, {"own", "sales_user", "x@acme.test"}} {
			p := &Principal{Kind: User, Role: who.role, Email: who.email, OwnerIDs: []string{"u1"}}
			for _, name := range []string{"get", "write"} {
				b.Run(fmt.Sprintf("%s/%s/%d", name, who.name, n), func(b *testing.B) {
					b.ReportAllocs()
					for b.Loop() {
						s.Decide(p, requests[name], Env{OwnersOf: directory, Directory: 1})
					}
				})
			}
		}
	}
}

// A decision costs the same allocations with ten of everything and with a
// thousand, and at most two where no rows are filtered.
func TestDecideCostIsFlat(t *testing.T) {
	m := smallMap(t)
	list := benchRequests(t, m)["get"]
	count := func(n int, role string) float64 {
		s := compileSrc(t, m, bigPolicy(n))
		p := &Principal{Kind: User, Role: role, Email: "p7@acme.test", OwnerIDs: []string{"u1"}}
		env := Env{OwnersOf: directory, Directory: 1}
		s.Decide(p, list, env)
		return testing.AllocsPerRun(200, func() { s.Decide(p, list, env) })
	}
	for _, role := range []string{"r7", "sales_user"} {
		few, many := count(10, role), count(1000, role)
		if few != many {
			t.Errorf("%s: %v allocations with 10 rules, %v with 1,000: big accounts get slow", role, few, many)
		}
		if most := map[string]float64{"r7": 2, "sales_user": 6}[role]; many > most {
			t.Errorf("%s: %v allocations, at most %v are wanted", role, many, most)
		}
	}
}

// What a Set remembers is bounded by the policy, not by who comes by.
func TestMemoryIsBounded(t *testing.T) {
	m := smallMap(t)
	s := compileSrc(t, m, bigPolicy(10))
	list := ops(t, m, "GET /leads")
	for i := range 2000 {
		s.Decide(&Principal{Kind: User, Role: fmt.Sprintf("r%d", i%20), Email: fmt.Sprintf("x%d@acme.test", i), OwnerIDs: []string{"u"}}, list, Env{})
	}
	if len(s.people) != 20 || len(s.rights) > 10 {
		t.Errorf("%d people and %d rights after 2,000 strangers", len(s.people), len(s.rights))
	}
}
