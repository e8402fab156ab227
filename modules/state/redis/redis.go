// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// Package redis is the state store several gateways share: Redis 7 or newer, as a
// single server, behind Sentinel, or as a Cluster.
//
// Every change is one script: it changes the entry, moves the account's sequence
// number on by one and publishes the change under that number. Watchers see a
// number missing at once; every 300 ms they also compare the number they have
// reached with the server's, and see whether they hear what is published there, so
// that the loss of the last message, and a subscription that was left behind at an
// old master, are found within a second. Then they are told Lost and Resync.
//
// All keys of an account carry its name as hash tag and live in one slot of a
// Cluster. Entries must never be evicted: the server's maxmemory-policy is to be
// noeviction. What a fail-over loses that was not replicated yet is lost.
//
// A server that is away makes every call fail with state.ErrUnavailable, within
// about a second; nothing is served from memory. Open does not connect: a gateway
// starts without its store and works when it comes. A call whose answer was lost
// is tried once more, in a Cluster twice, so PutNew may say false, and Take
// ErrNotFound, to the very caller that succeeded: refused rather than admitted
// twice.
package redis

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/crmgate/crmgate/modules/internal/clock"
	"github.com/crmgate/crmgate/modules/internal/state"
)

// Store is a state.Store in Redis. Make one with Open.
type Store struct {
	client goredis.UniversalClient
	clk    clock.Clock
	keys   keys
	hub    hub

	// now, when set, takes the place of the server's clock in Admit: tests move it.
	now func() time.Time
}

var _ state.Store = (*Store)(nil)

// silent keeps the client library from writing to standard error, past the
// gateway's own log. Errors reach the callers.
type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

var silence = sync.OnceFunc(func() { goredis.SetLogger(silent{}) })

// Open makes a store. It checks cfg and does not connect. The caller must Close
// the store.
func Open(cfg Config) (*Store, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, fmt.Errorf("configuring redis: %w", err)
	}
	silence()
	s := &Store{
		clk:  cfg.Clock,
		keys: keysOf(cfg.Account),
		client: connect(&goredis.UniversalOptions{
			Addrs:            cfg.Addrs,
			Username:         cfg.Username,
			Password:         string(cfg.Password),
			DB:               cfg.DB,
			MasterName:       cfg.MasterName,
			SentinelUsername: cfg.SentinelUsername,
			SentinelPassword: string(cfg.SentinelPassword),
			IsClusterMode:    cfg.Cluster,
			TLSConfig:        cfg.TLS,

			// RESP2 carries no push messages: neither client-side caching nor
			// maintenance notices can get in between.
			Protocol:                 2,
			DisableIdentity:          true,
			MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
			PipelinePoolSize:         -1,

			MaxRetries:            1,
			DialTimeout:           cfg.Timeout,
			DialerRetries:         1,
			ReadTimeout:           cfg.Timeout,
			WriteTimeout:          cfg.Timeout,
			PoolTimeout:           2 * cfg.Timeout,
			PoolSize:              cfg.PoolSize,
			ContextTimeoutEnabled: true,
			FailingTimeoutSeconds: 1,
		}),
	}
	s.hub.init(s)
	return s, nil
}

// Ping implements state.Store. It asks where the account's entries are: any node
// of a Cluster would answer a PING.
func (s *Store) Ping(ctx context.Context) error {
	return unavailable("pinging redis", s.client.Exists(ctx, s.keys.seq).Err())
}

// Close implements state.Store. Watchers hear Lost.
func (s *Store) Close() error {
	s.hub.close()
	if err := s.client.Close(); err != nil && !errors.Is(err, goredis.ErrClosed) {
		return unavailable("closing redis", err)
	}
	return nil
}

// unavailable wraps an error, if it is one.
func unavailable(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w: %w", doing, state.ErrUnavailable, err)
}
