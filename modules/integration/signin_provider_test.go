// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/crmgate/crmgate/modules/internal/testpeer"
)

const providerPolicy = `version: 1
account: acme
settings:
  sign_in:
    provider: google
    break_glass: [root@example.test]
`

// withProvider starts a gateway in front of a real OpenID provider, which is
// Google to it.
func withProvider(t *testing.T, s *setup) (*demo, *testpeer.OIDC) {
	t.Helper()
	s.options += `
		origin https://localhost:{port}
		identity local
		identity google {
			issuer {$OP_GOOGLE}
			client_id crmgate
			client_secret {env.OP_SECRET}
			hosted_domains example.test
		}`
	file, port, admin := s.file(t)
	at := "https://localhost:" + port + "/.crmgate/sso/google/"
	op := testpeer.StartOIDC(t, testpeer.OIDCClient{Redirects: []string{at + "callback"}, PostLogout: []string{at + "signed-out"}})
	p, _ := start(t, []string{"OP_GOOGLE=" + op.Google, "OP_SECRET=" + testpeer.OIDCClientSecret}, "run", "--config", file, "--adapter", "caddyfile")
	return s.ready(t, p, port, admin), op
}

// through signs in at the provider with a browser of the gateway's and returns the
// gateway's answer to what the provider said.
func (b *browser) through(d *demo, login, query string) *answer {
	b.t.Helper()
	res := b.get("/.crmgate/sso/google/start"+query, "Accept", "text/html", "Sec-Fetch-Mode", "navigate")
	if res.StatusCode != http.StatusSeeOther && res.StatusCode != http.StatusFound {
		b.t.Fatalf("starting at the provider: %s %s", res.Status, res.text())
	}
	c := &http.Client{Jar: b.Jar, Transport: b.Transport, Timeout: 20 * time.Second}
	back, err := testpeer.OIDCSignIn(c, res.Header.Get("Location"), login, d.Gateway+"/.crmgate/sso/google/callback")
	if err != nil {
		b.t.Fatal(err)
	}
	return b.get(back.String(), "Accept", "text/html", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Site", "cross-site")
}

// R022: everybody signs in at the provider; who is not in the directory, is not
// active, or comes with a password is refused; the break-glass administrator is not.
func TestSignInProvider(t *testing.T) {
	crm := new(recorder)
	s := &setup{crm: serve(t, crm), policy: providerPolicy}
	d, _ := withProvider(t, s)
	for email, role := range map[string]string{
		"sally@example.test": "sales_user", "mark@example.test": "sales_user", "root@example.test": "administrator",
	} {
		d.add(t, email, role, crmUser{})
	}
	page := d.browser(t).get("/.crmgate/sign-in", "Accept", "text/html")
	if !strings.Contains(page.text(), "/.crmgate/sso/google/start") {
		t.Error("the sign-in page does not lead to the provider")
	}

	b := d.browser(t)
	if res := b.through(d, "sally", "?return=%2Fapp%2Fleads"); res.StatusCode != http.StatusSeeOther || !b.inside() {
		t.Fatalf("signing in at the provider: %s %s\n%s", res.Status, res.text(), d.log())
	} else if at, _ := url.QueryUnescape(res.Header.Get("Location")); !strings.HasSuffix(at, "return=/app/leads") {
		t.Errorf("the browser is sent to %s", at)
	}
	if res := d.browser(t).signIn("sally@example.test", password); res.StatusCode != http.StatusUnauthorized || res.reason() != "wrong_credentials" {
		t.Errorf("a password in spite of the provider: %s %s", res.Status, res.text())
	}
	root := d.browser(t)
	if res := root.signIn("root@example.test", password); res.StatusCode != http.StatusOK || !root.inside() {
		t.Errorf("the break-glass administrator: %s %s", res.Status, res.text())
	}
	for login, why := range map[string]string{
		"stranger": "the directory has nobody", "unverified": "not verified", "private": "no organisation", "guest": "another organisation",
	} {
		c := d.browser(t)
		if res := c.through(d, login, ""); res.StatusCode == http.StatusSeeOther || c.inside() {
			t.Errorf("%s is let in: %s", login, res.Status)
		}
		if audit := d.admin(t, http.MethodGet, "/crmgate/audit?decision=deny", ""); !strings.Contains(audit, why) {
			t.Errorf("the audit does not say that %s was refused since %s", login, why)
		}
	}
	if audit := d.admin(t, http.MethodGet, "/crmgate/audit?email=root@example.test", ""); !strings.Contains(audit, "break-glass") {
		t.Error("breaking the glass is not in the audit")
	}
	if out, err := d.command(t, "", "identity", "test", "google"); err != nil || !strings.Contains(out, "discovery") {
		t.Errorf("testing the provider: %v\n%s", err, out)
	}
	// R022: an account that is deactivated here is refused whatever the provider says.
	if out, err := d.command(t, "", "user", "deactivate", "sally@example.test"); err != nil {
		t.Fatalf("deactivating: %v\n%s", err, out)
	}
	if b.inside() {
		t.Error("a deactivated person goes on working")
	}
	if c := d.browser(t); c.through(d, "sally", "").StatusCode == http.StatusSeeOther {
		t.Error("a deactivated person signs in through the provider")
	}
	for _, secret := range []string{testpeer.OIDCClientSecret, "eyJhbGciOi"} {
		if strings.Contains(d.log(), secret) || strings.Contains(d.admin(t, http.MethodGet, "/crmgate/audit", ""), secret) {
			t.Error("log or audit holds a secret or a token")
		}
	}
}

// A second factor of the gate's own is asked after the provider too; the grant is
// kept until there is a session, and the same person proves himself again there.
func TestSignInProviderThenFactor(t *testing.T) {
	crm := new(recorder)
	s := &setup{crm: serve(t, crm), policy: strings.Replace(providerPolicy, "    provider: google", "    second_factor: {mandate: all}\n    provider: google", 1)}
	d, _ := withProvider(t, s)
	d.add(t, "mark@example.test", "sales_user", crmUser{})
	b := d.browser(t)
	res := b.through(d, "mark", "")
	if b.inside() || !strings.HasPrefix(res.Header.Get("Location"), "/.crmgate/step") {
		t.Fatalf("the provider alone opens the CRM: %s %s", res.Status, res.Header.Get("Location"))
	}
	step := b.cookie(t, "__Host-crmgate_step")
	var e struct{ Secret string }
	b.with(step, "/.crmgate/api/factors/begin", map[string]string{"kind": "totp"}).json(t, &e)
	done := b.with(step, "/.crmgate/api/factors/finish", map[string]string{"kind": "totp", "code": codeAt(t, e.Secret, time.Now())})
	if done.StatusCode != http.StatusOK || !b.inside() {
		t.Fatalf("setting up a factor after the provider: %s %s", done.Status, done.text())
	}
	// The session knows its provider: signing out here leads there.
	out := b.send(http.MethodPost, "/.crmgate/sign-out", "", "Content-Type", "application/x-www-form-urlencoded", "Accept", "text/html")
	if b.inside() {
		t.Errorf("signing out: %s", out.Status)
	}
	if !strings.Contains(out.text()+out.Header.Get("Location"), "/logout?client_id=crmgate") {
		t.Errorf("signing out does not lead to the provider: %s %s %s", out.Status, out.Header.Get("Location"), out.text())
	}
}
