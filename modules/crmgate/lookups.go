// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package crmgate

import (
	"sync"
	"time"
)

// maxLookups is how many look-ups by a masked field one person may make in a
// minute: enough for somebody who answers calls, and too few to guess numbers.
const maxLookups = 20

// lookups counts look-ups of people in windows of a minute, each gateway for
// itself. A restart forgets them.
type lookups struct {
	mu     sync.Mutex
	window time.Time
	count  map[string]int
}

// take counts one look-up and says whether it is still allowed.
func (l *lookups) take(person string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Sub(l.window) >= time.Minute || now.Before(l.window) {
		l.window, l.count = now, map[string]int{}
	}
	if l.count[person] >= maxLookups {
		return false
	}
	l.count[person]++
	return true
}

// allLookups outlives reloads, which must not start the count anew.
var allLookups lookups

// TakeLookup counts a look-up by a masked field and says whether the person may
// make it.
func (a *App) TakeLookup(personID string) bool { return allLookups.take(personID, a.clock().Now()) }
