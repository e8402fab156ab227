// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package portal

import (
	"net/http"
	"strings"

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

	Form      bool // e-mail and password
	Forgot    bool
	Passkey   bool
	Providers []providerLink
	Seal      sealing
}

// providerLink is the way to a redirect provider.
type providerLink struct{ Label, URL string }

// signInView fills in what is open. Where passwords are off, the form is shown to
// whoever asks for it by name: the Backend says who may still use one.
func (p *Portal) signInView(r *http.Request, e Entrances, target string) signInView {
	v := signInView{
		base: p.base(r, "Sign in"), Return: target, Passkey: e.Passkey, Seal: p.sealing(e),
		Form: e.Password || r.URL.Query().Get("with") == KindPassword || r.Method == http.MethodPost && r.URL.Path == SignInPath,
	}
	v.Forgot = v.Form && e.Forgot
	for _, s := range e.Providers {
		v.Providers = append(v.Providers, providerLink{s.Label, ssoStart(s.Name, target)})
	}
	return v
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
	e, err := p.entrances(r.Context())
	if err != nil {
		p.refuse(w, r, asPage, p.backendRefusal(r, err))
		return
	}
	v := p.signInView(r, e, target)
	switch why := policy.Reason(q.Get("why")); {
	case why == policy.SessionExpired, why == policy.SessionIdle:
		v.Notice = why.Text()
	case q.Get("why") == "signed_out":
		v.Notice = "You are signed out."
	case q.Get("why") == whyStepOver:
		v.Notice = "That took too long, or was tried too often. Please sign in again."
	case q.Get("why") == "reset":
		v.Notice = "Your password was changed. Please sign in with it."
	}
	if token, err := Token(r); err == nil {
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
	c := credentials{Email: strings.TrimSpace(values.Get("email")), Password: values.Get("password"), Sealed: values.Get("sealed")}
	target := ReturnTarget(values.Get("return"), host(r))
	res, x := p.signIn(w, r, c, target)
	if x != nil {
		p.signInFailed(w, r, c, target, *x)
		return
	}
	p.goOn(w, r, res, target)
}

// signInFailed shows the form again, or the refusal when the form cannot help.
func (p *Portal) signInFailed(w http.ResponseWriter, r *http.Request, c credentials, target string, x Refusal) {
	e, err := p.entrances(r.Context())
	if err != nil {
		p.refuse(w, r, asPage, p.backendRefusal(r, err))
		return
	}
	v := p.signInView(r, e, target)
	v.Email = clip(c.Email, maxEmail)
	switch x.Reason {
	case policy.WrongCredentials, policy.Throttled, policy.Locked:
		v.FocusPassword = true
		v.BadEmail = x.Reason == policy.WrongCredentials && x.detail == ""
		v.BadPassword = v.BadEmail
	case policy.BadRequest:
		if c.complete() || c.Sealed != "" || e.Encrypt && c.Password != "" {
			p.refuse(w, r, asPage, x)
			return
		}
		v.BadEmail = !fineEmail(c.Email)
		v.BadPassword = !finePassword(c.Password, c.Sealed)
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
	if x.detail != "" {
		v.Error = x.detail
	}
	if x.Reason == policy.Locked {
		v.Message, v.Until = clip(x.Message, 500), at(x.Until)
	}
	if x.RetryAfter > 0 {
		v.Wait, v.Again = span(x.RetryAfter), at(p.opts.Clock.Now().Add(x.RetryAfter))
	}
}

// signIn is the way in for both forms: it checks the request and asks the Backend.
// On refusal nothing has been set.
func (p *Portal) signIn(w http.ResponseWriter, r *http.Request, c credentials, target string) (SignInResult, *Refusal) {
	if x := p.checkSealing(r, c.Password, c.Sealed); x != nil {
		return SignInResult{}, x
	}
	if !c.complete() {
		return SignInResult{}, &Refusal{Reason: policy.BadRequest}
	}
	res, err := p.backend.SignIn(r.Context(), SignInRequest{
		Email: c.Email, Password: c.Password, Sealed: c.Sealed, Device: DeviceToken(r), Return: target, Client: ClientFrom(r.Context()),
	})
	if err != nil {
		x := p.backendRefusal(r, err)
		x.Reason = signInReason(x.Reason)
		return SignInResult{}, &x
	}
	return res, p.accept(w, r, res)
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

// apiSignIn is postSignIn for programs.
func (p *Portal) apiSignIn(w http.ResponseWriter, r *http.Request) {
	var c credentials
	if !p.readJSON(w, r, &c) {
		return
	}
	c.Email = strings.TrimSpace(c.Email)
	res, x := p.signIn(w, r, c, home)
	if x != nil {
		p.refuse(w, r, asJSON, *x)
		return
	}
	writeJSON(w, r, http.StatusOK, p.resultJSON(res))
}
