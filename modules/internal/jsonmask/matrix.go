// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package jsonmask

import (
	"github.com/crmgate/crmgate/policy/plan"
	"github.com/crmgate/crmgate/policy/resource"
)

// matrixStart is the byte a matrix starts with.
func matrixStart(m *plan.Matrix) byte {
	if m.Rows == "" {
		return '['
	}
	return '{'
}

// columns are the treatments of a matrix by position, as a stretch of w.cols.
// Where the request named the columns, a hidden one becomes null in every row,
// so that positions stay what the client thinks they are; where the answer names
// them, it goes from the list of names and from every row.
type columns struct {
	from, to int
	fixed    bool
	known    bool
	set      int // that rows count towards
}

// matrix walks rows by position. Columns and rows may come in either order; the
// names that the answer gives go before those of the request.
func (w *walker) matrix(v int, m *plan.Matrix, e env) (int, error) {
	if m.Entity != nil {
		e.ent = m.Entity
	}
	mark := len(w.cols)
	cols := w.requested(m, e)
	var end int
	var err error
	if m.Rows == "" {
		end, err = w.rows(v, cols, e)
	} else {
		if cols, err = w.findColumns(v, m, cols, e); err != nil {
			return v, err
		}
		end, err = w.matrixObject(v, m, cols, e)
	}
	w.cols = w.cols[:mark]
	return end, err
}

// requested are the columns that the request named.
func (w *walker) requested(m *plan.Matrix, e env) columns {
	c := columns{from: len(w.cols), fixed: true, known: len(m.Columns) > 0, set: w.sets[m.Set]}
	for _, name := range m.Columns {
		w.column([]byte(name), e)
	}
	c.to = len(w.cols)
	return c
}

// column adds the treatment of one column.
func (w *walker) column(name []byte, e env) {
	w.fold = resource.AppendFold(w.fold[:0], name)
	w.cols = append(w.cols, w.field(e.ent, name, w.fold).treat)
}

// findColumns reads the matrix at v ahead for its list of columns.
func (w *walker) findColumns(v int, m *plan.Matrix, cols columns, e env) (columns, error) {
	if m.At == "" {
		return cols, nil
	}
	s := w.shapeFor(table{kind: matrixTable, ent: e.ent, matrix: m})
	if err := w.open(v); err != nil {
		return cols, err
	}
	defer func() { w.depth-- }()
	p, err := w.ws(v + 1)
	if err != nil || w.in[p] == '}' {
		return cols, err
	}
	for n := 1; ; n++ {
		if n > w.lim.Members {
			return cols, w.limit(p, "number of members", w.lim.Members)
		}
		sl, after, err := s.name(w, p)
		if err != nil {
			return cols, err
		}
		if p, err = w.ws(after); err != nil {
			return cols, err
		}
		if sl.role == columnsRole && w.in[p] != 'n' {
			return w.readColumns(p, cols.set, e)
		}
		if p, err = w.skip(p); err != nil {
			return cols, err
		}
		if p, err = w.ws(p); err != nil {
			return cols, err
		}
		if w.in[p] == '}' {
			return cols, nil
		}
		if w.in[p] != ',' {
			return cols, w.syntax(p, "comma or closing brace expected")
		}
		if p, err = w.ws(p + 1); err != nil {
			return cols, err
		}
	}
}

// readColumns reads the list of column names at v, of rows that count towards a set.
func (w *walker) readColumns(v, set int, e env) (columns, error) {
	c := columns{from: len(w.cols), known: true, set: set}
	if w.in[v] != '[' {
		return c, w.unlike(v, "a list of columns was declared")
	}
	depth := w.depth
	_, err := w.array(v, e, func(w *walker, v int, e env) (int, bool, error) {
		if w.in[v] != '"' {
			return v, false, w.unlike(v, "the name of a column was declared")
		}
		end, _, err := w.str(v)
		if err == nil {
			w.name = appendDecoded(w.name[:0], w.in[v:end])
			w.column(w.name, e)
		}
		return end, true, err
	})
	w.depth = depth
	c.to = len(w.cols)
	return c, err
}

// matrixObject walks the object that holds columns and rows.
func (w *walker) matrixObject(v int, m *plan.Matrix, cols columns, e env) (int, error) {
	return w.objectBy(v, table{kind: matrixTable, ent: e.ent, matrix: m}, e,
		func(w *walker, v int, s slot, e env) (int, bool, error) {
			switch {
			case s.role == columnsRole && w.in[v] == '[':
				end, err := w.columnNames(v, cols, e)
				return end, true, err
			case s.role == rowsRole:
				end, err := w.rows(v, cols, e)
				return end, true, err
			}
			return w.member(v, s, e)
		})
}

// columnNames walks the list of names and leaves the hidden ones out.
func (w *walker) columnNames(v int, cols columns, e env) (int, error) {
	k := cols.from
	return w.array(v, e, func(w *walker, v int, e env) (int, bool, error) {
		end, err := w.scalar(v)
		t := w.cols[k]
		k++
		return end, t.Effect != plan.Hide, err
	})
}

// rows walks the list of rows.
func (w *walker) rows(v int, cols columns, e env) (int, error) {
	switch {
	case w.in[v] == 'n':
		return w.literal(v)
	case w.in[v] != '[':
		return v, w.unlike(v, "a list of rows was declared")
	case !cols.known:
		return v, w.shape(v, "rows without names of columns")
	}
	return w.array(v, e, func(w *walker, v int, e env) (int, bool, error) {
		return w.rowWithin(v, cols, e)
	})
}

// rowWithin walks one row, or leaves it out where the plan lets no further one through.
func (w *walker) rowWithin(v int, cols columns, e env) (end int, keep bool, err error) {
	if w.plan.MaxRows <= 0 {
		end, err = w.row(v, cols, e)
		return end, true, err
	}
	if w.capped(cols.set) {
		if end, err = w.skip(v); err == nil {
			w.drops++
		}
		return end, false, err
	}
	if end, err = w.row(v, cols, e); err == nil {
		w.count(cols.set)
	}
	return end, true, err
}

// row walks one row. More values than columns are refused: nobody knows what
// they are.
func (w *walker) row(v int, cols columns, e env) (int, error) {
	switch w.in[v] {
	case 'n':
		return w.literal(v)
	case '[':
	default:
		return v, w.unlike(v, "a row of values was declared")
	}
	k := cols.from
	return w.array(v, e, func(w *walker, v int, e env) (int, bool, error) {
		if k >= cols.to {
			return v, false, w.shape(v, "a row longer than its columns")
		}
		t := w.cols[k]
		k++
		from, out := w.from, len(w.out)
		end, keep, err := w.treated(v, t, e)
		if err == nil && !keep && cols.fixed {
			w.from, w.out = from, w.out[:out]
			w.replace(v, end, nullJSON)
			keep = true
		}
		return end, keep, err
	})
}
