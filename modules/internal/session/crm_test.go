// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package session

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/crmgate/crmgate/modules/internal/state"
)

func bind(t *testing.T, m *Manager, s *Session, crmID string) *Session {
	t.Helper()
	n, err := m.BindCRM(t.Context(), s, crmID)
	if err != nil {
		t.Fatalf("binding: %v", err)
	}
	return n
}

func wantCRM(t *testing.T, m *Manager, s *Session, crmID string, want error) {
	t.Helper()
	if err := m.CheckCRM(t.Context(), s, crmID); !errors.Is(err, want) || (want == nil) != (err == nil) {
		t.Fatalf("CheckCRM(%s's, %s) = %v, want %v", s.PersonID, crmID, err, want)
	}
}

func TestCRMBinding(t *testing.T) {
	w := newWorld(t)
	one, l := w.gateway()
	two, _ := w.gateway()
	_, adas := signIn(t, one, ada)
	_, bobs := signIn(t, two, bob)
	_, adas2 := signIn(t, two, ada)
	wantCRM(t, one, adas, "crm-1", ErrCRMUnbound)
	wantCRM(t, one, adas, "", ErrCRMUnbound)
	w.clk.Advance(2 * time.Second)
	bind(t, one, adas, "crm-1")
	bind(t, one, adas, "crm-1")
	calls := l.calls.Load()
	wantCRM(t, one, adas, "crm-1", nil) // with the Session from before the binding
	if l.calls.Load() != calls {
		t.Error("checking a session's own CRM session asked the store")
	}
	wantCRM(t, two, bobs, "crm-1", ErrCRMForeign)
	wantCRM(t, two, adas2, "crm-1", nil)
	if _, err := two.BindCRM(t.Context(), bobs, "crm-1"); !errors.Is(err, ErrCRMForeign) {
		t.Fatalf("another person bound the CRM session too: %v", err)
	}
	bind(t, two, adas2, "crm-1")
	if err := w.store.List(t.Context(), "", func(e state.Entry) bool {
		if e.Key == "crm/crm-1" {
			t.Error("the CRM's session id is in the store in clear")
		}
		return true
	}); err != nil {
		t.Fatal(err)
	}
	if err := one.End(t.Context(), adas.ID, ReasonSignedOut); err != nil {
		t.Fatal(err)
	}
	soon(t, "the binding to end with the session", func() bool {
		return errors.Is(two.CheckCRM(t.Context(), bobs, "crm-1"), ErrCRMUnbound)
	})
	w.clk.Advance(2 * time.Second)
	bind(t, two, bobs, "crm-1")
	wantCRM(t, two, bobs, "crm-1", nil)
}

func TestCRMBindingOfAnExpiredSessionIsTakenOver(t *testing.T) {
	w := newWorld(t)
	m, _ := w.gateway()
	_, adas := signIn(t, m, ada)
	bind(t, m, adas, "crm-1")
	w.clk.Advance(31 * time.Minute) // idle: nobody deletes the binding
	_, bobs := signIn(t, m, bob)
	wantCRM(t, m, bobs, "crm-1", ErrCRMUnbound)
	bind(t, m, bobs, "crm-1")
	wantCRM(t, m, bobs, "crm-1", nil)
}

func TestCRMBindingFollowsRotation(t *testing.T) {
	w := newWorld(t)
	one, _ := w.gateway()
	two, _ := w.gateway()
	_, s := signIn(t, one, ada)
	s = bind(t, one, s, "crm-1")
	_, bobs := signIn(t, two, bob)
	_, next, err := one.Rotate(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	wantCRM(t, one, next, "crm-1", nil)
	soon(t, "the other gateway to know whose it is", func() bool {
		return errors.Is(two.CheckCRM(t.Context(), bobs, "crm-1"), ErrCRMForeign)
	})
}

func TestCRMBindingsAreBounded(t *testing.T) {
	w := newWorld(t)
	m, _ := w.gateway()
	_, s := signIn(t, m, ada)
	for i := range maxCRM + 3 {
		s = bind(t, m, s, fmt.Sprint("crm-", i))
	}
	if len(s.CRM) != maxCRM {
		t.Errorf("%d bindings are kept, want %d", len(s.CRM), maxCRM)
	}
	wantCRM(t, m, s, fmt.Sprint("crm-", maxCRM+2), nil)
	soon(t, "the oldest to be unbound", func() bool {
		return errors.Is(m.CheckCRM(t.Context(), s, "crm-0"), ErrCRMUnbound)
	})
}

func TestCRMWithoutStore(t *testing.T) {
	w := newWorld(t)
	m, l := w.gateway()
	_, s := signIn(t, m, ada)
	l.away.Store(true)
	if _, err := m.BindCRM(t.Context(), s, "crm-1"); !errors.Is(err, ErrUnavailable) {
		t.Errorf("binding without a store: %v", err)
	}
	wantCRM(t, m, s, "crm-1", ErrUnavailable)
}
