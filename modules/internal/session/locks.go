// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package session

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/crmgate/crmgate/modules/internal/state"
)

// Lock sets a lock and returns it as stored, with its id (drawn when empty) and
// time. When it returns, the lock stands in the store and here; other gateways
// follow within a second. An error after the lock was stored says that some
// sessions could not be ended in the store yet: they are refused meanwhile, and
// ending them is tried again.
func (m *Manager) Lock(ctx context.Context, l Lock) (Lock, error) {
	instant := l.Instant()
	if err := l.normal(); err != nil {
		return Lock{}, fmt.Errorf("setting a lock: %w", err)
	}
	now := stamp(m.clk.Now())
	l.At = m.newest(&l, now)
	if instant {
		l.Until = l.At
	} else if !l.Until.IsZero() {
		l.Until = stamp(l.Until)
		if !l.Until.After(now) {
			return Lock{}, errors.New("setting a lock: its end is past")
		}
		if !l.Until.After(l.At) {
			l.Until = l.At.Add(1) // not an instant lock by accident
		}
	}
	if l.ID == "" {
		var raw [8]byte
		if _, err := io.ReadFull(rand.Reader, raw[:]); err != nil {
			return Lock{}, fmt.Errorf("setting a lock: %w", err)
		}
		l.ID = hex.EncodeToString(raw[:])
	}
	rec, err := json.Marshal(l)
	if err != nil {
		return Lock{}, fmt.Errorf("setting a lock: %w", err)
	}
	var ttl time.Duration
	if !l.Until.IsZero() {
		ttl = l.Until.Sub(now) + remember
	}
	// The record first: from here on no session that the lock matches is taken in
	// anywhere.
	if err := m.store.Put(ctx, lockKey(l.ID), rec, ttl); err != nil {
		return Lock{}, fmt.Errorf("setting a lock: %w", err)
	}
	e := state.Entry{Key: lockKey(l.ID), Value: rec}
	if ttl > 0 {
		e.Expires = now.Add(ttl)
	}
	m.mu.Lock()
	m.learnLock(e, false)
	m.mu.Unlock()
	if err := m.enforce(ctx, &l); err != nil {
		return l, fmt.Errorf("ending the sessions a lock matches: %w", err)
	}
	return l, nil
}

// newest returns the time from which a lock counts: now, or the youngest session
// it matches, when another gateway's clock is ahead.
func (m *Manager) newest(l *Lock, now time.Time) time.Time {
	held := *l
	held.Until = time.Time{}
	x := newLockIndex(map[string]*Lock{"": &held})
	at := now
	for _, e := range m.view.all() {
		s := e.sess.Load()
		f := m.factsNow(s)
		if s.Created.After(at) && x.match(&f, time.Time{}, now).hold != nil {
			at = s.Created
		}
	}
	return at
}

// Unlock lifts a lock. Sessions it ended stay ended. An absent lock is no error.
func (m *Manager) Unlock(ctx context.Context, lockID string) error {
	m.mu.Lock()
	l := m.lockSet[lockKey(lockID)]
	m.mu.Unlock()
	if l != nil {
		if err := m.enforce(ctx, l); err != nil {
			return fmt.Errorf("lifting a lock: %w", err)
		}
	}
	if err := m.store.Delete(ctx, lockKey(lockID)); err != nil {
		return fmt.Errorf("lifting a lock: %w", err)
	}
	m.mu.Lock()
	m.learnLock(state.Entry{Key: lockKey(lockID)}, true)
	m.mu.Unlock()
	return nil
}

// Locks returns the locks that hold now, oldest first.
func (m *Manager) Locks() []Lock {
	now := m.clk.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	out := []Lock{}
	for _, l := range m.lockSet {
		if l.Holds(now) {
			out = append(out, *l)
		}
	}
	slices.SortFunc(out, func(a, b Lock) int {
		if c := a.At.Compare(b.At); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return out
}

// Check says whether a lock refuses these facts now: nil, a *LockedError, or
// ErrUnavailable when nobody can say. Call it at every sign-in and, with what is
// known of the request itself, at every request.
func (m *Manager) Check(ctx context.Context, f Facts) error {
	if !m.trusted() {
		ctx, cancel := context.WithTimeout(ctx, storeTimeout)
		defer cancel()
		if err := m.refreshLocks(ctx); err != nil {
			return fmt.Errorf("checking locks: %w", err)
		}
	}
	x := m.locks.Load()
	if x.size == 0 {
		return nil
	}
	if l := x.match(&f, time.Time{}, m.clk.Now()).hold; l != nil {
		return &LockedError{Lock: *l}
	}
	return nil
}

// learnLock takes a lock in or drops it, and cuts the live connections it
// matches. The caller holds mu.
func (m *Manager) learnLock(e state.Entry, deleted bool) {
	m.note(e.Key)
	was := m.lockSet[e.Key]
	if deleted {
		if was == nil {
			return
		}
		delete(m.lockSet, e.Key)
		delete(m.lockEnd, e.Key)
		m.locks.Store(newLockIndex(m.lockSet))
		return
	}
	l, err := decodeLock(e.Key, e.Value)
	if was != nil && was.At.Equal(l.At) && was.Until.Equal(l.Until) && was.Target == l.Target {
		return // heard before
	}
	if err != nil {
		m.opts.Logger("a lock in the store cannot be read", err)
	}
	m.lockSet[e.Key] = l
	m.lockEnd[e.Key] = e.Expires
	m.locks.Store(newLockIndex(m.lockSet))
	m.live.cutMatching(m.locks.Load(), m.clk.Now())
}

// factsNow returns a session's facts with the groups its person has joined since.
func (m *Manager) factsNow(s *Session) Facts {
	f := s.Facts()
	if m.opts.GroupsOf != nil {
		f.Groups = slices.Concat(f.Groups, m.opts.GroupsOf(s.Email))
	}
	return f
}

// enforce ends the sessions a lock is the end of.
func (m *Manager) enforce(ctx context.Context, l *Lock) error {
	if !l.Ends && !l.Instant() {
		return nil
	}
	x := newLockIndex(map[string]*Lock{"": l})
	now := m.clk.Now()
	var ids []id
	for _, e := range m.view.all() {
		s := e.sess.Load()
		f := m.factsNow(s)
		if x.match(&f, s.Created, now).over != nil {
			ids = append(ids, e.id)
		}
	}
	return m.endAll(ctx, ids, ReasonLocked, l)
}
