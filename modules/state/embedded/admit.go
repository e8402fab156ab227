// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package embedded

import (
	"context"
	"sync"
	"time"

	"github.com/crmgate/crmgate/modules/internal/state"
)

// limits holds the counters: for each key the theoretical arrival time of the
// next event, in nanoseconds since 1970 (GCRA, ITU-T I.371 Annex A). An absent
// key has used nothing.
type limits struct {
	mu   sync.Mutex
	tats map[string]int64
}

// Admit implements state.Store. The counters live in memory: a restart starts
// them afresh.
func (s *Store) Admit(ctx context.Context, key string, limit state.Limit) (state.Verdict, error) {
	if err := ctx.Err(); err != nil {
		return state.Verdict{}, unavailable("counting an event", err)
	}
	s.mu.RLock()
	closed := s.closed
	s.mu.RUnlock()
	if closed {
		return state.Verdict{}, errClosed
	}
	now := s.clk.Now()
	if limit.Events <= 0 || limit.Per <= 0 {
		return state.Verdict{RetryAt: now.Add(state.Never)}, nil
	}
	return s.limits.admit(key, limit, now), nil
}

func (l *limits) admit(key string, limit state.Limit, now time.Time) state.Verdict {
	step := limit.Step()
	span := step * time.Duration(limit.Events)
	l.mu.Lock()
	defer l.mu.Unlock()
	at := now.UnixNano()
	tat := max(l.tats[key], at)
	used := time.Duration(tat - at)
	if used > span { // the clock was set back, or the limit was made smaller
		used = span
		l.tats[key] = at + int64(span)
	}
	if used+step > span {
		return state.Verdict{RetryAt: now.Add(used + step - span)}
	}
	l.tats[key] = tat + int64(step)
	return state.Verdict{Allowed: true, Remaining: int((span - used - step) / step)}
}

// sweep frees the keys that have used nothing any more.
func (l *limits) sweep(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for k, tat := range l.tats {
		if tat <= now.UnixNano() {
			delete(l.tats, k)
		}
	}
}
