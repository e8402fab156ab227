// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"strings"
	"testing"

	"github.com/crmgate/crmgate/policy"
	"github.com/crmgate/crmgate/policy/maps"
	"github.com/crmgate/crmgate/policy/policytest"
)

// TestUserSwitchesHoldTheStatus: whoever may not activate or deactivate users does not
// do it by writing their status either, whichever of the two it is, by whatever way the
// switch came; everything else of a user goes on.
func TestUserSwitchesHoldTheStatus(t *testing.T) {
	m, err := maps.Load("leadsquared")
	if err != nil {
		t.Fatal(err)
	}
	const update = "{method: POST, path: \"/v2/UserManagement.svc/User/Update?userId=u1\", body: "
	for _, way := range []string{
		"templates: {t: {features: {%s: deny}}}\nassign: [{template: t, roles: [administrator]}]",
		"roles: {administrator: {features: {%s: deny}}}",
	} {
		for _, feature := range []string{"activate_users", "deactivate_users"} {
			d, err := policy.Parse("p.yaml", []byte("version: 1\n"+strings.ReplaceAll(way, "%s", feature)))
			if err != nil {
				t.Fatal(err)
			}
			set, err := policy.Compile(d, m)
			if err != nil {
				t.Fatal(err)
			}
			suite, err := policytest.Parse("s.yaml", []byte(`map: leadsquared
cases:
  - {name: status, as: {role: administrator}, send: `+update+`{StatusCode: "1"}}, expect: {decision: deny, reason: field_denied}}
  - {name: status by another spelling, as: {role: administrator}, send: `+update+`{statuscode: 0}}, expect: {decision: deny, reason: field_denied}}
  - {name: name, as: {role: administrator}, send: `+update+`{FirstName: Ada}}, expect: {decision: allow}}
  - {name: somebody else, as: {role: super_administrator}, send: `+update+`{StatusCode: "1"}}, expect: {decision: allow}}
`))
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range policytest.Run(suite, set, m) {
				if !r.Passed() {
					t.Errorf("%s by %.9s: %s: %v", feature, way, r.Name, r.Faults)
				}
			}
		}
	}
}
