// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package embedded

import (
	"context"
	"time"
)

// sweepEvery is how often memory and disk are freed of expired entries. It
// decides nothing: expiry is compared on read.
const sweepEvery = time.Minute

// change runs fn under the lock and, if it says that something changed, waits
// until that is on disk. A caller that gives up waiting gets an error; its change
// stands.
func (s *Store) change(ctx context.Context, fn func(now time.Time) bool) error {
	if err := ctx.Err(); err != nil {
		return unavailable("changing state", err)
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return errClosed
	}
	if !fn(s.clk.Now()) {
		s.mu.Unlock()
		return nil
	}
	b := s.batch
	s.mu.Unlock()

	select {
	case s.wake <- struct{}{}:
	default: // a commit is due already and will take this change along
	}
	select {
	case <-b.done:
		return b.err
	case <-ctx.Done():
		return unavailable("writing state", ctx.Err())
	}
}

// write commits changes until the store is closed, then once more.
func (s *Store) write() {
	defer close(s.stopped)
	sweep := time.NewTicker(sweepEvery)
	defer sweep.Stop()
	for {
		select {
		case <-s.wake:
			_ = s.commit() // answered to those who wait
		case <-sweep.C:
			s.sweep()
			_ = s.commit() // what could not be written is tried again
		case <-s.stop:
			s.final = s.commit()
			return
		}
	}
}

// commit writes the rows that are behind and answers everybody who waits for
// them. Rows that could not be written stay due.
func (s *Store) commit() error {
	s.mu.Lock()
	b, keys := s.batch, s.dirty
	s.batch, s.dirty = newBatch(), map[string]struct{}{}
	rows := make([]row, 0, len(keys))
	for k := range keys {
		it, ok := s.items[k]
		rows = append(rows, row{key: k, item: it, gone: !ok})
	}
	s.mu.Unlock()

	err := s.disk.write(s.account, rows)
	if err != nil {
		err = unavailable("writing state to "+s.disk.file, err)
		s.mu.Lock()
		for k := range keys {
			s.dirty[k] = struct{}{}
		}
		s.mu.Unlock()
	}
	b.err = err
	close(b.done)
	return err
}

// sweep frees what has expired.
func (s *Store) sweep() {
	now := s.clk.Now()
	s.mu.Lock()
	for k, it := range s.items {
		if !it.live(now) {
			delete(s.items, k)
			s.dirty[k] = struct{}{}
		}
	}
	s.mu.Unlock()
	s.limits.sweep(now)
}
