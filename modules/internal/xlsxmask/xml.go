// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package xlsxmask

import (
	"bufio"
	"encoding/xml"
	"errors"
	"io"
	"strings"

	"github.com/crmgate/crmgate/modules/internal/jsonmask"
)

const maxDepth = 64 // open elements

// spaces are the namespaces of worksheets and workbooks, of both editions.
const (
	mainSpace     = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
	mainStrict    = "http://purl.oclc.org/ooxml/spreadsheetml/main"
	relSpace      = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
	relStrict     = "http://purl.oclc.org/ooxml/officeDocument/relationships"
	packageSpace  = "http://schemas.openxmlformats.org/package/2006/relationships"
	contentSpace  = "http://schemas.openxmlformats.org/package/2006/content-types"
	contentPrefix = "application/vnd.openxmlformats-officedocument.spreadsheetml."
)

// tokens reads the tokens of one part: start elements, end elements and text.
type tokens struct {
	meter *meter
	dec   *xml.Decoder
	depth int
	root  bool // the part's element was there
}

// meter bounds the bytes of a token.
type meter struct {
	*bufio.Reader
	most, left int
	err        error
}

// ReadByte implements io.ByteReader.
func (m *meter) ReadByte() (byte, error) {
	if m.left--; m.left < 0 {
		m.err = &jsonmask.LimitError{What: "size of a text or a tag", Limit: m.most}
		return 0, m.err
	}
	c, err := m.Reader.ReadByte()
	if err != nil && !errors.Is(err, io.EOF) {
		m.err = err
	}
	return c, err
}

func newTokens(r io.Reader, most int) *tokens {
	m := &meter{Reader: bufio.NewReaderSize(r, 32<<10), most: most}
	return &tokens{meter: m, dec: xml.NewDecoder(m)}
}

// next returns the next token, or io.EOF behind the part's element. Comments and
// processing instructions are left out.
func (t *tokens) next() (xml.Token, error) {
	for {
		t.meter.left = t.meter.most
		tok, err := t.dec.Token()
		switch {
		case t.meter.err != nil:
			return nil, t.meter.err
		case err == io.EOF && t.root:
			return nil, io.EOF
		case err != nil:
			return nil, bad("a part that is not well-formed XML in UTF-8")
		}
		switch tok := tok.(type) {
		case xml.Directive:
			return nil, bad("a part with a document type")
		case xml.StartElement:
			if t.depth == 0 && t.root {
				return nil, bad("a part with two elements")
			}
			if t.depth++; t.depth > maxDepth {
				return nil, bad("a part that is nested too deep")
			}
			t.root = true
			return tok, unique(tok.Attr)
		case xml.EndElement:
			t.depth--
			return tok, nil
		case xml.CharData:
			if t.depth > 0 {
				return tok, nil
			}
			if len(strings.TrimSpace(strings.TrimPrefix(string(tok), "\uFEFF"))) > 0 {
				return nil, bad("text outside of a part's element")
			}
		}
	}
}

// unique refuses two attributes of one name, of which programs take the one or
// the other.
func unique(attrs []xml.Attr) error {
	if len(attrs) > 64 {
		return bad("an element with more attributes than anybody writes")
	}
	for i, a := range attrs {
		for _, b := range attrs[:i] {
			if a.Name == b.Name {
				return bad("an element with two attributes of one name")
			}
		}
	}
	return nil
}

// skip reads to the end of the element that was just opened.
func (t *tokens) skip() error {
	for depth := t.depth - 1; t.depth > depth; {
		if _, err := t.next(); err != nil {
			return ended(err)
		}
	}
	return nil
}

// ended makes an error of an end in the middle.
func ended(err error) error {
	if err == io.EOF {
		return bad("a part that breaks off")
	}
	return err
}

// children calls each for the elements within the one that was just opened. What
// each does not read is skipped.
func (t *tokens) children(each func(xml.StartElement) error) error {
	for in := t.depth; ; {
		tok, err := t.next()
		if err != nil {
			return ended(err)
		}
		switch tok := tok.(type) {
		case xml.StartElement:
			if err := each(tok); err != nil {
				return err
			}
			for t.depth > in {
				if err := t.skip(); err != nil {
					return err
				}
			}
		case xml.EndElement:
			return nil
		}
	}
}

// text returns the characters of the element that was just opened, in which
// there may be no other.
func (t *tokens) text() (string, error) {
	var out strings.Builder
	for {
		tok, err := t.next()
		if err != nil {
			return "", ended(err)
		}
		switch tok := tok.(type) {
		case xml.StartElement:
			return "", bad("an element within a value")
		case xml.EndElement:
			return out.String(), nil
		case xml.CharData:
			if out.Len()+len(tok) > t.meter.most {
				return "", &jsonmask.LimitError{What: "size of a text or a tag", Limit: t.meter.most}
			}
			out.Write(tok)
		}
	}
}

// is says whether an element is one of spreadsheets, of a local name.
func is(e xml.StartElement, name string) bool { return e.Name.Local == name && ours(e) }

func ours(e xml.StartElement) bool { return e.Name.Space == mainSpace || e.Name.Space == mainStrict }

// attr returns an attribute without a namespace, "" when it is not there.
func attr(e xml.StartElement, name string) string {
	for _, a := range e.Attr {
		if a.Name.Space == "" && a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

// part reads a part whose element has a name, and gives its children to each.
func (p *pack) part(name, root string, most int, each func(*tokens, xml.StartElement) error) error {
	r, err := p.open(name)
	if err != nil {
		return err
	}
	defer r.Close()
	t := newTokens(r, most)
	for {
		tok, err := t.next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if e, start := tok.(xml.StartElement); start {
			if e.Name.Local != root || !ours(e) && e.Name.Space != packageSpace {
				return bad("a part that holds something else than its place says")
			}
			if err := t.children(func(e xml.StartElement) error { return each(t, e) }); err != nil {
				return err
			}
		}
	}
}
