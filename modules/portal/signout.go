// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package portal

import (
	"errors"
	"net/http"

	"github.com/crmgate/crmgate/policy"
)

// signOutView is the question before signing out.
type signOutView struct {
	base
	Email string
}

// showSignOut asks: a link or an image on some page must not sign anybody out.
func (p *Portal) showSignOut(w http.ResponseWriter, r *http.Request) {
	v := signOutView{base: p.base(r, "Sign out")}
	if token, err := Token(r); err == nil {
		if s, err := p.backend.Session(r.Context(), token); err == nil {
			v.Email = s.Email
		}
	}
	p.render(w, r, http.StatusOK, pageSignOut, v)
}

// postSignOut signs out and goes to the sign-in page.
func (p *Portal) postSignOut(w http.ResponseWriter, r *http.Request) {
	if !p.signOut(w, r, asPage) {
		return
	}
	redirect(w, r, SignInPath+"?why=signed_out")
}

// apiSignOut is postSignOut for programs. It needs no body; one that is there must
// be JSON.
func (p *Portal) apiSignOut(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength != 0 || r.Header.Get("Content-Type") != "" {
		if _, ok := p.readBody(w, r, asJSON, "application/json"); !ok {
			return
		}
	}
	if !p.signOut(w, r, asJSON) {
		return
	}
	writeBody(w, r, http.StatusNoContent, nil)
}

// signOut ends the session and clears the cookie. When the session could not be
// ended the cookie stays: without it nobody could try again, and the page would
// say "signed out" over a live session. It answers the request itself and returns
// false then.
func (p *Portal) signOut(w http.ResponseWriter, r *http.Request, f form) bool {
	token, err := Token(r)
	if errors.Is(err, ErrTwoCookies) {
		p.refuse(w, r, f, Refusal{Reason: policy.BadRequest})
		return false
	}
	if err == nil {
		if err := p.backend.SignOut(r.Context(), token, ClientFrom(r.Context())); err != nil {
			if x := p.backendRefusal(r, err); !signInMends(x.Reason) && x.Reason != policy.Locked {
				p.refuse(w, r, f, x)
				return false
			}
		}
	}
	clearSession(w.Header())
	clearTrips(w.Header())
	return true
}
