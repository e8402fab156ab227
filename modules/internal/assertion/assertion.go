// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// Package assertion tells the CRM who asks: a signed, short-lived JWT (RFC 7519,
// ES256) whose public keys anybody can fetch as a JWKS (RFC 7517).
//
// The signing keys are made once for all gateways of an account and kept sealed
// in the records. Keys that cannot be read or opened are an error of Open; later,
// the keys read last stay in use. A token without subject or audience is never
// made.
package assertion

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/crmgate/crmgate/modules/internal/records"
	"github.com/crmgate/crmgate/modules/internal/vault"
)

// BlobName is the name under which the records hold the keys.
const BlobName = "assertion/keys"

// purpose is what the keys are sealed for.
const purpose = "assertion"

// keySet is the keys as they are at a moment. Nothing in it ever changes.
type keySet struct {
	version int64
	keys    []signingKey // by SignsFrom
	jwks    []byte
	signers []jose.Signer
}

// signingKey is one key as it is stored, sealed.
type signingKey struct {
	ID        string          `json:"kid"`
	SignsFrom int64           `json:"signs_from"` // Unix seconds
	JWK       jose.JSONWebKey `json:"jwk"`
}

type stored struct {
	Keys []signingKey `json:"keys"`
}

func newKey(signsFrom time.Time) (signingKey, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return signingKey{}, fmt.Errorf("making a signing key: %w", err)
	}
	jwk := jose.JSONWebKey{Key: private, Algorithm: string(jose.ES256), Use: "sig"}
	thumb, err := jwk.Thumbprint(crypto.SHA256) // RFC 7638
	if err != nil {
		return signingKey{}, fmt.Errorf("making a signing key: %w", err)
	}
	jwk.KeyID = base64.RawURLEncoding.EncodeToString(thumb)
	return signingKey{ID: jwk.KeyID, SignsFrom: signsFrom.Unix(), JWK: jwk}, nil
}

// decode makes a set of what was unsealed.
func decode(plain []byte, version int64) (*keySet, error) {
	var s stored
	if err := json.Unmarshal(plain, &s); err != nil {
		return nil, errors.New("the stored signing keys are no keys")
	}
	set := &keySet{version: version, keys: s.Keys}
	var public jose.JSONWebKeySet
	for _, k := range s.Keys {
		private, ok := k.JWK.Key.(*ecdsa.PrivateKey)
		if !ok || private.Curve != elliptic.P256() || k.ID == "" || k.ID != k.JWK.KeyID {
			return nil, errors.New("the stored signing keys are no ES256 keys")
		}
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: k.JWK}, (&jose.SignerOptions{}).WithType("JWT"))
		if err != nil {
			return nil, fmt.Errorf("using a signing key: %w", err)
		}
		set.signers = append(set.signers, signer)
		public.Keys = append(public.Keys, k.JWK.Public())
	}
	if len(s.Keys) == 0 {
		return nil, errors.New("there is no signing key stored")
	}
	var err error
	if set.jwks, err = json.Marshal(public); err != nil {
		return nil, fmt.Errorf("publishing the signing keys: %w", err)
	}
	return set, nil
}

// current returns the index of the key that signs at now: the newest whose time
// has come.
func (s *keySet) current(now time.Time) int {
	for i := len(s.keys) - 1; i > 0; i-- {
		if s.keys[i].SignsFrom <= now.Unix() {
			return i
		}
	}
	return 0
}

// load reads the keys from the records, and makes the first one when there is
// none. Of several gateways that start together one makes it, the others read it.
func load(ctx context.Context, store Store, v *vault.Vault, now time.Time) (*keySet, error) {
	b, err := store.Blob(ctx, BlobName)
	if errors.Is(err, records.ErrNotFound) {
		k, err := newKey(now)
		if err != nil {
			return nil, err
		}
		set, err := save(ctx, store, v, []signingKey{k}, 0)
		if !errors.Is(err, records.ErrConflict) {
			return set, err
		}
		b, err = store.Blob(ctx, BlobName)
		if err != nil {
			return nil, err
		}
	} else if err != nil {
		return nil, err
	}
	plain, err := v.Open(purpose, BlobName, b.Value)
	if err != nil {
		return nil, err
	}
	set, err := decode(plain.Reveal(), b.Version)
	if err != nil {
		return nil, err
	}
	if !v.Current(b.Value) {
		// Sealed with a key that is about to go. Somebody else may be faster.
		again, err := save(ctx, store, v, set.keys, set.version)
		if err == nil {
			return again, nil
		}
		if !errors.Is(err, records.ErrConflict) {
			return nil, err
		}
	}
	return set, nil
}

func save(ctx context.Context, store Store, v *vault.Vault, keys []signingKey, version int64) (*keySet, error) {
	plain, err := json.Marshal(stored{keys})
	if err != nil {
		return nil, err
	}
	sealed, err := v.Seal(purpose, BlobName, plain)
	if err != nil {
		return nil, err
	}
	b, err := store.PutBlob(ctx, records.Blob{Name: BlobName, Value: sealed, Version: version})
	if err != nil {
		return nil, err
	}
	return decode(plain, b.Version)
}
