// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package saml

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/beevik/etree"
	xrv "github.com/mattermost/xml-roundtrip-validator"
)

// The namespaces this package reads.
const (
	nsProtocol  = "urn:oasis:names:tc:SAML:2.0:protocol"
	nsAssertion = "urn:oasis:names:tc:SAML:2.0:assertion"
	nsMetadata  = "urn:oasis:names:tc:SAML:2.0:metadata"
	nsSignature = "http://www.w3.org/2000/09/xmldsig#"
	nsEncrypt   = "http://www.w3.org/2001/04/xmlenc#"
	nsEncrypt11 = "http://www.w3.org/2009/xmlenc11#"
)

// bounds of a document. goxmldsig gives up beyond 1000 elements.
type bounds struct {
	bytes, elements, depth, attributes int
	comments                           bool // taken, and dropped
}

var (
	messageBounds  = bounds{bytes: MaxMessage, elements: 1000, depth: 32, attributes: 32}
	metadataBounds = bounds{bytes: MaxMetadata, elements: 20000, depth: 64, attributes: 64, comments: true}
)

// What is read at most, decoded.
const (
	MaxMessage  = 256 << 10
	MaxMetadata = 2 << 20
)

// declaration is the only processing instruction a document may hold, in front.
var declaration = regexp.MustCompile(`^(?:\xef\xbb\xbf)?<\?xml\s+version\s*=\s*["']1\.0["'](?:\s+encoding\s*=\s*["'](?i:utf-8)["'])?(?:\s+standalone\s*=\s*["'](?:yes|no)["'])?\s*\?>`)

// parse makes a tree of hostile bytes. Before any tree is made it is known that
// they are UTF-8, hold no document type, and read the same whoever reads them.
func parse(b []byte, lim bounds) (*etree.Element, error) {
	switch {
	case len(b) == 0:
		return nil, errors.New("it is empty")
	case len(b) > lim.bytes:
		return nil, fmt.Errorf("it is larger than %d bytes", lim.bytes)
	case !utf8.Valid(b) || bytes.IndexByte(b, 0) >= 0:
		return nil, errors.New("it is not UTF-8")
	}
	b = b[len(declaration.Find(b)):]
	if err := checkMarkup(b, lim); err != nil {
		return nil, err
	}
	if err := xrv.Validate(bytes.NewReader(b)); err != nil {
		return nil, errors.New("it reads differently when it is written again")
	}
	if err := checkTokens(b, lim); err != nil {
		return nil, err
	}
	doc := etree.NewDocument()
	doc.ReadSettings = etree.ReadSettings{ValidateInput: true}
	if err := doc.ReadFromBytes(b); err != nil {
		return nil, errors.New("it is not well-formed XML")
	}
	var root *etree.Element
	for _, t := range doc.Child {
		switch t := t.(type) {
		case *etree.Element:
			if root != nil {
				return nil, errors.New("it has more than one root")
			}
			root = t
		case *etree.CharData:
			if !t.IsWhitespace() {
				return nil, errors.New("it has text outside of its root")
			}
		case *etree.Comment:
		default:
			return nil, errors.New("it has more than a root")
		}
	}
	if root == nil {
		return nil, errors.New("it has no root")
	}
	return root, nil
}

// checkMarkup refuses document types, entities, CDATA, comments and processing
// instructions by their first two bytes, which can stand for nothing else in XML.
func checkMarkup(b []byte, lim bounds) error {
	for rest := b; ; {
		i := bytes.IndexByte(rest, '<')
		if i < 0 || i+1 >= len(rest) {
			return nil
		}
		rest = rest[i:]
		switch {
		case rest[1] == '?':
			return errors.New("it holds a processing instruction")
		case rest[1] == '!' && bytes.HasPrefix(rest, []byte("<!--")):
			end := bytes.Index(rest[4:], []byte("-->"))
			if !lim.comments || end < 0 {
				return errors.New("it holds a comment")
			}
			rest = rest[4+end:]
		case rest[1] == '!':
			return errors.New("it holds a document type, an entity or CDATA")
		}
		rest = rest[1:]
	}
}

func checkTokens(b []byte, lim bounds) error {
	d := xml.NewDecoder(bytes.NewReader(b)) //nolint:gosec // tokens only, counted and bounded
	depth, elements := 0, 0
	for {
		t, err := d.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return errors.New("it is not well-formed XML")
		}
		switch t := t.(type) {
		case xml.StartElement:
			depth++
			elements++
			if depth > lim.depth || elements > lim.elements || len(t.Attr) > lim.attributes {
				return errors.New("it is nested too deep, or has too many elements or attributes")
			}
			seen := map[xml.Name]bool{}
			for _, a := range t.Attr {
				if seen[a.Name] {
					return errors.New("it has an attribute twice")
				}
				seen[a.Name] = true
			}
		case xml.EndElement:
			depth--
		}
	}
}

func is(el *etree.Element, ns, tag string) bool {
	return el != nil && el.Tag == tag && el.NamespaceURI() == ns
}

// all are the children of one name.
func all(el *etree.Element, ns, tag string) []*etree.Element {
	var out []*etree.Element
	if el == nil {
		return nil
	}
	for _, c := range el.ChildElements() {
		if is(c, ns, tag) {
			out = append(out, c)
		}
	}
	return out
}

// one is the only child of a name, or nil. Several are refused by layout before.
func one(el *etree.Element, ns, tag string) *etree.Element {
	if c := all(el, ns, tag); len(c) == 1 {
		return c[0]
	}
	return nil
}

// attr is an attribute without a prefix.
func attr(el *etree.Element, key string) string {
	if el != nil {
		for _, a := range el.Attr {
			if a.Space == "" && a.Key == key {
				return a.Value
			}
		}
	}
	return ""
}

// text is what stands in an element that holds nothing but text, without white
// space around it.
func text(el *etree.Element) (string, error) {
	if el == nil {
		return "", nil
	}
	var out strings.Builder
	for _, c := range el.Child {
		cd, ok := c.(*etree.CharData)
		if !ok {
			return "", fmt.Errorf("%s holds more than text", el.Tag)
		}
		out.WriteString(cd.Data)
	}
	return strings.TrimSpace(out.String()), nil
}

// instant reads a time; the zero time when it is absent.
func instant(el *etree.Element, key string) (time.Time, error) {
	v := attr(el, key)
	if v == "" {
		return time.Time{}, nil
	}
	for _, layout := range [...]string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999"} {
		if t, err := time.Parse(layout, v); err == nil && t.Year() >= 1970 && t.Year() < 10000 {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%s is no time", key)
}
