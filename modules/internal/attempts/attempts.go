// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// Package attempts slows down guessing. Failed attempts are counted in the state
// store, so on all machines together, under three keys: the account, the
// address (a /64 for IPv6), and the pair of both.
//
// Five failures within five minutes (twenty for an address) start a ban of 30
// seconds; every failure after it starts a longer one: 1, 2, 4 ... up to 15
// minutes. An hour after a ban ended it is forgotten.
//
// An attempt takes its place before anything is verified, as one atomic act, and
// gives it back with the result:
//
//	a, err := t.Before(ctx, email, ip) // *WaitError: refuse, say when to try again
//	... verify ...
//	a.Failure(ctx), a.Success(ctx) or a.Release(ctx)
//
// So however many guesses arrive at once, no more are verified than the limit
// leaves. An attempt that never says how it ended counts as a failure after a
// minute. A success forgets the failures of the account and of the pair, never
// those of the address: somebody with an account of his own cannot use it to go
// on guessing at others.
//
// The account is named by its canonical e-mail address, which is folded here;
// who lets people sign in by other names must resolve them first, or every name
// would have its own five tries.
//
// Everything fails closed: without the store, with an address that is not valid
// or with a record that cannot be read, Before is an error and nothing must be
// verified.
//
// # Log line
//
// FailedLine makes the one line that fail2ban and CrowdSec can rely on:
//
//	crmgate sign-in failed ip=203.0.113.7 account=c1b996b40e33 reason=wrong_credentials
//
// A fail2ban filter for it is "failregex = crmgate sign-in failed ip=<ADDR> ".
package attempts

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"time"

	"github.com/crmgate/crmgate/modules/internal/clock"
	"github.com/crmgate/crmgate/modules/internal/state"
)

// Kind says what a count or a ban is about.
type Kind string

// The kinds.
const (
	Account Kind = "account"
	Pair    Kind = "pair"
	Address Kind = "address"
)

// Limit is how many failures within a time start a ban.
type Limit struct {
	Failures int           // 1 ... 1000
	Within   time.Duration // 1 s ... 24 h
}

// Options of New. Zero members take the defaults.
type Options struct {
	Name    string // what is attempted, part of every key: "sign_in" (the default), "second_factor", ...
	Account Limit  // 5 in 5 minutes
	Pair    Limit  // 5 in 5 minutes
	Address Limit  // 20 in 5 minutes

	FirstBan time.Duration // 30 s
	MaxBan   time.Duration // 15 min
	Forget   time.Duration // how long after a ban it is remembered: 1 h

	Clock clock.Clock // the machine's
	Rand  io.Reader   // crypto/rand
}

// pendingFor is how long an attempt may take before it counts as a failure.
const pendingFor = time.Minute

// busyFor is how long a caller is asked to wait when the places are taken by
// attempts that have yet to end.
const busyFor = time.Second

// WaitError refuses an attempt. Nothing was counted.
type WaitError struct {
	Kind  Kind      // what was too much; for the audit, not for the client
	Until time.Time // when to try again
	Ban   bool      // false: only too many attempts at the same moment
}

// Error says when to try again.
func (e *WaitError) Error() string {
	return "too many failed attempts: try again at " + e.Until.UTC().Format(time.RFC3339)
}

// Throttle counts attempts of one name. It is safe for concurrent use.
type Throttle struct {
	store state.Store
	o     Options
}

// New returns a throttle. Limits out of range are an error.
func New(store state.Store, o Options) (*Throttle, error) {
	if o.Name == "" {
		o.Name = "sign_in"
	}
	for _, l := range []struct {
		limit *Limit
		n     int
	}{{&o.Account, 5}, {&o.Pair, 5}, {&o.Address, 20}} {
		if *l.limit == (Limit{}) {
			*l.limit = Limit{l.n, 5 * time.Minute}
		}
		if l.limit.Failures < 1 || l.limit.Failures > 1000 || l.limit.Within < time.Second || l.limit.Within > 24*time.Hour {
			return nil, fmt.Errorf("checking attempt limits: %d failures in %v: use 1 to 1000 in 1s to 24h", l.limit.Failures, l.limit.Within)
		}
	}
	for _, d := range []struct {
		value *time.Duration
		def   time.Duration
	}{{&o.FirstBan, 30 * time.Second}, {&o.MaxBan, 15 * time.Minute}, {&o.Forget, time.Hour}} {
		if *d.value == 0 {
			*d.value = d.def
		}
	}
	if o.FirstBan < time.Second || o.MaxBan < o.FirstBan || o.MaxBan > 24*time.Hour || o.Forget < 0 || o.Forget > 24*time.Hour {
		return nil, fmt.Errorf("checking ban times: first %v, longest %v, remembered %v: use 1s up to the longest, at most 24h each", o.FirstBan, o.MaxBan, o.Forget)
	}
	if o.Clock == nil {
		o.Clock = clock.System{}
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	return &Throttle{store: store, o: o}, nil
}

// Attempt is a place that was taken. Failure, Success or Release ends
// it. They are carried out even when ctx is cancelled meanwhile: a
// client who goes away must not take the result with him.
type Attempt struct {
	t      *Throttle
	id     string
	counts []count // address first
}

// count is one of the keys an attempt counts under.
type count struct {
	kind    Kind
	subject string // who is counted, in words, for Bans
	key     string
	limit   Limit
}

// Before takes a place for an attempt at the account from the address, or
// refuses with a *WaitError. An empty e-mail (a passkey that names the account
// itself) counts under the address alone.
func (t *Throttle) Before(ctx context.Context, email string, ip netip.Addr) (*Attempt, error) {
	counts, err := t.counts(email, ip)
	if err != nil {
		return nil, err
	}
	// A look at all three first: an attempt that one of them refuses must not
	// count under the others.
	for _, c := range counts {
		r, _, err := t.read(ctx, c.key)
		if err != nil {
			return nil, err
		}
		if err := t.admit(&r, c); err != nil {
			return nil, err
		}
	}
	id := make([]byte, 6)
	if _, err := io.ReadFull(t.o.Rand, id); err != nil {
		return nil, fmt.Errorf("naming an attempt: %w", err)
	}
	a := &Attempt{t: t, id: hex.EncodeToString(id), counts: counts}
	for i, c := range counts {
		err := t.update(ctx, c, func(r *record) error {
			if err := t.admit(r, c); err != nil {
				return err
			}
			r.Pending = append(r.Pending, pending{ID: a.id, At: t.now()})
			return nil
		})
		if err != nil {
			taken := &Attempt{t: t, id: a.id, counts: counts[:i]}
			if lost := taken.Release(ctx); lost != nil {
				return nil, errors.Join(err, lost)
			}
			return nil, err
		}
	}
	return a, nil
}

// Failure counts the attempt as failed. On an error the place stays taken and
// counts as a failure a minute later.
func (a *Attempt) Failure(ctx context.Context) error {
	return a.each(ctx, func(ctx context.Context, c count) error {
		return a.t.update(ctx, c, func(r *record) error {
			_ = r.drop(a.id) // gone when the minute is over: it counts all the same
			a.t.fail(r, c, a.t.now())
			return nil
		})
	})
}

// Success forgets the failures of the account and of the pair, and gives the
// address its place back.
func (a *Attempt) Success(ctx context.Context) error {
	return a.each(ctx, func(ctx context.Context, c count) error {
		if c.kind != Address {
			return a.t.store.Delete(ctx, c.key)
		}
		return a.t.update(ctx, c, func(r *record) error { return r.drop(a.id) })
	})
}

// Release gives the places back and counts nothing: for an attempt that could
// not be verified through no fault of the client. After Failure or Success it
// does nothing, so it may be deferred where every refusal must be told by hand.
func (a *Attempt) Release(ctx context.Context) error {
	return a.each(ctx, func(ctx context.Context, c count) error {
		return a.t.update(ctx, c, func(r *record) error { return r.drop(a.id) })
	})
}

func (a *Attempt) each(ctx context.Context, f func(context.Context, count) error) error {
	ctx = context.WithoutCancel(ctx)
	var errs []error
	for _, c := range a.counts {
		if err := f(ctx, c); err != nil {
			errs = append(errs, fmt.Errorf("counting an attempt: %w", err))
		}
	}
	return errors.Join(errs...)
}
