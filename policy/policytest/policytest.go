// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// Package policytest runs the suites that lie beside a policy: requests sent by
// somebody, and what the policy is expected to make of them.
//
// A suite is strict YAML: an unknown key, a missing request and an expectation
// that expects nothing are errors. A request the map does not know, or cannot
// read, is a decision like any other (unmapped, unreadable) and not an error.
package policytest

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"sort"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/crmgate/crmgate/policy"
	"github.com/crmgate/crmgate/policy/internal/shape"
	"github.com/crmgate/crmgate/policy/resource"
)

// Suite is one file of cases.
type Suite struct {
	Map    string              `yaml:"map"`    // name of the map; the caller decides when empty
	Owners map[string][]string `yaml:"owners"` // e-mail to owner ids
	Cases  []Case              `yaml:"cases"`
}

// Case is one request and what is expected of it.
type Case struct {
	Name string `yaml:"name"`
	As   As     `yaml:"as"`
	Send Send   `yaml:"send"`
	// Present are records as the CRM has them now, by entity and names on the wire,
	// for a request that is decided by them. Those not listed are not there.
	Present map[string][]map[string]any `yaml:"present"`
	Expect  Expect                      `yaml:"expect"`
}

// As is who sends. Without a role nobody is signed in.
type As struct {
	Role   string   `yaml:"role"`
	User   string   `yaml:"user"`   // e-mail; default nobody@example.com
	Groups []string `yaml:"groups"` // without user: somebody who is in all of these groups
	Kind   string   `yaml:"kind"`   // user (default), mobile, api_key
	Owners []string `yaml:"owners"` // default: the suite's owners of the user
}

// Send is the request.
type Send struct {
	Method string            `yaml:"method"` // default GET
	Host   string            `yaml:"host"`
	Path   string            `yaml:"path"` // may carry a query
	Query  map[string]string `yaml:"query"`
	Header map[string]string `yaml:"header"`
	Body   yaml.Node         `yaml:"body"` // a text is sent as it is, anything else as JSON
}

// Expect is what is compared; keys left out are not.
type Expect struct {
	Decision  string    `yaml:"decision"` // allow or deny
	Reason    string    `yaml:"reason"`
	Detail    string    `yaml:"detail"`    // part of the detail
	Operation string    `yaml:"operation"` // id of the first operation
	Rows      string    `yaml:"rows"`      // all, group, own, none
	Masked    *[]string `yaml:"masked"`    // exactly these fields of the operation's entity
	Hidden    *[]string `yaml:"hidden"`    // exactly these
	Shown     []string  `yaml:"shown"`     // at least these are shown as they are
	Because   []string  `yaml:"because"`   // at least these are behind it
	Untouched *bool     `yaml:"untouched"` // the answer is passed on as it is
}

// Result is what came of one case.
type Result struct {
	Name   string   `json:"name"`
	Line   int      `json:"line"`
	Faults []string `json:"faults,omitempty"` // empty: passed
	Reason string   `json:"reason"`
	Detail string   `json:"detail,omitempty"`
}

// Passed says whether the case came out as expected.
func (r *Result) Passed() bool { return len(r.Faults) == 0 }

var (
	anyText  = &shape.Shape{Kind: shape.Text}
	someText = &shape.Shape{Kind: shape.Text, Min: 1, Max: 10000}
	texts    = &shape.Shape{Kind: shape.List, Elem: anyText}
	textMap  = &shape.Shape{Kind: shape.Map, Name: "name", Elem: anyText}
	suite    = section(
		shape.Key{Name: "map", Shape: someText},
		shape.Key{Name: "owners", Shape: &shape.Shape{Kind: shape.Map, Name: "e-mail", Elem: texts}},
		shape.Key{Name: "cases", Required: true, Example: "[...]", Shape: &shape.Shape{Kind: shape.List, Min: 1, Elem: section(
			shape.Key{Name: "name", Shape: someText, Required: true, Example: "a telecaller reads a lead"},
			shape.Key{Name: "as", Shape: section(
				shape.Key{Name: "role", Shape: someText}, shape.Key{Name: "user", Shape: someText}, shape.Key{Name: "groups", Shape: texts},
				shape.Key{Name: "kind", Shape: &shape.Shape{Kind: shape.Word, Words: []string{"user", "mobile", "api_key"}}}, shape.Key{Name: "owners", Shape: texts})},
			shape.Key{Name: "send", Required: true, Example: "{path: /}", Shape: section(
				shape.Key{Name: "method", Shape: someText}, shape.Key{Name: "host", Shape: someText}, shape.Key{Name: "path", Shape: someText, Required: true, Example: "/"},
				shape.Key{Name: "query", Shape: textMap}, shape.Key{Name: "header", Shape: textMap}, shape.Key{Name: "body", Shape: &shape.Shape{Kind: shape.Any}})},
			shape.Key{Name: "present", Shape: &shape.Shape{Kind: shape.Map, Name: "entity", Elem: &shape.Shape{Kind: shape.List, Elem: &shape.Shape{Kind: shape.Any}}}},
			shape.Key{Name: "expect", Required: true, Example: "{decision: deny}", Shape: section(
				shape.Key{Name: "decision", Shape: &shape.Shape{Kind: shape.Word, Words: []string{"allow", "deny"}}}, shape.Key{Name: "reason", Shape: &shape.Shape{Kind: shape.Word, Words: reasons()}},
				shape.Key{Name: "detail", Shape: someText}, shape.Key{Name: "operation", Shape: someText},
				shape.Key{Name: "rows", Shape: &shape.Shape{Kind: shape.Word, Words: []string{"all", "group", "own", "none"}}},
				shape.Key{Name: "masked", Shape: texts}, shape.Key{Name: "hidden", Shape: texts}, shape.Key{Name: "shown", Shape: texts}, shape.Key{Name: "because", Shape: texts},
				shape.Key{Name: "untouched", Shape: &shape.Shape{Kind: shape.Bool}})},
		)}},
	)
)

func section(keys ...shape.Key) *shape.Shape { return &shape.Shape{Kind: shape.Object, Keys: keys} }

func reasons() []string {
	var out []string
	for _, r := range policy.Reasons() {
		out = append(out, string(r))
	}
	sort.Strings(out)
	return out
}

// Parse reads a suite. Faults have file, line and column, as in a policy.
func Parse(file string, data []byte) (*Suite, error) {
	node, place, err := shape.Read(file, data, suite)
	if err != nil {
		return nil, err
	}
	s := &Suite{}
	if node == nil {
		return nil, &policy.Error{File: file, Pos: shape.Pos{Line: 1, Col: 1}, What: "the suite is empty", Mend: "write cases"}
	}
	if err := node.Decode(s); err != nil {
		return nil, fmt.Errorf("reading suite %s: %w", file, err)
	}
	for i, c := range s.Cases {
		if c.Expect.empty() {
			return nil, &policy.Error{File: file, Pos: place.Of(fmt.Sprintf("/cases/%d/expect", i)), What: fmt.Sprintf("the case %q expects nothing", c.Name), Mend: "write decision or reason"}
		}
		s.Cases[i].Send.Body.Line = place.Of(fmt.Sprintf("/cases/%d", i)).Line
	}
	return s, nil
}

func (e *Expect) empty() bool {
	return e.Decision == "" && e.Reason == "" && e.Operation == "" && e.Rows == "" && e.Masked == nil && e.Hidden == nil && e.Shown == nil && e.Because == nil && e.Untouched == nil && e.Detail == ""
}

// Run runs every case of a suite.
func Run(s *Suite, set *policy.Set, m *resource.Map) []Result {
	out := make([]Result, 0, len(s.Cases))
	for i := range s.Cases {
		out = append(out, run(s, &s.Cases[i], set, m))
	}
	return out
}

func run(s *Suite, c *Case, set *policy.Set, m *resource.Map) Result {
	res := Result{Name: c.Name, Line: c.Send.Body.Line}
	x, err := explain(s, c, set, m)
	if err != nil {
		res.Faults = []string{err.Error()}
		return res
	}
	res.Reason, res.Detail = string(x.Reason), x.Detail
	compare(&c.Expect, x, &res)
	return res
}

// explain asks the policy about the request of a case.
func explain(s *Suite, c *Case, set *policy.Set, m *resource.Map) (*policy.Explanation, error) {
	p, err := c.As.principal(s, set)
	if err != nil {
		return nil, err
	}
	r, err := c.Send.request()
	if err != nil {
		return nil, err
	}
	unread := func(reason policy.Reason, err error) *policy.Explanation {
		return &policy.Explanation{Reason: reason, Status: reason.Status(), Detail: err.Error()}
	}
	r.Path, err = resource.Canonical(r.Path)
	if err != nil {
		return unread(policy.BadRequest, err), nil
	}
	mt, err := m.Match(r)
	var ops []resource.Operation
	if err == nil {
		ops, err = mt.Operations(r)
	}
	if errors.Is(err, resource.ErrUnmapped) {
		d := set.DecideUnmapped(p)
		return &policy.Explanation{Allow: d.Allow, Reason: d.Reason, Status: d.Reason.Status(), Detail: d.Detail}, nil
	}
	if err != nil {
		return unread(policy.Unreadable, err), nil
	}
	env := policy.Env{OwnersOf: func(email string) []string { return s.Owners[email] }}
	x := set.Explain(p, ops, env)
	if c.Present == nil {
		return x, nil
	}
	d := set.Decide(p, ops, env)
	if d.Pending == nil {
		return nil, errors.New("the case has records as they are now, and the decision does not depend on any")
	}
	settled, err := settle(c, d.Pending, m)
	if err != nil {
		return nil, err
	}
	x.Allow, x.Reason, x.Detail, x.Status = settled.Reason == policy.Allowed, settled.Reason, settled.Detail, settled.Reason.Status()
	return x, nil
}

// settle answers what a pending decision asks out of the case's records.
func settle(c *Case, p *policy.Pending, m *resource.Map) (policy.Settled, error) {
	known := map[string][]*resource.Record{}
	for entity, list := range c.Present {
		e := m.Entities[entity]
		if e == nil {
			return policy.Settled{}, fmt.Errorf("present has records of %q, which is no entity of the map", entity)
		}
		for _, values := range list {
			out := map[string]resource.Value{}
			for name, v := range values {
				out[name] = value(v)
			}
			known[entity] = append(known[entity], resource.NewRecord(e, out))
		}
	}
	for reads := p.Reads(); len(reads) > 0; reads = p.Reads() {
		for _, rd := range reads {
			p.Answer(rd, known[rd.Entity.Name], nil)
		}
	}
	return p.Settle(), nil
}

// value is a value of YAML as JSON would have it.
func value(v any) resource.Value {
	switch v := v.(type) {
	case nil:
		return resource.Value{Kind: 'n'}
	case string:
		return resource.Value{Kind: '"', Text: v}
	case bool:
		if v {
			return resource.Value{Kind: 't'}
		}
		return resource.Value{Kind: 'f'}
	case int, int64, float64:
		return resource.Value{Kind: '0', Text: fmt.Sprint(v)}
	}
	return resource.Value{Kind: '{'}
}

func (a *As) principal(s *Suite, set *policy.Set) (*policy.Principal, error) {
	if a.Role == "" {
		return nil, nil
	}
	p := &policy.Principal{Kind: policy.PrincipalKind(a.Kind), ID: "test", Email: a.User, Role: a.Role, OwnerIDs: a.Owners}
	if p.Kind == "" {
		p.Kind = policy.User
	}
	if p.Email == "" && len(a.Groups) > 0 {
		p.Email = member(set, a.Groups)
		if p.Email == "" {
			return nil, fmt.Errorf("nobody is in all of the groups %s", strings.Join(a.Groups, ", "))
		}
	}
	for _, g := range a.Groups {
		if !slices.Contains(set.GroupsOf(p.Email), g) {
			return nil, fmt.Errorf("%s is not in the group %s", p.Email, g)
		}
	}
	if p.Email == "" {
		p.Email = "nobody@example.com"
	}
	if p.OwnerIDs == nil {
		p.OwnerIDs = s.Owners[p.Email]
	}
	return p, nil
}

// member finds the first person by name who is in all groups.
func member(set *policy.Set, groups []string) string {
	best := ""
	for email := range set.Groups()[groups[0]].Members {
		in := set.GroupsOf(email)
		all := !slices.ContainsFunc(groups, func(g string) bool { return !slices.Contains(in, g) })
		if all && (best == "" || email < best) {
			best = email
		}
	}
	return best
}

func (s *Send) request() (*resource.Request, error) {
	r := &resource.Request{Method: s.Method, Host: s.Host, Query: map[string][]string{}, Header: map[string][]string{}}
	if r.Method == "" {
		r.Method = "GET"
	}
	path, raw, _ := strings.Cut(s.Path, "?")
	r.Path = path
	q, err := url.ParseQuery(raw)
	if err != nil {
		return nil, fmt.Errorf("reading the query of %q: %w", s.Path, err)
	}
	maps.Copy(r.Query, q)
	for k, v := range s.Query {
		r.Query[k] = append(r.Query[k], v)
	}
	for k, v := range s.Header {
		r.Header[k] = []string{v}
	}
	r.Body, err = body(&s.Body)
	if len(r.Body) > 0 && r.Header["Content-Type"] == nil {
		r.Header["Content-Type"] = []string{"application/json"}
	}
	return r, err
}

func body(n *yaml.Node) ([]byte, error) {
	if n.Kind == 0 {
		return nil, nil
	}
	if n.Kind == yaml.ScalarNode && n.Tag == "!!str" {
		return []byte(n.Value), nil
	}
	var v any
	if err := n.Decode(&v); err != nil {
		return nil, fmt.Errorf("reading body: %w", err)
	}
	b, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("reading body: %w", err)
	}
	return b, nil
}
