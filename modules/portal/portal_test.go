// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package portal

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/crmgate/crmgate/policy"
)

func TestRoutes(t *testing.T) {
	p := newPortal(newFake())
	for _, tc := range []struct {
		method, path string
		status       int
		allow        string
	}{
		{"GET", SignInPath, 200, ""},
		{"HEAD", SignInPath, 200, ""},
		{"PUT", SignInPath, 405, "GET, HEAD, POST"},
		{"OPTIONS", SignInPath, 405, "GET, HEAD, POST"},
		{"GET", SignOutPath, 200, ""},
		{"GET", endSessionPath, 405, "POST"},
		{"GET", "/.crmgate/api/sign-in", 405, "POST"},
		{"GET", "/.crmgate/api/sessions/2c9a", 405, "DELETE"},
		{"POST", "/.crmgate/api/session", 405, "GET, HEAD"},
		{"GET", HealthPath, 200, ""},
		{"HEAD", HealthPath, 200, ""},
		{"GET", "/.crmgate", 404, ""},
		{"GET", "/.crmgate/", 404, ""},
		{"GET", "/.crmgate/nothing", 404, ""},
		{"GET", "/.crmgate/sign-in/", 404, ""},
		{"GET", "/.crmgate//sign-in", 404, ""},
		{"GET", "/.CRMGATE/sign-in", 404, ""},
		{"GET", "/.crmgate/../leads", 404, ""},
		{"GET", "/leads", 404, ""},
		{"GET", "/.crmgate/assets/", 404, ""},
		{"GET", "/.crmgate/assets/portal.css", 404, ""},
		{"GET", "/.crmgate/assets/../portal.go", 404, ""},
		{"POST", "/.crmgate/nothing", 404, ""},
	} {
		for form, head := range map[string]map[string]string{"page": browser, "json": nil} {
			t.Run(tc.method+" "+tc.path+" "+form, func(t *testing.T) {
				res := do(t, p, ask{method: tc.method, path: tc.path, head: head})
				if res.StatusCode != tc.status || res.Header.Get("Allow") != tc.allow {
					t.Errorf("%d, Allow %q, want %d and %q", res.StatusCode, res.Header.Get("Allow"), tc.status, tc.allow)
				}
				if body := bodyOf(t, res); tc.method == "HEAD" && body != "" {
					t.Errorf("HEAD has a body: %s", body)
				}
			})
		}
	}
}

func TestCrossSiteIsRefused(t *testing.T) {
	for _, path := range []string{SignInPath, SignOutPath, endSessionPath, endOthersPath, "/.crmgate/api/sign-in", "/.crmgate/api/sign-out", "/.crmgate/api/sessions/2c9a"} {
		method := "POST"
		if strings.HasPrefix(path, apiSessionsPath) {
			method = "DELETE"
		}
		for name, head := range map[string]map[string]string{
			"cross-site":     {"Sec-Fetch-Site": "cross-site"},
			"same-site":      {"Sec-Fetch-Site": "same-site"},
			"foreign origin": {"Origin": "https://evil.example"},
			"null origin":    {"Origin": "null"},
		} {
			t.Run(path+" "+name, func(t *testing.T) {
				b := newFake()
				res := do(t, newPortal(b), ask{method: method, path: path, head: head, token: testToken, body: `{"email":"a@b.example","password":"x"}`})
				if res.StatusCode != 403 {
					t.Errorf("%d, want 403: another site acts for the person", res.StatusCode)
				}
				if b.signIns+len(b.signedOut)+len(b.ended)+b.others != 0 {
					t.Error("the deed was done")
				}
			})
		}
	}
}

func TestSignOut(t *testing.T) {
	for _, tc := range []struct {
		name    string
		token   string
		outErr  error
		page    int
		api     int
		cleared bool
	}{
		{"signed in", testToken, nil, 303, 204, true},
		{"not signed in", "", nil, 303, 204, true},
		{"already over", testToken, &Refusal{Reason: policy.SessionIdle}, 303, 204, true},
		{"store away", testToken, &Refusal{Reason: policy.StoreUnavailable}, 503, 503, false},
		{"backend broken", testToken, errBoom, 500, 500, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newFake()
			b.outErr = tc.outErr
			p := newPortal(b)
			page := do(t, p, ask{method: "POST", path: SignOutPath, token: tc.token, head: browser})
			api := do(t, p, ask{method: "POST", path: "/.crmgate/api/sign-out", token: tc.token})
			if page.StatusCode != tc.page || api.StatusCode != tc.api {
				t.Errorf("page %d, api %d, want %d and %d", page.StatusCode, api.StatusCode, tc.page, tc.api)
			}
			if tc.page == 303 && page.Header.Get("Location") != SignInPath+"?why=signed_out" {
				t.Errorf("to %q", page.Header.Get("Location"))
			}
			for _, res := range []*http.Response{page, api} {
				if (setCookies(res)[CookieName] == "-") != tc.cleared {
					t.Errorf("cookie cleared: %v, want %v: the page says signed out over a live session, or the cookie stays", !tc.cleared, tc.cleared)
				}
			}
		})
	}
}

func TestShowSignOutOnlyAsks(t *testing.T) {
	b := newFake()
	res := do(t, newPortal(b), ask{path: SignOutPath, token: testToken, head: browser})
	if body := bodyOf(t, res); res.StatusCode != 200 || !strings.Contains(body, testEmail) || !strings.Contains(body, `method="post" action="/.crmgate/sign-out"`) {
		t.Errorf("%d %s", res.StatusCode, body)
	}
	if len(b.signedOut) != 0 || len(res.Cookies()) != 0 {
		t.Error("a link signs people out")
	}
}

func TestHealth(t *testing.T) {
	p := New(Options{Health: func(context.Context) error { return errBoom }})
	res := do(t, p, ask{path: HealthPath})
	if body := bodyOf(t, res); res.StatusCode != 503 || body != `{"status":"unavailable"}` {
		t.Errorf("%d %s: says too much or sounds well", res.StatusCode, body)
	}
}

func TestNoBackendIsClosed(t *testing.T) {
	p := New(Options{})
	for _, a := range []ask{
		{method: "POST", path: "/.crmgate/api/sign-in", body: `{"email":"a@b.example","password":"x"}`},
		{path: "/.crmgate/api/session", token: testToken},
		{path: "/.crmgate/api/sessions", token: testToken},
		{path: AccountPath, token: testToken},
		{method: "POST", path: SignOutPath, token: testToken},
	} {
		if res := do(t, p, a); res.StatusCode != 503 {
			t.Errorf("%s %s: %d, want 503", a.method, a.path, res.StatusCode)
		}
	}
}

func TestAssets(t *testing.T) {
	p := newPortal(newFake())
	for name, path := range assetPaths {
		res := do(t, p, ask{path: path, head: map[string]string{"Sec-Fetch-Mode": "no-cors"}})
		if res.StatusCode != 200 || res.Header.Get("Cache-Control") != "public, max-age=31536000, immutable" || res.Header.Get("Content-Type") == "" {
			t.Errorf("%s: %d %v: the page comes without its looks", name, res.StatusCode, res.Header)
		}
		body := bodyOf(t, res)
		if strings.Contains(body, "@import") || strings.Contains(body, " url(") || strings.Contains(body, "eval(") || strings.Contains(body, "innerHTML") {
			t.Errorf("%s loads or evaluates what the content policy forbids", name)
		}
	}
	if len(assetPaths) != 6 {
		t.Errorf("%d assets, want 6", len(assetPaths))
	}
}

func TestClientReachesTheBackend(t *testing.T) {
	b := newFake()
	do(t, newPortal(b), ask{path: "/.crmgate/api/session", token: testToken})
	if b.client.RequestID != testRequest || b.client.Host != testHost {
		t.Errorf("the backend sees client %+v", b.client)
	}
	if c := ClientFrom(t.Context()); c != (Client{}) {
		t.Errorf("without WithClient %+v, want nothing", c)
	}
}

func TestHostOfTheRequestIsTheDefault(t *testing.T) {
	r := httptest.NewRequest("GET", "https://other.example/", nil)
	if got := host(r); got != "other.example" {
		t.Errorf("host = %q", got)
	}
}
