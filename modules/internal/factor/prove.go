// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package factor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/crmgate/crmgate/modules/internal/records"
)

// Proof is what a person gives for a second factor.
type Proof struct {
	Kind     string
	Code     string // TOTP, Mail, SMS, Recovery
	Response []byte // Passkey: the JSON of the browser
}

// methods are what a proof adds to a session (RFC 8176).
var methods = map[string]string{TOTP: "otp", Mail: "otp", Recovery: "otp", SMS: "sms", Passkey: "hwk"}

// Method is one way to prove the second factor.
type Method struct {
	Kind string
	Hint string // a***@example.com, ***42, or ""
}

// View is what the page of a pending sign-in shows.
type View struct {
	Pending
	Email     string    // of the person
	Methods   []Method  // second_factor: what can be proved; enrol: what can be set up
	Sent      string    // the kind of the code that was sent last, or ""
	SentAt    time.Time // when
	ResendAt  time.Time // when the next one can be sent
	TriesLeft int
}

// View shows a pending sign-in.
func (m *Manager) View(ctx context.Context, h Holder) (View, error) {
	r, _, person, err := m.load(ctx, h)
	if err != nil {
		return View{}, err
	}
	v := View{Pending: r.Pending, Email: person.Email, TriesLeft: max(PendingTries-r.Tries, 0)}
	f, err := m.Factors(ctx, person.ID)
	if err != nil {
		return View{}, err
	}
	switch r.Next() {
	case DueSecondFactor:
		v.Methods = m.usable(f, person, r.Kinds)
	case DueEnrol:
		v.Methods = m.enrollable(f, person, r.Kinds)
	}
	if r.Code != nil {
		v.Sent, v.SentAt, v.ResendAt = r.Code.Kind, r.Code.Sent, r.Code.Sent.Add(m.settings().ResendGap)
	}
	return v, nil
}

// secondFactor loads a pending sign-in in which a factor of this kind may be
// proved now.
func (m *Manager) secondFactor(ctx context.Context, h Holder, kind string) (records.Person, *Factors, *pending, error) {
	r, _, person, err := m.load(ctx, h)
	if err != nil {
		return person, nil, nil, err
	}
	if r.Next() != DueSecondFactor {
		return person, nil, nil, ErrNotDue
	}
	if r.Tries >= PendingTries {
		return person, nil, nil, ErrTries
	}
	f, err := m.Factors(ctx, person.ID)
	if err != nil {
		return person, nil, nil, err
	}
	if !slices.ContainsFunc(m.usable(f, person, r.Kinds), func(u Method) bool { return u.Kind == kind }) {
		return person, nil, nil, ErrKind
	}
	return person, f, r, nil
}

// SendCode sends a new code by Mail or SMS; it takes the place of any other. It
// returns when the next one can be sent. Errors: *WaitError, ErrSend, and those of
// Prove.
func (m *Manager) SendCode(ctx context.Context, h Holder, kind string) (time.Time, error) {
	person, f, r, err := m.secondFactor(ctx, h, kind)
	if err != nil {
		return time.Time{}, err
	}
	to := person.Email
	switch kind {
	case Mail:
	case SMS:
		to = f.sms
	default:
		return time.Time{}, ErrKind
	}
	if err := m.maySend(ctx, person.ID, kind); err != nil {
		return time.Time{}, err
	}
	digits, c, err := m.newCode(kind, r.bound())
	if err != nil {
		return time.Time{}, err
	}
	_, err = m.change(ctx, h, func(r *pending) error {
		if r.Next() != DueSecondFactor {
			return ErrNotDue
		}
		r.Code = c
		return nil
	})
	if err != nil {
		return time.Time{}, err
	}
	return c.Sent.Add(m.settings().ResendGap), m.send(ctx, kind, m.message(to, digits, r.Purpose, h))
}

// bound is what a code of this pending sign-in is bound to.
func (r *pending) bound() string { return string(r.Purpose) + " pending " + r.ID }

func (m *Manager) message(to, digits string, purpose Purpose, h Holder) Message {
	return Message{
		To: to, Code: secretOf(digits), Purpose: purpose, At: m.now(), Lifetime: m.settings().CodeLifetime,
		IP: h.IP.Unmap(), Agent: AgentName(h.Agent),
	}
}

// PasskeyRequest returns what navigator.credentials.get wants as publicKey. A new
// request takes the place of the one before.
func (m *Manager) PasskeyRequest(ctx context.Context, h Holder) (json.RawMessage, error) {
	person, _, _, err := m.secondFactor(ctx, h, Passkey)
	if err != nil {
		return nil, err
	}
	request, ch, err := m.beginAssertion(ctx, person)
	if err != nil {
		return nil, err
	}
	_, err = m.change(ctx, h, func(r *pending) error {
		if r.Next() != DueSecondFactor {
			return ErrNotDue
		}
		r.Challenge = ch
		return nil
	})
	if err != nil {
		return nil, err
	}
	return request, nil
}

// Prove proves the second factor. Only a proof that is there and holds moves the
// pending sign-in on; one without a kind, an empty one, or one of a kind that is
// not allowed never does. Errors: ErrGone, ErrNotDue, ErrKind, ErrTries,
// ErrWrong (a *WrongError), *WaitError, ErrUnreadable, and those of the stores.
func (m *Manager) Prove(ctx context.Context, h Holder, proof Proof) (Pending, error) {
	person, _, _, err := m.secondFactor(ctx, h, proof.Kind)
	if err != nil {
		return Pending{}, err
	}
	err = m.throttled(ctx, person, h.IP, true, func() error {
		// The try is taken, and the challenge with it, before anything is verified.
		var ch *challenge
		r, err := m.change(ctx, h, func(r *pending) error {
			switch {
			case r.Next() != DueSecondFactor:
				return ErrNotDue
			case r.Tries >= PendingTries:
				return ErrTries
			}
			r.Tries++
			if proof.Kind == Passkey {
				ch, r.Challenge = r.Challenge, nil
			}
			if r.Code != nil && r.Code.Kind == proof.Kind {
				r.Code.Tries++
			}
			return nil
		})
		if err != nil {
			return err
		}
		return m.verify(ctx, person, r, ch, proof)
	})
	if err != nil {
		return Pending{}, err
	}
	return m.settle(ctx, h, DueSecondFactor, func(r *pending) {
		r.add(methods[proof.Kind])
		r.Factor = proof.Kind
	})
}

// verify checks a proof whose try was taken.
func (m *Manager) verify(ctx context.Context, person records.Person, r *pending, ch *challenge, proof Proof) error {
	switch proof.Kind {
	case TOTP:
		return m.proveTOTP(ctx, person.ID, proof.Code)
	case Recovery:
		return m.proveRecovery(ctx, person.ID, proof.Code)
	case Passkey:
		return m.provePasskey(ctx, person, ch, proof.Response)
	case Mail, SMS:
		return m.check(r.Code, proof.Kind, r.bound(), proof.Code)
	}
	return ErrKind
}

// TriesLeft reads how many tries an error of Prove leaves, for the page.
func (m *Manager) TriesLeft(ctx context.Context, h Holder) (int, error) {
	r, _, _, err := m.load(ctx, h)
	if errors.Is(err, ErrGone) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("reading the tries left: %w", err)
	}
	return max(PendingTries-r.Tries, 0), nil
}
