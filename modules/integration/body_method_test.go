// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"bytes"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// TestMethodInABody: frameworks take a POST with _method=DELETE in its body for a DELETE.
// Whoever is restricted cannot say so in a body nobody reads, nor among fields; an upload
// goes on as it is.
func TestMethodInABody(t *testing.T) {
	crm := new(recorder)
	s := &setup{crm: serve(t, crm), policy: rolesOnly + `templates:
  masked: {entities: {lead: {view: {partial: {mask: [phone]}}}}}
assign:
  - {template: masked, roles: [sales_manager]}
`}
	d := s.start(t)
	d.add(t, "boss@acme.test", "administrator", crmUser{})
	d.add(t, "mina@acme.test", "sales_manager", crmUser{})
	boss, mina := d.signedIn(t, "boss@acme.test"), d.signedIn(t, "mina@acme.test")
	const form, parts = "application/x-www-form-urlencoded", "multipart/form-data; boundary=b"
	upload := "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"my_method.mp4\"\r\n\r\n" + strings.Repeat("sound ", 1<<19) + "\r\n"
	other := upload + "--b\r\nContent-Disposition: form-data; name=\"_method\"\r\n\r\nDELETE\r\n--b--\r\n"
	for _, c := range []struct {
		path, kind, body string
		restricted       int
	}{
		{"/mobile/v1/recordings", parts, upload + "--b--\r\n", http.StatusOK},
		{"/mobile/v1/recordings", parts, other, http.StatusForbidden},
		{"/mobile/v1/recordings", form, "_method=DELETE", http.StatusForbidden},
		{"/mobile/v1/recordings", form, "a=b&method=DELETE", http.StatusOK},
		{"/mobile/v1/recordings", "audio/mp4", other, http.StatusOK},
		{"/app/api/leads/7", "application/json", `{"FirstName":"x","_method":"DELETE"}`, http.StatusForbidden},
	} {
		for b, want := range map[*browser]int{boss: http.StatusOK, mina: c.restricted} {
			crm.take()
			a := b.post(c.path, c.body, "Content-Type", c.kind)
			got := crm.take()
			if a.StatusCode != want || want == http.StatusForbidden && a.reason() != "action_denied" {
				t.Errorf("%s %s of %.40q: %s %s, want %d", c.path, c.kind, c.body, a.Status, a.text(), want)
			}
			whole := slices.ContainsFunc(got, func(r seen) bool { return bytes.Equal(r.Body, []byte(c.body)) }) // one that was cut may come late
			if whole != (want == http.StatusOK) {
				t.Errorf("%s %s of %.40q: the CRM got all of it: %v", c.path, c.kind, c.body, whole)
			}
		}
	}
}
