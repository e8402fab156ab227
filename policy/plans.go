// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"

	"github.com/crmgate/crmgate/policy/plan"
	"github.com/crmgate/crmgate/policy/resource"
)

// planKey is what plans of one set of rights differ by.
type planKey struct {
	route  *resource.Route
	entity string
	action resource.Action
	kind   resource.Kind
	exact  string // the masked field that records are looked up by
	part   bool   // the answer is a part of another
}

// compiled is a plan, or why there is none.
type compiled struct {
	plan    *plan.Plan
	plans   []*plan.Plan // the plan alone, shared by decisions about one operation
	limited bool         // rows are filtered: a viewer is needed
	reason  Reason
	cannot  error
}

// planFor returns the plan of an operation. It is compiled once for each route,
// entity and action of the map; a table whose columns the request names is
// compiled for each request.
func (s *Set) planFor(r *rights, op *resource.Operation, exact *resource.FieldUse) *compiled {
	if len(op.Columns) > 0 {
		return s.compilePlan(r, op, exact)
	}
	key := planKey{op.Route, op.Entity, op.Action, op.Kind, "", op.Part}
	if exact != nil {
		key.exact = exact.Field
	}
	if c := (*r.plans.Load())[key]; c != nil {
		return c
	}
	c := s.compilePlan(r, op, exact)
	r.mu.Lock()
	defer r.mu.Unlock()
	old := *r.plans.Load()
	if have := old[key]; have != nil {
		return have
	}
	next := make(map[planKey]*compiled, len(old)+1)
	maps.Copy(next, old)
	next[key] = c
	r.plans.Store(&next)
	return c
}

func (s *Set) compilePlan(r *rights, op *resource.Operation, exact *resource.FieldUse) *compiled {
	resp := op.Route.Response
	t := &tree{set: s, rights: r, route: op.Route, entity: op.Entity, columns: op.Columns, part: op.Part, records: map[recordKey]*plan.Node{}, touched: map[string]bool{}}
	t.scoped = op.Kind != resource.WhoAmI && op.Kind != resource.Schema
	t.primary = isAccount(op.Entity)
	if op.Entity != "" {
		t.touched[op.Entity] = true
	}
	if exact != nil {
		t.exact = s.crm.Entities[op.Entity].Fields[exact.Field]
	}
	t.build(resp.Records)
	if exact != nil && !t.limited {
		t.fail(QueryDenied, "the map does not say where the records found are, so that nobody can tell whether they were found by the whole value")
	}
	t.metadata(resp.Metadata)
	p := t.planOf(resp, op)
	out := &compiled{plan: p, limited: t.limited}
	if t.reads(op) && !t.limited {
		t.unlimited(resp, op)
	}
	foreign := t.foreign(op)
	if !r.sensitive && !p.Few && !t.unseen() && (!foreign || !t.says(resp, op)) {
		p.Pass, p.Open = !p.Links, p.Links
	}
	if op.Kind == resource.SignIn || op.Kind == resource.SignOut {
		p.Pass = true // no records, and a session key that looks like a number must arrive as it is
	}
	if foreign && !p.Pass && !p.Open {
		t.around(p, resp, op)
	}
	out.reason, out.cannot = t.reason, t.cannot
	if !p.Pass && out.cannot == nil {
		out.reason, out.cannot = t.format(p, op)
	}
	if op.Part {
		if t.within(p, resp); out.cannot == nil {
			out.reason, out.cannot = t.reason, t.cannot
		}
	}
	if resp.Single && t.limited {
		p.NotFound = s.notFound(resp)
	}
	p.ID = s.planID(r, op, t.exact)
	switch {
	case foreign:
		p.Problem = s.reduced(p, errorsOf(s, resp))
	case !p.Pass:
		p.Problem = s.problem(r, p)
	}
	out.plans = []*plan.Plan{p}
	return out
}

// planOf is the plan of the tree, before it is known who needs it.
func (t *tree) planOf(resp *resource.Response, op *resource.Operation) *plan.Plan {
	p := &plan.Plan{Format: plan.Format(resp.Format), Prefix: resp.Prefix, Root: t.root, Fallback: t.rights.fallback, Total: resp.Total, Twice: t.twice}
	if op.Entity != "" {
		p.Fallback = t.table(op.Entity)
	}
	p.MaxRows = least(resp.MaxRecords, t.rights.merged.of(op.Entity).most)
	if op.Kind == resource.SyncPull {
		p.MaxRows = least(p.MaxRows, t.rights.maxLeads)
	}
	p.Links = t.asides(resp)
	p.Few = t.limited || p.MaxRows > 0
	if resp.Empty != nil && t.limited {
		p.Empty = canned(resp.Empty)
	}
	return p
}

// unseen says whether records of an entity without view access may be in the
// answer, as after a write.
func (t *tree) unseen() bool {
	for e := range t.touched {
		if t.rights.merged.of(e).cells[cView] == NoAccess {
			return true
		}
	}
	return false
}

// format settles who can rewrite the answer. A format that no engine reads is
// let through untouched only when nothing about its entities was restricted.
func (t *tree) format(p *plan.Plan, op *resource.Operation) (Reason, error) {
	resp := op.Route.Response
	switch resp.Format {
	case resource.FormatJSON, resource.FormatNone: // what comes where nothing was declared is read too
		return "", nil
	case resource.FormatPage:
		p.Pass, p.Format = true, plan.Opaque
		return "", nil
	case resource.FormatSSE, resource.FormatWebSocket:
		if !resp.Messages && len(resp.Records) == 0 {
			p.Pass = true
			return "", nil
		}
	}
	if t.rewritable(p, resp) {
		return "", nil
	}
	for e := range t.touched {
		if t.rights.hard[e] {
			return ActionDenied, fmt.Errorf("the answer is %s, in which fields of %s cannot be masked", resp.Format, e)
		}
	}
	if t.limited {
		return ActionDenied, fmt.Errorf("the answer is %s, in which records cannot be told apart", resp.Format)
	}
	if p.MaxRows > 0 {
		return ActionDenied, fmt.Errorf("the answer is %s, in which records cannot be counted", resp.Format)
	}
	p.Pass = true
	return "", nil
}

func canned(c *resource.Canned) *plan.Canned {
	return &plan.Canned{Status: c.Status, ContentType: c.ContentType, Body: []byte(c.Body)}
}

// notFound is the answer when the one record asked for may not be seen: the
// CRM's own, so that it cannot be told from a record that is not there.
func (s *Set) notFound(resp *resource.Response) *plan.Canned {
	if resp.NotFound != nil {
		return canned(resp.NotFound)
	}
	shape := errorsOf(s, resp)
	body := shape.Render(404, RowDenied.Text())
	kind := "application/json"
	if body == nil {
		body = []byte(`{"error":"not found"}`)
	} else if shape.ContentType != "" {
		kind = shape.ContentType
	}
	return &plan.Canned{Status: 404, ContentType: kind, Body: body}
}

// problem is how an answer that is an error is read: no records are expected in
// it, every name is treated by the same table, and texts, which may echo values,
// are searched.
func (s *Set) problem(r *rights, of *plan.Plan) *plan.Plan {
	table := &plan.Entity{Name: of.Fallback.Name, Fields: of.Fallback.Fields, Unknown: of.Fallback.Unknown}
	if r.sensitive {
		table = &plan.Entity{Fields: r.fallback.Fields, Unknown: s.unknownTreatment(max(plan.Detect, r.fallback.Unknown.Effect))}
	}
	format := plan.JSON // which is what an API of lines, events or tables says no in
	if of.Format == plan.XML {
		format = plan.XML
	}
	return &plan.Plan{ID: of.ID, Format: format, Prefix: of.Prefix, Root: &plan.Node{}, Fallback: table, Few: of.Few, Total: of.Total}
}

// planID identifies everything a plan was compiled from: the rights (not the
// names of the templates they came from), the map with its masks, the route.
func (s *Set) planID(r *rights, op *resource.Operation, exact *resource.Field) string {
	h := sha256.New()
	if exact != nil {
		fmt.Fprintf(h, "exact %s\x00", exact.Name)
	}
	if op.Part {
		fmt.Fprint(h, "part\x00")
	}
	fmt.Fprintf(h, "%s\x00%s\x00%s\x00%s\x00%s\x00%s\x00%q", s.seed, r.id, op.Route.ID, op.Entity, op.Action, op.Kind, op.Columns)
	return hex.EncodeToString(h.Sum(nil)[:12])
}
