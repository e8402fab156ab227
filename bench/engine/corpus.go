// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"

	"github.com/crmgate/crmgate/policy/mask"
	"github.com/crmgate/crmgate/policy/plan"
)

// member is one field of a lead, its value as JSON.
type member struct{ name, value string }

// dropped are the fields that nobody is to see.
var dropped = map[string]bool{"OwnerIdEmailAddress": true, "Notes": true, "mx_Date_of_Birth": true}

// masks are the fields that are masked, by every contestant with the same functions.
var masks = map[string]*mask.Func{
	"EmailAddress": compile("email"), "Phone": compile("phone"), "Mobile": compile("phone"),
	"mx_PAN_Number": compile("pan"), "mx_Annual_Income": compile("full"),
}

func compile(name string) *mask.Func {
	f, err := mask.Compile(mask.Spec{Fn: name}, nil)
	if err != nil {
		panic(err)
	}
	return f
}

func masked(name, value string) string { return string(masks[name].AppendString(nil, value)) }

// rules is the plan for the same.
func rules() *plan.Plan {
	lead := &plan.Entity{Name: "lead", Unknown: &plan.Treatment{}, Fields: map[string]*plan.Treatment{}}
	for name, f := range masks {
		lead.Fields[fold(name)] = &plan.Treatment{Field: name, Effect: plan.Mask, Mask: f}
	}
	for name := range dropped {
		lead.Fields[fold(name)] = &plan.Treatment{Field: name, Effect: plan.Hide}
	}
	rec := &plan.Node{Record: &plan.Record{Entity: lead, Set: "leads", Nested: map[string]*plan.Node{
		"leadpropertylist": {Pairs: &plan.Pairs{Name: []string{"attribute"}, Value: []string{"value"}}},
	}}}
	return &plan.Plan{Fallback: lead, Root: &plan.Node{Elements: rec, Members: map[string]*plan.Node{
		"recordcount": {Total: "leads"}, "leads": {Elements: rec},
	}}}
}

func fold(name string) string {
	out := bytes.ToLower([]byte(name))
	return string(bytes.ReplaceAll(out, []byte("_"), nil))
}

var (
	firstNames = []string{"Asha", "Ravi", "Jürgen", "Priya", "Zoë", "Mohammed", "Lakshmi", "Arjun"}
	cities     = []string{"Bengaluru", "Pune", "Thiruvananthapuram", "Delhi", "Navi Mumbai"}
	stages     = []string{"Prospect", "Opportunity", "Customer", "Disqualified"}
	remarks    = []string{"Asked for a quote", "Wants to visit the campus in the second week of the month", "", "Interested", "Call again after the holidays"}
)

// lead is one of 42 fields, about 1.4 KB when flat.
func lead(r *rand.Rand) []member {
	pick := func(list []string) string { return list[r.IntN(len(list))] }
	day := func() string {
		return fmt.Sprintf("20%02d-%02d-%02d %02d:%02d:%02d.000", 18+r.IntN(8), 1+r.IntN(12), 1+r.IntN(28), r.IntN(24), r.IntN(60), r.IntN(60))
	}
	guid := func() string {
		return fmt.Sprintf("%08x-%04x-4%03x-9a0c-%012x", r.Uint32(), r.IntN(1<<16), r.IntN(1<<12), r.Uint64N(1<<48))
	}
	text := func(s string) string { return `"` + s + `"` }
	first, n := pick(firstNames), r.IntN(1e8)
	m := []member{
		{"ProspectID", text(guid())}, {"ProspectAutoId", text(fmt.Sprint(r.IntN(1e6)))}, {"FirstName", text(first)}, {"LastName", text("Rao")},
		{"EmailAddress", text(fmt.Sprintf("person%d@example.in", n))}, {"Phone", text(fmt.Sprintf("+91-98%08d", n))}, {"Mobile", text(fmt.Sprintf("97%08d", n))},
		{"Company", "null"}, {"SkypeId", "null"}, {"JobTitle", text(pick([]string{"", "Manager", "Engineer"}))}, {"Source", text("Inbound Phone call")},
		{"ProspectStage", text(pick(stages))}, {"Score", fmt.Sprint(r.IntN(100))}, {"EngagementScore", fmt.Sprintf("%d.5", r.IntN(100))},
		{"DoNotEmail", "false"}, {"DoNotCall", "true"}, {"IsStarredLead", "false"}, {"OwnerId", text(guid())}, {"OwnerIdName", text("Somebody Else")},
		{"OwnerIdEmailAddress", text(fmt.Sprintf("owner%d@example.in", r.IntN(30)))}, {"CreatedOn", text(day())}, {"ModifiedOn", text(day())},
		{"LastActivityDate", text(day())}, {"Notes", `"called \"twice\"\nwill call back on Monday \u00e9"`}, {"mx_PAN_Number", text(fmt.Sprintf("ABCPE%04dF", r.IntN(1e4)))},
		{"mx_Annual_Income", text(fmt.Sprint(r.IntN(9e6)))}, {"mx_Date_of_Birth", text(day())}, {"mx_City", text(pick(cities))}, {"mx_Zip", text(fmt.Sprint(560000 + r.IntN(999)))},
		{"mx_Street1", text(fmt.Sprintf("%d, 4th Cross", r.IntN(400)))}, {"mx_Street2", text("")}, {"mx_State", text("Karnataka")}, {"mx_Country", text("India")},
	}
	for k := range 9 {
		m = append(m, member{fmt.Sprintf("mx_Custom_%d", k+1), text(pick(remarks))})
	}
	return m
}

// flat is a list of leads; sparse ones leave other fields out in every row.
func flat(n int, sparse bool) []byte {
	r := rand.New(rand.NewPCG(7, uint64(n)))
	var b bytes.Buffer
	for i := range n {
		b.WriteByte("[,"[min(i, 1)])
		sep := byte('{')
		for k, m := range lead(r) {
			if sparse && (m.value == "null" || m.value == `""` || k > 0 && r.IntN(5) == 0) {
				continue
			}
			b.WriteByte(sep)
			fmt.Fprintf(&b, `"%s":%s`, m.name, m.value)
			sep = ','
		}
		b.WriteByte('}')
	}
	b.WriteByte(']')
	return b.Bytes()
}

// pairs is the same list with names and values apart.
func pairs(n int) []byte {
	r := rand.New(rand.NewPCG(7, uint64(n)))
	var b bytes.Buffer
	fmt.Fprintf(&b, `{"RecordCount":%d,"Leads":`, n)
	for i := range n {
		b.WriteByte("[,"[min(i, 1)])
		b.WriteString(`{"LeadPropertyList":`)
		for k, m := range lead(r) {
			b.WriteByte("[,"[min(k, 1)])
			fmt.Fprintf(&b, `{"Attribute":"%s","Value":%s}`, m.name, m.value)
		}
		b.WriteString("]}")
	}
	b.WriteString("]}")
	return b.Bytes()
}
