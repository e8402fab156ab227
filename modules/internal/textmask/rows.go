// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package textmask

import (
	"bytes"
	"slices"

	"github.com/crmgate/crmgate/policy/plan"
	"github.com/crmgate/crmgate/policy/resource"
)

// Owner is what is known about a record: whose it is, and what its condition looks
// at. The zero value is a record that says nothing.
type Owner struct {
	named  bool
	alien  bool // an owner was named who is not the viewer's
	values []fieldValue
}

// fieldValue is a value a condition looks at.
type fieldValue struct {
	need  int
	value plan.Value
}

// Name notes an owner's id. An empty one says nothing. Where a record names
// several owners, all of them must be the viewer's.
func (j *Judge) Name(o *Owner, rows *plan.Rows, id []byte) {
	if id = bytes.TrimSpace(id); len(id) == 0 || rows == nil {
		return
	}
	o.named = true
	if j.Viewer == nil {
		o.alien = true
		return
	}
	ids := j.Viewer.Own
	if rows.Scope == plan.Group {
		ids = j.Viewer.Group
	}
	j.fold = plan.AppendFoldID(j.fold[:0], id)
	_, mine := ids[string(j.fold)]
	o.alien = o.alien || !mine || len(j.fold) == 0
}

// Owns reports whether a name as it is written holds the owner's id.
func (j *Judge) Owns(rows *plan.Rows, name []byte) bool {
	if rows == nil {
		return false
	}
	j.fold = resource.AppendFold(j.fold[:0], name)
	return slices.Contains(rows.Owner, string(j.fold))
}

// Needs returns which of the names that the condition on rows looks at a name as it
// is written is, counted from 1; 0 for none of them.
func (j *Judge) Needs(rows *plan.Rows, name []byte) int {
	if rows == nil || rows.Where == nil {
		return 0
	}
	j.fold = resource.AppendFold(j.fold[:0], name)
	return 1 + slices.Index(rows.Where.Needs(), string(j.fold))
}

// Keep notes a text that the condition looks at, without white space around it. An
// empty one is as good as not there: nobody can tell it from a value that is not set.
func (o *Owner) Keep(need int, text []byte) {
	if text = bytes.TrimSpace(text); len(text) > 0 && need > 0 {
		o.values = append(o.values, fieldValue{need, plan.Value{Kind: '"', Text: string(text)}})
	}
}

// unreadable is a value that nothing can be said about, but that it is there.
var unreadable = plan.Value{Kind: '['}

// Unread notes that a value is there which nobody can read: no condition that looks
// at it comes to an answer.
func (o *Owner) Unread(need int) {
	if need > 0 {
		o.values = append(o.values, fieldValue{need, unreadable})
	}
}

// Visible judges a record and counts it. One that is free counts towards no cap, see
// plan.Record.
func (j *Judge) Visible(rows *plan.Rows, o Owner, free bool) bool {
	if j.sees(rows, o) && (free || j.Plan.MaxRows <= 0 || j.kept-j.free < j.Plan.MaxRows) {
		if j.kept++; free {
			j.free++
		}
		return true
	}
	j.dropped++
	return false
}

func (j *Judge) sees(rows *plan.Rows, o Owner) bool {
	switch {
	case rows == nil:
		return true
	case rows.Where != nil && !j.holds(rows.Where, o):
		return false
	case rows.Scope == plan.All:
		return true
	}
	return (rows.Scope == plan.Own || rows.Scope == plan.Group) && o.named && !o.alien
}

// holds asks the condition of a record; what it cannot tell does not hold.
func (j *Judge) holds(where plan.Condition, o Owner) bool {
	if j.Viewer == nil {
		return false
	}
	ok, err := where.Holds(j.Viewer, func(folded string) plan.Value {
		need := 1 + slices.Index(where.Needs(), folded)
		var out plan.Value
		for _, v := range o.values {
			switch {
			case v.need != need || v.value == out:
			case out.Kind == 0:
				out = v.value
			default:
				return unreadable // there in two versions
			}
		}
		return out
	})
	if err != nil {
		j.unclear++
	}
	return ok && err == nil
}

// Filtered reports whether some records of a set may not be seen.
func Filtered(rows *plan.Rows) bool {
	return rows != nil && (rows.Scope != plan.All || rows.Where != nil)
}
