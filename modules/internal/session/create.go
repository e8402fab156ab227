// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package session

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/crmgate/crmgate/modules/internal/state"
)

// SignIn says who signed in and how.
type SignIn struct {
	PersonID  string // required
	Email     string
	Role      string
	Groups    []string
	Kind      string    // "": KindUser
	AuthTime  time.Time // zero: now
	Methods   []string
	IP        string // "" or an IP address
	UserAgent string
	Label     string
	Device    string
	Key       string
	Until     time.Time // an end of its own; zero: the limits alone
}

// Create starts a session and returns its token, which is to be given to the
// client and to nobody else. A matching lock is a *LockedError; a store that is
// away is ErrUnavailable. Sessions of the same person and kind beyond
// Options.MaxPerPerson are ended, the oldest first.
func (m *Manager) Create(ctx context.Context, n SignIn) (token string, s *Session, err error) {
	s, err = m.draft(n)
	if err != nil {
		return "", nil, fmt.Errorf("creating a session: %w", err)
	}
	f := s.Facts()
	if err := m.Check(ctx, f); err != nil {
		return "", nil, err
	}
	s.Created = m.locks.Load().after(&f, m.behindAll(s, s.Created))
	token, s, err = m.keepNew(ctx, s)
	if err != nil {
		return "", nil, fmt.Errorf("creating a session: %w", err)
	}
	if err := m.endSurplus(ctx, s); err != nil {
		return "", nil, fmt.Errorf("ending the oldest sessions: %w", err)
	}
	return token, s, nil
}

func (m *Manager) draft(n SignIn) (*Session, error) {
	now := stamp(m.clk.Now())
	s := &Session{
		PersonID: n.PersonID, Email: strings.ToLower(n.Email), Role: n.Role,
		Groups: slices.Clone(n.Groups), Kind: cmp.Or(n.Kind, KindUser), Created: now, LastSeen: now,
		AuthTime: now, Methods: slices.Clone(n.Methods), UserAgent: shorten(n.UserAgent, 256),
		Label: shorten(n.Label, 100), Device: n.Device, Key: n.Key,
	}
	if !n.AuthTime.IsZero() {
		s.AuthTime = stamp(n.AuthTime)
	}
	if !n.Until.IsZero() {
		s.Expires = stamp(n.Until)
	}
	if n.IP != "" {
		a, err := netip.ParseAddr(n.IP)
		if err != nil {
			return nil, errors.New("the client's address is none")
		}
		s.addr = a.Unmap()
		s.IP = s.addr.String()
	}
	if s.PersonID == "" {
		return nil, errors.New("a person is needed")
	}
	if end := m.limits.Load().end(s); !end.IsZero() && !now.Before(end) {
		return nil, errors.New("it would be over at once")
	}
	return s, nil
}

// maxWas is how many earlier ids a session carries along.
const maxWas = 8

// shorten cuts at most n bytes of valid UTF-8: JSON keeps nothing else.
func shorten(s string, n int) string {
	return strings.ToValidUTF8(s[:min(len(s), n)], "")
}

// keepNew gives the session a new token and id, stores it and brings it into the
// view.
func (m *Manager) keepNew(ctx context.Context, s *Session) (string, *Session, error) {
	token, i, err := newToken(m.rand)
	if err != nil {
		return "", nil, err
	}
	s.ID, s.Rev = i.String(), s.Rev+1
	rec, err := s.encode()
	if err != nil {
		return "", nil, err
	}
	// What is in the view must be what a reader of the record gets.
	if s, err = decode(i, rec); err != nil {
		return "", nil, err
	}
	ok, err := m.store.PutNew(ctx, sessionKey(i), rec, m.limits.Load().ttl(s, m.clk.Now()))
	if err != nil {
		return "", nil, err
	}
	if !ok {
		return "", nil, errors.New("the random source gave a token twice")
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.adopt(i, s) == nil {
		return "", nil, ErrNoSession // a lock came in between
	}
	return token, s, nil
}

// Rotate gives the session a new token and id, after a step-up or a change of
// rights; the old one is dead at once, everywhere within a second, and its live
// connections are cut. change, when given, edits the new session before it is
// stored (its id, person and creation stay). Of simultaneous calls for one
// session one wins, the others get ErrNoSession.
func (m *Manager) Rotate(ctx context.Context, s *Session, change ...func(*Session)) (token string, _ *Session, err error) {
	i, ok := parseID(s.ID)
	if !ok {
		return "", nil, ErrNoSession
	}
	m.mu.Lock()
	m.leaving[i] = struct{}{}
	m.mu.Unlock()
	defer func() {
		m.mu.Lock()
		delete(m.leaving, i)
		m.mu.Unlock()
	}()
	rec, err := m.store.Take(ctx, sessionKey(i))
	switch {
	case errors.Is(err, state.ErrNotFound):
		m.buryNow(i, ReasonEnded)
		return "", nil, ErrNoSession
	case err != nil:
		return "", nil, fmt.Errorf("rotating a session: %w", err)
	}
	seen := s.LastSeen
	if e := m.view.get(i); e != nil {
		seen = stamp(time.Unix(0, e.seen.Load()))
	}
	m.buryNow(i, ReasonRotated)
	old, err := decode(i, rec.Value)
	if err != nil {
		return "", nil, fmt.Errorf("rotating a session: %w", err)
	}
	next := old.clone()
	if seen.After(next.LastSeen) {
		next.LastSeen = seen
	}
	for _, fn := range change {
		fn(next)
	}
	next.PersonID, next.Created, next.CRM = old.PersonID, old.Created, old.CRM
	next.Was = append(slices.Clone(old.Was), old.ID)
	next.Was = next.Was[max(0, len(next.Was)-maxWas):]
	next.AuthTime = stamp(next.AuthTime)
	if token, next, err = m.keepNew(ctx, next); err != nil {
		return "", nil, fmt.Errorf("rotating a session: %w", err)
	}
	if err := m.rebind(ctx, old, next); err != nil {
		return "", nil, fmt.Errorf("rotating a session: %w", err)
	}
	return token, next, nil
}

func (m *Manager) buryNow(i id, reason string) {
	m.mu.Lock()
	m.bury(i, nil)
	m.mu.Unlock()
	m.live.cutSession(i.String(), reason)
}

// End ends a session, its CRM bindings and its live connections; the functions
// given to Attach are told the reason. An absent session is no error. When the
// store cannot be reached the session is refused here, the deletion is tried again
// until it succeeds, and the error says that other gateways may still accept it.
func (m *Manager) End(ctx context.Context, sessionID, reason string) error {
	i, ok := parseID(sessionID)
	if !ok {
		return nil
	}
	if err := m.endAll(ctx, []id{i}, reason, nil); err != nil {
		return fmt.Errorf("ending a session: %w", err)
	}
	return nil
}

// EndPerson ends all sessions of a person but exceptID ("": none is spared), those
// included that were made on another gateway a moment ago.
func (m *Manager) EndPerson(ctx context.Context, personID, exceptID string) error {
	now := m.clk.Now()
	l := Lock{Target: Target{ByUser, personID}, By: "crmgate", At: now, Until: now}
	if exceptID != "" {
		l.Except = []string{exceptID}
	}
	if _, err := m.Lock(ctx, l); err != nil {
		return fmt.Errorf("ending a person's sessions: %w", err)
	}
	return nil
}

// endAll ends sessions in the view, then in the store.
func (m *Manager) endAll(ctx context.Context, ids []id, reason string, by *Lock) error {
	var keys []string
	var gone []*Session
	m.mu.Lock()
	for _, i := range ids {
		keys = append(keys, sessionKey(i))
		if e := m.view.get(i); e != nil {
			gone = append(gone, e.sess.Load())
			for _, h := range e.sess.Load().CRM {
				keys = append(keys, crmAt+h)
			}
		}
		m.bury(i, by)
	}
	m.owe(keys...)
	m.mu.Unlock()
	for _, i := range ids {
		m.live.cutSession(i.String(), reason)
	}
	m.tell(gone)
	return m.pay(ctx, keys)
}

// tell says that sessions have ended for good.
func (m *Manager) tell(gone []*Session) {
	if m.opts.Ended != nil && len(gone) > 0 {
		go m.opts.Ended(gone)
	}
}

// ByID returns a session that is good now, by its id; ErrNoSession and the other
// errors of Lookup otherwise. A session made on another gateway a moment ago may
// not be known yet.
func (m *Manager) ByID(sessionID string) (*Session, error) {
	i, ok := parseID(sessionID)
	if !ok {
		return nil, ErrNoSession
	}
	if e := m.view.get(i); e != nil && m.trusted() {
		return m.judge(e)
	}
	return m.lookupSlow(i)
}

// payDebts deletes from the store what should be gone.
func (m *Manager) payDebts(ctx context.Context) {
	m.mu.Lock()
	keys := make([]string, 0, len(m.owed))
	for k := range m.owed {
		keys = append(keys, k)
	}
	m.mu.Unlock()
	_ = m.pay(ctx, keys) // what fails is still owed
}

func (m *Manager) pay(ctx context.Context, keys []string) error {
	for part := range slices.Chunk(keys, 256) {
		if err := m.store.Delete(ctx, part...); err != nil {
			return err
		}
		m.mu.Lock()
		for _, k := range part {
			delete(m.owed, k)
		}
		m.mu.Unlock()
	}
	return nil
}

// List returns a person's sessions that are good now, newest first, with their
// last activity. The copies are the caller's.
func (m *Manager) List(personID string) []*Session {
	m.mu.Lock()
	var es []*entry
	for e := range m.people[personID] {
		es = append(es, e)
	}
	m.mu.Unlock()
	return m.good(es, 0)
}

// All returns up to limit sessions (0: all) that are good now, newest first.
func (m *Manager) All(limit int) []*Session { return m.good(m.view.all(), limit) }

func (m *Manager) good(es []*entry, limit int) []*Session {
	var out []*Session
	for _, e := range es {
		s, err := m.judge(e)
		if err != nil && !errors.Is(err, ErrLocked) || e.over.Load() {
			continue
		}
		if s == nil {
			s = e.sess.Load() // locked, and good again when the lock is lifted
		}
		c := s.clone()
		c.LastSeen = stamp(time.Unix(0, e.seen.Load()))
		out = append(out, c)
	}
	slices.SortFunc(out, func(a, b *Session) int {
		return cmp.Or(b.Created.Compare(a.Created), strings.Compare(a.ID, b.ID))
	})
	if limit > 0 && len(out) > limit {
		out = out[:limit]
	}
	return out
}

// update changes a session's record unless it has been deleted, retrying when
// another gateway changed it meanwhile. fn edits a copy and says whether there is
// anything to write.
func (m *Manager) update(ctx context.Context, i id, fn func(*Session) bool) (*Session, error) {
	var cur *Session
	if e := m.view.get(i); e != nil {
		cur = e.sess.Load()
	}
	for range 16 {
		if cur == nil {
			rec, err := m.store.Get(ctx, sessionKey(i))
			if err != nil {
				return nil, m.gone(i, err)
			}
			if cur, err = decode(i, rec.Value); err != nil {
				return nil, err
			}
		}
		next := cur.clone()
		if !fn(next) {
			return cur, nil
		}
		next.Rev++
		was, err := cur.encode()
		if err != nil {
			return nil, err
		}
		rec, err := next.encode()
		if err != nil {
			return nil, err
		}
		ok, err := m.store.Replace(ctx, sessionKey(i), was, rec, m.limits.Load().ttl(next, m.clk.Now()))
		if err != nil {
			return nil, m.gone(i, err)
		}
		if ok {
			m.mu.Lock()
			e := m.adopt(i, next)
			m.mu.Unlock()
			if e == nil {
				return nil, ErrNoSession
			}
			return next, nil
		}
		cur = nil
	}
	return nil, fmt.Errorf("updating a session: %w: it changes all the time", ErrUnavailable)
}

// gone turns ErrNotFound into the end of the session.
func (m *Manager) gone(i id, err error) error {
	if errors.Is(err, state.ErrNotFound) {
		m.buryNow(i, ReasonEnded)
		return ErrNoSession
	}
	return err
}
