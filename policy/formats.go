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
		p.HTTP = resp.Parts == "http"
		return p.MaxRows == 0 || t.root.Record != nil // a cap counts documents
	case resource.FormatWebSocket:
		p.Say = resp.Say
		return p.MaxRows == 0
	case resource.FormatHTML:
		return t.page(p, resp)
	case resource.FormatCSV, resource.FormatXLSX:
		p.Table = tableOf(resp.Table)
		return isTable(t.root)
	case resource.FormatXML:
		// The document itself has no name, and there are no rows by position.
		return t.root.Record == nil && p.MaxRows == 0 && !byPosition(resp.Records)
	}
	return false
}

// within makes a plan one for parts that are HTTP answers, of which each is such an
// answer as the plan was made for.
func (t *tree) within(p *plan.Plan, resp *resource.Response) {
	switch {
	case p.Pass:
	case resp.Format != resource.FormatJSON && resp.Format != resource.FormatNone || p.Prefix != "":
		t.fail(ActionDenied, "the answer is %s within a part, in which nobody reads it", resp.Format)
	case p.MaxRows > 0:
		t.fail(ActionDenied, "the answer is a part of several, of which only one would be counted")
	case p.Empty != nil:
		t.fail(ActionDenied, "the answer is a part of several, which cannot be the CRM's own for no records")
	default:
		p.Format, p.HTTP = plan.Multipart, true
	}
}

// isText says whether every value of a format is text.
func isText(f resource.Format) bool {
	return f == resource.FormatCSV || f == resource.FormatXML || f == resource.FormatXLSX || f == resource.FormatHTML
}

// page compiles what the map says of a page. Records in it cannot be told apart,
// and text that no element claims can be searched and nothing more: so nobody
// whose rows are filtered gets one, and nobody to whom unknown fields are masked.
func (t *tree) page(p *plan.Plan, resp *resource.Response) bool {
	if len(resp.Elements) == 0 || t.entity == "" || t.limited || p.MaxRows > 0 || len(resp.Records) > 0 {
		return false
	}
	table := t.table(t.entity)
	if table.Unknown.Effect > plan.Detect {
		return false
	}
	for _, e := range resp.Elements {
		out := &plan.Element{Tag: e.At.Tag, ID: e.At.ID, Classes: e.At.Classes, Attrs: e.At.Attrs, In: e.Attribute, JSON: e.JSON, Entity: table}
		if !e.JSON {
			out.Treat = table.Fields[resource.Fold(e.Field)]
			if out.Treat == nil {
				return false // a field the map does not declare
			}
		}
		p.Elements = append(p.Elements, out)
	}
	return true
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
