// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package assertion

import (
	"hash/maphash"
	"sync"
	"time"
)

// The cache is cut into shards so that requests do not meet at one lock, and
// bounded so that nobody can fill the memory with sessions.
const (
	shards   = 64
	perShard = 1024
)

// cache keeps tokens by all they say: whatever differs in two claims can never
// lead to one token.
type cache struct {
	seed   maphash.Seed
	shards [shards]shard
}

type shard struct {
	mu sync.RWMutex
	m  map[Claims]cached
}

type cached struct {
	token       string
	from, until time.Time
}

func newCache() *cache {
	c := &cache{seed: maphash.MakeSeed()}
	for i := range c.shards {
		c.shards[i].m = map[Claims]cached{}
	}
	return c
}

func (c *cache) shard(k *Claims) *shard {
	return &c.shards[maphash.Comparable(c.seed, *k)%shards]
}

// get finds a token in its first half. One from before the clock was set back is
// not found.
func (c *cache) get(k *Claims, now time.Time) (string, bool) {
	s := c.shard(k)
	s.mu.RLock()
	e, ok := s.m[*k]
	s.mu.RUnlock()
	if !ok || now.Before(e.from) || !now.Before(e.until) {
		return "", false
	}
	return e.token, true
}

func (c *cache) put(k *Claims, token string, from, until time.Time) {
	s := c.shard(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.m) >= perShard {
		for old, e := range s.m {
			if !from.Before(e.until) {
				delete(s.m, old)
			}
		}
		if len(s.m) >= perShard {
			clear(s.m) // cheaper than to choose; each session signs once more
		}
	}
	s.m[*k] = cached{token, from, until}
}

func (c *cache) len() int {
	n := 0
	for i := range c.shards {
		c.shards[i].mu.RLock()
		n += len(c.shards[i].m)
		c.shards[i].mu.RUnlock()
	}
	return n
}
