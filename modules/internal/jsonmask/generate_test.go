// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package jsonmask

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/crmgate/crmgate/policy/mask"
	"github.com/crmgate/crmgate/policy/plan"
)

func compiled(s mask.Spec) *mask.Func {
	f, err := mask.Compile(s, []byte("0123456789abcdef"))
	if err != nil {
		panic(err)
	}
	return f
}

// generator makes random plans and documents that mostly fit them.
type generator struct {
	*rand.Rand
	plan    *plan.Plan
	regular bool // documents are written without blanks and escapes, names in one order
}

var (
	genNames = []string{"Phone", "phone", "PAN", "Notes", "Owner_Id", "OwnerId", "Leads", "Total", "Attribute", "Value", "Sub", "Name", "Status", "x", "Doc", "9876543210", "é", "mx_A"}
	genTexts = []string{
		"", "u1", "{U-1}", "u2", "u3", "hello", "call 98765 43210", "+919876543210", "Phone", "PAN", "Owner Id", "Notes", "Doc", "é\"\\\n\u2028", "2024-01-02", "asha@example.in", "3", `{"Phone":"+919876543210","x":[1]}`, `{"Phone":"a","Phone":"b"}`, `{"Doc":"{\"Phone\":\"1234567\"}"}`, "{next}Id{=}u1", "[1,", "call{next}Phone{=}+919876543210{next}Doc{=}x{=}7654321", "Phone=%2B91+98765&x=asha%40example.in&Notes", "eyJQaG9uZSI6IjEyMzQ1Njc4OTAiLCJ4IjpbMV19",
		"Meera Nair", "met MEERA NAIR.", "xMeera Nair", "<b>Meera</b> Nair", "Meera\\Nair \"x\"", "a Meera\\nair \"X\"", "TWVlcmEgTmFpciBub3cuIQ==", "no 7654321", "765-4321", "ref45678.9",
	}
	genValues = []string{"0", "-1.5e3", "9007199254740993", "9876543210", "true", "false", "null", "45678.9", "12", "7654321", "7.654321e6", "-7654321.0", "1e9", "4111111111111111"}
)

func pick[T any](g *generator, list ...T) T { return list[g.IntN(len(list))] }

func (g *generator) treatment(field string) *plan.Treatment {
	t := &plan.Treatment{Field: field, Effect: plan.Effect(g.IntN(4))}
	if t.Effect == plan.Mask {
		t.Mask = pick(g, nil, compiled(mask.Spec{Fn: "full"}), compiled(mask.Spec{Fn: "phone"}), compiled(mask.Spec{Fn: "null"}), compiled(mask.Spec{Fn: "round", Step: 1000}))
	}
	return t
}

func (g *generator) entity() *plan.Entity {
	e := &plan.Entity{Name: "e", Fields: map[string]*plan.Treatment{}, Unknown: g.treatment("")}
	if g.IntN(3) > 0 {
		e.Unknown = &plan.Treatment{Effect: plan.Effect(g.IntN(2))}
	}
	for _, n := range genNames {
		if g.IntN(3) == 0 {
			e.Fields[fold(n)] = g.treatment(fold(n))
		}
	}
	if g.IntN(2) == 0 {
		e.Fields["doc"] = &plan.Treatment{Field: "doc", Effect: plan.Effect(g.IntN(2)), Text: &plan.Node{Entity: pick(g, nil, e)}}
		if g.IntN(2) == 0 {
			e.Fields["doc"].Text.Record = &plan.Record{Entity: e, Rows: g.rows()}
			e.Fields["doc"].Text.Entity = nil
		}
		if g.IntN(3) == 0 {
			e.Fields["doc"].Text = &plan.Node{Entity: e, Form: pick(g, &plan.Form{Base64: true}, &plan.Form{Between: "&", Is: "=", Escaped: true}, &plan.Form{Between: "{next}", Is: "{=}"})}
		}
	}
	return e
}

func (g *generator) rows() *plan.Rows {
	if g.IntN(2) == 0 {
		return nil
	}
	return &plan.Rows{Scope: plan.Scope(g.IntN(4)), Owner: pick(g, []string{"ownerid"}, []string{"ownerid", "name"}, nil)}
}

func (g *generator) node(depth int) *plan.Node {
	n := &plan.Node{}
	if g.IntN(4) == 0 {
		n.Entity = g.entity()
	}
	kinds := 9
	if depth <= 0 {
		kinds = 5
	}
	switch g.IntN(kinds) {
	case 0:
	case 1:
		n.Total = pick(g, "a", "b")
	case 2:
		n.Matrix = &plan.Matrix{Columns: pick(g, nil, []string{"Phone", "x", "PAN"}), At: pick(g, "", "name"), Rows: pick(g, "", "value", "value"), Set: pick(g, "a", "b"), Entity: pick(g, nil, g.entity())}
	case 3:
		n.Pairs = &plan.Pairs{Name: pick(g, []string{"attribute"}, []string{"attribute", "name"}), Value: pick(g, []string{"value"}, []string{"value", "x"})}
		if depth > 0 {
			n.Pairs.Nested = map[string]*plan.Node{pick(g, "sub", "value"): pick(g, &plan.Node{Pairs: n.Pairs}, g.node(depth-1))}
		}
	case 4:
		n.Fields = true
	case 5, 6:
		n.Record = &plan.Record{Entity: pick(g, nil, g.entity()), Set: pick(g, "a", "b"), Rows: g.rows(), Scalar: g.IntN(6) == 0, Free: g.IntN(5) == 0}
		for range g.IntN(3) {
			if n.Record.Nested == nil {
				n.Record.Nested = map[string]*plan.Node{}
			}
			n.Record.Nested[fold(pick(g, genNames...))] = g.node(depth - 1)
		}
	case 7:
		n.Elements = g.node(depth - 1)
		n.Keyed = g.IntN(3) == 0
	case 8:
		n.Members = map[string]*plan.Node{}
		for range 1 + g.IntN(4) {
			n.Members[fold(pick(g, genNames...))] = g.node(depth - 1)
		}
		if g.IntN(4) == 0 {
			n.Elements, n.Keyed = g.node(depth-1), true
		}
	}
	return n
}

func newGenerator(seed uint64) *generator {
	g := &generator{Rand: rand.New(rand.NewPCG(seed, 7))}
	g.regular = g.IntN(2) == 0
	g.plan = &plan.Plan{Fallback: g.entity(), MaxRows: pick(g, 0, 0, 0, 1, 2)}
	if g.IntN(10) > 0 {
		g.plan.Root = g.node(3)
		asides(rand.New(rand.NewPCG(seed, 8)), g.plan.Root, map[*plan.Node]bool{})
	}
	return g
}

// asides makes links and cursors of some nodes that say nothing.
func asides(r *rand.Rand, n *plan.Node, seen map[*plan.Node]bool) {
	if n == nil || seen[n] {
		return
	}
	seen[n] = true
	if plain(n) && bare(n) {
		n.Link, n.Cursor = r.IntN(3) == 0, r.IntN(3) == 0
	}
	asides(r, n.Elements, seen)
	for _, name := range slices.Sorted(maps.Keys(n.Members)) {
		asides(r, n.Members[name], seen)
	}
	if n.Record != nil {
		for _, name := range slices.Sorted(maps.Keys(n.Record.Nested)) {
			asides(r, n.Record.Nested[name], seen)
		}
	}
	if n.Pairs != nil {
		for _, name := range slices.Sorted(maps.Keys(n.Pairs.Nested)) {
			asides(r, n.Pairs.Nested[name], seen)
		}
	}
}

// document writes a document; mostly one that fits the node.
func (g *generator) document(n *plan.Node) string {
	var b strings.Builder
	g.space(&b)
	g.value(&b, n, 5)
	g.space(&b)
	return b.String()
}

func (g *generator) space(b *strings.Builder) {
	if !g.regular && g.IntN(4) == 0 {
		b.WriteString(pick(g, " ", "\n", "\t ", "  \r\n"))
	}
}

func (g *generator) text(b *strings.Builder, s string) {
	if g.regular || g.IntN(6) > 0 {
		b.Write(appendQuoted(nil, []byte(s)))
		return
	}
	b.WriteByte('"')
	for _, r := range s {
		if r < 0x10000 && g.IntN(2) == 0 {
			fmt.Fprintf(b, pick(g, `\u%04x`, `\u%04X`), r)
		} else {
			q := appendQuoted(nil, []byte(string(r)))
			b.Write(q[1 : len(q)-1])
		}
	}
	b.WriteByte('"')
}

func (g *generator) object(b *strings.Builder, names []string, kid func(name string)) {
	b.WriteByte('{')
	g.space(b)
	used := map[string]bool{}
	for _, n := range names {
		if used[n] && g.IntN(60) > 0 {
			continue
		}
		if len(used) > 0 {
			b.WriteByte(',')
			g.space(b)
		}
		used[n] = true
		g.text(b, n)
		g.space(b)
		b.WriteByte(':')
		g.space(b)
		kid(n)
		g.space(b)
	}
	b.WriteByte('}')
}

func (g *generator) array(b *strings.Builder, n int, kid func()) {
	b.WriteByte('[')
	g.space(b)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
			g.space(b)
		}
		kid()
		g.space(b)
	}
	b.WriteByte(']')
}

// spell writes a folded name in one of the ways it is met.
func (g *generator) spell(folded string) string {
	for _, n := range genNames {
		if fold(n) == folded && g.IntN(2) == 0 {
			return n
		}
	}
	return pick(g, folded, strings.ToUpper(folded))
}

func (g *generator) names(extra int, more ...string) []string {
	out := append([]string{}, more...)
	for range g.IntN(extra + 1) {
		out = append(out, pick(g, genNames...))
	}
	if g.regular {
		slices.Sort(out)
	} else {
		g.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	}
	return out
}

func (g *generator) value(b *strings.Builder, n *plan.Node, depth int) {
	if n == nil || depth <= 0 || g.IntN(25) == 0 {
		g.any(b, depth)
		return
	}
	switch {
	case n.Record != nil && n.Record.Scalar:
		g.text(b, pick(g, genTexts...))
	case n.Record != nil:
		more := []string{}
		for _, m := range slices.Sorted(maps.Keys(n.Record.Nested)) {
			more = append(more, g.spell(m))
		}
		if g.IntN(4) > 0 {
			more = append(more, "OwnerId")
		}
		g.object(b, g.names(4, more...), func(name string) {
			if fold(name) == "ownerid" {
				g.text(b, pick(g, "u1", "U-1", "u2", "u3", ""))
				return
			}
			g.value(b, n.Record.Nested[fold(name)], depth-1)
		})
	case n.Pairs != nil:
		g.array(b, g.IntN(4), func() { g.pair(b, n.Pairs, depth-1) })
	case n.Fields:
		g.object(b, g.names(4, "OwnerId"), func(string) { g.any(b, depth-1) })
	case n.Total != "":
		b.WriteString(pick(g, "17", `"3"`, "0", "1.5", "null"))
	case n.Matrix != nil:
		g.matrix(b, n.Matrix, depth-1)
	case n.Elements != nil && !n.Keyed:
		g.array(b, g.IntN(5), func() { g.value(b, n.Elements, depth-1) })
	case n.Keyed || n.Members != nil:
		more := []string{}
		for _, m := range slices.Sorted(maps.Keys(n.Members)) {
			more = append(more, g.spell(m))
		}
		g.object(b, g.names(3, more...), func(name string) {
			if m := n.Members[fold(name)]; m != nil {
				g.value(b, m, depth-1)
			} else {
				g.value(b, n.Elements, depth-1)
			}
		})
	default:
		g.any(b, depth-1)
	}
}

func (g *generator) pair(b *strings.Builder, p *plan.Pairs, depth int) {
	more := []string{"Attribute", "Value"}
	for m := range p.Nested {
		if g.IntN(3) == 0 {
			more = append(more, m)
		}
	}
	g.object(b, g.names(2, more...), func(name string) {
		switch f := fold(name); {
		case f == "attribute" || f == "name":
			if g.IntN(20) == 0 {
				g.any(b, 1)
			} else {
				g.text(b, pick(g, genNames...))
			}
		case p.Nested[f] != nil && g.IntN(2) == 0:
			g.value(b, p.Nested[f], depth-1)
		case g.IntN(5) == 0 && depth > 0:
			g.array(b, g.IntN(3), func() { g.pair(b, p, depth-1) })
		default:
			g.any(b, depth-1)
		}
	})
}

func (g *generator) matrix(b *strings.Builder, m *plan.Matrix, depth int) {
	width := g.IntN(4)
	rows := func() {
		g.array(b, g.IntN(3), func() {
			g.array(b, max(0, width-g.IntN(2)), func() { g.any(b, depth-1) })
		})
	}
	if m.Rows == "" {
		rows()
		return
	}
	g.object(b, g.names(1, "Name", "Value"), func(name string) {
		switch fold(name) {
		case "name":
			g.array(b, width, func() { g.text(b, pick(g, genNames...)) })
		case "value":
			rows()
		default:
			g.any(b, depth-1)
		}
	})
}

// any writes a value of no declared shape.
func (g *generator) any(b *strings.Builder, depth int) {
	switch k := g.IntN(10); {
	case k < 5 || depth <= 0 && k < 7:
		g.text(b, pick(g, genTexts...))
	case k < 8 || depth <= 0:
		b.WriteString(pick(g, genValues...))
	case k == 8:
		g.array(b, g.IntN(4), func() { g.any(b, depth-1) })
	default:
		g.object(b, g.names(4), func(string) { g.any(b, depth-1) })
	}
}

// damage breaks a document, or leaves it.
func (g *generator) damage(doc string) string {
	switch g.IntN(12) {
	case 0:
		return doc[:g.IntN(len(doc))]
	case 1:
		i := g.IntN(len(doc))
		return doc[:i] + pick(g, ",", "}", "]", "\"", "\\", "\x00", "\xff", "1", " ", ":", `\ud800`) + doc[i:]
	case 2:
		i := g.IntN(len(doc))
		return doc[:i] + doc[i+1:]
	}
	return doc
}
