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
	asked := map[plan.Parent]map[string]string{} // folded id to the id as it was written
	scout := *d.Viewer
	scout.Ask = func(to plan.Parent, id []byte) {
		if asked[to] == nil {
			asked[to] = map[string]string{}
		}
		asked[to][policy.FoldID(string(id))] = string(id)
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
		for _, id := range slices.Sorted(maps.Values(list)) {
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
	out := map[plan.Parent]map[string]struct{}{}
	for to := range asked {
		out[to] = map[string]struct{}{}
	}
	for _, rd := range reads {
		records, err := a.records(ctx, rd)
		if errors.Is(err, errRead) {
			return nil, err
		}
		if err != nil {
			continue // there are none for this person: what hangs on them is not visible
		}
		for to, list := range asked {
			for folded, id := range list {
				for _, rec := range records {
					if to.Entity == rd.Entity.Name && rec.Is(id, policy.FoldID) && policy.Owns(d.Viewer, to.Scope, rec) {
						out[to][folded] = struct{}{}
					}
				}
			}
		}
	}
	return out, nil
}
