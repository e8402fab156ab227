// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package htmlmask

import (
	"bytes"
	"slices"

	"golang.org/x/net/html"

	"github.com/crmgate/crmgate/modules/internal/textmask"
	"github.com/crmgate/crmgate/policy/mask"
)

// A run is text that a page shows in one piece, whatever tags stand in it: only blocks and
// boxes end it. Where a value is torn by tags all of the sentence goes, for nobody can tell
// what is left of it. Elements of which nobody knows how they look part sentences, and no runs.

// piece is a text of a run, or the bytes of a tag between two of them.
type piece struct {
	raw   []byte
	text  []byte // decoded; nil for a tag
	parts bool   // a tag that ends a sentence
}

// tag writes a tag: within a run it is part of it.
func (m *Masker) tag(name string, raw []byte) {
	if mask.Block(name) || parting[name] || m.drawing.name != "" && !together[name] {
		m.flush()
	}
	m.aside(raw, !inline[name])
}

// aside writes what is no text: within a run it is part of it.
func (m *Masker) aside(raw []byte, parts bool) {
	if len(m.run) == 0 {
		m.out = append(m.out, raw...)
		return
	}
	m.run = append(m.run, piece{raw: raw, parts: parts})
	if m.runBytes += len(raw); m.runBytes > maxRun {
		m.flush()
	}
}

// flush writes the run.
func (m *Masker) flush() {
	if len(m.run) == 0 {
		return
	}
	torn := m.torn()
	for i, p := range m.run {
		t := textmask.Searched
		switch {
		case p.text == nil:
			m.out = append(m.out, p.raw...)
			continue
		case torn != nil && torn[i] && len(bytes.TrimSpace(p.text)) > 0:
			t = textmask.Full
		}
		value, v := m.judge.Text(nil, p.text, t, nil)
		if v == textmask.Same && m.echoes && m.spread(p.text) {
			value, v = m.judge.Text(nil, p.text, textmask.Full, nil)
		}
		if v == textmask.Changed {
			m.out = append(m.out, html.EscapeString(string(value))...)
		} else {
			m.out = append(m.out, p.raw...)
		}
	}
	m.run, m.runBytes = m.run[:0], 0
}

// torn says which pieces of the run are of a sentence that is torn: its texts, put together, hold personal data, or a
// value that is known, that no one of them does. It is nil where there is none. Pieces with white space between them
// are not put together for personal data: the numbers of pages side by side are no
// telephone number.
func (m *Masker) torn() []bool {
	var all, seen []byte
	var ends, seenEnds, of []int // of each text, and which piece it is
	apart := 0
	for i, p := range m.run {
		if len(p.text) == 0 {
			continue
		}
		text := bytes.Map(func(r rune) rune {
			if r == ' ' || r == '\t' || r == '\r' || r == '\n' {
				return ';'
			}
			return r
		}, p.text)
		_, n := mask.Detect(nil, text)
		apart += n
		all = append(all, text...)
		if m.echoes {
			seen = asSeen(seen, p.text)
		}
		ends, seenEnds, of = append(ends, len(all)), append(seenEnds, len(seen)), append(of, i)
	}
	if len(of) < 2 {
		return nil
	}
	var torn []bool
	cross := func(finds []mask.Find, ends []int) {
		for _, f := range finds {
			from, _ := slices.BinarySearch(ends, f.Start+1)
			to, _ := slices.BinarySearch(ends, f.End)
			if from == to {
				continue
			}
			if torn == nil {
				torn = make([]bool, len(m.run))
			}
			if slices.Contains(torn[of[from]:of[to]+1], false) { // a long sentence is marked once
				m.sentences(torn, of[from], of[to])
			}
		}
	}
	cross(mask.Stretches(all), ends)
	if _, n := mask.Detect(nil, all); n > apart && torn == nil { // nobody can tell where
		torn = make([]bool, len(m.run))
		m.sentences(torn, -1, len(m.run))
	}
	if m.echoes {
		cross(m.judge.Known().Finds(seen), seenEnds)
	}
	return torn
}

// sentences marks the pieces from one to another, and all of the sentences that these are in.
func (m *Masker) sentences(torn []bool, from, to int) {
	for from > 0 && !m.run[from].parts {
		from--
	}
	for to < len(m.run)-1 && !m.run[to].parts {
		to++
	}
	for i := max(from, 0); i <= min(to, len(m.run)-1); i++ {
		torn[i] = true
	}
}
