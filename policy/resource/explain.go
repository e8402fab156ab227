// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package resource

import (
	"errors"
	"fmt"
	"strings"
)

// Explain says in a few lines what a request is to the map and why: the route,
// where the map declares it, every operation with its records and uses. It names
// fields and ids, never values. Set r.Body when the request has one; without it,
// a route that needs its body is explained as far as it goes.
func (m *Map) Explain(r *Request) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s (map %s)\n", r.Method, r.Path, m.Name)
	mt, err := m.Match(r)
	if err != nil {
		explainError(&b, m, r, err)
		return b.String()
	}
	if mt.Undecided() {
		fmt.Fprintf(&b, "the path is shared by %d routes; the body decides\n", len(mt.group.entries))
	}
	if mt.NeedsBody() && r.Body == nil && !mt.Route().Request.Optional {
		fmt.Fprintf(&b, "the body is needed to say more\n")
		return b.String()
	}
	ops, err := mt.Operations(r)
	if err != nil {
		explainError(&b, m, r, err)
		return b.String()
	}
	for i := range ops {
		explainOperation(&b, m, &ops[i])
	}
	return b.String()
}

func explainError(b *strings.Builder, m *Map, r *Request, err error) {
	switch {
	case errors.Is(err, ErrUnmapped):
		fmt.Fprintf(b, "unmapped: %v\n", err)
		if methods := m.methodsOf(r); len(methods) > 0 {
			fmt.Fprintf(b, "the path is mapped for %s\n", strings.Join(methods, ", "))
		}
	default:
		fmt.Fprintf(b, "unreadable: %v\n", err)
	}
}

// methodsOf lists the methods for which the path is mapped.
func (m *Map) methodsOf(r *Request) []string {
	var out []string
	for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE"} {
		if g, _ := m.index.find(method, r.Path, r.Host); g != nil && method != r.Method {
			out = append(out, method)
		}
	}
	return out
}

func explainOperation(b *strings.Builder, m *Map, op *Operation) {
	what := string(op.Kind)
	if op.Entity != "" {
		what = op.Entity + "." + string(op.Action)
	}
	fmt.Fprintf(b, "%s: route %s at %s:%d", what, op.ID, m.File, op.Route.line)
	for _, note := range []struct {
		on   bool
		text string
	}{
		{op.Kind != Data && op.Entity != "", "kind " + string(op.Kind)},
		{op.Bulk, "bulk"},
		{op.Also, "a further effect"},
		{op.Feature != "", "feature " + op.Feature},
		{op.NoTouch, "no activity"},
		{op.Item > 0, fmt.Sprintf("item %d", op.Item)},
		{op.Limit > 0, fmt.Sprintf("at most %d records", op.Limit)},
	} {
		if note.on {
			b.WriteString(", " + note.text)
		}
	}
	b.WriteByte('\n')
	if op.Count > 0 {
		fmt.Fprintf(b, "  %d records", op.Count)
		if len(op.Records) > 0 {
			fmt.Fprintf(b, ": %s", strings.Join(op.Records[:min(len(op.Records), 5)], ", "))
		}
		b.WriteByte('\n')
	}
	for _, p := range op.Parents[:min(len(op.Parents), 5)] {
		fmt.Fprintf(b, "  of %s %s\n", p.Entity, p.ID)
	}
	for i := range op.Fields {
		b.WriteString("  " + op.Fields[i].String() + "\n")
	}
	if len(op.Callbacks) > 0 {
		fmt.Fprintf(b, "  results are sent to %d other places\n", len(op.Callbacks))
	}
}

// String returns the use as explain and suites write it: "filter lead.phone",
// "write lead.?mx_New" for a field the map does not know, "unknown lead query
// x" for something nobody could read.
func (u *FieldUse) String() string {
	switch {
	case u.Use == Unknown:
		return strings.TrimSpace("unknown " + u.Entity + " " + u.Name)
	case u.Field == "":
		return string(u.Use) + " " + u.Entity + ".?" + u.Name
	}
	return string(u.Use) + " " + u.Entity + "." + u.Field
}
