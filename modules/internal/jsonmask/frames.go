// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package jsonmask

import (
	"bytes"
	"errors"

	"github.com/crmgate/crmgate/policy/plan"
)

// frame is an array or object that is read member by member, because it may be
// of any size. Everything else is a unit: walked as a whole, in the window.
type frame struct {
	close byte       // ']' or '}'
	elem  *plan.Node // of an array; nil where its elements are undeclared
	names *shape     // of an object
	env   env
	scope bool // a scope for totals ends with it
	n     int  // members read
	kept  int

	matrix *plan.Matrix // an object that holds columns and rows
	cols   columns      // of the matrix
	row    bool         // an array whose elements are rows of it

	list *list // an array whose elements are records; nil until that is known
}

// step reads one member of the innermost frame, or what is before or behind the
// body's value. Short of input it leaves everything as it was.
func (m *Masker) step() error {
	if went, err := m.hurry(); went || err != nil {
		return err
	}
	mark, was := m.mark(), m.standpoint()
	m.saved = append(m.saved[:0], m.counts...)
	m.depth = len(m.frames)
	var err error
	var last *entry
	named := false
	switch m.state {
	case atStart:
		err = m.prefix()
	case before:
		err = m.start()
	case within:
		f := &m.frames[len(m.frames)-1]
		if f.names != nil {
			last = f.names.last
		}
		named, err = m.next(f)
	case behind:
		err = m.tail()
	case done:
	}
	switch {
	case err == nil && m.echoing && m.repeats(was):
		if m.whole {
			m.restart()
			return errAgain
		}
		err = errAgain
		m.returnTo(was)
		fallthrough
	case errors.Is(err, errShort), errors.Is(err, errAgain):
		m.back(mark)
		copy(m.counts, m.saved)
		if named {
			m.frames[len(m.frames)-1].names.unmark(last)
		}
	case err == nil:
		if len(m.events) > 0 {
			m.commit()
		}
	}
	return err
}

// prefix removes a byte order mark and passes the declared prefix over. A body
// without the prefix is read all the same: nothing depends on it.
func (m *Masker) prefix() error {
	if len(m.in) < 3+len(m.plan.Prefix) && !m.final {
		return errShort
	}
	if bytes.HasPrefix(m.in, []byte("\xEF\xBB\xBF")) {
		m.pos, m.from = 3, 3
	}
	if bytes.HasPrefix(m.in[m.pos:], []byte(m.plan.Prefix)) {
		m.pos += len(m.plan.Prefix)
	}
	m.state = before
	return nil
}

// start reads the value if it is a unit, or its opening bracket.
func (m *Masker) start() error {
	v, err := m.ws(m.pos)
	if err != nil {
		if m.final && m.plan.Format == plan.NoBody {
			m.finish()
			return nil
		}
		if m.final {
			return m.syntax(v, "empty body")
		}
		return err
	}
	if !m.gathered && !m.gather(v) {
		return errShort
	}
	e := env{ent: m.fallback, rec: -1, single: true}
	m.openScope()
	if m.plan.Format == plan.NoBody {
		end, err := m.misplaced(v, e)
		if err != nil {
			return m.unit(v, end, err)
		}
		m.pos, m.state = end, behind
		return nil
	}
	end, keep, pushed, err := m.value(v, m.plan.Root, e, false)
	switch {
	case err != nil:
		return err
	case !keep:
		return ErrNotVisible
	case pushed:
		m.state = within
		return nil
	}
	m.pos, m.state = end, behind
	return nil
}

// tail reads what is behind the value.
func (m *Masker) tail() error {
	for i, c := range m.in[m.pos:] {
		if c != ' ' && c != '\n' && c != '\t' && c != '\r' {
			return m.syntax(m.pos+i, "bytes behind the value")
		}
	}
	m.pos = len(m.in)
	if !m.final {
		return errShort
	}
	m.closeScope(true)
	m.finish()
	return nil
}

func (m *Masker) finish() {
	m.pos, m.state = len(m.in), done
}

// next reads the next member of f, or its end. named says that the name was
// read, which must be taken back when the value falls short.
func (m *Masker) next(f *frame) (named bool, err error) {
	lead := m.pos
	p, err := m.ws(lead)
	if err != nil {
		return false, err
	}
	if m.in[p] == f.close {
		m.pop(f, p+1)
		return false, nil
	}
	if f.n > 0 {
		if m.in[p] != ',' {
			return false, m.syntax(p, "comma or closing bracket expected")
		}
		if f.kept == 0 {
			m.from = p + 1
		}
		if p, err = m.ws(p + 1); err != nil {
			return false, err
		}
	}
	e := f.env
	var end int
	var keep, pushed bool
	if f.names == nil {
		end, keep, pushed, err = m.element(p, f)
	} else {
		if f.n >= m.lim.Members {
			return false, m.limit(p, "number of members", m.lim.Members)
		}
		var s slot
		if s, p, err = f.names.name(&m.walker, p); err != nil {
			return false, err
		}
		named = true
		if p, err = m.ws(p); err != nil {
			return named, err
		}
		if f.names.known && f.n > 0 {
			f.names.stood(m.in[lead:p], 0, false)
		} else if f.names.known && lead > 0 {
			f.names.stood(m.in[lead-1:p], 1, true)
		}
		end, keep, pushed, err = m.slot(p, s, f, e)
	}
	if err != nil {
		return named, err
	}
	if pushed { // f may have moved
		f = &m.frames[len(m.frames)-2]
	} else {
		m.pos = end
	}
	f.n++
	if keep {
		f.kept++
	} else {
		m.cut(lead, end, f.n == 1, f.kept)
	}
	return named, nil
}

// pop ends a frame.
func (m *Masker) pop(f *frame, end int) {
	if f.scope {
		m.closeScope(true)
	}
	if f.matrix != nil {
		m.cols = m.cols[:0]
	}
	m.frames = m.frames[:len(m.frames)-1]
	m.pos = end
	if len(m.frames) == 0 {
		m.state = behind
	}
}

// element reads an element of an array.
func (m *Masker) element(v int, f *frame) (end int, keep, pushed bool, err error) {
	e := f.env
	switch {
	case f.row:
		end, keep, err = m.rowWithin(v, f.cols, e)
		return end, keep, false, m.unit(v, end, err)
	case f.elem != nil:
		return m.scoped(v, f.elem, e)
	case m.in[v] == '[':
		return v, true, true, m.push(v, frame{close: ']', env: e})
	}
	end, keep, err = m.unnamed(v, e)
	return end, keep, false, m.unit(v, end, err)
}

// slot reads the value of a member.
func (m *Masker) slot(v int, s slot, f *frame, e env) (end int, keep, pushed bool, err error) {
	switch {
	case s.role == nodeRole:
		return m.scoped(v, s.node, e)
	case s.role == columnsRole && m.in[v] == '[':
		f.cols, err = m.readColumns(v, f.cols.set, e)
		if err == nil {
			end, err = m.columnNames(v, f.cols, e)
		}
		return end, true, false, m.unit(v, end, err)
	case s.role == rowsRole && m.in[v] == '[' && f.cols.known:
		return v, true, true, m.push(v, frame{close: ']', env: e, cols: f.cols, row: true})
	case s.role == rowsRole && m.in[v] != 'n':
		return v, false, false, m.shape(v, "many rows in front of their columns")
	case s.role == fieldRole && max(s.treat.Effect, e.floor) < plan.Mask && (m.in[v] == '{' || m.in[v] == '['):
		e = under(s.treat, e)
		if m.in[v] == '[' {
			return v, true, true, m.push(v, frame{close: ']', env: e})
		}
		e.treat = nil
		return v, true, true, m.pushObject(v, frame{env: e}, table{kind: fieldTable, ent: e.ent})
	}
	end, keep, err = m.member(v, s, e)
	return end, keep, false, m.unit(v, end, err)
}

// scoped reads a declared element or member, which is a scope for totals unless
// it is on the way from the root by member names alone.
func (m *Masker) scoped(v int, n *plan.Node, e env) (end int, keep, pushed bool, err error) {
	if e.single || !plain(n) {
		return m.value(v, n, e, false)
	}
	m.openScope()
	end, keep, pushed, err = m.value(v, n, e, true)
	if err == nil && !pushed {
		m.closeScope(keep)
	}
	return end, keep, pushed, err
}

// value reads a declared value: as a frame where it may be of any size, else as
// a unit.
func (m *Masker) value(v int, n *plan.Node, e env, scope bool) (end int, keep, pushed bool, err error) {
	if n == nil {
		n = &anything
	}
	c := m.in[v]
	if contains(n, c) {
		return v, true, true, m.enter(v, n, &e, scope)
	}
	if n.Matrix != nil && c == matrixStart(n.Matrix) && (c == '[' || m.large) {
		in := entering(n, e)
		m.large = false
		in.single = false
		if n.Matrix.Entity != nil {
			in.ent = n.Matrix.Entity
		}
		m.cols = m.cols[:0]
		cols := m.requested(n.Matrix, in)
		if c == '{' {
			return v, true, true, m.pushObject(v, frame{env: in, matrix: n.Matrix, cols: cols}, table{kind: matrixTable, ent: in.ent, matrix: n.Matrix})
		}
		if !cols.known {
			return v, false, false, m.shape(v, "rows without names of columns")
		}
		return v, true, true, m.push(v, frame{close: ']', env: in, matrix: n.Matrix, cols: cols, row: true})
	}
	end, keep, err = m.node(v, n, e)
	if n.Matrix != nil {
		m.find.matrix = true
		if err == nil && c == '{' && c == matrixStart(n.Matrix) && end-v > m.lim.Record {
			m.large, m.find = true, finder{}
			return v, false, false, errAgain
		}
	}
	return end, keep, false, m.unit(v, end, err)
}

// anything is the node of a body whose shape nobody declared.
var anything plan.Node

// contains reports whether a value that begins with c is a container that n declares, and
// nothing more special.
func contains(n *plan.Node, c byte) bool {
	return plain(n) && (c == '{' && takesObject(n) || c == '[' && takesArray(n))
}

// enter begins the frame of the declared container at v. It is built where it stays.
func (m *Masker) enter(v int, n *plan.Node, e *env, scope bool) error {
	ent := e.ent
	if n.Entity != nil {
		ent = n.Entity
	}
	var names *shape
	object := m.in[v] == '{'
	if object {
		names = m.shapeFor(table{kind: memberTable, node: n, ent: ent})
	}
	if err := m.push(v, frame{}); err != nil {
		return err
	}
	f := &m.frames[len(m.frames)-1]
	f.scope = scope
	f.env.ent, f.env.floor, f.env.rec = ent, e.floor, e.rec
	if f.env.single = e.single && !n.Keyed; object {
		f.close, f.names = '}', names
		return nil
	}
	f.env.single, f.close, f.elem = false, ']', n.Elements
	return nil
}

func (m *Masker) push(v int, f frame) error {
	if err := m.open(v); err != nil {
		return err
	}
	m.frames = append(m.frames, f)
	m.pos = v + 1
	return nil
}

func (m *Masker) pushObject(v int, f frame, t table) error {
	f.close, f.names = '}', m.shapeFor(t)
	return m.push(v, f)
}

// unit checks the size of a unit, or has its end looked for when it fell short
// twice: most units need to be read on for once.
func (m *Masker) unit(v, end int, err error) error {
	switch {
	case err == nil && end-v <= m.lim.Record:
	case err == nil:
		err = m.limit(v, "size of a record", m.lim.Record)
	case errors.Is(err, errShort):
		if m.find.short && !m.find.active {
			m.find = finder{short: true, active: true, matrix: m.find.matrix, off: v - m.pos}
			m.find.complete(m.in[m.pos:])
		}
		m.find.short = true
		return err
	}
	m.find = finder{}
	return err
}
