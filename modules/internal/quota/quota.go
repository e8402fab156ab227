// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// Package quota limits how many API calls a key or a person may make: so many
// calls in five seconds, so many a day, and so many bulk calls on top.
//
// It counts with ulule/limiter in fixed windows, each of which begins with the
// first call in it. Around the end of a window up to twice the limit can pass
// within one window's length; that is good enough for quotas, and not for
// guessing, which package attempts slows down. A refused call counts in the
// windows that were asked before one of them refused.
//
// Counts live in memory, on one machine, or in Redis, for all machines
// together. When Redis cannot be reached, Take is an error that wraps ErrStore,
// which the gate answers with 503; with Config.FailOpen the call passes instead
// and Verdict.Unchecked says so.
package quota

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/ulule/limiter/v3"
	"github.com/ulule/limiter/v3/drivers/store/memory"
	redisstore "github.com/ulule/limiter/v3/drivers/store/redis"

	"github.com/crmgate/crmgate/modules/internal/clock"
)

// ErrStore is wrapped by every failure to reach the counts.
var ErrStore = errors.New("quota store unavailable")

// Rule allows so many calls in a window.
type Rule struct {
	Calls int64         // 1 or more
	Per   time.Duration // 1 s ... 31 days
}

// Config of New.
type Config struct {
	Calls []Rule // all of them hold for every call; empty: calls are not limited
	Bulk  []Rule // hold for bulk calls in addition, counted apart; empty: bulk calls are calls

	// Redis counts for all machines together; nil counts in memory. It is first
	// used by the first call, so that a gateway starts while Redis is away.
	Redis redis.UniversalClient
	// Prefix goes before every key in Redis; it names the account. "" with Redis is
	// an error: two accounts would share their quotas.
	Prefix string
	Clock  clock.Clock // nil: the machine's; when to try a store again
	// FailOpen lets calls pass uncounted while the store cannot be reached.
	FailOpen bool
}

// Verdict is the answer about one call. The zero value is a refusal.
type Verdict struct {
	Allowed   bool
	Unchecked bool // passed by FailOpen; the members below say nothing then
	// The rule that refused, or of those that did not the one with the fewest calls
	// left. All zero when no rule applies.
	Limit     int64
	Remaining int64
	Reset     time.Time // when its window ends, to the second, rounded up
}

// Quota counts calls. It is safe for concurrent use.
type Quota struct {
	calls, bulk []rule
	failOpen    bool

	open   func() (limiter.Store, error)
	clock  clock.Clock
	mu     sync.Mutex // guards what follows
	got    limiter.Store
	failed error     // why the store could not be opened ...
	retry  time.Time // ... and when to try again
}

// rule is a Rule ready to be asked.
type rule struct {
	limiter.Rate
	suffix string // of the key: its window
}

// retryAfter is how long a store that could not be opened is left alone, so
// that calls do not queue up for one time-out each.
const retryAfter = time.Second

// New returns a quota. Rules out of range are an error; a store that cannot be
// reached is not.
func New(c Config) (*Quota, error) {
	q := &Quota{failOpen: c.FailOpen, clock: c.Clock}
	if q.clock == nil {
		q.clock = clock.System{}
	}
	var err error
	if q.calls, err = rates("calls", c.Calls); err != nil {
		return nil, err
	}
	if q.bulk, err = rates("bulk calls", c.Bulk); err != nil {
		return nil, err
	}
	if c.Redis == nil {
		q.got = memory.NewStore()
		return q, nil
	}
	if c.Prefix == "" {
		return nil, errors.New("checking quotas: counting in Redis needs a prefix that names the account")
	}
	q.open = func() (limiter.Store, error) {
		return redisstore.NewStoreWithOptions(c.Redis, limiter.StoreOptions{Prefix: c.Prefix})
	}
	return q, nil
}

func rates(what string, rules []Rule) ([]rule, error) {
	var out []rule
	for _, r := range rules {
		if r.Calls < 1 || r.Per < time.Second || r.Per > 31*24*time.Hour {
			return nil, fmt.Errorf("checking quotas: %d %s in %v: use 1 or more in 1s to 31 days", r.Calls, what, r.Per)
		}
		suffix := fmt.Sprintf(":%d", r.Per.Milliseconds())
		if slices.ContainsFunc(out, func(o rule) bool { return o.suffix == suffix }) {
			return nil, fmt.Errorf("checking quotas: two limits for %s in %v: keep one", what, r.Per)
		}
		out = append(out, rule{limiter.Rate{Limit: r.Calls, Period: r.Per}, suffix})
	}
	slices.SortFunc(out, func(a, b rule) int { return int(a.Period/time.Second) - int(b.Period/time.Second) })
	return out, nil
}

// Take counts one call of key, the id of an API key or a person (never a
// secret: it becomes part of a key in the store), and says whether it may pass.
// An empty key is an error: everybody without one would share a quota.
func (q *Quota) Take(ctx context.Context, key string, bulk bool) (Verdict, error) {
	if key == "" {
		return Verdict{}, errors.New("counting a call: it has no key")
	}
	v := Verdict{Allowed: true}
	if len(q.calls) == 0 && (!bulk || len(q.bulk) == 0) {
		return v, nil
	}
	store, err := q.store()
	if err == nil {
		err = q.take(ctx, store, "c:"+key, q.calls, &v)
	}
	if err == nil && bulk && v.Allowed {
		err = q.take(ctx, store, "b:"+key, q.bulk, &v)
	}
	switch {
	case err != nil && q.failOpen:
		return Verdict{Allowed: true, Unchecked: true}, nil
	case err != nil:
		return Verdict{}, fmt.Errorf("counting a call: %w: %w", ErrStore, err)
	}
	return v, nil
}

// take asks rule after rule, the shortest window first, until one refuses.
func (q *Quota) take(ctx context.Context, store limiter.Store, key string, rules []rule, v *Verdict) error {
	for _, r := range rules {
		got, err := store.Get(ctx, key+r.suffix, r.Rate)
		if err != nil {
			return err
		}
		if got.Reached || v.Limit == 0 || got.Remaining < v.Remaining {
			v.Limit, v.Remaining, v.Reset = got.Limit, got.Remaining, time.Unix(got.Reset+1, 0).UTC()
		}
		if got.Reached {
			v.Allowed = false
			return nil
		}
	}
	return nil
}

// store returns the store, opened by the first call that can.
func (q *Quota) store() (limiter.Store, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.got != nil {
		return q.got, nil
	}
	if now := q.clock.Now(); now.Before(q.retry) {
		return nil, q.failed
	}
	got, err := q.open()
	if err != nil {
		q.failed, q.retry = err, q.clock.Now().Add(retryAfter)
		return nil, err
	}
	q.got = got
	return got, nil
}
