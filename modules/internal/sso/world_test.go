// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package sso

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/crmgate/crmgate/modules/internal/clock"
	"github.com/crmgate/crmgate/modules/internal/signin"
	"github.com/crmgate/crmgate/modules/internal/state"
	"github.com/crmgate/crmgate/modules/internal/vault"
	"github.com/crmgate/crmgate/modules/state/embedded"
)

const origin = "https://crm.example.test"

// fake is a provider that believes every answer that comes with a flow.
type fake struct {
	name   string
	post   bool // it answers by POST
	form   bool // it is asked by a form
	any    bool // it accepts sign-ins it began by itself
	finish error

	mu     sync.Mutex
	began  []signin.Flow
	kept   [][]byte
	renew  func(signin.Grant) (signin.Proof, error)
	listen string
}

func (f *fake) Name() string        { return f.name }
func (f *fake) Label() string       { return "Fake" }
func (f *fake) AnswersByPost() bool { return f.post }

func (f *fake) Begin(_ context.Context, _ signin.Env, flow signin.Flow) (signin.Next, []byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.began = append(f.began, flow)
	if f.form {
		return signin.Next{URL: "https://idp.example.test/ask", Form: map[string]string{"RelayState": flow.ID, "x": `"><script>alert(1)</script>`}}, []byte("kept of " + flow.ID), nil
	}
	return signin.Next{URL: "https://idp.example.test/ask?state=" + flow.ID}, []byte("kept of " + flow.ID), nil
}

func (*fake) FlowID(r *http.Request) (string, error) {
	if r.Form.Get("none") != "" {
		return "", nil
	}
	id := r.Form.Get("state")
	if id == "" {
		return "", errors.New("the answer has no state")
	}
	return id, nil
}

func (f *fake) Finish(_ context.Context, _ signin.Env, r *http.Request, kept []byte) (signin.Proof, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.finish != nil {
		return signin.Proof{}, f.finish
	}
	if kept == nil && !f.any {
		return signin.Proof{}, signin.Denied("nobody asked")
	}
	if e := r.Form.Get("error"); e != "" {
		return signin.Proof{}, signin.Denied("the provider says " + e)
	}
	f.kept = append(f.kept, kept)
	return signin.Proof{Email: "sally@example.test", Subject: "s1"}, nil
}

func (f *fake) Listen(w http.ResponseWriter, _ *http.Request, _ signin.Env, path string, _ signin.Host) bool {
	if f.listen == "" || path != f.listen {
		return false
	}
	_, _ = w.Write([]byte("heard"))
	return true
}

func (f *fake) Renew(_ context.Context, _ signin.Env, g signin.Grant) (signin.Proof, error) {
	return f.renew(g)
}

// world is a handler with stores, a clock and a fake provider.
type world struct {
	t        *testing.T
	clock    *clock.Fake
	env      signin.Env
	handler  *Handler
	open     bool
	session  string
	finished []Finished
	refused  []Refusal
}

func newEnv(t *testing.T) (signin.Env, *clock.Fake) {
	t.Helper()
	c := clock.NewFake(time.Date(2026, 3, 4, 9, 0, 0, 0, time.UTC))
	st, err := embedded.Open(t.Context(), embedded.Config{Path: t.TempDir(), Account: "t", Clock: c})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	v, err := vault.New(bytes.Repeat([]byte{7}, vault.KeyBytes))
	if err != nil {
		t.Fatal(err)
	}
	return signin.Env{State: st, Vault: v, Clock: c, Origin: origin}, c
}

func newWorld(t *testing.T, change func(*Options), providers ...*fake) *world {
	t.Helper()
	w := &world{t: t, open: true}
	w.env, w.clock = newEnv(t)
	o := Options{
		Env: func() (signin.Env, bool) { return w.env, w.open },
		Finish: func(rw http.ResponseWriter, _ *http.Request, f Finished) {
			w.finished = append(w.finished, f)
			redirect(rw, f.Return)
		},
		Refuse: func(rw http.ResponseWriter, r *http.Request, x Refusal) {
			w.refused = append(w.refused, x)
			WriteRefusal(rw, r, x)
		},
		Return: func(raw, host string) string {
			if host == "crm.example.test" && strings.HasPrefix(raw, "/safe") {
				return raw
			}
			return "/"
		},
		Session: func(*http.Request) (string, bool) { return w.session, w.session != "" },
		Client:  func(*http.Request) netip.Addr { return netip.MustParseAddr("192.0.2.7") },
	}
	for _, p := range providers {
		o.Providers = append(o.Providers, p)
	}
	if change != nil {
		change(&o)
	}
	var err error
	if w.handler, err = New(o); err != nil {
		t.Fatal(err)
	}
	return w
}

// user is a browser: a cookie jar of our own, since a test's client would not
// keep Secure cookies of http and knows no SameSite.
type user struct {
	w       *world
	cookies map[string]string
}

func (w *world) user() *user { return &user{w, map[string]string{}} }

func (u *user) do(method, target string, form url.Values) *http.Response {
	var r *http.Request
	if form != nil {
		r = httptest.NewRequest(method, origin+target, strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	} else {
		r = httptest.NewRequest(method, origin+target, nil)
	}
	for name, v := range u.cookies {
		if name == FlowCookie && method == http.MethodPost {
			continue // what SameSite=Lax means
		}
		r.AddCookie(&http.Cookie{Name: name, Value: v})
	}
	return u.send(r)
}

func (u *user) send(r *http.Request) *http.Response {
	rec := httptest.NewRecorder()
	u.w.handler.ServeHTTP(rec, r)
	res := rec.Result()
	for _, c := range res.Cookies() {
		if c.MaxAge < 0 {
			delete(u.cookies, c.Name)
			continue
		}
		u.cookies[c.Name] = c.Value
	}
	return res
}

// begin starts a sign-in and returns the flow's id.
func (u *user) begin(p *fake, query string) string {
	u.w.t.Helper()
	res := u.do(http.MethodGet, "/.crmgate/sso/"+p.name+"/start"+query, nil)
	if res.StatusCode != http.StatusSeeOther && res.StatusCode != http.StatusOK {
		u.w.t.Fatalf("start answered %d: nobody can begin to sign in (%+v)", res.StatusCode, u.w.refused)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.began[len(p.began)-1].ID
}

func (u *user) callback(p *fake, id string) *http.Response {
	return u.do(http.MethodGet, "/.crmgate/sso/"+p.name+"/callback?state="+id, nil)
}

// wantRefused checks the last answer was a refusal and said so.
func (w *world) wantRefused(res *http.Response, status int, detail string) {
	w.t.Helper()
	if len(w.finished) != 0 {
		w.t.Fatalf("somebody was signed in: %+v", w.finished)
	}
	if res.StatusCode != status || len(w.refused) == 0 || !strings.Contains(w.refused[len(w.refused)-1].Detail, detail) {
		w.t.Errorf("answered %d with %+v, want %d and a detail with %q", res.StatusCode, w.refused, status, detail)
	}
}

// awayStore is a state store that cannot be reached while away is set.
type awayStore struct {
	state.Store
	away func(op, key string) bool
}

var errAway = errors.Join(state.ErrUnavailable, errors.New("away on purpose"))

func (s awayStore) Get(ctx context.Context, key string) (state.Entry, error) {
	if s.away("get", key) {
		return state.Entry{}, errAway
	}
	return s.Store.Get(ctx, key)
}

func (s awayStore) PutNew(ctx context.Context, key string, v []byte, ttl time.Duration) (bool, error) {
	if s.away("putnew", key) {
		return false, errAway
	}
	return s.Store.PutNew(ctx, key, v, ttl)
}

func (s awayStore) Replace(ctx context.Context, key string, old, v []byte, ttl time.Duration) (bool, error) {
	if s.away("replace", key) {
		return false, errAway
	}
	return s.Store.Replace(ctx, key, old, v, ttl)
}
