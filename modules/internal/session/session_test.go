// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package session

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

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

	mu  sync.Mutex
	fns []func(state.Change)
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
	return l.Store.List(ctx, prefix, fn)
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
	o := Options{Store: l, Clock: w.clk, Idle: 30 * time.Minute, Absolute: 12 * time.Hour,
		Logger: func(msg string, err error) { w.t.Log(msg, err) }}
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

var ada = SignIn{PersonID: "p1", Email: "Ada@example.com", Role: "sales_user", Groups: []string{"g1", "g2"},
	Methods: []string{"pwd", "otp"}, IP: "192.0.2.7", UserAgent: "Firefox", Label: "laptop", Device: "d1"}

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

func TestCreateAndLookup(t *testing.T) {
	w := newWorld(t)
	m, l := w.gateway()
	token, s := signIn(t, m, ada)
	if len(token) != TokenLen {
		t.Errorf("the token has %d characters, want %d", len(token), TokenLen)
	}
	before := l.calls.Load()
	got := wantGood(t, m, token)
	if l.calls.Load() != before {
		t.Error("a lookup of a known session asked the store: every request would cost a round trip")
	}
	if got.ID != s.ID || got.PersonID != "p1" || got.Email != "ada@example.com" || got.Role != "sales_user" ||
		got.Kind != KindUser || got.IP != "192.0.2.7" || got.Label != "laptop" || got.Device != "d1" ||
		strings.Join(got.Methods, ",") != "pwd,otp" || !got.Created.Equal(start) || !got.AuthTime.Equal(start) {
		t.Errorf("the session reads back as %+v", got)
	}
	if err := w.store.List(t.Context(), "", func(e state.Entry) bool {
		if strings.Contains(e.Key, token) || bytes.Contains(e.Value, []byte(token)) {
			t.Error("the token itself is in the store: whoever reads the store can use it")
		}
		return true
	}); err != nil {
		t.Fatal(err)
	}
}

func TestCreateRefuses(t *testing.T) {
	w := newWorld(t)
	m, l := w.gateway()
	for name, n := range map[string]SignIn{
		"nobody":         {Email: "x@example.com"},
		"no address":     {PersonID: "p", IP: "localhost"},
		"over at once":   {PersonID: "p", Until: start},
		"over long ago":  {PersonID: "p", Until: start.Add(-time.Hour)},
		"address + port": {PersonID: "p", IP: "192.0.2.1:80"},
	} {
		if _, _, err := m.Create(t.Context(), n); err == nil {
			t.Errorf("%s: a session was made", name)
		}
	}
	l.away.Store(true)
	if _, _, err := m.Create(t.Context(), ada); !errors.Is(err, ErrUnavailable) {
		t.Errorf("without a store: %v, want ErrUnavailable", err)
	}
	bad, _ := w.gateway(func(o *Options) { o.Rand = bytes.NewReader(make([]byte, 31)) })
	if _, _, err := bad.Create(t.Context(), ada); err == nil {
		t.Error("a session was made of too little randomness")
	}
}

func TestTokenShape(t *testing.T) {
	w := newWorld(t)
	m, l := w.gateway()
	token, _ := signIn(t, m, ada)
	twin := token[:42] + string(token[42]+1) // the same 256 bits, other spare bits
	calls := l.calls.Load()
	for _, bad := range []string{"", token[:42], token + "A", token + "=", " " + token[1:], "+" + token[1:], "/" + token[1:],
		twin, strings.Repeat("\x00", 43), strings.Repeat("é", 22)[:43], token + token, strings.Repeat("A", 1<<20)} {
		wantErr(t, m, bad, ErrNoSession)
	}
	if l.calls.Load() != calls {
		t.Error("malformed tokens reached the store")
	}
}

func TestExpiry(t *testing.T) {
	for name, c := range map[string]struct {
		n       SignIn
		options func(*Options)
		touch   time.Duration // somebody works, with this pace
		good    time.Duration // still good at
		over    time.Duration // over at
		why     error
	}{
		"idle":                   {ada, nil, 0, 30*time.Minute - 1, 30 * time.Minute, ErrIdle},
		"absolute in use":        {ada, nil, time.Minute, 12*time.Hour - 1, 12 * time.Hour, ErrExpired},
		"idle alone":             {ada, func(o *Options) { o.Absolute = 0 }, time.Minute, 500 * time.Hour, 500*time.Hour + 31*time.Minute, ErrIdle},
		"absolute alone":         {ada, func(o *Options) { o.Idle = 0 }, 0, 12*time.Hour - 1, 12 * time.Hour, ErrExpired},
		"its own end":            {SignIn{PersonID: "p", Until: start.Add(time.Minute)}, nil, 0, time.Minute - 1, time.Minute, ErrExpired},
		"its own end is no gift": {SignIn{PersonID: "p", Until: start.Add(99 * time.Hour)}, nil, time.Minute, 12*time.Hour - 1, 12 * time.Hour, ErrExpired},
		"no limits":              {ada, func(o *Options) { o.Idle, o.Absolute = 0, 0 }, 0, housekeeping - 1, housekeeping, ErrIdle},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			var options []func(*Options)
			if c.options != nil {
				options = append(options, c.options)
			}
			m, _ := w.gateway(options...)
			token, s := signIn(t, m, c.n)
			at := time.Duration(0)
			for c.touch > 0 && at+c.touch < c.good {
				w.clk.Advance(c.touch)
				at += c.touch
				m.Touch(s)
			}
			w.clk.Advance(c.good - at)
			wantGood(t, m, token)
			w.clk.Advance(c.over - c.good)
			wantErr(t, m, token, c.why)
			m.sweep()
			if _, err := m.Lookup(token); err == nil {
				t.Fatal("the sweeper brought the session back")
			}
			if n := len(m.All(0)); n != 0 {
				t.Errorf("%d sessions are listed that are over", n)
			}
		})
	}
}

func TestSetLimits(t *testing.T) {
	w := newWorld(t)
	m, _ := w.gateway()
	token, s := signIn(t, m, ada)
	w.clk.Advance(10 * time.Minute)
	m.SetLimits(5*time.Minute, 0)
	wantErr(t, m, token, ErrIdle)
	m.SetLimits(0, 10*time.Minute)
	wantErr(t, m, token, ErrExpired)
	m.SetLimits(20*time.Minute, time.Hour)
	wantGood(t, m, token)
	if idle, absolute := m.Remaining(s); idle != 10*time.Minute || absolute != 50*time.Minute {
		t.Errorf("remaining %v and %v, want 10m and 50m: the countdown on the page is wrong", idle, absolute)
	}
	m.Touch(s)
	if idle, _ := m.Remaining(s); idle != 20*time.Minute {
		t.Errorf("remaining %v after activity, want 20m", idle)
	}
	m.SetLimits(0, 0)
	if idle, absolute := m.Remaining(s); idle != NoLimit || absolute != NoLimit {
		t.Errorf("remaining %v and %v without limits", idle, absolute)
	}
}

func TestIdleAccuracyAcrossGateways(t *testing.T) {
	w := newWorld(t)
	one, _ := w.gateway()
	two, _ := w.gateway()
	token, s := signIn(t, one, ada)
	for range 120 { // two hours of work at one gateway
		w.clk.Advance(time.Minute)
		one.Touch(s)
		one.flush(t.Context(), false)
	}
	soon(t, "the activity at one gateway is known at the other", func() bool {
		_, err := two.Lookup(token)
		return err == nil
	})
	w.clk.Advance(time.Second)
	one.Touch(s) // one second later: not written yet
	one.flush(t.Context(), false)
	bound := one.limits.Load().touchEvery + 2*time.Second
	w.clk.Advance(30*time.Minute - bound - time.Second)
	wantGood(t, two, token) // the stated bound before the end
	w.clk.Advance(bound)
	wantGood(t, one, token)
	w.clk.Advance(time.Second)
	wantErr(t, one, token, ErrIdle)
	wantErr(t, two, token, ErrIdle)
}

func TestTouchIsBatched(t *testing.T) {
	w := newWorld(t)
	m, l := w.gateway()
	_, s := signIn(t, m, ada)
	calls := l.calls.Load()
	for range 1000 {
		w.clk.Advance(time.Millisecond)
		m.Touch(s)
	}
	m.flush(t.Context(), false)
	if n := l.calls.Load() - calls; n != 0 {
		t.Fatalf("activity within %v was written %d times", m.limits.Load().touchEvery, n)
	}
	w.clk.Advance(10 * time.Second)
	m.Touch(s)
	m.flush(t.Context(), false)
	m.flush(t.Context(), false)
	if n := l.calls.Load() - calls; n != 1 {
		t.Fatalf("activity was written %d times, want once", n)
	}
	if got := m.List("p1"); len(got) != 1 || !got[0].LastSeen.Equal(w.clk.Now()) {
		t.Errorf("the list does not show the last activity: %+v", got)
	}
}

func TestTouchSurvivesAwayStore(t *testing.T) {
	w := newWorld(t)
	m, l := w.gateway()
	token, s := signIn(t, m, ada)
	w.clk.Advance(time.Minute)
	m.Touch(s)
	l.away.Store(true)
	m.flush(t.Context(), false)
	l.away.Store(false)
	m.flush(t.Context(), false)
	other, _ := w.gateway()
	if got := wantGood(t, other, token); !got.LastSeen.Equal(w.clk.Now()) {
		t.Errorf("activity during the outage was lost: last seen %v", got.LastSeen)
	}
}

func TestTouchNeverRevives(t *testing.T) {
	w := newWorld(t)
	one, _ := w.gateway()
	two, deaf := w.gateway()
	token, s := signIn(t, one, ada)
	soon(t, "the session is known at the other gateway", func() bool { return two.view.get(mustID(s.ID)) != nil })
	deaf.deaf.Store(true) // two does not hear of the end
	w.clk.Advance(time.Minute)
	two.Touch(two.view.get(mustID(s.ID)).sess.Load())
	if err := one.End(t.Context(), s.ID, ReasonSignedOut); err != nil {
		t.Fatal(err)
	}
	two.flush(t.Context(), false)
	wantErr(t, one, token, ErrNoSession)
	wantErr(t, two, token, ErrNoSession)
	if _, err := w.store.Get(t.Context(), sessionsAt+s.ID); !errors.Is(err, state.ErrNotFound) {
		t.Errorf("the session is in the store again: %v", err)
	}
}

func mustID(s string) id {
	i, ok := parseID(s)
	if !ok {
		panic("not an id: " + s)
	}
	return i
}

func TestRotate(t *testing.T) {
	w := newWorld(t)
	one, _ := w.gateway()
	two, _ := w.gateway()
	token, s := signIn(t, one, ada)
	wantGood(t, two, token)
	w.clk.Advance(time.Minute)
	next, n, err := one.Rotate(t.Context(), s, func(s *Session) {
		s.Methods = append(s.Methods, "hwk")
		s.AuthTime = w.clk.Now()
		s.PersonID, s.Created = "mallory", s.Created.Add(time.Hour)
	})
	if err != nil {
		t.Fatal(err)
	}
	wantErr(t, one, token, ErrNoSession)
	soonErr(t, two, token, ErrNoSession)
	got := wantGood(t, two, next)
	if got.ID == s.ID || next == token {
		t.Error("the id did not change: a fixed session id stays usable")
	}
	if got.PersonID != "p1" || !got.Created.Equal(s.Created) || !got.AuthTime.Equal(w.clk.Now()) || len(got.Methods) != 3 || n.ID != got.ID {
		t.Errorf("rotated session is %+v", got)
	}
	if _, _, err := one.Rotate(t.Context(), s); !errors.Is(err, ErrNoSession) {
		t.Errorf("rotating the old session again: %v, want ErrNoSession", err)
	}
}

func TestRotateRace(t *testing.T) {
	w := newWorld(t)
	m, _ := w.gateway()
	_, s := signIn(t, m, ada)
	var won atomic.Int32
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			_, _, err := m.Rotate(t.Context(), s)
			switch {
			case err == nil:
				won.Add(1)
			case !errors.Is(err, ErrNoSession):
				t.Errorf("losing rotation: %v", err)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 || len(m.List("p1")) != 1 {
		t.Errorf("%d rotations won and %d sessions stand, want one", won.Load(), len(m.List("p1")))
	}
}

func TestEnd(t *testing.T) {
	w := newWorld(t)
	one, _ := w.gateway()
	two, _ := w.gateway()
	token, s := signIn(t, one, ada)
	wantGood(t, two, token)
	if err := one.End(t.Context(), s.ID, ReasonSignedOut); err != nil {
		t.Fatal(err)
	}
	wantErr(t, one, token, ErrNoSession)
	soonErr(t, two, token, ErrNoSession)
	for _, absent := range []string{s.ID, "", "junk", strings.Repeat("0", 64)} {
		if err := one.End(t.Context(), absent, ReasonSignedOut); err != nil {
			t.Errorf("ending %q: %v", absent, err)
		}
	}
}

func TestEndIsOwedWhileTheStoreIsAway(t *testing.T) {
	w := newWorld(t)
	m, l := w.gateway()
	token, s := signIn(t, m, ada)
	l.away.Store(true)
	if err := m.End(t.Context(), s.ID, ReasonSignedOut); !errors.Is(err, ErrUnavailable) {
		t.Errorf("End without a store: %v, want ErrUnavailable", err)
	}
	wantErr(t, m, token, ErrNoSession)
	l.away.Store(false)
	m.payDebts(t.Context())
	other, _ := w.gateway()
	wantErr(t, other, token, ErrNoSession)
}

func TestEndPerson(t *testing.T) {
	w := newWorld(t)
	one, _ := w.gateway()
	two, _ := w.gateway()
	phone, _ := signIn(t, one, ada)
	here, s := signIn(t, one, ada)
	there, _ := signIn(t, two, ada)
	bobs, _ := signIn(t, two, bob)
	wantGood(t, one, there)
	if err := one.EndPerson(t.Context(), "p1", s.ID); err != nil {
		t.Fatal(err)
	}
	for _, m := range []*Manager{one, two} {
		for _, token := range []string{phone, there} {
			soon(t, "the person's other sessions end", func() bool { _, err := m.Lookup(token); return err != nil })
		}
		wantGood(t, m, here)
		wantGood(t, m, bobs)
	}
	// The one that was spared may be rotated, and a new sign-in works at once.
	next, _, err := one.Rotate(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	wantGood(t, one, next)
	again, _ := signIn(t, one, ada)
	wantGood(t, one, again)
	wantGood(t, two, again)
	if err := two.EndPerson(t.Context(), "p1", ""); err != nil {
		t.Fatal(err)
	}
	if n := len(two.List("p1")); n != 0 {
		t.Errorf("%d sessions are left", n)
	}
}

func TestEndPersonReachesSessionsOnTheirWay(t *testing.T) {
	w := newWorld(t)
	one, deaf := w.gateway()
	two, _ := w.gateway()
	deaf.deaf.Store(true)
	token, _ := signIn(t, two, ada) // one has not heard of it
	if err := one.EndPerson(t.Context(), "p1", ""); err != nil {
		t.Fatal(err)
	}
	soon(t, "the session the other gateway just made ends", func() bool {
		_, err := two.Lookup(token)
		return err != nil
	})
	deaf.say(state.Resync)
	soon(t, "and is refused here", func() bool { _, err := one.Lookup(token); return err != nil })
}

func TestMaxPerPerson(t *testing.T) {
	w := newWorld(t)
	m, _ := w.gateway(func(o *Options) { o.MaxPerPerson = 2 })
	var tokens []string
	for range 4 {
		w.clk.Advance(time.Second)
		token, _ := signIn(t, m, ada)
		tokens = append(tokens, token)
	}
	mobile := ada
	mobile.Kind = KindMobile
	phone, _ := signIn(t, m, mobile)
	wantErr(t, m, tokens[0], ErrNoSession)
	wantErr(t, m, tokens[1], ErrNoSession)
	wantGood(t, m, tokens[2])
	wantGood(t, m, tokens[3])
	wantGood(t, m, phone)
	if all := m.All(2); len(all) != 2 {
		t.Errorf("All(2) returns %d sessions", len(all))
	}
}

func TestRestartLosesNoSession(t *testing.T) {
	w := newWorld(t)
	m, _ := w.gateway()
	token, s := signIn(t, m, ada)
	w.clk.Advance(20 * time.Minute)
	m.Touch(s)
	m.Stop()
	m.Stop() // twice does no harm
	w.clk.Advance(20 * time.Minute)
	again, _ := w.gateway()
	if got := wantGood(t, again, token); !got.LastSeen.Equal(start.Add(20 * time.Minute)) {
		t.Errorf("the last activity before the stop was lost: %v", got.LastSeen)
	}
}

func TestNewRefuses(t *testing.T) {
	for name, o := range map[string]Options{"no store": {}, "negative": {Store: &link{}, Idle: -1}} {
		if _, err := New(o); err == nil {
			t.Errorf("%s: a manager was made", name)
		}
	}
}

func FuzzToken(f *testing.F) {
	f.Add("")
	f.Add(strings.Repeat("A", 43))
	f.Add(strings.Repeat("_", 42) + "8")
	f.Add(strings.Repeat("a", 42) + "=")
	f.Fuzz(func(t *testing.T, token string) {
		i, ok := parseToken(token)
		raw, err := base64.RawURLEncoding.Strict().DecodeString(token)
		if want := err == nil && len(raw) == tokenBytes && !strings.ContainsAny(token, "\r\n"); ok != want {
			t.Fatalf("token %q: accepted %v, want %v", token, ok, want)
		}
		if ok && i != sha256.Sum256([]byte(token)) {
			t.Fatalf("token %q does not stand for its hash", token)
		}
	})
}

func FuzzRecord(f *testing.F) {
	i := id{1}
	good, err := (&Session{ID: i.String(), PersonID: "p", Created: start, LastSeen: start, Kind: KindUser, IP: "::1"}).encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{}`))
	f.Add([]byte(`null`))
	f.Add([]byte(`{"id":1}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := decode(i, b)
		if err != nil {
			return
		}
		if s.ID != i.String() || s.PersonID == "" || s.Created.IsZero() {
			t.Fatalf("a record that is no session was read: %+v", s)
		}
		if l, err := decodeLock("lock/x", b); err == nil {
			t.Fatalf("a session was read as lock %+v", l)
		}
		again, err := s.encode()
		if err != nil {
			return // a time beyond the year 9999
		}
		if s2, err := decode(i, again); err != nil || s2.PersonID != s.PersonID || s2.Rev != s.Rev {
			t.Fatalf("a session does not read back: %v", err)
		}
	})
}
