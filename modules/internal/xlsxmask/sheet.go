// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package xlsxmask

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/crmgate/crmgate/modules/internal/textmask"
	"github.com/crmgate/crmgate/policy/plan"
	"github.com/crmgate/crmgate/policy/resource"
)

// column is what becomes of the cells in one column.
type column struct {
	treat *plan.Treatment // nil for a column without a name, which holds nothing
	owner bool
	need  int  // what the rows' condition looks at, counted from 1
	drop  bool // hidden, and not merely emptied
}

// sheet rewrites the n-th sheet. One without a value stays empty.
func (m *Masker) sheet(n int, part string) error {
	if err := m.out.sheet(n); err != nil {
		return err
	}
	var columns []column
	for _, name := range m.table.Columns {
		columns = append(columns, m.column(name))
	}
	err := m.rows(part, func(row int, cells []cell) error {
		names := columns == nil
		if names {
			var err error
			if columns, err = m.header(cells); err != nil {
				return fmt.Errorf("row %d: %w", row, err)
			}
		}
		for _, c := range cells {
			if c.column >= len(columns) || columns[c.column].treat == nil {
				return fmt.Errorf("row %d: %w", row, bad("a value in a column without a name"))
			}
		}
		if !names && !m.visible(columns, cells) {
			return nil
		}
		if !names && m.echoes {
			m.remember(columns, cells)
		}
		return m.write(columns, cells, names)
	})
	if err != nil {
		return err
	}
	return m.out.endSheet()
}

// header learns the columns from the row of names.
func (m *Masker) header(cells []cell) ([]column, error) {
	known := m.ent.Unknown == nil || m.ent.Unknown.Effect >= plan.Mask // no wrong name can show anything
	columns := make([]column, cells[len(cells)-1].column+1)
	for _, c := range cells {
		name := string(m.judge.Heading(m.ent, m.rec, c.value))
		known = known || m.ent.Fields[resource.Fold(name)] != nil
		columns[c.column] = m.column(name)
	}
	if !known {
		return nil, bad("the first row names no field that the map declares")
	}
	return columns, nil
}

// column says what becomes of a column by its name. A column of records within
// the record holds text that nobody can read as one.
func (m *Masker) column(name string) column {
	c := column{treat: m.judge.Field(m.ent, []byte(name))}
	if m.rec != nil {
		if m.rec.Nested[resource.Fold(name)] != nil && c.treat.Effect < plan.Mask {
			c.treat = textmask.Full
		}
		c.owner, c.need = m.judge.Owns(m.rec.Rows, []byte(name)), m.judge.Needs(m.rec.Rows, []byte(name))
	}
	c.drop = c.treat.Effect == plan.Hide && !m.table.Empty
	return c
}

// write writes a row. Names stay, apart from those of hidden columns; where these
// are only emptied, a name stays that the map declares. A cell that changes is a
// text without a format.
func (m *Masker) write(columns []column, cells []cell, names bool) error {
	m.out.row()
	at := 0 // in the new sheet
	for i, col := range columns {
		if col.drop {
			if len(cells) > 0 && cells[0].column == i {
				if !names {
					m.judge.Hide(col.treat)
				}
				cells = cells[1:]
			}
			continue
		}
		if len(cells) > 0 && cells[0].column == i {
			c := cells[0]
			cells = cells[1:]
			if names {
				if col.treat.Effect != plan.Hide || col.treat.Field != "" {
					m.out.text(at, 0, c.value)
				}
			} else {
				m.cell(at, c, col.treat)
			}
		}
		at++
	}
	return m.out.endRow()
}

// cell writes a value.
func (m *Masker) cell(at int, c cell, t *plan.Treatment) {
	if t.Effect == plan.Detect && c.computed {
		// Nobody knows from which cells it was made: a part of a number is none to
		// whoever looks for numbers.
		t = &plan.Treatment{Field: t.Field, Effect: plan.Mask, Mask: textmask.Full.Mask}
	}
	if t.Effect == plan.Detect && t.Text == nil && m.moment(c) && len(m.judge.Known().Finds(c.value)) == 0 {
		m.out.value(at, c)
		return
	}
	value, v := m.judge.Text(m.changed[:0], c.value, t, m.ent)
	if v == textmask.Changed {
		m.changed = value
	}
	switch {
	case v == textmask.Changed && len(value) > 0:
		m.out.text(at, 0, value)
	case v != textmask.Same:
	case c.kind == text:
		m.out.same(at, c)
	default:
		m.out.value(at, c)
	}
}

// lastDay is 31 December 9999, behind which no day has a number.
const lastDay = "2958465"

// moment says whether a number is a day and a time, whose fraction is no
// telephone number though it has as many digits.
func (m *Masker) moment(c cell) bool {
	if c.kind != digits || c.style >= len(m.book.formats) || !m.book.dates[m.book.formats[c.style]] {
		return false
	}
	day, fraction, _ := bytes.Cut(c.value, []byte("."))
	return len(day) > 0 && day[0] != '-' && len(fraction) > 0 && (len(day) < len(lastDay) || len(day) == len(lastDay) && string(day) <= lastDay)
}

// sheetNames returns the names the sheets keep. One that may tell of a record
// none may see, or of a value that is masked or hidden in one, or that no program would take, is replaced, and with it all of
// them.
func (m *Masker) sheetNames() []string {
	keep := m.ent.Unknown != nil && m.ent.Unknown.Effect <= plan.Detect && (m.rec == nil || !textmask.Filtered(m.rec.Rows))
	var names, plain []string
	seen := map[string]bool{}
	for i, s := range m.book.sheets {
		plain = append(plain, fmt.Sprintf("Sheet%d", i+1))
		names = append(names, s.name)
		_, found := m.judge.Known().Search(nil, []byte(s.name))
		folded := strings.ToLower(s.name)
		keep = keep && found == 0 && s.name != "" && utf8.RuneCountInString(s.name) <= 31 && !strings.ContainsAny(s.name, `\/?*[]:`) && !seen[folded]
		seen[folded] = true
	}
	if keep {
		return names
	}
	return plain
}
