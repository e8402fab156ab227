// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package crmgate

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/crmgate/crmgate/modules/internal/factor"
	"github.com/crmgate/crmgate/modules/internal/mail"
	"github.com/crmgate/crmgate/modules/internal/session"
	"github.com/crmgate/crmgate/modules/internal/signin"
	"github.com/crmgate/crmgate/modules/portal"
	"github.com/crmgate/crmgate/policy"
)

// What people do with their own factors and trusted devices.

// self is the person behind a session, about to do something with his own account.
func (b *backend) self(ctx context.Context, token string) (*attempt, *session.Session, error) {
	_, s, p, err := b.own(ctx, token)
	if err != nil {
		return nil, nil, err
	}
	a, err := b.attempt(portal.ClientFrom(ctx))
	if err != nil {
		return nil, nil, err
	}
	a.person, a.email, a.methods = p, p.Email, s.Methods
	return a, s, nil
}

// fresh refuses a sensitive act when the last proof is too old.
func (a *attempt) fresh(s *session.Session) error {
	if a.app().clock().Now().Sub(s.AuthTime) >= a.snap.Policy.Settings().SignIn.SecondFactor.StepUp.D() {
		return refuse(policy.StepUp)
	}
	return nil
}

// mandate is what of a second factor is asked of the person.
func (a *attempt) mandate() policy.Mandate {
	return a.snap.Policy.SecondFactorFor(a.person.Email, a.person.Role)
}

// dueAgain is what proves somebody once more: the second factor, or for somebody
// without one the first. Whoever has factors and can give none proves nothing.
func (a *attempt) dueAgain(ctx context.Context) (factor.Due, error) {
	if a.mandate() == policy.FactorOff {
		return factor.DuePassword, nil
	}
	usable, err := a.doors.factors.Usable(ctx, *a.person, a.app().factorKinds())
	if err != nil {
		return "", a.stepRefused(err)
	}
	stuck, err := a.stuck(ctx, usable)
	switch {
	case err != nil:
		return "", err
	case stuck:
		return "", refuse(policy.SecondFactor)
	case len(usable) > 0:
		return factor.DueSecondFactor, nil
	}
	return factor.DuePassword, nil
}

// factorID is a factor's id in a path; the factors' own have a slash.
func factorID(id string) string { return strings.Replace(id, "/", ".", 1) }

func ownFactorID(id string) string { return strings.Replace(id, ".", "/", 1) }

// Factors lists what is set up and what can be added.
func (b *backend) Factors(ctx context.Context, t portal.Ticket) (portal.FactorsView, error) {
	a, _, err := b.ticket(ctx, t)
	if err != nil {
		return portal.FactorsView{}, err
	}
	f, err := a.doors.factors.Factors(ctx, a.person.ID)
	if err != nil {
		return portal.FactorsView{}, a.stepRefused(err)
	}
	mandate := a.mandate()
	out := portal.FactorsView{
		Recovery: f.Recovery, RecoveryLeft: f.RecoveryLeft, Mandatory: mandate == policy.FactorRequired,
		DevicesOn: a.snap.Policy.Settings().SignIn.TrustedDevice.Days > 0,
	}
	for _, i := range f.List {
		v := portal.FactorView{ID: factorID(i.ID), Kind: i.Kind, Label: i.Label, Added: i.Added, LastUsed: i.Used}
		if i.Kind == factor.SMS {
			v.Hint = f.PhoneHint
		}
		if i.Cloned {
			v.Hint = "refused: it may have been copied"
		}
		out.Factors = append(out.Factors, v)
	}
	if mandate == policy.FactorOff {
		return out, nil
	}
	add, err := a.doors.factors.Enrollable(ctx, *a.person, a.app().factorKinds())
	if err != nil {
		return portal.FactorsView{}, a.stepRefused(err)
	}
	out.Addable = methodViews(add)
	return out, nil
}

// ticket is who acts by which right. With a step, setting up a factor must be due.
func (b *backend) ticket(ctx context.Context, t portal.Ticket) (*attempt, *session.Session, error) {
	if t.Session != "" {
		return b.self(ctx, t.Session)
	}
	a, _, p, err := b.resume(ctx, t.Step)
	if err == nil && p.Next() != factor.DueEnrol {
		err = refuse(policy.NoSession)
	}
	return a, nil, err
}

// at is where a factor is set up within a session.
func (a *attempt) at(s *session.Session) factor.At {
	return factor.At{Person: *a.person, Session: s.ID, From: factor.Holder{Agent: a.client.UserAgent, IP: a.client.IP}}
}

// mayEnrol refuses to set up what is not to be set up.
func (a *attempt) mayEnrol(s *session.Session, kind string) error {
	if err := a.fresh(s); err != nil {
		return err
	}
	if a.mandate() == policy.FactorOff || !slices.Contains(a.app().factorKinds(), kind) {
		return refuse(policy.ActionDenied)
	}
	return nil
}

// BeginEnrol starts setting up a factor.
func (b *backend) BeginEnrol(ctx context.Context, t portal.Ticket, kind string) (portal.EnrolView, error) {
	a, s, err := b.ticket(ctx, t)
	if err != nil {
		return portal.EnrolView{}, err
	}
	var e *factor.Enrolment
	if s == nil {
		e, err = a.doors.factors.BeginEnrolPending(ctx, a.holder(t.Step), kind)
	} else if err = a.mayEnrol(s, kind); err == nil {
		e, err = a.doors.factors.BeginEnrol(ctx, a.at(s), kind)
	}
	if err != nil {
		return portal.EnrolView{}, a.enrolRefused(err)
	}
	return portal.EnrolView{Kind: kind, Secret: strings.ReplaceAll(e.Secret, " ", ""), URI: e.URI, QR: e.QR, Creation: e.Creation, SentTo: e.SentTo}, nil
}

// enrolRefused is stepRefused for what may be a refusal already.
func (a *attempt) enrolRefused(err error) error {
	if x, ok := errors.AsType[*portal.Refusal](err); ok {
		return x
	}
	return a.stepRefused(err)
}

// FinishEnrol proves the new factor once.
func (b *backend) FinishEnrol(ctx context.Context, t portal.Ticket, proof portal.EnrolProof) (portal.EnrolDone, error) {
	a, s, err := b.ticket(ctx, t)
	if err != nil {
		return portal.EnrolDone{}, err
	}
	given := factor.Proof{Kind: proof.Kind, Code: proof.Code, Response: proof.Response}
	var done *factor.Enrolled
	var p factor.Pending
	if s == nil {
		done, p, err = a.doors.factors.FinishEnrolPending(ctx, a.holder(t.Step), given, proof.Label)
	} else if err = a.mayEnrol(s, proof.Kind); err == nil {
		done, err = a.doors.factors.FinishEnrol(ctx, a.at(s), given, proof.Label)
	}
	if err != nil {
		return portal.EnrolDone{}, a.noted(ctx, "enrol", proof.Kind, a.enrolRefused(err))
	}
	out := portal.EnrolDone{Recovery: done.Recovery}
	if err := a.noted(ctx, "enrol", proof.Kind, nil); err != nil {
		return out, err
	}
	a.notify(mail.FactorAdded, proof.Kind)
	if s != nil {
		return out, nil
	}
	res, err := a.goOn(ctx, a.holder(t.Step), &p)
	out.Result = &res
	return out, err
}

// RemoveFactor removes one.
func (b *backend) RemoveFactor(ctx context.Context, token, id string) error {
	a, s, err := b.self(ctx, token)
	if err != nil {
		return err
	}
	if err := a.fresh(s); err != nil {
		return err
	}
	f, err := a.doors.factors.Factors(ctx, a.person.ID)
	if err != nil {
		return a.stepRefused(err)
	}
	id = ownFactorID(id)
	if !slices.ContainsFunc(f.List, func(i factor.Info) bool { return i.ID == id }) {
		return refuse(policy.RowDenied)
	}
	kinds := a.app().factorKinds()
	others := slices.ContainsFunc(f.List, func(i factor.Info) bool { return i.ID != id && !i.Cloned && slices.Contains(kinds, i.Kind) })
	if a.mandate() == policy.FactorRequired && !others {
		return a.noted(ctx, "remove_factor", id, refuse(policy.ActionDenied))
	}
	if err := a.doors.factors.Remove(ctx, a.person.ID, id); err != nil {
		if errors.Is(err, factor.ErrGone) {
			return refuse(policy.RowDenied)
		}
		return a.stepRefused(err)
	}
	a.notify(mail.FactorRemoved, id)
	return a.noted(ctx, "remove_factor", id, nil)
}

// NewRecoveryCodes replaces the recovery codes.
func (b *backend) NewRecoveryCodes(ctx context.Context, token string) ([]string, error) {
	a, s, err := b.self(ctx, token)
	if err != nil {
		return nil, err
	}
	if err := a.fresh(s); err != nil {
		return nil, err
	}
	codes, err := a.doors.factors.NewRecoveryCodes(ctx, a.person.ID)
	if err != nil {
		return nil, a.stepRefused(err)
	}
	a.notify(mail.RecoveryCodes, "")
	return codes, a.noted(ctx, "recovery_codes", "new ones", nil)
}

// label is what people read of a provider.
func (b *backend) label(name string) string {
	if p, ok := b.providers[name].(signin.RedirectProvider); ok {
		return p.Label()
	}
	return name
}
