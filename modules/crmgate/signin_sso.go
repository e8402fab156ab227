// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package crmgate

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"slices"

	"go.uber.org/zap"

	"github.com/crmgate/crmgate/modules/internal/audit"
	"github.com/crmgate/crmgate/modules/internal/factor"
	"github.com/crmgate/crmgate/modules/internal/records"
	"github.com/crmgate/crmgate/modules/internal/session"
	"github.com/crmgate/crmgate/modules/internal/signin"
	"github.com/crmgate/crmgate/modules/internal/sso"
	"github.com/crmgate/crmgate/modules/portal"
	"github.com/crmgate/crmgate/policy"
)

// setUpSSO makes the handler of redirect providers and the keeper of what they
// granted. Without providers there is neither.
func (a *App) setUpSSO() error {
	if len(a.redirects) == 0 {
		return nil
	}
	env := func() (signin.Env, bool) {
		rt := a.runtime.Load()
		if rt == nil {
			return signin.Env{}, false
		}
		return a.env(rt), true
	}
	var err error
	a.grants, err = sso.NewGrants(sso.GrantOptions{
		Env: env, Session: a.sessionOf,
		Provider: func(name string) (signin.RedirectProvider, bool) {
			p, ok := a.providers[name].(signin.RedirectProvider)
			return p, ok
		},
		End: func(ctx context.Context, id, why string) error {
			a.logger.Info("a session was ended by its identity provider", zap.String("session", ShortID(id)), zap.String("why", why))
			return a.Sessions().End(ctx, id, session.ReasonEnded)
		},
		Alive: func(_ context.Context, id string) (bool, error) {
			_, err := a.Sessions().ByID(id)
			if errors.Is(err, session.ErrUnavailable) {
				return false, err
			}
			return err == nil || errors.Is(err, session.ErrLocked), nil
		},
	})
	if err != nil {
		return err
	}
	a.sso, err = sso.New(sso.Options{
		Providers: a.redirects, Env: env, Finish: a.finishSSO, Refuse: a.refuseSSO, Return: portal.ReturnTarget,
		Session: a.sessionOf, Client: func(r *http.Request) netip.Addr { return portal.ClientFrom(r.Context()).IP }, Host: a.grants,
		SignedOut: portal.SignInPath + "?why=signed_out",
	})
	return err
}

// sessionOf is the id of the good session a request carries.
func (a *App) sessionOf(r *http.Request) (string, bool) {
	token, err := portal.Token(r)
	rt := a.runtime.Load()
	if err != nil || rt == nil {
		return "", false
	}
	s, err := rt.sessions.Lookup(token)
	if err != nil {
		return "", false
	}
	return s.ID, true
}

// finishSSO goes on with a sign-in a provider confirmed.
func (a *App) finishSSO(w http.ResponseWriter, r *http.Request, f sso.Finished) {
	b, ctx := (*backend)(a), r.Context()
	at, err := b.attempt(portal.ClientFrom(ctx))
	if err != nil {
		a.ssoFailed(w, r, f.Provider, f.Return, err)
		return
	}
	at.provider, at.email, at.target, at.methods = f.Provider, f.Proof.Email, f.Return, append([]string{"ext"}, f.Proof.Methods...)
	at.device = portal.DeviceToken(r)
	switch f.Purpose {
	case sso.Test:
		a.testedSSO(w, r, at, &f)
		return
	case sso.StepUp:
		res, err := at.againAt(ctx, &f)
		if err = at.noted(ctx, "step_up", f.Provider, err); err != nil {
			a.ssoFailed(w, r, f.Provider, f.Return, err)
			return
		}
		a.portal.FinishSignIn(w, r, res, f.Return)
		return
	}
	res, err := at.byProvider(ctx, &f)
	if res, err = at.report(ctx, res, err); err != nil {
		a.ssoFailed(w, r, f.Provider, f.Return, err)
		return
	}
	a.portal.FinishSignIn(w, r, res, f.Return)
}

// byProvider admits whom a provider named. Nobody is added to the directory by it.
func (a *attempt) byProvider(ctx context.Context, f *sso.Finished) (portal.SignInResult, error) {
	none := portal.SignInResult{}
	if err := a.address(); err != nil {
		return none, err
	}
	person, ok := a.rt.directory.ByEmail(f.Proof.Email)
	if !ok {
		a.detail = "the directory has nobody of the address the provider named"
		return none, refuse(policy.WrongCredentials)
	}
	a.person = person
	if only, _ := a.snap.Policy.ProviderFor(person.Email); only != "" && only != f.Provider {
		a.detail = "the account signs in with " + only + " only"
		return none, refuse(policy.WrongCredentials)
	}
	if err := a.judge(ctx); err != nil {
		return none, err
	}
	a.grant = &f.Proof.Grant
	return a.admit(ctx)
}

// againAt moves the time of proof of the session in which the person was sent to
// the provider: it must have named the same person, and be where the step would have
// sent him. Anybody can open its address, which must not stand in for a second factor.
func (a *attempt) againAt(ctx context.Context, f *sso.Finished) (portal.SignInResult, error) {
	none := portal.SignInResult{}
	if err := a.address(); err != nil {
		return none, err
	}
	s, err := a.rt.sessions.ByID(f.Session)
	if err != nil {
		return none, a.app().refusalOf(err)
	}
	person, ok := a.rt.directory.ByID(s.PersonID)
	if !ok || records.FoldEmail(person.Email) != records.FoldEmail(f.Proof.Email) {
		a.detail = "the provider named somebody else"
		return none, refuse(policy.WrongCredentials)
	}
	a.person = person
	due, err := a.dueAgain(ctx)
	if err != nil {
		return none, err
	}
	g, err := a.grants.Of(ctx, f.Session)
	switch {
	case due != factor.DuePassword:
		a.detail = "the second factor proves this person once more"
		return none, refuse(policy.SecondFactor)
	case errors.Is(err, sso.ErrNoGrant), err == nil && g.Provider != f.Provider:
		a.detail = "the session did not begin at this provider"
		return none, refuse(policy.WrongCredentials)
	case err != nil:
		a.detail = "where the session began cannot be read"
		return none, refuse(policy.StoreUnavailable)
	}
	return a.steppedUp(ctx, f.Session, a.methods)
}

// testedSSO shows an administrator what a provider said. Nobody is signed in.
func (a *App) testedSSO(w http.ResponseWriter, r *http.Request, at *attempt, f *sso.Finished) {
	ctx := r.Context()
	s, err := at.rt.sessions.ByID(f.Session)
	if err != nil || !slices.Contains([]string{"administrator", "super_administrator"}, s.Role) {
		a.ssoFailed(w, r, f.Provider, "/", refuse(policy.ActionDenied))
		return
	}
	person, ok := at.rt.directory.ByEmail(f.Proof.Email)
	known := ok && person.Status == records.Active
	at.person, _ = at.rt.directory.ByID(s.PersonID)
	if err := at.noted(ctx, "provider_test", f.Provider, nil); err != nil {
		a.ssoFailed(w, r, f.Provider, "/", err)
		return
	}
	o := portal.TestOutcome{
		Provider: f.Provider, Label: at.label(f.Provider), OK: true, Email: f.Proof.Email, Known: known,
		Checks: []string{"The provider answered, and its answer is signed, for this gate, and not too old."},
	}
	if !known {
		o.Checks = append(o.Checks, "The directory has nobody of this address who is active.")
	}
	a.portal.TestResult(w, r, o)
}

// refuseSSO answers and records what the flow itself refused.
func (a *App) refuseSSO(w http.ResponseWriter, r *http.Request, x sso.Refusal) {
	c := portal.ClientFrom(r.Context())
	metrics.SignIn(a.providerLabel(x.Provider), string(x.Reason))
	rec := audit.Record{
		Kind: "sign_in", RequestID: c.RequestID, IP: c.IP.String(), Host: c.Host,
		Decision: "deny", Reason: string(x.Reason), Detail: x.Provider + ": " + x.Detail,
	}
	if rt := a.runtime.Load(); rt != nil {
		if err := a.act(r.Context(), rec); err != nil {
			a.logger.Error("an audit record could not be kept", zap.Error(err))
		}
	}
	if x.NotFound {
		http.NotFound(w, r)
		return
	}
	a.portal.SSOFailed(w, r, portal.SSOFailure{
		Reason: x.Reason, Provider: x.Provider, Label: (*backend)(a).label(x.Provider), Over: x.Reason == policy.BadRequest && x.Again != "",
	})
}

// providerLabel is a provider's name for a metric: nothing a client can make up.
func (a *App) providerLabel(name string) string {
	if a.providers[name] == nil {
		return ""
	}
	return name
}

// ssoFailed shows why a confirmed sign-in led to nothing.
func (a *App) ssoFailed(w http.ResponseWriter, r *http.Request, provider, target string, err error) {
	x, ok := errors.AsType[*portal.Refusal](err)
	if !ok {
		a.logger.Error("finishing a sign-in at a provider failed", zap.Error(err))
		x = refuse(policy.Internal)
	}
	if x.Reason == policy.Locked {
		a.portal.Refuse(w, r, *x)
		return
	}
	a.portal.SSOFailed(w, r, portal.SSOFailure{Reason: x.Reason, Provider: provider, Label: (*backend)(a).label(provider), Return: target})
}
