// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package crmgate

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/crmgate/crmgate/modules/internal/attempts"
	"github.com/crmgate/crmgate/modules/internal/audit"
	"github.com/crmgate/crmgate/modules/internal/directory"
	"github.com/crmgate/crmgate/modules/internal/factor"
	"github.com/crmgate/crmgate/modules/internal/network"
	"github.com/crmgate/crmgate/modules/internal/records"
	"github.com/crmgate/crmgate/modules/internal/session"
	"github.com/crmgate/crmgate/modules/internal/signin"
	"github.com/crmgate/crmgate/modules/internal/vault"
	"github.com/crmgate/crmgate/modules/portal"
	"github.com/crmgate/crmgate/policy"
)

func secretOf(s string) vault.Secret { return vault.NewSecret([]byte(s)) }

// judge judges the person behind a right proof: status, address, locks. It is
// asked again when a step is done, since all of it may have changed.
func (a *attempt) judge(ctx context.Context) error {
	if a.person.Status != records.Active {
		return refuse(policy.Deactivated)
	}
	if v := a.snap.NetworkPerson(network.Client{IP: a.client.IP, SignIn: true, Role: a.person.Role, Email: a.person.Email}); !v.Allowed {
		a.detail = v.Detail
		return refuse(policy.IPNotAllowed)
	}
	err := a.rt.sessions.Check(ctx, session.Facts{
		PersonID: a.person.ID, Email: a.person.Email, Role: a.person.Role,
		Groups: a.snap.Policy.GroupsOf(a.person.Email), IP: a.client.IP,
	})
	if err != nil {
		a.detail = err.Error()
		return a.app().refusalOf(err)
	}
	return nil
}

// admit is where every way in ends: it starts the session, unless something else
// is due. What is due is known here and kept on the server; nothing that a request
// lacks ever counts as done.
func (a *attempt) admit(ctx context.Context) (portal.SignInResult, error) {
	due, err := a.due(ctx)
	if err != nil {
		return portal.SignInResult{}, err
	}
	if len(due) == 0 {
		return a.session(ctx)
	}
	data, err := json.Marshal(carried{Grant: a.grant, Since: a.since})
	if err != nil {
		return portal.SignInResult{}, refuse(policy.Internal)
	}
	secret, p, err := a.doors.factors.Begin(ctx, factor.Start{
		PersonID: a.person.ID, Purpose: factor.SignIn, Provider: a.provider, Methods: a.methods, Due: due, Kinds: a.app().factorKinds(),
		Return: a.target, Agent: a.client.UserAgent, IP: a.client.IP, Data: data,
	})
	if err != nil {
		return portal.SignInResult{}, a.stepRefused(err)
	}
	return a.step(ctx, secret, &p)
}

// carried is what a pending sign-in carries from its beginning to its session.
type carried struct {
	Grant *signin.Grant `json:"grant,omitempty"`
	Since time.Time     `json:"since,omitzero"` // of the gate's own password
}

// due says what has to happen before there is a session.
func (a *attempt) due(ctx context.Context) ([]factor.Due, error) {
	var due []factor.Due
	mandate := a.snap.Policy.SecondFactorFor(a.person.Email, a.person.Role)
	if mandate != policy.FactorOff && !a.strong {
		usable, err := a.doors.factors.Usable(ctx, *a.person, a.app().factorKinds())
		if err != nil {
			return nil, a.stepRefused(err)
		}
		stuck, err := a.stuck(ctx, usable)
		switch {
		case err != nil:
			return nil, err
		case stuck:
			a.say("none of the factors that are set up can be given now; an admin can reset them")
			return nil, refuse(policy.SecondFactor)
		case len(usable) > 0:
			trusted, err := a.trusted(ctx)
			if err != nil {
				return nil, err
			}
			if !trusted {
				due = append(due, factor.DueSecondFactor)
			}
		case mandate != policy.FactorOptional:
			due = append(due, factor.DueEnrol)
		}
	}
	if a.ownPassword() {
		s, err := a.doors.keeper.Status(ctx, a.person.ID)
		if err != nil {
			a.detail = "how old the password is cannot be read"
			return nil, refuse(policy.StoreUnavailable)
		}
		if s.Due() {
			due = append(due, factor.DueChange)
		}
	}
	return due, nil
}

// stuck says whether the person has factors and can give none of them: their kind is
// no longer allowed or offered, or a passkey was copied. That must not open the way
// to setting up another by the password alone.
func (a *attempt) stuck(ctx context.Context, usable []factor.Method) (bool, error) {
	if len(usable) > 0 {
		return false, nil
	}
	f, err := a.doors.factors.Factors(ctx, a.person.ID)
	if err != nil {
		return false, a.stepRefused(err)
	}
	return len(f.List) > 0, nil
}

// trusted says whether this browser need not give the second factor.
func (a *attempt) trusted(ctx context.Context) (bool, error) {
	if a.device == "" {
		return false, nil
	}
	ok, err := a.doors.factors.TrustedDevice(ctx, a.person.ID, a.device, a.client.UserAgent, a.client.IP)
	if err != nil {
		a.detail = "the trusted device cannot be checked"
		return false, refuse(policy.StoreUnavailable)
	}
	if ok {
		a.say("on a trusted device")
	}
	return ok, nil
}

// say adds to what the audit reads.
func (a *attempt) say(what string) {
	if a.detail != "" {
		a.detail += "; "
	}
	a.detail += what
}

// ownPassword says whether it is a password of the gate's own that proved the person.
func (a *attempt) ownPassword() bool {
	return a.provider == "local" && slices.Contains(a.methods, "pwd")
}

// readSince remembers when the password that is about to be verified was set. For
// somebody without an account as much is done.
func (a *attempt) readSince(ctx context.Context, email string) {
	id := ""
	if p, ok := a.rt.directory.ByEmail(email); ok {
		id = p.ID
	}
	a.since, a.sinceErr = a.doors.keeper.Since(ctx, id)
}

// stillSet refuses to go on when the password that proved the person was changed
// meanwhile. Asked once a session is stored, it leaves no gap: a change from here on
// finds that session and ends it, and one that came before is seen here.
func (a *attempt) stillSet(ctx context.Context) error {
	if !a.ownPassword() {
		return nil
	}
	now, err := a.doors.keeper.Since(ctx, a.person.ID)
	switch {
	case a.sinceErr != nil, err != nil:
		a.say("when the password was set cannot be read")
		return refuse(policy.StoreUnavailable)
	case !now.Equal(a.since):
		a.say("the password was changed meanwhile")
		return refuse(policy.NoSession)
	}
	return nil
}

// session starts the session.
func (a *attempt) session(ctx context.Context) (portal.SignInResult, error) {
	token, s, err := a.rt.sessions.Create(ctx, session.SignIn{
		PersonID: a.person.ID, Email: a.person.Email, Role: a.person.Role,
		Groups: a.snap.Policy.GroupsOf(a.person.Email), Kind: session.KindUser,
		Methods: a.methods, IP: a.client.IP.String(), UserAgent: a.client.UserAgent,
	})
	if err != nil {
		a.say("the session cannot be started")
		return portal.SignInResult{}, a.app().refusalOf(err)
	}
	if err := a.stillSet(ctx); err != nil {
		_ = a.rt.sessions.End(context.WithoutCancel(ctx), s.ID, session.ReasonEnded)
		return portal.SignInResult{}, err
	}
	if a.grant != nil && a.grants != nil {
		if err := a.grants.Keep(ctx, s.ID, a.person.Email, *a.grant, a.end(s)); err != nil {
			a.logger.Error("keeping a grant failed; the session is taken back", zap.Error(err))
			_ = a.rt.sessions.End(context.WithoutCancel(ctx), s.ID, session.ReasonEnded)
			return portal.SignInResult{}, refuse(policy.StoreUnavailable)
		}
	}
	return portal.SignInResult{Token: token, Session: a.app().view(s, a.person), Return: a.target}, nil
}

// report writes the attempt to audit, metrics and log. An attempt that cannot be
// recorded does not succeed.
func (a *attempt) report(ctx context.Context, res portal.SignInResult, err error) (portal.SignInResult, error) {
	reason, decision, result := policy.Allowed, "allow", "ok"
	switch {
	case err != nil:
		decision, reason = "deny", policy.Internal
		if x, ok := errors.AsType[*portal.Refusal](err); ok {
			reason = x.Reason
		}
		result = string(reason)
		// One stable line for fail2ban and its like; see docs/operations.md.
		a.logger.Named("sign-in").Warn(attempts.FailedLine(a.client.IP, a.email, result))
	case res.Step != "":
		decision, reason, result = "deny", policy.SecondFactor, string(policy.SecondFactor)
		a.say("due: " + res.Next)
	}
	metrics.SignIn(a.provider, result)
	rec := audit.Record{
		Kind: "sign_in", RequestID: a.client.RequestID, IP: a.client.IP.String(), IPFlags: a.flags.String(), Host: a.client.Host,
		Decision: decision, Reason: string(reason), Detail: a.detail, Email: a.claimed(),
	}
	if a.person != nil {
		rec.PersonID, rec.Email, rec.Role = a.person.ID, a.person.Email, a.person.Role
	}
	if res.Token != "" {
		rec.Session = ShortID(res.Session.ID)
	}
	if aerr := a.app().act(ctx, rec); aerr != nil && err == nil {
		a.takeBack(ctx, res)
		return portal.SignInResult{}, refuse(policy.Unwritable)
	}
	if err != nil {
		return portal.SignInResult{}, err
	}
	return res, nil
}

// takeBack ends what nobody may have because it cannot be recorded.
func (a *attempt) takeBack(ctx context.Context, res portal.SignInResult) {
	ctx = context.WithoutCancel(ctx)
	if res.Token != "" {
		_ = a.rt.sessions.End(ctx, res.Session.ID, session.ReasonEnded)
	}
	if res.Step != "" {
		_ = a.doors.factors.End(ctx, a.holder(res.Step))
	}
}

// claimed is the address to be recorded: only one that could be an account, since
// people type passwords into the wrong field.
func (a *attempt) claimed() string {
	email, err := directory.ParseEmail(a.email)
	if err != nil {
		return ""
	}
	return email
}

func refuse(r policy.Reason) *portal.Refusal { return &portal.Refusal{Reason: r} }
