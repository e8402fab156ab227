// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package resource

import (
	"fmt"
	"strconv"
	"strings"
)

// Pointer is a place, or a family of places, in a JSON document: RFC 6901 with
// two more steps. "*" stands for every element of an array, "{*}" for every
// member of an object whose names are ids. Member names are compared folded
// (see Fold); a number steps into an array by position. The zero value is the
// whole document.
type Pointer struct {
	Steps []Step
}

// StepKind says what a step of a Pointer goes into.
type StepKind uint8

// The kinds of steps.
const (
	Member   StepKind = iota // an object member, or an array element when Index is not -1
	Elements                 // every element of an array
	Members                  // every member of an object keyed by id
)

// Step is one step of a Pointer.
type Step struct {
	Kind  StepKind
	Name  string // Member: the name as the map writes it
	Fold  string // Member: the folded name
	Index int    // Member: position when the name is a number, -1 otherwise
}

// ParsePointer reads a pointer. A leading slash may be left out of a pointer
// that is relative to a record. A bad escape or an empty name is an error.
func ParsePointer(s string) (Pointer, error) {
	if s == "" || s == "/" {
		return Pointer{}, nil
	}
	var p Pointer
	for part := range strings.SplitSeq(strings.TrimPrefix(s, "/"), "/") {
		step, err := parseStep(part)
		if err != nil {
			return Pointer{}, fmt.Errorf("reading pointer %q: %w", s, err)
		}
		p.Steps = append(p.Steps, step)
	}
	return p, nil
}

func parseStep(part string) (Step, error) {
	switch part {
	case "*":
		return Step{Kind: Elements, Index: -1}, nil
	case "{*}":
		return Step{Kind: Members, Index: -1}, nil
	}
	for i := 0; i < len(part); i++ {
		if part[i] == '~' && (i+1 == len(part) || part[i+1] != '0' && part[i+1] != '1') {
			return Step{}, fmt.Errorf("\"~\" must be written ~0, and \"/\" within a name ~1")
		}
	}
	name := strings.ReplaceAll(strings.ReplaceAll(part, "~1", "/"), "~0", "~")
	fold := Fold(name)
	if fold == "" {
		return Step{}, fmt.Errorf("a name is empty")
	}
	step := Step{Kind: Member, Name: name, Fold: fold, Index: -1}
	if n, err := strconv.Atoi(name); err == nil && n >= 0 && n < 1024 && strconv.Itoa(n) == name {
		step.Index = n
	}
	return step, nil
}

// String returns the pointer as a map writes it, with a leading slash.
func (p Pointer) String() string {
	var b strings.Builder
	for _, s := range p.Steps {
		b.WriteByte('/')
		switch s.Kind {
		case Elements:
			b.WriteByte('*')
		case Members:
			b.WriteString("{*}")
		default:
			b.WriteString(strings.ReplaceAll(strings.ReplaceAll(s.Name, "~", "~0"), "/", "~1"))
		}
	}
	return b.String()
}

// Fixed reports whether the pointer names one place, without wildcards.
func (p Pointer) Fixed() bool {
	for _, s := range p.Steps {
		if s.Kind != Member {
			return false
		}
	}
	return true
}
