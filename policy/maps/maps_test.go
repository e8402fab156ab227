// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package maps

import (
	"strings"
	"testing"

	"github.com/crmgate/crmgate/policy/resource"
	"github.com/crmgate/crmgate/policy/resource/maptest"
)

func load(t *testing.T, name string) *resource.Map {
	t.Helper()
	m, err := Load(name)
	if err != nil {
		t.Fatalf("map %s cannot be used, the gate would not start:\n%v", name, err)
	}
	return m
}

func TestEveryMapIsWithoutDeadParts(t *testing.T) {
	if len(Names()) < 2 {
		t.Fatalf("the maps that come with the gate are %v; a map got lost", Names())
	}
	for _, name := range Names() {
		for _, f := range load(t, name).Check() {
			t.Errorf("an integrator reads this map to learn; it has a dead part: %s", f)
		}
	}
}

func TestEverySuitePassesAndReachesEveryRoute(t *testing.T) {
	for _, name := range Names() {
		m := load(t, name)
		data, err := Suite(name)
		if err != nil {
			t.Fatalf("map %s has no suite beside it: %v", name, err)
		}
		s, err := maptest.Parse(name+"_test.yaml", data)
		if err != nil {
			t.Fatal(err)
		}
		for i := range s.Cases {
			c := &s.Cases[i]
			t.Run(name+"/"+c.Name, func(t *testing.T) {
				if err := c.Run(m); err != nil {
					t.Errorf("%s is taken for something it is not: %v", c.Send, err)
				}
			})
		}
		if unused := s.Run(m).Unused; len(unused) > 0 {
			t.Errorf("no case of %s shows what these routes read: %v", name, unused)
		}
	}
}

func TestAnUnknownMapIsAnError(t *testing.T) {
	for _, name := range []string{"", "nosuch", "leadsquared_test", "../maps/leadsquared"} {
		if _, err := Load(name); err == nil {
			t.Errorf("map %q loaded; a typing error would leave a CRM without rules", name)
		}
	}
}

// The fields the CRM's own screens do not let anybody restrict.
func TestUnrestrictableFields(t *testing.T) {
	m := load(t, "leadsquared")
	want := map[string]string{
		"lead": "ConversionReferrerURL CreatedOn EngagementScore LeadConversionDate ProspectAutoId Origin QualityScore01 Score " +
			"ModifiedOn Revenue SourceIPAddress SourceReferrerURL StageRottingFlagMessage StageRottingFlagModifiedOn StageRottingFlagStatus",
		"opportunity": "OwnerId Owner mx_Custom_1 mx_Custom_2 mx_Custom_19",
	}
	for entity, names := range want {
		n := 0
		for wire := range strings.FieldsSeq(names) {
			f := m.Entities[entity].FieldByName(wire)
			if f == nil || !f.Unrestrictable {
				t.Errorf("%s.%s can be restricted here, which the CRM's screens do not offer", entity, wire)
			}
		}
		for _, f := range m.Entities[entity].Fields {
			if f.Unrestrictable && f.CopyOf == "" {
				n++
			}
		}
		if n != len(strings.Fields(names)) {
			t.Errorf("%s has %d fields nobody can restrict, the product has %d", entity, n, len(strings.Fields(names)))
		}
	}
}

// A phone must be known as one wherever the CRM repeats it.
func TestCopiesOfTheLeadAreKnown(t *testing.T) {
	m := load(t, "leadsquared")
	for _, entity := range []string{"opportunity", "activity", "task"} {
		for _, wire := range []string{"Phone", "phone", "P_Phone", "P_Mobile", "mx_PAN_Number", "P_mx_PAN_Number", "EmailAddress", "P_EmailAddress"} {
			f := m.Entities[entity].FieldByName(wire)
			if f == nil || !strings.HasPrefix(f.CopyOf, "lead.") || f.Mask == nil {
				t.Errorf("%s in a row of %s is not known as the lead's and would be shown", wire, entity)
			}
		}
	}
}
