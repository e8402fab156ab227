// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package jsonmask

import "slices"

// Outcome says what Stats says, but for how often each field was masked or hidden. To
// ask for it allocates nothing where a body had the fields that the one before it had.
type Outcome struct {
	Masked []string // names of fields of which values were masked, in order, each once; never changed
	Hidden []string // names of fields of which members and pairs were removed, likewise

	Kept, Dropped, Unclear int // as in Stats
}

// Outcome returns what was done so far.
func (m *Masker) Outcome() Outcome {
	var masked, hidden uint64
	for k := range m.tallies {
		t, bit := &m.tallies[k], uint64(1)<<(k&63)
		if t.masked > 0 {
			masked |= bit
		}
		if t.hidden > 0 {
			hidden |= bit
		}
	}
	return Outcome{
		Masked: m.masks.of(m.tallies, masked, func(t *tally) int { return t.masked }),
		Hidden: m.hides.of(m.tallies, hidden, func(t *tally) int { return t.hidden }),
		Kept:   m.kept, Dropped: m.drops, Unclear: m.unclear,
	}
}

// fieldNames are the names of the fields of some tallies.
type fieldNames struct {
	which uint64 // of the first 64 tallies
	list  []string
}

// of returns the names of the fields of those tallies that count something, which says of
// the first 64 whether they do.
func (l *fieldNames) of(tallies []tally, which uint64, count func(*tally) int) []string {
	if which == l.which && len(tallies) <= 64 {
		return l.list
	}
	var list []string
	for k := range tallies {
		if t := &tallies[k]; count(t) > 0 {
			list = append(list, t.treat.Field)
		}
	}
	slices.Sort(list)
	*l = fieldNames{which, slices.Compact(list)}
	return l.list
}
