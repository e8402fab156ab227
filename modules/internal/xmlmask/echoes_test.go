// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package xmlmask

import (
	"fmt"
	"strings"
	"testing"

	"github.com/crmgate/crmgate/modules/internal/jsonmask"
	"github.com/crmgate/crmgate/policy/mask"
	"github.com/crmgate/crmgate/policy/plan"
)

// A value that is masked or hidden does not come through in a text that nobody declared,
// whatever it is in and wherever in its record it stands.
func TestValuesThatComeAgain(t *testing.T) {
	type test struct {
		name, in, want string
	}
	lead := func(name, in, want string) test {
		return test{name, "<Leads><Lead>" + in + "</Lead></Leads>", "<Leads><Lead>" + want + "</Lead></Leads>"}
	}
	const x = "XXXXXXXX"
	for _, c := range []test{
		lead("in front of the value", "<N>of Acme Kettles, Pune</N><Secret>Acme Kettles</Secret>", "<N>of "+x+", Pune</N><Secret>"+x+"</Secret>"),
		lead("in other letters", "<Secret>Acme Kettles</Secret><N>ACME kettles</N>", "<Secret>"+x+"</Secret><N>"+x+"</N>"),
		lead("of a hidden element", "<PAN>AK-77 b</PAN><Notes>(AK-77 b)</Notes>", "<Notes>("+x+")</Notes>"),
		lead("of attributes", "<a Secret='Acme Kettles' pan=\"AK-77 b\" n='Acme Kettles or AK-77 b'/>", "<a Secret='"+x+"' n='"+x+" or "+x+"'/>"),
		lead("of elements within", "<Secret><a>Acme</a> <b v='AK-77 b'>Kettles</b><c>Blue Teapots</c></Secret><N>AK-77 b, Acme KettlesBlue Teapots, Blue Teapots</N>", "<Secret></Secret><N>"+x+", "+x+", "+x+"</N>"),
		lead("of elements within a hidden one", "<PAN><a>Acme <i>Kettles</i></a><b c='AK-77 b'/></PAN><N>Acme Kettles AK-77 b</N>", "<N>"+x+" "+x+"</N>"),
		lead("of a pair", "<N>Acme Kettles</N><Props><P key='Secret' value='Acme Kettles'/></Props>", "<N>"+x+"</N><Props><P key='Secret' value='"+x+"'/></Props>"),
		lead("of a hidden pair, whose name is none", "<N>AK-77 b permanentaccount</N><Props><P><Name>pan</Name><Value>AK-77 b</Value></P><P name='PAN'>Acme Kettles</P></Props><M>Acme Kettles has a PAN</M>", "<N>"+x+" permanentaccount</N><Props></Props><M>"+x+" has a PAN</M>"),
		lead("of a pair that nobody can name", "<Props><P value='Acme Kettles'/></Props><N>Acme Kettles</N>", "<Props><P value='"+x+"'/></Props><N>"+x+"</N>"),
		lead("of a record within", "<N>Acme Kettles</N><Contacts><Contact><Secret>Acme Kettles</Secret></Contact></Contacts>", "<N>"+x+"</N><Contacts><Contact><Secret>"+x+"</Secret></Contact></Contacts>"),
		lead("of character data and references", "<N><![CDATA[Acme Kettles]]></N><Secret>Acme&#32;Kettles</Secret>", "<N>"+x+"</N><Secret>"+x+"</Secret>"),
		lead("behind references", "<N>R&amp;D of Acme&#x20;Kettles</N><Secret>Acme Kettles</Secret>", "<N>R&amp;D of "+x+"</N><Secret>"+x+"</Secret>"),
		lead("in text beside elements", "Acme Kettles<Secret>Acme Kettles</Secret>", x+"<Secret>"+x+"</Secret>"),
		lead("torn by elements", "<Secret>Acme Kettles</Secret><N>Acme <b/>Kettles <b>Pune</b></N>", "<Secret>"+x+"</Secret><N>"+x+"<b/>"+x+"<b>"+x+"</b></N>"),
		lead("torn by elements, in which it goes on", "<Secret>Acme Kettles</Secret><N>of Acme <b c='1'>Ket<i>tles</i></b> and <Name>Pune</Name></N>", "<Secret>"+x+"</Secret><N>"+x+"<b c='"+x+"'></b>"+x+"<Name>Pune</Name></N>"),
		lead("torn in what nobody sees", "<Secret>Acme Kettles</Secret><N>Ac\u00adme&#160;Kett\u200bles</N>", "<Secret>"+x+"</Secret><N>"+x+"</N>"),
		lead("a number", "<N>734-5129</N><Secret>7345129</Secret><Score>7345129</Score>", "<N>"+x+"</N><Secret>"+x+"</Secret><Score>"+x+"</Score>"),
		lead("in an attribute that says how an element is read", "<Secret>Acme Kettles</Secret><N xml:base='Acme Kettles'/>", "<Secret>"+x+"</Secret><N xml:base='"+x+"'/>"),
		lead("a namespace is a name", "<Secret>urn:kettles</Secret><N xmlns:k='urn:kettles'>urn:kettles</N>", "<Secret>"+x+"</Secret><N xmlns:k='urn:kettles'>"+x+"</N>"),
		lead("a shown field", "<Name>Acme Kettles</Name><Secret>Acme Kettles</Secret>", "<Name>Acme Kettles</Name><Secret>"+x+"</Secret>"),

		{"of a record before", "<Leads><Lead><Secret>Acme Kettles</Secret></Lead><Lead><N>Acme Kettles</N></Lead></Leads>", "<Leads><Lead><Secret>" + x + "</Secret></Lead><Lead><N>" + x + "</N></Lead></Leads>"},
		{"of a record behind, which is not known", "<Leads><Lead><N>Acme Kettles</N></Lead><Lead><Secret>Acme Kettles</Secret></Lead></Leads>", "<Leads><Lead><N>Acme Kettles</N></Lead><Lead><Secret>" + x + "</Secret></Lead></Leads>"},
		{"beside records", "<Leads><Lead><Secret>Acme Kettles</Secret></Lead>Acme Kettles<n>Acme Kettles</n></Leads>", "<Leads><Lead><Secret>" + x + "</Secret></Lead>" + x + "<n>" + x + "</n></Leads>"},
		{"of an attribute around records", "<Leads n='Acme Kettles' Secret='Acme Kettles'><Lead n='Acme Kettles'/></Leads>", "<Leads n='" + x + "' Secret='" + x + "'><Lead n='" + x + "'/></Leads>"},
		{"in another document", "<Fault><N>Acme Kettles</N><Secret>Acme Kettles</Secret></Fault>", "<Fault><N>" + x + "</N><Secret>" + x + "</Secret></Fault>"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got, _, err := run(leads(false), c.in, nil); err != nil || got != c.want {
				t.Fatalf("%v: a value comes a second time, or what is none is lost\ngot  %s\nwant %s", err, got, c.want)
			}
		})
	}
}

// Records that a person may not see teach nothing, and are counted once though they are
// gone through twice.
func TestRecordsThatAreGoneThroughTwice(t *testing.T) {
	const in = "<Leads count='3'><Lead owner='u2'><Secret>Acme Kettles</Secret></Lead><Lead owner='u1'><N>Acme Kettles</N><Phone>7</Phone><PAN>x</PAN><Contacts><Contact/></Contacts></Lead></Leads>"
	const want = "<Leads count='1'><Lead owner='u1'><N>Acme Kettles</N><Phone>XXXXXXXX</Phone><Contacts><Contact/></Contacts></Lead></Leads>"
	got, s, err := run(leads(true), in, nil)
	if got != want || err != nil {
		t.Errorf("%v\ngot  %s\nwant %s", err, got, want)
	}
	if s.Kept != 2 || s.Dropped != 1 || s.Masked["phone"] != 1 || s.Hidden["pan"] != 1 {
		t.Errorf("the audit reads %+v", s)
	}
	p := leads(false)
	p.MaxRows = 2
	if got, s, err := run(p, "<Leads>"+strings.Repeat("<Lead/>", 4)+"</Leads>", nil); got != "<Leads><Lead/><Lead/></Leads>" || s.Kept != 2 || err != nil {
		t.Errorf("with a cap of 2: %s, %+v, %v", got, s, err)
	}
	p.Root.Members["leads"].Members["lead"].Record.Nested["contacts"].Members["contact"].Record.Free = true
	const full = "<Lead><Contacts><Contact/><Contact/><Contact/></Contacts></Lead>"
	if got, s, err := run(p, "<Leads>"+strings.Repeat(full, 3)+"</Leads>", nil); got != "<Leads>"+full+full+"</Leads>" || s.Kept != 8 || err != nil {
		t.Errorf("with a cap of 2 on leads: %s, %+v, %v: leads lose contacts", got, s, err)
	}
}

// Of a long answer the last values are known.
func TestValuesOfManyRecords(t *testing.T) {
	var in strings.Builder
	in.WriteString("<Leads>")
	for k := range 5000 {
		fmt.Fprintf(&in, "<Lead><Secret>customer %d</Secret></Lead>", k)
	}
	got, _, err := run(leads(false), in.String()+"<Lead><N>customer 4900, customer 7</N></Lead></Leads>", nil)
	if want := "<N>XXXXXXXX, customer 7</N>"; err != nil || !strings.Contains(got, want) {
		t.Errorf("%v: %s", err, got[max(0, len(got)-100):])
	}
}

// A plan that searches no text goes through nothing twice.
func TestPlansThatDoNotSearch(t *testing.T) {
	p := leads(false)
	e := p.Fallback
	e.Unknown = &plan.Treatment{Effect: plan.Mask, Mask: &mask.Func{Name: "full"}}
	e.Fields["notes"] = &plan.Treatment{Field: "notes"}
	m := New(p, viewer, jsonmask.Limits{})
	if m.echoes {
		t.Error("values are remembered that are never looked for")
	}
}
