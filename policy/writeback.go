// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"github.com/crmgate/crmgate/policy/echo"
	"github.com/crmgate/crmgate/policy/mask"
	"github.com/crmgate/crmgate/policy/plan"
	"github.com/crmgate/crmgate/policy/resource"
)

// What is written into a field whose value the person does not see as it is, with
// the present value at hand:
//
//	written                      field is empty          field is not empty
//	nothing ("" or null)         forwarded               refused
//	what the person was shown    refused                 left out of the request
//	anything else                forwarded if it may     refused
//	                             be filled in
//
// Years, rounded amounts and tokens that a mask makes are not told from others when
// the field is empty.
//
// The true value is refused like any other: whoever could tell it from a wrong one
// by the answer could guess. So is every text that replaces one with fields of its
// own, by somebody who does not see all fields as they are: which of them were
// masked within it is not known here.
//
// A text that is searched is shown with the values masked in it that the same record
// has in masked and hidden fields, and with some that other records of the same answer
// had. The former is done again here; of the latter only the mask is left, so a text
// with more masks in it than the present one has is refused.

// value judges one written field against every record that is written.
func (p *Pending) value(n *need, u *resource.FieldUse, out *Settled) verdict {
	shown, leave := p.set.treatmentOf(n.rights, u, n.entity.Name), 0
	name := u.Field
	if name == "" {
		name = u.Name
	}
	if u.Given == nil {
		return deny(FieldDenied, "%s: what is written into %s.%s cannot be read", n.op.ID, n.entity.Name, name)
	}
	given := u.Given.Value()
	for _, id := range n.ids {
		now, certain := p.now(n, u, id)
		secrets := &echo.Set{}
		if shown.Effect == plan.Detect {
			secrets = p.secrets(n, id)
		}
		shownNow := rendered(shown, p.set.maskFor(shown), now, given, secrets)
		switch {
		case !certain:
			return deny(FieldDenied, "%s: %s.%s may be there under another name", n.op.ID, n.entity.Name, name)
		case now.Empty() && given.Empty():
		case now.Empty() && looksMasked(p.set.maskFor(shown), given):
			return deny(FieldDenied, "%s: a mask is written into %s.%s, which is empty", n.op.ID, n.entity.Name, name)
		case now.Empty():
			if !n.rights.mayFill(n.entity.Name, u, shown) {
				return deny(FieldDenied, "%s: %s.%s may not be filled in", n.op.ID, n.entity.Name, name)
			}
			out.Filled = append(out.Filled, name)
		case shown.Effect == plan.Detect && shown.Text == nil && seenWhole(now, secrets) && !marked(now, given):
		case shownNow:
			leave++
		default:
			return deny(FieldDenied, "%s: %s.%s has a value that is not shown as it is", n.op.ID, n.entity.Name, name)
		}
	}
	if leave == 0 {
		return verdict{reason: Allowed}
	}
	if leave < len(n.ids) {
		return deny(FieldDenied, "%s: %s.%s would have to be left out for some records and not for others", n.op.ID, n.entity.Name, name)
	}
	if out.Leave == nil {
		out.Leave = map[*resource.Operation][]*resource.Given{}
	}
	out.Leave[n.op] = append(out.Leave[n.op], u.Given)
	return verdict{reason: Allowed}
}

// now returns the present value. It is not certain where the record has the field
// under another of its names alone, nor where it does not have a name the map does
// not know.
func (p *Pending) now(n *need, u *resource.FieldUse, id string) (resource.Value, bool) {
	rec := p.record(n.entity, id)
	v := rec.Get(u.Name)
	if v.Kind != 0 {
		return v, true
	}
	if u.Field == "" {
		return v, false // a name nobody declared and the record does not show may stand for any field
	}
	if f := n.entity.Fields[u.Field]; f != nil {
		for _, name := range f.Names {
			if !rec.Get(name).Empty() {
				return v, false
			}
		}
	}
	return v, true
}

// mayFill says whether an empty field may be filled in.
func (r *rights) mayFill(entity string, u *resource.FieldUse, shown *plan.Treatment) bool {
	if u.Field == "" {
		return shown.Effect < plan.Mask
	}
	return r.merged.of(entity).fields[u.Field].edit != mayNotWrite && shown.Effect < plan.Hide
}

// maskFor is the mask by which a field is shown.
func (s *Set) maskFor(t *plan.Treatment) *mask.Func {
	if t.Mask != nil {
		return t.Mask
	}
	return s.masks[""]
}

// secrets are the values of a record that the person does not see as they are.
func (p *Pending) secrets(n *need, id string) *echo.Set {
	out, table := &echo.Set{}, n.rights.tables[n.entity.Name]
	p.record(n.entity, id).Each(func(folded string, v resource.Value) {
		t := table.Treat([]byte(folded))
		switch {
		case t.Effect < plan.Mask:
		case v.Kind == '"':
			out.Add([]byte(v.Text), p.set.maskFor(t), t.Effect == plan.Hide)
		case v.Kind == '0':
			out.AddNumber([]byte(v.Text), p.set.maskFor(t), t.Effect == plan.Hide)
		}
	})
	return out
}

// seenWhole says whether a value in which personal data is looked for holds none, nor
// one of the secrets: then the person sees it as it is.
func seenWhole(v resource.Value, secrets *echo.Set) bool {
	switch v.Kind {
	case '"':
		_, n := secrets.Search(nil, []byte(v.Text))
		return n == 0
	case '0':
		digits, whole := mask.AppendWhole(nil, []byte(v.Text))
		_, secret := secrets.AppendNumber(nil, []byte(v.Text))
		return !secret && !(whole && mask.IsPersonal(digits))
	}
	return v.Kind != '{' && v.Kind != '['
}

// marked says whether more masks are given than there are.
func marked(now, given resource.Value) bool {
	return given.Kind == '"' && mask.Marks([]byte(given.Text)) > mask.Marks([]byte(now.Text))
}

// rendered says whether given is what the person is shown for the value now.
func rendered(t *plan.Treatment, m *mask.Func, now, given resource.Value, secrets *echo.Set) bool {
	switch t.Effect {
	case plan.Detect:
		if now.Kind != '"' || given.Kind != '"' {
			return false
		}
		out, _ := secrets.Search(nil, []byte(now.Text))
		return string(out) == given.Text
	case plan.Mask:
	default:
		return false
	}
	switch now.Kind {
	case '"':
		if m.Null() {
			return given.Kind == 'n'
		}
		return given.Kind == '"' && (given.Text == string(m.AppendString(nil, now.Text)) || given.Text == mask.FullText)
	case '0':
		out := string(m.Number([]byte(now.Text)))
		return out == "null" && given.Kind == 'n' || given.Kind == '0' && given.Text == out
	}
	return given.Kind == 'n'
}

// looksMasked says whether given is what some value is shown as: the present one is
// nothing, so it was another that has gone since.
func looksMasked(m *mask.Func, given resource.Value) bool {
	return given.Kind == '"' && (mask.Marks([]byte(given.Text)) > 0 || given.Text == m.Full())
}
