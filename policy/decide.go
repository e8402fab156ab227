// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"
	"slices"

	"github.com/crmgate/crmgate/policy/plan"
	"github.com/crmgate/crmgate/policy/resource"
)

// verdict is what comes out for one operation.
type verdict struct {
	reason Reason // Allowed, AllowedPublic or why not
	detail string
	plan   *compiled
	needs  []need               // with a refusal: what may lift it
	writes []*resource.FieldUse // of fields(): writes that depend on the present values
	exact  *resource.FieldUse   // of fields(): the masked field that records are looked up by
}

func allowed(c *compiled) verdict { return verdict{reason: Allowed, plan: c} }

func deny(r Reason, format string, args ...any) verdict {
	return verdict{reason: r, detail: fmt.Sprintf(format, args...)}
}

func (v *verdict) ok() bool { return v.reason == Allowed || v.reason == AllowedPublic }

// Decide answers whether the principal may do all of the operations of one
// request, and how the answer is rewritten. One refused operation refuses the
// request. No operations at all, an operation without a route, an unknown role,
// entity, action or kind are refused.
//
// Its cost does not depend on the number of templates, assignments or people.
// The lists of the Decision are shared and must not be changed.
func (s *Set) Decide(p *Principal, ops []resource.Operation, env Env) Decision {
	d := Decision{Operations: ops}
	if len(ops) == 0 {
		return d.deny(Unreadable, "the request names no operation")
	}
	if public(ops) {
		return s.decidePublic(d, ops)
	}
	if p == nil || p.Kind == Nobody || p.Kind == "" {
		return d.deny(NoSession, "nobody is signed in")
	}
	r := s.resolve(p)
	if r == nil {
		return d.deny(ActionDenied, fmt.Sprintf("the policy has no role %q", p.Role))
	}
	d.Because = r.because
	if len(ops) > 1 {
		d.Plans = make([]*plan.Plan, len(ops))
	}
	limited, accounts := false, false
	var looked *resource.FieldUse
	var pending *Pending
	var unless verdict
	for i := range ops {
		v := s.decide(r.rights, p, &ops[i])
		if !v.ok() && (len(v.needs) == 0 || ambiguous(ops, i, v.needs)) {
			d.Plans, d.Inject = nil, nil
			return d.deny(v.reason, v.detail)
		}
		if !v.ok() {
			if pending == nil {
				pending, unless = &Pending{set: s}, v
			}
			for _, n := range v.needs {
				n.viewer = s.knowing(s.viewer(p, &env, modifyRight(n.entity.Name)), r.rights, p)
				pending.needs = append(pending.needs, n)
			}
		}
		if v.exact != nil && len(ops) > 1 {
			d.Plans, d.Inject = nil, nil
			return d.deny(QueryDenied, ops[i].ID+": a look-up by a masked field stands alone")
		} else if v.exact != nil {
			looked = v.exact
			d.LookedUp, d.Detail = true, ops[i].ID+": looked up by the whole value of "+looked.Entity+"."+looked.Field
		}
		if len(ops) == 1 {
			d.Plans = v.plan.plans
		} else {
			d.Plans[i] = s.answerPlan(d.Plans, ops, i, v.plan)
		}
		limited = limited || v.plan.limited
		accounts = accounts || isAccount(ops[i].Entity)
		if ops[i].Route.Response.Inject != nil && v.plan.limited && !ops[i].Also && !ops[i].Batched {
			d.Inject = s.inject(r.rights, &ops[i], p, &env, v.exact == nil, d.Inject)
		}
	}
	if limited {
		d.Viewer = s.knowing(s.viewerOf(p, &env, ops, accounts), r.rights, p)
		if looked != nil {
			twin := *d.Viewer
			twin.User = &lookup{conditionUser: s.conditionUser(p), given: looked.Given.Value()}
			d.Viewer = &twin
		}
	}
	if pending != nil {
		d.Pending = pending
		return d.deny(unless.reason, unless.detail)
	}
	d.Allow, d.Reason = true, Allowed
	return d
}

// ambiguous says whether values that depend on the present ones may belong to
// records of another operation of the request.
func ambiguous(ops []resource.Operation, i int, needs []need) bool {
	for _, n := range needs {
		for j := range ops {
			if len(n.writes) > 0 && j != i && ops[j].Entity == ops[i].Entity {
				return true
			}
		}
	}
	return false
}

// viewerOf finds the viewer of a request. A batch that reads both accounts and
// other entities gets the person alone: its two group rights may hold for
// different groups.
func (s *Set) viewerOf(p *Principal, env *Env, ops []resource.Operation, accounts bool) *plan.Viewer {
	mixed := accounts && slices.ContainsFunc(ops, func(o resource.Operation) bool { return o.Entity != "" && !isAccount(o.Entity) })
	if mixed {
		own := idSet(p.OwnerIDs)
		return &plan.Viewer{Own: own, Group: own}
	}
	if accounts {
		return s.viewer(p, env, ViewAccounts)
	}
	return s.viewer(p, env, ViewLeads)
}

// answerPlan is the plan in a list of several: a further effect has no answer of
// its own and takes the plan of the operation it belongs to.
func (s *Set) answerPlan(plans []*plan.Plan, ops []resource.Operation, i int, own *compiled) *plan.Plan {
	if ops[i].Also && i > 0 && ops[i-1].Item == ops[i].Item {
		return plans[i-1]
	}
	return own.plan
}

func (d Decision) deny(r Reason, detail string) Decision {
	d.Allow, d.Reason, d.Detail = false, r, detail
	return d
}

func public(ops []resource.Operation) bool {
	for i := range ops {
		if k := ops[i].Kind; k != resource.Public && k != resource.Static {
			return false
		}
	}
	return true
}

// passPlan is the plan of an answer that is open to everybody.
var passPlan = &compiled{plan: &plan.Plan{ID: "public", Pass: true, Format: plan.Opaque}, plans: []*plan.Plan{{ID: "public", Pass: true, Format: plan.Opaque}}}

func (s *Set) decidePublic(d Decision, ops []resource.Operation) Decision {
	d.Allow, d.Reason = true, AllowedPublic
	d.Plans = make([]*plan.Plan, len(ops))
	for i := range ops {
		d.Plans[i] = passPlan.plan
	}
	return d
}

// DecideUnmapped decides a request that no route of the map matches: refused for
// everybody who is restricted (see Restricted), for everybody when the policy
// says unmapped: deny_all, and let through untouched otherwise.
func (s *Set) DecideUnmapped(p *Principal) Decision {
	var d Decision
	if p == nil || p.Kind == Nobody || p.Kind == "" {
		return d.deny(NoSession, "nobody is signed in")
	}
	r := s.resolve(p)
	if r == nil {
		return d.deny(Unmapped, fmt.Sprintf("the map has no route for this, and the policy no role %q", p.Role))
	}
	d.Because = r.because
	switch {
	case s.defaults.Unmapped == "deny_all":
		return d.deny(Unmapped, "the map has no route for this, and the policy refuses such requests to everybody")
	case r.restricted:
		return d.deny(Unmapped, "the map has no route for this, and the person is restricted")
	case p.Kind == APIKey && r.merged.features["api"]:
		return d.deny(FeatureDenied, "the feature api is switched off")
	}
	d.Allow, d.Reason, d.Plans = true, Allowed, passPlan.plans
	return d
}

// decide judges one operation; the order of the checks is the order of what an
// admin would mend first.
func (s *Set) decide(r *rights, p *Principal, op *resource.Operation) verdict {
	if op.Route == nil || op.Route.Response == nil {
		return deny(Unreadable, "the operation comes from no route")
	}
	if op.Kind == resource.Public || op.Kind == resource.Static {
		return allowed(passPlan)
	}
	if v := r.feature(p, op); !v.ok() {
		return v
	}
	entity := op.Entity
	if entity != "" {
		e := s.crm.EntityNamed(entity)
		if e == nil {
			return deny(ActionDenied, "the map has no entity %q", entity)
		}
		if e.Name != entity {
			named := *op
			named.Entity = e.Name
			op = &named
		}
	}
	if v := s.matrix(r, op); !v.ok() {
		return v
	}
	wait := s.fields(r, op)
	exact := wait.exact
	switch {
	case wait.ok():
	case len(wait.writes) == 0 || !existing(op, s.crm.Entities[op.Entity]):
		return wait
	default:
		wait.needs = []need{{rights: r, op: op, entity: s.crm.Entities[op.Entity], ids: distinct(op.Records), writes: wait.writes, unless: wait}}
	}
	if op.Entity != "" && op.Action != "" && op.Kind != resource.WhoAmI {
		if err := r.rowWrite(op, s.crm.Entities[op.Entity]); err != nil {
			v := deny(RowDenied, "%s: %v", op.ID, err)
			if v.needs = s.rowNeeds(r, op, v); len(v.needs) == 0 {
				return v
			}
			if v.needs = append(v.needs, wait.needs...); wait.ok() {
				wait = v
			}
			wait.needs = v.needs
		}
	}
	c := s.planFor(r, op, exact)
	if c.cannot != nil {
		return deny(c.reason, "%s: %v", op.ID, c.cannot)
	}
	if !wait.ok() {
		wait.plan = c
		return wait
	}
	v := allowed(c)
	v.exact = exact
	return v
}

// feature judges the switches an operation falls under.
func (r *rights) feature(p *Principal, op *resource.Operation) verdict {
	off := func(f string) verdict { return deny(FeatureDenied, "%s: the feature %s is switched off", op.ID, f) }
	has := r.merged.features
	switch {
	case p.Kind == APIKey && has["api"]:
		return off("api")
	case op.Feature != "" && has[op.Feature]:
		return off(op.Feature)
	case isAccount(op.Entity) && has["accounts"]:
		return off("accounts")
	case op.Entity == "user" && op.Action == resource.Create && has["create_users"]:
		return off("create_users")
	case op.Kind == resource.Recording && has["call_recordings"]:
		return off("call_recordings")
	}
	m := r.merged.mobile
	switch op.Kind {
	case resource.SyncPull, resource.SyncPush:
		if m.noOffline {
			return off("mobile offline access")
		}
	case resource.Recording:
		if m.noCalls {
			return off("mobile call recording")
		}
	case resource.Location, resource.CheckIn:
		if m.noLocation {
			return off("mobile location")
		}
	case resource.Data, resource.Feature, resource.Page, resource.WhoAmI, resource.SignIn, resource.SignOut,
		resource.Schema, resource.Poll, resource.Stream, resource.Socket:
	default:
		return deny(ActionDenied, "%s: nobody knows requests of kind %q", op.ID, op.Kind)
	}
	return verdict{reason: Allowed}
}

// matrix judges entity and action against the template's matrix.
func (s *Set) matrix(r *rights, op *resource.Operation) verdict {
	ok := verdict{reason: Allowed}
	if op.Kind == resource.WhoAmI || op.Kind == resource.Schema {
		return ok
	}
	if op.Entity == "" || op.Action == "" {
		if op.Kind == resource.Data && r.restricted {
			return deny(ActionDenied, "%s: the map does not say what it does to which entity", op.ID)
		}
		return ok
	}
	c, known := cellOf(op.Action)
	if !known {
		return deny(ActionDenied, "%s: nobody knows the action %q", op.ID, op.Action)
	}
	e := r.merged.of(op.Entity)
	if e.cells[c] == NoAccess {
		return deny(ActionDenied, "%s: no access to %s %s", op.ID, cellNames[c], op.Entity)
	}
	if b, has := bulkOf(c); has && op.Bulk && e.cells[b] == NoAccess {
		return deny(BulkDenied, "%s: no access to %s %s", op.ID, cellNames[b], op.Entity)
	}
	if e.rows == plan.None {
		return deny(RowDenied, "%s: no record of %s may be seen or touched", op.ID, op.Entity)
	}
	if v := e.typesVerdict(c, op); !v.ok() {
		return v
	}
	hard := r.hard[op.Entity] || e.rows != plan.All || len(e.conds) > 0 || e.cells[cExport] == NoAccess
	if hard && len(op.Callbacks) > 0 {
		return deny(ActionDenied, "%s: the request has results sent to another address, past every mask", op.ID)
	}
	if hard && op.Action == resource.Export && op.Route.FollowUp != nil {
		return deny(ActionDenied, "%s: the export is delivered later, past every mask", op.ID)
	}
	return ok
}

// typesVerdict judges activity and task types. While types are taken away, a
// request must name the ones it is about.
func (e *entityRestriction) typesVerdict(c cell, op *resource.Operation) verdict {
	denied := e.types[c]
	if len(denied) == 0 {
		return verdict{reason: Allowed}
	}
	blank := func(t string) bool { return foldType(t) == "" } // a CRM may take it for all of them
	if len(op.Types) == 0 || slices.ContainsFunc(op.Types, blank) {
		return deny(ActionDenied, "%s: some types of %s are without access, and the request does not name its types", op.ID, op.Entity)
	}
	for _, t := range op.Types {
		if denied[foldType(t)] {
			return deny(ActionDenied, "%s: no access to %s %s of type %q", op.ID, cellNames[c], op.Entity, t)
		}
	}
	return verdict{reason: Allowed}
}

// PlanFor returns the plan of one operation for a principal, nil when Decide
// would refuse it.
func (s *Set) PlanFor(p *Principal, op *resource.Operation) *plan.Plan {
	d := s.Decide(p, []resource.Operation{*op}, Env{})
	if !d.Allow {
		return nil
	}
	return d.Plans[0]
}
