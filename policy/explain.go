// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"cmp"
	"maps"
	"slices"

	"github.com/crmgate/crmgate/policy/plan"
	"github.com/crmgate/crmgate/policy/resource"
)

// Explanation says what Decide decides, and which role, template, assignment or
// switch is behind every part of it. It holds names, never values.
type Explanation struct {
	Allow      bool               `json:"allow"`
	Reason     Reason             `json:"reason"`
	Status     int                `json:"status"`
	Detail     string             `json:"detail,omitempty"`
	Policy     string             `json:"policy"` // digest
	Kind       PrincipalKind      `json:"kind"`
	Email      string             `json:"email,omitempty"`
	Role       string             `json:"role,omitempty"`
	Groups     []string           `json:"groups,omitempty"`
	Sources    []Source           `json:"sources,omitempty"` // everything that counts for the person
	Inject     []Injection        `json:"inject,omitempty"`
	Operations []OperationExplain `json:"operations,omitempty"`
}

// Source is a role, template or switch that counts, and the way it came.
type Source struct {
	ID  string `json:"id"`  // template:telecaller
	Via string `json:"via"` // role sales_user
}

// OperationExplain is the part about one operation.
type OperationExplain struct {
	ID      string         `json:"id"`
	Kind    resource.Kind  `json:"kind"`
	Entity  string         `json:"entity,omitempty"`
	Action  string         `json:"action,omitempty"`
	Allow   bool           `json:"allow"`
	Reason  Reason         `json:"reason"`
	Detail  string         `json:"detail,omitempty"`
	Cell    *Origin        `json:"cell,omitempty"`    // full, partial or none
	Bulk    *Origin        `json:"bulk,omitempty"`    // for bulk operations
	Feature *Origin        `json:"feature,omitempty"` // allow or deny
	Rows    *Origin        `json:"rows,omitempty"`    // all, group, own or none
	Unknown *Origin        `json:"unknown,omitempty"` // show, detect, mask or hide
	Fields  []FieldExplain `json:"fields,omitempty"`  // everything that is not simply shown
	Uses    []UseExplain   `json:"uses,omitempty"`    // fields the request names
	Plan    string         `json:"plan,omitempty"`
	Pass    bool           `json:"pass,omitempty"` // the answer is not touched
}

// Origin is a value and the ids of those who made it what it is; nobody did when
// From is empty.
type Origin struct {
	Is   string   `json:"is"`
	From []string `json:"from,omitempty"`
}

// FieldExplain is how one field is treated.
type FieldExplain struct {
	Field  string   `json:"field"`
	Effect string   `json:"effect"`
	Mask   string   `json:"mask,omitempty"` // masking function
	Edit   string   `json:"edit,omitempty"` // write, fill or none
	From   []string `json:"from,omitempty"` // empty for a field that shows another one
}

// UseExplain is what came out for one field the request names.
type UseExplain struct {
	Entity string       `json:"entity"`
	Field  string       `json:"field,omitempty"`
	Name   string       `json:"name,omitempty"`
	Use    resource.Use `json:"use"`
	Reason Reason       `json:"reason"`
	Detail string       `json:"detail,omitempty"`
}

// Explain decides like Decide and says why. Unlike Decide it judges every
// operation and every field, also after the first refusal.
func (s *Set) Explain(p *Principal, ops []resource.Operation, env Env) *Explanation {
	d := s.Decide(p, ops, env)
	x := &Explanation{Allow: d.Allow, Reason: d.Reason, Status: d.Reason.Status(), Detail: d.Detail, Policy: s.digest, Kind: Nobody, Inject: d.Inject}
	var r *resolved
	if p != nil {
		x.Kind, x.Email, x.Role, x.Groups = p.Kind, p.Email, p.Role, s.GroupsOf(p.Email)
		if p.Kind != Nobody && p.Kind != "" {
			r = s.resolve(p)
		}
	}
	if r == nil {
		return x
	}
	for _, c := range r.parts {
		x.Sources = append(x.Sources, Source{ID: c.id, Via: c.via})
	}
	for i := range ops {
		x.Operations = append(x.Operations, s.explainOperation(r, p, &ops[i]))
	}
	return x
}

func (s *Set) explainOperation(r *resolved, p *Principal, op *resource.Operation) OperationExplain {
	v := s.decide(r.rights, p, op)
	out := OperationExplain{ID: op.ID, Kind: op.Kind, Entity: op.Entity, Action: string(op.Action), Allow: v.ok(), Reason: v.reason, Detail: v.detail}
	if v.plan != nil && v.plan.plan != nil {
		out.Plan, out.Pass = v.plan.plan.ID, v.plan.plan.Pass
	}
	if op.Feature != "" {
		is := func(c *contribution) int { return btoi(c.features[op.Feature]) }
		out.Feature = r.origin(is, func(n int) string { return []string{"allow", "deny"}[n] })
	}
	e := s.crm.EntityNamed(op.Entity)
	if op.Entity == "" || e == nil {
		return out
	}
	if c, ok := cellOf(op.Action); ok {
		out.Cell = r.cell(e.Name, c)
		if b, ok := bulkOf(c); ok && op.Bulk {
			out.Bulk = r.cell(e.Name, b)
		}
	}
	out.Rows = r.origin(func(c *contribution) int { return int(c.of(e.Name).rows) }, func(n int) string { return scopeWord(plan.Scope(n)) })
	out.Unknown = r.origin(func(c *contribution) int { return int(c.of(e.Name).unknown) }, func(n int) string { return effectWord(plan.Effect(n)) })
	out.Fields = s.explainFields(r, e)
	if op.Route != nil {
		out.Uses = s.explainUses(r, op)
	}
	return out
}

func (s *Set) explainUses(r *resolved, op *resource.Operation) []UseExplain {
	var out []UseExplain
	for i := range op.Fields {
		u := &op.Fields[i]
		v := s.field(r.rights, op, u)
		out = append(out, UseExplain{Entity: cmp.Or(u.Entity, op.Entity), Field: u.Field, Name: u.Name, Use: u.Use, Reason: v.reason, Detail: v.detail})
	}
	return out
}

func (s *Set) explainFields(r *resolved, e *resource.Entity) []FieldExplain {
	var out []FieldExplain
	t := r.table(e.Name)
	for _, name := range slices.Sorted(maps.Keys(e.Fields)) {
		tr := t.Treat([]byte(resource.Fold(name)))
		f := r.merged.of(e.Name).fields[name]
		if tr.Effect == plan.Show && f == (fieldRestriction{}) {
			continue
		}
		x := FieldExplain{Field: name, Effect: effectWord(tr.Effect), Edit: []string{"", "fill", "none"}[f.edit]}
		if tr.Mask != nil {
			x.Mask = tr.Mask.Name
		}
		o := r.origin(func(c *contribution) int { return int(c.of(e.Name).fields[name].view) }, effectName)
		x.From = o.From
		if f.view == plan.Show {
			x.From = r.origin(func(c *contribution) int {
				g := c.of(e.Name).fields[name]
				return int(max(g.edit, g.create))
			}, effectName).From
		}
		out = append(out, x)
	}
	return out
}

func effectName(n int) string { return effectWord(plan.Effect(n)) }

func effectWord(e plan.Effect) string {
	return [...]string{"show", "detect", "mask", "hide"}[e]
}

func (r *resolved) cell(entity string, c cell) *Origin {
	return r.origin(func(x *contribution) int { return int(x.of(entity).cells[c]) }, func(n int) string { return Level(n).String() })
}

// origin finds the largest value among the contributions and who has it.
func (r *resolved) origin(value func(*contribution) int, word func(int) string) *Origin {
	most := 0
	for _, c := range r.parts {
		most = max(most, value(c))
	}
	out := &Origin{Is: word(most)}
	for _, c := range r.parts {
		if most > 0 && value(c) == most && !slices.Contains(out.From, c.id) {
			out.From = append(out.From, c.id)
		}
	}
	return out
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}
