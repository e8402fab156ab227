// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package redis

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/crmgate/crmgate/modules/internal/state"
)

const (
	// heartbeat is how often the sequence numbers are compared. A message that is
	// missing at two in a row is lost: that and the time-outs stay below a second.
	heartbeat = 300 * time.Millisecond
	// retryAfter is the pause before another attempt to subscribe.
	retryAfter = 100 * time.Millisecond
	// deafAfter is how many of its own beats a subscription may not have heard: one
	// is on its way, two never arrive.
	deafAfter = 2
)

// errDeaf ends a subscription that misses changes. It may stand at a server they
// are not published at, such as a master that nobody has told of the next one.
var errDeaf = errors.New("the subscription does not hear what is published")

// hub holds the one subscription of a store and serves all its watchers from one
// goroutine, which runs from the first Watch to Close.
type hub struct {
	store *Store
	stop  context.CancelFunc
	ctx   context.Context
	done  sync.WaitGroup

	mu       sync.Mutex
	watchers map[*watcher]struct{}
	running  bool
	standing bool
	attempt  chan struct{} // closed when the attempt to subscribe under way has ended
	failure  error         // of the last attempt
}

type watcher struct {
	ctx    context.Context
	prefix string
	fn     func(state.Change)
}

func (h *hub) init(s *Store) {
	h.store = s
	h.ctx, h.stop = context.WithCancel(context.Background())
	h.watchers = map[*watcher]struct{}{}
	h.attempt = make(chan struct{})
}

// Watch implements state.Store. fn is called from one goroutine for all watchers
// of the store.
func (s *Store) Watch(ctx context.Context, prefix string, fn func(state.Change)) error {
	w := &watcher{ctx: ctx, prefix: prefix, fn: fn}
	if err := s.hub.join(w); err != nil {
		return unavailable("watching state", err)
	}
	context.AfterFunc(ctx, func() { s.hub.leave(w) })
	return nil
}

// join waits for the subscription to stand, or for one attempt to fail.
func (h *hub) join(w *watcher) error {
	h.mu.Lock()
	if h.ctx.Err() != nil {
		h.mu.Unlock()
		return goredis.ErrClosed
	}
	if !h.running {
		h.running = true
		h.done.Go(h.run)
	}
	for tries := 0; ; tries++ {
		if err := w.ctx.Err(); err != nil {
			h.mu.Unlock()
			return err
		}
		if h.standing {
			h.watchers[w] = struct{}{}
			h.mu.Unlock()
			return nil
		}
		if tries > 0 {
			err := h.failure
			h.mu.Unlock()
			return err
		}
		attempt := h.attempt
		h.mu.Unlock()
		select {
		case <-attempt:
		case <-w.ctx.Done():
		}
		h.mu.Lock()
	}
}

func (h *hub) leave(w *watcher) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.watchers, w)
}

func (h *hub) close() {
	h.mu.Lock()
	h.stop()
	h.mu.Unlock()
	h.done.Wait()
}

// run subscribes, again and again, until the store is closed.
func (h *hub) run() {
	for again := false; ; again = true {
		err := h.follow(again)
		h.mu.Lock()
		lost := h.standing
		h.standing = false
		h.failure = err
		h.endAttempt()
		h.mu.Unlock()
		if lost {
			h.tell(state.Change{Kind: state.Lost})
		}
		select {
		case <-h.ctx.Done():
			return
		case <-time.After(retryAfter):
		}
	}
}

// endAttempt wakes those who wait for the subscription. The caller holds mu.
func (h *hub) endAttempt() {
	close(h.attempt)
	h.attempt = make(chan struct{})
}

// follow subscribes once and passes changes on until the link breaks.
func (h *hub) follow(again bool) error {
	s := h.store
	own := s.keys.channel + ":" + rand.Text() // nobody else hears it
	sub := s.client.Subscribe(h.ctx, s.keys.channel, own)
	var reader sync.WaitGroup
	defer reader.Wait()
	defer func() { _ = sub.Close() }() // it ends the reader
	if got, err := sub.ReceiveTimeout(h.ctx, time.Second); err != nil {
		return err
	} else if _, ok := got.(*goredis.Subscription); !ok {
		return fmt.Errorf("redis answered %T to a subscription", got)
	}
	// Read after the subscription stands: what has a higher number is heard.
	reached, err := h.reached()
	if err != nil {
		return err
	}
	h.mu.Lock()
	h.standing = true
	h.endAttempt()
	h.mu.Unlock()
	if again {
		h.tell(state.Change{Kind: state.Resync})
	}

	messages := make(chan received, 256)
	reader.Go(func() { h.receive(sub, messages) })
	defer h.drain(messages)
	return h.serve(messages, reached, own)
}

// received is a message, or the end of the link.
type received struct {
	channel, payload string
	err              error
}

func (h *hub) receive(sub *goredis.PubSub, out chan<- received) {
	defer close(out)
	for {
		got, err := sub.Receive(h.ctx)
		switch m := got.(type) {
		case *goredis.Message:
			out <- received{channel: m.Channel, payload: m.Payload}
		default:
			if err == nil {
				continue // a confirmation
			}
			out <- received{err: err}
			return
		}
	}
}

// drain lets the reader end when nobody listens any more.
func (h *hub) drain(messages <-chan received) {
	go func() {
		for range messages { // the values are not wanted
		}
	}()
}

// serve passes changes on. It returns when the link breaks, or does not lead to
// where the commands go: then the numbers can agree and the changes not.
func (h *hub) serve(messages <-chan received, last int64, own string) error {
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	due := last  // what the server had reached at the beat before
	unheard := 0 // beats that were published since the last that was heard
	for {
		select {
		case m, ok := <-messages:
			if !ok {
				return goredis.ErrClosed
			}
			if m.err != nil {
				return m.err
			}
			if m.channel == own {
				unheard = 0
				continue
			}
			msg, err := parseMessage(m.payload)
			if err != nil {
				return err // whatever it was, it is missing now
			}
			if msg.seq <= last {
				continue // published before the number was read: it is in what List shows
			}
			if msg.seq != last+1 {
				h.gap()
			}
			last = msg.seq
			h.tell(h.store.change(msg))
		case <-beat.C:
			reached, err := h.reached()
			if err != nil {
				return err
			}
			if last < due || reached < last || unheard >= deafAfter {
				return errDeaf
			}
			due = reached
			unheard++
			h.beat(own)
		case <-h.ctx.Done():
			return h.ctx.Err()
		}
	}
}

// gap says that changes are missing while the link stands.
func (h *hub) gap() {
	h.tell(state.Change{Kind: state.Lost})
	h.tell(state.Change{Kind: state.Resync})
}

// reached returns the number of the last change on the server.
func (h *hub) reached() (int64, error) {
	ctx, cancel := context.WithTimeout(h.ctx, heartbeat)
	defer cancel()
	n, err := h.store.client.Get(ctx, h.store.keys.seq).Int64()
	if errors.Is(err, goredis.Nil) {
		return 0, nil
	}
	return n, err
}

// beat publishes where the changes are published. That it failed shows by its
// not being heard.
func (h *hub) beat(own string) {
	ctx, cancel := context.WithTimeout(h.ctx, heartbeat)
	defer cancel()
	_ = beatScript.Run(ctx, h.store.client, []string{h.store.keys.seq}, own).Err()
}

// tell passes one change on to everybody who watches its key.
func (h *hub) tell(c state.Change) {
	h.mu.Lock()
	ws := make([]*watcher, 0, len(h.watchers))
	for w := range h.watchers {
		ws = append(ws, w)
	}
	h.mu.Unlock()
	for _, w := range ws {
		if w.ctx.Err() != nil || c.Kind <= state.Deleted && !strings.HasPrefix(c.Entry.Key, w.prefix) {
			continue
		}
		own := c
		own.Entry.Value = bytes.Clone(c.Entry.Value)
		w.fn(own)
	}
}
