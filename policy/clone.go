// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/crmgate/crmgate/policy/internal/shape"
)

// origin remembers which template a copied part was written in, so that a fault
// is reported where it stands.
type origin struct {
	self string
	of   map[string]string // part path, such as "entities/lead/view", to template id
}

func (o origin) at(part string) string {
	if id, ok := o.of[part]; ok {
		return "/templates/" + id + "/" + part
	}
	return "/templates/" + o.self + "/" + part
}

// resolveClone follows clone_of and lays each template over the one it copies.
func (c *compiler) resolveClone(id string) (Template, origin, bool) {
	var chain []string
	for at := id; at != ""; {
		if slices.Contains(chain, at) {
			c.fault("/templates/"+id+"/clone_of", fmt.Sprintf("the copies go round in a circle: %s", strings.Join(append(chain, at), " of ")), "take one clone_of out")
			return Template{}, origin{}, false
		}
		t, ok := c.d.Templates[at]
		if !ok {
			c.fault("/templates/"+chain[len(chain)-1]+"/clone_of", fmt.Sprintf("unknown template %q", at), "use one of "+shape.Near(slices.Collect(maps.Keys(c.d.Templates)), at))
			return Template{}, origin{}, false
		}
		chain = append(chain, at)
		at = t.CloneOf
	}
	o := origin{self: id, of: map[string]string{}}
	out := Template{Features: map[string]Feature{}, Entities: map[string]EntityRule{}}
	for _, at := range slices.Backward(chain) {
		out = c.d.Templates[at].over(out, at, o)
	}
	return out, o, true
}

// over lays a template over what it copies, cell by cell.
func (t Template) over(base Template, id string, o origin) Template {
	if t.UserAccess != "" {
		base.UserAccess = t.UserAccess
	}
	for f, state := range t.Features {
		base.Features[f] = state
		o.of["features/"+f] = id
	}
	for name, e := range t.Entities {
		base.Entities[name] = e.over(base.Entities[name], "entities/"+name, id, o)
	}
	base.Mobile = t.Mobile.over(base.Mobile)
	return base
}

func (e EntityRule) over(base EntityRule, at, id string, o origin) EntityRule {
	mark := func(part string) { o.of[at+"/"+part] = id }
	o.of[at] = id
	dst, src := base.accesses(), e.accesses()
	for i, a := range src {
		if *a.access != nil {
			*dst[i].access = *a.access
			mark(a.name)
		}
	}
	for i, w := range []*string{&e.Bulk.Create, &e.Bulk.Edit, &e.Bulk.Delete, &e.UnknownFields} {
		if *w != "" {
			*[]*string{&base.Bulk.Create, &base.Bulk.Edit, &base.Bulk.Delete, &base.UnknownFields}[i] = *w
			mark([]string{"bulk/create", "bulk/edit", "bulk/delete", "unknown_fields"}[i])
		}
	}
	if !e.Rows.IsZero() {
		base.Rows = e.Rows
		mark("rows")
	}
	if e.MaxRecords > 0 {
		base.MaxRecords = e.MaxRecords
		mark("max_records")
	}
	if e.Lookup != nil {
		base.Lookup = e.Lookup
		mark("lookup")
	}
	return base
}

type namedAccess struct {
	name   string
	cell   cell
	access **Access
}

func (e *EntityRule) accesses() [7]namedAccess {
	return [7]namedAccess{
		{"view", cView, &e.View},
		{"create", cCreate, &e.Create},
		{"edit", cEdit, &e.Edit},
		{"delete", cDelete, &e.Delete},
		{"export", cExport, &e.Export},
		{"import", cImport, &e.Import},
		{"mark_complete", cComplete, &e.MarkComplete},
	}
}
