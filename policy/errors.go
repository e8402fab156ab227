// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"bytes"
	"maps"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/crmgate/crmgate/policy/mask"
	"github.com/crmgate/crmgate/policy/plan"
	"github.com/crmgate/crmgate/policy/resource"
)

// What somebody who does not see all records is told when the CRM says no.
//
// An error may quote any record: "98765 43210 belongs to Uma, a lead of Ravi". A name
// looks like any other word, so that nothing can be searched for. So of an error only
// what the map declares of it goes out: the kind, one word; and the message, when it is
// made of nothing but the words every API says no with, the names of the map, and the
// words the map lists. Where the CRM says no within a success, the same holds for these
// two places; the rest of such an answer is searched for personal data, but for the
// records in it, which are judged by their rows.

// refusedText stands for a message that may quote somebody's record.
const refusedText = "The CRM refused this, in words that are not shown."

// errorsOf is how the CRM says no in this answer; nil when the map does not say.
func errorsOf(s *Set, resp *resource.Response) *resource.ErrorShape {
	if resp.Errors != nil {
		return resp.Errors
	}
	return s.crm.Errors
}

// foreign says whether what the CRM says may be about records the person does not see.
func (t *tree) foreign(op *resource.Operation) bool {
	return t.rights.limited && t.scoped && op.Kind != resource.SignIn && op.Kind != resource.SignOut && op.Route.Response.Format != resource.FormatPage
}

// says says whether an answer without records of a limited entity must be read all
// the same: that of a write, since nothing but the answer says how it went, and a part
// of several, whose errors stand within a success.
func (t *tree) says(resp *resource.Response, op *resource.Operation) bool {
	writes := op.Action != "" && op.Action != resource.View && op.Action != resource.Export
	return op.Part || writes && (resp.Format == resource.FormatJSON || resp.Format == resource.FormatNone)
}

// around treats what stands around the records of a success.
func (t *tree) around(p *plan.Plan, resp *resource.Response, op *resource.Operation) {
	p.Fallback = searchedAround(p.Fallback, t.set.crm.Entities[op.Entity], t.set)
	if t.limited {
		t.set.uncounted(p.Fallback)
	}
	shape := errorsOf(t.set, resp)
	if shape == nil || resp.Format != resource.FormatJSON && resp.Format != resource.FormatNone || !withinSuccess(shape) {
		return
	}
	kind, message := t.set.errorTexts(shape, "")
	for _, at := range []struct {
		steps []resource.Step
		treat *plan.Treatment
	}{{shape.TypeAt.Steps, kind}, {shape.MessageAt.Steps, message}} {
		last := len(at.steps) - 1
		switch {
		case last < 0:
		case at.steps[last].Kind == resource.Member && at.steps[last].Index < 0:
			p.Fallback.Fields[at.steps[last].Fold] = stricter(p.Fallback.Fields[at.steps[last].Fold], at.treat)
		default:
			if n := t.aside(at.steps[:last]); n != nil && n.Entity == nil {
				n.Entity = &plan.Entity{Fields: map[string]*plan.Treatment{}, Unknown: message}
			}
		}
	}
}

// withinSuccess says whether the CRM says no within a success too.
func withinSuccess(shape *resource.ErrorShape) bool {
	for _, status := range shape.Statuses {
		if status < 400 {
			return true
		}
	}
	return len(shape.Statuses) == 0
}

// searchedAround is a table for what is in no record: everything in it is searched, but
// for ids, and restricted as it was.
func searchedAround(of *plan.Entity, e *resource.Entity, s *Set) *plan.Entity {
	out := &plan.Entity{Name: of.Name, Fields: map[string]*plan.Treatment{}, Unknown: s.unknownTreatment(max(plan.Detect, of.Unknown.Effect))}
	for name, tr := range of.Fields {
		if tr.Effect > plan.Detect {
			out.Fields[name] = tr
		}
	}
	if e == nil {
		return out
	}
	for _, name := range e.ID {
		if tr := of.Fields[resource.Fold(name)]; tr != nil {
			out.Fields[resource.Fold(name)] = tr
		}
	}
	return out
}

// counted are names of what counts records or pages of them, folded.
var counted = strings.Fields(`count counts total totals hits
totalcount totalcounts counttotal totalrecords totalrecordcount totalrecordscount recordcount recordscount recordstotal recordsfiltered
totalrows rowcount rowscount rowstotal numrows totalitems itemcount itemscount itemstotal totalresults resultcount resultscount numresults
totalelements totalhits totalmatches totalsize totalfound numfound nbhits totalnumber totalentries entrycount totalobjects objectcount
totalpages pagecount pagescount pagestotal numpages nbpages pages lastpage numberofrecords numberofpages numberofitems numberofrows
numberofresults @odata.count odata.count $count`)

// uncounted masks what counts records where some are left out and the map says nothing
// of a total there: what is wrong would tell how many there are.
func (s *Set) uncounted(around *plan.Entity) {
	tr := &plan.Treatment{Field: "total", Effect: plan.Mask, Mask: s.masks[""]}
	for _, name := range counted {
		around.Fields[name] = stricter(around.Fields[name], tr)
	}
}

// reduced is how an answer that is an error is read for somebody who does not see all
// records: what the map does not declare of it goes.
func (s *Set) reduced(of *plan.Plan, shape *resource.ErrorShape) *plan.Plan {
	format := plan.JSON
	if of.Format == plan.XML {
		format = plan.XML
	}
	nothing := hideAll("")
	p := &plan.Plan{ID: of.ID, Format: format, Prefix: of.Prefix, Root: &plan.Node{Entity: nothing}, Fallback: nothing, Few: of.Few, Total: of.Total, Spare: true}
	if shape == nil {
		return p
	}
	kind, message := s.errorTexts(shape, refusedText)
	show(p.Root, shape.MessageAt.Steps, message)
	show(p.Root, shape.TypeAt.Steps, kind)
	if shape.Is != "" {
		show(p.Root, shape.At.Steps, kind)
	}
	return p
}

// show treats what is at steps, below a node under which everything is hidden. The
// elements of a list cannot be told apart: of them, kinds and messages are one.
func show(n *plan.Node, steps []resource.Step, tr *plan.Treatment) {
	for i, s := range steps {
		if n.Entity.Unknown.Effect != plan.Hide {
			return // a list that is treated already
		}
		if s.Kind != resource.Member || s.Index >= 0 {
			if i == len(steps)-1 {
				n.Entity = &plan.Entity{Fields: map[string]*plan.Treatment{}, Unknown: tr}
				return
			}
			if n.Elements == nil {
				n.Elements = &plan.Node{Entity: hideAll("")}
			}
			n.Keyed = n.Keyed || s.Kind == resource.Members
			n = n.Elements
			continue
		}
		if i == len(steps)-1 {
			n.Entity = &plan.Entity{Fields: maps.Clone(n.Entity.Fields), Unknown: n.Entity.Unknown}
			n.Entity.Fields[s.Fold] = tr
			return
		}
		if n.Members == nil {
			n.Members = map[string]*plan.Node{}
		}
		if n.Members[s.Fold] == nil {
			n.Members[s.Fold] = &plan.Node{Entity: hideAll("")}
		}
		n = n.Members[s.Fold]
	}
}

// errorTexts are the treatments of an error's kind and of its message.
func (s *Set) errorTexts(shape *resource.ErrorShape, instead string) (kind, message *plan.Treatment) {
	known := s.words
	if len(shape.Words) > 0 {
		known = maps.Clone(known)
		for _, text := range shape.Words {
			known.add(text)
		}
	}
	kinds := map[string]bool{shape.Is: true}
	for _, k := range shape.Types {
		kinds[k] = true
	}
	says := func(text []byte) bool { return kinds[string(text)] || known.all(text) }
	is := func(text []byte) bool { return isKind(text) || says(text) }
	return &plan.Treatment{Field: "error.type", Effect: plan.Mask, Mask: mask.Unless(is, instead)},
		&plan.Treatment{Field: "error.message", Effect: plan.Mask, Mask: mask.Unless(says, instead)}
}

// isKind says whether text may be the kind of an error: one word, or a short number.
func isKind(text []byte) bool {
	if len(text) == 0 || len(text) > 64 {
		return false
	}
	digits := 0
	for _, c := range text {
		switch {
		case '0' <= c && c <= '9':
			digits++
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', c == '_', c == '-', c == '.', c == ':':
		default:
			return false
		}
	}
	_, found := mask.Detect(nil, text)
	return digits <= 6 && found == 0
}

// words are folded words that are no value of any record.
type words map[string]struct{}

// usual are words with which APIs say no. There are none among them that a person or
// a place is called by as well, such as will and may, and no state of a record.
const usual = `a about above after again all allowed already also an and any are argument arguments as ascending at attribute
attributes bad be because been before below between body both but by call calls can cannot character characters code column
columns comma condition conditions contain contains could date descending did differ different digits do does duplicate each either empty entity entry error
errors exceed exceeded exceeds exception exist existing exists expected fail failed field fields following for format found from get given
greater has have id ids if in incorrect input integer internal invalid is it its item items json key least length less
limit list long malformed mandatory many match matches maximum message minimum missing more most must name named names needs
neither no non none nor not null number numbers object occurred of on one only operation operator or other out parameter parameters
parse pattern permission permitted please post provide provided put query range read reached record records refused reached
request required result retry row rows same search seconds sent server set short should size some specified
start starts string such supported system take takes text than that the their them then there these they this those times to too
try twice type types unable unauthorised unauthorized unexpected unique unknown unsupported update updating use used valid value values was were when
which whole wrong with within without write yet you your yyyy mm dd hh ss`

// wordsOf are the usual words and those the names of a map consist of.
func wordsOf(m *resource.Map) words {
	out := words{}
	for w := range strings.FieldsSeq(usual) {
		out[w] = struct{}{}
	}
	for _, e := range m.Entities {
		out.add(e.Name)
		for _, name := range e.Names {
			out.add(name)
		}
		for _, list := range [][]string{e.ID, e.Owner} {
			for _, name := range list {
				out.add(name)
			}
		}
		for _, f := range e.Fields {
			out.add(f.Name)
			for _, name := range f.Names {
				out.add(name)
			}
		}
	}
	return out
}

// add adds the words of a name, whole and in pieces: EmailAddress, email, address.
func (w words) add(name string) {
	for word := range strings.FieldsFuncSeq(name, between) {
		w[resource.Fold(word)] = struct{}{}
		from, was := 0, rune(0)
		for i, c := range word {
			if i > from && (c == '_' || was == '_' || unicode.IsUpper(c) && !unicode.IsUpper(was)) {
				w.piece(word[from:i])
				from = i
			}
			was = c
		}
		w.piece(word[from:])
	}
}

// piece adds a part of a name, unless it could be an initial.
func (w words) piece(s string) {
	if s = resource.Fold(s); utf8.RuneCountInString(s) > 1 {
		w[s] = struct{}{}
	}
}

// all says whether a text is made of these words and nothing else.
func (w words) all(text []byte) bool {
	if !utf8.Valid(text) {
		return false
	}
	for word := range bytes.FieldsFuncSeq(text, between) {
		if _, known := w[resource.Fold(string(word))]; !known {
			return false
		}
	}
	return true
}

// between says whether a character stands between words.
func between(c rune) bool {
	return c != '_' && !unicode.IsLetter(c) && !unicode.IsDigit(c) && !unicode.IsMark(c) && !unicode.IsNumber(c)
}
