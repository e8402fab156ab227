// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package factor

import (
	"errors"
	"fmt"
	"time"
)

// ErrGone is returned when there is no such pending sign-in, enrolment or flow: it
// was never there, it expired, it was taken, it belongs to another browser or
// session, or the person is no longer active. Which of these it was is nobody's
// business.
var ErrGone = errors.New("factor: this sign-in is over; start again")

// ErrTries is returned when a pending sign-in has no tries left.
var ErrTries = errors.New("factor: too many wrong tries; start again")

// ErrNotDue is returned when something is proved or done that is not the next
// thing due.
var ErrNotDue = errors.New("factor: this is not what is due")

// ErrDue is returned by Finish while something is still due.
var ErrDue = errors.New("factor: something is still due")

// ErrKind is returned for a kind of factor that is unknown, not allowed here, not
// offered by this gateway or not set up by this person.
var ErrKind = errors.New("factor: this kind of factor cannot be used")

// ErrWrong is returned when a proof does not hold; errors.As finds the *WrongError.
var ErrWrong = errors.New("factor: wrong")

// ErrFull is returned when a person has as many factors of a kind as are possible.
var ErrFull = errors.New("factor: there are as many as are possible; remove one first")

// ErrTaken is returned when a factor is there already, also when a passkey is
// somebody else's.
var ErrTaken = errors.New("factor: this is set up already")

// ErrSend wraps a failure to send a code.
var ErrSend = errors.New("factor: the code could not be sent")

// ErrUnreadable wraps a stored factor that does not open or is not what it should
// be. Nobody signs in with or without it until an admin resets the factors.
var ErrUnreadable = errors.New("factor: a stored factor cannot be read")

// WrongError is a proof that does not hold.
type WrongError struct {
	Kind   string
	Detail string // for audit and log, holds no secret: "the code has expired"
	Cloned bool   // a passkey's counter went back: tell the person
}

// Error says what is wrong.
func (e *WrongError) Error() string { return "factor: wrong " + e.Kind + ": " + e.Detail }

// Is makes it an ErrWrong.
func (e *WrongError) Is(target error) bool { return target == ErrWrong }

func wrong(kind, detail string) error { return &WrongError{Kind: kind, Detail: detail} }

// WaitError refuses to send a code or to begin something for now.
type WaitError struct{ Until time.Time }

// Error says when to try again.
func (e *WaitError) Error() string {
	return fmt.Sprintf("factor: too often; try again at %s", e.Until.UTC().Format(time.RFC3339))
}
