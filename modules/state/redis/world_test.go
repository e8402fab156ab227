// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package redis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/crmgate/crmgate/modules/internal/quota"
	"github.com/crmgate/crmgate/modules/internal/session"
	"github.com/crmgate/crmgate/modules/internal/state"
)

// world is two gateways and a crowd of clients that use them all the time.
type world struct {
	topology *topology
	store    *Store
	quota    *quota.Quota
	ear      ear
	gates    [2]*session.Manager
	log      lines
	people   int

	ada, carol string // tokens: a lock ended ada's session, carol's is good
	stop       context.CancelFunc
	crowd      sync.WaitGroup

	mu         sync.Mutex
	acked      []string // one-time things whose use was acknowledged
	replicated []string // those of them that replicas have
	refused    int      // calls that failed
	since      int      // how many of acked were before the present master
}

// lines is the gateways' log.
type lines struct {
	mu  sync.Mutex
	all []string
}

func (l *lines) add(msg string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, fmt.Sprint(msg, ": ", err))
}

func (l *lines) count(part string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range l.all {
		if strings.Contains(line, part) {
			n++
		}
	}
	return n
}

func newWorld(t *testing.T, p *topology) *world {
	t.Helper()
	w := &world{topology: p, store: open(t, p.config("acme"))}
	w.quota = quotas(t, w.store)
	for i := range w.gates {
		m, err := session.New(session.Options{
			Store: open(t, p.config("acme")), Idle: 30 * time.Minute, Absolute: 12 * time.Hour, Logger: w.log.add,
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(m.Stop)
		w.gates[i] = m
	}
	return w
}

// begin ends ada's session by a lock, leaves carol hers, and starts the crowd.
func (w *world) begin(t *testing.T) {
	t.Helper()
	if err := w.store.Watch(t.Context(), "", w.ear.fn); err != nil {
		t.Fatal(err)
	}
	w.ada, _ = signIn(t, w.gates[0], "ada")
	w.carol, _ = signIn(t, w.gates[1], "carol")
	lock := session.Lock{Target: session.Target{Kind: session.ByUser, Value: "ada"}, Ends: true}
	if _, err := w.gates[0].Lock(t.Context(), lock); err != nil {
		t.Fatal(err)
	}
	within(t, follows, "the lock to hold on the other gateway", func() bool {
		return w.gates[1].Check(t.Context(), session.Facts{PersonID: "ada"}) != nil
	})
	ctx, stop := context.WithCancel(context.Background())
	w.stop = stop
	t.Cleanup(w.leave)
	for i := range 4 {
		w.crowd.Go(func() { w.use(ctx, t, i) })
		w.crowd.Go(func() { w.look(ctx, t, w.gates[i%2]) })
	}
}

// leave ends the crowd.
func (w *world) leave() {
	w.stop()
	w.crowd.Wait()
}

// end lets the crowd work once more and leave.
func (w *world) end(t *testing.T) {
	t.Helper()
	w.work(t)
	w.leave()
	w.keeps(t)
	w.holds(t)
}

// use makes and takes one-time things, each of its own.
func (w *world) use(ctx context.Context, t *testing.T, who int) {
	for n := 0; ctx.Err() == nil; n++ {
		key := fmt.Sprintf("%d/%d", who, n)
		ok, err := w.store.PutNew(ctx, "once/"+key, []byte("x"), time.Hour)
		if w.answered(t, "PutNew", err) && ok {
			w.ack("once/" + key)
		}
		if w.answered(t, "Put", w.store.Put(ctx, "ticket/"+key, []byte("x"), time.Hour)) {
			if _, err := w.store.Take(ctx, "ticket/"+key); w.answered(t, "Take", err) && err == nil {
				w.ack("ticket/" + key)
			}
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func (w *world) ack(key string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.acked = append(w.acked, key)
}

// answered says whether the store answered; if not, the error has to say so.
func (w *world) answered(t *testing.T, call string, err error) bool {
	if err == nil || errors.Is(err, state.ErrNotFound) {
		return true
	}
	if !errors.Is(err, state.ErrUnavailable) {
		t.Errorf("%s: %v; want ErrUnavailable, so that callers fail closed", call, err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.refused++
	return false
}

// look asks for both sessions, as requests would: one never works, the other never
// ends.
func (w *world) look(ctx context.Context, t *testing.T, gate *session.Manager) {
	for ctx.Err() == nil {
		if _, err := gate.Lookup(w.ada); err == nil {
			t.Error("a session that a lock ended works again")
			return
		}
		if err := gate.Check(ctx, session.Facts{PersonID: "ada"}); err == nil {
			t.Error("a lock does not keep somebody from signing in")
			return
		}
		if _, err := gate.Lookup(w.carol); err != nil && !errors.Is(err, session.ErrUnavailable) {
			t.Errorf("a good session ended: %v", err)
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// uses returns what has been acknowledged so far.
func (w *world) uses() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.acked)
}

// work lets the crowd do something.
func (w *world) work(t *testing.T) {
	t.Helper()
	had := len(w.uses())
	within(t, patience, "the crowd to get on", func() bool { return len(w.uses()) > had+50 })
}

// replicate has everything that is acknowledged by now replicated.
func (w *world) replicate(t *testing.T) {
	t.Helper()
	w.work(t)
	done := w.uses()
	w.topology.replicate(t)
	w.replicated = done
}

// again returns how many of the one-time things can be used once more.
func (w *world) again(t *testing.T, things []string) (n int) {
	t.Helper()
	for _, key := range things {
		if strings.HasPrefix(key, "once/") {
			if ok, err := w.store.PutNew(t.Context(), key, []byte("x"), time.Hour); w.answered(t, "PutNew", err) && ok {
				n++
			}
		} else if _, err := w.store.Take(t.Context(), key); w.answered(t, "Take", err) && err == nil {
			n++
		}
	}
	return n
}
