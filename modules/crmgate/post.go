// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package crmgate

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/crmgate/crmgate/modules/internal/factor"
	"github.com/crmgate/crmgate/modules/internal/mail"
	"github.com/crmgate/crmgate/modules/internal/reset"
	"github.com/crmgate/crmgate/modules/internal/sms"
	"github.com/crmgate/crmgate/modules/internal/vault"
	"github.com/crmgate/crmgate/modules/portal"
)

// post is how codes, links and notices reach people.
type post struct {
	mail *mail.Mailer // nil: no mail is sent
	sms  *sms.Sender  // nil: no text messages are sent
}

// noticeTime bounds a message nobody waits for.
const noticeTime = time.Minute

// setUpPost prepares what sends messages; nothing is connected to yet.
func (a *App) setUpPost() error {
	if err := a.setUpSMS(); err != nil {
		return err
	}
	m := a.Mail
	if m == nil {
		return nil
	}
	password, err := secretReference(m.Password)
	if err != nil {
		return fmt.Errorf("reading mail: password: %w", err)
	}
	o := mail.Options{
		Host: m.Host, Port: m.Port, TLS: m.TLS, User: m.User, Password: password, From: m.From, Name: a.Title,
		Timeout: time.Duration(m.Timeout), Retries: 2, Clock: a.clock(),
	}
	if m.CA != "" {
		if o.RootCAs, err = authority(m.CA); err != nil {
			return fmt.Errorf("reading mail: %w", err)
		}
	}
	if a.post.mail, err = mail.New(o); err != nil {
		return fmt.Errorf("reading mail: %w", err)
	}
	return nil
}

// secretReference reads what {env.NAME} or {file./path} refers to.
func secretReference(ref string) (vault.Secret, error) {
	if ref == "" {
		return vault.Secret{}, nil
	}
	value, err := caddy.NewReplacer().ReplaceOrErr(ref, true, true)
	if err != nil {
		return vault.Secret{}, err
	}
	value = strings.TrimRight(value, "\r\n")
	if value == "" {
		return vault.Secret{}, errors.New("what it refers to is empty")
	}
	return secretOf(value), nil
}

// authority reads the certificates of a file.
func authority(file string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate", file)
	}
	return pool, nil
}

// mailCode sends codes by mail; nil when no mail is sent.
func (a *App) mailCode() factor.Sender {
	m := a.post.mail
	if m == nil {
		return nil
	}
	return func(ctx context.Context, msg factor.Message) error {
		return m.SendCode(ctx, msg.To, mail.Code{
			Place: mail.Place{At: msg.At, IP: msg.IP.String(), Agent: msg.Agent},
			Code:  msg.Code, Purpose: string(msg.Purpose), Lifetime: msg.Lifetime,
		})
	}
}

// mailReset sends a link to set a password. It is called after the answer.
func (a *App) mailReset(to string, o reset.Outcome, c portal.Client) {
	if a.post.mail == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), noticeTime)
	defer cancel()
	err := a.post.mail.SendResetLink(ctx, to, mail.ResetLink{
		Place: a.place(c), URL: secretOf(portal.ResetURL(a.Origin, string(o.Token.Reveal()))), Lifetime: reset.Lifetime,
	})
	if err != nil {
		a.logger.Error("a link to reset a password could not be sent", zap.Error(err))
	}
}

func (a *App) place(c portal.Client) mail.Place {
	return mail.Place{At: a.clock().Now(), IP: c.IP.String(), Agent: factor.AgentName(c.UserAgent)}
}

// notices are what people are told about, by mail's own names.
var notices = map[string]bool{
	mail.DeviceTrusted: true, mail.FactorAdded: true, mail.FactorRemoved: true, mail.RecoveryCodes: true, mail.PasswordChanged: true,
}

// notify tells the person by mail what happened to the account, in the background:
// the act does not depend on it.
func (a *attempt) notify(what, label string) {
	m, app, to := a.post.mail, a.app(), a.person.Email
	if m == nil || !notices[what] {
		return
	}
	n := mail.Notice{Place: app.place(a.client), What: what, Label: label}
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), noticeTime)
		defer cancel()
		if err := m.SendNotice(ctx, to, n); err != nil {
			app.logger.Warn("a notice could not be sent", zap.String("what", what), zap.Error(err))
		}
	}()
}
