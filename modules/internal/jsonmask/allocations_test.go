// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// Under the race detector a sync.Pool drops what it is given at random, so that
// counts there say nothing; the run without it holds the promise.
//go:build !race

package jsonmask

import (
	"bytes"
	"regexp"
	"testing"

	"github.com/crmgate/crmgate/policy/plan"
)

// TestNothingIsAllocatedOnceWarm holds the promise for the bodies that people
// read most.
func TestNothingIsAllocatedOnceWarm(t *testing.T) {
	for name, c := range map[string]struct {
		doc []byte
		p   *plan.Plan
	}{
		"flat":                      {benchFlat(50), benchPlan(plan.Show, nil)},
		"pairs":                     {benchPairs(50), benchPlan(plan.Show, &plan.Rows{Scope: plan.Group, Owner: []string{"ownerid"}})},
		"values before their names": {swapPairs(benchPairs(50)), benchPlan(plan.Detect, nil)},
		"rows of many shapes":       {benchSparse(50), benchPlan(plan.Show, nil)},
		"searched":                  {benchFlat(50), benchPlan(plan.Detect, nil)},
	} {
		m := New(c.p, viewer, Limits{})
		src, buf := bytes.NewReader(nil), make([]byte, 32<<10)
		n := testing.AllocsPerRun(50, func() {
			m.Reset(c.p, viewer, Limits{})
			src.Reset(c.doc)
			r := m.Reader(src)
			for {
				if _, err := r.Read(buf); err != nil {
					return
				}
			}
		})
		if n >= 1 {
			t.Errorf("%s: %.1f allocations a body: a page of records makes garbage", name, n)
		}
	}
}

// swapPairs puts the value of every pair before its name.
func swapPairs(doc []byte) []byte {
	return regexp.MustCompile(`\{("Attribute":"[^"]*"),("Value":"(?:[^"\\]|\\.)*")\}`).ReplaceAll(doc, []byte(`{$2,$1}`))
}
