// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package statetest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/crmgate/crmgate/modules/internal/clock"
	"github.com/crmgate/crmgate/modules/internal/state"
)

// counterStore opens a store whose counters follow the returned clock. Stores
// whose entries expire in real time must still count by the clock they are given
// in tests.
func (s suite) counterStore(t *testing.T) (state.Store, *clock.Fake) {
	t.Helper()
	clk := clock.NewFake(start)
	return s.openFor(t, "acme", clk), clk
}

func (s suite) admitBurst(t *testing.T) {
	st, clk := s.counterStore(t)
	limit := state.Limit{Events: 5, Per: time.Minute}
	for i := range 5 {
		v, err := st.Admit(bg(t), "k", limit)
		must(t, err)
		if !v.Allowed || v.Remaining != 4-i || !v.RetryAt.IsZero() {
			t.Fatalf("event %d: %+v; want allowed, %d remaining", i+1, v, 4-i)
		}
	}
	for range 3 { // refused events do not count
		v, err := st.Admit(bg(t), "k", limit)
		must(t, err)
		if v.Allowed || v.Remaining != 0 || !v.RetryAt.Equal(clk.Now().Add(12*time.Second)) {
			t.Fatalf("event over the limit: %+v; want refused until 12 s from now", v)
		}
	}
	clk.Advance(12*time.Second - time.Microsecond)
	if v, err := st.Admit(bg(t), "k", limit); err != nil || v.Allowed {
		t.Fatalf("just before RetryAt: %+v, %v; want refused", v, err)
	}
	clk.Advance(time.Microsecond)
	if v, err := st.Admit(bg(t), "k", limit); err != nil || !v.Allowed {
		t.Fatalf("at RetryAt: %+v, %v; want allowed: somebody waits longer than told", v, err)
	}
	if v, err := st.Admit(bg(t), "k", limit); err != nil || v.Allowed {
		t.Fatalf("one event came free and two passed: %+v, %v", v, err)
	}
}

// bucket is the oracle: it keeps every admitted event and replays them all, each
// filling a bucket that leaks one event a step.
type bucket struct {
	limit    state.Limit
	admitted []time.Time
}

func (b *bucket) admit(now time.Time) bool {
	step := b.limit.Step()
	var level time.Duration
	var at time.Time
	for _, e := range append(slices.Clip(b.admitted), now) {
		if !at.IsZero() {
			level = max(0, level-e.Sub(at))
		}
		level += step
		at = e
	}
	if level > step*time.Duration(b.limit.Events) {
		return false
	}
	b.admitted = append(b.admitted, now)
	return true
}

func (s suite) admitOracle(t *testing.T) {
	st, clk := s.counterStore(t)
	rnd := rand.New(rand.NewPCG(1, 2))
	for round := range 12 {
		limit := state.Limit{Events: 1 + rnd.IntN(12), Per: time.Duration(1+rnd.IntN(90)) * time.Second / 3}
		oracle := bucket{limit: limit}
		key := fmt.Sprint("k", round)
		for i := range 150 {
			if rnd.IntN(3) > 0 {
				clk.Advance(time.Duration(rnd.Int64N(int64(limit.Per)/int64(limit.Events)*2)) / 1000 * 1000)
			}
			v, err := st.Admit(bg(t), key, limit)
			must(t, err)
			if want := oracle.admit(clk.Now()); v.Allowed != want {
				t.Fatalf("limit %+v, event %d: allowed %v, the oracle says %v", limit, i, v.Allowed, want)
			}
		}
	}
}

func (s suite) admitBound(t *testing.T) {
	st, clk := s.counterStore(t)
	limit := state.Limit{Events: 10, Per: time.Minute}
	var passed []time.Time
	for i := range 600 { // somebody who tries all the time, in odd steps across minutes
		v, err := st.Admit(bg(t), "k", limit)
		must(t, err)
		if v.Allowed {
			passed = append(passed, clk.Now())
		}
		clk.Advance(time.Duration(i%7) * 137 * time.Millisecond)
	}
	for i := range passed {
		for j := i; j < len(passed); j++ {
			span := passed[j].Sub(passed[i])
			if most := limit.Events + int(span/limit.Step()); j-i+1 > most {
				t.Fatalf("%d events passed within %v, at most %d may: a double burst", j-i+1, span, most)
			}
		}
	}
	if span := passed[len(passed)-1].Sub(passed[0]); len(passed) < int(span/limit.Step()) {
		t.Errorf("only %d events passed in %v: people are refused who are within the limit", len(passed), span)
	}
}

func (s suite) admitParallel(t *testing.T) {
	st, _ := s.counterStore(t)
	limit := state.Limit{Events: 7, Per: time.Hour}
	if n := together(t, func(int) (bool, error) {
		v, err := st.Admit(bg(t), "k", limit)
		return v.Allowed, err
	}); n != limit.Events {
		t.Errorf("%d of %d simultaneous events passed, want %d", n, crowd, limit.Events)
	}
}

func (s suite) admitNothing(t *testing.T) {
	st, clk := s.counterStore(t)
	for _, limit := range []state.Limit{{}, {Events: 0, Per: time.Minute}, {Events: -1, Per: time.Minute}, {Events: 5}, {Events: 5, Per: -1}} {
		v, err := st.Admit(bg(t), "k", limit)
		if err != nil || v.Allowed || !v.RetryAt.After(clk.Now()) {
			t.Errorf("limit %+v: %+v, %v; want refused", limit, v, err)
		}
	}
}

func (s suite) admitApart(t *testing.T) {
	st, clk := s.counterStore(t)
	other := s.openFor(t, "other", clk)
	limit := state.Limit{Events: 1, Per: time.Hour}
	for _, key := range []string{"k", "l", "k\x00", ""} {
		if v, err := st.Admit(bg(t), key, limit); err != nil || !v.Allowed {
			t.Errorf("key %q: %+v, %v; want its own counter", key, v, err)
		}
	}
	if v, err := other.Admit(bg(t), "k", limit); err != nil || !v.Allowed {
		t.Errorf("another account shares the counter: %+v, %v", v, err)
	}
	wantNone(t, st, "k")
	if got := listed(t, st, ""); len(got) != 0 {
		t.Errorf("counters show up as %d entries", len(got))
	}
}
