// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/crmgate/crmgate/modules/crmgate"
	"github.com/crmgate/crmgate/policy"
	"github.com/crmgate/crmgate/policy/plan"
)

// What is let through unread is what reading would have let through.
func TestWhatIsNotReadIsHarmless(t *testing.T) {
	at := time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC)
	for range 20000 {
		at = at.Add(36*time.Hour + 37*time.Minute + 41*time.Second)
		v := at.Format(http.TimeFormat)
		if !isDate(v) || scrub("Date", v) != v {
			t.Fatalf("%s: known %v, read as %q: a date of an answer is lost, or should have been read", v, isDate(v), scrub("Date", v))
		}
	}
	for _, v := range []string{
		"", "98765 43210", "Sun, 98 Nov 7654 32:10:00 GMT", "Sun, 06 Nov 1994 08:49:37 +91", "Sun, 06 Nov 1994 98:49:37 GMT", "Sun, 06 Nov 9876 08:49:37 GMT",
	} {
		if isDate(v) {
			t.Errorf("%q counts as a date and would go out unread", v)
		}
	}
	for _, v := range []string{"application/json; x=9876543210", "text/html; charset=98765-43210", ""} {
		if isUsualType(v) {
			t.Errorf("%q counts as a usual type and would go out unread", v)
		}
	}
	var l lastValue
	for range 3 {
		if l.scrub("Server", "nginx") != "nginx" ||
			l.scrub("Server", "call 98765 43210") == "call 98765 43210" || l.scrub("Server", "call 98765 43210") == "call 98765 43210" {
			t.Fatal("a number goes out in Server once a harmless value, or the number itself, has been seen")
		}
	}
}

// Who handles an answer next may write into its header: no list in it belongs to
// another answer, and none runs into its neighbour.
func TestNoHeaderIsShared(t *testing.T) {
	in := func() http.Header {
		return http.Header{"Server": {"nginx"}, "Content-Type": {"application/json"}, "Connection": {"keep-alive"}, "Vary": {"Accept"}, "X-A": {"1", "2"}}
	}
	req := httptest.NewRequest("GET", "/", nil)
	for name, make := range map[string]func() http.Header{
		"rewritten": func() http.Header { return cleanResponse(in(), req) },
		"passed on": func() http.Header { h := in(); private(h); return h },
	} {
		h := make()
		want := h.Clone()
		spoiled := make()
		for n, values := range spoiled {
			for i := range values {
				values[i] = "spoiled"
			}
			spoiled[n] = append(values, "appended")
		}
		for n, values := range spoiled {
			if len(values) != len(want[n])+1 || values[0] != "spoiled" || values[len(values)-1] != "appended" {
				t.Errorf("%s: %s is %q: one header runs into another", name, n, values)
			}
		}
		for n := range want {
			if !slices.Equal(h[n], want[n]) {
				t.Errorf("%s: %s became %q: one person's answer changes another's", name, n, h[n])
			}
		}
	}
}

// A header is copied where something is added to it, and what the proxy keeps is not
// changed through the copy.
func TestOutboundSharesNothingThatChanges(t *testing.T) {
	d := decided("GET", "/a")
	d.Plans = []*plan.Plan{{Pass: true}}
	d.Forbidden = crmgate.NewForbidden([]string{"X-Key"}, nil)
	req := httptest.NewRequest("GET", "/a", nil)
	req.Header = http.Header{"X_key": {"forged"}, "X-A": {"1"}}
	if out, reason := outbound(req, d); reason != policy.Allowed || len(out.Header["X_key"]) > 0 {
		t.Error("a forged key reaches the CRM")
	}
	d.Identity = http.Header{"X-Key": {"k"}}
	req.Header = http.Header{"Connection": {"x-key, close"}, "X-A": {"1"}}
	out, _ := outbound(req, d)
	if out.Header.Get("Connection") != "close" || req.Header.Get("Connection") != "x-key, close" || len(req.Header) != 2 {
		t.Errorf("sent %v, kept %v: the person's key is in what the proxy logs, or a hop can be made to drop it", out.Header, req.Header)
	}
}

// The names in the audit are those of the body itself, whatever came before it.
func TestLastNames(t *testing.T) {
	var l lastNames
	for _, c := range []struct {
		counts map[string]int
		want   []string
	}{
		{map[string]int{"b": 1, "a": 2}, []string{"a", "b"}},
		{map[string]int{"a": 9, "b": 9}, []string{"a", "b"}},
		{map[string]int{"a": 1}, []string{"a"}},
		{nil, nil},
		{map[string]int{"a": 1, "c": 1}, []string{"a", "c"}},
		{map[string]int{"c": 1, "b": 1}, []string{"b", "c"}},
	} {
		if got := l.of(c.counts); !slices.Equal(got, c.want) {
			t.Errorf("%v: the audit says %v, want %v", c.counts, got, c.want)
		}
	}
}
