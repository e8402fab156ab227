// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package password

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Defaults and bounds of Policy.
const (
	DefaultMinLength = 12
	DefaultMaxLength = 128
	MaxHistory       = 24
)

// Policy says which new passwords are taken. The zero value asks for 12 to 128
// characters and for nothing else. Passwords that exist already are not held
// against it, except for their age.
type Policy struct {
	MinLength int // characters, 1 ... MaxLength; 0: DefaultMinLength
	MaxLength int // characters, up to 1024; 0: DefaultMaxLength

	MinUpper   int // upper-case letters
	MinLower   int // lower-case letters
	MinDigits  int // decimal digits
	MinSpecial int // characters that are neither letter, digit nor space

	// Special holds the only special characters allowed; "": every one. Letters,
	// digits and spaces are allowed always.
	Special string

	// ForbidPersonal refuses a password that holds a part of the person's name or
	// e-mail address of three characters or more, in any case.
	ForbidPersonal bool

	// History is how many earlier passwords may not come back, 0 ... MaxHistory. The
	// present one is never taken again.
	History int

	MaxAge time.Duration // a password older than this must be changed; 0: no limit
	MinAge time.Duration // a password younger than this may not be changed by its person; 0: no limit

	// MinScore is the least strength, 0 (anything) to 4 (see Score).
	MinScore int

	// Breached are passwords that were stolen elsewhere; nil: nothing is looked up.
	// A list that cannot be read takes no password.
	Breached *Breached
}

// Person is whose password it is.
type Person struct{ ID, Name, Email string }

// Kind names one demand of a policy, for pages and programs.
type Kind string

// The kinds. Those from KindSame on can only be judged where the password is set.
const (
	KindMinLength  Kind = "min_length"
	KindMaxLength  Kind = "max_length"
	KindUpper      Kind = "upper"
	KindLower      Kind = "lower"
	KindDigits     Kind = "digits"
	KindSpecial    Kind = "special"
	KindSpecialSet Kind = "special_set"
	KindPersonal   Kind = "personal"
	KindScore      Kind = "score"
	KindBreached   Kind = "breached"
	KindSame       Kind = "same"
	KindHistory    Kind = "history"
)

// Problem is one demand of a policy, and whether a password meets it.
type Problem struct {
	Kind Kind   `json:"kind"`
	N    int    `json:"n,omitempty"`   // how many, where the demand counts
	Set  string `json:"set,omitempty"` // the allowed characters of KindSpecialSet
	Text string `json:"text"`          // one sentence for the person
	Met  bool   `json:"met"`
}

// PolicyError says everything a password lacks. Its text is meant for the
// person and holds nothing of the password.
type PolicyError struct{ Problems []Problem }

// Error joins the problems.
func (e *PolicyError) Error() string {
	texts := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		texts[i] = p.Text
	}
	return strings.Join(texts, " ")
}

// Validate refuses a policy that no password can satisfy.
func (p Policy) Validate() error {
	p = p.withDefaults()
	classes := 0
	for _, n := range []int{p.MinUpper, p.MinLower, p.MinDigits, p.MinSpecial} {
		if n < 0 {
			return fmt.Errorf("checking the password policy: a smallest number is %d: use 0 or more", n)
		}
		classes += n
	}
	switch {
	case p.MinLength < 1 || p.MaxLength > MaxBytes || p.MinLength > p.MaxLength:
		return fmt.Errorf("checking the password policy: lengths %d to %d: use 1 or more, at most %d, and no more than the greatest for the smallest", p.MinLength, p.MaxLength, MaxBytes)
	case classes > p.MaxLength:
		return fmt.Errorf("checking the password policy: it asks for %d characters of given kinds, and allows %d in all", classes, p.MaxLength)
	case p.History < 0 || p.History > MaxHistory:
		return fmt.Errorf("checking the password policy: history %d: use 0 to %d", p.History, MaxHistory)
	case p.MinScore < 0 || p.MinScore > 4:
		return fmt.Errorf("checking the password policy: least score %d: use 0 to 4", p.MinScore)
	case p.MinAge < 0 || p.MaxAge < 0:
		return fmt.Errorf("checking the password policy: an age is negative")
	case p.MaxAge > 0 && p.MinAge >= p.MaxAge:
		return fmt.Errorf("checking the password policy: a password must be %v old to be changed and must be changed at %v: use less for the smallest age", p.MinAge, p.MaxAge)
	}
	for _, r := range p.Special {
		if !special(r) {
			return fmt.Errorf("checking the password policy: %q is no special character: letters, digits and spaces are allowed always", r)
		}
	}
	if p.Special != norm.NFC.String(p.Special) {
		return fmt.Errorf("checking the password policy: the special characters hold one that is written in parts; write it as one character")
	}
	return nil
}

func (p Policy) withDefaults() Policy {
	if p.MinLength == 0 {
		p.MinLength = DefaultMinLength
	}
	if p.MaxLength == 0 {
		p.MaxLength = max(DefaultMaxLength, p.MinLength)
	}
	return p
}

// Rules lists what the policy asks for, in the order in which it is judged, none
// of it met: for a page that shows the rules before anything is typed.
func (p Policy) Rules() []Problem {
	p = p.withDefaults()
	rules := p.judge("", Person{})
	if p.MinScore > 0 {
		rules = append(rules, problem(KindScore, p.MinScore, false))
	}
	if p.Breached != nil {
		rules = append(rules, problem(KindBreached, 0, false))
	}
	rules = append(rules, problem(KindSame, 0, false))
	if p.History > 0 {
		rules = append(rules, problem(KindHistory, p.History, false))
	}
	for i := range rules {
		rules[i].Met = false
	}
	return rules
}

// Judge says of every demand that can be judged by the password alone whether it
// is met. Errors wrap ErrUnusable, or say that the breached list could not be read.
func (p Policy) Judge(password string, who Person) ([]Problem, error) {
	password, err := prepare(password)
	if err != nil {
		return nil, err
	}
	p = p.withDefaults()
	rules := p.judge(password, who)
	if p.MinScore > 0 {
		rules = append(rules, problem(KindScore, p.MinScore, Score(password, who) >= p.MinScore))
	}
	if p.Breached != nil {
		stolen, err := p.Breached.Has(password)
		if err != nil {
			return nil, err
		}
		rules = append(rules, problem(KindBreached, 0, !stolen))
	}
	return rules, nil
}

// Check holds a new password against the policy: nil, an error that wraps
// ErrUnusable, a *PolicyError, or an error of the breached list.
func (p Policy) Check(password string, who Person) error {
	rules, err := p.Judge(password, who)
	if err != nil {
		return err
	}
	var lacks []Problem
	for _, r := range rules {
		if !r.Met {
			lacks = append(lacks, r)
		}
	}
	if len(lacks) > 0 {
		return &PolicyError{Problems: lacks}
	}
	return nil
}

// judge looks at the characters.
func (p Policy) judge(password string, who Person) []Problem {
	n := utf8.RuneCountInString(password)
	rules := []Problem{problem(KindMinLength, p.MinLength, n >= p.MinLength), problem(KindMaxLength, p.MaxLength, n <= p.MaxLength)}
	var upper, lower, digits, specials int
	foreign := false
	for _, r := range password {
		switch {
		case unicode.IsUpper(r):
			upper++
		case unicode.IsLower(r):
			lower++
		case unicode.IsDigit(r):
			digits++
		case special(r):
			specials++
			foreign = foreign || !strings.ContainsRune(p.Special, r)
		case unicode.IsControl(r):
			foreign = true
		}
	}
	for _, c := range []struct {
		kind     Kind
		has, min int
	}{{KindUpper, upper, p.MinUpper}, {KindLower, lower, p.MinLower}, {KindDigits, digits, p.MinDigits}, {KindSpecial, specials, p.MinSpecial}} {
		if c.min > 0 {
			rules = append(rules, problem(c.kind, c.min, c.has >= c.min))
		}
	}
	if p.Special != "" {
		set := problem(KindSpecialSet, 0, !foreign)
		set.Set, set.Text = p.Special, "Use no special characters but "+p.Special
		rules = append(rules, set)
	}
	if p.ForbidPersonal {
		rules = append(rules, problem(KindPersonal, 0, !personal(password, who)))
	}
	return rules
}

// special says what counts as a special character.
func special(r rune) bool {
	return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsSpace(r) && !unicode.IsMark(r) && !unicode.IsControl(r)
}

var sentences = map[Kind][2]string{ // for one, for several
	KindMinLength: {"Use at least one character.", "Use at least %d characters."},
	KindMaxLength: {"Use at most one character.", "Use at most %d characters."},
	KindUpper:     {"Use at least one upper-case letter.", "Use at least %d upper-case letters."},
	KindLower:     {"Use at least one lower-case letter.", "Use at least %d lower-case letters."},
	KindDigits:    {"Use at least one digit.", "Use at least %d digits."},
	KindSpecial:   {"Use at least one special character.", "Use at least %d special characters."},
	KindHistory:   {"Do not use your last password again.", "Do not use one of your last %d passwords again."},

	KindPersonal: {"Do not use parts of your name or e-mail address."},
	KindScore:    {"Make it harder to guess: several words that do not belong together are good."},
	KindBreached: {"Use one that is not in a list of stolen passwords."},
	KindSame:     {"Use one that differs from your present password."},
}

// problem words one demand.
func problem(kind Kind, n int, met bool) Problem {
	text := sentences[kind]
	if n > 1 && text[1] != "" {
		return Problem{Kind: kind, N: n, Text: fmt.Sprintf(text[1], n), Met: met}
	}
	return Problem{Kind: kind, N: n, Text: text[0], Met: met}
}

// personal says whether a part of the person's name or e-mail is in the password.
func personal(password string, who Person) bool {
	password = strings.ToLower(password)
	for _, part := range who.parts() {
		if utf8.RuneCountInString(part) >= 3 && strings.Contains(password, part) {
			return true
		}
	}
	return false
}

// parts are the words of the person's name and e-mail address, in lower case.
func (who Person) parts() []string {
	about := norm.NFC.String(who.Name + " " + who.Email)
	return strings.FieldsFunc(strings.ToLower(about), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r) })
}
