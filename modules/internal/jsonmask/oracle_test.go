// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package jsonmask

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/crmgate/crmgate/policy/mask"
	"github.com/crmgate/crmgate/policy/plan"
)

var (
	errOracleShape = errors.New("oracle: shape")
	errOracleNames = errors.New("oracle: two spellings of a name")
)

// oracle applies a plan to trees.
type oracle struct {
	p       *plan.Plan
	c       *config
	v       *plan.Viewer
	level   int
	pushed  bool // Limits.Pushed
	drops   int
	pending bool
	counts  []map[string]int // records kept, by open scope
	totals  [][]pendingTotal // by open scope
	heard   *hearing
}

type pendingTotal struct {
	t   *tree
	set string
}

// where is what a value has from where it stands.
type where struct {
	ent    *plan.Entity
	treat  *plan.Treatment
	floor  plan.Effect
	pairs  *plan.Pairs
	rec    *oracleRecord
	single bool
	frame  bool // what it holds is judged part by part
}

type oracleRecord struct {
	r    *plan.Record
	mine []bool // for every owner named
}

func runOracle(p *plan.Plan, v *plan.Viewer, doc []byte, pushed bool) (*tree, error) {
	t, err := parse(doc)
	if err != nil {
		return nil, err
	}
	c := newConfig(p)
	o := &oracle{p: p, c: c, v: v, pushed: pushed, pending: c.single}
	root := p.Root
	if root == nil {
		root = &plan.Node{}
	}
	o.heard = &hearing{on: c.echoes}
	o.open()
	out, keep, err := o.node(t, root, where{ent: c.fallback, single: true, frame: t.kind == '['})
	if err != nil {
		return nil, err
	}
	if !keep {
		return nil, ErrNotVisible
	}
	o.close(true)
	return out, nil
}

func (o *oracle) open() {
	o.counts = append(o.counts, map[string]int{})
	o.totals = append(o.totals, nil)
}

func (o *oracle) close(keep bool) {
	n := len(o.counts) - 1
	for _, t := range o.totals[n] {
		if o.pushed && o.drops == 0 {
			break
		}
		t.t.text = strconv.Itoa(o.counts[n][t.set])
	}
	if keep && n > 0 {
		for s, c := range o.counts[n] {
			o.counts[n-1][s] += c
		}
	}
	o.counts, o.totals = o.counts[:n], o.totals[:n]
}

func (o *oracle) node(t *tree, n *plan.Node, w where) (*tree, bool, error) {
	if n.Entity != nil {
		w.ent = n.Entity
	}
	w.treat, w.pairs = nil, nil
	w.single = w.single && !n.Keyed
	if t.kind == 'n' {
		return t, true, nil
	}
	special := n.Record != nil || n.Pairs != nil || n.Fields || n.Matrix != nil || n.Total != ""
	nothing := n.Members == nil && n.Elements == nil && !n.Keyed
	if w.frame || o.heard.whole() {
		w.frame = w.frame && (!special && (t.kind == '{' && (n.Members != nil || n.Keyed || nothing) || t.kind == '[' && (n.Elements != nil && !n.Keyed || nothing)) ||
			n.Record == nil && n.Pairs == nil && !n.Fields && n.Matrix != nil && n.Matrix.Rows == "" && t.kind == '[')
		if !w.frame {
			return o.unit(func() (*tree, bool, error) { return o.node(t, n, w) })
		}
	}
	switch {
	case n.Record != nil:
		return o.record(t, n.Record, w)
	case n.Pairs != nil && t.kind == '[':
		w.pairs = n.Pairs
		return o.always(o.each(t, func(k *tree) (*tree, bool, error) {
			switch k.kind {
			case 'n':
				return k, true, nil
			case '{':
				return o.pair(k, w)
			}
			return nil, false, errOracleShape
		}))
	case n.Fields && t.kind == '{':
		return o.always(o.fields(t, w, w.rec))
	case n.Matrix != nil && (t.kind == '[') == (n.Matrix.Rows == "") && !t.scalar():
		return o.always(o.matrix(t, n.Matrix, w))
	case n.Total != "" && t.kind == '"' && strings.Trim(t.text, "0123456789") != "":
		return nil, false, errOracleShape
	case n.Total != "" && (t.kind == '"' || t.kind == '0'):
		return o.total(t, n.Total), true, nil
	case special:
		return o.always(o.misplaced(t, w))
	case (n.Link || n.Cursor) && t.kind == '"':
		return o.aside(t, n, w), true, nil
	case t.kind == '{' && (n.Members != nil || n.Keyed || nothing):
		return o.always(o.members(t, n, w))
	case t.kind == '[' && (n.Elements != nil && !n.Keyed || nothing):
		w.single = false
		return o.always(o.each(t, func(k *tree) (*tree, bool, error) {
			if n.Elements == nil {
				return o.always(o.unnamed(k, w))
			}
			return o.element(k, n.Elements, w)
		}))
	case nothing:
		return o.always(o.unnamed(t, w))
	}
	return o.always(o.misplaced(t, w))
}

func (o *oracle) aside(t *tree, n *plan.Node, w where) *tree {
	out := t.text
	if w.ent.Unknown == nil || max(w.ent.Unknown.Effect, w.floor) > plan.Show {
		found, _ := o.heard.search([]byte(t.text))
		out = string(found)
	}
	if n.Link && out == t.text {
		out = linked(t.text)
	}
	return text(out)
}

// linked is where links lead in tests.
func linked(address string) string {
	if len(address)%3 == 0 {
		return address
	}
	return "gate:" + address
}

func (o *oracle) always(t *tree, err error) (*tree, bool, error) { return t, true, err }

func (o *oracle) element(t *tree, n *plan.Node, w where) (*tree, bool, error) {
	special := n.Record != nil || n.Pairs != nil || n.Fields || n.Matrix != nil || n.Total != ""
	if w.single || special {
		return o.node(t, n, w)
	}
	o.open()
	out, keep, err := o.node(t, n, w)
	o.close(keep)
	return out, keep, err
}

func (o *oracle) each(t *tree, f func(*tree) (*tree, bool, error)) (*tree, error) {
	out := &tree{kind: t.kind}
	for i, k := range t.kids {
		k, keep, err := f(k)
		if err != nil {
			return nil, err
		}
		if keep {
			out.kids = append(out.kids, k)
			if t.kind == '{' {
				out.names = append(out.names, t.names[i])
			}
		}
	}
	return out, nil
}

// object rewrites members; strict names may occur in one spelling only.
func (o *oracle) object(t *tree, strict func(folded string) bool, f func(name, folded string, k *tree) (*tree, bool, error)) (*tree, error) {
	seen := map[string]bool{}
	for _, n := range t.names {
		if n = fold(n); strict(n) && seen[n] {
			return nil, errOracleNames
		}
		seen[n] = true
	}
	i := -1
	return o.each(t, func(k *tree) (*tree, bool, error) {
		i++
		return f(t.names[i], fold(t.names[i]), k)
	})
}

func (o *oracle) treat(ent *plan.Entity, name string) *plan.Treatment {
	if t := ent.Fields[fold(name)]; t != nil {
		return t
	}
	t := ent.Unknown
	if t == nil {
		return closed.Unknown
	}
	if t.Effect == plan.Detect {
		if _, n := mask.Detect(nil, []byte(name)); n > 0 {
			return closed.Unknown
		}
	}
	return t
}

func notShown(ent *plan.Entity, folded string) bool {
	t := ent.Fields[folded]
	return t != nil && t.Effect != plan.Show
}

func isOwner(r *oracleRecord, folded string) bool {
	return r != nil && filtered(r.r.Rows) && r.r.Rows.Scope != plan.None && slices.Contains(r.r.Rows.Owner, folded)
}

// fields walks an object whose members are fields, of rec where it has owners.
func (o *oracle) fields(t *tree, w where, rec *oracleRecord) (*tree, error) {
	return o.object(t, func(f string) bool { return notShown(w.ent, f) || isOwner(rec, f) },
		func(name, folded string, k *tree) (*tree, bool, error) {
			if isOwner(rec, folded) {
				o.owner(rec, k)
			}
			return o.treated(k, o.treat(w.ent, name), w)
		})
}

func (o *oracle) members(t *tree, n *plan.Node, w where) (*tree, error) {
	return o.object(t, func(f string) bool {
		return n.Members[f] != nil || !wild(n, w.ent, f) && notShown(w.ent, f)
	}, func(name, folded string, k *tree) (*tree, bool, error) {
		if m := n.Members[folded]; m != nil {
			return o.element(k, m, w)
		}
		if wild(n, w.ent, folded) {
			return o.element(k, n.Elements, w)
		}
		return o.treated(k, o.treat(w.ent, name), w)
	})
}

// wild reports whether a name is an id of a keyed map, not a restricted field.
func wild(n *plan.Node, ent *plan.Entity, f string) bool {
	return n.Keyed && n.Elements != nil && (ent.Fields[f] == nil || ent.Fields[f].Effect < plan.Mask)
}

func (o *oracle) record(t *tree, r *plan.Record, w where) (*tree, bool, error) {
	if r.Entity != nil {
		w.ent = r.Entity
	}
	if r.Scalar != (t.kind == '"' || t.kind == '0') || !r.Scalar && t.kind != '{' {
		return o.always(o.misplaced(t, w))
	}
	kept, drops := 0, o.drops
	for _, c := range o.counts {
		kept += c[r.Set]
	}
	rows := r.Rows
	blind := filtered(rows) && (rows.Scope == plan.None || o.v == nil || len(rows.Owner) == 0)
	if blind || !r.Free && o.p.MaxRows > 0 && kept >= o.p.MaxRows {
		return o.dropped(r, w)
	}
	heard := len(o.heard.secrets)
	rec := &oracleRecord{r: r}
	out := t
	o.open()
	if !r.Scalar {
		var err error
		in := where{ent: w.ent, rec: rec}
		out, err = o.object(t, func(f string) bool { return notShown(w.ent, f) || isOwner(rec, f) || r.Nested[f] != nil },
			func(name, folded string, k *tree) (*tree, bool, error) {
				if isOwner(rec, folded) {
					o.owner(rec, k)
				}
				f := w.ent.Fields[folded]
				if n := r.Nested[folded]; n != nil && (f == nil || f.Effect < plan.Mask) {
					return o.element(k, n, in)
				}
				return o.treated(k, o.treat(w.ent, name), in)
			})
		if err != nil {
			return nil, false, err
		}
	}
	if filtered(rows) && (len(rec.mine) == 0 || slices.Contains(rec.mine, false)) {
		o.close(false)
		o.drops = drops
		o.heard.secrets = o.heard.secrets[:heard]
		return o.dropped(r, w)
	}
	o.close(true)
	o.counts[len(o.counts)-1][r.Set]++
	if w.single && filtered(rows) {
		o.pending = false
	}
	return out, true, nil
}

func (o *oracle) dropped(r *plan.Record, w where) (*tree, bool, error) {
	if w.single && o.pending && filtered(r.Rows) {
		return nil, false, ErrNotVisible
	}
	o.drops++
	return nil, false, nil
}

func (o *oracle) owner(rec *oracleRecord, k *tree) {
	id := strings.TrimSpace(k.text)
	switch {
	case k.kind == 'n', k.kind == '"' && id == "":
	case k.kind != '"' && k.kind != '0':
		rec.mine = append(rec.mine, false)
	default:
		ids := o.v.Own
		if rec.r.Rows.Scope == plan.Group {
			ids = o.v.Group
		}
		_, ok := ids[plan.FoldID(id)]
		rec.mine = append(rec.mine, ok && plan.FoldID(id) != "")
	}
}

func (o *oracle) misplaced(t *tree, w where) (*tree, error) {
	if t.kind != '{' || w.rec != nil || o.level > 0 {
		return nil, errOracleShape
	}
	if o.c.filters {
		for i, k := range t.kids {
			if _, ok := o.c.declared[fold(t.names[i])]; ok || !k.scalar() {
				return nil, errOracleShape
			}
		}
	}
	return o.fields(t, where{ent: o.c.fallback, floor: plan.Detect}, nil)
}

func (o *oracle) treated(k *tree, t *plan.Treatment, w where) (*tree, bool, error) {
	effect := max(t.Effect, w.floor)
	if w.frame && (k.scalar() || effect >= plan.Mask) {
		w.frame = false
		return o.unit(func() (*tree, bool, error) { return o.treated(k, t, w) })
	}
	switch effect {
	case plan.Hide:
		o.secret(k, t, true)
		return nil, false, nil
	case plan.Mask:
		return o.masked(k, t), true, nil
	}
	return o.always(o.shown(k, inside(t, w)))
}

func inside(t *plan.Treatment, w where) where {
	w.treat, w.single = t, false
	if t.Effect == plan.Detect && t.Field != "" {
		w.floor = plan.Detect
	}
	return w
}

func (o *oracle) shown(k *tree, w where) (*tree, error) {
	switch k.kind {
	case '{':
		if w.pairs != nil && isPairOf(k, w.pairs) {
			out, keep, err := o.pair(k, w)
			if !keep {
				out = null()
			}
			return out, err
		}
		w.treat = nil
		if w.pairs != nil && spelledTwice(k, w) {
			return nil, errOracleNames
		}
		return o.fields(k, w, nil)
	case '[':
		w.single = false
		return o.each(k, func(k *tree) (*tree, bool, error) { return o.always(o.unnamed(k, w)) })
	case '"':
		if w.treat.Text != nil {
			return o.embedded(k, w)
		}
		if max(w.treat.Effect, w.floor) == plan.Detect {
			out, _ := o.heard.search([]byte(k.text))
			return text(string(out)), nil
		}
	case '0':
		if max(w.treat.Effect, w.floor) == plan.Detect {
			return o.heard.number(k), nil
		}
	}
	return k, nil
}

func (o *oracle) unnamed(k *tree, w where) (*tree, error) {
	if w.treat == nil {
		w.treat = o.treat(w.ent, "")
		if w.ent.Fields[""] != nil {
			w.treat = w.ent.Unknown
		}
	}
	if w.frame && k.kind != '[' {
		w.frame = false
		out, _, err := o.unit(func() (*tree, bool, error) { return o.always(o.unnamed(k, w)) })
		return out, err
	}
	switch {
	case w.treat.Effect < plan.Mask || !k.scalar():
		return o.shown(k, w)
	case w.treat.Effect == plan.Mask:
		return o.masked(k, w.treat), nil
	}
	o.secret(k, w.treat, true)
	return null(), nil
}
