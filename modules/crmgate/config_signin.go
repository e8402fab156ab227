// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package crmgate

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/crmgate/crmgate/modules/internal/signin"
)

// MailConfig says how the gate sends mail: codes, links, notices.
type MailConfig struct {
	// The SMTP server.
	Host string `json:"host,omitempty"`
	// Default 465 with tls implicit, 587 with starttls, 25 with none.
	Port int `json:"port,omitempty"`
	// `starttls` (default; a server without it is refused), `implicit`, or `none`,
	// which only a loopback address may have.
	TLS string `json:"tls,omitempty"`
	// File of the authority the server's certificate comes from; default the
	// system's authorities.
	CA string `json:"ca,omitempty"`
	// User and password, if the server wants them. The password is given as
	// {env.NAME} or {file./path}.
	User     string `json:"user,omitempty"`
	Password string `json:"password,omitempty"`
	// Address the mail comes from.
	From string `json:"from,omitempty"`
	// How long one mail may take; default 15s.
	Timeout caddy.Duration `json:"timeout,omitempty"`
}

// SMSConfig names the webhook that sends text messages.
type SMSConfig struct {
	// Where the message is posted to; https, or http on a loopback address.
	URL string `json:"url,omitempty"`
	// What the request is signed with, as {env.NAME} or {file./path}.
	Secret string `json:"secret,omitempty"`
	// Private networks the webhook may live in; others are refused.
	Networks []string `json:"networks,omitempty"`
	// File of the authority of its certificate; default the system's authorities.
	CA string `json:"ca,omitempty"`
	// How long one message may take; default 10s.
	Timeout caddy.Duration `json:"timeout,omitempty"`
}

// checkSignIn checks what signing in needs beside the policy. Secrets must be
// references: the configuration can be read back.
func (a *App) checkSignIn() error {
	if err := a.checkOrigin(); err != nil {
		return err
	}
	if m := a.Mail; m != nil {
		switch {
		case m.Host == "" || m.From == "":
			return errors.New("reading mail: host and from are needed")
		case m.Password != "" && !isReference(m.Password):
			return errors.New("reading mail: the password stands in the configuration; write {env.NAME} or {file./path}")
		case (m.User == "") != (m.Password == ""):
			return errors.New("reading mail: user and password go together")
		case m.TLS != "" && m.TLS != "starttls" && m.TLS != "implicit" && m.TLS != "none":
			return fmt.Errorf("reading mail: tls is starttls, implicit or none, not %q", m.TLS)
		case m.Port < 0 || m.Port > 65535:
			return fmt.Errorf("reading mail: %d is no port", m.Port)
		}
	}
	if s := a.SMS; s != nil {
		switch {
		case s.URL == "" || s.Secret == "":
			return errors.New("reading sms: url and secret are needed")
		case !isReference(s.Secret):
			return errors.New("reading sms: the secret stands in the configuration; write {env.NAME} or {file./path}")
		}
	}
	return nil
}

// checkOrigin holds the origin against what needs one: what people are sent back
// to is built from it, and never from a request.
func (a *App) checkOrigin() error {
	if a.Origin == "" {
		switch {
		case len(a.redirects) > 0:
			return fmt.Errorf("reading origin: provider %s sends people away and back; say where the gate is, such as `origin https://crm.example.com`", a.redirects[0].Name())
		case a.Mail != nil:
			return errors.New("reading origin: mail carries links to the gate; say where it is, such as `origin https://crm.example.com`")
		}
		return nil
	}
	u, err := url.Parse(a.Origin)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.Hostname() == "" || u.User != nil || u.Path != "" || u.RawQuery != "" || u.Fragment != "" ||
		strings.ToLower(u.Host) != u.Host {
		return fmt.Errorf("reading origin: %q is not https:// and a host in small letters, without a slash at the end, such as https://crm.example.com", a.Origin)
	}
	return nil
}

// takeProvider sorts a provider of identity by what it can do.
func (a *App) takeProvider(id any) error {
	var name string
	switch p := id.(type) {
	case signin.RedirectProvider:
		name = p.Name()
		a.redirects = append(a.redirects, p)
	case signin.PasswordProvider:
		name = p.Name()
		a.identity = append(a.identity, p)
	default:
		return fmt.Errorf("loading identity providers: %T proves nobody", id)
	}
	if a.providers == nil {
		a.providers = map[string]any{}
	}
	if a.providers[name] != nil {
		return fmt.Errorf("loading identity providers: two are called %q; give one another name", name)
	}
	a.providers[name] = id
	return nil
}
