// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package crmgate

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/crmgate/crmgate/modules/internal/factor"
	"github.com/crmgate/crmgate/modules/internal/signin"
	"github.com/crmgate/crmgate/modules/internal/sso"
	"github.com/crmgate/crmgate/modules/portal"
	"github.com/crmgate/crmgate/policy"
)

// What the sign-in page offers.

// Entrances says which ways in are open.
func (b *backend) Entrances(context.Context) (portal.Entrances, error) {
	snap, _, err := b.open()
	if err != nil {
		return portal.Entrances{}, err
	}
	s := snap.Policy.Settings().SignIn
	_, redirect := b.providers[s.Provider].(signin.RedirectProvider)
	e := portal.Entrances{
		Password: len(b.identity) > 0 && !redirect, // whoever may break the glass knows where the form is
		Passkey:  b.Origin != "" && s.Provider == "" && b.passkeys(),
	}
	e.Encrypt = s.PasswordEncryption
	e.Forgot = e.Password && b.Mail != nil && b.providers["local"] != nil
	for _, p := range b.redirects {
		if s.Provider == "" || s.Provider == p.Name() {
			e.Providers = append(e.Providers, portal.Provider{Name: p.Name(), Label: p.Label()})
		}
	}
	return e, nil
}

// passkeys says whether passkeys count.
func (b *backend) passkeys() bool {
	return slices.Contains(b.app().factorKinds(), factor.Passkey)
}

// BeginPasskey starts a sign-in with a passkey.
func (b *backend) BeginPasskey(ctx context.Context) (flow string, request []byte, err error) {
	a, err := b.attempt(portal.ClientFrom(ctx))
	if err != nil {
		return "", nil, err
	}
	if err := a.address(); err != nil {
		return "", nil, err
	}
	if !b.passkeys() {
		return "", nil, refuse(policy.ActionDenied)
	}
	flow, req, err := a.doors.factors.PasskeyBegin(ctx, a.client.UserAgent, a.client.IP)
	if err != nil {
		return "", nil, a.stepRefused(err)
	}
	return flow, req, nil
}

// SignInPasskey checks the answer of a passkey. It is two factors at once: the
// thing, and the person the thing has verified.
func (b *backend) SignInPasskey(ctx context.Context, req portal.PasskeyRequest) (portal.SignInResult, error) {
	a, err := b.attempt(req.Client)
	if err != nil {
		return portal.SignInResult{}, err
	}
	a.provider, a.target = "passkey", req.Return
	start := time.Now()
	res, err := a.byPasskey(ctx, &req)
	if err != nil {
		floor(ctx, start)
	}
	return a.report(ctx, res, err)
}

func (a *attempt) byPasskey(ctx context.Context, req *portal.PasskeyRequest) (portal.SignInResult, error) {
	none := portal.SignInResult{}
	if err := a.address(); err != nil {
		return none, err
	}
	try, err := a.take(ctx, a.rt.attempts, "") // the passkey names the account
	if err != nil {
		return none, err
	}
	defer func() { _ = try.Release(ctx) }()
	id, err := a.doors.factors.PasskeySignIn(ctx, req.Flow, a.client.UserAgent, req.Response)
	if err != nil {
		if errors.Is(err, factor.ErrWrong) || errors.Is(err, factor.ErrGone) {
			if ferr := try.Failure(ctx); ferr != nil {
				return none, refuse(policy.StoreUnavailable)
			}
			a.say(err.Error())
			return none, refuse(policy.WrongCredentials)
		}
		return none, a.stepRefused(err)
	}
	person, ok := a.rt.directory.ByID(id)
	if !ok {
		return none, refuse(policy.WrongCredentials)
	}
	a.person, a.email, a.methods, a.strong = person, person.Email, []string{"hwk", "user"}, true
	if only, _ := a.snap.Policy.ProviderFor(person.Email); only != "" || !a.passkeys() {
		a.detail = "the account does not sign in with a passkey"
		return none, refuse(policy.WrongCredentials)
	}
	if err := a.judge(ctx); err != nil {
		return none, err
	}
	if err := try.Success(ctx); err != nil {
		return none, refuse(policy.StoreUnavailable)
	}
	return a.admit(ctx)
}

// LeaveNext says where a person also has to sign out.
func (b *backend) LeaveNext(ctx context.Context, token string) (portal.Onward, error) {
	_, s, _, err := b.own(ctx, token)
	if err != nil || b.grants == nil {
		return portal.Onward{}, err
	}
	g, err := b.grants.Of(ctx, s.ID)
	switch {
	case errors.Is(err, sso.ErrNoGrant):
		return portal.Onward{}, nil
	case err != nil:
		return portal.Onward{}, err
	}
	next, err := b.sso.Leave(ctx, g)
	if err != nil || next.URL == "" {
		return portal.Onward{}, err
	}
	return portal.Onward{Label: b.label(g.Provider), URL: next.URL, Form: next.Form}, nil
}
