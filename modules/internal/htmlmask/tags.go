// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package htmlmask

import (
	"bytes"
	"encoding/hex"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/html"

	"github.com/crmgate/crmgate/modules/internal/coding"
	"github.com/crmgate/crmgate/modules/internal/jsonmask"
	"github.com/crmgate/crmgate/modules/internal/textmask"
	"github.com/crmgate/crmgate/policy/mask"
	"github.com/crmgate/crmgate/policy/plan"
)

func set(words string) map[string]bool {
	out := map[string]bool{}
	for w := range strings.FieldsSeq(words) {
		out[w] = true
	}
	return out
}

var (
	// inline are the elements of a sentence.
	inline = set("a abbr b bdi bdo big cite code data del dfn em font i ins kbd label mark nobr q s samp small span strike strong sub sup time tt u var wbr")

	// parting are the elements that part a sentence beside blocks, see mask.Block: boxes of
	// their own, drawings, and raw text that is shown elsewhere or not to all. All others do not,
	// those that nobody knows among them.
	parting = set(`audio button canvas center datalist dialog dir embed frame frameset hgroup iframe legend listing marquee math menu meter noembed noframes noscript
		object optgroup plaintext progress search svg textarea video xmp`)

	// together are those that part nothing within a drawing.
	together = set("a tspan textpath")

	// voids are the elements that hold nothing.
	voids = set("area base br col embed hr img input link meta param source track wbr")

	// raws are the elements whose text is not read for tags.
	raws = set("script style textarea title xmp iframe noembed noframes noscript plaintext")

	// harmless are the attributes that stay on an element that is masked.
	harmless = set("id class style role type name for dir lang colspan rowspan scope align width height hidden disabled readonly required checked selected tabindex")
)

type attr struct{ name, value string }

// start takes a start tag.
func (m *Masker) start(raw []byte, selfClosing bool) error {
	name, more := m.z.TagName()
	tag := string(name)
	var attrs []attr
	for more {
		var k, v []byte
		k, v, more = m.z.TagAttr()
		attrs = append(attrs, attr{string(k), string(v)})
	}
	if m.claimed.name != "" {
		claims := m.claims(tag, attrs)
		m.rememberAttrs(attrs, claims, true)
		m.claimed.start(tag, slices.ContainsFunc(claims, hides), selfClosing)
		if raws[tag] {
			m.raw = tag
		}
		return nil
	}
	if tag == "meta" {
		if err := m.declared(attrs); err != nil {
			return err
		}
	}
	if m.drawing.name != "" && selfClosing {
		if raws[tag] {
			return bad("raw text within a drawing") // x/net reads on for an end that a browser does not need
		}
	} else {
		m.enter(tag)
	}
	empty := voids[tag] && (m.drawing.name == "" || selfClosing) // a void element may hold something in a drawing
	claims := m.claims(tag, attrs)
	out, changed := m.attrs(attrs, claims)
	if changed || countAttrs(raw[1+len(tag):]) != len(attrs) { // the second of a name is one that nobody reads
		raw = write(tag, out, selfClosing)
	}
	m.tag(tag, raw)
	if raws[tag] {
		m.raw = tag
	}
	for _, c := range claims {
		switch {
		case c.JSON:
			m.script = c
		case hides(c) && !empty && m.claimed.name == "":
			m.flush()
			m.claimed.open(tag)
			m.claim = c
		case c.In == "" && m.claimed.name != "" && c.Treat.Effect > m.claim.Treat.Effect:
			m.claim = c
		}
	}
	return nil
}

// hides reports whether a place holds a text that is not shown.
func hides(e *plan.Element) bool { return !e.JSON && e.In == "" && e.Treat.Effect >= plan.Mask }

// claims returns the places of the plan that an element is.
func (m *Masker) claims(tag string, attrs []attr) []*plan.Element {
	var out []*plan.Element
	for _, e := range m.plan.Elements {
		if matches(e, tag, attrs) {
			out = append(out, e)
		}
	}
	return out
}

func matches(e *plan.Element, tag string, attrs []attr) bool {
	if e.Tag != "" && e.Tag != tag {
		return false
	}
	get := func(name string, is func(string) bool) bool {
		return slices.ContainsFunc(attrs, func(a attr) bool { return a.name == name && is(a.value) })
	}
	if e.ID != "" && !get("id", func(v string) bool { return v == e.ID }) {
		return false
	}
	for _, c := range e.Classes {
		if !get("class", func(v string) bool { return slices.Contains(strings.Fields(v), c) }) {
			return false
		}
	}
	for name, want := range e.Attrs {
		if !get(name, func(v string) bool { return want == "" || v == want }) {
			return false
		}
	}
	return true
}

// attrs treats the attributes of an element. A masked element keeps those alone
// that say how it looks and what it is.
func (m *Masker) attrs(attrs []attr, claims []*plan.Element) (out []attr, changed bool) {
	bare := slices.ContainsFunc(claims, func(c *plan.Element) bool { return !c.JSON && c.Treat.Effect >= plan.Mask })
	m.rememberAttrs(attrs, claims, bare)
	for _, a := range attrs {
		t, ent := textmask.Searched, textmask.Closed
		selects := false
		for _, c := range claims {
			_, named := c.Attrs[a.name]
			selects = selects || named
			if !c.JSON && c.In == a.name && (t == textmask.Searched || c.Treat.Effect > t.Effect) {
				t, ent = c.Treat, c.Entity
			}
		}
		switch {
		case a.name == "srcdoc", personalText([]byte(a.name)), strings.HasPrefix(strings.ToLower(strings.TrimSpace(a.value)), "data:") && !strings.HasPrefix(strings.ToLower(strings.TrimSpace(a.value)), "data:image/"):
			changed = true
			continue
		case bare && t == textmask.Searched && !harmless[a.name] && !selects:
			changed = true
			continue
		}
		value, v := m.judge.Text(nil, []byte(a.value), t, ent)
		switch {
		case v == textmask.Hidden:
			changed = true
			continue
		case v == textmask.Changed:
			changed = true
			a.value = string(value)
		case t == textmask.Searched && m.suspicious([]byte(a.value)):
			changed = true
			a.value = mask.FullText
		}
		out = append(out, a)
	}
	return out, changed
}

// countAttrs counts the attributes of a tag behind its name, as the HTML standard
// reads them (13.2.5.32 and on).
func countAttrs(b []byte) int {
	n := 0
	skip := func(also string) { b = bytes.TrimLeft(b, " \t\r\n\f"+also) }
	upTo := func(stops string) {
		if i := bytes.IndexAny(b, stops); i >= 0 {
			b = b[i:]
		} else {
			b = nil
		}
	}
	for {
		skip("/")
		if len(b) == 0 || b[0] == '>' {
			return n
		}
		n++
		if b = b[1:]; len(b) > 0 { // a name may start with =
			upTo(" \t\r\n\f/>=")
		}
		skip("")
		if len(b) == 0 || b[0] != '=' {
			continue
		}
		b = b[1:]
		skip("")
		if len(b) > 0 && (b[0] == '"' || b[0] == '\'') {
			quote := string(b[:1])
			b = b[1:]
			upTo(quote)
			b = bytes.TrimPrefix(b, []byte(quote))
			continue
		}
		upTo(" \t\r\n\f>")
	}
}

// write writes a start tag anew.
func write(tag string, attrs []attr, selfClosing bool) []byte {
	b := append([]byte("<"), tag...)
	for _, a := range attrs {
		b = append(append(b, ' '), a.name...)
		b = append(append(append(b, `="`...), html.EscapeString(a.value)...), '"')
	}
	if selfClosing {
		b = append(b, " /"...)
	}
	return append(b, '>')
}

// declared refuses a page whose meta element names another charset than it came in.
func (m *Masker) declared(attrs []attr) error {
	for _, a := range attrs {
		name, names := a.value, a.name == "charset"
		if a.name == "content" {
			name, names = charsetIn(a.value)
		}
		if !names {
			continue
		}
		if charset, err := coding.CharsetNamed(name); err != nil || charset != m.charset {
			return bad("a page that declares another encoding than it came in")
		}
	}
	return nil
}

// blanks are what HTML calls ASCII whitespace.
const blanks = "\t\n\f\r "

// charsetIn finds the charset in the content of a meta element as browsers do (HTML,
// "extracting a character encoding from a meta element").
func charsetIn(content string) (name string, found bool) {
	content = strings.ToLower(content)
	for {
		_, behind, more := strings.Cut(content, "charset")
		if !more {
			return "", false
		}
		content = behind
		value, is := strings.CutPrefix(strings.TrimLeft(behind, blanks), "=")
		if !is {
			continue
		}
		value = strings.TrimLeft(value, blanks)
		if value != "" && (value[0] == '"' || value[0] == '\'') {
			if quoted, _, ends := strings.Cut(value[1:], value[:1]); ends {
				return quoted, true
			}
			return value, true // no charset for browsers, and none we know
		}
		if i := strings.IndexAny(value, blanks+";"); i >= 0 {
			value = value[:i]
		}
		return value, true
	}
}

// escapes are those of scripts, of URLs and of style sheets.
var escapes = regexp.MustCompile(`\\u\{?0*[0-9a-fA-F]{2,4}\}?|\\x[0-9a-fA-F]{2}|%[0-9a-fA-F]{2}|\\0{0,4}[0-9a-fA-F]{2} ?`)

// found reports whether a text looks like personal data, or holds a value that is known.
func (m *Masker) found(b []byte) bool {
	return personalText(b) || len(m.judge.Known().Finds(b)) > 0
}

// personalText reports whether a text looks like personal data.
func personalText(b []byte) bool {
	_, hits := mask.Detect(nil, b)
	return hits > 0
}

// suspicious reports whether a script, a style or an attribute holds what looks
// like personal data, or a value that is known, as it stands or with its escapes undone.
func (m *Masker) suspicious(b []byte) bool {
	if m.found(b) {
		return true
	}
	if !bytes.ContainsAny(b, `\%`) {
		return false
	}
	return m.found(escapes.ReplaceAllFunc(b, func(e []byte) []byte {
		digits := strings.Trim(strings.TrimLeft(string(e), `\ux%{`), "} ")
		if len(digits) == 2 {
			if raw, err := hex.DecodeString(digits); err == nil {
				return raw
			}
		}
		n, err := strconv.ParseUint(digits, 16, 32)
		if err != nil {
			return e
		}
		return []byte(string(rune(n)))
	}))
}

// assigned is what may stand in front of the document in a script.
var assigned = regexp.MustCompile(`^[\s\w$.=]*$`)

// document rewrites a script that holds JSON.
func (m *Masker) document(raw []byte) error {
	from, to := bytes.IndexAny(raw, "{["), bytes.LastIndexAny(raw, "}]")+1
	if from < 0 || to <= from || !assigned.Match(raw[:from]) || len(bytes.Trim(raw[to:], " \t\r\n;")) > 0 || m.suspicious(raw[:from]) {
		return bad("a script that is not the JSON that was declared")
	}
	doc := jsonmask.New(&plan.Plan{Root: &plan.Node{}, Fallback: m.script.Entity}, m.judge.Viewer, m.judge.Limits)
	out, err := doc.Append(nil, raw[from:to])
	if err != nil {
		return err
	}
	m.judge.Add(doc.Stats())
	if !bytes.Equal(out, raw[from:to]) { // a text written anew may hold what ends a script
		out = bytes.ReplaceAll(out, []byte("<"), []byte(`\u003c`))
	}
	m.aside(slices.Concat(raw[:from], out, raw[to:]), false)
	return nil
}
