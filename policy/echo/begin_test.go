// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package echo

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// TestGUIDsAndMomentsAreSearchedWhereTheyMustBe has values that are parts of GUIDs, dates
// and times of day, or nearly such, and holds what the short looks at these say to the long
// one. A look that is too short shows somebody's number as the end of an id.
func TestGUIDsAndMomentsAreSearchedWhereTheyMustBe(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 11))
	hex := func(n int) string {
		s := fmt.Sprintf("%016x", r.Uint64())[:n]
		switch r.IntN(3) {
		case 0:
			return strings.ToUpper(s)
		case 1:
			return fmt.Sprintf("%016d", r.Uint64N(1e16))[:n]
		}
		return s
	}
	guidText := func() string { return strings.Join([]string{hex(8), hex(4), hex(4), hex(4), hex(12)}, "-") }
	momentText := func() string {
		day := fmt.Sprintf("20%02d-%02d-%02d", r.IntN(30), 1+r.IntN(12), 1+r.IntN(28))
		clock := fmt.Sprintf("%02d:%02d:%02d", r.IntN(24), r.IntN(60), r.IntN(60))
		return []string{day, day + " " + clock, day + "T" + clock + "Z", day + " " + clock + ".000"}[r.IntN(4)]
	}
	part := func(text string) string {
		from := r.IntN(len(text))
		to := from + 1 + r.IntN(len(text)-from)
		if r.IntN(2) == 0 { // whole groups, which is what can stand in it
			at := strings.FieldsFuncSeq(text, func(c rune) bool { return strings.ContainsRune("- T:Z.", c) })
			for g := range at {
				if r.IntN(2) == 0 {
					from = strings.Index(text, g)
					to = from + len(g)
					break
				}
			}
			if r.IntN(3) == 0 {
				to = len(text)
			}
		}
		return text[from:to]
	}
	hits := 0
	for range 50_000 {
		text, short := guidText(), (*Set).HoldsGUID
		if r.IntN(2) == 0 {
			text, short = momentText(), (*Set).HoldsMoment
		}
		s := &Set{}
		var values []string
		for range 1 + r.IntN(3) {
			v := part([]string{text, text, guidText(), momentText()}[r.IntN(4)])
			if r.IntN(3) == 0 {
				v = strings.ToUpper(v)
			}
			values = append(values, v)
			s.Add([]byte(v), nil, true)
		}
		want := s.Echoes([]byte(text))
		if short(s, []byte(text)) != want {
			t.Fatalf("a value of %q stands in %q, %v: the short look says otherwise", values, text, want)
		}
		if want {
			hits++
		}
	}
	if hits < 5000 {
		t.Errorf("only %d texts hold a value: the test would not notice", hits)
	}
}
