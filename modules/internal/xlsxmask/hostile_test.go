// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package xlsxmask

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/crmgate/crmgate/modules/internal/jsonmask"
	"github.com/crmgate/crmgate/policy/plan"
)

// replace changes bytes of a zip that was packed without compressing.
func replace(t *testing.T, b []byte, old, now string) []byte {
	t.Helper()
	if !bytes.Contains(b, []byte(old)) || len(old) != len(now) {
		t.Fatalf("there is no %q to be changed", old)
	}
	return bytes.ReplaceAll(b, []byte(old), []byte(now))
}

// stored packs without compressing.
func stored(files []file) []byte {
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, f := range files {
		p, err := w.CreateHeader(&zip.FileHeader{Name: f.name, Method: zip.Store})
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

// directory calls change with each header of the zip's directory.
func directory(b []byte, change func(header []byte)) []byte {
	b = bytes.Clone(b)
	for i := 0; ; {
		n := bytes.Index(b[i:], []byte("PK\x01\x02"))
		if n < 0 {
			return b
		}
		i += n
		change(b[i:])
		i += 46
	}
}

// What is not a plain workbook of tables is refused as a whole.
func TestRefused(t *testing.T) {
	good := plain(row("Id", "Phone")+row("1", "+91-9812345670"), `<si><t>9812345670</t></si>`, `<cellXfs><xf numFmtId="0"/></cellXfs>`)
	sheet := func(rows string) []byte { return pack1(plain(rows, `<si><t>9812345670</t></si>`, "")) }
	part := func(name, old, now string) []byte {
		for _, f := range good {
			if f.name == name {
				if !strings.Contains(f.text, old) {
					t.Fatalf("%s has no %q", name, old)
				}
				return pack1(with(good, file{name, strings.Replace(f.text, old, now, 1)}))
			}
		}
		t.Fatal(name)
		return nil
	}
	more := func(name string) []byte { return pack1(append(with(good), file{name, "9812345670"})) }
	whole := pack1(good)
	cell := func(c string) []byte { return sheet(row("Id", "Name") + `<row r="2">` + c + "</row>") }
	if _, _, err := run(leads(plan.Table{}, false), stored(good)); err != nil {
		t.Fatalf("what the cases are made of is refused: %v", err)
	}
	for name, body := range map[string][]byte{
		"nothing":                       nil,
		"JSON":                          []byte(`[{"Phone":"9812345670"}]`),
		"a table":                       []byte("Id,Phone\n1,9812345670\n"),
		"a workbook of 1997":            []byte("\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1 9812345670"),
		"the start of a zip":            []byte("PK\x03\x04+91-9812345670"),
		"half a zip":                    whole[:len(whole)/2],
		"a zip without its last byte":   whole[:len(whole)-1],
		"bytes in front":                append([]byte("9812345670"), whole...),
		"another zip":                   pack1([]file{{"a.txt", "9812345670"}}),
		"an empty zip":                  pack1(nil),
		"a wrong checksum":              replace(t, stored(good), "+91-9812345670", "+91-9812345671"),
		"an encrypted part":             directory(whole, func(h []byte) { h[8] |= encrypted }),
		"a part packed by bzip2":        directory(whole, func(h []byte) { h[10] = 12 }),
		"a part that says it is longer": directory(whole, func(h []byte) { binary.LittleEndian.PutUint32(h[24:], 1<<20) }),
		"a part of 2 GiB":               directory(whole, func(h []byte) { binary.LittleEndian.PutUint32(h[24:], 1<<31) }),
		"a part of more than 4 GiB":     directory(whole, func(h []byte) { binary.LittleEndian.PutUint32(h[24:], 1<<32-1) }),
		"two parts of one name":         more(sheetPart),
		"two parts but for their case":  more("XL/Worksheets/Sheet1.XML"),
		"a path upwards":                more("../evil.xml"),
		"a path upwards within":         more("xl/media/../../evil.xml"),
		"a path from the top":           more("/xl/media/a.png"),
		"a path with backslashes":       more(`xl\media\a.png`),
		"a path with a drive":           more("c:xl/media/a.png"),
		"a path with a point":           more("xl/media/./a.png"),
		"a part nobody knows":           more("xl/secrets.xml"),
		"a sheet of macros":             more("xl/macrosheets/sheet1.xml"),
		"no relationships":              pack1(without(good, rootRels)),
		"no workbook":                   pack1(without(good, bookPart)),
		"no list of parts":              pack1(without(good, bookRels)),
		"no sheet":                      pack1(without(good, sheetPart)),
		"no strings":                    pack1(without(good, textsPart)),
		"two workbooks":                 part(rootRels, "</Rel", `<Relationship Id="r2" Type="`+relSpace+`/officeDocument" Target="xl/b.xml"/></Rel`),
		"a relationship twice":          part(bookRels, `Id="r2"`, `Id="r1"`),
		"a sheet elsewhere":             part(bookRels, `Target="worksheets/sheet1.xml"`, `Target="worksheets/sheet1.xml" TargetMode="External"`),
		"a sheet of no package":         part(bookRels, `"worksheets/sheet1.xml"`, `"../../../sheet1.xml"`),
		"a sheet twice":                 part(bookPart, "</sheets>", `<sheet name="b" sheetId="2" r:id="r1"/></sheets>`),
		"a chart for a sheet":           part(bookRels, "/worksheet\"", "/chartsheet\""),
		"no sheets":                     part(bookPart, `<sheet name="Leads" sheetId="1" r:id="r1"/>`, ""),
		"hidden sheets alone":           part(bookPart, `<sheet `, `<sheet state="hidden" `),
		"a sheet that is none":          part(sheetPart, "worksheet xmlns", "dialogsheet xmlns"),
		"a document type":               part(sheetPart, "<worksheet", `<!DOCTYPE worksheet [<!ENTITY p "9812345670">]><worksheet`),
		"a document type in strings":    part(textsPart, "<sst", `<!DOCTYPE sst><sst`),
		"an entity nobody declared":     part(sheetPart, "+91", "&p;"),
		"another encoding":              part(sheetPart, `UTF-8`, `UTF-16`),
		"bytes that are no UTF-8":       part(sheetPart, "+91", "\xFF\xFE"),
		"a sheet that breaks off":       part(sheetPart, "</sheetData></worksheet>", ""),
		"text behind a sheet":           part(sheetPart, "</worksheet>", "</worksheet>9812345670"),
		"two elements":                  part(sheetPart, "</worksheet>", "</worksheet><worksheet/>"),
		"another namespace":             part(sheetPart, mainSpace, "urn:x"),
		"two tables in a sheet":         part(sheetPart, "</worksheet>", "<sheetData/></worksheet>"),
		"an attribute twice":            cell(`<c r="A2" r="B2"><v>1</v></c>`),
		"a string that is not there":    cell(`<c t="s"><v>1</v></c>`),
		"a string before the first":     cell(`<c t="s"><v>-1</v></c>`),
		"a string of no number":         cell(`<c t="s"><v>x</v></c>`),
		"a style that is not there":     cell(`<c s="9"><v>1</v></c>`),
		"a cell of another row":         cell(`<c r="A3"><v>1</v></c>`),
		"a cell of row nought":          cell(`<c r="A0"><v>1</v></c>`),
		"cells out of order":            cell(`<c r="B2"><v>1</v></c><c r="A2"><v>9812345670</v></c>`),
		"a cell twice":                  cell(`<c r="A2"><v>1</v></c><c r="A2"><v>9812345670</v></c>`),
		"a cell behind the last":        cell(`<c r="XFE2"><v>1</v></c>`),
		"a cell in small letters":       cell(`<c r="a2"><v>1</v></c>`),
		"a cell of a kind nobody knows": cell(`<c t="x"><v>9812345670</v></c>`),
		"a cell with two values":        cell(`<c><v>1</v><v>9812345670</v></c>`),
		"a cell with two texts":         cell(`<c t="inlineStr"><is><t>1</t></is><is><t>9812345670</t></is></c>`),
		"a text in a number's cell":     cell(`<c><is><t>9812345670</t></is></c>`),
		"an element within a value":     cell(`<c><v>1<b>9812345670</b></v></c>`),
		"an element nobody knows":       cell(`<c><w>9812345670</w></c>`),
		"a choice between cells":        cell(`<x:AlternateContent xmlns:x="urn:x"><c><v>9812345670</v></c></x:AlternateContent>`),
		"a number that is none":         cell(`<c><v>Asha</v></c>`),
		"a number of another notation":  cell(`<c><v>0x1</v></c>`),
		"no number at all":              cell(`<c><v>NaN</v></c>`),
		"neither true nor false":        cell(`<c t="b"><v>9812345670</v></c>`),
		"rows out of order":             sheet(`<row r="2"/><row r="1"/>`),
		"a row twice":                   sheet(`<row r="1"/><row r="1"/>`),
		"a row behind the last":         sheet(`<row r="1048577"/>`),
		"no names":                      sheet(row("1", "9812345670")),
		"a title":                       sheet(row("Leads of May") + row("Id", "Phone")),
		"a value without a name":        sheet(row("Id", "Name") + row("1", "Asha", "9812345670")),
		"a value in a gap":              sheet(`<row><c t="str"><v>Id</v></c><c/><c t="str"><v>Name</v></c></row>` + row("1", "9812345670")),
		"deep nesting":                  part(sheetPart, "<sheetData>", strings.Repeat("<a>", 99)+strings.Repeat("</a>", 99)+"<sheetData>"),
	} {
		for _, p := range []*plan.Plan{leads(plan.Table{}, false), leads(plan.Table{}, true)} {
			got, _, err := run(p, body)
			var l *jsonmask.LimitError
			if err == nil || len(got) > 0 || !errors.Is(err, ErrWorkbook) && !errors.As(err, &l) {
				t.Errorf("%s goes through, or is refused as something else: %v", name, err)
			}
			if err != nil && strings.Contains(err.Error(), "98123") {
				t.Errorf("%s: the error tells a value: %v", name, err)
			}
		}
	}
}

// A workbook takes no more memory and time than it is given.
func TestBounds(t *testing.T) {
	lines := func(n int) string { return row("Id", "Name") + strings.Repeat(row("1", "Asha"), n) }
	few := plain(lines(3), "", "")
	shared := `<row r="1"><c t="str"><v>Id</v></c></row>` + strings.Repeat(`<row><c t="s"><v>0</v></c></row>`, 3000)
	for _, c := range []struct {
		name  string
		files []file
		set   func(*bounds)
	}{
		{"a long body", few, func(b *bounds) { b.packed = 1000 }},
		{"many parts", few, func(b *bounds) { b.parts = 6 }},
		{"much to unpack", plain(lines(1000), "", ""), func(b *bounds) { b.unpacked = 20_000 }},
		{"a bomb", plain(lines(10_000), "", ""), func(b *bounds) { b.ratio = 10 }},
		{"many strings", plain(lines(1), strings.Repeat("<si/>", 11), ""), func(b *bounds) { b.strings = 10 }},
		{"many formats", plain(lines(1), "", "<cellXfs>"+strings.Repeat("<xf/>", 11)+"</cellXfs>"), func(b *bounds) { b.formats = 10 }},
		{"many sheets", few, func(b *bounds) { b.sheets = 0 }},
		{"a long text in many cells", plain(shared, "<si><t>"+strings.Repeat("x", 1000)+"</t></si>", ""), func(b *bounds) { b.unpacked = 1 << 20 }},
		{"a long text", plain(row("Id")+row(strings.Repeat("x", 1<<20+1)), "", ""), nil},
		{"a long row", plain(row("Id", "Name")+row(strings.Repeat("x", 600_000), strings.Repeat("x", 600_000)), "", ""), nil},
		{"a tag of many attributes", with(few, file{sheetPart, "<worksheet " + strings.Repeat("a='' ", 300_000) + "/>"}), nil},
	} {
		m := New(leads(plan.Table{}, false), viewer, jsonmask.Limits{})
		if c.set != nil {
			if _, err := io.ReadAll(m.Reader(bytes.NewReader(pack1(c.files)))); err != nil {
				t.Errorf("%s: what is within the usual bounds is refused: %v", c.name, err)
			}
			m.Reset(m.Plan(), viewer, jsonmask.Limits{})
			c.set(&m.bounds)
		}
		got, err := io.ReadAll(m.Reader(bytes.NewReader(pack1(c.files))))
		var l *jsonmask.LimitError
		if !errors.As(err, &l) || len(got) > 0 {
			t.Errorf("%s: %d bytes come out, %v", c.name, len(got), err)
		}
	}
	// Sheets beside each other share the room there is to unpack.
	body := pack1(append(plain(lines(3), "", ""), file{"xl/media/image1.png", strings.Repeat("x", 40<<20)}))
	if _, _, err := run(leads(plan.Table{}, false), body); err != nil {
		t.Errorf("a part that goes unread is unpacked: %v", err)
	}
}
