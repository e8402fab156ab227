// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package crmgate

import (
	"errors"
	"fmt"
	"time"

	"github.com/crmgate/crmgate/modules/internal/factor"
	"github.com/crmgate/crmgate/modules/internal/password"
	"github.com/crmgate/crmgate/modules/internal/records"
)

// factorsOutput is what the admin API tells of a person's second factors; no secret
// is in it.
type factorsOutput struct {
	Mandate      string         `json:"mandate"` // required, optional or off
	Factors      []factorOutput `json:"factors"`
	RecoveryLeft int            `json:"recovery_left"`
	Phone        string         `json:"phone,omitempty"` // its last digits
}

type factorOutput struct {
	ID     string    `json:"id"`
	Kind   string    `json:"kind"`
	Label  string    `json:"label,omitempty"`
	Added  time.Time `json:"added"`
	Used   time.Time `json:"used,omitzero"`
	Cloned bool      `json:"cloned,omitempty"`
}

// factors lists a person's second factors.
func (c *adminCall) factors() (any, error) {
	p, err := c.person(c.r.PathValue("email"))
	if err != nil {
		return nil, err
	}
	f, err := c.app.doors.Load().factors.Factors(c.r.Context(), p.ID)
	if err != nil {
		return nil, err
	}
	out := factorsOutput{
		Mandate: string(c.app.Snapshot().Policy.SecondFactorFor(p.Email, p.Role)), Factors: []factorOutput{},
		RecoveryLeft: f.RecoveryLeft, Phone: f.PhoneHint,
	}
	for _, i := range f.List {
		out.Factors = append(out.Factors, factorOutput{ID: i.ID, Kind: i.Kind, Label: i.Label, Added: i.Added, Used: i.Used, Cloned: i.Cloned})
	}
	return out, nil
}

// resetFactors takes all of a person's factors away, and what they opened.
func (c *adminCall) resetFactors() (any, error) {
	p, err := c.person(c.r.PathValue("email"))
	if err != nil {
		return nil, err
	}
	err = errors.Join(c.app.doors.Load().factors.Reset(c.r.Context(), p.ID), c.app.endAccess(c.r.Context(), p.ID, spared{}))
	return map[string]bool{"ok": true}, c.did("factors", p.Email, "took all second factors and trusted devices away", err)
}

// deviceOutput is what the admin API tells of a trusted device.
type deviceOutput struct {
	ID      string    `json:"id"`
	Label   string    `json:"label,omitempty"`
	Agent   string    `json:"agent"`
	IP      string    `json:"ip"`
	Granted time.Time `json:"granted"`
	Used    time.Time `json:"used,omitzero"`
	Expires time.Time `json:"expires"`
}

// devices lists a person's trusted devices.
func (c *adminCall) devices() (any, error) {
	p, err := c.person(c.r.PathValue("email"))
	if err != nil {
		return nil, err
	}
	list, err := c.app.doors.Load().factors.Devices(c.r.Context(), p.ID)
	if err != nil {
		return nil, err
	}
	out := []deviceOutput{}
	for _, d := range list {
		out = append(out, deviceOutput{ID: d.ID, Label: d.Label, Agent: d.Agent, IP: d.IP, Granted: d.Granted, Used: d.Used, Expires: d.Expires})
	}
	return out, nil
}

// revokeDevice ends the trust in one device of a person.
func (c *adminCall) revokeDevice() (any, error) {
	p, err := c.person(c.r.PathValue("email"))
	if err != nil {
		return nil, err
	}
	err = c.app.doors.Load().factors.RevokeDevice(c.r.Context(), p.ID, c.r.PathValue("id"))
	switch {
	case errors.Is(err, factor.ErrGone):
		return nil, fmt.Errorf("revoking a device: %w", records.ErrNotFound)
	case err != nil:
		return nil, err
	}
	return map[string]bool{"ok": true}, c.act("device", p.Email, "revoked a trusted device")
}

// revokeDevices ends the trust in all devices of a person.
func (c *adminCall) revokeDevices() (any, error) {
	p, err := c.person(c.r.PathValue("email"))
	if err != nil {
		return nil, err
	}
	n, err := c.app.doors.Load().factors.EndDevices(c.r.Context(), p.ID)
	return map[string]int{"revoked": n}, c.did("device", p.Email, fmt.Sprintf("revoked %d trusted devices", n), err)
}

// setPhone sets the number a person's text messages go to.
func (c *adminCall) setPhone() (any, error) {
	var in struct {
		Number string `json:"number"`
	}
	if err := c.body(&in); err != nil {
		return nil, err
	}
	p, err := c.person(c.r.PathValue("email"))
	if err != nil {
		return nil, err
	}
	if err := c.app.doors.Load().factors.SetPhone(c.r.Context(), p.ID, in.Number); err != nil {
		if errors.Is(err, records.ErrUnavailable) {
			return nil, err
		}
		return nil, badInput{err}
	}
	return map[string]bool{"ok": true}, c.act("phone", p.Email, "set the number for text messages")
}

// importHash stores a password hash made elsewhere.
func (c *adminCall) importHash() (any, error) {
	var in struct {
		Hash       string `json:"hash"`
		MustChange bool   `json:"must_change"`
	}
	if err := c.body(&in); err != nil {
		return nil, err
	}
	p, err := c.person(c.r.PathValue("email"))
	if err != nil {
		return nil, err
	}
	err = c.app.doors.Load().keeper.Import(c.r.Context(), p.ID, in.Hash, in.MustChange)
	if errors.Is(err, password.ErrStored) {
		err = badInput{err}
	}
	if refused(err) {
		return nil, err
	}
	return map[string]bool{"ok": true}, c.did("person", p.Email, "imported a password hash", err)
}
