// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// Package htmlmask rewrites a page by a plan while it flows. Elements and
// attributes that the plan claims are treated as the fields they hold; personal
// data is looked for in all other text, in attributes, scripts and styles, also
// where tags within a sentence or character references tear it apart. Comments
// are emptied.
//
// The tokens are those of golang.org/x/net/html, which reads a page as browsers
// do. Where only a browser's tree could tell what something is, more is masked
// than need be, or the page is refused.
package htmlmask

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"unicode/utf8"

	"golang.org/x/net/html"

	"github.com/crmgate/crmgate/modules/internal/coding"
	"github.com/crmgate/crmgate/modules/internal/jsonmask"
	"github.com/crmgate/crmgate/modules/internal/textmask"
	"github.com/crmgate/crmgate/policy/plan"
)

// ErrPage is wrapped by every error about a page that cannot be rewritten.
// Errors hold no values.
var ErrPage = errors.New("htmlmask: cannot be rewritten")

func bad(what string) error { return fmt.Errorf("%w: %s", ErrPage, what) }

const (
	chunk  = 32 << 10 // bytes held before they are given on
	maxRun = 64 << 10 // bytes of text that is looked at as one
)

// Masker rewrites one page after the other by one plan; it must not be used by
// two goroutines at once.
type Masker struct {
	judge textmask.Judge
	plan  *plan.Plan
	lim   jsonmask.Limits
	most  int

	echoes   bool // values are looked for where they come again
	learning bool // for nothing else is the page read, see Masker.learn

	src  io.Reader
	z    *html.Tokenizer
	out  []byte
	sent int
	err  error

	charset coding.Charset // of the page as it goes over the wire
	claimed span           // the claimed element that is open
	claim   *plan.Element
	text    []byte // of it
	ends    []int  // of its pieces, between tags

	script   *plan.Element // the script at hand holds JSON
	raw      string        // tag of the raw text element that is open
	drawing  span          // the svg or math element that is open
	choices  span          // the select element that is open
	run      []piece       // text that is looked at as one
	runBytes int
}

// New returns a masker for a plan of the format HTML.
func New(p *plan.Plan, v *plan.Viewer, l jsonmask.Limits) *Masker {
	m := &Masker{}
	m.Reset(p, v, l)
	return m
}

// Reset makes m ready for the next page.
func (m *Masker) Reset(p *plan.Plan, v *plan.Viewer, l jsonmask.Limits) {
	out, run := m.out[:0], m.run[:0]
	if cap(out) > 8*chunk {
		out = nil
	}
	j := m.judge
	*m = Masker{judge: j, plan: p, out: out, run: run, lim: l, most: l.Record, echoes: slices.ContainsFunc(p.Elements, secret)}
	m.judge.Reset(p, v, l)
	if m.most <= 0 {
		m.most = 1 << 20
	}
}

// Plan returns the plan m was made for.
func (m *Masker) Plan() *plan.Plan { return m.plan }

// Stats returns what was done so far.
func (m *Masker) Stats() jsonmask.Stats { return m.judge.Stats() }

// Header tells m the Content-Type of the page, whose charset is the one its bytes had: they
// are UTF-8 here. Without it the page is UTF-8.
func (m *Masker) Header(contentType string) (err error) {
	m.charset, err = coding.CharsetOf(contentType)
	return err //nolint:wrapcheck // it says all there is to say
}

// Reader returns the rewritten page of src. It may be called once after New or
// Reset. Refused are, wrapping ErrPage: bytes that are not UTF-8, NUL, escape
// sequences of other encodings, a page that declares another encoding than it came in, raw text
// with tags in it within SVG, MathML or select, a section of character data with > in it
// within SVG or MathML, a claimed script that is not JSON. A tag
// or a text beyond the limit of a record is a *jsonmask.LimitError.
func (m *Masker) Reader(src io.Reader) io.Reader {
	m.src = src
	return reader{m}
}

type reader struct{ m *Masker }

// Read implements io.Reader.
func (r reader) Read(p []byte) (int, error) {
	m := r.m
	for len(p) > 0 {
		if n := len(m.out) - m.sent; n > 0 && (n >= chunk || m.err != nil) {
			n = copy(p, m.out[m.sent:])
			if m.sent += n; m.sent == len(m.out) {
				m.out, m.sent = m.out[:0], 0
			}
			return n, nil
		}
		if m.err != nil {
			return 0, m.err
		}
		if m.err = m.step(); m.err == io.EOF {
			m.release() // what an open claimed element holds goes out masked
			m.flush()
		} else if m.err != nil {
			m.out = m.out[:min(len(m.out), m.sent)]
		}
	}
	return 0, nil
}

// step reads one token.
func (m *Masker) step() error {
	if m.z == nil {
		if err := m.begin(); err != nil {
			return err
		}
	}
	kind := m.z.Next()
	raw := m.z.Raw()
	if kind == html.ErrorToken {
		switch err := m.z.Err(); {
		case errors.Is(err, io.EOF):
			return io.EOF
		case errors.Is(err, html.ErrBufferExceeded):
			return &jsonmask.LimitError{What: "size of a tag or a text", Limit: m.most}
		default:
			return fmt.Errorf("reading body: %w", err)
		}
	}
	if !utf8.Valid(raw) || bytes.ContainsAny(raw, "\x00\x1b") {
		return bad("text that is not UTF-8")
	}
	raw = bytes.Clone(raw)
	switch kind {
	case html.TextToken:
		return m.words(raw, bytes.Clone(m.z.Text()))
	case html.StartTagToken, html.SelfClosingTagToken:
		return m.start(raw, kind == html.SelfClosingTagToken)
	case html.EndTagToken:
		name, _ := m.z.TagName()
		m.end(raw, string(name))
	case html.CommentToken:
		if err := m.section(raw); err != nil {
			return err
		}
		// An empty one stays: without it what is on both sides could become a tag.
		if m.claimed.name == "" {
			m.aside([]byte("<!---->"), false)
		}
	case html.DoctypeToken:
		m.flush()
		if !m.found(raw) {
			m.out = append(m.out, raw...)
		}
	}
	return nil
}

// words takes a text.
func (m *Masker) words(raw, text []byte) error {
	if err := m.untagged(raw); err != nil {
		return err
	}
	switch {
	case m.claimed.name != "":
		if len(m.text)+len(text) > maxRun {
			text = nil // what is masked of so long a text does not depend on its end
		}
		m.text = append(m.text, text...)
		m.ends = append(m.ends, len(m.text))
	case m.raw == "script" && m.script != nil:
		return m.document(raw)
	case m.raw == "noscript" && bytes.IndexByte(raw, '<') >= 0: // tags where no scripts run, text elsewhere
	case m.raw == "script" || m.raw == "style":
		if !m.suspicious(raw) {
			m.aside(raw, false)
		} else {
			m.judge.Text(nil, []byte("x"), textmask.Full, nil)
		}
	default:
		m.run = append(m.run, piece{raw: raw, text: text})
		if m.runBytes += len(raw); m.runBytes > maxRun {
			m.flush()
		}
	}
	return nil
}

// release ends the claimed element: what it held goes out as the mask of it.
func (m *Masker) release() {
	if m.claimed.name == "" {
		return
	}
	m.rememberText()
	value, v := m.judge.Text(nil, bytes.TrimSpace(m.text), m.claim.Treat, m.claim.Entity)
	if v == textmask.Changed {
		m.out = append(m.out, html.EscapeString(string(value))...)
	}
	m.claimed.name, m.claim, m.text = "", nil, m.text[:0]
	m.ends = m.ends[:0]
}

// end takes an end tag.
func (m *Masker) end(raw []byte, name string) {
	if m.claimed.name != "" {
		if name == m.raw {
			m.raw = ""
		}
		if !m.claimed.end(name) {
			return
		}
		m.claimed.name = name
		m.release()
		m.leave(name)
		m.out = append(append(append(m.out, "</"...), name...), '>')
		return
	}
	m.leave(name)
	if len(bytes.TrimRight(raw[2+len(name):], " \t\r\n>")) > 0 { // what nobody reads
		raw = append(append([]byte("</"), name...), '>')
	}
	m.tag(name, raw)
}

// leave takes an end tag that is handed on.
func (m *Masker) leave(name string) {
	if name == m.raw {
		m.raw, m.script = "", nil
	}
	if m.drawing.name != "" {
		m.drawing.end(name)
	}
	if m.choices.name != "" {
		m.choices.end(name)
	}
}

// enter takes a start tag that is handed on.
func (m *Masker) enter(name string) {
	for _, s := range []struct {
		span  *span
		opens bool
	}{{&m.drawing, name == "svg" || name == "math"}, {&m.choices, name == "select"}} {
		if s.span.name != "" {
			s.span.start(name, false, false)
		} else if s.opens {
			s.span.open(name)
		}
	}
}
