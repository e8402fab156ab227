// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package textmask

import (
	"errors"
	"testing"

	"github.com/crmgate/crmgate/policy/plan"
)

// open holds for records whose stage is Open, and comes to no answer where nothing
// can be said about the stage.
type open struct{}

func (open) Needs() []string { return []string{"stage", "mxstage"} }
func (open) Wire() []string  { return []string{"Stage"} }
func (open) Holds(_ *plan.Viewer, member func(string) plan.Value) (bool, error) {
	v := member("stage")
	if v.Kind == 0 {
		v = member("mxstage")
	}
	if v.Kind != '"' {
		return false, errors.New("no answer")
	}
	return v.Text == "Open", nil
}

// A record under a condition is seen when the condition is true of it, and it
// belongs to the viewer besides where only such are seen.
func TestVisibleUnderConditions(t *testing.T) {
	all, own := &plan.Rows{Where: open{}}, &plan.Rows{Scope: plan.Own, Owner: []string{"ownerid"}, Where: open{}}
	const unread = "\x00"
	for _, c := range []struct {
		name    string
		rows    *plan.Rows
		names   []string // in turn with
		values  []string
		want    bool
		unclear int
	}{
		{"it holds", all, []string{"Stage"}, []string{"Open"}, true, 0},
		{"white space around", all, []string{"STAGE"}, []string{" Open\n"}, true, 0},
		{"it does not", all, []string{"Stage"}, []string{"Lost"}, false, 0},
		{"by another name", all, []string{"mx_Stage"}, []string{"Open"}, true, 0},
		{"nothing of it there", all, []string{"City"}, []string{"Open"}, false, 1},
		{"empty", all, []string{"Stage"}, []string{" "}, false, 1},
		{"nobody can read it", all, []string{"Stage"}, []string{unread}, false, 1},
		{"twice the same", all, []string{"Stage", "stage"}, []string{"Open", "Open"}, true, 0},
		{"two versions", all, []string{"Stage", "stage"}, []string{"Open", "Lost"}, false, 1},
		{"two versions, of which one cannot be read", all, []string{"Stage", "stage"}, []string{"Open", unread}, false, 1},
		{"own", own, []string{"Stage", "OwnerId"}, []string{"Open", "u1"}, true, 0},
		{"another's", own, []string{"Stage", "OwnerId"}, []string{"Open", "u2"}, false, 0},
		{"nobody's", own, []string{"Stage"}, []string{"Open"}, false, 0},
		{"own, and it does not hold", own, []string{"Stage", "OwnerId"}, []string{"Lost", "u1"}, false, 0},
		{"none are seen", &plan.Rows{Scope: plan.None, Where: open{}}, []string{"Stage", "OwnerId"}, []string{"Open", "u1"}, false, 0},
	} {
		j := judge(&plan.Plan{})
		var o Owner
		for i, name := range c.names {
			need := j.Needs(c.rows, []byte(name))
			if c.values[i] == unread {
				o.Unread(need)
			} else {
				o.Keep(need, []byte(c.values[i]))
			}
			if j.Owns(c.rows, []byte(name)) {
				j.Name(&o, c.rows, []byte(c.values[i]))
			}
		}
		if got := j.Visible(c.rows, o, false); got != c.want || j.Stats().Unclear != c.unclear {
			t.Errorf("%s: seen: %v, want %v; %d unclear, want %d", c.name, got, c.want, j.Stats().Unclear, c.unclear)
		}
		j.Viewer = nil
		if j.Visible(c.rows, o, false) {
			t.Errorf("%s: nobody sees it", c.name)
		}
	}
	if j := judge(&plan.Plan{}); j.Needs(nil, []byte("stage")) != 0 || j.Needs(&plan.Rows{}, []byte("stage")) != 0 || !Filtered(all) || Filtered(&plan.Rows{}) || Filtered(nil) {
		t.Error("rows without a condition look at values, or those with one are not filtered")
	}
}
