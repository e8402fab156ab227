// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package jsonmask

import (
	"encoding/base64"
	"slices"
	"strconv"
	"strings"

	"github.com/crmgate/crmgate/modules/internal/textform"
	"github.com/crmgate/crmgate/policy/mask"
	"github.com/crmgate/crmgate/policy/plan"
)

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
		if effect == plan.Hide && !slices.Contains(p.Name, f) && (slices.Contains(p.Value, f) || nested != nil) {
			o.secret(v, t, true)
		}
		switch {
		case effect == plan.Hide, slices.Contains(p.Name, f) && v.scalar():
			return v, true, nil
		case slices.Contains(p.Name, f):
		case slices.Contains(p.Value, f) && effect == plan.Mask, nested != nil && effect == plan.Mask:
			return o.masked(v, t), true, nil
		case nested != nil && (v.kind == '[' || !slices.Contains(p.Value, f)):
			return o.element(v, nested, in)
		case slices.Contains(p.Value, f):
			return o.always(o.shown(v, in))
		}
		if own := w.ent.Fields[f]; own != nil && !slices.Contains(p.Name, f) && own.Effect >= plan.Mask {
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
			if kept := 0; o.p.MaxRows > 0 {
				for _, c := range o.counts {
					kept += c[m.Set]
				}
				if kept >= o.p.MaxRows {
					o.drops++
					return nil, false, nil
				}
				o.counts[len(o.counts)-1][m.Set]++
			}
			if r.kind == 'n' {
				return r, true, nil
			}
			if r.kind != '[' || len(r.kids) > len(names) {
				return nil, false, errOracleShape
			}
			row := func() (*tree, bool, error) {
				i := -1
				return o.always(o.each(r, func(k *tree) (*tree, bool, error) {
					i++
					w := w
					w.single, w.frame = false, false
					out, keep, err := o.treated(k, o.treat(w.ent, names[i]), w)
					if !keep && fixed && err == nil {
						return null(), true, nil
					}
					return out, keep, err
				}))
			}
			if w.frame {
				return o.unit(row)
			}
			return row()
		})
	}
	if m.Rows == "" {
		return rows(t)
	}
	for i, n := range t.names {
		if m.At == "" || fold(n) != m.At || t.kids[i].kind == 'n' {
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
	return o.object(t, func(f string) bool { return f != "" && (f == m.At || f == m.Rows) || notShown(w.ent, f) }, func(name, f string, k *tree) (*tree, bool, error) {
		switch {
		case f == "":
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
	doc, form := []byte(k.text), w.treat.Text.Form
	if form != nil {
		var ok bool
		if doc, ok = textform.Open(form, doc); !ok {
			return text(mask.FullText), nil
		}
	}
	t, err := parse(doc)
	for in := t; form == nil && err == nil && in.kind == '"'; {
		if looksLikeJSON([]byte(in.text)) {
			return text(mask.FullText), nil
		}
		next, err := parse([]byte(in.text))
		if err != nil {
			break
		}
		in = next
	}
	if err == nil {
		in := &oracle{p: o.p, c: o.c, v: o.v, pushed: o.pushed, level: o.level + 1, heard: &hearing{on: o.heard.on, known: o.heard.known, armed: o.heard.armed, busy: true}}
		in.open()
		out, keep, err = in.node(t, w.treat.Text, where{ent: w.ent})
		if err == nil {
			in.close(true)
			o.drops += in.drops
			o.heard.secrets = append(o.heard.secrets, in.heard.secrets...)
		}
	}
	switch {
	case form != nil:
		return formed(form, k.text, out, err == nil && keep), nil
	case err == nil && !keep:
		return null(), nil
	case err == nil:
		return text("\x00json" + out.String()), nil
	case looksLikeJSON([]byte(k.text)):
		return text(mask.FullText), nil
	}
	found, _ := o.heard.search([]byte(k.text))
	return text(string(found)), nil
}

// formed is a text of a form that holds what out says.
func formed(f *plan.Form, was string, out *tree, ok bool) *tree {
	if ok {
		_, ok = textform.Close(f, []byte(was), []byte(strings.ReplaceAll(out.String(), "\\u0000json", "")))
	}
	if !ok {
		return text(mask.FullText)
	}
	plain, _ := base64.RawStdEncoding.DecodeString(strings.NewReplacer("-", "+", "_", "/", "=", "").Replace(was))
	document := f.Base64 && strings.IndexAny(strings.TrimLeft(string(plain), " \t\r\n\uFEFF"), "[{") == 0
	if out.kind == '[' && !document { // what is gone is not there, and what is null is empty
		left := &tree{kind: '['}
		for _, k := range out.kids {
			switch {
			case k.kind == 'n':
				left.kids = append(left.kids, text(""))
			case k.kind == '{' && len(k.kids) == 1 && k.kids[0].kind == 'n':
				left.kids = append(left.kids, &tree{kind: '{', names: k.names, kids: []*tree{text("")}})
			case k.kind != '{' || len(k.kids) > 0:
				left.kids = append(left.kids, k)
			}
		}
		if len(left.kids) == 0 {
			left.kids = []*tree{text("")}
		}
		out = left
	}
	return &tree{kind: '"', form: f, kids: []*tree{out}}
}

func (o *oracle) masked(k *tree, t *plan.Treatment) *tree {
	o.secret(k, t, false)
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
