// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/crmgate/crmgate/policy/internal/shape"
	"github.com/crmgate/crmgate/policy/plan"
	"github.com/crmgate/crmgate/policy/resource"
)

// scopes and effects are the words of a policy; "" is the least of them.
var (
	scopes  = map[string]plan.Scope{"": plan.All, "all": plan.All, "group": plan.Group, "own": plan.Own, "none": plan.None}
	effects = map[string]plan.Effect{"": plan.Show, "show": plan.Show, "detect": plan.Detect, "mask": plan.Mask, "hide": plan.Hide}
)

// roleContribution makes a role's restriction. The row scope holds for every
// entity whose records belong to somebody.
func (c *compiler) roleContribution(id string, r Role, rows plan.Scope) *contribution {
	out := &restriction{mobile: r.Mobile.restriction()}
	for f, state := range r.Features {
		if state == FeatureDeny {
			out.deny(f)
		}
	}
	c.holdStatus(out)
	if rows != plan.All {
		for name, e := range c.m.Entities {
			if belongs(e) {
				out.entity(name).rows = rows
			}
		}
	}
	return &contribution{id: "role:" + id, via: "role " + id, assign: -1, restriction: out}
}

// belongs says whether the records of an entity belong to somebody: their owner
// is known, or they hold something worth a mask. Shared records (countries,
// stages) are seen by everybody; users are governed by user_access.
func belongs(e *resource.Entity) bool {
	if e.Name == "user" {
		return false
	}
	if len(e.Owner) > 0 || len(e.OwnerVia) > 0 {
		return true
	}
	for _, f := range e.Fields {
		if f.Mask != nil || len(f.Tags) > 0 && !f.HasTag(textTag) {
			return true
		}
	}
	return false
}

func (r *restriction) deny(feature string) {
	if r.features == nil {
		r.features = map[string]bool{}
	}
	r.features[feature] = true
}

func (m MobileRules) restriction() mobileRestriction {
	no := func(b *bool) bool { return b != nil && !*b }
	out := mobileRestriction{noOffline: no(m.Offline), noCalls: no(m.RecordCalls), noLocation: no(m.TrackLocation), ignore: m.Overwrite == "ignore", overwrite: m.Overwrite == "overwrite"}
	if m.MaxLeads != nil {
		out.maxLeads = *m.MaxLeads
	}
	return out
}

func (c *compiler) compileTemplates() {
	for _, id := range slices.Sorted(maps.Keys(c.d.Templates)) {
		t, origin, ok := c.resolveClone(id)
		if !ok {
			continue
		}
		c.templates[id] = c.compileTemplate(t, origin)
		for _, f := range userFeatures {
			if t.Features[f] == FeatureDeny {
				c.userRules[id] = true
			}
		}
	}
}

func (c *compiler) compileTemplate(t Template, o origin) *restriction {
	out := &restriction{mobile: t.Mobile.restriction()}
	for f, state := range t.Features {
		if !c.set.features[f] {
			c.fault(o.at("features/"+f)+"#", fmt.Sprintf("unknown feature %q", f), "use one of "+shape.Near(slices.Collect(maps.Keys(c.set.features)), f))
		}
		if state == FeatureDeny {
			out.deny(f)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(t.Entities)) {
		e := c.m.Entities[name]
		if e == nil {
			c.fault(o.at("entities/"+name)+"#", fmt.Sprintf("unknown entity %q", name), "use one of "+shape.Near(slices.Collect(maps.Keys(c.m.Entities)), name))
			continue
		}
		c.compileEntity(out, e, t.Entities[name], "entities/"+name, o)
	}
	if t.UserAccess == "group" && c.m.Entities["user"] != nil {
		u := out.entity("user")
		u.rows = max(u.rows, plan.Group)
	}
	c.holdStatus(out)
	c.spread(out)
	c.autoFeatures(out, t)
	c.unknownFields(out, t)
	return out
}

// autoFeatures switches off what would show a hidden field all the same.
func (c *compiler) autoFeatures(out *restriction, t Template) {
	hidden := false
	for _, name := range []string{"lead", "opportunity"} {
		e := out.of(name)
		hidden = hidden || e.cells[cView] == NoAccess
		for _, f := range e.fields {
			hidden = hidden || f.view == plan.Hide
		}
	}
	for _, feature := range []string{"reports", "custom_apps"} {
		if s := t.Features[feature]; hidden && (s == "" || s == FeatureAuto) {
			out.deny(feature)
		}
	}
}

// unknownFields gives every entity its rule for names the map does not know. A
// template that masks or hides anything has a default for all entities, because
// the same value may be repeated anywhere.
func (c *compiler) unknownFields(out *restriction, t Template) {
	sensitive := false
	for _, e := range out.entities {
		for _, f := range e.fields {
			sensitive = sensitive || f.view > plan.Show
		}
	}
	for name, e := range c.m.Entities {
		if w := t.Entities[name].UnknownFields; w != "" {
			u := out.entity(name)
			u.unknown, u.spelled = effects[w], true
		} else if sensitive {
			w := c.d.Defaults.UnknownFields
			if w == "" {
				w = string(e.Unknown)
			}
			out.entity(name).unknown = effects[w]
		}
		if out.of(name).unknown == plan.Show {
			continue
		}
		for fn, f := range e.Fields {
			if f.HasTag(textTag) {
				u := out.entity(name)
				u.fields[fn] = u.fields[fn].join(fieldRestriction{view: plan.Detect})
			}
		}
	}
}

// textTag marks fields of free text in a map: whoever does not see unknown
// fields as they are sees these with anything that looks personal masked.
const textTag = "text"

func (c *compiler) compileEntity(out *restriction, e *resource.Entity, rule EntityRule, at string, o origin) {
	r := out.entity(e.Name)
	for _, a := range rule.accesses() {
		if *a.access == nil {
			continue
		}
		acc := *a.access
		r.cells[a.cell] = acc.Level
		if acc.Level != PartialAccess {
			continue
		}
		path := o.at(at + "/" + a.name)
		c.compilePartial(r, e, a.cell, acc.Partial, path+"/partial")
	}
	for i, w := range []string{rule.Bulk.Create, rule.Bulk.Edit, rule.Bulk.Delete} {
		if w == "none" {
			r.cells[cBulkCreate+cell(i)] = NoAccess
		}
	}
	r.most = rule.MaxRecords
	if rule.Rows.CEL != "" {
		cond, err := compileCondition(rule.Rows.CEL, e)
		if err != nil {
			c.fault(o.at(at+"/rows"), "the condition on rows: "+err.Error(), "mend the expression; line and column count within it")
		} else {
			r.conds = []*condition{cond}
		}
	}
	if rule.Rows.Scope != "" {
		r.rows = scopes[rule.Rows.Scope]
		if r.rows != plan.None && r.rows != plan.All && len(e.Owner) == 0 && len(e.OwnerVia) == 0 {
			c.fault(o.at(at+"/rows"), fmt.Sprintf("the map knows no owner of a %s", e.Name), "take rows out, or add the owner to the map")
		}
	}
	c.compileLookups(r, e, rule, o.at(at+"/lookup"))
	c.compileFills(r, e, rule, o.at(at+"/edit"))
}

func (c *compiler) compilePartial(r *entityRestriction, e *resource.Entity, cl cell, p Partial, path string) {
	if len(p.Detect)+len(p.Mask)+len(p.Hide)+len(p.Deny)+len(p.Types) == 0 && p.FillIfEmpty == nil {
		c.fault(path, "nothing is taken away", "name what is, or write full")
	}
	for _, f := range c.fields(e, p.Detect, path+"/detect") {
		r.fields[f] = r.fields[f].join(fieldRestriction{view: plan.Detect})
	}
	for _, f := range c.fields(e, p.Mask, path+"/mask") {
		r.fields[f] = r.fields[f].join(fieldRestriction{view: plan.Mask, edit: mayFill, noLookup: true})
	}
	for _, f := range c.fields(e, p.Hide, path+"/hide") {
		r.fields[f] = r.fields[f].join(fieldRestriction{view: plan.Hide, edit: mayNotWrite, noLookup: true})
	}
	for _, f := range c.fields(e, p.Deny, path+"/deny") {
		w := fieldRestriction{edit: mayNotWrite}
		if cl == cCreate {
			w = fieldRestriction{create: mayNotWrite}
		}
		r.fields[f] = r.fields[f].join(w)
	}
	if len(p.Types) > 0 {
		r.types[cl] = map[string]bool{}
		for _, t := range p.Types {
			r.types[cl][foldType(t)] = true
		}
	}
}

// foldType is the form in which types are compared: names without case and outer
// spaces, and codes by the number they are, as 22, 22.0 and 022 are one for many a CRM.
func foldType(s string) string {
	s = strings.ToLower(strings.TrimSpace(s))
	if s == "" || len(s) > longestCode || strings.Trim(s, "+-.e0123456789") != "" {
		return s
	}
	if n, err := strconv.ParseFloat(s, 64); err == nil {
		return strconv.FormatFloat(n, 'f', -1, 64)
	}
	return s
}

// longestCode is how long a number may be that is told exactly.
const longestCode = 15

// compileFills takes the right to fill an empty masked field from those the
// template does not list, when it lists any.
func (c *compiler) compileFills(r *entityRestriction, e *resource.Entity, rule EntityRule, path string) {
	if rule.Edit == nil || rule.Edit.Level != PartialAccess || rule.Edit.Partial.FillIfEmpty == nil {
		return
	}
	at := path + "/partial/fill_if_empty"
	listed := set(c.fields(e, *rule.Edit.Partial.FillIfEmpty, at))
	for name := range listed {
		if r.fields[name].view != plan.Mask {
			c.fault(at, fmt.Sprintf("%q is not masked by this template", name), "list masked fields only")
		}
	}
	for name, f := range r.fields {
		if f.edit == mayFill && !listed[name] {
			f.edit = mayNotWrite
			r.fields[name] = f
		}
	}
}

func (c *compiler) compileLookups(r *entityRestriction, e *resource.Entity, rule EntityRule, path string) {
	for _, name := range slices.Sorted(maps.Keys(rule.Lookup)) {
		for _, f := range c.fields(e, []string{name}, "") {
			x := r.fields[f]
			if x.view != plan.Mask {
				c.fault(shape.Join(path, name)+"#", fmt.Sprintf("%q is not masked by this template", name), "a field that is shown can be looked up without this")
			}
			x.noLookup = false
			r.fields[f] = x
		}
	}
}

// fields resolves a list of field names and tags to the map's field names.
func (c *compiler) fields(e *resource.Entity, list []string, path string) []string {
	var out []string
	for i, name := range list {
		at := path + "/" + strconv.Itoa(i)
		if tag, ok := strings.CutPrefix(name, "tag:"); ok {
			out = append(out, c.tagged(e, tag, at)...)
			continue
		}
		f := e.Fields[name]
		if f == nil {
			f = e.FieldByName(name)
		}
		if f == nil {
			c.fault(at, fmt.Sprintf("unknown field %q of %s", name, e.Name), "use one of "+shape.Near(slices.Collect(maps.Keys(e.Fields)), name)+"; for a field the map does not have, add it there or set unknown_fields")
			continue
		}
		if f.Unrestrictable && !c.d.Defaults.RestrictSystemFields {
			c.fault(at, fmt.Sprintf("the field %q of %s cannot be restricted", name, e.Name), "take it out, or set defaults.restrict_system_fields")
			continue
		}
		out = append(out, f.Name)
	}
	return out
}

func (c *compiler) tagged(e *resource.Entity, tag, at string) []string {
	var out, tags []string
	for _, name := range slices.Sorted(maps.Keys(e.Fields)) {
		f := e.Fields[name]
		tags = append(tags, f.Tags...)
		if !f.HasTag(tag) {
			continue
		}
		if f.Unrestrictable && !c.d.Defaults.RestrictSystemFields {
			c.fault(at, fmt.Sprintf("the tag %q covers the field %q of %s, which cannot be restricted", tag, name, e.Name), "take the tag off the field in the map, or set defaults.restrict_system_fields")
			continue
		}
		out = append(out, name)
	}
	if len(out) == 0 {
		slices.Sort(tags)
		c.fault(at, fmt.Sprintf("no field of %s has the tag %q", e.Name, tag), "use one of "+shape.Near(slices.Compact(tags), tag))
	}
	return out
}

// spread carries restrictions on to fields through which the value shows:
// copies in other entities and derived fields, until nothing changes. What may
// not be written may not be written through a copy either.
func (c *compiler) spread(out *restriction) {
	for changed := true; changed; {
		changed = false
		for en, e := range c.m.Entities {
			for fn, f := range e.Fields {
				for _, from := range f.DerivedFrom {
					if out.of(en).fields[from].view > plan.Show {
						changed = carry(out, en, from, en, fn) || changed
					}
				}
				if oe, of := f.Original(); oe != "" {
					changed = carry(out, oe, of, en, fn) || changed
				}
			}
		}
	}
}

// carry makes a field no laxer than the one it repeats. It reports a change.
func carry(out *restriction, fromEntity, fromField, entity, field string) bool {
	src := out.of(fromEntity).fields[fromField]
	src.create = mayWrite
	have := out.of(entity).fields[field]
	want := have.join(src)
	if want == have {
		return false
	}
	out.entity(entity).fields[field] = want
	return true
}

// compileSwitches makes the account-wide restrictions.
func (c *compiler) compileSwitches() {
	if c.d.Switches.Export == "deny" {
		r := &restriction{}
		for name := range c.m.Entities {
			r.entity(name).cells[cExport] = NoAccess
		}
		c.set.switches = append(c.set.switches, &contribution{id: "switch:export", via: "switches.export", assign: -1, restriction: r})
	}
	if w := c.d.Switches.SalesActivities; w == "deny" || w == "deny_create" {
		const name = "sales_activity"
		if c.m.Entities[name] == nil {
			c.fault("/switches/sales_activities", "the map has no entity sales_activity", "take the switch out")
			return
		}
		r := &restriction{}
		e := r.entity(name)
		e.cells[cCreate] = NoAccess
		if w == "deny" {
			e.cells[cView], e.cells[cEdit] = NoAccess, NoAccess
		}
		c.set.switches = append(c.set.switches, &contribution{id: "switch:sales_activities", via: "switches.sales_activities", assign: -1, restriction: r})
	}
}
