// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package xlsxmask

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/crmgate/crmgate/modules/internal/jsonmask"
	"github.com/crmgate/crmgate/policy/mask"
	"github.com/crmgate/crmgate/policy/plan"
)

// plans are those that workbooks are rewritten by.
func plans() []*plan.Plan {
	where, single, masked, hidden := leads(plan.Table{}, false), leads(plan.Table{}, true), leads(plan.Table{}, false), leads(plan.Table{Empty: true}, false)
	where.Root.Elements.Record.Rows = &plan.Rows{Where: notLost{}}
	single.NotFound, single.MaxRows = &plan.Canned{Status: 404}, 2
	masked.Fallback.Unknown = &plan.Treatment{Effect: plan.Mask, Mask: &mask.Func{Name: "full"}}
	hidden.Fallback.Unknown = &plan.Treatment{Effect: plan.Hide}
	return []*plan.Plan{
		leads(plan.Table{}, false), leads(plan.Table{}, true), leads(plan.Table{Empty: true}, false), where, single, masked, hidden,
		leads(plan.Table{Columns: []string{"Id", "Secret", "PAN", "Note"}, Empty: true}, false),
	}
}

// FuzzSheet holds what comes out of any sheet, strings and formats to the oracle,
// cell by cell. Nothing that is not in a cell it expects is in any part; and what
// comes out can be rewritten again.
func FuzzSheet(f *testing.F) {
	all := full()
	for which := range uint8(8) {
		f.Add(all[4].text, all[5].text, all[6].text, which)
	}
	f.Add(plain(row("Id", "Secret")+row("_x0039_812345670", "+91-9812345670"), "", "")[4].text, "<sst/>", "<styleSheet/>", uint8(0))
	f.Add(`<worksheet xmlns="`+mainSpace+`"><sheetData><row r="1"><c r="A1" t="s"><v>0</v></c><c r="C1" t="str"><v>PAN</v></c></row><row r="4"><c r="A4" t="s"><v>1</v></c><c r="C4" t="d"><f/><v>2024-05-06</v></c></row></sheetData></worksheet>`,
		`<sst xmlns="`+mainSpace+`"><si><t>Secret</t></si><si><r><t>canary</t></r></si></sst>`, `<styleSheet xmlns="`+mainSpace+`"/>`, uint8(0))
	f.Add(plain(row("Id", "Stage", "Secret")+row("1", "Open", "canary")+row("canary", "Lost", "x")+`<row><c t="b"><v>1</v></c><c><v>7.50</v></c><c t="e"><v>#N/A</v></c></row>`, "", "")[4].text, "", "", uint8(3))
	known := plans()
	f.Fuzz(func(t *testing.T, sheet, texts, styles string, choice uint8) {
		p := known[int(choice)%len(known)]
		check(t, p, stored(with(plain("", "", ""), file{sheetPart, plant(sheet)}, file{textsPart, plant(texts)}, file{stylePart, styles})), choice >= 0xC0)
		check(t, p, stored(document([]byte(sheet))), false)
	})
}

// FuzzZip holds what comes out of any zip to the oracle in the same way.
func FuzzZip(f *testing.F) {
	f.Add(pack1(full()))
	f.Add(stored(full()))
	f.Add(stored(plain(row("Id", "Phone")+row("1", "+91-9812345670"), "", "")))
	f.Add(stored(plain(row("Id", "Secret")+row("1", "canary"), "<si><t>canary</t></si>", "<cellXfs><xf numFmtId='14'/></cellXfs>")))
	f.Add([]byte("PK\x03\x04"))
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, rows := range []bool{false, true} {
			check(t, leads(plan.Table{}, rows), body, false)
		}
	})
}

// check rewrites a workbook and compares what comes out with what the oracle
// expects.
func check(t *testing.T, p *plan.Plan, body []byte, slow bool) {
	t.Helper()
	got, _, err := run(p, body)
	if slow {
		m := New(p, viewer, jsonmask.Limits{})
		if again, againErr := io.ReadAll(m.Reader(&pieces{bytes.NewReader(body), 7})); !bytes.Equal(got, again) || (err == nil) != (againErr == nil) {
			t.Fatalf("in pieces another workbook comes out: %v, %v", err, againErr)
		}
	}
	if err != nil {
		if len(got) > 0 {
			t.Fatal("bytes in front of an error")
		}
		return
	}
	w, err := readBook(body)
	if err != nil {
		t.Fatalf("the oracle cannot read what was accepted: %v", err)
	}
	want, err := expected(p, w)
	if err != nil {
		t.Fatalf("the oracle refuses what was accepted: %v\n%v", err, w)
	}
	has := read(t, got)
	if len(has) != len(want) {
		t.Fatalf("sheets are missing: %q, want %q", has, want)
	}
	for name, rows := range want {
		if !slices.EqualFunc(rows, has[name], sameCells) {
			t.Fatalf("%s\ngot  %q\nwant %q", name, has[name], rows)
		}
	}
	all, shows := "", fmt.Sprint(want)
	for name, text := range unpack(t, got) {
		all += name + text
	}
	for _, canary := range planted.FindAllString(all, -1) {
		if !strings.Contains(shows, canary) && !slices.Contains(w.names, canary) {
			t.Fatalf("%s is in a part of the new workbook and in no cell\n%q", canary, want)
		}
	}
	checkFormats(t, w, unpack(t, got)[stylePart])
	if _, _, err := run(p, got); err != nil && p.NotFound == nil && !strings.Contains(err.Error(), "names no field") { // the known name may have been hidden
		t.Fatalf("what comes out cannot be rewritten again: %v\n%q", err, has)
	}
}

// sameCells compares rows without the empty cells at their ends.
func sameCells(a, b []string) bool {
	for len(a) > 0 && a[len(a)-1] == "" {
		a = a[:len(a)-1]
	}
	return slices.EqualFunc(a, b, func(want, got string) bool { return want == shown(got) })
}

// checkFormats holds the number formats that come out to those of the original:
// each is what it was, or none.
func checkFormats(t *testing.T, w workbook, styles string) {
	t.Helper()
	var out struct {
		Codes []struct {
			ID   int    `xml:"numFmtId,attr"`
			Code string `xml:"formatCode,attr"`
		} `xml:"numFmts>numFmt"`
		Formats []struct {
			ID int `xml:"numFmtId,attr"`
		} `xml:"cellXfs>xf"`
	}
	if err := xml.Unmarshal([]byte(styles), &out); err != nil {
		t.Fatal(err)
	}
	for i, f := range out.Formats {
		if f.ID != 0 && f.ID != w.formats[i] {
			t.Fatalf("style %d has the format %d in place of %d", i, f.ID, w.formats[i])
		}
	}
	for _, c := range out.Codes {
		if shown(c.Code) != w.codes[c.ID] || strings.Contains(c.Code, "canary") {
			t.Fatalf("the format %d is %q in place of %q", c.ID, c.Code, w.codes[c.ID])
		}
	}
}

var planted = regexp.MustCompile(`canary[a-p]{3}y`)

// plant gives every canary of a part a name of its own.
func plant(text string) string {
	n := -1
	return regexp.MustCompile(`canary(?:[a-p]{3}y)?`).ReplaceAllStringFunc(text, func(string) string {
		n++
		return fmt.Sprintf("canary%c%c%cy", 'a'+n>>8&15, 'a'+n>>4&15, 'a'+n&15)
	})
}

type pieces struct {
	r io.Reader
	n int
}

func (p *pieces) Read(b []byte) (int, error) { return p.r.Read(b[:min(len(b), p.n)]) }

// document writes a workbook by the choices that bytes make.
func document(choices []byte) []file {
	next := func(n int) int {
		if len(choices) == 0 {
			return 0
		}
		c := choices[0]
		choices = choices[1:]
		return int(c) % n
	}
	pick := func(of ...string) string { return of[next(len(of))] }
	words := []string{"canary", "u1", "u2", "9812345670", "call 98123-45670", "Open", "Lost", " ", "_x0039_812345670", "1", "a&lt;b", "_x0041_", "&#x1F600;", "_x005F_x0041_", "Acme Kettles", "of ACME KETTLES.", "of 45123.541666666664"}
	texts, rows := "", ""
	for _, s := range words {
		texts += "<si>" + pick("<t>"+s+"</t>", "<r><t>"+s+"</t></r><rPh><t>canary</t></rPh>", `<t xml:space="preserve">`+s+"</t>") + "</si>"
	}
	names := []string{pick("Id", "id", "OwnerId", "Name")}
	for range next(7) {
		names = append(names, pick("OwnerId", "Phone", "PAN", "Secret", "Note", "Stage", "9812345670", "Created", "_x0050_AN"))
	}
	for r := range 2 + next(6) {
		rows += pick("<row>", fmt.Sprintf(`<row r="%d">`, 2*r+1))
		explicit := strings.HasSuffix(rows, `">`)
		gap := false
		for c := range names {
			at := ""
			if r > 0 && explicit && next(6) == 5 {
				gap = true
				continue
			}
			if explicit && (gap || next(2) == 1) {
				gap = false
				at = fmt.Sprintf(` r="%c%d"`, 'A'+c, 2*r+1)
			}
			if r == 0 {
				rows += `<c` + at + ` t="inlineStr"><is><t>` + names[c] + `</t></is></c>`
				continue
			}
			style := pick("", "", ` s="1"`, ` s="2"`, ` s="3"`)
			rows += "<c" + at + style
			switch next(12) {
			case 0, 1:
				rows += ">" + pick("", "<f>A1</f>") + "<v>" + pick("1", "9812345670", "45123.541666666664", "1.50", "9.81234567E9", "-3", "007", "1E400", "0.1", "12345678901234567890") + "</v></c>"
			case 2, 3, 4:
				rows += fmt.Sprintf(` t="s"><v>%d</v></c>`, next(len(words)))
			case 5:
				rows += ` t="b">` + pick("", "<f>TRUE()</f>") + "<v>" + pick("1", "0", "true") + "</v></c>"
			case 6:
				rows += ` t="e"><v>` + pick("#N/A", "canary", "#REF!") + "</v></c>"
			case 7:
				rows += ` t="d"><v>` + pick("2024-05-06", "98123-45670", "canary", "2024-05-06T10:11:12Z") + "</v></c>"
			case 8:
				rows += "/>"
			case 9:
				rows += ` t="str"><f>RIGHT(B2,5)</f><v>` + pick(words...) + "</v></c>"
			default:
				rows += ` t="inlineStr"><is><t>` + pick(words...) + "<!-- canary --></t></is></c>"
			}
		}
		rows += "</row>"
	}
	files := plain(plant(rows), strings.ReplaceAll(plant(texts), "canarya", "canaryo"), `<numFmts><numFmt numFmtId="164" formatCode="`+pick("yyyy\\-mm", "&quot;canary&quot;", "#,##0.0", "[h]:mm")+`"/></numFmts><cellXfs><xf/><xf numFmtId="14"/><xf numFmtId="164"/><xf numFmtId="`+pick("22", "4", "200")+`"/></cellXfs>`)
	if next(4) == 3 {
		files[2].text = strings.Replace(files[2].text, `name="Leads"`, `name="`+pick("9812345670", "Acme kettles", "a/b", "canaryaaay", "")+`"`, 1)
	}
	return files
}

// TestWorkbooksOfTheOracle holds many written workbooks to the oracle.
func TestWorkbooksOfTheOracle(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 9))
	for i, p := range plans() {
		accepted := 0
		for range 40 {
			choices := make([]byte, 4+r.IntN(160))
			for i := range choices {
				choices[i] = byte(r.UintN(256))
			}
			body := stored(document(choices))
			check(t, p, body, r.IntN(8) == 0)
			if _, _, err := run(p, body); err == nil {
				accepted++
			}
		}
		if accepted == 0 {
			t.Errorf("plan %d: no workbook is accepted: the oracle has nothing to look at", i)
		}
	}
}
