// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"os"
	"strings"
	"testing"

	"github.com/crmgate/crmgate/policy/resource"
)

func smallMap(t testing.TB) *resource.Map {
	t.Helper()
	m, err := resource.Parse("small.yaml", []byte(smallMapText(t)))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func smallMapText(t testing.TB) string {
	t.Helper()
	b, err := os.ReadFile("testdata/maps/small.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func compileSrc(t testing.TB, m *resource.Map, src string) *Set {
	t.Helper()
	d, err := Parse("p.yaml", []byte(src))
	if err != nil {
		t.Fatal(err)
	}
	s, err := Compile(d, m)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// ops reads a request the way the gate does: "POST /leads?sort=Phone {json}".
func ops(t testing.TB, m *resource.Map, request string) []resource.Operation {
	t.Helper()
	line, body, _ := strings.Cut(request, " {")
	if body != "" {
		body = "{" + body
	}
	if l, b, ok := strings.Cut(request, " ["); ok && (body == "" || len(b) > len(body)) {
		line, body = l, "["+b
	}
	method, target, _ := strings.Cut(line, " ")
	path, rawQuery, _ := strings.Cut(target, "?")
	r := &resource.Request{Method: method, Path: path, Query: map[string][]string{}}
	for kv := range strings.SplitSeq(rawQuery, "&") {
		if k, v, ok := strings.Cut(kv, "="); ok {
			r.Query[k] = append(r.Query[k], v)
		}
	}
	mt, err := m.Match(r)
	if err != nil {
		t.Fatalf("%s: %v", request, err)
	}
	if body != "" {
		r.Body = []byte(body)
		r.Header = map[string][]string{"Content-Type": {"application/json"}}
	}
	out, err := mt.Operations(r)
	if err != nil {
		t.Fatalf("%s: %v", request, err)
	}
	return out
}

func as(role string) *Principal {
	return &Principal{Kind: User, ID: "1", Email: "ravi@acme.test", Role: role, OwnerIDs: []string{"{U-RAVI}"}}
}
