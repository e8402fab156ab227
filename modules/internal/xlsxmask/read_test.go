// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package xlsxmask

import (
	"archive/zip"
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
)

// strict reads a workbook that came out and joins its rows: cells by |, with a
// style by @. All is every part's text.
func strict(t testing.TB, body []byte) (sheets map[string][]string, all string) {
	t.Helper()
	sheets = map[string][]string{}
	for name, rows := range read(t, body) {
		sheets[name] = nil
		for _, r := range rows {
			sheets[name] = append(sheets[name], strings.Join(r, "|"))
		}
	}
	for name, text := range unpack(t, body) {
		all += name + "\n" + text + "\n"
	}
	return sheets, all
}

// unpack returns the parts of a zip.
func unpack(t testing.TB, body []byte) map[string]string {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(body), int64(len(body)))
	if err != nil {
		t.Fatalf("what comes out is no zip: %v", err)
	}
	parts := map[string]string{}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		parts[f.Name] = string(text)
	}
	if len(parts) != len(z.File) {
		t.Fatal("two parts of one name come out")
	}
	return parts
}

// The parts of a rewritten workbook, as an XML package reads them.
type (
	bookXML struct {
		Sheets []struct {
			Name string `xml:"name,attr"`
		} `xml:"sheets>sheet"`
	}
	textsXML struct {
		Unique int      `xml:"uniqueCount,attr"`
		Texts  []string `xml:"si>t"`
	}
	stylesXML struct {
		Formats []struct{} `xml:"cellXfs>xf"`
	}
	sheetXML struct {
		Rows []struct {
			R     int       `xml:"r,attr"`
			Cells []cellXML `xml:"c"`
		} `xml:"sheetData>row"`
	}
	cellXML struct {
		R string  `xml:"r,attr"`
		T string  `xml:"t,attr"`
		S int     `xml:"s,attr"`
		V string  `xml:"v"`
		F *string `xml:"f"`
	}
)

// read reads a workbook that came out, with nothing of the masker's own, and
// fails for what no rewritten workbook has.
func read(t testing.TB, body []byte) map[string][][]string {
	t.Helper()
	parts := unpack(t, body)
	var wb bookXML
	var sst textsXML
	var styles stylesXML
	for name, to := range map[string]any{bookPart: &wb, textsPart: &sst, stylePart: &styles, typesPart: new(struct{}), rootRels: new(struct{}), bookRels: new(struct{})} {
		if err := xml.Unmarshal([]byte(parts[name]), to); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	if len(parts) != 6+len(wb.Sheets) {
		t.Fatalf("there are more parts than a workbook of %d sheets needs", len(wb.Sheets))
	}
	used := make([]bool, len(sst.Texts))
	sheets := map[string][][]string{}
	for i, s := range wb.Sheets {
		var ws sheetXML
		part := fmt.Sprintf("xl/worksheets/sheet%d.xml", i+1)
		if err := xml.Unmarshal([]byte(parts[part]), &ws); err != nil {
			t.Fatalf("%s: %v", part, err)
		}
		sheets[s.Name] = nil
		for n, r := range ws.Rows {
			if r.R != n+1 {
				t.Errorf("row %d is the %d. of those that are left: the gap tells how many are not seen", r.R, n+1)
			}
			var line []string
			for _, c := range r.Cells {
				for at := columnOf(t, c.R, r.R); len(line) < at; {
					line = append(line, "")
				}
				if c.F != nil || c.S >= len(styles.Formats) {
					t.Fatalf("a cell nobody can read: %+v", c)
				}
				line = append(line, textOf(t, c, sst.Texts, used))
			}
			sheets[s.Name] = append(sheets[s.Name], line)
		}
	}
	if slices.Contains(used, false) || sst.Unique != len(sst.Texts) {
		t.Errorf("strings that no cell needs: %q", sst.Texts)
	}
	return sheets
}

func columnOf(t testing.TB, ref string, row int) int {
	t.Helper()
	letters, n := strings.TrimRight(ref, "0123456789"), 0
	for _, r := range letters {
		n = n*26 + int(r-'A') + 1
	}
	if n == 0 || ref != fmt.Sprint(letters, row) {
		t.Fatalf("the cell %q is nowhere in row %d", ref, row)
	}
	return n - 1
}

func textOf(t testing.TB, c cellXML, texts []string, used []bool) string {
	t.Helper()
	if c.T == "s" {
		k := 0
		if _, err := fmt.Sscan(c.V, &k); err != nil || k >= len(texts) {
			t.Fatalf("the string %s is not there", c.V)
		}
		used[k] = true
		c.V = texts[k]
	} else if c.T != "" {
		c.V = c.T + ":" + c.V
	}
	if c.S > 0 {
		c.V += fmt.Sprint("@", c.S)
	}
	return c.V
}
