// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package directory

import (
	"errors"
	"strings"
	"testing"
	"unicode"
)

func TestParseEmail(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"asha@example.com", "asha@example.com"},
		{"Asha.R+crm@Sales.Example.COM", "asha.r+crm@sales.example.com"},
		{"o'neill@example.com", "o'neill@example.com"},
		{"आशा@उदाहरण.भारत", "आशा@उदाहरण.भारत"},
		{"ÉLODIE@example.com", "élodie@example.com"},
		{"root@localhost", "root@localhost"},
		{strings.Repeat("a", 242) + "@example.com", strings.Repeat("a", 242) + "@example.com"},
	} {
		if got, err := ParseEmail(c.in); err != nil || got != c.want {
			t.Errorf("%q: %q, %v", c.in, got, err)
		}
	}
	for _, in := range []string{
		"", "@", "a@", "@b", "asha", "a@b@c", "a@@b", " a@b.c", "a@b.c ", "a b@c.d", "a@b\n.c", "a@b.c\x00", "a@b.c\r\nBcc: x@y.z",
		"a\xff@b.c", "a@b..c", "a@.b", "a@b.", "a@-b.c", "a@b-.c", "a\u200b@b.c", "a\u202e@b.c", "a\u00a0@b.c", "a\u00ad@b.c",
		`"a b"@c.d`, "Asha <a@b.c>", "a@[127.0.0.1]", "a@b.c,d@e.f", "mailto:a@b.c", "a(x)@b.c", `a\@b.c`,
		strings.Repeat("a", 243) + "@example.com",
	} {
		if got, err := ParseEmail(in); !errors.Is(err, ErrEmail) || got != "" {
			t.Errorf("%q was taken as %q, %v", in, got, err)
		}
	}
}

func FuzzParseEmail(f *testing.F) {
	for _, s := range []string{"Asha@Example.com", "a@b@c", "\u212a@x", "İ@x.y", "a@b\x00", strings.Repeat("Ⱥ", 83) + "@x.yy"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := ParseEmail(s)
		if err != nil {
			return
		}
		again, err := ParseEmail(got)
		if err != nil || again != got {
			t.Fatalf("%q gives %q, which gives %q, %v", s, got, again, err)
		}
		if len(got) > MaxEmail || strings.Count(got, "@") != 1 || strings.ContainsFunc(got, func(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) }) {
			t.Fatalf("%q was taken as %q", s, got)
		}
		for i, r := range []rune(s) {
			if g := []rune(got)[i]; r > 127 && g < 128 {
				t.Fatalf("%q became %q: it reads as somebody else's address", s, got)
			}
		}
	})
}
