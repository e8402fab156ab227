// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// Package jsonmask rewrites a JSON body by a plan while it flows: fields are
// masked or hidden, records that a viewer may not see are dropped, and every
// other byte is copied as it came, numbers, escapes, order and white space
// included.
//
// It reads strictly (see Masker.Reader for what is refused) and holds one record
// at a time. Once anything is refused, nothing more is released: there is no
// error after which the rest of a body goes through.
package jsonmask

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/crmgate/crmgate/policy/plan"
)

// Masker rewrites one body after the other by one plan. It learns the names
// that records have and how they follow each other, so it pays to keep one for
// each plan and Reset it, in a sync.Pool for instance. What it learned makes it
// quicker and nothing else: it gives what one that is new gives. It must not be
// used by two goroutines at once. It keeps names of members and of pairs between
// bodies, never values.
type Masker struct {
	walker
	src      io.Reader
	used     bool // there is something to forget
	held     *buffers
	frames   []frame
	state    state
	pos      int   // in the window: behind what has been judged
	err      error // what every further Read returns
	starve   bool  // the last step needs more input
	large    bool  // the matrix at hand is too large to be read as a whole
	whole    bool  // the body is judged as a whole, and is in the window
	gathered bool  // it is known whether it is
	find     finder
	saved    []int
	tally    map[*plan.Treatment]int // index in tallies

	tallies []tally
	masks   fieldNames // of the last body that was asked about
	hides   fieldNames
}

type tally struct {
	treat          *plan.Treatment
	masked, hidden int
}

// state says where in the body the masker is.
type state uint8

const (
	atStart state = iota // where a byte order mark and a prefix may be
	before               // before the value
	within               // in an array or object of it
	behind               // behind the value, where only white space may come
	done                 // the body has ended as it should
)

// Stats says what was done to a body, by names of fields; values never appear.
type Stats struct {
	Masked  map[string]int // values masked, by field; "" for fields nobody declared
	Hidden  map[string]int // members and pairs removed
	Kept    int            // records let through
	Dropped int            // records not visible, or beyond the plan's cap
	Unclear int            // of them: those whose row condition nobody could tell
}

// New returns a masker for a plan and a viewer. A nil viewer owns nothing. A
// plan without a fallback table shows nothing that its tree does not claim.
// Plans with Pass set change nothing; the caller need not come here for them.
func New(p *plan.Plan, v *plan.Viewer, l Limits) *Masker {
	m := &Masker{}
	m.Reset(p, v, l)
	return m
}

// Reset makes m ready for the next body, after whatever became of the last one,
// and gives the buffers of that one to whichever masker comes next.
func (m *Masker) Reset(p *plan.Plan, v *plan.Viewer, l Limits) {
	if m.config == nil || m.plan != p {
		m.config = newConfig(p)
		m.tally, m.tallies = map[*plan.Treatment]int{}, nil
		m.masks, m.hides = fieldNames{}, fieldNames{}
		m.lastBar, m.least, m.bar = math.MaxInt, math.MaxInt, math.MaxInt
		m.forget()
	}
	longest := m.lim.Name
	m.lim = l
	if m.lim.standard(); m.lim.Name < longest { // a name that was learned is not measured again
		m.forget()
	}
	m.viewer, m.base, m.wait = v, 0, m.single
	m.echoing, m.armed, m.known = m.echoes, false, m.lim.Echo
	m.gathered, m.starve, m.state = !m.echoing, true, atStart
	if m.used {
		m.used = false
		m.wipe()
	}
}

// wipe forgets everything about the last body.
func (m *Masker) wipe() {
	for k := range m.tallies {
		m.tallies[k].masked, m.tallies[k].hidden = 0, 0
	}
	m.lastBar, m.least, m.bar = m.least, math.MaxInt, math.MaxInt
	m.quietly()
	m.back(mark{wait: m.wait})
	clear(m.vals[:cap(m.vals)])
	m.giveBack()
	m.unclear, m.pos, m.frames = 0, 0, m.frames[:0]
	m.final, m.hinting, m.large, m.whole = false, false, false, false
	m.src, m.err = nil, nil
	m.find = finder{}
}

// Plan returns the plan m was made for.
func (m *Masker) Plan() *plan.Plan { return m.plan }

// Reader returns the rewritten body of src. It may be called once after New or
// Reset; m must not be Reset while the reader is in use.
//
// Refused are, with a *SyntaxError: anything that is not one value of strict
// JSON (RFC 8259), an empty body, duplicate names, two spellings of a name that
// matters, bytes that are not UTF-8, lone surrogates; with a *ShapeError: a
// value of another kind than the plan declares; with a *LimitError: a body
// beyond the Limits. A byte order mark is removed, a declared prefix is kept.
// ErrNotVisible is returned, before any byte, for a single record outside the
// viewer's rows. Errors of src are returned wrapped; a src that ends early is a
// *SyntaxError.
func (m *Masker) Reader(src io.Reader) io.Reader {
	m.src, m.used = src, true
	m.take()
	return reader{m}
}

type reader struct{ m *Masker }

// Read implements io.Reader.
func (r reader) Read(p []byte) (int, error) {
	m := r.m
	if len(p) == 0 {
		return 0, nil
	}
	for {
		if m.err != nil && m.err != io.EOF {
			return 0, m.err
		}
		if n := m.ready(); n > 0 && (m.starve || n >= chunk || m.state == done) {
			return m.release(p, n), nil
		}
		if m.err != nil {
			return 0, m.err
		}
		m.advance()
	}
}

// Fill rewrites into dst, what is in it is overwritten, until the body has ended, for
// which it returns io.EOF, or at least most bytes are there, of which it returns most.
// Read goes on behind them. It spares a copy of what is to stay in one piece. Errors
// are those of Read; with one what Fill returns is worth nothing.
func (r reader) Fill(dst []byte, most int) ([]byte, error) {
	m := r.m
	own := m.out
	m.out = append(dst[:0], own...)
	for m.err == nil && m.ready() < most {
		m.advance()
	}
	n := min(m.ready(), most)
	dst, m.out = m.out[:n], append(own[:0], m.out[n:]...)
	for i := range m.totals {
		m.totals[i].at -= n
	}
	if m.err == io.EOF && len(m.out) > 0 { //nolint:errorlint // an end that somebody wrapped is none
		return dst, nil
	}
	return dst, m.err
}

// advance takes one step, or reads more input for it.
func (m *Masker) advance() {
	var err error
	if m.starve {
		err = m.fill()
	} else {
		err = m.step()
	}
	switch {
	case err == nil && m.state != done:
		return
	case errors.Is(err, errShort):
		m.starve = true
		m.put(m.pos, m.pos)
		err = m.yield()
	case errors.Is(err, errAgain):
		err = nil
	case m.state == done && err == nil:
		m.put(m.pos, m.pos)
		err = io.EOF
	}
	if err != nil {
		m.err = err
	}
}

// ready returns how many bytes of output may be released.
func (m *Masker) ready() int {
	switch {
	case m.state != done && (m.wait || m.whole || m.state == behind):
		return 0
	case len(m.totals) > 0:
		return m.totals[0].at
	}
	return len(m.out)
}

// release moves output to p.
func (m *Masker) release(p []byte, n int) int {
	n = copy(p, m.out[:n])
	m.out = m.out[:copy(m.out, m.out[n:])]
	for i := range m.totals {
		m.totals[i].at -= n
	}
	return n
}

// yield gives up totals that hold back more than the limit: they become null. A
// single record that is not judged by then refuses the body.
func (m *Masker) yield() error {
	if m.wait && len(m.out) > m.lim.Hold {
		return m.limit(m.pos, "bytes in front of the record asked for", m.lim.Hold)
	}
	for len(m.totals) > 0 && len(m.out)-m.totals[0].at > m.lim.Hold {
		t := m.totals[0]
		before := len(m.out)
		if !m.standing() {
			m.settle(t, nullJSON)
		}
		m.totals = m.totals[:copy(m.totals, m.totals[1:])]
		for i := range m.totals {
			m.totals[i].at += len(m.out) - before
		}
	}
	return nil
}

// fill reads more of the source. While a value is known to be incomplete it
// leaves the masker starving, so that the value is not walked again in vain.
func (m *Masker) fill() error {
	if m.final {
		m.starve = false
		return nil
	}
	held := len(m.in) - m.pos
	if !m.find.short && held > m.lim.Name+maxGap+3*chunk {
		return m.limit(m.pos, "white space between values", maxGap)
	}
	if held > m.lim.Record+m.lim.Name+maxGap {
		if m.find.matrix && !m.large {
			m.large, m.starve, m.find = true, false, finder{}
			return nil
		}
		return m.limit(m.pos, "size of a record", m.lim.Record)
	}
	if m.gathered || len(m.in) == cap(m.in) {
		m.compact()
	}
	for range 100 {
		n, err := m.src.Read(m.in[len(m.in):cap(m.in)])
		m.in = m.in[:len(m.in)+n]
		if n > 0 {
			m.look(len(m.in) - n)
		}
		if err == io.EOF {
			m.final = true
		} else if err != nil {
			return fmt.Errorf("reading body: %w", err)
		}
		if n > 0 || m.final {
			m.starve = !m.final && m.find.active && !m.find.complete(m.in[m.pos:])
			return nil
		}
	}
	return fmt.Errorf("reading body: %w", io.ErrNoProgress)
}

// compact drops what has been judged from the window and makes room for more.
func (m *Masker) compact() {
	if m.pos < 64 && cap(m.in)-len(m.in) >= chunk {
		return
	}
	if m.pos == len(m.in) && cap(m.in) >= chunk {
		m.base += int64(m.pos)
		m.in, m.ends, m.hints, m.pos, m.from = m.in[:0], m.ends[:0], m.hints[:0], 0, 0
		return
	}
	// What goes is whole words of marks.
	gone := m.pos &^ 63
	m.base += int64(gone)
	rest := m.in[gone:]
	m.ends, m.hints = m.ends.moved(gone), m.hints.moved(gone)
	if cap(m.in)-len(rest) < chunk {
		in := make([]byte, len(rest), 2*len(rest)+2*chunk)
		copy(in, rest)
		m.in = in
	} else {
		m.in = m.in[:copy(m.in[:cap(m.in)], rest)]
	}
	m.pos -= gone
	m.from = m.pos
}

// commit counts what a step has done for good. Events come in much the same
// order in every record, so that the next tally is mostly the one wanted.
func (m *Masker) commit() {
	next := 0
	for _, e := range m.events {
		if next == len(m.tallies) {
			next = 0
		}
		if len(m.tallies) == 0 || m.tallies[next].treat != e.treat {
			k, ok := m.tally[e.treat]
			if !ok {
				k = len(m.tallies)
				m.tally[e.treat] = k
				m.tallies = append(m.tallies, tally{treat: e.treat})
			}
			next = k
		}
		if e.hide {
			m.tallies[next].hidden++
		} else {
			m.tallies[next].masked++
		}
		next++
	}
	m.events = m.events[:0]
}

// Stats returns what was done so far.
func (m *Masker) Stats() Stats {
	s := Stats{Masked: map[string]int{}, Hidden: map[string]int{}, Kept: m.kept, Dropped: m.drops, Unclear: m.unclear}
	for _, t := range m.tallies {
		if t.masked > 0 {
			s.Masked[t.treat.Field] += t.masked
		}
		if t.hidden > 0 {
			s.Hidden[t.treat.Field] += t.hidden
		}
	}
	return s
}

// Counted returns how many of the records let through so far count towards the plan's
// cap, see plan.Record.Free.
func (m *Masker) Counted() int { return m.kept - m.free }

// Append appends the rewritten form of a whole body to dst, as Reader would
// give it; with an error dst comes back as it was.
func (m *Masker) Append(dst, body []byte) ([]byte, error) {
	out := bytes.NewBuffer(dst)
	if _, err := io.Copy(out, m.Reader(bytes.NewReader(body))); err != nil {
		return dst, err
	}
	return out.Bytes(), nil
}
