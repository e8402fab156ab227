// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/crmgate/crmgate/modules/crmgate"
	"github.com/crmgate/crmgate/policy"
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

// Nobody counts what was left out by the header of an answer, in whatever way it goes out:
// whole, in pieces, or as it is made. Only where the CRM itself filtered, and nothing had to
// be left out nor capped, is its count right.
func TestCountsOfAnswersInEveryWay(t *testing.T) {
	lead := &plan.Entity{Name: "lead", Fields: map[string]*plan.Treatment{}, Unknown: &plan.Treatment{}}
	record := func(rows *plan.Rows) *plan.Node {
		return &plan.Node{Record: &plan.Record{Entity: lead, Set: "leads", Rows: rows}}
	}
	mine := &plan.Rows{Scope: plan.Own, Owner: []string{"owner"}}
	list := &plan.Node{Elements: record(mine)}
	body := func(n int, owner string) string {
		one := fmt.Sprintf(`{"id":"1","owner":%q,"x":"%s"}`, owner, strings.Repeat("x", 1000))
		return "[" + strings.Join(slices.Repeat([]string{one}, n), ",") + "]"
	}
	for _, c := range []struct {
		name, typ, body string
		plan            plan.Plan
		pushed, stays   bool
	}{
		{"whole", "application/json", body(2, "me"), plan.Plan{Format: plan.JSON, Root: list}, false, false},
		{"in pieces", "application/json", body(300, "me"), plan.Plan{Format: plan.JSON, Root: list}, false, false},
		{"in pieces, filtered by the CRM", "application/json", body(300, "me"), plan.Plan{Format: plan.JSON, Root: list}, true, false},
		{"as it is made", "text/event-stream", "data: {\"id\":\"1\",\"owner\":\"me\"}\n\n", plan.Plan{Format: plan.SSE, Root: record(mine)}, false, false},
		{"filtered by the CRM", "application/json", body(2, "me"), plan.Plan{Format: plan.JSON, Root: list}, true, true},
		{"filtered by the CRM, and not all of it", "application/json", body(2, "you"), plan.Plan{Format: plan.JSON, Root: list}, true, false},
		{"filtered by the CRM, and capped here", "application/json", body(2, "me"), plan.Plan{Format: plan.JSON, Root: list, MaxRows: 5}, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.plan.Few, c.plan.Fallback = true, lead
			d := decided(http.MethodGet, "/leads")
			d.Plans, d.Pushed = []*plan.Plan{&c.plan}, c.pushed
			d.Viewer = &plan.Viewer{Own: map[string]struct{}{"me": {}}}
			req := httptest.NewRequest(http.MethodGet, "/leads", nil)
			tr := &Transport{maskers: new(maskers)}
			res := tr.answer(req, req, &http.Response{
				StatusCode: http.StatusOK, ContentLength: -1, Body: io.NopCloser(strings.NewReader(c.body)),
				Header: http.Header{"Content-Type": {c.typ}, "X-Total-Count": {"4711"}},
			}, d)
			out, err := io.ReadAll(res.Body)
			_ = res.Body.Close()
			if err != nil || res.StatusCode != http.StatusOK || len(out) == 0 {
				t.Fatalf("%d, %d bytes, %v: what is looked at is not what is meant", res.StatusCode, len(out), err)
			}
			if stays := res.Header.Get("X-Total-Count") != ""; stays != c.stays {
				t.Errorf("the CRM's count stays: %v, want %v", stays, c.stays)
			}
		})
	}
}

// Of an answer that breaks off once a part of it has gone out, the record says so: its
// status cannot any more.
func TestAnAnswerThatBreaksOffIsToldOf(t *testing.T) {
	lead := &plan.Entity{Name: "lead", Fields: map[string]*plan.Treatment{}, Unknown: &plan.Treatment{}}
	d := decided(http.MethodGet, "/leads")
	d.Plans = []*plan.Plan{{Format: plan.JSON, Fallback: lead, Root: &plan.Node{Elements: &plan.Node{Record: &plan.Record{Entity: lead}}}}}
	req := httptest.NewRequest(http.MethodGet, "/leads", nil)
	body := "[" + strings.Repeat(`{"id":"`+strings.Repeat("x", 1000)+`"},`, 300) + "nothing"
	res := (&Transport{maskers: new(maskers)}).answer(req, req, &http.Response{
		StatusCode: http.StatusOK, ContentLength: -1, Body: io.NopCloser(strings.NewReader(body)), Header: http.Header{"Content-Type": {"application/json"}},
	}, d)
	out, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if err == nil || len(out) < 128<<10 {
		t.Fatalf("%d bytes, %v: what is looked at is not what is meant", len(out), err)
	}
	if d.Facts.Reason != policy.UpstreamShape || !strings.HasPrefix(d.Facts.Detail, "the answer broke off: ") {
		t.Errorf("reason %q, detail %q: nobody learns that half an answer went out", d.Facts.Reason, d.Facts.Detail)
	}
}
