// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package session

import (
	"errors"
)

// sweep frees memory and ends what a lock has ended and its setter could not. It
// decides nothing that a read does not decide as well.
func (m *Manager) sweep() {
	now := m.clk.Now()
	l := m.limits.Load()
	var ended []*Session
	for _, e := range m.view.all() {
		s := e.sess.Load()
		f := s.Facts()
		over := m.locks.Load().match(&f, s.Created, now).over
		_, err := m.judge(e)
		// A session idle by what is known here may be in use elsewhere: the grace is
		// longer than activity takes to get here. The store forgets it by itself.
		gone := errors.Is(err, ErrExpired) ||
			errors.Is(err, ErrIdle) && now.UnixNano()-e.seen.Load() > int64(l.mayIdle()+l.touchEvery)+int64(sweepEvery)
		if over == nil && !gone {
			continue
		}
		m.mu.Lock()
		if over != nil {
			m.bury(e.id, over)
			m.owe(sessionKey(e.id))
		} else {
			m.forget(e.id)
		}
		m.mu.Unlock()
		reason := ReasonExpired
		switch {
		case over != nil:
			reason = ReasonLocked
		case errors.Is(err, ErrIdle):
			reason = ReasonIdle
		}
		m.live.cutSession(e.id.String(), reason)
		ended = append(ended, s)
	}
	m.tell(ended)

	m.mu.Lock()
	defer m.mu.Unlock()
	for i, t := range m.tombs {
		if now.Sub(t.at) > remember {
			delete(m.tombs, i)
		}
	}
	for h, b := range m.crm {
		if !b.expires.IsZero() && !now.Before(b.expires) {
			delete(m.crm, h)
		}
	}
	before := len(m.lockSet)
	for k, end := range m.lockEnd {
		if !end.IsZero() && !now.Before(end) {
			delete(m.lockSet, k)
			delete(m.lockEnd, k)
		}
	}
	if len(m.lockSet) != before {
		m.locks.Store(newLockIndex(m.lockSet))
	}
}
