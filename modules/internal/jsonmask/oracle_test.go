// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package jsonmask

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/crmgate/crmgate/policy/mask"
	"github.com/crmgate/crmgate/policy/plan"
	"github.com/crmgate/crmgate/policy/resource"
)

// tree is a decoded value: the slow and obvious picture the masker is held to.
type tree struct {
	kind  byte // { [ " 0 t f n
	text  string
	names []string
	kids  []*tree
}

var (
	errOracleShape = errors.New("oracle: shape")
	errOracleNames = errors.New("oracle: two spellings of a name")
)

// parse decodes strict JSON with another reader than the masker's own.
func parse(doc []byte) (*tree, error) {
	d := jsontext.NewDecoder(bytes.NewReader(doc))
	t, err := parseValue(d)
	if err != nil {
		return nil, err
	}
	if _, err := d.ReadToken(); err != io.EOF {
		return nil, errors.New("oracle: bytes behind the value")
	}
	return t, nil
}

func parseValue(d *jsontext.Decoder) (*tree, error) {
	tok, err := d.ReadToken()
	if err != nil {
		return nil, err
	}
	t := &tree{kind: byte(tok.Kind())}
	switch t.kind {
	case '"', '0':
		t.text = tok.String()
	case '{', '[':
		for byte(d.PeekKind()) != t.kind+2 {
			if t.kind == '{' {
				name, err := d.ReadToken()
				if err != nil {
					return nil, err
				}
				t.names = append(t.names, name.String())
			}
			kid, err := parseValue(d)
			if err != nil {
				return nil, err
			}
			t.kids = append(t.kids, kid)
		}
		_, err = d.ReadToken()
	}
	return t, err
}

func (t *tree) String() string {
	var b strings.Builder
	t.write(&b)
	return b.String()
}

func (t *tree) write(b *strings.Builder) {
	switch t.kind {
	case '"':
		b.Write(appendQuoted(nil, []byte(t.text)))
	case '0':
		b.WriteString(t.text)
	case 't', 'f', 'n':
		b.WriteString(map[byte]string{'t': "true", 'f': "false", 'n': "null"}[t.kind])
	default:
		b.WriteByte(t.kind)
		for i, k := range t.kids {
			if i > 0 {
				b.WriteByte(',')
			}
			if t.kind == '{' {
				b.Write(appendQuoted(nil, []byte(t.names[i])))
				b.WriteByte(':')
			}
			k.write(b)
		}
		b.WriteByte(t.kind + 2)
	}
}

func null() *tree            { return &tree{kind: 'n'} }
func text(s string) *tree    { return &tree{kind: '"', text: s} }
func fold(s string) string   { return resource.Fold(s) }
func (t *tree) scalar() bool { return t.kind != '{' && t.kind != '[' }

// oracle applies a plan to trees.
type oracle struct {
	p       *plan.Plan
	c       *config
	v       *plan.Viewer
	level   int
	pending bool
	counts  []map[string]int // records kept, by open scope
	totals  [][]pendingTotal // by open scope
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
}

type oracleRecord struct {
	r    *plan.Record
	mine []bool // for every owner named
}

func runOracle(p *plan.Plan, v *plan.Viewer, doc []byte) (*tree, error) {
	t, err := parse(doc)
	if err != nil {
		return nil, err
	}
	c := newConfig(p)
	o := &oracle{p: p, c: c, v: v, pending: c.single}
	root := p.Root
	if root == nil {
		root = &plan.Node{}
	}
	o.open()
	out, keep, err := o.node(t, root, where{ent: c.fallback, single: true})
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
	case n.Total != "" && (t.kind == '"' || t.kind == '0'):
		return o.total(t, n.Total), true, nil
	case special:
		return o.always(o.misplaced(t, w))
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
	kept := 0
	for _, c := range o.counts {
		kept += c[r.Set]
	}
	rows := r.Rows
	blind := filtered(rows) && (rows.Scope == plan.None || o.v == nil || len(rows.Owner) == 0)
	if blind || o.p.MaxRows > 0 && kept >= o.p.MaxRows {
		return o.dropped(r, w)
	}
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
	switch max(t.Effect, w.floor) {
	case plan.Hide:
		return nil, false, nil
	case plan.Mask:
		return masked(k, t), true, nil
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

func masked(k *tree, t *plan.Treatment) *tree {
	switch {
	case k.kind == 'n', k.kind == '"' && k.text == "":
		return k
	case k.kind == '"' && !t.Mask.Null():
		return text(string(t.Mask.AppendString(nil, k.text)))
	case k.kind == '0':
		out, err := parse(t.Mask.Number([]byte(k.text)))
		if err != nil {
			panic(err)
		}
		return out
	}
	return null()
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
			out, _ := mask.Detect(nil, []byte(k.text))
			return text(string(out)), nil
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
	switch {
	case w.treat.Effect < plan.Mask || !k.scalar():
		return o.shown(k, w)
	case w.treat.Effect == plan.Mask:
		return masked(k, w.treat), nil
	}
	return null(), nil
}

func isPairOf(k *tree, p *plan.Pairs) bool {
	var name, value bool
	for _, n := range k.names {
		n = fold(n)
		switch {
		case slices.Contains(p.Name, n):
			name = true
		case slices.Contains(p.Value, n), p.Nested[n] != nil:
			value = true
		}
	}
	return name && value
}

// spelledTwice holds for an object that was read as a pair, and found to be none.
func spelledTwice(k *tree, w where) bool {
	seen := map[string]bool{}
	for _, n := range k.names {
		n = fold(n)
		if pairStrict(n, w) && seen[n] {
			return true
		}
		seen[n] = true
	}
	return false
}

func pairStrict(n string, w where) bool {
	return slices.Contains(w.pairs.Name, n) || slices.Contains(w.pairs.Value, n) || w.pairs.Nested[n] != nil || notShown(w.ent, n)
}

func (o *oracle) pair(k *tree, w where) (*tree, bool, error) {
	p := w.pairs
	var t *plan.Treatment
	owner := false
	for i, n := range k.names {
		if !slices.Contains(p.Name, fold(n)) {
			continue
		}
		var s *plan.Treatment
		switch v := k.kids[i]; {
		case v.kind == '0' || v.kind == '"' && fold(v.text) != "":
			s = o.treat(w.ent, v.text)
			owner = owner || isOwner(w.rec, fold(v.text))
		case v.kind == 'n' || v.kind == '"':
			continue
		default:
			s = nameless
		}
		if t == nil || s.Effect > t.Effect || s.Effect == t.Effect && t.Text == nil && s.Text != nil {
			t = s
		}
	}
	if t == nil {
		t = nameless
	}
	effect := max(t.Effect, w.floor)
	if owner {
		for i, n := range k.names {
			if slices.Contains(p.Value, fold(n)) && !slices.Contains(p.Name, fold(n)) {
				o.owner(w.rec, k.kids[i])
			}
		}
	}
	in := inside(t, w)
	out, err := o.object(k, func(f string) bool { return pairStrict(f, w) }, func(_, f string, v *tree) (*tree, bool, error) {
		nested := p.Nested[f]
		switch {
		case effect == plan.Hide, slices.Contains(p.Name, f):
			return v, true, nil
		case slices.Contains(p.Value, f) && effect == plan.Mask, nested != nil && effect == plan.Mask:
			return masked(v, t), true, nil
		case nested != nil && (v.kind == '[' || !slices.Contains(p.Value, f)):
			return o.element(v, nested, in)
		case slices.Contains(p.Value, f):
			return o.always(o.shown(v, in))
		}
		if own := w.ent.Fields[f]; own != nil && own.Effect >= plan.Mask {
			return o.treated(v, own, w)
		}
		w := w
		w.pairs = nil
		other := &plan.Treatment{}
		if effect == plan.Mask || w.floor == plan.Detect || w.ent.Unknown == nil || w.ent.Unknown.Effect != plan.Show {
			other.Effect = plan.Detect
		}
		return o.always(o.shown(v, inside(other, w)))
	})
	return out, effect != plan.Hide, err
}

func (o *oracle) total(t *tree, set string) *tree {
	out := &tree{kind: t.kind, text: t.text}
	if o.c.rowed[o.c.sets[set]] {
		n := len(o.totals) - 1
		o.totals[n] = append(o.totals[n], pendingTotal{out, set})
	} else if n, err := strconv.ParseFloat(t.text, 64); o.p.MaxRows > 0 && (err != nil || n > float64(o.p.MaxRows)) {
		out.text = strconv.Itoa(o.p.MaxRows)
	}
	return out
}

func (o *oracle) matrix(t *tree, m *plan.Matrix, w where) (*tree, error) {
	if m.Entity != nil {
		w.ent = m.Entity
	}
	names, fixed := m.Columns, true
	rows := func(t *tree) (*tree, error) {
		if t.kind == 'n' {
			return t, nil
		}
		if t.kind != '[' || names == nil {
			return nil, errOracleShape
		}
		return o.each(t, func(r *tree) (*tree, bool, error) {
			if r.kind == 'n' {
				return r, true, nil
			}
			if r.kind != '[' || len(r.kids) > len(names) {
				return nil, false, errOracleShape
			}
			i := -1
			return o.always(o.each(r, func(k *tree) (*tree, bool, error) {
				i++
				w := w
				w.single = false
				out, keep, err := o.treated(k, o.treat(w.ent, names[i]), w)
				if !keep && fixed && err == nil {
					return null(), true, nil
				}
				return out, keep, err
			}))
		})
	}
	if m.Rows == "" {
		return rows(t)
	}
	for i, n := range t.names {
		if fold(n) != m.At || t.kids[i].kind == 'n' {
			continue
		}
		if t.kids[i].kind != '[' {
			return nil, errOracleShape
		}
		names, fixed = []string{}, false
		for _, c := range t.kids[i].kids {
			if c.kind != '"' {
				return nil, errOracleShape
			}
			names = append(names, c.text)
		}
		break
	}
	return o.object(t, func(f string) bool { return f == m.At || f == m.Rows || notShown(w.ent, f) }, func(name, f string, k *tree) (*tree, bool, error) {
		switch {
		case f == m.At && k.kind == 'n':
			return k, true, nil
		case f == m.At:
			return o.always(o.each(k, func(c *tree) (*tree, bool, error) {
				return c, o.treat(w.ent, c.text).Effect != plan.Hide, nil
			}))
		case f == m.Rows:
			return o.always(rows(k))
		}
		return o.treated(k, o.treat(w.ent, name), w)
	})
}

func (o *oracle) embedded(k *tree, w where) (*tree, error) {
	if k.text == "" {
		return k, nil
	}
	if o.level >= maxText {
		return text(mask.FullText), nil
	}
	var out *tree
	var keep bool
	t, err := parse([]byte(k.text))
	if err == nil {
		in := &oracle{p: o.p, c: o.c, v: o.v, level: o.level + 1}
		in.open()
		out, keep, err = in.node(t, w.treat.Text, where{ent: w.ent})
		if err == nil {
			in.close(true)
		}
	}
	switch {
	case err == nil && !keep:
		return null(), nil
	case err == nil:
		return text("\x00json" + out.String()), nil
	case looksLikeJSON([]byte(k.text)):
		return text(mask.FullText), nil
	}
	found, _ := mask.Detect(nil, []byte(k.text))
	return text(string(found)), nil
}

// equal compares trees. A document in a string is compared as a document.
func equal(want, got *tree) bool {
	if inner, ok := strings.CutPrefix(want.text, "\x00json"); ok && got.kind == '"' {
		a, errA := parse([]byte(inner))
		b, errB := parse([]byte(got.text))
		return errA == nil && errB == nil && equal(a, b)
	}
	if want.kind != got.kind || want.text != got.text || !slices.Equal(want.names, got.names) || len(want.kids) != len(got.kids) {
		return false
	}
	for i := range want.kids {
		if !equal(want.kids[i], got.kids[i]) {
			return false
		}
	}
	return true
}
