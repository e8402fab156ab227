// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T, opt Options) *Writer {
	t.Helper()
	opt.Chain = "gw"
	w, err := Open(t.Context(), opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	return w
}

// stored checks that the store has exactly the records numbered from 0 to n-1,
// once each, and that the chain verifies.
func stored(t *testing.T, m *memory, n int) {
	t.Helper()
	report, err := Verify(t.Context(), m)
	if err != nil || !report.OK() {
		t.Fatalf("the chain does not verify: %+v, %v", report.Findings, err)
	}
	seen := map[string]int{}
	for _, rs := range m.rs {
		for _, r := range rs {
			seen[r.RequestID]++
		}
	}
	for i := range n {
		if id := fmt.Sprint(i); seen[id] != 1 {
			t.Errorf("record %s is stored %d times: the audit is not what happened", id, seen[id])
		}
	}
	if len(seen) != n {
		t.Errorf("%d different records are stored, want %d", len(seen), n)
	}
}

func numbered(i int) Record { return Record{Kind: "request", RequestID: fmt.Sprint(i)} }

func put(t *testing.T, w *Writer, from, to int) {
	t.Helper()
	for i := from; i < to; i++ {
		if err := w.Append(numbered(i)); err != nil {
			t.Fatalf("record %d was not taken: %v", i, err)
		}
	}
}

// until waits for a state that the writer's goroutine reaches by itself.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not reached in 10 s: %s", what)
		}
	}
}

func TestAsyncLosesNothingOnClose(t *testing.T) {
	m := newMemory()
	w := open(t, Options{Store: m})
	var wg sync.WaitGroup
	for g := range 20 {
		wg.Go(func() { put(t, w, g*500, g*500+500) })
	}
	wg.Wait()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	stored(t, m, 10_000)
	if len(m.batches) > 1000 {
		t.Errorf("10,000 records took %d transactions", len(m.batches))
	}
	if s := w.Stats(); s.Queued != 10_000 || s.Written != 10_000 || s.Pending != 0 || s.Failed != 0 {
		t.Errorf("counters: %+v", s)
	}
	var un *UnavailableError
	if err := w.Append(numbered(1)); !errors.As(err, &un) || !errors.Is(err, ErrClosed) || !errors.Is(w.Ready(), ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	if err := w.Close(); err != nil {
		t.Errorf("closing twice: %v", err)
	}
}

func TestAsyncCommitsWithoutClose(t *testing.T) {
	m := newMemory()
	w := open(t, Options{Store: m})
	put(t, w, 0, 3)
	until(t, "three records in the store", func() bool { return w.Stats().Written == 3 })
	if err := w.AppendNow(t.Context(), numbered(3)); err != nil {
		t.Fatal(err)
	}
	stored(t, m, 4)
	if m.rs["gw"][0].Time.IsZero() {
		t.Error("a record without time was stored without time")
	}
}

// TestWindow holds the promise of what a killed gateway can lose: a record waits
// for its commit no longer than Interval, and a full batch not at all.
func TestWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		w := open(t, Options{Store: m, Batch: 4})
		put(t, w, 0, 1)
		time.Sleep(DefaultInterval / 2)
		put(t, w, 1, 2)
		time.Sleep(DefaultInterval / 2)
		synctest.Wait()
		if n := w.Stats().Written; n != 2 {
			t.Errorf("%v after the first record %d of 2 are committed", DefaultInterval, n)
		}
		put(t, w, 2, 6)
		synctest.Wait()
		if n := w.Stats().Written; n != 6 {
			t.Errorf("a full batch waits: %d of 6 are committed", n)
		}
		put(t, w, 6, 7)
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		stored(t, m, 7)
	})
}

func TestChainGoesOnAfterRestart(t *testing.T) {
	m := newMemory()
	for i := range 3 {
		w := open(t, Options{Store: m})
		put(t, w, i*10, i*10+10)
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	stored(t, m, 30)
}

func TestStrict(t *testing.T) {
	m := newMemory()
	w := open(t, Options{Store: m, Strict: true})
	var wg sync.WaitGroup
	block := make(chan struct{})
	m.set(func(m *memory) { m.block = block })
	for i := range 64 {
		wg.Go(func() {
			if err := w.Append(numbered(i)); err != nil {
				t.Errorf("record %d: %v", i, err)
			}
		})
	}
	until(t, "64 callers wait", func() bool { return w.Stats().Queued == 64 })
	if n := w.Stats().Written; n != 0 {
		t.Errorf("%d callers were told their record is stored before it was", n)
	}
	m.set(func(m *memory) { m.block = nil })
	close(block)
	wg.Wait()
	stored(t, m, 64)
	if len(m.batches) > 3 {
		t.Errorf("64 waiting callers took %d transactions", len(m.batches))
	}
	m.set(func(m *memory) { m.away = true })
	var un *UnavailableError
	if err := w.Append(numbered(99)); !errors.As(err, &un) || !errors.Is(err, errAway) {
		t.Errorf("with the store away Append gives %v: the request would pass unrecorded", err)
	}
	m.set(func(m *memory) { m.away = false })
	if err := w.Append(numbered(64)); err != nil {
		t.Errorf("with the store back: %v", err)
	}
	stored(t, m, 65)
	if s := w.Stats(); s.Failed != 1 || !s.StoreUp {
		t.Errorf("counters: %+v", s)
	}
}

func TestAppendNowGivesUp(t *testing.T) {
	m := newMemory()
	block := make(chan struct{})
	m.block = block
	w := open(t, Options{Store: m, Strict: true})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.AppendNow(ctx, numbered(0)); !errors.Is(err, context.Canceled) {
		t.Errorf("a caller whose request ended got %v", err)
	}
	close(block)
}

func TestCloseSaysWhatIsLost(t *testing.T) {
	m := newMemory()
	w := open(t, Options{Store: m, Interval: time.Hour})
	m.set(func(m *memory) { m.away = true })
	put(t, w, 0, 7)
	var un *UnavailableError
	if err := w.Close(); !errors.As(err, &un) || un.Lost != 7 || !errors.Is(err, errAway) {
		t.Errorf("seven records found no place and Close says %v", err)
	}
	if n := w.Stats().Failed; n != 7 {
		t.Errorf("%d records are counted as failed", n)
	}
}

func TestQueueFullWaits(t *testing.T) {
	m := newMemory()
	block := make(chan struct{})
	m.block = block
	w := open(t, Options{Store: m, Queue: 4, Batch: 2})
	done := make(chan struct{})
	go func() { put(t, w, 0, 20); close(done) }()
	until(t, "the queue is full", func() bool { return w.Stats().Pending == 4 })
	select {
	case <-done:
		t.Error("20 records were taken into a queue of 4")
	default:
	}
	m.set(func(m *memory) { m.block = nil })
	close(block)
	<-done
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	stored(t, m, 20)
}

func TestTwoWritersOnOneChain(t *testing.T) {
	m := newMemory()
	a, b := open(t, Options{Store: m}), open(t, Options{Store: m})
	for i := range 20 {
		if err := []*Writer{a, b}[i%2].AppendNow(t.Context(), numbered(i)); err != nil {
			t.Fatal(err)
		}
	}
	stored(t, m, 20)
	if n := a.Stats().Resealed + b.Stats().Resealed; n != 19 {
		t.Errorf("%d records were numbered anew, 19 had to be", n)
	}
}

type nowhere struct{ *memory }

func (nowhere) AppendAudit(context.Context, []Record) error { return nil }

func BenchmarkAppendAsync(b *testing.B) {
	w, err := Open(b.Context(), Options{Chain: "gw", Store: nowhere{newMemory()}})
	if err != nil {
		b.Fatal(err)
	}
	r := full()
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		if err := w.Append(r); err != nil {
			b.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		b.Fatal(err)
	}
}
