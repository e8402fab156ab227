// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"cmp"
	"slices"

	"github.com/crmgate/crmgate/policy/plan"
	"github.com/crmgate/crmgate/policy/resource"
)

// asides marks the texts that lead on from an answer: addresses and cursors. A field
// that is restricted is treated as that, whatever else its place is said to be; and where
// somebody may not see an entity at all, they are hidden with the rest of it. It
// returns whether there are addresses, which everybody's answers have to be read for.
func (t *tree) asides(resp *resource.Response) (links bool) {
	if t.unseen() {
		return false
	}
	places := slices.Concat(resp.Links, resp.Cursors)
	for _, p := range outermost(places) {
		n := t.aside(places[p].Steps)
		switch {
		case n == nil:
		case p < len(resp.Links):
			n.Link, n.Cursor, links = true, false, true
		default:
			n.Cursor = !n.Link
		}
	}
	return links
}

// outermost returns the indices of places, those of places before those of others within
// them: what is a text in one answer and an object in the next can hold an address either
// way.
func outermost(places []resource.Pointer) []int {
	out := make([]int, len(places))
	for i := range out {
		out[i] = i
	}
	slices.SortStableFunc(out, func(a, b int) int { return cmp.Compare(len(places[a].Steps), len(places[b].Steps)) })
	return out
}

// aside returns the node at steps, within records too; nil where something else stands.
func (t *tree) aside(steps []resource.Step) *plan.Node {
	n, around := t.root, t.rights.fallback
	if t.entity != "" {
		around = t.table(t.entity)
	}
	for i, s := range steps {
		if n.Record == nil {
			if s.Kind == resource.Member && restricted(around.Fields[s.Fold]) {
				return nil
			}
			n = t.descend(n, steps[i:i+1])
			continue
		}
		if s.Kind != resource.Member || n.Record.Scalar || restricted(n.Record.Entity.Fields[s.Fold]) {
			return nil
		}
		if n.Record.Nested == nil {
			n.Record.Nested = map[string]*plan.Node{}
		}
		if n.Record.Nested[s.Fold] == nil {
			n.Record.Nested[s.Fold] = &plan.Node{}
		}
		n = n.Record.Nested[s.Fold]
	}
	if n.Record != nil || n.Pairs != nil || n.Fields || n.Matrix != nil || n.Total != "" || n.Members != nil || n.Elements != nil {
		return nil
	}
	return n
}

// restricted says whether a field is not shown as it is.
func restricted(t *plan.Treatment) bool {
	return t != nil && (t.Effect != plan.Show || t.Text != nil)
}
