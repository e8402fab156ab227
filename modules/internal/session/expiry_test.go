// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package session

import (
	"errors"
	"testing"
	"time"

	"github.com/crmgate/crmgate/modules/internal/state"
)

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
		"idle alone":             {ada, func(o *Options) { o.Absolute = 0 }, time.Minute, 50 * time.Hour, 50*time.Hour + 31*time.Minute, ErrIdle},
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
				if at%(10*time.Minute) == 0 { // the background flush does not see the fake time pass
					m.flush(t.Context(), false)
				}
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
	soon(t, "the latest activity at one gateway is known at the other", func() bool {
		seen, err := two.Lookup(token)
		if err != nil {
			return false
		}
		idle, _ := two.Remaining(seen)
		return idle == 30*time.Minute
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
