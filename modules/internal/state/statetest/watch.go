// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package statetest

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/crmgate/crmgate/modules/internal/clock"
	"github.com/crmgate/crmgate/modules/internal/state"
)

// bound is how late a change may be heard.
const bound = time.Second

// ear collects what a watcher hears.
type ear struct {
	mu     sync.Mutex
	heard  []state.Change
	inside atomic.Int32
	news   chan struct{}
}

func (e *ear) fn(c state.Change) {
	if e.inside.Add(1) != 1 {
		panic("statetest: fn was called from two goroutines at once")
	}
	defer e.inside.Add(-1)
	e.mu.Lock()
	e.heard = append(e.heard, c)
	e.mu.Unlock()
	select {
	case e.news <- struct{}{}:
	default:
	}
}

func (e *ear) all() []state.Change {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]state.Change{}, e.heard...)
}

// until waits for cond over what was heard, at most the bound and some for a
// slow machine.
func (e *ear) until(t *testing.T, what string, within time.Duration, cond func([]state.Change) bool) {
	t.Helper()
	deadline := time.After(within)
	for !cond(e.all()) {
		select {
		case <-e.news:
		case <-deadline:
			if !cond(e.all()) {
				t.Fatalf("not heard within %v: %s; heard %d changes", within, what, len(e.all()))
			}
		}
	}
}

func (e *ear) wait(t *testing.T, n int) {
	t.Helper()
	e.until(t, fmt.Sprint(n, " changes"), bound, func(cs []state.Change) bool { return len(cs) >= n })
}

func (s suite) listen(t *testing.T, st state.Store, prefix string) (context.Context, *ear) {
	t.Helper()
	e := &ear{news: make(chan struct{}, 1)}
	must(t, st.Watch(t.Context(), prefix, e.fn))
	return bg(t), e
}

func (s suite) watch(t *testing.T) {
	st, _ := s.setup(t)
	ctx, heard := s.listen(t, st, "")
	must(t, st.Put(ctx, "a", []byte("1"), 0))
	_, err := st.PutNew(ctx, "b", []byte{0, 0xff, ' ', '\n'}, time.Hour)
	must(t, err)
	_, err = st.PutNew(ctx, "b", []byte("no"), time.Hour)
	must(t, err)
	_, err = st.Replace(ctx, "a", []byte("1"), []byte("2"), 0)
	must(t, err)
	_, err = st.Replace(ctx, "a", []byte("1"), []byte("no"), 0)
	must(t, err)
	_, err = st.Take(ctx, "a")
	must(t, err)
	must(t, st.Delete(ctx, "b", "absent"))
	want := []string{`0 a "1"`, `0 b "\x00\xff \n"`, `0 a "2"`, `1 a ""`, `1 b ""`, `1 absent ""`}
	heard.wait(t, len(want))
	for i := range 300 { // and a burst on one key stays in order
		must(t, st.Put(ctx, "burst", []byte(fmt.Sprint(i)), 0))
	}
	heard.wait(t, len(want)+300)
	cs := heard.all()
	if len(cs) != len(want)+300 {
		t.Fatalf("heard %d changes, want %d", len(cs), len(want)+300)
	}
	for i, w := range want {
		if got := fmt.Sprintf("%d %s %q", cs[i].Kind, cs[i].Entry.Key, cs[i].Entry.Value); got != w {
			t.Errorf("change %d is %s, want %s", i, got, w)
		}
	}
	for i, c := range cs[len(want):] {
		if string(c.Entry.Value) != fmt.Sprint(i) {
			t.Fatalf("change %d of the burst carries %q: a view would end with an old value", i, c.Entry.Value)
		}
	}
}

func (s suite) watchExpiry(t *testing.T) {
	st, _ := s.setup(t)
	ctx, heard := s.listen(t, st, "")
	must(t, st.Put(ctx, "forever", nil, 0))
	must(t, st.Put(ctx, "hour", nil, time.Hour))
	heard.wait(t, 2)
	cs := heard.all()
	if !cs[0].Entry.Expires.IsZero() {
		t.Errorf("a watcher is told that an entry without end expires at %v", cs[0].Entry.Expires)
	}
	e := wantValue(t, st, "hour", nil)
	if d := cs[1].Entry.Expires.Sub(e.Expires).Abs(); d > bound {
		t.Errorf("a watcher is told an expiry that is %v off", d)
	}
}

func (s suite) watchPrefix(t *testing.T) {
	st, _ := s.setup(t)
	ctx, heard := s.listen(t, st, "lock/*")
	_, everything := s.listen(t, st, "")
	for _, k := range []string{"lock/1", "lock/*1", "lock", "x/lock/*"} {
		must(t, st.Put(ctx, k, nil, 0))
	}
	everything.wait(t, 4)
	heard.wait(t, 1)
	if cs := heard.all(); len(cs) != 1 || cs[0].Entry.Key != "lock/*1" {
		t.Errorf("heard %v, want lock/*1 alone", cs)
	}
}

func (s suite) watchEnds(t *testing.T) {
	st, _ := s.setup(t)
	ctx, cancel := context.WithCancel(t.Context())
	gone := &ear{news: make(chan struct{}, 1)}
	must(t, st.Watch(ctx, "", gone.fn))
	_, stays := s.listen(t, st, "")
	must(t, st.Put(bg(t), "a", nil, 0))
	gone.wait(t, 1)
	cancel()
	for range 20 {
		must(t, st.Put(bg(t), "a", nil, 0))
	}
	stays.wait(t, 21)
	n := len(gone.all()) // cancel is not a barrier: a change under way may still come
	for range 20 {
		must(t, st.Put(bg(t), "a", nil, 0))
	}
	stays.wait(t, 41)
	if got := len(gone.all()); got != n {
		t.Errorf("a watcher whose context ended heard %d more changes", got-n)
	}
}

func (s suite) watchOthers(t *testing.T) {
	if !s.opts.Shared {
		t.Log("one account cannot be opened twice: there are no other gateways")
		return
	}
	one, two := s.openFor(t, "acme", clock.System{}), s.openFor(t, "acme", clock.System{})
	ctx, heard := s.listen(t, one, "")
	for i := range 200 {
		must(t, two.Put(ctx, "a", []byte(fmt.Sprint(i)), 0))
	}
	must(t, two.Delete(ctx, "a"))
	heard.wait(t, 201)
	for i, c := range heard.all()[:200] {
		if string(c.Entry.Value) != fmt.Sprint(i) {
			t.Fatalf("change %d of the other gateway carries %q", i, c.Entry.Value)
		}
	}
	wantNone(t, one, "a")
}

func (s suite) watchBroken(t *testing.T) {
	if s.opts.Break == nil {
		t.Log("this store's watchers hang on no link")
		return
	}
	st, _ := s.setup(t)
	ctx, heard := s.listen(t, st, "")
	for round := 1; round <= 3; round++ {
		s.opts.Break(t)
		heard.until(t, "Lost and then Resync", 3*bound, func(cs []state.Change) bool {
			return count(cs, state.Lost) >= round && count(cs, state.Resync) >= round
		})
		var last state.ChangeKind
		for _, c := range heard.all() {
			if c.Kind == state.Resync && last != state.Lost {
				t.Fatal("Resync came without Lost before it")
			}
			if c.Kind == state.Lost || c.Kind == state.Resync {
				last = c.Kind
			}
		}
		key := fmt.Sprint("after", round)
		must(t, st.Put(ctx, key, nil, 0))
		heard.until(t, key, bound, func(cs []state.Change) bool {
			return len(cs) > 0 && cs[len(cs)-1].Entry.Key == key
		})
	}
}

func count(cs []state.Change, k state.ChangeKind) (n int) {
	for _, c := range cs {
		if c.Kind == k {
			n++
		}
	}
	return n
}
