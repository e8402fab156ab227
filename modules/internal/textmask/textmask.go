// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// Package textmask treats values in formats where every value is text: cells of
// a table, elements and attributes of XML, pages, sheets. The engine of the
// format finds the values; what becomes of each, and which records are seen, is
// said here, by the same tables and functions as in JSON.
package textmask

import (
	"bytes"

	"github.com/crmgate/crmgate/modules/internal/jsonmask"
	"github.com/crmgate/crmgate/modules/internal/textform"
	"github.com/crmgate/crmgate/policy/echo"
	"github.com/crmgate/crmgate/policy/mask"
	"github.com/crmgate/crmgate/policy/plan"
	"github.com/crmgate/crmgate/policy/resource"
)

// Judge treats the values of one body after the other. It must not be used by
// two goroutines at once.
type Judge struct {
	Plan   *plan.Plan
	Viewer *plan.Viewer
	Limits jsonmask.Limits

	masked, hidden map[string]int
	kept, dropped  int
	free           int                           // of the kept: those that no cap counts
	unclear        int                           // of the dropped: the condition came to no answer
	documents      map[document]*jsonmask.Masker // within texts
	echoes         bool                          // values are looked for again
	known          echo.Set
	fold           []byte
	found          []byte
}

// document is what the masker of documents within a text depends on.
type document struct {
	node *plan.Node
	ent  *plan.Entity
}

// Verdict is what becomes of a value.
type Verdict uint8

// The verdicts.
const (
	Same    Verdict = iota // it stays as it is written
	Changed                // it is written anew
	Hidden                 // it goes, name and all
)

// closed treats what no table speaks of.
var closed = &plan.Treatment{Effect: plan.Hide}

// Closed is the table of a plan that names none: nothing is shown.
var Closed = &plan.Entity{Unknown: closed}

// Full masks a value fully, of which nobody can tell what it holds.
var Full = &plan.Treatment{Effect: plan.Mask, Mask: &mask.Func{Name: "full"}}

// Searched treats text of no field: personal data is looked for in it.
var Searched = &plan.Treatment{Effect: plan.Detect}

// Reset makes j ready for the next body.
func (j *Judge) Reset(p *plan.Plan, v *plan.Viewer, l jsonmask.Limits) {
	if j.Plan != p {
		j.documents, j.echoes = nil, jsonmask.Echoes(p)
	}
	j.known.Reset()
	l.Echo = &j.known
	for _, m := range j.documents {
		m.Reset(m.Plan(), nil, jsonmask.Limits{})
	}
	j.Plan, j.Viewer, j.Limits = p, v, l
	j.masked, j.hidden, j.kept, j.free, j.dropped, j.unclear = map[string]int{}, map[string]int{}, 0, 0, 0, 0
}

// Fallback is the table for whatever the plan's tree does not claim.
func (j *Judge) Fallback() *plan.Entity {
	if j.Plan.Fallback == nil {
		return Closed
	}
	return j.Plan.Fallback
}

// Field returns the treatment of a field by its name as it is written. A name
// that nobody declared and that is itself personal data goes with its value
// where such data is looked for.
func (j *Judge) Field(ent *plan.Entity, name []byte) *plan.Treatment {
	j.fold = resource.AppendFold(j.fold[:0], name)
	if t := ent.Fields[string(j.fold)]; t != nil {
		return t
	}
	t := ent.Unknown
	if t == nil {
		return closed
	}
	if t.Effect == plan.Detect {
		var n int
		if j.found, n = mask.Detect(j.found[:0], name); n > 0 {
			return closed
		}
	}
	return t
}

// Text treats a text, decoded, and appends what it becomes to dst: nothing when
// it stays as it is or goes. A masked text that is empty stays: there is nothing
// to hide, and a person sees that there is something to fill in.
func (j *Judge) Text(dst, text []byte, t *plan.Treatment, ent *plan.Entity) ([]byte, Verdict) {
	switch t.Effect {
	case plan.Show, plan.Detect:
		if t.Text != nil && len(text) > 0 {
			return j.document(dst, text, t, ent)
		}
		if t.Effect == plan.Show {
			return dst, Same
		}
		return j.detect(dst, text, t)
	case plan.Mask:
		if len(text) == 0 {
			return dst, Same
		}
		j.masked[t.Field]++
		return t.Mask.AppendString(dst, string(text)), Changed
	}
	j.hidden[t.Field]++
	return dst, Hidden
}

// Remember notes a value of a record that is seen, when it is masked or hidden: where it
// comes again in a text that is searched from now on, it is masked there too. All values
// of a record are remembered before its texts are treated, and those of the records
// before it, the last thousands, still are.
func (j *Judge) Remember(text []byte, t *plan.Treatment) {
	if j.echoes && t.Effect >= plan.Mask {
		j.known.Add(text, t.Mask, t.Effect == plan.Hide)
	}
}

// Next is called before each record.
func (j *Judge) Next() { j.known.Trim() }

// Known are the values that are remembered, for an engine that searches by itself.
func (j *Judge) Known() *echo.Set { return &j.known }

// Hide counts a value that goes without being looked at.
func (j *Judge) Hide(t *plan.Treatment) { j.hidden[t.Field]++ }

func (j *Judge) detect(dst, text []byte, t *plan.Treatment) ([]byte, Verdict) {
	out, n := j.known.Search(dst, text)
	if n == 0 {
		return dst, Same
	}
	j.masked[t.Field] += n
	return out, Changed
}

// document treats a text that holds a document. JSON that starts like a document and
// cannot be read is masked fully, and so is one that was made JSON twice and a text that
// is not in the form its field declares; any other text is searched.
func (j *Judge) document(dst, text []byte, t *plan.Treatment, ent *plan.Entity) ([]byte, Verdict) {
	doc := text
	if t.Text.Form == nil && jsonmask.Twice(text) {
		return j.full(dst, t)
	}
	if t.Text.Form != nil {
		var ok bool
		if doc, ok = textform.Open(t.Text.Form, text); !ok {
			return j.full(dst, t)
		}
	}
	key := document{t.Text, ent}
	m := j.documents[key]
	if m == nil {
		if j.documents == nil {
			j.documents = map[document]*jsonmask.Masker{}
		}
		m = jsonmask.New(&plan.Plan{Root: t.Text, Fallback: ent}, j.Viewer, j.Limits)
		j.documents[key] = m
	} else {
		m.Reset(m.Plan(), j.Viewer, j.Limits)
	}
	out, err := m.Append(dst, doc)
	if t.Text.Form != nil {
		return j.formed(dst, text, doc, out[len(dst):], t, m, err)
	}
	if err == nil {
		j.Add(m.Stats())
		if bytes.Equal(out[len(dst):], text) {
			return dst, Same
		}
		return out, Changed
	}
	if s := bytes.TrimLeft(text, "\x00\t\n\r \uFEFF"); len(s) > 0 && (s[0] == '{' || s[0] == '[') {
		return j.full(dst, t)
	}
	return j.detect(dst, text, t)
}

// formed puts a document that was rewritten back into the form of its text. What does
// not go back is masked fully.
func (j *Judge) formed(dst, text, doc, out []byte, t *plan.Treatment, m *jsonmask.Masker, err error) ([]byte, Verdict) {
	if err != nil {
		return j.full(dst, t)
	}
	if bytes.Equal(out, doc) {
		j.Add(m.Stats())
		return dst, Same
	}
	back, ok := textform.Close(t.Text.Form, text, out)
	if !ok {
		return j.full(dst, t)
	}
	j.Add(m.Stats())
	return append(dst, back...), Changed
}

// full masks a text of which nobody can tell what it holds.
func (j *Judge) full(dst []byte, t *plan.Treatment) ([]byte, Verdict) {
	j.masked[t.Field]++
	return append(dst, mask.FullText...), Changed
}

// Add adds counts of another engine.
func (j *Judge) Add(s jsonmask.Stats) {
	for name, n := range s.Masked {
		j.masked[name] += n
	}
	for name, n := range s.Hidden {
		j.hidden[name] += n
	}
	j.kept += s.Kept
	j.dropped += s.Dropped
	j.unclear += s.Unclear
}

// Stats returns what was done so far.
func (j *Judge) Stats() jsonmask.Stats {
	return jsonmask.Stats{Masked: j.masked, Hidden: j.hidden, Kept: j.kept, Dropped: j.dropped, Unclear: j.unclear}
}

// Missed reports whether the one record that was asked for was there and is not
// visible.
func (j *Judge) Missed() bool { return j.Plan.NotFound != nil && j.dropped > 0 && j.kept == 0 }
