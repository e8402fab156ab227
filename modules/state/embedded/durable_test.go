// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package embedded

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/crmgate/crmgate/modules/internal/clock"
	"github.com/crmgate/crmgate/modules/internal/state"
)

func open(t *testing.T, cfg Config) *Store {
	t.Helper()
	s, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantEntry(t *testing.T, s *Store, key, want string) {
	t.Helper()
	e, err := s.Get(t.Context(), key)
	if want == "" {
		if !errors.Is(err, state.ErrNotFound) {
			t.Errorf("%s: %q, %v; want it gone", key, e.Value, err)
		}
	} else if err != nil || string(e.Value) != want {
		t.Errorf("%s: %q, %v; want %q: it was lost", key, e.Value, err, want)
	}
}

func TestReopen(t *testing.T) {
	clk := clock.NewFake(time.Date(2030, 1, 1, 0, 0, 0, 1, time.UTC))
	dir := filepath.Join(t.TempDir(), "a b%20?#", "new") // made, whatever it is called
	s := open(t, Config{Path: dir, Account: "acme", Clock: clk})
	ctx := t.Context()
	must(t, s.Put(ctx, "session/1", []byte("one"), time.Hour))
	must(t, s.Put(ctx, "session/2", []byte("two"), time.Minute))
	must(t, s.Put(ctx, "forever", []byte("x"), 0))
	must(t, s.Put(ctx, "gone", []byte("x"), 0))
	must(t, s.Delete(ctx, "gone"))
	must(t, s.Put(ctx, "taken", []byte("x"), 0))
	_, err := s.Take(ctx, "taken")
	must(t, err)
	_, err = s.Replace(ctx, "session/1", []byte("one"), []byte("uno"), time.Hour)
	must(t, err)
	must(t, s.Close())
	clk.Advance(time.Minute)
	s = open(t, Config{Path: dir, Account: "acme", Clock: clk})
	wantEntry(t, s, "session/1", "uno")
	wantEntry(t, s, "session/2", "")
	wantEntry(t, s, "forever", "x")
	wantEntry(t, s, "gone", "")
	wantEntry(t, s, "taken", "")
	if e, err := s.Get(ctx, "session/1"); err != nil || !e.Expires.Equal(time.Date(2030, 1, 1, 1, 0, 0, 1, time.UTC)) {
		t.Errorf("the restart moved the session's end to %v, %v", e.Expires, err)
	}
	info, err := os.Stat(filepath.Join(dir, FileName))
	must(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("the state file can be read by others: %v", info.Mode())
	}
}

const childFolder = "CRMGATE_TEST_FOLDER"

// TestMain lets the test binary be the gateway that is killed.
func TestMain(m *testing.M) {
	if dir := os.Getenv(childFolder); dir != "" {
		beKilled(dir)
	}
	os.Exit(m.Run())
}

// beKilled makes changes and says after each that it is done, until it is killed.
func beKilled(dir string) {
	ctx := context.Background()
	s, err := Open(ctx, Config{Path: dir, Account: "acme"})
	for i := 0; err == nil; i++ {
		key := fmt.Sprint("once/", i)
		if _, err = s.PutNew(ctx, key, []byte("used"), time.Hour); err == nil && i%3 == 0 {
			_, err = s.Take(ctx, key)
		}
		fmt.Println("done", i)
	}
	fmt.Println(err)
	os.Exit(1)
}

func TestKilledGatewayLosesNothing(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), childFolder+"="+dir)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	lines := bufio.NewScanner(out)
	last := -1
	for lines.Scan() {
		if _, err := fmt.Sscanf(lines.Text(), "done %d", &last); err != nil {
			t.Fatalf("the gateway stopped: %s", lines.Text())
		}
		if last == 100 {
			must(t, cmd.Process.Kill()) // it goes on until the signal arrives
		}
	}
	_ = cmd.Wait() // killed, as wanted
	s := open(t, Config{Path: dir, Account: "acme"})
	for i := range last + 1 {
		want := "used"
		if i%3 == 0 {
			want = ""
		}
		wantEntry(t, s, fmt.Sprint("once/", i), want)
	}
	if last < 100 {
		t.Fatalf("only %d changes were made", last)
	}
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	must(t, os.WriteFile(file, nil, 0o600))
	junk := filepath.Join(dir, "junk")
	must(t, os.Mkdir(junk, 0o700))
	must(t, os.WriteFile(filepath.Join(junk, FileName), []byte(strings.Repeat("no database ", 1000)), 0o600))
	newer := filepath.Join(dir, "newer")
	must(t, open(t, Config{Path: newer, Account: "acme"}).Close())
	db, err := sql.Open("sqlite", filepath.Join(newer, FileName))
	must(t, err)
	_, err = db.Exec("PRAGMA user_version = 99")
	must(t, err)
	must(t, db.Close())
	isDir := filepath.Join(dir, "isdir")
	must(t, os.MkdirAll(filepath.Join(isDir, FileName), 0o700))
	for path, want := range map[string]string{
		filepath.Join(file, "sub"): "a folder it may write to",
		file:                       "a folder it may write to",
		isDir:                      "a data folder it may write to",
		junk:                       "move it away",
		newer:                      "newer crmgate",
	} {
		s, err := Open(t.Context(), Config{Path: path, Account: "acme"})
		if err == nil {
			_ = s.Close()
			t.Errorf("%s was opened", path)
		} else if !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %q; want one line that names the path and says %q", path, err, want)
		}
	}
	if b, err := os.ReadFile(filepath.Join(junk, FileName)); err != nil || !strings.HasPrefix(string(b), "no database") {
		t.Error("a file that is not ours was overwritten")
	}
}

func TestInUse(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Config{Path: dir, Account: "acme"})
	if _, err := Open(t.Context(), Config{Path: dir + "/.", Account: "acme"}); !errors.Is(err, ErrInUse) {
		t.Errorf("the same account twice: %v", err)
	}
	other := open(t, Config{Path: dir, Account: "other"})
	must(t, s.Put(t.Context(), "k", []byte("acme's"), 0))
	must(t, s.Close())
	must(t, other.Put(t.Context(), "k", []byte("other's"), 0)) // the file is still open
	s = open(t, Config{Path: dir, Account: "acme"})
	wantEntry(t, s, "k", "acme's")

	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), childFolder+"="+dir)
	out, err := cmd.Output()
	if err == nil || !strings.Contains(string(out), "in use by another process") {
		t.Errorf("another process on the same folder says %q, %v", out, err)
	}
}

// A disk that takes nothing more is an error of every change, a taken once-key
// stays taken, and what could not be written is written later.
func TestDiskFails(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Config{Path: dir, Account: "acme"})
	ctx := t.Context()
	must(t, s.Put(ctx, "before", []byte("x"), 0))
	_, err := s.disk.db.Exec("PRAGMA query_only = 1")
	must(t, err)
	if ok, err := s.PutNew(ctx, "once", []byte("x"), 0); ok || !errors.Is(err, state.ErrUnavailable) {
		t.Errorf("PutNew on a broken disk = %v, %v; want ErrUnavailable", ok, err)
	}
	if ok, err := s.PutNew(ctx, "once", []byte("y"), 0); ok || err != nil {
		t.Errorf("the once-key can be used again: %v, %v", ok, err)
	}
	if err := s.Delete(ctx, "before"); !errors.Is(err, state.ErrUnavailable) {
		t.Errorf("Delete on a broken disk: %v", err)
	}
	wantEntry(t, s, "before", "")
	if err := s.Ping(ctx); !errors.Is(err, state.ErrUnavailable) || !strings.Contains(err.Error(), dir) {
		t.Errorf("Ping on a broken disk: %v; want ErrUnavailable, naming the file", err)
	}
	_, err = s.disk.db.Exec("PRAGMA query_only = 0")
	must(t, err)
	must(t, s.Ping(ctx))
	must(t, s.Close())
	s = open(t, Config{Path: dir, Account: "acme"})
	wantEntry(t, s, "once", "x")
	wantEntry(t, s, "before", "")
}

func TestSweepFreesMemoryAndDisk(t *testing.T) {
	clk := clock.NewFake(time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC))
	s := open(t, Config{Path: t.TempDir(), Account: "acme", Clock: clk})
	ctx := t.Context()
	must(t, s.Put(ctx, "short", nil, time.Minute))
	must(t, s.Put(ctx, "long", nil, time.Hour))
	_, err := s.Admit(ctx, "k", state.Limit{Events: 1, Per: time.Minute})
	must(t, err)
	clk.Advance(time.Minute)
	s.sweep()
	must(t, s.Ping(ctx))
	var rows int
	must(t, s.disk.db.QueryRow(`SELECT count(*) FROM entries`).Scan(&rows))
	if len(s.items) != 1 || len(s.limits.tats) != 0 || rows != 1 {
		t.Errorf("after the sweep: %d entries, %d counters, %d rows; want 1, 0, 1", len(s.items), len(s.limits.tats), rows)
	}
}

func TestWatcherFarBehind(t *testing.T) {
	s := open(t, Config{Path: t.TempDir(), Account: "acme"})
	stuck, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	var mu sync.Mutex
	var kinds []state.ChangeKind
	must(t, s.Watch(t.Context(), "", func(c state.Change) {
		once.Do(func() { close(stuck) })
		<-release
		mu.Lock()
		defer mu.Unlock()
		kinds = append(kinds, c.Kind)
	}))
	keys := make([]string, maxQueued+10)
	for i := range keys {
		keys[i] = "k"
	}
	must(t, s.Delete(t.Context(), "first"))
	<-stuck // from here on everything waits in the queue
	must(t, s.Delete(t.Context(), keys...))
	must(t, s.Put(t.Context(), "last", nil, 0))
	close(release)
	deadline := time.Now().Add(5 * time.Second)
	for {
		mu.Lock()
		n := len(kinds)
		done := n > 0 && kinds[n-1] == state.Put
		lost := 0
		for i, k := range kinds {
			if k == state.Lost && i+1 < n && kinds[i+1] == state.Resync {
				lost++
			}
		}
		mu.Unlock()
		if done && lost == 1 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("heard %d changes, %d times Lost and Resync; want once: memory would grow, or changes be lost unseen", n, lost)
		}
		time.Sleep(time.Millisecond)
	}
}
