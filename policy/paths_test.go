// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"testing"

	"github.com/crmgate/crmgate/policy/maps"
	"github.com/crmgate/crmgate/policy/plan"
)

// A name can lead from a harmless record to a restricted one, by ways the map
// knows and by ways it does not.
func TestPathsToRestrictedFields(t *testing.T) {
	m, err := maps.Load("tryton")
	if err != nil {
		t.Fatal(err)
	}
	s := compileSrc(t, m, `
version: 1
templates:
  t: {entities: {party: {view: {partial: {mask: [phone, email]}}}, contact: {view: {partial: {mask: [value]}}}}}
assign: [{template: t, roles: [sales_manager]}]
`)
	for what, c := range map[string]struct {
		body string
		want bool
	}{
		"a known way is masked at its end":          {`"model.currency.currency.read","params":[[1],["create_uid.employee.party.phone"],{}]`, true},
		"a way nobody knows":                        {`"model.currency.currency.read","params":[[1],["rates.create_uid.employee.party.phone"],{}]`, false},
		"a condition at the end of one":             {`"model.ir.lang.search_read","params":[[["x.party.name","like","9%"]],0,1,null,["name"],{}]`, false},
		"a party looked for by its name":            {`"model.party.party.search_read","params":[[["rec_name","ilike","%98%"]],0,1,null,["name"],{}]`, false},
		"a party looked for where one is named":     {`"model.sale.opportunity.search_read","params":[[["party","ilike","%98%"]],0,1,null,["number"],{}]`, false},
		"an employee, who is a party":               {`"model.res.user.search_read","params":[[["employee","ilike","%98%"]],0,1,null,["name"],{}]`, false},
		"an order by a contact":                     {`"model.sale.opportunity.search_read","params":[[],0,1,[["contact","ASC"]],["number"],{}]`, false},
		"a party by its id":                         {`"model.sale.opportunity.search_read","params":[[["party","=",4]],0,1,null,["number"],{}]`, true},
		"a party by what is its name and only that": {`"model.party.party.search_read","params":[[["name","ilike","%98%"]],0,1,null,["name"],{}]`, true},
		"the search over everything":                {`"model.ir.model.global_search","params":["98",10,"party.party",{}]`, false},
	} {
		p := &Principal{Kind: User, ID: "1", Role: "sales_manager"}
		d := s.Decide(p, ops(t, m, `POST /crm/ {"id":1,"method":`+c.body+`}`), Env{})
		if d.Allow != c.want {
			t.Errorf("%s: allow=%v (%s: %s), want %v: a masked value could be asked for, or a harmless request is lost", what, d.Allow, d.Reason, d.Detail, c.want)
		}
	}
}

// What describes a masked field must reach the client, or its forms break; what
// describes a hidden one must not.
func TestDescriptionsOfFields(t *testing.T) {
	m, err := maps.Load("tryton")
	if err != nil {
		t.Fatal(err)
	}
	s := compileSrc(t, m, `
version: 1
templates:
  t: {entities: {party: {view: {partial: {mask: [phone], hide: [email]}}}}}
assign: [{template: t, roles: [sales_manager]}]
`)
	p := &Principal{Kind: User, ID: "1", Role: "sales_manager"}
	d := s.Decide(p, ops(t, m, `POST /crm/ {"id":1,"method":"model.party.party.fields_get","params":[["phone","email"],{}]}`), Env{})
	if !d.Allow {
		t.Fatalf("%s: %s", d.Reason, d.Detail)
	}
	table := d.Plans[0].Root.Members["result"].Entity
	for field, want := range map[string]plan.Effect{"phone": plan.Show, "email": plan.Hide, "name": plan.Show} {
		if got := table.Treat([]byte(field)).Effect; got != want {
			t.Errorf("the description of %s: effect %d, want %d", field, got, want)
		}
	}
	d = s.Decide(p, ops(t, m, `POST /crm/ {"id":1,"method":"model.party.party.read","params":[[1],["phone","email"],{}]}`), Env{})
	if got := d.Plans[0].Fallback.Treat([]byte("phone")).Effect; got != plan.Mask {
		t.Errorf("the phone itself: effect %d, want it masked", got)
	}
}
