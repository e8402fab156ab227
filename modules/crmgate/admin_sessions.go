// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package crmgate

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/crmgate/crmgate/modules/internal/records"
	"github.com/crmgate/crmgate/modules/internal/session"
)

// sessionOutput is what the admin API tells of a session; the token is nowhere.
type sessionOutput struct {
	ID        string    `json:"id"`
	Email     string    `json:"email"`
	Role      string    `json:"role"`
	Kind      string    `json:"kind"`
	Created   time.Time `json:"created"`
	LastSeen  time.Time `json:"last_seen"`
	IP        string    `json:"ip,omitempty"`
	UserAgent string    `json:"user_agent,omitempty"`
}

func outSession(s *session.Session) sessionOutput {
	return sessionOutput{
		ID: s.ID, Email: s.Email, Role: s.Role, Kind: s.Kind, Created: s.Created,
		LastSeen: s.LastSeen, IP: s.IP, UserAgent: s.UserAgent,
	}
}

// maxListed bounds a list of sessions.
const maxListed = 10000

// sessions lists live sessions, of one person or of all.
func (c *adminCall) sessions() (any, error) {
	var list []*session.Session
	if email := c.r.URL.Query().Get("email"); email != "" {
		p, err := c.person(email)
		if err != nil {
			return nil, err
		}
		list = c.rt.sessions.List(p.ID)
	} else {
		list = c.rt.sessions.All(maxListed)
	}
	out := []sessionOutput{}
	for _, s := range list {
		out = append(out, outSession(s))
	}
	return out, nil
}

// endSession ends one session.
func (c *adminCall) endSession() (any, error) {
	id, email := c.r.PathValue("id"), ""
	if err := c.known("session", id); err != nil {
		return nil, err
	}
	if s, err := c.rt.sessions.ByID(id); err == nil {
		email = s.Email
	}
	err := c.rt.sessions.End(c.r.Context(), id, session.ReasonEnded)
	if err != nil {
		err = fmt.Errorf("ending the session: %w", err)
	}
	return map[string]bool{"ok": true}, c.did("session", email, "ended session "+ShortID(id), err)
}

// endPerson ends all sessions of a person.
func (c *adminCall) endPerson() (any, error) {
	var in struct {
		Email string `json:"email"`
	}
	if err := c.body(&in); err != nil {
		return nil, err
	}
	p, err := c.person(in.Email)
	if err != nil {
		return nil, err
	}
	if err = c.rt.sessions.EndPerson(c.r.Context(), p.ID, ""); err != nil {
		err = fmt.Errorf("ending the sessions: %w", err)
	}
	return map[string]bool{"ok": true}, c.did("session", p.Email, "ended all sessions", err)
}

// lockInput is what the admin API takes of a lock.
type lockInput struct {
	Target  string   `json:"target"`            // everyone, role, group, user, session, ip
	Value   string   `json:"value,omitempty"`   //
	Message string   `json:"message,omitempty"` // for the people locked out
	For     string   `json:"for,omitempty"`     // a duration; "" until lifted; "0" ends sessions and locks nobody out
	Exempt  []string `json:"exempt,omitempty"`  // e-mail addresses
}

// locks lists the locks in force.
func (c *adminCall) locks() (any, error) {
	out := c.rt.sessions.Locks()
	if out == nil {
		out = []session.Lock{}
	}
	return out, nil
}

// lock sets a lock. A lock always ends the sessions it matches: who is locked out
// must prove himself again.
func (c *adminCall) lock() (any, error) {
	var in lockInput
	if err := c.body(&in); err != nil {
		return nil, err
	}
	l := session.Lock{
		Target: session.Target{Kind: session.TargetKind(in.Target), Value: in.Value}, Message: in.Message,
		By: "admin api", Ends: true, Exempt: in.Exempt, At: c.app.clock().Now(),
	}
	if in.For != "" {
		d, err := time.ParseDuration(in.For)
		if err != nil && in.For != "0" || d < 0 {
			return nil, badInput{fmt.Errorf("reading the request: %q is not a duration such as 2h or 30m", in.For)}
		}
		l.Until = l.At.Add(d)
	}
	if err := c.checkTarget(&l); err != nil {
		return nil, err
	}
	email := ""
	if l.Target.Kind == session.ByUser {
		p, err := c.person(in.Value)
		if err != nil {
			return nil, err
		}
		email = p.Email
	}
	stored, err := c.rt.sessions.Lock(c.r.Context(), l)
	if err != nil {
		err = fmt.Errorf("setting the lock: %w", err)
	}
	switch {
	case stored.ID == "" && !errors.Is(err, session.ErrUnavailable):
		return nil, badInput{err}
	case stored.ID == "":
		return nil, err
	}
	// The lock holds, also where some sessions could not be ended in the store yet.
	if ended := c.endTrust(&stored); ended != nil {
		err = errors.Join(err, fmt.Errorf("ending what waits and what is trusted: %w", ended))
	}
	return stored, c.did("lock", email, "locked "+stored.Target.String(), err)
}

// checkTarget refuses a lock that would match nobody, or spare nobody, because a
// name is misspelt: who sets it believes that people are locked out, or are not.
func (c *adminCall) checkTarget(l *session.Lock) error {
	snap := c.app.Snapshot()
	switch l.Target.Kind {
	case session.ByUser:
		if _, err := c.person(l.Target.Value); err != nil {
			return err
		}
	case session.ByRole:
		if _, ok := snap.Policy.Role(l.Target.Value); !ok && l.Target.Value != "" {
			return badInput{fmt.Errorf("setting the lock: the policy has no role %q", l.Target.Value)}
		}
	case session.ByGroup:
		if _, ok := snap.Policy.Groups()[l.Target.Value]; !ok && l.Target.Value != "" {
			return badInput{fmt.Errorf("setting the lock: the policy has no group %q", l.Target.Value)}
		}
	case session.ByDevice, session.ByKey:
		// Nothing that is signed in, and no program, is known by either.
		return badInput{fmt.Errorf("setting the lock: a lock on a %s would keep nobody out; lock the user, whose programs it holds too, or end the trust in a device", l.Target.Kind)}
	}
	for _, email := range l.Exempt {
		if _, err := c.person(email); err != nil {
			return err
		}
	}
	return nil
}

// endTrust ends the waiting sign-ins and the trusted devices of those a lock
// matches; for many people, in the background.
func (c *adminCall) endTrust(l *session.Lock) error {
	switch l.Target.Kind {
	case session.ByUser:
		return c.app.lockedOut(c.r.Context(), l)
	case session.Everyone, session.ByRole, session.ByGroup:
		go func() {
			if err := c.app.lockedOut(context.Background(), l); err != nil {
				c.app.logger.Error("ending the trusted devices of those who are locked out failed", zap.Error(err))
			}
		}()
	}
	return nil
}

// unlock lifts a lock.
func (c *adminCall) unlock() (any, error) {
	id := c.r.PathValue("id")
	if err := c.known("lock", id); err != nil {
		return nil, err
	}
	err := c.rt.sessions.Unlock(c.r.Context(), id)
	if err != nil {
		err = fmt.Errorf("lifting the lock: %w", err)
	}
	return map[string]bool{"ok": true}, c.did("lock", "", "lifted lock "+id, err)
}

// known refuses the id of a session or a lock that is not there: whoever mistyped
// it would believe that something has ended.
func (c *adminCall) known(what, id string) error {
	known, err := c.rt.sessions.Known(c.r.Context(), id)
	if err != nil {
		return fmt.Errorf("finding the %s %q: %w", what, id, err)
	}
	if !known {
		return fmt.Errorf("finding the %s %q: %w", what, id, records.ErrNotFound)
	}
	return nil
}

// ShortID is how much of a session's id is shown: enough to tell two apart.
func ShortID(id string) string { return id[:min(len(id), 12)] }
