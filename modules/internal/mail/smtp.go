// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package mail

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"time"

	gomail "github.com/wneessen/go-mail"
)

// connect opens a connection and sends msg over it; nil: nothing is sent. The
// library gives every command a deadline of its own, so the connection itself is
// closed when ctx ends.
func (m *Mailer) connect(ctx context.Context, msg *gomail.Msg) error {
	var conn net.Conn
	stop := func() bool { return true }
	defer func() { stop() }()
	client, err := m.client(func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, network, addr)
		if err != nil || m.o.TLS != Implicit {
			conn = c
			return c, err
		}
		t := tls.Client(c, m.tlsConfig())
		if err := t.HandshakeContext(ctx); err != nil {
			return nil, errors.Join(err, c.Close())
		}
		conn = t
		return t, nil
	}, func(c net.Conn) { stop = context.AfterFunc(ctx, func() { _ = c.Close() }) })
	if err != nil {
		return fmt.Errorf("preparing to send mail: %w", err)
	}
	session, err := client.DialToSMTPClientWithContext(ctx)
	if conn != nil {
		defer func() { _ = conn.Close() }() // closed already when all went well
	}
	if err != nil {
		return fmt.Errorf("connecting to the %v: %w", m, within(ctx, err))
	}
	if msg != nil {
		if err := client.SendWithSMTPClient(session, msg); err != nil {
			return fmt.Errorf("handing a message to the %v: %w", m, within(ctx, err))
		}
	}
	_ = client.CloseWithSMTPClient(session) // the message was taken; how the server says goodbye does not matter
	return nil
}

// within puts the end of the time before what it broke.
func within(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return errors.Join(ctx.Err(), err)
	}
	return err
}

func (m *Mailer) tlsConfig() *tls.Config {
	return &tls.Config{ServerName: m.o.Host, RootCAs: m.o.RootCAs, MinVersion: tls.VersionTLS12}
}

// client is a client of the library for one connection.
func (m *Mailer) client(dial gomail.DialContextFunc, opened func(net.Conn)) (*gomail.Client, error) {
	policy := gomail.TLSMandatory
	if m.o.TLS == None {
		policy = gomail.NoTLS
	}
	options := []gomail.Option{
		// Its own timeout is for each command; the context's, for all, comes first.
		gomail.WithPort(m.o.Port), gomail.WithTimeout(2 * m.o.Timeout), gomail.WithoutNoop(), gomail.WithTLSPolicy(policy), gomail.WithTLSConfig(m.tlsConfig()),
		gomail.WithDialContextFunc(func(ctx context.Context, network, addr string) (net.Conn, error) {
			c, err := dial(ctx, network, addr)
			if err == nil {
				opened(c)
			}
			return c, err
		}),
	}
	if m.o.TLS == Implicit {
		options = append(options, gomail.WithSSL())
	}
	if m.o.User != "" {
		options = append(options, gomail.WithUsername(m.o.User), gomail.WithPassword(string(m.o.Password.Reveal())),
			gomail.WithOpportunisticSMTPAuth(gomail.SMTPAuthSCRAMSHA256, gomail.SMTPAuthPlain, gomail.SMTPAuthLogin))
	}
	return gomail.NewClient(m.o.Host, options...)
}

// firstPause is how long a message waits before it is tried again; each further
// time twice as long.
const firstPause = 500 * time.Millisecond

// send hands one message over, within the timeout and its retries.
func (m *Mailer) send(ctx context.Context, msg *gomail.Msg) error {
	return m.bounded(ctx, func(ctx context.Context) error {
		pause := firstPause
		for try := 0; ; try++ {
			err := m.connect(ctx, msg)
			if err == nil || try >= m.o.Retries || !temporary(err) {
				return err
			}
			timer := time.NewTimer(pause)
			select {
			case <-timer.C:
			case <-ctx.Done():
				timer.Stop()
				return errors.Join(ctx.Err(), err)
			}
			pause *= 2
		}
	})
}

// temporary says whether the same message may be taken later: the server said so,
// or it could not be asked. A certificate that is wrong stays wrong.
func temporary(err error) bool {
	if refused, ok := errors.AsType[*gomail.SendError](err); ok {
		return refused.IsTemp() || refused.Reason == gomail.ErrConnCheck
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	var network *net.OpError
	var answer *textproto.Error // to the connection itself: too many, try later
	return errors.As(err, &network) || errors.Is(err, io.EOF) || errors.As(err, &answer) && answer.Code/100 == 4
}
