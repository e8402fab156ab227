// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package csvmask

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/crmgate/crmgate/modules/internal/jsonmask"
	"github.com/crmgate/crmgate/policy/mask"
	"github.com/crmgate/crmgate/policy/plan"
)

// leads is a plan of rows in which the phone is masked, the PAN hidden, and only
// u1's own are seen when rows is set.
func leads(table plan.Table, rows bool) *plan.Plan {
	phone, err := mask.Compile(mask.Spec{Fn: "phone"}, nil)
	if err != nil {
		panic(err)
	}
	e := &plan.Entity{
		Name: "lead",
		Fields: map[string]*plan.Treatment{
			"id": {Field: "id"}, "owner": {Field: "owner"}, "name": {Field: "name"},
			"phone": {Field: "phone", Effect: plan.Mask, Mask: phone}, "phonenumber": {Field: "phone", Effect: plan.Mask, Mask: phone},
			"pan":     {Field: "pan", Effect: plan.Hide},
			"secret":  {Field: "secret", Effect: plan.Mask, Mask: &mask.Func{Name: "full"}},
			"account": {Field: "account"},
		},
		Unknown: &plan.Treatment{Effect: plan.Detect},
	}
	r := &plan.Record{Entity: e, Set: "leads", Nested: map[string]*plan.Node{"account": {}}}
	if rows {
		r.Rows = &plan.Rows{Scope: plan.Own, Owner: []string{"owner"}}
	}
	return &plan.Plan{ID: "t", Format: plan.CSV, Table: &table, Root: &plan.Node{Elements: &plan.Node{Record: r}}, Fallback: e}
}

var viewer = &plan.Viewer{Own: map[string]struct{}{"u1": {}}}

func run(p *plan.Plan, body string, wrap func(io.Reader) io.Reader) (string, jsonmask.Stats, error) {
	m := New(p, viewer, jsonmask.Limits{})
	var src io.Reader = strings.NewReader(body)
	if wrap != nil {
		src = wrap(src)
	}
	out, err := io.ReadAll(m.Reader(src))
	return string(out), m.Stats(), err
}

func TestTables(t *testing.T) {
	comma, semi, tab := plan.Table{Delimiter: ','}, plan.Table{Delimiter: ';'}, plan.Table{Delimiter: '\t'}
	empty := plan.Table{Delimiter: ',', Empty: true}
	byPlace := plan.Table{Delimiter: ',', Columns: []string{"Id", "Phone", "PAN"}, Empty: true}
	for _, c := range []struct {
		name  string
		table plan.Table
		rows  bool
		in    string
		want  string
		bad   bool
	}{
		{"a table", comma, false, "Id,Phone,City\r\n1,+91-9812345670,Pune\r\n2,,\r\n", "Id,Phone,City\r\n1,+91XXXXXX5670,Pune\r\n2,,\r\n", false},
		{"quotes and line ends stay", comma, false, "\"Id\",Phone Number,\"City\"\n\"1\",\"+91-9812345670\",\"Pu\nne, \"\"old\"\"\"\n3,+91-9812345670,x", "\"Id\",Phone Number,\"City\"\n\"1\",\"+91XXXXXX5670\",\"Pu\nne, \"\"old\"\"\"\n3,+91XXXXXX5670,x", false},
		{"semicolons and a byte order mark", semi, false, "\xEF\xBB\xBFId;PHONE;City\r\n1;+91-9812345670;a,b\r\n", "\xEF\xBB\xBFId;PHONE;City\r\n1;+91XXXXXX5670;a,b\r\n", false},
		{"tabs", tab, false, "Id\tphone\n1\t+91-9812345670\n", "Id\tphone\n1\t+91XXXXXX5670\n", false},
		{"a hidden column goes", comma, false, "PAN,Id,Phone\nBQKPN4821L,1,x\n", "Id,Phone\n1,XXXXXXXX\n", false},
		{"a hidden column at the end", comma, false, "Id,Pan\n1,\"BQKPN\n4821L\"\n", "Id\n1\n", false},
		{"an empty cell that is all that is left of a row", comma, false, "Pan,Name\nx,\ny,\"\"\nz,Asha\n", "Name\n\"\"\n\"\"\nAsha\n", false},
		{"an empty row that was one", comma, false, "Name\n\nAsha\n", "Name\n\nAsha\n", false},
		{"a hidden column is emptied", empty, false, "Id,PAN,Name\n1,BQKPN4821L,Asha\n", "Id,PAN,Name\n1,,Asha\n", false},
		{"columns by position", byPlace, false, "1,+91-9812345670,BQKPN4821L\n2,,\n", "1,+91XXXXXX5670,\n2,,\n", false},
		{"another number of columns than declared", byPlace, false, "1,+91-9812345670\n", "", true},
		{"an undeclared column is searched", comma, false, "Id,Note,Bill\n1,call 98123-45670,12\n", "Id,Note,Bill\n1,call XXXXXXXX,12\n", false},
		{"a name that is a number goes with its column", comma, false, "Id,9812345670\n1,x\n", "Id\n1\n", false},
		{"the same where columns are emptied", empty, false, "Id,9812345670\n1,x\n", "Id,\n1,\n", false},
		{"a formula", comma, false, "Id,Phone,Note\n1,\"=\"\"+919812345670\"\"\",=1+1\n", "Id,Phone,Note\n1,\"XXXXXXXX\",=1+1\n", false},
		{"records within the row", comma, false, "Id,Account\n1,Acme\n2,\n", "Id,Account\n1,XXXXXXXX\n2,\n", false},
		{"rows of others", comma, true, "Id,Owner,Name\n1,u1,a\n2,u2,secret\n3,,secret\n4,\"U-1\",d\n", "Id,Owner,Name\n1,u1,a\n4,\"U-1\",d\n", false},
		{"no owner at all", comma, true, "Id,Name\n1,a\n", "Id,Name\n", false},
		{"two columns of owners", comma, true, "Id,Owner,OWNER\n1,u1,u2\n2,u1,u1\n", "Id,Owner,OWNER\n2,u1,u1\n", false},
		{"two columns of one field", comma, false, "Id,Phone,phone\n1,9812345670,9812345670\n", "Id,Phone,phone\n1,XXXXXX5670,XXXXXX5670\n", false},
		{"names in lines and with hard spaces", comma, false, "Id,\"Pho\nne\",Pho\u00a0ne,\"\tp a\u200bn\r\n\"\n1,9812345670,9812345670,x\n", "Id,\"Pho\nne\",Pho\u00a0ne\n1,XXXXXX5670,XXXXXX5670\n", false},
		{"two byte order marks", comma, false, "\uFEFF\uFEFFPAN,Phone\nBQKPN4821L,9812345670\n", "\uFEFFPhone\nXXXXXX5670\n", false},
		{"an owner's name in lines", comma, true, "Id,\"Own\ner\"\n1,u1\n2,u2\n", "Id,\"Own\ner\"\n1,u1\n", false},
		{"empty lines stay", comma, false, "\nId,Phone\n\n1,9812345670\n\r\n", "\nId,Phone\n\n1,XXXXXX5670\n\r\n", false},
		{"nothing", comma, false, "", "", false},
		{"names alone", comma, false, "Id,Phone", "Id,Phone", false},

		{"no names", comma, false, "1,9812345670\n2,9812345671\n", "", true},
		{"another delimiter", comma, false, "Id;Phone\n1;9812345670\n", "", true},
		{"another delimiter behind quotes", comma, false, "\"Id\";\"Phone\"\n\"1\";\"9812345670\"\n", "", true},
		{"the word that names a delimiter", comma, false, "sep=;\nId;Phone\n", "", true},
		{"a row that is too short", comma, false, "Id,Phone\n9812345670\n", "", true},
		{"a row that is too long", comma, false, "Id,Phone\n1,x,9812345670\n", "", true},
		{"a quote in the middle", comma, false, "Id,Phone\n1,98\"12345670\n", "", true},
		{"a blank in front of a quote", comma, false, "Id,Phone\n1, \"9812345670\"\n", "", true},
		{"bytes behind a quote", comma, false, "Id,Phone\n1,\"98\"12345670\n", "", true},
		{"a quote that is not closed", comma, false, "Id,Phone\n1,\"9812345670\n", "", true},
		{"an escape by backslash", comma, false, "Id,Name,Phone\n1,\"a\\\",9812345670\",x\n", "", true},
		{"an escape by backslash at the end", comma, false, "Id,Name,Phone\n1,\"a\\\"\",9812345670\n", "", true},
		{"JSON with an escape in a cell", comma, false, "Id,Name\n1,\"{\"\"a\"\":\"\"x\\\"\"y\"\"}\"\n", "Id,Name\n1,\"{\"\"a\"\":\"\"x\\\"\"y\"\"}\"\n", false},
		{"a line that ends with CR alone", comma, false, "Id,Phone\r1,9812345670\r", "", true},
		{"UTF-16", comma, false, "\xFF\xFEI\x00d\x00", "", true},
		{"Latin-1", comma, false, "Id,Name\n1,M\xFCller 9812345670\n", "", true},
		{"NUL", comma, false, "Id,Note\n1,9\x008\x001\x002\x003\x004\x00\n", "", true},
		{"JSON", comma, false, `[{"Phone":"9812345670"}]`, "", true},
		{"a page", comma, false, "<html>9812345670</html>", "", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := leads(c.table, c.rows)
			got, _, err := run(p, c.in, nil)
			if c.bad && err == nil {
				t.Fatalf("a table that programs read in different ways goes through:\n%q", got)
			}
			if !c.bad && (err != nil || got != c.want) {
				t.Fatalf("%v\ngot  %q\nwant %q", err, got, c.want)
			}
			if err != nil && !errors.Is(err, ErrTable) {
				t.Fatalf("the refusal is %v", err)
			}
			slow, _, slowErr := run(p, c.in, iotest.OneByteReader)
			if slow != got || (slowErr == nil) != (err == nil) {
				t.Fatalf("byte by byte another answer comes out:\n%q, %v\n%q, %v", got, err, slow, slowErr)
			}
		})
	}
}

// The one record that was asked for: nothing goes out before it is judged.
func TestSingle(t *testing.T) {
	p := leads(plan.Table{Delimiter: ','}, true)
	p.NotFound = &plan.Canned{Status: 404}
	if got, _, err := run(p, "Id,Owner,"+strings.Repeat("x", 100_000)+"\n1,u2,\n", nil); got != "" || !errors.Is(err, jsonmask.ErrNotVisible) {
		t.Errorf("a record that is not visible is announced: %.60q, %v", got, err)
	}
	if got, _, err := run(p, "Id,Owner\n1,u1\n", nil); got != "Id,Owner\n1,u1\n" || err != nil {
		t.Errorf("the person's own record: %q, %v", got, err)
	}
	// What stands in front of it is bounded.
	var le *jsonmask.LimitError
	if _, _, err := run(p, "Id,Owner\n"+strings.Repeat("\r\n", 100_000)+"1,u1\n", nil); !errors.As(err, &le) {
		t.Errorf("200 kB of empty lines that wait for a record: %v: they may fill the memory", err)
	}
	if _, _, err := run(p, "Id,Owner,Name\n"+strings.Repeat("\r\n", 1000)+"1,u1,"+strings.Repeat("y", 500_000)+"\n", nil); err != nil {
		t.Errorf("a long record: %v", err)
	}
}

func TestLimits(t *testing.T) {
	p := leads(plan.Table{Delimiter: ','}, false)
	var le *jsonmask.LimitError
	if _, _, err := run(p, "Id,Name\n1,\""+strings.Repeat("x\n", 1<<20), nil); !errors.As(err, &le) {
		t.Errorf("%v: one row may fill the memory", err)
	}
	if _, _, err := run(p, "Id"+strings.Repeat(",", 20_000)+"\n", nil); !errors.Is(err, ErrTable) {
		t.Errorf("%v: columns without end", err)
	}
	p.MaxRows = 2
	if got, s, err := run(p, "Id\n1\n2\n3\n4\n", nil); got != "Id\n1\n2\n" || s.Kept != 2 || s.Dropped != 2 || err != nil {
		t.Errorf("with a cap of 2: %q, %+v, %v", got, s, err)
	}
	// A table nobody may see anything of needs no known names.
	p = leads(plan.Table{Delimiter: ','}, false)
	p.Root.Elements.Record.Entity = &plan.Entity{Unknown: &plan.Treatment{Effect: plan.Hide}}
	if got, _, err := run(p, "A,B\n1,2\n", nil); got != "\n\n" || err != nil {
		t.Errorf("hidden altogether: %q, %v", got, err)
	}
}

func TestStats(t *testing.T) {
	p := leads(plan.Table{Delimiter: ','}, true)
	_, s, err := run(p, "Id,Owner,Phone,PAN\n1,u1,9812345670,x\n2,u2,9812345670,x\n", nil)
	if err != nil || s.Masked["phone"] != 1 || s.Hidden["pan"] != 1 || s.Kept != 1 || s.Dropped != 1 {
		t.Errorf("the audit reads %+v, %v", s, err)
	}
}

// A masker that is used again has nothing of the body before, broken or not.
func TestReset(t *testing.T) {
	p := leads(plan.Table{Delimiter: ','}, false)
	m := New(p, viewer, jsonmask.Limits{})
	for _, in := range []string{"Id,Phone\n1,9812345670\n", "Id,\"Ph", "Phone,Id\n9812345670,1\n"} {
		m.Reset(p, viewer, jsonmask.Limits{})
		got, err := io.ReadAll(m.Reader(strings.NewReader(in)))
		if want, _, wantErr := run(p, in, nil); string(got) != want || (err == nil) != (wantErr == nil) {
			t.Errorf("%q: %q, %v; new it gives %q, %v", in, got, err, want, wantErr)
		}
	}
}
