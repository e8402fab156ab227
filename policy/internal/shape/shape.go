// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// Package shape says what a strict YAML document looks like, once: the reader
// checks documents against it, the JSON schema and the reference tables are
// written from it. What the shape does not name is an error with its place.
package shape

import (
	"fmt"
	"regexp"
	"strings"
	"time"
)

// Kind is the kind of one value.
type Kind uint8

// The kinds of value. The zero Kind accepts nothing.
const (
	_        Kind = iota
	Object        // a mapping with known keys
	Map           // a mapping with names of the author's choice
	List          // a sequence
	Text          // a string; a number is taken as its digits
	Int           // a whole number
	Bool          // true or false
	Word          // one of a closed list
	Duration      // a Go duration such as 30m, or "off" when Off is set
	Network       // an address or a CIDR range
	Any           // whatever YAML can say, anchors and tags excepted; not looked into
)

// Shape describes one value.
type Shape struct {
	Kind     Kind
	Keys     []Key          // Object: every key it may have
	Elem     *Shape         // Map and List: every member
	Name     string         // Map: what a name stands for, such as "role"
	Pattern  *regexp.Regexp // Map: what a name must look like; Text: what the value must look like
	Looks    string         // the pattern in words
	Words    []string       // Word: the closed list
	Min, Max int64          // Int: range; Text: length in characters; List and Map: members. Max 0 is no maximum
	From, To time.Duration  // Duration: range
	Off      bool           // Duration: "off" is allowed
	Or       *Shape         // another shape the value may have instead: a Word that may also be an Object
	Unique   bool           // List: no member twice
}

// Key is one key of an Object.
type Key struct {
	Name     string
	Shape    *Shape
	Required bool
	Default  string // as an author would write it; "" when there is none
	Example  string // as an author would write it
	Doc      string // one line for the reference
}

// Type returns the type of the value in words, with its range.
func (s *Shape) Type() string {
	t := s.plainType()
	if s.Or != nil {
		t += ", or " + s.Or.plainType()
	}
	return t
}

// mend says what to write where something else stands.
func (s *Shape) mend() string {
	if s.Kind == Object || s.Kind == Map {
		return "`name: value` lines below it, indented, or {} for none"
	}
	return s.Type()
}

func (s *Shape) plainType() string {
	switch s.Kind {
	case Object:
		return "section"
	case Map:
		return "section by " + s.Name + s.members(" names")
	case List:
		return "list of " + s.Elem.Type() + s.members(" entries")
	case Text:
		if s.Looks != "" {
			return s.Looks
		}
		return "text" + s.members(" characters")
	case Int:
		return fmt.Sprintf("whole number, %d to %d", s.Min, s.Max)
	case Bool:
		return "`true` or `false`"
	case Word:
		return words(s.Words)
	case Duration:
		t := fmt.Sprintf("duration, %s to %s", Brief(s.From), Brief(s.To))
		if s.Off {
			t += ", or `off`"
		}
		return t
	case Network:
		return "address or CIDR range"
	case Any:
		return "any value"
	}
	return "nothing"
}

func (s *Shape) members(unit string) string {
	switch {
	case s.Min > 0 && s.Max > 0:
		return fmt.Sprintf(" (%d to %d%s)", s.Min, s.Max, unit)
	case s.Max > 0:
		return fmt.Sprintf(" (at most %d%s)", s.Max, unit)
	}
	return ""
}

func words(list []string) string {
	var out strings.Builder
	for i, w := range list {
		if i > 0 {
			out.WriteString(", ")
		}
		out.WriteString("`" + w + "`")
	}
	return out.String()
}

// Brief writes a duration the short way: 12h instead of 12h0m0s.
func Brief(d time.Duration) string {
	switch {
	case d == 0:
		return "0s"
	case d%(24*time.Hour) == 0 && d > 48*time.Hour:
		return fmt.Sprintf("%dh", d/time.Hour)
	case d%time.Hour == 0:
		return fmt.Sprintf("%dh", d/time.Hour)
	case d%time.Minute == 0:
		return fmt.Sprintf("%dm", d/time.Minute)
	}
	return d.String()
}

// Row is one line of the reference.
type Row struct {
	Path string // settings.session.idle, roles.<role>.rows
	Key  *Key
}

// Rows lists every key of the document, parents before children, in the order
// the shape names them. A shape reached by two ways is listed by both.
func Rows(root *Shape) []Row {
	var out []Row
	var walk func(s *Shape, at string)
	walk = func(s *Shape, at string) {
		for ; s != nil; s = s.Or {
			switch s.Kind {
			case Object:
				for i := range s.Keys {
					k := &s.Keys[i]
					p := k.Name
					if at != "" {
						p = at + "." + k.Name
					}
					out = append(out, Row{p, k})
					walk(k.Shape, p)
				}
			case Map:
				walk(s.Elem, at+".<"+s.Name+">")
			case List:
				walk(s.Elem, at+"[]")
			}
		}
	}
	walk(root, "")
	return out
}
