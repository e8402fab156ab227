// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"

	"github.com/crmgate/crmgate/policy/plan"
	"github.com/crmgate/crmgate/policy/resource"
)

// Everything that follows from a row scope is decided in this file.

// rowsOf says how the records of a set are filtered; nil when all are seen. A
// record inside a filtered one that has no owner of its own is seen with it.
func (t *tree) rowsOf(rs *resource.RecordSet, entity string, inside bool) *plan.Rows {
	if !t.scoped {
		return nil
	}
	scope := t.rights.merged.of(entity).rows
	if scope == plan.All {
		return nil
	}
	// A person's two view rights may hold for different groups; the viewer of one
	// answer can carry only one of them.
	if scope == plan.Group && isAccount(entity) != t.primary {
		scope = plan.Own
	}
	owner := rs.Owner
	if e := t.set.crm.Entities[entity]; len(owner) == 0 && e != nil {
		owner = e.Owner
		if entity == "user" {
			owner = e.ID
			if len(rs.ID) > 0 {
				owner = rs.ID
			}
		}
	}
	if len(owner) == 0 && scope != plan.None {
		if inside {
			return nil
		}
		t.fail(RowDenied, "records of %s do not say whose they are, and only %s records may be seen", entity, scopeWord(scope))
	}
	t.limited = true
	return &plan.Rows{Scope: scope, Owner: foldAll(owner)}
}

// reads says whether the operation asks for records.
func (t *tree) reads(op *resource.Operation) bool {
	return t.scoped && op.Entity != "" && (op.Action == resource.View || op.Action == resource.Export)
}

// unlimited refuses an answer with records of a limited entity in which the map
// does not say where they are, or nobody can tell.
func (t *tree) unlimited(resp *resource.Response, op *resource.Operation) {
	scope := t.rights.merged.of(op.Entity).rows
	if scope == plan.All || resp.Format == resource.FormatNone || resp.Format == resource.FormatPage {
		return
	}
	if resp.Format == resource.FormatJSON {
		t.fail(RowDenied, "the map does not say where records of %s are in the answer, and only %s records may be seen", op.Entity, scopeWord(scope))
		return
	}
	t.fail(ActionDenied, "the answer is %s, in which nobody can tell whose records of %s it shows", resp.Format, op.Entity)
}

func scopeWord(s plan.Scope) string {
	switch s {
	case plan.All:
		return "all"
	case plan.Group:
		return "group"
	case plan.Own:
		return "own"
	}
	return "none"
}

// rowWrite judges writes under a row scope. Whose record it is can only be known
// by reading it first; as long as the gate does not, whoever may not write all
// records may write none that exist, and make none below a record of another.
func (r *rights) rowWrite(op *resource.Operation) error {
	switch op.Action {
	case resource.View, resource.Export:
		return nil
	case resource.Create:
		if scope := r.merged.of(op.Entity).rows; scope == plan.None {
			return fmt.Errorf("no record of %s may be touched", op.Entity)
		}
		for _, parent := range op.Parents {
			if scope := r.merged.of(parent.Entity).rows; scope != plan.All {
				return fmt.Errorf("the new %s hangs on a %s, and whether that is one of the %s records cannot be known from the request", op.Entity, parent.Entity, scopeWord(scope))
			}
		}
		return nil
	}
	if scope := r.merged.of(op.Entity).rows; scope != plan.All {
		return fmt.Errorf("whether the %s is one of the %s records cannot be known from the request", op.Entity, scopeWord(scope))
	}
	return nil
}

// inject pushes a row scope down into the CRM's own query where the map says how.
func (s *Set) inject(r *rights, op *resource.Operation, p *Principal, env *Env, dst []Injection) []Injection {
	in := op.Route.Response.Inject
	if in == nil || op.Action != resource.View && op.Action != resource.Export {
		return dst
	}
	var ids []string
	switch r.merged.of(op.Entity).rows {
	case plan.Own:
		ids = p.OwnerIDs
	case plan.Group:
		ids = s.groupOwners(p, env, rightFor(op.Entity))
	}
	if len(ids) == 0 || len(ids) > 1 && in.Many != "comma" {
		return dst
	}
	inj := Injection{Query: in.Query, Value: joinIDs(ids)}
	if in.InBody {
		inj.Pointer = in.Body.String()
	}
	return append(dst, inj)
}
