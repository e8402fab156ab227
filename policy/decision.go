// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"github.com/crmgate/crmgate/policy/plan"
	"github.com/crmgate/crmgate/policy/resource"
)

// Decision is the answer to "may this principal do this". The zero value is a
// refusal.
type Decision struct {
	Allow      bool
	Reason     Reason
	Detail     string               // one sentence for audit and explain: names, never values
	Operations []resource.Operation // what was decided
	Plans      []*plan.Plan         // one per operation, in order, set when Allow; nil entry never
	Viewer     *plan.Viewer         // whose rows
	Because    []string             // ids of the templates and assignments behind it, for explain
	LookedUp   bool                 // records are looked up by a masked field: to be counted, and refused when there are too many
	Pending    *Pending             // set on a refusal that the records as they are now may turn into an allowance; then Plans, Viewer and Inject are set
	Inject     []Injection          // query or body values the gate must set so that the CRM filters rows itself
}

// Injection is a row condition pushed down into the CRM's own query. A client
// value at the same place that says otherwise is a refusal, never overwritten.
type Injection struct {
	Query   string // query parameter, or
	Pointer string // JSON pointer into the body
	Value   string
	Whole   bool // nothing else decides which records are seen, so that the CRM's own totals are right
}
