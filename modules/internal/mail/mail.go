// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// Package mail sends the few messages the gate writes to people: a code to sign in
// with, a link to set a password, and notice of something new at their account.
//
// A message is handed to the mail server before Send returns, so that a failure is
// shown to the person who waits for it and not found in a queue later. At most
// Options.Parallel are under way; who finds no place within the timeout gets
// ErrBusy. A message the server put off (4yz) or that could not be handed over for
// the network is tried again, Options.Retries times within the same timeout; one it
// refused (5yz) is not.
//
// A wrong setting is an error of New, in one line. TLS is mandatory, implicit or by
// STARTTLS, except with a server on this very machine; a server that does not offer
// it gets no message and no password. An address or a subject that holds a line
// break or another control character is an error, and nothing is sent. Errors hold
// no content of a message; a server's own words may quote the recipient.
package mail

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	netmail "net/mail"
	"net/netip"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/crmgate/crmgate/modules/internal/clock"
	"github.com/crmgate/crmgate/modules/internal/vault"
)

// The ways of TLS.
const (
	Implicit = "implicit" // from the first byte, port 465
	StartTLS = "starttls" // mandatory, port 587
	None     = "none"     // only to a loopback address
)

// ErrBusy is returned when all places were taken for the whole timeout.
var ErrBusy = errors.New("mail: too many messages are under way")

// ErrAddress is returned for an address nothing can be sent to.
var ErrAddress = errors.New("mail: this is no e-mail address")

// Options of New.
type Options struct {
	Host     string // a name, as in the server's certificate, or an address
	Port     int    // 0: 465 for Implicit, 587 for StartTLS, 25 for None
	TLS      string // Implicit, StartTLS or None; "" is StartTLS
	User     string // "": no authentication
	Password vault.Secret
	From     string        // crmgate@example.com or "Acme CRM <crmgate@example.com>"
	Name     string        // what messages call the gate; "" is "crmgate"
	Timeout  time.Duration // for one message with its retries: 1 s to 2 min; 0: 15 s
	Retries  int           // 0 to 5 after the first try
	Parallel int           // 1 to 100; 0: 8

	RootCAs *x509.CertPool // nil: the system's
	Clock   clock.Clock    // for the messages' dates; nil: the machine's
}

// Mailer sends messages. It is safe for concurrent use and keeps no connection.
type Mailer struct {
	o      Options
	from   netmail.Address
	places chan struct{}
}

// New checks the settings. It does not connect: see Probe.
func New(o Options) (*Mailer, error) {
	bad := func(format string, args ...any) (*Mailer, error) {
		return nil, fmt.Errorf("checking mail settings: "+format, args...)
	}
	if o.Host == "" || strings.ContainsFunc(o.Host, unsafe) || strings.ContainsAny(o.Host, " /@") {
		return bad("host %q is no server's name", o.Host)
	}
	ports := map[string]int{Implicit: 465, StartTLS: 587, None: 25}
	if o.TLS == "" {
		o.TLS = StartTLS
	}
	if ports[o.TLS] == 0 {
		return bad("tls %q; use implicit, starttls or none", o.TLS)
	}
	if o.Port == 0 {
		o.Port = ports[o.TLS]
	}
	if o.Port < 1 || o.Port > 65535 {
		return bad("port %d; use 1 to 65535", o.Port)
	}
	if ip, err := netip.ParseAddr(o.Host); o.TLS == None && (err != nil || !ip.IsLoopback()) {
		return bad("tls none is only for 127.0.0.0/8 and ::1, and host is %q", o.Host)
	}
	if (o.User == "") != o.Password.Empty() {
		return bad("user and password belong together")
	}
	if strings.ContainsFunc(o.User, unsafe) {
		return bad("user holds a control character")
	}
	if o.Timeout == 0 {
		o.Timeout = 15 * time.Second
	}
	if o.Timeout < time.Second || o.Timeout > 2*time.Minute {
		return bad("timeout %v; use 1s to 2m", o.Timeout)
	}
	if o.Retries < 0 || o.Retries > 5 {
		return bad("retries %d; use 0 to 5", o.Retries)
	}
	if o.Parallel == 0 {
		o.Parallel = 8
	}
	if o.Parallel < 1 || o.Parallel > 100 {
		return bad("parallel %d; use 1 to 100", o.Parallel)
	}
	if o.Name == "" {
		o.Name = "crmgate"
	}
	if strings.ContainsFunc(o.Name, unsafe) {
		return bad("name holds a control character")
	}
	from, err := address(o.From)
	if err != nil {
		return bad("from %q: %w", o.From, err)
	}
	if o.Clock == nil {
		o.Clock = clock.System{}
	}
	return &Mailer{o: o, from: *from, places: make(chan struct{}, o.Parallel)}, nil
}

// unsafe says whether a character has no place in a header.
func unsafe(r rune) bool {
	return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || r == unicode.ReplacementChar
}

// address parses one mailbox (RFC 5322 section 3.4) without any control character.
func address(s string) (*netmail.Address, error) {
	if len(s) > 512 || strings.ContainsFunc(s, unsafe) {
		return nil, ErrAddress
	}
	a, err := netmail.ParseAddress(s)
	if err != nil || strings.ContainsFunc(a.Address, func(r rune) bool { return unsafe(r) || unicode.IsSpace(r) }) ||
		strings.Count(a.Address, "@") != 1 || strings.ContainsFunc(a.Name, unsafe) {
		return nil, ErrAddress
	}
	return a, nil
}

// recipient parses an address that is nothing but one: no display name, no list.
func recipient(s string) (*netmail.Address, error) {
	a, err := address(s)
	if err != nil || a.Address != s {
		return nil, ErrAddress
	}
	return a, nil
}

// String names the server without the password.
func (m *Mailer) String() string {
	return "mail server " + net.JoinHostPort(m.o.Host, strconv.Itoa(m.o.Port)) + " (" + m.o.TLS + ")"
}

// Probe connects, agrees on TLS, signs in and leaves, without a message. The error
// says in one line what does not work.
func (m *Mailer) Probe(ctx context.Context) error {
	return m.bounded(ctx, func(ctx context.Context) error {
		return m.connect(ctx, nil)
	})
}

// bounded takes a place and bounds the time.
func (m *Mailer) bounded(ctx context.Context, fn func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, m.o.Timeout)
	defer cancel()
	select {
	case m.places <- struct{}{}:
	case <-ctx.Done():
		return errors.Join(ErrBusy, ctx.Err())
	}
	defer func() { <-m.places }()
	return fn(ctx)
}
