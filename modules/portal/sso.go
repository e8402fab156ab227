// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package portal

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/crmgate/crmgate/modules/internal/signin"
	"github.com/crmgate/crmgate/policy"
)

// Endpoints of redirect providers. The last four take POSTs that come from the
// provider's site, or from the provider itself: the handler checks those by what
// they carry.
const ssoStartName = "start"

var fromProvider = map[string]bool{"acs": true, "slo": true, "callback": true, "backchannel-logout": true}

// ssoEndpoint splits a path below signin.SSOPrefix into the provider's name and
// its endpoint.
func ssoEndpoint(path string) (name, endpoint string, ok bool) {
	rest, ok := strings.CutPrefix(path, signin.SSOPrefix)
	if !ok {
		return "", "", false
	}
	name, endpoint, ok = strings.Cut(rest, "/")
	return name, endpoint, ok && validProvider(name) && endpoint != ""
}

// validProvider says whether s can be a provider's name.
func validProvider(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return len(s) >= 1 && len(s) <= 32
}

// exempt says whether a request is a provider's answer, whose origin is foreign by
// nature. Nothing else is.
func exempt(r *http.Request) bool {
	_, endpoint, ok := ssoEndpoint(r.URL.Path)
	return ok && r.Method == http.MethodPost && fromProvider[endpoint]
}

// ssoStart is the address that starts a sign-in at a provider.
func ssoStart(name, target string) string {
	return withReturn(signin.SSOPath(name, ssoStartName), target)
}

// freshStart is the address that proves somebody who has a session once more.
func freshStart(name, target string) string {
	q := url.Values{"for": {"step-up"}, "return": {target}}
	return signin.SSOPath(name, ssoStartName) + "?" + q.Encode()
}

// sso hands a request to the redirect providers. The return target of a start is
// the checked one: given twice, or leading away, it is "/".
func (p *Portal) sso(w http.ResponseWriter, r *http.Request) {
	_, endpoint, ok := ssoEndpoint(r.URL.Path)
	if !ok {
		p.fail(w, r, negotiate(r), faultNotFound)
		return
	}
	if endpoint == ssoStartName {
		q := r.URL.Query()
		target := home
		if len(q["return"]) == 1 {
			target = ReturnTarget(q.Get("return"), host(r))
		}
		q.Set("return", target)
		r = r.Clone(r.Context())
		r.URL.RawQuery = q.Encode()
		r.RequestURI = r.URL.RequestURI()
	}
	p.opts.SSO.ServeHTTP(w, r)
}

// SSOFailure is a sign-in at a redirect provider that did not lead to a session.
type SSOFailure struct {
	Reason   policy.Reason // default policy.WrongCredentials; what tells accounts apart is shown as that
	Provider string        // its name; a name that cannot be one offers no "start again"
	Label    string        // what people read, such as "Google"
	// Over says that the answer came too late, came twice or belongs to another
	// browser: starting again is all that is needed.
	Over   bool
	Return string // where the person wanted to go; goes through ReturnTarget
}

// ssoFailedView is that page.
type ssoFailedView struct {
	base
	Label, Error, Hint string
	Again              string
}

// SSOFailed writes the page of a failed sign-in at a provider. It never redirects,
// so that a provider which sends the browser straight back makes no loop; why it
// failed is in the audit under the request number the page shows.
func (p *Portal) SSOFailed(w http.ResponseWriter, r *http.Request, x SSOFailure) {
	protect(w.Header())
	reason := signInReason(x.Reason)
	if x.Reason == "" {
		reason = policy.WrongCredentials
	}
	switch reason {
	case policy.WrongCredentials, policy.BadRequest, policy.SecondFactor, policy.CrossSite:
	default:
		p.refuse(w, r, asPage, Refusal{Reason: reason})
		return
	}
	if x.Label == "" {
		x.Label = "the identity provider"
	}
	v := ssoFailedView{base: p.base(r, "Signing in did not work."), Label: x.Label}
	switch {
	case x.Over:
		v.Error = "This sign-in is over: it took too long, was used already, or was begun in another browser."
		v.Hint = "Start again, and stay in this browser."
	default:
		v.Error = "You could not be signed in with what " + x.Label + " told us."
		v.Hint = "Check with which account you are signed in there. If it is the right one, your administrator can find the cause with the request number below."
	}
	if validProvider(x.Provider) {
		v.Again = ssoStart(x.Provider, ReturnTarget(x.Return, host(r)))
	}
	status := policy.WrongCredentials.Status()
	w.Header().Set("WWW-Authenticate", challenge)
	p.render(w, r, status, pageSSOFailed, v)
}

// TestOutcome is what a test of a provider found, for an administrator.
type TestOutcome struct {
	Provider, Label string
	OK              bool
	Email           string   // whom the provider named, when it did
	Known           bool     // that person exists and may sign in
	Checks          []string // what was looked at, a sentence each; no secrets
	Detail          string   // why it failed; no secrets
}

// testView is that page.
type testView struct {
	base
	TestOutcome
}

// TestResult writes the result of a test sign-in. Nobody is signed in by it.
func (p *Portal) TestResult(w http.ResponseWriter, r *http.Request, o TestOutcome) {
	protect(w.Header())
	title := "The test did not work."
	if o.OK {
		title = "The test worked."
	}
	if o.Label == "" {
		o.Label = o.Provider
	}
	p.render(w, r, http.StatusOK, pageTested, testView{base: p.base(r, title), TestOutcome: o})
}

// origin returns scheme and host of an absolute address for a content policy; ""
// when there is none to be had.
func origin(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || u.Opaque != "" {
		return ""
	}
	for i := range len(u.Host) {
		if c := u.Host[i]; !isAlnum(c) && c != '-' && c != '.' && c != ':' && c != '[' && c != ']' {
			return ""
		}
	}
	return u.Scheme + "://" + u.Host
}
