// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// Package portal serves the gate's own pages and JSON under /.crmgate/: sign-in,
// sign-out, a person's own sessions, and the page or problem document of every
// refused request.
//
// The portal keeps nothing and decides nothing. What it knows about people and
// sessions comes from a Backend; which status and sentence a refusal has comes
// from policy.Reason. It is plain net/http: the gate calls it with the client's
// address and request id in the context (WithClient).
//
// # Routes
//
//	GET, POST  /.crmgate/sign-in                 form; works without JavaScript
//	GET        /.crmgate/signed-in               checks that the browser kept the cookie
//	GET, POST  /.crmgate/sign-out                question, then the deed
//	GET        /.crmgate/account                 own sessions, factors, devices
//	POST       /.crmgate/account/sessions/end    form value "id"
//	POST       /.crmgate/account/sessions/end-others
//	POST       /.crmgate/api/sign-in             {"email","password" or "sealed"}
//	POST       /.crmgate/api/sign-out            204
//	GET        /.crmgate/api/session             remaining time; never counts as activity
//	GET        /.crmgate/api/sessions
//	DELETE     /.crmgate/api/sessions/{id}       204
//	GET        /.crmgate/assets/{hashed name}
//	GET        /.crmgate/health
//
// With Options.Entry:
//
//	POST       /.crmgate/sign-in/passkey         form values "flow", "response"
//	GET        /.crmgate/api/entrances           what can be offered
//	POST       /.crmgate/api/passkey/begin
//	POST       /.crmgate/api/passkey/finish      {"flow","response"}
//	POST       /.crmgate/api/password/key        a one-time key to encrypt with
//
// With Options.Steps:
//
//	GET, POST  /.crmgate/step                    what is due, and one proof
//	POST       /.crmgate/step/send               sends a code; form value "kind"
//	POST       /.crmgate/step/cancel             ends the pending sign-in
//	POST       /.crmgate/step/enrol              with Factors: a factor that is due
//	POST       /.crmgate/step/enrol/finish
//	POST       /.crmgate/step/password           with Passwords: a change that is due
//	GET, POST  /.crmgate/step-up                 question, then the step page
//	GET, DELETE /.crmgate/api/step               what is due; ends it
//	POST       /.crmgate/api/step/code           {"kind"}: sends a code
//	POST       /.crmgate/api/step/passkey        a challenge
//	POST       /.crmgate/api/step/prove          {"kind", "code" or "response" or ..., "trust"}
//	POST       /.crmgate/api/step-up
//
// With Options.Factors:
//
//	POST       /.crmgate/account/factors/begin   form value "kind"
//	POST       /.crmgate/account/factors/finish
//	POST       /.crmgate/account/factors/remove  form value "id"
//	POST       /.crmgate/account/recovery-codes
//	POST       /.crmgate/account/devices/rename
//	POST       /.crmgate/account/devices/revoke
//	GET        /.crmgate/api/factors
//	POST       /.crmgate/api/factors/begin       {"kind"}
//	POST       /.crmgate/api/factors/finish      {"kind", "code" or "response", "label"}
//	DELETE     /.crmgate/api/factors/{id}        204
//	POST       /.crmgate/api/recovery-codes
//	GET        /.crmgate/api/devices
//	POST, DELETE /.crmgate/api/devices/{id}      {"label"}; 204
//
// With Options.Passwords:
//
//	GET, POST  /.crmgate/account/password
//	GET, POST  /.crmgate/forgot
//	GET, POST  /.crmgate/reset                   the GET uses nothing up
//	GET        /.crmgate/api/password/rules
//	POST       /.crmgate/api/password/check      {"password"}; not while passwords are encrypted
//	POST       /.crmgate/api/password/change     {"password","new_password"} or {"sealed"}
//	POST       /.crmgate/api/password/forgot     {"email"}: 204 whoever it is
//	POST       /.crmgate/api/password/reset      {"link","new_password" or "sealed"}: 204
//
// With Options.Kept and Options.SSO:
//
//	GET, POST  /.crmgate/kept                    question, then the form is sent
//	POST       /.crmgate/kept/drop
//	GET, POST  /.crmgate/sso/{name}/{endpoint}
//
// HEAD goes wherever GET goes. Anything else under /.crmgate/ is 404 and never
// reaches the CRM; so are the routes of a feature that is off.
//
// # What it refuses
//
// Two copies of any cookie of ours that holds a secret: 400, and it is cleared. A
// POST or DELETE that a browser sent from another site: 403, except the answers of
// identity providers (Options.SSO). A body above 16 KiB: 413. A body that is not
// the form or the JSON the route asks for (duplicate or unknown members, invalid
// UTF-8, a value given twice): 400, or 415 for another media type. A password in
// clear where they are taken encrypted only: 400, before anybody looks at it. An
// error of the Backend that is not a *Refusal: 500, never "not signed in". A result
// with neither a usable token nor a step this portal can show: 500 and no cookie.
package portal

import (
	"context"
	"log/slog"
	"net/http"
	"strings"

	"github.com/crmgate/crmgate/modules/internal/clock"
	"github.com/crmgate/crmgate/policy"
)

// Prefix is where the portal lives. Every path below it belongs to the gate.
const Prefix = "/.crmgate/"

// Paths of the portal that others link to.
const (
	SignInPath  = Prefix + "sign-in"
	SignOutPath = Prefix + "sign-out"
	AccountPath = Prefix + "account"
	StepPath    = Prefix + "step"
	StepUpPath  = Prefix + "step-up"
	ForgotPath  = Prefix + "forgot"
	ResetPath   = Prefix + "reset"
	KeptPath    = Prefix + "kept"
	HealthPath  = Prefix + "health"

	signedInPath     = Prefix + "signed-in"
	passkeyPath      = SignInPath + "/passkey"
	endSessionPath   = AccountPath + "/sessions/end"
	endOthersPath    = AccountPath + "/sessions/end-others"
	beginPath        = AccountPath + "/factors/begin"
	finishPath       = AccountPath + "/factors/finish"
	removePath       = AccountPath + "/factors/remove"
	recoveryPath     = AccountPath + "/recovery-codes"
	renamePath       = AccountPath + "/devices/rename"
	revokePath       = AccountPath + "/devices/revoke"
	passwordPath     = AccountPath + "/password"
	sendPath         = StepPath + "/send"
	cancelPath       = StepPath + "/cancel"
	stepBeginPath    = StepPath + "/enrol"
	stepFinishPath   = StepPath + "/enrol/finish"
	stepPasswordPath = StepPath + "/password"
	dropKeptPath     = KeptPath + "/drop"

	assetsPath      = Prefix + "assets/"
	apiPrefix       = Prefix + "api/"
	apiSessionsPath = apiPrefix + "sessions/"
	apiFactorsPath  = apiPrefix + "factors/"
	apiDevicesPath  = apiPrefix + "devices/"
)

// Owns says whether a decoded path belongs to the portal, in any letter case:
// such a request is never forwarded.
func Owns(path string) bool {
	const bare = len(Prefix) - 1
	if len(path) < bare || !strings.EqualFold(path[:bare], Prefix[:bare]) {
		return false
	}
	return len(path) == bare || path[bare] == '/'
}

// Options configure a Portal. The zero value of each is usable; without a Backend
// every route that needs one answers 503.
type Options struct {
	Backend Backend
	Account string // the account's name in the stores, shown small on every page; default none
	Title   string // what people call the CRM, shown on every page; default "your CRM"
	Support string // whom to ask, such as an e-mail address; shown on refusals when set

	// Each of these is a feature that is off when nil: its routes answer 404 and no
	// page shows it.
	Entry     Entry
	Steps     Steps
	Factors   Factors
	Passwords Passwords
	Kept      KeptPosts
	// SSO serves everything under signin.SSOPrefix. The portal sets its headers and
	// makes its cross-origin check before, except for the POSTs identity providers
	// send (acs, slo, callback, backchannel-logout), which the handler checks itself.
	SSO http.Handler

	// Health is asked by HealthPath; an error answers 503 without its text. Without
	// it the route only says that the process answers.
	Health func(context.Context) error

	Clock clock.Clock  // default clock.System
	Log   *slog.Logger // where unexpected errors of the Backend go; default nowhere
}

// Portal serves the gate's own pages. Safe for concurrent use.
type Portal struct {
	backend Backend
	opts    Options
	routes  map[string]route
	cross   *http.CrossOriginProtection
}

// New returns a portal.
func New(o Options) *Portal {
	if o.Backend == nil {
		o.Backend = noBackend{}
	}
	if o.Title == "" {
		o.Title = "your CRM"
	}
	if o.Clock == nil {
		o.Clock = clock.System{}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	p := &Portal{backend: o.Backend, opts: o, cross: http.NewCrossOriginProtection()}
	p.routes = p.mount()
	return p
}

// ServeHTTP answers every path that Owns claims, and 404 for any other.
func (p *Portal) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	protect(w.Header())
	rt, ok := p.find(r.URL.Path)
	if !ok {
		p.fail(w, r, negotiate(r), faultNotFound)
		return
	}
	h := rt.handler(r.Method)
	if h == nil {
		w.Header().Set("Allow", rt.allow())
		p.fail(w, r, rt.form, faultMethod)
		return
	}
	if !rt.open {
		if !exempt(r) && p.cross.Check(r) != nil {
			p.refuse(w, r, rt.form, Refusal{Reason: policy.CrossSite})
			return
		}
		if clearDoubled(w.Header(), r) {
			p.refuse(w, r, rt.form, Refusal{Reason: policy.BadRequest})
			return
		}
	}
	h(w, r)
}

// health says whether the process, and what Options.Health looks at, is well.
func (p *Portal) health(w http.ResponseWriter, r *http.Request) {
	status, word := http.StatusOK, "ok"
	if p.opts.Health != nil {
		if err := p.opts.Health(r.Context()); err != nil {
			p.opts.Log.WarnContext(r.Context(), "health check failed", "error", err)
			status, word = http.StatusServiceUnavailable, "unavailable"
			w.Header().Set("Retry-After", "10")
		}
	}
	writeJSON(w, r, status, map[string]string{"status": word})
}
