// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package portal

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/crmgate/crmgate/modules/internal/clock"
	"github.com/crmgate/crmgate/policy"
)

const (
	testToken    = "s3cretTokenOfAnn_0123456789-abcdefghijklmno"
	otherToken   = "s3cretTokenNew__0123456789-abcdefghijklmnop"
	testPassword = "correct horse <b>battery</b>"
	testEmail    = "ann@example.com"
	testID       = "1f6e"
	testRequest  = "req-7Q2"
)

var testNow = time.Date(2026, 11, 20, 9, 30, 0, 0, time.UTC)

// fakeBackend knows one person. Each error, when set, is what its method answers.
type fakeBackend struct {
	result    SignInResult
	signInErr error
	session   map[string]SessionView
	err       error // of Session, Sessions, EndSession, EndOtherSessions
	outErr    error // of SignOut
	all       []SessionView

	seen      SignInRequest
	signIns   int
	signedOut []string
	ended     []string
	others    int
	client    Client // of the last Session call's context
}

func (f *fakeBackend) SignIn(_ context.Context, req SignInRequest) (SignInResult, error) {
	f.seen = req
	f.signIns++
	return f.result, f.signInErr
}

func (f *fakeBackend) SignOut(_ context.Context, token string, _ Client) error {
	if f.outErr == nil {
		f.signedOut = append(f.signedOut, token)
		delete(f.session, token)
	}
	return f.outErr
}

func (f *fakeBackend) Session(ctx context.Context, token string) (SessionView, error) {
	f.client = ClientFrom(ctx)
	if f.err != nil {
		return SessionView{}, f.err
	}
	s, ok := f.session[token]
	if !ok {
		return SessionView{}, &Refusal{Reason: policy.NoSession}
	}
	return s, nil
}

func (f *fakeBackend) Sessions(context.Context, string) ([]SessionView, error) { return f.all, f.err }

func (f *fakeBackend) EndSession(_ context.Context, _, id string) error {
	for _, s := range f.all {
		if s.ID == id {
			f.ended = append(f.ended, id)
			return nil
		}
	}
	return &Refusal{Reason: policy.RowDenied}
}

func (f *fakeBackend) EndOtherSessions(context.Context, string) error {
	f.others++
	return f.err
}

func (f *fakeBackend) PasswordRules() []string { return []string{"At least 12 characters."} }

// newFake returns a backend in which Ann is signed in with testToken, here and on
// a phone.
func newFake() *fakeBackend {
	ann := SessionView{
		ID: testID, Email: testEmail, Name: `Ann <Admin>`, Role: "sales_manager",
		Created: testNow.Add(-time.Hour), LastSeen: testNow.Add(-time.Minute),
		IdleEnds: testNow.Add(14*time.Minute + 500*time.Millisecond), Expires: testNow.Add(11 * time.Hour),
		IP: "203.0.113.7", UserAgent: "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
	}
	phone := ann
	phone.ID, phone.UserAgent, phone.LastSeen = "2c9a", "Mozilla/5.0 (iPhone) Safari/604.1", testNow
	return &fakeBackend{
		result:  SignInResult{Token: otherToken, Session: ann},
		session: map[string]SessionView{testToken: ann},
		all:     []SessionView{phone, ann},
	}
}

func newPortal(b Backend) *Portal {
	return New(Options{Backend: b, Account: "example", Title: "Example CRM", Support: "it@example.com", Clock: clock.NewFake(testNow)})
}

// ask describes one request of a test.
type ask struct {
	method, path, body string
	head               map[string]string
	token              string // sent as session cookie
}

// browser are the headers of a window that navigates within the site.
var browser = map[string]string{"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "same-origin", "Accept": "text/html"}

func (a ask) request() *http.Request {
	if a.method == "" {
		a.method = "GET"
	}
	r := httptest.NewRequest(a.method, "https://"+testHost+a.path, strings.NewReader(a.body))
	switch {
	case a.method != "POST":
	case strings.HasPrefix(a.path, apiPrefix):
		r.Header.Set("Content-Type", "application/json")
	default:
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if a.token != "" {
		r.Header.Set("Cookie", CookieName+"="+a.token)
	}
	for k, v := range a.head {
		r.Header.Set(k, v)
	}
	return r.WithContext(WithClient(r.Context(), Client{
		IP: netip.MustParseAddr("203.0.113.7"), UserAgent: "test", RequestID: testRequest, Host: testHost,
	}))
}

// do sends a request and checks what holds for every answer of the portal.
func do(t *testing.T, p http.Handler, a ask) *http.Response {
	t.Helper()
	w := httptest.NewRecorder()
	p.ServeHTTP(w, a.request())
	res := w.Result()
	if res.Header.Get("X-From") != "crm" { // the CRM's own answer to a kept form
		checkEvery(t, res, w.Body.String())
	}
	return res
}

// checkEvery holds the rules no answer may break.
func checkEvery(t *testing.T, res *http.Response, body string) {
	t.Helper()
	for name, want := range map[string]string{
		"Content-Security-Policy":      contentPolicy,
		"X-Content-Type-Options":       "nosniff",
		"X-Frame-Options":              "DENY",
		"Cross-Origin-Opener-Policy":   "same-origin",
		"Cross-Origin-Resource-Policy": "same-origin",
	} {
		if got := res.Header.Get(name); got != want {
			t.Errorf("%s is %q, want %q: a page of ours can be framed, sniffed or injected into", name, got, want)
		}
	}
	if got := res.Header.Get("Referrer-Policy"); got != "same-origin" && got != "no-referrer" {
		t.Errorf("Referrer-Policy is %q: addresses of ours reach other sites", got)
	}
	if got := res.Header.Get("Cache-Control"); got != "no-store" && !strings.HasPrefix(res.Header.Get("Content-Type"), "text/css") &&
		!strings.HasPrefix(res.Header.Get("Content-Type"), "text/javascript") && res.Header.Get("Content-Type") != "image/svg+xml" {
		t.Errorf("Cache-Control is %q: a cache can keep what only one person may see", got)
	}
	if (res.StatusCode == 401) != (res.Header.Get("WWW-Authenticate") != "") {
		t.Errorf("%d with WWW-Authenticate %q: apps do not learn how to sign in", res.StatusCode, res.Header.Get("WWW-Authenticate"))
	}
	if s := res.StatusCode; (s == 429 || s == 425 || s == 503) && res.Header.Get("Retry-After") == "" {
		t.Errorf("%d without Retry-After: clients come back at once", s)
	}
	for _, secret := range []string{testToken, otherToken, testPassword, "correct horse"} {
		if strings.Contains(body, secret) {
			t.Errorf("the body holds a secret: %q", secret)
		}
		for name, values := range res.Header {
			if name != "Set-Cookie" && strings.Contains(strings.Join(values, "\n"), secret) {
				t.Errorf("header %s holds a secret", name)
			}
		}
	}
	for _, c := range res.Cookies() {
		if !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" || !strings.HasPrefix(c.Name, "__Host-") {
			t.Errorf("cookie %s lacks a guard: %s", c.Name, c.Raw)
		}
	}
	if body != "" && strings.HasPrefix(res.Header.Get("Content-Type"), "text/html") {
		checkMarkup(t, body)
	}
}

// checkMarkup holds what the content policy would break.
func checkMarkup(t *testing.T, body string) {
	t.Helper()
	low := strings.ToLower(body)
	for _, bad := range []string{"<style", " style=", "javascript:", " onclick", " onload", " onsubmit", " onerror=", "<iframe", "http-equiv", "http://", "{{", "zgotmplz", "<no value>"} {
		if strings.Contains(low, bad) {
			t.Errorf("the page holds %q, which the content policy blocks or a template left over", bad)
		}
	}
	if strings.Count(low, "<script") != strings.Count(low, `<script type="module" src="/.crmgate/assets/`) {
		t.Error("the page holds an inline script")
	}
	if !strings.Contains(low, `<html lang="en">`) || strings.Count(low, "<h1") != 1 || !strings.Contains(low, "<title>") {
		t.Error("the page lacks language, title or its one main heading: screen readers are lost")
	}
}

func bodyOf(t *testing.T, res *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// object decodes a JSON answer.
func object(t *testing.T, res *http.Response) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(bodyOf(t, res)), &m); err != nil {
		t.Fatalf("the answer is not JSON: %v", err)
	}
	return m
}

// setCookies returns the cookies an answer sets, by name; "-" for a removed one.
func setCookies(res *http.Response) map[string]string {
	m := map[string]string{}
	for _, c := range res.Cookies() {
		m[c.Name] = c.Value
		if c.MaxAge < 0 {
			m[c.Name] = "-"
		}
	}
	return m
}

var errBoom = errors.New("boom: password=hunter2")
