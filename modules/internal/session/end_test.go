// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package session

import (
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/crmgate/crmgate/modules/internal/clock"
	"github.com/crmgate/crmgate/modules/internal/state"
)

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
	m.SetMaxPerPerson(1)
	w.clk.Advance(time.Second)
	last, _ := signIn(t, m, ada)
	wantErr(t, m, tokens[2], ErrNoSession)
	wantErr(t, m, tokens[3], ErrNoSession)
	wantGood(t, m, last)
}

// Sign-ins at the same moment leave as many sessions as there may be: they do not
// end each other until there is none.
func TestMaxPerPersonAtOnce(t *testing.T) {
	for _, most := range []int{1, 3} {
		w := newWorld(t)
		m, _ := w.gateway(func(o *Options) { o.MaxPerPerson, o.Clock = most, clock.System{} })
		for round := range 20 {
			var all sync.WaitGroup
			begin := make(chan struct{})
			for range 8 {
				all.Go(func() {
					<-begin
					// One that a newer one has replaced already is none.
					if _, _, err := m.Create(t.Context(), ada); err != nil && !errors.Is(err, ErrNoSession) {
						t.Error(err)
					}
				})
			}
			close(begin)
			all.Wait()
			if n := len(m.List(ada.PersonID)); n < 1 || n > most {
				t.Fatalf("round %d: eight sign-ins at once leave %d sessions of %d", round, n, most)
			}
		}
	}
}

// A sign-in through a gateway whose clock is behind ends the sessions that were
// there, and not itself.
func TestMaxPerPersonAcrossClocks(t *testing.T) {
	w := newWorld(t)
	ahead := clock.NewFake(start.Add(30 * time.Second))
	one, _ := w.gateway(func(o *Options) { o.MaxPerPerson, o.Clock = 1, ahead })
	two, _ := w.gateway(func(o *Options) { o.MaxPerPerson = 1 })
	old, _ := signIn(t, one, ada)
	wantGood(t, two, old)
	token, _ := signIn(t, two, ada)
	wantGood(t, two, token)
	wantErr(t, two, old, ErrNoSession)
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

// Whoever keeps something for a session hears of its end, and not of its rotation:
// a grant of a rotated session lives on.
func TestEndedIsToldOfEndsAlone(t *testing.T) {
	w := newWorld(t)
	told := make(chan string, 16)
	m, _ := w.gateway(func(o *Options) {
		o.Ended = func(gone []*Session) {
			for _, s := range gone {
				told <- s.ID
			}
		}
	})
	_, s := signIn(t, m, ada)
	_, next, err := m.Rotate(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.End(t.Context(), next.ID, ReasonSignedOut); err != nil {
		t.Fatal(err)
	}
	if id := <-told; id != next.ID {
		t.Errorf("%s ended, told was %s", next.ID, id)
	}
	_, other := signIn(t, m, ada)
	if err := m.EndPerson(t.Context(), other.PersonID, ""); err != nil {
		t.Fatal(err)
	}
	if id := <-told; id != other.ID {
		t.Errorf("%s was ended with its person's sessions, told was %s", other.ID, id)
	}
	if _, err := m.ByID(other.ID); !errors.Is(err, ErrNoSession) && !errors.Is(err, ErrLocked) {
		t.Errorf("an ended session is found by its id: %v", err)
	}
	_, last := signIn(t, m, ada)
	if got, err := m.ByID(last.ID); err != nil || got.ID != last.ID {
		t.Errorf("a good session by its id: %v, %v", got, err)
	}
	select {
	case id := <-told:
		t.Errorf("told of %s, which was rotated or is good", id)
	default:
	}
}
