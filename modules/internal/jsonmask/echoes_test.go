// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package jsonmask

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/crmgate/crmgate/policy/echo"
	"github.com/crmgate/crmgate/policy/mask"
	"github.com/crmgate/crmgate/policy/plan"
)

// echoPlan masks who, hides secret and searches everything else.
func echoPlan(rows *plan.Rows) *plan.Plan {
	ent := &plan.Entity{Unknown: &plan.Treatment{Effect: plan.Detect}, Fields: map[string]*plan.Treatment{
		"who":    {Field: "who", Effect: plan.Mask, Mask: compiled(mask.Spec{Fn: "full"})},
		"sum":    {Field: "sum", Effect: plan.Mask, Mask: compiled(mask.Spec{Fn: "round", Step: 1000})},
		"phone":  {Field: "phone", Effect: plan.Mask, Mask: compiled(mask.Spec{Fn: "phone", KeepLast: 4})},
		"secret": {Field: "secret", Effect: plan.Hide},
		"plain":  {Field: "plain"},
		"doc":    {Field: "doc"},
	}}
	ent.Fields["doc"].Text = &plan.Node{Entity: ent}
	rec := &plan.Node{Record: &plan.Record{Entity: ent, Set: "s", Rows: rows, Nested: map[string]*plan.Node{"list": pairsOf("attribute", "value")}}}
	return &plan.Plan{Fallback: ent, Root: &plan.Node{Elements: rec, Members: map[string]*plan.Node{"rows": {Elements: rec}}}}
}

func TestEchoes(t *testing.T) {
	const x = mask.FullText
	for _, c := range []struct{ name, in, want string }{
		{"a text in front of the value", `[{"n":"Meera Nair","who":"Meera Nair"}]`, `[{"n":"` + x + `","who":"` + x + `"}]`},
		{"a text behind it", `[{"who":"Meera Nair","n":["see MEERA NAIR."]}]`, `[{"who":"` + x + `","n":["see ` + x + `."]}]`},
		{"a hidden value", `[{"secret":"Kestrel Ltd","n":{"a":"at Kestrel Ltd"}}]`, `[{"n":{"a":"at ` + x + `"}}]`},
		{"values within a hidden one", `[{"secret":{"Kestrel Ltd":["Osprey Inc",7654321]},"n":"Osprey Inc 765-4321 Kestrel Ltd"}]`, `[{"n":"` + x + ` ` + x + ` Kestrel Ltd"}]`},
		{"a number", `[{"sum":7654321,"n":7654321,"m":7654321.0,"o":"no. 7654321","p":7654322}]`, `[{"sum":7654000,"n":7654000,"m":7654000,"o":"no. XXXXXXXX","p":7654322}]`},
		{"the canonical mask", `[{"phone":"+91-9812345670","n":"98123 45670 or 9812345671"}]`, `[{"phone":"+91XXXXXX5670","n":"+91XXXXXX5670 or ` + x + `"}]`},
		{"a record in front", `[{"who":"Meera Nair"},{"n":"Meera Nair"}]`, `[{"who":"` + x + `"},{"n":"` + x + `"}]`},
		{"a record behind: nobody looks ahead", `[{"n":"Meera Nair"},{"who":"Meera Nair"}]`, `[{"n":"Meera Nair"},{"who":"` + x + `"}]`},
		{"an object is looked at as a whole", `{"n":"Meera Nair","rows":[{"n":"Meera Nair"},{"who":"Meera Nair"}]}`, `{"n":"` + x + `","rows":[{"n":"` + x + `"},{"who":"` + x + `"}]}`},
		{"what is shown by its name", `[{"who":"Meera Nair","plain":"Meera Nair"}]`, `[{"who":"` + x + `","plain":"Meera Nair"}]`},
		{"a document in a text", `[{"doc":"{\"who\":\"Meera Nair\",\"n\":\"Meera Nair\"}","n":"Meera Nair"}]`, `[{"doc":"{\"who\":\"` + x + `\",\"n\":\"` + x + `\"}","n":"` + x + `"}]`},
		{"a text in a document", `[{"doc":"{\"n\":\"by \\u004deera Nair\"}","who":"Meera Nair"}]`, `[{"doc":"{\"n\":\"by ` + x + `\"}","who":"` + x + `"}]`},
		{
			"pairs, either order", `[{"list":[{"Attribute":"n","Value":"Meera Nair"},{"Value":"Meera Nair","Attribute":"who"},{"Attribute":"secret","Value":"Kestrel Ltd"},{"Attribute":"m","Value":"Kestrel Ltd"}]}]`,
			`[{"list":[{"Attribute":"n","Value":"` + x + `"},{"Value":"` + x + `","Attribute":"who"},{"Attribute":"m","Value":"` + x + `"}]}]`,
		},
		{"escapes", `[{"who":"Meera \"M\" Nair","n":"a\nMeera \u0022M\u0022 Nair"}]`, `[{"who":"` + x + `","n":"a\n` + x + `"}]`},
		{"short values", `[{"who":"Meera","n":"Meera"}]`, `[{"who":"` + x + `","n":"Meera"}]`},
		{"a fraction in another writing", `[{"sum":4123456.50,"n":4123456.5,"m":-41234565e-1,"o":"4123456.5","p":4123456.05}]`, `[{"sum":4123000,"n":4123000,"m":-4123000,"o":"XXXXXXXX","p":4123456.05}]`},
		{"a number in another exponent", `[{"sum":98100000,"n":981e5}]`, `[{"sum":98100000,"n":98100000}]`},
	} {
		m := New(echoPlan(nil), viewer, Limits{})
		for size := range 14 {
			if size == 0 {
				size = 1 << 20
			}
			m.Reset(m.plan, viewer, Limits{})
			got, err := io.ReadAll(m.Reader(&fixed{[]byte(c.in), size}))
			if err != nil || string(got) != c.want {
				t.Fatalf("%s, in chunks of %d: %v\ngot  %s\nwant %s", c.name, size, err, got, c.want)
			}
		}
	}
}

// TestEchoOfARecordThatIsNotSeen: what is in a record that is left out says nothing about
// others, and is not to be told from them.
func TestEchoOfARecordThatIsNotSeen(t *testing.T) {
	p := echoPlan(&plan.Rows{Scope: plan.Own, Owner: []string{"ownerid"}})
	in := `[{"OwnerId":"u3","who":"Meera Nair"},{"OwnerId":"u1","n":"Meera Nair"}]`
	got, err := New(p, viewer, Limits{}).Append(nil, []byte(in))
	if want := `[{"OwnerId":"u1","n":"Meera Nair"}]`; err != nil || string(got) != want {
		t.Errorf("%s, %v: a person learns from a mask that somebody has the name", got, err)
	}
}

func TestEchoesAreCountedOnce(t *testing.T) {
	for _, in := range []string{`[{"n":"Meera Nair","who":"Meera Nair","secret":1,"m":7654321,"sum":7654321}]`, `{"n":"Meera Nair","who":"Meera Nair","secret":1,"m":7654321,"sum":7654321}`} {
		m := New(echoPlan(nil), viewer, Limits{})
		if _, err := m.Append(nil, []byte(in)); err != nil {
			t.Fatal(err)
		}
		if got, want := fmt.Sprint(m.Stats().Masked, m.Stats().Hidden), "map[:2 sum:1 who:1] map[secret:1]"; got != want {
			t.Errorf("%s counts %s, not %s", in, got, want)
		}
	}
}

// TestEchoesInALongList has every record repeat a value of the one before, at every place
// that a window may end.
func TestEchoesInALongList(t *testing.T) {
	var in, want strings.Builder
	for k := range 6000 {
		fmt.Fprintf(&in, `,{"who":"person no. %d!","n":"before: person no. %d!"}`, k, k-1)
		before := mask.FullText
		if k == 0 {
			before = "person no. -1!"
		}
		fmt.Fprintf(&want, `,{"who":"XXXXXXXX","n":"before: %s"}`, before)
	}
	m := New(echoPlan(nil), viewer, Limits{})
	for _, size := range []int{1 << 20, 997} {
		m.Reset(m.plan, viewer, Limits{})
		got, err := io.ReadAll(m.Reader(&fixed{[]byte("[" + in.String()[1:] + "]"), size}))
		if err != nil || string(got) != "["+want.String()[1:]+"]" {
			t.Fatalf("in chunks of %d: %v: a value of the record before is shown", size, err)
		}
	}
}

// TestEchoesOfSeveralBodies: they stay apart, unless they are parts of one answer.
func TestEchoesOfSeveralBodies(t *testing.T) {
	var set echo.Set
	for _, l := range []Limits{{}, {Echo: &set}} {
		m := New(echoPlan(nil), viewer, l)
		for _, in := range []string{`[{"who":"Meera Nair"}]`, `[{"n":"Meera Nair"}]`} {
			m.Reset(m.plan, viewer, l)
			got, err := m.Append(nil, []byte(in))
			if err != nil || strings.Contains(in, "n\"") && bytes.Contains(got, []byte("Nair")) != (l.Echo == nil) {
				t.Errorf("with a set for all of them %v: %s, %v", l.Echo != nil, got, err)
			}
		}
	}
}

func TestNumbersAreSearched(t *testing.T) {
	p := &plan.Plan{Fallback: &plan.Entity{Unknown: &plan.Treatment{Effect: plan.Detect}}}
	in := `[{"a":9812345670,"b":-919812345670,"c":9812345670.0,"d":9.81234567e9,"e":4111111111111111,"f":9007199254740993,"g":981234567,"h":12.5,"i":[2e9],"j":1234567890.5}]`
	want := `[{"a":null,"b":null,"c":null,"d":null,"e":null,"f":9007199254740993,"g":981234567,"h":12.5,"i":[null],"j":1234567890.5}]`
	m := New(p, viewer, Limits{})
	for range 3 {
		m.Reset(p, viewer, Limits{})
		if got, err := m.Append(nil, []byte(in)); err != nil || string(got) != want {
			t.Errorf("%v\ngot  %s\nwant %s", err, got, want)
		}
	}
}

// A part that a plan has both around its records and within them is one of records,
// whichever is seen first.
func TestSharedPartsAreHeard(t *testing.T) {
	shared := &plan.Node{Entity: &plan.Entity{Unknown: &plan.Treatment{Effect: plan.Detect}}}
	lead := &plan.Entity{Fields: map[string]*plan.Treatment{"phone": {Field: "phone", Effect: plan.Hide}}, Unknown: &plan.Treatment{}}
	records := func(nested map[string]*plan.Node) *plan.Plan {
		return &plan.Plan{Fallback: lead, Root: &plan.Node{Members: map[string]*plan.Node{
			"around": shared, "leads": {Elements: &plan.Node{Record: &plan.Record{Entity: lead, Nested: nested}}},
		}}}
	}
	for range 50 { // maps are gone through in any order
		if !Echoes(records(map[string]*plan.Node{"sub": shared})) {
			t.Fatal("what is hidden is not looked for in the searched texts of a record")
		}
	}
	if Echoes(records(nil)) {
		t.Error("records that are shown as they are pay for a search around them")
	}
}

// TestEchoesInListsOfRecords has lists of records that are read one behind the other, with
// values of every kind that is known by a short way: plain text, longer and shorter than
// before, parts of GUIDs and of dates, numbers, what is escaped or not ASCII.
func TestEchoesInListsOfRecords(t *testing.T) {
	values := []string{
		"Meera Nair", "Nairobi office", "Kestrel", "a long remark about nobody in particular, kept as it was", "meera.nair@canary.example", "+91-9812345670", "9812345670",
		"ABCPE1234F", "7654321", "123456", "2024-05-17", "2024-05-17 10:11:12", "10:11:12", "5b1fa3c2", "deadbeef", "0305e82c0001", "4f89-11d3", "5b1fa3c2-4f89-11d3-9a0c-0305e82c0001",
		"J\u00fcrgen", "\u20b95000.5", "Kestrel\\nLtd", "(Kestrel Ltd)", "\u0905\u0928\u0940\u0924\u093e", "--- abc", "ab<c>de", "https://canary.example/meera/1",
	}
	texts := append([]string{
		"", "Active", "Pending since last week", "deadbeef-4f89-11d3-9a0c-0305e82c0001", "5B1FA3C2-4f89-11d3-9a0c-0305e82c0001", "2024-05-17T10:11:12Z", "2024-05-18 10:11:12.000", "12, 4th Cross", "560001", "Kestrel Ltd",
	}, values...)
	p := echoPlan(nil)
	m := New(p, viewer, Limits{})
	r := rand.New(rand.NewPCG(11, 12))
	pick := func(list []string) string { return list[r.IntN(len(list))] }
	text := func() string {
		switch r.IntN(6) {
		case 0:
			return pick(texts) + pick([]string{" ", "", ", ", "x", "1", "-", "\u00e9", "."}) + pick(texts)
		case 1:
			return strings.ToUpper(pick([]string{"Meera Nair", "Kestrel", "deadbeef"})) + pick([]string{"", "s", " & co"})
		}
		return pick(texts)
	}
	for round := range 3000 {
		var doc strings.Builder
		n := 1 + r.IntN(len(values))
		few := values[:n:n]
		for k := range 1 + r.IntN(9) {
			if k > 0 {
				doc.WriteByte(',')
			}
			number := pick([]string{"123456", "7654321", "12.5", "123456.0", "9812345670", "1234.5", "17", "765432.1e1"})
			fmt.Fprintf(&doc, `{"id":"%s","n":"%s","who":"%s","m":%s,"o":"%s","plain":"%s"`, text(), text(), pick(few), number, text(), text())
			fmt.Fprintf(&doc, `,"phone":"%s","p":"%s","sum":%s,"secret":"%s","q":["%s"],"s":"%s"}`, pick(append(few, "", "+91-9812345670")), text(), number, pick(append(few, "no")), text(), text())
		}
		in := "[" + doc.String() + "]"
		if round%4 == 0 {
			in = `{"rows":` + in + `}`
		}
		if fault := compare(m, p, []byte(in), r); fault != "" {
			t.Fatalf("list %d: another answer than comparing everything with everything gives\n%s\n%s", round, in, fault)
		}
	}
}
