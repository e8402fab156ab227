// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestSpool(t *testing.T) {
	m := newMemory()
	path := filepath.Join(t.TempDir(), "audit.spool")
	w := open(t, Options{Store: m, Spool: path, Retry: 20 * time.Millisecond, Batch: 8})
	put(t, w, 0, 5)
	until(t, "five stored", func() bool { return w.Stats().Written == 5 })
	m.set(func(m *memory) { m.away = true })
	put(t, w, 5, 50)
	if err := w.AppendNow(t.Context(), numbered(50)); err != nil {
		t.Errorf("with the store away and the spool open: %v", err)
	}
	s := w.Stats()
	if s.InSpool != 46 || s.StoreUp || s.Spooled != 46 {
		t.Errorf("counters: %+v", s)
	}
	if b, _ := os.ReadFile(path); bytes.Count(b, []byte("\n")) != 46 {
		t.Errorf("a waiting caller went on and the file has %d records", bytes.Count(b, []byte("\n")))
	}
	if fi, _ := os.Stat(path); fi.Mode().Perm() != 0o600 {
		t.Errorf("the spool has mode %v", fi.Mode())
	}
	if err := w.Ready(); err != nil {
		t.Errorf("with room in the spool requests are refused: %v", err)
	}
	m.set(func(m *memory) { m.away = false })
	until(t, "the spool is empty", func() bool { s := w.Stats(); return s.InSpool == 0 && s.StoreUp })
	put(t, w, 51, 60)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	stored(t, m, 60)
	if fi, _ := os.Stat(path); fi.Size() != 0 {
		t.Errorf("an empty spool has %d bytes", fi.Size())
	}
}

// TestAppendStored: what waits on disk is not in the store, and is kept there for later.
func TestAppendStored(t *testing.T) {
	m := newMemory()
	w := open(t, Options{Store: m, Spool: filepath.Join(t.TempDir(), "s"), Retry: time.Millisecond})
	if err := w.AppendStored(t.Context(), numbered(0)); err != nil {
		t.Fatal(err)
	}
	m.set(func(m *memory) { m.away = true })
	var un *UnavailableError
	if err := w.AppendStored(t.Context(), numbered(1)); !errors.As(err, &un) {
		t.Errorf("a record that only waits on disk: %v, want an error", err)
	}
	m.set(func(m *memory) { m.away = false })
	until(t, "the spool is empty", func() bool { return w.Stats().InSpool == 0 })
	for i := 2; i < 5; i++ {
		if err := w.AppendStored(t.Context(), numbered(i)); err != nil {
			t.Errorf("with the store back: %v", err)
		}
	}
	stored(t, m, 5)
}

func TestSpoolSurvivesRestart(t *testing.T) {
	m := newMemory()
	path := filepath.Join(t.TempDir(), "audit.spool")
	w := open(t, Options{Store: m, Spool: path, Retry: time.Hour})
	put(t, w, 0, 5)
	until(t, "stored", func() bool { return w.Stats().Written == 5 })
	m.set(func(m *memory) { m.refuses = true })
	put(t, w, 5, 20)
	if err := w.Close(); err != nil {
		t.Fatalf("closing with the store away and room in the spool: %v", err)
	}
	// Still refusing: the records stay, and the chain goes on behind them.
	w = open(t, Options{Store: m, Spool: path, Retry: time.Hour})
	put(t, w, 20, 30)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), Options{Chain: "gw", Store: m, Spool: path, Strict: true}); err == nil {
		t.Error("a strict writer opened with records it cannot store")
	}
	m.set(func(m *memory) { m.refuses = false })
	w = open(t, Options{Store: m, Spool: path, Strict: true})
	if err := w.Append(numbered(30)); err != nil {
		t.Fatal(err)
	}
	stored(t, m, 31)
}

func TestUncertainCommitIsStoredOnce(t *testing.T) {
	for _, strict := range []bool{false, true} {
		m := newMemory()
		w := open(t, Options{Store: m, Strict: strict, Spool: filepath.Join(t.TempDir(), "s"), Retry: time.Millisecond})
		m.set(func(m *memory) { m.lost = 1 })
		err := w.AppendNow(t.Context(), numbered(0))
		if (err != nil) != strict {
			t.Errorf("strict %v: %v", strict, err)
		}
		m.set(func(m *memory) { m.away = false })
		if err := w.AppendNow(t.Context(), numbered(1)); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		stored(t, m, 2)
	}
}

func TestCrashBetweenStoreAndSpool(t *testing.T) {
	m := newMemory()
	path := filepath.Join(t.TempDir(), "audit.spool")
	w := open(t, Options{Store: m, Spool: path, Retry: time.Hour, Batch: 4})
	m.set(func(m *memory) { m.refuses = true })
	put(t, w, 0, 30)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	m.set(func(m *memory) { m.refuses = false })
	w = open(t, Options{Store: m, Spool: path, Batch: 4})
	put(t, w, 30, 35)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	// The file as if it had never been emptied, with half of it not yet stored.
	for _, have := range []int{35, 30, 17, 16, 1} {
		if err := os.WriteFile(path, left, 0o600); err != nil {
			t.Fatal(err)
		}
		m.set(func(m *memory) { m.rs["gw"] = m.rs["gw"][:have:have] })
		w = open(t, Options{Store: m, Spool: path, Batch: 4})
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		stored(t, m, max(have, 30))
	}
}

func TestSpoolFull(t *testing.T) {
	m := newMemory()
	m.refuses = true
	opt := Options{Store: m, Spool: filepath.Join(t.TempDir(), "s"), SpoolBytes: 4000, Retry: 5 * time.Millisecond, Batch: 2}
	w := open(t, opt)
	n := 0
	for ; n < 10_000; n++ {
		if err := w.Append(numbered(n)); err != nil {
			var un *UnavailableError
			if !errors.As(err, &un) || !errors.Is(err, errSpoolFull) {
				t.Errorf("a full spool gives %v", err)
			}
			break
		}
		if n%10 == 0 {
			time.Sleep(time.Millisecond)
		}
	}
	if n == 10_000 {
		t.Fatal("10,000 records were taken into a spool of 4,000 bytes")
	}
	if err := w.Ready(); !errors.Is(err, errSpoolFull) {
		t.Errorf("with a full spool Ready says %v", err)
	}
	m.set(func(m *memory) { m.refuses = false })
	until(t, "records are taken again", func() bool { return w.Ready() == nil })
	put(t, w, n, n+5)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	stored(t, m, n+5)
}
