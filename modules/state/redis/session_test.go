// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package redis

import (
	"errors"
	"testing"
	"time"

	"github.com/crmgate/crmgate/modules/internal/session"
)

// gateway starts a session manager on a store of its own, as another machine
// would.
func gateway(t *testing.T, srv *server) *session.Manager {
	t.Helper()
	m, err := session.New(session.Options{
		Store: open(t, srv.config("acme")), Idle: 30 * time.Minute, Absolute: 12 * time.Hour,
		Logger: func(msg string, err error) { t.Log(msg, err) },
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Stop)
	return m
}

func signIn(t *testing.T, m *session.Manager, person string) (string, *session.Session) {
	t.Helper()
	token, s, err := m.Create(t.Context(), session.SignIn{PersonID: person, Role: "sales_user", IP: "192.0.2.1"})
	if err != nil {
		t.Fatal(err)
	}
	return token, s
}

func TestGatewaysShareSessions(t *testing.T) {
	srv := startServer(t)
	one, two := gateway(t, srv), gateway(t, srv)
	token, s := signIn(t, one, "ada")
	other, _ := signIn(t, two, "bob")
	for _, tok := range []string{token, other} {
		for i, m := range []*session.Manager{one, two} {
			if _, err := m.Lookup(tok); err != nil {
				t.Fatalf("gateway %d right after the sign-in: %v", i+1, err)
			}
		}
	}
	cut := make(chan string, 1)
	two.Attach(s.Facts(), false, func(reason string) { cut <- reason })
	began := time.Now()
	if _, err := one.Lock(t.Context(), session.Lock{Target: session.Target{Kind: session.ByUser, Value: "ada"}, Ends: true, Message: "call us"}); err != nil {
		t.Fatal(err)
	}
	select {
	case reason := <-cut:
		if reason != session.ReasonLocked {
			t.Errorf("the connection was cut because of %q", reason)
		}
		t.Logf("cut on the other gateway after %v", time.Since(began))
	case <-time.After(time.Second):
		t.Fatal("a live connection outlived a lock set on another gateway by a second")
	}
	var locked *session.LockedError
	if _, err := two.Lookup(token); !errors.As(err, &locked) || locked.Lock.Message != "call us" {
		t.Errorf("after the lock: %v", err)
	}
	if _, err := two.Lookup(other); err != nil {
		t.Errorf("somebody else was locked out: %v", err)
	}
}

func TestSessionsWhenRedisDies(t *testing.T) {
	srv := startServer(t)
	m := gateway(t, srv)
	token, s := signIn(t, m, "ada")
	cut := make(chan string, 1)
	m.Attach(s.Facts(), false, func(reason string) { cut <- reason })
	srv.kill()
	within(t, time.Second, "requests to be refused when the store has died", func() bool {
		_, err := m.Lookup(token)
		return errors.Is(err, session.ErrUnavailable)
	})
	select {
	case reason := <-cut:
		if reason != session.ReasonUnavailable {
			t.Errorf("the connection was cut because of %q", reason)
		}
	case <-time.After(3 * time.Second):
		t.Error("a live connection outlives the store: no lock could reach it")
	}
	srv.start(t) // empty: nothing was saved
	within(t, 3*time.Second, "the session to be gone with the store's data", func() bool {
		_, err := m.Lookup(token)
		return errors.Is(err, session.ErrNoSession)
	})
	within(t, 3*time.Second, "the manager to be healthy again", m.Healthy)
	again, _ := signIn(t, m, "ada")
	if _, err := m.Lookup(again); err != nil {
		t.Errorf("after the store came back: %v", err)
	}
}

func TestGatewayStartsWithoutRedis(t *testing.T) {
	srv := startServer(t)
	srv.kill()
	m := gateway(t, srv)
	if _, _, err := m.Create(t.Context(), session.SignIn{PersonID: "ada"}); !errors.Is(err, session.ErrUnavailable) {
		t.Errorf("signing in without a store: %v", err)
	}
	srv.start(t)
	within(t, 3*time.Second, "the manager to be healthy", m.Healthy)
	signIn(t, m, "ada")
}
