// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package mask

import (
	"fmt"
	"math"
	"slices"
	"unicode"
	"unicode/utf8"
)

// MinKey is the least length of a key for token, in bytes.
const MinKey = 16

// Spec is a masking function as a policy writes it. Members a function does not
// use must be left zero.
type Spec struct {
	Fn        string  // full, null, keep_last, keep_first, phone, email, card, pan, aadhaar, date, round, bucket, token
	KeepLast  int     // keep_last, phone, card, pan, aadhaar: characters shown at the end, 1 to 4; 0 means 4
	KeepFirst int     // keep_first: characters shown at the start, 1 to 4; 0 means 1
	Keep      string  // date: "year" (default) or "month"; email: "domain" (default) or "none"
	Text      string  // full: the text shown, 1 to 32 characters, at most three digits; "" means XXXXXXXX
	Step      float64 // round, bucket: width of a step, greater than 0
	Domain    string  // token: what the token is for, such as "lead.phone"; equal values in other domains give other tokens
}

// SpecError says which member of a Spec is wrong, and how to mend it.
type SpecError struct {
	Member string // such as "keep_last"
	What   string
}

func (e *SpecError) Error() string { return fmt.Sprintf("mask: %s: %s", e.Member, e.What) }

// Compile checks s and returns its function. The key is used by token alone and
// must have at least MinKey bytes then. Every fault is a *SpecError.
func Compile(s Spec, key []byte) (*Func, error) {
	k, ok := kinds[s.Fn]
	if !ok {
		return nil, &SpecError{"fn", fmt.Sprintf("unknown function %q; known are %v", s.Fn, Names())}
	}
	if err := unused(s, k); err != nil {
		return nil, err
	}
	f := &Func{Name: s.Fn, kind: k, text: s.Text, step: s.Step, domain: s.Domain, odd: !isPlain(s.Text)}
	switch k {
	case keepFirst:
		f.keep = max(s.KeepFirst, 1)
	case keepLast, phone, card, pan, aadhaar:
		f.keep = s.KeepLast
		if f.keep == 0 {
			f.keep = 4
		}
	case date:
		f.month = s.Keep == "month"
	case email:
		f.bare = s.Keep == "none"
	case token:
		if len(key) < MinKey {
			return nil, &SpecError{"fn", fmt.Sprintf("token needs a key of at least %d bytes", MinKey)}
		}
		f.key = slices.Clone(key)
	}
	if err := check(s, k); err != nil {
		return nil, err
	}
	return f, nil
}

// unused refuses members that the function does not read, so that a policy
// never promises what nobody does.
func unused(s Spec, k kind) error {
	last := k == keepLast || k == phone || k == card || k == pan || k == aadhaar
	for _, m := range []struct {
		name string
		set  bool
		used bool
	}{
		{"keep_last", s.KeepLast != 0, last},
		{"keep_first", s.KeepFirst != 0, k == keepFirst},
		{"keep", s.Keep != "", k == date || k == email},
		{"text", s.Text != "", k == full},
		{"step", s.Step != 0, k == round || k == bucket},
		{"domain", s.Domain != "", k == token},
	} {
		if m.set && !m.used {
			return &SpecError{m.name, fmt.Sprintf("%s does not use it; remove it", s.Fn)}
		}
	}
	return nil
}

// check refuses values out of range.
func check(s Spec, k kind) error {
	switch {
	case s.KeepLast < 0 || s.KeepLast > 4:
		return &SpecError{"keep_last", "must be between 1 and 4"}
	case s.KeepFirst < 0 || s.KeepFirst > 4:
		return &SpecError{"keep_first", "must be between 1 and 4"}
	case k == date && s.Keep != "" && s.Keep != "year" && s.Keep != "month":
		return &SpecError{"keep", "must be year or month"}
	case k == email && s.Keep != "" && s.Keep != "domain" && s.Keep != "none":
		return &SpecError{"keep", "must be domain or none"}
	case (k == round || k == bucket) && !(s.Step > 0 && !math.IsInf(s.Step, 0)):
		return &SpecError{"step", "must be a number greater than 0"}
	case s.Text != "":
		return checkText(s.Text)
	}
	return nil
}

// checkText refuses a replacement that could be taken for a real value.
func checkText(text string) error {
	if !utf8.ValidString(text) || utf8.RuneCountInString(text) > 32 {
		return &SpecError{"text", "must be at most 32 characters of valid text"}
	}
	digits := 0
	for _, r := range text {
		if unicode.IsDigit(r) {
			digits++
		}
		if !unicode.IsPrint(r) || r == '@' {
			return &SpecError{"text", "must be printable and without @"}
		}
	}
	if digits > 3 {
		return &SpecError{"text", "must hold at most three digits, or it looks like a real value"}
	}
	return nil
}

// isPlain reports whether s is printable ASCII without quotes and backslashes.
func isPlain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// Names returns the names of all functions, sorted.
func Names() []string {
	out := make([]string, 0, len(kinds))
	for n := range kinds {
		out = append(out, n)
	}
	slices.Sort(out)
	return out
}
