// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// roof is how many MiB above idle a stream may take, however long it is.
const roof = 64

// memory has a role with masks read an answer of 1 GiB, and says by how much the
// gate's process was larger meanwhile than before, at most.
func (b *processes) memory() (row, error) {
	v := b.streams
	if err := v.check("73"); err != nil { // the plan's first answer is no part of it
		return row{}, err
	}
	idle, err := status(v.pid, "VmRSS")
	if err != nil {
		return row{}, err
	}
	res, err := v.get("long")
	if err != nil {
		return row{}, err
	}
	defer res.Body.Close()
	peak, done := idle, make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-done:
				return
			case <-time.After(20 * time.Millisecond):
				if now, err := status(v.pid, "VmRSS"); err == nil {
					peak = max(peak, now)
				}
			}
		}
	})
	n, err := io.Copy(io.Discard, res.Body)
	close(done)
	wg.Wait()
	if err != nil || n < long/2 {
		return row{}, fmt.Errorf("the long answer ends after %d bytes: %w", n, err)
	}
	mib := float64(peak-idle) / 1024
	return row{"masked-stream-1g", mib, "MiB-above-idle", mib / roof, 1}, nil
}

// status is a line of /proc/PID/status, in KiB.
func status(pid int, name string) (int64, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for l := range strings.Lines(string(raw)) {
		if rest, ok := strings.CutPrefix(l, name+":"); ok {
			return strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
		}
	}
	return 0, fmt.Errorf("process %d says nothing of %s", pid, name)
}

// profile loads each variant and keeps profiles of what its process does and allocates.
func (b *processes) profile(s *settings) error {
	if err := os.MkdirAll(s.profiles, 0o755); err != nil {
		return err
	}
	for _, size := range sizes {
		if !strings.Contains(","+s.sizes+",", ","+size.name+",") {
			continue
		}
		for _, v := range b.variants {
			if v.admin == "" {
				continue
			}
			fetched := make(chan error, 1)
			go func() {
				seconds := max(1, int(s.run.Seconds())-1)
				fetched <- fetch(fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", v.admin, seconds), filepath.Join(s.profiles, v.name+"-"+size.name+".cpu.prof"))
			}()
			l, err := v.load(size, s.run, s.clients)
			if err != nil {
				return err
			}
			if err := <-fetched; err != nil {
				return err
			}
			if err := fetch("http://"+v.admin+"/debug/pprof/allocs", filepath.Join(s.profiles, v.name+"-"+size.name+".allocs.prof")); err != nil {
				return err
			}
			fmt.Printf("%s-%s: %.1f us and %.1f allocations a request\n", v.name, size.name, l.micros, l.allocs)
		}
	}
	return nil
}

func fetch(url, file string) error {
	res, err := http.Get(url)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	var b bytes.Buffer
	if _, err := b.ReadFrom(res.Body); err != nil {
		return err
	}
	return os.WriteFile(file, b.Bytes(), 0o600)
}
