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
//	GET, POST  /.crmgate/sign-in                    form; works without JavaScript
//	GET        /.crmgate/signed-in                  checks that the browser kept the cookie
//	GET, POST  /.crmgate/sign-out                   question, then the deed
//	GET        /.crmgate/account                    own sessions
//	POST       /.crmgate/account/sessions/end       form value "id"
//	POST       /.crmgate/account/sessions/end-others
//	GET, POST  /.crmgate/second-factor              Options.SecondFactor, else a refusal
//	POST       /.crmgate/api/sign-in                {"email","password"}
//	POST       /.crmgate/api/sign-out               204
//	GET        /.crmgate/api/session                remaining time; never counts as activity
//	GET        /.crmgate/api/sessions
//	DELETE     /.crmgate/api/sessions/{id}          204
//	GET        /.crmgate/assets/{hashed name}
//	GET        /.crmgate/health
//
// HEAD goes wherever GET goes. Anything else under /.crmgate/ is 404 and never
// reaches the CRM.
//
// # What it refuses
//
// Two session cookies in one request: 400, and the cookie is cleared. A POST or
// DELETE that a browser sent from another site: 403. A body above 16 KiB: 413. A
// body that is not the form or the JSON the route asks for (duplicate or unknown
// members, invalid UTF-8, a value given twice): 400, or 415 for another media
// type. An error of the Backend that is not a *Refusal: 500, never "not signed
// in". A Backend that signs somebody in without a usable token: 500 and no cookie.
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
	SignInPath       = Prefix + "sign-in"
	SignOutPath      = Prefix + "sign-out"
	AccountPath      = Prefix + "account"
	SecondFactorPath = Prefix + "second-factor"
	HealthPath       = Prefix + "health"

	signedInPath    = Prefix + "signed-in"
	endSessionPath  = Prefix + "account/sessions/end"
	endOthersPath   = Prefix + "account/sessions/end-others"
	assetsPath      = Prefix + "assets/"
	apiPrefix       = Prefix + "api/"
	apiSessionsPath = apiPrefix + "sessions/"
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
	p.routes = map[string]route{
		SignInPath:               {form: asPage, get: p.showSignIn, post: p.postSignIn},
		signedInPath:             {form: asPage, get: p.signedIn},
		SignOutPath:              {form: asPage, get: p.showSignOut, post: p.postSignOut},
		AccountPath:              {form: asPage, get: p.showAccount},
		endSessionPath:           {form: asPage, post: p.postEndSession},
		endOthersPath:            {form: asPage, post: p.postEndOthers},
		SecondFactorPath:         {form: asPage, get: p.secondFactor, post: p.secondFactor},
		apiPrefix + "sign-in":    {form: asJSON, post: p.apiSignIn},
		apiPrefix + "sign-out":   {form: asJSON, post: p.apiSignOut},
		apiPrefix + "session":    {form: asJSON, get: p.apiSession},
		apiPrefix + "sessions":   {form: asJSON, get: p.apiSessions},
		apiSessionsPath + "{id}": {form: asJSON, del: p.apiEndSession},
		HealthPath:               {form: asJSON, get: p.health},
		assetsPath + "{hashed}":  {form: asJSON, get: p.asset},
	}
	return p
}

// route is one path: its handler for each method, and the form its refusals take.
type route struct {
	form           form
	get, post, del http.HandlerFunc
}

// find returns the route of a decoded path.
func (p *Portal) find(path string) (route, bool) {
	switch {
	case strings.HasPrefix(path, apiSessionsPath):
		path = apiSessionsPath + "{id}"
	case strings.HasPrefix(path, assetsPath):
		path = assetsPath + "{hashed}"
	}
	rt, ok := p.routes[path]
	return rt, ok
}

// handler returns the handler of a method, or nil.
func (rt route) handler(method string) http.HandlerFunc {
	switch method {
	case http.MethodGet, http.MethodHead:
		return rt.get
	case http.MethodPost:
		return rt.post
	case http.MethodDelete:
		return rt.del
	}
	return nil
}

// allow is the value of the Allow header.
func (rt route) allow() string {
	var m []string
	if rt.get != nil {
		m = append(m, "GET, HEAD")
	}
	if rt.post != nil {
		m = append(m, "POST")
	}
	if rt.del != nil {
		m = append(m, "DELETE")
	}
	return strings.Join(m, ", ")
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
	if err := p.cross.Check(r); err != nil {
		p.refuse(w, r, rt.form, Refusal{Reason: policy.CrossSite})
		return
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
