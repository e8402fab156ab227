// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"testing"

	"github.com/crmgate/crmgate/modules/crmgate"
	"github.com/crmgate/crmgate/policy"
	"github.com/crmgate/crmgate/policy/plan"
)

// Two people who share a browser, or one whose groups change, never get each
// other's copy back by a tag.
func TestViewerKeyTellsPeopleApart(t *testing.T) {
	of := func(id string, kind policy.PrincipalKind, digest string, directory uint64) string {
		return viewerKey(&crmgate.Decision{Principal: &policy.Principal{ID: id, Kind: kind}, Decision: policy.Decision{Viewer: &plan.Viewer{}}}, digest, directory)
	}
	seen := map[string]bool{}
	for _, k := range []string{of("asha", policy.User, "p", 1), of("ravi", policy.User, "p", 1), of("asha", policy.APIKey, "p", 1), of("asha", policy.User, "q", 1), of("asha", policy.User, "p", 2)} {
		if k == "" || seen[k] {
			t.Errorf("%q serves two whose rows differ", k)
		}
		seen[k] = true
	}
	if k := viewerKey(&crmgate.Decision{Principal: &policy.Principal{ID: "asha"}}, "p", 1); k != "" {
		t.Errorf("%q: who sees all rows shares a tag with nobody", k)
	}
}
