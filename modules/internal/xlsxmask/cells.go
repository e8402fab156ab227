// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package xlsxmask

import (
	"bytes"
	"slices"

	"github.com/crmgate/crmgate/modules/internal/jsonmask"
)

// The size of a sheet.
const (
	maxColumns = 16_384
	maxRows    = 1_048_576
)

// kind is what a cell holds.
type kind uint8

const (
	text   kind = iota
	digits      // a number, or a date as one
	truth       // 1 or 0
	fault       // one of faults
	moment      // a date as ISO 8601 has it
)

// faults are what a formula comes to that comes to nothing.
var faults = []string{"#NULL!", "#DIV/0!", "#VALUE!", "#REF!", "#NAME?", "#NUM!", "#N/A", "#GETTING_DATA", "#SPILL!", "#CALC!", "#FIELD!", "#BLOCKED!", "#CONNECT!", "#UNKNOWN!", "#BUSY!"}

// cell is a cell with a value.
type cell struct {
	column   int // from 0
	kind     kind
	value    []byte // as text
	shared   int    // one more than the place among the strings that cells share
	style    int
	computed bool // by a formula
}

// table reads the rows of a sheet.
type table struct {
	*scanner
	m     *Masker
	row   int // the last one
	cells []cell
	text  []byte // of the cells
}

// rows reads the rows of a sheet that have values, in their order. A row holds
// until the next one is read.
func (m *Masker) rows(part string, each func(row int, cells []cell) error) error {
	sheets := 0
	return m.book.pack.part(part, "worksheet", m.most, func(s *scanner) error {
		if !s.is("sheetData") {
			return nil
		}
		if sheets++; sheets > 1 {
			return bad("a sheet with two tables")
		}
		t := table{scanner: s, m: m}
		return s.children(func() error {
			if err := t.read(); err != nil || len(t.cells) == 0 {
				return err
			}
			return each(t.row, t.cells)
		})
	})
}

// read reads the cells of a row that have values.
func (t *table) read() error {
	if !t.is("row") {
		return bad("something else than a row")
	}
	n, ok := place(t.attr("r"), t.row+1, maxRows)
	if !ok || n <= t.row {
		return bad("rows out of order")
	}
	t.row = n
	t.cells, t.text = t.cells[:0], t.text[:0]
	next, size := 0, 0
	for in := t.depth(); ; {
		more, err := t.child(in)
		if err != nil || !more {
			return err
		}
		if t.is("extLst") {
			continue
		}
		c := cell{column: next}
		there, err := t.cell(&c, next)
		if err != nil {
			return err
		}
		if next = c.column + 1; !there || len(c.value) == 0 {
			continue
		}
		if size += len(c.value); size > t.m.most {
			return &jsonmask.LimitError{What: "size of a row", Limit: t.m.most}
		}
		if t.m.book.read += int64(len(c.value)); t.m.book.read > t.m.bounds.unpacked {
			return &jsonmask.LimitError{What: "size of the texts of a workbook", Limit: int(t.m.bounds.unpacked)}
		}
		t.cells = append(t.cells, c)
	}
}

// cell reads a cell, which stands in the column first or behind it.
func (t *table) cell(c *cell, first int) (there bool, err error) {
	if !t.is("c") {
		return false, bad("something else than a cell")
	}
	if at := t.attr("r"); len(at) > 0 {
		column, n, ok := reference(at)
		if !ok || n != t.row || column < first {
			return false, bad("cells out of order")
		}
		c.column = column
	}
	if c.column >= maxColumns {
		return false, bad("more columns than anybody has")
	}
	if s := t.attr("s"); len(s) > 0 {
		n, ok := decimal(s)
		if !ok || n >= max(len(t.m.book.formats), 1) {
			return false, bad("a style that is not there")
		}
		c.style = n
	}
	return t.content(c, form(t.attr("t")))
}

// form returns how the value of a cell is written, "" for a way nobody knows,
// which is none of a cell's that has no value.
func form(s []byte) string {
	switch string(s) {
	case "s":
		return "s"
	case "inlineStr":
		return "inlineStr"
	case "str":
		return "str"
	case "", "n":
		return "n"
	case "b":
		return "b"
	case "e":
		return "e"
	case "d":
		return "d"
	}
	return ""
}

// decimal reads a number of digits.
func decimal(s []byte) (int, bool) {
	if len(s) == 0 || len(s) > 9 {
		return 0, false
	}
	n := 0
	for _, c := range s {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, true
}

// place reads a number of a row, which may be left out.
func place(s []byte, usual, most int) (int, bool) {
	if len(s) == 0 {
		return usual, true
	}
	n, ok := decimal(s)
	return n, ok && n <= most && s[0] != '0'
}

// reference reads the place of a cell: B7 is 1, 7.
func reference(s []byte) (column, row int, ok bool) {
	n := 0
	for n < len(s) && n < 3 && s[n] >= 'A' && s[n] <= 'Z' {
		column = column*26 + int(s[n]-'A') + 1
		n++
	}
	if n == 0 || n == len(s) || column > maxColumns {
		return 0, 0, false
	}
	row, ok = place(s[n:], 0, maxRows)
	return column - 1, row, ok
}

// content reads what a cell holds.
func (t *table) content(c *cell, form string) (there bool, err error) {
	from := len(t.text)
	values, strs := 0, 0
	for in := t.depth(); ; {
		more, err := t.child(in)
		if err != nil {
			return false, err
		}
		if !more {
			break
		}
		switch {
		case t.is("v"):
			values++
			t.text, err = t.value(t.text)
		case t.is("f"):
			c.computed, err = t.formula()
		case t.is("is"):
			strs++
			t.text, err = t.rich(t.text)
		case !t.is("extLst"):
			err = bad("a cell nobody understands")
		}
		if err != nil {
			return false, err
		}
	}
	if values+strs == 0 {
		return false, nil
	}
	if values+strs > 1 || (strs == 1) != (form == "inlineStr") {
		return false, bad("a cell with several values")
	}
	c.value = t.text[from:len(t.text):len(t.text)]
	if form == "inlineStr" || form == "str" {
		c.value = unescape(c.value)
		return true, nil
	}
	c.value = bytes.TrimSpace(c.value)
	if len(c.value) == 0 && form != "s" {
		return false, nil
	}
	return true, t.m.simple(form, c)
}

// formula says whether what a formula comes to is made of other cells: some
// programs write what is true or false as a formula too.
func (t *table) formula() (bool, error) {
	from := len(t.text)
	text, err := t.value(t.text)
	t.text = text[:from]
	f := string(text[from:])
	return f != "TRUE()" && f != "FALSE()", err
}

// simple reads a value that is written in one word.
func (m *Masker) simple(form string, c *cell) error {
	switch form {
	case "s":
		n, ok := decimal(c.value)
		if !ok || n >= len(m.book.strings) {
			return bad("a string that is not there")
		}
		c.value, c.shared = m.book.strings[n], n+1
	case "n":
		var ok bool
		if c.value, ok = number(c.value); !ok {
			return bad("a number that is none")
		}
		c.kind = digits
	case "b":
		switch string(c.value) {
		case "1", "true":
			c.value = append(c.value[:0], '1')
		case "0", "false":
			c.value = append(c.value[:0], '0')
		default:
			return bad("neither true nor false")
		}
		c.kind = truth
	case "e":
		if slices.Contains(faults, string(c.value)) {
			c.kind = fault
		}
	case "d":
		if len(bytes.Trim(c.value, "0123456789-:.TZ+")) == 0 {
			c.kind = moment
		}
	default:
		return bad("a value of a kind nobody knows")
	}
	return nil
}
