// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// Package echo remembers the values that an answer holds and a person may not see,
// and finds them where they come a second time: in a note, a message, a field that
// nobody declared.
//
// It looks for the value and not for what it looks like, so it finds names of people
// and companies, which no detector knows. Each place becomes the masked form of that
// very value.
package echo

import (
	"bytes"
	"math"
	"unicode"
	"unicode/utf8"

	"github.com/crmgate/crmgate/policy/mask"
)

const (
	// Shortest is the length of the shortest value that is remembered, in characters:
	// shorter ones stand in every other text.
	Shortest = 6

	longest = 256  // bytes of a value that are kept
	most    = 2048 // values kept of an answer's earlier records, when Trim has been called
	fewest  = 512  // of them that Trim keeps

	window  = 6                 // bytes of a value by which it is found
	stride  = window - gram + 1 // between the places of a text that are looked at
	gram    = 4                 // bytes looked at there
	gramLog = 15                // bits of a number that stands for such
	headLog = 12
	tailLog = 10
	maxKept = 1 << 18 // bytes of a set that is used again

	patience = 64 // values with one hash that a new one is compared with

	// worth is how many entries are compared for a byte of a text, extra how many more a text
	// may take, and overall how many more all of them together.
	worth   = 16
	extra   = 1 << 12
	overall = 1 << 20

	lows  = 0x0101010101010101
	highs = 0x8080808080808080
)

// Set is the values of one answer. The zero Set is empty and ready. It must not be
// used by two goroutines at once. Nothing of a value stays in it after Reset.
//
// A value of less than six characters, one of a single character over and over, and
// one without letters and digits is not remembered. Of one longer than 256 bytes
// the beginning is, and where that stands everything behind it goes. Letters of ASCII
// are compared in either case.
type Set struct {
	text    []byte // the values, one behind the other
	entries []entry
	grams   []byte  // for each four bytes a bit for each place of a window where a value has them
	heads   []int32 // by window: the first entry, counted from 1
	wholes  []int32 // by the whole of a value
	tails   []int32 // by the last seven digits
	numbers int     // entries that are numbers
	begun   int     // entries whose beginnings are noted
	entered int     // entries that are known to differ from all before them
	linked  int     // entries that are in the tables
	hints

	finds []mask.Find
	runs  []mask.Find
	hops  int // entries compared for the text at hand
	due   int // what it is worth
	limit int // how many may be compared for it
	over  int // entries compared for the texts before it, beyond what they were worth
}

type entry struct {
	mask   *mask.Func
	begin  uint64 // hash, see beginning
	window uint64 // folded
	start  uint32 // in Set.text
	size   uint16
	at     uint16 // where the window is
	whole  uint32 // hash
	next   [3]int32
	hidden bool
	cut    bool // the value goes on
	number bool
	fresh  bool // no value before it begins so
	digits uint8
	last   uint64 // the last digits of a number, see lastDigits
	like   likeness
}

// The chains of an entry.
const (
	byWindow = iota
	byWhole
	byTail
)

// Add remembers a text that is masked by f, or, where hidden is set, not shown at all:
// where it comes again it is masked fully then. Of two treatments of one value the
// stricter holds. original is not kept.
func (s *Set) Add(original []byte, f *mask.Func, hidden bool) {
	text, cut := original, false
	if len(text) > 0 && (edge(text[0]) || edge(text[len(text)-1])) && blank(text) {
		text = bytes.TrimSpace(text)
	}
	if len(text) > longest {
		text, cut = text[:longest], true
	}
	ascii, plain := look(text)
	if !recognised(text, ascii) || len(s.text) > math.MaxUint32-longest { // beyond what any answer is let hold
		return
	}
	if !ascii && mask.Unseen(text) { // in a text these do not count, see mask.Search
		if seen := mask.AppendSeen(nil, text); !cut && !mask.Unseen(seen) {
			s.Add(seen, f, hidden)
		}
	}
	if len(s.entries)-s.entered > most { // perhaps one value over and over
		s.enter()
	}
	k := len(s.entries)
	if k < cap(s.entries) {
		s.entries = s.entries[:k+1]
	} else {
		s.entries = append(s.entries, entry{})
	}
	e := &s.entries[k]
	e.mask, e.start, e.size = f, uint32(len(s.text)), uint16(len(text))
	e.hidden, e.cut, e.like = hidden || f.Null(), cut, like(text, plain)
	s.text = append(s.text, text...)
	s.hint(e)
}

// AddNumber remembers a JSON number, by the digits of a whole one, and otherwise as it is
// written and in the one way in which equal numbers are alike.
func (s *Set) AddNumber(raw []byte, f *mask.Func, hidden bool) {
	var buf [48]byte
	if len(raw) > longest {
		return
	}
	text, ok := mask.AppendWhole(buf[:0], raw)
	if !ok {
		text = bytes.TrimPrefix(raw, []byte("-"))
		if alike, ok := mask.AppendDecimal(buf[:0], raw); ok && !bytes.Equal(alike, text) {
			s.Add(alike, f, hidden)
		}
	}
	s.Add(text, f, hidden)
}

// Len is the number of values remembered.
func (s *Set) Len() int {
	s.enter()
	return len(s.entries)
}

// Empty reports whether no value is remembered.
func (s *Set) Empty() bool { return len(s.entries) == 0 }

// Trim forgets the oldest values when there are many. It is called between records,
// so that all values of the record at hand are known.
func (s *Set) Trim() {
	if len(s.entries) <= most {
		return
	}
	if s.enter(); len(s.entries) > most {
		s.trim()
	}
}

func (s *Set) trim() {
	gone := len(s.entries) - fewest
	from := s.entries[gone].start
	s.clear()
	n := copy(s.text, s.text[from:])
	clear(s.text[n:])
	s.text = s.text[:n]
	n = copy(s.entries, s.entries[gone:])
	clear(s.entries[n:])
	s.entries, s.numbers, s.linked, s.begun = s.entries[:n], 0, 0, 0
	s.forget()
	s.entered = n
	for k := range s.entries {
		e := &s.entries[k]
		e.start -= from
		s.chain(k+1, byWhole, &s.wholes[e.whole>>(32-headLog)])
		s.hint(e)
	}
}

// Reset forgets everything, and leaves nothing of it in memory.
func (s *Set) Reset() {
	s.hops, s.due, s.limit, s.over = 0, 0, 0, 0
	switch {
	case len(s.entries) == 0:
		return
	case cap(s.text) > maxKept || cap(s.entries) > 4*most:
		clear(s.text)
		*s = Set{}
		return
	case len(s.entries) > most/8:
		s.clear()
	default:
		for k := range s.entered {
			s.unlink(&s.entries[k])
		}
	}
	s.forget()
	clear(s.text)
	clear(s.entries)
	s.text, s.entries, s.numbers = s.text[:0], s.entries[:0], 0
	s.begun, s.entered, s.linked = 0, 0, 0
}

// clear empties the tables.
func (s *Set) clear() {
	if s.entered > 0 {
		clear(s.wholes)
	}
	if s.linked > 0 {
		clear(s.grams)
		clear(s.heads)
		clear(s.tails)
	}
}

func (s *Set) original(e *entry) []byte { return s.text[e.start:][:e.size] }

// enter finds what was added more than once since the last time, and drops all but the first.
func (s *Set) enter() {
	if s.entered == len(s.entries) {
		return
	}
	if s.wholes == nil {
		s.heads, s.wholes, s.tails = make([]int32, 1<<headLog), make([]int32, 1<<headLog), make([]int32, 1<<tailLog)
		s.grams = make([]byte, 1<<gramLog)
	}
	s.begin()
	size := int(s.entries[s.entered].start)
	for k := s.entered; k < len(s.entries); k++ {
		e := &s.entries[k]
		text := s.original(e)
		e.whole = hash(text)
		if !e.fresh && s.again(e, text) {
			continue
		}
		if k > s.entered {
			copy(s.text[size:], text)
			s.entries[s.entered] = *e
			e = &s.entries[s.entered]
			e.start = uint32(size)
		}
		size += int(e.size)
		s.entered++
		s.chain(s.entered, byWhole, &s.wholes[e.whole>>(32-headLog)])
	}
	clear(s.entries[s.entered:])
	clear(s.text[size:])
	s.entries, s.text, s.begun = s.entries[:s.entered], s.text[:size], s.entered
}

// again reports whether the value of e was added before.
func (s *Set) again(e *entry, text []byte) bool {
	for k, n := s.wholes[e.whole>>(32-headLog)], 0; k > 0 && n < patience; k, n = s.entries[k-1].next[byWhole], n+1 {
		if o := &s.entries[k-1]; o.whole == e.whole && o.cut == e.cut && o.size == e.size && same(s.original(o), text) {
			o.hidden = o.hidden || e.hidden
			return true
		}
	}
	return false
}

// ready puts what was remembered since the last time into the tables that texts are
// searched by.
func (s *Set) ready() {
	for s.enter(); s.linked < len(s.entries); s.linked++ {
		s.link(s.linked + 1)
	}
}

// link puts entry k, counted from 1, into them.
func (s *Set) link(k int) {
	e := &s.entries[k-1]
	text := s.original(e)
	e.number = !e.cut && mask.IsNumber(text)
	e.at = s.rarest(text)
	e.window = windowAt(text, int(e.at))
	s.chain(k, byWindow, &s.heads[windowHash(e.window)])
	for i := range stride {
		s.grams[gramHash(uint32(e.window>>(8*i)))] |= 1 << i
	}
	if e.number {
		s.numbers++
		e.last, e.digits = lastDigits(text)
		s.chain(k, byTail, &s.tails[s.tailOf(e)])
	}
}

func (s *Set) chain(k, by int, head *int32) {
	s.entries[k-1].next[by] = *head
	*head = int32(k)
}

// unlink takes an entry out of the tables, when all others go as well.
func (s *Set) unlink(e *entry) {
	s.wholes[e.whole>>(32-headLog)] = 0
	s.heads[windowHash(e.window)] = 0
	for i := range stride {
		s.grams[gramHash(uint32(e.window>>(8*i)))] = 0
	}
	if e.number {
		s.tails[s.tailOf(e)] = 0
	}
}

func (s *Set) tailOf(e *entry) uint32 {
	return tailHash(s.original(e))
}

// rarest chooses the window by which a value is found: one that no other has, if
// possible, so that an area code or a mail server that all values have in common
// is not what each of them is found by.
func (s *Set) rarest(text []byte) uint16 {
	last := len(text) - window
	step := max(1, last/4)
	best, least := last, 8
	for at := last; at >= 0; at -= step {
		n := 0
		for k := s.heads[windowHash(windowAt(text, at))]; k > 0 && n < least; k = s.entries[k-1].next[byWindow] {
			n++
		}
		if n < least {
			best, least = at, n
		}
		if n == 0 {
			break
		}
	}
	return uint16(best)
}

// edge reports whether c may be white space, or the start or end of such.
func edge(c byte) bool { return c <= ' ' || c >= utf8.RuneSelf }

// blank reports whether a text begins or ends with white space.
func blank(text []byte) bool {
	first, _ := utf8.DecodeRune(text)
	last, _ := utf8.DecodeLastRune(text)
	return unicode.IsSpace(first) || unicode.IsSpace(last)
}

func digit(c byte) bool { return '0' <= c && c <= '9' }

// recognised reports whether a text can be told to be the same where it comes again.
func recognised(text []byte, ascii bool) bool {
	if len(text) < Shortest || !ascii && len(text) < 4*Shortest && utf8.RuneCount(text) < Shortest {
		return false
	}
	varied, telling := false, false
	for _, c := range text {
		varied = varied || c != text[0]
		telling = telling || c >= '0' && (c <= '9' || c >= 'A' && (c <= 'Z' || c >= 'a' && (c <= 'z' || c >= utf8.RuneSelf)))
		if varied && telling {
			return true
		}
	}
	return false
}
