// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package session

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/crmgate/crmgate/modules/internal/clock"
	"github.com/crmgate/crmgate/modules/internal/state"
)

// Where things are in the state store.
const (
	sessionsAt = "session/" // + id: a Session
	locksAt    = "lock/"    // + id: a Lock
	crmAt      = "crm/"     // + hash: a binding
)

func sessionKey(i id) string   { return sessionsAt + i.String() }
func lockKey(id string) string { return locksAt + id }

const (
	// bestEffortFor is how long a view that has lost the fan-out is served with
	// Options.BestEffort.
	bestEffortFor = 30 * time.Second
	// storeTimeout bounds the store reads of one Lookup.
	storeTimeout = time.Second
	// remember is how long ended sessions and instant locks are remembered against
	// records that arrive late.
	remember = 10 * time.Minute
	// housekeeping is how long a session nobody uses is kept without an idle limit.
	housekeeping = 30 * 24 * time.Hour
	// tendEvery is the pace of the background work: live connections, touches.
	tendEvery = 500 * time.Millisecond
	// sweepEvery is how often memory is freed.
	sweepEvery = 10 * time.Second
)

// Options configure a Manager.
type Options struct {
	Store state.Store // required
	Clock clock.Clock // nil: clock.System
	Rand  io.Reader   // nil: crypto/rand

	Idle     time.Duration // 0: none but housekeeping: 30 days
	Absolute time.Duration // 0: no absolute limit
	// TouchEvery is how often the activity of one session is written at most.
	// 0: a thirtieth of Idle, at most 10 s; one minute without an idle limit.
	TouchEvery time.Duration

	// BestEffort serves from the view for 30 seconds after the fan-out is lost.
	// Otherwise the manager is strict: it reads through, or is unavailable.
	BestEffort bool

	// MaxPerPerson is how many sessions of one kind a person may have; a sign-in
	// above it ends the oldest. 0: no limit.
	MaxPerPerson int

	// GroupsOf returns the groups somebody is in now: a lock on a group ends the sessions
	// of those as well who have joined it since they signed in. It must not call the
	// Manager. nil: groups are those of the sign-in.
	GroupsOf func(email string) []string

	// Ended is told of sessions that ended for good on this gateway: signed out, ended
	// by somebody, by a lock, or by their limits; not of rotated ones, and not of those
	// another gateway ended, which tells its own. Limits and locks are noticed by every
	// gateway. It is called on a goroutine of its own. nil: nobody.
	Ended func(gone []*Session)

	// Logger is told, in one line, what an operator should know. nil: nobody.
	Logger func(msg string, err error)
}

// limits are what SetLimits changes.
type limits struct {
	idle, absolute, touchEvery time.Duration
}

// Manager knows the sessions of one account. Make one with New; it answers
// ErrUnavailable until Start. All methods are safe for concurrent use.
type Manager struct {
	opts   Options
	store  state.Store
	clk    clock.Clock
	rand   io.Reader
	limits atomic.Pointer[limits]
	most   atomic.Int64 // sessions of one kind a person may have; 0: no limit

	view   view
	locks  atomic.Pointer[lockIndex]
	lostAt atomic.Int64 // unix nanoseconds since when the view is not trusted; 0: it is
	misses misses
	live   registry
	touch  touched

	mu         sync.Mutex // guards the writing side of the view: what follows
	people     map[string]map[*entry]struct{}
	tombs      map[id]tomb
	leaving    map[id]struct{}      // being rotated
	lockSet    map[string]*Lock     // by store key
	lockEnd    map[string]time.Time // by store key: when the record ends
	crm        map[string]bound     // by hash
	heard      map[string]struct{}  // keys changed while a reload reads; nil otherwise
	heardLocks map[string]struct{}  // the same while locks alone are read
	owed       map[string]struct{}  // keys still to be deleted from the store
	linkUp     bool                 // the fan-out stands
	losses     int                  // how often it was lost

	fresh struct { // locks read through while the fan-out is lost
		mu sync.Mutex
		at time.Time
	}

	reloading sync.Mutex    // one reload at a time
	nudge     chan struct{} // wakes keep
	stop      context.CancelFunc
	done      sync.WaitGroup
}

// New makes a manager. It does nothing before Start.
func New(o Options) (*Manager, error) {
	switch {
	case o.Store == nil:
		return nil, errors.New("making a session manager: a state store is needed")
	case o.Idle < 0, o.Absolute < 0, o.TouchEvery < 0, o.MaxPerPerson < 0:
		return nil, errors.New("making a session manager: limits cannot be negative")
	}
	if o.Clock == nil {
		o.Clock = clock.System{}
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	if o.Logger == nil {
		o.Logger = func(string, error) {}
	}
	m := &Manager{
		opts: o, store: o.Store, clk: o.Clock, rand: o.Rand,
		people:  map[string]map[*entry]struct{}{},
		tombs:   map[id]tomb{},
		leaving: map[id]struct{}{},
		lockSet: map[string]*Lock{},
		lockEnd: map[string]time.Time{},
		crm:     map[string]bound{},
		owed:    map[string]struct{}{},
		nudge:   make(chan struct{}, 1),
	}
	m.view.init()
	m.locks.Store(newLockIndex(nil))
	m.lostAt.Store(1) // nothing is known yet: since ever
	m.SetLimits(o.Idle, o.Absolute)
	m.SetMaxPerPerson(o.MaxPerPerson)
	return m, nil
}

// SetLimits changes the idle and absolute limits (0: none) for all sessions, from
// their next read on. A session that has passed its limits stays over when they
// are raised.
func (m *Manager) SetLimits(idle, absolute time.Duration) {
	l := &limits{idle: max(0, idle), absolute: max(0, absolute), touchEvery: m.opts.TouchEvery}
	if l.touchEvery == 0 {
		l.touchEvery = time.Minute
		if l.idle > 0 {
			l.touchEvery = min(10*time.Second, l.idle/30)
		}
	}
	m.limits.Store(l)
}

// SetMaxPerPerson changes Options.MaxPerPerson, from the next sign-in on.
func (m *Manager) SetMaxPerPerson(n int) { m.most.Store(int64(max(0, n))) }

// Start subscribes to changes and loads the view, and keeps both until Stop. A
// store that is away does not fail it: the manager answers ErrUnavailable until
// the store is back. ctx bounds the first load only.
func (m *Manager) Start(ctx context.Context) error {
	if m.stop != nil {
		return errors.New("starting the session manager: it was started before")
	}
	run, stop := context.WithCancel(context.Background())
	m.stop = stop
	err := m.subscribe(run)
	watching := err == nil
	if watching {
		err = m.reload(ctx)
	}
	if err != nil {
		m.opts.Logger("the state store is away; nobody has a session until it is back", err)
	}
	m.done.Go(func() { m.keep(run, watching) })
	m.done.Go(func() { every(run, tendEvery, m.tendLive) })
	m.done.Go(func() { every(run, tendEvery, m.tendStore) })
	m.done.Go(func() { every(run, sweepEvery, func(context.Context) { m.sweep() }) })
	return nil
}

// Stop writes the last activity and ends the background work. The store stays
// open; live connections are left alone.
func (m *Manager) Stop() {
	if m.stop == nil {
		return
	}
	m.stop()
	m.done.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	m.flush(ctx, true)
	m.payDebts(ctx)
	m.distrust()
}

// Healthy says whether the view is true. Otherwise requests cost a read of the
// store, or are refused.
func (m *Manager) Healthy() bool { return m.lostAt.Load() == 0 }

func every(ctx context.Context, pace time.Duration, fn func(context.Context)) {
	t := time.NewTicker(pace)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			fn(ctx)
		}
	}
}

// tendStore is the background work that needs the store.
func (m *Manager) tendStore(ctx context.Context) {
	m.flush(ctx, false)
	m.payDebts(ctx)
}
