// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// Package statetest proves implementations of state.Store: each sentence of that
// package is a case here.
package statetest

import (
	"context"
	"testing"
	"time"

	"github.com/crmgate/crmgate/modules/internal/clock"
	"github.com/crmgate/crmgate/modules/internal/state"
)

// Open makes a store for an account that reads the time from clk. Stores opened
// in one test share their data; the store is closed by the test.
type Open func(t *testing.T, account string, clk clock.Clock) state.Store

// Options says how an implementation is to be tested.
type Options struct {
	// RealTime is set when the store's entries expire by a clock that no test can
	// move. The suite then waits.
	RealTime bool
	// Shared is set when one account can be opened twice, as by two gateways.
	Shared bool
	// Break cuts the links of all watchers and returns at once; the store must find
	// back by itself. nil: there is no link that could break.
	Break func(t *testing.T)
}

// suite is one run of the cases.
type suite struct {
	open Open
	opts Options
}

// Run runs every case as a subtest.
func Run(t *testing.T, open Open, opts Options) {
	s := suite{open: open, opts: opts}
	cases := []struct {
		name string
		run  func(*testing.T)
	}{
		{"an entry is read back as it was put", s.putGet},
		{"values are any bytes up to 64 KiB", s.values},
		{"keys are any bytes", s.keys},
		{"a caller cannot change what is stored", s.aliasing},
		{"expiry is compared on read", s.expiry},
		{"a negative ttl has already expired", s.negativeTTL},
		{"a put starts the ttl afresh", s.extend},
		{"PutNew stores only what is absent", s.putNew},
		{"Replace needs the value it was told", s.replace},
		{"Replace never brings a deleted entry back", s.replaceDeleted},
		{"Take gives an entry once", s.take},
		{"Delete removes all keys and minds no absent one", s.delete},
		{"one of fifty PutNew wins", s.parallelPutNew},
		{"one of fifty Take wins", s.parallelTake},
		{"one of fifty Replace wins", s.parallelReplace},
		{"parallel increments by Replace lose nothing", s.increments},
		{"List finds a prefix among thousands", s.listMany},
		{"List takes glob signs as they are", s.listGlobs},
		{"List stops when told", s.listStops},
		{"accounts do not see each other", s.accounts},
		{"a watcher hears changes in order", s.watch},
		{"a watcher hears what expires when", s.watchExpiry},
		{"a watcher hears its prefix only", s.watchPrefix},
		{"a watcher ends with its context", s.watchEnds},
		{"a watcher hears other gateways", s.watchOthers},
		{"a broken link is told", s.watchBroken},
		{"Admit lets a burst through once", s.admitBurst},
		{"Admit agrees with a slow oracle", s.admitOracle},
		{"Admit lets no double burst through anywhere", s.admitBound},
		{"Admit counts fifty at once", s.admitParallel},
		{"Admit refuses all under a limit of nothing", s.admitNothing},
		{"counters are apart from entries and accounts", s.admitApart},
		{"after Close every call is unavailable", s.closed},
		{"an ended context is unavailable", s.cancelled},
	}
	for _, c := range cases {
		t.Run(c.name, c.run)
	}
}

// start is where the tests' clock begins.
var start = time.Date(2030, 1, 2, 3, 4, 5, 600_000_000, time.UTC)

// setup opens a store on a clock that pass moves.
func (s suite) setup(t *testing.T) (st state.Store, pass func(time.Duration)) {
	t.Helper()
	if s.opts.RealTime {
		return s.openFor(t, "acme", clock.System{}), time.Sleep
	}
	clk := clock.NewFake(start)
	return s.openFor(t, "acme", clk), clk.Advance
}

func (s suite) openFor(t *testing.T, account string, clk clock.Clock) state.Store {
	t.Helper()
	st := s.open(t, account, clk)
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Errorf("closing the store: %v", err)
		}
	})
	return st
}

// bg returns a context that outlives no test.
func bg(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("unexpected error: %v", err)
	}
}
