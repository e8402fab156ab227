// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package factor

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/crmgate/crmgate/modules/internal/records"
)

// Devices lists a person's trusted devices, the newest first. Those that have
// expired or cannot be read are not among them, whether they are swept or not.
func (m *Manager) Devices(ctx context.Context, personID string) ([]Device, error) {
	creds, err := m.o.Records.Credentials(ctx, personID)
	if err != nil {
		return nil, err
	}
	s := m.settings().Device
	facts, factsErr := m.facts(creds)
	var out []Device
	for _, c := range creds {
		id, ok := strings.CutPrefix(c.Kind, devicePrefix)
		r := new(deviceRow)
		if !ok || factsErr != nil || m.openRow(c, r) != nil || !m.now().Before(r.expires(s)) || r.Facts != facts {
			continue
		}
		out = append(out, Device{ID: id, Label: r.Label, Agent: r.Agent, IP: r.IP, Granted: r.Added, Used: r.Used, Expires: r.expires(s)})
	}
	slices.SortStableFunc(out, func(a, b Device) int { return b.Granted.Compare(a.Granted) })
	return out, nil
}

// RenameDevice gives a device a label; ErrGone when there is none.
func (m *Manager) RenameDevice(ctx context.Context, personID, id, label string) error {
	if len(id) != deviceIDLen {
		return ErrGone
	}
	err := changeRow(ctx, m, personID, devicePrefix+id, func(r *deviceRow) error {
		r.Label = Label(label)
		return nil
	})
	if errors.Is(err, records.ErrNotFound) {
		return ErrGone
	}
	return err
}

// RevokeDevice ends the trust in one device; ErrGone when there is none.
func (m *Manager) RevokeDevice(ctx context.Context, personID, id string) error {
	if len(id) != deviceIDLen {
		return ErrGone
	}
	_, err := m.o.Records.Credential(ctx, personID, devicePrefix+id)
	if errors.Is(err, records.ErrNotFound) {
		return ErrGone
	}
	if err != nil {
		return err
	}
	return m.o.Records.DeleteCredential(ctx, personID, devicePrefix+id)
}

// EndDevices ends the trust in all of a person's devices and says how many there
// were: at a lock, a deactivation, a reset. A change of the password or of a factor
// ends them by itself.
func (m *Manager) EndDevices(ctx context.Context, personID string) (int, error) {
	return m.deleteRows(ctx, personID, func(kind string) bool { return kindOf(kind)+"/" == devicePrefix })
}

// deleteRows deletes a person's credentials of the kinds that fit.
func (m *Manager) deleteRows(ctx context.Context, personID string, fits func(kind string) bool) (int, error) {
	creds, err := m.o.Records.Credentials(ctx, personID)
	if err != nil {
		return 0, err
	}
	n := 0
	for _, c := range creds {
		if !fits(c.Kind) {
			continue
		}
		if err := m.o.Records.DeleteCredential(ctx, personID, c.Kind); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}
