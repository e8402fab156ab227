// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// Package sms hands short messages to a program of the operator's: a webhook that
// passes them to whatever sends SMS there.
//
// # On the wire
//
// One POST over TLS to the configured address:
//
//	POST /sms HTTP/1.1
//	Content-Type: application/json
//	X-Crmgate-Timestamp: 1893553445
//	X-Crmgate-Signature: v1=5d41402a...
//
//	{"to":"+441632960961","text":"...","id":"m5rkuW3w...","at":"2030-01-02T03:04:05Z"}
//
// The signature is the HMAC-SHA-256, in hex, of the timestamp (Unix seconds, as in
// its header), a dot, and the body as sent, under the shared secret. Whoever
// receives it must compare it in constant time (see Verify), refuse timestamps more
// than five minutes away, and take an id once: a message is never sent twice by the
// gate, but a network may deliver it twice.
//
// Any 2xx means that the message was taken; the answer's body is not looked at.
// 4xx other than 408 and 429 is *RefusedError: this message will never be taken
// (the number is not valid). Everything else, a redirect included, is
// ErrUnavailable. No error holds the text of a message or its number.
//
// # What is refused
//
// An address that is not https (http only to a loopback address), has user
// information or a fragment, or a secret shorter than 16 bytes: an error of New. No
// redirect is followed and no proxy of the environment is used. Addresses of
// private networks, of this machine and of the link are not connected to unless
// listed; what counts is the address that is dialled, whatever the name led to.
package sms

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/crmgate/crmgate/modules/internal/address"
	"github.com/crmgate/crmgate/modules/internal/clock"
	"github.com/crmgate/crmgate/modules/internal/vault"
)

// ErrUnavailable wraps every failure to hand a message over that may pass.
var ErrUnavailable = errors.New("sms: the webhook cannot be reached")

// RefusedError says that the webhook will not take a message.
type RefusedError struct{ Status int }

// Error names the status.
func (e *RefusedError) Error() string {
	return "sms: the webhook refused the message with status " + strconv.Itoa(e.Status)
}

// The headers of a request.
const (
	TimestampHeader = "X-Crmgate-Timestamp"
	SignatureHeader = "X-Crmgate-Signature"
)

// MinSecret is the shortest secret in bytes.
const MinSecret = 16

// MaxText is the longest text in bytes.
const MaxText = 1000

// maxAnswer is as much of an answer as is read, so that a connection can be kept.
const maxAnswer = 64 << 10

// Options of New.
type Options struct {
	URL     string
	Secret  vault.Secret
	Allow   []netip.Prefix // networks that are not public and may be connected to
	Timeout time.Duration  // for one message: 1 s to 1 min; 0: 10 s

	RootCAs *x509.CertPool // nil: the system's
	Clock   clock.Clock    // nil: the machine's
	Rand    io.Reader      // nil: crypto/rand
}

// Sender sends. It is safe for concurrent use.
type Sender struct {
	o      Options
	host   string
	client *http.Client
}

// New checks the settings. It does not connect.
func New(o Options) (*Sender, error) {
	u, err := url.Parse(o.URL)
	if err != nil || u.Host == "" || u.Hostname() == "" || u.User != nil || u.Fragment != "" || u.Opaque != "" {
		return nil, errors.New("checking SMS settings: the url is not of the form https://host/path") // not quoted: it may hold a token
	}
	ip, ipErr := netip.ParseAddr(u.Hostname())
	loopback := ipErr == nil && ip.IsLoopback()
	if u.Scheme != "https" && (u.Scheme != "http" || !loopback) {
		return nil, fmt.Errorf("checking SMS settings: the url begins with %s://; use https, or http to 127.0.0.1", u.Scheme)
	}
	if len(o.Secret.Reveal()) < MinSecret {
		return nil, fmt.Errorf("checking SMS settings: the secret has %d bytes; use at least %d", len(o.Secret.Reveal()), MinSecret)
	}
	if o.Timeout == 0 {
		o.Timeout = 10 * time.Second
	}
	if o.Timeout < time.Second || o.Timeout > time.Minute {
		return nil, fmt.Errorf("checking SMS settings: timeout %v; use 1s to 1m", o.Timeout)
	}
	if o.Clock == nil {
		o.Clock = clock.System{}
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	s := &Sender{o: o, host: u.Host}
	dialer := address.Dialer(o.Allow, o.Timeout)
	s.client = &http.Client{
		Transport: &http.Transport{
			DialContext: dialer.DialContext, TLSClientConfig: &tls.Config{RootCAs: o.RootCAs, MinVersion: tls.VersionTLS12},
			ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 2, MaxConnsPerHost: 16, IdleConnTimeout: 30 * time.Second,
			MaxResponseHeaderBytes: maxAnswer, DisableCompression: true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return s, nil
}

// String names the webhook without its path.
func (s *Sender) String() string { return "SMS webhook at " + s.host }

// Close closes idle connections.
func (s *Sender) Close() { s.client.CloseIdleConnections() }

// message is the body.
type message struct {
	To   string `json:"to"`
	Text string `json:"text"`
	ID   string `json:"id"`
	At   string `json:"at"`
}

// Send hands one message over. to is a number in E.164. Errors: *RefusedError,
// ErrUnavailable.
func (s *Sender) Send(ctx context.Context, to, text string) error {
	if !strings.HasPrefix(to, "+") || len(to) > 16 || text == "" || len(text) > MaxText {
		return errors.New("sending an SMS: the number or the text is none")
	}
	id := make([]byte, 16)
	if _, err := io.ReadFull(s.o.Rand, id); err != nil {
		return fmt.Errorf("sending an SMS: %w", err)
	}
	now := s.o.Clock.Now().UTC()
	body, err := json.Marshal(message{To: to, Text: text, ID: base64.RawURLEncoding.EncodeToString(id), At: now.Format(time.RFC3339)})
	if err != nil {
		return fmt.Errorf("sending an SMS: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, s.o.Timeout)
	defer cancel()
	// A body that cannot be read again: the client must not send it a second time by
	// itself.
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.o.URL, io.NopCloser(bytes.NewReader(body)))
	if err != nil {
		return errors.New("sending an SMS: the url cannot be asked")
	}
	req.ContentLength = int64(len(body))
	stamp := strconv.FormatInt(now.Unix(), 10)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "crmgate")
	req.Header.Set(TimestampHeader, stamp)
	req.Header.Set(SignatureHeader, sign(s.o.Secret, stamp, body))
	res, err := s.client.Do(req)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, withoutURL(err))
	}
	defer func() { _ = res.Body.Close() }()
	_, _ = io.CopyN(io.Discard, res.Body, maxAnswer)
	switch {
	case res.StatusCode/100 == 2:
		return nil
	case res.StatusCode/100 == 4 && res.StatusCode != http.StatusRequestTimeout && res.StatusCode != http.StatusTooManyRequests:
		return &RefusedError{res.StatusCode}
	}
	return fmt.Errorf("%w: it answered with status %d", ErrUnavailable, res.StatusCode)
}

// withoutURL takes the address out of an error: its path may hold a token.
func withoutURL(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}

func sign(secret vault.Secret, stamp string, body []byte) string {
	mac := hmac.New(sha256.New, secret.Reveal())
	mac.Write([]byte(stamp + "."))
	mac.Write(body)
	return "v1=" + hex.EncodeToString(mac.Sum(nil))
}

// maxAge is how far a timestamp may be away.
const maxAge = 5 * time.Minute

// Verify checks the headers of a request as whoever receives it should. It is here
// for receivers in Go and for tests.
func Verify(secret vault.Secret, h http.Header, body []byte, now time.Time) error {
	stamp := h.Get(TimestampHeader)
	at, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil {
		return errors.New("verifying an SMS request: the timestamp is none")
	}
	if age := now.Unix() - at; age > int64(maxAge/time.Second) || age < -int64(maxAge/time.Second) {
		return errors.New("verifying an SMS request: the timestamp is too far away")
	}
	if !hmac.Equal([]byte(sign(secret, stamp, body)), []byte(h.Get(SignatureHeader))) {
		return errors.New("verifying an SMS request: the signature does not fit")
	}
	return nil
}
