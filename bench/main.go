// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// Package main measures what the gate costs: CPU per request of bare Caddy, of a
// role that sees everything, of roles with masks, and of the other ways in which
// answers are masked today, side by side in one run.
//
// Bare Caddy is Caddy as it comes, of the version the gate is built of, with its
// defaults; the gate runs as the examples have it. Variants are interleaved A B C .. C B A in every
// round, CPU is what the scheduler counts for the measured process, and the
// figure is the median of the ratios of the rounds: only ratios of one run say
// anything on a machine that does other things too.
//
// Load goes to loopback addresses of processes this program starts, is bounded in
// time, and ends by itself.
package main

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// settings are what the flags say.
type settings struct {
	binary    string
	stock     string
	rewriters string
	rounds    int
	run       time.Duration
	clients   int
	sizes     string
	only      string
	profiles  string
}

func main() {
	var s settings
	flag.StringVar(&s.binary, "binary", "../bin/crmgate", "the binary to measure")
	flag.StringVar(&s.stock, "stock", "../bin/caddy", "Caddy as it comes, to compare with")
	flag.StringVar(&s.rewriters, "rewriters", "../bin/rewriters", "Caddy with the rewriters to compare with")
	flag.IntVar(&s.rounds, "rounds", 16, "rounds, each with two runs a variant")
	flag.DurationVar(&s.run, "run", 500*time.Millisecond, "length of a run")
	flag.IntVar(&s.clients, "clients", 48, "connections")
	flag.StringVar(&s.sizes, "sizes", "1k,10k,100k,1m", "sizes of answers, of 1k, 10k, 100k and 1m; none: only the memory")
	flag.StringVar(&s.only, "only", "", "the variants to measure beside bare Caddy, all if empty")
	flag.StringVar(&s.profiles, "profiles", "", "a folder for a CPU and an allocation profile of each variant and size, in place of figures")
	flag.Parse()
	if err := run(&s); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(s *settings) error {
	dir, err := os.MkdirTemp("", "crmgate-bench-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	bench, err := startAll(s, dir)
	if bench != nil {
		defer bench.stop()
	}
	if err != nil {
		return err
	}
	if s.profiles != "" {
		return bench.profile(s)
	}
	var all []row
	if s.only == "" {
		r, err := bench.memory()
		if err != nil {
			return err
		}
		all = append(all, r)
		fmt.Println(r)
	}
	for _, size := range sizes {
		if !slices.Contains(strings.Split(s.sizes, ","), size.name) {
			continue
		}
		rows, err := bench.measure(size, s)
		if err != nil {
			return err
		}
		for _, r := range rows {
			fmt.Println(r)
		}
		all = append(all, rows...)
	}
	met, aimed := 0, 0
	for _, r := range all {
		if r.target > 0 {
			aimed++
			if r.ok() {
				met++
			}
		}
	}
	fmt.Printf("bench: %d of %d targets met\n", met, aimed)
	return nil
}

// row is one line of the result.
type row struct {
	name   string
	value  float64
	unit   string
	ratio  float64
	target float64 // the ratio aimed at, 0 for none
}

func (r row) ok() bool { return r.target == 0 || r.ratio <= r.target }

// String is the row as it is printed.
func (r row) String() string {
	verdict := "ok"
	if !r.ok() {
		verdict = "short"
	}
	return fmt.Sprintf("bench %s %.1f %s ratio=%.2f target=%.2f %s", r.name, r.value, r.unit, r.ratio, r.target, verdict)
}

// targets are the ratios to bare Caddy with its default configuration.
var targets = map[string]map[string]float64{
	"pass":   {"1k": 1.05, "10k": 1.05, "100k": 1.05, "1m": 1.05},
	"masked": {"1k": 1.05, "10k": 1.05, "100k": 1.2, "1m": 1.9},
}

// against are the ratios of the role with masks to who does the same otherwise.
var against = map[string]map[string]float64{
	"decode": {"100k": 0.1}, "replace": {}, "lua": {"100k": 0.3, "1m": 0.15},
}

// measure runs every variant of one size and compares run against run within a
// round.
func (b *processes) measure(size bodySize, s *settings) ([]row, error) {
	cost := map[string][]float64{}
	ratios := map[string][]float64{}
	allocs := map[string]float64{}
	for range s.rounds {
		round := map[string]float64{}
		order := slices.Clone(b.variants)
		slices.Reverse(order)
		for _, v := range append(slices.Clone(b.variants), order...) {
			l, err := v.load(size, s.run, s.clients)
			if err != nil {
				return nil, fmt.Errorf("%s at %s: %w", v.name, size.name, err)
			}
			round[v.name] += l.micros / 2
			cost[v.name] = append(cost[v.name], l.micros)
			allocs[v.name] = l.allocs
		}
		for name, c := range round {
			ratios[name] = append(ratios[name], c/round["bare"])
			ratios["masked-vs-"+name] = append(ratios["masked-vs-"+name], round["masked"]/c)
		}
	}
	var rows []row
	for _, v := range b.variants {
		rows = append(rows, row{v.name + "-" + size.name, median(cost[v.name]), "us-cpu/request", median(ratios[v.name]), targets[v.name][size.name]})
	}
	for _, v := range b.variants {
		if aims, ok := against[v.name]; ok && cost["masked"] != nil {
			name := "masked-vs-" + v.name
			rows = append(rows, row{name + "-" + size.name, median(cost["masked"]), "us-cpu/request", median(ratios[name]), aims[size.name]})
		}
	}
	for _, v := range b.variants {
		if n := allocs[v.name]; n > 0 {
			rows = append(rows, row{v.name + "-" + size.name + "-allocations", n, "allocs/request", n / allocs["bare"], 0})
		}
	}
	return rows, nil
}

func median(v []float64) float64 {
	v = slices.Clone(v)
	slices.Sort(v)
	if n := len(v); n%2 == 0 {
		return (v[n/2-1] + v[n/2]) / 2
	}
	return v[len(v)/2]
}
