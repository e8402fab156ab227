// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package redis

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/crmgate/crmgate/modules/internal/clock"
	"github.com/crmgate/crmgate/modules/internal/state"
	"github.com/crmgate/crmgate/modules/internal/state/statetest"
)

// patience bounds waits for what Redis does in its own time. It is no claim about
// how soon: a Sentinel that was not scheduled for two seconds does nothing for
// thirty.
const patience = 2 * time.Minute

// topology is several real servers of which one at a time is the master of what
// the account "acme" has in them.
type topology struct {
	servers   []*server
	sentinels []*server
	cluster   bool
}

// quick lets replicas take over and join without the pauses that are made for
// large databases.
const quick = "masterauth " + password + "\nrepl-diskless-sync-delay 0\nrepl-ping-replica-period 1"

// ports asks the kernel for n free ones, all different.
func ports(t *testing.T, n int) []string {
	t.Helper()
	var out []string
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = l.Close() }()
		_, port, err := net.SplitHostPort(l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, port)
	}
	return out
}

func (p *topology) add(t *testing.T, port, extra string) *server {
	t.Helper()
	s := &server{addr: net.JoinHostPort("127.0.0.1", port), dir: t.TempDir(), extra: quick + "\n" + extra}
	s.start(t)
	t.Cleanup(s.kill)
	p.servers = append(p.servers, s)
	return s
}

// soon is how long a master that does not answer is waited for where one is to fail;
// late where none is.
const soon, late = time.Second, time.Minute

// startSentinel starts a master, two replicas and three Sentinels.
func startSentinel(t *testing.T, down time.Duration) *topology {
	t.Helper()
	p := &topology{}
	free := ports(t, 6)
	for i, port := range free[:3] {
		extra := ""
		if i > 0 {
			extra = "replicaof 127.0.0.1 " + free[0]
		}
		p.add(t, port, extra)
	}
	within(t, patience, "two replicas", func() bool { return p.servers[0].replicas(t) == 2 })
	for _, port := range free[3:] {
		p.sentinels = append(p.sentinels, startOneSentinel(t, port, free[0], down))
	}
	for _, s := range p.sentinels {
		within(t, patience, "the Sentinels to know each other and the replicas", func() bool {
			about := fmt.Sprint(s.do(t, "SENTINEL", "MASTER", "gate"))
			return strings.Contains(about, "num-slaves 2") && strings.Contains(about, "num-other-sentinels 2") && strings.Contains(about, "flags master ")
		})
	}
	return p
}

func startOneSentinel(t *testing.T, port, master string, down time.Duration) *server {
	t.Helper()
	s := &server{addr: net.JoinHostPort("127.0.0.1", port), dir: t.TempDir()}
	text := fmt.Sprintf("port %s\nbind 127.0.0.1\nrequirepass %s\ndir %q\nlogfile sentinel.log\n"+
		"sentinel monitor gate 127.0.0.1 %s 2\nsentinel auth-pass gate %s\nsentinel sentinel-pass %s\n"+
		"sentinel down-after-milliseconds gate %d\nsentinel failover-timeout gate 1000\nsentinel parallel-syncs gate 2\n",
		port, password, s.dir, master, password, password, down.Milliseconds())
	conf := filepath.Join(s.dir, "sentinel.conf")
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s.cmd = exec.Command("redis-server", conf, "--sentinel")
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.kill)
	within(t, patience, "a Sentinel to answer", s.answers)
	return s
}

// startCluster starts three masters with a replica each.
func startCluster(t *testing.T, down time.Duration) *topology {
	t.Helper()
	p := &topology{cluster: true}
	free := ports(t, 12)
	for i := range 6 {
		p.add(t, free[i], fmt.Sprintf("cluster-enabled yes\ncluster-node-timeout %d\ncluster-port %s", down.Milliseconds(), free[6+i]))
	}
	for i, s := range p.servers {
		s.do(t, "CLUSTER", "SET-CONFIG-EPOCH", i+1)
	}
	for i, s := range p.servers {
		again := time.Now()
		within(t, patience, "the nodes to know each other", func() bool {
			if time.Now().After(again) { // nodes that are slow to answer are forgotten
				again = time.Now().Add(3 * time.Second)
				for k := range p.servers {
					s.do(t, "CLUSTER", "MEET", "127.0.0.1", free[k], free[6+k])
				}
			}
			return strings.Count(fmt.Sprint(s.do(t, "CLUSTER", "NODES")), " connected") == 6
		})
		if i < 3 {
			s.do(t, "CLUSTER", "ADDSLOTSRANGE", i*5462, min(i*5462+5461, 16383))
		}
	}
	for i, s := range p.servers[3:] {
		of := fmt.Sprint(p.servers[i].do(t, "CLUSTER", "MYID"))
		within(t, patience, "a replica to be taken in", func() bool { return s.try("CLUSTER", "REPLICATE", of) == nil })
	}
	for _, s := range p.servers {
		within(t, patience, "the cluster to form", func() bool {
			nodes := fmt.Sprint(s.do(t, "CLUSTER", "NODES"))
			return strings.Contains(fmt.Sprint(s.do(t, "CLUSTER", "INFO")), "cluster_state:ok") && strings.Count(nodes, "slave ") == 3
		})
	}
	for _, s := range p.servers[:3] {
		within(t, patience, "each master to have its replica", func() bool { return s.replicas(t) == 1 })
	}
	return p
}

func (p *topology) config(account string) Config {
	cfg := Config{Password: password, Account: account}
	for _, s := range p.servers {
		cfg.Addrs = append(cfg.Addrs, s.addr)
	}
	if p.cluster {
		cfg.Addrs, cfg.Cluster = cfg.Addrs[:1], true // one address is enough to find the others
		return cfg
	}
	cfg.Addrs = nil
	for _, s := range p.sentinels {
		cfg.Addrs = append(cfg.Addrs, s.addr)
	}
	cfg.MasterName, cfg.SentinelPassword = "gate", password
	return cfg
}

// master returns the server everybody is sent to for what account "acme" has; nil:
// there is none at the moment.
func (p *topology) master(t *testing.T) *server {
	t.Helper()
	for _, s := range p.servers {
		if s.down {
			continue
		}
		if p.cluster {
			// The owner of the slot answers, replicas send elsewhere.
			if s.try("GET", keysOf("acme").seq) == nil {
				return s
			}
			continue
		}
		if role, err := s.ask("ROLE"); err == nil && strings.HasPrefix(fmt.Sprint(role), "[master ") && p.agreed(s) {
			return s
		}
	}
	return nil
}

// agreed says whether most Sentinels name s as the master.
func (p *topology) agreed(s *server) bool {
	n := 0
	for _, at := range p.sentinels {
		if got, err := at.ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "gate"); err == nil && strings.Trim(strings.ReplaceAll(fmt.Sprint(got), " ", ":"), "[]") == s.addr {
			n++
		}
	}
	return n > len(p.sentinels)/2
}

// replicate returns when everything that has been acknowledged is on every
// replica: what was written before the barrier is there with it.
func (p *topology) replicate(t *testing.T) {
	t.Helper()
	m := p.master(t)
	if m == nil {
		t.Fatal("there is no master")
	}
	pool := m.admin()
	defer func() { _ = pool.Close() }()
	c := pool.Conn() // WAIT is about the writes of its own connection
	defer func() { _ = c.Close() }()
	if err := c.Incr(t.Context(), keysOf("acme").limits+"barrier").Err(); err != nil {
		t.Fatal(err)
	}
	within(t, patience, "all replicas to have everything", func() bool {
		n, err := c.Do(t.Context(), "WAIT", p.followers(), 1000).Int()
		return err == nil && n >= p.followers()
	})
}

// followers returns how many replicas a master has when all is well. Any of them
// may be the next master.
func (p *topology) followers() int {
	if p.cluster {
		return 1
	}
	return len(p.servers) - 1
}

func (s *server) answers() bool { return s.try("PING") == nil }

func (s *server) try(args ...any) error {
	_, err := s.ask(args...)
	return err
}

// ask is do for what may fail.
func (s *server) ask(args ...any) (any, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	c := s.admin()
	defer func() { _ = c.Close() }()
	v, err := c.Do(ctx, args...).Result()
	if errors.Is(err, goredis.Nil) {
		err = nil
	}
	return v, err
}

// replicas returns how many follow this server.
func (s *server) replicas(t *testing.T) int {
	t.Helper()
	return strings.Count(fmt.Sprint(s.do(t, "INFO", "replication")), ",state=online,")
}

func TestConformanceSentinel(t *testing.T) {
	conformanceAt(t, startSentinel(t, late))
}

func TestConformanceClusterOfSix(t *testing.T) {
	conformanceAt(t, startCluster(t, late))
}

func conformanceAt(t *testing.T, p *topology) {
	each := func(t *testing.T, args ...any) {
		for _, s := range p.servers {
			if role := fmt.Sprint(s.do(t, "ROLE")); strings.HasPrefix(role, "[master ") {
				s.do(t, args...)
			}
		}
	}
	var flushed string
	statetest.Run(t, func(t *testing.T, account string, clk clock.Clock) state.Store {
		if flushed != t.Name() {
			flushed = t.Name()
			each(t, "FLUSHALL")
		}
		cfg := p.config(account)
		cfg.Clock, cfg.Timeout = clk, 3*time.Second // many servers share this machine
		st, err := Open(cfg)
		if err != nil {
			t.Fatal(err)
		}
		if _, fake := clk.(*clock.Fake); fake {
			st.now = clk.Now
		}
		return st
	}, statetest.Options{RealTime: true, Shared: true, Break: func(t *testing.T) { each(t, "CLIENT", "KILL", "TYPE", "pubsub") }})
}
