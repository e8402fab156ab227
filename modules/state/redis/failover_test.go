// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package redis

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/crmgate/crmgate/modules/internal/quota"
	"github.com/crmgate/crmgate/modules/internal/session"
	"github.com/crmgate/crmgate/modules/internal/state"
)

// follows is how soon the gateways have to work once Redis has a new master: the
// time that is theirs. They take about a second.
const follows = 10 * time.Second

func TestFailoverSentinel(t *testing.T) {
	t.Parallel()
	failover(t, startSentinel(t, soon))
}

func TestFailoverCluster(t *testing.T) {
	t.Parallel()
	failover(t, startCluster(t, soon))
}

// failover kills the master, then has the next one hang, while clients write and
// read.
func failover(t *testing.T, p *topology) {
	w := newWorld(t, p)
	w.begin(t)

	first := p.master(t)
	w.loses(t, first, func() {
		first.kill()
		for _, beside := range p.sentinels[:len(p.sentinels)/2] { // on the same machine
			beside.kill()
		}
	})
	w.holds(t)

	first.start(t) // empty, and behind Sentinel a master for all it knows
	w.holds(t)
	within(t, patience, "the old master to have become a replica", func() bool {
		m := p.master(t)
		return m != nil && m != first && m.replicas(t) == p.followers()
	})

	second := p.master(t)
	w.loses(t, second, func() { second.hang(t) })
	w.holds(t)
	second.goOn(t) // where it stood: as the master
	for range 10 {
		w.work(t)
		w.keeps(t)
	}
	w.end(t)
	t.Logf("%d uses acknowledged, %d calls refused; of what was not replicated %d are lost", len(w.acked), w.refused, w.again(t, w.acked))
}

// A master that is replaced on purpose need not lose anything.
func TestPlannedFailoverSentinel(t *testing.T) {
	t.Parallel()
	p := startSentinel(t, soon)
	planned(t, p, func(old *server) {
		// The old master is told only after ten seconds; until then it would take
		// writes that are lost.
		old.do(t, "CLIENT", "PAUSE", 60_000, "WRITE")
		p.sentinels[0].do(t, "SENTINEL", "FAILOVER", "gate")
	})
}

func TestPlannedFailoverCluster(t *testing.T) {
	t.Parallel()
	p := startCluster(t, soon)
	planned(t, p, func(old *server) {
		id := fmt.Sprint(old.do(t, "CLUSTER", "MYID"))
		for _, s := range p.servers {
			if about := fmt.Sprint(s.do(t, "CLUSTER", "NODES")); strings.Contains(about, "myself,slave "+id) {
				s.do(t, "CLUSTER", "FAILOVER")
			}
		}
	})
}

func planned(t *testing.T, p *topology, move func(old *server)) {
	w := newWorld(t, p)
	w.begin(t)
	w.work(t)
	old := p.master(t)
	w.lose(t, old, func() { move(old) })
	w.work(t)
	w.end(t)
	if n := w.again(t, w.acked); n > 0 {
		t.Errorf("%d of %d one-time things can be used again after a master was replaced on purpose", n, len(w.acked))
	}
}

// loses is lose of a master that nobody expects. A gateway says so once; more often
// only when the new master is hard to find.
func (w *world) loses(t *testing.T, old *server, away func()) {
	t.Helper()
	before := w.log.count("fan-out is lost")
	w.lose(t, old, away)
	if n := w.log.count("fan-out is lost") - before; n < len(w.gates) || n > 3*len(w.gates) {
		t.Errorf("%d gateways logged %d lines about the fan-out: an operator wants one of each", len(w.gates), n)
	}
}

// lose takes the master away and waits for everything to work with another.
func (w *world) lose(t *testing.T, old *server, away func()) {
	t.Helper()
	w.replicate(t)
	lost, resync, lines := w.ear.count(state.Lost), w.ear.count(state.Resync), w.log.count("fan-out is lost")
	away()
	began := time.Now()
	within(t, patience, "Redis to have another master", func() bool {
		m := w.topology.master(t)
		return m != nil && m != old
	})
	elected := time.Now()
	within(t, follows, "the store to work", func() bool { return w.store.Put(t.Context(), "probe", nil, 0) == nil })
	worked := time.Now()
	within(t, follows, "the quotas to be counted", func() bool {
		_, err := w.quota.Take(t.Context(), "somebody", false)
		return err == nil
	})
	within(t, follows, "both gateways to trust what they know", func() bool { return w.gates[0].Healthy() && w.gates[1].Healthy() })
	w.since = len(w.uses())
	w.fanOut(t)
	within(t, follows, "everything to be read again after the fan-out was lost", func() bool {
		return w.ear.count(state.Lost) == lost || w.ear.count(state.Resync) > resync
	})
	t.Logf("a new master after %v, the store works %v later, the gateways %v later; each logged %d lines", elected.Sub(began), worked.Sub(elected),
		time.Since(elected), (w.log.count("fan-out is lost")-lines)/len(w.gates))
}

// fanOut checks that a lock that is set now on one gateway ends a session, and what
// runs under it, on the other.
func (w *world) fanOut(t *testing.T) {
	t.Helper()
	w.people++
	name := fmt.Sprint("dave", w.people)
	token, s := signIn(t, w.gates[0], name)
	within(t, follows, "a session to be good on the other gateway", func() bool {
		_, err := w.gates[1].Lookup(token)
		return err == nil
	})
	cut := make(chan string, 1)
	w.gates[1].Attach(s.Facts(), false, func(reason string) { cut <- reason })
	if _, err := w.gates[0].Lock(t.Context(), session.Lock{Target: session.Target{Kind: session.ByUser, Value: name}, Ends: true}); err != nil {
		t.Fatal(err)
	}
	select {
	case <-cut:
	case <-time.After(follows):
		t.Error("a lock does not reach the other gateway any more")
	}
	if _, err := w.gates[1].Lookup(token); err == nil {
		t.Error("a session outlives its lock on the other gateway")
	}
}

// holds checks that nothing is lost that was replicated.
func (w *world) holds(t *testing.T) {
	t.Helper()
	if n := w.again(t, w.replicated); n > 0 {
		t.Fatalf("%d of %d one-time things whose use was replicated can be used again", n, len(w.replicated))
	}
}

// keeps checks that nothing is lost that the present master acknowledged of late.
func (w *world) keeps(t *testing.T) {
	t.Helper()
	late := w.uses()[w.since:]
	late = late[max(0, len(late)-200):]
	if n := w.again(t, late); n > 0 {
		t.Fatalf("%d of %d one-time things whose use the new master acknowledged can be used again", n, len(late))
	}
}

// A Cluster's other nodes answer, and nothing of theirs is of use.
func TestClusterWithoutTheAccountsShard(t *testing.T) {
	t.Parallel()
	p := startCluster(t, soon)
	s := open(t, p.config("acme"))
	var warm sync.WaitGroup
	for range 8 { // connections that were good
		warm.Go(func() {
			if err := s.Put(t.Context(), "a", nil, 0); err != nil {
				t.Error(err)
			}
		})
	}
	warm.Wait()
	owner := p.master(t)
	id := fmt.Sprint(owner.do(t, "CLUSTER", "MYID"))
	for _, s := range p.servers {
		s.do(t, "CONFIG", "SET", "cluster-require-full-coverage", "no")
	}
	for _, s := range p.servers {
		if about := fmt.Sprint(s.do(t, "CLUSTER", "NODES")); strings.Contains(about, "myself,slave "+id) {
			s.hang(t)
		}
	}
	owner.hang(t)
	began := time.Now()
	_, err := s.Get(t.Context(), "a")
	if d := time.Since(began); !errors.Is(err, state.ErrUnavailable) || d > 2*time.Second {
		t.Errorf("Get without the shard: %v after %v; requests must not hang with it", err, d)
	}
	if err := s.Put(t.Context(), "a", nil, 0); !errors.Is(err, state.ErrUnavailable) {
		t.Errorf("Put without the shard: %v", err)
	}
	if err := s.Ping(t.Context()); !errors.Is(err, state.ErrUnavailable) {
		t.Errorf("Ping without the shard: %v; the gateway is healthy for all its load balancer knows", err)
	}
}

func quotas(t *testing.T, s *Store) *quota.Quota {
	t.Helper()
	q, err := quota.New(quota.Config{Redis: s.Client(), Prefix: "{acme}:quota:", Calls: []quota.Rule{{Calls: 1000, Per: time.Hour}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := q.Take(t.Context(), "somebody", false); err != nil {
		t.Fatal(err)
	}
	return q
}

func (s *server) hang(t *testing.T) {
	t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	s.down = true
}

func (s *server) goOn(t *testing.T) {
	t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	s.down = false
}
