// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"

	"github.com/crmgate/crmgate/modules/internal/jsonmask"
)

const roof = 64 // MiB above idle that a stream may take, however long it is

// memory prints what a document allocates, and what a long stream takes in a
// process of its own.
func memory() (met, all int) {
	run, doc := ours(rules(), false), flat(200, false)
	_ = run(io.Discard, doc)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	const n = 100
	for range n {
		_ = run(io.Discard, doc)
	}
	runtime.ReadMemStats(&after)
	allocs, size := float64(after.Mallocs-before.Mallocs)/n, float64(after.TotalAlloc-before.TotalAlloc)/n
	line("engine-warm-allocations", allocs, "allocs/document", allocs, 0, allocs < 1)
	line("engine-warm-bytes", size, "B/document", size, 0, allocs < 1)
	self, err := os.Executable()
	if err != nil {
		panic(err)
	}
	out, err := exec.Command(self, "-stream").Output()
	if err != nil {
		panic(err)
	}
	mib, err := strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
	if err != nil {
		panic(err)
	}
	line("engine-stream-1g", mib, "MiB-above-idle", mib/roof, 1, mib < roof)
	return btoi(allocs < 1)*2 + btoi(mib < roof), 3
}

// streamed passes a list of at least size bytes through the engine and returns by
// how many MiB the process was larger than before, at most.
func streamed(size int64) float64 {
	page := flat(100, false)
	page = page[1 : len(page)-1]
	idle := status("VmRSS")
	src := &endless{page: page, left: size}
	r := jsonmask.New(rules(), nil, jsonmask.Limits{}).Reader(src)
	if n, err := io.Copy(io.Discard, r); err != nil || n < size/2 {
		panic(fmt.Sprint(n, err))
	}
	return float64(status("VmHWM")-idle) / 1024
}

// endless gives one page again and again as one list.
type endless struct {
	page []byte
	rest []byte
	left int64
	end  bool
}

func (e *endless) Read(p []byte) (int, error) {
	switch {
	case e.rest == nil:
		e.rest = e.page
		p[0] = '['
		return 1, nil
	case len(e.rest) == 0 && e.left > 0:
		e.rest = e.page
		p[0] = ','
		return 1, nil
	case len(e.rest) == 0 && !e.end:
		e.end = true
		p[0] = ']'
		return 1, nil
	case len(e.rest) == 0:
		return 0, io.EOF
	}
	n := copy(p, e.rest)
	e.rest = e.rest[n:]
	e.left -= int64(n)
	return n, nil
}

// status is a line of /proc/self/status, in KiB.
func status(name string) int64 {
	raw, err := os.ReadFile("/proc/self/status")
	if err != nil {
		panic(err)
	}
	for l := range strings.Lines(string(raw)) {
		if rest, ok := strings.CutPrefix(l, name+":"); ok {
			n, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			if err != nil {
				panic(err)
			}
			return n
		}
	}
	panic(name)
}
