// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package csvmask

import (
	"errors"
	"testing"

	"github.com/crmgate/crmgate/policy/plan"
)

// notLost holds for records whose stage is there and is not Lost.
type notLost struct{}

func (notLost) Needs() []string { return []string{"stage"} }
func (notLost) Wire() []string  { return []string{"Stage"} }
func (notLost) Holds(_ *plan.Viewer, member func(string) plan.Value) (bool, error) {
	v := member("stage")
	if v.Kind != '"' {
		return false, errors.New("no answer")
	}
	return v.Text != "Lost", nil
}

// Rows are judged by a condition over columns, hidden ones too; of what cannot be
// read nothing is shown.
func TestRowsUnderConditions(t *testing.T) {
	for _, c := range []struct {
		name    string
		own     bool
		in      string
		want    string
		unclear int
	}{
		{"by a column", false, "Id,Stage\n1,Open\n2,Lost\n3,Won\n", "Id,Stage\n1,Open\n3,Won\n", 0},
		{"quoted, in capitals of the name, with blanks", false, "Id,STAGE\n1,\"Open\"\n2,\"Lost\"\n3, Lost \n", "Id,STAGE\n1,\"Open\"\n", 0},
		{"doubled quotes", false, "Id,Stage\n1,\"\"\"Lost\"\"\"\n", "Id,Stage\n1,\"\"\"Lost\"\"\"\n", 0},
		{"an empty cell", false, "Id,Stage\n1,\n2,\"\"\n3, \n", "Id,Stage\n", 3},
		{"no such column", false, "Id,Name\n1,a\n2,b\n", "Id,Name\n", 2},
		{"a formula", false, "Id,Stage\n1,\"=\"\"Lo\"\"&\"\"st\"\"\"\n2,=Lost\n", "Id,Stage\n", 2},
		{"two columns of one name", false, "Id,Stage,stage\n1,Open,Open\n2,Open,Lost\n3,Open,\n", "Id,Stage,stage\n1,Open,Open\n3,Open,\n", 1},
		{"own rows under a condition", true, "Id,Owner,Stage\n1,u1,Open\n2,u1,Lost\n3,u2,Open\n", "Id,Owner,Stage\n1,u1,Open\n", 0},
	} {
		p := leads(plan.Table{Delimiter: ','}, c.own)
		rec := p.Root.Elements.Record
		if rec.Rows == nil {
			rec.Rows = &plan.Rows{}
		}
		rec.Rows.Where = notLost{}
		got, s, err := run(p, c.in, nil)
		if err != nil || got != c.want || s.Unclear != c.unclear {
			t.Errorf("%s: %v, %d unclear, want %d\ngot  %q\nwant %q", c.name, err, s.Unclear, c.unclear, got, c.want)
		}
	}
	p := leads(plan.Table{Delimiter: ','}, false)
	p.Root.Elements.Record.Rows = &plan.Rows{Where: notLost{}}
	p.Root.Elements.Record.Entity.Fields["stage"] = &plan.Treatment{Field: "stage", Effect: plan.Hide}
	p.MaxRows = 2
	if got, s, err := run(p, "Id,Stage\n1,Lost\n2,Open\n3,Lost\n4,Open\n5,Open\n", nil); err != nil || got != "Id\n2\n4\n" || s.Kept != 2 || s.Dropped != 3 {
		t.Errorf("a hidden column and a cap: %q, %+v, %v", got, s, err)
	}
	p.NotFound = &plan.Canned{}
	if got, _, err := run(p, "Id,Stage\n1,Lost\n", nil); err == nil || got != "" {
		t.Errorf("the one record that was asked for is not to be seen: %q, %v", got, err)
	}
}
