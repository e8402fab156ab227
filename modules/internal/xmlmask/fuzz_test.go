// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package xmlmask

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/crmgate/crmgate/modules/internal/jsonmask"
	"github.com/crmgate/crmgate/policy/mask"
	"github.com/crmgate/crmgate/policy/plan"
)

// plans are those that documents are rewritten by.
func plans() []*plan.Plan {
	single := leads(true)
	single.NotFound = &plan.Canned{Status: 404}
	masked, hidden := entity(), entity()
	masked.Unknown = &plan.Treatment{Effect: plan.Mask, Mask: &mask.Func{Name: "full"}}
	hidden.Unknown = &plan.Treatment{Effect: plan.Hide}
	rec := &plan.Record{Entity: hidden, Set: "d", Nested: map[string]*plan.Node{
		"all": {Elements: &plan.Node{Record: &plan.Record{Set: "in", Scalar: true, Free: true}}}, "n": {Total: "in"},
		"part": {Members: map[string]*plan.Node{"fields": {Fields: true}}},
	}}
	list := &plan.Plan{ID: "l", Format: plan.XML, Fallback: masked, MaxRows: 3, Root: &plan.Node{Elements: &plan.Node{Members: map[string]*plan.Node{
		"body": {Entity: entity(), Elements: &plan.Node{Record: rec}}, "count": {Total: "d"}, "head": {Entity: hidden},
	}}}}
	rowed := *list
	rowed.Root = &plan.Node{Members: map[string]*plan.Node{"a": {Elements: &plan.Node{Record: &plan.Record{
		Set: "d", Entity: masked, Nested: rec.Nested,
		Rows: &plan.Rows{Scope: plan.Own, Owner: []string{"owner", "id"}},
	}}, Members: map[string]*plan.Node{"count": {Total: "d"}}}}}
	where := leads(true)
	where.Root.Members["leads"].Members["lead"].Record.Rows = &plan.Rows{Where: notLost{}}
	return []*plan.Plan{leads(false), leads(true), where, single, {Format: plan.XML, Root: &plan.Node{}, Fallback: masked}, list, &rowed, asides(plan.Detect), asides(plan.Hide)}
}

var documentSeeds = []string{
	"<?xml version='1.0'?><Leads count='2'><Lead owner='u1' Secret='canary'><Phone>+91-9812345670</Phone><PAN>canary</PAN><Secret>a<!-- canary -->c</Secret></Lead><Lead owner='u2'/></Leads>",
	"<Leads><Lead><Owner>u1</Owner><Props><P key='Secret' value='canary'/><P><Value>canary</Value><Name>pan</Name></P></Props><Fields Secret='canary'><Pan/></Fields></Lead></Leads>",
	"<Leads><Lead owner=\"u1\"><Notes>call <b>9812345670</b></Notes><Secret><![CDATA[canary]]></Secret><x:SECRET xmlns:x='urn:y'/></Lead></Leads>",
	"<Secret>a<b/>canary</Secret>", "<Leads><Count>3</Count>&#57;<Secret/></Leads>", "<Leads><Lead><Owner>u2</Owner><Name>canary</Name></Lead><Count/></Leads>",
	"<l><body><r><All><x>canary</x><Phone>9812345670</Phone></All><n>7</n><Part><fields Secret='canary' Id='1'/></Part></r><r Name='a'/></body><count>2</count><head><x>canary</x></head></l>",
	"<a count='9'><r id='u1' other='canary'>text<b/>98123<c>45670</c></r><r owner='u2'>canary</r><count>&#x31;</count></a>",
	"<feed xml:base='http://crm/'><next>http://crm/9812345670</next><after>canary<!-- x --></after><link name='canary' href='http://crm/&#97;'/><v><up> http://crm/ <b/></up><Name>canary</Name><link href='http://crm/canary'>http://crm/</link></v><name>canary</name></feed>",
	"<Leads><Contacts/><Lead><Contacts><Contact><Phone>1</Phone></Contact></Contacts>text &amp; <Name a = 'b'  c=\"d\">A<?pi canary?>B</Name ></Lead>\r\n</Leads>\n<!-- canary -->",
	"<Leads><Lead><Props><P key='Name' name='phone'>canary<x/></P><P>canary</P> loose 9812345670 </Props></Lead></Leads>",
	"<Leads count='3'><Lead Stage='Open'/><Lead><Props><P key='Stage'>Lost</P></Props>canary</Lead><Lead><Stage>Open<b/></Stage></Lead></Leads>", "<n9812345670>canary</n9812345670>", "\xEF\xBB\xBF<Leads xmlns='urn:x' xml:lang='en' Note='9812345670' pan='canary'><Lead xsi:nil='1' xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance'/></Leads>",
}

// FuzzDocument holds the rewritten document to the oracle, byte for byte, whatever
// the pieces it comes in; and what comes out, in front of a refusal too, to what
// must be true of it by any plan: nothing of a hidden field, of a masked one
// nothing but its mask, no comment, and it can be rewritten again.
func FuzzDocument(f *testing.F) {
	for i, s := range documentSeeds {
		f.Add([]byte(s), uint8(i<<3+3))
		for which := range uint8(9) {
			f.Add([]byte(s), which<<3+which)
		}
		f.Add([]byte(s), uint8(0xF8+i%6))
	}
	all := plans()
	f.Fuzz(func(t *testing.T, body []byte, choice uint8) {
		check(t, all[int(choice>>3)%len(all)], string(body), int(choice&7)+1, choice >= 0xF0)
		check(t, all[int(choice>>3)%len(all)], document(body), int(choice&7)+1, false)
	})
}

// check rewrites a document whole and in pieces; a long one is so long that a part
// of it goes out before its end is seen.
func check(t *testing.T, p *plan.Plan, body string, size int, long bool) {
	t.Helper()
	in, filler := plant(body), ""
	if long {
		filler = strings.Repeat("\n", 2*chunk)
		size <<= 12
	}
	got, _, err := run(p, filler+in, nil)
	slow, _, slowErr := run(p, filler+in, func(r io.Reader) io.Reader { return &pieces{r, size} })
	if got != slow || (err == nil) != (slowErr == nil) {
		t.Fatalf("in pieces another answer comes out:\n%q, %v\n%q, %v", got, err, slow, slowErr)
	}
	around, _ := grow(strings.TrimPrefix(in, "\xEF\xBB\xBF"))
	for _, s := range hidden(around, p.Fallback, false) {
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
	if want, err := runOracle(p, filler+in); err != nil || got != want {
		t.Fatalf("%s\ngot  %q\nwant %q, %v", in, got, want, err)
	}
	look(t, got)
	if _, _, err := run(p, got, nil); err != nil && p.NotFound == nil {
		t.Fatalf("what comes out cannot be rewritten again: %v\n%s\n%s", err, in, got)
	}
}

// TestDocumentsOfTheOracle holds the documents of the other tests to the oracle.
func TestDocumentsOfTheOracle(t *testing.T) {
	for i, p := range plans() {
		accepted := 0
		for _, s := range documentSeeds {
			check(t, p, s, 3, false)
			check(t, p, s, 2, true)
			if _, _, err := run(p, s, nil); err == nil {
				accepted++
			}
		}
		if accepted == 0 {
			t.Errorf("plan %d: no document is accepted: the oracle has nothing to look at", i)
		}
	}
}

type pieces struct {
	r io.Reader
	n int
}

func (p *pieces) Read(b []byte) (int, error) { return p.r.Read(b[:min(len(b), p.n)]) }

var planted = regexp.MustCompile(`canary(?:[a-p]{3}y)?`)

// plant gives every canary of a document a name of its own.
func plant(body string) string {
	n := -1
	return planted.ReplaceAllStringFunc(body, func(string) string {
		n++
		return fmt.Sprintf("canary%c%c%cy", 'a'+n>>8&15, 'a'+n>>4&15, 'a'+n&15)
	})
}

// hidden returns the canaries that no plan for this entity shows: in fields that
// are masked or hidden, as elements and as attributes, and in comments.
func hidden(el *tree, e *plan.Entity, within bool) []string {
	var out []string
	restricted := func(name string) bool {
		t := e.Fields[fold(name)]
		return t != nil && t.Effect >= plan.Mask
	}
	for _, a := range el.attrs {
		if (within || restricted(a.Name.Local)) && !fixed(a) {
			out = append(out, planted.FindAllString(a.Value, -1)...)
		}
	}
	for _, k := range el.kids {
		switch {
		case k.el != nil:
			out = append(out, hidden(k.el, e, within || restricted(k.el.name))...)
		case k.text == nil && !declares(k.raw):
			out = append(out, planted.FindAllString(k.raw, -1)...)
		case k.text != nil && within:
			out = append(out, planted.FindAllString(*k.text, -1)...)
		}
	}
	return out
}

// look fails for what must not be in a rewritten document.
func look(t *testing.T, body string) {
	d := xml.NewDecoder(strings.NewReader(strings.TrimPrefix(body, "\xEF\xBB\xBF")))
	for {
		tok, err := d.Token()
		switch {
		case err == io.EOF:
			return
		case err != nil:
			t.Fatalf("what comes out is not well-formed: %v\n%s", err, body)
		}
		switch tok.(type) {
		case xml.Comment, xml.Directive:
			t.Fatalf("a comment or document type\n%s", body)
		}
	}
}
