// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package jsonmask

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/crmgate/crmgate/policy/mask"
	"github.com/crmgate/crmgate/policy/plan"
)

// cpu is the processor time that the process has used: on a shared machine it
// says more than the clock.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func reportCPU(b *testing.B, start time.Duration, size int) {
	b.ReportMetric(float64(size)*float64(b.N)/1e6/(cpu()-start).Seconds(), "cpu-MB/s")
}

// benchFields are the fields of a lead, about as many and as long as real ones.
func benchFields(i int) (names, values []string) {
	add := func(n, v string) { names, values = append(names, n), append(values, v) }
	add("ProspectID", fmt.Sprintf("%08x-4f89-11d3-9a0c-0305e82c%04d", i*2654435761&0xffffffff, i%10000))
	add("FirstName", []string{"Asha", "Jürgen", "Ravi", "Zoë"}[i%4])
	add("EmailAddress", fmt.Sprintf("person%d@example.in", i))
	add("Phone", fmt.Sprintf("+91-98%08d", i))
	add("Mobile", "")
	add("OwnerId", fmt.Sprintf("u%d", i%3))
	add("Notes", `called \"twice\"\nwill call back on Monday about the offer`)
	add("mx_PAN_Number", "ABCPE1234F")
	add("mx_Date_of_Birth", "1990-05-17")
	add("CreatedOn", "2024-05-17 10:11:12.000")
	for k := range 32 {
		add(fmt.Sprintf("mx_Custom_%d", k), []string{"Active", "Pending since last week", "0", "Bengaluru, Karnataka"}[(i+k)%4])
	}
	return names, values
}

func benchFlat(n int) []byte {
	var b strings.Builder
	b.WriteByte('[')
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		names, values := benchFields(i)
		b.WriteByte('{')
		for k := range names {
			fmt.Fprintf(&b, `"%s":"%s",`, names[k], values[k])
		}
		b.WriteString(`"Score":17,"DoNotEmail":false,"Company":null}`)
	}
	b.WriteByte(']')
	return []byte(b.String())
}

func benchPairs(n int) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, `{"RecordCount":%d,"Leads":[`, n)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		names, values := benchFields(i)
		b.WriteString(`{"LeadPropertyList":[`)
		for k := range names {
			fmt.Fprintf(&b, `{"Attribute":"%s","Value":"%s"},`, names[k], values[k])
		}
		b.WriteString(`{"Attribute":"Total","Value":"17"}]}`)
	}
	b.WriteString("]}")
	return []byte(b.String())
}

func benchPlan(unknown plan.Effect, rows *plan.Rows) *plan.Plan {
	masked := func(s mask.Spec) *plan.Treatment {
		return &plan.Treatment{Field: s.Fn, Effect: plan.Mask, Mask: compiled(s)}
	}
	lead := &plan.Entity{Name: "lead", Unknown: &plan.Treatment{Effect: unknown}, Fields: map[string]*plan.Treatment{
		"phone": masked(mask.Spec{Fn: "phone"}), "mobile": masked(mask.Spec{Fn: "phone"}),
		"emailaddress": masked(mask.Spec{Fn: "email"}), "mxpannumber": masked(mask.Spec{Fn: "pan"}),
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
	}{
		{"flat", benchFlat(200), benchPlan(plan.Show, nil)},
		{"flat/detect", benchFlat(200), benchPlan(plan.Detect, nil)},
		{"flat/rows", benchFlat(200), benchPlan(plan.Show, own)},
		{"flat/10000", benchFlat(10000), benchPlan(plan.Show, nil)},
		{"pairs", benchPairs(200), benchPlan(plan.Show, nil)},
		{"pairs/rows", benchPairs(200), benchPlan(plan.Show, own)},
	} {
		b.Run(c.name, func(b *testing.B) {
			m := New(c.plan, viewer, Limits{})
			src := bytes.NewReader(nil)
			buf := make([]byte, 32<<10)
			b.SetBytes(int64(len(c.doc)))
			b.ReportAllocs()
			start := cpu()
			for b.Loop() {
				m.Reset(c.plan, viewer, Limits{})
				src.Reset(c.doc)
				r := m.Reader(src)
				for {
					_, err := r.Read(buf)
					if err == io.EOF {
						break
					}
					if err != nil {
						b.Fatal(err)
					}
				}
			}
			reportCPU(b, start, len(c.doc))
		})
	}
}

// The two below do the same to flat records the way it is done without this
// package; they are what the figures of BenchmarkMasker are held against.

func BenchmarkEncodingJSONMap(b *testing.B) {
	doc := benchFlat(200)
	f := compiled(mask.Spec{Fn: "phone"})
	b.SetBytes(int64(len(doc)))
	b.ReportAllocs()
	start := cpu()
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

func BenchmarkJSONText(b *testing.B) {
	doc := benchFlat(200)
	b.SetBytes(int64(len(doc)))
	b.ReportAllocs()
	start := cpu()
	defer func() { reportCPU(b, start, len(doc)) }()
	for b.Loop() {
		d := jsontext.NewDecoder(bytes.NewReader(doc))
		e := jsontext.NewEncoder(io.Discard)
		drop := false
		for {
			tok, err := d.ReadToken()
			if err == io.EOF {
				break
			}
			if err != nil {
				b.Fatal(err)
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
				b.Fatal(err)
			}
		}
	}
}
