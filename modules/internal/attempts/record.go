// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package attempts

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/crmgate/crmgate/modules/internal/state"
)

// record is what the store holds under one key. Times are Unix milliseconds.
// It never grows beyond its limit: what is pending and what failed together are
// no more than Limit.Failures.
type record struct {
	Subject string    `json:"s"`
	Pending []pending `json:"p,omitempty"`
	Failed  []int64   `json:"f,omitempty"`
	Level   int       `json:"l,omitempty"` // how many bans there were
	Until   int64     `json:"u,omitempty"` // when the last one ends
}

type pending struct {
	ID string `json:"i"`
	At int64  `json:"t"`
}

// errUnchanged ends an update that has nothing to write.
var errUnchanged = errors.New("nothing to write")

// tries bounds the rounds of one update. Every round somebody else got through,
// and a record has only so many places.
const tries = 100

func (t *Throttle) now() int64 { return t.o.Clock.Now().UnixMilli() }

// read returns the record under key and its bytes, nil for one that is not there.
func (t *Throttle) read(ctx context.Context, key string) (record, []byte, error) {
	entry, err := t.store.Get(ctx, key)
	if errors.Is(err, state.ErrNotFound) {
		return record{}, nil, nil
	}
	if err != nil {
		return record{}, nil, fmt.Errorf("reading attempts: %w", err)
	}
	var r record
	if err := json.Unmarshal(entry.Value, &r); err != nil {
		return record{}, nil, fmt.Errorf("decoding attempts: %w", err)
	}
	return r, entry.Value, nil
}

// update changes the record of c as one atomic act: change may be called
// several times, each time with what the store holds by then.
func (t *Throttle) update(ctx context.Context, c count, change func(*record) error) error {
	for range tries {
		r, old, err := t.read(ctx, c.key)
		if err != nil {
			return err
		}
		r.Subject = c.subject
		t.age(&r, c)
		if err := change(&r); errors.Is(err, errUnchanged) {
			return nil
		} else if err != nil {
			return err
		}
		value, err := json.Marshal(r)
		if err != nil {
			return fmt.Errorf("encoding attempts: %w", err)
		}
		var done bool
		if old == nil {
			done, err = t.store.PutNew(ctx, c.key, value, t.ttl(c))
		} else {
			done, err = t.store.Replace(ctx, c.key, old, value, t.ttl(c))
		}
		if err != nil && !errors.Is(err, state.ErrNotFound) {
			return fmt.Errorf("writing attempts: %w", err)
		}
		if done && err == nil {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("writing attempts: %w", err)
		}
	}
	return &WaitError{Kind: c.kind, Until: t.o.Clock.Now().Add(busyFor)}
}

// ttl is how long a record may matter.
func (t *Throttle) ttl(c count) time.Duration {
	return max(c.limit.Within, pendingFor) + t.o.MaxBan + t.o.Forget
}

// age brings a record up to now: attempts that never ended become failures of
// the moment they should have ended, old failures and bans are forgotten. It
// depends on the record and the time alone, so that it need not be written back.
func (t *Throttle) age(r *record, c count) {
	now := t.now()
	r.Pending = slices.DeleteFunc(r.Pending, func(p pending) bool {
		end := p.At + pendingFor.Milliseconds()
		if end <= now {
			t.fail(r, c, end)
		}
		return end <= now
	})
	r.Failed = slices.DeleteFunc(r.Failed, func(at int64) bool { return now-at >= c.limit.Within.Milliseconds() })
	if r.Level > 0 && now-r.Until >= t.o.Forget.Milliseconds() {
		r.Level, r.Until = 0, 0
	}
	// A clock that was set back must not make a ban longer than it can be.
	r.Until = min(r.Until, now+t.o.MaxBan.Milliseconds())
}

// admit says whether one more attempt may be verified: nil or a *WaitError.
func (t *Throttle) admit(r *record, c count) error {
	t.age(r, c)
	now := t.now()
	if r.Until > now {
		return &WaitError{Kind: c.kind, Until: time.UnixMilli(r.Until), Ban: true}
	}
	places := c.limit.Failures - len(r.Failed)
	if r.Level > 0 {
		places = 1 // after a ban one at a time: its failure is the next ban
	}
	if len(r.Pending) >= places {
		return &WaitError{Kind: c.kind, Until: t.o.Clock.Now().Add(busyFor)}
	}
	return nil
}

// fail counts one failure at a time and starts a ban when it is one too many.
func (t *Throttle) fail(r *record, c count, at int64) {
	r.Failed = slices.DeleteFunc(append(r.Failed, at), func(f int64) bool { return at-f >= c.limit.Within.Milliseconds() })
	if r.Level == 0 && len(r.Failed) < c.limit.Failures {
		return
	}
	r.Failed = nil
	r.Level++
	r.Until = max(r.Until, at+t.ban(r.Level).Milliseconds())
}

// ban is how long the n-th ban lasts, from 1.
func (t *Throttle) ban(n int) time.Duration {
	d := t.o.FirstBan
	for range n - 1 {
		if d >= t.o.MaxBan/2 {
			return t.o.MaxBan
		}
		d *= 2
	}
	return min(d, t.o.MaxBan)
}

// drop gives a place back.
func (r *record) drop(id string) error {
	n := len(r.Pending)
	r.Pending = slices.DeleteFunc(r.Pending, func(p pending) bool { return p.ID == id })
	if len(r.Pending) == n {
		return errUnchanged
	}
	return nil
}
