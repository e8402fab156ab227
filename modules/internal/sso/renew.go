// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package sso

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/crmgate/crmgate/modules/internal/records"
	"github.com/crmgate/crmgate/modules/internal/signin"
	"github.com/crmgate/crmgate/modules/internal/state"
)

const (
	renewEvery  = 15 * time.Second // how often due grants are looked for
	renewCall   = 20 * time.Second // what one call of a provider may take
	renewAtOnce = 8                // calls at a time
	firstRetry  = time.Minute
	lastRetry   = 15 * time.Minute
)

// renewing is a renewal under way on this gateway; others wait for its result.
type renewing struct {
	done chan struct{}
	err  error
}

// Run renews what is due until ctx ends.
func (g *Grants) Run(ctx context.Context) {
	for pause(ctx, renewEvery) == nil {
		if err := g.RenewDue(ctx); err != nil && ctx.Err() == nil {
			if env, ok := g.opts.Env(); ok {
				logger(env).WarnContext(ctx, "looking for due grants failed", "error", err)
			}
		}
	}
}

// RenewDue renews every grant that is due now, and returns when all were tried.
// What a provider says is logged or ends sessions; the error is the store's.
func (g *Grants) RenewDue(ctx context.Context) error {
	env, err := g.env()
	if err != nil {
		return err
	}
	now := env.Clock.Now().Unix()
	var due []string
	err = env.State.List(ctx, dueAt, func(e state.Entry) bool {
		// A time nobody can read is due: looking at the grant mends it.
		if at, err := strconv.ParseInt(string(e.Value), 10, 64); err != nil || at <= now {
			due = append(due, strings.TrimPrefix(e.Key, dueAt))
		}
		return true
	})
	if err != nil {
		return fmt.Errorf("looking for due grants: %w", err)
	}
	slots := make(chan struct{}, renewAtOnce)
	var wg sync.WaitGroup
	for _, id := range due {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			if err := g.Renew(ctx, id); err != nil && ctx.Err() == nil {
				logger(env).WarnContext(ctx, "renewing a grant failed", "error", err)
			}
		})
	}
	wg.Wait()
	return nil
}

// Renew asks the provider again when that is due, and does nothing otherwise. Of
// any number of calls at the same time, on any number of gateways, one asks; the
// others wait and read its result. nil means that the session may go on for now, a
// *signin.DeniedError that it was ended, any other error that nobody knows.
func (g *Grants) Renew(ctx context.Context, sessionID string) error {
	g.mu.Lock()
	if r, ok := g.running[sessionID]; ok {
		g.mu.Unlock()
		select {
		case <-r.done:
			return r.err
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	r := &renewing{done: make(chan struct{})}
	g.running[sessionID] = r
	g.mu.Unlock()
	defer func() {
		g.mu.Lock()
		delete(g.running, sessionID)
		g.mu.Unlock()
		close(r.done)
	}()
	// The caller may go away; a refresh token that was sent must still be kept.
	r.err = g.renew(context.WithoutCancel(ctx), sessionID)
	return r.err
}

func (g *Grants) renew(ctx context.Context, sessionID string) error {
	env, err := g.env()
	if err != nil {
		return err
	}
	if due, err := g.isDue(ctx, env, sessionID); !due {
		return err
	}
	l, err := takeLease(ctx, env, sessionID)
	if errors.Is(err, errHeld) {
		if err := waitFree(ctx, env, sessionID); err != nil {
			return fmt.Errorf("waiting for another gateway to renew a grant: %w", err)
		}
		due, err := g.isDue(ctx, env, sessionID)
		if err == nil && due {
			err = errors.New("renewing a grant: another gateway tried and did not get through")
		}
		return err
	}
	if err != nil {
		return fmt.Errorf("renewing a grant: %w", err)
	}
	defer l.release(ctx)
	return g.renewLeased(ctx, env, l, sessionID)
}

// isDue says whether a session's grant is there and due. One that is not there is
// not due, and its entry in the list of due ones is removed.
func (g *Grants) isDue(ctx context.Context, env signin.Env, sessionID string) (bool, error) {
	k, _, err := load(ctx, env, sessionID)
	switch {
	case errors.Is(err, ErrNoGrant):
		return false, env.State.Delete(ctx, dueAt+sessionID) //nolint:wrapcheck // said by the store
	case errors.Is(err, state.ErrUnavailable):
		return false, err
	case err != nil:
		return true, nil //nolint:nilerr // it cannot be opened: renewLeased ends the session
	case k.Denied != "":
		return true, nil
	case k.Next.IsZero():
		return false, nil
	case env.Clock.Now().Before(k.Next):
		// The list may be behind when a gateway died between two writes.
		return false, putDue(ctx, env, sessionID, k, k.ttl(env.Clock.Now()))
	}
	return true, nil
}

// renewLeased does the work; nobody else does it for this session meanwhile.
func (g *Grants) renewLeased(ctx context.Context, env signin.Env, l *lease, sessionID string) error {
	k, stored, err := load(ctx, env, sessionID)
	switch {
	case errors.Is(err, ErrNoGrant), errors.Is(err, state.ErrUnavailable):
		return err
	case err != nil:
		return g.endDenied(ctx, env, sessionID, k, "the grant cannot be opened")
	case k.Denied != "":
		return g.endDenied(ctx, env, sessionID, k, k.Denied)
	case env.Clock.Now().Before(k.Next):
		return nil // somebody else was quicker
	}
	alive, err := g.opts.Alive(ctx, sessionID)
	switch {
	case err != nil:
		return fmt.Errorf("renewing a grant: %w", err)
	case !alive:
		return g.drop(ctx, env, sessionID, k.Grant)
	}
	callCtx, done := l.use(ctx)
	callCtx, cancel := context.WithTimeout(callCtx, renewCall)
	next, err := g.ask(callCtx, env, k)
	cancel()
	done()
	if denied, ok := errors.AsType[*signin.DeniedError](err); ok {
		k.Denied = denied.Detail // so that it is remembered when ending fails now
		if _, err := g.swap(ctx, env, sessionID, stored, k); err != nil {
			logger(env).WarnContext(ctx, "noting a denied grant failed", "error", err)
		}
		return g.endDenied(ctx, env, sessionID, k, denied.Detail)
	}
	if err != nil {
		next = k
		next.Fails++
		next.Next = env.Clock.Now().Add(min(lastRetry, firstRetry<<min(k.Fails, 8)))
	}
	if _, swapErr := g.swap(ctx, env, sessionID, stored, next); swapErr != nil {
		return fmt.Errorf("keeping a renewed grant: %w", swapErr)
	}
	if err != nil {
		return fmt.Errorf("renewing a grant at %s: %w", k.Grant.Provider, err)
	}
	return nil
}

// ask calls the provider and makes sure that it still speaks of the same person.
func (g *Grants) ask(ctx context.Context, env signin.Env, k kept) (kept, error) {
	p, ok := g.opts.Provider(k.Grant.Provider)
	if !ok {
		return k, signin.Denied("the provider is no longer configured")
	}
	r, ok := p.(signin.Renewer)
	if !ok {
		return k, signin.Denied("the provider cannot be asked again")
	}
	proof, err := r.Renew(ctx, env, k.Grant)
	switch {
	case err != nil:
		return k, err //nolint:wrapcheck // the provider says what it was doing
	case proof.Subject != k.Grant.Subject:
		return k, signin.Denied("the provider speaks of somebody else now")
	case records.FoldEmail(proof.Email) != k.Email:
		return k, signin.Denied("the e-mail address has changed at the provider")
	}
	next := k
	next.Grant.Data, next.Grant.Recheck = proof.Grant.Data, proof.Grant.Recheck
	next.Next, next.Fails = proof.Grant.Recheck, 0
	return next, nil
}

// swap stores a changed grant, unless the session has ended meanwhile. The store
// is asked several times: with this grant the only refresh token would be lost.
func (g *Grants) swap(ctx context.Context, env signin.Env, sessionID string, old []byte, k kept) (bool, error) {
	sealed, err := seal(env, sessionID, k)
	if err != nil {
		return false, err
	}
	ttl := k.ttl(env.Clock.Now())
	for wait := leasePoll; ; wait *= 2 {
		ok, err := env.State.Replace(ctx, grantsAt+sessionID, old, sealed, ttl)
		switch {
		case err == nil && ok:
			return true, putDue(ctx, env, sessionID, k, ttl)
		case err == nil, errors.Is(err, state.ErrNotFound):
			return false, nil // ended, or moved by somebody who waited too long
		case wait > 2*time.Second:
			return false, err //nolint:wrapcheck // the callers say what they were doing
		}
		if err := pause(ctx, wait); err != nil {
			return false, err
		}
	}
}

// endDenied ends a session whose provider said no. The grant goes last: while it
// is there, the next look tries again.
func (g *Grants) endDenied(ctx context.Context, env signin.Env, sessionID string, k kept, why string) error {
	if err := g.opts.End(ctx, sessionID, why); err != nil {
		return fmt.Errorf("ending a session whose provider said no: %w", err)
	}
	if err := g.drop(ctx, env, sessionID, k.Grant); err != nil {
		return err
	}
	return signin.Denied(why)
}
