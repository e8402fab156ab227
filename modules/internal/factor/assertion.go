// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package factor

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/crmgate/crmgate/modules/internal/address"
	"github.com/crmgate/crmgate/modules/internal/records"
	"github.com/crmgate/crmgate/modules/internal/state"
)

// beginAssertion returns what navigator.credentials.get wants for a person who is
// known already.
func (m *Manager) beginAssertion(ctx context.Context, p records.Person) (json.RawMessage, *challenge, error) {
	u, err := m.webUser(ctx, p)
	if err != nil {
		return nil, nil, err
	}
	if len(u.keys) == 0 {
		return nil, nil, ErrKind
	}
	nonce, err := m.drawChallenge()
	if err != nil {
		return nil, nil, err
	}
	request, data, err := m.web.BeginLogin(u, webauthn.WithChallenge(nonce), webauthn.WithUserVerification(protocol.VerificationPreferred))
	if err != nil {
		return nil, nil, fmt.Errorf("beginning to ask for a passkey: %w", err)
	}
	out, err := json.Marshal(request.Response)
	return out, m.newChallenge(data), err
}

// provePasskey checks an answer to beginAssertion.
func (m *Manager) provePasskey(ctx context.Context, p records.Person, ch *challenge, response []byte) error {
	u, err := m.webUser(ctx, p)
	if err != nil {
		return err
	}
	key, err := m.checkAssertion(u, ch, response)
	if err != nil {
		return err
	}
	return m.countPasskey(ctx, p.ID, key)
}

// checkAssertion checks an answer without any store.
func (m *Manager) checkAssertion(u *webUser, ch *challenge, response []byte) (*webauthn.Credential, error) {
	parsed, err := m.parseAssertion(ch, response)
	if err != nil {
		return nil, err
	}
	key, err := m.web.ValidateLogin(u, ch.Data, parsed)
	if err != nil {
		return nil, wrong(Passkey, refusal(err))
	}
	return key, nil
}

func (m *Manager) parseAssertion(ch *challenge, response []byte) (*protocol.ParsedCredentialAssertionData, error) {
	if ch == nil || !m.now().Before(ch.Expires) {
		return nil, wrong(Passkey, "no request was made, or it has expired")
	}
	if len(response) > MaxResponse {
		return nil, wrong(Passkey, "the answer is too large")
	}
	parsed, err := protocol.ParseCredentialRequestResponseBytes(response)
	if err != nil {
		return nil, wrong(Passkey, "the answer cannot be read")
	}
	return parsed, nil
}

// countPasskey keeps the counter and the flags of an assertion that holds. A
// counter that does not grow means that two authenticators hold one key: the
// passkey is refused from then on, for nobody knows which of them is the person's.
func (m *Manager) countPasskey(ctx context.Context, personID string, key *webauthn.Credential) error {
	cloned := &WrongError{Kind: Passkey, Detail: "the counter of the passkey went back: there may be a copy of it", Cloned: true}
	stop := false
	err := changeRow(ctx, m, personID, passkeyPrefix+passkeyID(key.ID), func(r *passkeyRow) error {
		stop = !r.Cloned.IsZero()
		if stop {
			return cloned
		}
		// Compared again with what is stored by now: another gateway may have been
		// ahead since the library looked.
		seen := key.Authenticator.SignCount
		if key.Authenticator.CloneWarning || seen <= r.Key.Authenticator.SignCount && (seen != 0 || r.Key.Authenticator.SignCount != 0) {
			r.Cloned, stop = m.now(), true
			return nil
		}
		r.Key.Authenticator.SignCount, r.Key.Flags, r.Used = seen, key.Flags, m.now()
		return nil
	})
	switch {
	case errors.Is(err, records.ErrNotFound): // removed meanwhile
		return wrong(Passkey, "there is no such passkey any more")
	case err == nil && stop:
		return cloned
	}
	return err
}

// flow is a sign-in by passkey that has begun without anybody being named.
type flow struct {
	Challenge challenge `json:"challenge"`
	Agent     string    `json:"agent"`
}

// flowLimit bounds how many an address can begin.
var flowLimit = state.Limit{Events: 60, Per: 5 * time.Minute}

// PasskeyBegin begins a sign-in in which the passkey itself says who it is. The
// secret goes to the browser (43 characters of base64url), the JSON to
// navigator.credentials.get as publicKey.
func (m *Manager) PasskeyBegin(ctx context.Context, agent string, ip netip.Addr) (secret string, request json.RawMessage, err error) {
	if m.web == nil {
		return "", nil, ErrKind
	}
	if err := m.admit(ctx, "factor/passkey_begin/"+address.Source(ip), flowLimit); err != nil {
		return "", nil, err
	}
	nonce, err := m.drawChallenge()
	if err != nil {
		return "", nil, err
	}
	asked, data, err := m.web.BeginDiscoverableLogin(webauthn.WithChallenge(nonce), webauthn.WithUserVerification(protocol.VerificationRequired))
	if err != nil {
		return "", nil, fmt.Errorf("beginning a sign-in by passkey: %w", err)
	}
	if request, err = json.Marshal(asked.Response); err != nil {
		return "", nil, err
	}
	if secret, err = m.random(32); err != nil {
		return "", nil, err
	}
	hash, _ := secretHash(secret)
	sealed, err := m.seal("factor/flow", hash, flow{Challenge: *m.newChallenge(data), Agent: agentHash(agent)})
	if err != nil {
		return "", nil, err
	}
	fresh, err := m.o.State.PutNew(ctx, "passkey_flow/"+hash, sealed, challengeLifetime)
	if err == nil && !fresh {
		err = errors.New("beginning a sign-in by passkey: the random source repeats itself")
	}
	return secret, request, err
}

// PasskeySignIn checks the answer to PasskeyBegin and says who signs in. The user
// was verified by the authenticator (PIN, finger, face), so this is two factors.
// The flow is taken, whatever comes of it. Errors: ErrGone, ErrWrong. Locks,
// address rules and throttles are the caller's.
func (m *Manager) PasskeySignIn(ctx context.Context, secret, agent string, response []byte) (personID string, err error) {
	hash, ok := secretHash(secret)
	if m.web == nil || !ok {
		return "", ErrGone
	}
	e, err := m.o.State.Take(ctx, "passkey_flow/"+hash)
	if errors.Is(err, state.ErrNotFound) {
		return "", ErrGone
	}
	if err != nil {
		return "", fmt.Errorf("taking a sign-in by passkey: %w", err)
	}
	var f flow
	if m.open("factor/flow", hash, e.Value, &f) != nil || f.Agent != agentHash(agent) {
		return "", ErrGone
	}
	parsed, err := m.parseAssertion(&f.Challenge, response)
	if err != nil {
		return "", err
	}
	var person records.Person
	var failed error // a store's: the library would call it a bad request
	user := func(_, handle []byte) (webauthn.User, error) {
		u, p, err := m.userByHandle(ctx, handle)
		if err != nil && !errors.Is(err, records.ErrNotFound) {
			failed = err
		}
		person = p
		return u, err
	}
	key, err := m.web.ValidateDiscoverableLogin(user, f.Challenge.Data, parsed)
	if failed != nil {
		return "", failed
	}
	if err != nil {
		return "", wrong(Passkey, refusal(err))
	}
	if err := m.countPasskey(ctx, person.ID, key); err != nil {
		return "", err
	}
	return person.ID, nil
}

func (m *Manager) userByHandle(ctx context.Context, handle []byte) (*webUser, records.Person, error) {
	id, err := m.personOf(ctx, handle)
	if err != nil {
		return nil, records.Person{}, err
	}
	p, err := m.o.Records.Person(ctx, id)
	if err == nil && p.Status != records.Active {
		err = records.ErrNotFound
	}
	if err != nil {
		return nil, p, err
	}
	u, err := m.webUser(ctx, p)
	if err == nil && !bytes.Equal(u.handle, handle) {
		err = records.ErrNotFound // drawn at the same moment as another one, and lost
	}
	return u, p, err
}
