// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package redis

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/crmgate/crmgate/modules/internal/clock"
	"github.com/crmgate/crmgate/modules/internal/state"
	"github.com/crmgate/crmgate/modules/internal/state/statetest"
)

func TestConformance(t *testing.T) {
	srv := startServer(t)
	conformance(t, srv, func(cfg *Config) {})
}

// A Cluster of one node refuses what a Cluster of many would refuse: scripts
// whose keys lie in different slots.
func TestConformanceCluster(t *testing.T) {
	srv := startServer(t, "cluster-enabled yes", "cluster-require-full-coverage yes")
	srv.do(t, "CLUSTER", "ADDSLOTSRANGE", 0, 16383)
	deadline := time.Now().Add(5 * time.Second)
	for !strings.Contains(fmt.Sprint(srv.do(t, "CLUSTER", "INFO")), "cluster_state:ok") {
		if time.Now().After(deadline) {
			t.Fatal("the cluster does not form")
		}
		time.Sleep(10 * time.Millisecond)
	}
	conformance(t, srv, func(cfg *Config) { cfg.Cluster = true })
}

func conformance(t *testing.T, srv *server, change func(*Config)) {
	var flushed string
	statetest.Run(t, func(t *testing.T, account string, clk clock.Clock) state.Store {
		if flushed != t.Name() {
			flushed = t.Name()
			srv.do(t, "FLUSHALL")
		}
		cfg := srv.config(account)
		cfg.Clock = clk
		change(&cfg)
		st, err := Open(cfg)
		if err != nil {
			t.Fatal(err)
		}
		if _, fake := clk.(*clock.Fake); fake {
			st.now = clk.Now
		}
		return st
	}, statetest.Options{RealTime: true, Shared: true, Break: func(t *testing.T) {
		srv.do(t, "CLIENT", "KILL", "TYPE", "pubsub")
	}})
}

func open(t *testing.T, cfg Config) *Store {
	t.Helper()
	s, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("closing: %v", err)
		}
	})
	return s
}

// ear collects the kinds a watcher hears.
type ear struct {
	mu    sync.Mutex
	kinds []state.ChangeKind
}

func (e *ear) fn(c state.Change) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.kinds = append(e.kinds, c.Kind)
}

func (e *ear) count(k state.ChangeKind) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return bytes.Count(kindBytes(e.kinds), []byte{byte(k)})
}

func kindBytes(ks []state.ChangeKind) []byte {
	b := make([]byte, len(ks))
	for i, k := range ks {
		b[i] = byte(k)
	}
	return b
}

func within(t *testing.T, d time.Duration, what string, cond func() bool) {
	t.Helper()
	deadline := time.Now().Add(d)
	for !cond() {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", d, what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func TestLostMessageIsFound(t *testing.T) {
	srv := startServer(t)
	s := open(t, srv.config("acme"))
	var e ear
	if err := s.Watch(t.Context(), "", e.fn); err != nil {
		t.Fatal(err)
	}
	if err := s.Put(t.Context(), "a", nil, 0); err != nil {
		t.Fatal(err)
	}
	within(t, time.Second, "the change", func() bool { return e.count(state.Put) == 1 })
	for name, lose := range map[string]func(){
		"the last message": func() { srv.do(t, "INCR", s.keys.seq) }, // as if its publication had not arrived
		"one in the middle": func() {
			srv.do(t, "INCR", s.keys.seq)
			if err := s.Put(t.Context(), "a", nil, 0); err != nil {
				t.Error(err)
			}
		},
		"all data":           func() { srv.do(t, "FLUSHALL") },
		"an unreadable one":  func() { srv.do(t, "PUBLISH", s.keys.channel, "junk") },
		"a link cut half":    func() { srv.do(t, "CLIENT", "KILL", "TYPE", "pubsub") },
		"a server restarted": func() { srv.kill(); srv.start(t) },
	} {
		lost, resync := e.count(state.Lost), e.count(state.Resync)
		lose()
		within(t, 1200*time.Millisecond, "Lost and Resync after losing "+name, func() bool {
			return e.count(state.Lost) > lost && e.count(state.Resync) > resync
		})
	}
	n := e.count(state.Put)
	if err := s.Put(t.Context(), "z", nil, 0); err != nil {
		t.Fatal(err)
	}
	within(t, time.Second, "changes after it all", func() bool { return e.count(state.Put) == n+1 })
	lost := e.count(state.Lost)
	time.Sleep(3 * heartbeat)
	if e.count(state.Lost) != lost {
		t.Error("a quiet, working link is reported lost: every gateway would read everything again and again")
	}
}

func TestServerAway(t *testing.T) {
	srv := startServer(t)
	s := open(t, srv.config("acme"))
	var e ear
	if err := s.Watch(t.Context(), "", e.fn); err != nil {
		t.Fatal(err)
	}
	srv.kill()
	within(t, time.Second, "Lost after the server was killed", func() bool { return e.count(state.Lost) == 1 })
	began := time.Now()
	statetest.WantUnavailable(t, s)
	if d := time.Since(began) / 10; d > time.Second {
		t.Errorf("a call to a dead server takes %v", d)
	}
	if e.count(state.Resync) != 0 {
		t.Error("Resync while the server is away")
	}
	srv.start(t)
	within(t, 2*time.Second, "Resync after the server came back", func() bool { return e.count(state.Resync) == 1 })
	if err := s.Put(t.Context(), "a", nil, 0); err != nil {
		t.Fatalf("after the server came back: %v", err)
	}
}

func TestServerHangs(t *testing.T) {
	srv := startServer(t)
	s := open(t, srv.config("acme"))
	var e ear
	if err := s.Watch(t.Context(), "", e.fn); err != nil {
		t.Fatal(err)
	}
	if err := srv.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	_, err := s.Get(t.Context(), "a")
	if d := time.Since(began); !errors.Is(err, state.ErrUnavailable) || d > 1500*time.Millisecond {
		t.Errorf("a hanging server: %v after %v; requests must not hang with it", err, d)
	}
	within(t, time.Second, "Lost while the server hangs", func() bool { return e.count(state.Lost) == 1 })
	if err := srv.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	within(t, 2*time.Second, "Resync when it goes on", func() bool { return e.count(state.Resync) >= 1 })
}

// A master that its replicas have left, told to take no writes then, takes none.
func TestMasterWithoutReplicas(t *testing.T) {
	srv := startServer(t)
	s := open(t, srv.config("acme"))
	if err := s.Put(t.Context(), "a", []byte("1"), 0); err != nil {
		t.Fatal(err)
	}
	srv.do(t, "CONFIG", "SET", "min-replicas-to-write", 1)
	v, err := s.Admit(t.Context(), "a", state.Limit{Events: 1, Per: time.Second})
	if !errors.Is(err, state.ErrUnavailable) || v.Allowed {
		t.Errorf("Admit: %+v, %v", v, err)
	}
	for name, call := range map[string]func() error{
		"Put":     func() error { return s.Put(t.Context(), "a", nil, 0) },
		"PutNew":  func() error { _, err := s.PutNew(t.Context(), "b", nil, 0); return err },
		"Replace": func() error { _, err := s.Replace(t.Context(), "a", []byte("1"), nil, 0); return err },
		"Take":    func() error { _, err := s.Take(t.Context(), "a"); return err },
		"Delete":  func() error { return s.Delete(t.Context(), "a") },
	} {
		if err := call(); !errors.Is(err, state.ErrUnavailable) {
			t.Errorf("%s: %v; want ErrUnavailable, so that callers fail closed", name, err)
		}
	}
	if e, err := s.Get(t.Context(), "a"); err != nil || string(e.Value) != "1" {
		t.Errorf("what was refused left its traces: %q, %v", e.Value, err)
	}
	if _, err := s.Get(t.Context(), "b"); !errors.Is(err, state.ErrNotFound) {
		t.Errorf("what was refused left its traces: %v", err)
	}
}

func TestOpenDoesNotConnect(t *testing.T) {
	srv := startServer(t)
	srv.kill()
	s := open(t, srv.config("acme"))
	statetest.WantUnavailable(t, s)
	srv.start(t)
	// The client dials a server it has given up once a second.
	within(t, 2*time.Second, "an answer after the server came", func() bool { return s.Ping(t.Context()) == nil })
	var e ear
	if err := s.Watch(t.Context(), "", e.fn); err != nil {
		t.Fatalf("watching after the server came: %v", err)
	}
}

func TestWrongPassword(t *testing.T) {
	srv := startServer(t)
	cfg := srv.config("acme")
	cfg.Password = "wr0ng-s3cret"
	s := open(t, cfg)
	err := s.Ping(t.Context())
	if !errors.Is(err, state.ErrUnavailable) {
		t.Fatalf("wrong password: %v", err)
	}
	if strings.Contains(err.Error(), "s3cret") {
		t.Errorf("the error shows the password: %v", err)
	}
}

func TestIndexIsTidied(t *testing.T) {
	srv := startServer(t)
	s := open(t, srv.config("acme"))
	for i := range 60 {
		if _, err := s.PutNew(t.Context(), fmt.Sprint("once/", i), nil, time.Millisecond); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Put(t.Context(), "stays", nil, time.Hour); err != nil {
		t.Fatal(err)
	}
	time.Sleep(1100 * time.Millisecond) // the index keeps keys for a second over their end
	for range 10 {
		if err := s.Put(t.Context(), "other", nil, 0); err != nil {
			t.Fatal(err)
		}
	}
	if n := srv.do(t, "ZCARD", s.keys.index); n != int64(2) {
		t.Errorf("the index holds %v keys, want 2: it would grow for ever with once-keys", n)
	}
	if n := srv.do(t, "ZCARD", s.keys.ends); n != int64(1) {
		t.Errorf("%v keys are remembered as ending, want 1", n)
	}
}

func TestCountersLeave(t *testing.T) {
	srv := startServer(t)
	s := open(t, srv.config("acme"))
	limit := state.Limit{Events: 1, Per: 50 * time.Millisecond}
	if v, err := s.Admit(t.Context(), "k", limit); err != nil || !v.Allowed {
		t.Fatalf("first event: %+v, %v", v, err)
	}
	if v, err := s.Admit(t.Context(), "k", limit); err != nil || v.Allowed || time.Until(v.RetryAt) > limit.Per {
		t.Fatalf("second event by the server's clock: %+v, %v", v, err)
	}
	within(t, time.Second, "the counter to leave", func() bool {
		return srv.do(t, "EXISTS", s.keys.limits+"k") == int64(0)
	})
	if v, err := s.Admit(t.Context(), "k", limit); err != nil || !v.Allowed {
		t.Fatalf("after the limit's time: %+v, %v", v, err)
	}
}
