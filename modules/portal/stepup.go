// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package portal

import (
	"net/http"

	"github.com/crmgate/crmgate/policy"
)

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
