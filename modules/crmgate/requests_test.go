// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package crmgate

import (
	"bytes"
	"testing"

	"github.com/crmgate/crmgate/modules/internal/vault"
	"github.com/crmgate/crmgate/policy/plan"
)

func tagging(tb testing.TB) *App {
	tb.Helper()
	v, err := vault.New(bytes.Repeat([]byte{7}, vault.KeyBytes))
	if err != nil {
		tb.Fatal(err)
	}
	a := new(App)
	a.runtime.Store(&runtime{vault: v})
	return a
}

func BenchmarkEntityTag(b *testing.B) {
	a, p := tagging(b), &plan.Plan{ID: "0123456789abcdef01234567"}
	b.ReportAllocs()
	for b.Loop() {
		a.EntityTag(`"6920f1a7-2710"`, p, "")
	}
}

// A tag that changes with the program would make every browser load everything again.
func TestEntityTag(t *testing.T) {
	a, p := tagging(t), &plan.Plan{ID: "plan"}
	if got := a.EntityTag("", p, "viewer"); got != "" {
		t.Errorf("a tag %s where the CRM gave none", got)
	}
	sum := a.runtime.Load().vault.LookupHMAC("entity tag", "\"1\"\x00plan\x00viewer")
	if got, want := a.EntityTag(`"1"`, p, "viewer"), `W/"`+sum[:24]+`"`; got != want {
		t.Errorf("the tag is %s, it was %s", got, want)
	}
}
