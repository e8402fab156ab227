// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package resource

import (
	"errors"
	"fmt"
	"sort"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Problem is one thing wrong with a map: where, what, and how to mend it.
type Problem struct {
	File   string
	Line   int
	Column int
	What   string
	Mend   string
}

// Error returns "file:line:col: what; how to mend".
func (p *Problem) Error() string {
	s := p.File + ":" + strconv.Itoa(p.Line) + ":" + strconv.Itoa(p.Column) + ": " + p.What
	if p.Mend != "" {
		s += "; " + p.Mend
	}
	return s
}

// maxProblems bounds what one bad file makes us say.
const maxProblems = 100

// decoder reads YAML nodes strictly and keeps every problem it meets. Checks
// that need the whole map run afterwards.
type decoder struct {
	file     string
	m        *Map
	problems []error
	later    []func()

	requests  map[string]*yaml.Node
	responses map[string]*Response
}

// keys maps the keys a mapping may have to what reads their values.
type keys map[string]func(*yaml.Node)

func (d *decoder) fail(n *yaml.Node, mend, what string, args ...any) {
	d.failAt(n.Line, n.Column, mend, what, args...)
}

func (d *decoder) failAt(line, col int, mend, what string, args ...any) {
	if len(d.problems) < maxProblems {
		d.problems = append(d.problems, &Problem{File: d.file, Line: line, Column: col, What: fmt.Sprintf(what, args...), Mend: mend})
	}
}

func (d *decoder) err() error {
	sort.SliceStable(d.problems, func(i, j int) bool {
		var a, b *Problem
		if !errors.As(d.problems[i], &a) || !errors.As(d.problems[j], &b) {
			return false
		}
		return a.Line < b.Line || a.Line == b.Line && a.Column < b.Column
	})
	return errors.Join(d.problems...)
}

// object reads a mapping with known keys only, each at most once.
func (d *decoder) object(n *yaml.Node, what string, k keys) bool {
	if n.Kind != yaml.MappingNode {
		d.fail(n, "write it as \"key: value\" lines", "%s must be a mapping", what)
		return false
	}
	seen := make(map[string]bool, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		read, known := k[key.Value]
		switch {
		case key.Kind != yaml.ScalarNode || !known:
			d.fail(key, "use one of "+keyList(k), "unknown key %q in %s", shorten(key.Value), what)
		case seen[key.Value]:
			d.fail(key, "keep one of them", "key %q stands twice in %s", key.Value, what)
		default:
			seen[key.Value] = true
			read(value)
		}
	}
	return true
}

// table reads a mapping with free keys, in order.
func (d *decoder) table(n *yaml.Node, what string, each func(key *yaml.Node, value *yaml.Node)) {
	if n.Kind != yaml.MappingNode {
		d.fail(n, "write it as \"name: value\" lines", "%s must be a mapping", what)
		return
	}
	seen := make(map[string]bool, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		switch {
		case key.Kind != yaml.ScalarNode || key.Value == "":
			d.fail(key, "give it a name", "a name in %s is not plain text", what)
		case seen[key.Value]:
			d.fail(key, "keep one of them", "%q stands twice in %s", shorten(key.Value), what)
		default:
			seen[key.Value] = true
			each(key, n.Content[i+1])
		}
	}
}

// list reads a sequence; a single value stands for a list of one.
func (d *decoder) list(n *yaml.Node, each func(*yaml.Node)) {
	if n.Kind != yaml.SequenceNode {
		each(n)
		return
	}
	for _, item := range n.Content {
		each(item)
	}
}

// text reads a scalar that is not null.
func (d *decoder) text(n *yaml.Node, what string) (string, bool) {
	if n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
		d.fail(n, "write a plain value", "%s must be text", what)
		return "", false
	}
	if len(n.Value) > 8192 {
		d.fail(n, "shorten it", "%s is longer than 8192 bytes", what)
		return "", false
	}
	return n.Value, true
}

func (d *decoder) setText(to *string, what string) func(*yaml.Node) {
	return func(n *yaml.Node) {
		if s, ok := d.text(n, what); ok {
			*to = s
		}
	}
}

func (d *decoder) setName(to *string, what string) func(*yaml.Node) {
	return func(n *yaml.Node) {
		if s, ok := d.text(n, what); ok {
			if s == "" {
				d.fail(n, "give it a name", "%s is empty", what)
			}
			*to = s
		}
	}
}

func (d *decoder) setTexts(to *[]string, what string) func(*yaml.Node) {
	return func(n *yaml.Node) {
		d.list(n, func(item *yaml.Node) {
			s, ok := d.text(item, what)
			switch {
			case !ok:
			case s == "":
				d.fail(item, "remove it or give it a value", "%s holds an empty text", what)
			default:
				*to = append(*to, s)
			}
		})
	}
}

func (d *decoder) setFlag(to *bool, what string) func(*yaml.Node) {
	return func(n *yaml.Node) {
		switch {
		case n.Kind == yaml.ScalarNode && n.Value == "true":
			*to = true
		case n.Kind == yaml.ScalarNode && n.Value == "false":
			*to = false
		default:
			d.fail(n, "write true or false", "%s must be true or false", what)
		}
	}
}

func (d *decoder) setNumber(to *int, what string, low, high int) func(*yaml.Node) {
	return func(n *yaml.Node) {
		v, err := strconv.Atoi(n.Value)
		if n.Kind != yaml.ScalarNode || err != nil || v < low || v > high {
			d.fail(n, fmt.Sprintf("write a whole number from %d to %d", low, high), "%s is not a number in range", what)
			return
		}
		*to = v
	}
}

// setSize reads bytes: 65536, 64KiB, 1MiB.
func (d *decoder) setSize(to *int64, what string) func(*yaml.Node) {
	return func(n *yaml.Node) {
		text, unit := n.Value, int64(1)
		for suffix, u := range map[string]int64{"KiB": 1 << 10, "MiB": 1 << 20} {
			if t, ok := strings.CutSuffix(text, suffix); ok {
				text, unit = strings.TrimSpace(t), u
			}
		}
		v, err := strconv.ParseInt(text, 10, 32)
		if n.Kind != yaml.ScalarNode || err != nil || v < 1 || v*unit > 1<<30 {
			d.fail(n, "write bytes, such as 65536, 64KiB or 1MiB, up to 1024MiB", "%s is not a size", what)
			return
		}
		*to = v * unit
	}
}

func (d *decoder) setPointer(to *Pointer, what string) func(*yaml.Node) {
	return func(n *yaml.Node) {
		if p, ok := d.pointer(n, what); ok {
			*to = p
		}
	}
}

func (d *decoder) pointer(n *yaml.Node, what string) (Pointer, bool) {
	s, ok := d.text(n, what)
	if !ok {
		return Pointer{}, false
	}
	p, err := ParsePointer(s)
	if err != nil {
		d.fail(n, "write it like /Leads/*/Phone", "%s is not a pointer (%v)", what, err)
		return Pointer{}, false
	}
	return p, true
}

// setWord reads one word of a closed list.
func setWord[T ~string](d *decoder, to *T, what string, words ...T) func(*yaml.Node) {
	return func(n *yaml.Node) {
		s, ok := d.text(n, what)
		if !ok {
			return
		}
		for _, w := range words {
			if string(w) == s {
				*to = w
				return
			}
		}
		d.fail(n, "use one of "+wordList(words), "unknown %s %q", what, shorten(s))
	}
}

func wordList[T ~string](words []T) string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = string(w)
	}
	return strings.Join(out, ", ")
}

func keyList(k keys) string {
	out := make([]string, 0, len(k))
	for name := range k {
		out = append(out, name)
	}
	sort.Strings(out)
	return strings.Join(out, ", ")
}

// shorten keeps messages of hostile files readable.
func shorten(s string) string {
	if len(s) > 60 {
		return strings.ToValidUTF8(s[:60], "") + "..."
	}
	return s
}
