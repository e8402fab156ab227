// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package factor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/crmgate/crmgate/modules/internal/records"
	"github.com/crmgate/crmgate/modules/internal/state"
)

// Enrolment is what a page shows while a factor is being set up.
type Enrolment struct {
	Kind     string
	Secret   string          // TOTP: to be typed into the app, in groups of four
	URI      string          // TOTP: otpauth://
	QR       string          // TOTP: the URI as an inline SVG
	Creation json.RawMessage // Passkey: publicKey of navigator.credentials.create
	SentTo   string          // Mail, SMS: where the code went, as a hint
	ResendAt time.Time       // Mail, SMS
}

// Enrolled is what comes of setting up a factor.
type Enrolled struct {
	ID       string   // as in Info
	Recovery []string // recovery codes, when these were the first; shown once
}

// enrolment is the stored form. One for each session or pending sign-in; a new one
// takes its place.
type enrolment struct {
	PersonID  string     `json:"person"`
	Kind      string     `json:"kind"`
	Secret    string     `json:"secret,omitempty"`  // TOTP
	Number    string     `json:"number,omitempty"`  // SMS
	Address   string     `json:"address,omitempty"` // Mail
	Code      *code      `json:"code,omitempty"`
	Challenge *challenge `json:"challenge,omitempty"`
	Tries     int        `json:"tries,omitempty"`
	Expires   time.Time  `json:"expires"`
}

// At says in which session or pending sign-in a factor is set up. Nobody else can
// finish what was begun there.
type At struct {
	Person  records.Person
	Session string // the session's id, or
	pending string
	From    Holder // address and browser, for throttling and for the mail's text
}

func (a At) bound() (string, error) {
	switch {
	case a.Person.ID == "" || (a.Session == "") == (a.pending == ""):
		return "", errors.New("setting up a factor: person or session is missing")
	case a.pending != "":
		return "pending " + a.pending, nil
	}
	return "session " + a.Session, nil
}

func (m *Manager) enrolKey(bound string) string { return "enrol/" + agentHash(bound) }

// BeginEnrol begins to set up a factor within a session. That the proof of identity
// is fresh enough, and that the kind is allowed, is the caller's. Errors: ErrKind,
// ErrTaken, ErrFull, *WaitError, ErrSend.
func (m *Manager) BeginEnrol(ctx context.Context, at At, kind string) (*Enrolment, error) {
	bound, err := at.bound()
	if err != nil {
		return nil, err
	}
	f, err := m.Factors(ctx, at.Person.ID)
	if err != nil {
		return nil, err
	}
	if kind == Recovery || !m.offers(kind) || kind == SMS && f.phone == "" {
		return nil, ErrKind
	}
	if kind != Passkey && f.Has(kind) {
		return nil, ErrTaken
	}
	e := &enrolment{PersonID: at.Person.ID, Kind: kind, Expires: m.now().Add(PendingLifetime)}
	shown := &Enrolment{Kind: kind}
	digits := ""
	switch kind {
	case TOTP:
		if err := m.showTOTP(at.Person, e, shown); err != nil {
			return nil, err
		}
	case Passkey:
		if shown.Creation, e.Challenge, err = m.beginCreation(ctx, at.Person); err != nil {
			return nil, err
		}
	case Mail, SMS:
		if err := m.maySend(ctx, at.Person.ID, kind); err != nil {
			return nil, err
		}
		if digits, e.Code, err = m.newCode(kind, "enrol "+bound); err != nil {
			return nil, err
		}
		shown.SentTo, shown.ResendAt = hint(f, at.Person, kind), e.Code.Sent.Add(m.settings().ResendGap)
		e.Address, e.Number = at.Person.Email, f.phone
	}
	sealed, err := m.seal("factor/enrol", bound, e)
	if err != nil {
		return nil, err
	}
	if err := m.o.State.Put(ctx, m.enrolKey(bound), sealed, PendingLifetime); err != nil {
		return nil, fmt.Errorf("keeping an enrolment: %w", err)
	}
	if digits == "" {
		return shown, nil
	}
	to := e.Address
	if kind == SMS {
		to = e.Number
	}
	return shown, m.send(ctx, kind, m.message(to, digits, Enrol, at.From))
}

func (m *Manager) showTOTP(p records.Person, e *enrolment, shown *Enrolment) (err error) {
	if e.Secret, shown.URI, err = m.newTOTP(p.Email); err != nil {
		return err
	}
	if shown.QR, err = qrSVG(shown.URI); err != nil {
		return err
	}
	var groups []string
	for part := range slices.Chunk([]byte(e.Secret), 4) {
		groups = append(groups, string(part))
	}
	shown.Secret = strings.Join(groups, " ")
	return nil
}

// FinishEnrol proves the new factor for the first time; from then on it counts. The
// first factor brings recovery codes. Errors: ErrGone, ErrWrong, ErrTries,
// *WaitError, ErrTaken.
func (m *Manager) FinishEnrol(ctx context.Context, at At, proof Proof, label string) (*Enrolled, error) {
	bound, err := at.bound()
	if err != nil {
		return nil, err
	}
	var done *Enrolled
	// A new factor proves nothing about the others: failures to guess those stay.
	err = m.throttled(ctx, at.Person, at.From.IP, false, func() error {
		e, ch, err := m.takeTry(ctx, bound, at.Person.ID, proof.Kind)
		if err != nil {
			return err
		}
		id, err := m.firstProof(ctx, at.Person, e, ch, bound, proof, label)
		if err != nil {
			return err
		}
		done = &Enrolled{ID: id}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if done.Recovery, err = m.writeRecovery(ctx, at.Person.ID, false); err != nil {
		return nil, err
	}
	return done, nil
}

// takeTry takes a try of the enrolment, and a challenge with it.
func (m *Manager) takeTry(ctx context.Context, bound, personID, kind string) (*enrolment, *challenge, error) {
	for range rounds {
		entry, err := m.o.State.Get(ctx, m.enrolKey(bound))
		if errors.Is(err, state.ErrNotFound) {
			return nil, nil, ErrGone
		}
		if err != nil {
			return nil, nil, fmt.Errorf("reading an enrolment: %w", err)
		}
		e := new(enrolment)
		if m.open("factor/enrol", bound, entry.Value, e) != nil || e.PersonID != personID || e.Kind != kind || !m.now().Before(e.Expires) {
			return nil, nil, ErrGone
		}
		if e.Tries >= PendingTries {
			return nil, nil, ErrTries
		}
		e.Tries++
		ch := e.Challenge
		e.Challenge = nil
		if e.Code != nil {
			e.Code.Tries++
		}
		sealed, err := m.seal("factor/enrol", bound, e)
		if err != nil {
			return nil, nil, err
		}
		done, err := m.o.State.Replace(ctx, m.enrolKey(bound), entry.Value, sealed, e.Expires.Sub(m.now()))
		if err != nil && !errors.Is(err, state.ErrNotFound) {
			return nil, nil, fmt.Errorf("writing an enrolment: %w", err)
		}
		if err == nil && done {
			return e, ch, nil
		}
	}
	return nil, nil, fmt.Errorf("writing an enrolment: %w", state.ErrUnavailable)
}

// firstProof checks the proof of a new factor, takes the enrolment and stores the
// factor. The enrolment is taken before anything is stored: of two right proofs at
// once one sets the factor up.
func (m *Manager) firstProof(ctx context.Context, p records.Person, e *enrolment, ch *challenge, bound string, proof Proof, label string) (string, error) {
	take := func() error {
		_, err := m.o.State.Take(ctx, m.enrolKey(bound))
		if errors.Is(err, state.ErrNotFound) {
			return ErrGone
		}
		return err
	}
	if e.Kind == Passkey {
		id, err := m.create(ctx, p, ch, proof.Response, label)
		if err != nil {
			return "", err
		}
		return id, m.o.State.Delete(ctx, m.enrolKey(bound))
	}
	head, err := m.newCommon(label)
	if err != nil {
		return "", err
	}
	head.Used = head.Added
	var row stored
	var step int64
	switch e.Kind {
	case TOTP:
		if step, err = m.matchTOTP(proof.Code, e.Secret, 0); err != nil {
			return "", err
		}
		row = &totpRow{common: head, Secret: e.Secret, Step: step}
	case Mail, SMS:
		if err := m.check(e.Code, e.Kind, "enrol "+bound, proof.Code); err != nil {
			return "", err
		}
		row = &plainRow{head}
		if e.Kind == SMS {
			row = &phoneRow{head, e.Number}
		}
		if e.Kind == Mail && e.Address != p.Email {
			return "", wrong(Mail, "the address has changed meanwhile")
		}
	default:
		return "", ErrKind
	}
	if err := take(); err != nil {
		return "", err
	}
	return e.Kind, m.storeNew(ctx, p.ID, e.Kind, row)
}

// storeNew writes a factor that is not there yet. An SMS factor for a number of the
// past gives way.
func (m *Manager) storeNew(ctx context.Context, personID, kind string, row stored) error {
	err := m.swapRow(ctx, personID, kind, row, nil)
	if !errors.Is(err, records.ErrConflict) {
		return err
	}
	f, ferr := m.Factors(ctx, personID)
	if ferr != nil {
		return ferr
	}
	if kind != SMS || f.Has(SMS) {
		return ErrTaken
	}
	old, err := m.o.Records.Credential(ctx, personID, SMS)
	if err != nil {
		return err
	}
	err = m.swapRow(ctx, personID, SMS, row, old.Secret)
	if errors.Is(err, records.ErrConflict) {
		return ErrTaken
	}
	return err
}

// BeginEnrolPending is BeginEnrol for a pending sign-in in which DueEnrol is next.
// Only the kinds it allows can be set up, and only as the person's first factor: with
// one, the sign-in has to begin anew and prove it.
func (m *Manager) BeginEnrolPending(ctx context.Context, h Holder, kind string) (*Enrolment, error) {
	at, err := m.enrolAt(ctx, h, kind)
	if err != nil {
		return nil, err
	}
	return m.BeginEnrol(ctx, at, kind)
}

// FinishEnrolPending is FinishEnrol for a pending sign-in. DueEnrol is settled; the
// factor counts as one that was proved, but not for trusting a device: whoever sets
// up a factor has shown none before.
func (m *Manager) FinishEnrolPending(ctx context.Context, h Holder, proof Proof, label string) (*Enrolled, Pending, error) {
	at, err := m.enrolAt(ctx, h, proof.Kind)
	if err != nil {
		return nil, Pending{}, err
	}
	done, err := m.FinishEnrol(ctx, at, proof, label)
	if err != nil {
		return nil, Pending{}, err
	}
	p, err := m.settle(ctx, h, DueEnrol, func(r *pending) { r.add(methods[proof.Kind]) })
	return done, p, err
}

func (m *Manager) enrolAt(ctx context.Context, h Holder, kind string) (At, error) {
	r, _, person, err := m.load(ctx, h)
	if err != nil {
		return At{}, err
	}
	if r.Next() != DueEnrol {
		return At{}, ErrNotDue
	}
	if !slices.Contains(r.Kinds, kind) {
		return At{}, ErrKind
	}
	f, err := m.Factors(ctx, person.ID)
	if err != nil {
		return At{}, err
	}
	if len(f.List) > 0 { // set up elsewhere since: from now on it is to be proved
		return At{}, ErrGone
	}
	return At{Person: person, pending: r.ID, From: h}, nil
}
