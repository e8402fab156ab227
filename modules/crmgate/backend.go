// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package crmgate

import (
	"context"
	"errors"

	"github.com/crmgate/crmgate/modules/internal/audit"
	"github.com/crmgate/crmgate/modules/internal/network"
	"github.com/crmgate/crmgate/modules/internal/records"
	"github.com/crmgate/crmgate/modules/internal/session"
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

// own returns the session behind a token, for the pages about it. They stand before
// the gate's own look at the person, so what the gate holds of him is held here: the
// lists of his own and of his role, and locks by what the request says.
func (b *backend) own(ctx context.Context, token string) (*runtime, *session.Session, *records.Person, error) {
	snap, rt, err := b.open()
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
	ip := portal.ClientFrom(ctx).IP
	if !snap.NetworkPerson(network.Client{IP: ip, Role: p.Role, Email: p.Email}).Allowed {
		return nil, nil, nil, refuse(policy.IPNotAllowed)
	}
	if err := b.app().CheckLocks(ctx, PrincipalOf(p, s), s, ip); err != nil {
		return nil, nil, nil, b.app().refusalOf(err)
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
func (b *backend) Session(ctx context.Context, token string) (portal.SessionView, error) {
	_, s, p, err := b.own(ctx, token)
	if err != nil {
		return portal.SessionView{}, err
	}
	return b.app().view(s, p), nil
}

// Sessions shows all sessions of the person behind a token.
func (b *backend) Sessions(ctx context.Context, token string) ([]portal.SessionView, error) {
	rt, s, p, err := b.own(ctx, token)
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
	rt, s, p, err := b.own(ctx, token)
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
	rt, s, p, err := b.own(ctx, token)
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

// PasswordRules says what a new password must look like, a sentence each.
func (b *backend) PasswordRules() []string {
	var rules []string
	for _, p := range b.app().passwordPolicy().Rules() {
		rules = append(rules, p.Text)
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
