// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package testpeer

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// RedisPassword is the password of the test server.
const RedisPassword = "pa55-of-the-test"

// Redis is a redis-server of a test's own. Every write is on disk before it is
// acknowledged, so that a server that was stopped comes back with all of it.
type Redis struct {
	tb   testing.TB
	bin  string
	dir  string
	port int
	cmd  *exec.Cmd
	log  bytes.Buffer
}

// StartRedis starts a server and stops it when the test ends.
func StartRedis(tb testing.TB) *Redis {
	tb.Helper()
	bin, err := exec.LookPath("redis-server")
	if err != nil {
		tb.Fatal("Redis is not installed and this test talks to a real one: apt-get install redis-server")
	}
	r := &Redis{tb: tb, bin: bin, dir: tb.TempDir(), port: freePort(tb)}
	conf := fmt.Sprintf("port %d\nbind 127.0.0.1\nrequirepass %s\nsave \"\"\nappendonly yes\nappendfsync always\ndir %q\n", r.port, RedisPassword, r.dir)
	if err := os.WriteFile(r.conf(), []byte(conf), 0o600); err != nil { // a file: arguments could be read by others
		tb.Fatalf("writing redis.conf: %v", err)
	}
	tb.Cleanup(r.Stop)
	r.Start()
	return r
}

func (r *Redis) conf() string { return filepath.Join(r.dir, "redis.conf") }

// Start starts the server again after Stop, on the same port with the same data.
func (r *Redis) Start() {
	r.tb.Helper()
	r.cmd = exec.Command(r.bin, r.conf())
	r.cmd.Stdout, r.cmd.Stderr = &r.log, &r.log
	if err := r.cmd.Start(); err != nil {
		r.tb.Fatalf("starting redis-server: %v", err)
	}
	opts, err := redis.ParseURL(r.URL())
	if err != nil {
		r.tb.Fatalf("connecting to redis-server: %v", err)
	}
	c := redis.NewClient(opts)
	defer func() { _ = c.Close() }()
	for deadline := time.Now().Add(20 * time.Second); c.Ping(context.Background()).Err() != nil; {
		if time.Now().After(deadline) {
			r.Stop()
			r.tb.Fatalf("redis-server does not answer:\n%s", r.log.String())
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// Stop kills the server.
func (r *Redis) Stop() {
	if r.cmd == nil {
		return
	}
	_ = r.cmd.Process.Kill()
	_ = r.cmd.Wait()
	r.cmd = nil
}

// URL is the address of the server's first database.
func (r *Redis) URL() string {
	return fmt.Sprintf("redis://:%s@127.0.0.1:%d/0", RedisPassword, r.port)
}
