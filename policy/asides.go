// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package policy

import (
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
	for _, p := range resp.Cursors {
		if n := t.aside(p.Steps); n != nil {
			n.Cursor = true
		}
	}
	for _, p := range resp.Links {
		if n := t.aside(p.Steps); n != nil {
			n.Link, n.Cursor, links = true, false, true
		}
	}
	return links
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
