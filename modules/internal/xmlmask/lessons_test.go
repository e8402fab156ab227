// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package xmlmask

import (
	"testing"

	"github.com/crmgate/crmgate/policy/plan"
)

// A document's declaration goes out as it is written: it must hold nothing else.
func TestNothingIsHiddenInADeclaration(t *testing.T) {
	for in, ok := range map[string]bool{
		`<?xml version="1.0"?><Leads/>`:                                        true,
		"<?xml version = '1.1'\n encoding='utf-8'\tstandalone='no' ?><Leads/>": true,
		"\xEF\xBB\xBF<?xml version='1.0' encoding=\"UTF-8\"?><Leads/>":         true,
		"<?xml 9812345670?><Leads/>":                                           false,
		"<?xml version='1.0' phone='9812345670'?><Leads/>":                     false,
		"<?xml version='1.0' standalone='meera@canary.example'?><Leads/>":      false,
		"<?xml version='1.0' encoding='UTF-8' \x10\x00?><Leads/>":              false,
		"<?xml?><Leads/>": false,
	} {
		if got, _, err := run(leads(false), in, nil); (err == nil) != ok || !ok && got != "" {
			t.Errorf("%q: %q, %v", in, got, err)
		}
	}
}

// An element that counts records may have attributes, and they may be fields.
func TestAttributesOfTotals(t *testing.T) {
	const in, want = "<Leads><Count Phone='9812345670' PAN='x' note='call 9812345670' of='1'>0</Count></Leads>", "<Leads><Count Phone='XXXXXX5670' note='call XXXXXX5670' of='1'>0</Count></Leads>"
	for _, rows := range []bool{false, true} {
		if got, _, err := run(leads(rows), in, nil); got != want || err != nil {
			t.Errorf("%s, %v: a field beside a number is shown", got, err)
		}
	}
}

// Where any element is a record, one that has a restricted field's name is that field.
func TestRecordsOfAnyNameAreNoFields(t *testing.T) {
	e := entity()
	p := &plan.Plan{Format: plan.XML, Fallback: e, Root: &plan.Node{Elements: &plan.Node{Elements: &plan.Node{Record: &plan.Record{Entity: e}}}}}
	const in, want = "<r><Id>1</Id><Secret>abc</Secret><PAN>def</PAN></r>", "<r><Id>1</Id><Secret>XXXXXXXX</Secret></r>"
	if got, _, err := run(p, in, nil); got != want || err != nil {
		t.Errorf("%s, %v: a masked field is shown for a record", got, err)
	}
}

// A pair may be an element with a field's name.
func TestPairsThatAreNamedLikeFields(t *testing.T) {
	const in, want = "<Leads><Lead><Props><PAN key='id'>abc</PAN><Secret name='x' v='y'>def</Secret><Secret name='x'><b/>def</Secret><Id key='Secret'>ghi</Id></Props></Lead></Leads>",
		"<Leads><Lead><Props><Secret name='XXXXXXXX' v='XXXXXXXX'>XXXXXXXX</Secret><Secret name='XXXXXXXX'></Secret><Id key='Secret'>XXXXXXXX</Id></Props></Lead></Leads>"
	if got, _, err := run(leads(false), in, nil); got != want || err != nil {
		t.Errorf("%s, %v: a field is shown for a pair of another name", got, err)
	}
}

// Attributes stand apart (XML 1.0, 3.1): where one between two others goes, these must
// not become one, or a part of the element's name.
func TestAttributesStandApart(t *testing.T) {
	for in, want := range map[string]string{
		"<Leads><Lead PAN='x'id='1'/></Leads>":             "",
		"<Leads><Lead id='1'PAN='x' name='y'/></Leads>":    "",
		"<Leads PAN='x'><Lead\nPAN='x'\tid='1' /></Leads>": "<Leads><Lead\tid='1' /></Leads>",
	} {
		if got, _, err := run(leads(false), in, nil); got != want && want != "" || (err == nil) != (want != "") {
			t.Errorf("%s: %s, %v", in, got, err)
		}
	}
}
