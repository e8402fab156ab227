// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package session

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/crmgate/crmgate/modules/internal/state"
)

// NoLimit is what Remaining answers when there is no such limit.
const NoLimit time.Duration = -1

// Lookup returns the session a token stands for. It does no I/O as long as the
// fan-out stands and the session is known.
//
// Errors: ErrNoSession, ErrExpired, ErrIdle, *LockedError (ErrLocked), and
// ErrUnavailable when nobody can say. A session ended by a lock is a LockedError
// for ten minutes, so that the person can be told why, then ErrNoSession.
func (m *Manager) Lookup(token string) (*Session, error) {
	i, ok := parseToken(token)
	if !ok {
		return nil, ErrNoSession
	}
	if e := m.view.get(i); e != nil && m.trusted() {
		return m.judge(e)
	}
	return m.lookupSlow(i)
}

// Whose returns the id of the person a token was given to, whether its session is
// good or has run into its limits; "" when nobody here knows any more. It proves
// nothing.
func (m *Manager) Whose(token string) string {
	if i, ok := parseToken(token); ok {
		if e := m.view.get(i); e != nil {
			return e.sess.Load().PersonID
		}
	}
	return ""
}

// trusted says whether the view may be served.
func (m *Manager) trusted() bool {
	lost := m.lostAt.Load()
	return lost == 0 || m.opts.BestEffort && m.clk.Now().UnixNano()-lost <= int64(bestEffortFor)
}

// judge says whether a known session is good now.
func (m *Manager) judge(e *entry) (*Session, error) {
	s := e.sess.Load()
	now := m.clk.Now()
	if e.over.Load() {
		return nil, ErrNoSession
	}
	if x := m.locks.Load(); x.size > 0 {
		f := s.Facts()
		switch v := x.match(&f, s.Created, now); {
		case v.hold != nil:
			return nil, &LockedError{Lock: *v.hold}
		case v.over != nil:
			return nil, &LockedError{Lock: *v.over}
		}
	}
	l := m.limits.Load()
	if at := now.UnixNano(); l.absolute > 0 && at-e.created >= int64(l.absolute) || e.expires != 0 && at >= e.expires {
		return nil, ErrExpired
	}
	if now.UnixNano()-e.seen.Load() >= int64(l.mayIdle()) {
		return nil, ErrIdle
	}
	return s, nil
}

// end returns when a session reaches its absolute end; zero: never.
func (l *limits) end(s *Session) time.Time {
	end := s.Expires
	if l.absolute > 0 {
		if a := s.Created.Add(l.absolute); end.IsZero() || a.Before(end) {
			end = a
		}
	}
	return end
}

// mayIdle returns how long a session may go unused.
func (l *limits) mayIdle() time.Duration {
	if l.idle == 0 {
		return housekeeping
	}
	return l.idle
}

// ttl returns how long the store should keep a session.
func (l *limits) ttl(s *Session, now time.Time) time.Duration {
	// The slack covers activity that is known here and not yet written.
	ttl := s.LastSeen.Sub(now) + l.mayIdle() + l.touchEvery + time.Minute
	if end := l.end(s); !end.IsZero() {
		ttl = min(ttl, end.Sub(now))
	}
	if ttl == 0 {
		ttl = -1 // 0 would keep it for ever
	}
	return ttl
}

// Remaining returns how long the session may stay idle from now on and how long
// it may live at all; NoLimit where there is no such limit, 0 when it is over.
func (m *Manager) Remaining(s *Session) (idle, absolute time.Duration) {
	l, now := m.limits.Load(), m.clk.Now()
	idle, absolute = NoLimit, NoLimit
	if l.idle > 0 {
		seen := s.LastSeen
		if e := m.place(s); e != nil {
			seen = time.Unix(0, e.seen.Load())
		}
		idle = max(0, seen.Add(l.idle).Sub(now))
	}
	if end := l.end(s); !end.IsZero() {
		absolute = max(0, end.Sub(now))
	}
	return idle, absolute
}

// place returns where the view keeps the session, or nil.
func (m *Manager) place(s *Session) *entry {
	if s.live != nil {
		return s.live
	}
	i, ok := parseID(s.ID)
	if !ok {
		return nil
	}
	return m.view.get(i)
}

// lookupSlow asks the store: because the session is not known here, or because
// the view is not to be trusted.
func (m *Manager) lookupSlow(i id) (*Session, error) {
	if err := m.absent(i); err != nil {
		return nil, err
	}
	trusted := m.trusted()
	known := m.view.get(i) != nil
	if !known {
		switch may, recent := m.misses.may(i, m.clk.Now()); {
		case recent, !may && trusted:
			return nil, ErrNoSession
		case !may:
			return nil, fmt.Errorf("looking up a session: %w: too many unknown sessions", ErrUnavailable)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	if !trusted {
		if err := m.refreshLocks(ctx); err != nil {
			return nil, fmt.Errorf("looking up a session: %w", err)
		}
	}
	e, err := m.readThrough(ctx, i)
	switch {
	case errors.Is(err, state.ErrNotFound):
		m.misses.add(i, m.clk.Now())
		return nil, ErrNoSession
	case err != nil:
		return nil, fmt.Errorf("looking up a session: %w", err)
	case e == nil:
		return nil, cmp.Or(m.absent(i), ErrNoSession)
	}
	return m.judge(e)
}

// absent says why there is no session of this id any more; nil when it is not
// known to have ended.
func (m *Manager) absent(i id) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch t, ok := m.tombs[i]; {
	case !ok:
		return nil
	case t.lock != nil:
		return &LockedError{Lock: *t.lock}
	}
	return ErrNoSession
}

// readThrough reads one session from the store into the view. It returns nil when
// the session has ended.
func (m *Manager) readThrough(ctx context.Context, i id) (*entry, error) {
	rec, err := m.store.Get(ctx, sessionKey(i))
	if errors.Is(err, state.ErrNotFound) {
		m.mu.Lock()
		if m.view.get(i) != nil {
			m.end(i, ReasonEnded)
		}
		m.mu.Unlock()
		return nil, err
	}
	if err != nil {
		return nil, err
	}
	s, err := decode(i, rec.Value)
	if err != nil {
		m.opts.Logger("a session in the store cannot be read and is none", err)
		return nil, state.ErrNotFound
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.adopt(i, s), nil
}

// Known reports whether there is a session, or a lock, of this id, here or in the
// store: what another gateway made a moment ago is only there.
func (m *Manager) Known(ctx context.Context, anID string) (bool, error) {
	m.mu.Lock()
	_, locked := m.lockSet[lockKey(anID)]
	m.mu.Unlock()
	key := lockKey(anID)
	if i, ok := parseID(anID); ok {
		if m.view.get(i) != nil {
			return true, nil
		}
		key = sessionKey(i)
	}
	if locked {
		return true, nil
	}
	if _, err := m.store.Get(ctx, key); err == nil || !errors.Is(err, state.ErrNotFound) {
		return err == nil, err
	}
	return false, nil
}

// refreshLocks reads all locks from the store, at most every half second: while
// the fan-out is lost, that is how a lock set elsewhere is found.
func (m *Manager) refreshLocks(ctx context.Context) error {
	const every = 500 * time.Millisecond
	m.fresh.mu.Lock()
	defer m.fresh.mu.Unlock()
	now := m.clk.Now()
	if age := now.Sub(m.fresh.at); age >= 0 && age < every {
		return nil
	}
	m.mu.Lock()
	m.heardLocks = map[string]struct{}{}
	m.mu.Unlock()
	defer func() {
		m.mu.Lock()
		m.heardLocks = nil
		m.mu.Unlock()
	}()
	read := map[string]state.Entry{}
	if err := m.store.List(ctx, locksAt, func(e state.Entry) bool {
		read[e.Key] = e
		return true
	}); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	heard := m.heardLocks
	m.heardLocks = nil
	for k, e := range read {
		if _, newer := heard[k]; !newer {
			m.learnLock(e, false)
		}
	}
	for k := range m.lockSet {
		_, still := read[k]
		if _, newer := heard[k]; !still && !newer {
			m.learnLock(state.Entry{Key: k}, true)
		}
	}
	m.fresh.at = now
	return nil
}

// misses bounds what unknown tokens cost the store: each is asked about once a
// second at most, and all of them missesPerSecond times.
type misses struct {
	mu     sync.Mutex
	recent map[id]time.Time
	start  time.Time
	spent  int
}

const (
	missesPerSecond = 500
	missesKept      = 4096
)

// may says whether the store may be asked about an unknown session, and whether
// it was within the last second and knew nothing.
func (x *misses) may(i id, now time.Time) (ok, recent bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if at, known := x.recent[i]; known && now.Sub(at).Abs() < time.Second {
		return false, true
	}
	if now.Sub(x.start).Abs() >= time.Second {
		x.start, x.spent = now, 0
	}
	if x.spent >= missesPerSecond {
		return false, false
	}
	x.spent++
	return true, false
}

func (x *misses) add(i id, now time.Time) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.recent == nil || len(x.recent) >= missesKept {
		x.recent = make(map[id]time.Time, 64)
	}
	x.recent[i] = now
}
