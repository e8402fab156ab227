// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package xlsxmask

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/crmgate/crmgate/modules/internal/jsonmask"
)

// space is a namespace, as far as anybody asks for it.
type space uint8

const (
	noSpace space = iota
	otherSpace
	sheetSpace // of worksheets and workbooks, of both editions
	linkSpace  // of the ids of relationships, of both editions
	relsSpace  // of the parts with relationships
)

// The namespaces' names.
const (
	mainSpace    = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
	mainStrict   = "http://purl.oclc.org/ooxml/spreadsheetml/main"
	relSpace     = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
	relStrict    = "http://purl.oclc.org/ooxml/officeDocument/relationships"
	packageSpace = "http://schemas.openxmlformats.org/package/2006/relationships"
	contentSpace = "http://schemas.openxmlformats.org/package/2006/content-types"
	xmlSpace     = "http://www.w3.org/XML/1998/namespace"

	contentPrefix = "application/vnd.openxmlformats-officedocument.spreadsheetml." // of the types of parts
)

var spaces = map[string]space{"": noSpace, mainSpace: sheetSpace, mainStrict: sheetSpace, relSpace: linkSpace, relStrict: linkSpace, packageSpace: relsSpace}

// binding is a prefix that is declared.
type binding struct {
	prefix, uri string
	space       space
}

// attribute is one of the element at hand.
type attribute struct {
	prefix, local, value []byte
	space                space
	uri                  string
}

// What a byte may be in a name: the start of one, or within one.
const (
	nameStart = 1 << iota
	nameByte
)

var classes = func() (c [256]uint8) {
	for b := range c {
		switch {
		case b >= 'a' && b <= 'z', b >= 'A' && b <= 'Z', b == '_':
			c[b] = nameStart | nameByte
		case b >= '0' && b <= '9', b == '-', b == '.':
			c[b] = nameByte
		}
	}
	return c
}()

func white(c byte) bool { return c == ' ' || c == '\n' || c == '\t' || c == '\r' }

func skipWhite(b []byte, i int) int {
	for i < len(b) && white(b[i]) {
		i++
	}
	return i
}

// readName reads a name with or without a prefix, and returns where it ends: at the
// end of b more of it may follow, and 0 is no name.
func readName(b []byte, i int) (prefix, local []byte, end int) {
	from := i
	for {
		if i < len(b) && classes[b[i]]&nameStart == 0 {
			return nil, nil, 0
		}
		start := i
		for i < len(b) && classes[b[i]]&nameByte != 0 {
			i++
		}
		if local = b[start:i]; i == len(b) || b[i] != ':' {
			return prefix, local, i
		}
		if start != from {
			return nil, nil, 0 // a second colon
		}
		prefix = local
		i++
	}
}

// startTag reads a start tag.
func (s *scanner) startTag(b []byte) (token, int, error) {
	prefix, local, i := readName(b, 1)
	if i == 0 {
		return 0, 0, errBroken
	}
	n, err := s.attributes(b, i)
	if n == 0 || err != nil {
		return 0, 0, err
	}
	empty := false
	if b[n] == '/' {
		if empty = true; n+1 == len(b) {
			return 0, 0, nil
		}
		n++
	}
	if b[n] != '>' {
		return 0, 0, errBroken
	}
	switch {
	case len(s.open) == 0 && s.root:
		return 0, 0, errRoots
	case len(s.open) == maxDepth:
		return 0, 0, errDeep
	}
	s.root = true
	s.open = append(s.open, open{len(s.names), len(s.bound), s.usual})
	s.names = append(s.names, b[1:i]...)
	s.local, s.empty = local, empty
	return startTag, n + 1, s.resolve(prefix)
}

// attributes reads attributes from b[i] on, and returns where they end: at
// something else than a name. 0 says that more is needed.
func (s *scanner) attributes(b []byte, i int) (int, error) {
	s.attrs, s.decoded = s.attrs[:0], s.decoded[:0]
	for {
		from := i
		if i = skipWhite(b, i); i == len(b) {
			return 0, nil
		}
		if c := b[i]; c == '>' || c == '/' || c == '?' {
			return i, nil
		}
		if i == from {
			return 0, errBroken
		}
		if len(s.attrs) == maxAttrs {
			return 0, &jsonmask.LimitError{What: "attributes of an element", Limit: maxAttrs}
		}
		a := attribute{}
		if a.prefix, a.local, i = readName(b, i); i == 0 {
			return 0, errBroken
		}
		if i = skipWhite(b, i); i == len(b) {
			return 0, nil
		}
		if b[i] != '=' {
			return 0, errBroken
		}
		if i = skipWhite(b, i+1); i == len(b) {
			return 0, nil
		}
		quote := b[i]
		if quote != '"' && quote != '\'' {
			return 0, errBroken
		}
		i++
		from = i
		plain := true
		for i < len(b) && b[i] != quote {
			switch b[i] {
			case '<':
				return 0, errBroken
			case '&', '\r':
				plain = false
			}
			i++
		}
		if i == len(b) {
			return 0, nil
		}
		if a.value = b[from:i]; !plain {
			var err error
			if a.value, err = s.decode(a.value, true); err != nil {
				return 0, err
			}
		}
		i++
		s.attrs = append(s.attrs, a)
	}
}

// resolve notes the prefixes that the element at hand declares, and finds the
// namespaces of its name and attributes.
func (s *scanner) resolve(prefix []byte) error {
	prefixed := false
	for i := range s.attrs {
		a := &s.attrs[i]
		switch {
		case a.prefix == nil && string(a.local) != "xmlns":
		case a.prefix == nil:
			s.usual = spaceOf(string(a.value))
		case string(a.prefix) == "xmlns":
			if string(a.local) == "xml" || string(a.local) == "xmlns" || len(a.value) == 0 {
				return errBroken
			}
			uri := string(a.value)
			s.bound = append(s.bound, binding{string(a.local), uri, spaceOf(uri)})
		default:
			prefixed = true
		}
	}
	s.space = s.usual
	if prefix != nil {
		b, err := s.binding(prefix)
		if err != nil {
			return err
		}
		s.space = b.space
	}
	if prefixed {
		for i := range s.attrs {
			a := &s.attrs[i]
			if a.prefix == nil || string(a.prefix) == "xmlns" {
				continue
			}
			b, err := s.binding(a.prefix)
			if err != nil {
				return err
			}
			a.space, a.uri = b.space, b.uri
		}
	}
	return s.unique()
}

func spaceOf(uri string) space {
	if sp, there := spaces[uri]; there {
		return sp
	}
	return otherSpace
}

// binding finds what a prefix stands for.
func (s *scanner) binding(prefix []byte) (binding, error) {
	for _, b := range slices.Backward(s.bound) {
		if b.prefix == string(prefix) {
			return b, nil
		}
	}
	if string(prefix) == "xml" {
		return binding{"xml", xmlSpace, otherSpace}, nil
	}
	return binding{}, bad("a name with a prefix that is not declared")
}

// unique refuses two attributes of one name, of which programs take the one or
// the other.
func (s *scanner) unique() error {
	for i := 1; i < len(s.attrs); i++ {
		a := &s.attrs[i]
		for j := range s.attrs[:i] {
			b := &s.attrs[j]
			if string(a.local) == string(b.local) && a.uri == b.uri && (string(a.prefix) == string(b.prefix) || a.uri != "") {
				return bad("an element with two attributes of one name")
			}
		}
	}
	return nil
}

// endTag reads an end tag, which must be of the element that was opened last.
func (s *scanner) endTag(b []byte) (token, int, error) {
	if len(s.open) == 0 {
		return 0, 0, errBroken
	}
	own := s.names[s.open[len(s.open)-1].name:]
	n := 2 + len(own)
	if len(b) <= n {
		if !bytes.HasPrefix(own, b[2:min(n, len(b))]) {
			return 0, 0, errBroken
		}
		return 0, 0, nil
	}
	if string(b[2:n]) != string(own) {
		return 0, 0, errBroken
	}
	if n = skipWhite(b, n); n == len(b) {
		return 0, 0, nil
	}
	if b[n] != '>' {
		return 0, 0, errBroken
	}
	s.pop()
	return endTag, n + 1, nil
}

// pop closes the element that was opened last.
func (s *scanner) pop() {
	o := s.open[len(s.open)-1]
	s.open, s.names, s.bound, s.usual = s.open[:len(s.open)-1], s.names[:o.name], s.bound[:o.bound], o.usual
}

// declaration reads the declaration a part may start with. Other instructions
// are for some programs and not for others.
func (s *scanner) declaration(b []byte) (int, error) {
	const start = "<?xml"
	if len(b) <= len(start) && strings.HasPrefix(start, string(b)) {
		return 0, nil
	}
	if s.past || !bytes.HasPrefix(b, []byte(start)) || !white(b[len(start)]) {
		return 0, errProcInst
	}
	n, err := s.attributes(b, len(start))
	if n == 0 || err != nil || n+1 == len(b) {
		return 0, err
	}
	if b[n] != '?' || b[n+1] != '>' {
		return 0, errBroken
	}
	order := []string{"version", "encoding", "standalone"}
	for i, a := range s.attrs {
		for len(order) > 0 && i > 0 && order[0] != string(a.local) {
			order = order[1:]
		}
		if len(order) == 0 || order[0] != string(a.local) || a.prefix != nil {
			return 0, errBroken
		}
		order = order[1:]
		ok := false
		switch v := string(a.value); string(a.local) {
		case "version":
			ok = v == "1.0"
		case "encoding":
			ok = strings.EqualFold(v, "utf-8")
		case "standalone":
			ok = v == "yes" || v == "no"
		}
		if !ok {
			return 0, errBroken
		}
	}
	if len(s.attrs) == 0 {
		return 0, errBroken
	}
	return n + 2, nil
}

// entities are those that every document has.
var entities = map[string]byte{"lt": '<', "gt": '>', "amp": '&', "quot": '"', "apos": '\''}

// decode returns text as it is meant: with one kind of line end, and where
// references says so the characters that are referred to.
func (s *scanner) decode(b []byte, references bool) ([]byte, error) {
	from := len(s.decoded)
	out := s.decoded
	for i := 0; i < len(b); i++ {
		switch {
		case b[i] == '\r':
			if out = append(out, '\n'); i+1 < len(b) && b[i+1] == '\n' {
				i++
			}
		case b[i] == '&' && references:
			n := bytes.IndexByte(b[i:min(len(b), i+16)], ';')
			if n < 0 {
				return nil, errBroken
			}
			r, ok := referred(string(b[i+1 : i+n]))
			if !ok {
				return nil, errBroken
			}
			out = utf8.AppendRune(out, r)
			i += n
		default:
			out = append(out, b[i])
		}
	}
	s.decoded = out
	return out[from:len(out):len(out)], nil
}

// referred returns the character that a reference names.
func referred(name string) (rune, bool) {
	number, numbered := strings.CutPrefix(name, "#")
	if !numbered {
		c, there := entities[name]
		return rune(c), there
	}
	base := 10
	if hex, ok := strings.CutPrefix(number, "x"); ok {
		number, base = hex, 16
	}
	n, err := strconv.ParseUint(number, base, 31)
	r := rune(n)
	if err != nil || !utf8.ValidRune(r) || r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF {
		return 0, false
	}
	return r, true
}
