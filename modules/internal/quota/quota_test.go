// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package quota

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/ulule/limiter/v3"
	"github.com/ulule/limiter/v3/drivers/store/memory"

	"github.com/crmgate/crmgate/modules/internal/clock"
)

func newQuota(t testing.TB, c Config) *Quota {
	t.Helper()
	q, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func take(t testing.TB, q *Quota, key string, bulk bool) Verdict {
	t.Helper()
	v, err := q.Take(t.Context(), key, bulk)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// server answers for a Redis that knows the two scripts of the limiter.
type server struct {
	mu     sync.Mutex
	down   bool
	counts map[string]int64
	asked  int
	loaded bool
}

func (s *server) client() redis.UniversalClient {
	c := redis.NewClient(&redis.Options{Addr: "127.0.0.1:0"})
	c.AddHook(s)
	return c
}

func (s *server) DialHook(redis.DialHook) redis.DialHook {
	return func(context.Context, string, string) (net.Conn, error) {
		return nil, errors.New("the test dials nobody")
	}
}

func (s *server) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (s *server) ProcessHook(redis.ProcessHook) redis.ProcessHook {
	return func(_ context.Context, cmd redis.Cmder) error {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.asked++
		err := s.answer(cmd)
		cmd.SetErr(err)
		return err
	}
}

func (s *server) answer(cmd redis.Cmder) error {
	if s.down {
		return errors.New("connection refused")
	}
	switch c := cmd.(type) {
	case *redis.StringCmd: // SCRIPT LOAD
		s.loaded = true
		c.SetVal("0123")
	case *redis.Cmd: // EVALSHA sha 1 key count ttl
		if !s.loaded {
			return errors.New("NOSCRIPT no matching script")
		}
		key := c.Args()[3].(string)
		s.counts[key]++
		c.SetVal([]any{s.counts[key], c.Args()[5].(int64)})
	}
	return nil
}

func TestEveryRuleHolds(t *testing.T) {
	rules := Config{Calls: []Rule{{100, 24 * time.Hour}, {3, 5 * time.Second}}, Bulk: []Rule{{1, 5 * time.Second}}, Prefix: "acme"}
	stores := map[string]func() Config{
		"memory": func() Config { return rules },
		"redis": func() Config {
			c := rules
			c.Redis = (&server{counts: map[string]int64{}}).client()
			return c
		},
	}
	for name, config := range stores {
		t.Run(name, func(t *testing.T) {
			q := newQuota(t, config())
			begin := time.Now()
			for i := range 3 {
				v := take(t, q, "sally", false)
				if !v.Allowed || v.Unchecked || v.Limit != 3 || v.Remaining != int64(2-i) {
					t.Fatalf("call %d: %+v, want it to pass with %d of 3 left", i+1, v, 2-i)
				}
				if in := v.Reset.Sub(begin); in < 5*time.Second || in > 7*time.Second {
					t.Errorf("reset in %v, want about 5s and never too early", in)
				}
			}
			if v := take(t, q, "sally", false); v.Allowed || v.Remaining != 0 || v.Limit != 3 || v.Reset.IsZero() {
				t.Fatalf("the fourth call in 5s: %+v, want it refused by the rule of 3", v)
			}
			if v := take(t, q, "mona", true); !v.Allowed || v.Limit != 1 || v.Remaining != 0 {
				t.Errorf("another key, first bulk call: %+v", v)
			}
			if v := take(t, q, "mona", true); v.Allowed || v.Limit != 1 {
				t.Errorf("second bulk call: %+v, want it refused by the rule for bulk calls", v)
			}
			if v := take(t, q, "mona", false); !v.Allowed || v.Limit != 3 || v.Remaining != 0 {
				t.Errorf("a single call after bulk calls: %+v, want it to pass as the third", v)
			}
		})
	}
}

func TestTheLongWindowHolds(t *testing.T) {
	q := newQuota(t, Config{Calls: []Rule{{5, time.Minute}, {2, 5 * time.Second}}})
	synctest.Test(t, func(t *testing.T) {
		q.got = memory.NewStoreWithOptions(limiter.StoreOptions{Prefix: "t"}) // one that starts no goroutine
		passed := 0
		for range 11 { // 55 s
			for range 3 {
				if take(t, q, "k", false).Allowed {
					passed++
				}
			}
			time.Sleep(5*time.Second + time.Millisecond)
		}
		if passed != 5 {
			t.Errorf("%d calls passed in a minute, want 5", passed)
		}
		time.Sleep(10 * time.Second)
		if v := take(t, q, "k", false); !v.Allowed || v.Remaining != 1 || v.Limit != 2 {
			t.Errorf("in the next minute: %+v", v)
		}
	})
}

func TestWithoutRules(t *testing.T) {
	s := &server{down: true}
	q := newQuota(t, Config{Redis: s.client(), Prefix: "a"})
	if v := take(t, q, "k", true); !v.Allowed || v.Unchecked || s.asked != 0 {
		t.Errorf("without rules: %+v after %d questions to the store, want a plain yes without any", v, s.asked)
	}
	bulk := newQuota(t, Config{Bulk: []Rule{{1, time.Second}}})
	for range 3 {
		if v := take(t, bulk, "k", false); !v.Allowed || v.Limit != 0 {
			t.Errorf("a single call under a rule for bulk calls: %+v", v)
		}
	}
}

func TestStoreAway(t *testing.T) {
	c := clock.NewFake(time.Now())
	for name, open := range map[string]bool{"closed": false, "open": true} {
		t.Run(name, func(t *testing.T) {
			s := &server{down: true, counts: map[string]int64{}}
			q := newQuota(t, Config{Calls: []Rule{{1, time.Second}}, Redis: s.client(), Prefix: "a", FailOpen: open, Clock: c})
			check := func(why string) {
				t.Helper()
				v, err := q.Take(t.Context(), "k", false)
				if open && (err != nil || v != Verdict{Allowed: true, Unchecked: true}) {
					t.Errorf("%s, fail open: %+v, %v", why, v, err)
				}
				if !open && (!errors.Is(err, ErrStore) || v.Allowed) {
					t.Errorf("%s: %+v, %v: calls would pass uncounted", why, v, err)
				}
			}
			check("away from the start")
			asked := s.asked
			check("away a moment later")
			if s.asked != asked {
				t.Error("a store that was away a moment ago was asked again: calls would queue up for time-outs")
			}
			s.down = false
			c.Advance(retryAfter)
			if v := take(t, q, "k", false); !v.Allowed || v.Unchecked {
				t.Errorf("the store is back: %+v", v)
			}
			if v := take(t, q, "k", false); v.Allowed {
				t.Errorf("the second call: %+v", v)
			}
			s.down = true
			check("away later on")
			s.down, s.loaded = false, false // restarted: its scripts are gone
			if v := take(t, q, "other", false); !v.Allowed || v.Unchecked {
				t.Errorf("after a restart: %+v", v)
			}
		})
	}
}

func TestManyAtOnce(t *testing.T) {
	q := newQuota(t, Config{Calls: []Rule{{10, time.Minute}}})
	var passed atomic.Int32
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if v, err := q.Take(t.Context(), "k", false); err != nil {
				t.Error(err)
			} else if v.Allowed {
				passed.Add(1)
			}
		})
	}
	wg.Wait()
	if passed.Load() != 10 {
		t.Errorf("%d of 50 simultaneous calls passed, want 10", passed.Load())
	}
}

func TestBadConfig(t *testing.T) {
	cases := map[string]Config{
		"no calls":     {Calls: []Rule{{0, time.Second}}},
		"too short":    {Calls: []Rule{{1, time.Millisecond}}},
		"too long":     {Bulk: []Rule{{1, 32 * 24 * time.Hour}}},
		"twice":        {Calls: []Rule{{1, time.Second}, {2, time.Second}}},
		"no namespace": {Redis: (&server{}).client()},
	}
	for name, c := range cases {
		if _, err := New(c); err == nil || !strings.HasPrefix(err.Error(), "checking quotas: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if v, err := newQuota(t, Config{}).Take(t.Context(), "", false); err == nil || v.Allowed {
		t.Error("everybody without a key shares one quota")
	}
}

func BenchmarkTake(b *testing.B) {
	q := newQuota(b, Config{Calls: []Rule{{1 << 40, 5 * time.Second}, {1 << 40, 24 * time.Hour}}})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := q.Take(b.Context(), "a-key-id", false); err != nil {
			b.Fatal(err)
		}
	}
}
