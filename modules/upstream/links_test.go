// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"context"
	"net/http"
	"net/http/httptest"
	"reflect"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// asked is a request for crm.example.com that goes to upstream and calls it host.
func asked(upstream, host string) *http.Request {
	first := httptest.NewRequest("GET", "https://crm.example.com/leads", nil)
	req := first.WithContext(context.WithValue(first.Context(), caddyhttp.OriginalRequestCtxKey, *first))
	req.URL.Host, req.Host = upstream, host
	return req
}

// TestAddressesAtTheGate: whoever follows a link of the CRM comes back through the gate.
func TestAddressesAtTheGate(t *testing.T) {
	for _, c := range []struct{ upstream, host, in, want string }{
		{"10.1.0.5:8080", "crm.example.com", "http://10.1.0.5:8080/leads/1?a=b%20c&d#e%2F", "https://crm.example.com/leads/1?a=b%20c&d#e%2F"},
		{"10.1.0.5:8080", "crm.example.com", "//10.1.0.5:8080/a%2Fb", "https://crm.example.com/a%2Fb"},
		{"10.1.0.5:8080", "crm.example.com", "HTTP://user:word@10.1.0.5:8080", "https://crm.example.com"},
		{"10.1.0.5:8080", "crm.example.com", "http://10.1.0.5:8080//elsewhere.example/x", "https://crm.example.com//elsewhere.example/x"},
		{"10.1.0.5:8080", "crm.example.com", `http://10.1.0.5:8080/\elsewhere.example`, "https://crm.example.com/%5Celsewhere.example"},
		{"api.crm.example:443", "api.crm.example", "https://API.crm.example/next?page=2", "https://crm.example.com/next?page=2"},
		{"10.1.0.5:443", "api.crm.example", "https://api.crm.example/next", "https://crm.example.com/next"}, // by header_up Host
		{"[fd00::5]:8080", "crm.example.com", "http://[fd00::5]:8080/x", "https://crm.example.com/x"},

		{"10.1.0.5:8080", "crm.example.com", "https://crm.example.com/x", "https://crm.example.com/x"}, // from http to https
		{"crm.example.com:443", "crm.example.com", "https://crm.example.com/x", "https://crm.example.com/x"},
		{"10.1.0.5:8080", "crm.example.com", "http://10.1.0.5:9090/x", "http://10.1.0.5:9090/x"},
		{"10.1.0.5:8080", "crm.example.com", "https://login.example/x", "https://login.example/x"},
		{"10.1.0.5:8080", "crm.example.com", "/x?u=http://10.1.0.5:8080/", "/x?u=http://10.1.0.5:8080/"},
		{"10.1.0.5:8080", "crm.example.com", "tel:9812345670", "tel:9812345670"},
		{"10.1.0.5:8080", "crm.example.com", "http://10.1.0.5:8080/%zz", "http://10.1.0.5:8080/%zz"},
		{"10.1.0.5:8080", "crm.example.com", "", ""},
	} {
		if got := atGate(c.in, asked(c.upstream, c.host)); got != c.want {
			t.Errorf("behind %s, called %s: %q goes out as %q, want %q", c.upstream, c.host, c.in, got, c.want)
		}
	}
	req := httptest.NewRequest("GET", "/", nil)
	req.URL.Host, req.Host = "crm:80", "crm.example.com:8080"
	req.Header.Set("X-Forwarded-Proto", "http")
	if got, want := atGate("http://crm/x", req), "http://crm.example.com:8080/x"; got != want {
		t.Errorf("over plain HTTP, without Caddy's server, an address goes out as %q, want %q", got, want)
	}
}

func TestLinkHeadersAtTheGate(t *testing.T) {
	req := asked("crm:8080", "crm.example.com")
	for in, want := range map[string]string{
		`<http://crm:8080/leads?page=2>; rel="next"`:                        `<https://crm.example.com/leads?page=2>; rel="next"`,
		`<http://crm:8080/a,b;c>;rel=prev,<http://crm:8080/z>; rel="a b"`:   `<https://crm.example.com/a,b;c>;rel=prev,<https://crm.example.com/z>; rel="a b"`,
		`</a>; title="<http://crm:8080/x>\" <", <http://crm:8080/y>; rel=x`: `</a>; title="<http://crm:8080/x>\" <", <https://crm.example.com/y>; rel=x`,
		`<https://cdn.example/x.css>; rel=preload`:                          `<https://cdn.example/x.css>; rel=preload`,
		`<http://crm:8080/x`: `<https://crm.example.com/x`, `"//`: `"//`, `</a>; rel=next`: `</a>; rel=next`, `//`: `//`, ``: ``,
	} {
		if got := linksAtGate(in, req); got != want {
			t.Errorf("%s goes out as %s, want %s", in, got, want)
		}
	}
	h := http.Header{"Location": {"http://crm:8080/a"}, "Link": {"<http://crm:8080/b>", "</c>"}, "X-Other": {"http://crm:8080/d"}}
	here(h, req)
	if want := (http.Header{"Location": {"https://crm.example.com/a"}, "Link": {"<https://crm.example.com/b>", "</c>"}, "X-Other": {"http://crm:8080/d"}}); !reflect.DeepEqual(h, want) {
		t.Errorf("an answer that is not rewritten: %v, want %v", h, want)
	}
}

func TestLinksWithinParts(t *testing.T) {
	for in, want := range map[string]string{
		"/leads/1": "/leads/1", "leads(1)": "leads(1)", "http://crm/leads": "/leads", "HTTP://u:p@crm:1/a%2Fb?x": "/a%2Fb?x", "//crm/leads": "/leads",
		"tel:9812345670": "", "http://crm": "", "http://crm//other/x": "", "</a>; rel=x, <http://crm/b>": "", "%zz": "", "///crm/x": "", "</a>; rel=next": "</a>; rel=next",
	} {
		if got := withoutHost(in); got != want {
			t.Errorf("%q goes out as %q, want %q", in, got, want)
		}
	}
}
