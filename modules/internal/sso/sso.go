// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// Package sso sends browsers to an identity provider and takes the answers they
// bring back, whatever the provider speaks. It is everything below
// /.crmgate/sso/, except what a provider listens to itself.
//
// # Routes
//
//	GET        {name}/start       begins a sign-in; return, hint, for
//	GET, POST  {name}/callback    takes an answer (OpenID Connect)
//	POST       {name}/acs         takes an answer (SAML)
//	GET        {name}/signed-out  where a browser comes back after signing out
//	           {name}/...         the provider's own, when it is a signin.Listener
//
// # Flows
//
// What belongs to one sign-in (where to go afterwards, what the provider wants to
// see again) is kept on the server, sealed, under the hash of the flow's id, for
// ten minutes at most. The browser has only a cookie that says which browser it
// is: one value for any number of tabs. An answer is believed when its flow is
// there, was begun at this provider, and the cookie is that of the browser that
// began it; then the flow is taken in one atomic act, so that a second answer finds
// nothing.
//
// A provider that answers by GET is bound by a cookie with SameSite=Lax. Browsers
// do not send that with a POST from another site, so a provider that answers by
// POST is bound by a second cookie, SameSite=None, with a value of its own that is
// good for nothing else.
//
// # What it refuses
//
// An unknown provider or path: 404. A parameter given twice, an undecodable query
// or body, another media type, a body above Options.MaxBody: 400. Two flow cookies:
// 400. More flows than Options.PerBrowser or Options.PerAddress: 429. An answer
// without a flow, with one that was used or is over, from another browser, or for
// another provider: 400 and a page that offers to start again, never a redirect to
// the provider, which could go round in circles; a person who is signed in already
// is sent to the start page instead. Stores or provider that do not answer: 503.
package sso

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/crmgate/crmgate/modules/internal/signin"
	"github.com/crmgate/crmgate/policy"
)

// The defaults of Options.
const (
	DefaultMaxBody    = 256 << 10
	DefaultPerBrowser = 32
	DefaultPerAddress = 300
)

// FlowLife is how long a person may take at the provider.
const FlowLife = 10 * time.Minute

// Purpose is what a flow is for.
type Purpose string

// The purposes, as in the query of start.
const (
	SignIn Purpose = ""        // to begin a session
	StepUp Purpose = "step-up" // to prove oneself again in a session that stands
	Test   Purpose = "test"    // to see whether the provider is set up right; nobody is signed in
)

// Finished is a sign-in that the provider confirmed. Nothing else has been looked
// at: not whether the person exists, may sign in from here, or owes more proof.
type Finished struct {
	Provider string
	Purpose  Purpose
	Proof    signin.Proof
	// Return is where the browser wanted to go, as Options.Return left it; "/" when
	// it did not say.
	Return string
	// Session is the id of the session in which a StepUp or Test began, which the
	// answer's own request need not carry: browsers keep the session cookie back from
	// a POST of another site. Only the browser that began the flow gets this far.
	Session string
	// Unsolicited says that the provider began the sign-in by itself.
	Unsolicited bool
}

// Refusal is an answer that signs nobody in.
type Refusal struct {
	Reason   policy.Reason // status and, for problem documents, the public sentence
	Provider string        // "" when there is no such provider
	Detail   string        // for audit and log; holds no secret
	Text     string        // for the person
	Again    string        // path that begins anew, or ""
	NotFound bool          // 404 instead of the reason's status
}

// Options configure a Handler. Env and Finish are required.
type Options struct {
	Providers []signin.RedirectProvider
	// Env returns what providers use, and false while the stores are not open.
	Env func() (signin.Env, bool)
	// Finish goes on with a confirmed sign-in and answers the request.
	Finish func(w http.ResponseWriter, r *http.Request, f Finished)
	// Refuse answers a request that failed, and records it. Default: WriteRefusal.
	Refuse func(w http.ResponseWriter, r *http.Request, x Refusal)
	// Return makes a return target safe. Default: every target is "/".
	Return func(raw, host string) string
	// Session returns the id of the good session a request carries. Default: none.
	Session func(r *http.Request) (id string, ok bool)
	// Client returns the client's address. Default: the connection's.
	Client func(r *http.Request) netip.Addr
	// Host is what Listeners may ask. Default: nobody is signed in.
	Host signin.Host

	SignedOut  string // where a browser goes after signing out at the provider; default "/.crmgate/sign-in"
	MaxBody    int64  // bytes of a request body; default DefaultMaxBody
	PerBrowser int    // flows a browser may begin in FlowLife; default DefaultPerBrowser
	PerAddress int    // flows an address (IPv6: /64) may begin in FlowLife; default DefaultPerAddress
}

// Poster is a provider that can say whether its answers come by POST. One that
// cannot is bound by both cookies.
type Poster interface{ AnswersByPost() bool }

// Handler serves everything below signin.SSOPrefix. Safe for concurrent use.
type Handler struct {
	opts      Options
	providers map[string]signin.RedirectProvider
	names     []string
}

// New returns a handler. Two providers of one name, a name that cannot stand in a
// path, and missing required options are errors.
func New(o Options) (*Handler, error) {
	if o.Env == nil || o.Finish == nil {
		return nil, errors.New("setting up single sign-on: Env and Finish are required")
	}
	h := &Handler{opts: o, providers: map[string]signin.RedirectProvider{}}
	for _, p := range o.Providers {
		name := p.Name()
		if !validName(name) {
			return nil, errors.New("setting up single sign-on: the provider name " + quote(name) + " is not 1 to 32 letters a-z, digits and -")
		}
		if _, twice := h.providers[name]; twice {
			return nil, errors.New("setting up single sign-on: two providers are named " + quote(name) + "; give one of them another name")
		}
		h.providers[name] = p
		h.names = append(h.names, name)
	}
	h.opts.defaults()
	return h, nil
}

func (o *Options) defaults() {
	if o.Refuse == nil {
		o.Refuse = WriteRefusal
	}
	if o.Return == nil {
		o.Return = func(string, string) string { return "/" }
	}
	if o.Session == nil {
		o.Session = func(*http.Request) (string, bool) { return "", false }
	}
	if o.Client == nil {
		o.Client = func(r *http.Request) netip.Addr {
			ap, _ := netip.ParseAddrPort(r.RemoteAddr)
			return ap.Addr()
		}
	}
	if o.Host == nil {
		o.Host = nobody{}
	}
	if o.SignedOut == "" {
		o.SignedOut = "/.crmgate/sign-in"
	}
	if o.MaxBody <= 0 {
		o.MaxBody = DefaultMaxBody
	}
	if o.PerBrowser <= 0 {
		o.PerBrowser = DefaultPerBrowser
	}
	if o.PerAddress <= 0 {
		o.PerAddress = DefaultPerAddress
	}
}

// Names returns the providers' names in the order they were given.
func (h *Handler) Names() []string { return h.names }

// Provider returns a provider by name.
func (h *Handler) Provider(name string) (signin.RedirectProvider, bool) {
	p, ok := h.providers[name]
	return p, ok
}

// StartPath is the path that begins a sign-in and comes back to a return target.
func StartPath(name, target string, purpose Purpose) string {
	q := url.Values{}
	if target != "" && target != "/" {
		q.Set("return", target)
	}
	if purpose != SignIn {
		q.Set("for", string(purpose))
	}
	if len(q) == 0 {
		return signin.SSOPath(name, "start")
	}
	return signin.SSOPath(name, "start") + "?" + q.Encode()
}

// ServeHTTP answers every path below signin.SSOPrefix, and 404 for any other.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "no-referrer") // addresses here hold codes
	rest, ok := strings.CutPrefix(r.URL.Path, signin.SSOPrefix)
	name, endpoint, cut := strings.Cut(rest, "/")
	p := h.providers[name]
	if !ok || !cut || p == nil {
		h.refuse(w, r, Refusal{NotFound: true, Reason: policy.BadRequest, Detail: "there is no such provider"})
		return
	}
	env, open := h.opts.Env()
	if !open {
		h.refuse(w, r, Refusal{Reason: policy.StoreUnavailable, Provider: name, Detail: "the stores are not open yet"})
		return
	}
	if env.Random == nil {
		env.Random = rand.Reader
	}
	r.Body = http.MaxBytesReader(w, r.Body, h.opts.MaxBody)
	switch endpoint {
	case "start":
		if h.allow(w, r, name, http.MethodGet) {
			h.start(w, r, env, p)
		}
	case "callback":
		if h.allow(w, r, name, http.MethodGet, http.MethodPost) {
			h.answer(w, r, env, p)
		}
	case "acs":
		if h.allow(w, r, name, http.MethodPost) {
			h.answer(w, r, env, p)
		}
	default:
		h.other(w, r, env, p, endpoint)
	}
}

// other serves the provider's own paths, and signed-out when it has no other use
// for it.
func (h *Handler) other(w http.ResponseWriter, r *http.Request, env signin.Env, p signin.RedirectProvider, endpoint string) {
	if l, ok := p.(signin.Listener); ok && l.Listen(w, r, env, endpoint, h.opts.Host) {
		return
	}
	if endpoint != "signed-out" {
		h.refuse(w, r, Refusal{NotFound: true, Reason: policy.BadRequest, Provider: p.Name(), Detail: "the provider has no such path"})
		return
	}
	if h.allow(w, r, p.Name(), http.MethodGet) {
		redirect(w, h.opts.SignedOut)
	}
}

// allow refuses other methods than these. HEAD is one of them: it would begin a
// flow or use one up for an answer nobody reads.
func (h *Handler) allow(w http.ResponseWriter, r *http.Request, name string, methods ...string) bool {
	if slices.Contains(methods, r.Method) {
		return true
	}
	w.Header().Set("Allow", strings.Join(methods, ", "))
	h.refuse(w, r, Refusal{Reason: policy.BadRequest, Provider: name, Detail: "the method is " + r.Method})
	return false
}

// refuse fills in the public sentence and answers.
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, x Refusal) {
	if x.Text == "" {
		x.Text = x.Reason.Text()
	}
	h.opts.Refuse(w, r, x)
}

// denied answers what a provider's error means: a *signin.DeniedError is the
// provider's no, anything else an outage that says nothing about the person.
func (h *Handler) denied(w http.ResponseWriter, r *http.Request, env signin.Env, name, doing string, err error) {
	x := Refusal{Provider: name, Again: StartPath(name, "", SignIn)}
	if denied, ok := errors.AsType[*signin.DeniedError](err); ok {
		x.Reason, x.Detail = policy.WrongCredentials, denied.Detail
		x.Text = "The identity provider did not sign you in, or its answer could not be believed."
	} else {
		x.Reason, x.Detail = policy.StoreUnavailable, doing+" failed"
		x.Text = "The identity provider cannot be asked at the moment. Please try again in a minute."
		logger(env).ErrorContext(r.Context(), "single sign-on: "+doing+" failed", "provider", name, "error", err)
	}
	h.refuse(w, r, x)
}

// Leave says where a browser goes to end a sign-in at its provider. A provider
// that cannot do that, or is no longer configured, is a zero Next.
func (h *Handler) Leave(ctx context.Context, g signin.Grant) (signin.Next, error) {
	l, ok := h.providers[g.Provider].(signin.Leaver)
	env, open := h.opts.Env()
	if !ok || !open {
		return signin.Next{}, nil
	}
	next, err := l.Leave(ctx, env, g)
	if err != nil {
		return signin.Next{}, err //nolint:wrapcheck // the provider says what it was doing
	}
	return next, nil
}

func logger(env signin.Env) *slog.Logger {
	if env.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return env.Log
}

func validName(s string) bool {
	if s == "" || len(s) > 32 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

// nobody is the Host of a handler without sessions.
type nobody struct{}

func (nobody) EndSessions(context.Context, string, string, string) (int, error) { return 0, nil }

func (nobody) GrantOf(*http.Request, string) (signin.Grant, bool) { return signin.Grant{}, false }
