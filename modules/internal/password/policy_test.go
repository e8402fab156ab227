// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package password

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestPolicy(t *testing.T) {
	classes := Policy{MinLength: 8, MaxLength: 20, MinUpper: 1, MinLower: 2, MinDigits: 1, MinSpecial: 2}
	personal := Policy{MinLength: 4, ForbidPersonal: true}
	mona := Person{Name: "Mona D'Árcy-Li", Email: "m.darcy@sales.example.com"}
	cases := []struct {
		name     string
		policy   Policy
		password string
		want     []string
	}{
		{"long enough", Policy{}, "abcdefghijkl", nil},
		{"eleven", Policy{}, "abcdefghijk", []string{"Use at least 12 characters."}},
		{"characters, not bytes", Policy{}, "ééééééééééé", []string{"Use at least 12 characters."}},
		{"composed first", Policy{MinLength: 2}, "e\u0301", []string{"Use at least 2 characters."}},
		{"129", Policy{}, strings.Repeat("a", 129), []string{"Use at most 128 characters."}},
		{"own maximum", classes, "Aa1!b!" + strings.Repeat("x", 15), []string{"Use at most 20 characters."}},
		{"all classes", classes, "Aab1!?xy", nil},
		{"no class", classes, "        ", []string{
			"Use at least one upper-case letter.", "Use at least 2 lower-case letters.",
			"Use at least one digit.", "Use at least 2 special characters.",
		}},
		{"letters of other scripts", Policy{MinLength: 1, MinUpper: 1, MinLower: 1}, "Жж", nil},
		{"a space is not special", Policy{MinLength: 1, MinSpecial: 1}, "a b", []string{"Use at least one special character."}},
		{"first name", personal, "xxmONAxx", []string{"Do not use parts of your name or e-mail address."}},
		{"family name, other composition", personal, "A\u0301RCY!", []string{"Do not use parts of your name or e-mail address."}},
		{"local part", personal, "9darcy9", []string{"Do not use parts of your name or e-mail address."}},
		{"domain", personal, "Example2026", []string{"Do not use parts of your name or e-mail address."}},
		{"two characters are no part", personal, "xlixmx", nil},
		{"allowed special characters", Policy{MinLength: 4, Special: "-_"}, "a-b_ 1é", nil},
		{"another special character", Policy{MinLength: 4, Special: "-_"}, "a-b!c", []string{"Use no special characters but -_"}},
		{"a control character is never special and never allowed in a set", Policy{MinLength: 4, Special: "-_"}, "a-b\x07c", []string{"Use no special characters but -_"}},
		{"weak", Policy{MinLength: 4, MinScore: 3}, "password1", []string{"Make it harder to guess: several words that do not belong together are good."}},
		{"weak for this person only", Policy{MinLength: 4, MinScore: 3}, "m.darcy@sales.example.com", []string{"Make it harder to guess: several words that do not belong together are good."}},
		{"letters written as signs", Policy{MinLength: 4, MinScore: 3}, "p@$$w0rd1", []string{"Make it harder to guess: several words that do not belong together are good."}},
		{"strong", Policy{MinLength: 4, MinScore: 4}, "lamp otter violin tundra", nil},
		{"not forbidden", Policy{MinLength: 4}, "mona", nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			err := c.policy.Check(c.password, mona)
			var pe *PolicyError
			switch {
			case c.want == nil && err != nil:
				t.Errorf("refused: %v", err)
			case c.want != nil && (!errors.As(err, &pe) || pe.Error() != strings.Join(c.want, " ")):
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
	for _, p := range []string{"", "\xff", strings.Repeat("x", MaxBytes+1)} {
		if err := (Policy{}).Check(p, Person{}); !errors.Is(err, ErrUnusable) {
			t.Errorf("%.10q: %v", p, err)
		}
	}
}

func TestPolicyValidate(t *testing.T) {
	good := []Policy{{}, {MinLength: 1}, {MinLength: 200}, {MaxLength: 1024}, {MinUpper: 64, MinLower: 64}, {History: 24, MinScore: 4, Special: "!?-_", MaxAge: time.Hour, MinAge: time.Minute}}
	for _, p := range good {
		if err := p.Validate(); err != nil {
			t.Errorf("%+v: %v", p, err)
		}
	}
	bad := []Policy{
		{MinLength: -1},
		{MinLength: 20, MaxLength: 10},
		{MaxLength: 1025},
		{MinUpper: -1},
		{MinUpper: 100, MinLower: 100},
		{MaxLength: 8},
		{History: 25},
		{History: -1},
		{MinScore: 5},
		{Special: "!a"},
		{Special: " "},
		{Special: "!1"},
		{MaxAge: time.Hour, MinAge: time.Hour},
		{MinAge: -1},
	}
	for _, p := range bad {
		if err := p.Validate(); err == nil {
			t.Errorf("%+v: nobody could ever set a password", p)
		}
	}
}
