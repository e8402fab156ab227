// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package portal

import (
	"context"
	"net/http"

	"github.com/crmgate/crmgate/modules/internal/sealedform"
	"github.com/crmgate/crmgate/policy"
)

// maxSealed bounds an encrypted password.
const maxSealed = sealedform.MaxBytes

// entrances returns what is open; without an Entry, the password form alone.
func (p *Portal) entrances(ctx context.Context) (Entrances, error) {
	if p.opts.Entry == nil {
		return Entrances{Password: true, Forgot: p.opts.Passwords != nil}, nil
	}
	e, err := p.opts.Entry.Entrances(ctx)
	e.Forgot = e.Forgot && p.opts.Passwords != nil
	return e, err
}

// checkSealing refuses a password in clear where only encrypted ones are taken, an
// encrypted one where nobody can read it, and both at once. It is asked for every
// body that holds a password, before anything looks at it.
func (p *Portal) checkSealing(r *http.Request, plain, sealed string) *Refusal {
	e, err := p.entrances(r.Context())
	if err != nil {
		x := p.backendRefusal(r, err)
		return &x
	}
	if e.Encrypt && plain != "" || !e.Encrypt && sealed != "" || len(sealed) > maxSealed {
		return &Refusal{Reason: policy.BadRequest}
	}
	return nil
}

// sealing is what a form with passwords needs to encrypt them.
type sealing struct {
	On     bool
	Script string // path of the module that encrypts
	Key    string // where the page gets a key
}

// sealing returns it for the pages. Their forms have no password field with a name
// then: without the script nothing is sent, least of all in clear.
func (p *Portal) sealing(e Entrances) sealing {
	if !e.Encrypt {
		return sealing{}
	}
	return sealing{On: true, Script: assetPaths[sealScript], Key: apiPrefix + "password/key"}
}

// apiEntrances tells an app what it can offer.
func (p *Portal) apiEntrances(w http.ResponseWriter, r *http.Request) {
	e, err := p.entrances(r.Context())
	if err != nil {
		p.refuse(w, r, asJSON, p.backendRefusal(r, err))
		return
	}
	type provider struct {
		Name  string `json:"name"`
		Label string `json:"label"`
		Start string `json:"start"`
	}
	out := struct {
		Password  bool       `json:"password"`
		Encrypt   bool       `json:"password_encryption"`
		Passkey   bool       `json:"passkey"`
		Forgot    bool       `json:"forgot"`
		Providers []provider `json:"providers"`
	}{e.Password, e.Encrypt, e.Passkey, e.Forgot, []provider{}}
	for _, s := range e.Providers {
		out.Providers = append(out.Providers, provider{s.Name, s.Label, ssoStart(s.Name, home)})
	}
	writeJSON(w, r, http.StatusOK, out)
}

// apiPasswordKey hands out a key to encrypt one password with.
func (p *Portal) apiPasswordKey(w http.ResponseWriter, r *http.Request) {
	if !p.readNothing(w, r) {
		return
	}
	e, err := p.entrances(r.Context())
	if err == nil && !e.Encrypt {
		p.fail(w, r, asJSON, faultNotFound)
		return
	}
	var key PasswordKey
	if err == nil {
		key, err = p.opts.Entry.PasswordKey(r.Context())
	}
	if err != nil {
		p.refuse(w, r, asJSON, p.backendRefusal(r, err))
		return
	}
	writeRaw(w, r, key.JSON)
}

// apiBeginPasskey starts a sign-in with a passkey.
func (p *Portal) apiBeginPasskey(w http.ResponseWriter, r *http.Request) {
	if !p.readNothing(w, r) {
		return
	}
	e, err := p.entrances(r.Context())
	if err == nil && !e.Passkey {
		p.fail(w, r, asJSON, faultNotFound)
		return
	}
	var out struct {
		Flow    string  `json:"flow"`
		Request rawJSON `json:"request"`
	}
	if err == nil {
		out.Flow, out.Request, err = p.opts.Entry.BeginPasskey(r.Context())
	}
	if err != nil {
		p.refuse(w, r, asJSON, p.backendRefusal(r, err))
		return
	}
	writeJSON(w, r, http.StatusOK, out)
}

// signInPasskey is signIn for a passkey.
func (p *Portal) signInPasskey(w http.ResponseWriter, r *http.Request, flow string, response []byte, target string) (SignInResult, *Refusal) {
	if !usableToken(flow) || len(response) == 0 {
		return SignInResult{}, &Refusal{Reason: policy.BadRequest}
	}
	e, err := p.entrances(r.Context())
	if err == nil && !e.Passkey {
		return SignInResult{}, &Refusal{Reason: policy.WrongCredentials}
	}
	var res SignInResult
	if err == nil {
		res, err = p.opts.Entry.SignInPasskey(r.Context(), PasskeyRequest{
			Flow: flow, Response: response, Return: target, Client: ClientFrom(r.Context()),
		})
	}
	if err != nil {
		x := p.backendRefusal(r, err)
		x.Reason = signInReason(x.Reason)
		if x.Reason == policy.WrongCredentials {
			x.detail = passkeyFailed
		}
		return SignInResult{}, &x
	}
	return res, p.accept(w, r, res)
}

const passkeyFailed = "Signing in with this passkey did not work."

// postPasskey takes what the script of the sign-in page put into its form.
func (p *Portal) postPasskey(w http.ResponseWriter, r *http.Request) {
	values, ok := p.readForm(w, r)
	if !ok {
		return
	}
	target := ReturnTarget(values.Get("return"), host(r))
	res, x := p.signInPasskey(w, r, values.Get("flow"), []byte(values.Get("response")), target)
	switch {
	case x == nil:
		p.goOn(w, r, res, target)
	case x.Reason == policy.BadRequest:
		p.refuse(w, r, asPage, *x)
	default:
		p.signInFailed(w, r, credentials{}, target, *x)
	}
}

// apiFinishPasskey is postPasskey for programs.
func (p *Portal) apiFinishPasskey(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Flow     string  `json:"flow"`
		Response rawJSON `json:"response"`
	}
	if !p.readJSON(w, r, &in) {
		return
	}
	res, x := p.signInPasskey(w, r, in.Flow, in.Response, home)
	if x != nil {
		p.refuse(w, r, asJSON, *x)
		return
	}
	writeJSON(w, r, http.StatusOK, p.resultJSON(res))
}
