// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package xmlmask

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/crmgate/crmgate/modules/internal/jsonmask"
	"github.com/crmgate/crmgate/policy/plan"
)

// notLost holds for records whose stage is there and is not Lost.
type notLost struct{}

func (notLost) Needs() []string { return []string{"stage"} }
func (notLost) Wire() []string  { return []string{"Stage"} }
func (notLost) Holds(_ *plan.Viewer, member func(string) plan.Value) (bool, error) {
	v := member("stage")
	if v.Kind != '"' {
		return false, errors.New("no answer")
	}
	return v.Text != "Lost", nil
}

// Records are judged by a condition over what they say in elements, attributes and
// pairs; of what cannot be read nothing is shown.
func TestRecordsUnderConditions(t *testing.T) {
	for _, c := range []struct {
		name    string
		lead    string
		seen    bool
		unclear int
	}{
		{"an element", "<Lead><Stage>Open</Stage></Lead>", true, 0},
		{"an element that says no", "<Lead><Stage>Lost</Stage></Lead>", false, 0},
		{"in lines of its own", "<Lead><x:STAGE xmlns:x='u'>\n  Lost\n</x:STAGE></Lead>", false, 0},
		{"in pieces", "<Lead><Stage>L<!-- -->o<![CDATA[s]]>&#116;</Stage></Lead>", false, 0},
		{"an attribute", "<Lead Stage='Open'/>", true, 0},
		{"an attribute that says no", "<Lead Stage='Lo&#115;t'/>", false, 0},
		{"nothing", "<Lead><Name>a</Name></Lead>", false, 1},
		{"an empty element", "<Lead><Stage/></Lead>", false, 1},
		{"elements within", "<Lead><Stage>Open<b>Lost</b></Stage></Lead>", false, 1},
		{"an attribute of the element", "<Lead><Stage value='Open'/></Lead>", false, 1},
		{"an attribute beside text", "<Lead><Stage code='1'>Open</Stage></Lead>", true, 0},
		{"a type and no text", "<Lead Stage='Open'><Stage xmlns:i='http://www.w3.org/2001/XMLSchema-instance' i:nil='true'/></Lead>", true, 0},
		{"a namespace of that name", "<Lead xmlns:Stage='Open'/>", false, 1},
		{"twice", "<Lead Stage='Open'><Stage>Open</Stage></Lead>", true, 0},
		{"in two versions", "<Lead Stage='Open'><Stage>Lost</Stage></Lead>", false, 1},
		{"in a part", "<Lead><Fields><Stage>Open</Stage></Fields></Lead>", true, 0},
		{"in a part that says no", "<Lead><Fields Stage='Lost'/></Lead>", false, 0},
		{"in another record", "<Lead><Contacts><Contact><Stage>Open</Stage></Contact></Contacts></Lead>", false, 1},
		{"a pair", "<Lead><Props><P><Name>Stage</Name><Value>Open</Value></P></Props></Lead>", true, 0},
		{"a pair that says no", "<Lead><Props><P Value='Lost' Name='stage'/></Props></Lead>", false, 0},
		{"a pair whose text is the value", "<Lead><Props><P Key='Stage'>Open</P></Props></Lead>", true, 0},
		{"a pair with two values", "<Lead><Props><P Name='Stage' Value='Open'><Value>Lost</Value></P></Props></Lead>", false, 1},
		{"a pair with two names", "<Lead><Props><P Name='Stage' Key='Name' Value='Open'/></Props></Lead>", false, 1},
		{"a pair with one name twice", "<Lead><Props><P Name='Stage' Key='Stage' Value='Open'/></Props></Lead>", true, 0},
		{"a pair without a value", "<Lead Stage='Open'><Props><P><Name>Stage</Name><V>Lost</V></P></Props></Lead>", false, 1},
		{"a pair whose value has elements", "<Lead><Props><P><Name>Stage</Name><Value>Open<b>Lost</b></Value></P></Props></Lead>", false, 1},
	} {
		p := leads(false)
		p.Root.Members["leads"].Members["lead"].Record.Rows = &plan.Rows{Where: notLost{}}
		got, s, err := run(p, "<Leads><Count>7</Count>"+c.lead+"</Leads>", nil)
		if err != nil || strings.Contains(got, "<Lead>") != c.seen && strings.Contains(got, "<Lead ") != c.seen || s.Unclear != c.unclear {
			t.Errorf("%s: %v, %d unclear, want %d, seen: want %v: %s", c.name, err, s.Unclear, c.unclear, c.seen, got)
		}
		if want := map[bool]string{true: "<Count>1<", false: "<Count>0<"}[c.seen]; !strings.Contains(got, want) {
			t.Errorf("%s: the total tells of records that are not shown: %s", c.name, got)
		}
	}
}

// That the CRM itself left out other people's records says nothing about those for
// which a condition does not hold.
func TestTotalsUnderConditions(t *testing.T) {
	for where, want := range map[plan.Condition]string{nil: "<Count>7<", notLost{}: "<Count>1<"} {
		p := leads(true)
		p.Root.Members["leads"].Members["lead"].Record.Rows.Where = where
		m := New(p, viewer, jsonmask.Limits{Pushed: true})
		got, err := io.ReadAll(m.Reader(strings.NewReader("<Leads><Count>7</Count><Lead><Owner>u1</Owner><Stage>Open</Stage></Lead></Leads>")))
		if err != nil || !strings.Contains(string(got), want) {
			t.Errorf("with %v: %s, %v, want %s", where, got, err, want)
		}
	}
}
