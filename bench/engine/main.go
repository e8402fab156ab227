// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// Package main measures the JSON engine beside other ways of doing the same: the
// same fields masked by the same functions, the same fields dropped, in one run.
//
// A figure is megabytes of body for each second of processor time of the whole
// process, garbage collection included, on one thread. Contestants take turns
// within a round, and what is compared are ratios within a round, by their
// median: on a machine that does other things too, nothing else says anything. Where
// a speed by itself is asked for, it is the median of more turns, with the best beside it.
//
// It is a module of its own, so that the gate's has none of the contestants.
package main

import (
	"bytes"
	stdjson "encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/crmgate/crmgate/policy/plan"
)

// heat is one body and who works on it; the first is the engine.
type heat struct {
	name  string
	doc   []byte
	peers []peer
}

type peer struct {
	name   string
	run    contestant
	least  float64 // how many times as fast the engine shall be, 0 for no target
	silent bool    // it does less than the work: its result is not compared
}

func heats(p *plan.Plan) []heat {
	var out []heat
	for _, n := range []int{25, 1_000, 10_000} {
		out = append(out, heat{fmt.Sprintf("flat-%d", n), flat(n, false), []peer{
			{"crmgate", ours(p, false), 0, false},
			{"jsontext-tokens", tokens, 6, false},
			{"jsontext-spans", whole(spans), 0, false},
			{"fastjson", fast(), 4, false},
			{"sonic-map", sonicMap, 15, false},
			{"json-v2-map", v2Map, 0, true}, // numbers become floats
			{"encoding-json-map", stdMap, 0, false},
			{"gjson-copy", whole(gjsonFlat), 0, false},
			{"sjson-set", whole(sjsonFlat), 0, false},
			{"jsontext-validate", strictOnly, 0, true},
			{"encoding-json-validate", validOnly, 0, true},
			{"memcpy", copied, 0, true},
		}})
	}
	for _, n := range []int{25, 1_000, 10_000} {
		out = append(out, heat{fmt.Sprintf("pairs-%d", n), pairs(n), []peer{
			{"crmgate", ours(p, false), 0, false},
			{"jsontext-tokens", tokens, 10, false},
			{"fastjson", fast(), 0, false},
			{"sonic-map", sonicMap, 0, false},
			{"encoding-json-map", stdMap, 0, false},
			{"jsontext-validate", strictOnly, 0, true},
			{"memcpy", copied, 0, true},
		}})
	}
	return append(out,
		heat{"sparse-1000", flat(1_000, true), []peer{
			{"crmgate", ours(p, false), 0, false}, {"jsontext-tokens", tokens, 4, false}, {"fastjson", fast(), 0, false},
		}},
		heat{"cold-200", flat(200, false), []peer{
			{"crmgate", ours(p, true), 0, false}, {"jsontext-tokens", tokens, 4, false},
		}})
}

const aim = 2000 // megabytes of flat leads that the engine shall do in a second of a processor

func main() {
	rounds := flag.Int("rounds", 5, "rounds in which everybody has a turn")
	turn := flag.Duration("turn", 20*time.Millisecond, "least length of a turn")
	only := flag.String("only", "", "part of the names of what is measured, all if empty")
	stream := flag.Bool("stream", false, "measure nothing but the memory that a long stream takes")
	flag.Parse()
	if *stream {
		fmt.Println(streamed(1 << 30))
		return
	}
	runtime.GOMAXPROCS(1)
	met, all := 0, 0
	for _, h := range heats(rules()) {
		if !strings.Contains(h.name, *only) {
			continue
		}
		if err := h.agree(); err != nil {
			fmt.Fprintf(os.Stderr, "bench: %s: %v\n", h.name, err)
			os.Exit(1)
		}
		m, a := h.measure(*rounds, *turn)
		met, all = met+m, all+a
		if h.name == "flat-1000" || h.name == "pairs-1000" {
			jq(h)
		}
	}
	if *only == "" {
		m, a := memory()
		met, all = met+m, all+a
	}
	fmt.Printf("bench: %d of %d targets of the engine met\n", met, all)
}

// agree has everybody do the work once and compares what they made of it.
func (h *heat) agree() error {
	var want any
	for i, p := range h.peers {
		var out bytes.Buffer
		if err := p.run(&out, h.doc); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		if p.silent {
			continue
		}
		var got any
		d := stdjson.NewDecoder(bytes.NewReader(out.Bytes()))
		d.UseNumber()
		if err := d.Decode(&got); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		if i == 0 {
			want = got
			if strings.Contains(out.String(), "ABCPE") || strings.Contains(out.String(), "owner1@") {
				return errors.New("the engine shows what it should mask")
			}
		} else if !reflect.DeepEqual(got, want) {
			return fmt.Errorf("%s makes something else of it", p.name)
		}
	}
	return nil
}

// measure has everybody take turns and prints a line for each.
func (h *heat) measure(rounds int, turn time.Duration) (met, all int) {
	speeds := make([][]float64, len(h.peers))
	ratios := make([][]float64, len(h.peers))
	for range rounds {
		for i, p := range h.peers {
			speeds[i] = append(speeds[i], p.turn(h.doc, turn))
		}
		for i := range h.peers {
			r := len(speeds[i]) - 1
			ratios[i] = append(ratios[i], speeds[0][r]/speeds[i][r])
		}
	}
	flat := strings.HasPrefix(h.name, "flat")
	if flat {
		const more = 40
		for range more {
			speeds[0] = append(speeds[0], h.peers[0].turn(h.doc, turn))
		}
	}
	for i, p := range h.peers {
		ratio, least := median(ratios[i]), p.least
		if i == 0 && flat {
			ratio, least = median(speeds[0])/aim, 1
		}
		all, met = all+btoi(least > 0), met+btoi(least > 0 && ratio >= least)
		line("engine-"+h.name+"-"+p.name, median(speeds[i]), "MB/s-cpu", ratio, least, ratio >= least)
	}
	if flat {
		// What else runs on a shared processor takes away from a speed and never adds to it.
		best := slices.Max(speeds[0])
		line("engine-"+h.name+"-crmgate-best", best, "MB/s-cpu", best/aim, 0, true)
	}
	return met, all
}

// turn has p do the work for at least that long and returns its speed in megabytes a
// second. The clock is read seldom: to read it takes a twentieth of what 25 leads do.
func (p *peer) turn(doc []byte, least time.Duration) float64 {
	runtime.GC()
	n, took, start := 0, time.Duration(0), spent(syscall.RUSAGE_SELF)
	for took < least {
		more := max(1, n/2)
		for range more {
			_ = p.run(io.Discard, doc)
		}
		n += more
		took = spent(syscall.RUSAGE_SELF) - start
	}
	return float64(len(doc)) * float64(n) / 1e6 / took.Seconds()
}

func line(name string, value float64, unit string, ratio, target float64, ok bool) {
	verdict := "ok"
	if !ok {
		verdict = "short"
	}
	fmt.Printf("bench %s %.1f %s ratio=%.2f target=%.2f %s\n", name, value, unit, ratio, target, verdict)
}

// spent is the processor time that the process, or its children, have used.
func spent(who int) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(who, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func median(v []float64) float64 {
	v = slices.Clone(v)
	slices.Sort(v)
	return v[len(v)/2]
}

// jq measures the program of that name where there is one, its start included.
func jq(h heat) {
	filter := `map((.EmailAddress,.Phone,.Mobile,.mx_PAN_Number,.mx_Annual_Income) |= "X" | del(.OwnerIdEmailAddress,.Notes,.mx_Date_of_Birth))`
	if strings.HasPrefix(h.name, "pairs") {
		filter = `.Leads[].LeadPropertyList |= map(select(.Attribute|IN("OwnerIdEmailAddress","Notes","mx_Date_of_Birth")|not) | if .Attribute|IN("EmailAddress","Phone","Mobile","mx_PAN_Number","mx_Annual_Income") then .Value="X" else . end)`
	}
	cmd := exec.Command("jq", "-c", filter)
	cmd.Stdin = bytes.NewReader(h.doc)
	start := spent(syscall.RUSAGE_CHILDREN)
	if err := cmd.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench: jq:", err)
		return
	}
	took := spent(syscall.RUSAGE_CHILDREN) - start
	n, start := 0, spent(syscall.RUSAGE_SELF)
	for n == 0 || spent(syscall.RUSAGE_SELF)-start < 20*time.Millisecond {
		_ = h.peers[0].run(io.Discard, h.doc)
		n++
	}
	mine := (spent(syscall.RUSAGE_SELF) - start) / time.Duration(n)
	line("engine-"+h.name+"-jq", float64(len(h.doc))/1e6/took.Seconds(), "MB/s-cpu", took.Seconds()/mine.Seconds(), 0, true)
}
