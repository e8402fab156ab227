// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package portal

import (
	"net/http"

	"github.com/crmgate/crmgate/policy"
)

// refusedView is the page of a refusal.
type refusedView struct {
	base
	Heading string
	Message string // what the admin wrote
	Hint    string // what the person can do
	Until   moment
	Wait    string // "30 seconds"
	Again   moment // when to try again
	Retry   string // the same address once more
	SignIn  string
	SignOut bool
	Home    bool
}

// hints say what a person can do about a refusal. They explain; what happened is
// said by policy.Reason alone. The three of the network are one sentence, so that
// nobody learns which list an address is on.
var hints = map[policy.Reason]string{
	policy.EarlyData:        "Loading the page once more is enough.",
	policy.BadRequest:       "Go back and try again. If it happens again, delete this site’s cookies.",
	policy.ClientUnknown:    networkHint,
	policy.IPNotAllowed:     networkHint,
	policy.IPReputation:     networkHint,
	policy.Throttled:        "Nothing is lost. Wait until the time below, then try again.",
	policy.Locked:           "Ask your administrator why, and for how long.",
	policy.NoSession:        formHint,
	policy.SessionExpired:   formHint,
	policy.SessionIdle:      formHint,
	policy.Deactivated:      formHint,
	policy.WrongCredentials: "Check both and try again.",
	policy.SecondFactor:     "Sign in again, or ask your administrator how the second step is set up for you.",
	policy.StepUp:           "Nothing was changed. Confirm that it is you, then do it once more.",
	policy.CrossSite:        "Open the page here and try again from it.",
	policy.Unmapped:         accessHint,
	policy.Unreadable:       "Go back and try again.",
	policy.ActionDenied:     accessHint,
	policy.BulkDenied:       accessHint,
	policy.FeatureDenied:    accessHint,
	policy.FieldDenied:      accessHint,
	policy.QueryDenied:      "Remove the field from the search, filter or sorting and try again.",
	policy.RowDenied:        "It may have been removed, or the address is mistyped.",
	policy.CRMSession:       "Sign out here first, then sign in with your own account.",
	policy.CRMKeyMissing:    "Ask your administrator to connect it.",
	policy.NoDecision:       accessHint,
	policy.Unwritable:       serviceHint,
	policy.StoreUnavailable: serviceHint,
	policy.UpstreamShape:    "Your administrator can find the cause with the request number below.",
	policy.UpstreamCoding:   "Your administrator can find the cause with the request number below.",
	policy.UpstreamFailed:   serviceHint,
	policy.Internal:         "Try again in a moment.",
}

// hint returns what a person can do about r; one follows from the status where the
// list above has none.
func hint(r policy.Reason) string {
	if h, ok := hints[r]; ok {
		return h
	}
	switch status := r.Status(); {
	case status >= 500:
		return serviceHint
	case status == http.StatusPreconditionFailed, status == http.StatusConflict:
		return "Somebody else may have changed it meanwhile. Load the page again and repeat your change."
	case status == http.StatusForbidden:
		return accessHint
	}
	return "Go back and try again."
}

const (
	networkHint = "Connect to your company’s network or VPN, switch off any other proxy or anonymiser, and try again."
	accessHint  = "If you need it for your work, ask your administrator."
	serviceHint = "It is being looked after. Try again in a few minutes."
	formHint    = "What you sent was not saved. Sign in, go back to the page and send it again."
)

// refusalPage writes the page of a refusal that no redirect mends.
func (p *Portal) refusalPage(w http.ResponseWriter, r *http.Request, x Refusal) {
	v := refusedView{
		base: p.base(r, x.Reason.Text()), Heading: sentence(x.Reason.Text()),
		Message: x.Message, Hint: hint(x.Reason), Until: at(x.Until),
	}
	status := x.Reason.Status()
	if x.RetryAfter > 0 && status != http.StatusTooEarly {
		v.Wait = span(x.RetryAfter)
		v.Again = at(p.opts.Clock.Now().Add(x.RetryAfter))
	}
	switch {
	case x.Reason == policy.Locked:
		if x.Message != "" {
			v.Hint = ""
		}
		v.SignOut = true
	case x.Reason == policy.CRMSession:
		v.SignOut = true
	case status == http.StatusUnauthorized || Owns(r.URL.Path):
		v.SignIn = SignInPath
	case status == http.StatusTooManyRequests, status == http.StatusTooEarly, status >= 500,
		x.Reason == policy.IPNotAllowed, x.Reason == policy.IPReputation, x.Reason == policy.ClientUnknown:
		if r.Method == http.MethodGet {
			v.Retry = p.target(r, x)
		}
	default:
		v.Home = true
	}
	p.render(w, r, status, pageRefused, v)
}

// cause is why a browser comes back unsigned.
type cause uint8

const (
	causeNoCookie cause = iota // the browser sent no session cookie right after it was set
	causeNotKept               // the session was started, but is not found when used
)

// tripsView is the page that ends a redirect loop.
type tripsView struct {
	base
	NoCookie bool
	Host     string
}

// explainTrips says why signing in does not last, and gives the browser a fresh
// count, so that trying again is possible once the cause is mended.
func (p *Portal) explainTrips(w http.ResponseWriter, r *http.Request, c cause) {
	h := w.Header()
	clearTrips(h)
	h.Set("WWW-Authenticate", challenge)
	p.render(w, r, policy.NoSession.Status(), pageTrips, tripsView{
		base: p.base(r, "Signing in does not last."), NoCookie: c == causeNoCookie, Host: host(r),
	})
}
