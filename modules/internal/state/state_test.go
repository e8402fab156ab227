// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package state

import (
	"testing"
	"time"
)

func TestLimitStep(t *testing.T) {
	for _, c := range []struct {
		limit Limit
		want  time.Duration
	}{
		{Limit{1, time.Second}, time.Second},
		{Limit{5, time.Minute}, 12 * time.Second},
		{Limit{3, time.Second}, 333334 * time.Microsecond},
		{Limit{7, time.Microsecond}, time.Microsecond},
		{Limit{1000, time.Nanosecond}, time.Microsecond},
	} {
		got := c.limit.Step()
		if got != c.want {
			t.Errorf("%+v: step %v, want %v", c.limit, got, c.want)
		}
		if got*time.Duration(c.limit.Events) < c.limit.Per {
			t.Errorf("%+v: rounding lets more events through than the limit", c.limit)
		}
	}
}
