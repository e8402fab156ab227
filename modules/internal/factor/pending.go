// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package factor

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/crmgate/crmgate/modules/internal/attempts"
	"github.com/crmgate/crmgate/modules/internal/records"
	"github.com/crmgate/crmgate/modules/internal/state"
)

// Purpose is what a pending sign-in is for.
type Purpose string

// The purposes.
const (
	SignIn Purpose = "sign_in"
	StepUp Purpose = "step_up" // a fresh proof within a session that exists
	Enrol  Purpose = "enrol"   // only of a Message: a factor is being set up
)

// Due is one thing that must happen before a session is made or renewed.
type Due string

// What may be due, in the order in which it is asked. DuePassword occurs in a
// step-up of somebody without a second factor.
const (
	DuePassword     Due = "password"
	DueSecondFactor Due = "second_factor"
	DueEnrol        Due = "enrol"
	DueChange       Due = "change_password"
)

var dueOrder = []Due{DuePassword, DueSecondFactor, DueEnrol, DueChange}

// Start is what Begin is told. What is due is the caller's decision.
type Start struct {
	PersonID  string
	Purpose   Purpose
	SessionID string   // StepUp: the session it is for, and for no other
	Provider  string   // who proved the first factor
	Methods   []string // proofs given so far, as in RFC 8176
	Due       []Due    // at least one; asked in the order of the constants
	Kinds     []string // factors that may be used or set up; those offered and set up count
	Return    string   // where the browser goes afterwards, checked by the caller
	Agent     string   // the User-Agent, which must stay the same
	IP        netip.Addr
	Data      []byte // the caller's own, given back by Finish; kept sealed
}

// Pending is a sign-in that waits for something.
type Pending struct {
	ID        string    `json:"id"` // names it in the audit, does not open it
	PersonID  string    `json:"person"`
	Purpose   Purpose   `json:"purpose"`
	SessionID string    `json:"session,omitempty"`
	Provider  string    `json:"provider,omitempty"`
	Methods   []string  `json:"methods,omitempty"`
	Due       []Due     `json:"due,omitempty"`
	Kinds     []string  `json:"kinds,omitempty"`
	Return    string    `json:"return,omitempty"`
	Agent     string    `json:"agent,omitempty"`
	IP        string    `json:"ip,omitempty"`
	Data      []byte    `json:"data,omitempty"`
	Factor    string    `json:"factor,omitempty"` // the kind of second factor that was proved; "" none
	Began     time.Time `json:"began"`
	Expires   time.Time `json:"expires"`

	finished bool
}

// Next is what is due first, "" when nothing is.
func (p *Pending) Next() Due {
	if len(p.Due) == 0 {
		return ""
	}
	return p.Due[0]
}

// pending is the stored form.
type pending struct {
	Pending
	AgentHash string     `json:"agent_hash"`
	Tries     int        `json:"tries,omitempty"` // taken since the last success
	Code      *code      `json:"code,omitempty"`
	Challenge *challenge `json:"challenge,omitempty"`
}

// Holder is who comes back with a pending sign-in: its secret, and from where. The
// address may change on the way (a phone changes networks), the browser may not.
type Holder struct {
	Secret  string
	Agent   string
	Session string // the id of the session in use; needed for a StepUp
	IP      netip.Addr
}

// beginLimit bounds the pending sign-ins of one person.
var beginLimit = state.Limit{Events: 30, Per: 10 * time.Minute}

const pendingPrefix = "pending/"

// Begin makes a pending sign-in and returns the secret for the browser. With
// nothing due, or something unknown due, it is an error.
func (m *Manager) Begin(ctx context.Context, s Start) (secret string, p Pending, err error) {
	due, err := sortDue(s.Due)
	if err != nil {
		return "", p, err
	}
	if s.PersonID == "" || s.Purpose != SignIn && s.Purpose != StepUp || (s.Purpose == StepUp) != (s.SessionID != "") {
		return "", p, errors.New("beginning a pending sign-in: person, purpose or session is missing or too much")
	}
	if err := m.admit(ctx, "factor/begin/"+s.PersonID, beginLimit); err != nil {
		return "", p, err
	}
	if secret, err = m.random(32); err != nil {
		return "", p, err
	}
	hash, _ := secretHash(secret)
	now := m.now()
	r := &pending{AgentHash: agentHash(s.Agent), Pending: Pending{
		ID: hash, PersonID: s.PersonID, Purpose: s.Purpose, SessionID: s.SessionID, Provider: s.Provider,
		Methods: slices.Clone(s.Methods), Due: due, Kinds: slices.Clone(s.Kinds), Return: s.Return,
		Agent: Label(s.Agent), Data: s.Data, Began: now, Expires: now.Add(PendingLifetime),
	}}
	if s.IP.IsValid() {
		r.IP = s.IP.Unmap().String()
	}
	sealed, err := m.seal("factor/pending", hash, r)
	if err != nil {
		return "", p, err
	}
	fresh, err := m.o.State.PutNew(ctx, pendingPrefix+hash, sealed, PendingLifetime)
	if err != nil {
		return "", p, fmt.Errorf("keeping a pending sign-in: %w", err)
	}
	if !fresh {
		return "", p, errors.New("keeping a pending sign-in: the random source repeats itself")
	}
	return secret, r.Pending, nil
}

func sortDue(due []Due) ([]Due, error) {
	var out []Due
	for _, d := range dueOrder {
		if slices.Contains(due, d) {
			out = append(out, d)
		}
	}
	if len(out) == 0 || len(out) != len(due) {
		return nil, fmt.Errorf("beginning a pending sign-in: %q is due: nothing, something unknown, or something twice", due)
	}
	return out, nil
}

// Load returns the pending sign-in; ErrGone when it is not the holder's.
func (m *Manager) Load(ctx context.Context, h Holder) (Pending, error) {
	r, _, _, err := m.load(ctx, h)
	if err != nil {
		return Pending{}, err
	}
	return r.Pending, nil
}

// load reads a pending sign-in and the person, and checks all that binds it.
func (m *Manager) load(ctx context.Context, h Holder) (*pending, []byte, records.Person, error) {
	hash, ok := secretHash(h.Secret)
	if !ok {
		return nil, nil, records.Person{}, ErrGone
	}
	e, err := m.o.State.Get(ctx, pendingPrefix+hash)
	if errors.Is(err, state.ErrNotFound) {
		return nil, nil, records.Person{}, ErrGone
	}
	if err != nil {
		return nil, nil, records.Person{}, fmt.Errorf("reading a pending sign-in: %w", err)
	}
	r, err := m.openPending(hash, e.Value, h)
	if err != nil {
		return nil, nil, records.Person{}, err
	}
	person, err := m.active(ctx, r.PersonID)
	return r, e.Value, person, err
}

func (m *Manager) openPending(hash string, sealed []byte, h Holder) (*pending, error) {
	r := new(pending)
	switch {
	case m.open("factor/pending", hash, sealed, r) != nil,
		r.ID != hash, r.PersonID == "", r.Expires.IsZero(),
		!m.now().Before(r.Expires),
		r.AgentHash != agentHash(h.Agent),
		r.Purpose == StepUp && r.SessionID != h.Session,
		r.Purpose != StepUp && r.Purpose != SignIn:
		return nil, ErrGone
	}
	return r, nil
}

// active reads a person; ErrGone when he is not there or not active: a sign-in
// that waits must not outlive that.
func (m *Manager) active(ctx context.Context, personID string) (records.Person, error) {
	p, err := m.o.Records.Person(ctx, personID)
	if errors.Is(err, records.ErrNotFound) || err == nil && p.Status != records.Active {
		return p, ErrGone
	}
	if err != nil {
		return p, fmt.Errorf("reading whose sign-in it is: %w", err)
	}
	return p, nil
}

// change changes a pending sign-in as one atomic act. fn may be called several
// times, each time with what is stored by then; its error ends it unwritten.
func (m *Manager) change(ctx context.Context, h Holder, fn func(*pending) error) (*pending, error) {
	hash, ok := secretHash(h.Secret)
	if !ok {
		return nil, ErrGone
	}
	for range rounds {
		e, err := m.o.State.Get(ctx, pendingPrefix+hash)
		if errors.Is(err, state.ErrNotFound) {
			return nil, ErrGone
		}
		if err != nil {
			return nil, fmt.Errorf("reading a pending sign-in: %w", err)
		}
		r, err := m.openPending(hash, e.Value, h)
		if err != nil {
			return nil, err
		}
		if err := fn(r); err != nil {
			return nil, err
		}
		sealed, err := m.seal("factor/pending", hash, r)
		if err != nil {
			return nil, err
		}
		done, err := m.o.State.Replace(ctx, pendingPrefix+hash, e.Value, sealed, r.Expires.Sub(m.now()))
		if errors.Is(err, state.ErrNotFound) {
			return nil, ErrGone
		}
		if err != nil {
			return nil, fmt.Errorf("writing a pending sign-in: %w", err)
		}
		if done {
			return r, nil
		}
	}
	return nil, fmt.Errorf("writing a pending sign-in: %w", state.ErrUnavailable)
}

// settle takes what is due first off the list, after it was proved.
func (m *Manager) settle(ctx context.Context, h Holder, d Due, fn func(*pending)) (Pending, error) {
	r, err := m.change(ctx, h, func(r *pending) error {
		if r.Next() != d {
			return ErrNotDue
		}
		r.Due, r.Tries, r.Code, r.Challenge = r.Due[1:], 0, nil, nil
		fn(r)
		return nil
	})
	if err != nil {
		return Pending{}, err
	}
	return r.Pending, nil
}

// Pass says that the caller has seen done what is due first: DuePassword or
// DueChange. The others are proved here and cannot be passed: ErrNotDue.
func (m *Manager) Pass(ctx context.Context, h Holder, d Due, methods ...string) (Pending, error) {
	if d != DuePassword && d != DueChange {
		return Pending{}, ErrNotDue
	}
	if _, _, _, err := m.load(ctx, h); err != nil {
		return Pending{}, err
	}
	return m.settle(ctx, h, d, func(r *pending) { r.add(methods...) })
}

// add records proofs.
func (r *pending) add(methods ...string) {
	for _, m := range methods {
		if !slices.Contains(r.Methods, m) {
			r.Methods = append(r.Methods, m)
		}
	}
}

// Finish takes the pending sign-in, once: what it returns is what a session is
// made of. While something is due it is ErrDue and the pending sign-in stays.
func (m *Manager) Finish(ctx context.Context, h Holder) (Pending, error) {
	r, _, _, err := m.load(ctx, h)
	if err != nil {
		return Pending{}, err
	}
	if len(r.Due) > 0 {
		return Pending{}, ErrDue
	}
	e, err := m.o.State.Take(ctx, pendingPrefix+r.ID)
	if errors.Is(err, state.ErrNotFound) {
		return Pending{}, ErrGone
	}
	if err != nil {
		return Pending{}, fmt.Errorf("taking a pending sign-in: %w", err)
	}
	r, err = m.openPending(r.ID, e.Value, h)
	if err != nil {
		return Pending{}, err
	}
	if len(r.Due) > 0 { // nothing adds to what is due; if something ever does, it must not be lost
		return Pending{}, ErrGone
	}
	r.finished = true
	return r.Pending, nil
}

// End ends one pending sign-in, at "cancel".
func (m *Manager) End(ctx context.Context, h Holder) error {
	r, _, _, err := m.load(ctx, h)
	if errors.Is(err, ErrGone) {
		return nil
	}
	if err != nil {
		return err
	}
	return m.o.State.Delete(ctx, pendingPrefix+r.ID)
}

// EndPendings ends all of a person's pending sign-ins and says how many there were:
// at a change of the password, a lock, a reset of his factors.
func (m *Manager) EndPendings(ctx context.Context, personID string) (int, error) {
	var keys []string
	err := m.o.State.List(ctx, pendingPrefix, func(e state.Entry) bool {
		r := new(pending)
		if m.open("factor/pending", e.Key[len(pendingPrefix):], e.Value, r) != nil || r.PersonID == personID {
			keys = append(keys, e.Key) // one that cannot be read is of no use to anybody
		}
		return true
	})
	if err != nil || len(keys) == 0 {
		return 0, err
	}
	return len(keys), m.o.State.Delete(ctx, keys...)
}

// throttled runs a proof in a place of the throttle. The account is the person's,
// by whatever name he signed in. With forget, a success forgets his failures.
func (m *Manager) throttled(ctx context.Context, p records.Person, ip netip.Addr, forget bool, prove func() error) error {
	a, err := m.o.Throttle.Before(ctx, p.Email, ip.WithZone(""))
	if wait, ok := errors.AsType[*attempts.WaitError](err); ok {
		return &WaitError{wait.Until}
	}
	if err != nil {
		return err
	}
	err = prove()
	switch {
	case err == nil && forget:
		return a.Success(ctx)
	case errors.Is(err, ErrWrong):
		return errors.Join(err, a.Failure(ctx))
	}
	return errors.Join(err, a.Release(ctx))
}
