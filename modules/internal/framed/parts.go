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
// A line of a part that starts like a delimiter and is none is refused, so that
// no two programs can part a body differently.
type parts struct {
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
	if p.pending != nil {
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

// part appends a part, unless the viewer may not see what is in it. part ends
// with the line end that belongs to the delimiter.
func (p *parts) part(m *Masker, part []byte) error {
	before := len(m.out)
	m.out = append(m.out, p.pending...)
	for {
		line, rest, found := bytes.Cut(part, []byte("\n"))
		if !found {
			return fmt.Errorf("%w: a part that is all header", ErrFrame)
		}
		field := bytes.TrimSuffix(line, []byte("\r"))
		keep, err := partField(field)
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
	body := bytes.TrimSuffix(part, []byte("\n"))
	body = bytes.TrimSuffix(body, []byte("\r"))
	if blank(body) {
		m.out = append(m.out, part...)
		return nil
	}
	out, keep, err := m.document(m.out, body)
	if err != nil {
		return err
	}
	if m.out = append(out, part[len(body):]...); !keep {
		m.out = m.out[:before]
	}
	return nil
}

// partField says whether a header field of a part stays; the empty line behind
// the header does.
func partField(field []byte) (keep bool, err error) {
	if len(field) == 0 {
		return true, nil
	}
	name, value, found := strings.Cut(string(field), ":")
	if !found || name == "" || strings.ContainsAny(name, " \t") || len(field) > 1<<10 {
		return false, fmt.Errorf("%w: a header of a part that nobody can read", ErrFrame)
	}
	value = strings.TrimSpace(value)
	switch textproto.CanonicalMIMEHeaderKey(name) {
	case "Content-Type":
		kind, _, err := mime.ParseMediaType(value)
		if err == nil {
			err = coding.Charset(value)
		}
		if err != nil || kind != "application/json" && !strings.HasSuffix(kind, "+json") {
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
	_, hits := mask.Detect(nil, []byte(value))
	return hits == 0, nil
}
