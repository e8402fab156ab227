// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"os"
	"testing"

	"github.com/crmgate/crmgate/policy/resource"
)

// A cap is one of the entity that is asked for: what hangs on its records goes with
// them, whole.
func TestCapsAreOfTheEntityAskedFor(t *testing.T) {
	src, err := os.ReadFile("maps/tryton.yaml")
	if err != nil {
		t.Fatal(err)
	}
	m, err := resource.Parse("tryton.yaml", src)
	if err != nil {
		t.Fatal(err)
	}
	s := compileSrc(t, m, `
version: 1
templates:
  few: {entities: {party: {max_records: 2}}}
assign: [{template: few, roles: [sales_manager]}]
`)
	plan := func(body string) *resource.Operation { return &ops(t, m, "POST /crm/ "+body)[0] }
	p := s.PlanFor(as("sales_manager"), plan(`{"id":1,"method":"model.party.party.read","params":[[1],["name","contact_mechanisms.value"],{}]}`))
	if p == nil || p.MaxRows != 2 {
		t.Fatalf("%+v: more than two parties are read", p)
	}
	party := p.Root.Members["result"].Elements.Record
	if contact := party.Nested["contactmechanisms."].Elements.Record; party.Free || !contact.Free {
		t.Error("the contacts of two parties are cut where the parties should be")
	}
	p = s.PlanFor(as("sales_manager"), plan(`{"id":1,"method":"model.party.party.export_data","params":[[1],["name"],{}]}`))
	if p == nil || p.MaxRows != 2 || p.Root.Members["result"].Matrix == nil {
		t.Errorf("%+v: more than two parties are exported", p)
	}
}
