// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// Package factortest is a virtual authenticator for tests: ES256, user
// verification, discoverable credentials, a counter. It answers the JSON a browser
// gets with the JSON a browser sends, and can be told to misbehave.
package factortest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"

	"github.com/go-webauthn/webauthn/protocol/webauthncbor"
)

// Flags of the authenticator data (WebAuthn section 6.1).
const (
	Present   = 0x01
	Verified  = 0x04
	Eligible  = 0x08 // for backup
	BackedUp  = 0x10
	attested  = 0x40
	es256     = -7
	aaguidLen = 16
)

// Key is one passkey.
type Key struct {
	ID      []byte
	User    []byte // the user handle
	RPID    string
	Private *ecdsa.PrivateKey
	Counter uint32
}

// Authenticator holds passkeys. Its members may be changed between two answers.
type Authenticator struct {
	Origin string // what it says the page's origin is
	Flags  byte
	Step   uint32 // added to the counter with every answer; 0: it has no counter
	Keys   []*Key
}

// New returns an authenticator that behaves, in a page of this origin.
func New(origin string) *Authenticator {
	return &Authenticator{Origin: origin, Flags: Present | Verified, Step: 1}
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

type bytes64 []byte

func (b *bytes64) UnmarshalJSON(in []byte) error {
	var s string
	if err := json.Unmarshal(in, &s); err != nil {
		return err
	}
	out, err := base64.RawURLEncoding.DecodeString(s)
	*b = out
	return err
}

type creation struct {
	Challenge string `json:"challenge"`
	RP        struct {
		ID string `json:"id"`
	} `json:"rp"`
	User struct {
		ID bytes64 `json:"id"`
	} `json:"user"`
	Exclude []struct {
		ID bytes64 `json:"id"`
	} `json:"excludeCredentials"`
}

// Create answers navigator.credentials.create. A key of it that is excluded makes
// it refuse.
func (a *Authenticator) Create(publicKey []byte) ([]byte, error) {
	var c creation
	if err := json.Unmarshal(publicKey, &c); err != nil {
		return nil, fmt.Errorf("reading the request: %w", err)
	}
	for _, x := range c.Exclude {
		for _, k := range a.Keys {
			if string(k.ID) == string(x.ID) {
				return nil, fmt.Errorf("InvalidStateError: there is a passkey already")
			}
		}
	}
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	k := &Key{ID: make([]byte, 32), User: c.User.ID, RPID: c.RP.ID, Private: private, Counter: a.Step}
	if _, err := rand.Read(k.ID); err != nil {
		return nil, err
	}
	a.Keys = append(a.Keys, k)
	return a.Attest(k, c.Challenge)
}

// Attest answers a registration with a key that exists.
func (a *Authenticator) Attest(k *Key, challenge string) ([]byte, error) {
	point, err := k.Private.PublicKey.Bytes() // 4, x, y
	if err != nil {
		return nil, err
	}
	public, err := webauthncbor.Marshal(map[int]any{1: 2, 3: es256, -1: 1, -2: point[1:33], -3: point[33:]})
	if err != nil {
		return nil, err
	}
	data := a.data(k, attested)
	data = append(data, make([]byte, aaguidLen)...)
	data = binary.BigEndian.AppendUint16(data, uint16(len(k.ID)))
	data = append(append(data, k.ID...), public...)
	object, err := webauthncbor.Marshal(map[string]any{"fmt": "none", "attStmt": map[string]any{}, "authData": data})
	if err != nil {
		return nil, err
	}
	return json.Marshal(map[string]any{
		"id": b64(k.ID), "rawId": b64(k.ID), "type": "public-key", "clientExtensionResults": map[string]any{},
		"response": map[string]any{
			"clientDataJSON": b64(a.clientData("webauthn.create", challenge)), "attestationObject": b64(object),
			"transports": []string{"internal"},
		},
	})
}

func (a *Authenticator) data(k *Key, more byte) []byte {
	rp := sha256.Sum256([]byte(k.RPID))
	return binary.BigEndian.AppendUint32(append(rp[:], a.Flags|more), k.Counter)
}

func (a *Authenticator) clientData(kind, challenge string) []byte {
	b, _ := json.Marshal(map[string]any{"type": kind, "challenge": challenge, "origin": a.Origin, "crossOrigin": false}) // strings always marshal
	return b
}

// Get answers navigator.credentials.get with a key that is allowed, or any of the
// page's when none is named.
func (a *Authenticator) Get(publicKey []byte) ([]byte, error) {
	var r struct {
		Challenge string `json:"challenge"`
		RPID      string `json:"rpId"`
		Allow     []struct {
			ID bytes64 `json:"id"`
		} `json:"allowCredentials"`
	}
	if err := json.Unmarshal(publicKey, &r); err != nil {
		return nil, fmt.Errorf("reading the request: %w", err)
	}
	for _, k := range a.Keys {
		fits := len(r.Allow) == 0
		for _, x := range r.Allow {
			fits = fits || string(x.ID) == string(k.ID)
		}
		if fits && k.RPID == r.RPID {
			k.Counter += a.Step
			return a.Assert(k, r.Challenge)
		}
	}
	return nil, fmt.Errorf("NotAllowedError: there is no passkey for %s", r.RPID)
}

// Assert signs a challenge with a key.
func (a *Authenticator) Assert(k *Key, challenge string) ([]byte, error) {
	data, client := a.data(k, 0), a.clientData("webauthn.get", challenge)
	clientHash := sha256.Sum256(client)
	signed := sha256.Sum256(append(append([]byte{}, data...), clientHash[:]...))
	signature, err := ecdsa.SignASN1(rand.Reader, k.Private, signed[:])
	if err != nil {
		return nil, err
	}
	return json.Marshal(map[string]any{
		"id": b64(k.ID), "rawId": b64(k.ID), "type": "public-key", "clientExtensionResults": map[string]any{},
		"response": map[string]any{
			"clientDataJSON": b64(client), "authenticatorData": b64(data), "signature": b64(signature), "userHandle": b64(k.User),
		},
	})
}

// Challenge reads the challenge of a request, for answers made by hand.
func Challenge(publicKey []byte) string {
	var r struct {
		Challenge string `json:"challenge"`
	}
	_ = json.Unmarshal(publicKey, &r)
	return r.Challenge
}

// NewPrivate draws the private key of another passkey.
func NewPrivate() *ecdsa.PrivateKey {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err) // the machine has no randomness
	}
	return k
}
