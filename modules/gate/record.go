// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"fmt"
	"strings"

	"github.com/crmgate/crmgate/modules/internal/audit"
	"github.com/crmgate/crmgate/policy/resource"
)

// describe says in a record what a request does. Of a batch it is the first request
// that changes something that gives the record its operation, and the records of those
// that do come first: what only reads must not hide what does not.
func describe(rec *audit.Record, ops []resource.Operation) {
	if len(ops) == 0 {
		return
	}
	op := &ops[0]
	rec.Operation, rec.Entity, rec.Action = op.ID, op.Entity, string(op.Action)
	rec.Records, rec.Count = op.Records, op.Count
	if !op.Batched || ops[len(ops)-1].Item == 0 {
		return
	}
	rec.Records, rec.Count = nil, 0
	found := false
	for _, changing := range [...]bool{true, false} {
		for i := range ops {
			o := &ops[i]
			if o.Also || changes(o) != changing {
				continue
			}
			if !found {
				found, op = true, o
			}
			rec.Count += o.Count
			if room := audit.MaxRecords - len(rec.Records); room > 0 {
				rec.Records = append(rec.Records, o.Records[:min(len(o.Records), room)]...)
			}
		}
	}
	rec.Operation, rec.Entity, rec.Action = op.ID, op.Entity, string(op.Action)
	if rec.Detail != "" {
		rec.Detail += "; "
	}
	rec.Detail += "a batch of " + tally(ops)
}

// changes says whether an operation changes the CRM.
func changes(op *resource.Operation) bool {
	return op.Action != resource.View && op.Action != resource.Export && op.Action != ""
}

// tally counts the requests of a batch by what they do, in their order.
func tally(ops []resource.Operation) string {
	var ids []string
	count := map[string]int{}
	for i := range ops {
		if ops[i].Also {
			continue
		}
		if count[ops[i].ID]++; count[ops[i].ID] == 1 {
			ids = append(ids, ops[i].ID)
		}
	}
	for i, id := range ids {
		ids[i] = fmt.Sprintf("%d %s", count[id], id)
	}
	return strings.Join(ids, ", ")
}
