// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"net"
	"net/http"
	"path/filepath"
	"testing"
)

// from returns a client whose connections come from a loopback address of its
// choice; it keeps the cookies.
func (b *browser) from(t *testing.T, ip string) *browser {
	t.Helper()
	tr := b.Transport.(*http.Transport).Clone()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(ip)}}
	tr.DialContext = func(ctx context.Context, _, addr string) (net.Conn, error) {
		_, port, _ := net.SplitHostPort(addr)
		return d.DialContext(ctx, "tcp4", "127.0.0.1:"+port)
	}
	t.Cleanup(tr.CloseIdleConnections)
	client := *b.Client
	client.Transport = tr
	return &browser{t: t, base: b.base, Client: &client}
}

// TestNetwork: from where people may come. 127.0.9.7 is a Tor exit, 127.0.10.7 a
// public proxy, 127.0.11.7 a hosting provider by the test's database.
func TestNetwork(t *testing.T) {
	mmdb, _ := filepath.Abs("../../testdata/mmdb/anonymous-ip.mmdb")
	tor, _ := filepath.Abs("../../testdata/tor/bulk.txt")
	crm := new(recorder)
	s := &setup{crm: serve(t, crm), options: "bridge keys\nnetwork {\n anonymous_ip " + mmdb + "\n tor_exits " + tor + "\n}", policy: `version: 1
account: acme
settings:
  network:
    account: {allow: [127.0.0.0/16]}
    api: {allow: [127.0.1.0/24]}
    roles:
      sales_user: {allow: [127.0.0.0/24, 127.0.9.0/24]}
    users:
      ravi@acme.test: {allow: [127.0.0.5]}
    allow_list_wins: false
    reputation: {tor: block_sign_in, anonymous_proxy: block_all, hosting: report}
`}
	d := s.start(t)
	boss := crmUser{ID: "b", AccessKey: "u$rBOSS", SecretKey: "s3cret"}
	d.add(t, "boss@acme.test", "administrator", boss)
	d.add(t, "asha@acme.test", "sales_user", crmUser{ID: "a", AccessKey: "u$rASHA", SecretKey: "s3cret"})
	d.add(t, "ravi@acme.test", "sales_user", crmUser{ID: "r", AccessKey: "u$rRAVI", SecretKey: "s3cret"})

	signIn := func(ip, email string) *answer { return d.browser(t).from(t, ip).signIn(email, password) }
	for _, c := range []struct {
		name, ip, who string
		want          int
		reason        string
	}{
		{"anybody", "127.0.0.1", "asha@acme.test", 200, ""},
		{"a Tor exit", "127.0.9.7", "asha@acme.test", 403, "ip_reputation"},
		{"a public proxy", "127.0.10.7", "boss@acme.test", 403, "ip_reputation"},
		{"a hosting provider", "127.0.11.7", "boss@acme.test", 200, ""},
		{"outside the role's list", "127.0.11.7", "asha@acme.test", 403, "ip_not_allowed"},
		{"outside the person's list", "127.0.0.6", "ravi@acme.test", 403, "ip_not_allowed"},
		{"inside the person's list", "127.0.0.5", "ravi@acme.test", 200, ""},
		{"outside the account's list", "127.1.0.1", "boss@acme.test", 403, "ip_not_allowed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := signIn(c.ip, c.who)
			if a.StatusCode != c.want || a.reason() != c.reason {
				t.Errorf("%s signing in from %s: %s %s, want %d %s", c.who, c.ip, a.Status, a.reason(), c.want, c.reason)
			}
		})
	}

	t.Run("a session that moves", func(t *testing.T) {
		b := d.signedIn(t, "asha@acme.test")
		for ip, want := range map[string]int{"127.0.9.7": 200, "127.0.0.9": 200, "127.0.10.7": 403, "127.0.11.7": 403, "127.1.0.1": 403} {
			crm.take()
			a := b.from(t, ip).get("/app/api/ping")
			if a.StatusCode != want || (want == 200) != (len(crm.take()) == 1) {
				t.Errorf("asha's session from %s: %s %s, want %d", ip, a.Status, a.reason(), want)
			}
		}
		for _, name := range []string{"X-Forwarded-For", "Forwarded", "X-Real-Ip", "True-Client-Ip", "Cf-Connecting-Ip", "X-Client-Ip"} {
			value := "127.0.0.1"
			if name == "Forwarded" {
				value = "for=127.0.0.1"
			}
			if a := b.from(t, "127.0.10.7").get("/app/api/ping", name, value); a.StatusCode != http.StatusForbidden {
				t.Errorf("%s from a client changes where it comes from: %s", name, a.Status)
			}
		}
	})

	t.Run("a session that moves and asks for its person's own pages", func(t *testing.T) {
		b, other := d.signedIn(t, "asha@acme.test"), d.signedIn(t, "asha@acme.test")
		away := b.from(t, "127.0.11.7")
		for _, path := range []string{"session", "sessions", "factors", "devices"} {
			if a := away.get("/.crmgate/api/" + path); a.StatusCode != http.StatusForbidden || a.reason() != "ip_not_allowed" {
				t.Errorf("%s from outside the role's list: %s %s", path, a.Status, a.text())
			}
		}
		for path, body := range map[string]string{
			"api/step-up": "{}", "api/recovery-codes": "{}", "api/factors/begin": `{"kind":"totp"}`,
			"api/password/change": `{"password":"` + password + `","new_password":"another-long-password-9"}`,
		} {
			if a := away.post("/.crmgate/"+path, body); a.StatusCode != http.StatusForbidden || a.reason() != "ip_not_allowed" {
				t.Errorf("%s from outside the role's list: %s %s", path, a.Status, a.text())
			}
		}
		page := []string{"Accept", "text/html", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document", "Content-Type", "application/x-www-form-urlencoded"}
		for _, path := range []string{"account", "account/password", "step-up", "sign-in", "signed-in"} {
			if a := away.get("/.crmgate/"+path, page...); a.StatusCode != http.StatusForbidden {
				t.Errorf("%s from outside the role's list: %s", path, a.Status)
			}
		}
		if a := away.post("/.crmgate/account/sessions/end-others", "", page...); a.StatusCode != http.StatusForbidden || other.get("/app/api/ping").StatusCode != http.StatusOK {
			t.Errorf("a session was ended from outside the role's list: %s", a.Status)
		}
		if a := b.get("/.crmgate/api/sessions"); a.StatusCode != http.StatusOK {
			t.Errorf("inside the list again: %s %s", a.Status, a.text())
		}
		if a := away.post("/.crmgate/api/sign-out", ""); a.StatusCode != http.StatusNoContent || b.get("/app/api/ping").StatusCode != http.StatusUnauthorized {
			t.Errorf("nobody is kept from signing out: %s", a.Status)
		}
	})

	t.Run("programs", func(t *testing.T) {
		for ip, want := range map[string]int{"127.0.1.9": 200, "127.0.0.1": 403, "127.1.0.1": 403} {
			a := d.browser(t).from(t, ip).get("/app/api/ping", "x-LSQ-AccessKey", boss.AccessKey, "x-LSQ-SecretKey", boss.SecretKey)
			if a.StatusCode != want {
				t.Errorf("the boss's program from %s: %s %s, want %d", ip, a.Status, a.reason(), want)
			}
		}
		// A wrong pair gains nothing from the API's list.
		a := d.browser(t).from(t, "127.0.1.9").get("/app/api/ping", "x-LSQ-AccessKey", boss.AccessKey, "x-LSQ-SecretKey", "x")
		if a.StatusCode != http.StatusUnauthorized {
			t.Errorf("a wrong pair from the API's list: %s", a.Status)
		}
	})
}

// TestTrustedProxy: behind a load balancer the client is whom it names, and
// nobody when it names nobody.
func TestTrustedProxy(t *testing.T) {
	crm := new(recorder)
	s := &setup{
		crm: serve(t, crm), servers: "trusted_proxies static 127.0.0.2/32\n\t\ttrusted_proxies_strict",
		policy: "version: 1\naccount: acme\nsettings:\n  network:\n    account: {allow: [127.0.0.1, 198.51.100.0/24]}\n",
	}
	d := s.start(t)
	d.add(t, "boss@acme.test", "administrator", crmUser{})
	b := d.signedIn(t, "boss@acme.test")
	for _, c := range []struct {
		name, ip string
		xff      string
		want     int
	}{
		{"directly", "127.0.0.1", "", 200},
		{"directly, claiming another address", "127.0.0.1", "203.0.113.9", 200},
		{"directly from outside, claiming a good address", "127.0.0.3", "198.51.100.7", 403},
		{"by the proxy", "127.0.0.2", "198.51.100.7", 200},
		{"by the proxy, from outside", "127.0.0.2", "203.0.113.9", 403},
		{"by the proxy, the client lied to it", "127.0.0.2", "198.51.100.7, 203.0.113.9", 403},
		{"by the proxy, unnamed", "127.0.0.2", "", 403},
		{"by the proxy, named by nonsense", "127.0.0.2", "unknown", 403},
		{"by the proxy, naming itself", "127.0.0.2", "127.0.0.2", 403},
		{"by the proxy, named by nonsense behind what the client claims", "127.0.0.2", "198.51.100.7, unknown", 403},
		{"by the proxy, in a spelling nobody reads behind what the client claims", "127.0.0.2", "198.51.100.7, [2001:db8::9]", 403},
		{"by the proxy, as an obfuscated name with a port behind what the client claims", "127.0.0.2", "198.51.100.7, _hidden:80", 403},
		{"by the proxy, by nothing behind what the client claims", "127.0.0.2", "198.51.100.7, ", 403},
		{"by the proxy and by another it trusts, in between nonsense", "127.0.0.2", "198.51.100.7, unknown, 127.0.0.2", 403},
		{"by the proxy, the client claims nonsense", "127.0.0.2", "unknown, 198.51.100.7", 200},
		{"by the proxy, with port and zone", "127.0.0.2", "unknown,198.51.100.7:4711", 200},
	} {
		t.Run(c.name, func(t *testing.T) {
			crm.take()
			a := b.from(t, c.ip).get("/app/api/ping", "X-Forwarded-For", c.xff, "X-Real-Ip", "203.0.113.66", "Forwarded", "for=203.0.113.66", "X_Real_IP", "203.0.113.66")
			got := crm.take()
			if a.StatusCode != c.want || (c.want == 200) != (len(got) == 1) {
				t.Errorf("%s %s, want %d", a.Status, a.text(), c.want)
			}
			for _, r := range got {
				passed, want := len(r.Header["X-Real-Ip"])+len(r.Header["Forwarded"])+10*len(r.Header["X_real_ip"]), 0
				if c.ip == "127.0.0.2" { // a trusted proxy
					want = 2
				}
				if passed != want {
					t.Errorf("the CRM is told %v", r.Header)
				}
			}
		})
	}
}
