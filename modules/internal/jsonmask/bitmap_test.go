// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package jsonmask

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// TestBitmapsSayWhatIsThere lets a window grow and move as a body does and holds
// what the bitmaps say to a look at every byte. A byte passed over is one that
// nobody reads: a quote, and what follows it is shown as text.
func TestBitmapsSayWhatIsThere(t *testing.T) {
	const odd = "\"\\\x00\x1f\x7f\x80\xff\n09/:@%&<=;>? !~#[]"
	r := rand.New(rand.NewPCG(5, 6))
	defer func(was bool) { wide = was }(wide)
	for k := range 2000 {
		if k == 1000 {
			wide = false
		}
		s := scanner{hinting: true}
		density := 1 + r.IntN(200)
		for range 6 {
			n := r.IntN(300)
			for range n {
				c := byte('a')
				if r.IntN(density) == 0 {
					c = odd[r.IntN(len(odd))]
				}
				s.in = append(s.in, c)
			}
			s.look(len(s.in) - n)
			checkBitmaps(t, &s)
			if gone := r.IntN(len(s.in)+1) &^ 63; r.IntN(2) == 0 {
				s.in = bytes.Clone(s.in[gone:])
				s.ends, s.hints = s.ends.moved(gone), s.hints.moved(gone)
			}
		}
	}
}

func checkBitmaps(t *testing.T, s *scanner) {
	t.Helper()
	next := len(s.in) // where plain text ends
	for i := len(s.in); i >= 0; i-- {
		if i < len(s.in) {
			if c := s.in[i]; c < ' ' || c == '"' || c == '\\' || c >= 0x80 {
				next = i
			}
		}
		if got := s.plain(i); got != next {
			t.Fatalf("plain text from %d of %q ends at %d, not at %d", i, s.in, got, next)
		}
		if x := s.ends.from(i); x == 0 && next-i < 57 {
			t.Errorf("nothing is known from %d of %d on: the quick way is never gone", i, len(s.in))
		}
		if bytes.ContainsAny(s.in[i:next], "0123456789@%&<=") && !s.hinted(i, next) {
			t.Fatalf("%q is not searched: personal data in it is shown", s.in[i:next])
		}
	}
}

func BenchmarkLook(b *testing.B) {
	s := scanner{in: benchFlat(20)[:24<<10]}
	b.SetBytes(int64(len(s.in)))
	for b.Loop() {
		s.look(0)
	}
}
