// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package mask

import "testing"

// TestEightDigits: eight bytes looked at together are judged as they are one by one,
// each byte at each place.
func TestEightDigits(t *testing.T) {
	for at := range 8 {
		for c := range 256 {
			s := []byte("98765432")
			s[at] = byte(c)
			if got, want := eightDigits(s), c >= '0' && c <= '9'; got != want {
				t.Errorf("byte %#x at %d: %v", c, at, got)
			}
		}
	}
}

// TestPhonesWithAndWithoutSeparators: a number is masked alike however it is
// written, and whatever is no digit makes it no number, wherever it stands.
func TestPhonesWithAndWithoutSeparators(t *testing.T) {
	const digits = "987654321012345678"
	for n := range len(digits) + 1 {
		for _, plus := range []string{"", "+"} {
			whole := plus + digits[:n]
			got, ok := appendPhone(nil, []byte(whole), 4)
			want, same := appendPhone(nil, []byte(" "+whole+" - "), 4) // never read eight at a time
			if n > 0 && (string(got) != string(want) || ok != same) {
				t.Errorf("%q: %q, with separators %q", whole, got, want)
			}
			for at := range n {
				for _, other := range []byte{'x', '*', '9' + 1, '+', 0, 0xB1} {
					s := []byte(whole)
					s[len(plus)+at] = other
					if out, ok := appendPhone(nil, s, 4); ok && len(out) > 0 && (at > 0 || plus != "" || other != '+') {
						t.Errorf("%q is no number and shows %q", s, out)
					}
				}
			}
		}
	}
}

func BenchmarkPhone(b *testing.B) {
	dst := make([]byte, 0, 64)
	for _, s := range []string{"+919812345678", "9812345678", "+91 98123 45678"} {
		b.Run(s, func(b *testing.B) {
			in := []byte(s)
			for b.Loop() {
				dst, _ = appendPhone(dst[:0], in, 4)
			}
		})
	}
}
