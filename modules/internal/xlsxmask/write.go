// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package xlsxmask

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"

	"github.com/klauspost/compress/flate"

	"github.com/crmgate/crmgate/modules/internal/jsonmask"
)

const head = `<?xml version="1.0" encoding="UTF-8" standalone="yes"?>` + "\n"

// writer writes a new workbook. Every text is a shared string, of which there are
// those that a cell of the new workbook needs.
type writer struct {
	dst   *bytes.Buffer
	most  int
	zip   *zip.Writer
	part  io.Writer
	buf   []byte
	rows  int
	texts texts
}

// newWriter returns a writer of a workbook like one with so many shared strings.
func newWriter(dst *bytes.Buffer, most, shared int) *writer {
	z := zip.NewWriter(dst)
	z.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) { return flate.NewWriter(w, flate.BestSpeed) })
	return &writer{dst: dst, most: most, zip: z, texts: texts{shared: make([]uint32, shared)}}
}

// begin starts a part.
func (w *writer) begin(name, start string) error {
	var err error
	if w.part, err = w.zip.Create(name); err == nil {
		_, err = io.WriteString(w.part, head+start)
	}
	return err
}

// flush hands on what was written, when there is enough of it.
func (w *writer) flush(least int) error {
	if len(w.buf) < least {
		return nil
	}
	_, err := w.part.Write(w.buf)
	w.buf = w.buf[:0]
	if err == nil && w.dst.Len() > w.most {
		err = &jsonmask.LimitError{What: "size of a rewritten workbook", Limit: w.most}
	}
	return err
}

func (w *writer) sheet(n int) error {
	w.rows = 0
	return w.begin(fmt.Sprintf("xl/worksheets/sheet%d.xml", n), `<worksheet xmlns="`+mainSpace+`"><sheetData>`)
}

func (w *writer) endSheet() error {
	w.buf = append(w.buf, "</sheetData></worksheet>"...)
	return w.flush(0)
}

// row starts the next row: rows that are left out leave no gap.
func (w *writer) row() {
	w.rows++
	w.buf = append(strconv.AppendInt(append(w.buf, `<row r="`...), int64(w.rows), 10), `">`...)
}

func (w *writer) endRow() error {
	w.buf = append(w.buf, "</row>"...)
	return w.flush(32 << 10)
}

// open starts a cell.
func (w *writer) open(column, style int, kind string) {
	w.buf = append(w.buf, `<c r="`...)
	w.buf = strconv.AppendInt(appendColumn(w.buf, column), int64(w.rows), 10)
	if style > 0 {
		w.buf = strconv.AppendInt(append(w.buf, `" s="`...), int64(style), 10)
	}
	w.buf = append(append(append(w.buf, '"'), kind...), "><v>"...)
}

func (w *writer) close() { w.buf = append(w.buf, "</v></c>"...) }

// text writes a cell of text; an empty one is no cell.
func (w *writer) text(column, style int, s []byte) {
	if len(s) > 0 {
		w.reference(column, style, w.texts.place(s))
	}
}

// same writes a cell of text as it was read.
func (w *writer) same(column int, c cell) {
	if c.shared > 0 {
		w.reference(column, c.style, w.texts.keep(c.shared-1, c.value))
		return
	}
	w.text(column, c.style, c.value)
}

func (w *writer) reference(column, style, text int) {
	w.texts.used++
	w.open(column, style, ` t="s"`)
	w.buf = strconv.AppendInt(w.buf, int64(text), 10)
	w.close()
}

// types are what cells of a kind say they are.
var types = [...]string{text: "", digits: "", truth: ` t="b"`, fault: ` t="e"`, moment: ` t="d"`}

// value writes a cell as it was read.
func (w *writer) value(column int, c cell) {
	w.open(column, c.style, types[c.kind])
	w.buf = appendText(w.buf, c.value)
	w.close()
}

// appendColumn appends the letters of a column.
func appendColumn(dst []byte, column int) []byte {
	if column >= 26 {
		dst = appendColumn(dst, column/26-1)
	}
	return append(dst, byte('A'+column%26))
}

// finish writes the strings, the number formats and what holds the sheets
// together.
func (w *writer) finish(b *book, names []string) error {
	if err := w.begin("xl/sharedStrings.xml", fmt.Sprintf(`<sst xmlns="%s" count="%d" uniqueCount="%d">`, mainSpace, w.texts.used, len(w.texts.ends))); err != nil {
		return err
	}
	for n := range w.texts.ends {
		w.buf = append(appendText(append(w.buf, `<si><t xml:space="preserve">`...), w.texts.at(n)), "</t></si>"...)
		if err := w.flush(32 << 10); err != nil {
			return err
		}
	}
	w.buf = append(w.buf, "</sst>"...)
	if err := w.flush(0); err != nil {
		return err
	}
	if err := w.styles(b); err != nil {
		return err
	}
	if err := w.frame(b, names); err != nil {
		return err
	}
	if err := w.zip.Close(); err != nil {
		return err
	}
	if w.dst.Len() > w.most {
		return &jsonmask.LimitError{What: "size of a rewritten workbook", Limit: w.most}
	}
	return nil
}

// styles writes the number formats that cells have, and the plainest of all else.
func (w *writer) styles(b *book) error {
	if err := w.begin("xl/styles.xml", `<styleSheet xmlns="`+mainSpace+`">`); err != nil {
		return err
	}
	if len(b.codes) > 0 {
		w.buf = fmt.Appendf(w.buf, `<numFmts count="%d">`, len(b.codes))
		for _, n := range slices.Sorted(maps.Keys(b.codes)) {
			w.buf = append(appendText(fmt.Appendf(w.buf, `<numFmt numFmtId="%d" formatCode="`, n), []byte(b.codes[n])), `"/>`...)
		}
		w.buf = append(w.buf, "</numFmts>"...)
	}
	formats := b.formats
	if len(formats) == 0 {
		formats = []int{0}
	}
	w.buf = append(w.buf, `<fonts count="1"><font/></fonts><fills count="2"><fill><patternFill patternType="none"/></fill>`+
		`<fill><patternFill patternType="gray125"/></fill></fills><borders count="1"><border/></borders>`+
		`<cellStyleXfs count="1"><xf/></cellStyleXfs>`...)
	w.buf = fmt.Appendf(w.buf, `<cellXfs count="%d">`, len(formats))
	for _, n := range formats {
		w.buf = fmt.Appendf(w.buf, `<xf numFmtId="%d" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/>`, n)
	}
	w.buf = append(w.buf, `</cellXfs><cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles></styleSheet>`...)
	return w.flush(0)
}

// frame writes the parts that hold the others together.
func (w *writer) frame(b *book, names []string) error {
	var contents, sheets, rels []byte
	for i, name := range names {
		contents = fmt.Appendf(contents, `<Override PartName="/xl/worksheets/sheet%d.xml" ContentType="%sworksheet+xml"/>`, i+1, contentPrefix)
		sheets = append(appendText(append(sheets, `<sheet name="`...), []byte(name)), fmt.Appendf(nil, `" sheetId="%d" r:id="rId%d"/>`, i+1, i+1)...)
		rels = fmt.Appendf(rels, `<Relationship Id="rId%d" Type="%s/worksheet" Target="worksheets/sheet%d.xml"/>`, i+1, relSpace, i+1)
	}
	n := len(names)
	rels = fmt.Appendf(rels, `<Relationship Id="rId%d" Type="%s/styles" Target="styles.xml"/><Relationship Id="rId%d" Type="%s/sharedStrings" Target="sharedStrings.xml"/>`,
		n+1, relSpace, n+2, relSpace)
	since := ""
	if b.since04 {
		since = `<workbookPr date1904="1"/>`
	}
	for _, p := range []struct{ name, text string }{
		{"xl/workbook.xml", `<workbook xmlns="` + mainSpace + `" xmlns:r="` + relSpace + `">` + since + "<sheets>" + string(sheets) + "</sheets></workbook>"},
		{"xl/_rels/workbook.xml.rels", `<Relationships xmlns="` + packageSpace + `">` + string(rels) + "</Relationships>"},
		{"_rels/.rels", `<Relationships xmlns="` + packageSpace + `"><Relationship Id="rId1" Type="` + relSpace + `/officeDocument" Target="xl/workbook.xml"/></Relationships>`},
		{"[Content_Types].xml", `<Types xmlns="` + contentSpace + `"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>` +
			`<Default Extension="xml" ContentType="application/xml"/><Override PartName="/xl/workbook.xml" ContentType="` + contentPrefix + `sheet.main+xml"/>` + string(contents) +
			`<Override PartName="/xl/styles.xml" ContentType="` + contentPrefix + `styles+xml"/><Override PartName="/xl/sharedStrings.xml" ContentType="` + contentPrefix + `sharedStrings+xml"/></Types>`},
	} {
		if err := w.begin(p.name, p.text); err != nil {
			return err
		}
	}
	return nil
}
