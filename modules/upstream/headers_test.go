// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"testing"

	"github.com/crmgate/crmgate/modules/crmgate"
	"github.com/crmgate/crmgate/policy"
	"github.com/crmgate/crmgate/policy/plan"
)

func decided(method, target string) *crmgate.Decision {
	r := httptest.NewRequest(method, target, nil)
	d := &crmgate.Decision{Method: method, Path: r.URL.EscapedPath(), RawQuery: r.URL.RawQuery, Forbidden: new(crmgate.Forbidden)}
	d.Allow = true
	return d
}

// What is sent is what was decided: every difference is a refusal.
func TestMismatch(t *testing.T) {
	for _, c := range []struct {
		name, method, target string
		allow, matches       bool
	}{
		{"the same", "GET", "/a/b?c=1", true, true},
		{"a refusal", "GET", "/a/b?c=1", false, false},
		{"another method", "POST", "/a/b?c=1", true, false},
		{"another path", "GET", "/a/c?c=1", true, false},
		{"another spelling of the path", "GET", "/a/%62?c=1", true, false},
		{"another query", "GET", "/a/b?c=2", true, false},
		{"no query", "GET", "/a/b", true, false},
		{"more query", "GET", "/a/b?c=1&d=2", true, false},
	} {
		d := decided("GET", "/a/b?c=1")
		d.Allow = c.allow
		if got := mismatch(httptest.NewRequest(c.method, c.target, nil), d); (got == "") != c.matches {
			t.Errorf("%s: %q: something nobody decided reaches the CRM", c.name, got)
		}
	}
}

// What would make the CRM answer in parts, in a coding or on a condition is taken
// off a request whose answer is rewritten, and off no other.
func TestOutbound(t *testing.T) {
	rewritten := &plan.Plan{ID: "r"}
	names := []string{"Range", "If-Range", "If-None-Match", "If-Modified-Since", "Accept-Charset", "Te", "Want-Digest", "Want-Content-Digest", "Want-Repr-Digest"}
	for _, c := range []struct {
		plan   *plan.Plan
		strips bool
	}{{rewritten, true}, {&plan.Plan{Pass: true}, false}} {
		d := decided("GET", "/a")
		d.Plans = []*plan.Plan{c.plan}
		d.Identity = http.Header{"X-Remote-User": {"u"}}
		d.Query = map[string]string{"accessKey": "k&="}
		req := httptest.NewRequest("GET", "/a?b=1", nil)
		for _, n := range names {
			req.Header.Set(n, "x")
		}
		req.Header.Set("Accept-Encoding", "br")
		out, reason := outbound(req, d)
		if reason != policy.Allowed {
			t.Fatalf("refused: %s", reason)
		}
		for _, n := range names {
			if (out.Header.Get(n) == "") != c.strips {
				t.Errorf("rewritten %v: %s is %q", c.strips, n, out.Header.Get(n))
			}
		}
		if c.strips && out.Header.Get("Accept-Encoding") != "identity" {
			t.Errorf("the CRM may answer in %q", out.Header.Get("Accept-Encoding"))
		}
		if out.Header.Get("X-Remote-User") != "u" || req.Header.Get("X-Remote-User") != "" {
			t.Error("the identity is not on the request that is sent, or it is on the one that is logged")
		}
		if out.URL.RawQuery != "b=1&accessKey=k%26%3D" || req.URL.RawQuery != "b=1" {
			t.Errorf("the query is %q, the logged one %q", out.URL.RawQuery, req.URL.RawQuery)
		}
	}
	for _, n := range []string{"If-Match", "If-Unmodified-Since"} {
		d := decided("POST", "/a")
		d.Plans = []*plan.Plan{rewritten}
		req := httptest.NewRequest("POST", "/a", nil)
		req.Header.Set(n, `"x"`)
		if _, reason := outbound(req, d); reason != policy.PreconditionFailed {
			t.Errorf("%s on a rewritten record: %s; somebody's change could be overwritten", n, reason)
		}
	}
	d := decided("HEAD", "/a")
	d.Plans = []*plan.Plan{rewritten}
	if out, _ := outbound(httptest.NewRequest("HEAD", "/a", nil), d); out.Method != "GET" {
		t.Error("HEAD tells whether a record exists that is not visible")
	}
}

// Early hints of the CRM are headers nobody has rewritten.
func TestOutboundHidesTheTrace(t *testing.T) {
	hinted := false
	ctx := httptrace.WithClientTrace(context.Background(), &httptrace.ClientTrace{Got1xxResponse: func(int, textproto.MIMEHeader) error {
		hinted = true
		return nil
	}})
	d := decided("GET", "/a")
	d.Plans = []*plan.Plan{{ID: "r"}}
	out, _ := outbound(httptest.NewRequest("GET", "/a", nil).WithContext(ctx), d)
	if tr := httptrace.ContextClientTrace(out.Context()); tr != nil && tr.Got1xxResponse != nil {
		_ = tr.Got1xxResponse(103, nil)
	}
	if hinted {
		t.Error("early hints of the CRM reach the client")
	}
}

// What describes the body as it was does not outlive the rewriting.
func TestCleanResponse(t *testing.T) {
	in := http.Header{
		"Content-Type": {"application/json"}, "Set-Cookie": {"a=b"}, "X-Lead": {"call +91 98765 43210"}, "X-Plain": {"fine"},
		"Location": {"http://crm.internal:8080/leads/1?phone=+919876543210"}, "Link": {"</next>; rel=next"},
		"X-Content-Hash": {"9f"}, "X-Body-Md5": {"9f"}, "X-Checksum-Sha256": {"9f"}, "Cache-Control": {"public, max-age=600"},
	}
	for _, n := range dropped {
		in[http.CanonicalHeaderKey(n)] = []string{"x"}
	}
	req := httptest.NewRequest("GET", "https://crm.example.com/leads", nil)
	req.URL.Host = "crm.internal:8080"
	out := cleanResponse(in, req)
	for _, n := range append([]string{"X-Content-Hash", "X-Body-Md5", "X-Checksum-Sha256"}, dropped...) {
		if v, there := out[http.CanonicalHeaderKey(n)]; there {
			t.Errorf("%s: %q came through", n, v)
		}
	}
	var text strings.Builder
	_ = out.Write(&text)
	if strings.Contains(text.String(), "43210") || strings.Contains(text.String(), "crm.internal") {
		t.Errorf("a phone number or the CRM's own address came through:\n%s", text.String())
	}
	if out.Get("Cache-Control") != "private, no-cache" || !strings.Contains(strings.Join(out["Vary"], ","), "Cookie") || out.Get("Set-Cookie") != "a=b" || out.Get("X-Plain") != "fine" {
		t.Errorf("caches may keep it, or too much is gone:\n%s", text.String())
	}
	if in.Get("Etag") != "x" {
		t.Error("the header that came was changed in place")
	}
}

// A list of tags matches weakly; "*" asks about existence and matches nothing.
func TestMatchesTag(t *testing.T) {
	for list, want := range map[string]bool{`W/"a"`: true, `"a"`: true, `"b", W/"a"`: true, `"b"`: false, "*": false, "": false} {
		if got := matchesTag([]string{list}, `W/"a"`); got != want {
			t.Errorf("If-None-Match: %s matches: %v, want %v", list, got, want)
		}
	}
}

// TestSpareHeaders: of an error that is reduced, only headers that say nothing of records go out.
func TestSpareHeaders(t *testing.T) {
	h := http.Header{"Content-Type": {"application/json"}, "Retry-After": {"5"}, "X-Ratelimit-Limit": {"9"}, "Access-Control-Allow-Origin": {"*"}, "X-Lead": {"Uma"}, "Warning": {"Uma"}, "Location": {"/uma"}, "X-Request-Id": {"1"}}
	spare(h)
	for name, want := range map[string]bool{"Content-Type": true, "Retry-After": true, "X-Ratelimit-Limit": true, "Access-Control-Allow-Origin": true, "X-Request-Id": true, "X-Lead": false, "Warning": false, "Location": false} {
		if _, there := h[name]; there != want {
			t.Errorf("%s is there: %v", name, there)
		}
	}
}
