// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package match

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/crmgate/crmgate/modules/crmgate"
	"github.com/crmgate/crmgate/policy"
)

// Matchers match whom the gate let through, and nobody else: a rule of the
// Caddyfile that opens something for a role must not open it before the gate.
func TestMatchers(t *testing.T) {
	asha := &policy.Principal{Kind: policy.User, ID: "p1", Email: "asha@acme.test", Role: "sales_user"}
	let := func(p *policy.Principal, allow bool) *crmgate.Decision {
		d := &crmgate.Decision{Principal: p}
		d.Allow = allow
		return d
	}
	reads := let(asha, false)
	reads.Pending = new(policy.Pending)
	settled := let(asha, false)
	settled.Pending, settled.Settled = reads.Pending, &policy.Settled{Reason: policy.RowDenied}
	for _, c := range []struct {
		name       string
		decision   *crmgate.Decision
		role, user bool
	}{
		{"before the gate", nil, false, false},
		{"refused", let(asha, false), false, false},
		{"nobody", let(&policy.Principal{Kind: policy.Nobody}, true), false, false},
		{"no principal", let(nil, true), false, false},
		{"asha", let(asha, true), true, true},
		{"asha, before records are read", reads, true, true},
		{"asha, refused by what was read", settled, false, false},
		{"asha by her id alone", let(&policy.Principal{Kind: policy.APIKey, ID: "p1", Role: "sales_user"}, true), true, true},
		{"another of the role", let(&policy.Principal{ID: "p2", Email: "ravi@acme.test", Role: "sales_user"}, true), true, false},
		{"another role", let(&policy.Principal{ID: "p3", Email: "boss@acme.test", Role: "administrator"}, true), false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			if c.decision != nil {
				r = r.WithContext(crmgate.WithDecision(r.Context(), c.decision))
			}
			role, err1 := Role{"sales_user", ""}.MatchWithError(r)
			user, err2 := User{"asha@acme.test", "p1", ""}.MatchWithError(r)
			if role != c.role || user != c.user || err1 != nil || err2 != nil {
				t.Errorf("role %v, user %v, want %v, %v (%v, %v)", role, user, c.role, c.user, err1, err2)
			}
		})
	}
	if (Role{}).Validate() == nil || (User{}).Validate() == nil {
		t.Error("a matcher that names nobody is accepted")
	}
}
