// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"

	"github.com/crmgate/crmgate/modules/crmgate"
	"github.com/crmgate/crmgate/policy"
	"github.com/crmgate/crmgate/policy/plan"
	"github.com/crmgate/crmgate/policy/resource"
)

// maxTwice is how many bytes an answer may have that is read twice.
const maxTwice = 8 << 20

// withParents reads an answer whose records may say only which other records they
// hang on: once to learn which, then those are looked up in the CRM, and what comes
// back is the body again, with a viewer who knows which of them are his. Nothing of
// it is kept. Those that cannot be told are nobody's.
func (t *Transport) withParents(req *http.Request, a *asker, d *crmgate.Decision, p *plan.Plan, contentType string, plain io.Reader) (io.Reader, error) {
	body, err := io.ReadAll(io.LimitReader(plain, maxTwice+1))
	if err != nil {
		return nil, fmt.Errorf("reading the answer: %w", err)
	}
	if len(body) > maxTwice {
		return nil, fmt.Errorf("the answer is larger than %d bytes, and whose its records are must be looked up", maxTwice)
	}
	asked := map[plan.Parent]map[string]string{} // the id as it was written to its folded form
	scout := *d.Viewer
	scout.Ask = func(to plan.Parent, id []byte) {
		if asked[to] == nil {
			asked[to] = map[string]string{}
		}
		asked[to][string(id)] = policy.FoldID(string(id))
	}
	first := *d
	first.Viewer = &scout
	first.Facts = crmgate.Facts{}
	once := t.maskers.open(p, &first, contentType, bytes.NewReader(body))
	_, _ = io.Copy(io.Discard, once) // what is wrong with it the second reading will say
	_ = once.Close()
	if len(asked) == 0 {
		return bytes.NewReader(body), nil
	}
	parents, err := t.parents(req, a, d, asked)
	if err != nil {
		return nil, err
	}
	viewer := *d.Viewer
	viewer.Parents = parents
	d.Viewer = &viewer
	return bytes.NewReader(body), nil
}

// parents finds out which of the records are the viewer's.
func (t *Transport) parents(req *http.Request, a *asker, d *crmgate.Decision, asked map[plan.Parent]map[string]string) (map[plan.Parent]map[string]struct{}, error) {
	ids := map[string][]string{}
	for to, list := range asked {
		for _, id := range slices.Sorted(maps.Keys(list)) {
			if !slices.Contains(ids[to.Entity], id) {
				ids[to.Entity] = append(ids[to.Entity], id)
			}
		}
	}
	op := d.Operation()
	if op == nil || d.Policy == nil {
		return nil, errors.New("nobody can tell whose the records are")
	}
	reads, err := d.Policy.ParentReads(op, ids)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(req.Context(), readTime)
	defer cancel()
	found := map[plan.Parent]map[string]bool{}
	for to := range asked {
		found[to] = map[string]bool{}
	}
	for _, rd := range reads {
		records, err := a.records(ctx, rd)
		if errors.Is(err, errRead) {
			return nil, err
		}
		if err != nil {
			continue // there are none for this person: what hangs on them is not visible
		}
		for to := range asked {
			if to.Entity == rd.Entity.Name {
				note(found[to], rd.IDs, records, func(rec *resource.Record) bool { return policy.Owns(d.Viewer, to.Scope, rec) })
			}
		}
	}
	out := map[plan.Parent]map[string]struct{}{}
	for to, list := range asked {
		out[to] = whose(list, found[to])
	}
	return out, nil
}

// note notes of ids that were asked for whether the records that came are the viewer's.
// A CRM may write an id otherwise than it was asked for, so they are compared folded.
func note(found map[string]bool, ids []string, records []*resource.Record, mine func(*resource.Record) bool) {
	for _, id := range ids {
		for _, rec := range records {
			if rec.Is(id, policy.FoldID) {
				before, again := found[id]
				found[id] = mine(rec) && (before || !again)
			}
		}
	}
}

// whose returns the folded ids that are the viewer's, of those as they were written: an
// answer is judged by folded ids, so where several are one when they are folded, and may
// be several records in the CRM, all of them must be.
func whose(list map[string]string, found map[string]bool) map[string]struct{} {
	out := map[string]struct{}{}
	for _, folded := range list {
		out[folded] = struct{}{}
	}
	for id, folded := range list {
		if !found[id] {
			delete(out, folded)
		}
	}
	return out
}
