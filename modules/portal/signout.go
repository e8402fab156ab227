// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package portal

import (
	"maps"
	"net/http"
	"slices"

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
	next := p.leaveNext(r)
	if !p.signOut(w, r, asPage) {
		return
	}
	to := origin(next.URL)
	if to == "" {
		redirect(w, r, SignInPath+"?why=signed_out")
		return
	}
	// A content policy holds for where a form's answer redirects to as well: this is
	// a page with a way on, and may post to that one origin.
	w.Header().Set("Content-Security-Policy", policyWithForm(to))
	if next.Label == "" {
		next.Label = "your identity provider"
	}
	v := leaveView{base: p.base(r, "Signed out here"), Label: next.Label, URL: next.URL, Post: next.Form != nil}
	for _, name := range slices.Sorted(maps.Keys(next.Form)) {
		v.Values = append(v.Values, formValue{name, next.Form[name]})
	}
	p.render(w, r, http.StatusOK, pageLeave, v)
}

// leaveView is the page on the way to the provider's own sign-out.
type leaveView struct {
	base
	Label, URL string
	Post       bool
	Values     []formValue
}

type formValue struct{ Name, Value string }

// leaveNext asks where else the person has to sign out, before the session ends.
// Not knowing keeps nobody from signing out here.
func (p *Portal) leaveNext(r *http.Request) Onward {
	token, err := Token(r)
	if err != nil || p.opts.Entry == nil {
		return Onward{}
	}
	next, err := p.opts.Entry.LeaveNext(r.Context(), token)
	if err != nil {
		p.opts.Log.WarnContext(r.Context(), "portal: asking where else to sign out failed", "error", err)
		return Onward{}
	}
	return next
}

// apiSignOut is postSignOut for programs. It needs no body; one that is there must
// be JSON.
func (p *Portal) apiSignOut(w http.ResponseWriter, r *http.Request) {
	if !p.readNothing(w, r) {
		return
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
	if token, err := Token(r); err == nil {
		if err := p.backend.SignOut(r.Context(), token, ClientFrom(r.Context())); err != nil {
			if x := p.backendRefusal(r, err); !signInMends(x.Reason) && x.Reason != policy.Locked {
				p.refuse(w, r, f, x)
				return false
			}
		}
	}
	clearSession(w.Header())
	clearStep(w.Header(), r)
	clearTrips(w.Header())
	return true
}
