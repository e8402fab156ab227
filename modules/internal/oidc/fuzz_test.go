// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

func FuzzCallback(f *testing.F) {
	for _, q := range []string{
		"code=abc&state=xyz", "code=a&code=b&state=x", "error=access_denied&state=x", "code=a&error=b&state=x", "iss=&code=a&state=x",
		"state=%00&code=%ff", "code=a;state=b", "%zz", "state=x&code=" + strings.Repeat("a", 5000),
	} {
		f.Add(q)
	}
	f.Fuzz(func(t *testing.T, query string) {
		r := &http.Request{Method: http.MethodGet, URL: &url.URL{Path: "/", RawQuery: query}}
		a, err := new(Provider).read(r)
		if err != nil {
			return
		}
		if a.state == "" || (a.code == "") == (a.err == "") || len(a.code) > maxCode {
			t.Fatalf("%q was read as %+v", query, a)
		}
		q, _ := url.ParseQuery(query)
		for _, name := range []string{"state", "code", "error", "iss"} {
			if len(q[name]) > 1 {
				t.Fatalf("%q: %s is there %d times", query, name, len(q[name]))
			}
		}
	})
}

func FuzzLogoutToken(f *testing.F) {
	f.Add(`{"iss":"x","aud":"crmgate","iat":1,"exp":2,"jti":"j","sub":"s","events":{"`+logoutEvent+`":{}}}`, true)
	f.Add(`{"iss":"x","nonce":null,"events":{}}`, true)
	f.Add(`{"sub":"a","sub":"b"}`, true)
	f.Add(`{"exp":1e300,"iat":-1}`, false)
	f.Add("logout_token=a&logout_token=b", false)
	f.Fuzz(func(t *testing.T, s string, token bool) {
		if token {
			all, err := unverifiedClaims("e30." + base64.RawURLEncoding.EncodeToString([]byte(s)) + ".")
			if err != nil {
				return
			}
			for name := range all {
				if v, ok := all.seconds(name); ok && (v < 0 || v > 253402300799) {
					t.Fatalf("%s read as the moment %d", all[name], v)
				}
				if v, ok := all.text(name); ok && v != "" && all[name].Kind() != '"' {
					t.Fatalf("%s read as the text %q", all[name], v)
				}
			}
			_ = all.audience()
			_ = methods(all)
			return
		}
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(s))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if raw, err := readLogout(r); err == nil && raw == "" {
			t.Fatalf("%q has an empty token", s)
		}
	})
}
