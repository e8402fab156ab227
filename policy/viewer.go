// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"maps"
	"slices"
	"strings"

	"github.com/crmgate/crmgate/policy/plan"
)

// Env is what a decision needs from outside besides the principal. The zero Env
// is good: then nobody's group has members.
type Env struct {
	// OwnersOf returns the owner ids of a person by e-mail address; nil when he is
	// not known. A nil function knows nobody. It must not block.
	OwnersOf func(email string) []string
	// Directory is a number that changes with every change of what OwnersOf
	// answers. With 0 nothing is remembered from one decision to the next.
	Directory uint64
}

type cachedViewer struct {
	directory uint64
	own       []string
	right     string
	viewer    *plan.Viewer
	ids       []string
}

// FoldID folds an owner id the way viewers hold them: case, '-', '_', '{' and '}'
// do not count, see plan.FoldID.
func FoldID(id string) string {
	for i := 0; i < len(id); i++ {
		if c := id[i]; c == '-' || c == '_' || c == '{' || c == '}' || 'A' <= c && c <= 'Z' {
			return plan.FoldID(id)
		}
	}
	return id
}

// rightFor returns the group right under which records of an entity are seen.
func rightFor(entity string) string {
	if isAccount(entity) {
		return ViewAccounts
	}
	return ViewLeads
}

// viewer returns whose records count as the principal's own and as his groups'.
// An id that folds to nothing is nobody's.
func (s *Set) viewer(p *Principal, env *Env, right string) *plan.Viewer {
	who := s.people[foldEmail(p.Email)]
	if who == nil || !who.has(right) {
		own := idSet(p.OwnerIDs)
		return &plan.Viewer{Own: own, Group: own}
	}
	return s.grouped(who, p, env, right).viewer
}

// groupOwners returns the ids of the principal and of the members of the groups
// where he has the right, sorted.
func (s *Set) groupOwners(p *Principal, env *Env, right string) []string {
	who := s.people[foldEmail(p.Email)]
	if who == nil || !who.has(right) {
		return p.OwnerIDs
	}
	return s.grouped(who, p, env, right).ids
}

func (s *Set) grouped(who *person, p *Principal, env *Env, right string) *cachedViewer {
	if c := who.viewer.Load(); c != nil && env.Directory != 0 && c.directory == env.Directory && c.right == right && slices.Equal(c.own, p.OwnerIDs) {
		return c
	}
	ids := map[string]bool{}
	for _, id := range p.OwnerIDs {
		ids[id] = true
	}
	for _, g := range who.groups {
		if !slices.Contains(who.rights[g], right) || env.OwnersOf == nil {
			continue
		}
		for email := range s.groups[g].Members {
			for _, id := range env.OwnersOf(email) {
				ids[id] = true
			}
		}
	}
	c := &cachedViewer{directory: env.Directory, own: slices.Clone(p.OwnerIDs), right: right, ids: slices.Sorted(maps.Keys(ids))}
	c.viewer = &plan.Viewer{Own: idSet(p.OwnerIDs), Group: idSet(c.ids)}
	if env.Directory != 0 {
		who.viewer.Store(c)
	}
	return c
}

func idSet(ids []string) map[string]struct{} {
	out := make(map[string]struct{}, len(ids))
	for _, id := range ids {
		if f := FoldID(id); f != "" {
			out[f] = struct{}{}
		}
	}
	return out
}

func joinIDs(ids []string) string { return strings.Join(ids, ",") }
