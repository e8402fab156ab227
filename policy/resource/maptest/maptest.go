// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// Package maptest runs the suites of recorded exchanges that lie beside a
// resource map: what was sent, and which operations the map must find in it.
//
//	suite: leadsquared
//	cases:
//	  - name: a lead by its id
//	    send: GET /v2/LeadManagement.svc/Leads.GetById?id=7
//	    expect: {id: lead.get, do: lead.view, records: ["7"]}
//	  - name: an encoded slash is refused
//	    send: GET /v2%2fLeadManagement.svc
//	    error: path
//
// A suite is strict: an unknown key, a case without a name or an expectation,
// and a suite without cases are errors, and an operation must have exactly the
// records, parents, types, uses and effects the case lists. Count, limit,
// feature and columns are compared when they are given.
package maptest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/textproto"
	"net/url"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/crmgate/crmgate/policy/resource"
)

// Suite is a list of cases for one map.
type Suite struct {
	Name  string `yaml:"suite"`
	Cases []Case `yaml:"cases"`

	file string
}

// Case is one exchange.
type Case struct {
	Name   string            `yaml:"name"`
	Send   string            `yaml:"send"`   // method and target, as sent
	Host   string            `yaml:"host"`   //
	Header map[string]string `yaml:"header"` //
	Body   yaml.Node         `yaml:"body"`   // text as it is, anything else as JSON
	Expect Expected          `yaml:"expect"` // one operation or a list
	Error  string            `yaml:"error"`  // path, unmapped or unreadable
}

// Expected is the list of operations a case expects.
type Expected []Operation

// UnmarshalYAML reads one operation or a list of them.
func (e *Expected) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind != yaml.SequenceNode {
		n = &yaml.Node{Kind: yaml.SequenceNode, Content: []*yaml.Node{n}}
	}
	// Decoding a node forgets to be strict; decoding its text does not.
	text, err := yaml.Marshal(n)
	if err != nil {
		return err
	}
	dec := yaml.NewDecoder(bytes.NewReader(text))
	dec.KnownFields(true)
	return dec.Decode((*[]Operation)(e))
}

// Operation is an expected operation.
type Operation struct {
	ID        string   `yaml:"id"`
	Kind      string   `yaml:"kind"` // "" for data
	Do        string   `yaml:"do"`   // entity.action, "" for none
	Bulk      bool     `yaml:"bulk"`
	Also      bool     `yaml:"also"`
	Item      int      `yaml:"item"`
	Records   []string `yaml:"records"`
	Parents   []string `yaml:"parents"` // "lead 7"
	Types     []string `yaml:"types"`
	Fields    []string `yaml:"fields"` // as FieldUse.String writes them; " (empty)" after an empty value
	Callbacks []string `yaml:"callbacks"`
	Bases     []string `yaml:"bases"`
	Columns   []string `yaml:"columns"`
	Count     *int     `yaml:"count"`
	Limit     *int     `yaml:"limit"`
	Feature   *string  `yaml:"feature"`
}

// Parse reads a suite.
func Parse(file string, data []byte) (*Suite, error) {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	s := &Suite{file: file}
	if err := dec.Decode(s); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("parsing suite %s: the file is empty", file)
		}
		return nil, fmt.Errorf("parsing suite %s: %w", file, err)
	}
	if len(s.Cases) == 0 {
		return nil, fmt.Errorf("parsing suite %s: it has no cases", file)
	}
	seen := map[string]bool{}
	for i, c := range s.Cases {
		switch {
		case c.Name == "" || seen[c.Name]:
			return nil, fmt.Errorf("parsing suite %s: case %d needs a name of its own", file, i+1)
		case (len(c.Expect) == 0) == (c.Error == ""):
			return nil, fmt.Errorf("parsing suite %s: case %q needs one of expect, error", file, c.Name)
		case c.Error != "" && sentinel(c.Error) == nil:
			return nil, fmt.Errorf("parsing suite %s: case %q: error is one of path, unmapped, unreadable", file, c.Name)
		}
		seen[c.Name] = true
	}
	return s, nil
}

func sentinel(word string) error {
	switch word {
	case "path":
		return resource.ErrPath
	case "unmapped":
		return resource.ErrUnmapped
	case "unreadable":
		return resource.ErrUnreadable
	}
	return nil
}

// Run runs one case against a map and returns what is not as expected, nil when
// all is.
func (c *Case) Run(m *resource.Map) error {
	_, err := c.run(m)
	return err
}

func (c *Case) run(m *resource.Map) ([]resource.Operation, error) {
	ops, err := c.operations(m)
	if c.Error != "" {
		if !errors.Is(err, sentinel(c.Error)) {
			return ops, fmt.Errorf("expected the request to be refused as %s, got %d operations and error %w", c.Error, len(ops), err)
		}
		return ops, nil
	}
	if err != nil {
		return nil, err
	}
	if len(ops) != len(c.Expect) {
		return ops, fmt.Errorf("expected %d operations, got %d: %s", len(c.Expect), len(ops), list(ops))
	}
	var wrong []error
	for i := range ops {
		for _, w := range c.Expect[i].compare(&ops[i]) {
			wrong = append(wrong, fmt.Errorf("operation %d: %s", i, w))
		}
	}
	return ops, errors.Join(wrong...)
}

func list(ops []resource.Operation) string {
	var out []string
	for _, op := range ops {
		out = append(out, op.ID+" "+op.Entity+"."+string(op.Action))
	}
	return strings.Join(out, ", ")
}

// operations sends the case through the map.
func (c *Case) operations(m *resource.Map) ([]resource.Operation, error) {
	method, target, _ := strings.Cut(c.Send, " ")
	raw, query, _ := strings.Cut(target, "?")
	path, err := resource.Canonical(raw)
	if err != nil {
		return nil, err
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return nil, fmt.Errorf("reading the query of the case: %w", err)
	}
	r := &resource.Request{Method: method, Host: c.Host, Path: path, Query: values, Header: map[string][]string{}}
	for k, v := range c.Header {
		r.Header[textproto.CanonicalMIMEHeaderKey(k)] = []string{v}
	}
	mt, err := m.Match(r)
	if err != nil {
		return nil, err
	}
	if mt.NeedsBody() {
		if r.Body, err = c.bodyText(); err != nil {
			return nil, err
		}
	}
	return mt.Operations(r)
}

func (c *Case) bodyText() ([]byte, error) {
	switch c.Body.Kind {
	case 0:
		return nil, nil
	case yaml.ScalarNode:
		return []byte(c.Body.Value), nil
	}
	var v any
	if err := c.Body.Decode(&v); err != nil {
		return nil, fmt.Errorf("reading the body of the case: %w", err)
	}
	b, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("writing the body of the case: %w", err)
	}
	return b, nil
}

// compare lists the differences.
func (e *Operation) compare(op *resource.Operation) []string {
	var out []string
	differ := func(what string, want, got any) {
		if w, g := fmt.Sprintf("%q", want), fmt.Sprintf("%q", got); w != g {
			out = append(out, fmt.Sprintf("%s: expected %s, got %s", what, w, g))
		}
	}
	kind := e.Kind
	if kind == "" {
		kind = string(resource.Data)
	}
	do := ""
	if op.Entity != "" {
		do = op.Entity + "." + string(op.Action)
	}
	var parents, fields []string
	for _, p := range op.Parents {
		parents = append(parents, p.Entity+" "+p.ID)
	}
	for i := range op.Fields {
		text := op.Fields[i].String()
		if op.Fields[i].Empty {
			text += " (empty)"
		}
		fields = append(fields, text)
	}
	differ("id", e.ID, op.ID)
	differ("kind", kind, string(op.Kind))
	differ("do", e.Do, do)
	differ("bulk", fmt.Sprint(e.Bulk), fmt.Sprint(op.Bulk))
	differ("also", fmt.Sprint(e.Also), fmt.Sprint(op.Also))
	differ("item", fmt.Sprint(e.Item), fmt.Sprint(op.Item))
	differ("records", slices.Concat(e.Records), slices.Concat(op.Records))
	differ("parents", slices.Concat(e.Parents), slices.Concat(parents))
	differ("types", slices.Concat(e.Types), slices.Concat(op.Types))
	differ("fields", slices.Concat(e.Fields), slices.Concat(fields))
	differ("callbacks", slices.Concat(e.Callbacks), slices.Concat(op.Callbacks))
	differ("bases", slices.Concat(e.Bases), slices.Concat(op.Bases))
	if e.Columns != nil {
		differ("columns", e.Columns, op.Columns)
	}
	if e.Count != nil {
		differ("count", fmt.Sprint(*e.Count), fmt.Sprint(op.Count))
	}
	if e.Limit != nil {
		differ("limit", fmt.Sprint(*e.Limit), fmt.Sprint(op.Limit))
	}
	if e.Feature != nil {
		differ("feature", *e.Feature, op.Feature)
	}
	return out
}

// Result is the outcome of a suite.
type Result struct {
	Passed int
	Failed []Failure
	Unused []string // ids of routes no case reached, in the order of the map
}

// Failure is a case that did not go as expected.
type Failure struct {
	Case string
	Err  error
}

// Run runs every case.
func (s *Suite) Run(m *resource.Map) Result {
	var out Result
	used := map[string]bool{}
	for i := range s.Cases {
		c := &s.Cases[i]
		ops, err := c.run(m)
		if err != nil {
			out.Failed = append(out.Failed, Failure{Case: c.Name, Err: err})
			continue
		}
		out.Passed++
		for _, op := range ops {
			used[op.ID] = true
		}
	}
	for _, r := range m.Routes {
		if !used[r.ID] && r.Batch == nil {
			out.Unused = append(out.Unused, r.ID)
		}
	}
	return out
}
