// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package session

import (
	"context"
	"strings"
	"time"

	"github.com/crmgate/crmgate/modules/internal/state"
)

// subscribe starts to hear changes.
func (m *Manager) subscribe(ctx context.Context) error {
	m.mu.Lock()
	m.linkUp = true // before Watch: a Lost that comes at once must win
	m.mu.Unlock()
	if err := m.store.Watch(ctx, "", m.hear); err != nil {
		m.distrust()
		return err
	}
	return nil
}

// keep holds the subscription and reloads the view whenever it is not trusted
// and could be.
func (m *Manager) keep(ctx context.Context, watching bool) {
	const retry = 250 * time.Millisecond
	t := time.NewTicker(retry)
	defer t.Stop()
	for failed := false; ; {
		select {
		case <-ctx.Done():
			return
		case <-m.nudge:
		case <-t.C:
		}
		if m.Healthy() {
			failed = false
			continue
		}
		var err error
		if !watching {
			err = m.subscribe(ctx)
			watching = err == nil
		}
		if err == nil && m.linked() {
			err = m.reload(ctx)
		}
		if err != nil && !failed && ctx.Err() == nil {
			m.opts.Logger("sessions cannot be read from the state store; trying again", err)
		}
		failed = failed || err != nil
	}
}

// linked says whether the fan-out stands.
func (m *Manager) linked() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.linkUp
}

// distrust stops the view from being served.
func (m *Manager) distrust() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.losses++
	m.linkUp = false
	m.lostAt.CompareAndSwap(0, m.clk.Now().UnixNano())
}

// hear takes one change from the store's fan-out.
func (m *Manager) hear(c state.Change) {
	switch c.Kind {
	case state.Lost:
		m.distrust()
		m.opts.Logger("the state store's fan-out is lost; sessions are read through", nil)
	case state.Resync:
		m.distrust()
		m.mu.Lock()
		m.linkUp = true
		m.mu.Unlock()
		select {
		case m.nudge <- struct{}{}:
		default:
		}
	default:
		m.mu.Lock()
		defer m.mu.Unlock()
		m.learn(c.Entry, c.Kind == state.Deleted)
	}
}

// learn brings one entry of the store into the view. The caller holds mu.
func (m *Manager) learn(e state.Entry, deleted bool) {
	switch {
	case strings.HasPrefix(e.Key, sessionsAt):
		m.learnSession(e, deleted)
	case strings.HasPrefix(e.Key, locksAt):
		m.learnLock(e, deleted)
	case strings.HasPrefix(e.Key, crmAt):
		m.learnBinding(e, deleted)
	}
}

func (m *Manager) learnSession(e state.Entry, deleted bool) {
	i, ok := parseID(strings.TrimPrefix(e.Key, sessionsAt))
	if !ok {
		return
	}
	if deleted {
		m.end(i, ReasonEnded)
		return
	}
	s, err := decode(i, e.Value)
	if err != nil {
		m.opts.Logger("a session in the store cannot be read and is none", err)
		m.end(i, ReasonEnded)
		return
	}
	if m.adopt(i, s) == nil {
		m.live.cutSession(e.Key[len(sessionsAt):], ReasonEnded)
	}
}

// end ends a session here and cuts its connections. The caller holds mu.
func (m *Manager) end(i id, reason string) {
	var by *Lock
	if e := m.view.get(i); e != nil {
		s := e.sess.Load()
		f := s.Facts()
		by = m.locks.Load().match(&f, s.Created, m.clk.Now()).over
	}
	m.bury(i, by)
	if by != nil {
		reason = ReasonLocked
	} else if _, ok := m.leaving[i]; ok {
		reason = ReasonRotated // the store's word came before Rotate's own
	}
	m.live.cutSession(i.String(), reason)
}

// reload reads everything from the store and makes the view equal to it. Changes
// heard meanwhile are newer than what was read.
func (m *Manager) reload(ctx context.Context) error {
	m.reloading.Lock()
	defer m.reloading.Unlock()
	m.mu.Lock()
	losses := m.losses
	m.heard = map[string]struct{}{}
	m.mu.Unlock()
	defer func() {
		m.mu.Lock()
		m.heard = nil
		m.mu.Unlock()
	}()

	read := map[string]state.Entry{}
	for _, prefix := range []string{locksAt, sessionsAt, crmAt} {
		err := m.store.List(ctx, prefix, func(e state.Entry) bool {
			read[e.Key] = e
			return true
		})
		if err != nil {
			return err
		}
	}
	for _, k := range m.known() {
		if _, still := read[k]; !still {
			m.learnUnlessHeard(state.Entry{Key: k}, true)
		}
	}
	// Locks first: sessions are held against them.
	for _, locks := range []bool{true, false} {
		for k, e := range read {
			if strings.HasPrefix(k, locksAt) == locks {
				m.learnUnlessHeard(e, false)
			}
		}
	}

	m.mu.Lock()
	defer m.mu.Unlock()
	if m.linkUp && m.losses == losses {
		m.lostAt.Store(0)
	}
	return nil
}

func (m *Manager) learnUnlessHeard(e state.Entry, deleted bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, newer := m.heard[e.Key]; !newer {
		m.learn(e, deleted)
	}
}

// known returns the store keys of everything in the view.
func (m *Manager) known() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var keys []string
	for _, e := range m.view.all() {
		keys = append(keys, sessionKey(e.id))
	}
	for k := range m.lockSet {
		keys = append(keys, k)
	}
	for h := range m.crm {
		keys = append(keys, crmAt+h)
	}
	return keys
}
