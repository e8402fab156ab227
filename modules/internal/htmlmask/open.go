// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package htmlmask

import (
	"bytes"
	"slices"
)

// span is an element that is open, and those within it that decide whether an end
// tag counts: browsers ignore </b> where a table is open in it, and </span> where
// a div is (HTML standard, 13.2.6.4.7). Where they might ignore one it is ignored
// here, so that an element ends too late rather than too soon.
type span struct {
	name string // "" when none is open
	in   []inner
	lost bool // too deep, or too much to look for: it does not end any more

	tags, steps int // read within spans of the page, and open elements looked at for their ends
}

// inner is an element that is open within another. Of a claimed one browsers may
// have taken the start for the end of what is around it: its own end has to come.
type inner struct {
	name    string
	claimed bool
	drawing string // what of drawn it stands in, or is
}

const maxNested = 1000

// A page of end tags that end nothing may have all that is open looked at for each of
// them: patience is how many elements are looked at for a tag on the average, beyond as
// many as any page may take.
const (
	patience = 16
	anyPage  = 1 << 18
)

var (
	// special are the elements that end tags of ordinary ones do not reach across.
	special = set(`address applet article aside blockquote body button caption center colgroup dd details dir div dl dt fieldset figcaption figure footer form
		frameset h1 h2 h3 h4 h5 h6 head header hgroup html iframe li listing main marquee menu nav noembed noframes noscript object ol p plaintext pre script
		search section select style summary table tbody td template textarea tfoot th thead title tr ul xmp
		svg math foreignobject desc annotation-xml mi mo mn ms mtext`)

	// drawn are those of them that part what is in a drawing from what is around it.
	drawn = set("svg math foreignobject desc title annotation-xml mi mo mn ms mtext")

	// leaves are the elements that end a drawing (13.2.6.5).
	leaves = set(`b big blockquote body br center code dd div dl dt em embed font h1 h2 h3 h4 h5 h6 head hr i img li listing menu meta nobr ol p pre ruby
		s small span strong strike sub sup table tt u ul var`)

	tables     = set("table tbody thead tfoot tr td th caption colgroup")
	scopes     = set("applet button caption dir html marquee menu object ol select table td template th ul")
	headings   = set("h1 h2 h3 h4 h5 h6")
	endless    = set("html head body") // what stands behind them is put into them
	formatting = set("a b big code em font i nobr s small strike strong tt u")
	ended      = set("p li dd dt button form option optgroup rb rt rp rtc html head body frameset") // by what follows, or not there at all
)

// across reports whether the end tag of an element counts where another is open
// within.
func across(name, within string) bool {
	switch {
	case drawn[within]:
		return false
	case name == "form", drawn[name] && name != "svg" && name != "math":
		return false
	case !special[within]:
		return true
	case tables[name]:
		return within != "table" && within != "template" && within != "select"
	case special[name] && !drawn[name]:
		return !scopes[within]
	}
	return false
}

// open starts a span.
func (s *span) open(name string) {
	*s = span{name: name, in: s.in[:0], tags: s.tags, steps: s.steps}
}

// start takes a start tag within. Within a drawing every element counts, for an end
// tag reaches across none of those that stand in a text of it.
func (s *span) start(name string, claimed, selfClosing bool) {
	if s.tags++; s.lost {
		return
	}
	within := s.drawing()
	switch {
	case voids[name] || selfClosing && (within == "svg" || within == "math") && !leaves[name]:
	case !special[name] && name != s.name && s.name != "form" && !claimed && within == "":
	case len(s.in) == maxNested:
		s.lost = true
	default:
		if drawn[name] {
			within = name
		}
		s.in = append(s.in, inner{name, claimed, within})
	}
}

// drawing returns the last of the open elements that part a drawing from what is
// around it, "" for none.
func (s *span) drawing() string { return s.around(len(s.in)) }

// around is drawing for the i-th of the open elements.
func (s *span) around(i int) string {
	switch {
	case i > 0:
		return s.in[i-1].drawing
	case drawn[s.name]:
		return s.name
	}
	return ""
}

// end takes an end tag within, and reports whether it ends the span.
func (s *span) end(name string) bool {
	s.tags++
	if s.lost = s.lost || s.steps > anyPage+patience*s.tags; s.lost {
		return false
	}
	unsure := s.unsure(name)
	for i, in := range slices.Backward(s.in) {
		if in.name == name || headings[in.name] && headings[name] { // any heading's end ends the last one
			s.close(i, unsure)
			return false
		}
		if in.claimed || !across(name, in.name) || unsure && special[in.name] {
			return false
		}
		s.steps++
	}
	if name != s.name || endless[name] {
		return false
	}
	s.name = ""
	return true
}

// unsure reports whether an element within that was read may not be open any more, or never
// was: what follows ends it, or it counts in a table alone. What is open behind it then
// stays open, whatever its end tag says.
func (s *span) unsure(name string) bool {
	if name == s.name {
		return false
	}
	if name != "table" && tables[name] {
		s.steps += len(s.in)
		return !s.holds("table", "template") && !tables[s.name]
	}
	return ended[name] || headings[name]
}

// close takes the i-th open element out, and those behind it. What may be the span's
// element once more stays where the end tag may not have closed it, unless its kind ends by
// itself: of a formatting element browsers open another one, and no end of a form ends what
// is in it.
func (s *span) close(i int, unsure bool) {
	around := s.around(i)
	stays := (unsure || formatting[s.name]) && !ended[s.name] && !tables[s.name]
	kept := s.in[:i]
	for _, in := range s.in[i+1:] {
		if in.name == s.name && stays {
			kept = append(kept, inner{in.name, in.claimed, around})
		}
	}
	s.in = kept
}

// holds reports whether an element is open in the span, or is it.
func (s *span) holds(names ...string) bool {
	return s.name != "" && (slices.Contains(names, s.name) || slices.ContainsFunc(s.in, func(in inner) bool { return slices.Contains(names, in.name) }))
}

// untagged refuses raw text with tags in it where browsers read the tags: within a
// drawing, and of most elements within a list of choices.
func (m *Masker) untagged(raw []byte) error {
	if m.raw == "" || bytes.IndexByte(raw, '<') < 0 {
		return nil
	}
	if m.drawing.name != "" || m.claimed.holds("svg", "math") {
		return bad("raw text within a drawing")
	}
	if m.raw != "script" && m.raw != "textarea" && (m.choices.name != "" || m.claimed.holds("select")) {
		return bad("raw text within a list of choices")
	}
	return nil
}

// section refuses character data with > in it within a drawing: there browsers read it to
// its own end, and the tokenizer, which takes it for a comment, to the first >.
func (m *Masker) section(raw []byte) error {
	if !bytes.HasPrefix(raw, []byte("<![CDATA[")) || bytes.HasSuffix(raw, []byte("]]>")) {
		return nil
	}
	if m.drawing.name != "" || m.claimed.holds("svg", "math") {
		return bad("character data with tags in it within a drawing")
	}
	return nil
}
