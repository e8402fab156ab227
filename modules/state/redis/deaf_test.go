// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package redis

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/crmgate/crmgate/modules/internal/state"
)

// address is one at which connections lead to a server of choice, as that of a
// master does over time.
type address struct {
	at     string
	server atomic.Pointer[server]
}

func startAddress(t *testing.T, first *server) *address {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	a := &address{at: l.Addr().String()}
	a.server.Store(first)
	var done sync.WaitGroup
	done.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", a.server.Load().addr)
			if err != nil {
				_ = in.Close()
				continue
			}
			for _, way := range [][2]net.Conn{{in, out}, {out, in}} {
				done.Go(func() {
					_, _ = io.Copy(way[1], way[0]) // ends with either side
					_ = in.Close()
					_ = out.Close()
				})
			}
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		done.Wait() // the stores are closed by now
	})
	return a
}

// A subscription may stand at the old master while the commands go to the new one:
// nobody ends it there, and the numbers of changes can be the same at both.
func TestSubscriptionAtTheOldMaster(t *testing.T) {
	before, now := startServer(t), startServer(t)
	at := startAddress(t, before)
	cfg := before.config("acme")
	cfg.Addrs = []string{at.at}
	s, other := open(t, cfg), open(t, now.config("acme"))
	var e ear
	if err := s.Watch(t.Context(), "", e.fn); err != nil {
		t.Fatal(err)
	}
	if err := s.Put(t.Context(), "lost", nil, 0); err != nil {
		t.Fatal(err)
	}
	within(t, follows, "the change", func() bool { return e.count(state.Put) == 1 })

	if err := other.Put(t.Context(), "missed", nil, 0); err != nil { // as many changes, and not the same
		t.Fatal(err)
	}
	at.server.Store(now)
	before.do(t, "CLIENT", "KILL", "TYPE", "normal")
	within(t, follows, "Lost and Resync", func() bool { return e.count(state.Lost) >= 1 && e.count(state.Resync) >= 1 })
	within(t, follows, "a change at the new master", func() bool {
		return other.Put(t.Context(), "heard", nil, 0) == nil && e.count(state.Put) > 1
	})
	lost := e.count(state.Lost)
	time.Sleep(4 * heartbeat)
	if n := e.count(state.Lost); n != lost {
		t.Errorf("the fan-out was lost %d times more after it was found again", n-lost)
	}
}
