// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package crmgate

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/crmgate/crmgate/modules/internal/records"
	"github.com/crmgate/crmgate/modules/internal/signin"
	"github.com/crmgate/crmgate/policy"
	"github.com/crmgate/crmgate/policy/maps"
)

// elsewhere is a provider people are sent to.
type elsewhere struct{ name string }

func (e elsewhere) Name() string  { return e.name }
func (e elsewhere) Label() string { return "Elsewhere" }
func (elsewhere) Begin(context.Context, signin.Env, signin.Flow) (signin.Next, []byte, error) {
	return signin.Next{}, nil, nil
}
func (elsewhere) FlowID(*http.Request) (string, error) { return "", nil }
func (elsewhere) Finish(context.Context, signin.Env, *http.Request, []byte) (signin.Proof, error) {
	return signin.Proof{}, nil
}

// here is a provider that checks passwords.
type here struct{ name string }

func (h here) Name() string { return h.name }
func (here) Password(context.Context, signin.Env, string, string) (records.Person, error) {
	return records.Person{}, signin.ErrWrong
}

// What signing in needs and lacks is an error at start, in one line that says how
// to mend it; a secret that is written out is never accepted.
func TestSignInConfigIsChecked(t *testing.T) {
	mail := func(change func(*MailConfig)) *MailConfig {
		m := &MailConfig{Host: "smtp.example.com", From: "crmgate@example.com"}
		change(m)
		return m
	}
	for _, c := range []struct {
		name string
		app  *App
		want string // "" is good
	}{
		{"nothing", &App{}, ""},
		{"a provider elsewhere without an origin", &App{redirects: []signin.RedirectProvider{elsewhere{"google"}}}, "provider google sends people away and back"},
		{"mail without an origin", &App{Config: Config{Mail: mail(func(*MailConfig) {})}}, "mail carries links"},
		{"an origin with a slash", &App{Config: Config{Origin: "https://crm.example.com/"}}, "without a slash at the end"},
		{"an origin in clear", &App{Config: Config{Origin: "http://crm.example.com"}}, "is not https://"},
		{"an origin with a user", &App{Config: Config{Origin: "https://a@crm.example.com"}}, "is not https://"},
		{"an origin in capitals", &App{Config: Config{Origin: "https://CRM.example.com"}}, "small letters"},
		{"an origin", &App{Config: Config{Origin: "https://crm.example.com:8443"}}, ""},
		{"a password written out", &App{Config: Config{Origin: "https://a.b", Mail: mail(func(m *MailConfig) { m.User, m.Password = "u", "hunter22" })}}, "the password stands in the configuration"},
		{"a user without a password", &App{Config: Config{Origin: "https://a.b", Mail: mail(func(m *MailConfig) { m.User = "u" })}}, "go together"},
		{"half TLS", &App{Config: Config{Origin: "https://a.b", Mail: mail(func(m *MailConfig) { m.TLS = "maybe" })}}, "starttls, implicit or none"},
		{"no sender", &App{Config: Config{Origin: "https://a.b", Mail: mail(func(m *MailConfig) { m.From = "" })}}, "host and from are needed"},
		{"mail", &App{Config: Config{Origin: "https://a.b", Mail: mail(func(m *MailConfig) { m.User, m.Password = "u", "{env.X}" })}}, ""},
		{"a webhook's secret written out", &App{Config: Config{SMS: &SMSConfig{URL: "https://a.b", Secret: "hunter22"}}}, "the secret stands in the configuration"},
		{"a webhook without an address", &App{Config: Config{SMS: &SMSConfig{Secret: "{env.X}"}}}, "url and secret are needed"},
	} {
		t.Run(c.name, func(t *testing.T) { wantError(t, c.app.checkSignIn(), c.want) })
	}
}

func wantError(t *testing.T, err error, want string) {
	t.Helper()
	switch {
	case want == "" && err != nil:
		t.Errorf("refused: %v", err)
	case want != "" && err == nil:
		t.Errorf("accepted, want %q", want)
	case want != "" && !strings.Contains(err.Error(), want):
		t.Errorf("got %v, want %q", err, want)
	case err != nil && (strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), "hunter22")):
		t.Errorf("more than a line, or a secret: %v", err)
	}
}

func TestProvidersHaveNames(t *testing.T) {
	a := new(App)
	for _, p := range []any{here{"local"}, elsewhere{"google"}, here{"httpapi"}} {
		if err := a.takeProvider(p); err != nil {
			t.Fatal(err)
		}
	}
	if len(a.identity) != 2 || len(a.redirects) != 1 {
		t.Errorf("%d check passwords, %d are elsewhere", len(a.identity), len(a.redirects))
	}
	wantError(t, a.takeProvider(elsewhere{"local"}), `two are called "local"`)
	wantError(t, a.takeProvider(struct{}{}), "proves nobody")
}

// A policy that asks for what the gateway is not set up for would lock everybody
// out: it does not replace a good one.
func TestPolicyIsHeldAgainstTheConfiguration(t *testing.T) {
	m, err := maps.Load("leadsquared")
	if err != nil {
		t.Fatal(err)
	}
	bare := &App{providers: map[string]any{"httpapi": here{"httpapi"}}}
	full := &App{
		Config:    Config{Origin: "https://a.b", Mail: &MailConfig{}, SMS: &SMSConfig{}},
		providers: map[string]any{"local": here{"local"}, "google": elsewhere{"google"}},
	}
	for _, c := range []struct {
		signIn, bare, full string
	}{
		{"max_sessions: 1", "", ""},
		{"second_factor: {methods: [passkey]}", "has no origin", ""},
		{"second_factor: {methods: [mail]}", "has no mail", ""},
		{"second_factor: {methods: [sms]}", "has no sms", ""},
		{"provider: google", `no identity provider called "google"`, ""},
		{"provider: httpapi, break_glass: [a@b.c]", "has no `identity local`", `no identity provider called "httpapi"`},
	} {
		d, err := policy.Parse("p", []byte("settings: {sign_in: {"+c.signIn+"}}"))
		if err != nil {
			t.Fatal(err)
		}
		set, err := policy.Compile(d, m)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(c.signIn, func(t *testing.T) {
			wantError(t, bare.checkPolicy(set), c.bare)
			wantError(t, full.checkPolicy(set), c.full)
		})
	}
}

// The bridge that signs in to the CRM says what is missing, and takes an answer
// that hands out less than it was told of for a refusal.
func TestCredentialsBridge(t *testing.T) {
	const at = "https://crm.internal/login"
	for name, c := range map[string]struct {
		b    CredentialsBridge
		want string
	}{
		"no address":     {CredentialsBridge{}, "sign_in is to be an address"},
		"a path":         {CredentialsBridge{SignIn: "/login"}, "sign_in is to be an address"},
		"a secret in it": {CredentialsBridge{SignIn: "https://u:p@crm/login"}, "sign_in is to be an address"},
		"no password":    {CredentialsBridge{SignIn: at, Fields: []CredentialField{{"user", "{user}"}}}, "no field holds {password}"},
		"no pointer":     {CredentialsBridge{SignIn: at, Token: &CredentialToken{Pointer: "token", Header: "Authorization"}}, "token is a JSON pointer and a header"},
		"a bad header":   {CredentialsBridge{SignIn: at, Token: &CredentialToken{Pointer: "/t", Header: "Auth orization"}}, "token is a JSON pointer and a header"},
		"a day too long": {CredentialsBridge{SignIn: at, Lifetime: caddy.Duration(25 * time.Hour)}, "is not within 1m to 24h"},
		"good":           {CredentialsBridge{SignIn: at}, ""},
	} {
		t.Run(name, func(t *testing.T) { wantError(t, c.b.check(), c.want) })
	}

	answer := func(cookies ...string) *http.Response {
		return &http.Response{Header: http.Header{"Set-Cookie": cookies}}
	}
	for _, c := range []struct {
		name    string
		b       CredentialsBridge
		res     *http.Response
		body    string
		cookies []string
		token   string
		good    bool
	}{
		{"every cookie", CredentialsBridge{}, answer("a=1", "b=2; Path=/"), "", []string{"a", "b"}, "", true},
		{"no cookie", CredentialsBridge{}, answer(), "", nil, "", false},
		{"those that are named", CredentialsBridge{Cookies: []string{"b"}}, answer("a=1", "b=2"), "", []string{"b"}, "", true},
		{"one is missing", CredentialsBridge{Cookies: []string{"a", "c"}}, answer("a=1", "b=2"), "", nil, "", false},
		{"an empty cookie", CredentialsBridge{Cookies: []string{"a"}}, answer("a="), "", nil, "", false},
		{"a token", CredentialsBridge{Token: &CredentialToken{Pointer: "/data/0/to~1ken"}}, answer("a=1"), `{"data":[{"to/ken":"t"}]}`, nil, "t", true},
		{"a token that is none", CredentialsBridge{Token: &CredentialToken{Pointer: "/t"}}, answer(), `{"t":7}`, nil, "", false},
		{"a token that would break out", CredentialsBridge{Token: &CredentialToken{Pointer: "/t"}}, answer(), `{"t":"a\r\nX: y"}`, nil, "", false},
		{"no JSON", CredentialsBridge{Token: &CredentialToken{Pointer: "/t"}}, answer(), `<html>`, nil, "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.b.Lifetime = caddy.Duration(time.Hour)
			k := &crmLogins{bridge: &c.b, app: new(App)}
			l, err := k.take(c.res, []byte(c.body))
			if (err == nil) != c.good {
				t.Fatalf("took %+v, %v", l, err)
			}
			if err != nil {
				return
			}
			var names []string
			for _, x := range l.Cookies {
				names = append(names, x.Name)
			}
			if !slices.Equal(names, c.cookies) || l.Token != c.token {
				t.Errorf("took cookies %q and token %q, want %q and %q", names, l.Token, c.cookies, c.token)
			}
		})
	}
	// A cookie that ends sooner than the bridge's lifetime ends what is kept.
	k := &crmLogins{bridge: &CredentialsBridge{Lifetime: caddy.Duration(time.Hour)}, app: new(App)}
	l, err := k.take(answer("a=1; Max-Age=60"), nil)
	if err != nil || time.Until(l.Until) > 61*time.Second {
		t.Errorf("kept for %s, %v: the CRM ends it after a minute", time.Until(l.Until), err)
	}
}
