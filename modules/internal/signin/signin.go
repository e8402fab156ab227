// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// Package signin says what a provider of identity is: a guest that checks the
// proof a person gives. Everything around the proof (network rules, throttles,
// locks, status, second factor, the session itself) is the gate's and is the
// same for every provider.
package signin

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/crmgate/crmgate/modules/internal/clock"
	"github.com/crmgate/crmgate/modules/internal/directory"
	"github.com/crmgate/crmgate/modules/internal/password"
	"github.com/crmgate/crmgate/modules/internal/records"
	"github.com/crmgate/crmgate/modules/internal/state"
	"github.com/crmgate/crmgate/modules/internal/vault"
)

// ErrWrong is returned when the proof does not hold: a wrong password and an
// unknown account alike, so that nobody learns which accounts exist.
var ErrWrong = errors.New("signin: wrong credentials")

// ErrBusy is returned when the proof could not be checked in time; it says
// nothing about the proof.
var ErrBusy = errors.New("signin: too many sign-ins at once")

// Env is what a provider may use. It is given with every call; its members do
// not change while the stores are open.
type Env struct {
	Records   records.Store
	State     state.Store
	Directory *directory.Directory
	Passwords *password.Hasher
	Vault     *vault.Vault
	Clock     clock.Clock
	Random    io.Reader
	Log       *slog.Logger
	// Origin is where browsers reach the gate: scheme and host, no slash at the end,
	// such as "https://crm.example.com". What a provider sends people back to is
	// built from it and never from a request.
	Origin string
}

// PasswordProvider checks an e-mail address and a password.
type PasswordProvider interface {
	// Name is the provider's name in audit and metrics.
	Name() string
	// Password checks the proof and returns the person, whatever his status: the
	// gate judges that. Errors are ErrWrong, ErrBusy, or say that the check could
	// not be made.
	Password(ctx context.Context, env Env, email, password string) (records.Person, error)
}

// RedirectProvider proves people elsewhere: it sends the browser to an identity
// provider and reads the answer the browser brings back (OpenID Connect, SAML).
//
// The gate keeps what belongs to one sign-in on the server, under the id of the
// flow, so that any number of tabs can sign in at once; a flow is taken by one
// answer and by no second one.
type RedirectProvider interface {
	// Name is 1 to 32 letters a-z, digits and -; it stands in paths, audit, metrics.
	Name() string
	// Label is what people read on the button, such as "Google".
	Label() string
	// Begin starts a sign-in. The answer must carry the id back (OAuth's state,
	// SAML's RelayState). kept is given to Finish again and is never shown to
	// anybody.
	Begin(ctx context.Context, env Env, flow Flow) (next Next, kept []byte, err error)
	// FlowID reads the flow's id from an answer, or "" when the provider began the
	// sign-in by itself. It checks nothing else.
	FlowID(r *http.Request) (string, error)
	// Finish reads and checks an answer. kept is nil when the provider began the
	// sign-in by itself; only a provider that was told to accept that may return a
	// Proof then. Errors: *DeniedError when the answer is understood and says no or
	// must not be believed, anything else when it could not be checked.
	Finish(ctx context.Context, env Env, r *http.Request, kept []byte) (Proof, error)
}

// Flow is one sign-in that has begun.
type Flow struct {
	ID        string // unguessable, 43 characters of base64url
	LoginHint string // an e-mail address, or ""
	// Fresh asks the provider to prove the person again, whatever he remembers:
	// the step before a sensitive act.
	Fresh bool
}

// Next is where the browser goes. With Form it is a POST of these values.
type Next struct {
	URL  string
	Form map[string]string
}

// Proof is what a provider said about somebody, after every check.
type Proof struct {
	Email    string    // verified by the provider; compared with the directory's by FoldEmail
	Subject  string    // the provider's own id of the person
	Methods  []string  // how, as in RFC 8176, when the provider says
	AuthTime time.Time // zero when the provider does not say
	Grant    Grant
}

// Grant is what the gate keeps of a sign-in at a provider for as long as the
// session lives: what renews it, and what ends it there. It is sealed.
type Grant struct {
	Provider string    `json:"provider"`
	Subject  string    `json:"subject,omitempty"` // finds sessions when the provider signs a person out
	Session  string    `json:"session,omitempty"` // the provider's own session id (sid, SessionIndex), or ""
	Data     []byte    `json:"data,omitempty"`    // the provider's own, opaque to everybody else
	Recheck  time.Time `json:"recheck,omitzero"`  // when Renew is due; zero: never
}

// Renewer is a RedirectProvider that can ask again whether a sign-in still holds.
type Renewer interface {
	// Renew is called by one gateway at a time for one grant. *DeniedError ends the
	// session; any other error leaves it until the next try.
	Renew(ctx context.Context, env Env, g Grant) (Proof, error)
}

// Leaver is a RedirectProvider that can end a sign-in at the provider too.
type Leaver interface {
	// Leave says where the browser goes to sign out there; it comes back to
	// Origin + SSOPath(name, "signed-out"). A zero Next means that nothing is to be done.
	Leave(ctx context.Context, env Env, g Grant) (Next, error)
}

// Listener is a RedirectProvider with paths of its own below SSOPath(name, ""):
// metadata, logout requests.
type Listener interface {
	// Listen serves one of them, or returns false when the path is none of its own.
	Listen(w http.ResponseWriter, r *http.Request, env Env, path string, host Host) bool
}

// Host is what a Listener may ask of the gate.
type Host interface {
	// EndSessions ends the sessions that began with this provider for a subject, and
	// for one provider session only when session is not "". It returns how many.
	EndSessions(ctx context.Context, provider, subject, session string) (int, error)
	// GrantOf returns the grant of the session the request carries; false when it
	// carries none of this provider.
	GrantOf(r *http.Request, provider string) (Grant, bool)
}

// DeniedError says that an answer was read and does not sign anybody in. Detail is
// for audit and log and holds no secret; the person reads a generic sentence.
type DeniedError struct{ Detail string }

// Error returns the detail.
func (e *DeniedError) Error() string { return "signing in was denied: " + e.Detail }

// Denied returns a DeniedError.
func Denied(detail string) error { return &DeniedError{Detail: detail} }

// SSOPrefix is where redirect providers live.
const SSOPrefix = "/.crmgate/sso/"

// SSOPath is the path of one of a provider's endpoints. "start" begins a sign-in,
// "callback" (OpenID Connect) and "acs" (SAML) take the answer, "signed-out" is
// where a browser comes back after signing out; every other one is the Listener's.
func SSOPath(name, endpoint string) string { return SSOPrefix + name + "/" + endpoint }
