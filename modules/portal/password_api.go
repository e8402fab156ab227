// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package portal

import (
	"net/http"

	"github.com/crmgate/crmgate/policy"
)

// apiRules returns what a new password must meet.
func (p *Portal) apiRules(w http.ResponseWriter, r *http.Request) {
	rules, err := p.opts.Passwords.Rules(r.Context())
	if err != nil {
		p.refuse(w, r, asJSON, p.backendRefusal(r, err))
		return
	}
	if rules == nil {
		rules = []Rule{}
	}
	writeJSON(w, r, http.StatusOK, struct {
		Rules []Rule `json:"rules"`
	}{rules})
}

// apiCheck judges a password somebody is thinking of. Where passwords are taken
// encrypted only it is not there at all: a page would send each letter in clear.
func (p *Portal) apiCheck(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Password string `json:"password"`
		Link     string `json:"link"`
	}
	if !p.readJSON(w, r, &in) {
		return
	}
	e, err := p.entrances(r.Context())
	switch {
	case err != nil:
		p.refuse(w, r, asJSON, p.backendRefusal(r, err))
		return
	case e.Encrypt:
		p.fail(w, r, asJSON, faultNotFound)
		return
	case !finePassword(in.Password, "") || in.Link != "" && !usableToken(in.Link):
		p.refuse(w, r, asJSON, Refusal{Reason: policy.BadRequest})
		return
	}
	t := Ticket{Link: in.Link}
	if in.Link == "" {
		var ok bool
		if t, ok = p.apiTicket(w, r); !ok {
			return
		}
	}
	c, err := p.opts.Passwords.CheckPassword(r.Context(), t, in.Password)
	if err != nil {
		p.refuse(w, r, asJSON, p.backendRefusal(r, err))
		return
	}
	writeJSON(w, r, http.StatusOK, struct {
		Score int    `json:"score"`
		Rules []Rule `json:"rules"`
	}{c.Score, c.Rules})
}

// apiChange changes the password of a session, or the one that is due.
func (p *Portal) apiChange(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Old    string `json:"password"`
		New    string `json:"new_password"`
		Sealed string `json:"sealed"`
	}
	if !p.readJSON(w, r, &in) {
		return
	}
	t, ok := p.apiTicket(w, r)
	if !ok {
		return
	}
	res, x := p.changeWith(w, r, t, PasswordChange{Old: in.Old, New: in.New, Sealed: in.Sealed})
	if x != nil {
		p.refuseChange(w, r, *x)
		return
	}
	writeJSON(w, r, http.StatusOK, p.resultJSON(res))
}

// refuseChange is a refused change for programs: a problem document, which names
// the rules.
func (p *Portal) refuseChange(w http.ResponseWriter, r *http.Request, x Refusal) {
	if x.weak == nil {
		if x.Reason == policy.BadRequest {
			x.detail = ""
		}
		p.refuse(w, r, asJSON, x)
		return
	}
	writeProblem(w, r, problem{
		status: http.StatusUnprocessableEntity, text: weakText, reason: "weak_password", shape: ErrorShape{"rules": x.weak.Rules},
	})
}
