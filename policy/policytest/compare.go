// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package policytest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/crmgate/crmgate/policy"
)

// compare writes down every difference between what was expected and what came.
func compare(e *Expect, x *policy.Explanation, res *Result) {
	fault := func(format string, args ...any) { res.Faults = append(res.Faults, fmt.Sprintf(format, args...)) }
	decision := "deny"
	if x.Allow {
		decision = "allow"
	}
	if e.Decision != "" && e.Decision != decision {
		fault("decision is %s, not %s: %s %s", decision, e.Decision, x.Reason, x.Detail)
	}
	if e.Reason != "" && e.Reason != string(x.Reason) {
		fault("reason is %s, not %s: %s", x.Reason, e.Reason, x.Detail)
	}
	if e.Detail != "" && !strings.Contains(x.Detail, e.Detail) {
		fault("detail is %q, without %q", x.Detail, e.Detail)
	}
	for _, id := range e.Because {
		if !slices.ContainsFunc(x.Sources, func(s policy.Source) bool { return s.ID == id }) {
			fault("%s is not behind it", id)
		}
	}
	var op policy.OperationExplain
	if len(x.Operations) > 0 {
		op = x.Operations[0]
	}
	compareOperation(e, &op, fault)
}

func compareOperation(e *Expect, op *policy.OperationExplain, fault func(string, ...any)) {
	if e.Operation != "" && e.Operation != op.ID {
		fault("the operation is %q, not %q", op.ID, e.Operation)
	}
	if e.Rows != "" {
		rows := "all"
		if op.Rows != nil {
			rows = op.Rows.Is
		}
		if rows != e.Rows {
			fault("rows are %s, not %s", rows, e.Rows)
		}
	}
	if e.Untouched != nil && *e.Untouched != op.Pass {
		fault("untouched is %v", op.Pass)
	}
	if e.Masked != nil {
		same("masked", *e.Masked, byEffect(op, "mask"), fault)
	}
	if e.Hidden != nil {
		same("hidden", *e.Hidden, byEffect(op, "hide"), fault)
	}
	for _, f := range e.Shown {
		for _, g := range op.Fields {
			if g.Field == f && g.Effect != "show" {
				fault("%s is not shown but treated by %s", f, g.Effect)
			}
		}
	}
}

func byEffect(op *policy.OperationExplain, effect string) []string {
	var out []string
	for _, f := range op.Fields {
		if f.Effect == effect {
			out = append(out, f.Field)
		}
	}
	return out
}

func same(what string, want, got []string, fault func(string, ...any)) {
	w, g := slices.Sorted(slices.Values(want)), slices.Sorted(slices.Values(got))
	if !slices.Equal(w, g) {
		fault("%s are [%s], not [%s]", what, strings.Join(g, ", "), strings.Join(w, ", "))
	}
}
