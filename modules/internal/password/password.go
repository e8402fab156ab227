// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// Package password hashes and verifies passwords and holds them against a
// policy.
//
// New hashes are argon2id in PHC form. Imported bcrypt, PBKDF2, scrypt,
// SHA-crypt, argon2id and argon2i hashes verify as well and are to be replaced at
// the next sign-in (Result.Rehash). Plain text, MD5-crypt and unsalted hashes are
// refused. A Keeper sets and changes passwords, with their history and age.
//
// Every password is brought into Unicode normalisation form C first (RFC 8265
// §4.2.2), so that an accent typed in two ways is one password; nothing else
// about it is changed. A password that is empty, longer than MaxBytes or not
// UTF-8 is refused before any hashing, for accounts that exist and for those that
// do not.
//
// Hashing is work and memory on purpose (about 20 ms and 19 MiB). A Hasher does
// as many at a time as the machine has cores; who waits longer than Options.Wait
// gets ErrBusy. So a flood of sign-ins takes neither the memory nor the cores
// from people who are signed in already.
package password

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"runtime"
	"time"
	"unicode/utf8"

	"github.com/go-crypt/crypt/algorithm/argon2"
	"golang.org/x/text/unicode/norm"
)

// MaxBytes is the longest password that is looked at, in bytes of UTF-8.
const MaxBytes = 1024

// DefaultWait is how long a caller waits for its turn.
const DefaultWait = 2 * time.Second

// Errors callers branch on.
var (
	// ErrBusy: too many passwords are being checked. Nothing was checked; answer
	// 503 or 429, never "wrong password".
	ErrBusy = errors.New("too many passwords are being checked at the moment")
	// ErrUnusable: the password is empty, too long or not UTF-8. Nothing was hashed.
	ErrUnusable = errors.New("the password cannot be used")
	// ErrStored: the stored hash cannot be read or is of a kind or cost that is
	// refused. The person cannot sign in until the password is set anew.
	ErrStored = errors.New("the stored password hash cannot be used")
)

// Params are the costs of new hashes (RFC 9106).
type Params struct {
	MemoryKiB   uint32 // 8192 ... 262144
	Iterations  int    // 1 ... 16
	Parallelism int    // 1 ... 16
}

// DefaultParams returns 19 MiB, two passes, one lane.
func DefaultParams() Params { return Params{MemoryKiB: 19 * 1024, Iterations: 2, Parallelism: 1} }

// Options of New. The zero value is usable.
type Options struct {
	Params  Params        // zero: DefaultParams
	Workers int           // how many at a time; 0: the number of cores
	Wait    time.Duration // 0: DefaultWait
	Rand    io.Reader     // 16 bytes of salt a hash; nil: crypto/rand
}

// Hasher hashes and verifies. It is safe for concurrent use.
type Hasher struct {
	params Params
	hasher *argon2.Hasher
	slots  chan struct{}
	wait   time.Duration
	rand   io.Reader
	dummy  stored // what unknown accounts are checked against
	worked func() // called before every run of a hash function; for tests
}

// Result is the answer of Verify.
type Result struct {
	OK     bool // the password is right
	Rehash bool // right, but the stored hash is of another kind or cost: store Hash(password)
}

// New returns a Hasher. Costs out of range are an error.
func New(o Options) (*Hasher, error) {
	if o.Params == (Params{}) {
		o.Params = DefaultParams()
	}
	p := o.Params
	if p.MemoryKiB < 8192 || p.MemoryKiB > maxMemoryKiB || p.Iterations < 1 || p.Iterations > maxPasses || p.Parallelism < 1 || p.Parallelism > maxLanes {
		return nil, fmt.Errorf("checking password costs: %+v is out of range: memory 8192 to %d KiB, iterations 1 to %d, parallelism 1 to %d",
			p, maxMemoryKiB, maxPasses, maxLanes)
	}
	if o.Workers <= 0 {
		o.Workers = runtime.NumCPU()
	}
	if o.Wait <= 0 {
		o.Wait = DefaultWait
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	hasher, err := argon2.New(argon2.WithVariantID(), argon2.WithMemoryInKiB(p.MemoryKiB),
		argon2.WithIterations(p.Iterations), argon2.WithParallelism(p.Parallelism), argon2.WithKeyLength(32))
	if err != nil {
		return nil, fmt.Errorf("checking password costs: %w", err)
	}
	h := &Hasher{
		params: p, hasher: hasher, slots: make(chan struct{}, o.Workers), wait: o.Wait, rand: o.Rand, worked: func() {},
	}
	dummy, err := h.Hash(context.Background(), "no account has this password")
	if err != nil {
		return nil, err
	}
	if h.dummy, err = decode(dummy); err != nil {
		return nil, err
	}
	return h, nil
}

// Hash returns the PHC string to store for a password: ErrUnusable, ErrBusy, the
// context's error or a failure of the source of randomness otherwise.
func (h *Hasher) Hash(ctx context.Context, password string) (string, error) {
	password, err := prepare(password)
	if err != nil {
		return "", err
	}
	release, err := h.acquire(ctx)
	if err != nil {
		return "", err
	}
	defer release()
	salt := make([]byte, 16)
	if _, err := io.ReadFull(h.rand, salt); err != nil {
		return "", fmt.Errorf("making a salt: %w", err)
	}
	h.worked()
	digest, err := h.hasher.HashWithSalt(password, salt)
	if err != nil {
		return "", fmt.Errorf("hashing: %w", err)
	}
	return digest.Encode(), nil
}

// Verify says whether the password belongs to the stored hash.
//
// For an account that is unknown, or has no password, give an empty hash: the
// answer is no, after the same work as for one that exists, so that the time an
// answer takes does not tell who has an account. (An account with an imported
// hash takes that hash's time until it was replaced.) A stored hash that cannot
// be used costs the same work too, and is ErrStored.
func (h *Hasher) Verify(ctx context.Context, hash, password string) (Result, error) {
	password, err := prepare(password)
	if err != nil {
		return Result{}, err
	}
	release, err := h.acquire(ctx)
	if err != nil {
		return Result{}, err
	}
	defer release()

	s, known, broken := h.dummy, hash != "", error(nil)
	if known {
		if s, broken = decode(hash); broken != nil {
			s = h.dummy
		}
	}
	h.worked()
	match, err := s.match(password)
	switch {
	case broken != nil:
		return Result{}, broken
	case !known:
		return Result{}, nil
	case err != nil:
		return Result{}, err
	}
	return Result{OK: match, Rehash: match && !s.is(h.params) && s.sawAll(password)}, nil
}

// Check says whether a hash made elsewhere can be verified here: nil or an error
// that wraps ErrStored. Imports call it before they store anything.
func Check(hash string) error {
	_, err := decode(hash)
	return err
}

// acquire waits for a turn.
func (h *Hasher) acquire(ctx context.Context) (release func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("waiting to check a password: %w", err)
	}
	release = func() { <-h.slots }
	select {
	case h.slots <- struct{}{}:
		return release, nil
	default:
	}
	timer := time.NewTimer(h.wait)
	defer timer.Stop()
	select {
	case h.slots <- struct{}{}:
		return release, nil
	case <-timer.C:
		return nil, ErrBusy
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting to check a password: %w", ctx.Err())
	}
}

// prepare refuses what must not be hashed and normalises the rest.
func prepare(password string) (string, error) {
	switch {
	case password == "":
		return "", fmt.Errorf("%w: it is empty", ErrUnusable)
	case len(password) > MaxBytes:
		return "", fmt.Errorf("%w: it is longer than %d bytes", ErrUnusable, MaxBytes)
	case !utf8.ValidString(password):
		return "", fmt.Errorf("%w: it is not UTF-8", ErrUnusable)
	}
	return norm.NFC.String(password), nil
}
