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

// stepUpView is the page that asks before a step-up begins.
type stepUpView struct {
	base
	Return string
}

// showStepUp asks: the proof begins with a POST.
func (p *Portal) showStepUp(w http.ResponseWriter, r *http.Request) {
	if _, _, ok := p.current(w, r, asPage); !ok {
		return
	}
	p.render(w, r, http.StatusOK, pageStepUp, stepUpView{
		base: p.base(r, "Confirm that it is you"), Return: onlyReturn(r),
	})
}

// onlyReturn returns the return target of the query; given twice it is "/".
func onlyReturn(r *http.Request) string {
	if all := r.URL.Query()["return"]; len(all) == 1 {
		return ReturnTarget(all[0], host(r))
	}
	return home
}

// postStepUp begins the proof.
func (p *Portal) postStepUp(w http.ResponseWriter, r *http.Request) {
	values, ok := p.readForm(w, r)
	if !ok {
		return
	}
	p.stepUp(w, r, ReturnTarget(values.Get("return"), host(r)))
}

// stepUp begins the proof before a sensitive act and goes to its page.
func (p *Portal) stepUp(w http.ResponseWriter, r *http.Request, target string) {
	token, _, ok := p.current(w, r, asPage)
	if !ok {
		return
	}
	step, err := p.opts.Steps.StepUp(r.Context(), token, target)
	if err == nil && !usableToken(step) {
		err = errForm
	}
	if err != nil {
		x := p.backendRefusal(r, err)
		if x.Reason == policy.StepUp { // would come back here for ever
			x.Reason = policy.SecondFactor
		}
		p.refuse(w, r, asPage, x)
		return
	}
	setStep(w.Header(), step)
	redirect(w, r, StepPath)
}

// refuseAct shows why an act on the account was refused. When the person is to be
// proved first, that begins at once; the act is repeated by hand afterwards.
func (p *Portal) refuseAct(w http.ResponseWriter, r *http.Request, x Refusal, target string) {
	if x.Reason == policy.StepUp && p.opts.Steps != nil {
		p.stepUp(w, r, target)
		return
	}
	p.refuse(w, r, asPage, x)
}

// apiStepUp begins the proof for an app.
func (p *Portal) apiStepUp(w http.ResponseWriter, r *http.Request) {
	if !p.readNothing(w, r) {
		return
	}
	token, _, ok := p.current(w, r, asJSON)
	if !ok {
		return
	}
	step, err := p.opts.Steps.StepUp(r.Context(), token, home)
	var s StepView
	if err == nil {
		s, err = p.opts.Steps.Step(r.Context(), step)
	}
	if err == nil && !usableToken(step) {
		err = errForm
	}
	if err != nil {
		p.refuse(w, r, asJSON, p.backendRefusal(r, err))
		return
	}
	writeJSON(w, r, http.StatusOK, struct {
		Step string `json:"step"`
		stepJSON
	}{step, stepToJSON(s, p.opts.Clock.Now())})
}
