// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package crmgate

import (
	"context"
	"errors"
	"fmt"

	"go.uber.org/zap"

	"github.com/crmgate/crmgate/modules/internal/keptpost"
	"github.com/crmgate/crmgate/modules/internal/records"
	"github.com/crmgate/crmgate/modules/internal/session"
)

// afterEnd runs once sessions have ended: their grants are dropped, and the CRM's
// own sessions under them end too.
func (a *App) afterEnd(ctx context.Context, rt *runtime, gone []*session.Session) {
	people := map[string]bool{}
	for _, s := range gone {
		if err := rt.state.Put(ctx, endedAt+s.ID, []byte(s.PersonID), keptpost.Lifetime); err != nil {
			a.logger.Warn("remembering whose a session was failed", zap.Error(err))
		}
		if a.grants != nil {
			if err := a.grants.Drop(ctx, s.ID); err != nil {
				a.logger.Warn("dropping the grant of a session that ended failed", zap.Error(err))
			}
		}
		people[s.PersonID] = true
		if err := a.leaveCRM(ctx, rt, s); err != nil {
			a.logger.Warn("ending the CRM's session failed", zap.Error(err))
		}
	}
	if a.logins == nil {
		return
	}
	for person := range people {
		if len(rt.sessions.List(person)) > 0 {
			continue // somewhere else he goes on working
		}
		if err := a.logins.leave(ctx, person); err != nil {
			a.logger.Warn("signing somebody out of the CRM failed", zap.Error(err))
		}
	}
}

// spared is what a change of one's own password leaves alone: the session or the
// sign-in it is made in.
type spared struct {
	session string
	step    bool
}

type sparedKey struct{}

func sparing(ctx context.Context, s spared) context.Context {
	return context.WithValue(ctx, sparedKey{}, s)
}

// passwordChanged ends everything that an old password had opened.
func (a *App) passwordChanged(ctx context.Context, personID string) error {
	s, _ := ctx.Value(sparedKey{}).(spared)
	return a.endAccess(ctx, personID, s)
}

// endAccess ends a person's sessions, sign-ins that wait for a step, and trusted
// devices: at a change of the password, a reset of the factors, a deactivation.
func (a *App) endAccess(ctx context.Context, personID string, s spared) error {
	rt, d := a.runtime.Load(), a.doors.Load()
	errs := []error{rt.sessions.EndPerson(ctx, personID, s.session)}
	if !s.step {
		_, err := d.factors.EndPendings(ctx, personID)
		errs = append(errs, err)
	}
	_, err := d.factors.EndDevices(ctx, personID)
	if err := errors.Join(append(errs, err)...); err != nil {
		return fmt.Errorf("ending a person's access: %w", err)
	}
	return nil
}

// groupsOf returns the groups of the policy in force that somebody is in.
func (rt *runtime) groupsOf(email string) []string {
	if a := rt.inForce.Load(); a != nil {
		return a.snapshot.Load().Policy.GroupsOf(email)
	}
	return nil
}

// lockedOut ends the waiting sign-ins and the trusted devices of everybody a lock
// matches; the sessions have ended by the lock itself.
func (a *App) lockedOut(ctx context.Context, l *session.Lock) error {
	rt, d, snap := a.runtime.Load(), a.doors.Load(), a.snapshot.Load()
	var errs []error
	for i, people := 0, rt.directory.People(); i < len(people); i++ {
		p := &people[i]
		if p.Status != records.Active || !l.Matches(session.Facts{PersonID: p.ID, Email: p.Email, Role: p.Role, Groups: snap.Policy.GroupsOf(p.Email)}) {
			continue
		}
		_, err := d.factors.EndPendings(ctx, p.ID)
		_, err2 := d.factors.EndDevices(ctx, p.ID)
		errs = append(errs, err, err2)
	}
	return errors.Join(errs...)
}
