// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// Package httpapi proves people by passwords that another system checks, asked
// through its HTTP API.
package httpapi

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/crmgate/crmgate/modules/internal/httpapi"
	"github.com/crmgate/crmgate/modules/internal/records"
	"github.com/crmgate/crmgate/modules/internal/signin"
	"github.com/crmgate/crmgate/modules/internal/vault"
)

func init() {
	caddy.RegisterModule(API{})
}

// API asks another system whether an e-mail address and a password belong together.
// A status, and a value in the answer where one is named, mean "right"; an
// unavailable service is never a wrong password. People must be in the directory:
// nobody is made. A configuration that could not work is an error at start.
type API struct {
	// Method is GET, POST (the default) or PUT.
	Method string `json:"method,omitempty"`
	// URL is https://…; http:// is taken for 127.0.0.1 and [::1] only. {email} and
	// {password} may stand in values of its query, where logs of the other system may
	// keep them: the body is better.
	URL string `json:"url"`
	// ContentType is application/json (the default), another +json, or
	// application/x-www-form-urlencoded. Values are escaped for it.
	ContentType string `json:"content_type,omitempty"`
	// Headers are sent with every request. A secret is a reference: {env.NAME} or
	// {file./path}.
	Headers map[string]string `json:"headers,omitempty"`
	// Body is the template, such as {"user":"{email}","password":"{password}"}.
	Body string `json:"body,omitempty"`
	// Success are the statuses that mean "right" (200), Wrong those that mean "wrong"
	// (400, 401, 403, 404, 422). Every other one means that the service is unavailable.
	Success []int `json:"success,omitempty"`
	Wrong   []int `json:"wrong,omitempty"`
	// Pointer is a JSON pointer into the answer, Equals the JSON value it must find.
	Pointer string `json:"pointer,omitempty"`
	Equals  string `json:"equals,omitempty"`
	// Email is a JSON pointer to the address in the answer, which must be the person's.
	Email string `json:"email,omitempty"`
	// Timeout of a request, up to 30s; default 5s.
	Timeout caddy.Duration `json:"timeout,omitempty"`
	// Concurrency is how many requests run at a time, up to 256; default 16.
	Concurrency int `json:"concurrency,omitempty"`
	// Private are networks, private or local ones, that may be connected to.
	Private []string `json:"private,omitempty"`
	// CA is a PEM file with the only authorities the service's certificate may come
	// from; default: the machine's.
	CA string `json:"ca,omitempty"`

	provider *httpapi.Provider
}

// CaddyModule returns the Caddy module information.
func (API) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "crmgate.identity.httpapi", New: func() caddy.Module { return new(API) }}
}

// UnmarshalCaddyfile sets up the provider from Caddyfile tokens. Syntax:
//
//	identity httpapi {
//		url <url>
//		method GET|POST|PUT
//		content_type <type>
//		header <name> <value>
//		body <template>
//		success <status...>
//		success_value <pointer> <value>
//		wrong <status...>
//		email <pointer>
//		timeout <duration>
//		concurrency <number>
//		private <network...>
//		ca <file>
//	}
func (a *API) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume provider name
	if d.NextArg() {
		return d.ArgErr()
	}
	seen := map[string]bool{}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		name := d.Val()
		if seen[name] && name != "header" && name != "private" {
			return d.Errf("%s is given twice", name)
		}
		seen[name] = true
		if err := a.option(d, name); err != nil {
			return err
		}
	}
	return nil
}

func (a *API) option(d *caddyfile.Dispenser, name string) error {
	args := d.RemainingArgs()
	texts := map[string]*string{"url": &a.URL, "method": &a.Method, "content_type": &a.ContentType, "body": &a.Body, "email": &a.Email, "ca": &a.CA}
	switch text, isText := texts[name]; {
	case isText && len(args) == 1:
		*text = args[0]
		return nil
	case name == "header" && len(args) == 2:
		if a.Headers == nil {
			a.Headers = map[string]string{}
		}
		if _, twice := a.Headers[args[0]]; twice {
			return d.Errf("header %s is given twice", args[0])
		}
		a.Headers[args[0]] = args[1]
		return nil
	case name == "success_value" && len(args) == 2:
		a.Pointer, a.Equals = args[0], args[1]
		return nil
	case name == "success" && len(args) > 0:
		return numbers(d, args, &a.Success)
	case name == "wrong" && len(args) > 0:
		return numbers(d, args, &a.Wrong)
	case name == "private" && len(args) > 0:
		a.Private = append(a.Private, args...)
		return nil
	case name == "timeout" && len(args) == 1:
		t, err := caddy.ParseDuration(args[0])
		if err != nil || t <= 0 {
			return d.Errf("timeout %q: write a time such as 5s", args[0])
		}
		a.Timeout = caddy.Duration(t)
		return nil
	case name == "concurrency" && len(args) == 1:
		n, err := strconv.Atoi(args[0])
		if err != nil || n < 1 {
			return d.Errf("concurrency %q: write a number from 1 to 256", args[0])
		}
		a.Concurrency = n
		return nil
	case isText || strings.Contains(" header success_value success wrong private timeout concurrency ", " "+name+" "):
		return d.ArgErr()
	}
	return d.Errf("%s is no option of identity httpapi", name)
}

func numbers(d *caddyfile.Dispenser, args []string, into *[]int) error {
	for _, arg := range args {
		n, err := strconv.Atoi(arg)
		if err != nil {
			return d.Errf("%q is no HTTP status", arg)
		}
		*into = append(*into, n)
	}
	return nil
}

// sensitive are names of headers whose value must be a reference.
var sensitive = regexp.MustCompile(`(?i)auth|key|token|secret|pass|cookie|sign|cred`)

// reference is a value without anything written out but a scheme such as Bearer.
var reference = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9-]* )?(\{(env|file)\.[^{}]+\})+$`)

// Provision resolves references, reads the authorities and checks everything. It
// connects to nothing.
func (a *API) Provision(ctx caddy.Context) error {
	c := httpapi.Config{
		Method: a.Method, URL: a.URL, ContentType: a.ContentType, Body: a.Body, Success: a.Success, Wrong: a.Wrong,
		Pointer: a.Pointer, Equals: a.Equals, Email: a.Email, Timeout: time.Duration(a.Timeout), Concurrency: a.Concurrency,
		Log: slog.New(ctx.Slogger().Handler()),
	}
	fail := func(err error) error { return fmt.Errorf("reading identity httpapi: %w", err) }
	var err error
	if c.Headers, err = a.headers(); err != nil {
		return fail(err)
	}
	for _, s := range a.Private {
		p, err := netip.ParsePrefix(s)
		if addr, single := netip.ParseAddr(s); single == nil {
			p, err = netip.PrefixFrom(addr, addr.BitLen()), nil
		}
		if err != nil {
			return fail(fmt.Errorf("private %q: this is no network; write 10.1.2.0/24", s))
		}
		c.Private = append(c.Private, p.Masked())
	}
	if a.CA != "" {
		pem, err := os.ReadFile(a.CA)
		if err != nil {
			return fail(fmt.Errorf("ca: %w", err))
		}
		c.Roots = x509.NewCertPool()
		if !c.Roots.AppendCertsFromPEM(pem) {
			return fail(fmt.Errorf("ca %s: there is no certificate in PEM form in it", a.CA))
		}
	}
	if a.provider, err = httpapi.New(c); err != nil {
		return fail(err)
	}
	return nil
}

// headers resolves references. The replacer runs on the configuration alone, never
// on anything a request holds.
func (a *API) headers() (map[string]vault.Secret, error) {
	out := map[string]vault.Secret{}
	for name, value := range a.Headers {
		if sensitive.MatchString(name) && !reference.MatchString(value) {
			return nil, fmt.Errorf("header %s: its value looks like a secret written out, and a configuration can be read back; put it into the environment and write {env.NAME}, or into a file and write {file./path}", name)
		}
		if strings.Contains(value, "{email}") || strings.Contains(value, "{password}") {
			return nil, fmt.Errorf("header %s: {email} and {password} may stand in the query and the body only", name)
		}
		resolved, err := caddy.NewReplacer().ReplaceOrErr(value, true, true) // empty and unknown ones are errors
		if err != nil {
			return nil, fmt.Errorf("header %s: %w", name, err)
		}
		out[name] = vault.NewSecret([]byte(strings.TrimSpace(resolved)))
	}
	return out, nil
}

// Cleanup ends idle connections.
func (a *API) Cleanup() error {
	if a.provider != nil {
		a.provider.Close()
	}
	return nil
}

// Name is the provider's name in audit and metrics.
func (*API) Name() string { return "httpapi" }

// Password asks the service.
func (a *API) Password(ctx context.Context, env signin.Env, email, pw string) (records.Person, error) {
	if a.provider == nil {
		return records.Person{}, errors.New("asking the sign-in API: it is not set up")
	}
	return a.provider.Password(ctx, env, email, pw)
}

// Report is what Probe tells: what was sent, without values, and how the answer was
// judged.
type Report = httpapi.Report

// Probe asks the service as a sign-in would, for a test before people depend on it.
func (a *API) Probe(ctx context.Context, email, pw string) (Report, error) {
	if a.provider == nil {
		return Report{}, errors.New("asking the sign-in API: it is not set up")
	}
	return a.provider.Probe(ctx, email, pw)
}

// Interface guards
var (
	_ signin.PasswordProvider = (*API)(nil)
	_ caddyfile.Unmarshaler   = (*API)(nil)
	_ caddy.Provisioner       = (*API)(nil)
	_ caddy.CleanerUpper      = (*API)(nil)
)
