// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package xlsxmask

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/crmgate/crmgate/modules/internal/jsonmask"
	"github.com/crmgate/crmgate/policy/mask"
	"github.com/crmgate/crmgate/policy/plan"
)

// leads is a plan of rows in which the phone is masked, the PAN hidden, and only
// u1's own are seen when rows is set.
func leads(table plan.Table, rows bool) *plan.Plan {
	phone, err := mask.Compile(mask.Spec{Fn: "phone"}, nil)
	if err != nil {
		panic(err)
	}
	e := &plan.Entity{
		Name: "lead",
		Fields: map[string]*plan.Treatment{
			"id": {Field: "id"}, "ownerid": {Field: "owner"}, "name": {Field: "name"}, "created": {Field: "created"},
			"phone":  {Field: "phone", Effect: plan.Mask, Mask: phone},
			"pan":    {Field: "pan", Effect: plan.Hide},
			"secret": {Field: "secret", Effect: plan.Mask, Mask: &mask.Func{Name: "full"}},
		},
		Unknown: &plan.Treatment{Effect: plan.Detect},
	}
	r := &plan.Record{Entity: e, Set: "leads"}
	if rows {
		r.Rows = &plan.Rows{Scope: plan.Own, Owner: []string{"ownerid"}}
	}
	return &plan.Plan{ID: "t", Format: plan.XLSX, Table: &table, Root: &plan.Node{Elements: &plan.Node{Record: r}}, Fallback: e}
}

var viewer = &plan.Viewer{Own: map[string]struct{}{"u1": {}}}

func run(p *plan.Plan, body []byte) ([]byte, jsonmask.Stats, error) {
	m := New(p, viewer, jsonmask.Limits{})
	out, err := io.ReadAll(m.Reader(bytes.NewReader(body)))
	return out, m.Stats(), err
}

// file is a part of a workbook.
type file struct{ name, text string }

const (
	typesPart = "[Content_Types].xml"
	rootRels  = "_rels/.rels"
	bookPart  = "xl/workbook.xml"
	bookRels  = "xl/_rels/workbook.xml.rels"
	sheetPart = "xl/worksheets/sheet1.xml"
	textsPart = "xl/sharedStrings.xml"
	stylePart = "xl/styles.xml"
)

// plain is a workbook of one sheet.
func plain(rows, texts, styles string) []file {
	rel := func(id, kind, to string) string {
		return fmt.Sprintf(`<Relationship Id="%s" Type="%s/%s" Target="%s"/>`, id, relSpace, kind, to)
	}
	rels := func(s string) string { return `<Relationships xmlns="` + packageSpace + `">` + s + `</Relationships>` }
	return []file{
		{typesPart, `<Types xmlns="` + contentSpace + `"/>`},
		{rootRels, rels(rel("r1", "officeDocument", "xl/workbook.xml"))},
		{bookPart, `<workbook xmlns="` + mainSpace + `" xmlns:r="` + relSpace + `"><sheets><sheet name="Leads" sheetId="1" r:id="r1"/></sheets></workbook>`},
		{bookRels, rels(rel("r1", "worksheet", "worksheets/sheet1.xml") + rel("r2", "sharedStrings", "/xl/sharedStrings.xml") + rel("r3", "styles", "styles.xml"))},
		{sheetPart, `<?xml version="1.0" encoding="UTF-8"?><worksheet xmlns="` + mainSpace + `"><sheetData>` + rows + `</sheetData></worksheet>`},
		{textsPart, `<sst xmlns="` + mainSpace + `">` + texts + `</sst>`},
		{stylePart, `<styleSheet xmlns="` + mainSpace + `">` + styles + `</styleSheet>`},
	}
}

func with(files []file, more ...file) []file {
	files = slices.Clone(files)
	for _, f := range more {
		if i := slices.IndexFunc(files, func(x file) bool { return x.name == f.name }); i >= 0 {
			files[i] = f
		} else {
			files = append(files, f)
		}
	}
	return files
}

func without(files []file, name string) []file {
	return slices.DeleteFunc(slices.Clone(files), func(f file) bool { return f.name == name })
}

func pack1(files []file) []byte {
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, f := range files {
		p, err := w.Create(f.name)
		if err == nil {
			_, err = io.WriteString(p, f.text)
		}
		if err != nil {
			panic(err)
		}
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return out.Bytes()
}

// row writes a row of inline texts.
func row(cells ...string) string {
	out := "<row>"
	for _, c := range cells {
		out += `<c t="inlineStr"><is><t xml:space="preserve">` + c + `</t></is></c>`
	}
	return out + "</row>"
}

func TestCells(t *testing.T) {
	names := row("Id", "OwnerId", "Name", "Phone", "PAN", "Extra")
	byName, byPlace := plan.Table{}, plan.Table{Columns: []string{"Id", "Phone", "PAN"}, Empty: true}
	const texts = `<si><t>Id</t></si><si><t>Phone</t></si><si><t>+91-9812345670</t></si><si><r><t>98123</t></r><r><rPr/><t>-45670</t></r><rPh sb="0" eb="1"><t>meera</t></rPh></si><si><t>nobody</t></si>`
	const styles = `<numFmts count="3"><numFmt numFmtId="164" formatCode="yyyy\-mm\-dd&quot; &quot;hh:mm"/><numFmt numFmtId="165" formatCode="&quot;9812345670&quot;"/><numFmt numFmtId="166" formatCode="[$-409]#,##0.00"/></numFmts>` +
		`<cellXfs><xf numFmtId="0"/><xf numFmtId="14"/><xf numFmtId="164"/><xf numFmtId="165"/></cellXfs>`
	for _, c := range []struct {
		name  string
		table plan.Table
		rows  bool
		sheet string
		want  []string
	}{
		{"each effect", byName, false, names + row("1", "u1", "Asha", "+91-9812345670", "BQKPN4821L", "call 9812345670"), []string{"Id|OwnerId|Name|Phone|Extra", "1|u1|Asha|+91XXXXXX5670|call +91XXXXXX5670"}},
		{"a hidden column that is emptied", plan.Table{Empty: true}, false, names + row("1", "u1", "Asha", "", "BQKPN4821L", "x"), []string{"Id|OwnerId|Name|Phone|PAN|Extra", "1|u1|Asha|||x"}},
		{"names in lines and with hard spaces", byName, false, row("Id", "Pho\nne", "P\u00a0A\u200bN") + row("1", "9812345670", "x"), []string{"Id|Pho\nne", "1|XXXXXX5670"}},
		{"columns by place", byPlace, false, row("1", "+91-9812345670", "BQKPN4821L"), []string{"1|+91XXXXXX5670"}},
		{"own rows", byName, true, names + row("1", "u1", "Asha") + row("2", "u2", "Meera") + row("3", "", "Nobody") + row("4", "u1", "Ravi"), []string{"Id|OwnerId|Name|Phone|Extra", "1|u1|Asha", "4|u1|Ravi"}},
		{"no owner's column", byName, true, row("Id", "Name") + row("1", "Asha"), []string{"Id|Name"}},
		{
			"shared strings", byName, false, `<row r="1"><c r="A1" t="s"><v>0</v></c><c r="B1" t="s"><v>1</v></c><c r="C1" t="inlineStr"><is><t>Notes</t></is></c></row><row r="2"><c r="A2"><v>7</v></c><c r="B2" t="s"><v>2</v></c><c r="C2" t="s"><v>3</v></c></row>`,
			[]string{"Id|Phone|Notes", "7|+91XXXXXX5670|+91XXXXXX5670"},
		},
		{
			"numbers", byName, false, names + `<row><c><v>9.8123456700000000E9</v></c><c/><c/><c><v>9812345670</v></c><c><v>1</v></c><c><v>9.81234567E9</v></c></row><row><c><v>1.50</v></c><c/><c/><c/><c/><c><v>1234.5</v></c></row>`,
			[]string{"Id|OwnerId|Name|Phone|Extra", "9812345670|||XXXXXX5670|XXXXXX5670", "1.5||||1234.5"},
		},
		{"days", byName, false, row("Id", "Due") + `<row><c s="1"><v>45123</v></c><c s="2"><v>45123.541666666664</v></c></row><row><c/><c s="3"><v>1.5</v></c></row>`, []string{"Id|Due", "45123@1|45123.541666666664@2", "|1.5@3"}},
		{"a number that says it is a day", byName, false, row("Id", "Due") + `<row><c/><c s="2"><v>98123456.70123456</v></c></row>`, []string{"Id|Due", "|XXXXXXXX"}},
		{"truth and faults", byName, false, row("Id", "Due") + `<row><c t="b"><v>1</v></c><c t="e"><v>#N/A</v></c></row><row><c t="d"><v>2024-05-06</v></c><c t="e"><v>9812345670</v></c></row>`, []string{"Id|Due", "b:1|e:#N/A", "d:2024-05-06|XXXXXXXX"}},
		{
			"formulas", byName, false, row("Id", "Phone", "Due") + `<row><c t="str"><f>"x"</f><v>x</v></c><c t="str"><f>HYPERLINK("tel:9812345670")</f><v>+91-9812345670</v></c><c t="str"><f>RIGHT(B2,5)</f><v>45670</v></c></row><row><c><f>1+1</f></c></row>`,
			[]string{"Id|Phone|Due", "x|+91XXXXXX5670|XXXXXXXX"},
		},
		{
			"truth by a formula", byName, false, row("Id", "Due", "Sure", "Odd") + `<row><c t="b"><f aca="false">TRUE()</f><v>1</v></c><c t="b"><f>FALSE()</f><v>0</v></c><c t="b"><f>B1&gt;0</f><v>1</v></c><c t="str"><f>TRUE()</f><v>9812345670</v></c></row>`,
			[]string{"Id|Due|Sure|Odd", "b:1|b:0|XXXXXXXX|XXXXXXXX"},
		},
		{"characters by their numbers", byName, false, row("Id", "_x0050_hone", "Due") + row("_x005F_x0041_", "_x002B_91-_x0039_812345670", "_x0039__x0038_12345670 _xD83D__xDE00_ _xD83D_!"), []string{"Id|Phone|Due", "_x005F_x0041_|+91XXXXXX5670|+91XXXXXX5670 \U0001F600 \uFFFD!"}},
		{"comments, character data, references", byName, false, row("Id", "Due") + row("&lt;a&gt;", "98123<!-- x --><![CDATA[45]]>&#54;70"), []string{"Id|Due", "<a>|XXXXXXXX"}},
		{"a name that is the value", byName, false, row("Id", "9812345670") + row("1", "yes"), []string{"Id", "1"}},
		{"rows and columns left out", byName, false, `<row r="3"><c r="B3" t="str"><v>Id</v></c><c r="D3" t="str"><v>Name</v></c></row><row r="9"><c r="D9" t="str"><v>Asha</v></c></row>`, []string{"|Id||Name", "|||Asha"}},
		{"no rows", byName, false, "<row/>", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, _, err := run(leads(c.table, c.rows), pack1(plain(c.sheet, texts, styles)))
			if err != nil {
				t.Fatal(err)
			}
			sheets, all := strict(t, got)
			name := "Leads"
			if c.rows {
				name = "Sheet1"
			}
			if rows, there := sheets[name]; !there || !slices.Equal(rows, c.want) {
				t.Errorf("got  %q\nwant %q", sheets, c.want)
			}
			for _, s := range []string{"BQKPN4821L", "meera", "nobody", "tel:"} {
				if strings.Contains(all, s) {
					t.Errorf("%s is in the parts that come out:\n%s", s, all)
				}
			}
			slow, err := io.ReadAll(New(leads(c.table, c.rows), viewer, jsonmask.Limits{}).Reader(iotest.OneByteReader(bytes.NewReader(pack1(plain(c.sheet, texts, styles))))))
			if err != nil || !bytes.Equal(slow, got) {
				t.Errorf("byte by byte another workbook comes out: %v", err)
			}
		})
	}
}

// full is a workbook with a canary in every place that spreadsheet programs have
// for one.
func full() []file {
	rows := `<row r="1" spans="1:9" customHeight="1">`
	texts := ""
	for i, name := range []string{"Id", "OwnerId", "Name", "Phone", "PAN", "Created", "Amount", "Notes", "Copy"} {
		rows += fmt.Sprintf(`<c r="%c1" s="0" t="s"><v>%d</v></c>`, 'A'+i, i)
		texts += "<si><t>" + name + "</t></si>"
	}
	for _, s := range []string{"u1", "Asha", "+91-9812345670", "BQKPN4821L", "call 9812345670", "u2", "Meera Nair", "meera.nair@canary.example", "9812345670 of nobody"} {
		texts += `<si><t xml:space="preserve">` + s + "</t></si>" // from 9 on
	}
	rows += `</row><row r="2" hidden="1"><c r="A2"><v>1</v></c><c r="B2" t="s"><v>9</v></c><c r="C2" t="s"><v>10</v></c><c r="D2" s="2" t="s"><v>11</v></c><c r="E2" t="s"><v>12</v></c>` +
		`<c r="F2" s="1"><v>45418.29732638889</v></c><c r="G2" s="2"><v>1234.5</v></c><c r="H2" t="s"><v>13</v></c><c r="I2" t="str"><f t="array" ref="I2">RIGHT(D2,5)</f><v>45670</v></c></row>` +
		`<row r="3"><c r="A3"><v>2</v></c><c r="B3" t="s"><v>14</v></c><c r="C3" t="s"><v>15</v></c><c r="D3"><v>9812345670</v></c><c r="E3" t="s"><v>12</v></c>` +
		`<c r="F3" s="1"><v>45419</v></c><c r="G3" s="3"><v>99</v></c><c r="H3" t="s"><v>16</v></c></row>`
	styles := `<numFmts count="2"><numFmt numFmtId="164" formatCode="&quot;9812345670&quot;0"/><numFmt numFmtId="165" formatCode="#,##0.000;@"/></numFmts><fonts count="1"><font><name val="meera.nair"/></font></fonts>` +
		`<cellXfs count="4"><xf numFmtId="0"/><xf numFmtId="22" applyNumberFormat="1"><alignment horizontal="left"/></xf><xf numFmtId="164"/><xf numFmtId="165"/></cellXfs><cellStyles><cellStyle name="98123-45670" xfId="0"/></cellStyles>`
	f := plain(rows, texts, styles)
	f[4].text = strings.NewReplacer("<sheetData>", `<sheetPr codeName="meera"/><dimension ref="A1:I3"/><sheetViews><sheetView workbookViewId="0"/></sheetViews><cols><col min="1" max="9" width="12"/></cols><sheetData>`,
		"</sheetData>", `</sheetData><autoFilter ref="A1:I3"><filterColumn colId="2"><filters><filter val="Meera Nair"/></filters></filterColumn></autoFilter><mergeCells><mergeCell ref="A9:B9"/></mergeCells>`+
			`<conditionalFormatting sqref="C2"><cfRule type="containsText" text="9812345670"><formula>"9812345670"</formula></cfRule></conditionalFormatting><dataValidations><dataValidation><formula1>"9812345670"</formula1></dataValidation></dataValidations>`+
			`<hyperlinks><hyperlink ref="D2" display="tel:9812345670"/></hyperlinks><headerFooter><oddHeader>meera.nair</oddHeader></headerFooter><legacyDrawing xmlns:r="`+relSpace+`" r:id="r1"/><extLst><ext><x xmlns="urn:x">9812345670</x></ext></extLst>`).Replace(f[4].text)
	f[2].text = strings.Replace(f[2].text, "</sheets>", `<sheet name="Hidden 9812345670" sheetId="2" state="hidden" r:id="r4"/></sheets><definedNames><definedName name="secret">"9812345670"</definedName></definedNames>`, 1)
	f[3].text = strings.Replace(f[3].text, "</Rel", `<Relationship Id="r4" Type="`+relSpace+`/worksheet" Target="worksheets/sheet2.xml"/><Relationship Id="r5" Type="`+relSpace+`/externalLink" Target="file:///9812345670" TargetMode="External"/></Rel`, 1)
	for _, name := range []string{
		"docProps/core.xml", "docProps/app.xml", "docProps/custom.xml", "customXml/item1.xml", "xl/theme/theme1.xml", "xl/calcChain.xml", "xl/comments1.xml", "xl/comments/comment1.xml",
		"xl/threadedComments/threadedComment1.xml", "xl/persons/person.xml", "xl/drawings/drawing1.xml", "xl/drawings/vmlDrawing1.vml", "xl/charts/chart1.xml", "xl/media/image1.png",
		"xl/pivotCache/pivotCacheRecords1.xml", "xl/pivotTables/pivotTable1.xml", "xl/tables/table1.xml", "xl/connections.xml", "xl/externalLinks/externalLink1.xml",
		"xl/printerSettings/printerSettings1.bin", "xl/vbaProject.bin", "xl/embeddings/oleObject1.bin", "xl/worksheets/sheet2.xml", "xl/worksheets/_rels/sheet1.xml.rels",
		"package/services/metadata/core-properties/3f2a.psmdcp", "pivotCache/pivotCacheRecords1.xml", "xl/metadata", "xl/metadata.xml", "xl/featurePropertyBag/featurePropertyBag.xml",
		"xl/namedSheetViews/namedSheetView1.xml", "xl/model/item.data", "xl/volatileDependencies.xml", "xl/diagrams/data1.xml", "customUI/customUI14.xml", "[trash]/0000.dat",
	} {
		f = append(f, file{name, "<a>9812345670 meera.nair@canary.example BQKPN4821L</a>"})
	}
	return f
}

func TestWorkbookWithEverythingInIt(t *testing.T) {
	body := pack1(full())
	for _, rows := range []bool{false, true} {
		m := New(leads(plan.Table{}, rows), viewer, jsonmask.Limits{})
		for range 2 { // a masker is used again
			got, err := io.ReadAll(m.Reader(bytes.NewReader(body)))
			if err != nil {
				t.Fatal(err)
			}
			sheets, all := strict(t, got)
			want := map[string][]string{"Leads": {
				"Id|OwnerId|Name|Phone|Created|Amount|Notes|Copy", "1|u1|Asha|+91XXXXXX5670|45418.29732638889@1|1234.5@2|call +91XXXXXX5670|XXXXXXXX",
				"2|u2|Meera Nair|XXXXXX5670|45419@1|99@3|XXXXXXXX",
			}}
			lost := []string{"9812345670", "98123", "BQKPN4821L", "RIGHT", "secret", "Hidden", "meera", "tel:", "of nobody"}
			if rows {
				want = map[string][]string{"Sheet1": want["Leads"][:2]}
				lost = append(lost, "Meera", "u2")
			}
			if fmt.Sprint(sheets) != fmt.Sprint(want) {
				t.Errorf("got  %q\nwant %q", sheets, want)
			}
			for _, s := range lost {
				if strings.Contains(all, s) {
					t.Errorf("%s is in the parts that come out:\n%s", s, all)
				}
			}
			if s := m.Stats(); s.Masked["phone"] == 0 || s.Hidden["pan"] == 0 || s.Kept == 0 {
				t.Errorf("nobody is told what was done: %+v", s)
			}
			m.Reset(m.Plan(), viewer, jsonmask.Limits{})
		}
	}
}

// Several sheets are read by one table; a hidden one is not handed on.
func TestSheets(t *testing.T) {
	two := func(name, state string) []file {
		f := plain(row("Id", "Phone")+row("1", "+91-9812345670"), "", "")
		f = with(f, file{"xl/worksheets/s2.xml", strings.Replace(f[4].text, row("Id", "Phone"), row("Id", "Name", "Phone"), 1)})
		f = with(f, file{bookPart, strings.Replace(f[2].text, "</sheets>", `<sheet name="`+name+`" sheetId="2" r:id="r9" `+state+`/></sheets>`, 1)})
		return with(f, file{bookRels, strings.Replace(f[3].text, "</Rel", `<Relationship Id="r9" Type="`+relSpace+`/worksheet" Target="worksheets/s2.xml"/></Rel`, 1)})
	}
	for _, c := range []struct{ name, state, want string }{
		{"Old", "", "map[Leads:[Id|Phone 1|+91XXXXXX5670] Old:[Id|Name|Phone 1|+91-9812345670]]"},
		{"9812345670", "", "map[Sheet1:[Id|Phone 1|+91XXXXXX5670] Sheet2:[Id|Name|Phone 1|+91-9812345670]]"},
		{"LEADS", "", "map[Sheet1:[Id|Phone 1|+91XXXXXX5670] Sheet2:[Id|Name|Phone 1|+91-9812345670]]"},
		{"Old", `state="hidden"`, "map[Leads:[Id|Phone 1|+91XXXXXX5670]]"},
		{"Old", `state="veryHidden"`, "map[Leads:[Id|Phone 1|+91XXXXXX5670]]"},
	} {
		got, _, err := run(leads(plan.Table{}, false), pack1(two(c.name, c.state)))
		if err != nil {
			t.Fatal(err)
		}
		if sheets, _ := strict(t, got); fmt.Sprint(sheets) != c.want {
			t.Errorf("%s, %s:\ngot  %v\nwant %s", c.name, c.state, sheets, c.want)
		}
	}
	if _, _, err := run(leads(plan.Table{}, false), pack1(two("Old", `state="new"`))); !errors.Is(err, ErrWorkbook) {
		t.Errorf("a state nobody knows: %v", err)
	}
}

// Programs write the same workbook in several ways.
func TestSpellings(t *testing.T) {
	usual := plain(row("Id", "Phone")+row("1", "+91-9812345670"), "", "")
	all := func(old, now string) []file {
		var out []file
		for _, f := range usual {
			out = append(out, file{f.name, strings.ReplaceAll(f.text, old, now)})
		}
		return out
	}
	prefixed := strings.NewReplacer("xmlns=", "xmlns:x=", "</", "</x:", "<", "<x:", "<x:?", "<?").Replace(strings.TrimPrefix(usual[4].text, `<?xml version="1.0" encoding="UTF-8"?>`))
	prefixed = strings.NewReplacer("<x:/", "</").Replace(prefixed)
	for name, files := range map[string][]file{
		"a byte order mark":          with(usual, file{sheetPart, "\uFEFF" + usual[4].text}),
		"names with a prefix":        with(usual, file{sheetPart, prefixed}),
		"the strict edition":         all(mainSpace, mainStrict),
		"the strict edition's links": all(relSpace, relStrict),
		"targets from the top":       all(`"worksheets/sheet1.xml"`, `"/xl/worksheets/sheet1.xml"`),
		"no strings, no styles":      without(without(with(usual, file{bookRels, usual[3].text[:strings.Index(usual[3].text, `<Relationship Id="r2"`)] + "</Relationships>"}), textsPart), stylePart),
		"days since 1904":            with(usual, file{bookPart, strings.Replace(usual[2].text, "<sheets>", `<workbookPr date1904="true"/><sheets>`, 1)}),
		"a folder":                   with(usual, file{"xl/", ""}),
	} {
		got, _, err := run(leads(plan.Table{}, false), pack1(files))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		sheets, parts := strict(t, got)
		if fmt.Sprint(sheets) != "map[Leads:[Id|Phone 1|+91XXXXXX5670]]" {
			t.Errorf("%s: %q", name, sheets)
		}
		if strings.Contains(parts, "date1904") != (name == "days since 1904") {
			t.Errorf("%s: days are counted from another one", name)
		}
	}
}

// BenchmarkWorkbook rewrites 10,000 records of 20 fields.
func BenchmarkWorkbook(b *testing.B) {
	names := []string{"Id", "OwnerId", "Name", "Phone", "PAN"}
	for len(names) < 20 {
		names = append(names, fmt.Sprint("Field", len(names)))
	}
	var rows strings.Builder
	rows.WriteString(row(names...))
	for i := range 10_000 {
		values := []string{fmt.Sprint(i), "u1", "Asha", fmt.Sprint("+91-98", 10_000_000+i), "BQKPN4821L"}
		for len(values) < 20 {
			values = append(values, fmt.Sprint("a value ", i%97, len(values)))
		}
		rows.WriteString(row(values...))
	}
	files := plain(rows.String(), "", "")
	body := pack1(files)
	p := leads(plan.Table{}, false)
	b.SetBytes(int64(len(files[4].text)))
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := run(p, body); err != nil {
			b.Fatal(err)
		}
	}
}

func TestNotVisible(t *testing.T) {
	p := leads(plan.Table{}, true)
	p.NotFound = &plan.Canned{}
	got, _, err := run(p, pack1(plain(row("Id", "OwnerId")+row("1", "u2"), "", "")))
	if !errors.Is(err, jsonmask.ErrNotVisible) || len(got) > 0 {
		t.Errorf("the one record that was asked for is another's: %v", err)
	}
}

func TestNumberFormats(t *testing.T) {
	for code, want := range map[string]bool{
		"yyyy-mm-dd": true, `dd\/mm\/yyyy hh:mm:ss`: true, "#,##0.00": true, "General": true, `[$-409]d-mmm-yy;@`: true, `[$₹-4009]#,##0`: true, `"₹ "0`: true, "[h]:mm": true, "[Red]0": true,
		`_("$"* #,##0.00_);_("$"* \(#,##0.00\);_("$"* "-"??_);_(@_)`: true, `\$#,##0;[Red]\-\$#,##0`: true, `0.00_);[Red]\(0.00\)`: true, `\(9\)`: false,
		"": false, `"9812345670"`: false, `"Asha"`: false, `\9\8`: false, "0123": false, `[$meera-409]0`: false, "@9812345670": false, "Asha": false,
	} {
		if plainCode(code) != want {
			t.Errorf("%s is kept: %v", code, !want)
		}
	}
	for code, want := range map[string]bool{"yyyy-mm-dd": true, "[h]:mm": true, "General": false, "#,##0": false, `"d"0`: false, "0.00": false} {
		if showsDate(code) != want {
			t.Errorf("%s shows a date: %v", code, !want)
		}
	}
}
