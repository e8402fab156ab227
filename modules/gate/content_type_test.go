// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"net/http"
	"slices"
	"testing"

	"github.com/crmgate/crmgate/policy/resource"
)

// What a body was judged as is what it calls itself when it is sent.
func TestBodiesAreCalledWhatTheyWereJudgedAs(t *testing.T) {
	const form = "application/x-www-form-urlencoded"
	for _, c := range []struct {
		said []string
		kind resource.BodyKind
		want string
	}{
		{[]string{"application/json"}, resource.JSONBody, "application/json"},
		{[]string{"Application/JSON; charset=UTF-8"}, resource.JSONBody, "Application/JSON; charset=UTF-8"},
		{[]string{"application/json;charset=\"utf8\""}, resource.JSONBody, "application/json;charset=\"utf8\""},
		{[]string{"application/json; odata=verbose"}, resource.JSONBody, "application/json; odata=verbose"},
		{[]string{"application/merge-patch+json"}, resource.JSONBody, "application/merge-patch+json"},
		{[]string{"text/json"}, resource.JSONBody, "text/json"},
		{nil, resource.JSONBody, "application/json"},
		{[]string{""}, resource.JSONBody, "application/json"},
		{[]string{"text/plain"}, resource.JSONBody, "application/json"},
		{[]string{form}, resource.JSONBody, "application/json"},
		{[]string{"multipart/form-data; boundary=x"}, resource.JSONBody, "application/json"},
		{[]string{"text/xml"}, resource.JSONBody, "application/json"},
		{[]string{"application/json; charset=utf-16"}, resource.JSONBody, "application/json"},
		{[]string{"application/json; charset=utf-7"}, resource.JSONBody, "application/json"},
		{[]string{"application/json; charset*=utf-8''shift_jis"}, resource.JSONBody, "application/json"},
		{[]string{"application/json; charset=utf-8; charset=utf-16"}, resource.JSONBody, "application/json"},
		{[]string{"application/json, text/xml"}, resource.JSONBody, "application/json"},
		{[]string{"application/json", form}, resource.JSONBody, "application/json"},
		{[]string{form}, resource.FormBody, form},
		{[]string{form + "; charset=utf-8"}, resource.FormBody, form + "; charset=utf-8"},
		{[]string{form + "; charset=utf-16"}, resource.FormBody, form},
		{[]string{"application/json"}, resource.FormBody, form},
		{[]string{"multipart/form-data; boundary=x"}, resource.FormBody, form},
		{[]string{"multipart/mixed; boundary=x"}, resource.MultipartBody, "multipart/mixed; boundary=x"},
	} {
		h := http.Header{}
		if c.said != nil {
			h["Content-Type"] = c.said
		}
		sayType(h, c.kind)
		if got := h["Content-Type"]; !slices.Equal(got, []string{c.want}) {
			t.Errorf("%q, judged as %s, was sent as %q, want %q", c.said, c.kind, got, c.want)
		}
	}
}
