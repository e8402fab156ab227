// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package sso

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/crmgate/crmgate/modules/internal/address"
	"github.com/crmgate/crmgate/modules/internal/directory"
	"github.com/crmgate/crmgate/modules/internal/signin"
	"github.com/crmgate/crmgate/modules/internal/state"
	"github.com/crmgate/crmgate/policy"
)

// start begins a sign-in and sends the browser to the provider.
func (h *Handler) start(w http.ResponseWriter, r *http.Request, env signin.Env, p signin.RedirectProvider) {
	q, err := single(r)
	if err != nil {
		h.refuse(w, r, Refusal{Reason: policy.BadRequest, Provider: p.Name(), Detail: err.Error()})
		return
	}
	f := flow{
		Provider: p.Name(), Purpose: Purpose(q.Get("for")), Return: h.opts.Return(q.Get("return"), hostOf(env)),
		Expires: env.Clock.Now().Add(FlowLife),
	}
	switch f.Purpose {
	case SignIn:
	case StepUp, Test:
		id, ok := h.opts.Session(r)
		if !ok {
			h.refuse(w, r, Refusal{Reason: policy.NoSession, Provider: p.Name(), Detail: "there is no session to prove again"})
			return
		}
		f.Session = id
	default:
		h.refuse(w, r, Refusal{Reason: policy.BadRequest, Provider: p.Name(), Detail: "a flow of an unknown purpose"})
		return
	}
	if !h.mark(w, r, env, p, &f) {
		return
	}
	id, err := newID(env.Random)
	if err != nil {
		h.denied(w, r, env, p.Name(), "beginning a sign-in", err)
		return
	}
	begin := signin.Flow{ID: id, Fresh: f.Purpose == StepUp}
	if hint, err := directory.ParseEmail(q.Get("hint")); err == nil {
		begin.LoginHint = hint
	}
	next, kept, err := p.Begin(r.Context(), env, begin)
	if err != nil {
		h.denied(w, r, env, p.Name(), "beginning a sign-in", err)
		return
	}
	f.Kept = kept
	if err := keepFlow(r.Context(), env, id, f); err != nil {
		h.denied(w, r, env, p.Name(), "beginning a sign-in", err)
		return
	}
	if err := WriteNext(w, next); err != nil {
		h.denied(w, r, env, p.Name(), "sending the browser on", err)
	}
}

// mark binds the flow to the browser and counts it, and says whether it may go on.
func (h *Handler) mark(w http.ResponseWriter, r *http.Request, env signin.Env, p signin.RedirectProvider, f *flow) bool {
	lax, err := markBrowser(w, r, env.Random, FlowCookie, http.SameSiteLaxMode)
	post := ""
	if poster, ok := p.(Poster); err == nil && (!ok || poster.AnswersByPost()) {
		post, err = markBrowser(w, r, env.Random, PostCookie, http.SameSiteNoneMode)
	}
	switch {
	case errors.Is(err, errTwoCookies):
		h.refuse(w, r, Refusal{Reason: policy.BadRequest, Provider: p.Name(), Detail: err.Error(), Again: StartPath(p.Name(), f.Return, f.Purpose)})
		return false
	case err != nil:
		h.denied(w, r, env, p.Name(), "marking the browser", err)
		return false
	}
	f.Lax = hashOf(lax)
	if post != "" {
		f.Post = hashOf(post)
	}
	return h.count(w, r, env, p.Name(), "address/"+address.Source(h.opts.Client(r)), h.opts.PerAddress) &&
		h.count(w, r, env, p.Name(), "browser/"+f.Lax, h.opts.PerBrowser)
}

// count admits one more flow under a key, so that nobody fills the store.
func (h *Handler) count(w http.ResponseWriter, r *http.Request, env signin.Env, provider, key string, events int) bool {
	v, err := env.State.Admit(r.Context(), "sso/"+key, state.Limit{Events: events, Per: FlowLife})
	switch {
	case err != nil:
		h.denied(w, r, env, provider, "counting a sign-in", err)
	case !v.Allowed:
		h.refuse(w, r, Refusal{
			Reason: policy.Throttled, Provider: provider, Detail: "too many sign-ins were begun", Again: StartPath(provider, "", SignIn),
		})
	}
	return err == nil && v.Allowed
}

// hostOf is the host browsers reach the gate under.
func hostOf(env signin.Env) string {
	u, err := url.Parse(env.Origin)
	if err != nil {
		return ""
	}
	return u.Host
}
