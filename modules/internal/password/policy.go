// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package password

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Defaults of Policy.
const (
	DefaultMinLength = 12
	DefaultMaxLength = 128
)

// Policy says which new passwords are taken. The zero value asks for 12 to 128
// characters and for nothing else. Passwords that exist already are not held
// against it.
type Policy struct {
	MinLength int // characters, 1 ... MaxLength; 0: DefaultMinLength
	MaxLength int // characters, up to 1024; 0: DefaultMaxLength

	MinUpper   int // upper-case letters
	MinLower   int // lower-case letters
	MinDigits  int // decimal digits
	MinSpecial int // characters that are neither letter, digit nor space

	// ForbidPersonal refuses a password that holds a part of the person's name or
	// e-mail address of three characters or more, in any case.
	ForbidPersonal bool
}

// Person is whose password it is, for Policy.ForbidPersonal.
type Person struct{ Name, Email string }

// PolicyError says everything a password lacks. Its text is meant for the
// person and holds nothing of the password.
type PolicyError struct{ Problems []string }

// Error joins the problems.
func (e *PolicyError) Error() string { return strings.Join(e.Problems, " ") }

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

// Check holds a new password against the policy: nil, an error that wraps
// ErrUnusable, or a *PolicyError.
func (p Policy) Check(password string, who Person) error {
	password, err := prepare(password)
	if err != nil {
		return err
	}
	p = p.withDefaults()
	var problems []string
	lack := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }

	if n := utf8.RuneCountInString(password); n < p.MinLength {
		lack("Use at least %d characters.", p.MinLength)
	} else if n > p.MaxLength {
		lack("Use at most %d characters.", p.MaxLength)
	}
	var upper, lower, digits, special int
	for _, r := range password {
		switch {
		case unicode.IsUpper(r):
			upper++
		case unicode.IsLower(r):
			lower++
		case unicode.IsDigit(r):
			digits++
		case !unicode.IsLetter(r) && !unicode.IsSpace(r) && !unicode.IsMark(r) && !unicode.IsControl(r):
			special++
		}
	}
	for _, c := range []struct {
		has, min  int
		one, many string
	}{
		{upper, p.MinUpper, "upper-case letter", "upper-case letters"},
		{lower, p.MinLower, "lower-case letter", "lower-case letters"},
		{digits, p.MinDigits, "digit", "digits"},
		{special, p.MinSpecial, "special character", "special characters"},
	} {
		switch {
		case c.has >= c.min:
		case c.min == 1:
			lack("Use at least one %s.", c.one)
		default:
			lack("Use at least %d %s.", c.min, c.many)
		}
	}
	if p.ForbidPersonal && personal(password, who) {
		lack("Do not use parts of your name or e-mail address.")
	}
	if len(problems) > 0 {
		return &PolicyError{Problems: problems}
	}
	return nil
}

// personal says whether a part of the person's name or e-mail is in the password.
func personal(password string, who Person) bool {
	password = strings.ToLower(password)
	about := norm.NFC.String(who.Name + " " + who.Email)
	for part := range strings.FieldsFuncSeq(strings.ToLower(about), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r) }) {
		if utf8.RuneCountInString(part) >= 3 && strings.Contains(password, part) {
			return true
		}
	}
	return false
}
