// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package portal

import (
	"errors"
	"net/http"
	"time"

	"github.com/crmgate/crmgate/policy"
)

// accept acts on a result: it ends the session the request came with when there is
// a new one, and sets the cookies. On refusal nothing has been set.
func (p *Portal) accept(w http.ResponseWriter, r *http.Request, res SignInResult) *Refusal {
	client := ClientFrom(r.Context())
	if !p.sound(res) {
		p.opts.Log.ErrorContext(r.Context(), "portal: the backend returned a result nobody can act on", "request", client.RequestID)
		return &Refusal{Reason: policy.Internal}
	}
	h := w.Header()
	if res.Token != "" {
		if old, err := Token(r); err == nil && old != res.Token {
			if err := p.backend.SignOut(r.Context(), old, client); err != nil {
				if x := p.backendRefusal(r, err); !signInMends(x.Reason) && x.Reason != policy.Locked {
					// Two live sessions where the person sees one: take the new one back.
					_ = p.backend.SignOut(r.Context(), res.Token, client)
					return &x
				}
			}
		}
		setSession(h, res.Token)
		clearStep(h, r)
	}
	if res.Device != "" {
		setCookie(h, DeviceCookie, res.Device, int(remaining(p.opts.Clock.Now(), res.DeviceEnds)))
	}
	return nil
}

// sound says whether a result can be acted on: a session, or a step this portal
// has pages for.
func (p *Portal) sound(res SignInResult) bool {
	if res.Device != "" && (!usableToken(res.Device) || remaining(p.opts.Clock.Now(), res.DeviceEnds) == 0) {
		return false
	}
	if res.Step == "" {
		return res.Next == "" && usableToken(res.Token)
	}
	if res.Token != "" || !usableToken(res.Step) || p.opts.Steps == nil {
		return false
	}
	switch res.Next {
	case NextSecondFactor:
		return true
	case NextEnrol:
		return p.opts.Factors != nil
	case NextChangePassword:
		return p.opts.Passwords != nil
	}
	return false
}

// goOn sends a browser on after accept: to the step that is due, or to target by
// way of the page that checks the cookie. The Backend's own target comes first.
func (p *Portal) goOn(w http.ResponseWriter, r *http.Request, res SignInResult, target string) {
	setTrips(w.Header(), trips(r)+1)
	redirect(w, r, p.onwardPath(w, r, res, target))
}

// onwardPath is where goOn goes. It sets the cookie of a pending sign-in, which
// only browsers get: apps read it in the answer.
func (p *Portal) onwardPath(w http.ResponseWriter, r *http.Request, res SignInResult, target string) string {
	if res.Step != "" {
		setStep(w.Header(), res.Step)
		return StepPath
	}
	if res.Return != "" {
		target = res.Return
	}
	return withReturn(signedInPath, ReturnTarget(target, host(r)))
}

// resultJSON is a result for programs.
type resultJSON struct {
	Next    string       `json:"next,omitzero"`
	Step    string       `json:"step,omitzero"`
	Methods []string     `json:"methods,omitempty"`
	Session *sessionJSON `json:"session,omitzero"`
	// Recovery are new recovery codes, once.
	Recovery []string `json:"recovery_codes,omitempty"`
}

func (p *Portal) resultJSON(res SignInResult) resultJSON {
	if res.Step != "" {
		return resultJSON{Next: res.Next, Step: res.Step, Methods: res.Methods}
	}
	s := p.sessionJSON(res.Session)
	s.Current = true
	return resultJSON{Session: &s}
}

// FinishSignIn does what every way in ends with, for sign-in that happens
// elsewhere (an identity provider's answer): it sets the cookies and sends the
// browser to the step that is due, or to target by way of the page that checks the
// cookie. A session the request came with is ended. A result that has neither a
// usable token nor a usable step is an internal error and sets nothing.
func (p *Portal) FinishSignIn(w http.ResponseWriter, r *http.Request, res SignInResult, target string) {
	protect(w.Header())
	if x := p.accept(w, r, res); x != nil {
		p.refuse(w, r, asPage, *x)
		return
	}
	p.goOn(w, r, res, target)
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
