// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// soon is how long an ordinary request may take before it counts as a live
// connection; sockets and streams do at once.
const soon = 300 * time.Millisecond

// round is how often the requests under way are looked at. One that will be older
// than soon before the next look is taken at this one.
const round = 100 * time.Millisecond

// pending holds the exchanges that are not live connections yet. Most are over
// before anybody looks: a timer for each would cost more than all of the stages'
// look-ups.
type pending struct {
	watch   func(*exchange) (detach func()) // makes a live connection
	shards  [16]shard
	looking atomic.Bool // somebody will look
}

// shard is a part of the exchanges, a list through their own links.
type shard struct {
	mu    sync.Mutex
	first *exchange
	_     [48]byte // two shards never share a cache line
}

// underWay are the requests of this process that were forwarded and are not over.
var underWay = pending{watch: func(x *exchange) func() { return x.watch(false) }}

// add makes x a live connection once it is older than soon.
func (p *pending) add(x *exchange) {
	x.shard = &p.shards[rand.Uint32N(uint32(len(p.shards)))] //nolint:gosec // spreads locks, nothing more
	x.shard.mu.Lock()
	x.waits = true
	if x.next = x.shard.first; x.next != nil {
		x.next.before = x
	}
	x.shard.first = x
	x.shard.mu.Unlock()
	p.arm()
}

// arm sees to it that somebody will look.
func (p *pending) arm() {
	if !p.looking.Load() && p.looking.CompareAndSwap(false, true) {
		time.AfterFunc(round, p.look)
	}
}

// end takes x out, whether it has become a live connection or not.
func (p *pending) end(x *exchange) {
	x.shard.mu.Lock()
	if x.waits {
		x.shard.unlink(x)
	}
	detach := x.detach
	x.detach = nil
	x.shard.mu.Unlock()
	if detach != nil {
		detach()
	}
}

// unlink takes x out of the list. The caller holds mu.
func (s *shard) unlink(x *exchange) {
	if x.before != nil {
		x.before.next = x.next
	} else {
		s.first = x.next
	}
	if x.next != nil {
		x.next.before = x.before
	}
	x.before, x.next, x.waits = nil, nil, false
}

// look makes live connections of those that have been under way for long, and looks
// again as long as there are others.
func (p *pending) look() {
	left := false
	for i := range p.shards {
		s := &p.shards[i]
		s.mu.Lock()
		for x := s.first; x != nil; {
			next := x.next
			if time.Since(x.start) > soon-round {
				s.unlink(x)
				x.detach = p.watch(x) // under the lock: end waits for it
			}
			x = next
		}
		left = left || s.first != nil
		s.mu.Unlock()
	}
	if left {
		time.AfterFunc(round, p.look)
		return
	}
	p.looking.Store(false)
	for i := range p.shards { // somebody may have come before that, and relied on this look
		s := &p.shards[i]
		s.mu.Lock()
		left = left || s.first != nil
		s.mu.Unlock()
	}
	if left {
		p.arm()
	}
}
