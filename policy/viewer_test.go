// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"testing"

	"github.com/crmgate/crmgate/policy/plan"
)

// Viewers hold ids the way the engines that rewrite answers look them up.
func TestViewersHoldIdsAsTheyAreLookedUp(t *testing.T) {
	for _, id := range []string{"", "7", "{6F7C-2E}", "a_B", "\u00c9lodie", "\u212a1", "STRA\u1e9eE", "\u0130-x", "\xff\xc3-A"} {
		if got, want := FoldID(id), plan.FoldID(id); got != want {
			t.Errorf("%q is held as %q and looked up as %q: nobody sees records of their own", id, got, want)
		}
	}
}
