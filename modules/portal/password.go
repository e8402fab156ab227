// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package portal

import (
	"errors"
	"net/http"

	"github.com/crmgate/crmgate/policy"
)

// passwordView is the page to set a new password: changed, demanded during
// sign-in, or reset by a mail link.
type passwordView struct {
	base
	Heading, Lead string
	Action        string
	Email         string // whose password, for the browser's own store; "" when a link says whose
	AskOld        bool
	Link          string // with a reset by link
	AskLink       bool   // the page was opened without one
	Rules         []Rule
	Judged        bool // Rules say what the last try broke
	Check         string
	Cancel        string // a link; "" for the form that ends the sign-in
	CancelForm    string
	Error         string
	BadOld        bool
	Seal          sealing
}

// newPassword prepares the page: its rules and how passwords are sent.
func (p *Portal) newPassword(r *http.Request, title string) (passwordView, *Refusal) {
	e, err := p.entrances(r.Context())
	var rules []Rule
	if err == nil {
		rules, err = p.opts.Passwords.Rules(r.Context())
	}
	if err != nil {
		x := p.backendRefusal(r, err)
		return passwordView{}, &x
	}
	v := passwordView{base: p.base(r, title), Heading: sentence(title), Rules: rules, Seal: p.sealing(e)}
	if !e.Encrypt {
		v.Check = apiPrefix + "password/check"
	}
	return v, nil
}

// change says whether a change has what it needs, and calls do with it. Passwords
// come in clear or sealed, as the account wants it.
func (p *Portal) change(r *http.Request, c PasswordChange, askOld bool, do func(PasswordChange) error) *Refusal {
	if x := p.checkSealing(r, c.Old+c.New, c.Sealed); x != nil {
		return x
	}
	if !finePassword(c.New, c.Sealed) || c.Sealed != "" && c.Old != "" || c.Sealed == "" && (askOld || c.Old != "") && !finePassword(c.Old, "") {
		return &Refusal{Reason: policy.BadRequest, detail: "Fill in every field."}
	}
	err := do(c)
	if err == nil {
		return nil
	}
	if weak, ok := errors.AsType[*WeakPassword](err); ok {
		return &Refusal{Reason: policy.BadRequest, detail: weakText, weak: weak}
	}
	x := p.backendRefusal(r, err)
	if x.Reason == policy.WrongCredentials {
		x.detail = "The present password is not right."
	}
	return &x
}

const weakText = "The new password does not meet every rule."

// changeForm reads the fields of the page. The second entry of the new password is
// there for people without a script to show it; it must be the same.
func changeForm(get func(string) string) (PasswordChange, *Refusal) {
	c := PasswordChange{Old: get("old"), New: get("new"), Sealed: get("sealed")}
	if c.Sealed == "" && c.New != get("repeat") {
		return c, &Refusal{Reason: policy.BadRequest, detail: "The two entries of the new password differ."}
	}
	return c, nil
}

// showAgain fills in why the change was refused, when the form can mend it.
func (p *Portal) showAgain(w http.ResponseWriter, r *http.Request, v passwordView, x Refusal) bool {
	status := x.Reason.Status()
	switch {
	case x.weak != nil:
		v.Rules, v.Judged = x.weak.Rules, true
		status = http.StatusUnprocessableEntity
	case x.Reason == policy.WrongCredentials:
		v.BadOld = true
		w.Header().Set("WWW-Authenticate", challenge)
	case x.Reason == policy.BadRequest && x.detail != "":
	default:
		return false
	}
	v.Error = x.detail
	v.PageTitle = "Error: " + v.PageTitle
	p.render(w, r, status, pagePassword, v)
	return true
}

// passwordPage is the page of a change somebody chose.
func (p *Portal) passwordPage(r *http.Request, s SessionView) (passwordView, *Refusal) {
	v, x := p.newPassword(r, "Change password")
	v.Email = s.Email
	v.Action, v.AskOld, v.Cancel = passwordPath, true, AccountPath
	v.Lead = "Afterwards you stay signed in here, and are signed out everywhere else."
	return v, x
}

// showPassword shows the form.
func (p *Portal) showPassword(w http.ResponseWriter, r *http.Request) {
	_, s, ok := p.current(w, r, asPage)
	if !ok {
		return
	}
	v, x := p.passwordPage(r, s)
	if x != nil {
		p.refuse(w, r, asPage, *x)
		return
	}
	p.render(w, r, http.StatusOK, pagePassword, v)
}

// postPassword changes the password and goes on under the new token.
func (p *Portal) postPassword(w http.ResponseWriter, r *http.Request) {
	values, ok := p.readForm(w, r)
	if !ok {
		return
	}
	token, s, ok := p.current(w, r, asPage)
	if !ok {
		return
	}
	c, x := changeForm(values.Get)
	if x == nil {
		var res SignInResult
		res, x = p.changeWith(w, r, Ticket{Session: token}, c)
		if x == nil {
			redirect(w, r, p.changedPath(w, r, res))
			return
		}
	}
	if v, no := p.passwordPage(r, s); no == nil && p.showAgain(w, r, v, *x) {
		return
	}
	p.refuseAct(w, r, *x, passwordPath)
}

// changedPath is where a chosen change ends: the account page.
func (p *Portal) changedPath(w http.ResponseWriter, r *http.Request, res SignInResult) string {
	if res.Step != "" {
		return p.onwardPath(w, r, res, AccountPath)
	}
	return AccountPath + "?done=password"
}

// changeWith changes it and acts on the result.
func (p *Portal) changeWith(w http.ResponseWriter, r *http.Request, t Ticket, c PasswordChange) (SignInResult, *Refusal) {
	var res SignInResult
	x := p.change(r, c, t.Session != "", func(c PasswordChange) (err error) {
		res, err = p.opts.Passwords.ChangePassword(r.Context(), t, c)
		return err
	})
	if x == nil {
		x = p.accept(w, r, res)
	}
	return res, x
}

// stepPasswordPage is the page of a change that is due before there is a session.
func (p *Portal) stepPasswordPage(w http.ResponseWriter, r *http.Request, s StepView) {
	v, x := p.stepPasswordView(r, s)
	if x != nil {
		p.refuse(w, r, asPage, *x)
		return
	}
	p.render(w, r, http.StatusOK, pagePassword, v)
}

func (p *Portal) stepPasswordView(r *http.Request, s StepView) (passwordView, *Refusal) {
	v, x := p.newPassword(r, "Choose a new password")
	v.Action, v.CancelForm, v.Email = stepPasswordPath, cancelPath, s.Email
	switch s.Why {
	case "expired":
		v.Lead = "Your password has become too old. Choose a new one to go on."
	case "set_by_admin":
		v.Lead = "Your password was set by an administrator. Choose one that only you know to go on."
	default:
		v.Lead = "You need a new password to go on."
	}
	return v, x
}

// postStepPassword makes the change that is due.
func (p *Portal) postStepPassword(w http.ResponseWriter, r *http.Request) {
	values, ok := p.readForm(w, r)
	if !ok {
		return
	}
	step := stepToken(r)
	if step == "" {
		p.stepOver(w, r)
		return
	}
	c, x := changeForm(values.Get)
	if x == nil {
		var res SignInResult
		res, x = p.changeWith(w, r, Ticket{Step: step}, c)
		if x == nil {
			p.goOn(w, r, res, home)
			return
		}
	}
	s, err := p.opts.Steps.Step(r.Context(), step)
	if err != nil {
		p.stepRefused(w, r, p.backendRefusal(r, err))
		return
	}
	if v, no := p.stepPasswordView(r, s); no == nil && s.Next == NextChangePassword && p.showAgain(w, r, v, *x) {
		return
	}
	p.stepRefused(w, r, *x)
}
