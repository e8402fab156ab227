// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package jsonmask

import (
	"strings"
	"testing"

	"github.com/crmgate/crmgate/policy/plan"
)

// Where the CRM filtered the rows itself its totals count what the viewer may see
// on all pages; a page would otherwise claim to be the last one.
func TestPushedTotals(t *testing.T) {
	show := &plan.Treatment{}
	e := &plan.Entity{Name: "lead", Fields: map[string]*plan.Treatment{}, Unknown: show}
	rec := &plan.Node{Record: &plan.Record{Entity: e, Set: "leads", Rows: &plan.Rows{Scope: plan.Own, Owner: []string{"ownerid"}}}}
	p := &plan.Plan{Format: plan.JSON, Fallback: e, Root: &plan.Node{Members: map[string]*plan.Node{
		"recordcount": {Total: "leads"}, "leads": {Elements: rec},
	}}}
	v := &plan.Viewer{Own: map[string]struct{}{"me": {}}}
	big := strings.Repeat(`{"OwnerId":"me","Note":"`+strings.Repeat("x", 500)+`"},`, 600)
	for name, c := range map[string]struct{ in, want string }{
		"nothing dropped: the total stands": {`{"RecordCount":500,"Leads":[{"OwnerId":"me"}]}`, `{"RecordCount":500,"Leads":[{"OwnerId":"me"}]}`},
		"one dropped: the total is counted": {`{"RecordCount":500,"Leads":[{"OwnerId":"me"},{"OwnerId":"you"}]}`, `{"RecordCount":1,"Leads":[{"OwnerId":"me"}]}`},
		"beyond the hold: the total stands": {`{"RecordCount":500,"Leads":[` + big + `{"OwnerId":"me"}]}`, `{"RecordCount":500,`},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := New(p, v, Limits{Pushed: true}).Append(nil, []byte(c.in))
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(string(out), c.want) {
				t.Errorf("got %.80s, want %.80s: people lose their other pages, or learn how many records there are", out, c.want)
			}
		})
	}
}
