// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package csvmask

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/crmgate/crmgate/modules/internal/jsonmask"
	"github.com/crmgate/crmgate/policy/mask"
	"github.com/crmgate/crmgate/policy/plan"
)

// plans are those that tables are rewritten by.
func plans() []*plan.Plan {
	of := func(table plan.Table, rows bool, change func(*plan.Plan, *plan.Record)) *plan.Plan {
		p := leads(table, rows)
		if change != nil {
			change(p, p.Root.Elements.Record)
		}
		return p
	}
	comma, semi := plan.Table{Delimiter: ','}, plan.Table{Delimiter: ';', Empty: true}
	unknown := func(t *plan.Treatment) func(*plan.Plan, *plan.Record) {
		return func(_ *plan.Plan, r *plan.Record) { r.Entity.Unknown = t }
	}
	return []*plan.Plan{
		of(comma, false, nil), of(comma, true, nil), of(semi, true, nil), of(plan.Table{Delimiter: '\t'}, false, nil), of(plan.Table{Delimiter: '|'}, true, nil),
		of(plan.Table{Delimiter: ',', Empty: true, Columns: []string{"Id", "Phone", "PAN", "Secret", "Note"}}, false, nil),
		of(comma, false, func(_ *plan.Plan, r *plan.Record) { r.Rows = &plan.Rows{Where: notLost{}} }),
		of(comma, true, func(p *plan.Plan, _ *plan.Record) { p.NotFound, p.MaxRows = &plan.Canned{Status: 404}, 2 }),
		of(comma, false, unknown(&plan.Treatment{Effect: plan.Mask, Mask: &mask.Func{Name: "full"}})), of(semi, false, unknown(&plan.Treatment{Effect: plan.Hide})),
	}
}

var tableSeeds = []string{
	"Id,Owner,Phone,PAN,Secret,Note\n1,u1,+91-9812345670,BQKPN4821L,canary,call 9812345670\n2,u2,,,,canary\n",
	"\"Id\",\"Owner\",\"Secret\"\r\n\"1\",\"u1\",\"a\"\"canary,\n\"\r\n", "\xEF\xBB\xBFId,Secret\n\n1,\"x\\\"\"canary\"\n", "Id,x\n1,\"\"\n",
	"Id;Owner;PAN;Note\n1;u1;canary;\"a;9812345670\"\n", "1,canary,canary,canary,9812345670\n2,,,,\n", "Id,Stage,Secret,Stage\n1,Open,canary,\n2,Lost,canary,Open\n3,=1,,\n",
	"Id,Owner\n1,u2\ncanary,u1\n", "Id\tSecret\n1\tcanary\n", "Id|Owner|Account\n1|u1|canary\n", "Id,Secret\n1,canary\"\n2,canary\n", "Id,98123 45670,Other\n1,canary,x\n",
}

// FuzzTable holds the rewritten table to the oracle, byte for byte, and what
// encoding/csv reads out of it to what it reads out of the original, masked;
// whatever the pieces; nothing hidden comes out, in front of a refusal too, and
// what comes out can be rewritten again.
func FuzzTable(f *testing.F) {
	for i, s := range tableSeeds {
		for which := range uint8(10) {
			f.Add([]byte(s), which<<4+uint8(i))
		}
		f.Add([]byte(s), uint8(0xA0))
	}
	all := plans()
	f.Fuzz(func(t *testing.T, body []byte, choice uint8) {
		p, size := all[int(choice>>4)%len(all)], int(choice&7)+1
		check(t, p, string(body), size, choice&0x0F == 0x0F)
		check(t, p, document(p, body), size, false)
	})
}

// check rewrites a table whole and in pieces; a long one is so long that a part of
// it goes out before its end is seen.
func check(t *testing.T, p *plan.Plan, body string, size int, long bool) {
	t.Helper()
	in, filler := plant(body), ""
	if long && !strings.HasPrefix(in, "\xEF") {
		filler = strings.Repeat("\n", 2*chunk)
		size <<= 12
	}
	got, _, err := run(p, filler+in, nil)
	slow, _, slowErr := run(p, filler+in, func(r io.Reader) io.Reader { return &pieces{r, size} })
	if got != slow || (err == nil) != (slowErr == nil) {
		t.Fatalf("in pieces another answer comes out:\n%q, %v\n%q, %v", got, err, slow, slowErr)
	}
	want, secret, wantErr := expected(p, filler+in)
	for _, s := range secret {
		if strings.Contains(got, s) {
			t.Fatalf("%s is shown, %v\n%s\n%s", s, err, in, got)
		}
	}
	cut := len(in) * size % (len(in) + 1)
	broken, _, brokenErr := run(p, in, func(io.Reader) io.Reader {
		return io.MultiReader(strings.NewReader(in[:cut]), iotest.ErrReader(io.ErrUnexpectedEOF))
	})
	if filler == "" && (brokenErr == nil || !strings.HasPrefix(got, broken)) {
		t.Fatalf("of a source that fails after %d bytes comes %q, %v\n%s\n%q", cut, broken, brokenErr, in, got)
	}
	if errors.Is(err, jsonmask.ErrNotVisible) && got != "" {
		t.Fatalf("a record that is not visible is announced\n%s\n%.200s", in, got)
	}
	if err != nil {
		return
	}
	if got != want || wantErr != nil {
		t.Fatalf("%q\ngot  %q\nwant %q, %v", in, got, want, wantErr)
	}
	again := *p
	if len(p.Table.Columns) > 0 || strings.TrimSpace(got) == "" {
		return
	}
	known := *p.Root.Elements.Record.Entity
	known.Unknown = &plan.Treatment{Effect: plan.Hide} // the name that was known may have been hidden
	again.Root = &plan.Node{Elements: &plan.Node{Record: &plan.Record{Entity: &known}}}
	if _, _, err := run(&again, got, nil); err != nil && p.NotFound == nil && !strings.Contains(got, "\\") {
		t.Fatalf("what comes out cannot be rewritten again: %v\n%q\n%q", err, in, got)
	}
	if rows := p.Root.Elements.Record.Rows; rows != nil && rows.Where == nil && p.MaxRows == 0 && !p.Table.Empty && p.Root.Elements.Record.Entity.Unknown.Effect == plan.Detect {
		before, after := decode(t, *p.Table, []byte(in)), decode(t, *p.Table, []byte(got))
		if want := oracle(p, before); !slices.EqualFunc(want, after, slices.Equal) {
			t.Fatalf("encoding/csv reads %q\nwant %q", after, want)
		}
	}
}

// TestTablesOfTheOracle holds the seeds and many written tables to the oracle.
func TestTablesOfTheOracle(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 9))
	for i, p := range plans() {
		accepted := 0
		for n := range 400 {
			choices := make([]byte, 4+r.IntN(80))
			for i := range choices {
				choices[i] = byte(r.UintN(256))
			}
			doc := document(p, choices)
			if n < len(tableSeeds) {
				doc = tableSeeds[n]
			}
			check(t, p, doc, 1+r.IntN(9), n%200 == 0)
			if _, _, err := run(p, doc, nil); err == nil {
				accepted++
			}
		}
		if accepted < 50 {
			t.Errorf("plan %d: %d tables are accepted: the oracle has little to look at", i, accepted)
		}
	}
}

// document writes a table by the choices that bytes make.
func document(p *plan.Plan, choices []byte) string {
	next := func(n int) int {
		if len(choices) == 0 {
			return 0
		}
		c := choices[0]
		choices = choices[1:]
		return int(c) % n
	}
	pick := func(of ...string) string { return of[next(len(of))] }
	d := string(p.Table.Delimiter)
	cell := func(s string) string {
		if strings.ContainsAny(s, d+"\"\n\r") || next(3) == 2 {
			return `"` + strings.ReplaceAll(s, `"`, `""`) + `"`
		}
		return s
	}
	end := pick("\n", "\r\n")
	var out strings.Builder
	names := p.Table.Columns
	if out.WriteString(pick("", "", "", "\xEF\xBB\xBF", end)); names == nil {
		names = []string{pick("Id", "id", "Owner", "Owner", "Name")}
		for range next(7) {
			names = append(names, pick("Owner", "Phone", "phone_number", "PAN", "Secret", "Note", "Account", "Stage", "9812345670", "", "Name", "a\"b", "x\ny"))
		}
		for i, name := range names {
			out.WriteString(strings.Repeat(d, min(i, 1)) + cell(name))
		}
		out.WriteString(end)
	}
	for range next(6) {
		n := len(names)
		if next(20) == 19 {
			n += next(3) - 1
		}
		for i := range n {
			out.WriteString(strings.Repeat(d, min(i, 1)) + cell(pick("canary", "u1", "U-1", "u2", "", "call 9812345670", "+91-9812345670", "Open", "Lost", "=1", "a\"canary\"", "call 9812345670 of \"canary\"", "line\ncanary", "x"+d+"y", "{\"a\":1}", " ", "Jürgen", "\\")))
		}
		out.WriteString(pick(end, end, end, end+end, ""))
	}
	return out.String()
}

// plant gives every canary of a table a name of its own.
func plant(body string) string {
	n := -1
	return regexp.MustCompile(`canary(?:[a-p]{3}y)?`).ReplaceAllStringFunc(body, func(string) string {
		n++
		return fmt.Sprintf("canary%c%c%cy", 'a'+n>>8&15, 'a'+n>>4&15, 'a'+n&15)
	})
}

type pieces struct {
	r io.Reader
	n int
}

func (p *pieces) Read(b []byte) (int, error) { return p.r.Read(b[:min(len(b), p.n)]) }
