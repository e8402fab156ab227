// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// The race detector allocates, and keeps nothing in pools.

//go:build !race

package gate

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/crmgate/crmgate/modules/crmgate"
	_ "github.com/crmgate/crmgate/modules/identity/local"
	"github.com/crmgate/crmgate/modules/internal/records"
	"github.com/crmgate/crmgate/modules/internal/session"
	"github.com/crmgate/crmgate/modules/portal"
	_ "github.com/crmgate/crmgate/modules/records"
	_ "github.com/crmgate/crmgate/modules/state"
)

const masking = `version: 1
templates:
  masked:
    entities:
      lead:
        view: {partial: {mask: [phone, email], hide: [notes]}}
assign:
  - {template: masked, roles: [sales_manager]}
`

// startGate starts an app in a folder of its own and returns a gate before it.
func startGate(t testing.TB) *Handler {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("XDG_DATA_HOME", dir)
	t.Setenv("XDG_CONFIG_HOME", dir)
	rules := filepath.Join(dir, "policy.yaml")
	if err := os.WriteFile(rules, []byte(masking), 0o600); err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(map[string]any{
		"admin":   map[string]any{"disabled": true, "config": map[string]any{"persist": false}},
		"logging": map[string]any{"logs": map[string]any{"default": map[string]any{"level": "PANIC"}}},
		"apps": map[string]any{"crmgate": map[string]any{
			"account": "allocations", "data": filepath.Join(dir, "data"), "map": "leadsquared", "policy": rules,
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := caddy.Load(raw, true); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := caddy.Stop(); err != nil {
			t.Error(err)
		}
	})
	app, err := crmgate.FromContext(caddy.ActiveContext())
	if err != nil {
		t.Fatal(err)
	}
	h := &Handler{app: app, logger: caddy.Log()}
	h.again = h.ServeHTTP
	return h
}

// askedBy returns what makes the same request of a person of that role, anew each time.
func askedBy(t testing.TB, h *Handler, role string) func() *http.Request {
	t.Helper()
	person, err := h.app.Directory().Add(t.Context(), records.Person{
		Email: role + "@acme.test", Role: role, Status: records.Active, UserType: "regular",
	})
	if err != nil {
		t.Fatal(err)
	}
	token, _, err := h.app.Sessions().Create(t.Context(), session.SignIn{PersonID: person.ID, Email: person.Email, Role: role, IP: "192.0.2.7"})
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.WithValue(t.Context(), caddyhttp.VarsCtxKey, map[string]any{caddyhttp.ClientIPVarKey: "192.0.2.7"})
	ctx = context.WithValue(ctx, caddyhttp.ServerCtxKey, new(caddyhttp.Server))
	sent := httptest.NewRequest(http.MethodGet, "/app/api/leads?size=25", nil).WithContext(ctx)
	return func() *http.Request {
		r, to := *sent, *sent.URL
		r.URL, r.Header = &to, http.Header{"Cookie": {portal.CookieName + "=" + token}, "Accept": {"application/json"}, "User-Agent": {"x"}}
		return &r
	}
}

// What the gate does for each request is paid a thousand times a second. The bounds
// are what it takes today, and a little for the work in the background.
func TestDecidingMakesLittleGarbage(t *testing.T) {
	h := startGate(t)
	for _, c := range []struct {
		role string
		pass bool
		most float64
	}{{"administrator", true, 14}, {"sales_manager", false, 14}} {
		asked, w := askedBy(t, h, c.role), httptest.NewRecorder()
		var d *crmgate.Decision
		sent := caddyhttp.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) error {
			d = crmgate.DecisionFrom(r.Context())
			return nil
		})
		if err := h.ServeHTTP(w, asked(), sent); err != nil || d == nil || d.Plan().Pass != c.pass {
			t.Fatalf("%s: %v, %+v: what is measured is not what is meant", c.role, err, d)
		}
		nothing := caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { return nil })
		var r *http.Request
		test := testing.AllocsPerRun(2000, func() { r = asked() })
		got := testing.AllocsPerRun(2000, func() {
			r = asked()
			if err := h.ServeHTTP(w, r, nothing); err != nil {
				t.Fatal(err)
			}
		}) - test
		t.Logf("%s: %v allocations", c.role, got)
		if got > c.most {
			t.Errorf("%s: %v allocations a request, %v were enough: every request costs more", c.role, got, c.most)
		}
	}
}

// BenchmarkGate is what the gate does for a request beside its answer.
func BenchmarkGate(b *testing.B) {
	h := startGate(b)
	nothing := caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { return nil })
	for _, role := range []string{"administrator", "sales_manager"} {
		asked, w := askedBy(b, h, role), httptest.NewRecorder()
		b.Run(role, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := h.ServeHTTP(w, asked(), nothing); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
