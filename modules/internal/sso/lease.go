// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package sso

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"github.com/crmgate/crmgate/modules/internal/signin"
	"github.com/crmgate/crmgate/modules/internal/state"
)

const (
	leasesAt  = "grant-lease/" // + session id
	leaseLife = 30 * time.Second
	leaseBeat = 10 * time.Second // how often a lease that is in use is prolonged
	leasePoll = 50 * time.Millisecond
	leaseWait = 25 * time.Second // how long others wait: above what a call may take
)

// errHeld is returned when another gateway has the lease.
var errHeld = errors.New("another gateway is renewing this grant")

// lease is the right to renew one grant. It ends by itself when the gateway that
// holds it dies.
type lease struct {
	env   signin.Env
	key   string
	value []byte
}

// takeLease returns the lease of a session's grant, or errHeld.
func takeLease(ctx context.Context, env signin.Env, sessionID string) (*lease, error) {
	l := &lease{env: env, key: leasesAt + sessionID, value: []byte(rand.Text())}
	ok, err := env.State.PutNew(ctx, l.key, l.value, leaseLife)
	switch {
	case err != nil:
		return nil, err //nolint:wrapcheck // the callers say what they were doing
	case !ok:
		return nil, errHeld
	}
	return l, nil
}

// waitLease waits until the lease is free.
func waitLease(ctx context.Context, env signin.Env, sessionID string) (*lease, error) {
	ctx, cancel := context.WithTimeout(ctx, leaseWait)
	defer cancel()
	for {
		l, err := takeLease(ctx, env, sessionID)
		if !errors.Is(err, errHeld) {
			return l, err
		}
		if err := pause(ctx, leasePoll); err != nil {
			return nil, err
		}
	}
}

// waitFree waits until nobody has the lease.
func waitFree(ctx context.Context, env signin.Env, sessionID string) error {
	ctx, cancel := context.WithTimeout(ctx, leaseWait)
	defer cancel()
	for {
		_, err := env.State.Get(ctx, leasesAt+sessionID)
		switch {
		case errors.Is(err, state.ErrNotFound):
			return nil
		case err != nil:
			return err //nolint:wrapcheck // as above
		}
		if err := pause(ctx, leasePoll); err != nil {
			return err
		}
	}
}

// use prolongs the lease until the returned function is called. When it is lost,
// ctx ends: what goes on without it could use a refresh token a second time.
func (l *lease) use(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for pause(ctx, leaseBeat) == nil {
			if ok, err := l.env.State.Replace(ctx, l.key, l.value, l.value, leaseLife); err != nil || !ok {
				cancel()
			}
		}
	}()
	return ctx, func() {
		cancel()
		<-done
	}
}

// release gives the lease back, unless it was lost meanwhile.
func (l *lease) release(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	_, _ = l.env.State.Replace(ctx, l.key, l.value, nil, -1) // otherwise it ends by itself
}

// pause waits, or returns ctx's error.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}
