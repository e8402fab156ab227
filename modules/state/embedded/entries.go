// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package embedded

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/crmgate/crmgate/modules/internal/state"
)

// Get implements state.Store.
func (s *Store) Get(_ context.Context, key string) (state.Entry, error) {
	now := s.clk.Now()
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return state.Entry{}, errClosed
	}
	it, ok := s.items[key]
	if !ok || !it.live(now) {
		return state.Entry{}, state.ErrNotFound
	}
	return it.entry(key), nil
}

// entry copies the value: a caller that writes into it must not change the store.
func (it item) entry(key string) state.Entry {
	return state.Entry{Key: key, Value: bytes.Clone(it.value), Expires: it.expires}
}

// Put implements state.Store.
func (s *Store) Put(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	return s.change(ctx, func(now time.Time) bool {
		s.set(key, value, ttl, now)
		return true
	})
}

// PutNew implements state.Store.
func (s *Store) PutNew(ctx context.Context, key string, value []byte, ttl time.Duration) (bool, error) {
	stored := false
	err := s.change(ctx, func(now time.Time) bool {
		if it, ok := s.items[key]; ttl < 0 || ok && it.live(now) {
			return false
		}
		s.set(key, value, ttl, now)
		stored = true
		return true
	})
	return stored && err == nil, err
}

// Replace implements state.Store.
func (s *Store) Replace(ctx context.Context, key string, old, value []byte, ttl time.Duration) (bool, error) {
	replaced, found := false, true
	err := s.change(ctx, func(now time.Time) bool {
		it, ok := s.items[key]
		if found = ok && it.live(now); !found || !bytes.Equal(it.value, old) {
			return false
		}
		s.set(key, value, ttl, now)
		replaced = true
		return true
	})
	if err == nil && !found {
		err = state.ErrNotFound
	}
	return replaced && err == nil, err
}

// Take implements state.Store.
func (s *Store) Take(ctx context.Context, key string) (state.Entry, error) {
	var taken state.Entry
	found := false
	err := s.change(ctx, func(now time.Time) bool {
		it, ok := s.items[key]
		if found = ok && it.live(now); !found {
			return false
		}
		taken = it.entry(key)
		s.remove(key)
		return true
	})
	switch {
	case err != nil:
		return state.Entry{}, err
	case !found:
		return state.Entry{}, state.ErrNotFound
	}
	return taken, nil
}

// Delete implements state.Store.
func (s *Store) Delete(ctx context.Context, keys ...string) error {
	if len(keys) == 0 {
		return nil
	}
	return s.change(ctx, func(time.Time) bool {
		for _, k := range keys {
			s.remove(k)
		}
		return true
	})
}

// List implements state.Store. fn may use the store.
func (s *Store) List(ctx context.Context, prefix string, fn func(state.Entry) bool) error {
	now := s.clk.Now()
	s.mu.RLock()
	if s.closed {
		s.mu.RUnlock()
		return errClosed
	}
	type pair struct {
		key string
		item
	}
	var found []pair
	for k, it := range s.items {
		if strings.HasPrefix(k, prefix) && it.live(now) {
			found = append(found, pair{k, it})
		}
	}
	s.mu.RUnlock()
	for _, p := range found {
		if err := ctx.Err(); err != nil {
			return unavailable("listing entries", err)
		}
		if !fn(p.entry(p.key)) {
			return nil
		}
	}
	return nil
}

// set stores an entry and tells the watchers. The caller holds mu.
func (s *Store) set(key string, value []byte, ttl time.Duration, now time.Time) {
	if ttl < 0 {
		s.remove(key)
		return
	}
	it := item{value: append([]byte{}, value...)}
	if ttl > 0 {
		it.expires = now.Add(ttl)
	}
	s.items[key] = it
	s.dirty[key] = struct{}{}
	s.tell(state.Change{Kind: state.Put, Entry: state.Entry{Key: key, Value: it.value, Expires: it.expires}})
}

// remove deletes an entry and tells the watchers. The caller holds mu.
func (s *Store) remove(key string) {
	if _, ok := s.items[key]; ok {
		delete(s.items, key)
		s.dirty[key] = struct{}{}
	}
	s.tell(state.Change{Kind: state.Deleted, Entry: state.Entry{Key: key}})
}

func unavailable(doing string, err error) error {
	return fmt.Errorf("%s: %w: %w", doing, state.ErrUnavailable, err)
}
