// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package xlsxmask

import (
	"slices"
	"strings"
	"testing"

	"github.com/crmgate/crmgate/policy/plan"
)

// A value that is masked or hidden does not come through in a cell, or as the name of a
// sheet, that nobody declared.
func TestValuesThatComeAgain(t *testing.T) {
	names := row("Id", "OwnerId", "Extra", "Secret", "PAN")
	of := func(s string) string { return `<c t="inlineStr"><is><t>` + s + "</t></is></c>" }
	const shared = `<si><t>knows Acme Kettles</t></si><si><t>Acme Kettles</t></si>`
	const dates = `<cellXfs><xf numFmtId="0"/><xf numFmtId="22"/></cellXfs>`
	for _, c := range []struct {
		name  string
		rows  bool
		sheet string
		want  []string
	}{
		{"in front of the value", false, names + row("1", "u1", "of ACME kettles, Pune", "Acme Kettles"), []string{"1|u1|of XXXXXXXX, Pune|XXXXXXXX"}},
		{"of a hidden cell", false, names + row("1", "u1", "client AK-77 b", "", "AK-77 b"), []string{"1|u1|client XXXXXXXX"}},
		{"of a row before", false, names + row("1", "u1", "", "Acme Kettles") + row("2", "u1", "Acme Kettles"), []string{"1|u1||XXXXXXXX", "2|u1|XXXXXXXX"}},
		{"of a row that nobody sees", true, names + row("1", "u2", "", "Acme Kettles") + row("2", "u1", "Acme Kettles"), []string{"2|u1|Acme Kettles"}},
		{"in a string that cells share with rows before", false, names + `<row><c><v>1</v></c><c/><c t="s"><v>0</v></c></row><row><c><v>2</v></c><c/><c t="s"><v>0</v></c><c t="s"><v>1</v></c></row><row><c><v>3</v></c><c/><c t="s"><v>0</v></c></row>`, []string{"1||knows Acme Kettles", "2||knows XXXXXXXX|XXXXXXXX", "3||knows XXXXXXXX"}},
		{"a number", false, names + "<row><c><v>1</v></c>" + of("") + "<c><v>734512.50</v></c><c><v>734512.5</v></c></row><row><c><v>2</v></c>" + of("") + of("due 734512.5") + "</row>", []string{"1||XXXXXXXX|XXXXXXXX", "2||due XXXXXXXX"}},
		{"a number as text", false, names + "<row><c><v>1</v></c>" + of("") + "<c><v>7345129</v></c>" + of("734-5129") + "</row>", []string{"1||XXXXXXXX|XXXXXXXX"}},
		{"a day and a time", false, names + `<row><c><v>1</v></c>` + of("") + `<c s="1"><v>45123.541666</v></c><c s="1"><v>45123.541666</v></c></row><row><c><v>2</v></c>` + of("") + `<c s="1"><v>45123.541667</v></c></row>`, []string{"1||XXXXXXXX|XXXXXXXX", "2||45123.541667@1"}},
		{"a day as text", false, names + `<row><c><v>1</v></c>` + of("") + of("on 2024-05-06") + `<c t="d"><v>2024-05-06</v></c></row>`, []string{"1||on XXXXXXXX|XXXXXXXX"}},
		{"a fault is nobody's", false, names + `<row><c><v>1</v></c>` + of("") + of("gives #VALUE!") + `<c t="e"><v>#VALUE!</v></c></row>`, []string{"1||gives #VALUE!|XXXXXXXX"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, _, err := run(leads(plan.Table{}, c.rows), pack1(plain(c.sheet, shared, dates)))
			if err != nil {
				t.Fatal(err)
			}
			sheets, _ := strict(t, got)
			name := "Leads"
			if c.rows {
				name = "Sheet1"
			}
			if rows := sheets[name]; len(rows) == 0 || !slices.Equal(rows[1:], c.want) {
				t.Errorf("a masked value comes a second time:\ngot  %q\nwant %q", sheets, c.want)
			}
		})
	}
	f := plain(names+row("1", "u1", "", "Acme Kettles"), "", "")
	f[2].text = strings.Replace(f[2].text, `name="Leads"`, `name="Acme kettles"`, 1)
	got, _, err := run(leads(plan.Table{}, false), pack1(f))
	if sheets, all := strict(t, got); err != nil || len(sheets["Sheet1"]) != 2 || strings.Contains(all, "ettles") {
		t.Errorf("a sheet is named as a masked value: %v, %v", sheets, err)
	}
}
