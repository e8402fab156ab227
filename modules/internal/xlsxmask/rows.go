// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package xlsxmask

import (
	"bytes"
	"strconv"

	"github.com/crmgate/crmgate/modules/internal/textmask"
	"github.com/crmgate/crmgate/policy/plan"
)

// visible judges a row.
func (m *Masker) visible(columns []column, cells []cell) bool {
	var rows *plan.Rows
	if m.rec != nil {
		rows = m.rec.Rows
	}
	var o textmask.Owner
	for i := range cells {
		c := &columns[cells[i].column]
		if c.owner {
			m.judge.Name(&o, rows, cells[i].value)
		}
		if c.need > 0 {
			m.keep(&o, c.need, &cells[i])
		}
	}
	return m.judge.Visible(rows, o, false)
}

// keep notes what the rows' condition looks at, as text: numbers in the shortest way
// to write them, and true and false. Of days, which are numbers by another name, and
// of faults nobody can tell what they say.
func (m *Masker) keep(o *textmask.Owner, need int, c *cell) {
	value := bytes.TrimSpace(c.value)
	switch {
	case c.kind == text || c.kind == moment:
		o.Keep(need, value)
	case c.kind == truth && string(value) == "1":
		o.Keep(need, []byte("true"))
	case c.kind == truth && string(value) == "0":
		o.Keep(need, []byte("false"))
	case c.kind == digits && (c.style >= len(m.book.formats) || !m.book.dates[m.book.formats[c.style]]):
		if isWhole(value) {
			o.Keep(need, value)
		} else if f, err := strconv.ParseFloat(string(value), 64); err == nil {
			o.Keep(need, strconv.AppendFloat(nil, f, 'f', -1, 64))
		} else {
			o.Unread(need)
		}
	default:
		o.Unread(need)
	}
}

// isWhole reports whether a number is written in the one way that whole numbers are
// mostly written in.
func isWhole(v []byte) bool {
	v = bytes.TrimPrefix(v, []byte("-"))
	for _, c := range v {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(v) == 1 || len(v) > 1 && v[0] != '0'
}
