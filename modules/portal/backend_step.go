// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package portal

import (
	"context"
	"time"
)

// Steps is what stands between a right first proof and a session, and what an
// existing session is asked for before a sensitive act. Optional: without it a
// SignInResult with Step is an internal error, and a refusal with
// policy.StepUp cannot be mended here.
//
// step is the secret of a pending sign-in. Every method refuses an unknown, ended,
// expired or exhausted one with policy.NoSession, all alike; the portal then
// forgets it and offers the sign-in page. What is due is known by the Backend
// alone and is never inferred from what a request lacks.
type Steps interface {
	// Step says what is due now. It changes nothing and counts as no try.
	Step(ctx context.Context, step string) (StepView, error)
	// SendCode sends a code by KindMail or KindSMS. Too early after the last one:
	// policy.Throttled with RetryAfter.
	SendCode(ctx context.Context, step, kind string) error
	// PasskeyChallenge returns the options of navigator.credentials.get as JSON; a new
	// challenge ends the one before.
	PasskeyChallenge(ctx context.Context, step string) ([]byte, error)
	// Prove gives one proof. A wrong one is refused with policy.WrongCredentials and
	// costs a try; too many end the pending sign-in (policy.Throttled, from then on
	// policy.NoSession). The result is a session, or the same step with the next thing
	// due. For a step-up it is a session with a new token: the old token has ended.
	Prove(ctx context.Context, step string, proof FactorProof) (SignInResult, error)
	// Cancel ends a pending sign-in or step-up. One that is over is not an error.
	Cancel(ctx context.Context, step string) error
	// StepUp begins the proof before a sensitive act for a live session. target is
	// where the browser goes afterwards, has been through ReturnTarget.
	StepUp(ctx context.Context, token, target string) (step string, err error)
}

// Kinds of proof.
const (
	KindTOTP     = "totp"
	KindPasskey  = "passkey"
	KindMail     = "mail"
	KindSMS      = "sms"
	KindRecovery = "recovery"
	// KindPassword proves the person again before a sensitive act when there is no
	// second factor. Never a second factor itself.
	KindPassword = "password"
	// KindProvider proves the person again at his redirect provider, named by
	// Method.Provider; proved there and not by Prove.
	KindProvider = "provider"
)

// StepView is what a person may know of a pending sign-in.
type StepView struct {
	Next    string // NextSecondFactor, NextEnrol, NextChangePassword
	StepUp  bool   // a session exists; this proves its person again
	Email   string // who signs in: he has given it himself, or proved it
	Methods []Method
	// SentKind is the kind a code was last sent by, or ""; SentTo a hint such as
	// "a…@example.com"; SentAt when; ResendAt when the next may be sent.
	SentKind  string
	SentTo    string
	SentAt    time.Time
	ResendAt  time.Time
	TriesLeft int       // wrong tries left; shown from 3 down
	Expires   time.Time // when the pending sign-in ends whatever is done
	TrustDays int       // days a device can be trusted after this step; 0: not offered
	Why       string    // with NextChangePassword: "expired" or "set_by_admin"; "" says neither
	Return    string    // where the browser goes at last; goes through ReturnTarget
}

// Method is one way to do the step, the preferred one first. For NextEnrol it is a
// kind that can be set up.
type Method struct {
	Kind     string
	Label    string // what people read; default by kind
	Hint     string // such as "…44 17", never the whole number or address
	Provider string // with KindProvider: its name
}

// FactorProof is one answer.
type FactorProof struct {
	Kind     string // one of the kinds above but KindProvider
	Code     string // for totp, mail, sms, recovery: 1 to 32 bytes, blanks removed
	Response []byte // for passkey: AuthenticationResponseJSON, at most 16 KiB
	Password string // for password, in clear
	Sealed   string // for password, encrypted
	Trust    bool   // do not ask on this device again
}

// String keeps codes and passwords out of logs.
func (p FactorProof) String() string { return "FactorProof kind=" + p.Kind }
