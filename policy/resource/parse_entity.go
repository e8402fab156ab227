// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package resource

import (
	"sort"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

func (d *decoder) entity(key, n *yaml.Node) {
	e := &Entity{Name: key.Value, Fields: map[string]*Field{}, Unknown: UnknownDetect, byFold: map[string]*Field{}, line: key.Line, column: key.Column}
	if !isName(e.Name) {
		d.fail(key, "use letters, digits and _", "entity name %q is not a plain word", shorten(e.Name))
	}
	var fields *yaml.Node
	var said []string // for people who read the map, see docs/maps.md
	d.object(n, "entity "+e.Name, keys{
		"names":       d.setTexts(&e.Names, "names"),
		"id":          d.setTexts(&e.ID, "id"),
		"owner":       d.setTexts(&e.Owner, "owner"),
		"modified_on": d.setTexts(&said, "modified_on"),
		"type":        d.setTexts(&said, "type"),
		"unknown":     setWord(d, &e.Unknown, "rule for unknown fields", UnknownShow, UnknownDetect, UnknownMask, UnknownHide),
		"owner_via":   func(n *yaml.Node) { d.list(n, func(i *yaml.Node) { d.ownerVia(e, i) }) },
		"read_back": func(n *yaml.Node) {
			e.ReadBack = d.readBack(n)
			d.later = append(d.later, func() { d.linkReadBack(n, e.ReadBack) })
		},
		"copies":   func(n *yaml.Node) { d.list(n, func(i *yaml.Node) { d.copies(e, i) }) },
		"nested":   func(n *yaml.Node) { e.Nested = d.recordSets(n) },
		"found_by": func(n *yaml.Node) { d.foundBy(e, n) },
		"fields":   func(n *yaml.Node) { fields = n },
	})
	d.m.Entities[e.Name] = e
	d.later = append(d.later, func() { d.linkNested(key, e.Nested) })
	if fields != nil {
		d.table(fields, "fields of "+e.Name, func(k, v *yaml.Node) { d.field(e, k, v) })
	}
	for _, name := range append([]string{e.Name}, e.Names...) {
		if other := d.m.named[name]; other != nil && other != e {
			d.fail(key, "use a name once", "entities %s and %s are both named %q", other.Name, e.Name, name)
		}
		d.m.named[name] = e
	}
}

// linkNested checks the entities of records that sit in an entity's records.
func (d *decoder) linkNested(n *yaml.Node, sets []*RecordSet) {
	for _, s := range sets {
		switch s.Entity {
		case "":
			d.fail(n, "give entity", "nested records at %s are of no entity", s.At)
		default:
			d.needEntity(n, s.Entity)
		}
		d.linkNested(n, s.Nested)
	}
}

func (d *decoder) ownerVia(e *Entity, n *yaml.Node) {
	v := &OwnerVia{}
	d.object(n, "owner_via", keys{
		"at":     d.setName(&v.At, "at"),
		"entity": d.setName(&v.Entity, "entity"),
	})
	e.OwnerVia = append(e.OwnerVia, v)
	d.later = append(d.later, func() {
		if v.At == "" {
			d.fail(n, "name the member that holds the other record's id", "owner_via has no at")
		}
		if !d.needEntity(n, v.Entity) {
			return
		}
		if to := d.m.Entities[v.Entity]; to.ReadBack == nil || len(to.Owner) == 0 {
			d.fail(n, "give "+v.Entity+" an owner and a read_back", "owner_via leads to %s, whose owner cannot be read", v.Entity)
		}
	})
}

func (d *decoder) copies(e *Entity, n *yaml.Node) {
	var c Copies
	d.object(n, "copies", keys{
		"entity": d.setName(&c.Entity, "entity"),
		"prefixes": func(n *yaml.Node) {
			d.list(n, func(i *yaml.Node) {
				if s, ok := d.text(i, "prefix"); ok {
					c.Prefixes = append(c.Prefixes, s)
				}
			})
		},
	})
	if len(c.Prefixes) == 0 {
		c.Prefixes = []string{""}
	}
	e.Copies = append(e.Copies, c)
	d.later = append(d.later, func() {
		if d.needEntity(n, c.Entity) && c.Entity != e.Name {
			addCopies(e, d.m.Entities[c.Entity], c)
		}
	})
}

// addCopies declares the repeated fields the entity does not declare itself.
func addCopies(e, from *Entity, c Copies) {
	order := mapKeys(from.Fields)
	sort.Strings(order)
	for _, key := range order {
		f := from.Fields[key]
		if f.CopyOf != "" {
			continue
		}
		var names []string
		for _, prefix := range c.Prefixes {
			for _, name := range f.Names {
				fold := Fold(prefix + name)
				if e.byFold[fold] == nil && !contains(names, prefix+name) {
					names = append(names, prefix+name)
				}
			}
		}
		name := from.Name + "_" + f.Name
		if len(names) == 0 || e.Fields[name] != nil {
			continue
		}
		twin := *f
		twin.Name, twin.Names, twin.CopyOf = name, names, from.Name+"."+f.Name
		twin.DerivedFrom = nil // the original's derivation counts through CopyOf
		e.Fields[name] = &twin
		for _, n := range names {
			e.byFold[Fold(n)] = &twin
		}
	}
}

func (d *decoder) field(e *Entity, key, n *yaml.Node) {
	f := &Field{Name: key.Value, line: key.Line, column: key.Column}
	if !isName(f.Name) {
		d.fail(key, "use letters, digits and _; give the CRM's spelling under names:", "field name %q is not a plain word", shorten(f.Name))
	}
	switch n.Kind {
	case yaml.SequenceNode: // phone: [Phone, Mobile]
		d.setTexts(&f.Names, "names")(n)
	case yaml.ScalarNode: // phone: Phone
		d.setTexts(&f.Names, "names")(n)
	default:
		d.object(n, "field "+f.Name, keys{
			"names":          d.setTexts(&f.Names, "names"),
			"tags":           d.setTexts(&f.Tags, "tags"),
			"mask":           func(n *yaml.Node) { f.Mask = d.mask(n) },
			"derived_from":   d.setTexts(&f.DerivedFrom, "derived_from"),
			"embedded":       func(n *yaml.Node) { d.embedded(f, n) },
			"unrestrictable": d.setFlag(&f.Unrestrictable, "unrestrictable"),
			"entity":         d.setName(&f.Entity, "entity"),
			"copy_of":        d.setName(&f.CopyOf, "copy_of"),
		})
	}
	e.Fields[f.Name] = f
	for _, name := range f.Names {
		fold := Fold(name)
		if other := e.byFold[fold]; other != nil && other != f {
			d.fail(key, "give a name to one field", "fields %s and %s of %s are both named %q on the wire", other.Name, f.Name, e.Name, name)
		} else if fold == "" {
			d.fail(key, "use letters or digits", "field %s of %s has a name without letters", f.Name, e.Name)
		}
		e.byFold[fold] = f
	}
	d.later = append(d.later, func() { d.linkField(e, f, key) })
}

// embedded reads the form of a text: a word, or the delimiters of pairs.
func (d *decoder) embedded(f *Field, n *yaml.Node) {
	if n.Kind != yaml.MappingNode {
		setWord(d, &f.Embedded, "embedded format", EmbeddedJSON, EmbeddedForm, EmbeddedBase64)(n)
		return
	}
	f.Embedded = EmbeddedPairs
	d.object(n, "embedded", keys{"between": d.setText(&f.Between, "between"), "is": d.setText(&f.Is, "is")})
	if f.Between == "" || f.Is == "" || strings.Contains(f.Between, f.Is) || strings.Contains(f.Is, f.Between) {
		d.fail(n, `write {between: "{next}", is: "{=}"}`, "field %s needs two delimiters, neither of which is in the other", f.Name)
	}
}

func (d *decoder) linkField(e *Entity, f *Field, key *yaml.Node) {
	for _, from := range f.DerivedFrom {
		if e.Fields[from] == nil {
			d.fail(key, "name a field of the same entity", "field %s derives from %q, which %s does not have", f.Name, from, e.Name)
		}
	}
	if f.Entity != "" {
		d.needEntity(key, f.Entity)
	}
	if f.CopyOf == "" {
		return
	}
	entity, name := f.Original()
	other := d.m.Entities[entity]
	if other == nil || other.Fields[name] == nil {
		d.fail(key, "write entity.field", "field %s copies %q, which the map does not have", f.Name, f.CopyOf)
		return
	}
	if f.Mask == nil {
		f.Mask = other.Fields[name].Mask
	}
	if len(f.Tags) == 0 {
		f.Tags = other.Fields[name].Tags
	}
}

func (d *decoder) mask(n *yaml.Node) *MaskSpec {
	m := &MaskSpec{}
	if n.Kind == yaml.ScalarNode {
		d.setName(&m.Fn, "mask")(n)
		return m
	}
	d.object(n, "mask", keys{
		"fn":          d.setName(&m.Fn, "fn"),
		"keep_last":   d.setShown(&m.KeepLast, "keep_last"),
		"keep_first":  d.setShown(&m.KeepFirst, "keep_first"),
		"keep":        d.setName(&m.Keep, "keep"),
		"text":        d.setName(&m.Text, "text"),
		"hide_domain": d.setFlag(&m.HideDomain, "hide_domain"),
		"step": func(n *yaml.Node) {
			v, err := strconv.ParseFloat(n.Value, 64)
			if err != nil || !(v > 0) || v > 1e12 {
				d.fail(n, "write a number above 0", "step is not a step")
			}
			m.Step = v
		},
	})
	if m.Fn == "" {
		d.fail(n, "give fn", "mask has no function")
	}
	return m
}

// setShown reads how many characters a mask shows. None is not among the numbers: 0 is
// what stands where nothing was said, and then a mask shows what it always does.
func (d *decoder) setShown(to *int, what string) func(*yaml.Node) {
	return func(n *yaml.Node) {
		v, err := strconv.Atoi(n.Value)
		if n.Kind != yaml.ScalarNode || err != nil || v < 1 || v > 4 {
			d.fail(n, "write a whole number from 1 to 4, or another mask such as full", "%s is not a number in range", what)
			return
		}
		*to = v
	}
}

func (d *decoder) needEntity(n *yaml.Node, name string) bool {
	if d.m.Entities[name] != nil {
		return true
	}
	d.fail(n, "declare it under entities:"+closest(name, mapKeys(d.m.Entities)), "unknown entity %q", shorten(name))
	return false
}

func (d *decoder) needRoute(n *yaml.Node, id string) {
	if d.m.routes[id] == nil {
		d.fail(n, "use the id of a route"+closest(id, mapKeys(d.m.routes)), "unknown route %q", shorten(id))
	}
}

func mapKeys[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	return out
}

// closest offers the name that was probably meant.
func closest(name string, known []string) string {
	best := ""
	for _, k := range known {
		if Fold(k) == Fold(name) || strings.HasPrefix(k, name) && name != "" {
			if best == "" || k < best {
				best = k
			}
		}
	}
	if best == "" {
		return ""
	}
	return ", or did you mean " + best + "?"
}
