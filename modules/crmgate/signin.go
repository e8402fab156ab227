// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package crmgate

import (
	"context"
	"errors"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/crmgate/crmgate/modules/internal/attempts"
	"github.com/crmgate/crmgate/modules/internal/directory"
	"github.com/crmgate/crmgate/modules/internal/network"
	"github.com/crmgate/crmgate/modules/internal/records"
	"github.com/crmgate/crmgate/modules/internal/sealedform"
	"github.com/crmgate/crmgate/modules/internal/signin"
	"github.com/crmgate/crmgate/modules/portal"
	"github.com/crmgate/crmgate/policy"
)

// attempt is one sign-in on its way, by whatever door: a password, a passkey, a
// provider elsewhere. All of them end in admit.
type attempt struct {
	*backend
	snap   *Snapshot
	rt     *runtime
	doors  *doors
	client portal.Client

	email    string // as typed, or as proved
	device   string // value of the trusted-device cookie, or ""
	target   string // where the browser wants to go
	provider string
	methods  []string // proofs given, as in RFC 8176
	strong   bool     // what was given is two factors already
	grant    *signin.Grant
	since    time.Time // when the gate's own password was set, as of before it was verified
	sinceErr error     // nobody knows; said only to whom it was right for

	person *records.Person
	flags  network.Flags
	detail string
}

// attempt begins a sign-in by the client in ctx.
func (b *backend) attempt(client portal.Client) (*attempt, error) {
	snap, rt, err := b.open()
	if err != nil {
		return nil, err
	}
	return &attempt{backend: b, snap: snap, rt: rt, doors: b.doors.Load(), client: client}, nil
}

// SignIn checks a password and starts a session, or what is due before one. The
// order is part of the promise: an address that may not sign in is told so before
// anything else, an attempt is counted before the password is looked at, and nobody
// learns from the answer, or from the time it takes, whether an account exists.
func (b *backend) SignIn(ctx context.Context, req portal.SignInRequest) (portal.SignInResult, error) {
	a, err := b.attempt(req.Client)
	if err != nil {
		return portal.SignInResult{}, err
	}
	a.email, a.device, a.target = req.Email, req.Device, req.Return
	start := time.Now()
	res, err := a.byPassword(ctx, &req)
	if err != nil {
		floor(ctx, start)
	}
	return a.report(ctx, res, err)
}

// refusalFloor is what a refused sign-in takes at least: it hides what is left of
// the difference between accounts, such as a hash of another kind.
const refusalFloor = 250 * time.Millisecond

// floor waits until a refused attempt has taken its time.
func floor(ctx context.Context, start time.Time) {
	select {
	case <-ctx.Done():
	case <-time.After(time.Until(start.Add(refusalFloor))):
	}
}

// address refuses a client whose address may not sign in.
func (a *attempt) address() error {
	v := a.snap.Network(network.Client{IP: a.client.IP, SignIn: true})
	if a.flags = v.Flags; v.Allowed {
		return nil
	}
	a.detail = v.Detail
	if v.Level == network.LevelReputation {
		return refuse(policy.IPReputation)
	}
	return refuse(policy.IPNotAllowed)
}

// take counts an attempt at an account before anything is verified. The account is
// the person's own address by whatever spelling it was typed.
func (a *attempt) take(ctx context.Context, t *attempts.Throttle, email string) (*attempts.Attempt, error) {
	if p, ok := a.rt.directory.ByEmail(email); ok {
		email = p.Email
	}
	try, err := t.Before(ctx, email, a.client.IP)
	var wait *attempts.WaitError
	switch {
	case errors.As(err, &wait):
		return nil, &portal.Refusal{Reason: policy.Throttled, RetryAfter: time.Until(wait.Until)}
	case err != nil:
		a.detail = "the attempts cannot be counted"
		return nil, refuse(policy.StoreUnavailable)
	}
	return try, nil
}

func (a *attempt) byPassword(ctx context.Context, req *portal.SignInRequest) (portal.SignInResult, error) {
	none := portal.SignInResult{}
	if err := a.address(); err != nil {
		return none, err
	}
	try, err := a.take(ctx, a.rt.attempts, a.email)
	if err != nil {
		return none, err
	}
	defer func() { _ = try.Release(ctx) }() // neither right nor wrong: not counted
	password, err := a.unsealed(ctx, req.Email, req.Password, req.Sealed)
	if err != nil {
		return none, err
	}
	if err := a.prove(ctx, password); err != nil {
		if errors.Is(err, signin.ErrWrong) {
			err = refuse(policy.WrongCredentials)
			if ferr := try.Failure(ctx); ferr != nil {
				err = refuse(policy.StoreUnavailable)
			}
		}
		return none, err
	}
	a.methods = []string{"pwd"}
	if err := a.judge(ctx); err != nil {
		return none, err
	}
	if err := try.Success(ctx); err != nil {
		return none, refuse(policy.StoreUnavailable)
	}
	return a.admit(ctx)
}

// unsealed returns the password of a form. While passwords are to be encrypted, one
// in clear is refused, and one that is sealed at no other time.
func (a *attempt) unsealed(ctx context.Context, email, password, sealed string) (string, error) {
	form, err := a.unseal(ctx, password, sealed)
	if err != nil {
		return "", err
	}
	if form.Email != "" && !strings.EqualFold(strings.TrimSpace(form.Email), email) {
		a.detail = "the encrypted form names another account"
		return "", refuse(policy.BadRequest)
	}
	return string(form.Password.Reveal()), nil
}

// unseal opens a form, or makes one of what came in clear.
func (a *attempt) unseal(ctx context.Context, password, sealed string) (sealedform.Form, error) {
	switch encrypt := a.snap.Policy.Settings().SignIn.PasswordEncryption; {
	case !encrypt && sealed == "":
		return sealedform.Form{Password: secretOf(password)}, nil
	case !encrypt, sealed == "":
		a.detail = "a password in clear while passwords are encrypted, or the other way round"
		return sealedform.Form{}, refuse(policy.BadRequest)
	}
	form, err := a.doors.forms.Open(ctx, sealed)
	switch {
	case err == nil:
		return form, nil
	case errors.Is(err, sealedform.ErrMalformed), errors.Is(err, sealedform.ErrReplayed), errors.Is(err, sealedform.ErrExpired):
		a.detail = err.Error()
		return sealedform.Form{}, refuse(policy.BadRequest)
	}
	a.detail = "the encrypted form cannot be opened"
	return sealedform.Form{}, refuse(policy.StoreUnavailable)
}

// prove asks the providers in order; the first that says yes is believed. For
// somebody who has to use a provider elsewhere, as much is done as for nobody.
func (a *attempt) prove(ctx context.Context, password string) error {
	email, err := directory.ParseEmail(a.email)
	if err != nil {
		email = "" // looked up and hashed like every unknown account
	}
	only, glass := a.snap.Policy.ProviderFor(email)
	if _, redirect := a.providers[only].(signin.RedirectProvider); redirect {
		a.provider, a.detail = only, "the account signs in with "+only+" only"
		_, _ = a.rt.passwords.Verify(ctx, "", password)
		return signin.ErrWrong
	}
	a.readSince(ctx, email)
	env := a.app().env(a.rt)
	for _, p := range a.identity {
		if only != "" && p.Name() != only || glass && p.Name() != "local" {
			continue
		}
		a.provider = p.Name()
		person, err := p.Password(ctx, env, email, password)
		switch {
		case err == nil:
			a.person = &person
			if glass {
				a.detail = "break-glass: a password in spite of provider " + a.snap.Policy.Settings().SignIn.Provider
				a.logger.Warn("break-glass sign-in", zap.String("person", person.ID))
			}
			return nil
		case errors.Is(err, signin.ErrBusy):
			return &portal.Refusal{Reason: policy.Throttled, RetryAfter: 2 * time.Second}
		case !errors.Is(err, signin.ErrWrong):
			a.detail = "the provider could not check the password"
			a.logger.Error("checking a password failed", zap.String("provider", p.Name()), zap.Error(err))
			return refuse(policy.StoreUnavailable)
		}
	}
	return signin.ErrWrong
}
