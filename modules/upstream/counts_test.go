// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"maps"
	"net/http"
	"slices"
	"testing"

	"github.com/crmgate/crmgate/modules/crmgate"
	"github.com/crmgate/crmgate/policy/plan"
)

// TestCounts: what counts records that may be missing goes, under the name the map says
// and under the usual ones.
func TestCounts(t *testing.T) {
	all := http.Header{
		"X-Rows": {"12"}, "X-Total-Count": {"3"}, "X-Wp-Total": {"12"}, "X-Wp-Totalpages": {"1"}, "X-Pagination": {`{"total":12}`}, "Count": {"2", "2"},
		"X-Account-Id": {"7"}, "Country": {"in"}, "Content-Type": {"application/json"},
	}
	kept := []string{"Content-Type", "Country", "X-Account-Id"}
	for _, c := range []struct {
		what string
		plan plan.Plan
		rows bool // filtered
		want []string
	}{
		{"every record is there", plan.Plan{Total: "X-Rows"}, false, slices.Sorted(maps.Keys(all))},
		{"rows are filtered", plan.Plan{Total: "x-rows", Few: true}, true, kept},
		{"rows are filtered and capped", plan.Plan{Total: "X-Rows", Few: true, MaxRows: 5}, true, kept},
		{"records are capped", plan.Plan{Total: "X-Rows", Few: true, MaxRows: 5}, false, append(slices.Clone(kept), "X-Total-Count", "X-Wp-Totalpages")},
	} {
		h, d := all.Clone(), new(crmgate.Decision)
		if c.rows {
			d.Viewer = new(plan.Viewer)
		}
		uncount(h, &c.plan, d)
		if got := slices.Sorted(maps.Keys(h)); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v stay, want %v", c.what, got, c.want)
		}
	}
}
