// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package portal

import (
	"net/http"
	"strings"
)

// apiTicket returns the right a call acts by: the step an app names, else the
// session, else the step of the browser's cookie.
func (p *Portal) apiTicket(w http.ResponseWriter, r *http.Request) (Ticket, bool) {
	step, ok := p.stepHeader(w, r)
	if !ok {
		return Ticket{}, false
	}
	if _, err := Token(r); step == "" && err != nil {
		step = stepToken(r)
	}
	if step != "" {
		return Ticket{Step: step}, true
	}
	token, _, ok := p.current(w, r, asJSON)
	return Ticket{Session: token}, ok
}

// factorJSON is a factor for programs.
type factorJSON struct {
	ID       string `json:"id"`
	Kind     string `json:"kind"`
	Label    string `json:"label,omitzero"`
	Hint     string `json:"hint,omitzero"`
	Added    string `json:"added,omitzero"`
	LastUsed string `json:"last_used,omitzero"`
	Fixed    bool   `json:"fixed,omitzero"`
}

// apiFactors lists the factors.
func (p *Portal) apiFactors(w http.ResponseWriter, r *http.Request) {
	t, ok := p.apiTicket(w, r)
	if !ok {
		return
	}
	s, err := p.opts.Factors.Factors(r.Context(), t)
	if err != nil {
		p.refuse(w, r, asJSON, p.backendRefusal(r, err))
		return
	}
	out := struct {
		Factors      []factorJSON `json:"factors"`
		Addable      []methodJSON `json:"addable"`
		Recovery     bool         `json:"recovery"`
		RecoveryLeft int          `json:"recovery_left"`
		Mandatory    bool         `json:"mandatory"`
		Devices      bool         `json:"trusted_devices"`
	}{[]factorJSON{}, methodsJSON(s.Addable), s.Recovery, s.RecoveryLeft, s.Mandatory, s.DevicesOn}
	for _, f := range s.Factors {
		out.Factors = append(out.Factors, factorJSON{f.ID, f.Kind, f.Label, f.Hint, at(f.Added).ISO, at(f.LastUsed).ISO, f.Fixed})
	}
	writeJSON(w, r, http.StatusOK, out)
}

// apiBegin starts setting a factor up.
func (p *Portal) apiBegin(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Kind string `json:"kind"`
	}
	if !p.readJSON(w, r, &in) {
		return
	}
	t, ok := p.apiTicket(w, r)
	if !ok {
		return
	}
	v, x := p.beginEnrol(r, t, in.Kind)
	if x != nil {
		p.refuse(w, r, asJSON, *x)
		return
	}
	writeJSON(w, r, http.StatusOK, struct {
		Kind     string  `json:"kind"`
		Secret   string  `json:"secret,omitzero"`
		URI      string  `json:"uri,omitzero"`
		Creation rawJSON `json:"creation,omitzero"`
		SentTo   string  `json:"sent_to,omitzero"`
	}{v.Kind, v.Secret, v.URI, v.Creation, v.SentTo})
}

// apiFinish proves the new factor.
func (p *Portal) apiFinish(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Kind     string  `json:"kind"`
		Code     string  `json:"code"`
		Response rawJSON `json:"response"`
		Label    string  `json:"label"`
	}
	if !p.readJSON(w, r, &in) {
		return
	}
	t, ok := p.apiTicket(w, r)
	if !ok {
		return
	}
	done, x := p.finishEnrol(w, r, t, EnrolProof{Kind: in.Kind, Code: in.Code, Response: in.Response, Label: in.Label})
	if x != nil {
		p.refuse(w, r, asJSON, *x)
		return
	}
	var out resultJSON
	if done.Result != nil {
		out = p.resultJSON(*done.Result)
	}
	out.Recovery = done.Recovery
	writeJSON(w, r, http.StatusOK, out)
}

// apiAct does one act on what the path names.
func (p *Portal) apiAct(w http.ResponseWriter, r *http.Request, prefix, label string, do func(token, id, label string) error) {
	token, _, ok := p.current(w, r, asJSON)
	if !ok {
		return
	}
	if x := p.doAct(r, token, strings.TrimPrefix(r.URL.Path, prefix), label, do); x != nil {
		p.refuse(w, r, asJSON, *x)
		return
	}
	writeBody(w, r, http.StatusNoContent, nil)
}

// apiRemove removes a factor.
func (p *Portal) apiRemove(w http.ResponseWriter, r *http.Request) {
	p.apiAct(w, r, apiFactorsPath, "", p.remove(r))
}

// apiRename gives a trusted device a name.
func (p *Portal) apiRename(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Label string `json:"label"`
	}
	if p.readJSON(w, r, &in) {
		p.apiAct(w, r, apiDevicesPath, in.Label, p.rename(r))
	}
}

// apiRevoke ends the trust in a device.
func (p *Portal) apiRevoke(w http.ResponseWriter, r *http.Request) {
	p.apiAct(w, r, apiDevicesPath, "", p.revoke(r))
}

// apiRecovery makes new recovery codes.
func (p *Portal) apiRecovery(w http.ResponseWriter, r *http.Request) {
	if !p.readNothing(w, r) {
		return
	}
	token, _, ok := p.current(w, r, asJSON)
	if !ok {
		return
	}
	codes, err := p.opts.Factors.NewRecoveryCodes(r.Context(), token)
	if err != nil {
		p.refuse(w, r, asJSON, p.backendRefusal(r, err))
		return
	}
	writeJSON(w, r, http.StatusOK, resultJSON{Recovery: codes})
}

// deviceJSON is a trusted device for programs.
type deviceJSON struct {
	ID        string `json:"id"`
	Label     string `json:"label,omitzero"`
	UserAgent string `json:"user_agent,omitzero"`
	Device    string `json:"device"`
	IP        string `json:"ip,omitzero"`
	Since     string `json:"since,omitzero"`
	LastUsed  string `json:"last_used,omitzero"`
	Ends      string `json:"ends,omitzero"`
	Current   bool   `json:"current"`
}

// apiDevices lists the trusted devices; none where the feature is off.
func (p *Portal) apiDevices(w http.ResponseWriter, r *http.Request) {
	token, _, ok := p.current(w, r, asJSON)
	if !ok {
		return
	}
	all, err := p.opts.Factors.Devices(r.Context(), token, DeviceToken(r))
	if err != nil {
		p.refuse(w, r, asJSON, p.backendRefusal(r, err))
		return
	}
	out := struct {
		Devices []deviceJSON `json:"devices"`
	}{[]deviceJSON{}}
	for _, d := range all {
		out.Devices = append(out.Devices, deviceJSON{
			d.ID, d.Label, d.UserAgent, Device(d.UserAgent), d.IP, at(d.Since).ISO, at(d.LastUsed).ISO, at(d.Ends).ISO, d.Current,
		})
	}
	writeJSON(w, r, http.StatusOK, out)
}
