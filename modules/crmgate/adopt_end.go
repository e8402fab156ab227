// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package crmgate

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/crmgate/crmgate/modules/internal/session"
	"github.com/crmgate/crmgate/modules/internal/state"
	"github.com/crmgate/crmgate/policy"
	"github.com/crmgate/crmgate/policy/resource"
)

// The CRM's own sessions end with the gate's. What carries one is kept, sealed, as
// soon as it is first seen under a session of the gate; when that ends, the request
// the map names is sent with it. Whoever takes what is kept sends it, once.

// crmEndings remembers how the CRM is reached and what is kept already.
type crmEndings struct {
	mu   sync.Mutex
	send Send
	base url.URL         // scheme and host of the CRM, as the proxy chose it last
	kept map[string]bool // keys in the state store
}

const (
	crmEndAt      = "crmend/" // + session id + "/" + hash of the CRM's session: a sealed crmEnd
	purposeCRMEnd = "crm session"
	maxEndings    = 50000
)

// crmEnd is what ends one session of the CRM.
type crmEnd struct {
	Value string `json:"value"` // what stands in its place of a request
	Path  string `json:"path"`
}

func crmEndKey(sessionID, crmID string) string {
	sum := sha256.Sum256([]byte(crmID))
	return crmEndAt + sessionID + "/" + hex.EncodeToString(sum[:8])
}

// adoptEnd keeps what it takes to end the CRM's session of a request, and learns
// how the CRM is reached.
func (a *App) adoptEnd(ctx context.Context, d *Decision, req *resource.Request, crmID string) error {
	if a.resources.Session.SignOut == nil {
		return nil
	}
	e := &a.endings
	d.Around = func(req *http.Request, send Send) (*http.Response, error) {
		e.mu.Lock()
		e.send, e.base = send, url.URL{Scheme: req.URL.Scheme, Host: req.URL.Host}
		e.mu.Unlock()
		return send(req)
	}
	key := crmEndKey(d.Session.ID, crmID)
	if e.has(key) {
		return nil
	}
	rt := a.runtime.Load()
	plain, err := json.Marshal(crmEnd{Value: a.resources.CarriedValue(req), Path: req.Path})
	if err != nil {
		return because(policy.Internal, errors.New("encoding the CRM's session"))
	}
	sealed, err := rt.vault.Seal(purposeCRMEnd, key, plain)
	if err != nil {
		return because(policy.Internal, fmt.Errorf("sealing the CRM's session: %w", err))
	}
	_, life := rt.sessions.Remaining(d.Session)
	if life < 0 {
		life = 0
	} else {
		life += endTime * 4 // so that it is there when the session has ended
	}
	if err := rt.state.Put(ctx, key, sealed, life); err != nil {
		return because(policy.StoreUnavailable, fmt.Errorf("keeping the CRM's session: %w", err))
	}
	e.add(key)
	return nil
}

// reachable says whether it is known how the CRM is reached.
func (e *crmEndings) reachable() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.send != nil
}

func (e *crmEndings) has(key string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.kept[key]
}

func (e *crmEndings) add(key string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.kept == nil || len(e.kept) >= maxEndings {
		e.kept = map[string]bool{}
	}
	e.kept[key] = true
}

// leaveCRM ends the CRM's sessions under a session of the gate that has ended.
func (a *App) leaveCRM(ctx context.Context, rt *runtime, s *session.Session) error {
	if a.Config.Bridge == nil || !a.Config.Bridge.Adopt || a.resources.Session.SignOut == nil {
		return nil
	}
	var keys []string
	if err := rt.state.List(ctx, crmEndAt+s.ID+"/", func(e state.Entry) bool {
		keys = append(keys, e.Key)
		return true
	}); err != nil {
		return fmt.Errorf("finding the CRM's sessions: %w", err)
	}
	if len(keys) > 0 && !a.endings.reachable() {
		return errors.New("nobody has asked the CRM since the gateway started, so its address is not known; its session ends by itself")
	}
	var errs []error
	for _, key := range keys {
		entry, err := rt.state.Take(ctx, key)
		if errors.Is(err, state.ErrNotFound) {
			continue // another gateway does it
		}
		if err == nil {
			err = a.endCRM(ctx, rt, key, entry.Value)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// endCRM sends the request that ends one session of the CRM.
func (a *App) endCRM(ctx context.Context, rt *runtime, key string, sealed []byte) error {
	plain, err := rt.vault.Open(purposeCRMEnd, key, sealed)
	if err != nil {
		return fmt.Errorf("opening the CRM's session: %w", err)
	}
	var c crmEnd
	if json.Unmarshal(plain.Reveal(), &c) != nil {
		return errors.New("the CRM's session is not what was sealed")
	}
	e := &a.endings
	e.mu.Lock()
	send, target := e.send, e.base
	delete(e.kept, key)
	e.mu.Unlock()
	shape := a.resources.Session
	target.Path = shape.SignOut.Path
	if target.Path == "" {
		target.Path = c.Path
	}
	ctx = context.WithValue(ctx, caddy.ReplacerCtxKey, caddy.NewReplacer())
	req, err := http.NewRequestWithContext(ctx, shape.SignOut.Method, target.String(), strings.NewReader(shape.SignOut.Body))
	if err != nil {
		return errors.New("ending the CRM's session: its address cannot be used")
	}
	if shape.SignOut.ContentType != "" {
		req.Header.Set("Content-Type", shape.SignOut.ContentType)
	}
	switch {
	case shape.Header != "":
		req.Header.Set(shape.Header, c.Value)
	case shape.Cookie != "":
		req.Header.Set("Cookie", shape.Cookie+"="+c.Value)
	default:
		q := req.URL.Query()
		q.Set(shape.Query, c.Value)
		req.URL.RawQuery = q.Encode()
	}
	res, err := send(req)
	if err != nil {
		return errors.New("ending the CRM's session: the CRM did not answer") // the cause may quote the address
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, crmAnswerMax))
	a.logger.Info("a session of the CRM was ended with the gate's", zap.Int("status", res.StatusCode))
	return nil
}

// moveCRM moves what ends the CRM's sessions to a rotated session's new id.
func (a *App) moveCRM(ctx context.Context, rt *runtime, old, next *session.Session) {
	if a.Config.Bridge == nil || !a.Config.Bridge.Adopt {
		return
	}
	var kept []state.Entry
	err := rt.state.List(ctx, crmEndAt+old.ID+"/", func(e state.Entry) bool {
		kept = append(kept, e)
		return true
	})
	for _, e := range kept {
		err = errors.Join(err, a.moveEnding(ctx, rt, e, crmEndAt+next.ID+e.Key[len(crmEndAt+old.ID):]))
	}
	if err != nil {
		a.logger.Warn("moving the CRM's sessions of a rotated session failed; they end by themselves", zap.Error(err))
	}
}

// moveEnding seals what ends a session of the CRM for another key.
func (a *App) moveEnding(ctx context.Context, rt *runtime, e state.Entry, key string) error {
	plain, err := rt.vault.Open(purposeCRMEnd, e.Key, e.Value)
	if err != nil {
		return err
	}
	sealed, err := rt.vault.Seal(purposeCRMEnd, key, plain.Reveal())
	if err != nil {
		return err
	}
	life := time.Duration(0)
	if !e.Expires.IsZero() {
		life = e.Expires.Sub(a.clock().Now())
	}
	if err := rt.state.Put(ctx, key, sealed, life); err != nil {
		return err
	}
	a.endings.add(key)
	return rt.state.Delete(ctx, e.Key)
}
