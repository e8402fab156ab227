// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package jsonmask

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/crmgate/crmgate/policy/plan"
)

// stageIs is a condition: the stage is the one.
type stageIs string

func (stageIs) Needs() []string { return []string{"stage", "status"} }
func (stageIs) Wire() []string  { return []string{"Stage", "Status"} }
func (s stageIs) Holds(_ *plan.Viewer, member func(string) plan.Value) (bool, error) {
	switch v := member("stage"); v.Kind {
	case '"', '0':
		return v.Text == string(s), nil
	}
	return false, errors.New("no stage")
}

func viaPlan(rows *plan.Rows) *plan.Plan {
	e := &plan.Entity{Name: "activity", Fields: map[string]*plan.Treatment{}, Unknown: &plan.Treatment{}}
	lead := &plan.Entity{Name: "lead", Fields: map[string]*plan.Treatment{}, Unknown: &plan.Treatment{}}
	rec := &plan.Node{Record: &plan.Record{Entity: e, Set: "list", Rows: rows, Nested: map[string]*plan.Node{
		"data": {Pairs: &plan.Pairs{Name: []string{"key"}, Value: []string{"value"}}, Entity: e},
		"lead": {Record: &plan.Record{Entity: lead, Set: "leads", Rows: &plan.Rows{Scope: plan.Own, Owner: []string{"ownerid"}}}},
	}}}
	return &plan.Plan{Format: plan.JSON, Fallback: e, Root: &plan.Node{Members: map[string]*plan.Node{"count": {Total: "list"}, "list": {Elements: rec}}}}
}

// A record without an owner is seen by whoever owns the record it hangs on, and by
// nobody when that cannot be told.
func TestRowsByTheRecordTheyHangOn(t *testing.T) {
	to := plan.Parent{Entity: "lead", Scope: plan.Own}
	p := viaPlan(&plan.Rows{Scope: plan.Own, Owner: []string{"ownerid"}, Via: []plan.Via{{At: "leadid", To: to}, {At: "lead", To: to}}})
	var asked []string
	v := &plan.Viewer{
		Own: map[string]struct{}{"me": {}}, Parents: map[plan.Parent]map[string]struct{}{to: {"l1": {}}},
		Ask: func(_ plan.Parent, id []byte) { asked = append(asked, string(id)) },
	}
	for name, c := range map[string]struct{ in, want string }{
		"mine by its lead":            {`{"LeadId":"L-1","a":1}`, `{"LeadId":"L-1","a":1}`},
		"of another's lead":           {`{"LeadId":"L2","a":1}`, ``},
		"of no lead":                  {`{"LeadId":"","a":1}`, ``},
		"of null":                     {`{"LeadId":null,"a":1}`, ``},
		"its own owner counts first":  {`{"LeadId":"L1","OwnerId":"you"}`, ``},
		"mine on another's lead":      {`{"LeadId":"L2","OwnerId":"me"}`, `{"LeadId":"L2","OwnerId":"me"}`},
		"told by a pair":              {`{"Data":[{"Key":"LeadId","Value":"L1"}]}`, `{"Data":[{"Key":"LeadId","Value":"L1"}]}`},
		"told by a pair backwards":    {`{"Data":[{"Value":"L2","Key":"LeadId"}]}`, ``},
		"a list of leads":             {`{"LeadId":["L1"],"a":1}`, ``},
		"an object in its place":      {`{"LeadId":{"x":"L1"},"a":1}`, ``},
		"the lead itself, mine":       {`{"Lead":{"OwnerId":"me"}}`, `{"Lead":{"OwnerId":"me"}}`},
		"the lead itself, another's":  {`{"Lead":{"OwnerId":"you"},"a":1}`, ``},
		"the first way counts":        {`{"Lead":{"OwnerId":"me"},"LeadId":"L2"}`, ``},
		"a first way nobody can read": {`{"LeadId":["L1"],"Lead":{"OwnerId":"me"}}`, ``},
		"two leads, the last mine":    {`{"LeadId":"L2","Data":[{"Key":"LeadId","Value":"L1"}]}`, ``},
		"two leads, the first mine":   {`{"LeadId":"L1","Data":[{"Key":"LeadId","Value":"L2"}]}`, ``},
	} {
		t.Run(name, func(t *testing.T) {
			in, want := `{"count":9,"list":[`+c.in+`]}`, `{"count":1,"list":[`+c.want+`]}`
			if c.want == "" {
				want = `{"count":0,"list":[]}`
			}
			for range 2 {
				if out, err := New(p, v, Limits{}).Append(nil, []byte(in)); err != nil || string(out) != want {
					t.Errorf("got %s %v, want %s: somebody sees what hangs on another's records, or misses their own", out, err, want)
				}
			}
		})
	}
	if !slices.Contains(asked, "L-1") || !slices.Contains(asked, "L2") {
		t.Errorf("asked for %v: leads nobody asks for are never looked up", asked)
	}
}

// A pair with two names may hold the field a condition looks at, so that nobody can
// tell, not even a condition that is content without the field.
func TestTornPairIsNotVisible(t *testing.T) {
	p := viaPlan(&plan.Rows{Where: unlessWon{}})
	p.Root.Members["list"].Elements.Record.Nested["data"].Pairs.Name = []string{"key", "name"}
	for in, want := range map[string]string{
		`{"Data":[{"Key":"a","Value":"won"}]}`:                     `[{"Data":[{"Key":"a","Value":"won"}]}]`,
		`{"Data":[{"Key":"Stage","Value":"won"}]}`:                 `[]`,
		`{"Data":[{"Key":"Stage","Name":"Status","Value":"won"}]}`: `[]`,
		`{"Data":[{"Value":"won","Name":"Stage","Key":"Status"}]}`: `[]`,
	} {
		out, err := New(p, &plan.Viewer{}, Limits{}).Append(nil, []byte(`{"list":[`+in+`]}`))
		if err != nil || string(out) != `{"list":`+want+`}` {
			t.Errorf("%s becomes %s %v, want %s: a record is seen of which nobody can tell", in, out, err, want)
		}
	}
}

// Nor whose the record is, though one of the two names says that it is the viewer's.
func TestTornPairNamesNoOwner(t *testing.T) {
	to := plan.Parent{Entity: "lead", Scope: plan.Own}
	p := viaPlan(&plan.Rows{Scope: plan.Own, Owner: []string{"ownerid"}, Via: []plan.Via{{At: "leadid", To: to}}})
	p.Root.Members["list"].Elements.Record.Nested["data"].Pairs.Name = []string{"key", "name"}
	v := &plan.Viewer{Own: map[string]struct{}{"me": {}}, Parents: map[plan.Parent]map[string]struct{}{to: {"me": {}}}}
	for in, want := range map[string]string{
		`{"Data":[{"Key":"OwnerId","Name":"Owner Id","Value":"me"}]}`:         `[{"Data":[{"Key":"OwnerId","Name":"Owner Id","Value":"me"}]}]`,
		`{"Data":[{"Key":"OwnerId","Name":"LeadId","Value":"me"}]}`:           `[]`,
		`{"Data":[{"Value":"me","Name":"OwnerId","Key":"LeadId"}]}`:           `[]`,
		`{"OwnerId":"me","Data":[{"Key":"OwnerId","Name":"x","Value":"me"}]}`: `[{"OwnerId":"me","Data":[{"Key":"OwnerId","Name":"x","Value":"me"}]}]`,
	} {
		out, err := New(p, v, Limits{}).Append(nil, []byte(`{"list":[`+in+`]}`))
		if err != nil || string(out) != `{"list":`+want+`}` {
			t.Errorf("%s becomes %s %v, want %s: a record is seen of which nobody can tell whose it is", in, out, err, want)
		}
	}
}

// An id of which nothing is left when it is folded is nobody's, whatever the directory holds.
func TestAnIDOfSignsAloneIsNobodys(t *testing.T) {
	to := plan.Parent{Entity: "lead", Scope: plan.Own}
	p := viaPlan(&plan.Rows{Scope: plan.Own, Owner: []string{"ownerid"}, Via: []plan.Via{{At: "leadid", To: to}}})
	v := &plan.Viewer{Own: map[string]struct{}{"": {}}, Parents: map[plan.Parent]map[string]struct{}{to: {"": {}}}}
	for _, in := range []string{`{"OwnerId":"{-}"}`, `{"LeadId":"--"}`} {
		if out, err := New(p, v, Limits{}).Append(nil, []byte(`{"list":[`+in+`]}`)); err != nil || string(out) != `{"list":[]}` {
			t.Errorf("%s becomes %s %v: a record is seen that names nobody", in, out, err)
		}
	}
}

// unlessWon is a condition that holds where there is no stage.
type unlessWon struct{}

func (unlessWon) Needs() []string { return []string{"stage", "status"} }
func (unlessWon) Wire() []string  { return nil }
func (unlessWon) Holds(_ *plan.Viewer, member func(string) plan.Value) (bool, error) {
	return member("stage").Kind == 0 && member("status").Kind == 0, nil
}

// A record is seen only where its condition holds; what it cannot tell does not.
func TestRowsByCondition(t *testing.T) {
	p := viaPlan(&plan.Rows{Where: stageIs("open")})
	v := &plan.Viewer{}
	for name, c := range map[string]struct {
		in      string
		want    bool
		unclear int
	}{
		"holds":                     {`{"a":1,"Stage":"open"}`, true, 0},
		"does not":                  {`{"Stage":"won"}`, false, 0},
		"escaped":                   {`{"St\u0061ge":"\u006fpen"}`, true, 0},
		"missing":                   {`{"a":1}`, false, 1},
		"null":                      {`{"Stage":null}`, false, 1},
		"in a pair":                 {`{"Data":[{"Value":"open","Key":"Stage"}]}`, true, 0},
		"twice alike":               {`{"Stage":"open","Data":[{"Key":"Stage","Value":"open"}]}`, true, 0},
		"twice, and not alike":      {`{"Stage":"open","Data":[{"Key":"Stage","Value":"won"}]}`, false, 1},
		"another record's, nested":  {`{"Lead":{"OwnerId":"x","Stage":"open"}}`, false, 1},
		"a list":                    {`{"Stage":["open"]}`, false, 1},
		"long before it is decided": {`{"n":"` + strings.Repeat("x", 9000) + `","Stage":"won"}`, false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			m := New(p, v, Limits{})
			out, err := m.Append(nil, []byte(`{"list":[`+c.in+`]}`))
			if err != nil || (string(out) != `{"list":[]}`) != c.want {
				t.Errorf("%.100s becomes %.100s %v: the condition is not kept", c.in, out, err)
			}
			if s := m.Stats(); s.Unclear != c.unclear {
				t.Errorf("%.100s: %d unclear, want %d: the audit does not say why rows are missing", c.in, s.Unclear, c.unclear)
			}
		})
	}
	if out, err := New(p, nil, Limits{}).Append(nil, []byte(`{"list":[{"Stage":"open"}]}`)); err != nil || string(out) != `{"list":[]}` {
		t.Errorf("nobody sees %s %v", out, err)
	}
}
