// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package factor

import (
	"errors"
	"testing"

	"github.com/crmgate/crmgate/modules/internal/factor/factortest"
)

// once checks that fifty at once made one, and that the others heard an answer
// meant for people.
func (w *world) once(what string, fn func(i int) error) {
	w.Helper()
	won, errs := parallel(fn)
	if won != 1 {
		w.Errorf("%s used by 50 requests at once was accepted %d times: a thief who is quick signs in beside the person", what, won)
	}
	for _, err := range errs {
		var wait *WaitError
		if !errors.Is(err, ErrWrong) && !errors.Is(err, ErrNotDue) && !errors.Is(err, ErrTries) && !errors.Is(err, ErrGone) && !errors.As(err, &wait) {
			w.Errorf("%s: a loser got %v", what, err)
		}
	}
}

func TestOneTOTPStepIsAcceptedOnceAcrossSignInsAndGateways(t *testing.T) {
	w := newWorld(t)
	secret := w.totp(w.ada)
	other := w.gateway()
	var hs []Holder
	for range 25 {
		hs = append(hs, w.begin(w.ada, DueSecondFactor))
	}
	code := w.code(secret)
	w.once("a TOTP step", func(i int) error {
		_, err := []*Manager{w.Manager, other}[i%2].Prove(t.Context(), hs[i/2], Proof{Kind: TOTP, Code: code})
		return err
	})
}

func TestOneRecoveryCodeIsAcceptedOnceAcrossSignIns(t *testing.T) {
	w := newWorld(t)
	w.totp(w.ada)
	codes, err := w.NewRecoveryCodes(t.Context(), "ada")
	w.ok("drawing codes", err)
	var hs []Holder
	for range 25 {
		hs = append(hs, w.begin(w.ada, DueSecondFactor))
	}
	w.once("a recovery code", func(i int) error {
		_, err := w.Prove(t.Context(), hs[i/2], Proof{Kind: Recovery, Code: codes[3]})
		return err
	})
	f, err := w.Factors(t.Context(), "ada")
	w.ok("reading factors", err)
	if f.RecoveryLeft != RecoveryCodes-1 {
		t.Errorf("%d recovery codes are left of %d after one was used", f.RecoveryLeft, RecoveryCodes)
	}
}

func TestOneMailCodeIsAcceptedOnce(t *testing.T) {
	w := newWorld(t)
	w.mailFactor(w.ada)
	h := w.begin(w.ada, DueSecondFactor)
	_, err := w.SendCode(t.Context(), h, Mail)
	w.ok("sending", err)
	w.once("a mailed code", func(int) error {
		_, err := w.Prove(t.Context(), h, Proof{Kind: Mail, Code: w.last()})
		return err
	})
	_, err = w.Finish(t.Context(), h)
	w.ok("finishing after the race", err)
}

func TestOnePasskeyChallengeIsAcceptedOnce(t *testing.T) {
	w := newWorld(t)
	a := w.passkey(w.ada)
	h := w.begin(w.ada, DueSecondFactor)
	request, err := w.PasskeyRequest(t.Context(), h)
	w.ok("asking", err)
	a.Step = 0 // a counter that stands still must not be what stops the second one
	a.Keys[0].Counter = 0
	answer, err := a.Get(request)
	w.ok("answering", err)
	zeroCounter(w, "ada")
	w.once("a passkey's answer", func(int) error {
		_, err := w.Prove(t.Context(), h, Proof{Kind: Passkey, Response: answer})
		return err
	})

	secret, request, err := w.PasskeyBegin(t.Context(), firefox, office)
	w.ok("beginning", err)
	answer, err = a.Get(request)
	w.ok("answering", err)
	w.once("a sign-in by passkey", func(int) error {
		_, err := w.PasskeySignIn(t.Context(), secret, firefox, answer)
		return err
	})
}

// zeroCounter makes a person's passkeys such as have no counter.
func zeroCounter(w *world, personID string) {
	w.Helper()
	rows, err := w.passkeys(w.Context(), personID)
	w.ok("reading passkeys", err)
	for _, r := range rows {
		w.ok("changing", changeRow(w.Context(), w.Manager, personID, passkeyPrefix+passkeyID(r.Key.ID), func(r *passkeyRow) error {
			r.Key.Authenticator.SignCount = 0
			return nil
		}))
	}
}

func TestAPendingSignInIsFinishedOnce(t *testing.T) {
	w := newWorld(t)
	secret := w.totp(w.ada)
	h := w.begin(w.ada, DueSecondFactor)
	_, err := w.Prove(t.Context(), h, Proof{Kind: TOTP, Code: w.code(secret)})
	w.ok("proving", err)
	other := w.gateway()
	w.once("a pending sign-in", func(i int) error {
		_, err := []*Manager{w.Manager, other}[i%2].Finish(t.Context(), h)
		return err
	})
}

func TestOneEnrolmentSetsUpOneFactor(t *testing.T) {
	w := newWorld(t)
	_, err := w.BeginEnrol(t.Context(), w.at(w.ada), Mail)
	w.ok("beginning", err)
	w.once("an enrolment by mail", func(int) error {
		_, err := w.FinishEnrol(t.Context(), w.at(w.ada), Proof{Kind: Mail, Code: w.last()}, "")
		return err
	})
	e, err := w.BeginEnrol(t.Context(), w.at(w.ada), Passkey)
	w.ok("beginning", err)
	a := factortest.New(origin)
	answer, err := a.Create(e.Creation)
	w.ok("creating", err)
	w.once("an enrolment of a passkey", func(int) error {
		_, err := w.FinishEnrol(t.Context(), w.at(w.ada), Proof{Kind: Passkey, Response: answer}, "")
		return err
	})
}

func TestFiftyGuessesAtOnceAreFiveTries(t *testing.T) {
	w := newWorld(t)
	w.mailFactor(w.ada)
	h := w.begin(w.ada, DueSecondFactor)
	_, err := w.SendCode(t.Context(), h, Mail)
	w.ok("sending", err)
	_, errs := parallel(func(int) error {
		_, err := w.Prove(t.Context(), h, Proof{Kind: Mail, Code: otherThan(w.last())})
		return err
	})
	verified := 0
	for _, err := range errs {
		if errors.Is(err, ErrWrong) {
			verified++
		}
	}
	if verified > PendingTries || len(errs) != 50 {
		t.Errorf("of 50 guesses at once %d were verified, the limit is %d: six digits are guessed in a rush", verified, PendingTries)
	}
	_, err = w.Prove(t.Context(), h, Proof{Kind: Mail, Code: w.last()})
	w.is("the right code after too many wrong ones", err, ErrTries)
}

// otherThan is a code that is wrong.
func otherThan(code string) string {
	if code == "000000" {
		return "111111"
	}
	return "000000"
}
