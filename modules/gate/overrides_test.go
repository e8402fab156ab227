// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// TestStripOverrides: what a client says of its own address, of method and path does
// not reach the CRM, whatever the spelling; what a trusted proxy says of the address does.
func TestStripOverrides(t *testing.T) {
	for sent, want := range map[string]string{ // to what is left of a client's, and of a trusted proxy's
		"Accept Cookie X-Client X-Ip-Country Via Ip":                    "Accept Cookie X-Client X-Ip-Country Via Ip | Accept Cookie X-Client X-Ip-Country Via Ip",
		"Forwarded X-Real-Ip True-Client-Ip X-Client-Ip":                " | Forwarded X-Real-Ip True-Client-Ip X-Client-Ip",
		"X-Cluster-Client-Ip Cf-Connecting-Ip Fastly-Client-Ip":         " | X-Cluster-Client-Ip Cf-Connecting-Ip Fastly-Client-Ip",
		"X-Original-Forwarded-For X-Remote-Addr Client-Ip":              " | X-Original-Forwarded-For X-Remote-Addr Client-Ip",
		"X_real_ip X.real.ip x-real-ip X-Real_ip Client_ip":             " | x-real-ip",
		"X-Forwarded-For X-Forwarded-Host X-Forwarded-Proto":            "X-Forwarded-For X-Forwarded-Host X-Forwarded-Proto | X-Forwarded-For X-Forwarded-Host X-Forwarded-Proto",
		"X_forwarded_for X-Forwarded_host X.forwarded.proto":            " | ",
		"X-Http-Method-Override X-Original-Url Early-Data":              " | ",
		"X_http_method_override X.http.method X-Original_url X_Method-": "X_Method- | X_Method-",
	} {
		client, proxy, _ := strings.Cut(want, " | ")
		for trusted, want := range map[bool]string{false: client, true: proxy} {
			h := http.Header{}
			for name := range strings.FieldsSeq(sent) {
				h[name] = []string{"203.0.113.9"}
			}
			stripOverrides(h, trusted)
			if got, want := slices.Sorted(maps.Keys(h)), slices.Sorted(slices.Values(strings.Fields(want))); !slices.Equal(got, want) {
				t.Errorf("trusted %v: of %s is left %q, want %q", trusted, sent, got, want)
			}
		}
	}
}

// A request that brings none of these costs no memory.
func TestStripOverridesMakesNoGarbage(t *testing.T) {
	h := http.Header{"Accept": nil, "Cookie": nil, "User-Agent": nil, "Connection": nil, "Sec-Fetch-Site": nil, "X-Requested-With": nil, "X-Ip-Country": nil}
	if n := testing.AllocsPerRun(100, func() { stripOverrides(h, false) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestOtherMethod: no parameter makes a CRM do something else than was judged.
func TestOtherMethod(t *testing.T) {
	for query, want := range map[string]bool{
		"": false, "a=b&method=PUT": false, "_method=post": false, "_method=POST&_method=POST": false,
		"_method=DELETE": true, "a=b&_METHOD=delete": true, "_method=POST&_method=PUT": true, "_method": true, "X-HTTP-Method-Override=PUT": true, "%5fmethod=PUT": true,
		".method=PUT": true, "+_method=PUT": true, "[method=PUT": true, "_method%00x=PUT": true, "x_http.method=PUT": true, "method=PUT&_methods=PUT": false,
	} {
		q, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		if got := otherMethod("POST", q); got != want {
			t.Errorf("POST ?%s says another method: %v, want %v", query, got, want)
		}
	}
}
