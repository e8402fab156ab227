// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package jsonmask

import (
	"bytes"
	"slices"

	"github.com/crmgate/crmgate/policy/mask"
	"github.com/crmgate/crmgate/policy/plan"
	"github.com/crmgate/crmgate/policy/resource"
)

// tableKind says how the names of one object are looked up.
type tableKind uint8

const (
	skipTable      tableKind = iota // not at all: the object is only read
	fieldTable                      // fields of ent; also of rec where rows need an owner
	recordTable                     // members of rec
	memberTable                     // members of node
	pairTable                       // members of one name/value object
	matrixTable                     // members of a matrix
	misplacedTable                  // an object in place of another shape, rows being filtered
	listTable                       // name/value objects themselves, within rec
)

// table is how the names of one object are looked up. Two objects with equal
// tables are read alike, which is what lets their names be learned.
type table struct {
	kind   tableKind
	ent    *plan.Entity
	node   *plan.Node
	rec    *plan.Record
	pairs  *plan.Pairs
	matrix *plan.Matrix
}

// role is what the value of a member is.
type role uint8

const (
	skipRole    role = iota // only read
	fieldRole               // a field: treat
	nodeRole                // declared: node
	nameRole                // the name of a pair
	valueRole               // a value of a pair
	otherRole               // a member of a pair that is neither
	columnsRole             // the columns of a matrix
	rowsRole                // the rows of a matrix
	refusedRole             // a name that may not be here
)

// slot is what a table says about one name.
type slot struct {
	role   role
	owner  bool // rows are filtered by it, see row
	row    rowUse
	folded bool // no other spelling of the name may stand beside it
	treat  *plan.Treatment
	node   *plan.Node
}

// resolve looks up a decoded name and its folded form.
func (w *walker) resolve(t *table, name, folded []byte) slot {
	switch t.kind {
	case recordTable:
		s := w.field(t.ent, name, folded)
		if n := t.rec.Nested[string(folded)]; n != nil {
			s.folded = true
			if t.ent.Fields[string(folded)] == nil || s.treat.Effect < plan.Mask {
				s.role, s.node = nodeRole, n
			}
		}
		return owned(s, t.rec, folded)
	case fieldTable:
		return owned(w.field(t.ent, name, folded), t.rec, folded)
	case memberTable:
		if n := t.node.Members[string(folded)]; n != nil {
			return slot{role: nodeRole, node: n, folded: true}
		}
		if f := t.ent.Fields[string(folded)]; t.node.Keyed && t.node.Elements != nil && (f == nil || f.Effect < plan.Mask) {
			return slot{role: nodeRole, node: t.node.Elements}
		}
		return w.field(t.ent, name, folded)
	case pairTable:
		return w.pairSlot(t, name, folded)
	case matrixTable:
		switch string(folded) {
		case "": // not a name that a matrix can have declared
		case t.matrix.At:
			return slot{role: columnsRole, folded: true}
		case t.matrix.Rows:
			return slot{role: rowsRole, folded: true}
		}
		return w.field(t.ent, name, folded)
	case misplacedTable:
		if _, ok := w.declared[string(folded)]; ok {
			return slot{role: refusedRole}
		}
		return w.field(t.ent, name, folded)
	}
	return slot{}
}

// field looks a name up in an entity. A name that nobody declared and that is
// itself personal data, such as a telephone number that something is keyed by,
// goes with its value where such data is looked for.
func (w *walker) field(ent *plan.Entity, name, folded []byte) slot {
	t := ent.Fields[string(folded)]
	if t != nil {
		return slot{role: fieldRole, treat: t, folded: t.Effect != plan.Show}
	}
	t = ent.Unknown
	if t == nil {
		t = closed.Unknown
	}
	if t.Effect == plan.Detect {
		var n int
		if w.found, n = mask.Detect(w.found[:0], name); n > 0 {
			t = closed.Unknown
		}
	}
	return slot{role: fieldRole, treat: t}
}

func owned(s slot, rec *plan.Record, folded []byte) slot {
	if rec == nil || !filtered(rec.Rows) {
		return s
	}
	if s.row = useOf(rec.Rows, folded); s.row != (rowUse{}) {
		s.owner, s.folded = true, true
	}
	return s
}

// pairSlot looks up a member of a name/value object. Where a member is neither
// name nor value, only what is declared masked or hidden keeps its treatment.
func (w *walker) pairSlot(t *table, name, folded []byte) slot {
	s := slot{role: otherRole, folded: true, node: t.pairs.Nested[string(folded)]}
	switch {
	case slices.Contains(t.pairs.Name, string(folded)):
		s.role = nameRole
	case slices.Contains(t.pairs.Value, string(folded)):
		s.role = valueRole
	case s.node != nil:
		s.role = nodeRole
	default:
		s = w.field(t.ent, name, folded)
		s.role = otherRole
		if s.treat.Effect < plan.Mask || t.ent.Fields[string(folded)] == nil {
			s.treat = nil
		}
	}
	return s
}

const (
	maxLearned      = 1024 // names of one table kept for the next object
	maxLearnedAll   = 4096 // names and pairs of all tables
	maxLearnedName  = 64   // bytes of such a name
	maxLearnedDepth = 32   // nesting below which nothing is kept
	maxShapes       = 8    // tables kept at each depth
)

// shape remembers the names that objects of one table had, in the order they
// came, so that the next object's names are recognised by one comparison each.
// It also finds duplicate names: each name, or each group of spellings where
// the slot says so, has a stamp that the object at hand marks.
type shape struct {
	table   table
	learn   bool
	size    int                // entries learned
	room    []entry            // those not yet given to a name
	newest  *entry             // the last that was
	letters []byte             // of names and glues
	index   map[string]*entry  // decoded name → entry
	groups  map[string]*uint32 // folded name → stamp
	stamps  []uint32           // those not yet given to a name
	all     [][]uint32
	object  uint32 // number of the object at hand; what its stamps read
	last    *entry // of the name before, nil for none
	known   bool   // the name read last is an entry
	first   *entry // the last object started with
	rest    map[string]struct{}

	opens  glue   // what an object began with, up to its first value
	opener *entry // the name in it

	marked     *uint32 // stamp of the name just read
	markedRest string  // the name just read where it was put into rest, else empty
}

// shapeFor returns the shape of a table at the present depth, ready for an object.
func (w *walker) shapeFor(t table) *shape {
	for len(w.shapes) <= w.depth {
		w.shapes = append(w.shapes, nil)
	}
	list := w.shapes[w.depth]
	i := 0
	for i < len(list) && list[i].table != t {
		i++
	}
	if i == len(list) {
		s := &shape{
			table: t, learn: w.depth < maxLearnedDepth && (t.kind != memberTable || !t.node.Keyed),
			index: map[string]*entry{}, opens: nowhere, groups: map[string]*uint32{}, rest: map[string]struct{}{},
		}
		if len(list) == maxShapes {
			i = int(w.turn) % maxShapes
			w.turn++
			w.learned -= list[i].size
			list[i] = s
		} else {
			w.shapes[w.depth] = append(list, s)
		}
		return s.begin()
	}
	return list[i].begin()
}

// forget drops everything that was learned.
func (w *walker) forget() { w.shapes, w.learned, w.inner, w.lists = nil, 0, nil, nil }

func (s *shape) begin() *shape {
	s.last, s.marked = nil, nil
	if s.object++; s.object == 0 {
		for _, list := range s.all {
			clear(list)
		}
		for _, m := range s.index {
			if m.gate != shut {
				m.gate = 0
			}
		}
		s.object = 1
	}
	if len(s.rest) > 0 {
		clear(s.rest)
	}
	return s
}

// name reads the name at i and the colon behind it.
func (s *shape) name(w *walker, i int) (slot, int, error) {
	if m := s.upcoming(); m != nil && bytes.HasPrefix(w.in[i:], m.raw) {
		s.last, s.known = m, true
		return m.slot, i + len(m.raw), s.mark(w, i, m.stamp)
	}
	s.known = false
	return s.readName(w, i)
}

// mark refuses a name, or a spelling of it, that the object already has.
func (s *shape) mark(w *walker, i int, stamp *uint32) error {
	if *stamp == s.object {
		return w.syntax(i, "duplicate name")
	}
	*stamp = s.object
	s.marked, s.markedRest = stamp, ""
	return nil
}

// unmark takes back the name read last, which will be read again.
func (s *shape) unmark(last *entry) {
	if s.marked != nil {
		*s.marked = 0
	}
	delete(s.rest, s.markedRest)
	s.last, s.marked, s.markedRest = last, nil, ""
}

// readName is the way of a name that was not foreseen.
func (s *shape) readName(w *walker, i int) (slot, int, error) {
	if w.in[i] != '"' {
		return slot{}, i, w.syntax(i, "name expected")
	}
	end, escaped, err := w.str(i)
	if err != nil {
		return slot{}, i, err
	}
	if end-i-2 > w.lim.Name {
		return slot{}, i, w.limit(i, "length of a name", w.lim.Name)
	}
	after, err := w.ws(end)
	if err != nil {
		return slot{}, i, err
	}
	if w.in[after] != ':' {
		return slot{}, i, w.syntax(after, "colon expected")
	}
	name := w.in[i+1 : end-1]
	if escaped {
		w.name = appendDecoded(w.name[:0], w.in[i:end])
		name = w.name
	}
	if m := s.index[string(name)]; m != nil {
		s.follow(m)
		return m.slot, after + 1, s.mark(w, i, m.stamp)
	}
	w.fold = resource.AppendFold(w.fold[:0], name)
	sl := w.resolve(&s.table, name, w.fold)
	if sl.folded {
		stamp, ok := s.groups[string(w.fold)]
		if !ok {
			stamp = s.stamp()
			s.groups[string(w.fold)] = stamp
		}
		err = s.mark(w, i, stamp)
	}
	if s.learn && s.size < maxLearned && w.learned < maxLearnedAll && len(name) <= maxLearnedName {
		w.learned++
		m := s.add(sl, w.in[i:end], string(name), w.fold)
		if !sl.folded {
			err = s.mark(w, i, m.stamp)
		}
		s.follow(m)
		return sl, after + 1, err
	}
	if _, ok := s.rest[string(name)]; ok && err == nil {
		err = w.syntax(i, "duplicate name")
	}
	s.markedRest = string(name)
	if !sl.folded {
		s.marked = nil
	}
	s.rest[s.markedRest] = struct{}{}
	return sl, after + 1, err
}

// stamp makes a stamp, which stays where it is.
func (s *shape) stamp() *uint32 {
	if len(s.stamps) == 0 {
		s.stamps = make([]uint32, 32)
		s.all = append(s.all, s.stamps)
	}
	p := &s.stamps[0]
	s.stamps = s.stamps[1:]
	return p
}

// add learns a name.
func (s *shape) add(sl slot, raw []byte, name string, folded []byte) *entry {
	m := s.enter(sl)
	m.raw = s.keep(raw, ":")
	switch {
	case sl.folded:
		m.stamp, m.gate = s.groups[string(folded)], shut
	case m.gate == shut:
		m.stamp = s.stamp()
	default:
		m.stamp = &m.gate
	}
	s.index[name] = m
	return m
}
