// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// Package xmlmask rewrites an XML document by a plan while it flows. An element
// or attribute is a member of the element it is in, by its local name, whatever
// its namespace: an element that repeats is a list. What changes is written anew
// where it stands; every other byte is copied as it came, save comments and
// processing instructions, which go unless everything is shown.
//
// The tokens are those of encoding/xml in its strict mode, and what that package
// reads more freely than others do is refused, see Masker.Reader. One record is
// held at a time, or one element that the plan does not reach into.
package xmlmask

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"

	"github.com/crmgate/crmgate/modules/internal/jsonmask"
	"github.com/crmgate/crmgate/modules/internal/textmask"
	"github.com/crmgate/crmgate/policy/plan"
)

// ErrDocument is wrapped by every error about a body that is not the document
// that was declared. Errors hold no values.
var ErrDocument = errors.New("xmlmask: no such document")

const (
	chunk    = 32 << 10 // bytes asked of the source at once, and held before they are given on
	maxDepth = 256
)

func bad(what string) error { return fmt.Errorf("%w: %s", ErrDocument, what) }

// Masker rewrites one body after the other by one plan; it must not be used by
// two goroutines at once.
type Masker struct {
	judge textmask.Judge
	plan  *plan.Plan
	root  *plan.Node
	rowed map[string]bool // sets of which records are dropped
	asked bool            // a condition is asked of some
	lim   jsonmask.Limits

	echoes bool // values are looked for where they come again

	src    source
	dec    *xml.Decoder
	frames []frame
	state  state
	tokens int // before the document's element
	out    []byte
	sent   int
	err    error
	counts map[string]int // records kept, by set
	totals []total        // of the document, whose records are still being counted

	loose, looseRaw []byte // a text between elements: what it says, and how it is written

	unit emitter
}

// state says where in the document the masker is.
type state uint8

const (
	before state = iota // before the document's element
	within
	behind
)

// frame is an open element that the plan reaches into.
type frame struct {
	node *plan.Node
	ent  *plan.Entity
}

// New returns a masker for a plan of the format XML.
func New(p *plan.Plan, v *plan.Viewer, l jsonmask.Limits) *Masker {
	m := &Masker{}
	m.Reset(p, v, l)
	return m
}

// Reset makes m ready for the next body.
func (m *Masker) Reset(p *plan.Plan, v *plan.Viewer, l jsonmask.Limits) {
	m.judge.Reset(p, v, l)
	if m.plan != p {
		m.rowed, m.echoes = map[string]bool{}, jsonmask.Echoes(p)
		m.asked = findRows(p.Root, m.rowed, map[*plan.Node]bool{})
	}
	if l.Record <= 0 {
		l.Record = 1 << 20
	}
	if l.Hold <= 0 {
		l.Hold = 128 << 10
	}
	m.plan, m.root, m.lim = p, p.Root, l
	if m.root == nil {
		m.root = &plan.Node{}
	}
	m.src, m.dec = source{buf: shed(m.src.buf), most: l.Record}, nil
	m.frames, m.state, m.tokens, m.err = m.frames[:0], before, 0, nil
	m.out, m.sent, m.counts, m.totals = shed(m.out), 0, map[string]int{}, m.totals[:0]
	m.loose, m.looseRaw = shed(m.loose), shed(m.looseRaw)
	m.unit = emitter{m: m}
}

// shed empties a buffer, and drops one that a large record made grow.
func shed(b []byte) []byte {
	if cap(b) > 8*chunk {
		return nil
	}
	return b[:0]
}

// findRows notes the sets of which records can be dropped, and says whether a
// condition is asked of some.
func findRows(n *plan.Node, rowed map[string]bool, seen map[*plan.Node]bool) (asked bool) {
	if n == nil || seen[n] {
		return false
	}
	seen[n] = true
	asked = findRows(n.Elements, rowed, seen)
	for _, x := range n.Members {
		asked = findRows(x, rowed, seen) || asked
	}
	if r := n.Record; r != nil {
		if textmask.Filtered(r.Rows) {
			rowed[r.Set] = true
			asked = asked || r.Rows.Where != nil
		}
		for _, x := range r.Nested {
			asked = findRows(x, rowed, seen) || asked
		}
	}
	return asked
}

// Plan returns the plan m was made for.
func (m *Masker) Plan() *plan.Plan { return m.plan }

// Stats returns what was done so far.
func (m *Masker) Stats() jsonmask.Stats { return m.judge.Stats() }

// Reader returns the rewritten body of src. It may be called once after New or
// Reset. A byte order mark is removed.
//
// Refused are, wrapping ErrDocument: what is not well-formed, an empty body, a
// document type and with it every entity but the five of XML, an encoding other
// than UTF-8, two attributes of one name, names with more than one colon or with
// nothing beside it, a namespace that looks like personal data, text outside of
// the document's element, a document with another element than the plan declares
// while rows are filtered, a total that is no number. An element or a text beyond
// the limit of a record is a *jsonmask.LimitError. jsonmask.ErrNotVisible is
// returned, before any byte, for the single record that was asked for; more than the
// limit of what is held in front of it is a *jsonmask.LimitError too.
func (m *Masker) Reader(src io.Reader) io.Reader {
	m.src.r = src
	m.dec = xml.NewDecoder(&m.src)
	return reader{m}
}

type reader struct{ m *Masker }

// Read implements io.Reader.
func (r reader) Read(p []byte) (int, error) {
	m := r.m
	for len(p) > 0 {
		if n := m.ready(); n > 0 && (m.err != nil || n >= chunk) {
			n = copy(p, m.out[m.sent:m.sent+n])
			m.release(n)
			return n, nil
		}
		if m.err != nil {
			return 0, m.err
		}
		if m.err = m.step(); m.err == io.EOF {
			m.settleAll()
			if m.judge.Missed() {
				m.err = jsonmask.ErrNotVisible
			}
		}
	}
	return 0, nil
}

// ready returns how many bytes of output may be released.
func (m *Masker) ready() int {
	switch {
	case m.waits():
		return 0
	case len(m.totals) > 0:
		return m.totals[0].at - m.sent
	}
	return len(m.out) - m.sent
}

// waits reports whether the one record that was asked for is still to be judged.
func (m *Masker) waits() bool {
	return m.err != io.EOF && m.plan.NotFound != nil && m.judge.Stats().Kept == 0
}

func (m *Masker) release(n int) {
	m.sent += n
	if m.sent < chunk && m.sent < len(m.out) {
		return
	}
	m.out = m.out[:copy(m.out, m.out[m.sent:])]
	for i := range m.totals {
		m.totals[i].at -= m.sent
	}
	m.sent = 0
}

// step reads one token at the level of the frames.
func (m *Masker) step() error {
	if m.tokens == 0 {
		if err := m.src.start(); err != nil {
			return err
		}
	}
	tok, raw, err := m.token()
	if err != nil {
		if err == io.EOF && m.state != behind {
			return bad("nothing in it")
		}
		return err
	}
	m.tokens++
	switch t := tok.(type) {
	case xml.Comment:
		return m.remark(raw)
	case xml.ProcInst:
		if t.Target != "xml" {
			return m.remark(raw)
		}
		if m.tokens != 1 {
			return bad("a declaration in the middle")
		}
		if !declaration.Match(raw) {
			return bad("a declaration of something else")
		}
		m.out = append(m.out, raw...)
	case xml.CharData:
		return m.words(t, raw)
	case xml.StartElement:
		m.between()
		return m.begin(t, raw)
	case xml.EndElement:
		m.between()
		m.frames = m.frames[:len(m.frames)-1]
		m.out = append(m.out, raw...)
		if len(m.frames) == 0 {
			m.state = behind
		}
	}
	return m.yield()
}

// token returns the next token and its bytes, which hold until the next one.
func (m *Masker) token() (xml.Token, []byte, error) {
	from := m.dec.InputOffset()
	m.src.mark(from)
	tok, err := m.dec.Token()
	switch {
	case m.src.err != nil:
		return nil, nil, m.src.err
	case err == io.EOF:
		return nil, nil, io.EOF
	case err != nil:
		var se *xml.SyntaxError
		if errors.As(err, &se) {
			return nil, nil, fmt.Errorf("%w: not well-formed in line %d", ErrDocument, se.Line)
		}
		return nil, nil, bad("an encoding or version nobody reads")
	}
	if _, is := tok.(xml.Directive); is {
		return nil, nil, bad("a document type")
	}
	return tok, m.src.bytes(from, m.dec.InputOffset()), nil
}

// begin reads an element: as a frame where the plan reaches into it, else as a
// unit.
func (m *Masker) begin(t xml.StartElement, raw []byte) error {
	if m.state == behind {
		return bad("two documents")
	}
	if len(m.frames) >= maxDepth {
		return bad("too deep")
	}
	in := frame{m.root, m.judge.Fallback()}
	if len(m.frames) > 0 {
		in = m.frames[len(m.frames)-1]
	}
	if in.node.Entity != nil {
		in.ent = in.node.Entity
	}
	node := child(in.node, t.Name.Local)
	if node != nil && !m.plan.Open && (node == in.node.Elements || onward(node)) { // a name that may be a field's
		f := m.judge.Field(in.ent, []byte(t.Name.Local))
		if f.Effect >= plan.Mask && f.Field != "" || personal(f, in.ent) || onward(node) && restricted(f) {
			node = nil
		}
	}
	if m.state == before {
		m.state = within
		if node == nil && len(m.rowed) > 0 {
			return bad("another element than declared, where rows are filtered")
		}
	}
	if node == nil || !container(node) {
		return m.record(t, raw, node, in.ent)
	}
	if node.Entity != nil {
		in.ent = node.Entity
	}
	if err := m.openTag(t, raw, node, in.ent); err != nil {
		return err
	}
	m.frames = append(m.frames, frame{node, in.ent})
	return nil
}

// child returns the node of an element or attribute, nil for none.
func child(n *plan.Node, local string) *plan.Node {
	if x := n.Members[fold(local)]; x != nil {
		return x
	}
	return n.Elements
}

// container reports whether the plan reaches into a node and says nothing else
// about it.
func container(n *plan.Node) bool {
	return n.Record == nil && n.Pairs == nil && !n.Fields && n.Matrix == nil && n.Total == "" && !onward(n) && (n.Members != nil || n.Elements != nil)
}

// record reads an element to its end and rewrites it.
func (m *Masker) record(t xml.StartElement, raw []byte, node *plan.Node, ent *plan.Entity) error {
	u := &m.unit
	u.reset()
	el, err := u.collect(t, raw)
	if err != nil {
		return err
	}
	whole := len(m.frames) == 0
	u.out, u.raw, u.from, u.totals = m.out, u.bytes, 0, u.totals[:0]
	rewrite := func() error { return u.element(el, node, ent, whole) }
	if m.plan.Open {
		rewrite = func() error { u.follow(el, node); return nil }
	}
	if err := u.note(rewrite); err != nil {
		return err
	}
	if err := rewrite(); err != nil {
		return err
	}
	u.copyTo(len(u.raw))
	if node != nil && node.Total != "" {
		m.totals = append(m.totals, u.totals...)
	} else {
		u.settle()
	}
	m.out = u.out
	if whole {
		m.state = behind
	}
	return m.yield()
}
