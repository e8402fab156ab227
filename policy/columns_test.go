// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"os"
	"testing"

	"github.com/crmgate/crmgate/policy/resource"
)

// A column of a table can lead through another record to a field that is masked
// there; the table's own rules do not know it.
func TestFarColumnsAreRefused(t *testing.T) {
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
  t: {entities: {contact: {view: {partial: {mask: ["tag:pii"]}}}}}
assign: [{template: t, roles: [sales_manager]}]
`)
	p := &Principal{Kind: User, ID: "1", Role: "sales_manager"}
	for body, want := range map[string]bool{
		`{"id":1,"method":"model.party.party.export_data","params":[[1],["name","code"],{}]}`:                    true,
		`{"id":1,"method":"model.party.party.export_data","params":[[1],["contact_mechanisms/value"],{}]}`:       false,
		`{"id":1,"method":"model.party.party.export_data","params":[[1],["nobody/knows/this"],{}]}`:              false,
		`{"id":1,"method":"model.party.party.export_data","params":[[1],["name","contact_mechanisms/type"],{}]}`: true,
	} {
		d := s.Decide(p, ops(t, m, "POST /crm/ "+body), Env{})
		if d.Allow != want {
			t.Errorf("%s: allow=%v (%s: %s), want %v: a masked value would leave through another record's table", body, d.Allow, d.Reason, d.Detail, want)
		}
	}
}
