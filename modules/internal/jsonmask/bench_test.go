// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package jsonmask

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"syscall"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/crmgate/crmgate/policy/mask"
	"github.com/crmgate/crmgate/policy/plan"
)

// cpuTime is the processor time that the process has used: on a shared machine it
// says more than the clock.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func reportCPU(b *testing.B, start time.Duration, size int) {
	b.ReportMetric(float64(size)*float64(b.N)/1e6/(cpuTime()-start).Seconds(), "cpu-MB/s")
}

func benchPlan(unknown plan.Effect, rows *plan.Rows) *plan.Plan {
	masked := func(s mask.Spec) *plan.Treatment {
		return &plan.Treatment{Field: s.Fn, Effect: plan.Mask, Mask: compiled(s)}
	}
	lead := &plan.Entity{Name: "lead", Unknown: &plan.Treatment{Effect: unknown}, Fields: map[string]*plan.Treatment{
		"phone": masked(mask.Spec{Fn: "phone"}), "mobile": masked(mask.Spec{Fn: "phone"}),
		"emailaddress": masked(mask.Spec{Fn: "email"}), "mxpannumber": masked(mask.Spec{Fn: "pan"}),
		"mxmobile2": masked(mask.Spec{Fn: "full"}), "owneridemailaddress": {Field: "owner", Effect: plan.Hide},
		"mxdateofbirth": {Field: "dob", Effect: plan.Hide}, "notes": {Field: "notes", Effect: plan.Hide},
	}}
	rec := &plan.Node{Record: &plan.Record{Entity: lead, Set: "leads", Rows: rows, Nested: map[string]*plan.Node{
		"leadpropertylist": {Pairs: &plan.Pairs{Name: []string{"attribute"}, Value: []string{"value"}}},
	}}}
	return &plan.Plan{Fallback: lead, Root: &plan.Node{Elements: rec, Members: map[string]*plan.Node{
		"recordcount": {Total: "leads"}, "leads": {Elements: rec},
	}}}
}

func BenchmarkMasker(b *testing.B) {
	own := &plan.Rows{Scope: plan.Group, Owner: []string{"ownerid"}}
	for _, c := range []struct {
		name string
		doc  []byte
		plan *plan.Plan
		cold bool // a new masker for each document
	}{
		{"flat", benchFlat(200), benchPlan(plan.Show, nil), false},
		{"flat/detect", benchFlat(200), benchPlan(plan.Detect, nil), false},
		{"digits", benchDigits(1000), benchPlan(plan.Show, nil), false},
		{"digits/detect", benchDigits(1000), benchPlan(plan.Detect, nil), false},
		{"flat/rows", benchFlat(200), benchPlan(plan.Show, own), false},
		{"flat/10000", benchFlat(10000), benchPlan(plan.Show, nil), false},
		{"flat/cold", benchFlat(200), benchPlan(plan.Show, nil), true},
		{"flat/cold25", benchFlat(25), benchPlan(plan.Show, nil), true},
		{"sparse", benchSparse(200), benchPlan(plan.Show, nil), false},
		{"indented", benchIndented(200), benchPlan(plan.Show, nil), false},
		{"pairs", benchPairs(200), benchPlan(plan.Show, nil), false},
		{"pairs/rows", benchPairs(200), benchPlan(plan.Show, own), false},
		{"pairs/detect", benchPairs(200), benchPlan(plan.Detect, nil), false},
		{"pairs/cold", benchPairs(200), benchPlan(plan.Show, nil), true},
	} {
		b.Run(c.name, func(b *testing.B) {
			m := New(c.plan, viewer, Limits{})
			buf := make([]byte, 32<<10)
			rewrite(b, m, c.plan, c.doc, buf) // what is learned and allocated once
			b.SetBytes(int64(len(c.doc)))
			b.ReportAllocs()
			start := cpuTime()
			for b.Loop() {
				if c.cold {
					m.Reset(c.plan, nil, Limits{}) // as every user does
					m = New(c.plan, viewer, Limits{})
				}
				rewrite(b, m, c.plan, c.doc, buf)
			}
			reportCPU(b, start, len(c.doc))
		})
	}
}

// benchSource is read again and again, so that it counts for no allocation.
var benchSource = bytes.NewReader(nil)

func rewrite(b *testing.B, m *Masker, p *plan.Plan, doc, buf []byte) {
	b.Helper()
	m.Reset(p, viewer, Limits{})
	benchSource.Reset(doc)
	r := m.Reader(benchSource)
	for {
		_, err := r.Read(buf)
		if err == io.EOF {
			return
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}

// The two below do the same the way it is done without this package; they are
// what the figures of BenchmarkMasker are held against.

func BenchmarkEncodingJSONMap(b *testing.B) {
	doc := benchFlat(200)
	f := compiled(mask.Spec{Fn: "phone"})
	b.SetBytes(int64(len(doc)))
	b.ReportAllocs()
	start := cpuTime()
	defer func() { reportCPU(b, start, len(doc)) }()
	for b.Loop() {
		var leads []map[string]any
		d := json.NewDecoder(bytes.NewReader(doc))
		d.UseNumber()
		if err := d.Decode(&leads); err != nil {
			b.Fatal(err)
		}
		for _, l := range leads {
			for _, n := range []string{"Phone", "Mobile", "EmailAddress", "mx_PAN_Number"} {
				l[n] = string(f.AppendString(nil, l[n].(string)))
			}
			delete(l, "Notes")
			delete(l, "mx_Date_of_Birth")
		}
		if _, err := json.Marshal(leads); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkJSONText drops two fields of each record in a stream of tokens; of
// flat records it masks nothing.
func BenchmarkJSONText(b *testing.B) {
	for _, c := range []struct {
		name string
		doc  []byte
		copy func(doc []byte) error
	}{
		{"flat", benchFlat(200), copyMembers},
		{"sparse", benchSparse(200), copyMembers},
		{"indented", benchIndented(200), copyMembers},
		{"pairs", benchPairs(200), copyPairs},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(int64(len(c.doc)))
			b.ReportAllocs()
			start := cpuTime()
			for b.Loop() {
				if err := c.copy(c.doc); err != nil {
					b.Fatal(err)
				}
			}
			reportCPU(b, start, len(c.doc))
		})
	}
}

func copyMembers(doc []byte) error {
	d := jsontext.NewDecoder(bytes.NewReader(doc))
	e := jsontext.NewEncoder(io.Discard)
	drop := false
	for {
		tok, err := d.ReadToken()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		kind, n := d.StackIndex(d.StackDepth())
		name := kind == '{' && n%2 == 1
		switch {
		case drop:
			drop = false
			continue
		case name && (tok.String() == "Notes" || tok.String() == "mx_Date_of_Birth"):
			drop = true
			continue
		}
		if err := e.WriteToken(tok); err != nil {
			return err
		}
	}
}

// copyPairs believes that the name of a pair stands before its value and that
// there is nothing else in it.
func copyPairs(doc []byte) error {
	d := jsontext.NewDecoder(bytes.NewReader(doc))
	e := jsontext.NewEncoder(io.Discard)
	f := compiled(mask.Spec{Fn: "phone"})
	for {
		tok, err := d.ReadToken()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if tok.Kind() != '{' || d.StackDepth() != 5 {
			if err := e.WriteToken(tok); err != nil {
				return err
			}
			continue
		}
		if err := copyPair(d, e, f); err != nil {
			return err
		}
	}
}

func copyPair(d *jsontext.Decoder, e *jsontext.Encoder, f *mask.Func) error {
	if _, err := d.ReadToken(); err != nil { // Attribute
		return err
	}
	tok, err := d.ReadToken()
	if err != nil {
		return err
	}
	name := tok.String()
	if _, err := d.ReadToken(); err != nil { // Value
		return err
	}
	value, err := d.ReadToken()
	if err != nil || name == "Notes" || name == "mx_Date_of_Birth" {
		_, end := d.ReadToken()
		return errors.Join(err, end)
	}
	switch name {
	case "Phone", "Mobile", "EmailAddress", "mx_PAN_Number":
		value = jsontext.String(string(f.AppendString(nil, value.String())))
	}
	for _, tok := range [...]jsontext.Token{jsontext.BeginObject, jsontext.String("Attribute"), jsontext.String(name), jsontext.String("Value"), value, jsontext.EndObject} {
		if err := e.WriteToken(tok); err != nil {
			return err
		}
	}
	_, err = d.ReadToken()
	return err
}
