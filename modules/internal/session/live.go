// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package session

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/crmgate/crmgate/modules/internal/state"
)

// conn is one live connection.
type conn struct {
	facts   Facts
	since   time.Time
	endless bool
	cancel  func(reason string)
	over    atomic.Bool
}

// cut tells the connection's owner, once.
func (c *conn) cut(reason string) {
	if c.over.CompareAndSwap(false, true) {
		go c.cancel(reason)
	}
}

// registry holds the live connections of this gateway.
type registry struct {
	mu        sync.Mutex
	conns     map[*conn]struct{}
	bySession map[string]map[*conn]struct{}
}

// Attach registers a WebSocket, a stream or a request that lasts, with the facts
// it was allowed for; endless are the first two, see CloseEndless. When its session ends, expires, idles out or is rotated
// away, or when a lock matches, cancel is called with a reason: once, on a
// goroutine of its own, within one second. A session that is over already is
// told at once. detach is to be called when the connection has ended by itself;
// cancel is not called after it.
//
// A connection without a session id is cut by locks alone.
func (m *Manager) Attach(f Facts, endless bool, cancel func(reason string)) (detach func()) {
	c := &conn{facts: f, since: m.clk.Now(), endless: endless, cancel: cancel}
	if i, ok := parseID(f.SessionID); ok {
		if e := m.view.get(i); e != nil {
			c.since = e.sess.Load().Created // locks are held against the session
		}
	}
	m.live.add(c)
	// Checked after it was added: whatever ends the session from here on finds it.
	m.checkConn(c)
	return func() {
		c.over.Store(true)
		m.live.remove(c)
	}
}

// Live returns how many connections are attached.
func (m *Manager) Live() int {
	m.live.mu.Lock()
	defer m.live.mu.Unlock()
	return len(m.live.conns)
}

func (r *registry) add(c *conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.conns == nil {
		r.conns, r.bySession = map[*conn]struct{}{}, map[string]map[*conn]struct{}{}
	}
	r.conns[c] = struct{}{}
	if id := c.facts.SessionID; id != "" {
		if r.bySession[id] == nil {
			r.bySession[id] = map[*conn]struct{}{}
		}
		r.bySession[id][c] = struct{}{}
	}
}

func (r *registry) remove(c *conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.conns, c)
	id := c.facts.SessionID
	delete(r.bySession[id], c)
	if len(r.bySession[id]) == 0 {
		delete(r.bySession, id)
	}
}

func (r *registry) cutSession(sessionID, reason string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for c := range r.bySession[sessionID] {
		c.cut(reason)
	}
}

func (r *registry) cutMatching(x *lockIndex, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for c := range r.conns {
		if x.cuts(c, now) {
			c.cut(ReasonLocked)
		}
	}
}

// cuts says whether a lock holds for a connection, or came after it.
func (x *lockIndex) cuts(c *conn, now time.Time) bool {
	v := x.match(&c.facts, c.since, now)
	return v.hold != nil || v.over != nil
}

func (r *registry) all() []*conn {
	r.mu.Lock()
	defer r.mu.Unlock()
	cs := make([]*conn, 0, len(r.conns))
	for c := range r.conns {
		if !c.over.Load() {
			cs = append(cs, c)
		}
	}
	return cs
}

// checkConn cuts a connection whose session is not good by the view, or that a
// lock matches.
func (m *Manager) checkConn(c *conn) {
	if m.locks.Load().cuts(c, m.clk.Now()) {
		c.cut(ReasonLocked)
		return
	}
	if c.facts.SessionID == "" {
		return
	}
	i, ok := parseID(c.facts.SessionID)
	e := m.view.get(i)
	if !ok || e == nil {
		c.cut(ReasonEnded)
		return
	}
	switch _, err := m.judge(e); {
	case errors.Is(err, ErrExpired):
		c.cut(ReasonExpired)
	case errors.Is(err, ErrIdle):
		c.cut(ReasonIdle)
	case errors.Is(err, ErrLocked):
		c.cut(ReasonLocked)
	case err != nil:
		c.cut(ReasonEnded)
	}
}

// tendLive checks all live connections. While the view is not trusted their
// sessions are read from the store; when that fails they are cut, as a request
// would be refused.
func (m *Manager) tendLive(ctx context.Context) {
	cs := m.live.all()
	if len(cs) == 0 {
		return
	}
	if !m.trusted() {
		if err := m.revalidate(ctx, cs); err != nil {
			if ctx.Err() != nil {
				return // the manager stops
			}
			for _, c := range cs {
				c.cut(ReasonUnavailable)
			}
			return
		}
	}
	for _, c := range cs {
		m.checkConn(c)
	}
}

// revalidate reads the locks and the sessions of live connections through.
func (m *Manager) revalidate(ctx context.Context, cs []*conn) error {
	const readers = 16
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	if err := m.refreshLocks(ctx); err != nil {
		return err
	}
	ids := map[id]struct{}{}
	for _, c := range cs {
		if i, ok := parseID(c.facts.SessionID); ok {
			ids[i] = struct{}{}
		}
	}
	work := make(chan id, len(ids))
	for i := range ids {
		work <- i
	}
	close(work)
	var wg sync.WaitGroup
	var failed atomic.Pointer[error]
	for range readers {
		wg.Go(func() {
			for i := range work {
				if failed.Load() != nil {
					return
				}
				if _, err := m.readThrough(ctx, i); err != nil && !errors.Is(err, state.ErrNotFound) {
					failed.Store(&err)
				}
			}
		})
	}
	wg.Wait()
	if err := failed.Load(); err != nil {
		return *err
	}
	return nil
}

// CloseEndless cuts the sockets and streams of this gateway: what they carry was
// decided by rules that no longer hold, and they would go on for as long as they like.
// Other requests end by themselves, as they were decided; a write that is cut may have
// been made.
func (m *Manager) CloseEndless(reason string) {
	for _, c := range m.live.all() {
		if c.endless {
			c.cut(reason)
		}
	}
}
