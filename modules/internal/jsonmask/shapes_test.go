// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package jsonmask

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/crmgate/crmgate/policy/mask"
	"github.com/crmgate/crmgate/policy/plan"
)

var update = flag.Bool("update", false, "write the expected outputs anew")

const shapesDir = "../../../testdata/json"

// crm is the table that the shapes are read by: telephone and e-mail masked,
// the PAN hidden, everything nobody declared searched.
var crm = func() *plan.Entity {
	phone := &plan.Treatment{Field: "phone", Effect: plan.Mask, Mask: compiled(mask.Spec{Fn: "phone"})}
	email := &plan.Treatment{Field: "email", Effect: plan.Mask, Mask: compiled(mask.Spec{Fn: "email"})}
	shown := func(f string) *plan.Treatment { return &plan.Treatment{Field: f} }
	return &plan.Entity{Name: "lead", Unknown: &plan.Treatment{Effect: plan.Detect}, Fields: map[string]*plan.Treatment{
		"phone": phone, "pphone": phone, "mobile": phone, "callerphone": phone, "emailaddress": email, "pemailaddress": email,
		"mxpan": {Field: "pan", Effect: plan.Hide}, "ownerid": shown("owner"), "owner": shown("owner"), "prospectid": shown("id"),
	}}
}()

func lists(owner string, nested map[string]*plan.Node, names ...string) *plan.Node {
	rec := &plan.Node{Record: &plan.Record{
		Entity: crm, Set: "records", Nested: nested,
		Rows: &plan.Rows{Scope: plan.Own, Owner: []string{owner}},
	}}
	if owner == "" {
		rec.Record.Rows = nil
	}
	if len(names) == 0 {
		return &plan.Node{Elements: rec}
	}
	return &plan.Node{Members: map[string]*plan.Node{"recordcount": {Total: "records"}, names[0]: {Elements: rec}}}
}

func pairsOf(name string, nested ...string) *plan.Node {
	p := &plan.Pairs{Name: []string{name}, Value: []string{"value"}}
	for _, n := range nested {
		p.Nested = map[string]*plan.Node{n: {Pairs: p}}
	}
	return &plan.Node{Pairs: p}
}

func one(owner string, nested map[string]*plan.Node) *plan.Node {
	return lists(owner, nested).Elements
}

// shapes are the response families of the CRM, by their name in testdata/json.
var shapes = map[string]*plan.Node{
	"RA": lists("ownerid", nil),
	"RB": lists("ownerid", map[string]*plan.Node{"leadpropertylist": pairsOf("attribute")}, "leads"),
	"RC": lists("ownerid", nil, "leads"),
	"RD": lists("ownerid", map[string]*plan.Node{"companypropertylist": pairsOf("attribute")}, "companies"),
	"RE": lists("ownerid", map[string]*plan.Node{"data": pairsOf("key"), "fields": pairsOf("key")}, "prospectactivities"),
	"RF": lists("owner", nil, "list"),
	"RG": one("owner", map[string]*plan.Node{"fields": pairsOf("schemaname", "fields")}),
	"RH": one("owner", map[string]*plan.Node{"activityfields": {Fields: true}}),
	"RI": {Elements: lists("owner", nil, "opportunities")},
	"RJ": lists("ownerid", nil, "tasklist"),
	"RK": lists("", nil),
	"RL": {Elements: &plan.Node{Record: &plan.Record{Entity: crm, Set: "records", Scalar: true}}},
	"RM": lists("", nil, "usergroups"),
	"RN": one("", nil),
	// an error in place of a list
	"error": lists("ownerid", nil, "leads").Members["leads"],
}

func TestShapes(t *testing.T) {
	for name, root := range shapes {
		p := &plan.Plan{Root: root, Fallback: crm}
		in, err := os.ReadFile(filepath.Join(shapesDir, name+".in.json"))
		if err != nil {
			t.Fatal(err)
		}
		got, err := New(p, viewer, Limits{}).Append(nil, in)
		if err != nil {
			t.Errorf("%s: %v: an answer of this shape cannot be shown", name, err)
			continue
		}
		file := filepath.Join(shapesDir, name+".want.json")
		if *update {
			if err := os.WriteFile(file, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s:\ngot  %s\nwant %s", name, got, want)
		}
		for _, secret := range []string{"9876543210", "98765", "9123456780", "ABCPE", "asha@", "Ravi"} {
			if bytes.Contains(got, []byte(secret)) {
				t.Errorf("%s: %q is shown to somebody who may not see it", name, secret)
			}
		}
	}
}

func TestEveryTruncationIsRefused(t *testing.T) {
	for name, root := range shapes {
		p := &plan.Plan{Root: root, Fallback: crm}
		in, err := os.ReadFile(filepath.Join(shapesDir, name+".in.json"))
		if err != nil {
			t.Fatal(err)
		}
		in = bytes.TrimSpace(in)
		whole, err := New(p, viewer, Limits{}).Append(nil, in)
		if err != nil {
			t.Fatal(err)
		}
		for n := range in {
			m := New(p, viewer, Limits{})
			got, err := io.ReadAll(m.Reader(&fixed{in[:n], 1}))
			if _, ok := errors.AsType[*SyntaxError](err); !ok {
				t.Fatalf("%s cut at %d: %v: half an answer passes for a whole one", name, n, err)
			}
			if len(m.totals) > 0 {
				continue
			}
			if !bytes.HasPrefix(whole, got) {
				t.Fatalf("%s cut at %d: released %q, which the whole answer does not start with", name, n, got)
			}
		}
	}
}

func TestSeeingEverythingCopiesEverything(t *testing.T) {
	open := &plan.Entity{Unknown: &plan.Treatment{}}
	for name := range shapes {
		in, err := os.ReadFile(filepath.Join(shapesDir, name+".in.json"))
		if err != nil {
			t.Fatal(err)
		}
		got, err := New(&plan.Plan{Fallback: open}, nil, Limits{}).Append(nil, in)
		if err != nil || !bytes.Equal(got, in) {
			t.Errorf("%s: bytes change although nothing is restricted (%v)\n%s", name, err, got)
		}
	}
	for seed := range uint64(200) {
		g := newGenerator(seed)
		in := []byte(g.document(nil))
		if _, err := parse(in); err != nil {
			continue
		}
		got, err := New(&plan.Plan{Fallback: open}, nil, Limits{}).Append(nil, in)
		if err != nil || !bytes.Equal(got, in) {
			t.Fatalf("document %d: bytes change although nothing is restricted (%v)\n%s\n%s", seed, err, in, got)
		}
	}
}
