// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package shape

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// Pos is a place in a document, both counted from 1.
type Pos struct{ Line, Col int }

// Error is one fault of a document: where, what, and how to mend it.
type Error struct {
	File string
	Pos
	What string
	Mend string
}

// Error writes the fault in one line: file:line:col: what; how to mend.
func (e *Error) Error() string {
	s := fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Col, e.What)
	if e.Mend != "" {
		s += "; " + e.Mend
	}
	return s
}

// Place maps JSON pointers into a document to where the value stands; a pointer
// followed by "#" is the place of the member's name.
type Place map[string]Pos

// Of returns the place of a pointer, of its nearest parent if it has none.
func (p Place) Of(pointer string) Pos {
	for {
		if pos, ok := p[pointer]; ok {
			return pos
		}
		i := strings.LastIndexByte(pointer, '/')
		if i < 0 {
			return Pos{1, 1}
		}
		pointer = pointer[:i]
	}
}

// Join appends a member name to a pointer (RFC 6901).
func Join(pointer string, name string) string {
	return pointer + "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
}

// MaxBytes is the largest document that is read.
const MaxBytes = 4 << 20

// maxFaults bounds what one broken file can print.
const maxFaults = 100

// Read parses one YAML document and checks it against the shape. An empty
// document gives a nil node. All faults are reported together.
func Read(file string, data []byte, root *Shape) (*yaml.Node, Place, error) {
	fault := func(line int, what, mend string) error {
		return &Error{File: file, Pos: Pos{max(line, 1), 1}, What: what, Mend: mend}
	}
	if len(data) > MaxBytes {
		return nil, nil, fault(1, fmt.Sprintf("the file has %d bytes", len(data)), fmt.Sprintf("keep it under %d", MaxBytes))
	}
	if !utf8.Valid(data) {
		return nil, nil, fault(lineOfBadUTF8(data), "the file is not UTF-8", "save it as UTF-8")
	}
	dec := yaml.NewDecoder(strings.NewReader(string(data)))
	var doc, next yaml.Node
	if err := dec.Decode(&doc); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, Place{}, nil
		}
		return nil, nil, fault(yamlLine(err), "this is not YAML: "+yamlText(err), MendYAML(data, yamlLine(err)))
	}
	if err := dec.Decode(&next); !errors.Is(err, io.EOF) {
		if err != nil {
			return nil, nil, fault(yamlLine(err), "this is not YAML: "+yamlText(err), MendYAML(data, yamlLine(err)))
		}
		return nil, nil, fault(next.Line, "a second document starts here", "keep one document a file")
	}
	c := &checker{file: file, place: Place{}}
	node := doc.Content[0]
	if node.Kind == yaml.ScalarNode && node.Tag == "!!null" && node.Value == "" {
		return nil, Place{}, nil
	}
	c.value(node, root, "")
	if len(c.faults) > 0 {
		return nil, nil, c.err()
	}
	return node, c.place, nil
}

type checker struct {
	file   string
	place  Place
	faults []error
	more   int
}

func (c *checker) err() error {
	if c.more > 0 {
		c.faults = append(c.faults, fmt.Errorf("%s: and %d more faults", c.file, c.more))
	}
	return errors.Join(c.faults...)
}

func (c *checker) fault(n *yaml.Node, what, mend string) {
	if len(c.faults) >= maxFaults {
		c.more++
		return
	}
	c.faults = append(c.faults, &Error{File: c.file, Pos: Pos{n.Line, n.Column}, What: what, Mend: mend})
}

func (c *checker) value(n *yaml.Node, s *Shape, at string) {
	c.place[at] = Pos{n.Line, n.Column}
	if n.Kind == yaml.AliasNode || n.Anchor != "" {
		c.fault(n, "anchors and aliases are not read", "write the value out, or use clone_of between templates")
		return
	}
	if n.Style&yaml.TaggedStyle != 0 {
		c.fault(n, fmt.Sprintf("the tag %s is not read", quote(n.Tag)), "write the plain value")
		return
	}
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		c.fault(n, "there is no value here", "write "+s.mend()+", or take the key out")
		return
	}
	for o := s; o != nil; o = o.Or {
		if o.takes(n) {
			c.as(n, o, at)
			return
		}
	}
	c.fault(n, fmt.Sprintf("%s stands where %s belongs", nodeText(n), s.Type()), "write "+s.mend())
}

// takes says whether the YAML kind of the node can be this shape at all; whether
// the value is good is judged afterwards, so that the message can be about it.
func (s *Shape) takes(n *yaml.Node) bool {
	switch s.Kind {
	case Any:
		return true
	case Object, Map:
		return n.Kind == yaml.MappingNode
	case List:
		return n.Kind == yaml.SequenceNode
	case Int:
		return n.Kind == yaml.ScalarNode && n.Tag == "!!int"
	case Bool:
		return n.Kind == yaml.ScalarNode && n.Tag == "!!bool"
	}
	return n.Kind == yaml.ScalarNode
}

func (c *checker) as(n *yaml.Node, s *Shape, at string) {
	switch s.Kind {
	case Object:
		c.object(n, s, at)
	case Map:
		c.names(n, s, at)
	case List:
		c.list(n, s, at)
	case Any:
		c.plain(n)
	default:
		if what, mend := s.judge(n.Value); what != "" {
			c.fault(n, what, mend)
		}
	}
}

// plain refuses anchors and tags anywhere below a value nobody looks into.
func (c *checker) plain(n *yaml.Node) {
	for _, e := range n.Content {
		if e.Kind == yaml.AliasNode || e.Anchor != "" || e.Style&yaml.TaggedStyle != 0 {
			c.fault(e, "anchors, aliases and tags are not read", "write the value out")
			return
		}
		c.plain(e)
	}
}

func (c *checker) object(n *yaml.Node, s *Shape, at string) {
	seen := c.members(n, at, func(k, v *yaml.Node) {
		key := s.key(k.Value)
		if key == nil {
			c.fault(k, fmt.Sprintf("unknown key %s", quote(k.Value)), "use one of "+s.keyList(k.Value))
			return
		}
		c.value(v, key.Shape, Join(at, k.Value))
	})
	for _, k := range s.Keys {
		if k.Required && !seen[k.Name] {
			c.fault(n, fmt.Sprintf("the key %s is missing", quote(k.Name)), "add "+k.Name+": "+k.Example)
		}
	}
}

func (c *checker) names(n *yaml.Node, s *Shape, at string) {
	seen := c.members(n, at, func(k, v *yaml.Node) {
		if s.Pattern != nil && !s.Pattern.MatchString(k.Value) {
			c.fault(k, fmt.Sprintf("%s is no name for a %s", quote(k.Value), s.Name), "write "+s.Looks)
			return
		}
		c.value(v, s.Elem, Join(at, k.Value))
	})
	if s.Max > 0 && int64(len(seen)) > s.Max {
		c.fault(n, fmt.Sprintf("there are %d %ss", len(seen), s.Name), fmt.Sprintf("keep at most %d", s.Max))
	}
}

func (c *checker) members(n *yaml.Node, at string, each func(k, v *yaml.Node)) map[string]bool {
	seen := make(map[string]bool, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		if k.Kind != yaml.ScalarNode || k.Tag == "!!merge" || k.Anchor != "" {
			c.fault(k, "this is no plain key", "write a plain name; merge keys are not read")
			continue
		}
		if seen[k.Value] {
			c.fault(k, fmt.Sprintf("the key %s is here twice", quote(k.Value)), "keep one of the two")
			continue
		}
		seen[k.Value] = true
		c.place[Join(at, k.Value)+"#"] = Pos{k.Line, k.Column}
		each(k, v)
	}
	return seen
}

func (c *checker) list(n *yaml.Node, s *Shape, at string) {
	if int64(len(n.Content)) < s.Min {
		c.fault(n, "the list is empty", "name at least one, or take the key out")
	}
	if s.Max > 0 && int64(len(n.Content)) > s.Max {
		c.fault(n, fmt.Sprintf("the list has %d entries", len(n.Content)), fmt.Sprintf("keep at most %d", s.Max))
		return
	}
	seen := map[string]bool{}
	for i, e := range n.Content {
		if s.Unique && e.Kind == yaml.ScalarNode {
			if seen[e.Value] {
				c.fault(e, fmt.Sprintf("%s is in the list twice", quote(e.Value)), "keep one of the two")
			}
			seen[e.Value] = true
		}
		c.value(e, s.Elem, at+"/"+strconv.Itoa(i))
	}
}

// judge says what is wrong with a scalar and how to mend it; "" when nothing is.
func (s *Shape) judge(v string) (what, mend string) {
	switch s.Kind {
	case Text:
		if n := int64(utf8.RuneCountInString(v)); n < s.Min || s.Max > 0 && n > s.Max {
			return fmt.Sprintf("the text has %d characters", n), fmt.Sprintf("write %d to %d characters", s.Min, s.Max)
		}
		if s.Pattern != nil && !s.Pattern.MatchString(v) {
			return fmt.Sprintf("%s is not %s", quote(v), s.Looks), "write " + s.Looks
		}
	case Int:
		if n, err := strconv.ParseInt(v, 10, 64); err != nil || n < s.Min || n > s.Max {
			return fmt.Sprintf("%s is out of range", quote(v)), fmt.Sprintf("write a whole number from %d to %d", s.Min, s.Max)
		}
	case Word:
		if !contains(s.Words, v) {
			return fmt.Sprintf("unknown value %s", quote(v)), "use one of " + listNear(s.Words, v)
		}
	case Duration:
		if s.Off && v == "off" {
			return "", ""
		}
		d, err := time.ParseDuration(v)
		if err != nil {
			return fmt.Sprintf("%s is no duration", quote(v)), "write one such as 30m or 12h" + s.off()
		}
		if d < s.From || d > s.To {
			return fmt.Sprintf("the duration %s is out of range", v), fmt.Sprintf("write %s to %s", Brief(s.From), Brief(s.To)) + s.off()
		}
	case Network:
		if _, err := ParsePrefix(v); err != nil {
			return fmt.Sprintf("%s is no network: %v", quote(v), err), "write an address such as 203.0.113.7 or a range such as 203.0.113.0/24"
		}
	}
	return "", ""
}

func (s *Shape) off() string {
	if s.Off {
		return ", or off"
	}
	return ""
}

// ParsePrefix reads an address or a CIDR range. A range with bits set beyond its
// length is an error: its author meant something else. An IPv4 address in IPv6
// spelling becomes IPv4; an address with a zone is an error.
func ParsePrefix(v string) (netip.Prefix, error) {
	if !strings.Contains(v, "/") {
		a, err := netip.ParseAddr(v)
		if err != nil || a.Zone() != "" {
			return netip.Prefix{}, errors.New("not an address")
		}
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(v)
	if err != nil {
		return netip.Prefix{}, errors.New("not a CIDR range")
	}
	if p.Addr().Is4In6() {
		return netip.Prefix{}, errors.New("an IPv4 range in IPv6 spelling")
	}
	if p.Masked() != p {
		return netip.Prefix{}, fmt.Errorf("the range starts at %s", p.Masked())
	}
	return p, nil
}

func (s *Shape) key(name string) *Key {
	for i := range s.Keys {
		if s.Keys[i].Name == name {
			return &s.Keys[i]
		}
	}
	return nil
}

func (s *Shape) keyList(near string) string {
	names := make([]string, len(s.Keys))
	for i, k := range s.Keys {
		names[i] = k.Name
	}
	return listNear(names, near)
}

// listNear writes a list of names, the one most like the given word first.
func listNear(names []string, near string) string {
	sorted := append([]string(nil), names...)
	sort.SliceStable(sorted, func(i, j int) bool { return distance(sorted[i], near) < distance(sorted[j], near) })
	switch {
	case len(sorted) == 0:
		return "those that are declared: there is none yet"
	case distance(sorted[0], near) > 2:
	case len(sorted) == 1:
		return sorted[0]
	default:
		return sorted[0] + " (" + strings.Join(sorted[1:], ", ") + ")"
	}
	return strings.Join(names, ", ")
}

// Near returns a list of known names for a message, the likeliest first.
func Near(names []string, word string) string {
	sorted := append([]string(nil), names...)
	sort.Strings(sorted)
	return listNear(sorted, word)
}

// distance is the edit distance, cut off for long words: it only sorts a hint.
func distance(a, b string) int {
	if len(a) > 40 || len(b) > 40 {
		return 99
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		last := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := last
			if a[i-1] != b[j-1] {
				cost++
			}
			last = row[j]
			row[j] = min(cost, row[j]+1, row[j-1]+1)
		}
	}
	return row[len(b)]
}

func contains(list []string, v string) bool {
	return slices.Contains(list, v)
}

func quote(v string) string {
	if r := []rune(v); len(r) > 60 {
		v = string(r[:60]) + "..."
	}
	return strconv.Quote(v)
}

func nodeText(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a section"
	case yaml.SequenceNode:
		return "a list"
	}
	return quote(n.Value)
}
