// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package jsonmask

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/crmgate/crmgate/policy/mask"
	"github.com/crmgate/crmgate/policy/plan"
)

// flat is a list of leads without row rules.
func flat(nested map[string]*plan.Node) *plan.Plan {
	return &plan.Plan{Root: lists("", nested), Fallback: crm}
}

func withPairs() *plan.Plan {
	return flat(map[string]*plan.Node{"list": pairsOf("attribute", "value")})
}

func withRows(r *plan.Rows) *plan.Plan {
	return &plan.Plan{Root: &plan.Node{Elements: &plan.Node{Record: &plan.Record{Entity: crm, Set: "records", Rows: r}}}, Fallback: crm}
}

func withText() *plan.Plan {
	doc := &plan.Treatment{Field: "doc", Text: &plan.Node{Entity: crm}}
	ent := &plan.Entity{Unknown: crm.Unknown, Fields: map[string]*plan.Treatment{"doc": doc, "phone": crm.Fields["phone"], "mxpan": crm.Fields["mxpan"]}}
	doc.Text.Entity = ent
	return &plan.Plan{Fallback: ent}
}

// textOf is a plan for a document in a string.
func textOf(n *plan.Node) *plan.Plan {
	return &plan.Plan{Fallback: &plan.Entity{Unknown: crm.Unknown, Fields: map[string]*plan.Treatment{"doc": {Field: "doc", Text: n}}}}
}

var nestedPairs = &plan.Node{Members: map[string]*plan.Node{"p": {Pairs: &plan.Pairs{
	Name: []string{"attribute"}, Value: []string{"value"}, Nested: map[string]*plan.Node{"sub": lists("", nil)},
}}}}

var own = &plan.Rows{Scope: plan.Own, Owner: []string{"ownerid"}}

// TestRewrites holds the output byte for byte. Each case is run whole and in
// chunks of one to nine bytes.
func TestRewrites(t *testing.T) {
	const phone = `"+919876543210"`
	for _, c := range []struct {
		name     string
		plan     *plan.Plan
		in, want string
	}{
		{"a foreseen name that is a prefix of the one there", flat(nil), `[{"Phone":"","x":1},{"Phone":"","x":[1]},{"Phone":"","xy":{"Phone":"12345678901"}}]`, `[{"Phone":"","x":1},{"Phone":"","x":[1]},{"Phone":"","xy":{"Phone":"XXXXXX8901"}}]`},
		{"a pair in the value of a pair", withPairs(), `[{"List":[{"Attribute":"Obj","Value":[{"Attribute":"mx_PAN","Value":"s"},{"Value":` + phone + `,"Attribute":"Phone"}]}]}]`, `[{"List":[{"Attribute":"Obj","Value":[{"Value":"+91XXXXXX3210","Attribute":"Phone"}]}]}]`},
		{"a pair as the value of a pair", withPairs(), `[{"List":[{"Attribute":"Obj","Value":{"Attribute":"mx_PAN","Value":"s"}}]}]`, `[{"List":[{"Attribute":"Obj","Value":null}]}]`},
		{"value before name", withPairs(), `[{"List":[{"Value":` + phone + `,"Attribute":"Phone"}]}]`, `[{"List":[{"Value":"+91XXXXXX3210","Attribute":"Phone"}]}]`},
		{"several members between name and value", withPairs(), `[{"List":[{"Attribute":"Phone","a":1,"b":[{}],"c":null,"Value":` + phone + `}]}]`, `[{"List":[{"Attribute":"Phone","a":1,"b":[{}],"c":null,"Value":"+91XXXXXX3210"}]}]`},
		{"a pair without a name", withPairs(), `[{"List":[{"Value":"s"},{"Attribute":null,"Value":"s"},{"Attribute":{"Phone":"12345678901"},"Value":"s"},{"Attribute":"_","Value":5}]}]`, `[{"List":[{"Value":"XXXXXXXX"},{"Attribute":null,"Value":"XXXXXXXX"},{"Attribute":{"Phone":"XXXXXX8901"},"Value":"XXXXXXXX"},{"Attribute":"_","Value":null}]}]`},
		{"the only pair is hidden", withPairs(), `[{"List":[ {"Attribute":"mx_PAN","Value":"s"} ]}]`, `[{"List":[ ]}]`},
		{"hidden first, middle, last", flat(nil), `[{"mx_PAN":1, "a":2},{"a":1 , "mx_PAN":2 , "b":3},{"a":1, "mx_PAN":{"x":[1,2]} }]`, `[{ "a":2},{"a":1 , "b":3},{"a":1 }]`},
		{"hidden only", flat(nil), `[{ "mx_PAN" : [] }]`, `[{ }]`},
		{"two fields hidden at the start", &plan.Plan{Fallback: &plan.Entity{Unknown: crm.Unknown, Fields: map[string]*plan.Treatment{"a": {Effect: plan.Hide}, "b": {Effect: plan.Hide}}}}, `{"a":1,"b":2,"c":3}`, `{"c":3}`},
		{"the only record is dropped", withRows(own), `[ {"OwnerId":"u2"} ]`, `[ ]`},
		{"first, middle and last record dropped", withRows(own), `[{"OwnerId":"u2"},{"OwnerId":"u1"},{"x":1},{"OwnerId":"U-1"},{"OwnerId":"u3"}]`, `[{"OwnerId":"u1"},{"OwnerId":"U-1"}]`},
		{"owner last, other values first", withRows(own), `[{"Phone":` + phone + `,"OwnerId":"u1"}]`, `[{"Phone":"+91XXXXXX3210","OwnerId":"u1"}]`},
		{"owner absent, empty, null, of another kind, deeper", withRows(own), `[{"a":1},{"OwnerId":""},{"OwnerId":null},{"OwnerId":["u1"]},{"p":{"OwnerId":"u1"}},{"OwnerId":" "}]`, `[]`},
		{"owner of a group", withRows(&plan.Rows{Scope: plan.Group, Owner: []string{"ownerid"}}), `[{"OwnerId":"u2"},{"OwnerId":"u3"}]`, `[{"OwnerId":"u2"}]`},
		{"no record for anybody", withRows(&plan.Rows{Scope: plan.None, Owner: []string{"ownerid"}}), `[{"OwnerId":"u1"},null]`, `[null]`},
		{"names in escapes", flat(nil), `[{"\u0050hone":` + phone + `,"m\u0078_P\u0041N":1}]`, `[{"\u0050hone":"+91XXXXXX3210"}]`},
		{"names in other spellings", flat(nil), `[{"PHONE":` + phone + `},{"p_ho-n e":` + phone + `}]`, `[{"PHONE":"+91XXXXXX3210"},{"p_ho-n e":"+91XXXXXX3210"}]`},
		{"every kind of value", flat(nil), `[{"Phone":98765432101},{"Phone":true},{"Phone":null},{"Phone":""},{"Phone":{"a":"b"}},{"Phone":["x",{"y":"z"}]},{"Phone":"a \"quote\" \\ b"}]`, `[{"Phone":null},{"Phone":null},{"Phone":null},{"Phone":""},{"Phone":null},{"Phone":null},{"Phone":"XXXXXXXX"}]`},
		{"a masked field at any depth", flat(nil), `[{"a":{"b":[[{"Phone":` + phone + `}]]}}]`, `[{"a":{"b":[[{"Phone":"+91XXXXXX3210"}]]}}]`},
		{"bytes beside are copied", flat(nil), "[ {\"n\" : 1.50e+01,\t\"s\":\"\\u00e9\\/é\" , \"Phone\":\"\"}\r\n]\n", "[ {\"n\" : 1.50e+01,\t\"s\":\"\\u00e9\\/é\" , \"Phone\":\"\"}\r\n]\n"},
		{"unknown text is searched", flat(nil), `[{"n":"call 98765 43210\n","m":"\u00e9 none"}]`, `[{"n":"call XXXXXXXX\n","m":"\u00e9 none"}]`},
		{"personal data as a name", flat(nil), `[{"m":{"+919876543210":{"x":1},"k":2}}]`, `[{"m":{"k":2}}]`},
		{"a document in a string", withText(), `{"Doc":"{\"Phone\":\"+919876543210\",\"mx_PAN\":\"s\",\"Doc\":\"{\\\"Phone\\\":5}\"}"}`, `{"Doc":"{\"Phone\":\"+91XXXXXX3210\",\"Doc\":\"{\\\"Phone\\\":null}\"}"}`},
		{"a document in a string that stays", withText(), `{"Doc":"{\u0022x\u0022:1}"}`, `{"Doc":"{\u0022x\u0022:1}"}`},
		{"a broken document in a string", withText(), `{"Doc":"{\"Name\":\"secret\",\"Name\":1}"}`, `{"Doc":"XXXXXXXX"}`},
		{"a broken document in a string that begins with a literal", withText(), `[{"Doc":"[null,{\"mx_PAN\":\"secret\",\"a\":1,\"a\":2}]"},{"Doc":" [\ntrue , {\"mx_PAN\":\"\\ud800\"}]"},{"Doc":"[false\n,{\"mx_PAN\":\"secret\"},]"}]`, `[{"Doc":"XXXXXXXX"},{"Doc":"XXXXXXXX"},{"Doc":"XXXXXXXX"}]`},
		{"a document made text twice and three times", withText(), `[{"Doc":"\"{\\\"mx_PAN\\\":\\\"secret\\\"}\""},{"Doc":" \"\\\"\\u005b1]\\\"\" "}]`, `[{"Doc":"XXXXXXXX"},{"Doc":"XXXXXXXX"}]`},
		{"text in quotes", withText(), `[{"Doc":"\"call {me}\""},{"Doc":"\"{a\" \"b}\""},{"Doc":"\"[1] "}]`, `[{"Doc":"\"call {me}\""},{"Doc":"\"{a\" \"b}\""},{"Doc":"\"[1] "}]`},
		{"text that begins with a word in brackets", withText(), `[{"Doc":"[nulled] x"},{"Doc":"[true story]"},{"Doc":"[false"}]`, `[{"Doc":"[nulled] x"},{"Doc":"[true story]"},{"Doc":"[false"}]`},
		{"text that is no document", withText(), `{"Doc":"{next}call 98765 43210"}`, `{"Doc":"{next}call XXXXXXXX"}`},
		{"a total before its records", &plan.Plan{Root: lists("ownerid", nil, "l"), Fallback: crm}, `{"RecordCount":5000,"l":[{"OwnerId":"u1"},{"OwnerId":"u2"}]}`, `{"RecordCount":1,"l":[{"OwnerId":"u1"}]}`},
		{"a total behind its records, as text", &plan.Plan{Root: lists("ownerid", nil, "l"), Fallback: crm}, `{"l":[{"OwnerId":"u1"},{"OwnerId":"u2"}],"RecordCount":"7"}`, `{"l":[{"OwnerId":"u1"}],"RecordCount":"1"}`},
		{"a total that grows", &plan.Plan{Root: lists("ownerid", nil, "l"), Fallback: crm}, `{"RecordCount":0,"l":[` + strings.Repeat(`{"OwnerId":"u1"},`, 11) + `{"OwnerId":"u1"}],"z":1}`, `{"RecordCount":12,"l":[` + strings.Repeat(`{"OwnerId":"u1"},`, 11) + `{"OwnerId":"u1"}],"z":1}`},
		{"a total without row rules", &plan.Plan{Root: lists("", nil, "l"), Fallback: crm}, `{"RecordCount":5e3,"l":[{}]}`, `{"RecordCount":5e3,"l":[{}]}`},
		{"a cap cuts records and totals", &plan.Plan{Root: lists("", nil, "l"), Fallback: crm, MaxRows: 2}, `{"RecordCount":5000,"l":[{"a":1},{"a":2},{"a":3},{"a":4}]}`, `{"RecordCount":2,"l":[{"a":1},{"a":2}]}`},
		{"a byte order mark goes", flat(nil), "\xEF\xBB\xBF[]", "[]"},
		{"a declared prefix stays", &plan.Plan{Prefix: ")]}',\n", Root: lists("", nil), Fallback: crm}, ")]}',\n[{\"mx_PAN\":1}]", ")]}',\n[{}]"},
		{"a byte order mark before a prefix", &plan.Plan{Prefix: "for(;;);", Root: lists("", nil), Fallback: crm}, "\xEF\xBB\xBFfor(;;);[]", "for(;;);[]"},
		{"null in place of anything", &plan.Plan{Root: lists("ownerid", nil, "l"), Fallback: crm}, `{"RecordCount":null,"l":null}`, `{"RecordCount":null,"l":null}`},
		{"an error in place of a list", withRows(own), `{"Status":"Error","Message":"of +919876543210"}`, `{"Status":"Error","Message":"of XXXXXXXX"}`},
		{"an error with contents where no rows are filtered", flat(nil), `{"Status":"Error","l":[{"Phone":` + phone + `}]}`, `{"Status":"Error","l":[{"Phone":"+91XXXXXX3210"}]}`},
		{"no body", &plan.Plan{Format: plan.NoBody, Fallback: crm}, " ", " "},
		{"an error in place of no body", &plan.Plan{Format: plan.NoBody, Fallback: crm}, `{"Message":"of +919876543210"}`, `{"Message":"of XXXXXXXX"}`},
		{"no fallback table", &plan.Plan{}, `{"a":1,"b":{"c":2}}`, `{}`},
		{"a scalar body", &plan.Plan{Fallback: crm}, `"+919876543210"`, `"XXXXXXXX"`},
		{"a map keyed by id", &plan.Plan{Fallback: crm, Root: &plan.Node{Keyed: true, Elements: withRows(own).Root.Elements}}, `{"a":{"OwnerId":"u2"},"b":{"OwnerId":"u1","Phone":` + phone + `}}`, `{"b":{"OwnerId":"u1","Phone":"+91XXXXXX3210"}}`},
		{"rows by position", &plan.Plan{Fallback: crm, Root: &plan.Node{Matrix: &plan.Matrix{At: "columns", Rows: "rows"}}}, `{"columns":["a","Phone","mx_PAN","b"],"rows":[[1,` + phone + `,"s",2],[1]]}`, `{"columns":["a","Phone","b"],"rows":[[1,"+91XXXXXX3210",2],[1]]}`},
		{"rows in front of their columns", &plan.Plan{Fallback: crm, Root: &plan.Node{Matrix: &plan.Matrix{At: "columns", Rows: "rows"}}}, `{"rows":[["s","x"]],"columns":["mx_PAN","b"]}`, `{"rows":[["x"]],"columns":["b"]}`},
		{"columns known from the request", &plan.Plan{Fallback: crm, Root: &plan.Node{Matrix: &plan.Matrix{Columns: []string{"a", "mx_PAN", "Phone"}}}}, `[[1,"s",` + phone + `]]`, `[[1,null,"+91XXXXXX3210"]]`},
		{"a cap cuts rows by position", &plan.Plan{Fallback: crm, MaxRows: 2, Root: &plan.Node{Matrix: &plan.Matrix{At: "columns", Rows: "rows", Set: "s"}}}, `{"rows":[[1],null,[2],[{"a":[3]},4]],"columns":["a"]}`, `{"rows":[[1],null],"columns":["a"]}`},
		{"a cap leaves records of another kind within records alone", &plan.Plan{Fallback: crm, MaxRows: 2, Root: &plan.Node{Elements: &plan.Node{Record: &plan.Record{Entity: crm, Nested: map[string]*plan.Node{"in": {Elements: &plan.Node{Record: &plan.Record{Entity: crm, Set: "in", Free: true}}}}}}}}, `[{"in":[{"a":1},{"a":2},{"a":3}]},{"in":[{"a":4}]},{"in":[{"a":5}]}]`, `[{"in":[{"a":1},{"a":2},{"a":3}]},{"in":[{"a":4}]}]`},
		{"a cap over records within pairs", &plan.Plan{Fallback: crm, MaxRows: 2, Root: nestedPairs}, `{"p":[{"Attribute":"a","sub":[{"x":1}]},{"Attribute":"b","sub":[{"x":2},{"x":3}]}]}`, `{"p":[{"Attribute":"a","sub":[{"x":1}]},{"Attribute":"b","sub":[{"x":2}]}]}`},
		{"a document in a string of another shape", textOf(lists("", nil)), `{"Doc":"{\"Name\":\"secret\"}"}`, `{"Doc":"XXXXXXXX"}`},
		{"a single record in a string that is not visible", textOf(one("ownerid", nil)), `{"Doc":"{\"OwnerId\":\"u2\"}"}`, `{"Doc":null}`},
		{"a single record", &plan.Plan{Fallback: crm, Root: one("ownerid", nil)}, `{"OwnerId":"u1","mx_PAN":1}`, `{"OwnerId":"u1"}`},
	} {
		for _, size := range []int{1 << 20, 1, 2, 3, 4, 5, 7, 9, 33, 45, 57} {
			m := New(c.plan, viewer, Limits{})
			got, err := io.ReadAll(m.Reader(&fixed{[]byte(c.in), size}))
			if err != nil || string(got) != c.want {
				t.Errorf("%s, in chunks of %d: %v\ngot  %s\nwant %s", c.name, size, err, got, c.want)
				break
			}
		}
	}
}

// TestRefuses holds that a body is refused by the right error.
func TestRefuses(t *testing.T) {
	deep := strings.Repeat("[", 257) + strings.Repeat("]", 257)
	members := `{"m":{` + strings.Repeat(`"a%d":1,`, 10_000) + `"z":1}}`
	args := make([]any, 10_000)
	for i := range args {
		args[i] = i
	}
	members = fmt.Sprintf(members, args...)
	syntax, shape, limit := new(*SyntaxError), new(*ShapeError), new(*LimitError)
	for _, c := range []struct {
		name string
		plan *plan.Plan
		in   string
		as   any
	}{
		{"empty body", flat(nil), "", syntax},
		{"white space only", flat(nil), " \n", syntax},
		{"byte order mark only", flat(nil), "\xEF\xBB\xBF", syntax},
		{"prefix only", &plan.Plan{Prefix: "for(;;);", Fallback: crm}, "for(;;);", syntax},
		{"undeclared prefix", flat(nil), ")]}',\n[]", syntax},
		{"junk behind", flat(nil), "[] x", syntax},
		{"two documents", flat(nil), "[][]", syntax},
		{"NUL behind", flat(nil), "[]\x00", syntax},
		{"UTF-16", flat(nil), "[\x00]\x00", syntax},
		{"duplicate name", flat(nil), `[{"a":1,"a":2}]`, syntax},
		{"duplicate name in an escape", flat(nil), `[{"a":1,"\u0061":2}]`, syntax},
		{"duplicate name in a skipped value", flat(nil), `[{"mx_PAN":{"a":1,"a":2}}]`, syntax},
		{"duplicate name outside of records", &plan.Plan{Fallback: crm}, `{"a":1,"b":{},"a":2}`, syntax},
		{"duplicate name too long to be learned, with a value between that comes in pieces", &plan.Plan{Fallback: crm}, `{"` + strings.Repeat("n", 80) + `":1,"b":"` + strings.Repeat("v", maxWhole) + `","` + strings.Repeat("n", 80) + `":2}`, syntax},
		{"two spellings of a masked name", flat(nil), `[{"Phone":"1","phone":"2"}]`, syntax},
		{"two spellings of a hidden name", flat(nil), `[{"mx_PAN":1,"MXPAN":2}]`, syntax},
		{"two spellings of the owner", withRows(own), `[{"OwnerId":"u1","ownerid":"u2"}]`, syntax},
		{"two spellings of a list", &plan.Plan{Root: lists("", nil, "l"), Fallback: crm}, `{"l":[],"L":[]}`, syntax},
		{"two spellings of a pair's name", withPairs(), `[{"List":[{"Attribute":"a","attribute":"Phone","Value":"x"}]}]`, syntax},
		{"bad UTF-8", flat(nil), "[{\"a\":\"\xff\"}]", syntax},
		{"bad UTF-8 in a name", flat(nil), "[{\"\xc0\xaf\":1}]", syntax},
		{"encoded surrogate", flat(nil), "[{\"a\":\"\xed\xa0\x80\"}]", syntax},
		{"lone high surrogate", flat(nil), `[{"a":"\ud800"}]`, syntax},
		{"lone low surrogate", flat(nil), `[{"a":"\udc00\ud800"}]`, syntax},
		{"high surrogate before text", flat(nil), `[{"a":"\ud800\u0041"}]`, syntax},
		{"control character", flat(nil), "[{\"a\":\"\n\"}]", syntax},
		{"single quotes", flat(nil), `[{'a':1}]`, syntax},
		{"comment", flat(nil), `[/*x*/]`, syntax},
		{"trailing comma", flat(nil), `[{"a":1,}]`, syntax},
		{"trailing comma of a list", flat(nil), `[{},]`, syntax},
		{"leading zero", flat(nil), `[{"a":01}]`, syntax},
		{"NaN", flat(nil), `[{"a":NaN}]`, syntax},
		{"plus", flat(nil), `[{"a":+1}]`, syntax},
		{"bare point", flat(nil), `[{"a":1.}]`, syntax},
		{"mixed brackets", flat(nil), `[{"a":[1}]`, syntax},
		{"too deep", &plan.Plan{Fallback: crm}, deep, limit},
		{"too deep in a record", flat(nil), `[{"a":` + deep + `}]`, limit},
		{"too deep in a skipped value", flat(nil), `[{"mx_PAN":` + deep + `}]`, limit},
		{"long name", flat(nil), `[{"` + strings.Repeat("a", 1025) + `":1}]`, limit},
		{"many members", flat(nil), "[" + members + "]", limit},
		{"many members outside of records", &plan.Plan{Fallback: crm}, members, limit},
		{"long record", flat(nil), `[{"a":"` + strings.Repeat("a", 1<<20) + `"}]`, limit},
		{"long record with small parts", flat(nil), `[{"a":[` + strings.Repeat("1,", 1<<19) + `1]}]`, limit},
		{"endless white space", flat(nil), "[" + strings.Repeat(" ", 2<<20) + "]", limit},
		{"text in place of a list", flat(nil), `"x"`, shape},
		{"list in place of an object", &plan.Plan{Root: lists("", nil, "l"), Fallback: crm}, `[]`, shape},
		{"text in place of a record", flat(nil), `["x"]`, shape},
		{"list in place of a record", flat(nil), `[[]]`, shape},
		{"object in place of pairs", withPairs(), `[{"List":{"Attribute":"Phone"}}]`, shape},
		{"text in place of a pair", withPairs(), `[{"List":["Phone"]}]`, shape},
		{"text in place of a total", &plan.Plan{Root: lists("", nil, "l"), Fallback: crm}, `{"RecordCount":true}`, shape},
		{"words in place of a total", &plan.Plan{Root: lists("", nil, "l"), Fallback: crm}, `{"RecordCount":"secret"}`, shape},
		{"a body in place of none", &plan.Plan{Format: plan.NoBody, Fallback: crm}, `[1]`, shape},
		{"a record in place of a list of filtered ones", withRows(own), `{"OwnerId":"u1","x":1}`, shape},
		{"a record without owner in place of filtered ones", withRows(own), `{"Phone":"1"}`, shape},
		{"a record known by its owner alone in place of filtered ones", withRows(&plan.Rows{Scope: plan.Own, Owner: []string{"bossid"}}), `{"BossId":"u1"}`, shape},
		{"records within an object in place of filtered ones", withRows(own), `{"data":[{"OwnerId":"u2"}]}`, shape},
		{"a large object in place of filtered ones", withRows(own), `{"x":"` + strings.Repeat("a", 5000) + `"}`, shape},
		{"a row longer than its columns", &plan.Plan{Fallback: crm, Root: &plan.Node{Matrix: &plan.Matrix{Columns: []string{"a"}}}}, `[[1,2]]`, shape},
		{"rows without columns", &plan.Plan{Fallback: crm, Root: &plan.Node{Matrix: &plan.Matrix{At: "columns", Rows: "rows"}}}, `{"rows":[[1]]}`, shape},
	} {
		for _, size := range []int{1 << 20, 5000} {
			m := New(c.plan, viewer, Limits{})
			r := m.Reader(&fixed{[]byte(c.in), size})
			_, err := io.ReadAll(r)
			if err == nil || !errors.As(err, c.as) {
				t.Errorf("%s: %v, want %T: a body that others read otherwise is shown", c.name, err, c.as)
			}
			if n, again := r.Read(make([]byte, 100)); n != 0 || !errors.Is(again, err) {
				t.Errorf("%s: %d bytes and %v are given behind the error", c.name, n, again)
			}
		}
	}
}

func TestNotVisibleComesBeforeAnyByte(t *testing.T) {
	inner := &plan.Plan{Fallback: crm, Root: &plan.Node{Members: map[string]*plan.Node{"lead": one("ownerid", nil), "also": one("ownerid", nil)}}}
	for name, c := range map[string]struct {
		plan *plan.Plan
		in   string
	}{
		"root":           {&plan.Plan{Fallback: crm, Root: one("ownerid", nil)}, `{"OwnerId":"u2"}`},
		"owner last":     {&plan.Plan{Fallback: crm, Root: one("ownerid", nil)}, `{"a":1,"OwnerId":"u2"}`},
		"behind others":  {inner, `{"x":"` + strings.Repeat("x", 60_000) + `","y":1,"lead":{"OwnerId":"u2"}}`},
		"nobody's rows":  {&plan.Plan{Fallback: crm, Root: one("ownerid", nil)}, `{}`},
		"without viewer": {&plan.Plan{Fallback: crm, Root: one("ownerid", nil)}, `{"OwnerId":"u1"}`},
	} {
		v := viewer
		if name == "without viewer" {
			v = nil
		}
		got, err := io.ReadAll(New(c.plan, v, Limits{}).Reader(&fixed{[]byte(c.in), 100}))
		if !errors.Is(err, ErrNotVisible) || len(got) > 0 {
			t.Errorf("%s: %v after %q: somebody learns that the record is there", name, err, got)
		}
	}
	got, err := New(inner, viewer, Limits{}).Append(nil, []byte(`{"lead":{"OwnerId":"u1"},"also":{"OwnerId":"u2"},"x":1}`))
	if err != nil || string(got) != `{"lead":{"OwnerId":"u1"},"x":1}` {
		t.Errorf("a second record that is not visible: %s, %v", got, err)
	}
	far := `{"x":"a","l":[` + strings.Repeat(`"0123456789",`, 20_000) + `1],"lead":{"OwnerId":"u1"}}`
	got, err = io.ReadAll(New(inner, viewer, Limits{}).Reader(strings.NewReader(far)))
	var le *LimitError
	if !errors.As(err, &le) || len(got) > 0 {
		t.Errorf("a record too far behind: %v after %d bytes", err, len(got))
	}
}

func TestTotalThatCannotWaitBecomesNull(t *testing.T) {
	p := &plan.Plan{Root: lists("ownerid", nil, "l"), Fallback: crm}
	n := 20_000
	body := `{"RecordCount":9,"l":[` + strings.Repeat(`{"OwnerId":"u1"},`, n) + `{"OwnerId":"u2"}],"again":{"RecordCount":1}}`
	m := New(p, viewer, Limits{})
	got, err := io.ReadAll(m.Reader(strings.NewReader(body)))
	if err != nil || !bytes.HasPrefix(got, []byte(`{"RecordCount":null,"l":[{"OwnerId":"u1"},`)) {
		t.Fatalf("%v, %.60s: a total beyond the hold is shown or ends the answer", err, got)
	}
	if s := m.Stats(); s.Kept != n || s.Dropped != 1 {
		t.Errorf("kept %d and dropped %d, want %d and 1", s.Kept, s.Dropped, n)
	}
	if _, err := parse(got); err != nil {
		t.Errorf("the answer is broken: %v", err)
	}
}

func TestStats(t *testing.T) {
	m := New(withRows(own), viewer, Limits{})
	body := `[{"OwnerId":"u1","Phone":"+919876543210","mx_PAN":1,"n":"9876543210"},{"OwnerId":"u2","Phone":"1"},{"OwnerId":"u1","Phone":""}]`
	for range 2 {
		if _, err := io.ReadAll(m.Reader(&fixed{[]byte(body), 3})); err != nil {
			t.Fatal(err)
		}
		got := fmt.Sprint(m.Stats())
		if want := "{map[:1 phone:1] map[pan:1] 2 1 0}"; got != want {
			t.Errorf("Stats = %s, want %s: the audit does not say what was masked", got, want)
		}
		m.Reset(m.plan, viewer, Limits{})
	}
}

// endless gives a list of leads that never ends, and counts what it gave.
type endless struct{ given int }

func (e *endless) Read(p []byte) (int, error) {
	doc := `{"OwnerId":"u1","Phone":"+919876543210"},`
	if e.given == 0 {
		doc = "[" + doc
	}
	n := copy(p, doc)
	if n < len(doc) {
		panic("small buffer")
	}
	e.given += n
	return n, nil
}

func TestFirstByteAfterTheFirstRecord(t *testing.T) {
	src := &endless{}
	r := New(withRows(own), viewer, Limits{}).Reader(src)
	n, err := r.Read(make([]byte, 4096))
	if err != nil || n == 0 || src.given > 200 {
		t.Errorf("%d bytes and %v after %d bytes of the CRM: people wait", n, err, src.given)
	}
}

func TestLastByteWaitsForTheEnd(t *testing.T) {
	got, err := io.ReadAll(New(flat(nil), viewer, Limits{}).Reader(&fixed{[]byte(`[{"a":1}] x`), 9}))
	if err == nil || bytes.HasSuffix(got, []byte("]")) {
		t.Errorf("%v after %q: an answer with junk behind it looks whole", err, got)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	m := New(withRows(own), viewer, Limits{})
	n, err := io.Copy(io.Discard, io.LimitReader(m.Reader(&endless{}), 64<<20))
	if err != nil || n != 64<<20 || cap(m.in)+cap(m.out) > 512<<10 {
		t.Errorf("%d bytes, %v: window %d and output %d have grown with the body", n, err, cap(m.in), cap(m.out))
	}
}

func TestLargeMatrixStreams(t *testing.T) {
	p := &plan.Plan{Fallback: crm, Root: &plan.Node{Matrix: &plan.Matrix{At: "columns", Rows: "rows"}}}
	rows := strings.Repeat(`["secret",1,"98765 43210"],`, 60_000) + `[]`
	for _, size := range []int{1 << 20, 7000} {
		got, err := io.ReadAll(New(p, viewer, Limits{}).Reader(&fixed{[]byte(`{"columns":["mx_PAN","a","Phone"],"rows":[` + rows + `]}`), size}))
		if err != nil || bytes.Contains(got, []byte("secret")) || !bytes.HasPrefix(got, []byte(`{"columns":["a","Phone"],"rows":[[1,"XXXXXX3210"],`)) {
			t.Fatalf("in chunks of %d: %v, %.80s: a large answer is lost or shows hidden columns", size, err, got)
		}
	}
	p.MaxRows = 2
	got, err := io.ReadAll(New(p, viewer, Limits{}).Reader(strings.NewReader(`{"columns":["mx_PAN","a","Phone"],"rows":[` + rows + `]}`)))
	if want := `{"columns":["a","Phone"],"rows":[[1,"XXXXXX3210"],[1,"XXXXXX3210"]]}`; err != nil || string(got) != want {
		t.Errorf("two rows are let through: %v, %.100s", err, got)
	}
	p.MaxRows = 0
	_, err = io.ReadAll(New(p, viewer, Limits{}).Reader(strings.NewReader(`{"rows":[` + rows + `],"columns":["mx_PAN","a","Phone"]}`)))
	if _, ok := errors.AsType[*ShapeError](err); !ok {
		t.Errorf("rows before their columns, too many to hold: %v", err)
	}
}

// TestLargestRecordByteByByte takes hours where each byte makes the record be
// read again.
func TestLargestRecordByteByByte(t *testing.T) {
	body := `[{"Phone":"+919876543210","a":[` + strings.Repeat(`"0123456789",`, 75_000) + `1]}]`
	got, err := io.ReadAll(New(flat(nil), viewer, Limits{}).Reader(&fixed{[]byte(body), 1}))
	if err != nil || !bytes.HasPrefix(got, []byte(`[{"Phone":"+91XXXXXX3210","a":[`)) {
		t.Errorf("%v, %.60s", err, got)
	}
}

func TestErrorsOfTheSource(t *testing.T) {
	cut := errors.New("cut")
	r := New(flat(nil), viewer, Limits{}).Reader(io.MultiReader(strings.NewReader(`[{"a":1},{"Phone":"+9198`), &failing{cut}))
	got, err := io.ReadAll(r)
	if !errors.Is(err, cut) || !strings.HasPrefix(`[{"a":1}`, string(got)) {
		t.Errorf("%v after %q", err, got)
	}
	if _, err := io.ReadAll(New(flat(nil), viewer, Limits{}).Reader(&failing{nil})); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("a source that gives nothing: %v", err)
	}
}

type failing struct{ err error }

func (f *failing) Read([]byte) (int, error) { return 0, f.err }

func TestErrorsHoldNoValues(t *testing.T) {
	for _, in := range []string{`[{"secretname":"secret`, `[{"secret":1,"secret":2}]`, `["secret"]`, `[{"a":secret}]`} {
		_, err := New(flat(nil), viewer, Limits{}).Append(nil, []byte(in))
		if err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v: what was masked is found in the log", in, err)
		}
	}
	for _, e := range []error{&SyntaxError{7, "x"}, &ShapeError{7, "x"}, &LimitError{7, "x", 9}} {
		if !strings.Contains(e.Error(), "offset 7: x") {
			t.Errorf("%v does not say where", e)
		}
	}
}

// TestMaskersAreReused holds that nothing of one body gets into another one,
// after errors at any place.
func TestMaskersAreReused(t *testing.T) {
	p := flat(map[string]*plan.Node{"list": pairsOf("attribute")})
	m := New(p, viewer, Limits{})
	good := `[{"Phone":"+919876543210","List":[{"Attribute":"mx_PAN","Value":"s"},{"Attribute":"a","Value":"b"}]}]`
	want := `[{"Phone":"+91XXXXXX3210","List":[{"Attribute":"a","Value":"b"}]}]`
	for n := range len(good) {
		m.Reset(p, viewer, Limits{})
		if _, err := m.Append(nil, []byte(good[:n])); err == nil {
			t.Fatalf("cut at %d: no error", n)
		}
		m.Reset(p, viewer, Limits{})
		if got, err := m.Append(nil, []byte(good)); err != nil || string(got) != want {
			t.Fatalf("after one cut at %d: %v, %s", n, err, got)
		}
	}
}

// TestNilMaskHides holds that a treatment without a function masks fully.
func TestNilMaskHides(t *testing.T) {
	ent := &plan.Entity{Unknown: &plan.Treatment{Effect: plan.Mask}}
	got, err := New(&plan.Plan{Fallback: ent}, nil, Limits{}).Append(nil, []byte(`{"a":"secret","b":7,"c":["secret"]}`))
	if want := `{"a":"` + mask.FullText + `","b":null,"c":null}`; err != nil || string(got) != want {
		t.Errorf("%s, %v, want %s", got, err, want)
	}
}

// TestALargeObjectInPlaceOfRowsEndsTheAnswer holds that the way in which a large matrix is
// read in parts is for an object only where an object was declared: where rows alone were,
// an object stands for an error, and one that is too large was walked again and again.
func TestALargeObjectInPlaceOfRowsEndsTheAnswer(t *testing.T) {
	p := &plan.Plan{Fallback: crm, Root: &plan.Node{Matrix: &plan.Matrix{Columns: []string{"a"}}}}
	src, tries := strings.NewReader(`{"message":"`+strings.Repeat("x", 64)+`"}`), 0
	m := New(p, viewer, Limits{Record: 32})
	m.Reader(src)
	for ; m.err == nil && tries < 100; tries++ {
		m.advance()
	}
	if _, ok := errors.AsType[*LimitError](m.err); !ok {
		t.Errorf("after %d steps: %v: a worker reads one answer for ever", tries, m.err)
	}
}
