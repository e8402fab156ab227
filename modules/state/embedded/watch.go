// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package embedded

import (
	"bytes"
	"context"
	"strings"
	"sync"

	"github.com/crmgate/crmgate/modules/internal/state"
)

// maxQueued is how many changes may wait for one watcher. A watcher that is
// further behind is told to read everything again instead.
const maxQueued = 1 << 16

// watcher delivers changes to one function from one goroutine.
type watcher struct {
	prefix string
	fn     func(state.Change)

	mu     sync.Mutex
	queue  []state.Change
	ended  bool
	signal chan struct{}
}

// Watch implements state.Store. Watchers of this store hear Lost and Resync only
// when they fall behind by more than 65,536 changes, and Lost when the store is
// closed.
func (s *Store) Watch(ctx context.Context, prefix string, fn func(state.Change)) error {
	if err := ctx.Err(); err != nil {
		return unavailable("watching state", err)
	}
	w := &watcher{prefix: prefix, fn: fn, signal: make(chan struct{}, 1)}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errClosed
	}
	s.watchers[w] = struct{}{}
	context.AfterFunc(ctx, func() {
		s.mu.Lock()
		delete(s.watchers, w)
		s.mu.Unlock()
		w.end()
	})
	go w.run(ctx)
	return nil
}

// tell queues a change for everybody who watches its key. The caller holds mu,
// which is what keeps the changes of a key in order.
func (s *Store) tell(c state.Change) {
	for w := range s.watchers {
		if strings.HasPrefix(c.Entry.Key, w.prefix) {
			w.push(c)
		}
	}
}

func (w *watcher) push(c state.Change) {
	w.mu.Lock()
	if len(w.queue) >= maxQueued {
		w.queue = append(w.queue[:0], state.Change{Kind: state.Lost}, state.Change{Kind: state.Resync})
	}
	w.queue = append(w.queue, c)
	w.mu.Unlock()
	w.nudge()
}

func (w *watcher) end() {
	w.mu.Lock()
	w.ended = true
	w.mu.Unlock()
	w.nudge()
}

func (w *watcher) nudge() {
	select {
	case w.signal <- struct{}{}:
	default:
	}
}

// run delivers until the watcher has ended and its queue is empty, or ctx ends.
func (w *watcher) run(ctx context.Context) {
	for range w.signal {
		w.mu.Lock()
		todo, ended := w.queue, w.ended
		w.queue = nil
		w.mu.Unlock()
		for _, c := range todo {
			if ctx.Err() != nil {
				return
			}
			c.Entry.Value = bytes.Clone(c.Entry.Value)
			w.fn(c)
		}
		if ended {
			return
		}
	}
}
