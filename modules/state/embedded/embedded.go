// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// Package embedded is the state store of one gateway on one machine: everything
// is answered from memory, and every change is in a SQLite file before the call
// that made it returns.
//
// What survives what:
//
//   - Put, PutNew, Replace, Take and Delete are on disk when they return. A killed
//     process or a power cut loses none of them. Changes made at the same moment
//     share one transaction.
//   - A change that could not be written is an error (wrapping
//     state.ErrUnavailable). It stays in force in memory and is tried again: a
//     once-key that was taken stays taken.
//   - The counters of Admit live in memory only. A restart forgets them.
//
// A data folder that cannot be made or written, a file that is no state file, a
// file of a newer crmgate and a folder another process has open are errors of
// Open, each naming the file. A missing file is made new.
package embedded

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/crmgate/crmgate/modules/internal/clock"
	"github.com/crmgate/crmgate/modules/internal/state"
)

// FileName is the name of the state file in the data folder.
const FileName = "state.db"

// ErrInUse is returned by Open when the folder's state is already open: for the
// same account in this process, or by another process.
var ErrInUse = errors.New("the state file is in use")

var errClosed = fmt.Errorf("%w: the store is closed", state.ErrUnavailable)

// Config says where the state lives.
type Config struct {
	Path    string      // the data folder; made (mode 0700) when absent
	Account string      // the account the entries belong to; several can share a folder
	Clock   clock.Clock // nil: clock.System
}

// Store is a state.Store in memory and SQLite. Make one with Open.
type Store struct {
	account string
	clk     clock.Clock
	disk    *disk
	limits  limits

	mu       sync.RWMutex // guards everything below
	items    map[string]item
	dirty    map[string]struct{} // keys whose row on disk is behind memory
	batch    *batch              // what the next commit will answer
	watchers map[*watcher]struct{}
	closed   bool

	wake    chan struct{}
	stop    chan struct{}
	stopped chan struct{}
	final   error // of the last commit, read after stopped
}

var _ state.Store = (*Store)(nil)

// item is a stored value. Its bytes are never changed after they were stored.
type item struct {
	value   []byte
	expires time.Time
}

func (it item) live(now time.Time) bool { return it.expires.IsZero() || now.Before(it.expires) }

// batch is one commit that callers wait for.
type batch struct {
	done chan struct{}
	err  error
}

func newBatch() *batch { return &batch{done: make(chan struct{})} }

// Open reads the account's state from cfg.Path and keeps it there. The caller
// must Close the store.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	if cfg.Clock == nil {
		cfg.Clock = clock.System{}
	}
	d, err := openDisk(ctx, cfg.Path, cfg.Account)
	if err != nil {
		return nil, err
	}
	items, err := d.load(ctx, cfg.Account, cfg.Clock.Now())
	if err != nil {
		d.release(cfg.Account)
		return nil, err
	}
	s := &Store{
		account: cfg.Account, clk: cfg.Clock, disk: d,
		limits:   limits{tats: map[string]int64{}},
		items:    items,
		dirty:    map[string]struct{}{},
		batch:    newBatch(),
		watchers: map[*watcher]struct{}{},
		wake:     make(chan struct{}, 1),
		stop:     make(chan struct{}),
		stopped:  make(chan struct{}),
	}
	go s.write()
	return s, nil
}

// Ping tries again to write what could not be written, and says whether nothing
// is left.
func (s *Store) Ping(ctx context.Context) error {
	return s.change(ctx, func(time.Time) bool { return true })
}

// Close writes what is still to be written and releases the folder. Watchers
// hear Lost.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	for w := range s.watchers {
		w.push(state.Change{Kind: state.Lost})
		w.end()
	}
	s.watchers = map[*watcher]struct{}{}
	s.mu.Unlock()

	close(s.stop)
	<-s.stopped
	s.disk.release(s.account)
	return s.final
}
