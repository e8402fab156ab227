// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package jsonmask

import (
	"bytes"

	"github.com/crmgate/crmgate/policy/plan"
	"github.com/crmgate/crmgate/policy/resource"
)

// pairMember is one member of a name/value object, read but not yet rewritten:
// what its value may show depends on a name that may come behind it.
type pairMember struct {
	slot                slot
	lead, start, v, end int // start: of its name; lead: behind the member before
}

// pairList walks a list of name/value objects.
func (w *walker) pairList(v int, p *plan.Pairs, e env) (int, error) {
	e.pairs, e.treat = p, nil
	t := table{kind: listTable, ent: e.ent, pairs: p}
	if e.rec >= 0 {
		t.rec = w.recs[e.rec].rec
	}
	s := w.shapeFor(t)
	return w.array(v, e, func(w *walker, v int, e env) (int, bool, error) {
		switch w.in[v] {
		case '{':
			if end, keep, ok, err := w.foreseenPair(s, v, e); ok {
				return end, keep, err
			}
			return w.pair(s, v, e)
		case 'n':
			end, err := w.literal(v)
			return end, true, err
		}
		return v, false, w.unlike(v, "a name/value object was declared")
	})
}

// pair walks one name/value object, and has its beginning learned where it is a
// name and one value behind it.
func (w *walker) pair(s *shape, v int, e env) (int, bool, error) {
	base := len(w.pairs)
	end, err := w.readPair(v, e)
	if err != nil {
		return end, false, err
	}
	t, row := w.pairTreat(base, e)
	if m := w.pairs[base:]; len(m) == 2 && m[0].slot.role == nameRole && m[1].slot.role == valueRole && w.in[m[0].v] == '"' {
		w.learnPair(s, w.in[v:m[1].v], slot{role: fieldRole, treat: t, owner: row != (rowUse{}), row: row})
	}
	keep, err := w.writePair(base, t, e)
	w.pairs = w.pairs[:base]
	return end, keep, err
}

// maybePair walks an object in the value of a pair. Where it has a name and a
// value of the kind that the pairs around it have, it is a pair as well.
func (w *walker) maybePair(v int, e env) (int, error) {
	base := len(w.pairs)
	end, err := w.readPair(v, e)
	if err != nil {
		return end, err
	}
	var name, value bool
	for _, m := range w.pairs[base:] {
		name = name || m.slot.role == nameRole
		value = value || m.slot.role == valueRole || m.slot.role == nodeRole
	}
	if !name || !value {
		w.pairs = w.pairs[:base]
		e.treat = nil
		return w.object(v, table{kind: fieldTable, ent: e.ent}, e)
	}
	t, _ := w.pairTreat(base, e)
	keep, err := w.writePair(base, t, e)
	w.pairs = w.pairs[:base]
	if err == nil && !keep {
		w.replace(v, end, nullJSON)
	}
	return end, err
}

// readPair reads the members of the object at v into w.pairs.
func (w *walker) readPair(v int, e env) (int, error) {
	s := w.shapeFor(table{kind: pairTable, ent: e.ent, pairs: e.pairs})
	if err := w.open(v); err != nil {
		return v, err
	}
	lead := v + 1
	p, err := w.ws(lead)
	if err != nil {
		return v, err
	}
	if w.in[p] == '}' {
		w.depth--
		return p + 1, nil
	}
	for n := 1; ; n++ {
		if n > w.lim.Members {
			return v, w.limit(p, "number of members", w.lim.Members)
		}
		sl, after, err := s.name(w, p)
		if err != nil {
			return v, err
		}
		val, err := w.ws(after)
		if err != nil {
			return v, err
		}
		end, err := w.skip(val)
		if err != nil {
			return v, err
		}
		w.pairs = append(w.pairs, pairMember{sl, lead, p, val, end})
		if p, err = w.ws(end); err != nil {
			return v, err
		}
		switch w.in[p] {
		case '}':
			w.depth--
			return p + 1, nil
		case ',':
		default:
			return v, w.syntax(p, "comma or closing brace expected")
		}
		lead = end
		if p, err = w.ws(p + 1); err != nil {
			return v, err
		}
	}
}

// pairTreat finds the treatment of the pair by its names. With several names
// the strictest holds; a pair whose name is missing, empty or neither text nor
// number is masked, for nobody can tell what it holds. Values by which rows are
// filtered are noted for the enclosing record; row says what for.
func (w *walker) pairTreat(base int, e env) (best *plan.Treatment, row rowUse) {
	var rec *plan.Record
	if e.rec >= 0 {
		rec = w.recs[e.rec].rec
	}
	for _, m := range w.pairs[base:] {
		if m.slot.role != nameRole {
			continue
		}
		name := w.in[m.v:m.end]
		switch c := name[0]; {
		case c == '"':
			if bytes.IndexByte(name, '\\') < 0 {
				name = name[1 : len(name)-1]
				break
			}
			w.name = appendDecoded(w.name[:0], name)
			name = w.name
		case c == 'n':
			continue
		case c != '-' && (c < '0' || c > '9'):
			best = stricter(best, nameless)
			continue
		}
		w.fold = resource.AppendFold(w.fold[:0], name)
		if len(w.fold) == 0 {
			continue
		}
		s := owned(w.field(e.ent, name, w.fold), rec, w.fold)
		best = stricter(best, s.treat)
		row = row.and(s.row)
	}
	if row != (rowUse{}) {
		for _, m := range w.pairs[base:] {
			if m.slot.role == valueRole {
				_ = w.readOwner(m.v, e.rec, row) // the value was read before: it cannot fail
			}
		}
	}
	if best == nil {
		best = nameless
	}
	return best, row
}

// stricter returns the treatment that shows less; the first of two alike.
func stricter(a, b *plan.Treatment) *plan.Treatment {
	if a == nil || b.Effect > a.Effect || b.Effect == a.Effect && a.Text == nil && b.Text != nil {
		return b
	}
	return a
}

// writePair rewrites the object read into w.pairs[base:] by its treatment.
func (w *walker) writePair(base int, t *plan.Treatment, e env) (keep bool, err error) {
	effect := max(t.Effect, e.floor)
	if effect == plan.Hide {
		w.event(t, true)
		for _, m := range w.pairs[base:] {
			if m.slot.role == valueRole || m.slot.role == nodeRole {
				w.secret(m.v, m.end, t, true)
			}
		}
		return false, nil
	}
	w.depth++
	inner := under(t, e)
	kept := 0
	n := len(w.pairs) - base
	for k := range n {
		m := w.pairs[base+k] // a copy: pairs within this one may move the list
		if k > 0 && kept == 0 {
			w.from = m.start // the comma behind members that went
		}
		keep := true
		switch m.slot.role {
		case valueRole:
			keep, err = w.pairValue(&m, t, effect, inner)
		case nodeRole:
			if effect == plan.Mask {
				_, err = w.masked(m.v, t)
			} else {
				_, keep, err = w.element(m.v, m.slot.node, inner)
			}
		case nameRole:
			if c := w.in[m.v]; c == '{' || c == '[' { // no name at all
				keep, err = w.other(&m, effect, e)
			}
		case otherRole:
			keep, err = w.other(&m, effect, e)
		}
		if err != nil {
			return false, err
		}
		if keep {
			kept++
		} else {
			w.cut(m.lead, m.end, k == 0, kept)
		}
	}
	w.depth--
	return true, nil
}

// pairValue walks a value of a pair; it may be declared to hold further pairs.
func (w *walker) pairValue(m *pairMember, t *plan.Treatment, effect plan.Effect, e env) (keep bool, err error) {
	switch {
	case effect == plan.Mask:
		_, err = w.masked(m.v, t)
	case m.slot.node != nil && w.in[m.v] == '[':
		_, keep, err = w.element(m.v, m.slot.node, e)
		return keep, err
	case effect == plan.Show && t.Text == nil && w.in[m.v] != '{' && w.in[m.v] != '[': // read before, copied
	default:
		_, err = w.shown(m.v, e)
	}
	return true, err
}

// other walks a member of a pair that is neither name nor value. What is
// declared masked or hidden stays so; other text is searched by the detectors
// where the pair or unknown fields are not shown as they are.
func (w *walker) other(m *pairMember, effect plan.Effect, e env) (bool, error) {
	if t := m.slot.treat; t != nil {
		_, keep, err := w.treated(m.v, t, e)
		return keep, err
	}
	e.pairs = nil
	t := &shownOther
	if effect == plan.Mask || e.floor == plan.Detect || e.ent.Unknown == nil || e.ent.Unknown.Effect != plan.Show {
		t = &searchedOther
	}
	_, err := w.shown(m.v, under(t, e))
	return true, err
}

var (
	shownOther    = plan.Treatment{}
	searchedOther = plan.Treatment{Effect: plan.Detect}
)
