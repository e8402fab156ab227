// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package assertion

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/crmgate/crmgate/modules/internal/clock"
	"github.com/crmgate/crmgate/modules/internal/records"
	"github.com/crmgate/crmgate/modules/internal/vault"
)

// Defaults and bounds of Options.
const (
	DefaultLifetime = time.Minute
	MaxLifetime     = 5 * time.Minute
	DefaultRefresh  = time.Minute
	DefaultLead     = 10 * time.Minute
)

// Store is what a Signer needs of records.Store.
type Store interface {
	PutBlob(ctx context.Context, b records.Blob) (records.Blob, error)
	Blob(ctx context.Context, name string) (records.Blob, error)
}

// Options of a Signer. Records, Vault and Issuer must be set.
type Options struct {
	Records  Store
	Vault    *vault.Vault
	Issuer   string        // member iss: the gateway's public address
	Lifetime time.Duration // of a token; 0: DefaultLifetime, at most MaxLifetime
	Refresh  time.Duration // between two readings of the keys; 0: DefaultRefresh
	Lead     time.Duration // how long a new key is published before it signs; 0: DefaultLead
	Clock    clock.Clock   // nil: the machine's
	Log      *slog.Logger  // a reading that failed; nil: nowhere
}

// Claims is what a token says. Subject and Audience must be set; empty others are
// left out.
type Claims struct {
	Subject  string // sub: the person's id
	Audience string // aud: the CRM
	Email    string // email
	Name     string // name
	Role     string // role
	Session  string // sid: names the session, does not open it
	Policy   string // pol: the version of the policy the request was judged by
}

// payload is Claims on the wire (RFC 7519 section 4.1).
type payload struct {
	Issuer   string           `json:"iss"`
	Subject  string           `json:"sub"`
	Audience string           `json:"aud"`
	Issued   *jwt.NumericDate `json:"iat"`
	From     *jwt.NumericDate `json:"nbf"`
	Expires  *jwt.NumericDate `json:"exp"`
	Email    string           `json:"email,omitempty"`
	Name     string           `json:"name,omitempty"`
	Role     string           `json:"role,omitempty"`
	Session  string           `json:"sid,omitempty"`
	Policy   string           `json:"pol,omitempty"`
}

// ErrClaims is returned for claims without subject or audience.
var ErrClaims = errors.New("assertion: a token needs a subject and an audience")

// Signer makes tokens. Safe for concurrent use.
type Signer struct {
	opt    Options
	set    atomic.Pointer[keySet]
	cache  *cache
	cancel context.CancelFunc
	ended  chan struct{}
}

// Open reads the signing keys, or makes the first one, and follows them until
// Close.
func Open(ctx context.Context, opt Options) (*Signer, error) {
	const doing = "opening the identity signer"
	if opt.Records == nil || opt.Vault == nil || opt.Issuer == "" {
		return nil, fmt.Errorf("%s: records, a vault and an issuer are needed", doing)
	}
	for _, d := range [...]struct {
		v  *time.Duration
		to time.Duration
	}{{&opt.Lifetime, DefaultLifetime}, {&opt.Refresh, DefaultRefresh}, {&opt.Lead, DefaultLead}} {
		if *d.v == 0 {
			*d.v = d.to
		}
	}
	if opt.Lifetime < 2*time.Second || opt.Lifetime > MaxLifetime {
		return nil, fmt.Errorf("%s: a token's lifetime of %v is not between 2s and %v", doing, opt.Lifetime, MaxLifetime)
	}
	if opt.Refresh < 0 || opt.Lead < 2*opt.Refresh {
		return nil, fmt.Errorf("%s: a key must be published (%v) for twice the time between two readings (%v) before it signs", doing, opt.Lead, opt.Refresh)
	}
	if opt.Clock == nil {
		opt.Clock = clock.System{}
	}
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	s := &Signer{opt: opt, cache: newCache(), ended: make(chan struct{})}
	if err := s.Refresh(ctx); err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	live, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s.cancel = cancel
	go s.follow(live)
	return s, nil
}

// Close ends the following; tokens can still be made.
func (s *Signer) Close() {
	s.cancel()
	<-s.ended
}

func (s *Signer) follow(ctx context.Context) {
	defer close(s.ended)
	t := time.NewTicker(s.opt.Refresh)
	defer t.Stop()
	failed := false
	for {
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
		err := s.Refresh(ctx)
		if err != nil && !failed && ctx.Err() == nil {
			s.opt.Log.Error("the identity signing keys cannot be read again, the last ones stay", "error", err)
		}
		failed = err != nil
	}
}

// Refresh reads the keys now; when that fails, those read before stay.
func (s *Signer) Refresh(ctx context.Context) error {
	set, err := load(ctx, s.opt.Records, s.opt.Vault, s.opt.Clock.Now())
	if err != nil {
		return fmt.Errorf("reading the signing keys: %w", err)
	}
	s.use(set)
	return nil
}

// use takes a set into use unless a newer one already is.
func (s *Signer) use(set *keySet) {
	for {
		old := s.set.Load()
		if old != nil && old.version > set.version || s.set.CompareAndSwap(old, set) {
			return
		}
	}
}

// Rotate makes a new key. It is published at once and signs after Options.Lead,
// when everybody has had time to fetch it; the key that signs now stays published
// until the next rotation. records.ErrConflict: somebody else rotated just now.
func (s *Signer) Rotate(ctx context.Context) error {
	const doing = "rotating the signing key"
	now := s.opt.Clock.Now()
	set, err := load(ctx, s.opt.Records, s.opt.Vault, now)
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	k, err := newKey(now.Add(s.opt.Lead))
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	signs := set.keys[set.current(now)]
	set, err = save(ctx, s.opt.Records, s.opt.Vault, []signingKey{signs, k}, set.version)
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	s.use(set)
	return nil
}

// JWKS returns the public keys (RFC 7517 section 5). They must not be changed.
// Clients may keep them for up to Options.Lead.
func (s *Signer) JWKS() []byte { return s.set.Load().jwks }

// Token returns a token that says c, valid for at least half of its lifetime. The
// same claims give the same token for the other half, so that not every request
// costs a signature.
func (s *Signer) Token(c Claims) (string, error) {
	if c.Subject == "" || c.Audience == "" {
		return "", ErrClaims
	}
	now := s.opt.Clock.Now()
	if t, ok := s.cache.get(&c, now); ok {
		return t, nil
	}
	set := s.set.Load()
	// Whole seconds, as in the token: a verifier never sees one from the future.
	issued := now.Truncate(time.Second)
	token, err := jwt.Signed(set.signers[set.current(now)]).Claims(payload{
		Issuer: s.opt.Issuer, Subject: c.Subject, Audience: c.Audience,
		Issued: jwt.NewNumericDate(issued), From: jwt.NewNumericDate(issued), Expires: jwt.NewNumericDate(issued.Add(s.opt.Lifetime)),
		Email: c.Email, Name: c.Name, Role: c.Role, Session: c.Session, Policy: c.Policy,
	}).Serialize()
	if err != nil {
		return "", fmt.Errorf("signing the identity: %w", err)
	}
	s.cache.put(&c, token, now, issued.Add(s.opt.Lifetime/2))
	return token, nil
}
