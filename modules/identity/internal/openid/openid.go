// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// Package openid is what the guests that speak OpenID Connect have in common: the
// options every one of them takes, and how they become a provider.
package openid

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/crmgate/crmgate/modules/internal/oidc"
	"github.com/crmgate/crmgate/modules/internal/vault"
)

// Options are those of every OpenID Connect guest.
type Options struct {
	// The provider's name in paths, audit and metrics: 1 to 32 letters a-z, digits
	// and -. Default: the guest's own name.
	ProviderName string `json:"name,omitempty"`
	// What people read on the button. Default: the guest's own.
	ProviderLabel string `json:"label,omitempty"`
	// The id under which the provider knows the gate.
	ClientID string `json:"client_id,omitempty"`
	// The secret that belongs to it, as a reference: {env.NAME} or {file./path}. The
	// configuration can be read back; the secret never stands in it.
	ClientSecret string `json:"client_secret,omitempty"`
	// Scopes asked for beside openid.
	Scopes []string `json:"scopes,omitempty"`
	// How often the provider is asked whether a sign-in still holds, from 1m. 0:
	// never.
	Recheck caddy.Duration `json:"recheck,omitempty"`
	// By how much clocks may differ, up to 5m. Default: 1m.
	ClockSkew caddy.Duration `json:"clock_skew,omitempty"`
	// Ask for answers by POST, so that no code stands in an address.
	FormPost bool `json:"form_post,omitempty"`
	// A file with PEM certificates the provider's TLS certificate must chain to.
	// Default: those the system trusts.
	CAFile string `json:"ca_file,omitempty"`
}

// reference is the one form in which a secret may stand in the configuration.
var reference = regexp.MustCompile(`^\{(env\.[A-Za-z_][A-Za-z0-9_]*|file\.[^{}]+)\}$`)

// Head reads `<guest> [<name>]`, the part in front of the block.
func (o *Options) Head(d *caddyfile.Dispenser) error {
	d.Next() // consume guest name
	if d.NextArg() {
		o.ProviderName = d.Val()
	}
	if d.NextArg() {
		return d.ArgErr()
	}
	return nil
}

// Blocks reads the block: options of every guest here, others by own, which says
// false for one it does not know. An option that is given twice is an error.
func (o *Options) Blocks(d *caddyfile.Dispenser, own func(name string) (bool, error)) error {
	seen := map[string]bool{}
	for d.NextBlock(0) {
		name := d.Val()
		if seen[name] {
			return d.Errf("%s is given twice", name)
		}
		seen[name] = true
		known, err := o.option(d, name)
		if err == nil && !known {
			if known, err = own(name); err == nil && !known {
				err = d.Errf("unrecognized option %q", name)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (o *Options) option(d *caddyfile.Dispenser, name string) (bool, error) {
	switch name {
	case "label":
		return true, One(d, &o.ProviderLabel)
	case "client_id":
		return true, One(d, &o.ClientID)
	case "client_secret":
		return true, One(d, &o.ClientSecret)
	case "ca":
		return true, One(d, &o.CAFile)
	case "scopes":
		if o.Scopes = d.RemainingArgs(); len(o.Scopes) == 0 {
			return true, d.ArgErr()
		}
		return true, nil
	case "recheck":
		return true, duration(d, &o.Recheck)
	case "clock_skew":
		return true, duration(d, &o.ClockSkew)
	case "form_post":
		o.FormPost = true
		return true, None(d)
	}
	return false, nil
}

// One reads exactly one argument.
func One(d *caddyfile.Dispenser, dst *string) error {
	if !d.AllArgs(dst) {
		return d.ArgErr()
	}
	return nil
}

// None makes sure that there is no argument.
func None(d *caddyfile.Dispenser) error {
	if d.NextArg() {
		return d.ArgErr()
	}
	return nil
}

func duration(d *caddyfile.Dispenser, dst *caddy.Duration) error {
	var s string
	if err := One(d, &s); err != nil {
		return err
	}
	v, err := caddy.ParseDuration(s)
	if err != nil || v <= 0 {
		return d.Errf("%q is not a duration above zero, such as 30s or 15m", s)
	}
	*dst = caddy.Duration(v)
	return nil
}

// Config is the part of a provider's configuration that these options say, with
// references resolved. name and label are the guest's own.
func (o *Options) Config(name, label string) (oidc.Config, error) {
	c := oidc.Config{
		Name: name, Label: label, Scopes: o.Scopes, Recheck: time.Duration(o.Recheck), Skew: time.Duration(o.ClockSkew), FormPost: o.FormPost,
	}
	if o.ProviderName != "" {
		c.Name = o.ProviderName
	}
	if o.ProviderLabel != "" {
		c.Label = o.ProviderLabel
	}
	fail := func(err error) (oidc.Config, error) {
		return oidc.Config{}, fmt.Errorf("reading identity %s: %w", c.Name, err)
	}
	var err error
	if c.ClientID, err = Resolve(o.ClientID); err != nil {
		return fail(fmt.Errorf("client_id: %w", err))
	}
	if c.ClientSecret, err = secret(o.ClientSecret); err != nil {
		return fail(err)
	}
	if o.CAFile != "" {
		if c.HTTP, err = trusting(o.CAFile); err != nil {
			return fail(err)
		}
	}
	return c, nil
}

// Resolve replaces placeholders of the environment and of files.
func Resolve(s string) (string, error) {
	out, err := caddy.NewReplacer().ReplaceOrErr(s, true, true)
	if err != nil {
		return "", fmt.Errorf("resolving the placeholder: %w", err)
	}
	return strings.TrimSpace(out), nil
}

// secret resolves a reference. Anything else is refused without being repeated.
func secret(ref string) (vault.Secret, error) {
	switch {
	case ref == "":
		return vault.Secret{}, errors.New("client_secret: it is missing; put it into the environment and write {env.NAME}, or into a file and write {file./path}")
	case !reference.MatchString(ref):
		return vault.Secret{}, errors.New("client_secret: the secret stands in the configuration; put it into the environment and write {env.NAME}, or into a file and write {file./path}")
	}
	s, err := Resolve(ref)
	switch {
	case err != nil:
		return vault.Secret{}, fmt.Errorf("client_secret: %s names nothing", ref)
	case s == "":
		return vault.Secret{}, fmt.Errorf("client_secret: %s is empty", ref)
	}
	return vault.NewSecret([]byte(s)), nil
}

// trusting is a transport that believes the certificates of a file only. A file
// without one is an error.
func trusting(file string) (http.RoundTripper, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("ca: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("ca: %s holds no PEM certificate", file)
	}
	t := http.DefaultTransport.(*http.Transport).Clone() //nolint:forcetypeassert // the standard library's own
	t.MaxResponseHeaderBytes = 64 << 10
	t.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	return t, nil
}
