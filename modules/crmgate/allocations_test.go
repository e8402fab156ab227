// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// The race detector allocates, and keeps nothing in pools.

//go:build !race

package crmgate

import (
	"testing"

	"github.com/crmgate/crmgate/policy/plan"
)

func TestTaggingMakesLittleGarbage(t *testing.T) {
	a, p := tagging(t), &plan.Plan{ID: "0123456789abcdef01234567"}
	if n := testing.AllocsPerRun(1000, func() { a.EntityTag(`"6920f1a7-2710"`, p, "viewer") }); n > 1 {
		t.Errorf("a tag costs %v allocations, 1 was enough: every masked answer costs more", n)
	}
}
