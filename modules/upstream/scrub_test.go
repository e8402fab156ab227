// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/crmgate/crmgate/policy/mask"
)

// Personal data in a header is masked, however it is written; what only looks
// like it, in headers that say how long something holds, stays.
func TestScrub(t *testing.T) {
	for _, c := range []struct{ name, value, want string }{
		{"X-Lead", "call +91-9812345670 now", "call " + mask.FullText + " now"},
		{"Server", "crm/9812345670", "crm/" + mask.FullText},
		{"X-Lead", "%39%38%31%32%33%34%35%36%37%30", mask.FullText},
		{"X-Lead", "eyJQaG9uZSI6Iis5MS05ODEyMzQ1NjcwIn0=", mask.FullText},
		{"X-Lead", "lead=OTgxMjM0NTY3MA; v=1", mask.FullText},
		{"X-Lead", "asha%40example%2Ecom", mask.FullText},
		{"X-Request-Id", "dGhpcyBpcyBhIHBsYWluIHRleHQ", "dGhpcyBpcyBhIHBsYWluIHRleHQ"},
		{"X-Request-Id", "4f6e0c7d-1111-4222-8333-123456789012", "4f6e0c7d-1111-4222-8333-123456789012"},
		{"X-Total-Count", "12345", "12345"},
		{"Content-Type", `application/json; name="9812345670"`, "application/json"},
		{"Content-Type", "application/json; charset=utf-8", "application/json; charset=utf-8"},
		{"Strict-Transport-Security", "max-age=31536000; includeSubDomains; preload", "max-age=31536000; includeSubDomains; preload"},
		{"Strict-Transport-Security", "max-age=1; phone=9812345670", "max-age=1; phone=" + mask.FullText},
		{"Retry-After", "12345678", "12345678"},
		{"Date", "Sun, 22 Nov 2026 00:49:59 GMT", "Sun, 22 Nov 2026 00:49:59 GMT"},
		{"Server-Timing", "db;dur=12.3456789, total;dur=123.4", "db;dur=12.3456789, total;dur=123.4"},
	} {
		if got := scrub(c.name, c.value); got != c.want {
			t.Errorf("%s: %s goes out as %q, want %q", c.name, c.value, got, c.want)
		}
	}
}

// A cookie with personal data in it is dropped whole; sessions stay.
func TestPersonalCookie(t *testing.T) {
	for line, want := range map[string]bool{
		"phone=9812345670":                                           true,
		"last=asha%40example.com; Path=/":                            true,
		"x=%39%38%31%32%33%34%35%36%37%30":                           true,
		"sid=1; Path=/leads/9812345670":                              true,
		"sid=1; Max-Age=9812345670":                                  true,
		"sid=1; Expires=call 98123 45670":                            true,
		"9812345670=1":                                               true,
		"sid=s3cr3t; Path=/; HttpOnly; Secure":                       false,
		"ASP.NET_SessionId=hx4k2mzq1pd3; Path=":                      false,
		"sid=a; Max-Age=31536000; Path=/":                            false,
		"sid=a; Expires=Wed, 21 Oct 2026 07:28:00 GMT; SameSite=Lax": false,
		"sid=a; expires=Wed, 21-Oct-2026 07:28:00 GMT":               false,
		"jwt=eyJhbGciOiJIUzI1NiJ9.eyJleHAiOjE3OTUzMDg0NTh9.c2ln":     false,
	} {
		if got := personalCookie(line); got != want {
			t.Errorf("Set-Cookie: %s: dropped %v, want %v", line, got, want)
		}
	}
}

// Names of headers, digests under other names, and what a connection or another
// cache's directives would undo.
func TestCleanResponseHostile(t *testing.T) {
	in := http.Header{
		"X-9812345670": {"1"}, "X-Phone-Sha256": {"9f"}, "X-Goog-Hash": {"md5=9f"}, "X-Crc32c": {"9f"},
		"Connection": {"cache-control, vary", "X-Content-Type-Options, X-Hop"}, "X-Hop": {"1"}, "Vary": {"Accept"},
		"Cdn-Cache-Control": {"public"}, "Cloudflare-Cdn-Cache-Control": {"public"}, "Surrogate-Control": {"max-age=9"}, "Edge-Control": {"x"}, "X-Accel-Expires": {"9"},
		"Set-Cookie": {"sid=a", "phone=9812345670"}, "X-Fine": {"1"},
		"Date": {"9812345670"}, "Expires": {"Sun, 22 Nov 2026 00:49:59 GMT"},
	}
	out := cleanResponse(in, httptest.NewRequest("GET", "https://crm.example.com/", nil))
	want := map[string]string{"Date": "XXXXXXXX", "Expires": "Sun, 22 Nov 2026 00:49:59 GMT", "X-Fine": "1", "Set-Cookie": "sid=a", "Cache-Control": "private, no-cache", "Vary": "Cookie, Authorization", "X-Content-Type-Options": "nosniff"}
	for name, v := range out {
		if joined(v) != want[name] {
			t.Errorf("%s: %q goes out", name, v)
		}
	}
	for name := range want {
		if out[name] == nil {
			t.Errorf("%s is missing", name)
		}
	}
}

// What everybody sees who sees all still goes into no shared cache.
func TestPrivate(t *testing.T) {
	for cc, want := range map[string]string{
		"":                                    "private, no-cache",
		"public, max-age=600":                 "private, no-cache",
		"private, max-age=600":                "private, max-age=600",
		"no-store":                            "no-store",
		"max-age=600, private=\"set-cookie\"": "private, no-cache",
		"private, s-maxage=600":               "private, no-cache",
		"Private , Public":                    "private, no-cache",
	} {
		h := http.Header{"Cdn-Cache-Control": {"public"}, "Connection": {"Cache-Control"}}
		if cc != "" {
			h.Set("Cache-Control", cc)
			delete(h, "Connection")
		}
		if private(h); h.Get("Cache-Control") != want || h.Get("Vary") == "" || len(h) != 2 {
			t.Errorf("%q goes out as %v, want %q", cc, h, want)
		}
	}
}
