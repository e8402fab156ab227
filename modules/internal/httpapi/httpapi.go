// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// Package httpapi checks passwords by asking another system's HTTP API: a
// configured request that holds the e-mail address and the password, and a rule
// that says which answers mean "right".
//
// There are three results, and they are kept apart. Right: the status is one of
// Config.Success, the value in the answer is the one asked for, and the address in
// it, where one is asked for, is the person's. Wrong: the status is one of
// Config.Wrong, or one of Success with another value or another address, or without
// them. Everything else is unavailable and says nothing about the password: no
// answer in time, TLS that does not hold, a redirect, any other status, an answer
// that is too large, compressed, or, where a value is asked for, not strict JSON.
//
// The request goes over TLS; plain HTTP is taken for loopback addresses written as
// such. The address that is really connected to is checked, after every look-up of
// the name: a private, local or otherwise special one is refused unless
// Config.Private holds it. Redirects are not followed, no proxy of the environment is
// used, no answer is remembered.
//
// An account that is not in the directory is asked for as well, with the same
// request, so that the time of an answer does not tell who has an account.
package httpapi

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"time"
	"unicode/utf8"

	"github.com/crmgate/crmgate/modules/internal/address"
	"github.com/crmgate/crmgate/modules/internal/clock"
	"github.com/crmgate/crmgate/modules/internal/directory"
	"github.com/crmgate/crmgate/modules/internal/password"
	"github.com/crmgate/crmgate/modules/internal/records"
	"github.com/crmgate/crmgate/modules/internal/signin"
	"github.com/crmgate/crmgate/modules/internal/vault"
)

// Defaults and bounds of Config.
const (
	DefaultTimeout     = 5 * time.Second
	MaxTimeout         = 30 * time.Second
	DefaultConcurrency = 16
	MaxConcurrency     = 256
	MaxAnswer          = 64 << 10 // bytes of an answer's body
	maxAnswerHead      = 16 << 10
)

// ErrUnavailable wraps every failure to get an answer that can be judged. It says
// nothing about the password.
var ErrUnavailable = errors.New("the sign-in service did not give an answer that can be judged")

// Config is one API. URL and, for POST and PUT, Body must be set.
type Config struct {
	Method      string // GET, POST or PUT; "": POST
	URL         string // may hold {email} and {password} in values of its query
	ContentType string // application/json (the default), another +json, or application/x-www-form-urlencoded
	Body        string // a template with {email} and {password}; none for GET
	Headers     map[string]vault.Secret

	Success []int // statuses; empty: 200
	Wrong   []int // statuses; empty: 400, 401, 403, 404, 422
	// Pointer is a JSON pointer (RFC 6901) into the answer, and Equals the JSON value
	// there that means "right": a string, number or boolean. Both or none.
	Pointer, Equals string
	// Email is a JSON pointer to the person's address in an answer that means "right";
	// "": none is looked for.
	Email string

	Timeout     time.Duration  // of one request, the wait for a turn included; 0: DefaultTimeout
	Concurrency int            // requests at a time; 0: DefaultConcurrency
	Private     []netip.Prefix // special networks that may be connected to nevertheless
	Roots       *x509.CertPool // nil: the machine's
	Clock       clock.Clock    // nil: the machine's
	Log         *slog.Logger   // an answer for another address than was asked for; nil: nowhere
}

// Provider is a signin.PasswordProvider. Safe for concurrent use.
type Provider struct {
	c      Config
	t      template
	rule   rule
	client *http.Client
	slots  chan struct{}
}

var _ signin.PasswordProvider = (*Provider)(nil)

// New checks the configuration and returns a Provider. It connects to nothing.
func New(c Config) (*Provider, error) {
	p, err := build(c)
	if err != nil {
		return nil, fmt.Errorf("configuring the sign-in API: %w", err)
	}
	return p, nil
}

func build(c Config) (*Provider, error) {
	if c.Method == "" {
		c.Method = http.MethodPost
	}
	if c.ContentType == "" {
		c.ContentType = "application/json"
	}
	if c.Timeout == 0 {
		c.Timeout = DefaultTimeout
	}
	if c.Concurrency == 0 {
		c.Concurrency = DefaultConcurrency
	}
	if c.Clock == nil {
		c.Clock = clock.System{}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Timeout < 0 || c.Timeout > MaxTimeout {
		return nil, fmt.Errorf("timeout %v: use up to %v", c.Timeout, MaxTimeout)
	}
	if c.Concurrency < 0 || c.Concurrency > MaxConcurrency {
		return nil, fmt.Errorf("concurrency %d: use 1 to %d", c.Concurrency, MaxConcurrency)
	}
	p := &Provider{c: c, slots: make(chan struct{}, c.Concurrency)}
	var err error
	if p.t, err = parseTemplate(c); err != nil {
		return nil, err
	}
	if err := checkHeaders(c.Headers); err != nil {
		return nil, err
	}
	if p.rule, err = parseRule(c); err != nil {
		return nil, err
	}
	for _, n := range c.Private {
		if !n.IsValid() || n.Bits() == 0 {
			return nil, fmt.Errorf("private network %v: name the networks the service is in, not all of them", n)
		}
	}
	dialer := address.Dialer(c.Private, c.Timeout)
	p.client = &http.Client{
		Transport: &http.Transport{
			Proxy: nil, DialContext: dialer.DialContext,
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: c.Roots},
			DisableCompression:     true, // and a coding nobody asked for is not judged
			MaxResponseHeaderBytes: maxAnswerHead,
			MaxConnsPerHost:        c.Concurrency, MaxIdleConnsPerHost: c.Concurrency, IdleConnTimeout: time.Minute,
			TLSHandshakeTimeout: c.Timeout, ResponseHeaderTimeout: c.Timeout,
			ForceAttemptHTTP2: true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return p, nil
}

// Name is the provider's name in audit and metrics.
func (*Provider) Name() string { return "httpapi" }

// Close ends idle connections.
func (p *Provider) Close() { p.client.CloseIdleConnections() }

// Password asks the API. The person is the directory's: nobody is made. Errors are
// signin.ErrWrong, signin.ErrBusy, and those that wrap ErrUnavailable.
func (p *Provider) Password(ctx context.Context, env signin.Env, email, pw string) (records.Person, error) {
	if !usable(pw) {
		return records.Person{}, signin.ErrWrong
	}
	email, err := directory.ParseEmail(email)
	if err != nil {
		return records.Person{}, signin.ErrWrong
	}
	person, known := env.Directory.ByEmail(email)
	report, err := p.ask(ctx, email, pw)
	switch {
	case err != nil:
		return records.Person{}, err
	case report.Decision == Unavailable:
		return records.Person{}, fmt.Errorf("%w: %s", ErrUnavailable, report.Rule)
	case report.Decision != Right || !known:
		if report.Mismatch {
			p.c.Log.Warn("the sign-in API answered for another address than it was asked for", slog.Int("status", report.Status))
		}
		return records.Person{}, signin.ErrWrong
	}
	return *person, nil
}

// usable refuses passwords no account can have, without asking anybody.
func usable(pw string) bool { return pw != "" && len(pw) <= password.MaxBytes && utf8.ValidString(pw) }

// ask sends one request and judges the answer. Errors are signin.ErrBusy and the
// context's; everything the API does is in the report.
func (p *Provider) ask(ctx context.Context, email, pw string) (report Report, err error) {
	outer := ctx
	ctx, cancel := context.WithTimeout(ctx, p.c.Timeout)
	defer cancel()
	report = p.blank()
	select {
	case p.slots <- struct{}{}:
		defer func() { <-p.slots }()
	case <-ctx.Done():
		if err := outer.Err(); err != nil {
			return report, fmt.Errorf("asking the sign-in API: %w", err)
		}
		return report, signin.ErrBusy
	}
	begin := p.c.Clock.Now()
	defer func() { report.Took = p.c.Clock.Now().Sub(begin) }()
	req, err := p.request(ctx, email, pw)
	if err != nil {
		return report, errors.New("asking the sign-in API: the request cannot be made") // the cause may quote the URL
	}
	resp, err := p.client.Do(req)
	if err != nil {
		if err := outer.Err(); err != nil {
			return report, fmt.Errorf("asking the sign-in API: %w", err)
		}
		report.unavailable(reason(err))
		return report, nil
	}
	defer resp.Body.Close()
	report.Status, report.ContentType = resp.StatusCode, resp.Header.Get("Content-Type")
	body, err := io.ReadAll(io.LimitReader(resp.Body, MaxAnswer+1))
	report.Bytes = len(body)
	switch {
	case outer.Err() != nil:
		return report, fmt.Errorf("asking the sign-in API: %w", outer.Err())
	case err != nil:
		report.unavailable("the answer broke off: " + reason(err))
	case len(body) > MaxAnswer:
		report.unavailable(fmt.Sprintf("the answer is larger than %d bytes", MaxAnswer))
	case resp.Header.Get("Content-Encoding") != "":
		report.unavailable("the answer is in a coding that was not asked for")
	default:
		p.rule.judge(&report, body, email)
	}
	return report, nil
}

// request fills the template.
func (p *Provider) request(ctx context.Context, email, pw string) (*http.Request, error) {
	body := p.t.body.fill(email, pw, p.t.escape)
	u := *p.t.url
	u.RawQuery = p.t.query.fill(email, pw, escapeQuery)
	req, err := http.NewRequestWithContext(ctx, p.c.Method, u.String(), bytes.NewReader([]byte(body)))
	if err != nil {
		return nil, err
	}
	req.GetBody = nil // what was sent is not sent again on another connection
	for name, value := range p.c.Headers {
		req.Header.Set(name, string(value.Reveal()))
	}
	if p.c.Method != http.MethodGet {
		req.Header.Set("Content-Type", p.c.ContentType)
	}
	if req.Header.Get("Accept") == "" {
		req.Header.Set("Accept", "application/json")
	}
	if req.Header.Get("User-Agent") == "" {
		req.Header.Set("User-Agent", "crmgate")
	}
	req.Header.Set("Cache-Control", "no-store")
	return req, nil
}
