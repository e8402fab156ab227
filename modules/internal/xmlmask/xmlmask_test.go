// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package xmlmask

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/crmgate/crmgate/modules/internal/jsonmask"
	"github.com/crmgate/crmgate/policy/mask"
	"github.com/crmgate/crmgate/policy/plan"
)

func entity() *plan.Entity {
	phone, err := mask.Compile(mask.Spec{Fn: "phone"}, nil)
	if err != nil {
		panic(err)
	}
	return &plan.Entity{
		Name: "lead",
		Fields: map[string]*plan.Treatment{
			"id": {Field: "id"}, "owner": {Field: "owner"}, "name": {Field: "name"}, "notes": {Field: "notes", Effect: plan.Detect},
			"phone":  {Field: "phone", Effect: plan.Mask, Mask: phone},
			"pan":    {Field: "pan", Effect: plan.Hide},
			"secret": {Field: "secret", Effect: plan.Mask, Mask: &mask.Func{Name: "full"}},
		},
		Unknown: &plan.Treatment{Effect: plan.Detect},
	}
}

// leads is a plan of /Leads/Lead with a count beside it, pairs in Props, and
// contacts as records of their own.
func leads(rows bool) *plan.Plan {
	e := entity()
	contact := &plan.Record{Entity: e, Set: "contacts"}
	r := &plan.Record{Entity: e, Set: "leads", Nested: map[string]*plan.Node{
		"props":    {Pairs: &plan.Pairs{Name: []string{"name", "key"}, Value: []string{"value"}}},
		"contacts": {Members: map[string]*plan.Node{"contact": {Record: contact}}},
		"fields":   {Fields: true},
	}}
	if rows {
		r.Rows = &plan.Rows{Scope: plan.Own, Owner: []string{"owner"}}
	}
	list := &plan.Node{Members: map[string]*plan.Node{"lead": {Record: r}, "count": {Total: "leads"}}}
	return &plan.Plan{ID: "t", Format: plan.XML, Root: &plan.Node{Members: map[string]*plan.Node{"leads": list}}, Fallback: e}
}

var viewer = &plan.Viewer{Own: map[string]struct{}{"u1": {}}}

func run(p *plan.Plan, body string, wrap func(io.Reader) io.Reader) (string, jsonmask.Stats, error) {
	m := New(p, viewer, jsonmask.Limits{Link: atGate})
	var src io.Reader = strings.NewReader(body)
	if wrap != nil {
		src = wrap(src)
	}
	out, err := io.ReadAll(m.Reader(src))
	return string(out), m.Stats(), err
}

func TestDocuments(t *testing.T) {
	type test struct {
		name string
		rows bool
		in   string
		want string // "" for a refusal
	}
	lead := func(name, in, want string) test {
		return test{name, false, "<Leads><Lead>" + in + "</Lead></Leads>", "<Leads><Lead>" + want + "</Lead></Leads>"}
	}
	for _, c := range []test{
		lead("an element", "<Id>1</Id> <Phone>+91-9812345670</Phone>\n<Score>17.50</Score>", "<Id>1</Id> <Phone>+91XXXXXX5670</Phone>\n<Score>17.50</Score>"),
		lead("another spelling", "<p:PHONE xmlns:p='urn:x'>+91-9812345670</p:PHONE>", "<p:PHONE xmlns:p='urn:x'>+91XXXXXX5670</p:PHONE>"),
		lead("a comment between digits", "<Phone>+91-98123<!-- x -->45670</Phone><Name>A<!-- 9812345670 -->B<?x 9812345670?></Name>", "<Phone>+91XXXXXX5670</Phone><Name>AB</Name>"),
		lead("character data", "<Phone><![CDATA[+91-9812345670]]></Phone><Name><![CDATA[a<b]]></Name>", "<Phone>+91XXXXXX5670</Phone><Name><![CDATA[a<b]]></Name>"),
		lead("references", "<Phone>&#43;91-&#x39;812345670</Phone><Name>R&amp;D</Name>", "<Phone>+91XXXXXX5670</Phone><Name>R&amp;D</Name>"),
		lead("elements that are empty", "<Phone/><Phone></Phone><Phone> </Phone>", "<Phone/><Phone></Phone><Phone> </Phone>"),
		lead("a hidden element", "<Id>1</Id><PAN>BQKPN4821L</PAN><PAN/>", "<Id>1</Id>"),
		lead("elements within a masked one", "<Phone>+91<a>98123</a><b x='1'>45670</b></Phone>", "<Phone></Phone>"),
		lead("attributes of a masked one", "<Phone type='mobile' value=\"+91-9812345670\"/>", "<Phone type='XXXXXXXX' value=\"+91XXXXXX5670\"/>"),
		lead("what says how an element is read", `<Phone xmlns:i="http://www.w3.org/2001/XMLSchema-instance" i:nil="true" xml:lang="en"/>`, `<Phone xmlns:i="http://www.w3.org/2001/XMLSchema-instance" i:nil="true" xml:lang="en"/>`),
		lead("an undeclared element", "<Note>call 98123-45670 &lt;now&gt;</Note><Deep><a><Phone>9812345670</Phone></a></Deep>", "<Note>call XXXXXX5670 &lt;now&gt;</Note><Deep><a><Phone>XXXXXX5670</Phone></a></Deep>"),
		lead("a name that looks personal", "<Id>1</Id><n9812345670>x</n9812345670>", "<Id>1</Id>"),
		lead("text between elements", "call 9812345670<b>x</b>or meera@canary.example", "call XXXXXXXX<b>x</b>or XXXXXXXX"),
		lead("a number torn by elements", "<Notes>98123<b/>45670</Notes>", "<Notes>XXXXXXXX<b/>XXXXXXXX</Notes>"),
		lead("a number torn by what goes, beside elements", "<Notes>98123<!-- x -->45670<b/></Notes>", "<Notes>XXXXXXXX<b/></Notes>"),
		lead("a number torn by a comment beside pairs", "<Props>98123<!-- x -->45670<P key='id'>1</P></Props>", "<Props>XXXXXXXX<P key='id'>1</P></Props>"),
		lead("a number torn by pairs", "<Props>98123<P key='id'>1</P>45670</Props>", "<Props>XXXXXXXX<P key='id'>1</P>XXXXXXXX</Props>"),
		lead("a number torn by an instruction in a pair", "<Props><P><Name>note</Name>98123<?x y?>45670</P></Props>", "<Props><P><Name>note</Name>XXXXXXXX</P></Props>"),
		lead("a number torn by elements in a pair", "<Props><P><Name>note</Name>98123<x/>45670</P></Props>", "<Props><P><Name>note</Name>XXXXXXXX<x/>XXXXXXXX</P></Props>"),
		lead("a phone torn by a comment in a pair", "<Props><P><Name>Phone</Name>98123<!-- x -->45670</P></Props>", "<Props><P><Name>Phone</Name>XXXXXX5670</P></Props>"),
		lead("a comment within what ends no section", "<Name>]]<!-- x -->></Name><Score>]<!-- x -->]<?x?>&gt;</Score>", "<Name>]]&gt;</Name><Score>]]&gt;</Score>"),
		lead("pairs of elements", "<Props><P><Name>Phone</Name><Value>+91-9812345670</Value></P><P><Value>x</Value><Name>pan</Name></P><P><Value>a</Value><Name>Id</Name></P></Props>", "<Props><P><Name>Phone</Name><Value>+91XXXXXX5670</Value></P><P><Value>a</Value><Name>Id</Name></P></Props>"),
		lead("pairs of attributes", `<Props><P key="Phone" value="+91-9812345670"/><P key="Secret">abc</P><P value="x"/><P key='id'>7</P></Props>`, `<Props><P key="Phone" value="+91XXXXXX5670"/><P key="Secret">XXXXXXXX</P><P value="XXXXXXXX"/><P key='id'>7</P></Props>`),
		lead("a pair with more in it", "<Props><P><Name>Phone</Name><Value>1</Value><Shown>+91-9812345670</Shown><Old><v>98</v></Old></P></Props>", "<Props><P><Name>Phone</Name><Value>XXXXXXXX</Value><Shown>+91XXXXXX5670</Shown><Old></Old></P></Props>"),
		lead("a pair with two names", "<Props><P key='id'><Name>Phone</Name><Value>+91-9812345670</Value></P></Props>", "<Props><P key='id'><Name>Phone</Name><Value>+91XXXXXX5670</Value></P></Props>"),
		lead("records within", "<Contacts><Contact><Phone>9812345670</Phone><PAN>x</PAN></Contact></Contacts>", "<Contacts><Contact><Phone>XXXXXX5670</Phone></Contact></Contacts>"),
		lead("fields in a part", "<Fields Phone='9812345670'><Pan>x</Pan></Fields>", "<Fields Phone='XXXXXX5670'></Fields>"),

		{"attributes of the record", false, `<Leads><Lead Id="1" Phone="+91-9812345670" Pan="x" Note="9812345670"/></Leads>`, `<Leads><Lead Id="1" Phone="+91XXXXXX5670" Note="+91XXXXXX5670"/></Leads>`},
		{"a declaration and a byte order mark", false, "\xEF\xBB\xBF<?xml version='1.0' encoding='UTF-8'?>\n<!-- 9812345670 --><?go 9812345670?>\n<Leads/>\n", "<?xml version='1.0' encoding='UTF-8'?>\n\n<Leads/>\n"},
		{"records of others", true, "<Leads><Count>3</Count><Lead><Owner>u1</Owner></Lead> <Lead><Owner>u2</Owner><Name>secret</Name></Lead> <Lead><Name>secret</Name></Lead></Leads>", "<Leads><Count>1</Count><Lead><Owner>u1</Owner></Lead>  </Leads>"},
		{"a count in an attribute", true, "<Leads count='12'><Lead owner='u2'/><Lead owner='U-1'/></Leads>", "<Leads count='1'><Lead owner='U-1'/></Leads>"},
		{"a count behind", true, "<Leads><Lead owner='u2'/><Count>1</Count></Leads>", "<Leads><Count>0</Count></Leads>"},
		{"two owners", true, "<Leads><Lead owner='u1'><Owner>u2</Owner></Lead></Leads>", "<Leads></Leads>"},
		{"an owner in a pair", true, "<Leads><Lead><Props><P key='Owner'>u1</P></Props></Lead><Lead><Props><P><Value>u2</Value><Name>owner</Name></P></Props></Lead></Leads>", "<Leads><Lead><Props><P key='Owner'>u1</P></Props></Lead></Leads>"},
		{"an owner that is an element", true, "<Leads><Lead><Owner>u1<x/></Owner></Lead></Leads>", "<Leads></Leads>"},
		{"an undeclared element beside records", false, "<Leads><Err>dup 9812345670</Err><Lead/></Leads>", "<Leads><Err>dup XXXXXXXX</Err><Lead/></Leads>"},
		{"text beside records", false, "<Leads>9812345670<Lead/></Leads>", "<Leads>XXXXXXXX<Lead/></Leads>"},
		{"text beside records torn by a comment", false, "<Leads>98123<!-- x -->45670<Lead/></Leads>", "<Leads>XXXXXXXX<Lead/></Leads>"},
		{"text beside records torn by sections", false, "<Leads><![CDATA[meera@]]>canary<![CDATA[.example]]><Lead/></Leads>", "<Leads>XXXXXXXX<Lead/></Leads>"},
		{"text beside records in which nothing is found", false, "<Leads> a<!-- x -->b<![CDATA[<c>]]> <Lead/>\n<?x y?> </Leads>", "<Leads> ab<![CDATA[<c>]]> <Lead/>\n </Leads>"},
		{"another document", false, "<Fault code='1'><Text>Phone +91-9812345670 exists</Text></Fault>", "<Fault code='1'><Text>Phone XXXXXXXX exists</Text></Fault>"},
		{"another document that is a field", false, "<Phone>9812345670</Phone>", "<Phone>XXXXXX5670</Phone>"},
		{"another document that is hidden", false, "<PAN a='b' xmlns='urn:x'>BQKPN<x/></PAN>", "<PAN xmlns='urn:x'></PAN>"},
		{"another document, rows being filtered", true, "<Other><Lead><Name>secret</Name></Lead></Other>", ""},

		{"a document type", false, "<!DOCTYPE x [<!ENTITY p '9812345670'>]><Leads><Lead><Phone>&p;</Phone></Lead></Leads>", ""},
		{"an entity nobody declared", false, "<Leads><Lead><Name>&nbsp;</Name></Lead></Leads>", ""},
		{"another encoding", false, "<?xml version='1.0' encoding='utf-16'?><Leads/>", ""},
		{"bytes that are not UTF-8", false, "<Leads><Lead><Name>\xff9812345670</Name></Lead></Leads>", ""},
		{"UTF-16", false, "\xFF\xFE<\x00L\x00/\x00>\x00", ""},
		{"nothing", false, "", ""},
		{"white space", false, " \n", ""},
		{"text", false, "9812345670", ""},
		{"JSON", false, `{"Phone":"9812345670"}`, ""},
		{"two documents", false, "<Leads/><Leads><Lead><Phone>9812345670</Phone></Lead></Leads>", ""},
		{"text behind", false, "<Leads/>9812345670", ""},
		{"an end that does not fit", false, "<Leads><Lead></Leads></Lead>", ""},
		{"it breaks off", false, "<Leads><Lead><Phone>9812345670</Phone>", ""},
		{"two attributes of one name", false, "<Leads><Lead Phone='1' Phone='9812345670'/></Leads>", ""},
		{"attributes that bindings make one", false, "<Leads xmlns:a='urn:x' xmlns:b='urn:x'><Lead a:x='1' b:x='2'/></Leads>", ""},
		{"two colons", false, "<Leads><Lead><a:b:Phone>9812345670</a:b:Phone></Lead></Leads>", ""},
		{"a colon in front", false, "<Leads><Lead><:Phone>9812345670</:Phone></Lead></Leads>", ""},
		{"a namespace that looks personal", false, "<Leads xmlns:a='tel:+919812345670'/>", ""},
		{"a declaration in the middle", false, "<Leads><?xml version='1.0'?></Leads>", ""},
		{"a count that is none", true, "<Leads count='many'/>", ""},
		{"a page", false, "<html><body><br><p>9812345670</html>", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := leads(c.rows)
			got, _, err := run(p, c.in, nil)
			if c.want == "" && err == nil {
				t.Fatalf("a document nobody can read goes through:\n%s", got)
			}
			if c.want != "" && (err != nil || got != c.want) {
				t.Fatalf("%v\ngot  %s\nwant %s", err, got, c.want)
			}
			if err != nil && !errors.Is(err, ErrDocument) {
				t.Fatalf("the refusal is %v", err)
			}
			slow, _, slowErr := run(p, c.in, iotest.OneByteReader)
			if slow != got || (slowErr == nil) != (err == nil) {
				t.Fatalf("byte by byte another answer comes out:\n%s, %v\n%s, %v", got, err, slow, slowErr)
			}
		})
	}
}

// A document whose shape nobody declared is treated by the table of the plan.
func TestUndeclared(t *testing.T) {
	p := &plan.Plan{Format: plan.XML, Root: &plan.Node{}, Fallback: entity()}
	if got, _, err := run(p, "<a><Phone>9812345670</Phone><PAN>x</PAN><b>call 9812345670</b></a>", nil); got != "<a><Phone>XXXXXX5670</Phone><b>call XXXXXX5670</b></a>" || err != nil {
		t.Errorf("%s, %v", got, err)
	}
	p.Fallback = &plan.Entity{Unknown: &plan.Treatment{Effect: plan.Hide}}
	if got, _, err := run(p, "<a x='1'><b>secret</b>secret</a>", nil); got != "<a></a>" || err != nil {
		t.Errorf("hidden altogether: %s, %v", got, err)
	}
	p.Fallback = nil
	if got, _, err := run(p, "<a x='1'>secret</a>", nil); got != "<a></a>" || err != nil {
		t.Errorf("without any table: %s, %v", got, err)
	}
}

// The one record that was asked for: nothing goes out before it is judged.
func TestSingle(t *testing.T) {
	p := leads(true)
	p.NotFound = &plan.Canned{Status: 404}
	pad := "<x>" + strings.Repeat("y", 100_000) + "</x>"
	if got, _, err := run(p, "<?xml version='1.0'?><Leads>"+pad+"<Lead owner='u2'/></Leads>", nil); got != "" || !errors.Is(err, jsonmask.ErrNotVisible) {
		t.Errorf("a record that is not visible is announced: %.60q, %v", got, err)
	}
	if got, _, err := run(p, "<Leads><Lead owner='u1'/></Leads>", nil); got != "<Leads><Lead owner='u1'/></Leads>" || err != nil {
		t.Errorf("the person's own record: %q, %v", got, err)
	}
}

func TestLimits(t *testing.T) {
	var le *jsonmask.LimitError
	long := strings.Repeat("x", 2<<20)
	for name, body := range map[string]string{
		"a record": "<Leads><Lead>" + strings.Repeat("<a/>", 1<<20) + "</Lead></Leads>",
		"a text":   "<Leads><Lead><Name>" + long, "a text between": "<Leads>" + long, "a tag": "<Leads a='" + long, "a comment": "<!--" + long,
	} {
		if _, _, err := run(leads(false), body, nil); !errors.As(err, &le) {
			t.Errorf("%s of 2 MiB: %v: it may fill the memory", name, err)
		}
	}
	if _, _, err := run(leads(false), strings.Repeat("<a>", 1000), nil); err == nil {
		t.Error("elements may nest without end")
	}
	// What stands in front of the one record that was asked for.
	single := leads(true)
	single.NotFound = &plan.Canned{Status: 404}
	for name, fill := range map[string]string{"elements": "<x>" + strings.Repeat("y", 1000) + "</x>", "white space": strings.Repeat(" ", 1000) + "<x/>"} {
		if _, _, err := run(single, "<Leads>"+strings.Repeat(fill, 1000)+"<Lead owner='u1'/></Leads>", nil); !errors.As(err, &le) {
			t.Errorf("1 MB of %s that wait for a record: %v: they may fill the memory", name, err)
		}
	}
	if _, _, err := run(single, "<Leads><Lead owner='u1'><Name>"+strings.Repeat("y", 500_000)+"</Name></Lead></Leads>", nil); err != nil {
		t.Errorf("a long record: %v", err)
	}
	// Many records in front of a total that is held back.
	p := leads(true)
	body := "<Leads><Count>9</Count>" + strings.Repeat("<Lead owner='u1'><Name>"+strings.Repeat("n", 1000)+"</Name></Lead>", 1000) + "</Leads>"
	got, s, err := run(p, body, nil)
	if err != nil || s.Kept != 1000 || !strings.HasPrefix(got, "<Leads><Count></Count><Lead") {
		t.Errorf("a total that waits too long: %.60q, %v", got, err)
	}
}

// TestManyAttributes: attributes are told apart however many a tag has, and the time for it
// goes with their number, where it once went with the square of it.
func TestManyAttributes(t *testing.T) {
	tag := func(n int, more string) string {
		var b strings.Builder
		b.WriteString("<Leads")
		for i := range n {
			fmt.Fprintf(&b, " a%d='x'", i)
		}
		return b.String() + more + "/>"
	}
	for _, n := range []int{1, 2, 15, 16, 17, 1000} {
		if _, _, err := run(leads(false), tag(n, ""), nil); err != nil {
			t.Errorf("%d attributes: %v", n, err)
		}
		if got, _, err := run(leads(false), tag(n, " a0='9812345670'"), nil); !errors.Is(err, ErrDocument) {
			t.Errorf("a name twice among %d goes through as %.60q, %v", n, got, err)
		}
	}
	least := func(n int) time.Duration {
		attrs := make([]xml.Attr, n)
		for i := range attrs {
			attrs[i].Name.Local = fmt.Sprint("attribute", i)
		}
		out := time.Hour
		for range 5 {
			start := time.Now()
			twice(attrs)
			out = min(out, time.Since(start))
		}
		return out
	}
	if few, many := least(1000), least(32_000); many > 200*few { // 32 times as many; the square is 1024
		t.Errorf("1000 attributes are compared in %v, 32,000 in %v", few, many)
	}
}

func TestStats(t *testing.T) {
	_, s, err := run(leads(true), "<Leads><Lead owner='u1'><Phone>1</Phone><PAN>x</PAN></Lead><Lead owner='u2'/></Leads>", nil)
	if err != nil || s.Masked["phone"] != 1 || s.Hidden["pan"] != 1 || s.Kept != 1 || s.Dropped != 1 {
		t.Errorf("the audit reads %+v, %v", s, err)
	}
}

// A masker that is used again has nothing of the body before, broken or not.
func TestReset(t *testing.T) {
	p := leads(true)
	m := New(p, viewer, jsonmask.Limits{})
	for _, in := range []string{"<Leads count='3'><Lead owner='u1'/></Leads>", "<Leads count='3'><Lead", "<Leads><Lead owner='u1'><Phone>9812345670</Phone></Lead></Leads>"} {
		m.Reset(p, viewer, jsonmask.Limits{})
		got, err := io.ReadAll(m.Reader(strings.NewReader(in)))
		if want, _, wantErr := run(p, in, nil); string(got) != want || (err == nil) != (wantErr == nil) {
			t.Errorf("%q: %q, %v; new it gives %q, %v", in, got, err, want, wantErr)
		}
	}
}
