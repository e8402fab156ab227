// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// Package framed rewrites bodies that are a row of JSON documents: lines
// (NDJSON), JSON text sequences (RFC 7464), server-sent events and the parts of
// a multipart body, be these documents or HTTP answers that hold one. Each document
// is rewritten by the plan as jsonmask does it; a document that holds a record
// the viewer may not see goes with everything that belongs to it, and in place of
// an HTTP answer comes the one of a record that is not there.
//
// One document is held at a time, and given on as soon as it is judged. A
// document that cannot be read ends the body: nothing behind it is released.
package framed

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/crmgate/crmgate/modules/internal/jsonmask"
	"github.com/crmgate/crmgate/policy/echo"
	"github.com/crmgate/crmgate/policy/plan"
)

// ErrFrame is wrapped by every error about what stands around the documents.
var ErrFrame = errors.New("framed: cannot be read")

const (
	chunk = 32 << 10 // bytes asked of the source at once
	slack = 64 << 10 // bytes of a frame beside its document
)

// Masker rewrites one body after the other by one plan; it must not be used by
// two goroutines at once.
type Masker struct {
	frame  framing
	doc    *jsonmask.Masker
	plan   *plan.Plan
	viewer *plan.Viewer
	lim    jsonmask.Limits
	most   int // bytes of a frame

	src   io.Reader
	in    []byte // from the start of the frame at hand
	seen  int    // bytes of it in which its end was looked for
	out   []byte
	sent  int // bytes of out that were released
	final bool
	first bool // nothing was read yet
	err   error
	n     int // frames
	stats jsonmask.Stats
	count int    // records that the plan's cap counts
	text  []byte // scratch

	// Clean is what upstream does to the header of a whole answer, for those of
	// answers within parts. What it does not return does not go out; where nobody
	// set it, only the type of the body does.
	Clean func(http.Header) http.Header
	echo  *jsonmask.Masker // of answers within parts that are errors
	known echo.Set         // values of the documents so far, looked for in the next ones
}

// framing is how documents follow each other.
type framing interface {
	// end returns the length of the frame that starts at in, 0 when it is not all
	// there. The first seen bytes were looked at before; final says that no more
	// will come, which ends the frame.
	end(in []byte, seen int, final bool) int

	// rewrite appends the frame to m.out.
	rewrite(m *Masker, frame []byte) error
}

// New returns a masker for a plan of the formats NDJSON, JSONSeq, SSE or
// Multipart; any other is read as NDJSON.
func New(p *plan.Plan, v *plan.Viewer, l jsonmask.Limits) *Masker {
	m := &Masker{}
	m.Reset(p, v, l)
	return m
}

// Reset makes m ready for the next body.
func (m *Masker) Reset(p *plan.Plan, v *plan.Viewer, l jsonmask.Limits) {
	m.known.Reset()
	l.Echo = &m.known
	if m.doc == nil {
		m.doc = jsonmask.New(p, v, l)
	} else {
		m.doc.Reset(p, v, l)
	}
	if m.echo != nil {
		m.echo.Reset(m.echo.Plan(), nil, jsonmask.Limits{})
	}
	if l.Record <= 0 {
		l.Record = 1 << 20
	}
	m.plan, m.viewer, m.lim, m.most = p, v, l, l.Record+slack
	switch p.Format {
	case plan.SSE:
		m.frame = events{}
	case plan.JSONSeq:
		m.frame = sequence{}
	case plan.Multipart:
		m.frame = &parts{}
	default:
		m.frame = lines{}
	}
	m.src, m.in, m.out, m.text, m.seen, m.sent = nil, shed(m.in), shed(m.out), shed(m.text), 0, 0
	m.final, m.first, m.err, m.n = false, true, nil, 0
	m.count = 0
	m.stats = jsonmask.Stats{Masked: map[string]int{}, Hidden: map[string]int{}}
}

// shed empties a buffer, and drops one that a large frame made grow.
func shed(b []byte) []byte {
	if cap(b) > 8*chunk {
		return nil
	}
	return b[:0]
}

// Plan returns the plan m was made for.
func (m *Masker) Plan() *plan.Plan { return m.plan }

// Stats returns what was done so far.
func (m *Masker) Stats() jsonmask.Stats { return m.stats }

// Reader returns the rewritten body of src. It may be called once after New or
// Reset. Errors are those of jsonmask's documents, of what stands around them
// (wrapping ErrFrame), a *jsonmask.LimitError for a frame beyond the limit of a
// record, and those of src. An empty body is one without documents. A byte order
// mark at the start is removed.
func (m *Masker) Reader(src io.Reader) io.Reader {
	m.src = src
	return reader{m}
}

type reader struct{ m *Masker }

// Read implements io.Reader. It returns with whatever is judged before it asks
// the source for more.
func (r reader) Read(p []byte) (int, error) {
	m := r.m
	for len(p) > 0 {
		if m.sent < len(m.out) {
			n := copy(p, m.out[m.sent:])
			m.sent += n
			return n, nil
		}
		m.out, m.sent = m.out[:0], 0
		if m.err != nil {
			return 0, m.err
		}
		m.err = m.advance()
	}
	return 0, nil
}

// advance rewrites the frames that are there, or reads on when there is none.
func (m *Masker) advance() error {
	done := 0
	for len(m.in) > done && len(m.out) < chunk {
		n := m.frame.end(m.in[done:], m.seen, m.final)
		if n == 0 {
			m.seen = len(m.in) - done
			break
		}
		m.seen = 0
		m.n++
		if n > m.most {
			return m.tooLong()
		}
		if err := m.frame.rewrite(m, m.in[done:done+n]); err != nil {
			return fmt.Errorf("document %d: %w", m.n, err)
		}
		done += n
	}
	m.in = m.in[:copy(m.in, m.in[done:])]
	switch {
	case done > 0:
		return nil
	case m.final:
		if p, is := m.frame.(*parts); is && !p.closed {
			return fmt.Errorf("%w: a body without its last delimiter", ErrFrame)
		}
		return io.EOF
	case len(m.in) > m.most:
		return m.tooLong()
	}
	return m.fill()
}

func (m *Masker) tooLong() error {
	return &jsonmask.LimitError{What: "size of a document", Limit: m.lim.Record}
}

// fill reads more of the source.
func (m *Masker) fill() error {
	if cap(m.in)-len(m.in) < chunk {
		m.in = append(make([]byte, 0, 2*len(m.in)+2*chunk), m.in...)
	}
	for range 100 {
		n, err := m.src.Read(m.in[len(m.in):cap(m.in)])
		m.in = m.in[:len(m.in)+n]
		switch {
		case errors.Is(err, io.EOF):
			m.final = true
		case err != nil:
			return fmt.Errorf("reading body: %w", err)
		}
		if m.first && (len(m.in) >= 3 || m.final) {
			m.first = false
			m.in = append(m.in[:0], bytes.TrimPrefix(m.in, []byte("\xEF\xBB\xBF"))...)
		}
		if (len(m.in) > 0 && !m.first) || m.final {
			return nil
		}
	}
	return fmt.Errorf("reading body: %w", io.ErrNoProgress)
}

// document appends the rewritten form of a document to dst. keep is false for
// one that the viewer may not see.
func (m *Masker) document(dst, doc []byte) (out []byte, keep bool, err error) {
	if m.plan.MaxRows > 0 && m.count >= m.plan.MaxRows {
		m.stats.Dropped++
		return dst, false, nil
	}
	m.doc.Reset(m.plan, m.viewer, m.lim)
	return m.by(m.doc, dst, doc)
}

// by rewrites a document with a masker that is ready for it.
func (m *Masker) by(with *jsonmask.Masker, dst, doc []byte) (out []byte, keep bool, err error) {
	out, err = with.Append(dst, doc)
	if errors.Is(err, jsonmask.ErrNotVisible) {
		m.stats.Dropped++
		return dst, false, nil
	}
	if err != nil {
		return dst, false, err
	}
	s := with.Stats()
	for name, n := range s.Masked {
		m.stats.Masked[name] += n
	}
	for name, n := range s.Hidden {
		m.stats.Hidden[name] += n
	}
	m.stats.Kept += s.Kept
	m.count += with.Counted()
	m.stats.Dropped += s.Dropped
	m.stats.Unclear += s.Unclear
	return out, true, nil
}

// blank reports whether there is nothing but white space of JSON.
func blank(b []byte) bool { return len(bytes.Trim(b, " \t\r\n")) == 0 }
