// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package jsonmask

import (
	"bytes"

	"github.com/crmgate/crmgate/policy/mask"
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

	shapes [][]*shape // by depth
	turn   uint
	events []event
	kept   int
	drops  int
	recs   []owner           // enclosing records, innermost last
	pairs  []pairMember      // members of the pairs being read
	cols   []*plan.Treatment // columns of the matrices being read
	counts []int             // records kept: one count a set for each open scope
	totals []total           // totals whose records are still being counted
	wait   bool              // a single record is still to be judged

	name, fold, found, value []byte // scratch

	text  []byte  // the document, for a walker of documents in strings
	inner *walker // for documents in strings
	level int     // strings around this document
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

// objectBy walks the object at i; each is called for the value of every member,
// where it is nil member.
func (w *walker) objectBy(i int, t table, e env, each func(w *walker, v int, s slot, e env) (int, bool, error)) (int, error) {
	s := w.shapeFor(t)
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
	kept := 0
	for n := 1; ; n++ {
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
		if n > 1 && s.known {
			s.entries[s.last].glue.set(w.in[lead:v])
		}
		var end int
		var keep bool
		if each == nil {
			end, keep, err = w.member(v, sl, e)
		} else {
			end, keep, err = each(w, v, sl, e)
		}
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
		if p, err = w.ws(end); err != nil {
			return i, err
		}
		switch w.in[p] {
		case '}':
			w.depth--
			return p + 1, nil
		case ',':
		default:
			return i, w.syntax(p, "comma or closing brace expected")
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
		if err := w.readOwner(v, e.rec); err != nil {
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

// treated walks the value of a field.
func (w *walker) treated(v int, t *plan.Treatment, e env) (end int, keep bool, err error) {
	effect := max(t.Effect, e.floor)
	switch effect {
	case plan.Show, plan.Detect:
		if c := w.in[v]; effect == plan.Show && t.Text == nil && c != '{' && c != '[' {
			end, err = w.scalar(v)
			return end, true, err
		}
		end, err = w.shown(v, under(t, e))
	case plan.Mask:
		end, err = w.masked(v, t)
	default:
		if end, err = w.skip(v); err == nil {
			w.event(t, true)
		}
		return end, false, err
	}
	return end, true, err
}

// under is what the value of a shown field has: a declared field in which
// personal data is looked for has it looked for at any depth.
func under(t *plan.Treatment, e env) env {
	e.treat, e.single = t, false
	if t.Effect == plan.Detect && t.Field != "" {
		e.floor = plan.Detect
	}
	return e
}

// shown walks a value that is shown, or searched by the detectors.
func (w *walker) shown(v int, e env) (int, error) {
	switch c := w.in[v]; c {
	case '{':
		if e.pairs != nil {
			return w.maybePair(v, e)
		}
		e.treat = nil
		return w.object(v, table{kind: fieldTable, ent: e.ent}, e)
	case '[':
		return w.array(v, e, (*walker).unnamed)
	case '"':
		switch {
		case e.treat.Text != nil:
			return w.embedded(v, e.treat, e)
		case max(e.treat.Effect, e.floor) == plan.Detect:
			return w.detect(v, e.treat)
		}
	}
	return w.scalar(v)
}

// unnamed walks a value that has no name of its own: an element of an array. It
// is treated as the field it is in, or as an unknown field; where that would
// hide it, it becomes null.
func (w *walker) unnamed(v int, e env) (end int, keep bool, err error) {
	if e.treat == nil {
		e.treat = e.ent.Unknown
		if e.treat == nil {
			e.treat = closed.Unknown
		}
	}
	t := e.treat
	if t.Effect < plan.Mask || w.in[v] == '{' || w.in[v] == '[' {
		end, err = w.shown(v, e)
		return end, true, err
	}
	if t.Effect == plan.Mask {
		end, err = w.masked(v, t)
		return end, true, err
	}
	if end, err = w.scalar(v); err == nil && w.in[v] != 'n' {
		w.replace(v, end, nullJSON)
		w.event(t, true)
	}
	return end, true, err
}

// masked replaces the value at v. null and "" stay: there is nothing to hide,
// and a person sees that there is something to fill in. Values that are neither
// text nor number become null.
func (w *walker) masked(v int, t *plan.Treatment) (int, error) {
	c := w.in[v]
	if c == '"' {
		end, escaped, err := w.str(v)
		if err != nil || end == v+2 {
			return end, err
		}
		w.event(t, false)
		if t.Mask.Null() {
			w.replace(v, end, nullJSON)
			return end, nil
		}
		text := w.in[v+1 : end-1]
		if escaped {
			w.value = appendDecoded(w.value[:0], w.in[v:end])
			text = w.value
		}
		w.put(v, end)
		start := len(w.out)
		w.out = t.Mask.AppendString(append(w.out, '"'), string(text))
		if plainEnd(w.out, start+1) == len(w.out) {
			w.out = append(w.out, '"')
			return end, nil
		}
		w.found = append(w.found[:0], w.out[start+1:]...)
		w.out = appendQuoted(w.out[:start], w.found)
		return end, nil
	}
	end, err := w.skip(v)
	if err != nil || c == 'n' {
		return end, err
	}
	w.event(t, false)
	if c == '-' || '0' <= c && c <= '9' {
		w.replace(v, end, t.Mask.Number(w.in[v:end]))
	} else {
		w.replace(v, end, nullJSON)
	}
	return end, nil
}

// masksFully replaces the text v to end by the fixed mask.
func (w *walker) masksFully(v, end int, t *plan.Treatment) {
	w.put(v, end)
	w.out = appendQuoted(w.out, []byte(mask.FullText))
	w.event(t, false)
}

// detect masks what looks like personal data within the string at v. The
// string is written anew only when something was found.
func (w *walker) detect(v int, t *plan.Treatment) (int, error) {
	end, escaped, err := w.str(v)
	if err != nil {
		return end, err
	}
	text := w.in[v+1 : end-1]
	if !escaped && harmless(text) {
		return end, nil
	}
	if escaped {
		w.value = appendDecoded(w.value[:0], w.in[v:end])
		text = w.value
	}
	var n int
	if w.found, n = mask.Detect(w.found[:0], text); n > 0 {
		w.put(v, end)
		w.out = appendQuoted(w.out, w.found)
		w.event(t, false)
	}
	return end, nil
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
	c.events, c.kept, c.drops = c.events[:0], 0, 0
	c.recs, c.pairs, c.cols, c.totals = c.recs[:0], c.pairs[:0], c.cols[:0], c.totals[:0]
	c.counts, c.wait = c.counts[:0], false
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
