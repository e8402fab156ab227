// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package framed

import (
	"bytes"
	"fmt"
	"net/http"
	"net/textproto"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/crmgate/crmgate/modules/internal/jsonmask"
	"github.com/crmgate/crmgate/policy/plan"
)

// What an answer within a part may have.
const (
	maxFields = 100
	maxField  = 8 << 10 // bytes of a line
)

// answer is an HTTP answer that is the whole of a part. It has one status line,
// a header of plain lines, an empty line, and a body that ends with the part.
type answer struct {
	line   []byte // with its end
	status int
	fields []field
	header http.Header
	gap    []byte // the empty line
	body   []byte
}

// field is a line of the header.
type field struct {
	name, value string // the name as it is written
	key         string // in the spelling of http.Header
	line, end   []byte
}

// statusLine is the first line of an answer. The status is a final one: what is on
// its way would have another answer behind it.
var statusLine = regexp.MustCompile(`^HTTP/1\.[01] ([2-5][0-9][0-9])(?: [ -~]*)?$`)

func noAnswer(what string) error {
	return fmt.Errorf("%w: an HTTP answer in a part %s", ErrFrame, what)
}

// readAnswer reads an answer strictly: what two programs could read in two ways is
// refused.
func readAnswer(text []byte) (*answer, error) {
	a := &answer{header: http.Header{}}
	line, end, rest := nextLine(text)
	found := statusLine.FindSubmatch(line)
	if found == nil || len(end) == 0 {
		return nil, noAnswer("has no status line, or not a final one")
	}
	a.line = text[:len(line)+len(end)]
	a.status, _ = strconv.Atoi(string(found[1]))
	for {
		text = rest
		if line, end, rest = nextLine(text); len(end) == 0 {
			return nil, noAnswer("has no empty line behind its header")
		}
		if len(line) == 0 {
			a.gap, a.body = end, rest
			return a, a.check()
		}
		name, value, err := cutHeader(line)
		if err != nil {
			return nil, err
		}
		if len(a.fields) == maxFields {
			return nil, noAnswer("has more header fields than anybody needs")
		}
		key := textproto.CanonicalMIMEHeaderKey(name)
		a.fields = append(a.fields, field{name, value, key, line, end})
		a.header[key] = append(a.header[key], value)
	}
}

// nextLine returns the first line and its end, which is empty where there is none.
func nextLine(text []byte) (line, end, rest []byte) {
	n := bytes.IndexByte(text, '\n')
	if n < 0 {
		return text, nil, nil
	}
	line = bytes.TrimSuffix(text[:n], []byte("\r"))
	return line, text[len(line) : n+1], text[n+1:]
}

// cutHeader reads a line of a header. One that goes on from the line before has a
// blank in front and no name.
func cutHeader(line []byte) (name, value string, err error) {
	name, value, found := strings.Cut(string(line), ":")
	if !found || name == "" || len(line) > maxField || strings.ContainsFunc(name, notOfNames) || strings.ContainsFunc(value, notOfValues) {
		return "", "", fmt.Errorf("%w: a header of a part that nobody can read", ErrFrame)
	}
	return name, strings.Trim(value, " \t"), nil
}

// notOfNames says which characters are in no name of a header field (RFC 9110, 5.1).
func notOfNames(c rune) bool {
	return (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && !strings.ContainsRune("!#$%&'*+-.^_`|~", c)
}

func notOfValues(c rune) bool { return c < ' ' && c != '\t' || c == 0x7F || c == '\uFFFD' }

// check refuses what a body in plain JSON does not have.
func (a *answer) check() error {
	for key, values := range a.header {
		switch key {
		case "Transfer-Encoding", "Content-Range", "Upgrade":
			return noAnswer("that is not there as a whole")
		case "Content-Encoding":
			if len(values) > 1 || !strings.EqualFold(values[0], "identity") {
				return noAnswer("in a coding")
			}
		case "Content-Type":
			if len(values) > 1 || !blank(a.body) && !isJSON(values[0]) {
				return noAnswer("that is no JSON")
			}
		case "Content-Length":
			n, err := strconv.ParseUint(values[0], 10, 31)
			if len(values) > 1 || err != nil || n > uint64(len(a.body)) || !blank(a.body[n:]) {
				return noAnswer("of another length than it says")
			}
		}
	}
	switch {
	case a.status == http.StatusPartialContent:
		return noAnswer("that is not there as a whole")
	case (a.status == http.StatusNoContent || a.status == http.StatusNotModified) && !blank(a.body):
		return noAnswer("with a body where none may be")
	}
	return nil
}

// answer appends an HTTP answer. An error is read as errors of the operation are. A
// record that is not visible is answered like one that is not there.
func (m *Masker) answer(text []byte) error {
	a, err := readAnswer(text)
	if err != nil {
		return err
	}
	if m.missing(a.status) {
		m.notFound(a)
		return nil
	}
	body, keep := m.text[:0], true
	switch {
	case blank(a.body):
		body = append(body, a.body...)
	case 300 <= a.status && a.status < 400: // it says where to go, and once more in words
	case a.status >= http.StatusBadRequest && m.plan.Problem != nil:
		body, _, err = m.by(m.problem(), body, a.body)
	default:
		body, keep, err = m.document(body, a.body)
	}
	if m.text = body; err != nil {
		return err
	}
	if !keep {
		m.notFound(a)
		return nil
	}
	m.status(a)
	m.fields(a, len(body))
	m.out = append(append(m.out, a.gap...), body...)
	return nil
}

// problem returns the masker of errors, ready for one.
func (m *Masker) problem() *jsonmask.Masker {
	p := m.plan.Problem
	if m.echo == nil {
		m.echo = jsonmask.New(p, m.viewer, m.lim)
	} else {
		m.echo.Reset(p, m.viewer, m.lim)
	}
	return m.echo
}

// missing recognises the CRM's own "there is no such record" where one that is not
// visible looks the same.
func (m *Masker) missing(status int) bool {
	p := m.plan
	return p.NotFound != nil && p.NotFound.Status == status && p.Root != nil && p.Root.Record != nil && p.Root.Record.Rows != nil
}

// notFound appends "there is no such record".
func (m *Masker) notFound(a *answer) {
	c := m.plan.NotFound
	if c == nil {
		c = &plan.Canned{Status: http.StatusNotFound, ContentType: "application/json", Body: []byte(`{"status":404}`)}
	}
	m.out = fmt.Appendf(m.out, "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s",
		c.Status, http.StatusText(c.Status), c.ContentType, len(c.Body), c.Body)
}

// status appends the first line. Words that are not the usual ones may tell
// anything.
func (m *Masker) status(a *answer) {
	line, end, _ := nextLine(a.line)
	if usual := fmt.Sprintf("%s %s", line[:len("HTTP/1.1 200")], http.StatusText(a.status)); string(line) != usual {
		m.out = append(append(m.out, usual...), end...)
		return
	}
	m.out = append(m.out, a.line...)
}

// fields appends the header: lines that Clean leaves as they are, and those it
// changes. The length is the one of the body as it is now.
func (m *Masker) fields(a *answer, length int) {
	var clean http.Header
	if m.Clean != nil {
		clean = m.Clean(a.header.Clone())
	} else if v := a.header["Content-Type"]; len(v) == 1 && isJSON(v[0]) {
		clean = http.Header{"Content-Type": v}
	}
	if p := m.plan.Problem; p != nil && p.Spare && a.status >= http.StatusBadRequest {
		clean = http.Header{"Content-Type": clean["Content-Type"]} // others may tell of records too
	}
	written := map[string]bool{}
	for _, f := range a.fields {
		switch {
		case f.key == "Content-Length":
			if !written[f.key] {
				m.out = append(strconv.AppendInt(append(append(m.out, f.name...), ": "...), int64(length), 10), f.end...)
			}
		case slices.Equal(clean[f.key], a.header[f.key]):
			m.out = append(append(m.out, f.line...), f.end...)
		case !written[f.key]:
			for _, v := range clean[f.key] {
				if !strings.ContainsFunc(v, notOfValues) {
					m.out = append(append(append(append(m.out, f.name...), ": "...), v...), f.end...)
				}
			}
		}
		written[f.key] = true
	}
}
