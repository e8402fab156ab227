// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package sso

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/crmgate/crmgate/modules/internal/clock"
	"github.com/crmgate/crmgate/modules/internal/signin"
	"github.com/crmgate/crmgate/modules/internal/state"
)

// holder is a gateway's grants with a provider that counts what it is asked.
type holder struct {
	t     *testing.T
	env   signin.Env
	clock *clock.Fake
	p     *fake
	*Grants

	mu    sync.Mutex
	ended map[string]string
	dead  map[string]bool
	broke error // of End
}

func newHolder(t *testing.T) *holder {
	t.Helper()
	h := &holder{t: t, p: &fake{name: "idp"}, ended: map[string]string{}, dead: map[string]bool{}}
	h.env, h.clock = newEnv(t)
	h.Grants = h.gateway()
	return h
}

// gateway returns one more gateway on the same stores.
func (h *holder) gateway() *Grants {
	h.t.Helper()
	g, err := NewGrants(GrantOptions{
		Env: func() (signin.Env, bool) { return h.env, true },
		Provider: func(name string) (signin.RedirectProvider, bool) {
			return h.p, name == h.p.name
		},
		End: func(_ context.Context, id, why string) error {
			h.mu.Lock()
			defer h.mu.Unlock()
			if h.broke == nil {
				h.ended[id] = why
			}
			return h.broke
		},
		Alive: func(_ context.Context, id string) (bool, error) { return !h.dead[id], nil },
		Session: func(r *http.Request) (string, bool) {
			id := r.Header.Get("Session")
			return id, id != ""
		},
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return g
}

// begin keeps a grant that is due in a minute.
func (h *holder) begin(session string, change ...func(*signin.Grant)) {
	h.t.Helper()
	g := signin.Grant{Provider: "idp", Subject: "sub", Session: "sid-" + session, Data: []byte("refresh-1"), Recheck: h.clock.Now().Add(time.Minute)}
	for _, fn := range change {
		fn(&g)
	}
	if err := h.Keep(h.t.Context(), session, "Sally@example.test", g, h.clock.Now().Add(12*time.Hour)); err != nil {
		h.t.Fatal(err)
	}
}

// next is a renewal that went well.
func (h *holder) next(data string) (signin.Proof, error) {
	return signin.Proof{Email: "sally@example.test", Subject: "sub", Grant: signin.Grant{Data: []byte(data), Recheck: h.clock.Now().Add(time.Minute)}}, nil
}

func TestOneRefreshTokenIsUsedOnceBy50(t *testing.T) {
	h := newHolder(t)
	h.begin("s")
	other := h.gateway()
	var calls atomic.Int32
	entered, let := make(chan struct{}), make(chan struct{})
	h.p.renew = func(g signin.Grant) (signin.Proof, error) {
		if calls.Add(1) == 1 {
			close(entered)
		}
		<-let
		if string(g.Data) != "refresh-1" {
			t.Errorf("renewed with %q", g.Data)
		}
		return h.next("refresh-2")
	}
	h.clock.Advance(time.Minute)
	var wg sync.WaitGroup
	errs := make(chan error, 50)
	for i := range 50 {
		g := h.Grants
		if i%2 == 1 {
			g = other
		}
		wg.Go(func() { errs <- g.Renew(t.Context(), "s") })
	}
	<-entered
	time.AfterFunc(2*leasePoll, func() { close(let) })
	wg.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			t.Errorf("a request lost its session to another one's renewal: %v", err)
		}
	}
	if n := calls.Load(); n != 1 {
		t.Errorf("one refresh token was used %d times: providers take that for theft and end everything", n)
	}
	if g, err := h.Of(t.Context(), "s"); err != nil || string(g.Data) != "refresh-2" {
		t.Errorf("kept %q, %v: the rotated token is lost", g.Data, err)
	}
}

func TestRenewOnlyWhenDue(t *testing.T) {
	h := newHolder(t)
	h.begin("s")
	h.begin("never", func(g *signin.Grant) { g.Recheck = time.Time{} })
	h.p.renew = func(signin.Grant) (signin.Proof, error) { t.Error("asked too early"); return h.next("x") }
	if err := h.RenewDue(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := h.Renew(t.Context(), "s"); err != nil {
		t.Errorf("a grant that is not due: %v", err)
	}
	asked := 0
	h.p.renew = func(signin.Grant) (signin.Proof, error) { asked++; return h.next("y") }
	h.clock.Advance(time.Minute)
	if err := errors.Join(h.RenewDue(t.Context()), h.RenewDue(t.Context())); err != nil || asked != 1 {
		t.Errorf("asked %d times, %v; want once", asked, err)
	}
}

func TestOutageEndsNoSession(t *testing.T) {
	h := newHolder(t)
	h.begin("s")
	asked := 0
	h.p.renew = func(signin.Grant) (signin.Proof, error) {
		asked++
		return signin.Proof{}, errors.New("503 from the provider")
	}
	h.clock.Advance(time.Minute)
	for i, wait := range []time.Duration{0, time.Minute, 2 * time.Minute, 4 * time.Minute} {
		h.clock.Advance(wait)
		if err := h.RenewDue(t.Context()); err != nil {
			t.Fatal(err)
		}
		if asked != i+1 {
			t.Errorf("try %d: asked %d times; a provider that is down is asked too often or never again", i+1, asked)
		}
		_ = h.RenewDue(t.Context())
	}
	if asked != 4 || len(h.ended) != 0 {
		t.Errorf("asked %d times, ended %v: an outage signs everybody out", asked, h.ended)
	}
	if g, err := h.Of(t.Context(), "s"); err != nil || string(g.Data) != "refresh-1" {
		t.Errorf("the grant is lost: %q, %v", g.Data, err)
	}
}

func TestDeniedRenewalEndsTheSession(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*signin.Grant)
		renew  func(h *holder) (signin.Proof, error)
		why    string
	}{
		"the provider says no": {nil, func(*holder) (signin.Proof, error) { return signin.Proof{}, signin.Denied("revoked") }, "revoked"},
		"another subject": {nil, func(h *holder) (signin.Proof, error) {
			p, err := h.next("x")
			p.Subject = "else"
			return p, err
		}, "somebody else"},
		"another address": {nil, func(h *holder) (signin.Proof, error) {
			p, err := h.next("x")
			p.Email = "mallory@example.test"
			return p, err
		}, "e-mail"},
		"a provider that is gone": {func(g *signin.Grant) { g.Provider = "old" }, nil, "no longer configured"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHolder(t)
			var change []func(*signin.Grant)
			if c.change != nil {
				change = append(change, c.change)
			}
			h.begin("s", change...)
			h.p.renew = func(signin.Grant) (signin.Proof, error) { return c.renew(h) }
			h.clock.Advance(time.Minute)
			h.broke = errors.New("the session store is away")
			_ = h.RenewDue(t.Context())
			if len(h.ended) != 0 {
				t.Fatal("ended although it failed")
			}
			h.broke, h.p.renew = nil, func(signin.Grant) (signin.Proof, error) {
				t.Error("asked again after a no")
				return h.next("x")
			}
			_ = h.RenewDue(t.Context())
			if !strings.Contains(h.ended["s"], c.why) {
				t.Errorf("ended %v, want the session with %q: somebody who lost access keeps it", h.ended, c.why)
			}
			if _, err := h.Of(t.Context(), "s"); !errors.Is(err, ErrNoGrant) {
				t.Errorf("the grant is still there: %v", err)
			}
		})
	}
}

func TestUnreadableGrantEndsTheSession(t *testing.T) {
	h := newHolder(t)
	h.begin("s")
	if err := h.env.State.Put(t.Context(), grantsAt+"s", []byte("junk"), 0); err != nil {
		t.Fatal(err)
	}
	h.clock.Advance(time.Minute)
	_ = h.RenewDue(t.Context())
	if h.ended["s"] == "" {
		t.Error("a session whose grant cannot be opened is never asked about again, and lives on")
	}
}

func TestRenewedTokenSurvivesAStoreThatStumbles(t *testing.T) {
	h := newHolder(t)
	h.begin("s")
	fails := 3
	h.env.State = awayStore{h.env.State, func(op, key string) bool {
		if op == "replace" && strings.HasPrefix(key, grantsAt) && fails > 0 {
			fails--
			return true
		}
		return false
	}}
	h.p.renew = func(signin.Grant) (signin.Proof, error) { return h.next("refresh-2") }
	h.clock.Advance(time.Minute)
	if err := h.Renew(t.Context(), "s"); err != nil {
		t.Fatal(err)
	}
	if g, _ := h.Of(t.Context(), "s"); string(g.Data) != "refresh-2" {
		t.Errorf("kept %q: the only refresh token is lost", g.Data)
	}
}

func TestDeadGatewaysLeaseEnds(t *testing.T) {
	h := newHolder(t)
	h.begin("s")
	h.p.renew = func(signin.Grant) (signin.Proof, error) { return h.next("refresh-2") }
	if _, err := takeLease(t.Context(), h.env, "s"); err != nil {
		t.Fatal(err)
	}
	h.clock.Advance(time.Minute) // above leaseLife
	if err := h.Renew(t.Context(), "s"); err != nil {
		t.Errorf("a gateway that died keeps a grant from being renewed: %v", err)
	}
}

func TestRotationTakesTheGrantAlong(t *testing.T) {
	h := newHolder(t)
	h.begin("old")
	entered, let := make(chan struct{}), make(chan struct{})
	h.p.renew = func(signin.Grant) (signin.Proof, error) {
		close(entered)
		<-let
		return h.next("refresh-2")
	}
	h.clock.Advance(time.Minute)
	renewed := make(chan error, 1)
	go func() { renewed <- h.Renew(context.Background(), "old") }()
	<-entered
	time.AfterFunc(2*leasePoll, func() { close(let) })
	if err := h.Rotate(t.Context(), "old", "new"); err != nil {
		t.Fatal(err)
	}
	if err := <-renewed; err != nil {
		t.Error(err)
	}
	if g, err := h.Of(t.Context(), "new"); err != nil || string(g.Data) != "refresh-2" {
		t.Errorf("after rotation: %q, %v; a token that was being renewed is lost", g.Data, err)
	}
	if _, err := h.Of(t.Context(), "old"); !errors.Is(err, ErrNoGrant) {
		t.Error("the old id still has the grant: the token would be used twice")
	}
	ids, _ := h.Sessions(t.Context(), "idp", "sub", "")
	if !slices.Equal(ids, []string{"new"}) {
		t.Errorf("the provider would end %v", ids)
	}
	if err := h.Rotate(t.Context(), "without", "new2"); err != nil {
		t.Errorf("a session without a grant: %v", err)
	}
}

func TestLogoutFindsManySessions(t *testing.T) {
	h := newHolder(t)
	for _, s := range []string{"a", "b", "c"} {
		h.begin(s, func(g *signin.Grant) { g.Session = "sid-1" })
	}
	h.begin("d", func(g *signin.Grant) { g.Session = "sid-2" })
	h.begin("e", func(g *signin.Grant) { g.Session = "" })
	h.begin("f", func(g *signin.Grant) { g.Subject, g.Session = "somebody", "sid-3" })
	h.begin("g", func(g *signin.Grant) { g.Provider = "another" })
	for _, c := range []struct {
		name, sub, sid string
		want           []string
	}{
		{"by subject", "sub", "", []string{"a", "b", "c", "d", "e"}},
		{"by session", "", "sid-1", []string{"a", "b", "c"}},
		{"by both: sessions the provider never named are meant too", "sub", "sid-2", []string{"d", "e"}},
		{"both, of two people", "somebody", "sid-1", nil},
		{"neither", "", "", nil},
		{"an unknown subject", "nobody", "", nil},
	} {
		got, err := h.Sessions(t.Context(), "idp", c.sub, c.sid)
		slices.Sort(got)
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, %v, want %v: signed out at the provider, and still in here", c.name, got, err, c.want)
		}
	}
	n, err := h.EndSessions(t.Context(), "idp", "", "sid-1")
	if err != nil || n != 3 || len(h.ended) != 3 {
		t.Errorf("ended %d (%v), %v", n, h.ended, err)
	}
	if n, _ := h.EndSessions(t.Context(), "idp", "", "sid-1"); n != 0 {
		t.Errorf("ended %d a second time", n)
	}
	h.broke = errors.New("away")
	if _, err := h.EndSessions(t.Context(), "idp", "sub", ""); err == nil {
		t.Error("sessions that could not be ended count as ended")
	}
}

func TestSignOutDuringASignInIsNotLost(t *testing.T) {
	h := newHolder(t)
	if n, err := h.EndSessions(t.Context(), "idp", "sub", "sid-1"); n != 0 || err != nil {
		t.Fatal(n, err)
	}
	keep := func(session, provider, sid string) error {
		return h.Keep(t.Context(), session, "sally@example.test", signin.Grant{Provider: provider, Subject: "sub", Session: sid}, time.Time{})
	}
	if err := keep("late", "idp", "sid-1"); !errors.Is(err, ErrGone) {
		t.Errorf("%v: whoever signs out at the provider while a second factor is due is signed in here afterwards", err)
	}
	if _, err := h.Of(t.Context(), "late"); !errors.Is(err, ErrNoGrant) {
		t.Errorf("the grant of a session that must end was kept: %v", err)
	}
	if err := errors.Join(keep("next", "idp", "sid-2"), keep("else", "other", "sid-1"), keep("without", "idp", "")); err != nil {
		t.Errorf("another sign-in is refused: %v", err)
	}
	h.clock.Advance(goneLife)
	if err := keep("later", "idp", "sid-1"); err != nil {
		t.Error(err)
	}
}

func TestEndedSessionsAreNotRenewed(t *testing.T) {
	h := newHolder(t)
	h.begin("dropped")
	h.begin("dead")
	if err := h.Drop(t.Context(), "dropped"); err != nil {
		t.Fatal(err)
	}
	h.dead["dead"] = true
	h.p.renew = func(signin.Grant) (signin.Proof, error) {
		t.Error("a token of an ended session was used")
		return h.next("x")
	}
	h.clock.Advance(time.Minute)
	if err := h.RenewDue(t.Context()); err != nil {
		t.Fatal(err)
	}
	left := 0
	for _, at := range []string{grantsAt, dueAt, subjectsAt, sidsAt} {
		_ = h.env.State.List(t.Context(), at, func(state.Entry) bool { left++; return true })
	}
	if left != 0 {
		t.Errorf("%d entries of ended sessions are left", left)
	}
}

func TestGrantsAreSealedAndEndWithTheSession(t *testing.T) {
	h := newHolder(t)
	h.begin("s")
	e, err := h.env.State.Get(t.Context(), grantsAt+"s")
	if err != nil || strings.Contains(string(e.Value), "refresh-1") || !e.Expires.Equal(h.clock.Now().Add(12*time.Hour)) {
		t.Errorf("stored as %q until %v, %v", e.Value, e.Expires, err)
	}
	// Somebody who can write to the store must not put one person's grant under
	// another one's session.
	if err := h.env.State.Put(t.Context(), grantsAt+"mine", e.Value, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Of(t.Context(), "mine"); err == nil {
		t.Error("a grant can be moved to another session")
	}
}

func TestGrantOf(t *testing.T) {
	h := newHolder(t)
	h.begin("s")
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	if _, ok := h.GrantOf(r, "idp"); ok {
		t.Error("a request without a session has a grant")
	}
	r.Header.Set("Session", "s")
	if g, ok := h.GrantOf(r, "idp"); !ok || g.Subject != "sub" {
		t.Errorf("got %+v, %v", g, ok)
	}
	if _, ok := h.GrantOf(r, "other"); ok {
		t.Error("another provider learns the grant")
	}
}
