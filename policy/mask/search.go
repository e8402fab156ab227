// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package mask

import (
	"bytes"
	"slices"
	"sync"
)

// Find is a stretch of text that is not to be shown, end exclusive. Value says
// which known value it is, or is negative: something that looks like personal data.
// Loose finds are the same number in another writing.
type Find struct {
	Start, End int
	Value      int
	Loose      bool
}

// Known are values that are looked for beside what looks like personal data: see
// package echo. It is used by one goroutine at a time.
type Known interface {
	// Finds returns the known values in text. What it returns stands until the next call.
	Finds(text []byte) []Find
	// AppendMasked appends what a known value is shown as.
	AppendMasked(dst []byte, value int) []byte
}

// Marks counts the places of a text that everybody takes for a mask: runs of four X or
// more. It is how a mask is known that somebody writes back into a text.
func Marks(text []byte) int {
	n, run := 0, 0
	for _, c := range text {
		if c != 'X' {
			run = 0
		} else if run++; run == 4 {
			n++
		}
	}
	return n
}

// Search is Detect that looks for known values as well, which may be nil. Each is
// replaced by its own masked form; stretches that overlap are replaced as one, by
// the form of what covers all of it, or by FullText.
//
// Text with tags or references of markup, or with characters that nobody sees, is read as it stands and without them,
// for known values also with each row of blanks as one space; what is found only then is replaced with the plain tags in it kept behind it. A
// run of base64 (see LongRun) whose meaning is text, with something in it that would be
// found, is replaced as a whole. Neither is done twice over.
func Search(dst, text []byte, known Known) ([]byte, int) {
	marked := isMarked(text)
	coded := LongRun(text)
	if !marked && !coded && known == nil && !suspect(text) {
		return append(dst, text...), 0
	}
	var buf [8]Find
	found := addFinds(buf[:0], text, known)
	if marked || coded {
		s, _ := scratches.Get().(*scratch)
		if marked {
			found = s.addMarked(found, text, known)
		}
		if coded {
			found = s.addCoded(found, text, known)
		}
		s.put()
	}
	if len(found) == 0 {
		return append(dst, text...), 0
	}
	return appendMasked(dst, text, found, known)
}

// addFinds adds what is found in text as it stands.
func addFinds(out []Find, text []byte, known Known) []Find {
	if suspect(text) {
		var buf [8]span
		for _, s := range addNumbers(addPANs(addMails(buf[:0], text), text), text) {
			out = append(out, Find{Start: s.start, End: s.end, Value: -1})
		}
	}
	if known != nil {
		// A copy, so that what is given to Search without known values may stay on a stack.
		s, _ := scratches.Get().(*scratch)
		s.copy = append(s.copy[:0], text...)
		out = append(out, known.Finds(s.copy)...)
		s.put()
	}
	return out
}

// before orders finds by where they start, the one to be believed first.
func (f Find) before(o Find) int {
	switch {
	case f.Start != o.Start:
		return f.Start - o.Start
	case f.End != o.End:
		return o.End - f.End
	case (f.Value < 0) != (o.Value < 0):
		return f.less(f.Value >= 0)
	case f.Loose != o.Loose:
		return f.less(!f.Loose)
	}
	return f.Value - o.Value
}

func (Find) less(first bool) int {
	if first {
		return -1
	}
	return 1
}

// appendMasked appends text with what was found in it replaced.
func appendMasked(dst, text []byte, found []Find, known Known) ([]byte, int) {
	slices.SortFunc(found, Find.before)
	n, from := 0, 0
	for i := 0; i < len(found); n++ {
		all := found[i]
		for i++; i < len(found) && found[i].Start < all.End; i++ {
			if f := found[i]; f.End > all.End {
				all.End, all.Value = f.End, -1
			}
		}
		dst = append(dst, text[from:all.Start]...)
		if all.Value >= 0 {
			dst = known.AppendMasked(dst, all.Value)
		} else {
			dst = append(dst, FullText...)
		}
		dst = appendTags(dst, text[all.Start:all.End])
		from = all.End
	}
	return append(dst, text[from:]...), n
}

// scratch is what reading a text in another way takes. It is cleared before it is
// given to anybody else.
type scratch struct {
	text  []byte
	at    []int32 // by byte of text: where what it stands for starts
	to    []int32 // and ends
	coded []byte
	copy  []byte
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

const maxScratch = 64 << 10

func (s *scratch) put() {
	clear(s.text)
	clear(s.coded[:cap(s.coded)])
	clear(s.copy)
	if cap(s.text)+cap(s.coded)+cap(s.copy) <= maxScratch {
		scratches.Put(s)
	}
}

// isMarked reports whether a text may read otherwise than it stands.
func isMarked(text []byte) bool {
	return bytes.IndexByte(text, '<') >= 0 || bytes.IndexByte(text, '&') >= 0 || Unseen(text)
}

// AppendViews appends to dst what else a text can be read as, each behind a zero
// byte: without its markup and what nobody sees, and what runs of base64 in it mean. A value that is known
// is found by Search only if it is in text or in one of them.
func AppendViews(dst, text []byte) []byte {
	marked := isMarked(text)
	coded := LongRun(text)
	if !marked && !coded {
		return dst
	}
	s, _ := scratches.Get().(*scratch)
	defer s.put()
	if marked {
		s.read(text, true, func(reading) { dst = append(append(dst, 0), s.text...) })
	}
	for i := 0; coded; {
		start, end := nextRun(text, i)
		if i = end; start == end {
			break
		}
		if s.decode(text[start:end]) {
			dst = append(append(dst, 0), s.coded...)
		}
	}
	return dst
}
