// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package session

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/crmgate/crmgate/modules/internal/state"
)

// maxCRM is how many CRM sessions one session may hold; the oldest gives way.
const maxCRM = 16

// binding says whose a CRM session is.
type binding struct {
	Session string `json:"session"` // id of the gateway's session
	Person  string `json:"person"`
}

// bound is a binding as the view keeps it.
type bound struct {
	binding
	expires time.Time
}

// crmHash is the form in which a CRM session id is kept. The ids are secrets of
// the CRM with entropy of their own; the prefix keeps the hashes apart from any
// other use of them.
func crmHash(crmSessionID string) string {
	sum := sha256.Sum256([]byte("crmgate crm session\x00" + crmSessionID))
	return hex.EncodeToString(sum[:])
}

// BindCRM ties a CRM session, just learned from the CRM's own sign-in, to the
// session and returns the session as it is now. ErrCRMForeign when it is tied to a
// living session of another person; one of the same person keeps it. The binding
// ends with the session. Bind nothing that came from the client.
func (m *Manager) BindCRM(ctx context.Context, s *Session, crmSessionID string) (*Session, error) {
	i, ok := parseID(s.ID)
	if !ok || crmSessionID == "" {
		return nil, fmt.Errorf("binding a CRM session: %w", ErrNoSession)
	}
	h := crmHash(crmSessionID)
	if slices.Contains(s.CRM, h) {
		return s, nil
	}
	if err := m.claim(ctx, h, binding{Session: s.ID, Person: s.PersonID}, s); err != nil {
		return nil, fmt.Errorf("binding a CRM session: %w", err)
	}
	var dropped []string
	next, err := m.update(ctx, i, func(s *Session) bool {
		if slices.Contains(s.CRM, h) {
			return false
		}
		s.CRM = append(s.CRM, h)
		dropped = nil
		for len(s.CRM) > maxCRM {
			dropped = append(dropped, crmAt+s.CRM[0])
			s.CRM = s.CRM[1:]
		}
		return true
	})
	if err != nil {
		return nil, fmt.Errorf("binding a CRM session: %w", err)
	}
	if len(dropped) > 0 {
		if err := m.store.Delete(ctx, dropped...); err != nil {
			return nil, fmt.Errorf("binding a CRM session: %w", err)
		}
	}
	return next, nil
}

// claim makes a binding, taking over one whose session has ended.
func (m *Manager) claim(ctx context.Context, h string, b binding, s *Session) error {
	rec, err := json.Marshal(b)
	if err != nil {
		return err
	}
	ttl := m.bindingTTL(s)
	for range 8 {
		ok, err := m.store.PutNew(ctx, crmAt+h, rec, ttl)
		if err != nil {
			return err
		}
		if ok {
			m.hold(h, b, ttl)
			return nil
		}
		cur, err := m.store.Get(ctx, crmAt+h)
		if errors.Is(err, state.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		var held binding
		if err := decodeStrict(cur.Value, &held); err != nil {
			return ErrCRMForeign // whose it is cannot be read: not ours
		}
		alive, err := m.alive(ctx, held.Session)
		switch {
		case err != nil:
			return err
		case alive && held.Person != b.Person:
			return ErrCRMForeign
		case alive:
			return nil
		}
		ok, err = m.store.Replace(ctx, crmAt+h, cur.Value, rec, ttl)
		if err != nil && !errors.Is(err, state.ErrNotFound) {
			return err
		}
		if ok {
			m.hold(h, b, ttl)
			return nil
		}
	}
	return fmt.Errorf("%w: the binding changes all the time", ErrUnavailable)
}

// bindingTTL is never shorter than the session may live: touches do not renew it.
func (m *Manager) bindingTTL(s *Session) time.Duration {
	ttl := housekeeping
	if end := m.limits.Load().end(s); !end.IsZero() {
		ttl = max(end.Sub(m.clk.Now()), time.Second)
	}
	return ttl
}

// alive says whether a session is still there, whoever asks.
func (m *Manager) alive(ctx context.Context, sessionID string) (bool, error) {
	i, ok := parseID(sessionID)
	if !ok {
		return false, nil
	}
	e := m.view.get(i)
	if e == nil || !m.trusted() {
		var err error
		e, err = m.readThrough(ctx, i)
		if errors.Is(err, state.ErrNotFound) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
	}
	if e == nil {
		return false, nil
	}
	_, err := m.judge(e)
	return err == nil || errors.Is(err, ErrLocked) && !e.over.Load(), nil
}

// CheckCRM says whether a CRM session that came with a request belongs to the
// session: nil, ErrCRMForeign when it is another person's, ErrCRMUnbound when
// nobody living holds it, ErrUnavailable when nobody can say. It does no I/O for
// a CRM session the session holds itself.
func (m *Manager) CheckCRM(ctx context.Context, s *Session, crmSessionID string) error {
	if crmSessionID == "" {
		return ErrCRMUnbound
	}
	h := crmHash(crmSessionID)
	if e := m.place(s); e != nil {
		s = e.sess.Load() // it may have been bound since s was looked up
	}
	if slices.Contains(s.CRM, h) {
		return nil
	}
	m.mu.Lock()
	b, known := m.crm[h]
	m.mu.Unlock()
	if known && !b.expires.IsZero() && !m.clk.Now().Before(b.expires) {
		known = false
	}
	if !known || !m.trusted() {
		i := id(sha256.Sum256([]byte(crmAt + h)))
		if may, _ := m.misses.may(i, m.clk.Now()); !may && m.trusted() {
			return ErrCRMUnbound
		}
		rec, err := m.store.Get(ctx, crmAt+h)
		if errors.Is(err, state.ErrNotFound) {
			m.misses.add(i, m.clk.Now())
			return ErrCRMUnbound
		}
		if err != nil {
			return fmt.Errorf("checking a CRM session: %w", err)
		}
		if err := decodeStrict(rec.Value, &b.binding); err != nil {
			return ErrCRMForeign
		}
	}
	switch alive, err := m.alive(ctx, b.Session); {
	case err != nil:
		return fmt.Errorf("checking a CRM session: %w", err)
	case !alive:
		return ErrCRMUnbound
	case b.Person != s.PersonID:
		return ErrCRMForeign
	}
	return nil
}

// rebind moves the bindings of a rotated session to its new id.
func (m *Manager) rebind(ctx context.Context, old, next *Session) error {
	for _, h := range next.CRM {
		was, err := json.Marshal(binding{Session: old.ID, Person: old.PersonID})
		if err != nil {
			return err
		}
		b := binding{Session: next.ID, Person: next.PersonID}
		rec, err := json.Marshal(b)
		if err != nil {
			return err
		}
		ttl := m.bindingTTL(next)
		ok, err := m.store.Replace(ctx, crmAt+h, was, rec, ttl)
		if err != nil && !errors.Is(err, state.ErrNotFound) {
			return err
		}
		if ok {
			m.hold(h, b, ttl)
		}
	}
	return nil
}

func (m *Manager) hold(h string, b binding, ttl time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.note(crmAt + h)
	m.crm[h] = bound{binding: b, expires: m.clk.Now().Add(ttl)}
}

// learnBinding takes a binding in or drops it. The caller holds mu.
func (m *Manager) learnBinding(e state.Entry, deleted bool) {
	h := strings.TrimPrefix(e.Key, crmAt)
	m.note(e.Key)
	var b binding
	if deleted || decodeStrict(e.Value, &b) != nil {
		delete(m.crm, h)
		return
	}
	m.crm[h] = bound{binding: b, expires: e.Expires}
}
