// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package attempts

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"
	"unicode/utf8"

	"github.com/crmgate/crmgate/modules/internal/clock"
	"github.com/crmgate/crmgate/modules/internal/state"
)

// memory is as much of a state store as attempts need.
type memory struct {
	state.Store
	clock   clock.Clock
	mu      sync.Mutex
	entries map[string]state.Entry
	down    atomic.Bool
}

func (m *memory) do(f func() error) error {
	if m.down.Load() {
		return fmt.Errorf("%w: unplugged", state.ErrUnavailable)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return f()
}

func (m *memory) live(key string) (state.Entry, bool) {
	e, ok := m.entries[key]
	return e, ok && e.Expires.After(m.clock.Now())
}

func (m *memory) put(key string, value []byte, ttl time.Duration) {
	m.entries[key] = state.Entry{Key: key, Value: bytes.Clone(value), Expires: m.clock.Now().Add(ttl)}
}

func (m *memory) Get(_ context.Context, key string) (e state.Entry, err error) {
	err = m.do(func() error {
		var ok bool
		if e, ok = m.live(key); !ok {
			return state.ErrNotFound
		}
		return nil
	})
	return e, err
}

func (m *memory) PutNew(_ context.Context, key string, value []byte, ttl time.Duration) (done bool, err error) {
	err = m.do(func() error {
		if _, ok := m.live(key); !ok {
			done = true
			m.put(key, value, ttl)
		}
		return nil
	})
	return done, err
}

func (m *memory) Replace(_ context.Context, key string, old, value []byte, ttl time.Duration) (done bool, err error) {
	err = m.do(func() error {
		e, ok := m.live(key)
		if !ok {
			return state.ErrNotFound
		}
		if done = bytes.Equal(e.Value, old); done {
			m.put(key, value, ttl)
		}
		return nil
	})
	return done, err
}

func (m *memory) Delete(_ context.Context, keys ...string) error {
	return m.do(func() error {
		for _, k := range keys {
			delete(m.entries, k)
		}
		return nil
	})
}

func (m *memory) List(_ context.Context, prefix string, fn func(state.Entry) bool) error {
	return m.do(func() error {
		for k := range m.entries {
			if e, ok := m.live(k); ok && strings.HasPrefix(k, prefix) && !fn(e) {
				break
			}
		}
		return nil
	})
}

type fixture struct {
	*testing.T
	*Throttle
	clock *clock.Fake
	store *memory
}

func setup(t *testing.T, o Options) *fixture {
	t.Helper()
	c := clock.NewFake(time.Date(2026, 11, 2, 8, 0, 0, 0, time.UTC))
	m := &memory{clock: c, entries: map[string]state.Entry{}}
	o.Clock = c
	th, err := New(m, o)
	if err != nil {
		t.Fatal(err)
	}
	return &fixture{T: t, Throttle: th, clock: c, store: m}
}

var office = netip.MustParseAddr("203.0.113.7")

// try makes one attempt and says whether it was let through.
func (f *fixture) try(email, ip string, right bool) bool {
	f.Helper()
	a, err := f.Before(f.Context(), email, netip.MustParseAddr(ip))
	if _, ok := errors.AsType[*WaitError](err); ok {
		return false
	}
	if err != nil {
		f.Fatal(err)
	}
	if right {
		err = a.Success(f.Context())
	} else {
		err = a.Failure(f.Context())
	}
	if err != nil {
		f.Fatal(err)
	}
	return true
}

// fail lets n attempts fail, each of which must be let through.
func (f *fixture) fail(n int, email, ip string) {
	f.Helper()
	for i := range n {
		if !f.try(email, ip, false) {
			f.Fatalf("failure %d of %d from %s at %s was not even verified", i+1, n, ip, email)
		}
	}
}

// wait returns how long the next attempt has to wait, 0 for not at all.
func (f *fixture) wait(email, ip string) time.Duration {
	f.Helper()
	a, err := f.Before(f.Context(), email, netip.MustParseAddr(ip))
	if w, ok := errors.AsType[*WaitError](err); ok {
		return w.Until.Sub(f.clock.Now())
	}
	if err != nil {
		f.Fatal(err)
	}
	if err := a.Release(f.Context()); err != nil {
		f.Fatal(err)
	}
	return 0
}

func (f *fixture) wantWait(want time.Duration, email, ip, why string) {
	f.Helper()
	if got := f.wait(email, ip); got != want {
		f.Fatalf("%s: %s from %s has to wait %v, want %v", why, email, ip, got, want)
	}
}

const sally, mona = "sally@example.com", "mona@example.com"

func TestTheBackOffGrows(t *testing.T) {
	f := setup(t, Options{})
	f.fail(4, sally, "203.0.113.7")
	f.wantWait(0, sally, "203.0.113.7", "after four failures")
	f.fail(1, sally, "203.0.113.7")
	for _, want := range []time.Duration{30 * time.Second, time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute, 15 * time.Minute, 15 * time.Minute} {
		f.wantWait(want, sally, "203.0.113.7", "in a row of bans")
		f.clock.Advance(want - time.Millisecond)
		f.wantWait(time.Millisecond, sally, "203.0.113.7", "just before the end of a ban")
		f.clock.Advance(time.Millisecond)
		f.fail(1, sally, "203.0.113.7")
	}
	f.clock.Advance(15*time.Minute + time.Hour)
	f.fail(4, sally, "203.0.113.7")
	f.wantWait(0, sally, "203.0.113.7", "an hour after the last ban it is forgotten")
}

func TestTheWindowSlides(t *testing.T) {
	f := setup(t, Options{})
	for range 4 {
		f.fail(1, sally, "203.0.113.7")
		f.clock.Advance(time.Minute)
	}
	f.clock.Advance(61 * time.Second) // the first is out of the window
	f.fail(1, sally, "203.0.113.7")
	f.wantWait(0, sally, "203.0.113.7", "four failures in any five minutes")
	f.fail(1, sally, "203.0.113.7")
	f.wantWait(30*time.Second, sally, "203.0.113.7", "five failures in five minutes, across no boundary")
}

func TestWhatCountsTogether(t *testing.T) {
	t.Run("an account over all addresses", func(t *testing.T) {
		f := setup(t, Options{})
		for i := range 5 {
			f.fail(1, sally, fmt.Sprintf("203.0.113.%d", i))
		}
		f.wantWait(30*time.Second, sally, "198.51.100.1", "guesses from many addresses")
		f.wantWait(0, mona, "203.0.113.1", "another account")
	})
	t.Run("an account by any spelling", func(t *testing.T) {
		f := setup(t, Options{})
		for _, e := range []string{"Sally@Example.com", " sally@example.com", "SALLY@EXAMPLE.COM\t", sally, "sally@EXAMPLE.com"} {
			f.fail(1, e, "203.0.113.7")
		}
		f.wantWait(30*time.Second, sally, "203.0.113.7", "a spelling must not have tries of its own")
	})
	t.Run("an address over all accounts", func(t *testing.T) {
		f := setup(t, Options{})
		for i := range 20 {
			f.fail(1, fmt.Sprintf("u%d@example.com", i), "203.0.113.7")
		}
		f.wantWait(30*time.Second, "new@example.com", "203.0.113.7", "one guess at each of many accounts")
		f.wantWait(30*time.Second, "", "203.0.113.7", "an attempt that names no account")
		f.wantWait(0, "new@example.com", "203.0.113.8", "another address")
	})
	t.Run("IPv6 by network", func(t *testing.T) {
		f := setup(t, Options{})
		for i := range 20 {
			f.fail(1, fmt.Sprintf("u%d@example.com", i), fmt.Sprintf("2001:db8:1:2:%x::%x", i, i))
		}
		f.wantWait(30*time.Second, "new@example.com", "2001:db8:1:2:ffff::1", "a new address of the same /64")
		f.wantWait(0, "new@example.com", "2001:db8:1:3::1", "the next /64")
	})
	t.Run("IPv4 in IPv6 clothes", func(t *testing.T) {
		f := setup(t, Options{Address: Limit{2, time.Minute}})
		f.fail(1, "", "203.0.113.7")
		f.fail(1, "", "::ffff:203.0.113.7")
		f.wantWait(30*time.Second, "", "203.0.113.7", "the same client")
		f.wantWait(0, "", "::ffff:203.0.113.8", "another client: they must not share one /64")
	})
	t.Run("another name counts for itself", func(t *testing.T) {
		f := setup(t, Options{})
		f.fail(5, sally, "203.0.113.7")
		second, err := New(f.store, Options{Name: "second_factor", Clock: f.clock})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := second.Before(t.Context(), sally, office); err != nil {
			t.Errorf("a ban on passwords banned second factors: %v", err)
		}
	})
}

func TestSuccessForgetsAccountAndPairNotAddress(t *testing.T) {
	f := setup(t, Options{Address: Limit{6, 5 * time.Minute}})
	f.fail(4, sally, "203.0.113.7")
	if !f.try(sally, "203.0.113.7", true) {
		t.Fatal("the right password was not let through")
	}
	f.fail(1, sally, "203.0.113.7")
	f.wantWait(0, sally, "203.0.113.7", "one failure after a success")
	f.fail(1, mona, "203.0.113.7")
	f.wantWait(30*time.Second, mona, "203.0.113.7", "an account of his own must not help a guesser on")
}

func TestSuccessesDoNotFillAnAddress(t *testing.T) {
	f := setup(t, Options{})
	for i := range 100 {
		if !f.try(fmt.Sprintf("u%d@example.com", i), "203.0.113.7", true) {
			t.Fatalf("the office was locked out after %d people signed in", i)
		}
	}
}

func TestFiftyGuessesAtOnce(t *testing.T) {
	for name, guess := range map[string]func(i int) (email, ip string){
		"one account from one address":    func(int) (string, string) { return sally, "203.0.113.7" },
		"one account from many addresses": func(i int) (string, string) { return sally, fmt.Sprintf("203.0.113.%d", i) },
	} {
		t.Run(name, func(t *testing.T) {
			f := setup(t, Options{})
			var verified atomic.Int32
			var wg sync.WaitGroup
			start := make(chan struct{})
			for i := range 50 {
				wg.Go(func() {
					<-start
					email, ip := guess(i)
					a, err := f.Before(t.Context(), email, netip.MustParseAddr(ip))
					if _, ok := errors.AsType[*WaitError](err); ok {
						return
					}
					if err != nil {
						t.Error(err)
						return
					}
					verified.Add(1)
					if err := a.Failure(t.Context()); err != nil {
						t.Error(err)
					}
				})
			}
			close(start)
			wg.Wait()
			if n := verified.Load(); n != 5 {
				t.Errorf("%d of 50 simultaneous guesses were verified, want 5", n)
			}
			f.wantWait(30*time.Second, sally, "203.0.113.200", "after the fifth failure")
		})
	}
}

func TestARefusedAttemptCountsNowhere(t *testing.T) {
	f := setup(t, Options{})
	f.fail(5, sally, "203.0.113.7")
	before := len(f.store.entries)
	for range 100 {
		f.wantWait(30*time.Second, sally, "198.51.100.9", "while banned")
	}
	if len(f.store.entries) != before {
		t.Errorf("refused attempts left %d new records: a banned guesser could fill the store", len(f.store.entries)-before)
	}
	f.wantWait(0, mona, "198.51.100.9", "an address that was only refused")
}

func TestAnAttemptThatNeverEndsIsAFailure(t *testing.T) {
	f := setup(t, Options{})
	for range 5 {
		if _, err := f.Before(t.Context(), sally, office); err != nil {
			t.Fatal(err)
		}
	}
	f.wantWait(time.Second, sally, "203.0.113.7", "all places are taken")
	f.clock.Advance(time.Minute)
	for _, left := range []time.Duration{30 * time.Second, 20 * time.Second, 10 * time.Second} {
		f.wantWait(left, sally, "203.0.113.7", "five attempts never ended: the ban runs on, it does not start anew at every look")
		f.clock.Advance(10 * time.Second)
	}
	f.wantWait(0, sally, "203.0.113.7", "the ban is over")
}

func TestReleaseCountsNothing(t *testing.T) {
	f := setup(t, Options{})
	for range 50 {
		f.wantWait(0, sally, "203.0.113.7", "attempts that were given back")
	}
}

func TestReleaseAfterAResultDoesNothing(t *testing.T) {
	f := setup(t, Options{Account: Limit{1, time.Minute}})
	a, err := f.Before(t.Context(), sally, office)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(a.Failure(t.Context()), a.Release(t.Context())); err != nil {
		t.Fatal(err)
	}
	f.wantWait(30*time.Second, sally, "203.0.113.7", "a deferred release must not undo a failure")
	f.clock.Advance(30 * time.Second)
	if a, err = f.Before(t.Context(), sally, office); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(a.Success(t.Context()), a.Release(t.Context())); err != nil {
		t.Fatal(err)
	}
	if n := len(f.store.entries); n != 1 { // the address stays
		t.Errorf("%d records after a success, want that of the address alone", n)
	}
}

func TestAClientWhoGoesAwayIsCounted(t *testing.T) {
	f := setup(t, Options{Account: Limit{1, time.Minute}})
	ctx, cancel := context.WithCancel(t.Context())
	a, err := f.Before(ctx, sally, office)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := a.Failure(ctx); err != nil {
		t.Fatalf("a guess was not counted because the client hung up: %v", err)
	}
	f.wantWait(30*time.Second, sally, "203.0.113.7", "after the only try")
}

func TestFailsClosed(t *testing.T) {
	f := setup(t, Options{})
	for _, ip := range []netip.Addr{{}, netip.MustParseAddr("fe80::1%eth0")} {
		if a, err := f.Before(t.Context(), sally, ip); a != nil || err == nil {
			t.Errorf("an attempt from address %q was let through uncounted", ip)
		}
	}
	f.fail(1, sally, "203.0.113.7")
	a, err := f.Before(t.Context(), sally, office)
	if err != nil {
		t.Fatal(err)
	}
	f.store.down.Store(true)
	if a, err := f.Before(t.Context(), sally, office); a != nil || !errors.Is(err, state.ErrUnavailable) {
		t.Errorf("without the store an attempt was let through: %v, %v", a, err)
	}
	if err := a.Failure(t.Context()); !errors.Is(err, state.ErrUnavailable) {
		t.Errorf("a failure that was not counted must be told: %v", err)
	}
	if _, err := f.Bans(t.Context()); !errors.Is(err, state.ErrUnavailable) {
		t.Errorf("Bans: %v", err)
	}
	f.store.down.Store(false)
	for k, e := range f.store.entries {
		e.Value = []byte("{")
		f.store.entries[k] = e
	}
	if a, err := f.Before(t.Context(), sally, office); a != nil || err == nil {
		t.Error("a record that cannot be read let an attempt through")
	}
	f.o.Rand = iotest.ErrReader(errors.New("no entropy"))
	if a, err := f.Before(t.Context(), mona, netip.MustParseAddr("198.51.100.1")); a != nil || err == nil {
		t.Error("an attempt without a name of its own was let through")
	}
}

func TestAClockSetBackDoesNotMakeABanLonger(t *testing.T) {
	f := setup(t, Options{})
	f.fail(5, sally, "203.0.113.7")
	f.clock.Advance(-24 * time.Hour)
	f.wantWait(15*time.Minute, sally, "203.0.113.7", "the clock went back a day")
}

func TestBansAndLift(t *testing.T) {
	f := setup(t, Options{Address: Limit{5, time.Minute}})
	f.fail(5, sally, "203.0.113.7")
	f.fail(1, mona, "198.51.100.1")
	bans, err := f.Bans(t.Context())
	if err != nil || len(bans) != 3 {
		t.Fatalf("bans %+v, %v, want one for the account, the pair and the address", bans, err)
	}
	want := map[Kind]string{Account: sally, Pair: sally + " from 203.0.113.7", Address: "203.0.113.7"}
	for _, b := range bans {
		if b.Subject != want[b.Kind] || b.Count != 1 || !b.Until.Equal(f.clock.Now().Add(30*time.Second)) {
			t.Errorf("ban %+v, want subject %q", b, want[b.Kind])
		}
		if err := f.Lift(t.Context(), b.ID); err != nil {
			t.Errorf("lifting %+v: %v", b, err)
		}
		if err := f.Lift(t.Context(), b.ID); !errors.Is(err, ErrNoBan) {
			t.Errorf("lifting it again: %v", err)
		}
	}
	f.wantWait(0, sally, "203.0.113.7", "after every ban was lifted")
	if err := f.Lift(t.Context(), "account/none"); !errors.Is(err, ErrNoBan) {
		t.Errorf("lifting what is not there: %v", err)
	}
}

func TestWhatIsNoAddressIsNotKept(t *testing.T) {
	f := setup(t, Options{Account: Limit{1, time.Minute}})
	f.fail(1, "hunter2-in-the-wrong-field", "203.0.113.7")
	f.wantWait(30*time.Second, "hunter2-in-the-wrong-field", "203.0.113.7", "it is counted all the same")
	for k, e := range f.store.entries {
		if strings.Contains(k+string(e.Value), "hunter2") {
			t.Errorf("a password typed into the wrong field is kept: %s %s", k, e.Value)
		}
	}
}

func TestHostileNamesStaySmallAndPrintable(t *testing.T) {
	f := setup(t, Options{Account: Limit{1, time.Minute}})
	name := "a@\x1b[31m\n\xff" + strings.Repeat("é", 5000)
	f.fail(1, name, "203.0.113.7")
	bans, err := f.Bans(t.Context())
	if err != nil || len(bans) != 1 {
		t.Fatalf("%v, %v", bans, err)
	}
	if s := bans[0].Subject; len(s) > maxSubject+3 || strings.ContainsAny(s, "\x1b\n") || !utf8.ValidString(s) {
		t.Errorf("an operator's terminal would show %q", s)
	}
	for k, e := range f.store.entries {
		if len(k) > 100 || len(e.Value) > 1000 {
			t.Errorf("one attempt stored %d + %d bytes: strangers could fill the store", len(k), len(e.Value))
		}
	}
	f.wantWait(0, name+"x", "203.0.113.8", "a name that differs only behind what is shown")
}

func TestFailedLine(t *testing.T) {
	cases := map[string]string{
		FailedLine(office, " Sally@example.com", "wrong_credentials"):                                    "crmgate sign-in failed ip=203.0.113.7 account=" + AccountTag(sally) + " reason=wrong_credentials",
		FailedLine(netip.MustParseAddr("::ffff:203.0.113.7"), "", ""):                                    "crmgate sign-in failed ip=203.0.113.7 account=- reason=-",
		FailedLine(netip.MustParseAddr("2001:db8::1"), "a b\nip=1.2.3.4", "wrong ip=1.2.3.4\nreason=X!"): "crmgate sign-in failed ip=2001:db8::1 account=" + AccountTag("a b\nip=1.2.3.4") + " reason=wrongipreason",
	}
	for got, want := range cases {
		if got != want {
			t.Errorf("got  %s\nwant %s: fail2ban filters would no longer match, or match a forged line", got, want)
		}
	}
	if got := AccountTag(mona); got != "c1b996b40e33" {
		t.Errorf("the tag of an account became %s: old and new log lines no longer tell of one account", got)
	}
}

func TestBadOptions(t *testing.T) {
	for _, o := range []Options{
		{Account: Limit{-1, time.Minute}},
		{Pair: Limit{Failures: 5}},
		{Address: Limit{5, 48 * time.Hour}},
		{Account: Limit{Within: time.Minute}},
		{FirstBan: time.Hour},
		{FirstBan: time.Millisecond},
		{MaxBan: 48 * time.Hour},
		{Forget: -1},
	} {
		if _, err := New(nil, o); err == nil {
			t.Errorf("%+v was taken", o)
		}
	}
}
