// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package factor

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/crmgate/crmgate/modules/internal/records"
)

// passkeyRow is a credential "passkey/<id>".
type passkeyRow struct {
	common
	Key    webauthn.Credential `json:"key"` // with the counter and the backup flags as last seen
	Cloned time.Time           `json:"cloned,omitzero"`
}

func (r *passkeyRow) whole() bool {
	return r.common.whole() && len(r.Key.ID) > 0 && len(r.Key.PublicKey) > 0
}

// userRow is the credential "passkey_user": the user handle, drawn once a person.
// It says nothing about who it is.
type userRow struct {
	common
	Handle []byte `json:"handle"`
}

func (r *userRow) whole() bool { return r.common.whole() && len(r.Handle) == handleBytes }

const (
	passkeyPrefix = Passkey + "/"
	passkeyUser   = "passkey_user"
	handleBytes   = 64 // WebAuthn section 5.4.3 wants the whole length random
)

func newWebAuthn(name string, origin *url.URL) (*webauthn.WebAuthn, error) {
	id := strings.ToLower(origin.Hostname())
	if err := protocol.ValidateRPID(id); err != nil {
		return nil, err
	}
	return webauthn.New(&webauthn.Config{
		RPID: id, RPDisplayName: name, RPOrigins: []string{origin.Scheme + "://" + strings.ToLower(origin.Host)},
		AttestationPreference: protocol.PreferNoAttestation,
	})
}

// passkeyID is the id of a passkey in "passkey/<id>".
func passkeyID(credentialID []byte) string {
	sum := sha256.Sum256(credentialID)
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// webUser is a person as the WebAuthn library sees him.
type webUser struct {
	handle []byte
	email  string
	name   string
	keys   []webauthn.Credential
}

func (u *webUser) WebAuthnID() []byte                         { return u.handle }
func (u *webUser) WebAuthnName() string                       { return u.email }
func (u *webUser) WebAuthnDisplayName() string                { return u.name }
func (u *webUser) WebAuthnCredentials() []webauthn.Credential { return u.keys }

func (m *Manager) webUser(ctx context.Context, p records.Person) (*webUser, error) {
	u := &webUser{email: p.Email, name: p.Name}
	if u.name == "" {
		u.name = p.Email
	}
	rows, err := m.passkeys(ctx, p.ID)
	for _, r := range rows {
		u.keys = append(u.keys, r.Key)
	}
	if err != nil {
		return nil, err
	}
	u.handle, err = m.handle(ctx, p.ID)
	return u, err
}

// passkeys reads all of a person's.
func (m *Manager) passkeys(ctx context.Context, personID string) ([]*passkeyRow, error) {
	creds, err := m.o.Records.Credentials(ctx, personID)
	if err != nil {
		return nil, err
	}
	var out []*passkeyRow
	for _, c := range creds {
		if !strings.HasPrefix(c.Kind, passkeyPrefix) {
			continue
		}
		r := new(passkeyRow)
		if err := m.openRow(c, r); err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, nil
}

// handle returns a person's user handle and draws it the first time. A blob leads
// from the handle back to the person; it is written first, so that a handle in use
// always leads somewhere.
func (m *Manager) handle(ctx context.Context, personID string) ([]byte, error) {
	for range rounds {
		row := new(userRow)
		_, err := m.readRow(ctx, personID, passkeyUser, row)
		if err == nil || !errors.Is(err, records.ErrNotFound) {
			return row.Handle, err
		}
		head, err := m.newCommon("")
		if err != nil {
			return nil, err
		}
		row = &userRow{common: head, Handle: make([]byte, handleBytes)}
		if _, err := io.ReadFull(m.o.Rand, row.Handle); err != nil {
			return nil, fmt.Errorf("drawing a user handle: %w", err)
		}
		name := handleBlob(row.Handle)
		sealed, err := m.o.Vault.Seal("factor/"+passkeyUser, name, []byte(personID))
		if err != nil {
			return nil, err
		}
		if _, err := m.o.Records.PutBlob(ctx, records.Blob{Name: name, Value: sealed}); err != nil {
			return nil, err
		}
		err = m.swapRow(ctx, personID, passkeyUser, row, nil)
		if err == nil || !errors.Is(err, records.ErrConflict) {
			return row.Handle, err
		}
	}
	return nil, fmt.Errorf("drawing a user handle: %w", records.ErrConflict)
}

func handleBlob(handle []byte) string { return blobName("passkey_user/", handle) }

func blobName(prefix string, b []byte) string {
	sum := sha256.Sum256(b)
	return prefix + hex.EncodeToString(sum[:])
}

// personOf leads from a user handle to the person.
func (m *Manager) personOf(ctx context.Context, handle []byte) (string, error) {
	name := handleBlob(handle)
	b, err := m.o.Records.Blob(ctx, name)
	if err != nil {
		return "", err
	}
	id, err := m.o.Vault.Open("factor/"+passkeyUser, name, b.Value)
	if err != nil {
		return "", fmt.Errorf("%w: a user handle: %w", ErrUnreadable, err)
	}
	return string(id.Reveal()), nil
}

// claim makes a credential id one person's own. An id that is somebody else's is
// ErrTaken: whoever registers a copy of it would sign in as either.
func (m *Manager) claim(ctx context.Context, credentialID []byte, personID string) error {
	name := blobName("passkey/", credentialID)
	sealed, err := m.o.Vault.Seal("factor/passkey", name, []byte(personID))
	if err != nil {
		return err
	}
	b := records.Blob{Name: name, Value: sealed}
	_, err = m.o.Records.PutBlob(ctx, b)
	if !errors.Is(err, records.ErrConflict) {
		return err
	}
	old, err := m.o.Records.Blob(ctx, name)
	if err != nil {
		return err
	}
	if len(old.Value) > 0 {
		id, err := m.o.Vault.Open("factor/passkey", name, old.Value)
		if err != nil {
			return fmt.Errorf("%w: whose a passkey is: %w", ErrUnreadable, err)
		}
		if string(id.Reveal()) != personID {
			return ErrTaken
		}
		return nil
	}
	b.Version = old.Version
	_, err = m.o.Records.PutBlob(ctx, b)
	return err
}

// release gives a credential id free after the passkey is gone.
func (m *Manager) release(ctx context.Context, credentialID []byte) error {
	b, err := m.o.Records.Blob(ctx, blobName("passkey/", credentialID))
	if errors.Is(err, records.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	b.Value = nil
	_, err = m.o.Records.PutBlob(ctx, b)
	return err
}

// challenge is a WebAuthn ceremony that has begun. It is taken by one answer and
// by no second one.
type challenge struct {
	Data    webauthn.SessionData `json:"data"`
	Expires time.Time            `json:"expires"`
}

// challengeLifetime is how long a person may look for his key.
const challengeLifetime = 5 * time.Minute

func (m *Manager) newChallenge(data *webauthn.SessionData) *challenge {
	return &challenge{Data: *data, Expires: m.now().Add(challengeLifetime)}
}

func (m *Manager) drawChallenge() ([]byte, error) {
	b := make([]byte, 32)
	if _, err := io.ReadFull(m.o.Rand, b); err != nil {
		return nil, fmt.Errorf("drawing a challenge: %w", err)
	}
	return b, nil
}

// beginCreation returns what navigator.credentials.create wants.
func (m *Manager) beginCreation(ctx context.Context, p records.Person) (json.RawMessage, *challenge, error) {
	u, err := m.webUser(ctx, p)
	if err != nil {
		return nil, nil, err
	}
	if len(u.keys) >= MaxPasskeys {
		return nil, nil, ErrFull
	}
	nonce, err := m.drawChallenge()
	if err != nil {
		return nil, nil, err
	}
	creation, data, err := m.web.BeginRegistration(u,
		webauthn.WithExclusions(webauthn.Credentials(u.keys).CredentialDescriptors()),
		webauthn.WithAuthenticatorSelection(protocol.AuthenticatorSelection{
			ResidentKey: protocol.ResidentKeyRequirementPreferred, UserVerification: protocol.VerificationPreferred,
		}),
		webauthn.WithExtensions(webauthn.WithExtensionCredProps()), // some browsers answer it unasked
		func(o *protocol.PublicKeyCredentialCreationOptions) error {
			o.Challenge = nonce
			return nil
		})
	if err != nil {
		return nil, nil, fmt.Errorf("beginning to register a passkey: %w", err)
	}
	out, err := json.Marshal(creation.Response)
	return out, m.newChallenge(data), err
}

// create checks the answer of navigator.credentials.create and stores the passkey.
func (m *Manager) create(ctx context.Context, p records.Person, ch *challenge, response []byte, label string) (id string, err error) {
	u, err := m.webUser(ctx, p)
	if err != nil {
		return "", err
	}
	if len(u.keys) >= MaxPasskeys {
		return "", ErrFull
	}
	key, err := m.checkCreation(u, ch, response)
	if err != nil {
		return "", err
	}
	if err := m.claim(ctx, key.ID, p.ID); err != nil {
		return "", err
	}
	head, err := m.newCommon(label)
	if err != nil {
		return "", err
	}
	key.Attestation = webauthn.CredentialAttestation{} // none was asked for; it only names a device
	id = passkeyPrefix + passkeyID(key.ID)
	err = m.swapRow(ctx, p.ID, id, &passkeyRow{common: head, Key: *key}, nil)
	if errors.Is(err, records.ErrConflict) {
		return "", ErrTaken
	}
	return id, err
}

// checkCreation checks an answer without any store.
func (m *Manager) checkCreation(u *webUser, ch *challenge, response []byte) (*webauthn.Credential, error) {
	if ch == nil || !m.now().Before(ch.Expires) {
		return nil, wrong(Passkey, "no request was made, or it has expired")
	}
	if len(response) > MaxResponse {
		return nil, wrong(Passkey, "the answer is too large")
	}
	parsed, err := protocol.ParseCredentialCreationResponseBytes(response)
	if err != nil {
		return nil, wrong(Passkey, "the answer cannot be read")
	}
	key, err := m.web.CreateCredential(u, ch.Data, parsed)
	if err != nil {
		return nil, wrong(Passkey, refusal(err))
	}
	return key, nil
}

// refusal is the library's reason. Its details are fixed sentences and hold
// nothing of the answer but names.
func refusal(err error) string {
	var e *protocol.Error
	if errors.As(err, &e) && e.Details != "" {
		return e.Details
	}
	return "it does not verify"
}
