// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package crmgate

import (
	"net/http"
	"reflect"
	"testing"
)

// Whatever a name looks like, a client's copy of an identity never passes.
func TestForbiddenHeaders(t *testing.T) {
	f := NewForbidden([]string{"X-Crmgate-Jwt-Assertion", "x-LSQ-AccessKey"}, nil)
	h := http.Header{
		"X-Crmgate-Jwt-Assertion": {"a"}, "X_crmgate_jwt_assertion": {"a"}, "X.Crmgate.Jwt.Assertion": {"a"}, "XCRMGATEJWTASSERTION": {"a"},
		"x-lsq-accesskey": {"a", "b"}, "X-Lsq-Access-Key": {"a"}, "X--LSQ__AccessKey": {"a"}, "X-Lsq!AccessKey": {"a"},
		"Connection": {"close, X-Crmgate-Jwt-Assertion , x_lsq_accesskey", "upgrade"},
		"X-Crmgate":  {"stays"}, "Accept": {"stays"},
	}
	f.StripHeaders(h)
	want := http.Header{"Connection": {"close", "upgrade"}, "X-Crmgate": {"stays"}, "Accept": {"stays"}}
	if !reflect.DeepEqual(h, want) {
		t.Errorf("left: %v\nwant: %v", h, want)
	}
}

// Credentials vanish from the query; every other byte stays, since it was judged.
func TestForbiddenQuery(t *testing.T) {
	f := NewForbidden(nil, []string{"accessKey", "secretKey"})
	for in, want := range map[string]string{
		"":                                   "",
		"a=1&b=2":                            "a=1&b=2",
		"accessKey=x":                        "",
		"a=%20+&ACCESSKEY=x&b=%zz&SecretKey": "a=%20+&b=%zz",
		"access%4Bey=x&access_key=y&a":       "a",
		"a=accessKey&accessKeys=1":           "a=accessKey&accessKeys=1",
		"%61ccess%2dKey=x&&a=1":              "&a=1",
	} {
		if got := f.StripQuery(in); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
	if got := new(Forbidden).StripQuery("accessKey=1"); got != "accessKey=1" {
		t.Errorf("an empty set removes %q", got)
	}
}

// What carries a credential is not for the access log.
func TestForbiddenCarried(t *testing.T) {
	f := NewForbidden([]string{"x-LSQ-SecretKey"}, []string{"secretKey"})
	for _, c := range []struct {
		h     http.Header
		query string
		want  bool
	}{
		{nil, "", false},
		{http.Header{"Accept": {"secretKey"}}, "a=secretKey", false},
		{http.Header{"X-Lsq-Secretkey": {"s"}}, "", true},
		{http.Header{"X_LSQ_SecretKey": {"s"}}, "", true},
		{nil, "a=1&SECRETKEY=s", true},
		{nil, "secret%4bey=s&%zz", true},
	} {
		if got := f.Carried(c.h, c.query); got != c.want {
			t.Errorf("%v ?%s carries a credential: %v, want %v", c.h, c.query, got, c.want)
		}
	}
}

// A key in the configuration can be read back; only a reference to it may stand there.
func TestReferences(t *testing.T) {
	for s, want := range map[string]bool{
		"{env.KEY}": true, "{file./run/key}": true, "": false, "{}": false, "AAEC": false, "{env.A}x": false, "x{env.A}": false, "{env.A}{env.B}": false,
	} {
		if isReference(s) != want {
			t.Errorf("%q is a reference: %v, want %v", s, !want, want)
		}
	}
}
