// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package redis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/crmgate/crmgate/modules/internal/state"
)

// page is how many entries List reads at once.
const page = 256

// Get implements state.Store.
func (s *Store) Get(ctx context.Context, key string) (state.Entry, error) {
	var found state.Entry
	ok := false
	err := s.read(ctx, []string{key}, func(e state.Entry) bool {
		found, ok = e, true
		return true
	})
	switch {
	case err != nil:
		return state.Entry{}, unavailable("reading state", err)
	case !ok:
		return state.Entry{}, state.ErrNotFound
	}
	return found, nil
}

// read calls fn for those of the keys that are there. It returns errNoMore when
// fn wants no more.
func (s *Store) read(ctx context.Context, ks []string, fn func(state.Entry) bool) error {
	at := make([]string, len(ks))
	for i, k := range ks {
		at[i] = s.keys.entries + k
	}
	got, err := readScript.Run(ctx, s.client, at).Slice()
	if err != nil {
		return err
	}
	if len(got) != 2*len(ks) {
		return fmt.Errorf("redis answered %d values for %d keys", len(got), len(ks))
	}
	for i, k := range ks {
		value, ok := got[2*i].(string)
		if !ok {
			continue // absent or expired
		}
		left, ok := got[2*i+1].(int64)
		if !ok {
			return errors.New("redis answered no time to live")
		}
		if !fn(s.entry(k, value, left)) {
			return errNoMore
		}
	}
	return nil
}

var errNoMore = errors.New("no more entries are wanted")

// entry makes an entry of a key that lives for some ms more; negative: for ever.
func (s *Store) entry(key, value string, left int64) state.Entry {
	e := state.Entry{Key: key, Value: []byte(value)}
	if left >= 0 {
		e.Expires = s.clk.Now().Add(time.Duration(left) * time.Millisecond)
	}
	return e
}

// ms writes a ttl for the scripts. A ttl below a millisecond is one: 0 would be
// for ever.
func ms(ttl time.Duration) string {
	switch {
	case ttl < 0:
		return "-1"
	case ttl == 0:
		return "0"
	}
	return strconv.FormatInt(max(1, ttl.Milliseconds()), 10)
}

// run runs a script that changes one entry. args follow the channel.
func (s *Store) run(ctx context.Context, script *goredis.Script, key string, args ...any) *goredis.Cmd {
	at := []string{s.keys.seq, s.keys.index, s.keys.ends, s.keys.entries + key}
	return script.Run(ctx, s.client, at, append([]any{s.keys.channel, key}, args...)...)
}

// Put implements state.Store.
func (s *Store) Put(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	return unavailable("writing state", s.run(ctx, putScript, key, value, ms(ttl)).Err())
}

// PutNew implements state.Store.
func (s *Store) PutNew(ctx context.Context, key string, value []byte, ttl time.Duration) (bool, error) {
	n, err := s.run(ctx, putNewScript, key, value, ms(ttl)).Int()
	return n == 1 && err == nil, unavailable("writing new state", err)
}

// Replace implements state.Store.
func (s *Store) Replace(ctx context.Context, key string, old, value []byte, ttl time.Duration) (bool, error) {
	n, err := s.run(ctx, replaceScript, key, value, ms(ttl), old).Int()
	if err != nil {
		return false, unavailable("replacing state", err)
	}
	if n < 0 {
		return false, state.ErrNotFound
	}
	return n == 1, nil
}

// Take implements state.Store.
func (s *Store) Take(ctx context.Context, key string) (state.Entry, error) {
	got, err := s.run(ctx, takeScript, key).Slice()
	if errors.Is(err, goredis.Nil) {
		return state.Entry{}, state.ErrNotFound
	}
	if err != nil {
		return state.Entry{}, unavailable("taking state", err)
	}
	if len(got) == 2 {
		value, isValue := got[0].(string)
		left, isTime := got[1].(int64)
		if isValue && isTime {
			return s.entry(key, value, left), nil
		}
	}
	return state.Entry{}, unavailable("taking state", errors.New("redis answered in another form"))
}

// Delete implements state.Store. More than 256 keys are deleted in several steps.
func (s *Store) Delete(ctx context.Context, keys ...string) error {
	for part := range slices.Chunk(keys, page) {
		at := []string{s.keys.seq, s.keys.index, s.keys.ends}
		args := []any{s.keys.channel}
		for _, k := range part {
			at = append(at, s.keys.entries+k)
			args = append(args, k)
		}
		if err := deleteScript.Run(ctx, s.client, at, args...).Err(); err != nil {
			return unavailable("deleting state", err)
		}
	}
	return nil
}

// List implements state.Store, in byte order of the keys. Its cost grows with the
// entries it shows, not with what else is in Redis.
func (s *Store) List(ctx context.Context, prefix string, fn func(state.Entry) bool) error {
	by := &goredis.ZRangeBy{Min: "[" + prefix, Max: after(prefix), Count: page}
	for {
		ks, err := s.client.ZRangeByLex(ctx, s.keys.index, by).Result()
		if err != nil {
			return unavailable("listing state", err)
		}
		if len(ks) == 0 {
			return nil
		}
		err = s.read(ctx, ks, fn)
		if errors.Is(err, errNoMore) {
			return nil
		}
		if err != nil {
			return unavailable("listing state", err)
		}
		by.Min = "(" + ks[len(ks)-1]
	}
}

// after returns the end of the range of keys that begin with prefix.
func after(prefix string) string {
	b := []byte(prefix)
	for len(b) > 0 && b[len(b)-1] == 0xff {
		b = b[:len(b)-1]
	}
	if len(b) == 0 {
		return "+"
	}
	b[len(b)-1]++
	return "(" + string(b)
}

// Admit implements state.Store.
func (s *Store) Admit(ctx context.Context, key string, limit state.Limit) (state.Verdict, error) {
	if limit.Events <= 0 || limit.Per <= 0 {
		if err := ctx.Err(); err != nil {
			return state.Verdict{}, unavailable("counting an event", err)
		}
		return state.Verdict{RetryAt: s.clk.Now().Add(state.Never)}, nil
	}
	now := ""
	if s.now != nil {
		now = strconv.FormatInt(s.now().UnixMicro(), 10)
	}
	got, err := admitScript.Run(ctx, s.client, []string{s.keys.limits + key},
		limit.Step().Microseconds(), limit.Events, now).Int64Slice()
	if err == nil && len(got) != 2 {
		err = errors.New("redis answered in another form")
	}
	if err != nil {
		return state.Verdict{}, unavailable("counting an event", err)
	}
	if got[0] == 1 {
		return state.Verdict{Allowed: true, Remaining: int(got[1])}, nil
	}
	return state.Verdict{RetryAt: s.clk.Now().Add(time.Duration(got[1]) * time.Microsecond)}, nil
}
