// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package xmlmask

import (
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/crmgate/crmgate/modules/internal/jsonmask"
	"github.com/crmgate/crmgate/policy/mask"
	"github.com/crmgate/crmgate/policy/plan"
)

// asides is a plan of a feed that has links and cursors, as elements and as attributes, around its records and in
// each of them.
func asides(unknown plan.Effect) *plan.Plan {
	e := &plan.Entity{Name: "lead", Fields: map[string]*plan.Treatment{}, Unknown: &plan.Treatment{Effect: unknown}}
	if unknown == plan.Mask {
		e.Unknown.Mask = &mask.Func{Name: "full"}
	}
	if unknown != plan.Show {
		e.Fields["name"] = &plan.Treatment{Field: "name", Effect: plan.Mask, Mask: &mask.Func{Name: "full"}}
		e.Fields["notes"] = &plan.Treatment{Field: "notes", Effect: plan.Detect}
	}
	link := &plan.Node{Link: true}
	record := &plan.Record{Entity: e, Set: "v", Nested: map[string]*plan.Node{
		"links": {Members: map[string]*plan.Node{"self": link}},
		"link":  {Link: true, Members: map[string]*plan.Node{"href": link}},
		"up":    link,
	}}
	return &plan.Plan{Format: plan.XML, Fallback: e, Links: true, Open: unknown == plan.Show, Root: &plan.Node{Members: map[string]*plan.Node{"feed": {Members: map[string]*plan.Node{
		"next": link, "after": {Cursor: true}, "base": link, "name": link, "v": {Record: record, Entity: e}, "xmlns": link,
		"link": {Members: map[string]*plan.Node{"href": link, "name": {Cursor: true}}},
	}}}}}
}

// TestAsides: what leads on from a document stays where unknown fields do not, leads to the
// gate, and is searched like any other text.
func TestAsides(t *testing.T) {
	for _, c := range []struct {
		name    string
		unknown plan.Effect
		in      string // of the feed
		want    string
	}{
		{"elements", plan.Detect, "<next>http://crm/a</next><after>p2</after><x>http://crm/</x>", "<next>https://gate/a</next><after>p2</after><x>http://crm/</x>"},
		{"attributes", plan.Detect, "<link rel='next' href='http://crm/a?b&amp;c=\"d\"'/><link href=\"/b\"/>", "<link rel='next' href='https://gate/a?b&amp;c=&#34;d&#34;'/><link href=\"/b\"/>"},
		{"in records", plan.Detect, "<v><links><self>http://crm/1</self><x>http://crm/</x></links><up>http://crm/</up></v><v up='http://crm/2'/>", "<v><links><self>https://gate/1</self><x>http://crm/</x></links><up>https://gate/</up></v><v up='https://gate/2'/>"},
		{"an element and its attribute", plan.Detect, "<v><link href='http://crm/1'>http://crm/2</link></v>", "<v><link href='https://gate/1'>https://gate/2</link></v>"},
		{"another namespace", plan.Detect, "<a:next xmlns:a='http://crm/x'>http://crm/1</a:next><link xmlns:x='urn:y' x:href='http://crm/2'/>", "<a:next xmlns:a='http://crm/x'>https://gate/1</a:next><link xmlns:x='urn:y' x:href='https://gate/2'/>"},
		{"white space, references, sections", plan.Detect, "<next>\n http://crm/&#97;\t</next><up/><next><![CDATA[http://crm/?a&b]]></next><next>http://<!-- x -->crm/</next>", "<next>\n https://gate/a\t</next><up/><next>https://gate/?a&amp;b</next><next>https://gate/</next>"},
		{"where unknown fields are hidden", plan.Hide, "<next>http://crm/a</next><after>p2</after><x>1</x><link rel='next' href='http://crm/b'/><v y='1'><up>http://crm/1</up><y>z</y></v>", "<next>https://gate/a</next><after>p2</after><link href='https://gate/b'/><v><up>https://gate/1</up></v>"},
		{"where unknown fields are masked", plan.Mask, "<next>http://crm/a</next><after>p2</after><x>y</x>", "<next>https://gate/a</next><after>p2</after><x>XXXXXXXX</x>"},
		{"personal data", plan.Detect, "<next>http://crm/?q=meera@canary.example</next><after>98123 45670</after><link href='http://crm/9812345670'/>", "<next>http://crm/?q=XXXXXXXX</next><after>XXXXXXXX</after><link href='http://crm/XXXXXXXX'/>"},
		{"personal data where all is hidden", plan.Hide, "<after>98123 45670</after>", "<after>XXXXXXXX</after>"},
		{"a value of the record", plan.Detect, "<v><up>http://crm/kestrel holdings/1</up><Name>Kestrel Holdings</Name></v><next>http://crm/?q=Kestrel Holdings</next>", "<v><up>http://crm/XXXXXXXX/1</up><Name>XXXXXXXX</Name></v><next>http://crm/?q=XXXXXXXX</next>"},
		{"fields that are restricted", plan.Detect, "<name>http://crm/1</name><link name='http://crm/1'/><link href='http://crm/2'/>", "<name>XXXXXXXX</name><link name='XXXXXXXX'/><link href='https://gate/2'/>"},
		{"elsewhere", plan.Detect, "<next>http://other/a</next><after/><next> </next>", "<next>http://other/a</next><after/><next> </next>"},
		{"elements within", plan.Detect, "<next><href>98123 45670</href></next><v><up><a>http://crm/</a></up></v>", "<next><href>XXXXXXXX</href></next><v><up><a>http://crm/</a></up></v>"},
		{"elements within what is hidden", plan.Hide, "<next><href>98123 45670</href></next>", ""},
		{
			"everything shown", plan.Show, "<!-- 9812345670 --><next>http://crm/?9812345670<!-- a --></next>9812345670<?pi x?>\n<x a='9812345670'><!-- b -->98123<b>45670</b>{\"</x><link name='1' href='http://crm/2' /><v><up>http://crm/1</up><y>+91-9812345670<!-- c --></y></v>",
			"<!-- 9812345670 --><next>https://gate/?9812345670</next>9812345670<?pi x?>\n<x a='9812345670'><!-- b -->98123<b>45670</b>{\"</x><link name='1' href='https://gate/2' /><v><up>https://gate/1</up><y>+91-9812345670<!-- c --></y></v>",
		},
	} {
		for chunks, wrap := range map[string]func(io.Reader) io.Reader{"whole": func(r io.Reader) io.Reader { return r }, "byte by byte": iotest.OneByteReader} {
			m := New(asides(c.unknown), nil, jsonmask.Limits{Link: atGate})
			got, err := io.ReadAll(m.Reader(wrap(strings.NewReader("<feed>" + c.in + "</feed>"))))
			if want := "<feed>" + c.want + "</feed>"; err != nil || string(got) != want {
				t.Errorf("%s, %s: %v\ngot  %s\nwant %s", c.name, chunks, err, got, want)
			}
		}
	}
	const base = "<feed xml:base='http://crm/x/' next=\"http://crm/a\" xmlns='http://crm/'/>"
	m := New(asides(plan.Detect), nil, jsonmask.Limits{Link: atGate})
	if got, err := io.ReadAll(m.Reader(strings.NewReader(base))); err != nil || string(got) != "<feed xml:base='https://gate/x/' next=\"https://gate/a\" xmlns='http://crm/'/>" {
		t.Errorf("what addresses are relative to: %s, %v", got, err)
	}
	m = New(asides(plan.Detect), nil, jsonmask.Limits{})
	if got, err := io.ReadAll(m.Reader(strings.NewReader(base))); err != nil || string(got) != base {
		t.Errorf("without a gate to lead to: %s, %v", got, err)
	}
}

// TestEverythingShown: of a document that is read for its links alone, and has none, every byte
// stays.
func TestEverythingShown(t *testing.T) {
	p := leads(false)
	p.Open, p.Links = true, true
	e := p.Fallback
	for name, f := range e.Fields {
		e.Fields[name] = &plan.Treatment{Field: f.Field}
	}
	e.Unknown = &plan.Treatment{}
	for _, in := range documentSeeds {
		got, _, err := run(p, in, iotest.OneByteReader)
		if want := strings.TrimPrefix(in, "\xEF\xBB\xBF"); err == nil && got != want {
			t.Errorf("%q becomes %q", want, got)
		}
		if _, _, restricted := run(leads(false), in, nil); err != nil && restricted == nil {
			t.Errorf("%q: %v", in, err)
		}
	}
}
