// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package session

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/crmgate/crmgate/modules/internal/clock"
	"github.com/crmgate/crmgate/modules/internal/state"
	"github.com/crmgate/crmgate/modules/state/embedded"
)

// link stands between a manager and its store, and can be cut.
type link struct {
	state.Store
	away  atomic.Bool // the store cannot be reached
	deaf  atomic.Bool // changes are not heard, nobody is told
	calls atomic.Int64

	mu     sync.Mutex
	fns    []func(state.Change)
	listed func(prefix string) // called after a List has read everything
}

var errAway = errors.Join(errors.New("test: the link is cut"), state.ErrUnavailable)

func (l *link) reach() error {
	l.calls.Add(1)
	if l.away.Load() {
		return errAway
	}
	return nil
}

func (l *link) Get(ctx context.Context, key string) (state.Entry, error) {
	if err := l.reach(); err != nil {
		return state.Entry{}, err
	}
	return l.Store.Get(ctx, key)
}

func (l *link) Put(ctx context.Context, key string, v []byte, ttl time.Duration) error {
	if err := l.reach(); err != nil {
		return err
	}
	return l.Store.Put(ctx, key, v, ttl)
}

func (l *link) PutNew(ctx context.Context, key string, v []byte, ttl time.Duration) (bool, error) {
	if err := l.reach(); err != nil {
		return false, err
	}
	return l.Store.PutNew(ctx, key, v, ttl)
}

func (l *link) Replace(ctx context.Context, key string, old, v []byte, ttl time.Duration) (bool, error) {
	if err := l.reach(); err != nil {
		return false, err
	}
	return l.Store.Replace(ctx, key, old, v, ttl)
}

func (l *link) Take(ctx context.Context, key string) (state.Entry, error) {
	if err := l.reach(); err != nil {
		return state.Entry{}, err
	}
	return l.Store.Take(ctx, key)
}

func (l *link) Delete(ctx context.Context, keys ...string) error {
	if err := l.reach(); err != nil {
		return err
	}
	return l.Store.Delete(ctx, keys...)
}

func (l *link) List(ctx context.Context, prefix string, fn func(state.Entry) bool) error {
	if err := l.reach(); err != nil {
		return err
	}
	if err := l.Store.List(ctx, prefix, fn); err != nil {
		return err
	}
	if l.listed != nil {
		l.listed(prefix)
	}
	return nil
}

func (l *link) Watch(ctx context.Context, prefix string, fn func(state.Change)) error {
	if err := l.reach(); err != nil {
		return err
	}
	l.mu.Lock()
	l.fns = append(l.fns, fn)
	l.mu.Unlock()
	return l.Store.Watch(ctx, prefix, func(c state.Change) {
		if !l.deaf.Load() {
			fn(c)
		}
	})
}

// say tells the watchers that the fan-out is lost or back.
func (l *link) say(k state.ChangeKind) {
	l.deaf.Store(k == state.Lost)
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, fn := range l.fns {
		fn(state.Change{Kind: k})
	}
}

// world is one store and the gateways on it.
type world struct {
	t     *testing.T
	clk   *clock.Fake
	store state.Store
}

var start = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, clk: clock.NewFake(start)}
	st, err := embedded.Open(t.Context(), embedded.Config{Path: t.TempDir(), Account: "acme", Clock: w.clk})
	if err != nil {
		t.Fatal(err)
	}
	w.store = st
	t.Cleanup(func() { _ = st.Close() })
	return w
}

// gateway starts a manager with an idle limit of 30 minutes and an absolute one of
// 12 hours.
func (w *world) gateway(change ...func(*Options)) (*Manager, *link) {
	w.t.Helper()
	l := &link{Store: w.store}
	o := Options{
		Store: l, Clock: w.clk, Idle: 30 * time.Minute, Absolute: 12 * time.Hour,
		Logger: func(msg string, err error) { w.t.Log(msg, err) },
	}
	for _, fn := range change {
		fn(&o)
	}
	m, err := New(o)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := m.Start(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(m.Stop)
	return m, l
}

var ada = SignIn{
	PersonID: "p1", Email: "Ada@example.com", Role: "sales_user", Groups: []string{"g1", "g2"},
	Methods: []string{"pwd", "otp"}, IP: "192.0.2.7", UserAgent: "Firefox", Label: "laptop", Device: "d1",
}

var bob = SignIn{PersonID: "p2", Email: "bob@example.com", Role: "sales_manager", Groups: []string{"g2"}, IP: "2001:db8::1"}

func signIn(t *testing.T, m *Manager, n SignIn) (string, *Session) {
	t.Helper()
	token, s, err := m.Create(t.Context(), n)
	if err != nil {
		t.Fatalf("signing in: %v", err)
	}
	return token, s
}

func wantGood(t *testing.T, m *Manager, token string) *Session {
	t.Helper()
	s, err := m.Lookup(token)
	if err != nil {
		t.Fatalf("Lookup: %v; somebody with a good session is thrown out", err)
	}
	return s
}

func wantErr(t *testing.T, m *Manager, token string, want error) {
	t.Helper()
	if s, err := m.Lookup(token); !errors.Is(err, want) || s != nil {
		t.Fatalf("Lookup = %v, %v; want %v: a session that is over is honoured or the reason is wrong", s, err, want)
	}
}

// soon waits at most a second, the bound of the fan-out, for cond.
func soon(t *testing.T, what string, cond func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Second)
	for !cond() {
		if time.Now().After(deadline) {
			t.Fatalf("not within a second: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

func soonErr(t *testing.T, m *Manager, token string, want error) {
	t.Helper()
	soon(t, want.Error(), func() bool { _, err := m.Lookup(token); return errors.Is(err, want) })
}

func mustID(s string) id {
	i, ok := parseID(s)
	if !ok {
		panic("not an id: " + s)
	}
	return i
}

// TestMain finds background work that Stop leaves behind.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
