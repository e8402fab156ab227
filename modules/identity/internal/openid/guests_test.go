// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package openid_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/crmgate/crmgate/modules/identity/adfs"
	"github.com/crmgate/crmgate/modules/identity/google"
	"github.com/crmgate/crmgate/modules/identity/oidc"
	"github.com/crmgate/crmgate/modules/internal/signin"
)

const planted = "planted-secret-4711"

type guest interface {
	caddyfile.Unmarshaler
	caddy.Provisioner
	signin.RedirectProvider
	Issuer() string
}

// oidcGuest and the others give the guests' Issuer methods, which their fields
// hide, a common form.
type (
	oidcGuest   struct{ *oidc.OIDC }
	googleGuest struct{ *google.Google }
	adfsGuest   struct{ *adfs.ADFS }
)

func (g oidcGuest) Issuer() string   { return g.Provider.Issuer() }
func (g googleGuest) Issuer() string { return g.Provider.Issuer() }
func (g adfsGuest) Issuer() string   { return g.Provider.Issuer() }

func newGuest(kind string) guest {
	switch kind {
	case "oidc":
		return oidcGuest{new(oidc.OIDC)}
	case "google":
		return googleGuest{new(google.Google)}
	}
	return adfsGuest{new(adfs.ADFS)}
}

// read reads a segment of a Caddyfile, without `identity`.
func read(t *testing.T, text string) (guest, error) {
	t.Helper()
	g := newGuest(strings.Fields(text)[0])
	if err := g.UnmarshalCaddyfile(caddyfile.NewTestDispenser(text)); err != nil {
		return g, err
	}
	return g, g.Provision(caddy.Context{})
}

func TestGuests(t *testing.T) {
	t.Setenv("OIDC_SECRET", planted)
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte(planted+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, text, want string }{
		{"generic", `oidc okta {
	issuer https://idp.example.com/tenant
	client_id crmgate
	client_secret {env.OIDC_SECRET}
	client_auth post
	label "Example Inc."
	scopes email profile
	email_claims mail email
	trust_email
	algorithms RS256 ES256
	recheck 15m
	clock_skew 30s
	form_post
}`, "okta|Example Inc.|https://idp.example.com/tenant"},
		{"secret in a file", "oidc {\n issuer https://idp.example.com\n client_id x\n client_secret {file." + file + "}\n}", "oidc|Single sign-on|https://idp.example.com"},
		{"google", "google {\n client_id x\n client_secret {env.OIDC_SECRET}\n hosted_domains example.com\n recheck 1h\n}", "google|Google|https://accounts.google.com"},
		{"adfs", "adfs {\n host adfs.example.com\n client_id x\n client_secret {env.OIDC_SECRET}\n}", "adfs|Company account|https://adfs.example.com/adfs"},
		{"adfs with everything", "adfs staff {\n issuer https://adfs.example.com/adfs\n client_id x\n client_secret {env.OIDC_SECRET}\n email_claims upn\n resource crmgate\n token_issuer http://adfs.example.com/adfs/services/trust\n}", "staff|Company account|https://adfs.example.com/adfs"},
	} {
		t.Run(c.name, func(t *testing.T) {
			g, err := read(t, c.text)
			if err != nil {
				t.Fatal(err)
			}
			if got := g.Name() + "|" + g.Label() + "|" + g.Issuer(); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
			dump, err := json.Marshal(g)
			if err != nil || strings.Contains(string(dump), planted) {
				t.Errorf("the configuration that can be read back is %s, %v", dump, err)
			}
		})
	}
}

func TestGuestsRefuse(t *testing.T) {
	t.Setenv("OIDC_SECRET", planted)
	t.Setenv("EMPTY", "")
	const rest = " client_id x\n client_secret {env.OIDC_SECRET}\n"
	notPEM := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(notPEM, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, text, want string }{
		{"a secret in the configuration", "oidc {\n issuer https://i.example\n client_id x\n client_secret " + planted + "\n}", "{env.NAME}"},
		{"half a reference", "oidc {\n issuer https://i.example\n client_id x\n client_secret " + planted + "{env.OIDC_SECRET}\n}", "{env.NAME}"},
		{"a reference to nothing", "oidc {\n issuer https://i.example\n client_id x\n client_secret {env.NOBODY_SET_THIS}\n}", "NOBODY_SET_THIS"},
		{"an empty secret", "oidc {\n issuer https://i.example\n client_id x\n client_secret {env.EMPTY}\n}", "EMPTY"},
		{"a file that is not there", "oidc {\n issuer https://i.example\n client_id x\n client_secret {file./does/not/exist}\n}", "client_secret"},
		{"no secret", "oidc {\n issuer https://i.example\n client_id x\n}", "client_secret"},
		{"no client", "oidc {\n issuer https://i.example\n client_secret {env.OIDC_SECRET}\n}", "client id"},
		{"no issuer", "oidc {\n" + rest + "}", "issuer"},
		{"an issuer without TLS", "oidc {\n issuer http://idp.example.com\n" + rest + "}", "https"},
		{"an issuer with a query", "oidc {\n issuer https://idp.example.com/?a=1\n" + rest + "}", "issuer"},
		{"the discovery document as issuer", "oidc {\n issuer https://i.example/.well-known/openid-configuration\n" + rest + "}", "in front of"},
		{"HMAC", "oidc {\n issuer https://i.example\n algorithms HS256\n" + rest + "}", "HS256"},
		{"none", "oidc {\n issuer https://i.example\n algorithms none\n" + rest + "}", "none"},
		{"another client authentication", "oidc {\n issuer https://i.example\n client_auth none\n" + rest + "}", "basic or post"},
		{"a skew of an hour", "oidc {\n issuer https://i.example\n clock_skew 1h\n" + rest + "}", "5m"},
		{"a recheck of a second", "oidc {\n issuer https://i.example\n recheck 1s\n" + rest + "}", "1m"},
		{"an option twice", "oidc {\n issuer https://i.example\n issuer https://j.example\n" + rest + "}", "twice"},
		{"an unknown option", "oidc {\n skip_issuer_check\n" + rest + "}", "skip_issuer_check"},
		{"an option without a value", "oidc {\n issuer\n" + rest + "}", "argument"},
		{"two names", "oidc a b {\n" + rest + "}", "argument"},
		{"a file without certificates", "oidc {\n issuer https://i.example\n ca " + notPEM + "\n" + rest + "}", "PEM"},
		{"google without a domain", "google {\n" + rest + "}", "hosted_domains"},
		{"google with an address for a domain", "google {\n hosted_domains sally@example.com\n" + rest + "}", "hosted domain"},
		{"adfs without a host", "adfs {\n" + rest + "}", "host"},
		{"adfs with a path for a host", "adfs {\n host adfs.example.com/adfs\n" + rest + "}", "host"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := read(t, c.text)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("said %v, want a line with %q", err, c.want)
			}
			if err != nil && strings.Contains(err.Error(), planted) {
				t.Errorf("the message repeats the secret: %v", err)
			}
		})
	}
}
