// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package portal

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/crmgate/crmgate/policy"
)

// signInView is the sign-in page.
type signInView struct {
	base
	Email   string
	Return  string
	Notice  string // something good or neutral: "You are signed out."
	Error   string
	Message string // what the admin wrote with a lock
	Until   moment
	Wait    string
	Again   moment
	// Which fields are at fault; the first one gets the focus.
	BadEmail, BadPassword bool
	FocusPassword         bool
}

// showSignIn shows the form. Somebody who is signed in goes on to the target; a
// cookie whose session is over is cleared, so that it is not carried into the next
// one.
func (p *Portal) showSignIn(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	target := home
	if len(q["return"]) == 1 {
		target = ReturnTarget(q.Get("return"), host(r))
	}
	v := signInView{base: p.base(r, "Sign in"), Return: target}
	switch why := policy.Reason(q.Get("why")); {
	case why == policy.SessionExpired, why == policy.SessionIdle:
		v.Notice = why.Text()
	case q.Get("why") == "signed_out":
		v.Notice = "You are signed out."
	}
	token, err := Token(r)
	switch {
	case errors.Is(err, ErrTwoCookies):
		p.refuse(w, r, asPage, Refusal{Reason: policy.BadRequest})
		return
	case err == nil:
		_, err := p.backend.Session(r.Context(), token)
		if err == nil {
			setTrips(w.Header(), trips(r)+1)
			redirect(w, r, target)
			return
		}
		x := p.backendRefusal(r, err)
		switch {
		case signInMends(x.Reason), x.Reason == policy.SecondFactor:
		case x.Reason == policy.Locked:
			p.explainRefusal(&v, x)
		default:
			p.refuse(w, r, asPage, x)
			return
		}
		clearSession(w.Header())
	}
	p.render(w, r, http.StatusOK, pageSignIn, v)
}

// postSignIn checks the form.
func (p *Portal) postSignIn(w http.ResponseWriter, r *http.Request) {
	values, ok := p.readForm(w, r)
	if !ok {
		return
	}
	c := credentials{Email: strings.TrimSpace(values.Get("email")), Password: values.Get("password")}
	target := ReturnTarget(values.Get("return"), host(r))
	res, x := p.signIn(w, r, c)
	if x != nil {
		p.signInFailed(w, r, c, target, *x)
		return
	}
	setTrips(w.Header(), trips(r)+1)
	if res.Next == NextSecondFactor {
		redirect(w, r, withReturn(SecondFactorPath, target))
		return
	}
	redirect(w, r, withReturn(signedInPath, target))
}

// signInFailed shows the form again, or the refusal when the form cannot help.
func (p *Portal) signInFailed(w http.ResponseWriter, r *http.Request, c credentials, target string, x Refusal) {
	v := signInView{base: p.base(r, "Sign in"), Return: target, Email: clip(c.Email, maxEmail)}
	switch x.Reason {
	case policy.WrongCredentials, policy.Throttled, policy.Locked:
		v.FocusPassword = true
		v.BadEmail, v.BadPassword = x.Reason == policy.WrongCredentials, x.Reason == policy.WrongCredentials
	case policy.BadRequest:
		if c.complete() || twoCookies(r) {
			p.refuse(w, r, asPage, x)
			return
		}
		v.BadEmail = c.Email == "" || len(c.Email) > maxEmail
		v.BadPassword = c.Password == "" || len(c.Password) > maxPassword
		v.FocusPassword = !v.BadEmail
	default:
		p.refuse(w, r, asPage, x)
		return
	}
	p.retryHeader(w.Header(), &x)
	p.explainRefusal(&v, x)
	if x.Reason == policy.BadRequest {
		v.Error = "Enter your e-mail address and your password."
	}
	if x.Reason.Status() == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", challenge)
	}
	v.PageTitle = "Error: " + v.PageTitle
	p.render(w, r, x.Reason.Status(), pageSignIn, v)
}

// explainRefusal fills the error part of the form.
func (p *Portal) explainRefusal(v *signInView, x Refusal) {
	v.Error = x.Reason.Text()
	if x.Reason == policy.Locked {
		v.Message, v.Until = clip(x.Message, 500), at(x.Until)
	}
	if x.RetryAfter > 0 {
		v.Wait, v.Again = span(x.RetryAfter), at(p.opts.Clock.Now().Add(x.RetryAfter))
	}
}

func twoCookies(r *http.Request) bool {
	_, err := Token(r)
	return errors.Is(err, ErrTwoCookies)
}

// signIn is the way in for both forms: it checks the request, asks the Backend,
// ends the session the request came with, and sets the new cookie. On refusal
// nothing has been set.
func (p *Portal) signIn(w http.ResponseWriter, r *http.Request, c credentials) (SignInResult, *Refusal) {
	old, err := Token(r)
	if errors.Is(err, ErrTwoCookies) || !c.complete() {
		return SignInResult{}, &Refusal{Reason: policy.BadRequest}
	}
	client := ClientFrom(r.Context())
	res, err := p.backend.SignIn(r.Context(), SignInRequest{Email: c.Email, Password: c.Password, Client: client})
	if err != nil {
		x := p.backendRefusal(r, err)
		x.Reason = signInReason(x.Reason)
		return SignInResult{}, &x
	}
	if !sound(res) {
		p.opts.Log.ErrorContext(r.Context(), "portal: the backend signed in without a usable token", "request", client.RequestID)
		return SignInResult{}, &Refusal{Reason: policy.Internal}
	}
	if old != "" && old != res.Token {
		if err := p.backend.SignOut(r.Context(), old, client); err != nil {
			if x := p.backendRefusal(r, err); !signInMends(x.Reason) && x.Reason != policy.Locked {
				// Two live sessions where the person sees one: take the new one back.
				if res.Token != "" {
					_ = p.backend.SignOut(r.Context(), res.Token, client)
				}
				return SignInResult{}, &x
			}
		}
	}
	if res.Token != "" {
		setSession(w.Header(), res.Token)
	}
	return res, nil
}

// sound says whether a result can be acted on.
func sound(res SignInResult) bool {
	if res.Next != "" && res.Next != NextSecondFactor {
		return false
	}
	if res.Token == "" {
		return res.Next != ""
	}
	return usableToken(res.Token)
}

// signInReason makes reasons that would tell a known person from an unknown one
// the same.
func signInReason(r policy.Reason) policy.Reason {
	switch r {
	case policy.NoSession, policy.Deactivated, policy.SessionExpired, policy.SessionIdle:
		return policy.WrongCredentials
	}
	return known(r)
}

// signedIn is where a browser lands right after signing in. It goes on to the
// target only if the cookie came along: otherwise the next page would send it to
// the form again, and again.
func (p *Portal) signedIn(w http.ResponseWriter, r *http.Request) {
	target := ReturnTarget(r.URL.Query().Get("return"), host(r))
	token, err := Token(r)
	switch {
	case errors.Is(err, ErrTwoCookies):
		p.refuse(w, r, asPage, Refusal{Reason: policy.BadRequest})
		return
	case err != nil:
		p.explainTrips(w, r, causeNoCookie)
		return
	}
	if _, err := p.backend.Session(r.Context(), token); err != nil {
		x := p.backendRefusal(r, err)
		if signInMends(x.Reason) {
			clearSession(w.Header())
			p.explainTrips(w, r, causeNotKept)
			return
		}
		x.Return = target
		p.refuse(w, r, asPage, x)
		return
	}
	redirect(w, r, target)
}

// secondFactor refuses until there are steps.
func (p *Portal) secondFactor(w http.ResponseWriter, r *http.Request) {
	p.refuse(w, r, asPage, Refusal{Reason: policy.SecondFactor})
}

// apiSignIn is postSignIn for programs.
func (p *Portal) apiSignIn(w http.ResponseWriter, r *http.Request) {
	var c credentials
	if !p.readJSON(w, r, &c) {
		return
	}
	c.Email = strings.TrimSpace(c.Email)
	res, x := p.signIn(w, r, c)
	if x != nil {
		p.refuse(w, r, asJSON, *x)
		return
	}
	var out struct {
		Next    string       `json:"next,omitzero"`
		Methods []string     `json:"methods,omitempty"`
		Session *sessionJSON `json:"session,omitzero"`
	}
	out.Next, out.Methods = res.Next, res.Methods
	if res.Next == "" {
		s := p.sessionJSON(res.Session)
		s.Current = true
		out.Session = &s
	}
	writeJSON(w, r, http.StatusOK, out)
}

// FinishSignIn does what every way in ends with, for sign-in that happens
// elsewhere (an identity provider's answer, a second step): it sets the cookie and
// sends the browser to target by way of the page that checks the cookie. A token
// that cannot be a cookie value is an internal error and sets nothing.
func (p *Portal) FinishSignIn(w http.ResponseWriter, r *http.Request, token, target string) {
	protect(w.Header())
	if !usableToken(token) {
		p.refuse(w, r, asPage, Refusal{Reason: policy.Internal})
		return
	}
	setSession(w.Header(), token)
	setTrips(w.Header(), trips(r)+1)
	redirect(w, r, withReturn(signedInPath, ReturnTarget(target, host(r))))
}

// remaining is the whole seconds until t, never below 0; rounded down, so that
// nobody counts on time that is not there.
func remaining(now, t time.Time) int64 {
	return max(0, int64(t.Sub(now)/time.Second))
}

// current returns the request's session. It answers the request itself and
// returns false when there is none.
func (p *Portal) current(w http.ResponseWriter, r *http.Request, f form) (string, SessionView, bool) {
	token, err := Token(r)
	if err != nil {
		reason := policy.NoSession
		if errors.Is(err, ErrTwoCookies) {
			reason = policy.BadRequest
		}
		p.refuse(w, r, f, Refusal{Reason: reason})
		return "", SessionView{}, false
	}
	s, err := p.backend.Session(r.Context(), token)
	if err != nil {
		p.refuse(w, r, f, p.backendRefusal(r, err))
		return "", SessionView{}, false
	}
	return token, s, true
}
