// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/crmgate/crmgate/modules/internal/audit"
)

// childFolder makes the test binary the gateway that TestKilled kills.
const childFolder = "CRMGATE_AUDIT_CHILD_FOLDER"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childFolder); dir != "" {
		child(dir)
	}
	os.Exit(m.Run())
}

// child appends as fast as a busy gateway would, and says how many records are
// durable by the writer's own count.
func child(dir string) {
	fail := func(err error) {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	ctx := context.Background()
	s, err := Open(ctx, Config{Path: filepath.Join(dir, "records.db"), Account: "a"})
	fail(err)
	w, err := audit.Open(ctx, audit.Options{Chain: "gw", Store: s, Spool: filepath.Join(dir, "spool")})
	fail(err)
	for i := 1; ; i++ {
		fail(w.Append(audit.Record{Kind: "request", Path: "/api/leads", Count: i}))
		fmt.Println(w.Stats().Written)
		time.Sleep(50 * time.Microsecond)
	}
}

// TestKilled kills a gateway without warning, several times over the same file:
// what it counted as written is in the store, and the chain is whole.
func TestKilled(t *testing.T) {
	dir := t.TempDir()
	var before int64
	for round := range 4 {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), childFolder+"="+dir)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		var lines, written int64
		for in := bufio.NewScanner(out); in.Scan(); lines++ {
			if n, err := strconv.ParseInt(in.Text(), 10, 64); err == nil {
				written = max(written, n)
			}
			if written > 500 && lines > int64(1500+round*137) {
				_ = cmd.Process.Kill() // in the middle of whatever it does
			}
		}
		_ = cmd.Wait()
		s, err := Open(t.Context(), Config{Path: filepath.Join(dir, "records.db"), Account: "a"})
		if err != nil {
			t.Fatalf("after a kill the records do not open: %v", err)
		}
		report, err := audit.Verify(t.Context(), s)
		if err != nil || !report.OK() {
			t.Fatalf("after a kill the chain is broken: %+v, %v", report.Findings, err)
		}
		if got := report.Records - before; got < written || written == 0 {
			t.Errorf("of %d records counted as written, %d survive the kill", written, got)
		}
		before = report.Records
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestWriters runs many callers against the real store, both modes.
func TestWriters(t *testing.T) {
	for _, strict := range []bool{false, true} {
		s, err := Open(t.Context(), Config{Path: filepath.Join(t.TempDir(), "records.db"), Account: "a"})
		if err != nil {
			t.Fatal(err)
		}
		w, err := audit.Open(t.Context(), audit.Options{Chain: "gw", Store: s, Strict: strict})
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for range 32 {
			wg.Go(func() {
				for range 50 {
					if err := w.Append(audit.Record{Kind: "request"}); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		report, err := audit.Verify(t.Context(), s)
		if err != nil || !report.OK() || report.Records != 1600 {
			t.Errorf("strict %v: %+v, %v", strict, report, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// BenchmarkStrict compares a durable record for each of 64 callers with one
// transaction a record; the metric of interest is records/s.
func BenchmarkStrict(b *testing.B) {
	run := func(b *testing.B, callers, batch int) {
		s, err := Open(b.Context(), Config{Path: filepath.Join(b.TempDir(), "records.db"), Account: "a"})
		if err != nil {
			b.Fatal(err)
		}
		defer s.Close()
		w, err := audit.Open(b.Context(), audit.Options{Chain: "gw", Store: s, Strict: true, Batch: batch})
		if err != nil {
			b.Fatal(err)
		}
		defer w.Close()
		todo := make(chan struct{}, callers)
		var wg sync.WaitGroup
		for range callers {
			wg.Go(func() {
				for range todo {
					if err := w.Append(audit.Record{Kind: "request", Path: "/api/leads", Email: "asha@example.com"}); err != nil {
						b.Error(err)
					}
				}
			})
		}
		b.ResetTimer()
		for range b.N {
			todo <- struct{}{}
		}
		close(todo)
		wg.Wait()
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
	}
	b.Run("transaction each", func(b *testing.B) { run(b, 1, 1) })
	b.Run("64 callers", func(b *testing.B) { run(b, 64, 512) })
	b.Run("256 callers", func(b *testing.B) { run(b, 256, 512) })
}
