// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/crmgate/crmgate/policy/mask"
	"github.com/crmgate/crmgate/policy/resource"
)

// Set is a policy compiled against a resource map: immutable, safe for
// concurrent use, meant to be kept behind an atomic pointer and swapped whole.
//
// A role the policy does not have is refused everything that needs a principal.
type Set struct {
	digest   string
	settings Settings
	defaults Defaults
	roles    map[string]*role
	groups   map[string]Group // members' addresses folded
	people   map[string]*person
	crm      *resource.Map
	seed     string // what every plan id depends on
	masks    map[string]*mask.Func
	words    words // of which errors may be made
	features map[string]bool
	assigned []*contribution // in the order of the document
	switches []*contribution

	conditional bool     // some assignment has a condition
	when        sync.Map // whenKey to *resolved
	whens       atomic.Int64

	mu     sync.Mutex
	rights map[string]*rights // by digest; at most one a distinct template set
}

// role is a role with its own contribution.
type role struct {
	Role
	own     *contribution
	spelled map[string]bool // features the document itself denies to the role
	anyone  atomic.Pointer[resolved]
}

// person is somebody the policy names: in a group or in an assignment.
type person struct {
	groups []string            // ids, sorted
	rights map[string][]string // group id to rights
	byRole atomic.Pointer[map[string]*resolved]
	viewer atomic.Pointer[cachedViewer]
}

// contribution is one restriction with where it comes from.
type contribution struct {
	id        string // role:sales_user, template:telecaller
	via       string // where it was assigned, in words
	assign    int    // index of the assignment, -1 for roles and switches
	roles     map[string]bool
	groups    map[string]bool
	users     map[string]bool
	exclusive bool
	when      *condition // nil: always
	*restriction
}

// Digest identifies the policy together with the map it was compiled against.
func (s *Set) Digest() string { return s.digest }

// Settings returns the account's settings, defaults filled in. Its lists and maps
// must not be changed.
func (s *Set) Settings() Settings { return s.settings }

// Role returns a role, built-in rights filled in, and whether there is one.
func (s *Set) Role(id string) (Role, bool) {
	r := s.roles[id]
	if r == nil {
		return Role{}, false
	}
	return r.Role, true
}

// Roles returns the ids of all roles, sorted.
func (s *Set) Roles() []string { return slices.Sorted(maps.Keys(s.roles)) }

// Groups returns all sales groups by id. The map must not be changed.
func (s *Set) Groups() map[string]Group { return s.groups }

// GroupsOf returns the ids of the groups a person belongs to, sorted.
func (s *Set) GroupsOf(email string) []string {
	if p := s.people[foldEmail(email)]; p != nil {
		return p.groups
	}
	return nil
}
