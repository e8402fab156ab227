// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package crmgate

import (
	"context"
	"errors"
	"strings"

	"github.com/crmgate/crmgate/modules/internal/factor"
	"github.com/crmgate/crmgate/modules/portal"
	"github.com/crmgate/crmgate/policy"
)

// Devices lists the trusted devices.
func (b *backend) Devices(ctx context.Context, token, device string) ([]portal.DeviceView, error) {
	a, _, err := b.self(ctx, token)
	if err != nil {
		return nil, err
	}
	list, err := a.doors.factors.Devices(ctx, a.person.ID)
	if err != nil {
		return nil, a.stepRefused(err)
	}
	own, _, _ := strings.Cut(device, ".")
	out := make([]portal.DeviceView, len(list))
	for i, d := range list {
		out[i] = portal.DeviceView{
			ID: d.ID, Label: d.Label, UserAgent: d.Agent, IP: d.IP, Since: d.Granted, LastUsed: d.Used, Ends: d.Expires, Current: d.ID == own,
		}
	}
	return out, nil
}

// RenameDevice gives one a label.
func (b *backend) RenameDevice(ctx context.Context, token, id, label string) error {
	return b.device(ctx, token, "renamed a device", func(a *attempt) error {
		return a.doors.factors.RenameDevice(ctx, a.person.ID, id, label)
	})
}

// RevokeDevice ends the trust in one.
func (b *backend) RevokeDevice(ctx context.Context, token, id string) error {
	return b.device(ctx, token, "revoked a device", func(a *attempt) error {
		return a.doors.factors.RevokeDevice(ctx, a.person.ID, id)
	})
}

func (b *backend) device(ctx context.Context, token, what string, do func(*attempt) error) error {
	a, _, err := b.self(ctx, token)
	if err != nil {
		return err
	}
	err = do(a)
	switch {
	case errors.Is(err, factor.ErrGone):
		return refuse(policy.RowDenied)
	case err != nil:
		return a.stepRefused(err)
	}
	return a.noted(ctx, "device", what, nil)
}
