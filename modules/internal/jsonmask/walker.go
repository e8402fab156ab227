// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package jsonmask

import (
	"bytes"
	"math"

	"github.com/crmgate/crmgate/policy/echo"
	"github.com/crmgate/crmgate/policy/plan"
)

// walker rewrites values that lie wholly in the window. Bytes that stay are
// copied in runs: from is where the run that has not been copied yet starts.
type walker struct {
	scanner
	*config
	viewer *plan.Viewer
	lim    Limits

	out   []byte
	from  int
	depth int // open arrays and objects

	shapes  [][]*shape // by depth
	lists   []*list
	turn    uint
	learned int // entries of them all
	events  []event
	kept    int
	free    int // of them: those that no cap counts
	drops   int
	recs    []owner           // enclosing records, innermost last
	vals    []fieldValue      // of the enclosing records, for their conditions
	unclear int               // records whose condition could not be told
	pairs   []pairMember      // members of the pairs being read
	cols    []*plan.Treatment // columns of the matrices being read
	counts  []int             // records kept: one count a set for each open scope
	totals  []total           // totals whose records are still being counted
	wait    bool              // a single record is still to be judged

	name, fold, found, value []byte // scratch

	echoing bool       // what is masked or hidden is looked for elsewhere
	armed   bool       // it is there: searched text is searched for it as well
	known   *echo.Set  // such values, when armed is set
	origs   []original // such values of what is being walked
	apart   []byte     // those of documents in strings
	views   []byte     // what searched text reads where that is not what is written, each behind a zero byte

	text  []byte  // the document, for a walker of documents in strings
	inner *walker // for documents in strings
	level int     // strings around this document

	notes   []note // searched texts that read what is written
	bar     int    // bytes from which on text without anything telling is noted
	least   int    // the least that it may have been in this body
	lastBar int    // and in the one before
}

// event is one value masked or one member hidden.
type event struct {
	treat *plan.Treatment
	hide  bool
}

// env is what a value has from where it stands.
type env struct {
	ent    *plan.Entity    // table for everything that no node claims
	treat  *plan.Treatment // of the field it is in; nil outside of fields
	floor  plan.Effect     // least effect: Show or Detect
	pairs  *plan.Pairs     // it is in the value of such a pair
	rec    int             // enclosing record in recs, -1 for none
	single bool            // reached from the root by member names alone
}

func (w *walker) event(t *plan.Treatment, hide bool) {
	w.events = append(w.events, event{t, hide})
}

// put copies the run up to v and takes the value v to end out of the next one.
func (w *walker) put(v, end int) {
	w.out = append(w.out, w.in[w.from:v]...)
	w.from = end
}

func (w *walker) replace(v, end int, with []byte) {
	w.put(v, end)
	w.out = append(w.out, with...)
}

// cut leaves the element between lead and end out, with the comma in front of
// it. first says that it is the first of its object or array; when all before
// it went as well, its comma is gone already.
func (w *walker) cut(lead, end int, first bool, kept int) {
	if first || kept > 0 {
		w.out = append(w.out, w.in[w.from:lead]...)
	}
	w.from = end
}

// open notes an array or object at i.
func (w *walker) open(i int) error {
	if w.depth >= w.lim.Depth {
		return w.limit(i, "nesting", w.lim.Depth)
	}
	w.depth++
	return nil
}

// object walks the object at i by a table.
func (w *walker) object(i int, t table, e env) (int, error) {
	return w.objectBy(i, t, e, nil)
}

// memberFunc walks the value at v of a member.
type memberFunc func(w *walker, v int, s slot, e env) (end int, keep bool, err error)

// objectBy walks the object at i; each is called for the value of every member,
// where it is nil member.
func (w *walker) objectBy(i int, t table, e env, each memberFunc) (int, error) {
	return w.objectOf(w.shapeFor(t), i, e, each)
}

// objectOf is objectBy for a shape that is ready for an object.
func (w *walker) objectOf(s *shape, i int, e env, each memberFunc) (int, error) {
	if err := w.open(i); err != nil {
		return i, err
	}
	lead := i + 1
	p, err := w.ws(lead)
	if err != nil {
		return i, err
	}
	if w.in[p] == '}' {
		w.depth--
		return p + 1, nil
	}
	return w.members(s, i, lead, p, 1, 0, e, each)
}

// members walks the object at i from its nth member on, whose name is at p; lead is
// behind what comes before the comma, and kept are the members before that stay.
func (w *walker) members(s *shape, i, lead, p, n, kept int, e env, each memberFunc) (int, error) {
	for ; ; n++ {
		if n > w.lim.Members {
			return i, w.limit(p, "number of members", w.lim.Members)
		}
		sl, after, err := s.name(w, p)
		if err != nil {
			return i, err
		}
		v, err := w.ws(after)
		if err != nil {
			return i, err
		}
		if s.known {
			s.stood(w.in[i:v], lead-i, n == 1)
		}
		end, keep, err := w.valueOf(v, sl, e, each)
		if err != nil {
			return i, err
		}
		if keep {
			kept++
		} else {
			w.cut(lead, end, n == 1, kept)
		}
		if each == nil && kept > 0 {
			if end, n, err = w.run(s, end, n, e); err != nil {
				return i, err
			}
		}
		var over bool
		if p, over, err = w.comma(end); err != nil {
			return i, err
		}
		if over {
			w.depth--
			return p, nil
		}
		lead = end
		if kept == 0 {
			w.from = p
		}
		if p, err = w.ws(p); err != nil {
			return i, err
		}
	}
}

// onward walks the object at i from the end of its nth member, which stays.
func (w *walker) onward(s *shape, i, end, n int, e env) (int, error) {
	p, over, err := w.comma(end)
	if err != nil {
		return i, err
	}
	if over {
		w.depth--
		return p, nil
	}
	if p, err = w.ws(p); err != nil {
		return i, err
	}
	return w.members(s, i, end, p, n+1, 1, e, nil)
}

// comma passes over the comma behind a member that ends at end, or over the brace
// that ends its object.
func (w *walker) comma(end int) (p int, over bool, err error) {
	if p, err = w.ws(end); err != nil {
		return p, false, err
	}
	switch w.in[p] {
	case '}':
		return p + 1, true, nil
	case ',':
		return p + 1, false, nil
	}
	return p, false, w.syntax(p, "comma or closing brace expected")
}

// valueOf walks the value at v of a member by each, or by member.
func (w *walker) valueOf(v int, s slot, e env, each memberFunc) (int, bool, error) {
	if each == nil {
		return w.member(v, s, e)
	}
	return each(w, v, s, e)
}

// array walks the array at i; each is called for every element.
func (w *walker) array(i int, e env, each func(w *walker, v int, e env) (int, bool, error)) (int, error) {
	if err := w.open(i); err != nil {
		return i, err
	}
	e.single = false
	lead := i + 1
	p, err := w.ws(lead)
	if err != nil {
		return i, err
	}
	if w.in[p] == ']' {
		w.depth--
		return p + 1, nil
	}
	kept := 0
	for first := true; ; first = false {
		end, keep, err := each(w, p, e)
		if err != nil {
			return i, err
		}
		if keep {
			kept++
		} else {
			w.cut(lead, end, first, kept)
		}
		if p, err = w.ws(end); err != nil {
			return i, err
		}
		switch w.in[p] {
		case ']':
			w.depth--
			return p + 1, nil
		case ',':
		default:
			return i, w.syntax(p, "comma or closing bracket expected")
		}
		lead = end
		if kept == 0 {
			w.from = p + 1
		}
		if p, err = w.ws(p + 1); err != nil {
			return i, err
		}
	}
}

// skip reads the value at v without changing anything.
func (w *walker) skip(v int) (int, error) {
	switch w.in[v] {
	case '{':
		return w.object(v, table{}, env{})
	case '[':
		return w.array(v, env{}, func(w *walker, v int, _ env) (int, bool, error) {
			end, err := w.skip(v)
			return end, true, err
		})
	}
	return w.scalar(v)
}

// member walks the value of a member.
func (w *walker) member(v int, s slot, e env) (int, bool, error) {
	if s.owner && e.rec >= 0 {
		if s.row.via > 0 && s.role == nodeRole && s.node.Record != nil && w.in[v] == '{' {
			return w.nestedParent(v, s, e)
		}
		if err := w.readOwner(v, e.rec, s.row); err != nil {
			return v, false, err
		}
	}
	switch s.role {
	case fieldRole:
		return w.treated(v, s.treat, e)
	case nodeRole:
		return w.element(v, s.node, e)
	case refusedRole:
		return v, false, w.shape(v, "a record in place of another shape")
	}
	end, err := w.skip(v)
	return end, true, err
}

// child returns the walker for documents in strings, nil where they are nested
// too deep.
func (w *walker) child() *walker {
	if w.level >= maxText {
		return nil
	}
	if w.inner == nil {
		w.inner = &walker{level: w.level + 1}
	}
	c := w.inner
	c.config, c.viewer, c.lim = w.config, w.viewer, w.lim
	c.out, c.from, c.depth = c.out[:0], 0, 0
	c.events, c.kept, c.drops, c.free = c.events[:0], 0, 0, 0
	c.recs, c.pairs, c.cols, c.totals = c.recs[:0], c.pairs[:0], c.cols[:0], c.totals[:0]
	c.counts, c.wait, c.vals = c.counts[:0], false, c.vals[:0]
	c.echoing, c.armed, c.known = w.echoing, w.armed, w.known
	c.origs, c.apart, c.views = c.origs[:0], c.apart[:0], c.views[:0]
	c.notes, c.bar = c.notes[:0], math.MaxInt // all of it is heard
	return c
}

// document rewrites w.text, one whole document, into w.out.
func (w *walker) document(n *plan.Node, ent *plan.Entity) (keep, changed bool, err error) {
	w.in, w.final, w.base = w.text, true, 0
	w.openScope()
	p, err := w.ws(0)
	if err != nil {
		return false, false, err
	}
	end, keep, err := w.node(p, n, env{ent: ent, rec: -1})
	if err != nil {
		return false, false, err
	}
	if rest := bytes.TrimLeft(w.in[end:], " \t\r\n"); len(rest) > 0 {
		return false, false, w.syntax(end, "bytes behind the value")
	}
	w.put(len(w.in), len(w.in))
	w.closeScope(true)
	return keep, !bytes.Equal(w.out, w.text), nil
}
