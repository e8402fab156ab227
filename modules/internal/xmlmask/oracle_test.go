// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package xmlmask

import (
	"encoding/xml"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/crmgate/crmgate/policy/echo"
	"github.com/crmgate/crmgate/policy/mask"
	"github.com/crmgate/crmgate/policy/plan"
)

// The oracle reads a document whole into a tree, says what becomes of every part
// of it, and writes all of it again: a part that stays, as it was written.

type tree struct {
	name       string
	attrs      []xml.Attr
	kids       []branch
	start, end string // as written; end is "" for an empty element tag
	parents    bool
}

// branch is an element, a text, or something else that goes.
type branch struct {
	el   *tree
	text *string
	raw  string
}

// grow reads a body. Of what is broken the tree up to there comes back too.
func grow(body string) (around *tree, err error) {
	d := xml.NewDecoder(strings.NewReader(body))
	around = &tree{}
	open := []*tree{around}
	for at := int64(0); ; {
		tok, err := d.Token()
		if err == io.EOF && len(open) == 1 {
			return around, nil
		}
		if err != nil {
			return around, err
		}
		raw := body[at:d.InputOffset()]
		at = d.InputOffset()
		in := open[len(open)-1]
		switch tok := tok.(type) {
		case xml.StartElement:
			el := &tree{name: tok.Name.Local, attrs: slices.Clone(tok.Attr), start: raw}
			in.kids = append(in.kids, branch{el: el})
			in.parents = true
			open = append(open, el)
		case xml.EndElement:
			in.end = raw
			open = open[:len(open)-1]
		case xml.CharData:
			text := string(tok)
			if n := len(in.kids); n > 0 && in.kids[n-1].text != nil && len(open) > 1 {
				text = *in.kids[n-1].text + text
				raw = oneText(in.kids[n-1].raw, raw, string(tok))
				in.kids = in.kids[:n-1]
			}
			in.kids = append(in.kids, branch{text: &text, raw: raw})
		default:
			if len(open) == 1 {
				in.kids = append(in.kids, branch{raw: raw})
			}
		}
	}
}

// oneText is what two texts become that nothing parts but what goes: as they are written,
// unless that would end a section where none is.
func oneText(before, raw, text string) string {
	if both := before + raw; strings.HasSuffix(before, "]") && (raw[0] == ']' || raw[0] == '>') {
		return both[:len(before)] + string(appendEscaped(nil, []byte(text)))
	}
	return before + raw
}

func (t *tree) text() string {
	out := ""
	for _, k := range t.kids {
		if k.text != nil {
			out += *k.text
		}
	}
	return out
}

// all joins every text within, trimmed, and counts what is found in each alone.
func (t *tree) all() (joined string, hits int) {
	for _, k := range t.kids {
		s := ""
		switch {
		case k.el != nil:
			more, n := k.el.all()
			joined, hits = joined+more, hits+n
			continue
		case k.text != nil:
			s = *k.text
		}
		_, n := mask.Detect(nil, []byte(s))
		joined, hits = joined+strings.TrimSpace(s), hits+n
	}
	return joined, hits
}

type oracle struct {
	p             *plan.Plan
	whole, unit   map[string]int // records kept, by set
	rowed         map[string]bool
	kept, dropped int
	free          int // of the kept
	err           error
	known         echo.Set // values of the units before, and of the one at hand
	learning      bool     // the unit at hand is gone through for them
}

var searched = &plan.Treatment{Effect: plan.Detect}

// runOracle returns what must come out of a body.
func runOracle(p *plan.Plan, body string) (string, error) {
	around, err := grow(strings.TrimPrefix(body, "\xEF\xBB\xBF"))
	if err != nil {
		return "", err
	}
	o := &oracle{p: p, whole: map[string]int{}, rowed: map[string]bool{}}
	findRows(p.Root, o.rowed, map[*plan.Node]bool{})
	root := p.Root
	if root == nil {
		root = &plan.Node{}
	}
	out := ""
	for _, k := range around.kids {
		switch {
		case k.el != nil:
			out += o.frame(k.el, root, p.Fallback, true)
		case k.text != nil || declares(k.raw):
			out += k.raw
		}
	}
	for set, n := range o.whole {
		out = strings.ReplaceAll(out, "\x00"+set+"\x00", fmt.Sprint(n))
	}
	out = regexp.MustCompile("\x00[^\x00]*\x00").ReplaceAllString(out, "0")
	if p.NotFound != nil && o.dropped > 0 && o.kept == 0 {
		return "", fmt.Errorf("the oracle sees no record")
	}
	return out, o.err
}

// declares says that something is the declaration of a document.
func declares(raw string) bool {
	return strings.HasPrefix(raw, "<?xml") && strings.Contains(" \t\r\n?", raw[5:6])
}

func (o *oracle) fail(what string) string {
	o.err = fmt.Errorf("the oracle: %s", what)
	return ""
}

func (o *oracle) named(ent *plan.Entity, name string) *plan.Treatment {
	if t := ent.Fields[fold(name)]; t != nil {
		return t
	}
	_, hits := mask.Detect(nil, []byte(name))
	if ent.Unknown == nil || ent.Unknown.Effect == plan.Detect && hits > 0 {
		return &plan.Treatment{Effect: plan.Hide}
	}
	return ent.Unknown
}

// odd says that a name goes since it is personal data.
func (o *oracle) odd(ent *plan.Entity, name string) bool {
	_, hits := mask.Detect(nil, []byte(name))
	return ent.Fields[fold(name)] == nil && ent.Unknown != nil && ent.Unknown.Effect == plan.Detect && hits > 0
}

func (o *oracle) unnamed(ent *plan.Entity) *plan.Treatment {
	switch {
	case ent.Unknown == nil:
		return &plan.Treatment{Effect: plan.Hide}
	case ent.Unknown.Effect == plan.Show:
		return searched
	}
	return ent.Unknown
}

// value is what becomes of a text. same is false where it is written anew.
func (o *oracle) value(text string, t *plan.Treatment) (out string, same bool) {
	if o.learning && t.Effect >= plan.Mask {
		o.known.Add([]byte(text), t.Mask, t.Effect == plan.Hide)
	}
	switch {
	case t.Effect == plan.Hide:
		return "", false
	case t.Effect == plan.Mask && text != "":
		return string(t.Mask.AppendString(nil, text)), false
	case t.Effect == plan.Detect:
		b, n := o.known.Search(nil, []byte(text))
		return string(b), n == 0
	}
	return text, true
}

var escaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&#34;", "'", "&#39;", "\r", "&#13;")

func (o *oracle) written(text, raw string, t *plan.Treatment) string {
	out, same := o.value(text, t)
	if same {
		return raw
	}
	return escaper.Replace(out)
}

var attrForm = regexp.MustCompile(`[ \t\r\n]*[^ \t\r\n=]+[ \t\r\n]*=[ \t\r\n]*(?:"[^"]*"|'[^']*')`)

// tag writes a start tag anew with what keep says of every attribute: its text as
// it is to be written, or that it goes.
func (o *oracle) tag(el *tree, keep func(i int, a xml.Attr, raw string) (string, bool)) string {
	head := regexp.MustCompile(`^<[^ \t\r\n/>]+`).FindString(el.start)
	rest, out := el.start[len(head):], head
	for i, a := range el.attrs {
		raw := attrForm.FindString(rest)
		rest = strings.TrimPrefix(rest, raw)
		quote := raw[len(raw)-1:]
		from := strings.Index(raw, quote) + 1
		if text, stays := keep(i, a, raw[from:len(raw)-1]); stays {
			out += raw[:from] + text + quote
		}
	}
	return out + rest
}

// isSpaceOf says that an attribute declares a namespace.
func isSpaceOf(a xml.Attr) bool {
	return a.Name.Space == "xmlns" || a.Name.Space == "" && a.Name.Local == "xmlns"
}

// fixed says that an attribute tells how an element is read.
func fixed(a xml.Attr) bool {
	switch a.Name.Space {
	case "xmlns":
		return true
	case "":
		return a.Name.Local == "xmlns"
	case "http://www.w3.org/2001/XMLSchema-instance":
		return slices.Contains(strings.Fields("type nil schemaLocation noNamespaceSchemaLocation"), a.Name.Local)
	case "http://www.w3.org/XML/1998/namespace", "xml":
		return slices.Contains(strings.Fields("lang space base id"), a.Name.Local)
	}
	return false
}

// open writes the start tag of an element that holds fields, or is one.
func (o *oracle) open(el *tree, ent *plan.Entity, floor plan.Effect, n *plan.Node, field *plan.Treatment) string {
	return o.tag(el, func(_ int, a xml.Attr, raw string) (string, bool) {
		t := o.named(ent, a.Name.Local)
		switch {
		case isSpaceOf(a):
			return raw, true
		case n != nil && o.isAside(n.Members[fold(a.Name.Local)], ent, a.Name.Local):
			return o.aside(a.Value, raw, n.Members[fold(a.Name.Local)], ent), true
		case fixed(a):
			t = searched
		case n != nil && n.Members[fold(a.Name.Local)] != nil && n.Members[fold(a.Name.Local)].Total != "":
			return o.count(a.Value, raw, n.Members[fold(a.Name.Local)].Total), true
		case field != nil && t.Effect < field.Effect:
			t = field
		}
		if t.Effect < floor {
			t = &plan.Treatment{Effect: floor}
		}
		return o.written(a.Value, raw, t), t.Effect != plan.Hide
	})
}

// count is a total as it is written, or the place of one.
func (o *oracle) count(text, raw, set string) string {
	if strings.Trim(strings.TrimSpace(text), "0123456789") != "" {
		return o.fail("a total that is no number")
	}
	if o.rowed[set] {
		return "\x00" + set + "\x00"
	}
	return raw
}

// frame is an element that stands in nothing but declared ones.
func (o *oracle) frame(el *tree, in *plan.Node, ent *plan.Entity, whole bool) string {
	if in.Entity != nil {
		ent = in.Entity
	}
	n := in.Members[fold(el.name)]
	if f := ent.Fields[fold(el.name)]; n == nil && !o.odd(ent, el.name) && (f == nil || f.Field == "" || f.Effect < plan.Mask) {
		n = in.Elements
	}
	if n != nil && o.stays(n, ent, el.name) {
		n = nil
	}
	if whole && n == nil && len(o.rowed) > 0 {
		return o.fail("another document")
	}
	if n == nil || special(n) || n.Members == nil && n.Elements == nil {
		o.unit = map[string]int{}
		o.learn(func() { o.element(el, n, ent, whole) })
		out := o.element(el, n, ent, whole)
		if n == nil || n.Total == "" {
			out = regexp.MustCompile("\x00([^\x00]*)\x00").ReplaceAllStringFunc(out, func(s string) string {
				return fmt.Sprint(o.unit[strings.Trim(s, "\x00")])
			})
		}
		return out
	}
	if n.Entity != nil {
		ent = n.Entity
	}
	o.learn(func() { o.open(el, ent, plan.Show, n, nil) })
	out := o.open(el, ent, plan.Show, n, nil)
	for _, k := range el.kids {
		switch {
		case k.el != nil:
			out += o.frame(k.el, n, ent, false)
		case k.text == nil:
		case strings.TrimSpace(*k.text) == "":
			out += k.raw
		default:
			o.learn(func() { o.written(*k.text, k.raw, o.unnamed(ent)) })
			out += o.written(*k.text, k.raw, o.unnamed(ent))
		}
	}
	return out + el.end
}

func special(n *plan.Node) bool {
	return n.Record != nil || n.Pairs != nil || n.Fields || n.Matrix != nil || n.Total != "" || n.Link || n.Cursor
}
