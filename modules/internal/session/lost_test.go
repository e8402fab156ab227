// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package session

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/crmgate/crmgate/modules/internal/state"
)

func TestStrictReadsThroughWhenDeaf(t *testing.T) {
	w := newWorld(t)
	m, l := w.gateway()
	other, _ := w.gateway()
	token, s := signIn(t, m, ada)
	bobs, _ := signIn(t, m, bob)
	wantGood(t, other, token)
	l.say(state.Lost)
	wantGood(t, m, token)
	wantGood(t, m, bobs)
	if err := other.End(t.Context(), s.ID, ReasonSignedOut); err != nil {
		t.Fatal(err)
	}
	wantErr(t, m, token, ErrNoSession) // at once: every lookup asks the store
	mustLock(t, other, Lock{Target: Target{Kind: Everyone}})
	w.clk.Advance(time.Second)
	wantErr(t, m, bobs, ErrLocked) // locks are read through as well
	if err := m.Check(t.Context(), Facts{PersonID: "p1"}); !errors.Is(err, ErrLocked) {
		t.Errorf("Check without the fan-out: %v", err)
	}
	l.away.Store(true)
	w.clk.Advance(time.Second)
	wantErr(t, m, bobs, ErrUnavailable)
	if err := m.Check(t.Context(), Facts{PersonID: "p1"}); !errors.Is(err, ErrUnavailable) {
		t.Errorf("Check without a store: %v; want ErrUnavailable", err)
	}
	l.away.Store(false)
	l.say(state.Resync)
	soon(t, "the manager to be healthy after Resync", m.Healthy)
	calls := l.calls.Load()
	wantErr(t, m, bobs, ErrLocked)
	if l.calls.Load() != calls {
		t.Error("a healthy manager still asks the store")
	}
}

func TestResyncFindsWhatWasMissed(t *testing.T) {
	w := newWorld(t)
	m, l := w.gateway()
	other, _ := w.gateway()
	gone, s := signIn(t, m, ada)
	stays, _ := signIn(t, m, bob)
	lock := mustLock(t, m, Lock{Target: Target{ByUser, "p7"}})
	var h hook
	m.Attach(s.Facts(), false, h.cancel)
	soon(t, "the other gateway to know", func() bool { return len(other.Locks()) == 1 && len(other.All(0)) == 2 })
	l.deaf.Store(true) // nobody tells the manager that it is deaf
	if err := other.End(t.Context(), s.ID, ReasonSignedOut); err != nil {
		t.Fatal(err)
	}
	if err := other.Unlock(t.Context(), lock.ID); err != nil {
		t.Fatal(err)
	}
	mustLock(t, other, Lock{Target: Target{ByUser, "p8"}})
	fresh, _ := signIn(t, other, SignIn{PersonID: "p3"})
	l.say(state.Resync)
	soon(t, "the manager to be healthy", m.Healthy)
	wantErr(t, m, gone, ErrNoSession)
	wantGood(t, m, stays)
	wantGood(t, m, fresh)
	if ls := m.Locks(); len(ls) != 1 || ls[0].Target.Value != "p8" {
		t.Errorf("after Resync the locks are %+v", ls)
	}
	soon(t, "the connection of the ended session to be cut", func() bool { return h.got() == "[ended]" })
}

func TestBestEffort(t *testing.T) {
	w := newWorld(t)
	m, l := w.gateway(func(o *Options) { o.BestEffort = true })
	token, s := signIn(t, m, ada)
	var h hook
	m.Attach(s.Facts(), false, h.cancel)
	l.say(state.Lost)
	l.away.Store(true)
	w.clk.Advance(bestEffortFor)
	wantGood(t, m, token)
	m.tendLive(t.Context())
	if h.got() != "[]" {
		t.Errorf("a connection was cut within the 30 seconds: %s", h.got())
	}
	w.clk.Advance(1)
	wantErr(t, m, token, ErrUnavailable)
	m.tendLive(t.Context())
	soon(t, "the connection to be cut", func() bool { return h.got() == "[unavailable]" })
}

func TestStrictCutsLiveConnectionsNobodyCanVouchFor(t *testing.T) {
	w := newWorld(t)
	m, l := w.gateway()
	_, s := signIn(t, m, ada)
	var h hook
	m.Attach(s.Facts(), false, h.cancel)
	l.say(state.Lost)
	m.tendLive(t.Context())
	time.Sleep(5 * time.Millisecond)
	if h.got() != "[]" {
		t.Fatalf("a connection was cut whose session the store vouches for: %s", h.got())
	}
	l.away.Store(true)
	w.clk.Advance(time.Second)
	m.tendLive(t.Context())
	soon(t, "the connection to be cut", func() bool { return h.got() == "[unavailable]" })
}

func TestJunkTokensCostTheStoreLittle(t *testing.T) {
	w := newWorld(t)
	m, l := w.gateway()
	junk := func(i int) string {
		var raw [32]byte
		binary.BigEndian.PutUint64(raw[:], uint64(i))
		return base64.RawURLEncoding.EncodeToString(raw[:])
	}
	calls := l.calls.Load()
	for range 100 {
		wantErr(t, m, junk(1), ErrNoSession)
	}
	if n := l.calls.Load() - calls; n != 1 {
		t.Errorf("one junk cookie asked the store %d times in a second, want once", n)
	}
	for i := range 5000 {
		wantErr(t, m, junk(i), ErrNoSession)
	}
	if n := l.calls.Load() - calls; n > missesPerSecond {
		t.Errorf("5000 junk cookies asked the store %d times in a second, want at most %d", n, missesPerSecond)
	}
	if n := len(m.misses.recent); n > missesKept {
		t.Errorf("%d junk cookies are remembered", n)
	}
	w.clk.Advance(time.Second)
	token, _ := signIn(t, m, ada)
	wantGood(t, m, token)
}

func TestUnavailableBeforeStart(t *testing.T) {
	w := newWorld(t)
	l := &link{Store: w.store}
	l.away.Store(true)
	m, err := New(Options{Store: l, Clock: w.clk})
	if err != nil {
		t.Fatal(err)
	}
	token := base64.RawURLEncoding.EncodeToString(make([]byte, 32))
	wantErr(t, m, token, ErrUnavailable)
	if err := m.Start(t.Context()); err != nil {
		t.Fatalf("a store that is away fails the start: %v", err)
	}
	t.Cleanup(m.Stop)
	if err := m.Start(t.Context()); err == nil {
		t.Error("a second Start is accepted")
	}
	w.clk.Advance(2 * time.Second)
	wantErr(t, m, token, ErrUnavailable)
	l.away.Store(false)
	soon(t, "the manager to find the store", m.Healthy)
	w.clk.Advance(2 * time.Second)
	wantErr(t, m, token, ErrNoSession)
}

// A change may arrive after a newer one was seen: its own gateway's word came by a
// shorter way.
func TestLateChangesAreOldNews(t *testing.T) {
	w := newWorld(t)
	m, l := w.gateway()
	token, s := signIn(t, m, ada)
	old, err := w.store.Get(t.Context(), sessionsAt+s.ID)
	if err != nil {
		t.Fatal(err)
	}
	l.deaf.Store(true)
	s = bind(t, m, s, "crm-1")
	m.hear(state.Change{Kind: state.Put, Entry: old})
	if got := wantGood(t, m, token); len(got.CRM) != 1 {
		t.Error("an older record took the place of a newer one: the CRM session just bound is refused")
	}
	if err := m.End(t.Context(), s.ID, ReasonSignedOut); err != nil {
		t.Fatal(err)
	}
	m.hear(state.Change{Kind: state.Put, Entry: old})
	wantErr(t, m, token, ErrNoSession)
	w.clk.Advance(remember + 1)
	m.sweep()
	if len(m.tombs) != 0 {
		t.Errorf("%d ended sessions are remembered for ever", len(m.tombs))
	}
}

func TestLocksChangedDuringAReload(t *testing.T) {
	for name, read := range map[string]func(*Manager) error{
		"reload":       func(m *Manager) error { return m.reload(t.Context()) },
		"refreshLocks": func(m *Manager) error { return m.refreshLocks(t.Context()) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			m, l := w.gateway()
			lifted := mustLock(t, m, Lock{Target: Target{ByUser, "p1"}})
			l.listed = func(prefix string) {
				if prefix != locksAt {
					return
				}
				l.listed = nil
				if err := m.Unlock(t.Context(), lifted.ID); err != nil {
					t.Error(err)
				}
				mustLock(t, m, Lock{Target: Target{ByUser, "p2"}})
			}
			if err := read(m); err != nil {
				t.Fatal(err)
			}
			if ls := m.Locks(); len(ls) != 1 || ls[0].Target.Value != "p2" {
				t.Errorf("what was read before undid what came after: %+v", ls)
			}
		})
	}
}

// While a reload reads, changes come in; whatever it read before is older.
func TestReloadDoesNotUndoWhatHappensMeanwhile(t *testing.T) {
	w := newWorld(t)
	m, l := w.gateway()
	var tokens []string
	var ids []string
	for i := range 50 {
		token, s := signIn(t, m, SignIn{PersonID: fmt.Sprint("p", i)})
		tokens, ids = append(tokens, token), append(ids, s.ID)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 40 {
			if err := m.reload(t.Context()); err != nil {
				t.Errorf("reload: %v", err)
			}
		}
	}()
	var fresh []string
	for i := range 50 {
		if err := m.End(t.Context(), ids[i], ReasonSignedOut); err != nil {
			t.Fatal(err)
		}
		token, _ := signIn(t, m, SignIn{PersonID: fmt.Sprint("q", i)})
		fresh = append(fresh, token)
	}
	<-done
	l.away.Store(true) // by the view alone
	for i := range tokens {
		wantErr(t, m, tokens[i], ErrNoSession)
		wantGood(t, m, fresh[i])
	}
}
