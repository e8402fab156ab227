// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package portal

import (
	"context"
	"time"
)

// Entry is what the sign-in page offers besides a password in clear, and what
// follows signing out. Optional: without it the page is a form for e-mail and
// password.
type Entry interface {
	// Entrances says what can be offered to the client in ctx. An error is shown
	// instead of the page: a form nobody can be let in by is not offered.
	Entrances(ctx context.Context) (Entrances, error)
	// PasswordKey returns a fresh one-time key to encrypt a password with. Asked only
	// while Entrances.Encrypt holds.
	PasswordKey(ctx context.Context) (PasswordKey, error)
	// BeginPasskey starts a sign-in with a passkey: the options of
	// navigator.credentials.get as JSON (PublicKeyCredentialRequestOptionsJSON), and
	// the handle of the flow, 16 to 256 characters A-Z a-z 0-9 - _ . ~.
	BeginPasskey(ctx context.Context) (flow string, request []byte, err error)
	// SignInPasskey checks the answer (AuthenticationResponseJSON, at most 16 KiB, not
	// otherwise checked). A flow is good once. Refuses like SignIn.
	SignInPasskey(ctx context.Context, req PasskeyRequest) (SignInResult, error)
	// LeaveNext says where the person behind token also has to sign out, asked before
	// SignOut. The zero Onward: nowhere. An error is logged and does not keep anybody
	// from signing out here.
	LeaveNext(ctx context.Context, token string) (Onward, error)
}

// Entrances are the ways in that are open.
type Entrances struct {
	Password  bool // e-mail and password
	Encrypt   bool // passwords are taken encrypted only, on every form and route that takes one
	Passkey   bool // a passkey as the only factor
	Forgot    bool // a password can be reset by mail; needs Passwords
	Providers []Provider
}

// Provider is one redirect provider (see signin.RedirectProvider).
type Provider struct {
	Name  string // 1 to 32 letters a-z, digits and -
	Label string // what people read on the button
}

// PasswordKey is a public key that encrypts one password (package sealedform).
type PasswordKey struct {
	JSON    []byte // the object the page's and the app's code is given, as it is
	Expires time.Time
}

// PasskeyRequest is one attempt with a passkey.
type PasskeyRequest struct {
	Flow     string
	Response []byte
	Return   string // has been through ReturnTarget
	Client
}

// Onward is an address the browser goes to next, outside of this site. With Form
// it is a POST of these values. URL must be https and absolute: what is not is
// treated as no Onward.
type Onward struct {
	Label string // whose it is, such as "Google"
	URL   string
	Form  map[string]string
}
