// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package jsonmask

import "github.com/crmgate/crmgate/policy/plan"

// node walks the value at v as its node declares it. A value of another kind is
// refused, with two exceptions: null, which stands for nothing in place of
// anything, and an object as misplaced allows it.
func (w *walker) node(v int, n *plan.Node, e env) (end int, keep bool, err error) {
	e = entering(n, e)
	c := w.in[v]
	if c == 'n' {
		end, err = w.literal(v)
		return end, true, err
	}
	switch {
	case n.Record != nil:
		return w.record(v, n.Record, e)
	case n.Pairs != nil && c == '[':
		end, err = w.pairList(v, n.Pairs, e)
	case n.Fields && c == '{':
		end, err = w.object(v, w.fieldsOf(e), e)
	case n.Matrix != nil && c == matrixStart(n.Matrix):
		end, err = w.matrix(v, n.Matrix, e)
	case n.Total != "" && c != '{':
		end, err = w.total(v, n.Total)
	case (n.Link || n.Cursor) && c == '"':
		end, err = w.aside(v, n, e)
	case !plain(n):
		end, err = w.misplaced(v, e)
	case c == '{' && takesObject(n):
		end, err = w.object(v, table{kind: memberTable, node: n, ent: e.ent}, e)
	case c == '[' && takesArray(n):
		end, err = w.elements(v, n.Elements, e)
	case bare(n):
		e.treat = nil
		return w.unnamed(v, e)
	default:
		end, err = w.misplaced(v, e)
	}
	return end, true, err
}

// entering is what a declared value has: nothing of the field it is in.
func entering(n *plan.Node, e env) env {
	if n.Entity != nil {
		e.ent = n.Entity
	}
	e.treat, e.pairs = nil, nil
	e.single = e.single && !n.Keyed
	return e
}

// plain reports whether n is a container and nothing more special.
func plain(n *plan.Node) bool {
	return n.Record == nil && n.Pairs == nil && !n.Fields && n.Matrix == nil && n.Total == ""
}

// bare reports whether a container says nothing about its value.
func bare(n *plan.Node) bool { return n.Members == nil && n.Elements == nil && !n.Keyed }

func takesObject(n *plan.Node) bool { return n.Members != nil || n.Keyed || bare(n) }
func takesArray(n *plan.Node) bool  { return n.Elements != nil && !n.Keyed || bare(n) }

// fieldsOf is the table of an object whose members are fields of the enclosing record.
func (w *walker) fieldsOf(e env) table {
	t := table{kind: fieldTable, ent: e.ent}
	if e.rec >= 0 {
		t.rec = w.recs[e.rec].rec
	}
	return t
}

// elements walks a declared array.
func (w *walker) elements(v int, elem *plan.Node, e env) (int, error) {
	if elem == nil {
		e.treat = nil
		return w.array(v, e, (*walker).unnamed)
	}
	return w.array(v, e, func(w *walker, v int, e env) (int, bool, error) { return w.element(v, elem, e) })
}

// element walks one declared element or member. Each is a scope of its own for
// totals, unless it is on the way from the root by member names alone.
func (w *walker) element(v int, n *plan.Node, e env) (int, bool, error) {
	if e.single || !plain(n) {
		return w.node(v, n, e)
	}
	w.openScope()
	end, keep, err := w.node(v, n, e)
	if err == nil {
		w.closeScope(keep)
	}
	return end, keep, err
}

// misplaced walks an object that stands where another shape was declared, as
// the error answers of APIs do: by the fallback table, with personal data looked
// for in all of it. Anything but an object is refused. So is an object within a
// record, and within a document in a string.
//
// Where the plan filters rows, a record must not slip through this way: the
// object may then hold scalars only, in at most 4 KiB, and no name that a record
// of the filtered kind has.
func (w *walker) misplaced(v int, e env) (int, error) {
	if w.in[v] != '{' || e.rec >= 0 || w.level > 0 {
		return v, w.unlike(v, "a value of another kind than declared")
	}
	t := table{kind: fieldTable, ent: w.fallback}
	if w.filters {
		end, err := w.skip(v)
		if err != nil {
			return v, err
		}
		if end-v > maxMisplaced {
			return v, w.shape(v, "a large object in place of another shape")
		}
		if w.holdsContainer(v+1, end-1) {
			return v, w.shape(v, "an object with contents in place of another shape")
		}
		t.kind = misplacedTable
	}
	floor := plan.Detect
	if w.plan.Open {
		floor = plan.Show
	}
	return w.object(v, t, env{ent: w.fallback, floor: floor, rec: -1})
}

// holdsContainer reports whether an array or object starts between two places
// of a value that has been read.
func (w *walker) holdsContainer(i, end int) bool {
	for i < end {
		switch w.in[i] {
		case '{', '[':
			return true
		case '"':
			i, _, _ = w.str(i)
		default:
			i++
		}
	}
	return false
}
