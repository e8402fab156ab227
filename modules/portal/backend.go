// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package portal

import (
	"context"
	"net/netip"
	"time"

	"github.com/crmgate/crmgate/policy"
)

// Backend is what the portal asks about people and sessions. The context of every
// call carries the Client (ClientFrom).
//
// A method that refuses returns a *Refusal; any other error is shown as an
// internal one and logged, so it must hold no secret. All methods must be safe
// for concurrent use.
type Backend interface {
	// SignIn checks a password and starts a session. It throttles, does the same work
	// for an unknown person as for a known one, and answers Locked or Deactivated
	// only after the right password.
	SignIn(ctx context.Context, req SignInRequest) (SignInResult, error)
	// SignOut ends the session of token. A token without a session is not an error.
	SignOut(ctx context.Context, token string, client Client) error
	// Session returns the session of token without counting as activity.
	Session(ctx context.Context, token string) (SessionView, error)
	// Sessions returns all live sessions of the person behind token.
	Sessions(ctx context.Context, token string) ([]SessionView, error)
	// EndSession ends the session id of the person behind token. A session that does
	// not exist and one of somebody else are both refused with policy.RowDenied.
	EndSession(ctx context.Context, token, id string) error
	// EndOtherSessions ends all sessions of the person behind token but this one.
	EndOtherSessions(ctx context.Context, token string) error
	// PasswordRules returns the rules a new password must meet, a sentence each.
	PasswordRules() []string
}

// SignInRequest is one attempt.
type SignInRequest struct {
	Email    string // trimmed, 1 to 254 bytes of valid UTF-8, not otherwise checked
	Password string // 1 to 1024 bytes, exactly as typed; "" when Sealed is set
	// Sealed is the encrypted password (package sealedform); only with
	// Entrances.Encrypt, and then always. Email came in clear beside it; the one that
	// is sealed, if there is one, must equal it.
	Sealed string
	Device string // value of the trusted-device cookie, or ""; 16 to 256 bytes, not checked
	Return string // where the person wants to go; has been through ReturnTarget
	Client
}

// String keeps the password out of logs.
func (SignInRequest) String() string { return "SignInRequest" }

// SignInResult is what a proof led to: a session, or a step that is still due.
// Exactly one of Token and Step is set; with Step there is no session yet.
type SignInResult struct {
	Token   string      // the new session's secret: 16 to 256 characters A-Z a-z 0-9 - _ . ~
	Session SessionView // the new session
	// Step is the secret of the pending sign-in, of the same shape as Token; Next is
	// what is due: NextSecondFactor, NextEnrol or NextChangePassword.
	Step    string
	Next    string
	Methods []string // with Next: how the step can be done, such as KindTOTP
	// Device makes this browser a trusted one: a cookie value of the same shape, kept
	// until DeviceEnds. "" leaves the cookie as it is.
	Device     string
	DeviceEnds time.Time
	Return     string // where the browser goes at last; goes through ReturnTarget; "": the way the portal knows, or "/"
}

// String keeps the secrets out of logs.
func (r SignInResult) String() string { return "SignInResult next=" + r.Next }

// What may be due before there is a session.
const (
	NextSecondFactor   = "second_factor"
	NextEnrol          = "enrol"
	NextChangePassword = "change_password"
)

// SessionView is what a person may see of a session of theirs. A zero time means
// "no such limit" for IdleEnds and Expires.
type SessionView struct {
	ID        string // public handle: never the token
	Email     string
	Name      string
	Role      string
	Created   time.Time
	LastSeen  time.Time
	IdleEnds  time.Time // when it ends if nothing is done
	Expires   time.Time // when it ends whatever is done
	IP        string
	UserAgent string
	Current   bool // it is the session that asks; the portal sets it by ID when the Backend does not
}

// Client is who sends a request, as far as the gate has established it.
type Client struct {
	IP        netip.Addr
	UserAgent string
	RequestID string
	Host      string // canonical host; default the request's
}

type clientKey struct{}

// WithClient returns a context that carries c.
func WithClient(ctx context.Context, c Client) context.Context {
	return context.WithValue(ctx, clientKey{}, c)
}

// ClientFrom returns the Client in ctx; the zero Client when there is none.
func ClientFrom(ctx context.Context) Client {
	c, _ := ctx.Value(clientKey{}).(Client)
	return c
}

// noBackend refuses everything: a portal that was given no Backend is closed.
type noBackend struct{}

func (noBackend) refusal() error { return &Refusal{Reason: policy.StoreUnavailable} }

func (b noBackend) SignIn(context.Context, SignInRequest) (SignInResult, error) {
	return SignInResult{}, b.refusal()
}
func (b noBackend) SignOut(context.Context, string, Client) error { return b.refusal() }
func (b noBackend) Session(context.Context, string) (SessionView, error) {
	return SessionView{}, b.refusal()
}

func (b noBackend) Sessions(context.Context, string) ([]SessionView, error) {
	return nil, b.refusal()
}
func (b noBackend) EndSession(context.Context, string, string) error { return b.refusal() }
func (b noBackend) EndOtherSessions(context.Context, string) error   { return b.refusal() }
func (noBackend) PasswordRules() []string                            { return nil }
