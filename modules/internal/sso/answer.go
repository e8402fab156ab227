// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package sso

import (
	"errors"
	"mime"
	"net/http"
	"net/url"

	"github.com/crmgate/crmgate/modules/internal/address"
	"github.com/crmgate/crmgate/modules/internal/signin"
	"github.com/crmgate/crmgate/modules/internal/state"
	"github.com/crmgate/crmgate/policy"
)

// maxParameters bounds what an answer may hold; the longest of an honest provider
// has seven.
const maxParameters = 32

var errForm = errors.New("the answer is no form: another media type, too long, or undecodable")

// single reads the parameters of a request, query and body together, and refuses
// any that is there twice: two readers could take two different ones.
func single(r *http.Request) (url.Values, error) {
	if r.Method == http.MethodPost {
		media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
		if err != nil || media != "application/x-www-form-urlencoded" {
			return nil, errForm
		}
	}
	if err := r.ParseForm(); err != nil {
		return nil, errForm
	}
	if len(r.Form) > maxParameters {
		return nil, errors.New("the answer has too many parameters")
	}
	for _, v := range r.Form {
		if len(v) > 1 {
			return nil, errors.New("a parameter is there twice")
		}
	}
	return r.Form, nil
}

// answer takes what a browser brings back from the provider.
func (h *Handler) answer(w http.ResponseWriter, r *http.Request, env signin.Env, p signin.RedirectProvider) {
	bad := func(err error) {
		h.refuse(w, r, Refusal{Reason: policy.BadRequest, Provider: p.Name(), Detail: err.Error(), Again: StartPath(p.Name(), "", SignIn)})
	}
	if _, err := single(r); err != nil {
		bad(err)
		return
	}
	from, err := whoBrings(r)
	if err != nil {
		bad(err)
		return
	}
	id, err := p.FlowID(r)
	if err != nil {
		h.denied(w, r, env, p.Name(), "reading an answer", denial(err))
		return
	}
	f := flow{Provider: p.Name(), Return: "/"}
	if id == "" {
		// Only what a provider was told to accept gets through Finish without a flow,
		// and only so often: reading such an answer is costly.
		if !h.count(w, r, env, p.Name(), "unsolicited/"+address.Source(h.opts.Client(r)), h.opts.PerBrowser) {
			return
		}
	} else if f, err = takeFlow(r.Context(), env, id, p.Name(), from); err != nil {
		h.noFlow(w, r, env, p.Name(), err)
		return
	}
	proof, err := p.Finish(r.Context(), env, r, f.Kept)
	if err != nil {
		h.denied(w, r, env, p.Name(), "checking an answer", err)
		return
	}
	if proof.Email == "" {
		h.denied(w, r, env, p.Name(), "checking an answer", signin.Denied("the answer names no e-mail address"))
		return
	}
	proof.Grant.Provider = p.Name()
	h.opts.Finish(w, r, Finished{
		Provider: p.Name(), Purpose: f.Purpose, Proof: proof, Return: f.Return, Session: f.Session, Unsolicited: id == "",
	})
}

// denial makes an answer without a readable flow id a refused one: whatever the
// provider says about it, it signs nobody in and is no outage.
func denial(err error) error {
	if _, ok := errors.AsType[*signin.DeniedError](err); ok {
		return err
	}
	return signin.Denied(err.Error())
}

// noFlow answers a request whose flow is not to be used. Whoever has a session has
// most likely gone back or loaded the page again, and is sent to the start page;
// anybody else reads what happened. Nobody is sent to the provider by himself: it
// remembers the person and would send him back at once.
func (h *Handler) noFlow(w http.ResponseWriter, r *http.Request, env signin.Env, name string, err error) {
	x := Refusal{Reason: policy.BadRequest, Provider: name, Detail: err.Error(), Again: StartPath(name, "", SignIn)}
	switch {
	case errors.Is(err, errNoFlow):
		if _, ok := h.opts.Session(r); ok {
			redirect(w, "/")
			return
		}
		x.Text = "This sign-in was used already or took too long."
	case errors.Is(err, errOtherBrowser):
		x.Text = "This sign-in was begun in another browser, or your browser did not keep the cookie that belongs to it."
	case errors.Is(err, errOtherStart):
		x.Text = "This sign-in was begun at another identity provider."
	case errors.Is(err, state.ErrUnavailable):
		h.denied(w, r, env, name, "finding the flow", err)
		return
	default:
		h.denied(w, r, env, name, "finding the flow", err)
		return
	}
	h.refuse(w, r, x)
}
