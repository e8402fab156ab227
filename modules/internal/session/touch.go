// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package session

import (
	"context"
	"errors"
	"sync"
	"time"
)

// touched queues the sessions whose activity is still to be written.
type touched struct {
	mu sync.Mutex
	es []*entry
}

func (t *touched) add(es ...*entry) {
	t.mu.Lock()
	t.es = append(t.es, es...)
	t.mu.Unlock()
}

func (t *touched) take() []*entry {
	t.mu.Lock()
	defer t.mu.Unlock()
	es := t.es
	t.es = nil
	return es
}

// Touch counts a request as activity of the session. It does no I/O: activity is
// written at most every Options.TouchEvery for each session. A session that has
// ended stays so.
func (m *Manager) Touch(s *Session) {
	e := m.place(s)
	if e == nil || e.over.Load() {
		return
	}
	e.see(m.clk.Now().UnixNano())
	if !e.dirty.Load() && e.dirty.CompareAndSwap(false, true) {
		m.touch.add(e)
	}
}

// flush writes the activity that is due, or all of it.
func (m *Manager) flush(ctx context.Context, all bool) {
	const writers = 32
	l, now := m.limits.Load(), m.clk.Now()
	var later []*entry
	work := make(chan *entry)
	var wg sync.WaitGroup
	started := 0
	for _, e := range m.touch.take() {
		switch {
		case e.over.Load():
			e.dirty.Store(false)
			continue
		case !all && now.Sub(e.sess.Load().LastSeen) < l.touchEvery:
			later = append(later, e)
			continue
		}
		if started < writers {
			started++
			wg.Go(func() {
				for e := range work {
					m.writeSeen(ctx, e)
				}
			})
		}
		work <- e
	}
	close(work)
	wg.Wait()
	m.touch.add(later...)
}

// writeSeen writes a session's last activity. What cannot be written is tried
// again.
func (m *Manager) writeSeen(ctx context.Context, e *entry) {
	e.dirty.Store(false) // activity from here on queues the session again
	_, err := m.update(ctx, e.id, func(s *Session) bool {
		seen := stamp(time.Unix(0, e.seen.Load()))
		if !seen.After(s.LastSeen) {
			return false
		}
		s.LastSeen = seen
		return true
	})
	if err != nil && !errors.Is(err, ErrNoSession) && e.dirty.CompareAndSwap(false, true) {
		m.touch.add(e)
	}
}
