// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package session

import (
	"sync"
	"sync/atomic"
	"time"
)

// entry is the view's place of one session. What every request needs comes first,
// in one cache line; the Session itself is not read then.
type entry struct {
	sess    atomic.Pointer[Session] // what the store knows
	seen    atomic.Int64            // last activity known here, unix nanoseconds
	created int64                   // as in sess, where it never changes
	expires int64                   // the same; 0: none
	dirty   atomic.Bool             // queued for flush
	over    atomic.Bool             // ended; holders of the Session find out here
	id      id
}

func newEntry(i id, s *Session) *entry {
	e := &entry{id: i, created: s.Created.UnixNano()}
	if !s.Expires.IsZero() {
		e.expires = s.Expires.UnixNano()
	}
	return e
}

// see moves the last activity forward, never back.
func (e *entry) see(at int64) {
	for {
		was := e.seen.Load()
		if at <= was || e.seen.CompareAndSwap(was, at) {
			return
		}
	}
}

// view is the map of all sessions, sharded so that readers do not meet.
type view struct {
	shards [256]shard
}

type shard struct {
	mu sync.RWMutex
	m  map[id]*entry
	_  [88]byte // two shards never share a pair of cache lines
}

func (v *view) init() {
	for i := range v.shards {
		v.shards[i].m = map[id]*entry{}
	}
}

func (v *view) get(i id) *entry {
	s := &v.shards[i[0]]
	s.mu.RLock()
	e := s.m[i]
	s.mu.RUnlock()
	return e
}

func (v *view) put(e *entry) {
	s := &v.shards[e.id[0]]
	s.mu.Lock()
	s.m[e.id] = e
	s.mu.Unlock()
}

func (v *view) drop(i id) {
	s := &v.shards[i[0]]
	s.mu.Lock()
	delete(s.m, i)
	s.mu.Unlock()
}

// all returns every entry there is at some moment.
func (v *view) all() []*entry {
	var es []*entry
	for i := range v.shards {
		s := &v.shards[i]
		s.mu.RLock()
		for _, e := range s.m {
			es = append(es, e)
		}
		s.mu.RUnlock()
	}
	return es
}

// tomb remembers a session that was ended. Ids are never used again, so a record
// that arrives later is old news.
type tomb struct {
	at   time.Time
	lock *Lock // what ended it; nil: not a lock
}

// adopt brings a session as read from the store into the view and returns its
// place, or nil when the session has ended. The caller holds mu.
func (m *Manager) adopt(i id, s *Session) *entry {
	if _, dead := m.tombs[i]; dead {
		return nil
	}
	f := s.Facts()
	if v := m.locks.Load().match(&f, s.Created, m.clk.Now()); v.over != nil {
		m.bury(i, v.over)
		m.owe(sessionKey(i))
		return nil
	}
	e := m.view.get(i)
	if e != nil && e.sess.Load().Rev >= s.Rev {
		return e // a change that was overtaken by a newer one
	}
	fresh := e == nil
	if fresh {
		e = newEntry(i, s)
	}
	s.live = e
	e.see(s.LastSeen.UnixNano())
	e.sess.Store(s)
	if fresh {
		if m.people[s.PersonID] == nil {
			m.people[s.PersonID] = map[*entry]struct{}{}
		}
		m.people[s.PersonID][e] = struct{}{}
		m.view.put(e)
	}
	m.note(sessionKey(i))
	return e
}

// bury ends a session in the view for good. The caller holds mu and cuts the
// live connections.
func (m *Manager) bury(i id, by *Lock) {
	if t, ok := m.tombs[i]; !ok || t.lock == nil {
		m.tombs[i] = tomb{at: m.clk.Now(), lock: by}
	}
	m.note(sessionKey(i))
	m.forget(i)
}

// forget frees the view of a session. The caller holds mu.
func (m *Manager) forget(i id) {
	e := m.view.get(i)
	if e == nil {
		return
	}
	e.over.Store(true)
	m.view.drop(i)
	p := e.sess.Load().PersonID
	delete(m.people[p], e)
	if len(m.people[p]) == 0 {
		delete(m.people, p)
	}
}

// note tells a reload under way that what it read of this key may be old. The
// caller holds mu.
func (m *Manager) note(key string) {
	if m.heard != nil {
		m.heard[key] = struct{}{}
	}
	if m.heardLocks != nil {
		m.heardLocks[key] = struct{}{}
	}
}

// owe remembers a key that must still be deleted from the store. The caller holds
// mu.
func (m *Manager) owe(keys ...string) {
	for _, k := range keys {
		m.owed[k] = struct{}{}
	}
}
