// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package crmgate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/crmgate/crmgate/modules/internal/clock"
	"github.com/crmgate/crmgate/modules/internal/httpapi"
	"github.com/crmgate/crmgate/modules/internal/oidc"
	"github.com/crmgate/crmgate/modules/internal/records"
	"github.com/crmgate/crmgate/modules/internal/saml"
	"github.com/crmgate/crmgate/modules/internal/signin"
)

// providerOutput is what the admin API tells of an identity provider.
type providerOutput struct {
	Name  string `json:"name"`
	Kind  string `json:"kind"` // password or redirect
	Label string `json:"label,omitempty"`
	Only  bool   `json:"only,omitempty"` // the policy makes it the only one
}

// identities lists the providers.
func (c *adminCall) identities() (any, error) {
	only := c.app.Snapshot().Policy.Settings().SignIn.Provider
	out := []providerOutput{}
	for name, p := range c.app.providers {
		o := providerOutput{Name: name, Kind: "password", Only: name == only}
		if r, ok := p.(signin.RedirectProvider); ok {
			o.Kind, o.Label = "redirect", r.Label()
		}
		out = append(out, o)
	}
	slices.SortFunc(out, func(a, b providerOutput) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

// checkOutput is one thing a test looked at.
type checkOutput struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`
}

// testOutput is what a test of a provider found.
type testOutput struct {
	Provider string          `json:"provider"`
	OK       bool            `json:"ok"`
	Checks   []checkOutput   `json:"checks"`
	Report   *httpapi.Report `json:"report,omitempty"`
	Error    string          `json:"error,omitempty"`
}

// testIdentity asks a provider what a sign-in would, and signs nobody in. A
// password goes nowhere but to the provider that is tested.
func (c *adminCall) testIdentity() (any, error) {
	var in struct {
		Email    string `json:"email"`
		Password string `json:"password"`
	}
	if err := c.body(&in); err != nil {
		return nil, err
	}
	name := c.r.PathValue("name")
	p, ok := c.app.providers[name]
	if !ok {
		return nil, fmt.Errorf("finding the provider %q: %w", name, records.ErrNotFound)
	}
	out, err := probe(c.r.Context(), p, c.app.clock(), in.Email, in.Password)
	if out == nil {
		return nil, err
	}
	if out.Provider, out.OK = name, err == nil; err != nil {
		out.Error = err.Error()
	}
	if out.Report != nil && out.Report.Decision != httpapi.Right {
		out.OK = false
	}
	return out, c.act("provider_test", in.Email, "tested provider "+name)
}

// probe asks a provider of any kind.
func probe(ctx context.Context, p any, clk clock.Clock, email, pw string) (*testOutput, error) {
	out := &testOutput{Checks: []checkOutput{}}
	switch p := p.(type) {
	case interface {
		Probe(context.Context, clock.Clock) ([]oidc.Check, error)
	}:
		list, err := p.Probe(ctx, clk)
		for _, x := range list {
			out.Checks = append(out.Checks, checkOutput(x))
		}
		return out, err
	case interface {
		Probe(context.Context, clock.Clock) ([]saml.Check, error)
	}:
		list, err := p.Probe(ctx, clk)
		for _, x := range list {
			out.Checks = append(out.Checks, checkOutput(x))
		}
		return out, err
	case interface {
		Probe(ctx context.Context, email, pw string) (httpapi.Report, error)
	}:
		if email == "" || pw == "" {
			return nil, badInput{errors.New("reading the request: email and password are needed to test this provider")}
		}
		r, err := p.Probe(ctx, email, pw)
		out.Report = &r
		return out, err
	}
	return nil, badInput{errors.New("this provider has nothing to test")}
}

// testMail sends one mail.
func (c *adminCall) testMail() (any, error) {
	to, err := c.recipient()
	if err != nil {
		return nil, err
	}
	m := c.app.post.mail
	if m == nil {
		return nil, badInput{errors.New("no mail is sent: the Caddyfile's crmgate block has no mail")}
	}
	if err := m.SendTest(c.r.Context(), to); err != nil {
		return nil, err
	}
	return map[string]bool{"ok": true}, c.act("mail_test", "", "sent a mail")
}

// testSMS sends one text message.
func (c *adminCall) testSMS() (any, error) {
	to, err := c.recipient()
	if err != nil {
		return nil, err
	}
	s := c.app.post.sms
	if s == nil {
		return nil, badInput{errors.New("no text messages are sent: the Caddyfile's crmgate block has no sms")}
	}
	if err := s.Send(c.r.Context(), to, c.app.Title+": this is a test message."); err != nil {
		return nil, err
	}
	return map[string]bool{"ok": true}, c.act("sms_test", "", "sent a text message")
}

func (c *adminCall) recipient() (string, error) {
	var in struct {
		To string `json:"to"`
	}
	if err := c.body(&in); err != nil {
		return "", err
	}
	if in.To == "" {
		return "", badInput{errors.New("reading the request: to is missing")}
	}
	return in.To, nil
}
