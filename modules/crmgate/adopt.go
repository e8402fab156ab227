// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package crmgate

import (
	"context"
	"errors"
	"fmt"

	"github.com/crmgate/crmgate/modules/internal/session"
	"github.com/crmgate/crmgate/policy"
	"github.com/crmgate/crmgate/policy/resource"
)

// adopt lets the CRM's own sessions live under the gate's. The sign-in operation
// passes, and the session in its answer is bound to the gateway session that
// asked; every other request that carries a CRM session must carry one bound to
// the same person. A CRM session nobody bound is not known, and refused.
func (a *App) adopt(ctx context.Context, d *Decision, req *resource.Request) error {
	if d.Session == nil {
		return because(policy.CRMSession, errors.New("the CRM's own sessions need a gateway session"))
	}
	sessions := a.runtime.Load().sessions
	if op := d.Operation(); op != nil && op.Kind == resource.SignIn {
		route := op.Route
		d.Learn = func(ctx context.Context, body []byte) error {
			id, err := a.resources.GrantedSession(route, body)
			switch {
			case errors.Is(err, resource.ErrNoSession):
				return nil // the CRM refused the sign-in
			case err != nil:
				return fmt.Errorf("reading the CRM session: %w", err)
			}
			if _, err := sessions.BindCRM(ctx, d.Session, id); err != nil {
				return fmt.Errorf("binding the CRM session: %w", err)
			}
			return nil
		}
		return nil
	}
	id, err := a.resources.CarriedSession(req)
	switch {
	case errors.Is(err, resource.ErrNoSession):
		return nil
	case err != nil:
		return because(policy.CRMSession, fmt.Errorf("reading the CRM session: %w", err))
	}
	err = sessions.CheckCRM(ctx, d.Session, id)
	switch {
	case errors.Is(err, session.ErrUnavailable):
		return because(policy.StoreUnavailable, err)
	case err != nil:
		return because(policy.CRMSession, err)
	}
	return nil
}
