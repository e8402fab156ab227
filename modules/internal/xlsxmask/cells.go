// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package xlsxmask

import (
	"encoding/xml"
	"slices"
	"strconv"
	"strings"

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
	value    string // as text
	style    int
	computed bool // by a formula
}

// rows reads the rows of a sheet that have values, in their order. A row holds
// until the next one is read.
func (m *Masker) rows(part string, each func(row int, cells []cell) error) error {
	last := 0
	var cells []cell
	sheets := 0
	return m.book.pack.part(part, "worksheet", m.most, func(t *tokens, e xml.StartElement) error {
		if !is(e, "sheetData") {
			return nil
		}
		if sheets++; sheets > 1 {
			return bad("a sheet with two tables")
		}
		return t.children(func(e xml.StartElement) error {
			if !is(e, "row") {
				return bad("something else than a row")
			}
			n, err := place(attr(e, "r"), last+1, maxRows)
			if err != nil || n <= last {
				return bad("rows out of order")
			}
			last = n
			if cells, err = m.row(t, n, cells[:0]); err != nil || len(cells) == 0 {
				return err
			}
			return each(n, cells)
		})
	})
}

// place reads a number of a row, which may be left out.
func place(s string, usual, most int) (int, error) {
	if s == "" {
		return usual, nil
	}
	n, err := strconv.ParseUint(s, 10, 31)
	if err != nil || n == 0 || int(n) > most || s[0] == '0' || s[0] == '+' {
		return 0, bad("a row without a number")
	}
	return int(n), nil
}

// row reads the cells of a row that have values.
func (m *Masker) row(t *tokens, row int, cells []cell) ([]cell, error) {
	next, size := 0, 0
	err := t.children(func(e xml.StartElement) error {
		if is(e, "extLst") {
			return nil
		}
		if !is(e, "c") {
			return bad("something else than a cell")
		}
		c := cell{column: next}
		if at := attr(e, "r"); at != "" {
			column, n, ok := reference(at)
			if !ok || n != row || column < next {
				return bad("cells out of order")
			}
			c.column = column
		}
		if next = c.column + 1; next > maxColumns {
			return bad("more columns than anybody has")
		}
		if s := attr(e, "s"); s != "" {
			n, err := strconv.ParseUint(s, 10, 31)
			if err != nil || int(n) >= max(len(m.book.formats), 1) {
				return bad("a style that is not there")
			}
			c.style = int(n)
		}
		there, err := m.value(t, e, &c)
		if err != nil || !there || c.value == "" {
			return err
		}
		if size += len(c.value); size > m.most {
			return &jsonmask.LimitError{What: "size of a row", Limit: m.most}
		}
		if m.book.read += int64(len(c.value)); m.book.read > m.bounds.unpacked {
			return &jsonmask.LimitError{What: "size of the texts of a workbook", Limit: int(m.bounds.unpacked)}
		}
		cells = append(cells, c)
		return nil
	})
	return cells, err
}

// reference reads the place of a cell: B7 is 1, 7.
func reference(s string) (column, row int, ok bool) {
	n := 0
	for n < len(s) && n < 3 && s[n] >= 'A' && s[n] <= 'Z' {
		column = column*26 + int(s[n]-'A') + 1
		n++
	}
	if n == 0 || n == len(s) || column > maxColumns {
		return 0, 0, false
	}
	row, err := place(s[n:], 0, maxRows)
	return column - 1, row, err == nil
}

// value reads what a cell holds.
func (m *Masker) value(t *tokens, e xml.StartElement, c *cell) (there bool, err error) {
	plain, inline := "", ""
	values, strs := 0, 0
	err = t.children(func(e xml.StartElement) (err error) {
		switch {
		case is(e, "f"):
			c.computed = true
		case is(e, "v"):
			values++
			plain, err = t.text()
		case is(e, "is"):
			strs++
			inline, err = t.rich()
		case !is(e, "extLst"):
			return bad("a cell nobody understands")
		}
		return err
	})
	if err != nil || values+strs == 0 {
		return false, err
	}
	kind := attr(e, "t")
	if values+strs > 1 || (strs == 1) != (kind == "inlineStr") {
		return false, bad("a cell with several values")
	}
	if kind == "inlineStr" {
		c.value = inline
		return true, nil
	}
	if kind == "str" {
		c.value = unescape(plain)
		return true, nil
	}
	plain = strings.TrimSpace(plain)
	if plain == "" && kind != "s" {
		return false, nil
	}
	return true, m.simple(kind, plain, c)
}

// simple reads a value that is written in one word.
func (m *Masker) simple(kind, word string, c *cell) error {
	c.value = word
	switch kind {
	case "s":
		n, err := strconv.ParseUint(word, 10, 31)
		if err != nil || int(n) >= len(m.book.strings) {
			return bad("a string that is not there")
		}
		c.value = m.book.strings[n]
	case "", "n":
		s, ok := number(word)
		if !ok {
			return bad("a number that is none")
		}
		c.kind, c.value = digits, s
	case "b":
		switch word {
		case "1", "true":
			c.value = "1"
		case "0", "false":
			c.value = "0"
		default:
			return bad("neither true nor false")
		}
		c.kind = truth
	case "e":
		if slices.Contains(faults, word) {
			c.kind = fault
		}
	case "d":
		if strings.Trim(word, "0123456789-:.TZ+") == "" {
			c.kind = moment
		}
	default:
		return bad("a value of a kind nobody knows")
	}
	return nil
}
