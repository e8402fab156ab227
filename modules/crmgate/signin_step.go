// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package crmgate

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/crmgate/crmgate/modules/internal/audit"
	"github.com/crmgate/crmgate/modules/internal/factor"
	"github.com/crmgate/crmgate/modules/internal/mail"
	"github.com/crmgate/crmgate/modules/internal/session"
	"github.com/crmgate/crmgate/modules/internal/signin"
	"github.com/crmgate/crmgate/modules/internal/state"
	"github.com/crmgate/crmgate/modules/portal"
	"github.com/crmgate/crmgate/policy"
)

// What stands between a right first proof and a session. The secret of a step-up
// is that of its pending sign-in and the id of the session it is for, with a dot in
// between: the session is rotated at the end, and must still be that one.

// next names what is due in the portal's words.
var next = map[factor.Due]string{
	factor.DuePassword: portal.NextSecondFactor, factor.DueSecondFactor: portal.NextSecondFactor,
	factor.DueEnrol: portal.NextEnrol, factor.DueChange: portal.NextChangePassword,
}

// holder is who comes back with a step.
func (a *attempt) holder(step string) factor.Holder {
	secret, sessionID, _ := strings.Cut(step, ".")
	return factor.Holder{Secret: secret, Session: sessionID, Agent: a.client.UserAgent, IP: a.client.IP}
}

// resume goes on with a pending sign-in.
func (b *backend) resume(ctx context.Context, step string) (*attempt, factor.Holder, factor.Pending, error) {
	a, err := b.attempt(portal.ClientFrom(ctx))
	if err != nil {
		return nil, factor.Holder{}, factor.Pending{}, err
	}
	h := a.holder(step)
	if err := a.address(); err != nil {
		return nil, h, factor.Pending{}, err
	}
	p, err := a.doors.factors.Load(ctx, h)
	if err != nil {
		return nil, h, p, a.stepRefused(err)
	}
	if p.Purpose == factor.SignIn {
		var c carried
		if json.Unmarshal(p.Data, &c) != nil {
			return nil, h, p, refuse(policy.Internal)
		}
		a.grant, a.since = c.Grant, c.Since
	}
	return a, h, p, a.of(&p)
}

// of takes from a pending sign-in what is known of the person.
func (a *attempt) of(p *factor.Pending) error {
	person, ok := a.rt.directory.ByID(p.PersonID)
	if !ok {
		return refuse(policy.NoSession)
	}
	a.person, a.email, a.provider, a.methods, a.target = person, person.Email, p.Provider, p.Methods, p.Return
	return nil
}

// stepRefused turns an error of the factors into what the portal shows.
func (a *attempt) stepRefused(err error) error {
	var wait *factor.WaitError
	switch {
	case errors.Is(err, factor.ErrGone):
		return refuse(policy.NoSession)
	case errors.Is(err, factor.ErrTries):
		return refuse(policy.Throttled)
	case errors.Is(err, factor.ErrWrong):
		if w, ok := errors.AsType[*factor.WrongError](err); ok {
			a.say(w.Kind + ": " + w.Detail)
		}
		return refuse(policy.WrongCredentials)
	case errors.As(err, &wait):
		return &portal.Refusal{Reason: policy.Throttled, RetryAfter: time.Until(wait.Until)}
	case errors.Is(err, factor.ErrNotDue), errors.Is(err, factor.ErrDue), errors.Is(err, factor.ErrKind),
		errors.Is(err, factor.ErrTaken), errors.Is(err, factor.ErrFull):
		a.say(err.Error())
		return refuse(policy.BadRequest)
	case errors.Is(err, factor.ErrSend), errors.Is(err, state.ErrUnavailable):
		a.logger.Error("a step of a sign-in failed", zap.Error(err))
		return refuse(policy.StoreUnavailable)
	}
	a.logger.Error("a step of a sign-in failed", zap.Error(err))
	return refuse(policy.Internal)
}

// step says what is due next.
func (a *attempt) step(ctx context.Context, secret string, p *factor.Pending) (portal.SignInResult, error) {
	res := portal.SignInResult{Step: secret, Next: next[p.Next()], Return: p.Return}
	if p.Purpose == factor.StepUp {
		res.Step += "." + p.SessionID
	}
	v, err := a.doors.factors.View(ctx, a.holder(res.Step))
	if err != nil {
		return portal.SignInResult{}, a.stepRefused(err)
	}
	for _, m := range v.Methods {
		res.Methods = append(res.Methods, m.Kind)
	}
	return res, nil
}

// Step says what is due now.
func (b *backend) Step(ctx context.Context, step string) (portal.StepView, error) {
	a, h, p, err := b.resume(ctx, step)
	if err != nil {
		return portal.StepView{}, err
	}
	v, err := a.doors.factors.View(ctx, h)
	if err != nil {
		return portal.StepView{}, a.stepRefused(err)
	}
	out := portal.StepView{
		Next: next[p.Next()], StepUp: p.Purpose == factor.StepUp, Email: v.Email, Methods: methodViews(v.Methods), SentKind: v.Sent, SentAt: v.SentAt,
		ResendAt: v.ResendAt, TriesLeft: v.TriesLeft, Expires: p.Expires, Return: p.Return,
	}
	for _, m := range v.Methods {
		if m.Kind == v.Sent {
			out.SentTo = m.Hint
		}
	}
	switch p.Next() {
	case factor.DuePassword:
		out.Methods = a.again(ctx, p.SessionID)
	case factor.DueSecondFactor:
		if p.Purpose == factor.SignIn {
			out.TrustDays = a.snap.Policy.Settings().SignIn.TrustedDevice.Days
		}
	case factor.DueChange:
		if s, err := a.doors.keeper.Status(ctx, p.PersonID); err == nil {
			out.Why = "expired"
			if s.MustChange {
				out.Why = "set_by_admin"
			}
		}
	}
	return out, nil
}

func methodViews(list []factor.Method) []portal.Method {
	var out []portal.Method
	for _, m := range list {
		out = append(out, portal.Method{Kind: m.Kind, Hint: m.Hint})
	}
	return out
}

// again says how somebody without a second factor proves himself once more: where
// he did it first.
func (a *attempt) again(ctx context.Context, sessionID string) []portal.Method {
	if a.grants != nil {
		if g, err := a.grants.Of(ctx, sessionID); err == nil {
			return []portal.Method{{Kind: portal.KindProvider, Provider: g.Provider, Label: a.label(g.Provider)}}
		}
	}
	return []portal.Method{{Kind: portal.KindPassword}}
}

// SendCode sends a code by mail or SMS.
func (b *backend) SendCode(ctx context.Context, step, kind string) error {
	a, h, _, err := b.resume(ctx, step)
	if err != nil {
		return err
	}
	if _, err := a.doors.factors.SendCode(ctx, h, kind); err != nil {
		return a.noted(ctx, "send_code", kind, a.stepRefused(err))
	}
	return a.noted(ctx, "send_code", kind, nil)
}

// PasskeyChallenge begins a proof by passkey.
func (b *backend) PasskeyChallenge(ctx context.Context, step string) ([]byte, error) {
	a, h, _, err := b.resume(ctx, step)
	if err != nil {
		return nil, err
	}
	req, err := a.doors.factors.PasskeyRequest(ctx, h)
	if err != nil {
		return nil, a.stepRefused(err)
	}
	return req, nil
}

// trustAt remembers that a person wants the device to be trusted, while something
// is still due.
const trustAt = "trust/"

// Prove gives one proof.
func (b *backend) Prove(ctx context.Context, step string, proof portal.FactorProof) (portal.SignInResult, error) {
	none := portal.SignInResult{}
	a, h, p, err := b.resume(ctx, step)
	if err != nil {
		return none, err
	}
	if p.Next() == factor.DuePassword {
		err = a.proveAgain(ctx, h, &p, proof)
	} else {
		if p, err = a.doors.factors.Prove(ctx, h, factor.Proof{Kind: proof.Kind, Code: proof.Code, Response: proof.Response}); err != nil {
			if errors.Is(err, factor.ErrTries) {
				_ = a.doors.factors.End(ctx, h)
			}
			err = a.stepRefused(err)
		}
	}
	if err := a.noted(ctx, "second_factor", proof.Kind, err); err != nil {
		return none, err
	}
	if proof.Trust && p.Purpose == factor.SignIn && proof.Kind != factor.Recovery {
		if err := a.rt.state.Put(ctx, trustAt+p.ID, nil, factor.PendingLifetime); err != nil {
			return none, refuse(policy.StoreUnavailable)
		}
	}
	return a.goOn(ctx, h, &p)
}

// proveAgain checks the password of somebody who has no second factor.
func (a *attempt) proveAgain(ctx context.Context, h factor.Holder, p *factor.Pending, proof portal.FactorProof) error {
	if proof.Kind != portal.KindPassword {
		return refuse(policy.BadRequest)
	}
	try, err := a.take(ctx, a.rt.attempts, a.email)
	if err != nil {
		return err
	}
	defer func() { _ = try.Release(ctx) }()
	password, err := a.unsealed(ctx, a.email, proof.Password, proof.Sealed)
	if err != nil {
		return err
	}
	whose := a.person
	if err := a.prove(ctx, password); err != nil {
		if !errors.Is(err, signin.ErrWrong) {
			return err
		}
		_ = try.Failure(ctx)
		return refuse(policy.WrongCredentials)
	}
	if a.person.ID != whose.ID {
		return refuse(policy.WrongCredentials)
	}
	_ = try.Success(ctx)
	*p, err = a.doors.factors.Pass(ctx, h, factor.DuePassword, "pwd")
	if err != nil {
		return a.stepRefused(err)
	}
	return nil
}

// goOn goes on with a pending sign-in in which something was done: with the next
// thing due, or with the session.
func (a *attempt) goOn(ctx context.Context, h factor.Holder, p *factor.Pending) (portal.SignInResult, error) {
	if p.Next() != "" {
		return a.step(ctx, h.Secret, p)
	}
	done, err := a.doors.factors.Finish(ctx, h)
	if err != nil {
		return portal.SignInResult{}, a.stepRefused(err)
	}
	if err := a.of(&done); err != nil {
		return portal.SignInResult{}, err
	}
	if done.Purpose == factor.StepUp {
		return a.steppedUp(ctx, done.SessionID, done.Methods)
	}
	res, err := a.finish(ctx, &done)
	return a.report(ctx, res, err)
}

// finish makes the session of a sign-in in which nothing is due any more. What was
// judged at its beginning is judged again.
func (a *attempt) finish(ctx context.Context, done *factor.Pending) (portal.SignInResult, error) {
	if err := a.judge(ctx); err != nil {
		return portal.SignInResult{}, err
	}
	res, err := a.session(ctx)
	if err != nil {
		return res, err
	}
	if _, err := a.rt.state.Take(ctx, trustAt+done.ID); err != nil {
		return res, nil //nolint:nilerr // not asked for, or nobody knows: no trust
	}
	cookie, ends, err := a.doors.factors.GrantDevice(ctx, *done, a.client.UserAgent, a.client.IP, "")
	switch {
	case err == nil:
		res.Device, res.DeviceEnds = cookie, ends
		a.notify(mail.DeviceTrusted, factor.AgentName(a.client.UserAgent))
		a.say("device trusted until " + ends.UTC().Format(time.RFC3339))
	case !errors.Is(err, factor.ErrNotDue) && !errors.Is(err, factor.ErrKind):
		a.logger.Warn("trusting a device failed", zap.Error(err))
	}
	return res, nil
}

// Cancel ends a pending sign-in.
func (b *backend) Cancel(ctx context.Context, step string) error {
	a, err := b.attempt(portal.ClientFrom(ctx))
	if err != nil {
		return err
	}
	if err := a.doors.factors.End(ctx, a.holder(step)); err != nil {
		return a.stepRefused(err)
	}
	return nil
}

// StepUp begins the proof before a sensitive act.
func (b *backend) StepUp(ctx context.Context, token, target string) (string, error) {
	a, s, err := b.self(ctx, token)
	if err != nil {
		return "", err
	}
	due, err := a.dueAgain(ctx)
	if err != nil {
		return "", err
	}
	secret, _, err := a.doors.factors.Begin(ctx, factor.Start{
		PersonID: s.PersonID, Purpose: factor.StepUp, SessionID: s.ID, Due: []factor.Due{due}, Kinds: a.app().factorKinds(),
		Return: target, Agent: a.client.UserAgent, IP: a.client.IP,
	})
	if err != nil {
		return "", a.stepRefused(err)
	}
	return secret + "." + s.ID, nil
}

// steppedUp moves a session's time of proof, under a new id.
func (a *attempt) steppedUp(ctx context.Context, sessionID string, methods []string) (portal.SignInResult, error) {
	s, err := a.rt.sessions.ByID(sessionID)
	if err != nil {
		return portal.SignInResult{}, a.app().refusalOf(err)
	}
	if err := a.judge(ctx); err != nil {
		return portal.SignInResult{}, err
	}
	return a.rotate(ctx, s, func(n *session.Session) {
		n.AuthTime = a.app().clock().Now()
		for _, m := range methods {
			if !slices.Contains(n.Methods, m) {
				n.Methods = append(n.Methods, m)
			}
		}
	})
}

// rotate gives a session a new id, with all that is kept for it.
func (a *attempt) rotate(ctx context.Context, s *session.Session, change func(*session.Session)) (portal.SignInResult, error) {
	token, n, err := a.rt.sessions.Rotate(ctx, s, change)
	if err != nil {
		return portal.SignInResult{}, a.app().refusalOf(err)
	}
	if a.grants != nil {
		if err := a.grants.Rotate(context.WithoutCancel(ctx), s.ID, n.ID); err != nil {
			a.logger.Error("a grant could not be moved to its session's new id; the session ends", zap.Error(err))
			_ = a.rt.sessions.End(context.WithoutCancel(ctx), n.ID, session.ReasonEnded)
			return portal.SignInResult{}, refuse(policy.StoreUnavailable)
		}
	}
	a.app().moveCRM(context.WithoutCancel(ctx), a.rt, s, n)
	return portal.SignInResult{Token: token, Session: a.app().view(n, a.person), Return: a.target}, nil
}

// end is when a session ends whatever happens; zero: never.
func (a *attempt) end(s *session.Session) time.Time {
	_, absolute := a.rt.sessions.Remaining(s)
	if absolute < 0 {
		return time.Time{}
	}
	return a.app().clock().Now().Add(absolute)
}

// noted writes one act of a person about his own account to audit and metrics, and
// returns the act's error. An act that cannot be recorded is refused.
func (a *attempt) noted(ctx context.Context, act, what string, err error) error {
	reason, decision := policy.Allowed, "allow"
	if err != nil {
		decision, reason = "deny", policy.Internal
		if x, ok := errors.AsType[*portal.Refusal](err); ok {
			reason = x.Reason
		} else if _, weak := errors.AsType[*portal.WeakPassword](err); weak {
			reason = policy.BadRequest
		}
	}
	metrics.act(act, err == nil, reason)
	rec := audit.Record{
		Kind: act, RequestID: a.client.RequestID, IP: a.client.IP.String(), Host: a.client.Host,
		Decision: decision, Reason: string(reason), Detail: strings.Trim(what+": "+a.detail, ": "),
	}
	if a.person != nil {
		rec.PersonID, rec.Email, rec.Role = a.person.ID, a.person.Email, a.person.Role
	}
	if aerr := a.app().act(ctx, rec); aerr != nil && err == nil {
		return refuse(policy.Unwritable)
	}
	return err
}
