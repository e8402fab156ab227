// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package echo

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/crmgate/crmgate/policy/mask"
)

// oracle is the slow and obvious way to find values: one after the other, at every
// place of the text.
func oracle(values []string, text string) []mask.Find {
	var out []mask.Find
	folded := fold(text)
	for k, v := range values {
		for i := range len(text) {
			if strings.HasPrefix(folded[i:], fold(v)) && !between(text, i) && !between(text, i+len(v)) {
				out = append(out, mask.Find{Start: i, End: i + len(v), Value: k})
			}
		}
	}
	for _, r := range mask.AppendRuns(nil, []byte(text)) {
		a, _ := mask.AppendDigits(nil, []byte(text[r.Start:r.End]))
		for _, v := range values {
			if b, _ := mask.AppendDigits(nil, []byte(v)); mask.IsNumber([]byte(v)) && mask.SameNumber(a, b) {
				out = append(out, r)
				break
			}
		}
	}
	return out
}

func fold(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

func between(s string, i int) bool {
	a, _ := utf8.DecodeLastRuneInString(s[:i])
	b, _ := utf8.DecodeRuneInString(s[i:])
	part := func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r) }
	return i > 0 && i < len(s) && part(a) && part(b)
}

// remembered gives the values that are kept, as they are kept: those with characters that
// nobody sees also without them, since texts are read so too.
func remembered(values []string) []string {
	var out []string
	seen := map[string]bool{}
	var keep func(v string)
	keep = func(v string) {
		v = strings.TrimSpace(v)
		alike, telling := true, false
		for i := range len(v) {
			alike = alike && v[i] == v[0]
			telling = telling || v[i] >= 0x80 || unicode.IsLetter(rune(v[i])) || unicode.IsDigit(rune(v[i]))
		}
		if utf8.RuneCountInString(v) < Shortest || len(v) > longest || alike || !telling {
			return
		}
		if mask.Unseen([]byte(v)) {
			keep(string(mask.AppendSeen(nil, []byte(v))))
		}
		if !seen[fold(v)] {
			out, seen[fold(v)] = append(out, v), true
		}
	}
	for _, v := range values {
		keep(v)
	}
	return out
}

func check(t *testing.T, s *Set, values []string, text string) {
	t.Helper()
	s.Reset()
	for k, v := range values {
		if len(strings.TrimSpace(v)) > longest {
			return
		}
		s.Add([]byte(v), nil, k%2 == 0)
	}
	kept := remembered(values)
	holds := s.Holds([]byte(text)) // asked first, while nothing is in the tables
	if s.Len() != len(kept) {
		t.Fatalf("of %q %d values are remembered, not %d", values, s.Len(), len(kept))
	}
	want, got := oracle(kept, text), s.Finds([]byte(text))
	if s.tired() {
		return
	}
	has := func(list []mask.Find, f mask.Find) bool {
		for _, o := range list {
			if o.Start == f.Start && o.End == f.End && o.Loose == f.Loose && (f.Loose || o.Value == f.Value) {
				return true
			}
		}
		return false
	}
	literal, loose := false, false
	for _, f := range want {
		literal, loose = literal || !f.Loose, loose || f.Loose
		if !has(got, f) {
			t.Fatalf("%q is shown in %q, of %q", text[f.Start:f.End], text, kept)
		}
	}
	for _, f := range got {
		if !has(want, f) {
			t.Fatalf("%q is masked in %q, of %q: it repeats nothing", text[f.Start:f.End], text, kept)
		}
	}
	if holds != literal || s.Holds([]byte(text)) != literal {
		t.Fatalf("a value of %q stands in %q, %v: the quick look says otherwise", kept, text, literal)
	}
	if literal && len(text) < s.Plain() && !tells(text) {
		t.Fatalf("a value of %q stands in %q, which is shorter than %d", kept, text, s.Plain())
	}
	if s.Echoes([]byte(text)) != literal || s.EchoesNumber([]byte(text)) != loose {
		t.Fatalf("the first look at %q for %q says otherwise than the second", text, kept)
	}
}

// tells reports whether text has anything but what Plain is about.
func tells(text string) bool {
	return strings.ContainsFunc(text, func(r rune) bool {
		return r < ' ' || r > '~' || '0' <= r && r <= '@' || strings.ContainsRune("%&\"\\", r)
	})
}

func TestAgainstOracle(t *testing.T) {
	const alphabet = "aAbB01 -+é.\"\u00ad\u00a0"
	runes := []rune(alphabet)
	r := rand.New(rand.NewPCG(1, 9))
	random := func(n int) string {
		var b strings.Builder
		for range n {
			b.WriteRune(runes[r.IntN(len(runes))])
		}
		return b.String()
	}
	s, hits := &Set{}, 0
	for range 20_000 {
		var values []string
		var text strings.Builder
		for range r.IntN(12) {
			values = append(values, random(r.IntN([]int{14, 40}[r.IntN(2)])))
		}
		for range r.IntN(6) {
			text.WriteString(random(r.IntN(20)))
			if len(values) > 0 && r.IntN(2) == 0 {
				v := values[r.IntN(len(values))]
				text.WriteString([]string{v, strings.ToUpper(v), " " + v + " ", v[:len(v)/2]}[r.IntN(4)])
			}
		}
		check(t, s, values, strings.ToValidUTF8(text.String(), "?"))
		if len(s.finds) > 0 {
			hits++
		}
	}
	if hits < 2000 {
		t.Errorf("only %d texts hold a value: the test would not notice", hits)
	}
}

func FuzzSet(f *testing.F) {
	f.Add([]byte("Meera Nair\n+91-9812345670\n1990-05-17"), []byte("MEERA NAIR, call 98123 45670 or 234-5670; 1990-05-17"))
	f.Add([]byte("aaaaab\naaaaac\nbaaaaa"), []byte("aaaaab aaaaac-baaaaa baaaaaab"))
	f.Fuzz(func(t *testing.T, values, text []byte) {
		if len(values) > 2000 || len(text) > 2000 || !utf8.Valid(text) || !utf8.Valid(values) {
			return
		}
		var list []string
		for v := range bytes.SplitSeq(values, []byte("\n")) {
			list = append(list, string(v))
		}
		check(t, &Set{}, list, string(text))
	})
}
