// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// Package vault seals the small secrets the records hold (a person's key pair of
// the CRM, signing keys), so that the database alone gives nothing away.
//
// A key source that is missing, empty or holds a line that is no key is one
// clear error; there is no default key. A sealed value that was changed, that
// was sealed for another purpose or owner, or whose key is not in the vault does
// not open.
package vault

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
	"sync"
)

// KeyBytes is the length of a key.
const KeyBytes = 32

// ErrSealed is returned for a value that does not open: changed, moved from
// another purpose or owner, or cut short.
var ErrSealed = errors.New("vault: the sealed value does not open")

// ErrUnknownKey is returned for a value sealed with a key the vault does not have.
var ErrUnknownKey = errors.New("vault: the value was sealed with a key that is not in the vault")

// Vault seals and opens with AES-256-GCM. The first key seals; all of them open,
// so that a new key can be put in front while the old one is still needed. It
// prints as its key ids. Safe for concurrent use.
type Vault struct{ keys []*key }

type key struct {
	id   [idBytes]byte
	aead cipher.AEAD
	look []byte    // key of LookupHMAC
	pool sync.Pool // of *finder
}

// finder makes values of LookupHMAC. Nothing of what went in or came out stays in one
// that is in the pool.
type finder struct {
	mac hash.Hash
	in  []byte
	sum [sha256.Size]byte
}

// A sealed value is: version, key id, nonce, ciphertext with tag.
const (
	version    = 1
	idBytes    = 4
	nonceBytes = 12
	tagBytes   = 16
	overhead   = 1 + idBytes + nonceBytes + tagBytes
)

// New makes a vault of keys of KeyBytes bytes each, the sealing one first. No
// key, a key of another length, and the same key twice are errors.
func New(keys ...[]byte) (*Vault, error) {
	if len(keys) == 0 {
		return nil, errors.New("opening the vault: there is no key")
	}
	v := new(Vault)
	for i, k := range keys {
		if len(k) != KeyBytes {
			return nil, fmt.Errorf("opening the vault: key %d has %d bytes, it must have %d", i+1, len(k), KeyBytes)
		}
		made, err := newKey(k)
		if err != nil {
			return nil, fmt.Errorf("opening the vault: %w", err)
		}
		if v.find(made.id[:]) != nil {
			return nil, fmt.Errorf("opening the vault: key %d is there twice", i+1)
		}
		v.keys = append(v.keys, made)
	}
	return v, nil
}

// newKey derives what is used from the key: nothing uses the key itself.
func newKey(secret []byte) (*key, error) {
	derive := func(info string, n int) []byte {
		b, err := hkdf.Key(sha256.New, secret, nil, "crmgate vault 1 "+info, n)
		if err != nil {
			panic(err) // only for lengths beyond 255 hashes
		}
		return b
	}
	block, err := aes.NewCipher(derive("seal", KeyBytes))
	if err != nil {
		return nil, err
	}
	k := &key{look: derive("look up", sha256.Size)}
	copy(k.id[:], derive("id", idBytes))
	k.aead, err = cipher.NewGCM(block)
	return k, err
}

func (v *Vault) find(id []byte) *key {
	for _, k := range v.keys {
		if string(k.id[:]) == string(id) {
			return k
		}
	}
	return nil
}

// Seal encrypts plain for one purpose ("crm_key") and one owner (a person's id).
// Both are needed to open it: a value copied to another person's row is of no use.
func (v *Vault) Seal(purpose, owner string, plain []byte) ([]byte, error) {
	k := v.keys[0]
	out := make([]byte, 1+idBytes+nonceBytes, overhead+len(plain))
	out[0] = version
	copy(out[1:], k.id[:])
	nonce := out[1+idBytes:]
	if _, err := io.ReadFull(rand.Reader, nonce); err != nil {
		return nil, fmt.Errorf("sealing: %w", err)
	}
	return k.aead.Seal(out, nonce, plain, bound(nil, purpose, out[:1+idBytes], owner)), nil
}

// Open decrypts what Seal made for the same purpose and owner. Errors are
// ErrSealed and ErrUnknownKey.
func (v *Vault) Open(purpose, owner string, sealed []byte) (Secret, error) {
	if len(sealed) < overhead || sealed[0] != version {
		return Secret{}, ErrSealed
	}
	head, rest := sealed[:1+idBytes], sealed[1+idBytes:]
	k := v.find(head[1:])
	if k == nil {
		return Secret{}, ErrUnknownKey
	}
	plain, err := k.aead.Open(nil, rest[:nonceBytes], rest[nonceBytes:], bound(nil, purpose, head, owner))
	if err != nil {
		return Secret{}, ErrSealed
	}
	return NewSecret(plain), nil
}

// Current says whether a sealed value was sealed with the first key; one that was
// not should be opened and sealed again before its key is taken away.
func (v *Vault) Current(sealed []byte) bool {
	return len(sealed) >= overhead && sealed[0] == version && string(sealed[1:1+idBytes]) == string(v.keys[0].id[:])
}

// bound appends the additional data to b: each part with its length in front. The owner
// may come in pieces.
func bound(b []byte, purpose string, head []byte, owner ...string) []byte {
	n := 0
	for _, piece := range owner {
		n += len(piece)
	}
	b = slices.Grow(b, 2*binary.MaxVarintLen64+len(purpose)+n+len(head))
	b = binary.AppendUvarint(b, uint64(len(purpose)))
	b = append(b, purpose...)
	b = binary.AppendUvarint(b, uint64(n))
	for _, piece := range owner {
		b = append(b, piece...)
	}
	return append(b, head...)
}

// LookupHMAC returns a value under which a secret can be found again without
// being opened: HMAC-SHA-256 by the first key, in hex.
func (v *Vault) LookupHMAC(purpose, value string) string { return v.keys[0].lookup(purpose, value) }

// AppendLookupHMAC appends LookupHMAC of a value, which may come in pieces, to dst.
func (v *Vault) AppendLookupHMAC(dst []byte, purpose string, value ...string) []byte {
	return v.keys[0].appendLookup(dst, purpose, value...)
}

// Lookups returns LookupHMAC by every key, the first key's first: what was stored
// before a rotation is found by a later one.
func (v *Vault) Lookups(purpose, value string) []string {
	out := make([]string, len(v.keys))
	for i, k := range v.keys {
		out[i] = k.lookup(purpose, value)
	}
	return out
}

func (k *key) lookup(purpose, value string) string {
	var room [2 * sha256.Size]byte
	return string(k.appendLookup(room[:0], purpose, value))
}

func (k *key) appendLookup(dst []byte, purpose string, value ...string) []byte {
	f, ok := k.pool.Get().(*finder)
	if !ok {
		f = &finder{mac: hmac.New(sha256.New, k.look)}
	}
	f.in = bound(f.in, purpose, nil, value...)
	f.mac.Write(f.in)
	dst = hex.AppendEncode(dst, f.mac.Sum(f.sum[:0]))
	f.mac.Reset()
	clear(f.in)
	clear(f.sum[:])
	if f.in = f.in[:0]; cap(f.in) > mostKept {
		f.in = nil
	}
	k.pool.Put(f)
	return dst
}

// mostKept is how much room for values a finder keeps.
const mostKept = 4 << 10

// KeyIDs names the keys without telling them, the sealing one first.
func (v *Vault) KeyIDs() []string {
	out := make([]string, len(v.keys))
	for i, k := range v.keys {
		out[i] = hex.EncodeToString(k.id[:])
	}
	return out
}

// String names the keys without telling them.
func (v *Vault) String() string { return fmt.Sprintf("vault%v", v.KeyIDs()) }

// GoString is String.
func (v *Vault) GoString() string { return v.String() }

// Generate returns a new key as a line for a key file.
func Generate() (Secret, error) {
	k := make([]byte, KeyBytes)
	if _, err := io.ReadFull(rand.Reader, k); err != nil {
		return Secret{}, fmt.Errorf("making a key: %w", err)
	}
	return NewSecret([]byte(base64.StdEncoding.EncodeToString(k))), nil
}
