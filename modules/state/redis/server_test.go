// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package redis

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/goleak"
)

const password = "planted-p4ssw0rd"

// server is a real redis-server of one test.
type server struct {
	addr  string
	dir   string
	extra string // more lines of configuration
	cmd   *exec.Cmd
	down  bool
}

// startServer starts a Redis with a password on a free port.
func startServer(t *testing.T, extra ...string) *server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{addr: l.Addr().String(), dir: t.TempDir(), extra: strings.Join(extra, "\n")}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	s.start(t)
	t.Cleanup(func() { s.kill() })
	return s
}

func (s *server) start(t *testing.T) {
	t.Helper()
	bin, err := exec.LookPath("redis-server")
	if err != nil {
		t.Fatal("redis-server is not installed; these tests need the real one: apt-get install redis-server")
	}
	_, port, err := net.SplitHostPort(s.addr)
	if err != nil {
		t.Fatal(err)
	}
	conf := filepath.Join(s.dir, "redis.conf") // not in the arguments, where others could read the password
	text := fmt.Sprintf("port %s\nbind 127.0.0.1\nrequirepass %s\nsave \"\"\nappendonly no\ndir %q\nlogfile redis.log\n%s\n", port, password, s.dir, s.extra)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s.cmd = exec.Command(bin, conf)
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s.down = false
	c := s.admin()
	defer func() { _ = c.Close() }()
	deadline := time.Now().Add(time.Minute)
	for c.Ping(context.Background()).Err() != nil {
		if time.Now().After(deadline) {
			t.Fatal("redis-server does not answer")
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// kill ends the server at once, with nothing written.
func (s *server) kill() {
	_ = s.cmd.Process.Kill() // it may be dead already
	_ = s.cmd.Wait()
	s.down = true
}

// admin connects as an operator would.
func (s *server) admin() *goredis.Client {
	silence()
	return goredis.NewClient(&goredis.Options{Addr: s.addr, Password: password, Protocol: 2, DisableIdentity: true, MaxRetries: -1})
}

func (s *server) do(t *testing.T, args ...any) any {
	t.Helper()
	c := s.admin()
	defer func() { _ = c.Close() }()
	v, err := c.Do(t.Context(), args...).Result()
	if err != nil {
		t.Fatalf("%v: %v", args, err)
	}
	return v
}

func (s *server) config(account string) Config {
	return Config{Addrs: []string{s.addr}, Password: password, Account: account}
}

// TestMain finds connections and goroutines that Close leaves behind.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
