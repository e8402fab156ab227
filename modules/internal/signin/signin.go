// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// Package signin says what a provider of identity is: a guest that checks the
// proof a person gives. Everything around the proof (network rules, throttles,
// locks, status, second factor, the session itself) is the gate's and is the
// same for every provider.
package signin

import (
	"context"
	"errors"

	"github.com/crmgate/crmgate/modules/internal/clock"
	"github.com/crmgate/crmgate/modules/internal/directory"
	"github.com/crmgate/crmgate/modules/internal/password"
	"github.com/crmgate/crmgate/modules/internal/records"
)

// ErrWrong is returned when the proof does not hold: a wrong password and an
// unknown account alike, so that nobody learns which accounts exist.
var ErrWrong = errors.New("signin: wrong credentials")

// ErrBusy is returned when the proof could not be checked in time; it says
// nothing about the proof.
var ErrBusy = errors.New("signin: too many sign-ins at once")

// Env is what a provider may use. It is given once, after the stores are open.
type Env struct {
	Records   records.Store
	Directory *directory.Directory
	Passwords *password.Hasher
	Clock     clock.Clock
}

// PasswordProvider checks an e-mail address and a password.
type PasswordProvider interface {
	// Name is the provider's name in audit and metrics.
	Name() string
	// Password checks the proof and returns the person, whatever his status: the
	// gate judges that. Errors are ErrWrong, ErrBusy, or say that the check could
	// not be made.
	Password(ctx context.Context, env Env, email, password string) (records.Person, error)
}
