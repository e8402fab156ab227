// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package xmlmask

import (
	"bytes"
	"encoding/xml"
	"slices"
	"strings"

	"github.com/crmgate/crmgate/modules/internal/jsonmask"
	"github.com/crmgate/crmgate/policy/mask"
	"github.com/crmgate/crmgate/policy/resource"
)

func fold(name string) string { return resource.Fold(name) }

// element is an element that was read to its end. Places are in the bytes of the
// unit: the start tag is start to open, the end tag close to end; of an empty
// element tag close and end are open.
type element struct {
	start, open, close, end int
	name                    string // local
	attrs                   []attr
	kids                    []kid
	parents                 bool // has elements within
	judged, seen            bool // as a record
}

// kid is what an element holds: an element or a text. Comments and processing
// instructions go, so that what they part is one text to whoever reads it.
type kid struct {
	from, to int
	el       *element
	text     []byte // decoded; nil for none
}

// attr is an attribute: from is where the white space in front of it starts, the
// value stands between value and end, without its quotes.
type attr struct {
	from, value, end int
	name             string // local
	text             string
	fixed            bool // a namespace, or of the kind that says how the element is read
	space            bool // a namespace: part of names
}

// empty reports whether el was written as an empty element tag.
func (el *element) empty() bool { return el.end == el.open }

// joined appends the bytes of a text to those in front of it, from which a comment or
// a processing instruction may have parted it: no end of a section may come of both.
func joined(dst, text, raw []byte) []byte {
	if bytes.HasSuffix(dst, []byte("]")) && (raw[0] == '>' || raw[0] == ']') {
		return appendEscaped(dst, text)
	}
	return append(dst, raw...)
}

// text returns what the element itself says, decoded.
func (el *element) text() []byte {
	var one []byte
	n := 0
	for _, k := range el.kids {
		if k.text != nil {
			one = k.text
			n++
		}
	}
	if n < 2 {
		return one
	}
	var b []byte
	for _, k := range el.kids {
		b = append(b, k.text...)
	}
	return b
}

// texts calls f for all text within.
func (el *element) texts(f func([]byte)) {
	for _, k := range el.kids {
		switch {
		case k.el != nil:
			k.el.texts(f)
		case k.text != nil:
			f(k.text)
		}
	}
}

const (
	xsiSpace = "http://www.w3.org/2001/XMLSchema-instance"
	xmlSpace = "http://www.w3.org/XML/1998/namespace"
)

// readAttrs finds the attributes of a start tag, the bytes of which are at raw in
// the unit; open says that everything is shown.
func readAttrs(t xml.StartElement, raw []byte, open bool) ([]attr, error) {
	if !plainName(t.Name) {
		return nil, bad("a name with colons")
	}
	i := 1
	for i < len(raw) && !isSpace(raw[i]) && raw[i] != '>' && raw[i] != '/' {
		i++
	}
	if twice(t.Attr) {
		return nil, bad("two attributes of one name")
	}
	out := make([]attr, 0, len(t.Attr))
	for _, a := range t.Attr {
		from := i
		if i = skipSpace(raw, i); i == from { // without the one in front this one would become a part of the name
			return nil, bad("an attribute without white space in front")
		}
		eq := bytes.IndexByte(raw[i:], '=')
		if eq < 0 {
			return nil, bad("an attribute without a value")
		}
		i = skipSpace(raw, i+eq+1)
		if i >= len(raw) || raw[i] != '"' && raw[i] != '\'' {
			return nil, bad("an attribute without quotes")
		}
		size := bytes.IndexByte(raw[i+1:], raw[i])
		if size < 0 {
			return nil, bad("an attribute without quotes")
		}
		at := attr{from: from, value: i + 1, end: i + 1 + size, name: a.Name.Local, text: a.Value}
		i = at.end + 1
		switch {
		case a.Name.Space == "xmlns" || a.Name.Space == "" && a.Name.Local == "xmlns":
			if _, hits := mask.Detect(nil, []byte(a.Value)); hits > 0 && !open {
				return nil, bad("a namespace that looks like personal data")
			}
			at.fixed, at.space = true, true
		case a.Name.Space == xsiSpace:
			at.fixed = slices.Contains([]string{"type", "nil", "schemaLocation", "noNamespaceSchemaLocation"}, a.Name.Local)
		case a.Name.Space == xmlSpace || a.Name.Space == "xml":
			at.fixed = slices.Contains([]string{"lang", "space", "base", "id"}, a.Name.Local)
		case !plainName(a.Name):
			return nil, bad("a name with colons")
		}
		out = append(out, at)
	}
	if rest := strings.Trim(string(raw[i:]), " \t\r\n/>"); rest != "" {
		return nil, bad("a tag nobody can read")
	}
	return out, nil
}

// twice reports whether two attributes have one name. A tag of a megabyte can have a
// hundred thousand: each is not compared with each of them.
func twice(attrs []xml.Attr) bool {
	if len(attrs) <= 16 {
		for n, a := range attrs {
			if slices.ContainsFunc(attrs[:n], func(b xml.Attr) bool { return a.Name == b.Name }) {
				return true
			}
		}
		return false
	}
	names := make(map[xml.Name]struct{}, len(attrs))
	for _, a := range attrs {
		names[a.Name] = struct{}{}
	}
	return len(names) < len(attrs)
}

// plainName reports whether a local name is one. encoding/xml lets ":a" be a
// local name.
func plainName(n xml.Name) bool { return n.Local != "" && !strings.Contains(n.Local, ":") }

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

func skipSpace(b []byte, i int) int {
	for i < len(b) && isSpace(b[i]) {
		i++
	}
	return i
}

// collect reads the element whose start tag is at hand to its end.
func (u *emitter) collect(t xml.StartElement, raw []byte) (*element, error) {
	root, err := u.opened(t, raw)
	if err != nil {
		return nil, err
	}
	open := []*element{root}
	for len(open) > 0 {
		tok, raw, err := u.m.token()
		if err != nil {
			return nil, err
		}
		in := open[len(open)-1]
		from := len(u.bytes)
		switch t := tok.(type) {
		case xml.StartElement:
			if len(u.m.frames)+len(open) >= maxDepth {
				return nil, bad("too deep")
			}
			el, err := u.opened(t, raw)
			if err != nil {
				return nil, err
			}
			in.kids = append(in.kids, kid{from: from, el: el})
			in.parents = true
			open = append(open, el)
		case xml.EndElement:
			u.bytes = append(u.bytes, raw...)
			in.close, in.end = from, len(u.bytes)
			if open = open[:len(open)-1]; len(open) > 0 {
				kids := open[len(open)-1].kids
				kids[len(kids)-1].to = in.end
			}
		case xml.CharData:
			if n := len(in.kids); n > 0 && in.kids[n-1].text != nil {
				last := &in.kids[n-1]
				u.bytes = joined(u.bytes, t, raw)
				last.to, last.text = len(u.bytes), append(last.text, t...)
				break
			}
			u.bytes = append(u.bytes, raw...)
			in.kids = append(in.kids, kid{from: from, to: len(u.bytes), text: append([]byte{}, t...)})
		case xml.ProcInst:
			if strings.EqualFold(t.Target, "xml") {
				return nil, bad("a declaration in the middle")
			}
			u.remark(raw)
		case xml.Comment:
			u.remark(raw)
		}
		if len(u.bytes) > u.m.lim.Record {
			return nil, &jsonmask.LimitError{What: "size of a record", Limit: u.m.lim.Record}
		}
	}
	return root, nil
}

// opened starts an element of the unit.
func (u *emitter) opened(t xml.StartElement, raw []byte) (*element, error) {
	attrs, err := readAttrs(t, raw, u.m.plan.Open)
	if err != nil {
		return nil, err
	}
	at := len(u.bytes)
	u.bytes = append(u.bytes, raw...)
	for i := range attrs {
		attrs[i].from += at
		attrs[i].value += at
		attrs[i].end += at
	}
	return &element{start: at, open: len(u.bytes), name: t.Name.Local, attrs: attrs}, nil
}
