// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package xlsxmask

import (
	"errors"
	"fmt"
	"testing"

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

// Rows are judged by a condition over cells as text; of days, faults and cells that
// are not there nobody can tell.
func TestRowsUnderConditions(t *testing.T) {
	const styles = `<cellXfs count="2"><xf numFmtId="0"/><xf numFmtId="14"/></cellXfs>`
	inline := func(s string) string { return `<c r="B2" t="inlineStr"><is><t>` + s + `</t></is></c>` }
	for _, c := range []struct {
		name string
		cell string
		text string // what the condition is told; "" for nothing that it could tell from
	}{
		{"text", inline("Open"), "Open"},
		{"text with white space", inline(" Open "), "Open"},
		{"no cell", "", ""},
		{"white space", inline(" "), ""},
		{"a number", `<c r="B2"><v>7</v></c>`, "7"},
		{"a number with a fraction of nothing", `<c r="B2"><v>7.0</v></c>`, "7"},
		{"a number with an exponent", `<c r="B2"><v>1.25E2</v></c>`, "125"},
		{"a long number", `<c r="B2"><v>9007199254740993</v></c>`, "9007199254740993"},
		{"below nothing", `<c r="B2"><v>-3</v></c>`, "-3"},
		{"a day", `<c r="B2" s="1"><v>45000</v></c>`, ""},
		{"a day in words", `<c r="B2" t="d"><v>2025-01-31</v></c>`, "2025-01-31"},
		{"true", `<c r="B2" t="b"><v>1</v></c>`, "true"},
		{"false", `<c r="B2" t="b"><v>0</v></c>`, "false"},
		{"a fault", `<c r="B2" t="e"><v>#N/A</v></c>`, ""},
		{"a formula", `<c r="B2" t="str"><f>A1</f><v>Open</v></c>`, "Open"},
	} {
		p := leads(plan.Table{}, false)
		told := ""
		p.Root.Elements.Record.Rows = &plan.Rows{Where: tells{&told}}
		_, s, err := run(p, pack1(plain(row("Id", "Stage")+`<row r="2"><c r="A2"><v>1</v></c>`+c.cell+`</row>`, "", styles)))
		if err != nil || told != c.text || (s.Unclear == 1) != (c.text == "") || s.Kept+s.Dropped != 1 {
			t.Errorf("%s: the condition is told %q, want %q; %+v, %v", c.name, told, c.text, s, err)
		}
	}
	for own, want := range map[bool]string{false: "[[Id OwnerId Stage] [1 u1 Open] [3 u2 Open]]", true: "[[Id OwnerId Stage] [1 u1 Open]]"} {
		p := leads(plan.Table{}, own)
		if rec := p.Root.Elements.Record; rec.Rows == nil {
			rec.Rows = &plan.Rows{}
		}
		p.Root.Elements.Record.Rows.Where = notLost{}
		out, s, err := run(p, pack1(plain(row("Id", "OwnerId", "Stage")+row("1", "u1", "Open")+row("2", "u1", "Lost")+row("3", "u2", "Open"), "", "")))
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(read(t, out)); got != "map[Sheet1:"+want+"]" || s.Unclear != 0 {
			t.Errorf("own %v: %s, want %s under a name that tells nothing; %+v", own, got, want, s)
		}
	}
}

// tells keeps what a condition is told of the stage.
type tells struct{ text *string }

func (tells) Needs() []string { return []string{"stage"} }
func (tells) Wire() []string  { return nil }
func (c tells) Holds(_ *plan.Viewer, member func(string) plan.Value) (bool, error) {
	v := member("stage")
	if v.Kind != '"' {
		return false, errors.New("no answer")
	}
	*c.text = v.Text
	return true, nil
}
