// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package portal

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/crmgate/crmgate/policy"
)

// ResetURL is the address to put into the mail to somebody who forgot his
// password. link stands behind "#": browsers send that part to nobody, so it
// reaches no log of a server, no proxy and no scanner of mails. origin is scheme
// and host.
func ResetURL(origin, link string) string {
	return origin + ResetPath + "#" + url.QueryEscape(link)
}

// forgotView is the page of somebody who forgot his password.
type forgotView struct {
	base
	Sent  bool
	Email string
	Error string
}

// showForgot asks for the address.
func (p *Portal) showForgot(w http.ResponseWriter, r *http.Request) {
	e, err := p.entrances(r.Context())
	if err != nil {
		p.refuse(w, r, asPage, p.backendRefusal(r, err))
		return
	}
	if !e.Forgot {
		p.fail(w, r, asPage, faultNotFound)
		return
	}
	p.render(w, r, http.StatusOK, pageForgot, forgotView{base: p.base(r, "Forgot your password?")})
}

// forgot has a link mailed, perhaps: the answer is the same for everybody.
func (p *Portal) forgot(r *http.Request, email string) *Refusal {
	if !fineEmail(email) {
		return &Refusal{Reason: policy.BadRequest}
	}
	if err := p.opts.Passwords.Forgot(r.Context(), email); err != nil {
		x := p.backendRefusal(r, err)
		switch x.Reason {
		case policy.NoSession, policy.WrongCredentials, policy.Deactivated, policy.RowDenied, policy.Locked:
			return nil // would tell who has an account
		}
		return &x
	}
	return nil
}

// postForgot takes the address.
func (p *Portal) postForgot(w http.ResponseWriter, r *http.Request) {
	values, ok := p.readForm(w, r)
	if !ok {
		return
	}
	e, err := p.entrances(r.Context())
	if err != nil {
		p.refuse(w, r, asPage, p.backendRefusal(r, err))
		return
	}
	if !e.Forgot {
		p.fail(w, r, asPage, faultNotFound)
		return
	}
	email := strings.TrimSpace(values.Get("email"))
	v := forgotView{base: p.base(r, "Look into your mail"), Sent: true}
	status := http.StatusOK
	if x := p.forgot(r, email); x != nil {
		if x.Reason != policy.BadRequest {
			p.refuse(w, r, asPage, *x)
			return
		}
		status = x.Reason.Status()
		v = forgotView{base: p.base(r, "Error: Forgot your password?"), Email: clip(email, maxEmail), Error: "Enter your e-mail address."}
	}
	p.render(w, r, status, pageForgot, v)
}

// apiForgot is postForgot for programs: 204 whoever it is.
func (p *Portal) apiForgot(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Email string `json:"email"`
	}
	if !p.readJSON(w, r, &in) {
		return
	}
	e, err := p.entrances(r.Context())
	switch {
	case err != nil:
		p.refuse(w, r, asJSON, p.backendRefusal(r, err))
		return
	case !e.Forgot:
		p.fail(w, r, asJSON, faultNotFound)
		return
	}
	if x := p.forgot(r, strings.TrimSpace(in.Email)); x != nil {
		p.refuse(w, r, asJSON, *x)
		return
	}
	writeBody(w, r, http.StatusNoContent, nil)
}

// resetPage is the form behind a mail link.
func (p *Portal) resetPage(r *http.Request, link string) (passwordView, *Refusal) {
	v, x := p.newPassword(r, "Choose a new password")
	v.Action, v.Cancel, v.Link, v.AskLink = ResetPath, SignInPath, link, link == ""
	v.Lead = "Afterwards you are signed out everywhere and sign in with the new password."
	return v, x
}

// noReferrer keeps an address that may hold a link out of every later request.
func noReferrer(h http.Header) { h.Set("Referrer-Policy", "no-referrer") }

// showReset shows the form. It looks at nothing and uses nothing up: programs that
// scan mails open links too. The link comes behind "#", where a script moves it
// into the form; without scripts it is pasted. One in the query is taken as well.
func (p *Portal) showReset(w http.ResponseWriter, r *http.Request) {
	noReferrer(w.Header())
	link := ""
	if all := r.URL.Query()["link"]; len(all) == 1 && usableToken(all[0]) {
		link = all[0]
	}
	v, x := p.resetPage(r, link)
	if x != nil {
		p.refuse(w, r, asPage, *x)
		return
	}
	p.render(w, r, http.StatusOK, pagePassword, v)
}

// reset uses a link.
func (p *Portal) reset(r *http.Request, link string, c PasswordChange) *Refusal {
	if c.Old != "" {
		return &Refusal{Reason: policy.BadRequest}
	}
	if !usableToken(link) {
		return &Refusal{Reason: policy.NoSession, detail: linkOver}
	}
	x := p.change(r, c, false, func(c PasswordChange) error {
		return p.opts.Passwords.ResetPassword(r.Context(), link, c)
	})
	if x != nil && (x.Reason == policy.NoSession || x.Reason == policy.WrongCredentials || x.Reason == policy.Deactivated) {
		return &Refusal{Reason: policy.NoSession, detail: linkOver}
	}
	return x
}

const linkOver = "This link is not valid, was used already, or is too old."

// postReset sets the new password and offers the sign-in page: the link alone
// signs nobody in.
func (p *Portal) postReset(w http.ResponseWriter, r *http.Request) {
	noReferrer(w.Header())
	values, ok := p.readForm(w, r)
	if !ok {
		return
	}
	// What people paste may be the whole address.
	link := strings.TrimSpace(values.Get("link"))
	link = link[strings.LastIndexAny(link, "#=")+1:]
	c, x := changeForm(values.Get)
	if x == nil {
		x = p.reset(r, link, c)
	}
	switch {
	case x == nil:
		clearSession(w.Header())
		clearStep(w.Header(), r)
		redirect(w, r, SignInPath+"?why=reset")
	case x.Reason == policy.NoSession:
		w.Header().Set("WWW-Authenticate", challenge)
		p.render(w, r, x.Reason.Status(), pageLinkOver, p.base(r, "The link does not work any more."))
	default:
		if v, no := p.resetPage(r, link); no == nil && p.showAgain(w, r, v, *x) {
			return
		}
		p.refuse(w, r, asPage, *x)
	}
}

// apiReset is postReset for programs.
func (p *Portal) apiReset(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Link   string `json:"link"`
		New    string `json:"new_password"`
		Sealed string `json:"sealed"`
	}
	if !p.readJSON(w, r, &in) {
		return
	}
	if x := p.reset(r, in.Link, PasswordChange{New: in.New, Sealed: in.Sealed}); x != nil {
		p.refuseChange(w, r, *x)
		return
	}
	writeBody(w, r, http.StatusNoContent, nil)
}
