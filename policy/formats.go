// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"slices"

	"github.com/crmgate/crmgate/policy/plan"
	"github.com/crmgate/crmgate/policy/resource"
)

// rewritable says whether an engine reads the format and finds in it what the
// plan asks for. What none of them can do is refused where the plan is compiled,
// not when an answer has come.
func (t *tree) rewritable(p *plan.Plan, resp *resource.Response) bool {
	switch resp.Format {
	case resource.FormatNDJSON, resource.FormatJSONSeq, resource.FormatSSE, resource.FormatMultipart:
		return p.MaxRows == 0 || t.root.Record != nil // a cap counts documents
	case resource.FormatWebSocket:
		p.Say = resp.Say
		return p.MaxRows == 0
	case resource.FormatCSV:
		p.Table = tableOf(resp.Table)
		return isTable(t.root)
	case resource.FormatXML:
		// The document itself has no name, and there are no rows by position.
		return t.root.Record == nil && p.MaxRows == 0 && !byPosition(resp.Records)
	}
	return false
}

// byPosition says whether records are written by position.
func byPosition(sets []*resource.RecordSet) bool {
	return slices.ContainsFunc(sets, func(rs *resource.RecordSet) bool {
		return rs.Style == resource.MatrixRecord || byPosition(rs.Nested)
	})
}

// isTable says whether the rows, and nothing else, are records.
func isTable(n *plan.Node) bool {
	return n.Members == nil && n.Elements != nil && n.Elements.Record != nil && !n.Elements.Record.Scalar
}

func tableOf(t *resource.Table) *plan.Table {
	out := &plan.Table{Delimiter: ','}
	if t == nil {
		return out
	}
	if t.Delimiter != "" {
		out.Delimiter = t.Delimiter[0]
	}
	out.Columns = t.Columns
	out.Empty = t.Hidden == "empty" || t.Hidden == "" && len(t.Columns) > 0 // positions are what names such columns
	return out
}
