// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package session

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// hook is a live connection that remembers how it ended.
type hook struct {
	mu      sync.Mutex
	reasons []string
}

func (h *hook) cancel(reason string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.reasons = append(h.reasons, reason)
}

func (h *hook) got() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return fmt.Sprint(h.reasons)
}

func TestLiveConnectionsEnd(t *testing.T) {
	for name, c := range map[string]struct {
		do   func(t *testing.T, w *world, m *Manager, s *Session)
		want string
	}{
		"signed out": {func(t *testing.T, w *world, m *Manager, s *Session) {
			if err := m.End(t.Context(), s.ID, ReasonSignedOut); err != nil {
				t.Fatal(err)
			}
		}, ReasonSignedOut},
		"ended elsewhere": {func(t *testing.T, w *world, m *Manager, s *Session) {
			if err := w.store.Delete(t.Context(), sessionsAt+s.ID); err != nil {
				t.Fatal(err)
			}
		}, ReasonEnded},
		"rotated": {func(t *testing.T, w *world, m *Manager, s *Session) {
			if _, _, err := m.Rotate(t.Context(), s); err != nil {
				t.Fatal(err)
			}
		}, ReasonRotated},
		"idle":     {func(t *testing.T, w *world, m *Manager, s *Session) { w.clk.Advance(30 * time.Minute) }, ReasonIdle},
		"absolute": {func(t *testing.T, w *world, m *Manager, s *Session) { w.clk.Advance(12 * time.Hour) }, ReasonExpired},
		"locked": {func(t *testing.T, w *world, m *Manager, s *Session) {
			mustLock(t, m, Lock{Target: Target{ByRole, "sales_user"}})
		}, ReasonLocked},
		"forced out": {func(t *testing.T, w *world, m *Manager, s *Session) {
			if err := m.EndPerson(t.Context(), s.PersonID, ""); err != nil {
				t.Fatal(err)
			}
		}, ReasonLocked},
		"lowered limits": {func(t *testing.T, w *world, m *Manager, s *Session) {
			w.clk.Advance(time.Minute)
			m.SetLimits(0, time.Minute)
		}, ReasonExpired},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			m, _ := w.gateway()
			_, s := signIn(t, m, ada)
			_, other := signIn(t, m, SignIn{PersonID: "p9", Until: start.Add(99 * time.Hour)})
			var h, detached, stays hook
			m.Attach(s.Facts(), false, h.cancel)
			m.Attach(s.Facts(), false, detached.cancel)()
			if c.want == ReasonLocked || c.want == ReasonSignedOut {
				m.Attach(other.Facts(), false, stays.cancel)
			}
			if h.got() != "[]" {
				t.Fatalf("a good connection was cut at once: %s", h.got())
			}
			c.do(t, w, m, s)
			soon(t, "the connection to be cut", func() bool { return h.got() != "[]" })
			m.tendLive(t.Context())
			time.Sleep(5 * time.Millisecond)
			if h.got() != "["+c.want+"]" {
				t.Errorf("cut with %s, want once with %s", h.got(), c.want)
			}
			if detached.got() != "[]" {
				t.Errorf("a connection that had ended by itself was cut: %s", detached.got())
			}
			if stays.got() != "[]" {
				t.Errorf("somebody else's connection was cut: %s", stays.got())
			}
		})
	}
}

func TestAttachToADeadSession(t *testing.T) {
	w := newWorld(t)
	m, _ := w.gateway()
	_, s := signIn(t, m, ada)
	if err := m.End(t.Context(), s.ID, ReasonSignedOut); err != nil {
		t.Fatal(err)
	}
	var h, junk hook
	m.Attach(s.Facts(), false, h.cancel)
	m.Attach(Facts{SessionID: "junk"}, false, junk.cancel)
	if n := len(m.live.all()); n != 0 {
		t.Errorf("%d connections of dead sessions run until somebody looks", n)
	}
	soon(t, "a connection of a dead session to be cut", func() bool { return h.got() == "[ended]" && junk.got() == "[ended]" })
}

func TestConnectionWithoutSession(t *testing.T) {
	w := newWorld(t)
	m, _ := w.gateway()
	var h, other hook
	m.Attach(Facts{Key: "k1", PersonID: "p1"}, false, h.cancel)
	m.Attach(Facts{Key: "k2", PersonID: "p2"}, false, other.cancel)
	m.tendLive(t.Context())
	now := w.clk.Now()
	mustLock(t, m, Lock{Target: Target{ByKey, "k1"}, At: now, Until: now})
	soon(t, "the program's connection to be cut", func() bool { return h.got() == "[locked]" })
	if other.got() != "[]" {
		t.Errorf("another program's connection was cut: %s", other.got())
	}
}

func TestManyLiveConnections(t *testing.T) {
	const people, each = 500, 20
	w := newWorld(t)
	one, _ := w.gateway()
	two, _ := w.gateway()
	var cut [2]atomic.Int64
	var wg sync.WaitGroup
	for p := range people {
		role := fmt.Sprint("role", p%2)
		_, s := signIn(t, one, SignIn{PersonID: fmt.Sprint("p", p), Role: role})
		wg.Go(func() {
			for i := range each {
				detach := two.Attach(Facts{PersonID: s.PersonID, Role: role}, false, func(string) { cut[p%2].Add(1) })
				if i == 0 {
					detach()
				}
			}
		})
	}
	wg.Wait()
	mustLock(t, one, Lock{Target: Target{ByRole, "role0"}})
	want := int64(people / 2 * (each - 1))
	soon(t, "thousands of connections to be cut on the other gateway", func() bool { return cut[0].Load() == want })
	if n := cut[1].Load(); n != 0 {
		t.Errorf("%d connections of another role were cut", n)
	}
}

func TestAttachRace(t *testing.T) {
	w := newWorld(t)
	m, _ := w.gateway()
	for range 50 {
		_, s := signIn(t, m, ada)
		var hooks [8]hook
		var wg sync.WaitGroup
		for i := range hooks {
			wg.Go(func() { m.Attach(s.Facts(), false, hooks[i].cancel) })
		}
		wg.Go(func() { _ = m.End(t.Context(), s.ID, ReasonSignedOut) })
		wg.Wait()
		for i := range hooks {
			soon(t, "a connection made while its session ended to be cut", func() bool { return hooks[i].got() != "[]" })
		}
	}
}

// TestCloseEndless: when the rules change, what would go on by the old ones for ever is cut; a
// request that is being answered is not, since what it does may be done already.
func TestCloseEndless(t *testing.T) {
	w := newWorld(t)
	m, _ := w.gateway()
	_, s := signIn(t, m, ada)
	var stream, request hook
	m.Attach(s.Facts(), true, stream.cancel)
	m.Attach(s.Facts(), false, request.cancel)
	m.CloseEndless("the policy changed")
	soon(t, "the stream to be cut", func() bool { return stream.got() == "[the policy changed]" })
	if m.tendLive(t.Context()); request.got() != "[]" || m.Live() != 2 {
		t.Errorf("a request was cut: %s", request.got())
	}
}
