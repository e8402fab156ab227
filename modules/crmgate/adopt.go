// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package crmgate

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/crmgate/crmgate/modules/internal/attempts"
	"github.com/crmgate/crmgate/modules/internal/session"
	"github.com/crmgate/crmgate/policy"
	"github.com/crmgate/crmgate/policy/resource"
)

// adopt lets the CRM's own sessions live under the gate's. The sign-in operation
// passes, and the session in its answer is bound to the gateway session that
// asked; every other request that carries a CRM session must carry one bound to
// the same person. A CRM session nobody bound is not known, and refused.
//
// Whoever gets here has signed in to the gate, second factor included. Failed
// sign-ins to the CRM are counted by its person and address before the CRM is
// asked, so that nobody guesses at the CRM's passwords from a session of the gate.
func (a *App) adopt(ctx context.Context, d *Decision, req *resource.Request) error {
	if d.Session == nil {
		return because(policy.CRMSession, errors.New("the CRM's own sessions need a gateway session"))
	}
	if op := d.Operation(); op != nil && op.Kind == resource.SignIn {
		return a.adoptSignIn(ctx, d, op.Route)
	}
	id, err := a.resources.CarriedSession(req)
	switch {
	case errors.Is(err, resource.ErrNoSession):
		return nil
	case err != nil:
		return because(policy.CRMSession, fmt.Errorf("reading the CRM session: %w", err))
	}
	err = a.runtime.Load().sessions.CheckCRM(ctx, d.Session, id)
	switch {
	case errors.Is(err, session.ErrUnavailable):
		return because(policy.StoreUnavailable, err)
	case err != nil:
		return because(policy.CRMSession, err)
	}
	return a.adoptEnd(ctx, d, req, id)
}

// adoptSignIn lets the CRM's sign-in pass as one counted attempt.
func (a *App) adoptSignIn(ctx context.Context, d *Decision, route *resource.Route) error {
	rt := a.runtime.Load()
	try, err := rt.crmTries.Before(ctx, d.Principal.Email, d.Client)
	var wait *attempts.WaitError
	switch {
	case errors.As(err, &wait):
		d.RetryAfter = time.Until(wait.Until)
		return because(policy.Throttled, errors.New("too many failed sign-ins to the CRM"))
	case err != nil:
		return because(policy.StoreUnavailable, fmt.Errorf("counting a sign-in to the CRM: %w", err))
	}
	d.Around = func(req *http.Request, send Send) (*http.Response, error) {
		res, err := send(req)
		switch {
		case err != nil || res.StatusCode >= http.StatusInternalServerError:
			_ = try.Release(ctx) // neither right nor wrong
		case res.StatusCode >= http.StatusBadRequest:
			_ = try.Failure(ctx)
		}
		return res, err
	}
	d.Learn = func(ctx context.Context, body []byte) error {
		id, err := a.resources.GrantedSession(route, body)
		switch {
		case errors.Is(err, resource.ErrNoSession):
			if err := try.Failure(ctx); err != nil {
				return fmt.Errorf("counting a sign-in to the CRM: %w", err)
			}
			return nil // the CRM refused the sign-in
		case err != nil:
			_ = try.Release(ctx)
			return fmt.Errorf("reading the CRM session: %w", err)
		}
		if _, err := rt.sessions.BindCRM(ctx, d.Session, id); err != nil {
			_ = try.Release(ctx)
			return fmt.Errorf("binding the CRM session: %w", err)
		}
		if err := try.Success(ctx); err != nil {
			return fmt.Errorf("counting a sign-in to the CRM: %w", err)
		}
		return nil
	}
	return nil
}
