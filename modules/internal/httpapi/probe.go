// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package httpapi

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"maps"
	"net"
	"slices"
	"time"

	"github.com/crmgate/crmgate/modules/internal/directory"
)

// Decision is what an answer means.
type Decision string

// The decisions.
const (
	Right       Decision = "right"
	Wrong       Decision = "wrong"
	Unavailable Decision = "unavailable"
)

// Report is what a test shows: what was sent, with the placeholders instead of the
// values, and how the answer was judged. It holds nothing of the answer's body and
// no value of a header.
type Report struct {
	Method      string        `json:"method"`
	URL         string        `json:"url"`
	Headers     []string      `json:"headers,omitempty"` // names
	Body        string        `json:"body,omitempty"`
	Status      int           `json:"status,omitempty"` // 0: there was no answer
	ContentType string        `json:"content_type,omitempty"`
	Bytes       int           `json:"bytes"`
	Decision    Decision      `json:"decision"`
	Rule        string        `json:"rule"` // which rule decided, in words
	Mismatch    bool          `json:"mismatch,omitempty"`
	Took        time.Duration `json:"took"`
}

func (r *Report) decide(d Decision, rule string) { r.Decision, r.Rule = d, rule }

func (r *Report) unavailable(why string) { r.decide(Unavailable, why) }

// blank is a report of what will be sent.
func (p *Provider) blank() Report {
	u := p.t.url.String()
	if q := p.t.query.String(); q != "" {
		u += "?" + q
	}
	return Report{
		Method: p.c.Method, URL: u, Headers: slices.Sorted(maps.Keys(p.c.Headers)), Body: p.t.body.String(),
		Decision: Unavailable, Rule: "nothing was sent",
	}
}

// Probe asks the API as a sign-in would and says what happened, for the test before
// a provider is switched on. It signs nobody in, and looks into no directory.
func (p *Provider) Probe(ctx context.Context, email, pw string) (Report, error) {
	email, err := directory.ParseEmail(email)
	if err != nil {
		return Report{}, err
	}
	if !usable(pw) {
		return Report{}, errors.New("the password is empty, too long or not UTF-8; no account has such a one")
	}
	return p.ask(ctx, email, pw)
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout()
}

func isTLS(err error) bool {
	var verification *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var alert tls.AlertError
	return errors.As(err, &verification) || errors.As(err, &record) || errors.As(err, &alert)
}

// tlsReason words what an operator can mend.
func tlsReason(err error) string {
	var authority x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &authority):
		return "the certificate was signed by somebody unknown"
	case errors.As(err, &host):
		return "the certificate is for another name"
	case errors.As(err, &invalid):
		return "the certificate has expired or is not valid"
	}
	return "the handshake failed"
}
