// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package framed

import (
	"bytes"
	"testing"
	"time"
)

// TestLongLinesThatTrickle: looking for the end of an event goes on where it stopped. Where
// it went back to the start of the line, a megabyte that came byte by byte took hours.
func TestLongLinesThatTrickle(t *testing.T) {
	least := func(n int) time.Duration {
		in := append(append([]byte("id: 1\r\ndata: "), bytes.Repeat([]byte("x"), n)...), '\r', '\n', '\r')
		out := time.Hour
		for range 20 {
			start := time.Now()
			for range 100 {
				if events.end(events{}, in, len(in)-1, false) != 0 {
					t.Fatal("an event ends before its last line has")
				}
			}
			out = min(out, time.Since(start))
		}
		return out
	}
	if few, many := least(1000), least(1_000_000); many > 100*few { // a thousand times as long
		t.Errorf("one byte more behind 1 KB takes %v, behind 1 MB %v", few/100, many/100)
	}
}
