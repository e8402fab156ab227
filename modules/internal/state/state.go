// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// Package state says what the gate needs from the store of things that may be
// lost only by design: sessions, tokens, counters, locks, once-keys. Every value
// expires by itself. Implementations live in modules/state; package statetest
// proves them.
//
// A store belongs to one account: its implementation puts the account's name in
// front of every key, so that several gateways and several accounts can share
// one Redis.
package state

import (
	"context"
	"errors"
	"time"
)

// ErrNotFound is returned when a key is absent or has expired. Expiry is
// compared on read; no sweeper decides what is valid.
var ErrNotFound = errors.New("state: not found")

// ErrUnavailable wraps every failure to reach the store. Callers fail closed.
var ErrUnavailable = errors.New("state: store unavailable")

// Entry is one stored value.
type Entry struct {
	Key     string
	Value   []byte
	Expires time.Time // zero: never
}

// Limit is a sliding limit: Events per Per, checked by GCRA, so that no boundary
// lets a double burst through: at most Events at once, and over any span d at
// most Events + d·Events/Per. There is no window that starts afresh; one event
// comes free every Per/Events. A limit with Events or Per of zero or less lets
// nothing through.
type Limit struct {
	Events int
	Per    time.Duration
}

// Never is how far away RetryAt is for a limit that lets nothing through.
const Never = 365 * 24 * time.Hour

// Step is the time in which one event comes free again: Per/Events, rounded up
// to whole microseconds so that rounding never adds an event.
func (l Limit) Step() time.Duration {
	n := time.Duration(l.Events) * time.Microsecond
	return (l.Per + n - 1) / n * time.Microsecond
}

// Verdict is the answer of Admit.
type Verdict struct {
	Allowed   bool
	Remaining int
	RetryAt   time.Time // when the next event would be admitted; zero when Allowed
}

// Change is what a watcher hears. Changes of one key arrive in order; between
// different keys no order is promised.
type Change struct {
	Kind  ChangeKind
	Entry Entry // Put: the entry; Deleted: only Key
}

// ChangeKind is the kind of a Change.
type ChangeKind uint8

// The kinds. After Lost a watcher's view is not to be trusted until Resync has
// come; on Resync it must read everything again with List.
const (
	Put ChangeKind = iota
	Deleted
	Lost   // the fan-out is broken: changes may be missed from here on
	Resync // the fan-out works again, or a gap was found: read everything again
)

// Store is the state store of one account. All methods are safe for concurrent
// use. Any error that is not ErrNotFound wraps ErrUnavailable.
//
// Keys and values are any bytes; a value may be empty and holds at least 64 KiB.
// A ttl of 0 means without end. A negative ttl is a value that has already
// expired: Put and Replace remove the entry, PutNew says false.
type Store interface {
	// Get returns the entry under key, or ErrNotFound.
	Get(ctx context.Context, key string) (Entry, error)
	// Put stores value under key for ttl (0: without end) and tells the watchers.
	Put(ctx context.Context, key string, value []byte, ttl time.Duration) error
	// PutNew stores only if key is absent, as one atomic act, and says whether it
	// did: the once-key of replay protection.
	PutNew(ctx context.Context, key string, value []byte, ttl time.Duration) (bool, error)
	// Replace stores value only if the current value equals old, as one atomic act.
	// An absent key is ErrNotFound: a value deleted meanwhile is never brought back.
	Replace(ctx context.Context, key string, old, value []byte, ttl time.Duration) (bool, error)
	// Take returns and deletes the entry as one atomic act: of any number of
	// concurrent callers one gets it, the others ErrNotFound.
	Take(ctx context.Context, key string) (Entry, error)
	// Delete removes keys; absent ones are not an error. Watchers hear of each,
	// absent ones included. An entry that expires is not a change: watchers have
	// its Expires.
	Delete(ctx context.Context, keys ...string) error
	// List calls fn for every live entry whose key starts with prefix, until fn
	// returns false. Entries written meanwhile may or may not be seen.
	List(ctx context.Context, prefix string, fn func(Entry) bool) error
	// Admit counts one event under key against limit and says whether it fits.
	// Refused events do not count. Counters live apart from the entries.
	Admit(ctx context.Context, key string, limit Limit) (Verdict, error)
	// Watch calls fn, from one goroutine, for every change of a key starting with
	// prefix made by any gateway, this one included, until ctx ends. It returns once
	// the subscription stands: a change made after Watch returned is heard. fn must
	// not block for long. A change this process made itself is heard as well, within
	// the same bound as others: one second.
	Watch(ctx context.Context, prefix string, fn func(Change)) error
	// Ping checks that the store can be reached.
	Ping(ctx context.Context) error
	// Close releases the store. Calls after it fail with ErrUnavailable.
	Close() error
}
