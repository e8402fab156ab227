// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// The race detector allocates, and keeps nothing in pools.

//go:build !race

package upstream

import (
	"bytes"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/crmgate/crmgate/policy"
	"github.com/crmgate/crmgate/policy/mask"
	"github.com/crmgate/crmgate/policy/plan"
)

// What the transport does for each request is paid a thousand times a second. The
// bounds are what it takes today: the CRM and its connection play no part.
func TestAnsweringMakesLittleGarbage(t *testing.T) {
	hidden, err := mask.Compile(mask.Spec{Fn: "full"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	leads := &plan.Entity{Fields: map[string]*plan.Treatment{
		"phone": {Field: "phone", Effect: plan.Mask, Mask: hidden}, "email": {Field: "email", Effect: plan.Mask, Mask: hidden},
		"notes": {Field: "notes", Effect: plan.Hide},
	}, Unknown: &plan.Treatment{Effect: plan.Show}}
	rewritten := &plan.Plan{ID: "r", Root: &plan.Node{Elements: &plan.Node{Record: &plan.Record{Entity: leads}}}, Fallback: leads}
	body := []byte(`[` + strings.Repeat(`{"id":"1","phone":"+91 98765 43210","email":"a@example.com","notes":"x"},`, 20) + `{"id":"2"}]`)
	for _, c := range []struct {
		name string
		plan *plan.Plan
		most float64
	}{{"passed on", &plan.Plan{ID: "p", Pass: true}, 3}, {"masked", rewritten, 17}} {
		tr := &Transport{maskers: new(maskers)}
		buf := make([]byte, 32<<10)
		var seen int
		one := func() {
			req := &http.Request{Method: http.MethodGet, URL: httptest.NewRequest("GET", "/leads", nil).URL, Header: http.Header{"Accept": {"*/*"}, "X-Forwarded-For": {"192.0.2.7"}}}
			res := &http.Response{StatusCode: http.StatusOK, ContentLength: int64(len(body)), Body: io.NopCloser(bytes.NewReader(body)), Header: http.Header{
				"Server": {"nginx"}, "Date": {"Sun, 22 Nov 2026 00:49:59 GMT"}, "Content-Type": {"application/json"}, "Content-Length": {"1"},
				"Last-Modified": {"Sun, 22 Nov 2026 00:49:59 GMT"}, "Connection": {"keep-alive"}, "Accept-Ranges": {"bytes"},
			}}
			if c.plan == nil {
				return
			}
			d := decided(http.MethodGet, "/leads")
			d.Plans = []*plan.Plan{c.plan}
			out, reason := outbound(req, d)
			if reason != policy.Allowed {
				t.Fatal(reason)
			}
			res = tr.answer(req, out, res, d)
			seen = 0
			for err := error(nil); err == nil; {
				var n int
				n, err = res.Body.Read(buf)
				seen += n
			}
			_ = res.Body.Close()
		}
		p := c.plan
		c.plan = nil
		idle := testing.AllocsPerRun(1000, one)
		c.plan = p
		one()
		if (seen == len(body)) != p.Pass || seen == 0 {
			t.Fatalf("%s: %d bytes of %d: what is measured is not what is meant", c.name, seen, len(body))
		}
		made := testing.AllocsPerRun(1000, func() { _ = decided(http.MethodGet, "/leads") })
		got := testing.AllocsPerRun(1000, one) - idle - made
		t.Logf("%s: %v allocations", c.name, got)
		if got > c.most {
			t.Errorf("%s: %v allocations an answer, %v were enough: every request costs more", c.name, got, c.most)
		}
	}
}

// BenchmarkAnswer is what the transport does for a request and a short answer, the CRM
// and its connection apart.
func BenchmarkAnswer(b *testing.B) {
	hidden, err := mask.Compile(mask.Spec{Fn: "full"}, nil)
	if err != nil {
		b.Fatal(err)
	}
	leads := &plan.Entity{Fields: map[string]*plan.Treatment{"phone": {Field: "phone", Effect: plan.Mask, Mask: hidden}}, Unknown: &plan.Treatment{Effect: plan.Show}}
	for name, p := range map[string]*plan.Plan{
		"passed": {ID: "p", Pass: true},
		"masked": {ID: "r", Root: &plan.Node{Elements: &plan.Node{Record: &plan.Record{Entity: leads}}}, Fallback: leads},
	} {
		b.Run(name, func(b *testing.B) {
			tr, buf, d := &Transport{maskers: new(maskers)}, make([]byte, 32<<10), decided(http.MethodGet, "/leads")
			d.Plans = []*plan.Plan{p}
			sent := httptest.NewRequest(http.MethodGet, "/leads", nil)
			asked := http.Header{
				"Accept": {"*/*"}, "Accept-Encoding": {"gzip"}, "User-Agent": {"x"}, "X-Forwarded-For": {"192.0.2.7"}, "X-Forwarded-Proto": {"https"},
				"X-Forwarded-Host": {"crm.acme.test"}, "Via": {"1.1 Caddy"},
			}
			answered := http.Header{
				"Server": {"nginx"}, "Date": {"Sun, 22 Nov 2026 00:49:59 GMT"}, "Content-Type": {"application/json"}, "Content-Length": {"30"},
				"Last-Modified": {"Sun, 22 Nov 2026 00:49:59 GMT"}, "Connection": {"keep-alive"}, "Accept-Ranges": {"bytes"}, "X-Request-Id": {"1"},
				"Strict-Transport-Security": {"max-age=31536000"}, "X-Frame-Options": {"DENY"}, "X-Powered-By": {"x"},
			}
			b.ReportAllocs()
			for b.Loop() {
				req := *sent
				req.Header = maps.Clone(asked)
				out, reason := outbound(&req, d)
				if reason != policy.Allowed {
					b.Fatal(reason)
				}
				res := tr.answer(&req, out, &http.Response{
					StatusCode: http.StatusOK, ContentLength: 30, Body: io.NopCloser(strings.NewReader(`[{"id":"1","phone":"98765432"}]`)), Header: maps.Clone(answered),
				}, d)
				for err := error(nil); err == nil; {
					_, err = res.Body.Read(buf)
				}
				_ = res.Body.Close()
			}
		})
	}
}
