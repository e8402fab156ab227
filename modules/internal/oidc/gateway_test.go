// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/crmgate/crmgate/modules/internal/clock"
	"github.com/crmgate/crmgate/modules/internal/signin"
	"github.com/crmgate/crmgate/modules/internal/sso"
	"github.com/crmgate/crmgate/modules/internal/vault"
	"github.com/crmgate/crmgate/modules/state/embedded"
)

// gateway is as much of a gateway as a sign-in needs: package sso with grants, on
// TLS, and sessions in a map.
type gateway struct {
	t      *testing.T
	env    signin.Env
	clock  *movable
	server *httptest.Server
	plain  *httptest.Server // the same without TLS, for logout tokens
	sso    *sso.Handler
	grants *sso.Grants
	log    bytes.Buffer

	mu       sync.Mutex
	sessions map[string]string // id to e-mail
	finished []sso.Finished
	refused  []sso.Refusal
	ended    map[string]string
}

// movable is the machine's clock, moved.
type movable struct {
	mu sync.Mutex
	by time.Duration
}

func (c *movable) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.by)
}

func (c *movable) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.by += d
}

var _ clock.Clock = (*movable)(nil)

// lockedWriter lets the log be read while handlers write.
type lockedWriter struct{ g *gateway }

func (w lockedWriter) Write(b []byte) (int, error) {
	w.g.mu.Lock()
	defer w.g.mu.Unlock()
	return w.g.log.Write(b)
}

// newGateway starts a gateway without providers; serve gives it some.
func newGateway(t *testing.T) *gateway {
	t.Helper()
	g := &gateway{t: t, clock: new(movable), sessions: map[string]string{}, ended: map[string]string{}}
	st, err := embedded.Open(t.Context(), embedded.Config{Path: t.TempDir(), Account: "t", Clock: g.clock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	v, err := vault.New(bytes.Repeat([]byte{9}, vault.KeyBytes))
	if err != nil {
		t.Fatal(err)
	}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, signin.SSOPrefix) {
			g.sso.ServeHTTP(w, r)
			return
		}
		_, _ = io.WriteString(w, "home "+r.URL.Path)
	})
	g.server, g.plain = httptest.NewTLSServer(handler), httptest.NewServer(handler)
	t.Cleanup(g.server.Close)
	t.Cleanup(g.plain.Close)
	g.env = signin.Env{
		State: st, Vault: v, Clock: g.clock, Random: rand.Reader, Origin: g.server.URL,
		Log: slog.New(slog.NewTextHandler(lockedWriter{g}, nil)),
	}
	return g
}

func (g *gateway) serve(providers ...signin.RedirectProvider) {
	g.t.Helper()
	env := func() (signin.Env, bool) { return g.env, true }
	session := func(r *http.Request) (string, bool) {
		c, err := r.Cookie("__Host-session")
		if err != nil {
			return "", false
		}
		g.mu.Lock()
		defer g.mu.Unlock()
		_, ok := g.sessions[c.Value]
		return c.Value, ok
	}
	var err error
	g.grants, err = sso.NewGrants(sso.GrantOptions{
		Env: env, Session: session,
		Provider: func(name string) (signin.RedirectProvider, bool) { return g.sso.Provider(name) },
		End: func(_ context.Context, id, why string) error {
			g.mu.Lock()
			defer g.mu.Unlock()
			delete(g.sessions, id)
			g.ended[id] = why
			return nil
		},
	})
	if err != nil {
		g.t.Fatal(err)
	}
	g.sso, err = sso.New(sso.Options{
		Providers: providers, Env: env, Session: session, Host: g.grants,
		Return: func(raw, _ string) string { return raw },
		Finish: g.finish,
		Refuse: func(w http.ResponseWriter, r *http.Request, x sso.Refusal) {
			g.mu.Lock()
			g.refused = append(g.refused, x)
			g.mu.Unlock()
			sso.WriteRefusal(w, r, x)
		},
	})
	if err != nil {
		g.t.Fatal(err)
	}
}

func (g *gateway) finish(w http.ResponseWriter, r *http.Request, f sso.Finished) {
	g.mu.Lock()
	g.finished = append(g.finished, f)
	id := fmt.Sprintf("session-%d", len(g.finished))
	g.sessions[id] = f.Proof.Email
	g.mu.Unlock()
	if err := g.grants.Keep(r.Context(), id, f.Proof.Email, f.Proof.Grant, g.clock.Now().Add(12*time.Hour)); err != nil {
		g.t.Errorf("keeping the grant: %v", err)
	}
	http.SetCookie(w, &http.Cookie{Name: "__Host-session", Value: id, Path: "/", Secure: true})
	http.Redirect(w, r, f.Return, http.StatusSeeOther)
}

// browser returns a client with a jar, that trusts the gateway.
func (g *gateway) browser() *http.Client {
	g.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		g.t.Fatal(err)
	}
	return &http.Client{Transport: g.server.Client().Transport, Jar: jar, Timeout: 30 * time.Second}
}

// path is the address of one of a provider's endpoints here.
func (g *gateway) path(name, endpoint string) string {
	return g.server.URL + signin.SSOPath(name, endpoint)
}

// start begins a sign-in and returns where the browser is sent.
func (g *gateway) start(c *http.Client, name, query string) *url.URL {
	g.t.Helper()
	stay := *c
	stay.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	res, err := stay.Get(g.path(name, "start") + query)
	if err != nil {
		g.t.Fatal(err)
	}
	defer res.Body.Close()
	to, err := res.Location()
	if err != nil {
		body, _ := io.ReadAll(res.Body)
		g.t.Fatalf("starting answered %d: %s %+v", res.StatusCode, body, g.refused)
	}
	return to
}

// lastRefusal returns what was refused last.
func (g *gateway) lastRefusal() sso.Refusal {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.refused) == 0 {
		return sso.Refusal{}
	}
	return g.refused[len(g.refused)-1]
}

func (g *gateway) alive(id string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	_, ok := g.sessions[id]
	return ok
}
