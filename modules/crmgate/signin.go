// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package crmgate

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/crmgate/crmgate/modules/internal/attempts"
	"github.com/crmgate/crmgate/modules/internal/audit"
	"github.com/crmgate/crmgate/modules/internal/directory"
	"github.com/crmgate/crmgate/modules/internal/network"
	"github.com/crmgate/crmgate/modules/internal/records"
	"github.com/crmgate/crmgate/modules/internal/session"
	"github.com/crmgate/crmgate/modules/internal/signin"
	"github.com/crmgate/crmgate/modules/portal"
	"github.com/crmgate/crmgate/policy"
)

// backend is what the portal asks: signing in and out, and one's own sessions.
type backend App

func (b *backend) app() *App { return (*App)(b) }

// open returns the snapshot and the stores, or the refusal while they are not open.
func (b *backend) open() (*Snapshot, *runtime, error) {
	snap, rt := b.app().Snapshot(), b.runtime.Load()
	if snap == nil || rt == nil {
		return nil, nil, &portal.Refusal{Reason: policy.StoreUnavailable}
	}
	return snap, rt, nil
}

// SignIn checks a password and starts a session. The order is part of the
// promise: an address that may not sign in is told so before anything else, an
// attempt is counted before the password is looked at, and nobody learns from the
// answer whether an account exists.
func (b *backend) SignIn(ctx context.Context, req portal.SignInRequest) (portal.SignInResult, error) {
	snap, rt, err := b.open()
	if err != nil {
		return portal.SignInResult{}, err
	}
	a := &attempt{app: b.app(), snap: snap, rt: rt, req: req}
	res, err := a.run(ctx)
	if err := a.report(ctx, err); err != nil {
		return portal.SignInResult{}, err
	}
	return res, err
}

// attempt is one sign-in.
type attempt struct {
	app      *App
	snap     *Snapshot
	rt       *runtime
	req      portal.SignInRequest
	provider string
	person   *records.Person
	flags    network.Flags
	detail   string
}

func (a *attempt) run(ctx context.Context) (portal.SignInResult, error) {
	v := a.snap.Network(network.Client{IP: a.req.IP, SignIn: true})
	if a.flags = v.Flags; !v.Allowed {
		a.detail = v.Detail
		if v.Level == network.LevelReputation {
			return portal.SignInResult{}, refuse(policy.IPReputation)
		}
		return portal.SignInResult{}, refuse(policy.IPNotAllowed)
	}
	try, err := a.rt.attempts.Before(ctx, a.req.Email, a.req.IP)
	var wait *attempts.WaitError
	switch {
	case errors.As(err, &wait):
		return portal.SignInResult{}, &portal.Refusal{Reason: policy.Throttled, RetryAfter: time.Until(wait.Until)}
	case err != nil:
		a.detail = "the attempts cannot be counted"
		return portal.SignInResult{}, refuse(policy.StoreUnavailable)
	}
	defer func() { _ = try.Release(ctx) }() // neither right nor wrong: not counted
	if err := a.prove(ctx); err != nil {
		if errors.Is(err, signin.ErrWrong) {
			err = refuse(policy.WrongCredentials)
			if ferr := try.Failure(ctx); ferr != nil {
				err = refuse(policy.StoreUnavailable)
			}
		}
		return portal.SignInResult{}, err
	}
	if err := a.admit(ctx); err != nil {
		return portal.SignInResult{}, err
	}
	if err := try.Success(ctx); err != nil {
		return portal.SignInResult{}, refuse(policy.StoreUnavailable)
	}
	return a.session(ctx)
}

// prove asks the providers in order; the first that says yes is believed.
func (a *attempt) prove(ctx context.Context) error {
	email, err := directory.ParseEmail(a.req.Email)
	if err != nil {
		email = "" // looked up and hashed like every unknown account
	}
	env := signin.Env{Records: a.rt.records, Directory: a.rt.directory, Passwords: a.rt.passwords, Clock: a.app.clock()}
	for _, p := range a.app.identity {
		a.provider = p.Name()
		person, err := p.Password(ctx, env, email, a.req.Password)
		switch {
		case err == nil:
			a.person = &person
			return nil
		case errors.Is(err, signin.ErrBusy):
			return &portal.Refusal{Reason: policy.Throttled, RetryAfter: 2 * time.Second}
		case !errors.Is(err, signin.ErrWrong):
			a.detail = "the provider could not check the password"
			a.app.logger.Error("checking a password failed", zap.String("provider", p.Name()), zap.Error(err))
			return refuse(policy.StoreUnavailable)
		}
	}
	return signin.ErrWrong
}

// admit judges the person behind a right password.
func (a *attempt) admit(ctx context.Context) error {
	if a.person.Status != records.Active {
		return refuse(policy.Deactivated)
	}
	if v := a.snap.NetworkPerson(network.Client{IP: a.req.IP, SignIn: true, Role: a.person.Role, Email: a.person.Email}); !v.Allowed {
		a.detail = v.Detail
		return refuse(policy.IPNotAllowed)
	}
	err := a.rt.sessions.Check(ctx, session.Facts{
		PersonID: a.person.ID, Email: a.person.Email, Role: a.person.Role,
		Groups: a.snap.Policy.GroupsOf(a.person.Email), IP: a.req.IP,
	})
	if err != nil {
		a.detail = err.Error()
		return a.app.refusalOf(err)
	}
	return nil
}

// session starts the session.
func (a *attempt) session(ctx context.Context) (portal.SignInResult, error) {
	token, s, err := a.rt.sessions.Create(ctx, session.SignIn{
		PersonID: a.person.ID, Email: a.person.Email, Role: a.person.Role,
		Groups: a.snap.Policy.GroupsOf(a.person.Email), Kind: session.KindUser,
		Methods: []string{"pwd"}, IP: a.req.IP.String(), UserAgent: a.req.UserAgent,
	})
	if err != nil {
		a.detail = "the session cannot be started"
		return portal.SignInResult{}, a.app.refusalOf(err)
	}
	return portal.SignInResult{Token: token, Session: a.app.view(s, a.person)}, nil
}

// report writes the attempt to audit, metrics and log. An attempt that cannot be
// recorded does not succeed.
func (a *attempt) report(ctx context.Context, err error) error {
	reason, decision, result := policy.Allowed, "allow", "ok"
	if err != nil {
		decision, reason = "deny", policy.Internal
		if x, ok := errors.AsType[*portal.Refusal](err); ok {
			reason = x.Reason
		}
		result = string(reason)
	}
	metrics.SignIn(a.provider, result)
	if err != nil {
		// One stable line for fail2ban and its like; see docs/operations.md.
		a.app.logger.Named("sign-in").Warn(attempts.FailedLine(a.req.IP, a.req.Email, result))
	}
	rec := audit.Record{
		Kind: "sign_in", RequestID: a.req.RequestID, IP: a.req.IP.String(), IPFlags: a.flags.String(), Host: a.req.Host,
		Decision: decision, Reason: string(reason), Detail: a.detail, Email: a.claimed(),
	}
	if a.person != nil {
		rec.PersonID, rec.Role = a.person.ID, a.person.Role
	}
	if aerr := a.app.act(ctx, rec); aerr != nil && err == nil {
		return refuse(policy.Unwritable)
	}
	return nil
}

// claimed is the address to be recorded: only one that could be an account, since
// people type passwords into the wrong field.
func (a *attempt) claimed() string {
	email, err := directory.ParseEmail(a.req.Email)
	if err != nil {
		return ""
	}
	return email
}

func refuse(r policy.Reason) *portal.Refusal { return &portal.Refusal{Reason: r} }

// SignOut ends a session.
func (b *backend) SignOut(ctx context.Context, token string, client portal.Client) error {
	_, rt, err := b.open()
	if err != nil {
		return err
	}
	s, err := rt.sessions.Lookup(token)
	switch {
	case errors.Is(err, session.ErrUnavailable):
		return refuse(policy.StoreUnavailable)
	case err != nil:
		return nil //nolint:nilerr // it has ended already, which is what was wanted
	}
	if err := rt.sessions.End(ctx, s.ID, session.ReasonSignedOut); err != nil {
		return refuse(policy.StoreUnavailable)
	}
	return b.app().act(ctx, audit.Record{
		Kind: "sign_out", RequestID: client.RequestID, PersonID: s.PersonID, Email: s.Email, Role: s.Role,
		Session: ShortID(s.ID), IP: client.IP.String(), Decision: "allow", Reason: string(policy.Allowed),
	})
}

// own returns the session behind a token, for the pages about it.
func (b *backend) own(token string) (*runtime, *session.Session, *records.Person, error) {
	_, rt, err := b.open()
	if err != nil {
		return nil, nil, nil, err
	}
	s, err := rt.sessions.Lookup(token)
	if err != nil {
		return nil, nil, nil, b.app().refusalOf(err)
	}
	p, ok := rt.directory.ByID(s.PersonID)
	if !ok || p.Status != records.Active {
		return nil, nil, nil, refuse(policy.Deactivated)
	}
	return rt, s, p, nil
}

// refusalOf turns a failed look-up into what the portal shows.
func (a *App) refusalOf(err error) *portal.Refusal {
	var locked *session.LockedError
	switch {
	case errors.As(err, &locked) && !a.LockHolds(&locked.Lock):
		return refuse(policy.NoSession)
	case errors.As(err, &locked):
		return &portal.Refusal{Reason: policy.Locked, Message: locked.Lock.Message, Until: locked.Lock.Until}
	case errors.Is(err, session.ErrExpired):
		return refuse(policy.SessionExpired)
	case errors.Is(err, session.ErrIdle):
		return refuse(policy.SessionIdle)
	case errors.Is(err, session.ErrNoSession):
		return refuse(policy.NoSession)
	}
	return refuse(policy.StoreUnavailable)
}

// Session shows the session behind a token; it does not count as activity.
func (b *backend) Session(_ context.Context, token string) (portal.SessionView, error) {
	_, s, p, err := b.own(token)
	if err != nil {
		return portal.SessionView{}, err
	}
	return b.app().view(s, p), nil
}

// Sessions shows all sessions of the person behind a token.
func (b *backend) Sessions(_ context.Context, token string) ([]portal.SessionView, error) {
	rt, s, p, err := b.own(token)
	if err != nil {
		return nil, err
	}
	var out []portal.SessionView
	for _, o := range rt.sessions.List(p.ID) {
		v := b.app().view(o, p)
		v.Current = o.ID == s.ID
		out = append(out, v)
	}
	return out, nil
}

// EndSession ends one of the person's own sessions.
func (b *backend) EndSession(ctx context.Context, token, id string) error {
	rt, s, p, err := b.own(token)
	if err != nil {
		return err
	}
	for _, o := range rt.sessions.List(p.ID) {
		if o.ID == id {
			if err := rt.sessions.End(ctx, id, session.ReasonSignedOut); err != nil {
				return refuse(policy.StoreUnavailable)
			}
			return b.selfAct(ctx, s, "ended session "+ShortID(id))
		}
	}
	return refuse(policy.RowDenied)
}

// EndOtherSessions ends all of the person's sessions but this one.
func (b *backend) EndOtherSessions(ctx context.Context, token string) error {
	rt, s, p, err := b.own(token)
	if err != nil {
		return err
	}
	if err := rt.sessions.EndPerson(ctx, p.ID, s.ID); err != nil {
		return refuse(policy.StoreUnavailable)
	}
	return b.selfAct(ctx, s, "ended all other sessions")
}

func (b *backend) selfAct(ctx context.Context, s *session.Session, detail string) error {
	return b.app().act(ctx, audit.Record{
		Kind: "session", PersonID: s.PersonID, Email: s.Email, Role: s.Role, Session: ShortID(s.ID),
		RequestID: portal.ClientFrom(ctx).RequestID, IP: portal.ClientFrom(ctx).IP.String(),
		Decision: "allow", Reason: string(policy.Allowed), Detail: detail,
	})
}

// PasswordRules says what a new password must look like.
func (b *backend) PasswordRules() []string {
	p := b.app().passwordPolicy()
	rules := []string{fmt.Sprintf("%d to %d characters.", p.MinLength, p.MaxLength)}
	for _, r := range []struct {
		least int
		what  string
	}{{p.MinUpper, "upper-case letters"}, {p.MinLower, "lower-case letters"}, {p.MinDigits, "digits"}, {p.MinSpecial, "special characters"}} {
		if r.least > 0 {
			rules = append(rules, fmt.Sprintf("At least %d %s.", r.least, r.what))
		}
	}
	if p.ForbidPersonal {
		rules = append(rules, "No part of your name or e-mail address.")
	}
	return rules
}

// view is what a person sees of a session of theirs.
func (a *App) view(s *session.Session, p *records.Person) portal.SessionView {
	idle, absolute := a.Sessions().Remaining(s)
	now := a.clock().Now()
	v := portal.SessionView{
		ID: s.ID, Email: p.Email, Name: p.Name, Role: p.Role, Created: s.Created, LastSeen: s.LastSeen, IP: s.IP, UserAgent: s.UserAgent,
	}
	if idle > 0 {
		v.IdleEnds = now.Add(idle)
	}
	if absolute > 0 {
		v.Expires = now.Add(absolute)
	}
	return v
}
