// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package session

import (
	"errors"

	"github.com/crmgate/crmgate/modules/internal/state"
)

// Why there is no session. All of them mean: refuse.
var (
	ErrNoSession = errors.New("no such session")                   // never was, was ended, or the token is malformed
	ErrExpired   = errors.New("the session has reached its end")   // absolute limit
	ErrIdle      = errors.New("the session was idle for too long") // idle limit
	ErrLocked    = errors.New("locked out")                        // matched by every LockedError
)

// ErrUnavailable means that nobody can say whether the session is good: refuse
// for now. It is state.ErrUnavailable.
var ErrUnavailable = state.ErrUnavailable

// Why a CRM session does not go with a gateway session.
var (
	ErrCRMForeign = errors.New("the CRM session belongs to another person")
	ErrCRMUnbound = errors.New("the CRM session is not bound to any session")
)

// LockedError says that a lock refuses. It matches ErrLocked.
type LockedError struct{ Lock Lock }

// Error names the lock, not its message: that one is for the person locked out.
func (e *LockedError) Error() string {
	return "locked out by lock " + e.Lock.ID + " on " + e.Lock.Target.String()
}

// Is makes every LockedError an ErrLocked.
func (e *LockedError) Is(target error) bool { return target == ErrLocked }

// Reasons a session or connection ends with. They are told to the functions
// given to Attach.
const (
	ReasonSignedOut   = "signed_out"
	ReasonRotated     = "rotated"     // the session has a new id
	ReasonReplaced    = "replaced"    // too many sessions of this person
	ReasonEnded       = "ended"       // on another gateway, or all of a person's
	ReasonExpired     = "expired"     // absolute limit
	ReasonIdle        = "idle"        // idle limit
	ReasonLocked      = "locked"      // a lock matched
	ReasonUnavailable = "unavailable" // nobody can say whether the session still stands
)
