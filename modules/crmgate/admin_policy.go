// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package crmgate

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/crmgate/crmgate/modules/internal/records"
	"github.com/crmgate/crmgate/modules/internal/session"
	"github.com/crmgate/crmgate/policy"
	"github.com/crmgate/crmgate/policy/resource"
)

// policy tells the policy in force.
func (c *adminCall) policy() (any, error) {
	snap := c.app.Snapshot()
	return map[string]string{"digest": snap.Policy.Digest(), "source": string(snap.Source)}, nil
}

// revisions lists accepted policies.
func (c *adminCall) revisions() (any, error) {
	rs, err := c.rt.records.Revisions(c.r.Context(), 100)
	if err != nil {
		return nil, fmt.Errorf("reading revisions: %w", err)
	}
	out := []map[string]any{}
	for _, r := range rs {
		out = append(out, map[string]any{"number": r.Number, "digest": r.Digest, "by": r.By, "at": r.At, "source": string(r.Source)})
	}
	return out, nil
}

// checkPolicy compiles a policy against the map in force without using it.
func (c *adminCall) checkPolicy() (any, error) {
	var in struct {
		Name   string `json:"name"`
		Source string `json:"source"`
	}
	if err := c.body(&in); err != nil {
		return nil, err
	}
	done, err := c.app.compile(in.Name, []byte(in.Source))
	if err != nil {
		return nil, badInput{err}
	}
	return map[string]string{"digest": done.set.Digest()}, nil
}

// explainInput names somebody and a request.
type explainInput struct {
	Email  string            `json:"email"`
	Method string            `json:"method"`
	URL    string            `json:"url"` // path and query
	Header map[string]string `json:"header,omitempty"`
	Body   string            `json:"body,omitempty"`
}

// explanation is the answer to "why".
type explanation struct {
	Request     string              `json:"request"` // what the map makes of it
	Allow       bool                `json:"allow"`
	Reason      policy.Reason       `json:"reason"`
	Detail      string              `json:"detail,omitempty"`
	Depends     bool                `json:"depends,omitempty"` // denied, unless the record as it is now allows it
	Explanation *policy.Explanation `json:"explanation,omitempty"`
}

// explain tells what would be decided about a request, and why.
func (c *adminCall) explain() (any, error) {
	var in explainInput
	if err := c.body(&in); err != nil {
		return nil, err
	}
	person, err := c.person(in.Email)
	if err != nil {
		return nil, err
	}
	req, err := requestOf(&in)
	if err != nil {
		return nil, badInput{err}
	}
	p := PrincipalOf(person, nil)
	out := c.judged(p, req)
	if person.Status != records.Active {
		if out.Reason != policy.AllowedPublic {
			out.keptOut(policy.Deactivated, "the person is not active")
		}
		return out, nil
	}
	// A lock on a session, a device or an address is none on the person.
	err = c.app.CheckLocks(c.r.Context(), p, nil, netip.Addr{})
	switch {
	case errors.Is(err, session.ErrLocked):
		out.keptOut(policy.Locked, err.Error())
	case err != nil:
		out.keptOut(policy.StoreUnavailable, "the locks cannot be checked")
	}
	return out, nil
}

// keptOut says that the person may not come in, whatever the policy allows.
func (e *explanation) keptOut(reason policy.Reason, detail string) {
	e.Allow, e.Reason, e.Detail, e.Depends = false, reason, detail, false
}

// judged is what map and policy say about a request of somebody who may come in.
func (c *adminCall) judged(p *policy.Principal, req *resource.Request) explanation {
	snap, env := c.app.Snapshot(), c.app.PolicyEnv()
	out := explanation{Request: snap.Map.Explain(req)}
	ops, err := operationsOf(snap.Map, req)
	switch {
	case errors.Is(err, resource.ErrUnmapped):
		d := snap.Policy.DecideUnmapped(p)
		out.Allow, out.Reason, out.Detail = d.Allow, d.Reason, d.Detail
		return out
	case err != nil: // that it cannot be read is the explanation
		out.Reason, out.Detail = policy.Unreadable, err.Error()
		return out
	}
	d := snap.Policy.Decide(p, ops, env)
	out.Allow, out.Reason, out.Detail, out.Depends = d.Allow, d.Reason, d.Detail, d.Pending != nil
	out.Explanation = snap.Policy.Explain(p, ops, env)
	return out
}

// operationsOf reads a request the way the gate does.
func operationsOf(m *resource.Map, req *resource.Request) ([]resource.Operation, error) {
	match, err := m.Match(req)
	if err != nil {
		return nil, err
	}
	return match.Operations(req)
}

// requestOf builds the request to be explained.
func requestOf(in *explainInput) (*resource.Request, error) {
	u, err := url.Parse(in.URL)
	if err != nil {
		return nil, fmt.Errorf("reading url: %w", err)
	}
	path, err := resource.Canonical(u.EscapedPath())
	if err != nil {
		return nil, fmt.Errorf("reading url: %w", err)
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, fmt.Errorf("reading url: %w", err)
	}
	header := http.Header{}
	for k, v := range in.Header {
		header.Set(k, v)
	}
	method := strings.ToUpper(in.Method)
	if method == "" {
		method = http.MethodGet
	}
	req := &resource.Request{Method: method, Host: u.Hostname(), Path: path, Query: query, Header: header}
	if in.Body != "" {
		req.Body = []byte(in.Body)
	}
	return req, nil
}
