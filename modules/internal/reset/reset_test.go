// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package reset

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"github.com/crmgate/crmgate/modules/internal/clock"
	"github.com/crmgate/crmgate/modules/internal/state"
	"github.com/crmgate/crmgate/modules/state/embedded"
)

// world is links over a real state store, and the versions of passwords.
type world struct {
	*Links
	t        *testing.T
	clock    *clock.Fake
	state    *counted
	mu       sync.Mutex
	versions map[string]string
	asked    int
	away     bool
}

// counted writes down what is done to the state.
type counted struct {
	state.Store
	mu   sync.Mutex
	acts []string
}

func (c *counted) did(act, key string, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.acts = append(c.acts, fmt.Sprintf("%s %s %d", act, strings.Join(strings.Split(key, "/")[:2], "/"), n))
}

func (c *counted) Put(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	c.did("put", key, 0)
	return c.Store.Put(ctx, key, value, ttl)
}

func (c *counted) Admit(ctx context.Context, key string, l state.Limit) (state.Verdict, error) {
	c.did("admit", key, len(key))
	return c.Store.Admit(ctx, key, l)
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, clock: clock.NewFake(time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)), versions: map[string]string{"p1": "v1", "p2": "v1"}}
	st, err := embedded.Open(t.Context(), embedded.Config{Path: t.TempDir(), Account: "a", Clock: w.clock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	w.state = &counted{Store: st}
	w.Links = New(Options{State: w.state, Clock: w.clock, Version: func(_ context.Context, id string) (string, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.asked++
		if w.away {
			return "", errors.New("records are away")
		}
		return w.versions[id], nil
	}})
	return w
}

var client = netip.MustParseAddr("203.0.113.7")

func (w *world) ask(email, person string) Outcome {
	w.t.Helper()
	out, err := w.Request(w.t.Context(), Ask{Email: email, Client: client, PersonID: person})
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

// link is a token of somebody, without counting.
func (w *world) link(person string) string {
	w.t.Helper()
	token, _, err := w.Invite(w.t.Context(), person)
	if err != nil {
		w.t.Fatal(err)
	}
	return string(token.Reveal())
}

// set sets the password of whoever the link is for.
func (w *world) set(_ context.Context, person string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.versions[person] += "+"
	return nil
}

func (w *world) redeem(token string) error { return w.Redeem(w.t.Context(), token, w.set) }

func TestALinkOpensOneChange(t *testing.T) {
	w := newWorld(t)
	out := w.ask("mona@example.com", "p1")
	token := string(out.Token.Reveal())
	if raw, err := base64.RawURLEncoding.DecodeString(token); err != nil || len(raw) != 32 || !out.Send || out.Why != Sent || !out.Expires.Equal(w.clock.Now().Add(Lifetime)) {
		t.Fatalf("%+v", out)
	}
	if strings.Contains(fmt.Sprintf("%+v %v", out, out), token) {
		t.Error("an outcome that is logged gives the link away")
	}
	if err := w.state.List(t.Context(), "", func(e state.Entry) bool {
		if strings.Contains(e.Key, token) || bytes.Contains(e.Value, []byte(token)) {
			t.Errorf("the state holds the token itself, under %s", e.Key)
		}
		return true
	}); err != nil {
		t.Fatal(err)
	}
	for range 3 { // a mail scanner follows the link
		if info, err := w.Look(t.Context(), token); err != nil || info.PersonID != "p1" || !info.Expires.Equal(out.Expires) {
			t.Fatalf("looking at a link used it up: %+v, %v", info, err)
		}
	}
	refused := errors.New("too short")
	for range 2 {
		if err := w.Redeem(t.Context(), token, func(context.Context, string) error { return refused }); !errors.Is(err, refused) {
			t.Fatalf("a password that does not do took the link away: %v", err)
		}
	}
	if err := w.redeem(token); err != nil {
		t.Fatal(err)
	}
	if err := w.redeem(token); !errors.Is(err, ErrInvalid) {
		t.Errorf("a link works twice: %v", err)
	}
	if _, err := w.Look(t.Context(), token); !errors.Is(err, ErrInvalid) {
		t.Errorf("a used link looks good: %v", err)
	}
}

func TestLinksDie(t *testing.T) {
	for name, kill := range map[string]func(w *world){
		"after its time": func(w *world) { w.clock.Advance(Lifetime) },
		"after its time, in a store that is late in forgetting": func(w *world) {
			var kept []state.Entry
			if err := w.state.List(w.t.Context(), "", func(e state.Entry) bool { kept = append(kept, e); return true }); err != nil {
				w.t.Fatal(err)
			}
			w.clock.Advance(Lifetime)
			for _, e := range kept {
				if err := w.state.Put(w.t.Context(), e.Key, e.Value, 0); err != nil {
					w.t.Fatal(err)
				}
			}
		},
		"when a newer one is made":  func(w *world) { w.link("p1") },
		"when the password changes": func(w *world) { _ = w.set(w.t.Context(), "p1") },
		"when it is cancelled":      func(w *world) { _ = w.Cancel(w.t.Context(), "p1") },
		"when the state loses it":   func(w *world) { _ = w.state.Delete(w.t.Context(), newestKey("p1")) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			token := w.link("p1")
			if _, err := w.Look(t.Context(), token); err != nil {
				t.Fatal(err)
			}
			kill(w)
			if _, err := w.Look(t.Context(), token); !errors.Is(err, ErrInvalid) {
				t.Errorf("it still looks good: %v", err)
			}
			if err := w.redeem(token); !errors.Is(err, ErrInvalid) {
				t.Errorf("it still sets a password: %v", err)
			}
		})
	}
	w := newWorld(t)
	token, other := w.link("p1"), w.link("p2")
	if err := w.redeem(other); err != nil {
		t.Fatal(err)
	}
	if err := w.redeem(token); err != nil {
		t.Errorf("somebody else's link ended this one: %v", err)
	}
	for _, bad := range []string{"", "x", strings.Repeat("A", 43), other, token + "=", strings.Repeat("A", 1<<20)} {
		if err := w.redeem(bad); !errors.Is(err, ErrInvalid) {
			t.Errorf("%.10q: %v", bad, err)
		}
	}
}

func TestOneOfManyRedeems(t *testing.T) {
	w := newWorld(t)
	token := w.link("p1")
	within := errors.New("not yet")
	if err := w.Redeem(t.Context(), token, func(context.Context, string) error {
		if err := w.redeem(token); !errors.Is(err, ErrInvalid) {
			t.Errorf("while one request sets the password, another one may too: %v", err)
		}
		return within
	}); !errors.Is(err, within) {
		t.Error(err)
	}
	var sets, good atomic.Int32
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			err := w.Redeem(context.Background(), token, func(ctx context.Context, person string) error {
				sets.Add(1)
				return w.set(ctx, person)
			})
			if err == nil {
				good.Add(1)
			} else if !errors.Is(err, ErrInvalid) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if sets.Load() != 1 || good.Load() != 1 {
		t.Errorf("a link used 50 times at once set %d passwords", sets.Load())
	}
}

// For somebody who does not exist exactly the same is done as for somebody who does.
func TestNobodyLearnsWhoHasAnAccount(t *testing.T) {
	acts := func(w *world, email, person string) ([]string, int, Outcome) {
		w.state.acts, w.asked = nil, 0
		out := w.ask(email, person)
		return w.state.acts, w.asked, out
	}
	w := newWorld(t)
	known, knownAsked, a := acts(w, "mona@example.com", "p1")
	unknown, unknownAsked, b := acts(w, "nobody@example.com", "")
	if !slices.Equal(known, unknown) || knownAsked != unknownAsked {
		t.Errorf("the work differs: %v (%d), for nobody %v (%d)", known, knownAsked, unknown, unknownAsked)
	}
	if len(a.Token.Reveal()) != len(b.Token.Reveal()) || a.Expires.IsZero() != b.Expires.IsZero() || b.Send || b.Why != NobodyToSend {
		t.Errorf("the outcomes differ in shape: %+v, %+v", a, b)
	}
	if err := w.redeem(string(b.Token.Reveal())); !errors.Is(err, ErrInvalid) {
		t.Errorf("a link for nobody set a password: %v", err)
	}
	if out := w.ask("x@example.com", decoy+"p1"); out.Send {
		t.Error("an id that stands for nobody got a link")
	}

	// Throttled: the same work again, no link, and the link before it still holds.
	for range PerAccount.Events - 1 {
		a = w.ask("Mona@Example.com", "p1")
	}
	throttled, n, out := acts(w, "MONA@example.com", "p1")
	if out.Send || out.Why != AccountThrottled || !slices.Equal(throttled, known) || n != knownAsked {
		t.Errorf("%+v after %v: an account is flooded with mail, or other spellings count apart", out, throttled)
	}
	if err := w.redeem(string(out.Token.Reveal())); !errors.Is(err, ErrInvalid) {
		t.Error("a throttled request made a link")
	}
	if err := w.redeem(string(a.Token.Reveal())); err != nil {
		t.Errorf("asking too often took the person's link away: %v", err)
	}
	for i := range PerAddress.Events {
		out = w.ask(fmt.Sprintf("n%d@example.com", i), "")
	}
	if out = w.ask("p2@example.com", "p2"); out.Send || out.Why != AddressThrottled {
		t.Errorf("one address asks for everybody: %+v", out)
	}
}

func TestItFailsClosed(t *testing.T) {
	w := newWorld(t)
	token := w.link("p1")
	if _, err := w.Request(t.Context(), Ask{Email: "mona@example.com", PersonID: "p1"}); err == nil {
		t.Error("a request from nowhere")
	}
	w.away = true
	if _, err := w.Request(t.Context(), Ask{Email: "mona@example.com", PersonID: "p1", Client: client}); err == nil {
		t.Error("a link that is bound to nothing")
	}
	if err := w.redeem(token); err == nil || errors.Is(err, ErrInvalid) {
		t.Errorf("without the records: %v", err)
	}
	w.away = false
	if _, err := w.Look(t.Context(), token); err != nil {
		t.Errorf("a failure of the records took the link away: %v", err)
	}
	broken := New(Options{State: w.state, Version: w.o.Version, Rand: iotest.ErrReader(errors.New("no randomness"))})
	if _, err := broken.Request(t.Context(), Ask{Email: "m@example.com", PersonID: "p1", Client: client}); err == nil {
		t.Error("a link without randomness")
	}
	if _, _, err := w.Invite(t.Context(), ""); err == nil {
		t.Error("a link for nobody")
	}
	// What lies in the state and cannot be read opens nothing.
	for _, value := range []string{"", "{}", "x", `{"person":"p1","version":"v1","expires":"2099-01-01T00:00:00Z","x":1}`, `{"person":"!p1","version":"","expires":"2099-01-01T00:00:00Z"}`} {
		if err := w.state.Put(t.Context(), tokenKey(hashOf("t")), []byte(value), 0); err != nil {
			t.Fatal(err)
		}
		for _, p := range []string{"p1", "!p1"} {
			if err := w.state.Put(t.Context(), newestKey(p), []byte(hashOf("t")), 0); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.redeem("t"); !errors.Is(err, ErrInvalid) {
			t.Errorf("%q: %v", value, err)
		}
	}
	if err := w.state.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Look(t.Context(), token); !errors.Is(err, state.ErrUnavailable) {
		t.Errorf("without the state: %v", err)
	}
}
