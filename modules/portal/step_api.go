// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package portal

import (
	"net/http"

	"github.com/crmgate/crmgate/policy"
)

// apiStepToken returns the secret of the pending sign-in of a call: the header,
// else the cookie. It answers the request itself and returns false when there is
// none; a header given twice, or of another shape, is 400.
func (p *Portal) apiStepToken(w http.ResponseWriter, r *http.Request) (string, bool) {
	step, ok := p.stepHeader(w, r)
	if !ok {
		return "", false
	}
	if step == "" {
		step = stepToken(r)
	}
	if step == "" {
		p.refuse(w, r, asJSON, Refusal{Reason: policy.NoSession})
		return "", false
	}
	return step, true
}

// stepHeader returns the step an app sends, or "".
func (p *Portal) stepHeader(w http.ResponseWriter, r *http.Request) (string, bool) {
	values := r.Header.Values(StepHeader)
	switch {
	case len(values) == 0:
		return "", true
	case len(values) == 1 && usableToken(values[0]):
		return values[0], true
	}
	p.refuse(w, r, asJSON, Refusal{Reason: policy.BadRequest})
	return "", false
}

// apiStep says what is due.
func (p *Portal) apiStep(w http.ResponseWriter, r *http.Request) {
	step, ok := p.apiStepToken(w, r)
	if !ok {
		return
	}
	s, err := p.opts.Steps.Step(r.Context(), step)
	if err != nil {
		p.refuse(w, r, asJSON, p.backendRefusal(r, err))
		return
	}
	writeJSON(w, r, http.StatusOK, stepToJSON(s, p.opts.Clock.Now()))
}

// apiSend sends a code and says when the next may be sent.
func (p *Portal) apiSend(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Kind string `json:"kind"`
	}
	if !p.readJSON(w, r, &in) {
		return
	}
	step, ok := p.apiStepToken(w, r)
	if !ok {
		return
	}
	if x := p.send(r, step, in.Kind); x != nil {
		p.refuse(w, r, asJSON, *x)
		return
	}
	p.apiStep(w, r)
}

// apiChallenge returns the options for a passkey.
func (p *Portal) apiChallenge(w http.ResponseWriter, r *http.Request) {
	if !p.readNothing(w, r) {
		return
	}
	step, ok := p.apiStepToken(w, r)
	if !ok {
		return
	}
	request, err := p.opts.Steps.PasskeyChallenge(r.Context(), step)
	if err != nil {
		p.refuse(w, r, asJSON, p.backendRefusal(r, err))
		return
	}
	writeJSON(w, r, http.StatusOK, struct {
		Request rawJSON `json:"request"`
	}{request})
}

// apiProve gives one proof.
func (p *Portal) apiProve(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Kind     string  `json:"kind"`
		Code     string  `json:"code"`
		Response rawJSON `json:"response"`
		Password string  `json:"password"`
		Sealed   string  `json:"sealed"`
		Trust    bool    `json:"trust"`
	}
	if !p.readJSON(w, r, &in) {
		return
	}
	step, ok := p.apiStepToken(w, r)
	if !ok {
		return
	}
	res, x := p.prove(w, r, step, FactorProof{
		Kind: in.Kind, Code: in.Code, Response: in.Response, Password: in.Password, Sealed: in.Sealed, Trust: in.Trust,
	})
	if x != nil {
		if x.Reason == policy.BadRequest {
			x.detail = ""
		}
		p.refuse(w, r, asJSON, *x)
		return
	}
	writeJSON(w, r, http.StatusOK, p.resultJSON(res))
}

// apiCancel ends a pending sign-in or step-up.
func (p *Portal) apiCancel(w http.ResponseWriter, r *http.Request) {
	step, ok := p.apiStepToken(w, r)
	if !ok {
		return
	}
	if err := p.opts.Steps.Cancel(r.Context(), step); err != nil {
		if x := p.backendRefusal(r, err); x.Reason != policy.NoSession {
			p.refuse(w, r, asJSON, x)
			return
		}
	}
	clearStep(w.Header(), r)
	writeBody(w, r, http.StatusNoContent, nil)
}
