// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package framed

import (
	"bytes"
	"fmt"
	"mime"
	"net/textproto"
	"strings"

	"github.com/crmgate/crmgate/modules/internal/coding"
	"github.com/crmgate/crmgate/policy/mask"
)

// parts are the documents of a multipart body (RFC 2046, 5.1), one a part. What
// stands in front of the first part and behind the last goes. Of a part's header
// fields those stay that say what the part is; a part that names a content coding
// or another type than JSON is refused, as is a body without its last delimiter.
// A line of a part that starts like a delimiter and is none is refused, and so is a
// delimiter whose lines end in another way than the first one's, so that no two
// programs can part a body differently.
//
// Where the plan says so, each part is an HTTP answer with such a document for its
// body, or a multipart body of such parts (OData 4.01, 11.7), which holds no other.
type parts struct {
	depth    int    // bodies around this one
	boundary []byte // with the two dashes in front
	pending  []byte // the delimiter in front of the part at hand; nil before the first
	closed   bool
}

// Header tells m the Content-Type of the body. Formats other than multipart do
// not ask for it.
func (m *Masker) Header(contentType string) error {
	p, is := m.frame.(*parts)
	if !is {
		return nil
	}
	return p.header(contentType)
}

// header learns the boundary from a Content-Type.
func (p *parts) header(contentType string) error {
	kind, params, err := mime.ParseMediaType(contentType)
	b := params["boundary"]
	switch {
	case err != nil || !strings.HasPrefix(kind, "multipart/"):
		return fmt.Errorf("%w: the answer does not call itself multipart", ErrFrame)
	case b == "" || len(b) > 70 || strings.HasSuffix(b, " "):
		return fmt.Errorf("%w: no boundary that anybody may use", ErrFrame)
	}
	if _, hits := mask.Detect(nil, []byte(b)); hits > 0 {
		return fmt.Errorf("%w: a boundary that looks like personal data", ErrFrame)
	}
	p.boundary = []byte("--" + b)
	return nil
}

// end looks for the next delimiter; the frame ends with its line.
func (p *parts) end(in []byte, seen int, final bool) int {
	i := bytes.LastIndexByte(in[:max(0, seen-1)], '\n') + 1
	for i < len(in) {
		n := bytes.IndexByte(in[i:], '\n')
		if n < 0 && !final {
			return 0
		}
		line := in[i:]
		if n >= 0 {
			line = line[:n+1]
		}
		if i += len(line); bytes.HasPrefix(line, p.boundary) {
			return i
		}
	}
	if final {
		return len(in)
	}
	return 0
}

func (p *parts) rewrite(m *Masker, frame []byte) error {
	switch {
	case len(p.boundary) == 0:
		return fmt.Errorf("%w: nobody told the boundary", ErrFrame)
	case p.closed:
		return nil
	}
	at := bytes.LastIndexByte(frame[:len(frame)-1], '\n') + 1
	line := frame[at:]
	rest, is := bytes.CutPrefix(line, p.boundary)
	last := bytes.HasPrefix(rest, []byte("--"))
	if last {
		rest = rest[2:]
	}
	if !is || !blank(rest) {
		return fmt.Errorf("%w: a part without a delimiter behind it", ErrFrame)
	}
	_, end, _ := nextLine(line)
	if p.pending != nil {
		_, want, _ := nextLine(p.pending)
		if _, before := cutLast(frame[:at]); !bytes.Equal(before, want) || len(end) > 0 && !bytes.Equal(end, want) {
			return fmt.Errorf("%w: delimiters with lines of two kinds", ErrFrame)
		}
		if err := p.part(m, frame[:at]); err != nil {
			return err
		}
	}
	if p.pending = append([]byte{}, line...); last {
		p.closed = true
		m.out = append(m.out, line...)
	}
	return nil
}

// cutLast returns text without the end of its last line, and that.
func cutLast(text []byte) (rest, end []byte) {
	rest = bytes.TrimSuffix(bytes.TrimSuffix(text, []byte("\n")), []byte("\r"))
	return rest, text[len(rest):]
}

// part appends a part, unless the viewer may not see what is in it. part ends
// with the line end that belongs to the delimiter.
func (p *parts) part(m *Masker, part []byte) error {
	before := len(m.out)
	m.out = append(m.out, p.pending...)
	kind := ""
	for {
		line, rest, found := bytes.Cut(part, []byte("\n"))
		if !found {
			return fmt.Errorf("%w: a part that is all header", ErrFrame)
		}
		field := bytes.TrimSuffix(line, []byte("\r"))
		keep, err := p.field(m, field, &kind)
		if err != nil {
			return err
		}
		if keep {
			m.out = append(append(m.out, line...), '\n')
		}
		if part = rest; len(field) == 0 {
			break
		}
	}
	body, end := cutLast(part)
	keep := true
	var err error
	switch {
	case m.plan.HTTP:
		err = p.inside(m, body, kind)
	case blank(body):
		m.out = append(m.out, body...)
	default:
		m.out, keep, err = m.document(m.out, body)
	}
	if err != nil {
		return err
	}
	if m.out = append(m.out, end...); !keep {
		m.out = m.out[:before]
	}
	return nil
}

// deepest is how many bodies of parts may be within another.
const deepest = 1

// inside appends what a part of HTTP answers holds: one, or a body of them.
func (p *parts) inside(m *Masker, body []byte, kind string) error {
	if !strings.HasPrefix(strings.ToLower(kind), "multipart/") {
		if kind == "" {
			return fmt.Errorf("%w: a part that does not call itself an HTTP answer", ErrFrame)
		}
		return m.answer(body)
	}
	if p.depth >= deepest {
		return fmt.Errorf("%w: parts within parts within parts", ErrFrame)
	}
	within := &parts{depth: p.depth + 1}
	if err := within.header(kind); err != nil {
		return err
	}
	for len(body) > 0 && !within.closed {
		n := within.end(body, 0, true)
		if err := within.rewrite(m, body[:n]); err != nil {
			return err
		}
		body = body[n:]
	}
	if !within.closed {
		return fmt.Errorf("%w: parts within a part without their last delimiter", ErrFrame)
	}
	return nil
}

// field says whether a header field of a part stays; the empty line behind the
// header does. The type of a part of HTTP answers is noted in kind.
func (p *parts) field(m *Masker, field []byte, kind *string) (keep bool, err error) {
	if len(field) == 0 {
		return true, nil
	}
	name, value, err := cutHeader(field)
	if err != nil {
		return false, err
	}
	switch textproto.CanonicalMIMEHeaderKey(name) {
	case "Content-Type":
		if m.plan.HTTP {
			if *kind != "" || !isAnswers(value) {
				return false, fmt.Errorf("%w: a part that is no HTTP answer", ErrFrame)
			}
			*kind = value
		} else if !isJSON(value) {
			return false, fmt.Errorf("%w: a part that is no JSON", ErrFrame)
		}
	case "Content-Transfer-Encoding":
		if v := strings.ToLower(value); v != "binary" && v != "8bit" && v != "7bit" {
			return false, fmt.Errorf("%w: a part in a coding", ErrFrame)
		}
	case "Content-Encoding":
		return false, fmt.Errorf("%w: a part in a coding", ErrFrame)
	case "Content-Id":
	default:
		return false, nil
	}
	search := mask.Detect
	if textproto.CanonicalMIMEHeaderKey(name) == "Content-Id" {
		search = m.known.Search
	}
	_, hits := search(nil, []byte(value))
	if hits > 0 && *kind == value {
		return false, fmt.Errorf("%w: a type of a part that looks like personal data", ErrFrame)
	}
	return hits == 0, nil
}

// isJSON says whether a type is the one of JSON in UTF-8.
func isJSON(contentType string) bool {
	kind, _, err := mime.ParseMediaType(contentType)
	if charset, bad := coding.CharsetOf(contentType); charset != coding.UTF8 || bad != nil {
		return false
	}
	return err == nil && (kind == "application/json" || strings.HasSuffix(kind, "+json"))
}

// isAnswers says whether a type is the one of an HTTP answer, or of parts.
func isAnswers(contentType string) bool {
	kind, params, err := mime.ParseMediaType(contentType)
	switch {
	case err != nil:
		return false
	case kind == "multipart/mixed":
		return true
	}
	for name, v := range params {
		if name == "msgtype" && v == "response" || name == "version" && (v == "1.1" || v == "1.0") {
			continue
		}
		return false
	}
	return kind == "application/http"
}
