// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"github.com/crmgate/crmgate/policy/plan"
	"github.com/crmgate/crmgate/policy/resource"
)

// rewritable says whether an engine reads the format and finds in it what the
// plan asks for. What none of them can do is refused where the plan is compiled,
// not when an answer has come.
func (t *tree) rewritable(p *plan.Plan, resp *resource.Response) bool {
	switch resp.Format {
	case resource.FormatNDJSON, resource.FormatJSONSeq, resource.FormatSSE:
		return p.MaxRows == 0 || t.root.Record != nil // a cap counts documents
	}
	return false
}
