// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/crmgate/crmgate/policy/plan"
)

// rights is what one distinct set of restrictions comes to, shared by everybody
// who has it. Immutable but for the plans, which are compiled when first needed.
type rights struct {
	id          string // digest of the restriction
	merged      *restriction
	sensitive   bool            // a field is masked or hidden, or unknown ones are not simply shown
	hard        map[string]bool // entities of which somebody decided something about fields
	restricted  bool            // see Set.Restricted
	conditional bool            // some rows are filtered by a condition
	limited     bool            // some records are not seen: rows are filtered, or an entity is without view access
	maxLeads    int
	tables      map[string]*plan.Entity // by entity name
	fallback    *plan.Entity            // strictest of all entities, for answers without one
	hidden      map[string]*plan.Entity // tables that hide everything, for view none

	mu    sync.Mutex // writers of plans
	plans atomic.Pointer[map[planKey]*compiled]
}

// resolved is what counts for one person in one role.
type resolved struct {
	*rights
	parts   []*contribution // in order: role, switches, templates
	because []string
}

// defaultMaxLeads is the offline cap where nobody said another (product facts
// §1.12).
const defaultMaxLeads = 100

// resolve returns what counts for a principal, nil for a role the policy does
// not have. What it keeps is bounded by the policy: one entry a role, and one for
// each person the policy names and role he came in.
func (s *Set) resolve(p *Principal) *resolved {
	ro := s.roles[p.Role]
	if ro == nil {
		return nil
	}
	who := s.people[foldEmail(p.Email)]
	if s.conditional {
		return s.resolveWhen(p, ro, who)
	}
	if who == nil {
		if r := ro.anyone.Load(); r != nil {
			return r
		}
		r := s.combine(p.Role, ro, "", nil, "")
		ro.anyone.Store(r)
		return r
	}
	known := who.byRole.Load()
	if known != nil {
		if r := (*known)[p.Role]; r != nil {
			return r
		}
	}
	r := s.combine(p.Role, ro, foldEmail(p.Email), who, "")
	s.mu.Lock()
	defer s.mu.Unlock()
	next := map[string]*resolved{p.Role: r}
	if known = who.byRole.Load(); known != nil {
		maps.Copy(next, *known)
	}
	who.byRole.Store(&next)
	return r
}

// whenKey is what the restrictions of a person differ by where assignments have
// conditions.
type whenKey struct{ role, email, when string }

// maxWhens bounds what is kept of people under conditions; beyond it everything is
// forgotten and found again.
const maxWhens = 4096

// whenHolds, whenFails and whenUnclear are what came of an assignment's condition.
const (
	whenHolds   = 'y'
	whenFails   = 'n'
	whenUnclear = '?'
)

// resolveWhen is resolve where assignments have conditions: they are asked each
// time, and what follows from their answers is kept.
func (s *Set) resolveWhen(p *Principal, ro *role, who *person) *resolved {
	u := s.conditionUser(p)
	when := make([]byte, len(s.assigned))
	for i, a := range s.assigned {
		when[i] = whenHolds
		if a.when == nil {
			continue
		}
		switch ok, err := a.when.holds(u, nil); {
		case err != nil:
			when[i] = whenUnclear
		case !ok:
			when[i] = whenFails
		}
	}
	key := whenKey{role: p.Role, when: string(when)}
	if who != nil {
		key.email = foldEmail(p.Email)
	}
	if r, ok := s.when.Load(key); ok {
		return r.(*resolved) //nolint:forcetypeassert // the map holds nothing else
	}
	r := s.combine(p.Role, ro, key.email, who, key.when)
	if s.whens.Add(1) > maxWhens {
		s.when.Clear()
		s.whens.Store(1)
	}
	s.when.Store(key, r)
	return r
}

// combine finds the contributions of a person and merges them. when has what came
// of each assignment's condition; "" when there are none. A template whose condition
// came to no answer applies, and takes no other's place.
func (s *Set) combine(id string, ro *role, email string, who *person, when string) *resolved {
	parts := append([]*contribution{ro.widened(who)}, s.switches...)
	exclusive := false
	for i, a := range s.assigned {
		exclusive = exclusive || a.exclusive && a.users[email] && (when == "" || when[i] == whenHolds)
	}
	spelled := ro.spelled
	templates := &restriction{}
	for i, a := range s.assigned {
		if exclusive && !a.exclusive || when != "" && when[i] == whenFails || !a.applies(id, email, who) {
			continue
		}
		parts = append(parts, a.withVia(id, email, who))
		templates = join(templates, a.restriction)
	}
	merged := &restriction{}
	var because []string
	for _, p := range parts {
		merged = join(merged, p.restriction)
		if !slices.Contains(because, p.id) {
			because = append(because, p.id)
		}
	}
	extra := len(templates.features) > 0
	for f, deny := range spelled {
		extra = extra || deny && merged.features[f]
	}
	return &resolved{rights: s.intern(merged, extra), parts: parts, because: because}
}

// widened is the role's contribution for a person: where the role says own, a
// view right in a group makes it group, for leads or for accounts.
func (ro *role) widened(who *person) *contribution {
	if ro.Rows != "own" || who == nil {
		return ro.own
	}
	leads, accounts := who.has(ViewLeads), who.has(ViewAccounts)
	if !leads && !accounts {
		return ro.own
	}
	out := *ro.own
	r := &restriction{features: ro.own.features, mobile: ro.own.mobile, entities: maps.Clone(ro.own.entities)}
	for name, e := range r.entities {
		if isAccount(name) && accounts || !isAccount(name) && leads {
			wide := *e
			wide.rows = plan.Group
			r.entities[name] = &wide
		}
	}
	out.restriction = r
	out.via += ", widened by the view right in a group"
	return &out
}

// isAccount says which of a group's two view rights an entity falls under.
func isAccount(entity string) bool { return strings.HasPrefix(entity, "account") }

func (p *person) has(right string) bool {
	for _, list := range p.rights {
		if slices.Contains(list, right) {
			return true
		}
	}
	return false
}

func (a *contribution) applies(role, email string, who *person) bool {
	if a.roles[role] || email != "" && a.users[email] {
		return true
	}
	if who != nil {
		for _, g := range who.groups {
			if a.groups[g] {
				return true
			}
		}
	}
	return false
}

// withVia says in words by which way the template came.
func (a *contribution) withVia(role, email string, who *person) *contribution {
	var via []string
	if a.roles[role] {
		via = append(via, "role "+role)
	}
	if who != nil {
		for _, g := range who.groups {
			if a.groups[g] {
				via = append(via, "group "+g)
			}
		}
	}
	if email != "" && a.users[email] {
		w := "user"
		if a.exclusive {
			w = "user, exclusive"
		}
		via = append(via, w)
	}
	out := *a
	out.via = strings.Join(via, ", ")
	return &out
}

// intern returns the shared rights of a merged restriction.
func (s *Set) intern(merged *restriction, features bool) *rights {
	id := merged.digest(features)
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.rights[id]; r != nil {
		return r
	}
	r := &rights{id: id, merged: merged, restricted: features, maxLeads: merged.mobile.maxLeads, hard: map[string]bool{}}
	if r.maxLeads == 0 {
		r.maxLeads = defaultMaxLeads
	}
	for name, e := range merged.entities {
		r.hard[name] = e.hard()
		r.restricted = r.restricted || e.any()
		r.conditional = r.conditional || len(e.conds) > 0
		r.limited = r.limited || e.rows != plan.All || len(e.conds) > 0 || e.cells[cView] == NoAccess
		r.sensitive = r.sensitive || e.unknown > plan.Show || r.hard[name]
		for _, f := range e.fields {
			r.sensitive = r.sensitive || f.view > plan.Show
		}
	}
	s.buildTables(r)
	r.plans.Store(&map[planKey]*compiled{})
	s.rights[id] = r
	return r
}

// digest identifies the content of a restriction, whatever it was joined from.
func (r *restriction) digest(features bool) string {
	type field struct {
		Name         string
		View         plan.Effect
		Create, Edit writing
		NoLookup     bool
	}
	type entity struct {
		Name    string
		Cells   [cells]Level
		Types   [cells][]string
		Fields  []field
		Rows    plan.Scope
		Unknown plan.Effect
		Spelled bool
		Where   []string
		Most    int
	}
	var es []entity
	for _, name := range slices.Sorted(maps.Keys(r.entities)) {
		e := r.entities[name]
		if !e.any() {
			continue
		}
		x := entity{Name: name, Cells: e.cells, Rows: e.rows, Unknown: e.unknown, Spelled: e.spelled, Most: e.most}
		for _, c := range e.conds {
			x.Where = append(x.Where, c.text)
		}
		for c := range cells {
			x.Types[c] = slices.Sorted(maps.Keys(e.types[c]))
		}
		for _, fn := range slices.Sorted(maps.Keys(e.fields)) {
			f := e.fields[fn]
			x.Fields = append(x.Fields, field{fn, f.view, f.create, f.edit, f.noLookup})
		}
		es = append(es, x)
	}
	m := r.mobile
	b, err := json.Marshal([]any{slices.Sorted(maps.Keys(r.features)), es, m.noOffline, m.maxLeads, m.ignore, m.overwrite, m.noCalls, m.noLocation, features})
	if err != nil {
		panic("policy: digest of plain values: " + err.Error()) // cannot happen: no type here can fail
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:12])
}

// Restricted says whether anything is taken away from the principal: of any
// entity, by whatever rule, or a feature, by a template or by a role's switch
// that the policy itself spells. Nobody and unknown roles are restricted.
func (s *Set) Restricted(p *Principal) bool {
	if p == nil || p.Kind == Nobody {
		return true
	}
	r := s.resolve(p)
	return r == nil || r.restricted
}
