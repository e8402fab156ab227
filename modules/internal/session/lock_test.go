// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package session

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func mustLock(t *testing.T, m *Manager, l Lock) Lock {
	t.Helper()
	l, err := m.Lock(t.Context(), l)
	if err != nil {
		t.Fatalf("setting a lock: %v", err)
	}
	return l
}

func TestLockTargets(t *testing.T) {
	for _, c := range []struct {
		target   Target
		ada, bob bool // locked out
	}{
		{Target{Kind: Everyone}, true, true},
		{Target{ByRole, "sales_user"}, true, false},
		{Target{ByRole, "sales"}, false, false},
		{Target{ByGroup, "g1"}, true, false},
		{Target{ByGroup, "g2"}, true, true},
		{Target{ByUser, "p1"}, true, false},
		{Target{ByUser, " ADA@Example.com "}, true, false},
		{Target{BySession, "ada's"}, true, false},
		{Target{ByDevice, "d1"}, true, false},
		{Target{ByKey, "k1"}, false, false},
		{Target{ByIP, "192.0.2.7"}, true, false},
		{Target{ByIP, "192.0.2.0/24"}, true, false},
		{Target{ByIP, "::ffff:192.0.2.7"}, true, false},
		{Target{ByIP, "192.0.2.8"}, false, false},
		{Target{ByIP, "2001:db8::/32"}, false, true},
		{Target{ByIP, "0.0.0.0/0"}, true, false},
	} {
		for _, ends := range []bool{false, true} {
			t.Run(fmt.Sprint(c.target, " ends ", ends), func(t *testing.T) {
				w := newWorld(t)
				one, _ := w.gateway()
				two, _ := w.gateway()
				adas, s := signIn(t, one, ada)
				bobs, _ := signIn(t, one, bob)
				wantGood(t, two, adas)
				wantGood(t, two, bobs)
				if c.target.Kind == BySession {
					c.target.Value = s.ID
				}
				w.clk.Advance(time.Minute)
				l := mustLock(t, one, Lock{Target: c.target, Message: "stand by", By: "root", Ends: ends})
				soon(t, "the lock to reach the other gateway", func() bool { return len(two.Locks()) == 1 })
				for _, m := range []*Manager{one, two} {
					wantLocked(t, m, adas, c.ada)
					wantLocked(t, m, bobs, c.bob)
				}
				for _, n := range []SignIn{ada, bob} {
					_, _, err := two.Create(t.Context(), n)
					locked := c.ada && n.PersonID == "p1" || c.bob && n.PersonID == "p2"
					if c.target.Kind == BySession {
						locked = false // a new session is another one
					}
					if errors.Is(err, ErrLocked) != locked {
						t.Errorf("signing in %s: %v, want locked %v", n.PersonID, err, locked)
					}
				}
				if ls := two.Locks(); len(ls) != 1 || ls[0].ID != l.ID || ls[0].Message != "stand by" {
					t.Errorf("the other gateway lists %+v", ls)
				}
				if err := two.Unlock(t.Context(), l.ID); err != nil {
					t.Fatal(err)
				}
				for _, m := range []*Manager{one, two} {
					soon(t, "the lock to be lifted", func() bool { return len(m.Locks()) == 0 })
					for token, locked := range map[string]bool{adas: c.ada, bobs: c.bob} {
						_, err := m.Lookup(token)
						if over := locked && ends; over && err == nil {
							t.Error("a session that was ended for good lives again after the lock")
						} else if !over && err != nil {
							t.Errorf("a session that was only held up does not go on: %v", err)
						}
					}
				}
			})
		}
	}
}

func wantLocked(t *testing.T, m *Manager, token string, locked bool) {
	t.Helper()
	if !locked {
		wantGood(t, m, token)
		return
	}
	soonErr(t, m, token, ErrLocked)
	_, err := m.Lookup(token)
	var le *LockedError
	if !errors.As(err, &le) || le.Lock.Message != "stand by" {
		t.Errorf("the person cannot be told why: %v", err)
	}
	if strings.Contains(err.Error(), "stand by") {
		t.Errorf("the error's text carries the message: %v", err)
	}
}

// Somebody who has joined a group since signing in is in it, and whoever has left it
// was in it when the session began: a lock on the group ends both.
func TestLockEndsThoseWhoJoinedAGroup(t *testing.T) {
	w := newWorld(t)
	now := func(o *Options) {
		o.GroupsOf = func(email string) []string {
			return map[string][]string{"ada@example.com": {"g1"}, "bob@example.com": {"g2", "new"}}[email]
		}
	}
	for _, c := range []struct {
		group    string
		ada, bob bool // locked out
	}{{"new", false, true}, {"g2", true, true}, {"g1", true, false}} {
		for _, lasts := range []time.Duration{0, time.Hour} {
			t.Run(fmt.Sprint(c.group, " for ", lasts), func(t *testing.T) {
				one, _ := w.gateway(now)
				two, _ := w.gateway(now)
				adas, _ := signIn(t, one, ada)
				bobs, _ := signIn(t, two, bob)
				wantGood(t, one, bobs)
				w.clk.Advance(time.Minute)
				at := w.clk.Now()
				l := mustLock(t, one, Lock{Target: Target{ByGroup, c.group}, Message: "stand by", At: at, Until: at.Add(lasts), Ends: true})
				wantLocked(t, one, adas, c.ada)
				wantLocked(t, one, bobs, c.bob)
				if err := one.Unlock(t.Context(), l.ID); err != nil {
					t.Fatal(err)
				}
				for token, ended := range map[string]bool{adas: c.ada, bobs: c.bob} {
					for _, m := range []*Manager{one, two} {
						if !ended {
							wantGood(t, m, token)
							continue
						}
						soon(t, "the session to end everywhere", func() bool { _, err := m.Lookup(token); return err != nil })
					}
				}
			})
		}
	}
}

func TestLockEndsByTime(t *testing.T) {
	w := newWorld(t)
	m, _ := w.gateway()
	token, _ := signIn(t, m, ada)
	mustLock(t, m, Lock{Target: Target{Kind: Everyone}, Until: start.Add(10 * time.Minute)})
	mustLock(t, m, Lock{Target: Target{Kind: Everyone}, Until: start.Add(5 * time.Minute), Exempt: []string{"Ada@Example.com"}})
	w.clk.Advance(10*time.Minute - 1)
	wantErr(t, m, token, ErrLocked)
	w.clk.Advance(1)
	wantGood(t, m, token)
	if ls := m.Locks(); len(ls) != 0 {
		t.Errorf("locks that are over are listed: %+v", ls)
	}
	w.clk.Advance(remember)
	m.sweep()
	if n := m.locks.Load().size; n != 0 {
		t.Errorf("%d locks are kept in memory that are long over", n)
	}
}

func TestLockExempt(t *testing.T) {
	w := newWorld(t)
	m, _ := w.gateway()
	adas, _ := signIn(t, m, ada)
	bobs, _ := signIn(t, m, bob)
	mustLock(t, m, Lock{Target: Target{Kind: Everyone}, Ends: true, Exempt: []string{"BOB@example.com"}})
	wantErr(t, m, adas, ErrLocked)
	wantGood(t, m, bobs)
	if _, _, err := m.Create(t.Context(), bob); err != nil {
		t.Errorf("the admin who set the lock is locked out: %v", err)
	}
	mustLock(t, m, Lock{Target: Target{Kind: Everyone}, Exempt: []string{"ada@example.com"}})
	wantErr(t, m, bobs, ErrLocked) // each lock exempts its own
}

func TestInstantLock(t *testing.T) {
	w := newWorld(t)
	one, _ := w.gateway()
	two, _ := w.gateway()
	before, _ := signIn(t, one, ada)
	wantGood(t, two, before)
	now := w.clk.Now()
	mustLock(t, two, Lock{Target: Target{Kind: Everyone}, At: now, Until: now, Message: "sign in again"})
	soonErr(t, one, before, ErrLocked)
	soonErr(t, two, before, ErrLocked)
	if ls := one.Locks(); len(ls) != 0 {
		t.Errorf("an instant lock is listed as holding: %+v", ls)
	}
	for _, m := range []*Manager{one, two} { // no time has passed: the clock stands
		soon(t, "sign-ins to be possible", func() bool { return m.Check(t.Context(), Facts{PersonID: "p1"}) == nil })
		token, _ := signIn(t, m, ada)
		wantGood(t, one, token)
		wantGood(t, two, token)
	}
	w.clk.Advance(remember + 1)
	one.sweep()
	wantErr(t, one, before, ErrNoSession)
}

func TestLockReachesClocksAhead(t *testing.T) {
	w := newWorld(t)
	one, _ := w.gateway()
	token, s := signIn(t, one, ada)
	ahead := s.clone()
	ahead.Created, ahead.Rev = s.Created.Add(3*time.Second), s.Rev+1 // as another machine's clock had it
	one.mu.Lock()
	one.adopt(mustID(s.ID), ahead)
	one.mu.Unlock()
	if err := one.EndPerson(t.Context(), "p1", ""); err != nil {
		t.Fatal(err)
	}
	wantErr(t, one, token, ErrLocked)
	again, _ := signIn(t, one, ada)
	wantGood(t, one, again)
}

func TestLockRefuses(t *testing.T) {
	w := newWorld(t)
	m, l := w.gateway()
	for name, bad := range map[string]Lock{
		"no target":         {},
		"unknown target":    {Target: Target{"planet", "x"}},
		"role without name": {Target: Target{Kind: ByRole, Value: " "}},
		"everyone by name":  {Target: Target{Everyone, "x"}},
		"no address":        {Target: Target{ByIP, "host"}},
		"zone":              {Target: Target{ByIP, "fe80::1%eth0"}},
		"no session id":     {Target: Target{BySession, "abc"}},
		"in the past":       {Target: Target{Kind: Everyone}, Until: start.Add(-time.Second)},
		"long message":      {Target: Target{Kind: Everyone}, Message: strings.Repeat("x", 501)},
	} {
		if _, err := m.Lock(t.Context(), bad); err == nil {
			t.Errorf("%s: was accepted", name)
		}
	}
	l.away.Store(true)
	if _, err := m.Lock(t.Context(), Lock{Target: Target{Kind: Everyone}}); !errors.Is(err, ErrUnavailable) {
		t.Errorf("without a store: %v; a lock must not seem to hold", err)
	}
	if len(m.Locks()) != 0 {
		t.Error("a lock that was not stored is listed")
	}
}

func TestUnreadableLockLocksEveryone(t *testing.T) {
	w := newWorld(t)
	m, _ := w.gateway()
	token, _ := signIn(t, m, ada)
	if err := w.store.Put(t.Context(), "lock/new", []byte(`{"id":"new","target":{"kind":"planet"},"at":"2030-01-01T00:00:00Z"}`), 0); err != nil {
		t.Fatal(err)
	}
	soonErr(t, m, token, ErrLocked)
	if err := m.Unlock(t.Context(), "new"); err != nil {
		t.Fatal(err)
	}
	wantGood(t, m, token)
}

func TestUnreadableSessionIsNone(t *testing.T) {
	w := newWorld(t)
	m, _ := w.gateway()
	token, s := signIn(t, m, ada)
	if err := w.store.Put(t.Context(), sessionsAt+s.ID, []byte(`{"id":"`+s.ID+`","future":true}`), 0); err != nil {
		t.Fatal(err)
	}
	soonErr(t, m, token, ErrNoSession)
}

func TestRotationIsNoWayOut(t *testing.T) {
	w := newWorld(t)
	m, _ := w.gateway()
	_, s := signIn(t, m, ada)
	l := mustLock(t, m, Lock{Target: Target{BySession, s.ID}})
	token, _, err := m.Rotate(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	wantErr(t, m, token, ErrLocked)
	if err := m.Unlock(t.Context(), l.ID); err != nil {
		t.Fatal(err)
	}
	wantGood(t, m, token)
}

func TestCheckFacts(t *testing.T) {
	w := newWorld(t)
	m, _ := w.gateway()
	mustLock(t, m, Lock{Target: Target{ByKey, "k1"}})
	mustLock(t, m, Lock{Target: Target{ByIP, "198.51.100.0/24"}})
	mustLock(t, m, Lock{Target: Target{ByIP, "198.51.0.0/16"}, Until: start.Add(time.Minute)})
	for name, c := range map[string]struct {
		f      Facts
		locked bool
	}{
		"nothing known":   {Facts{}, false},
		"key":             {Facts{Key: "k1"}, true},
		"other key":       {Facts{Key: "k2"}, false},
		"request address": {Facts{PersonID: "p1", IP: netip.MustParseAddr("198.51.100.9")}, true},
		"mapped address":  {Facts{IP: netip.MustParseAddr("::ffff:198.51.100.9")}, true},
		"wider prefix":    {Facts{IP: netip.MustParseAddr("198.51.7.9")}, true},
		"other address":   {Facts{IP: netip.MustParseAddr("198.52.100.9")}, false},
	} {
		if err := m.Check(t.Context(), c.f); errors.Is(err, ErrLocked) != c.locked {
			t.Errorf("%s: %v, want locked %v", name, err, c.locked)
		}
	}
}

// The sweeper ends what the gateway that set a lock could not end.
func TestSweepEndsWhatALockEnded(t *testing.T) {
	w := newWorld(t)
	m, _ := w.gateway()
	_, s := signIn(t, m, ada)
	if err := w.store.Put(t.Context(), "lock/l", []byte(`{"id":"l","target":{"kind":"everyone"},"at":"2031-01-01T00:00:00Z","ends":true}`), 0); err != nil {
		t.Fatal(err) // as if its setter died right after
	}
	soon(t, "the lock", func() bool { return len(m.Locks()) == 1 })
	m.sweep()
	m.payDebts(t.Context())
	if _, err := w.store.Get(t.Context(), sessionsAt+s.ID); err == nil {
		t.Error("the session is still in the store: it would live again after the lock")
	}
}
