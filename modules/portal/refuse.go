// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package portal

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/crmgate/crmgate/policy"
)

// Refusal is a refused request: what Refuse shows, and the error by which a
// Backend refuses. Status and sentence follow from Reason. A reason outside the
// closed list, and one that is not a refusal, are shown as policy.Internal: never
// as a success.
type Refusal struct {
	Reason policy.Reason
	// RetryAfter is when to come back. For policy.Throttled, EarlyData and every 503
	// it becomes Retry-After, in whole seconds, rounded up; default 1 s, for 503 10 s.
	RetryAfter time.Duration
	// Message is what the admin wrote with a lock; shown with policy.Locked only, cut
	// at 500 characters.
	Message string
	// Until is when a lock ends; zero: nobody said.
	Until time.Time
	// Shape is merged into the JSON form.
	Shape ErrorShape
	// Return is the target the browser asked for, when the request was rewritten since;
	// default the request's own. It goes through ReturnTarget.
	Return string

	detail string        // what the portal says in place of the reason's sentence
	weak   *WeakPassword // what a new password lacks
}

// Error names the reason and nothing of the request.
func (x *Refusal) Error() string { return "refused: " + string(x.Reason) }

// fault is an error of the portal's own HTTP that is no decision: it has no reason
// of its own in the closed list and is reported as policy.BadRequest.
type fault struct {
	status int
	text   string
	reason string
}

var (
	faultNotFound = fault{http.StatusNotFound, "There is nothing here.", "not_found"}
	faultMethod   = fault{http.StatusMethodNotAllowed, "This address is not used that way.", string(policy.BadRequest)}
	faultTooLarge = fault{http.StatusRequestEntityTooLarge, "The request is too large.", string(policy.BadRequest)}
	faultMedia    = fault{http.StatusUnsupportedMediaType, "The request has the wrong content type.", string(policy.BadRequest)}
)

func (p *Portal) fail(w http.ResponseWriter, r *http.Request, f form, x fault) {
	if f == asPage {
		v := refusedView{base: p.base(r, x.text), Heading: sentence(x.text), Home: true}
		p.render(w, r, x.status, pageRefused, v)
		return
	}
	writeProblem(w, r, problem{status: x.status, text: x.text, reason: x.reason})
}

// Refuse answers a refused request, any of the site's, in the form its client
// understands. A browser window gets a page; for a missing or ended session a 303
// to the sign-in page, unless it has come back from there unsigned three times
// lately: then a page that says why. Everything else gets a problem document.
// Headers set before that describe another body are removed. If the request
// carries two session cookies, the cookie is cleared whatever the reason.
func (p *Portal) Refuse(w http.ResponseWriter, r *http.Request, x Refusal) {
	protect(w.Header())
	p.refuse(w, r, negotiate(r), x)
}

func (p *Portal) refuse(w http.ResponseWriter, r *http.Request, f form, x Refusal) {
	x.Reason = known(x.Reason)
	if _, err := Token(r); errors.Is(err, ErrTwoCookies) {
		clearSession(w.Header())
	}
	if f == asPage && (r.Method == http.MethodGet || r.Method == http.MethodHead) && p.sendOn(w, r, x) {
		return
	}
	p.retryHeader(w.Header(), &x)
	if x.Reason.Status() == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", challenge)
	}
	if x.Reason != policy.Locked {
		x.Message = ""
	}
	x.Message = clip(x.Message, 500)
	if f == asPage {
		p.refusalPage(w, r, x)
		return
	}
	if x.Message == "" {
		x.Message = x.detail
	}
	pr := problem{
		status: x.Reason.Status(), text: x.Reason.Text(), detail: x.Message, reason: publicReason(x.Reason),
		signIn: x.Reason.Status() == http.StatusUnauthorized, retry: x.RetryAfter, until: x.Until, shape: x.Shape,
	}
	switch x.Reason {
	case policy.SecondFactor:
		pr.next = NextSecondFactor
	case policy.StepUp:
		pr.next, pr.signIn = "step_up", false
	}
	writeProblem(w, r, pr)
}

// challenge is the WWW-Authenticate value of a 401: RFC 9110 demands one, and this
// scheme makes no browser open a password box of its own.
const challenge = `Bearer realm="crmgate"`

// sendOn redirects when a page of ours mends the refusal, and says whether it has
// answered.
func (p *Portal) sendOn(w http.ResponseWriter, r *http.Request, x Refusal) bool {
	switch {
	case signInMends(x.Reason):
		if trips(r) >= maxTrips {
			p.explainTrips(w, r, causeNotKept)
			return true
		}
		redirect(w, r, signInURL(p.target(r, x), x.Reason))
	case x.Reason == policy.SecondFactor && p.opts.Steps != nil && secret(r.Header, stepCookie) != "" && r.URL.Path != StepPath:
		redirect(w, r, StepPath)
	case x.Reason == policy.StepUp && p.opts.Steps != nil && r.URL.Path != StepUpPath:
		redirect(w, r, withReturn(StepUpPath, p.target(r, x)))
	default:
		return false
	}
	return true
}

// signInMends says whether signing in is all that is needed. A deactivated person
// is treated like anybody without a session: the answer must not tell them apart.
func signInMends(r policy.Reason) bool {
	switch r {
	case policy.NoSession, policy.SessionExpired, policy.SessionIdle, policy.Deactivated:
		return true
	}
	return false
}

var refusals = func() map[policy.Reason]bool {
	m := map[policy.Reason]bool{}
	for _, r := range policy.Reasons() {
		m[r] = r.Status() >= 400
	}
	return m
}()

func known(r policy.Reason) policy.Reason {
	if refusals[r] {
		return r
	}
	return policy.Internal
}

// retryHeader sets Retry-After where the status has one, and makes the delay in x
// the one that was sent.
func (p *Portal) retryHeader(h http.Header, x *Refusal) {
	fallback := time.Second
	switch x.Reason.Status() {
	case http.StatusServiceUnavailable:
		fallback = 10 * time.Second
	case http.StatusTooManyRequests, http.StatusTooEarly:
	default:
		x.RetryAfter = 0
		return
	}
	if x.RetryAfter <= 0 && !x.Until.IsZero() {
		x.RetryAfter = x.Until.Sub(p.opts.Clock.Now())
	}
	if x.RetryAfter <= 0 {
		x.RetryAfter = fallback
	}
	h.Set("Retry-After", strconv.FormatInt(seconds(x.RetryAfter), 10))
}

// backendRefusal turns an error of the Backend into what is shown. What is not a
// *Refusal is logged here, and is an internal error.
func (p *Portal) backendRefusal(r *http.Request, err error) Refusal {
	var x *Refusal
	if errors.As(err, &x) && x != nil {
		return *x
	}
	p.opts.Log.ErrorContext(r.Context(), "portal: the backend failed", "error", err,
		"request", ClientFrom(r.Context()).RequestID)
	return Refusal{Reason: policy.Internal}
}

// host is the host the browser is on.
func host(r *http.Request) string {
	if h := ClientFrom(r.Context()).Host; h != "" {
		return h
	}
	return r.Host
}

// target is where the browser wanted to go.
func (p *Portal) target(r *http.Request, x Refusal) string {
	if x.Return != "" {
		return ReturnTarget(x.Return, host(r))
	}
	return ReturnTarget(r.URL.RequestURI(), host(r))
}

// withReturn adds a return target to one of our own paths; "/" is the default and
// left out.
func withReturn(path, target string) string {
	if target == home {
		return path
	}
	return path + "?return=" + url.QueryEscape(target)
}

// signInURL is the sign-in page with a return target and, for an ended session,
// the reason it is to tell.
func signInURL(target string, why policy.Reason) string {
	q := url.Values{}
	if target != home {
		q.Set("return", target)
	}
	if why == policy.SessionExpired || why == policy.SessionIdle {
		q.Set("why", string(why))
	}
	if len(q) == 0 {
		return SignInPath
	}
	return SignInPath + "?" + q.Encode()
}

// redirect sends a browser on with GET. The body is empty: nobody reads it.
func redirect(w http.ResponseWriter, r *http.Request, to string) {
	w.Header().Set("Location", to)
	w.Header().Set("Content-Length", "0")
	writeBody(w, r, http.StatusSeeOther, nil)
}

// clip cuts s after n characters.
func clip(s string, n int) string {
	for i := range s {
		if n == 0 {
			return s[:i] + "…"
		}
		n--
	}
	return s
}
