// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package echo

import (
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/crmgate/crmgate/policy/mask"
)

// reportCPU says how much processor time was taken: on a shared machine it says more than
// the clock.
func reportCPU(b *testing.B) func() {
	used := func() int64 {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return u.Utime.Nano() + u.Stime.Nano()
	}
	start := used()
	return func() { b.ReportMetric(float64(used()-start)/float64(b.N), "cpu-ns/op") }
}

// BenchmarkSet has the set remember five values of a lead after the other, as a list of
// leads has it.
func BenchmarkSet(b *testing.B) {
	s, f := &Set{}, function(b, mask.Spec{Fn: "phone", KeepLast: 4})
	values := make([][5][]byte, 5000)
	for k := range values {
		values[k] = [5][]byte{
			fmt.Appendf(nil, "person%d@example.in", k), fmt.Appendf(nil, "+91-98%08d", k), []byte("ABCPE1234F"),
			fmt.Appendf(nil, "1990-05-%02d", 1+k%28), fmt.Appendf(nil, "called twice, will call back on Monday about offer %d", k),
		}
	}
	var text strings.Builder
	for k := range 32 {
		fmt.Fprintf(&text, `"mx_Custom_%d":"%s",`, k, []string{"Active", "Pending since last week", "0", "Bengaluru, Karnataka"}[k%4])
	}
	record := []byte(text.String())
	fill := func(k int) {
		s.Trim()
		for _, v := range values[k%len(values)] {
			s.Add(v, f, false)
		}
	}
	b.Run("add", func(b *testing.B) {
		s.Reset()
		defer reportCPU(b)()
		for k := 0; b.Loop(); k++ {
			fill(k)
		}
	})
	for _, n := range []int{1, 25, 400} {
		b.Run(fmt.Sprintf("scan/%d", n), func(b *testing.B) {
			s.Reset()
			for k := range n {
				fill(k)
			}
			b.SetBytes(int64(len(record)))
			defer reportCPU(b)()
			for b.Loop() {
				if s.Echoes(record) {
					b.Fatal("an echo")
				}
			}
		})
	}
}
