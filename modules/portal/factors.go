// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package portal

import (
	"net/http"
	"strings"

	"github.com/crmgate/crmgate/policy"
)

// factorsBlock is the part of the account page about the second factor.
type factorsBlock struct {
	On           bool
	Factors      []factorRow
	Addable      []methodRow
	Recovery     bool
	RecoveryLeft int
	DevicesOn    bool
	Devices      []deviceRow
}

type factorRow struct {
	ID, Label, Hint string
	Added, LastUsed moment
	Removable       bool
}

type deviceRow struct {
	ID, Label, Device, IP string
	Current               bool
	Since, LastUsed, Ends moment
}

// factorsBlock asks for it; an empty one when there are no factors at all.
func (p *Portal) factorsBlock(r *http.Request, token string) (factorsBlock, error) {
	if p.opts.Factors == nil {
		return factorsBlock{}, nil
	}
	s, err := p.opts.Factors.Factors(r.Context(), Ticket{Session: token})
	if err != nil {
		return factorsBlock{}, err
	}
	b := factorsBlock{On: true, Recovery: s.Recovery, RecoveryLeft: s.RecoveryLeft, DevicesOn: s.DevicesOn}
	for _, f := range s.Factors {
		row := factorRow{
			ID: f.ID, Label: f.Label, Hint: f.Hint, Added: at(f.Added), LastUsed: at(f.LastUsed),
			Removable: !f.Fixed && (!s.Mandatory || len(s.Factors) > 1),
		}
		if row.Label == "" {
			row.Label = methodNames[f.Kind]
		}
		b.Factors = append(b.Factors, row)
	}
	for _, m := range s.Addable {
		b.Addable = append(b.Addable, methodRow{Kind: m.Kind, Label: methodLabel(m), Hint: m.Hint})
	}
	if !s.DevicesOn {
		return b, nil
	}
	all, err := p.opts.Factors.Devices(r.Context(), token, DeviceToken(r))
	if err != nil {
		return factorsBlock{}, err
	}
	for _, d := range all {
		row := deviceRow{
			ID: d.ID, Label: d.Label, Device: Device(d.UserAgent), IP: d.IP, Current: d.Current,
			Since: at(d.Since), LastUsed: at(d.LastUsed), Ends: at(d.Ends),
		}
		if row.Label == "" {
			row.Label = row.Device
		}
		b.Devices = append(b.Devices, row)
	}
	return b, nil
}

// act reads the form of one act on the account and does it with the session's
// token and the form value id.
func (p *Portal) act(w http.ResponseWriter, r *http.Request, done string, do func(token, id string, label string) error) {
	values, ok := p.readForm(w, r)
	if !ok {
		return
	}
	token, _, ok := p.current(w, r, asPage)
	if !ok {
		return
	}
	if x := p.doAct(r, token, values.Get("id"), values.Get("label"), do); x != nil {
		p.refuseAct(w, r, *x, AccountPath)
		return
	}
	redirect(w, r, AccountPath+"?done="+done)
}

func (p *Portal) doAct(r *http.Request, token, id, label string, do func(token, id, label string) error) *Refusal {
	label = strings.TrimSpace(label)
	switch {
	case !fineID(id):
		return &Refusal{Reason: policy.RowDenied}
	case !fineLabel(label):
		return &Refusal{Reason: policy.BadRequest}
	}
	if err := do(token, id, label); err != nil {
		x := p.backendRefusal(r, err)
		return &x
	}
	return nil
}

func (p *Portal) remove(r *http.Request) func(token, id, label string) error {
	return func(token, id, _ string) error { return p.opts.Factors.RemoveFactor(r.Context(), token, id) }
}

func (p *Portal) rename(r *http.Request) func(token, id, label string) error {
	return func(token, id, label string) error {
		if label == "" {
			return &Refusal{Reason: policy.BadRequest}
		}
		return p.opts.Factors.RenameDevice(r.Context(), token, id, label)
	}
}

func (p *Portal) revoke(r *http.Request) func(token, id, label string) error {
	return func(token, id, _ string) error { return p.opts.Factors.RevokeDevice(r.Context(), token, id) }
}

// postRemove removes a factor.
func (p *Portal) postRemove(w http.ResponseWriter, r *http.Request) {
	p.act(w, r, "removed", p.remove(r))
}

// postRename gives a trusted device a name.
func (p *Portal) postRename(w http.ResponseWriter, r *http.Request) {
	p.act(w, r, "renamed", p.rename(r))
}

// postRevoke ends the trust in a device.
func (p *Portal) postRevoke(w http.ResponseWriter, r *http.Request) {
	p.act(w, r, "revoked", p.revoke(r))
}

// postRecovery makes new recovery codes and shows them once.
func (p *Portal) postRecovery(w http.ResponseWriter, r *http.Request) {
	token, _, ok := p.current(w, r, asPage)
	if !ok {
		return
	}
	codes, err := p.opts.Factors.NewRecoveryCodes(r.Context(), token)
	if err != nil {
		p.refuseAct(w, r, p.backendRefusal(r, err), AccountPath)
		return
	}
	p.render(w, r, http.StatusOK, pageCodes, codesView{base: p.base(r, "Your recovery codes"), Codes: codes, Next: AccountPath})
}
