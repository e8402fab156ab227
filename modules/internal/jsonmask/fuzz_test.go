// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package jsonmask

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/crmgate/crmgate/policy/plan"
)

// FuzzMasker holds the masker to the oracle for hostile bodies and random plans.
func FuzzMasker(f *testing.F) {
	for name := range shapes {
		in, err := os.ReadFile(filepath.Join(shapesDir, name+".in.json"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(in, uint64(1))
	}
	for seed := range uint64(50) {
		g := newGenerator(seed)
		f.Add([]byte(g.document(g.plan.Root)), seed)
	}
	f.Fuzz(func(t *testing.T, doc []byte, seed uint64) {
		if len(doc) > 1<<16 || bytes.HasPrefix(doc, []byte("\xEF\xBB\xBF")) {
			return
		}
		g := newGenerator(seed)
		m := New(g.plan, viewer, Limits{})
		// Behind a document that fits the plan comes the hostile one, twice, as
		// what it left behind may help the second time, and then almost the same.
		for k, doc := range [][]byte{[]byte(g.document(g.plan.Root)), doc, doc, []byte(g.damage(string(doc) + " "))} {
			fault := compare(m, g.plan, doc, g.Rand)
			var le *LimitError
			if fault != "" && !errors.As(m.err, &le) && !strings.Contains(fault, "exceeded max depth") {
				t.Fatalf("plan %d, document %d\n%s\n%s", seed, k, doc, fault)
			}
		}
	})
}

// TestCanariesStayHidden plants values that nobody may see, in every shape that
// a field can have, and looks for them in the output.
func TestCanariesStayHidden(t *testing.T) {
	const canary = "CANARY"
	for seed := range uint64(3000) {
		g := newGenerator(seed)
		secret := &plan.Treatment{Field: "secret", Effect: plan.Effect(2 + g.IntN(2))}
		plant(g.plan.Fallback, secret)
		visit(g.plan.Root, map[*plan.Node]bool{}, func(e *plan.Entity) { plant(e, secret) })
		doc := g.document(g.plan.Root)
		for _, value := range []string{`"CANARY"`, `["CANARY",{"x":"CANARY"}]`, `{"CANARY":"CANARY"}`, `"x\u0043ANARY"`} {
			planted := strings.ReplaceAll(doc, `"Status":`, `"`+[]string{"Secret", "SECRET", "s_ecret", `\u0053ecret`}[g.IntN(4)]+`":`+value+`,"Status":`)
			got, err := New(g.plan, viewer, Limits{}).Append(nil, []byte(planted))
			if err == nil && bytes.Contains(got, []byte(canary)) {
				t.Fatalf("plan %d: a secret is shown\n%s\n%s", seed, planted, got)
			}
		}
	}
}

func plant(e *plan.Entity, t *plan.Treatment) {
	if e != nil {
		e.Fields["secret"] = t
	}
}

// visit calls f for every entity that a tree names.
func visit(n *plan.Node, seen map[*plan.Node]bool, f func(*plan.Entity)) {
	if n == nil || seen[n] {
		return
	}
	seen[n] = true
	f(n.Entity)
	visit(n.Elements, seen, f)
	for _, m := range n.Members {
		visit(m, seen, f)
	}
	if n.Record != nil {
		f(n.Record.Entity)
		for _, m := range n.Record.Nested {
			visit(m, seen, f)
		}
	}
	if n.Pairs != nil {
		for _, m := range n.Pairs.Nested {
			visit(m, seen, f)
		}
	}
	if n.Matrix != nil {
		f(n.Matrix.Entity)
	}
}
