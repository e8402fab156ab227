// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package portal

import (
	"net/http"
	"strconv"

	"github.com/crmgate/crmgate/policy"
)

// RefuseKept answers a form that came with an ended session and was kept: the
// browser keeps value, signs in, and is then asked whether to send the form.
// x.Reason says how the session ended. A value that cannot be a cookie, and a
// request that is no form of a browser window, are refused like any other.
func (p *Portal) RefuseKept(w http.ResponseWriter, r *http.Request, x Refusal, value string) {
	protect(w.Header())
	if p.opts.Kept == nil || !usableToken(value) || !navigates(r) || !signInMends(x.Reason) {
		p.refuse(w, r, negotiate(r), x)
		return
	}
	if clearDoubled(w.Header(), r) {
		p.refuse(w, r, asPage, Refusal{Reason: policy.BadRequest})
		return
	}
	setCookie(w.Header(), keptCookie, value, keptLife)
	redirect(w, r, signInURL(KeptPath, x.Reason))
}

// keptView is the question before a kept form is sent.
type keptView struct {
	base
	Path, Size string
}

func clearKept(h http.Header) { setCookie(h, keptCookie, "", -1) }

// keptOver says that there is nothing to send any more.
func (p *Portal) keptOver(w http.ResponseWriter, r *http.Request) {
	clearKept(w.Header())
	p.render(w, r, http.StatusGone, pageKeptOver, p.base(r, "The form is gone."))
}

// showKept asks.
func (p *Portal) showKept(w http.ResponseWriter, r *http.Request) {
	token, _, ok := p.current(w, r, asPage)
	if !ok {
		return
	}
	value := secret(r.Header, keptCookie)
	if value == "" {
		p.keptOver(w, r)
		return
	}
	k, err := p.opts.Kept.Kept(r.Context(), token, value)
	if err != nil {
		p.keptRefused(w, r, p.backendRefusal(r, err))
		return
	}
	p.render(w, r, http.StatusOK, pageKept, keptView{base: p.base(r, "Send the form now?"), Path: clip(k.Path, 200), Size: size(k.Size)})
}

func (p *Portal) keptRefused(w http.ResponseWriter, r *http.Request, x Refusal) {
	if x.Reason == policy.NoSession || x.Reason == policy.RowDenied {
		p.keptOver(w, r)
		return
	}
	p.refuse(w, r, asPage, x)
}

// sendKept sends it, once.
func (p *Portal) sendKept(w http.ResponseWriter, r *http.Request) {
	if _, ok := p.readForm(w, r); !ok {
		return
	}
	token, _, ok := p.current(w, r, asPage)
	if !ok {
		return
	}
	value := secret(r.Header, keptCookie)
	if value == "" {
		p.keptOver(w, r)
		return
	}
	h := w.Header()
	unprotect(h)
	clearKept(h)
	if err := p.opts.Kept.SendKept(w, r, token, value); err != nil {
		h.Del("Set-Cookie")
		protect(h)
		p.keptRefused(w, r, p.backendRefusal(r, err))
	}
}

// dropKept forgets it.
func (p *Portal) dropKept(w http.ResponseWriter, r *http.Request) {
	if value := secret(r.Header, keptCookie); value != "" {
		if err := p.opts.Kept.DropKept(r.Context(), value); err != nil {
			if x := p.backendRefusal(r, err); x.Reason != policy.NoSession {
				p.refuse(w, r, asPage, x)
				return
			}
		}
	}
	clearKept(w.Header())
	redirect(w, r, home)
}

// size says a number of bytes in words.
func size(n int64) string {
	if n < 1000 {
		return strconv.FormatInt(n, 10) + " bytes"
	}
	return strconv.FormatFloat(float64(n)/1000, 'f', 1, 64) + " kB"
}
