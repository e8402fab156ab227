// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"net"
	"net/url"
	"strings"
	"testing"
)

// leakPolicy masks the canaries for managers, leaves sellers their own rows, and
// pickers, from whom no field is kept, the leads of one first name.
const leakPolicy = `version: 1
account: acme
roles:
  picker: {name: Picker, rows: all}
templates:
  picked:
    entities:
      lead: {rows: {cel: "record.first_name == 'Asha'"}}
  masked:
    entities:
      lead: {view: {partial: {mask: [phone, email, pan]}}}
      account: {view: {partial: {mask: [phone, email]}}}
  hidden:
    entities:
      lead: {view: {partial: {mask: [phone, email], hide: [pan]}}}
      account: {view: {partial: {mask: [phone, email]}}}
assign:
  - {template: masked, roles: [sales_manager]}
  - {template: hidden, roles: [sales_user]}
  - {template: picked, roles: [picker]}
`

// leakSite is a gateway before the hostile CRM, with one map.
type leakSite struct {
	*demo
	hosts   map[string]string // by way: gate, encode and bare; host and port
	cookies map[string]string // by role
}

// startLeakSite runs a gateway with three sites: the gate alone, with encode in
// front, and a plain proxy that shows what a case would leak without it.
func startLeakSite(t testing.TB, crmMap, addr, addr2 string) *leakSite {
	s := &setup{crm: "http://" + addr, policy: leakPolicy, crmMap: crmMap}
	port := func() string {
		_, p, _ := net.SplitHostPort(freeAddr(t))
		return p
	}
	encode, bare := port(), port()
	gated := "@two header X-Http2 *\ncrmgate_proxy @two h2c://" + addr2 + "\ncrmgate_proxy {upstream}\n"
	s.body = gated
	s.more = fmt.Sprintf(`https://localhost:%s {
		bind 127.0.0.1
		tls internal
		encode {
			gzip
			zstd
			minimum_length 1
			match {
				header Content-Type *
			}
		}
		%s
	}
	https://localhost:%s {
		bind 127.0.0.1
		tls internal
		@two header X-Http2 *
		reverse_proxy @two h2c://%s
		reverse_proxy {upstream}
	}
	`, encode, gated, bare, addr2)
	d := s.start(t)
	site := &leakSite{demo: d, cookies: map[string]string{}, hosts: map[string]string{
		"gate": strings.TrimPrefix(d.Gateway, "https://"), "encode": "localhost:" + encode, "bare": "localhost:" + bare,
	}}
	u, err := url.Parse(d.Gateway)
	if err != nil {
		t.Fatal(err)
	}
	for role, id := range map[string]string{"sales_manager": "manager-1", "sales_user": "seller-1", "administrator": "boss-1", "marketing_user": "marketing-1", "picker": "picker-1"} {
		email := id + "@acme.test"
		d.add(t, email, role, crmUser{ID: id})
		for _, c := range d.signedIn(t, email).Jar.Cookies(u) {
			site.cookies[role] += c.Name + "=" + c.Value + "; "
		}
		site.cookies[role] = strings.TrimSuffix(site.cookies[role], "; ")
	}
	return site
}
