// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// Package sealedform reads forms whose passwords were encrypted in the page, so
// that nothing between the page and the gate (a terminating load balancer, a
// recorded request body, a log of one) holds a password, and nothing recorded can
// be sent again.
//
// # Wire format
//
// The page asks for a key, once for each form it sends. The answer is a Key:
//
//	{"kid": "…", "jwk": {"kty":"EC","crv":"P-256","x":"…","y":"…"}, "nonce": "…", "expires": "2026-03-01T09:05:00Z"}
//
// kid and nonce are opaque text of at most 64 characters. What is sealed is a JSON
// object with these members and no others, each a string:
//
//	nonce         required: the nonce of the key, as it came
//	password      required: the password, or the present one where it is changed
//	new_password  the new password, in a form that sets one
//	email         the address, in a form that asks for it
//
// It is sent as a compact JWE (RFC 7516) of at most MaxBytes bytes. The protected
// header has exactly these members:
//
//	alg  "ECDH-ES" (RFC 7518 section 4.6, direct agreement: the second part of the JWE is empty)
//	enc  "A256GCM"
//	kid  the kid of the key, as it came
//	epk  {"kty":"EC","crv":"P-256","x":"…","y":"…"}: the page's own key, made for this one message
//
// The content key is the Concat KDF of the shared secret (RFC 7518 section 4.6.2)
// with AlgorithmID "A256GCM", empty PartyUInfo and PartyVInfo, SuppPubInfo 256: one
// SHA-256 run. testdata/vector.json holds a key and a message that must open.
// Script is the page's side as an ES module; apps may use any JOSE library.
//
// # What is refused
//
// ErrMalformed is anything that is not of this form: too large, other algorithms,
// other members in the header or in the form (zip and crit are such), members
// twice, a point that is not on the curve, a nonce of another key, a message that
// was changed. ErrReplayed is a key that opened a message already, or that was never
// handed out; ErrExpired is one older than Lifetime: the page asks for another key.
// A key is taken out of the state by the first message that names it, whether it
// opens or not. Without the state store nothing opens.
package sealedform

import (
	"context"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/subtle"
	_ "embed"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-json-experiment/json"

	"github.com/crmgate/crmgate/modules/internal/address"
	"github.com/crmgate/crmgate/modules/internal/clock"
	"github.com/crmgate/crmgate/modules/internal/state"
	"github.com/crmgate/crmgate/modules/internal/vault"
)

// Lifetime is how long a key can be used.
const Lifetime = 5 * time.Minute

// MaxBytes is the greatest size of a sealed form.
const MaxBytes = 4 << 10

// PerAddress is how many keys one address (a /64 for IPv6) is given.
var PerAddress = state.Limit{Events: 60, Per: time.Minute}

// Errors callers branch on.
var (
	ErrMalformed = errors.New("this is no sealed form")
	ErrReplayed  = errors.New("the key of this sealed form was used already, or never handed out")
	ErrExpired   = errors.New("the key of this sealed form has expired")
	// ErrTooMany: the address was given too many keys. Answer 429.
	ErrTooMany = errors.New("too many keys were asked for from this address")
)

// Script is the page's side: an ES module that exports
//
//	async function seal(key, fields)   // key: the JSON answer of Key; fields: {password, new_password?, email?}
//
// and returns the compact JWE. It uses the browser's WebCrypto and nothing else,
// so it runs under a strict content security policy, in secure contexts only.
//
//go:embed seal.js
var Script []byte

// Options of New. State and Vault must be set.
type Options struct {
	State state.Store
	Vault *vault.Vault
	Clock clock.Clock // nil: the machine's
	Rand  io.Reader   // for ids, nonces and keys; nil: crypto/rand
}

// Forms hands out keys and opens forms. Safe for concurrent use, and by any number
// of gateways that share state and vault.
type Forms struct{ o Options }

// New returns a Forms.
func New(o Options) *Forms {
	if o.Clock == nil {
		o.Clock = clock.System{}
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	return &Forms{o: o}
}

// JWK is a public key on P-256 (RFC 7517).
type JWK struct {
	Kty string `json:"kty"` // EC
	Crv string `json:"crv"` // P-256
	X   string `json:"x"`
	Y   string `json:"y"`
}

// Key is what a page seals one form with. It may be told to anybody, and must not
// be stored by anybody (Cache-Control: no-store).
type Key struct {
	ID      string    `json:"kid"`
	JWK     JWK       `json:"jwk"`
	Nonce   string    `json:"nonce"`
	Expires time.Time `json:"expires"`
}

// Form is an opened form.
type Form struct {
	Email       string
	Password    vault.Secret
	NewPassword vault.Secret // empty in a form that sets none
}

// held is what the state keeps of a key, sealed by the vault for its id.
type held struct {
	Private []byte    `json:"private"`
	Nonce   string    `json:"nonce"`
	Expires time.Time `json:"expires"`
}

const (
	prefix  = "sealed_form/"
	purpose = "sealed_form"
)

// Key makes a key for one form. client is who asks: an address that is not valid is
// an error, and one that asks too often gets ErrTooMany.
func (f *Forms) Key(ctx context.Context, client netip.Addr) (Key, error) {
	if !client.IsValid() {
		return Key{}, errors.New("making a key for a form: the client's address is unknown")
	}
	verdict, err := f.o.State.Admit(ctx, prefix+address.Source(client), PerAddress)
	if err != nil {
		return Key{}, fmt.Errorf("making a key for a form: %w", err)
	}
	if !verdict.Allowed {
		return Key{}, ErrTooMany
	}
	private, random, err := f.random()
	if err != nil {
		return Key{}, fmt.Errorf("making a key for a form: %w", err)
	}
	h := held{Private: private.Bytes(), Nonce: encode(random[16:]), Expires: f.o.Clock.Now().Add(Lifetime).UTC().Truncate(time.Second)}
	// The time is part of the id only to tell, when nothing is found, whether the key
	// is too old; it decides nothing.
	id := strconv.FormatInt(h.Expires.Unix(), 36) + "-" + encode(random[:16])
	plain, err := json.Marshal(h)
	if err != nil {
		return Key{}, fmt.Errorf("making a key for a form: %w", err)
	}
	sealed, err := f.o.Vault.Seal(purpose, id, plain)
	if err != nil {
		return Key{}, fmt.Errorf("making a key for a form: %w", err)
	}
	if err := f.o.State.Put(ctx, prefix+id, sealed, Lifetime); err != nil {
		return Key{}, fmt.Errorf("making a key for a form: %w", err)
	}
	point := private.PublicKey().Bytes() // 4, x, y
	return Key{
		ID: id, Nonce: h.Nonce, Expires: h.Expires,
		JWK: JWK{Kty: "EC", Crv: "P-256", X: encode(point[1:33]), Y: encode(point[33:65])},
	}, nil
}

// random makes a private key and 32 bytes. The key's bytes are drawn from the
// injected source; those few that are no key are drawn again.
func (f *Forms) random() (*ecdh.PrivateKey, []byte, error) {
	b := make([]byte, 32)
	for {
		if _, err := io.ReadFull(f.o.Rand, b); err != nil {
			return nil, nil, err
		}
		private, err := ecdh.P256().NewPrivateKey(b)
		if err != nil {
			continue // zero, or not less than the order: one in 2^32
		}
		random := make([]byte, 32)
		_, err = io.ReadFull(f.o.Rand, random)
		return private, random, err
	}
}

// Open opens a sealed form, once: ErrMalformed, ErrReplayed, ErrExpired, or an error
// of the state store. No error says anything about the password.
func (f *Forms) Open(ctx context.Context, jwe string) (Form, error) {
	id, err := readHeader(jwe)
	if err != nil {
		return Form{}, err
	}
	message, err := jose.ParseEncryptedCompact(jwe, []jose.KeyAlgorithm{jose.ECDH_ES}, []jose.ContentEncryption{jose.A256GCM})
	if err != nil {
		return Form{}, ErrMalformed
	}
	h, err := f.take(ctx, id)
	if err != nil {
		return Form{}, err
	}
	return decrypt(message, h)
}

// take takes a key out of the state.
func (f *Forms) take(ctx context.Context, id string) (held, error) {
	entry, err := f.o.State.Take(ctx, prefix+id)
	if errors.Is(err, state.ErrNotFound) {
		seconds, _ := strconv.ParseInt(id[:strings.IndexByte(id, '-')], 36, 64) // readHeader saw to the form
		if !f.o.Clock.Now().Before(time.Unix(seconds, 0)) {
			return held{}, ErrExpired
		}
		return held{}, ErrReplayed
	}
	if err != nil {
		return held{}, fmt.Errorf("opening a sealed form: %w", err)
	}
	plain, err := f.o.Vault.Open(purpose, id, entry.Value)
	if err != nil {
		return held{}, fmt.Errorf("opening a sealed form: %w", err)
	}
	var h held
	if err := json.Unmarshal(plain.Reveal(), &h); err != nil {
		return held{}, errors.New("opening a sealed form: its key cannot be read")
	}
	if !f.o.Clock.Now().Before(h.Expires) {
		return held{}, ErrExpired
	}
	return h, nil
}

func decrypt(message *jose.JSONWebEncryption, h held) (Form, error) {
	private, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), h.Private)
	if err != nil {
		return Form{}, errors.New("opening a sealed form: its key cannot be read")
	}
	plain, err := message.Decrypt(private)
	if err != nil {
		return Form{}, ErrMalformed
	}
	var in struct {
		Nonce       *string `json:"nonce"`
		Password    *string `json:"password"`
		NewPassword string  `json:"new_password"`
		Email       string  `json:"email"`
	}
	if err := json.Unmarshal(plain, &in, json.RejectUnknownMembers(true)); err != nil || in.Nonce == nil || in.Password == nil {
		return Form{}, ErrMalformed
	}
	if subtle.ConstantTimeCompare([]byte(*in.Nonce), []byte(h.Nonce)) != 1 {
		return Form{}, ErrMalformed
	}
	return Form{Email: in.Email, Password: vault.NewSecret([]byte(*in.Password)), NewPassword: vault.NewSecret([]byte(in.NewPassword))}, nil
}

// header is everything a protected header may hold.
type header struct {
	Alg string `json:"alg"`
	Enc string `json:"enc"`
	Kid string `json:"kid"`
	Epk JWK    `json:"epk"`
}

var keyID = regexp.MustCompile(`^[0-9a-z]{1,12}-[A-Za-z0-9_-]{22}$`)

// readHeader holds the message's form and header against the wire format, before
// anything is looked up, and returns the key's id.
func readHeader(jwe string) (id string, err error) {
	if len(jwe) > MaxBytes {
		return "", ErrMalformed
	}
	first, rest, _ := strings.Cut(jwe, ".")
	if strings.Count(rest, ".") != 3 || rest[0] != '.' { // no encrypted key with direct agreement
		return "", ErrMalformed
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(first)
	if err != nil {
		return "", ErrMalformed
	}
	var h header
	if err := json.Unmarshal(raw, &h, json.RejectUnknownMembers(true)); err != nil ||
		h.Alg != string(jose.ECDH_ES) || h.Enc != string(jose.A256GCM) || h.Epk.Kty != "EC" || h.Epk.Crv != "P-256" || !keyID.MatchString(h.Kid) {
		return "", ErrMalformed
	}
	return h.Kid, nil
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
