// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"slices"
	"strings"

	"github.com/crmgate/crmgate/policy/plan"
	"github.com/crmgate/crmgate/policy/resource"
)

// A masked field that may be looked up exactly answers whoever knows its whole
// value, and nobody else: one value, for equality, and of what the CRM finds only
// the records that have it. So a CRM that takes a part for the whole, or looks
// through other fields too, tells nothing.

// equalities are the operators that ask for the whole value.
var equalities = map[string]bool{"=": true, "==": true, "eq": true, "_eq": true, "$eq": true, "equal": true, "equals": true, "is": true}

// exactly says whether a query by a masked field may be made.
func (r *rights) exactly(op *resource.Operation, u *resource.FieldUse, entity string, tr *plan.Treatment) bool {
	if tr.Effect != plan.Mask || u.Field == "" || entity != op.Entity || op.Action != resource.View || op.Kind != resource.Data {
		return false
	}
	if f, ok := r.merged.of(entity).fields[u.Field]; !ok || f.noLookup || f.view != plan.Mask {
		return false
	}
	switch u.Use {
	case resource.Lookup:
		if u.Op != "" && !equalities[strings.ToLower(u.Op)] {
			return false
		}
	case resource.Filter:
		if !equalities[strings.ToLower(strings.TrimSpace(u.Op))] {
			return false
		}
	default:
		return false
	}
	v := u.Given.Value()
	return v.Scalar() && len(strings.TrimSpace(v.Text)) >= shortestLookup && !strings.ContainsAny(v.Text, "%*?,;|")
}

// shortestLookup is how many characters a value has that is looked up: what is
// shorter is guessed too soon.
const shortestLookup = 5

// lookup is what conditions know of a person who looks something up.
type lookup struct {
	*conditionUser
	given resource.Value
}

// exactly holds for records that have the value that was looked up.
type exactly struct {
	field *resource.Field
	names []string       // folded, of the field
	needs []string       // names, and those of the rest
	rest  plan.Condition // what must hold besides; nil for nothing
}

func newExactly(f *resource.Field, rest plan.Condition) *exactly {
	x := &exactly{field: f, names: foldAll(f.Names), rest: rest}
	x.needs = slices.Clone(x.names)
	if rest != nil {
		for _, name := range rest.Needs() {
			if !slices.Contains(x.needs, name) {
				x.needs = append(x.needs, name)
			}
		}
	}
	return x
}

// Needs returns the folded names of the field, and those of the rest.
func (x *exactly) Needs() []string { return x.needs }

// Wire returns the names the CRM is asked with.
func (x *exactly) Wire() []string { return x.field.Names[:min(1, len(x.field.Names))] }

// Holds says whether the record has the value.
func (x *exactly) Holds(v *plan.Viewer, member func(string) plan.Value) (bool, error) {
	l, ok := v.User.(*lookup)
	if !ok {
		return false, errCondition
	}
	found := false
	for _, name := range x.names {
		if m := member(name); m.Kind == '"' || m.Kind == '0' {
			found = found || sameValue(m.Text, l.given.Text)
		}
	}
	if !found || x.rest == nil {
		return found, nil
	}
	return x.rest.Holds(v, member)
}

// sameValue compares what people write: without case and outer spaces, and numbers
// of at least seven digits without what stands between them. A telephone number may
// lack its country's code.
func sameValue(a, b string) bool {
	if strings.EqualFold(strings.TrimSpace(a), strings.TrimSpace(b)) {
		return true
	}
	x, y := digits(a), digits(b)
	if len(x) > len(y) {
		x, y = y, x
	}
	return len(x) >= 7 && (x == y || len(x) >= 10 && len(y)-len(x) <= 3 && strings.HasSuffix(y, x))
}

// digits are the digits of a number as people write it; none of any other text.
func digits(s string) string {
	var out strings.Builder
	for _, c := range s {
		switch {
		case '0' <= c && c <= '9':
			out.WriteRune(c)
		case !strings.ContainsRune(" +-().", c):
			return ""
		}
	}
	return out.String()
}
