// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package session

import (
	"crypto/rand"
	"fmt"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/crmgate/crmgate/modules/internal/clock"
)

// crowdOf fills a manager's view with sessions, without a store.
func crowdOf(tb testing.TB, n int) (*Manager, []string) {
	tb.Helper()
	m, err := New(Options{Store: &link{}, Clock: clock.System{}, Idle: 30 * time.Minute, Absolute: 12 * time.Hour})
	if err != nil {
		tb.Fatal(err)
	}
	m.lostAt.Store(0)
	tokens := make([]string, n)
	for i := range tokens {
		token, key, err := newToken(rand.Reader)
		if err != nil {
			tb.Fatal(err)
		}
		s, err := m.draft(SignIn{PersonID: fmt.Sprint("p", i/2), Email: "x@example.com", Role: "sales_user", IP: "192.0.2.1"})
		if err != nil {
			tb.Fatal(err)
		}
		s.ID, s.Rev = key.String(), 1
		m.mu.Lock()
		m.adopt(key, s)
		m.mu.Unlock()
		tokens[i] = token
	}
	return m, tokens
}

// cpuTime reports the processor time an operation took: it stays true on a
// machine that is busy with other things.
func cpuTime(b *testing.B) func() {
	used := func() time.Duration {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	before := used()
	return func() { b.ReportMetric(float64(used()-before)/float64(b.N), "cpu-ns/op") }
}

func TestLookupAllocatesNothing(t *testing.T) {
	m, tokens := crowdOf(t, 100)
	n := 0
	if a := testing.AllocsPerRun(1000, func() {
		s, err := m.Lookup(tokens[n%len(tokens)])
		if err != nil {
			t.Fatal(err)
		}
		m.Touch(s)
		n++
	}); a > 0.2 {
		t.Errorf("a lookup allocates %v times: it is on the path of every request", a)
	}
}

func BenchmarkLookup(b *testing.B) {
	m, tokens := crowdOf(b, 100_000)
	for _, locks := range []int{0, 1000} {
		set := map[string]*Lock{}
		for i := range locks {
			set[fmt.Sprint(i)] = &Lock{ID: fmt.Sprint(i), Target: Target{ByUser, fmt.Sprint("other", i)}}
		}
		m.locks.Store(newLockIndex(set))
		b.Run(fmt.Sprintf("locks=%d/goroutines=1", locks), func(b *testing.B) {
			b.ReportAllocs()
			defer cpuTime(b)()
			for i := 0; b.Loop(); i++ {
				if _, err := m.Lookup(tokens[i*7919%len(tokens)]); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("locks=%d/goroutines=64", locks), func(b *testing.B) {
			b.ReportAllocs()
			defer cpuTime(b)()
			b.SetParallelism(64 / runtime.GOMAXPROCS(0))
			b.RunParallel(func(pb *testing.PB) {
				for i := 0; pb.Next(); i++ {
					if _, err := m.Lookup(tokens[i*7919%len(tokens)]); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}

func BenchmarkTouch(b *testing.B) {
	m, tokens := crowdOf(b, 100_000)
	sessions := make([]*Session, len(tokens))
	for i, token := range tokens {
		s, err := m.Lookup(token)
		if err != nil {
			b.Fatal(err)
		}
		sessions[i] = s
	}
	b.ReportAllocs()
	defer cpuTime(b)()
	for i := 0; b.Loop(); i++ {
		m.Touch(sessions[i*7919%len(sessions)])
	}
}

func BenchmarkJunkToken(b *testing.B) {
	m, tokens := crowdOf(b, 1)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := m.Lookup(tokens[0][:42]); err == nil {
			b.Fatal("accepted")
		}
	}
}
