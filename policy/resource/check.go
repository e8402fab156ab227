// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package resource

import (
	"fmt"
	"sort"
	"strings"
)

// Finding is something in a map that is allowed and probably not meant.
type Finding struct {
	File   string
	Line   int
	Column int
	What   string
	Mend   string
}

// String returns "file:line:col: what; how to mend".
func (f Finding) String() string {
	return (&Problem{File: f.File, Line: f.Line, Column: f.Column, What: f.What, Mend: f.Mend}).Error()
}

// Check looks for what Parse lets through: routes no request can reach, pointers
// that can never match, fields without names, entities nobody uses, records
// whose owner nobody can tell. It returns the findings in the order of the file.
func (m *Map) Check() []Finding {
	c := &checker{m: m, used: map[string]bool{}}
	for _, e := range m.Entities {
		c.entity(e)
	}
	for _, r := range m.Routes {
		c.route(r)
	}
	for name, e := range m.Entities {
		if !c.used[name] && !c.template() {
			c.add(e.line, e.column, "remove it, or use it in a route", "entity %s is used by no route", name)
		}
	}
	sort.SliceStable(c.found, func(i, j int) bool {
		if c.found[i].Line != c.found[j].Line {
			return c.found[i].Line < c.found[j].Line
		}
		return c.found[i].What < c.found[j].What
	})
	return c.found
}

type checker struct {
	m     *Map
	used  map[string]bool
	found []Finding
}

func (c *checker) add(line, col int, mend, what string, args ...any) {
	c.found = append(c.found, Finding{File: c.m.File, Line: line, Column: col, What: fmt.Sprintf(what, args...), Mend: mend})
}

// template reports whether some route takes its entity from the request, which
// can reach every entity.
func (c *checker) template() bool {
	for _, r := range c.m.Routes {
		if strings.Contains(r.Entity, "{") {
			return true
		}
	}
	return false
}

func (c *checker) entity(e *Entity) {
	for _, f := range e.Fields {
		if len(f.Names) == 0 {
			c.add(f.line, f.column, "give names:", "field %s of %s has no name on the wire and can never be found", f.Name, e.Name)
		}
		if f.Entity != "" {
			c.used[f.Entity] = true
		}
		if f.Embedded != "" && f.Mask != nil {
			c.add(f.line, f.column, "keep one of them", "field %s of %s has a mask and a format of its own", f.Name, e.Name)
		}
	}
	for _, via := range e.OwnerVia {
		if e.FieldByName(via.At) == nil {
			c.add(e.line, e.column, "declare it as a field", "entity %s finds its owner through %q, which is no field of it", e.Name, via.At)
		}
	}
	for _, name := range e.Owner {
		if f := e.FieldByName(name); f != nil && f.Mask != nil {
			c.add(f.line, f.column, "leave the mask out", "field %s of %s holds the owner, and masking it leaves nobody to compare with", f.Name, e.Name)
		}
	}
	c.sets(e.Nested)
}

func (c *checker) sets(sets []*RecordSet) {
	for _, s := range sets {
		c.used[s.Entity] = true
		c.sets(s.Nested)
	}
}

func (c *checker) route(r *Route) {
	c.used[r.Entity] = true
	for _, a := range r.Also {
		c.used[a.Entity] = true
	}
	for _, read := range r.Request.Reads {
		c.used[read.Entity] = true
	}
	c.sets(r.Response.Records)
	for _, e := range r.On {
		if shadow := c.shadow(r, e); shadow != "" {
			c.add(r.line, r.column, "remove one of them, or make the path more precise", "route %q is never reached by %s %s: route %q takes it", r.ID, e.Method, e.Path, shadow)
		}
	}
	if r.Response.Format == FormatNone && len(r.Response.Records) > 0 {
		c.add(r.line, r.column, "give the format", "route %q answers records in no body", r.ID)
	}
	for i, s := range r.Response.Records {
		for _, o := range r.Response.Records[:i] {
			if s.At.String() == o.At.String() {
				c.add(r.line, r.column, "keep one of them", "route %q has two record sets at %s", r.ID, rootedPointer(s.At))
			}
		}
		if s.Total != nil && strings.HasPrefix(s.Total.String()+"/", s.At.String()+"/") && len(s.At.Steps) > 0 {
			c.add(r.line, r.column, "point at the number beside the records", "the total of route %q lies within its records", r.ID)
		}
	}
}

// shadow returns the route that takes a path of literal segments away.
func (c *checker) shadow(r *Route, e Endpoint) string {
	path := strings.NewReplacer("**", "x").Replace(e.Path)
	for {
		open := strings.IndexByte(path, '{')
		if open < 0 {
			break
		}
		end := strings.IndexByte(path[open:], '}')
		path = path[:open] + "x~" + path[open+end+1:]
	}
	host := ""
	if len(r.Hosts) > 0 {
		host = r.Hosts[0]
	}
	g, _ := c.m.index.find(e.Method, path, host)
	if g == nil {
		return "none"
	}
	for i := range g.entries {
		if g.entries[i].route == r {
			return ""
		}
	}
	return g.entries[0].route.ID
}
