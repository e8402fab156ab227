// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package csvmask

import (
	"bytes"
	"fmt"
	"unicode/utf8"

	"github.com/crmgate/crmgate/modules/internal/textmask"
	"github.com/crmgate/crmgate/policy/plan"
	"github.com/crmgate/crmgate/policy/resource"
)

func bad(what string) error { return fmt.Errorf("%w: %s", ErrTable, what) }

// rewrite appends a row to the output, unless the viewer may not see it.
func (m *Masker) rewrite(row []byte) error {
	line, end := cutEnd(row)
	if len(line) == 0 {
		m.out = append(m.out, row...)
		return nil
	}
	if !utf8.Valid(line) || bytes.IndexByte(line, 0) >= 0 {
		return bad("text that is not UTF-8")
	}
	if err := m.split(line); err != nil {
		return err
	}
	if m.columns == nil && len(m.table.Columns) == 0 {
		if err := m.header(line); err != nil {
			return err
		}
		m.write(line, end, true)
		return nil
	}
	if m.columns == nil {
		for _, name := range m.table.Columns {
			m.column([]byte(name))
		}
	}
	if len(m.cells) != len(m.columns) {
		return bad(fmt.Sprintf("%d cells in place of %d", len(m.cells), len(m.columns)))
	}
	if m.visible(line) {
		m.write(line, end, false)
	}
	return nil
}

// cutEnd returns the row without its line end, and the line end.
func cutEnd(row []byte) (line, end []byte) {
	line = bytes.TrimSuffix(row, []byte("\n"))
	if len(line) < len(row) {
		line = bytes.TrimSuffix(line, []byte("\r"))
	}
	return line, row[len(line):]
}

// split finds the cells of a line.
func (m *Masker) split(line []byte) error {
	m.cells = m.cells[:0]
	for i := 0; ; {
		c := cell{from: i}
		if i < len(line) && line[i] == '"' {
			end, err := m.closing(line, i, &c)
			if err != nil {
				return err
			}
			i = end
		} else {
			n := bytes.IndexByte(line[i:], m.table.Delimiter)
			if n < 0 {
				n = len(line) - i
			}
			if bytes.ContainsAny(line[i:i+n], "\"\r") {
				return bad("a quote or a carriage return in a cell without quotes")
			}
			i += n
		}
		c.to = i
		m.cells = append(m.cells, c)
		switch {
		case len(m.cells) > maxColumns:
			return bad("more columns than anybody has")
		case i == len(line):
			return nil
		case line[i] != m.table.Delimiter:
			return bad("bytes behind a closing quote")
		}
		i++
	}
}

// closing returns the place behind the closing quote of the cell at i.
func (m *Masker) closing(line []byte, i int, c *cell) (int, error) {
	c.quoted = true
	for i++; ; {
		n := bytes.IndexByte(line[i:], '"')
		if n < 0 {
			return i, bad("a quote is not closed")
		}
		i += n
		quotes := 1
		for i+quotes < len(line) && line[i+quotes] == '"' {
			quotes++
		}
		behind := i + quotes
		if n > 0 && line[i-1] == '\\' && (quotes == 1 || quotes == 2 && (behind == len(line) || line[behind] == m.table.Delimiter)) {
			return i, bad("a backslash in front of a quote, which some programs take for an escape")
		}
		c.escaped = c.escaped || quotes > 1
		if i = behind; quotes%2 == 1 {
			return i, nil
		}
	}
}

// decode returns the text of a cell.
func (m *Masker) decode(line []byte, c cell) []byte {
	switch {
	case !c.quoted:
		return line[c.from:c.to]
	case !c.escaped:
		return line[c.from+1 : c.to-1]
	}
	m.text = m.text[:0]
	for in := line[c.from+1 : c.to-1]; ; {
		n := bytes.IndexByte(in, '"')
		if n < 0 {
			m.text = append(m.text, in...)
			return m.text
		}
		m.text = append(m.text, in[:n+1]...)
		in = in[n+2:]
	}
}

// usual are the delimiters that tables have.
const usual = ",;|\t"

// header learns the columns from the row of names.
func (m *Masker) header(line []byte) error {
	known := m.ent.Unknown == nil || m.ent.Unknown.Effect >= plan.Mask // no wrong name can show anything
	for _, c := range m.cells {
		if !c.quoted && bytes.ContainsAny(line[c.from:c.to], usual) {
			return bad("a name with a delimiter in it, which is not the declared one")
		}
		name := m.judge.Heading(m.ent, m.rec, m.decode(line, c))
		var buf [64]byte
		known = known || m.ent.Fields[string(resource.AppendFold(buf[:0], name))] != nil
		m.column(name)
	}
	if !known {
		return bad("the first row names no field that the map declares")
	}
	return nil
}

// column adds the next column. A column of records within the record holds text
// that nobody can read as one.
func (m *Masker) column(name []byte) {
	c := column{treat: m.judge.Field(m.ent, name)}
	if m.rec != nil {
		var buf [64]byte
		if m.rec.Nested[string(resource.AppendFold(buf[:0], name))] != nil && c.treat.Effect < plan.Mask {
			c.treat = textmask.Full
		}
		c.owner, c.need = m.judge.Owns(m.rec.Rows, name), m.judge.Needs(m.rec.Rows, name)
	}
	c.drop = c.treat.Effect == plan.Hide && !m.table.Empty
	m.columns = append(m.columns, c)
}

// visible judges the row at hand. What a cell with a formula shows, the condition
// cannot know.
func (m *Masker) visible(line []byte) bool {
	var rows *plan.Rows
	if m.rec != nil {
		rows = m.rec.Rows
	}
	var o textmask.Owner
	for i, c := range m.columns {
		if c.owner {
			m.judge.Name(&o, rows, m.decode(line, m.cells[i]))
		}
		if c.need == 0 {
			continue
		}
		if text := bytes.TrimSpace(m.decode(line, m.cells[i])); len(text) > 0 && text[0] == '=' {
			o.Unread(c.need)
		} else {
			o.Keep(c.need, text)
		}
	}
	return m.judge.Visible(rows, o, false)
}

// write appends the row at hand. Names stay, apart from those of hidden columns;
// where these are only emptied, a name stays that the map declares.
func (m *Masker) write(line, end []byte, names bool) {
	if !names {
		m.remember(line)
	}
	kept, from := 0, len(m.out)
	for i, c := range m.cells {
		col := &m.columns[i]
		if col.drop {
			if !names {
				m.judge.Hide(col.treat)
			}
			continue
		}
		if kept > 0 {
			m.out = append(m.out, m.table.Delimiter)
		}
		kept++
		if names {
			if col.treat.Effect != plan.Hide || col.treat.Field != "" {
				m.out = append(m.out, line[c.from:c.to]...)
			}
			continue
		}
		var v textmask.Verdict
		m.value, v = m.judge.Text(m.value[:0], m.decode(line, c), col.treat, m.ent)
		switch v {
		case textmask.Same:
			m.out = append(m.out, line[c.from:c.to]...)
		case textmask.Changed:
			m.out = m.quote(m.out, m.value, c.quoted)
		}
	}
	if kept == 1 && len(m.out) == from { // as an empty line the row would be none
		m.out = append(m.out, `""`...)
	}
	m.out = append(m.out, end...)
}

// remember notes what of the row at hand is masked or hidden, before any of its texts is
// searched.
func (m *Masker) remember(line []byte) {
	m.judge.Next()
	for i, c := range m.cells {
		if t := m.columns[i].treat; t.Effect >= plan.Mask {
			m.judge.Remember(m.decode(line, c), t)
		}
	}
}

// quote appends text as a cell.
func (m *Masker) quote(dst, text []byte, quoted bool) []byte {
	if !quoted && !bytes.ContainsAny(text, "\"\r\n") && bytes.IndexByte(text, m.table.Delimiter) < 0 {
		return append(dst, text...)
	}
	dst = append(dst, '"')
	for {
		n := bytes.IndexByte(text, '"')
		if n < 0 {
			return append(append(dst, text...), '"')
		}
		dst = append(append(dst, text[:n+1]...), '"')
		text = text[n+1:]
	}
}
