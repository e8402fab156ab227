// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package presets_test

import (
	"testing"

	"github.com/crmgate/crmgate/policy"
	"github.com/crmgate/crmgate/policy/maps"
	"github.com/crmgate/crmgate/policy/policytest"
	"github.com/crmgate/crmgate/policy/presets"
)

// Every preset compiles against the LeadSquared map and does what its suite says.
func TestPresets(t *testing.T) {
	m, err := maps.Load("leadsquared")
	if err != nil {
		t.Fatal(err)
	}
	if len(presets.Names()) < 4 {
		t.Fatalf("presets are missing: %v", presets.Names())
	}
	for _, name := range presets.Names() {
		t.Run(name, func(t *testing.T) {
			src, err := presets.Source(name)
			if err != nil {
				t.Fatal(err)
			}
			d, err := policy.Parse(name+".yaml", src)
			if err != nil {
				t.Fatal(err)
			}
			set, err := policy.Compile(d, m)
			if err != nil {
				t.Fatal(err)
			}
			b, err := presets.Suite(name)
			if err != nil {
				t.Fatal(err)
			}
			s, err := policytest.Parse(name+"_test.yaml", b)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range policytest.Run(s, set, m) {
				for _, f := range r.Faults {
					t.Errorf("%s_test.yaml:%d: %s: %s", name, r.Line, r.Name, f)
				}
			}
		})
	}
	if _, err := presets.Source("nix"); err == nil {
		t.Error("a preset that is not there loads")
	}
}
