// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// Package main measures what the gate costs: CPU per request of bare Caddy, of a
// role that sees everything, and of a role with masks, side by side in one run.
//
// The same binary is bare Caddy (with Caddy's defaults) and the gate, so that
// nothing but the gate differs. Variants are interleaved A B C C B A in every
// round, CPU is user and system time of the measured process from /proc, and the
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
	"time"
)

// row is one line of the result.
type row struct {
	name   string
	value  float64 // CPU microseconds per request
	ratio  float64 // to bare Caddy, 0 for bare Caddy itself
	target float64 // the ratio aimed at
}

// targets are the ratios to bare Caddy with its default configuration.
var targets = map[string]map[string]float64{
	"pass":   {"1k": 1.05, "10k": 1.05, "100k": 1.05, "1m": 1.05},
	"masked": {"1k": 1.05, "10k": 1.05, "100k": 1.2, "1m": 1.9},
}

func main() {
	binary := flag.String("binary", "../bin/crmgate", "the binary to measure")
	rounds := flag.Int("rounds", 3, "rounds, each with two runs a variant")
	length := flag.Duration("run", 1500*time.Millisecond, "length of a run")
	clients := flag.Int("clients", 32, "connections")
	flag.Parse()
	if err := run(*binary, *rounds, *length, *clients); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(binary string, rounds int, length time.Duration, clients int) error {
	dir, err := os.MkdirTemp("", "crmgate-bench-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	crm := startCRM()
	defer crm.Close()
	bench, err := startAll(binary, dir, crm.Listener.Addr().String())
	if err != nil {
		return err
	}
	defer bench.stop()

	met, all := 0, 0
	for _, size := range sizes {
		rows, err := bench.measure(size, rounds, length, clients)
		if err != nil {
			return err
		}
		for _, r := range rows {
			verdict := "ok"
			if r.target > 0 {
				all++
				if r.ratio <= r.target {
					met++
				} else {
					verdict = "short"
				}
			}
			fmt.Printf("bench %s %.1f us-cpu/request ratio=%.2f target=%.2f %s\n", r.name, r.value, r.ratio, r.target, verdict)
		}
	}
	fmt.Printf("bench: %d of %d targets met\n", met, all)
	return nil
}

// measure runs every variant of one size and compares it with bare Caddy, run
// against run within a round.
func (b *gateway) measure(size bodySize, rounds int, length time.Duration, clients int) ([]row, error) {
	cost := map[string][]float64{}
	ratios := map[string][]float64{}
	for range rounds {
		round := map[string]float64{}
		order := append(slices.Clone(b.variants), reversed(b.variants)...)
		for _, v := range order {
			c, err := v.load(size, length, clients)
			if err != nil {
				return nil, fmt.Errorf("%s at %s: %w", v.name, size.name, err)
			}
			round[v.name] += c / 2
			cost[v.name] = append(cost[v.name], c)
		}
		for name, c := range round {
			ratios[name] = append(ratios[name], c/round["bare"])
		}
	}
	var rows []row
	for _, v := range b.variants {
		rows = append(rows, row{
			name: v.name + "-" + size.name, value: median(cost[v.name]), ratio: median(ratios[v.name]), target: targets[v.name][size.name],
		})
	}
	return rows, nil
}

func reversed(v []*variant) []*variant {
	out := slices.Clone(v)
	slices.Reverse(out)
	return out
}

func median(v []float64) float64 {
	v = slices.Clone(v)
	slices.Sort(v)
	if n := len(v); n%2 == 0 {
		return (v[n/2-1] + v[n/2]) / 2
	}
	return v[len(v)/2]
}
