// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package crmgate

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/crmgate/crmgate/modules/internal/factor"
	"github.com/crmgate/crmgate/modules/internal/mail"
	"github.com/crmgate/crmgate/modules/internal/password"
	"github.com/crmgate/crmgate/modules/internal/records"
	"github.com/crmgate/crmgate/modules/internal/reset"
	"github.com/crmgate/crmgate/modules/internal/sealedform"
	"github.com/crmgate/crmgate/modules/internal/session"
	"github.com/crmgate/crmgate/modules/internal/state"
	"github.com/crmgate/crmgate/modules/portal"
	"github.com/crmgate/crmgate/policy"
)

// What people do with their own passwords.

func (a *App) rules(list []password.Problem) []portal.Rule {
	out := make([]portal.Rule, len(list))
	for i, p := range list {
		out[i] = portal.Rule{Text: p.Text, Kind: string(p.Kind), N: p.N, Set: p.Set, Met: p.Met}
	}
	return out
}

// Rules returns what a new password must meet.
func (b *backend) Rules(context.Context) ([]portal.Rule, error) {
	if _, _, err := b.open(); err != nil {
		return nil, err
	}
	return b.app().rules(b.app().passwordPolicy().Rules()), nil
}

// checkLimit bounds how often an address may have a password judged: it costs work.
var checkLimit = state.Limit{Events: 60, Per: time.Minute}

// CheckPassword says how far a password is from the rules.
func (b *backend) CheckPassword(ctx context.Context, t portal.Ticket, pw string) (portal.PasswordCheck, error) {
	a, err := b.changer(ctx, t)
	if err != nil {
		return portal.PasswordCheck{}, err
	}
	v, err := a.rt.state.Admit(ctx, "password_check/"+a.client.IP.String(), checkLimit)
	switch {
	case err != nil:
		return portal.PasswordCheck{}, refuse(policy.StoreUnavailable)
	case !v.Allowed:
		return portal.PasswordCheck{}, &portal.Refusal{Reason: policy.Throttled, RetryAfter: time.Until(v.RetryAt)}
	}
	who := a.who()
	judged, err := a.app().passwordPolicy().Judge(pw, who)
	switch {
	case errors.Is(err, password.ErrUnusable):
		judged = a.app().passwordPolicy().Rules()
	case err != nil:
		return portal.PasswordCheck{}, a.passwordFailed(err)
	}
	return portal.PasswordCheck{Score: password.Score(pw, who), Rules: a.app().rules(judged)}, nil
}

func (a *attempt) who() password.Person {
	return password.Person{ID: a.person.ID, Name: a.person.Name, Email: a.person.Email}
}

// changer is who may set a password by the right of a ticket.
func (b *backend) changer(ctx context.Context, t portal.Ticket) (*attempt, error) {
	switch {
	case t.Session != "":
		a, _, err := b.self(ctx, t.Session)
		return a, err
	case t.Step != "":
		a, _, p, err := b.resume(ctx, t.Step)
		if err == nil && p.Next() != factor.DueChange {
			err = refuse(policy.NoSession)
		}
		return a, err
	}
	a, err := b.attempt(portal.ClientFrom(ctx))
	if err != nil {
		return nil, err
	}
	info, err := a.doors.resets.Look(ctx, t.Link)
	if err != nil {
		return nil, a.passwordFailed(err)
	}
	person, ok := a.rt.directory.ByID(info.PersonID)
	if !ok || person.Status != records.Active {
		return nil, refuse(policy.NoSession)
	}
	a.person, a.email = person, person.Email
	// Who took the mailbox must not set the password that counts once a lock is over.
	return a, a.judge(ctx)
}

// passwordFailed turns an error of a password's keeper into what the portal shows.
func (a *attempt) passwordFailed(err error) error {
	var soon *password.TooSoonError
	switch {
	case errors.Is(err, password.ErrWrong):
		return refuse(policy.WrongCredentials)
	case errors.Is(err, password.ErrBusy):
		return &portal.Refusal{Reason: policy.Throttled, RetryAfter: 2 * time.Second}
	case errors.As(err, &soon):
		return &portal.WeakPassword{Rules: []portal.Rule{{Kind: "min_age", Text: soon.Error() + " It may be changed again at " + soon.Until.UTC().Format("2 January 2006, 15:04 UTC") + "."}}}
	case errors.Is(err, password.ErrUnusable):
		return &portal.WeakPassword{Rules: a.app().rules(a.app().passwordPolicy().Rules())}
	case errors.Is(err, reset.ErrInvalid), errors.Is(err, password.ErrConflict):
		return refuse(policy.NoSession)
	}
	a.logger.Error("setting a password failed", zap.Error(err))
	if errors.Is(err, state.ErrUnavailable) || errors.Is(err, records.ErrUnavailable) || errors.Is(err, password.ErrBreached) {
		return refuse(policy.StoreUnavailable)
	}
	return refuse(policy.Internal)
}

// weak is the error for a new password that breaks a rule: all that apply are told,
// those that are met marked.
func (a *attempt) weak(err error, pw string) error {
	var broken *password.PolicyError
	if !errors.As(err, &broken) {
		return a.passwordFailed(err)
	}
	judged, jerr := a.app().passwordPolicy().Judge(pw, a.who())
	if jerr != nil {
		judged = nil
	}
	for _, p := range broken.Problems {
		known := false
		for _, j := range judged {
			known = known || j.Kind == p.Kind
		}
		if !known {
			judged = append(judged, p)
		}
	}
	return &portal.WeakPassword{Rules: a.app().rules(judged)}
}

// opened returns old and new password of a change.
func (a *attempt) opened(ctx context.Context, c portal.PasswordChange) (old, pw string, err error) {
	if c.Sealed == "" {
		if _, err := a.unseal(ctx, c.New, ""); err != nil {
			return "", "", err
		}
		return c.Old, c.New, nil
	}
	form, err := a.unseal(ctx, "", c.Sealed)
	if err != nil {
		return "", "", err
	}
	old, pw = string(form.Password.Reveal()), string(form.NewPassword.Reveal())
	if pw == "" { // a form that sets one without the present one
		old, pw = "", old
	}
	return old, pw, nil
}

// ChangePassword changes it.
func (b *backend) ChangePassword(ctx context.Context, t portal.Ticket, c portal.PasswordChange) (portal.SignInResult, error) {
	if t.Session != "" {
		return b.changeOwn(ctx, t.Session, c)
	}
	return b.changeDue(ctx, t, c)
}

// changeOwn is a change by somebody who has a session: it gets a new id, and all
// other sessions end.
func (b *backend) changeOwn(ctx context.Context, token string, c portal.PasswordChange) (portal.SignInResult, error) {
	none := portal.SignInResult{}
	a, s, err := b.self(ctx, token)
	if err != nil {
		return none, err
	}
	f, err := a.doors.factors.Factors(ctx, a.person.ID)
	if err != nil {
		return none, a.stepRefused(err)
	}
	if f.Any() && a.mandate() != policy.FactorOff { // the present password is one factor only
		if err := a.fresh(s); err != nil {
			return none, err
		}
	}
	try, err := a.take(ctx, a.rt.attempts, a.email)
	if err != nil {
		return none, err
	}
	defer func() { _ = try.Release(ctx) }()
	old, pw, err := a.opened(ctx, c)
	if err != nil {
		return none, err
	}
	if err := a.doors.keeper.Change(sparing(ctx, spared{session: s.ID}), a.who(), old, pw); err != nil {
		if errors.Is(err, password.ErrWrong) {
			_ = try.Failure(ctx)
		}
		return none, a.noted(ctx, "password", "changed", a.weak(err, pw))
	}
	_ = try.Success(ctx)
	if err := a.noted(ctx, "password", "changed", nil); err != nil {
		return none, err
	}
	a.notify(mail.PasswordChanged, "")
	return a.rotate(ctx, s, func(n *session.Session) { n.AuthTime = a.app().clock().Now() })
}

// changeDue is a change that is due before there is a session.
func (b *backend) changeDue(ctx context.Context, t portal.Ticket, c portal.PasswordChange) (portal.SignInResult, error) {
	none := portal.SignInResult{}
	a, err := b.changer(ctx, portal.Ticket{Step: t.Step})
	if err != nil {
		return none, err
	}
	_, pw, err := a.opened(ctx, c)
	if err != nil {
		return none, err
	}
	if err := a.stillSet(ctx); err != nil {
		return none, a.noted(ctx, "password", "changed when due", err)
	}
	if a.since, err = a.doors.keeper.Renew(sparing(ctx, spared{step: true}), a.who(), pw); err != nil {
		return none, a.noted(ctx, "password", "changed when due", a.weak(err, pw))
	}
	if err := a.noted(ctx, "password", "changed when due", nil); err != nil {
		return none, err
	}
	a.notify(mail.PasswordChanged, "")
	h := a.holder(t.Step)
	p, err := a.doors.factors.Pass(ctx, h, factor.DueChange)
	if err != nil {
		return none, a.stepRefused(err)
	}
	res, err := a.goOn(ctx, h, &p)
	if err == nil && res.Token != "" { // others that waited with the old password
		_, err = a.doors.factors.EndPendings(ctx, a.person.ID)
		if err != nil {
			return none, a.stepRefused(err)
		}
	}
	return res, err
}

// Forgot mails a link to whom it may be mailed.
func (b *backend) Forgot(ctx context.Context, email string) error {
	a, err := b.attempt(portal.ClientFrom(ctx))
	if err != nil {
		return err
	}
	a.email = email
	if err := a.address(); err != nil {
		return err
	}
	ask := reset.Ask{Email: email, Client: a.client.IP}
	if p, ok := a.rt.directory.ByEmail(email); ok && p.Status == records.Active && a.maySetPassword(p) {
		ask.PersonID, ask.Email, a.person = p.ID, p.Email, p
	}
	out, err := a.doors.resets.Request(ctx, ask)
	if err != nil {
		return a.passwordFailed(err)
	}
	a.detail = string(out.Why)
	if out.Why == reset.AddressThrottled {
		return a.noted(ctx, "forgot", "", &portal.Refusal{Reason: policy.Throttled, RetryAfter: 10 * time.Minute})
	}
	if out.Send {
		// After the answer, so that it takes no longer for those who exist.
		go a.app().mailReset(a.person.Email, out, a.client)
	}
	return a.noted(ctx, "forgot", "", nil)
}

// maySetPassword says whether a password of the gate's own is any use to a person.
func (a *attempt) maySetPassword(p *records.Person) bool {
	only, _ := a.snap.Policy.ProviderFor(p.Email)
	return a.providers["local"] != nil && (only == "" || only == "local")
}

// ResetPassword uses a link once.
func (b *backend) ResetPassword(ctx context.Context, link string, c portal.PasswordChange) error {
	a, err := b.changer(ctx, portal.Ticket{Link: link})
	if err != nil {
		return err
	}
	if err := a.address(); err != nil {
		return err
	}
	_, pw, err := a.opened(ctx, c)
	if err != nil {
		return err
	}
	err = a.doors.resets.Redeem(ctx, link, func(ctx context.Context, personID string) error {
		if personID != a.person.ID {
			return reset.ErrInvalid
		}
		_, err := a.doors.keeper.Renew(ctx, a.who(), pw)
		return err
	})
	if err != nil {
		return a.noted(ctx, "password", "reset by link", a.weak(err, pw))
	}
	a.notify(mail.PasswordChanged, "")
	return a.noted(ctx, "password", "reset by link", nil)
}

// PasswordKey returns a one-time key to encrypt a password with.
func (b *backend) PasswordKey(ctx context.Context) (portal.PasswordKey, error) {
	a, err := b.attempt(portal.ClientFrom(ctx))
	if err != nil {
		return portal.PasswordKey{}, err
	}
	key, err := a.doors.forms.Key(ctx, a.client.IP)
	switch {
	case errors.Is(err, sealedform.ErrTooMany):
		return portal.PasswordKey{}, &portal.Refusal{Reason: policy.Throttled, RetryAfter: time.Minute}
	case err != nil:
		a.logger.Error("making a key for a password failed", zap.Error(err))
		return portal.PasswordKey{}, refuse(policy.StoreUnavailable)
	}
	raw, err := json.Marshal(key)
	if err != nil {
		return portal.PasswordKey{}, refuse(policy.Internal)
	}
	return portal.PasswordKey{JSON: raw, Expires: key.Expires}, nil
}
