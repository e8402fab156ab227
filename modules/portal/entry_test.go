// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package portal

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/crmgate/crmgate/policy"
)

func TestSignInPageOffersWhatIsOpen(t *testing.T) {
	const form, key, forgot, google = `name="password"`, `data-passkey="get"`, `href="/.crmgate/forgot"`, `href="/.crmgate/sso/google/start?return=%2Fleads"`
	for _, tc := range []struct {
		name, query string
		open        Entrances
		has, lacks  []string
	}{
		{"all", "", Entrances{Password: true, Passkey: true, Forgot: true, Providers: []Provider{{"google", "Google"}}}, []string{form, key, forgot, google, "Sign in with Google", "data-needs-script"}, nil},
		{"provider alone", "", Entrances{Providers: []Provider{{"google", "G <b>"}}}, []string{google, "Sign in with G &lt;b&gt;"}, []string{form, key, forgot}},
		{"break glass", "&with=password", Entrances{Providers: []Provider{{"google", "Google"}}}, []string{form, google}, []string{key}},
		{"passkey alone", "", Entrances{Passkey: true, Forgot: true}, []string{key}, []string{form, forgot}},
		{"nothing", "", Entrances{}, []string{"nobody can sign in here"}, []string{form, key}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld()
			w.entry.open = tc.open
			body := bodyOf(t, do(t, w, ask{path: SignInPath + "?return=%2Fleads" + tc.query, head: browser}))
			if m := missing(body, tc.has...); len(m) > 0 {
				t.Errorf("the page lacks %q\n%s", m, body)
			}
			for _, bad := range tc.lacks {
				if strings.Contains(body, bad) {
					t.Errorf("the page offers %q, which is closed", bad)
				}
			}
			if w.entry.begun != 0 {
				t.Error("looking at the page begins a flow: visitors fill the store")
			}
		})
	}
	w := newWorld()
	w.entry.err = &Refusal{Reason: policy.StoreUnavailable}
	if res := do(t, w, ask{path: SignInPath, head: browser}); res.StatusCode != 503 {
		t.Errorf("%d: a form is shown that lets nobody in", res.StatusCode)
	}
}

func TestPasskeySignIn(t *testing.T) {
	w := newWorld()
	m := object(t, do(t, w, ask{method: "POST", path: apiPrefix + "passkey/begin"}))
	if m["flow"] != testFlow || m["request"] == nil {
		t.Errorf("%v", m)
	}
	body := "flow=" + testFlow + "&response=%7B%22id%22%3A%22x%22%7D&return=%2Fleads"
	res := do(t, w, ask{method: "POST", path: passkeyPath, head: browser, body: body})
	if res.Header.Get("Location") != signedInPath+"?return=%2Fleads" || setCookies(res)[CookieName] != otherToken || string(w.entry.seen.Response) != `{"id":"x"}` || w.entry.seen.RequestID != testRequest {
		t.Errorf("to %q, %v, backend saw %+v", res.Header.Get("Location"), setCookies(res), w.entry.seen)
	}
	m = object(t, do(t, w, ask{method: "POST", path: apiPrefix + "passkey/finish", body: `{"flow":"` + testFlow + `","response":{"id":"y"}}`}))
	if m["session"] == nil {
		t.Errorf("%v", m)
	}
	for _, reason := range []policy.Reason{policy.WrongCredentials, policy.NoSession, policy.Deactivated} {
		w.entry.keyErr = &Refusal{Reason: reason}
		res := do(t, w, ask{method: "POST", path: passkeyPath, head: browser, body: body})
		if page := bodyOf(t, res); res.StatusCode != 401 || !strings.Contains(page, passkeyFailed) || strings.Contains(page, `aria-invalid`) || len(res.Cookies()) != 0 {
			t.Errorf("%s: %d %v\n%s", reason, res.StatusCode, res.Cookies(), page)
		}
		m := object(t, do(t, w, ask{method: "POST", path: apiPrefix + "passkey/finish", body: `{"flow":"` + testFlow + `","response":{}}`}))
		if m["reason"] != "wrong_credentials" || m["detail"] != passkeyFailed {
			t.Errorf("%s: %v: tells accounts apart", reason, m)
		}
	}
	for _, bad := range []string{"", "flow=" + testFlow, "response=%7B%7D", "flow=a+b&response=%7B%7D"} {
		w := newWorld()
		if res := do(t, w, ask{method: "POST", path: passkeyPath, head: browser, body: bad}); res.StatusCode != 400 || w.entry.calls != 0 {
			t.Errorf("%q: %d, %d calls", bad, res.StatusCode, w.entry.calls)
		}
	}
	w = newWorld()
	w.entry.open.Passkey = false
	for _, path := range []string{"passkey/begin", "passkey/finish"} {
		res := do(t, w, ask{method: "POST", path: apiPrefix + path, body: `{"flow":"` + testFlow + `","response":{}}`})
		if res.StatusCode < 400 || w.entry.calls+w.entry.begun != 0 {
			t.Errorf("%s while passkeys are closed: %d", path, res.StatusCode)
		}
	}
}

func TestPasswordKey(t *testing.T) {
	w := newWorld()
	if res := do(t, w, ask{method: "POST", path: apiPrefix + "password/key"}); res.StatusCode != 404 {
		t.Errorf("while nothing is encrypted: %d, want 404", res.StatusCode)
	}
	w.entry.open.Encrypt = true
	if m := object(t, do(t, w, ask{method: "POST", path: apiPrefix + "password/key"})); m["kid"] != "k" {
		t.Errorf("%v", m)
	}
	w.entry.keyErr = &Refusal{Reason: policy.Throttled}
	if res := do(t, w, ask{method: "POST", path: apiPrefix + "password/key"}); res.StatusCode != 429 {
		t.Errorf("throttled: %d", res.StatusCode)
	}
}

func TestEntrancesAPI(t *testing.T) {
	m := object(t, do(t, newWorld(), ask{path: apiPrefix + "entrances"}))
	list, _ := m["providers"].([]any)
	if m["password"] != true || m["passkey"] != true || m["password_encryption"] != false || len(list) != 2 || list[0].(map[string]any)["start"] != "/.crmgate/sso/google/start" {
		t.Errorf("%v: an app cannot offer what is open", m)
	}
}

func TestSignOutAtTheProviderToo(t *testing.T) {
	for _, tc := range []struct {
		name  string
		leave Onward
		err   error
		form  string // what the policy lets the page post to
		has   string
	}{
		{"link", Onward{Label: "Google", URL: "https://idp.example/logout?id=1"}, nil, "https://idp.example", `href="https://idp.example/logout?id=1"`},
		{"form", Onward{Label: "ADFS", URL: "https://idp.example:444/slo", Form: map[string]string{"SAMLRequest": `a"b`, "RelayState": "x"}}, nil, "https://idp.example:444", `name="SAMLRequest" value="a&#34;b"`},
		{"nowhere", Onward{}, nil, "", ""},
		{"not known", Onward{}, errBoom, "", ""},
		{"script", Onward{URL: "javascript:alert(1)"}, nil, "", ""},
		{"relative", Onward{URL: "/x"}, nil, "", ""},
		{"with user", Onward{URL: "https://a@idp.example/"}, nil, "", ""},
		{"policy in the host", Onward{URL: "https://idp.example;script-src *"}, nil, "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld()
			w.entry.leave, w.entry.keyErr = tc.leave, tc.err
			rec := httptest.NewRecorder()
			w.ServeHTTP(rec, ask{method: "POST", path: SignOutPath, token: testToken, head: browser}.request())
			res, body := rec.Result(), rec.Body.String()
			if len(w.backend.signedOut) != 1 || setCookies(res)[CookieName] != "-" {
				t.Errorf("signed out %v, %v: the session stays because of the provider", w.backend.signedOut, setCookies(res))
			}
			if tc.form == "" {
				if res.Header.Get("Location") != SignInPath+"?why=signed_out" {
					t.Errorf("to %q", res.Header.Get("Location"))
				}
				return
			}
			want := strings.Replace(contentPolicy, "form-action 'self'", "form-action 'self' "+tc.form, 1)
			if got := res.Header.Get("Content-Security-Policy"); got != want || !strings.Contains(body, tc.has) || !strings.Contains(body, "still signed in at "+tc.leave.Label) {
				t.Errorf("policy %q, want %q\n%s", got, want, body)
			}
			checkMarkup(t, body)
		})
	}
}

func TestSSOFailed(t *testing.T) {
	texts := map[string]bool{}
	for _, reason := range []policy.Reason{"", policy.WrongCredentials, policy.Deactivated, policy.NoSession} {
		w := newWorld()
		rec := httptest.NewRecorder()
		w.SSOFailed(rec, ask{path: "/.crmgate/sso/google/callback", head: browser}.request(), SSOFailure{Reason: reason, Provider: "google", Label: "Google", Return: "/leads"})
		checkEvery(t, rec.Result(), rec.Body.String())
		texts[rec.Body.String()] = true
		if m := missing(rec.Body.String(), `href="/.crmgate/sso/google/start?return=%2Fleads"`, "Start again", testRequest, "Google"); len(m) > 0 || rec.Code != 401 {
			t.Errorf("%d, the page lacks %q", rec.Code, m)
		}
	}
	if len(texts) != 1 {
		t.Error("the page tells whether somebody has an account")
	}
	rec := httptest.NewRecorder()
	newWorld().SSOFailed(rec, ask{path: "/.crmgate/sso/google/callback", head: browser}.request(), SSOFailure{Provider: "../x", Over: true})
	if body := rec.Body.String(); strings.Contains(body, "Start again</a>") || !strings.Contains(body, "This sign-in is over") {
		t.Errorf("%s", body)
	}
	rec = httptest.NewRecorder()
	newWorld().SSOFailed(rec, ask{path: "/.crmgate/sso/google/callback", head: browser}.request(), SSOFailure{Provider: "google", Reason: policy.StoreUnavailable})
	if rec.Code != 503 {
		t.Errorf("a store that is away: %d", rec.Code)
	}
}

func TestTestResult(t *testing.T) {
	rec := httptest.NewRecorder()
	newWorld().TestResult(rec, ask{path: "/.crmgate/sso/google/callback", head: browser}.request(), TestOutcome{
		Provider: "google", OK: true, Email: `a<b>@example.com`, Checks: []string{"The issuer is right."},
	})
	checkEvery(t, rec.Result(), rec.Body.String())
	if m := missing(rec.Body.String(), "The test worked", "a&lt;b&gt;@example.com", "nobody who may sign in", "The issuer is right.", "Nobody was signed in"); len(m) > 0 || len(rec.Result().Cookies()) != 0 {
		t.Errorf("the page lacks %q", m)
	}
}

func TestKeptForm(t *testing.T) {
	head := with(CookieName, testToken, keptCookie, testKept)
	w := newWorld()
	body := bodyOf(t, do(t, w, ask{path: KeptPath, head: head}))
	if m := missing(body, "/leads/&lt;b&gt;", "1.8 kB", `action="/.crmgate/kept"`, `action="/.crmgate/kept/drop"`); len(m) > 0 || w.deeds() != 0 {
		t.Errorf("the page lacks %q, %d deeds", m, w.deeds())
	}
	rec := httptest.NewRecorder()
	w.ServeHTTP(rec, ask{method: "POST", path: KeptPath, head: head}.request())
	if rec.Body.String() != "saved" || w.kept.sent != 1 || rec.Header().Get("Content-Security-Policy") != "" || setCookies(rec.Result())[keptCookie] != "-" {
		t.Errorf("%s %v: the CRM's answer is changed, or the form can be sent again", rec.Body, rec.Header())
	}
	w.kept.err = &Refusal{Reason: policy.StoreUnavailable}
	if res := do(t, w, ask{method: "POST", path: KeptPath, head: head}); res.StatusCode != 503 || len(res.Cookies()) != 0 {
		t.Errorf("store away: %d %v: the form is lost", res.StatusCode, res.Cookies())
	}
	for name, h := range map[string]map[string]string{
		"none": with(CookieName, testToken), "another one": with(CookieName, testToken, keptCookie, otherToken), "no value of ours": with(CookieName, testToken, keptCookie, "x"),
	} {
		for _, method := range []string{"GET", "POST"} {
			w := newWorld()
			res := do(t, w, ask{method: method, path: KeptPath, head: h})
			if res.StatusCode != 410 || !strings.Contains(bodyOf(t, res), "The form is gone") || w.kept.sent != 0 {
				t.Errorf("%s %s: %d", method, name, res.StatusCode)
			}
		}
	}
	w = newWorld()
	if res := do(t, w, ask{method: "POST", path: KeptPath, head: with(keptCookie, testKept)}); res.StatusCode != 401 || w.kept.sent != 0 {
		t.Errorf("nobody signed in: %d", res.StatusCode)
	}
	if res := do(t, w, ask{method: "POST", path: dropKeptPath, head: head}); res.Header.Get("Location") != "/" || w.kept.dropped != 1 || setCookies(res)[keptCookie] != "-" {
		t.Errorf("drop: to %q", res.Header.Get("Location"))
	}
}

func TestRefuseKept(t *testing.T) {
	for _, tc := range []struct {
		name   string
		ask    ask
		reason policy.Reason
		value  string
		to     string
	}{
		{"form", ask{method: "POST", path: "/leads", head: browser}, policy.SessionIdle, testKept, SignInPath + "?return=%2F.crmgate%2Fkept&why=session_idle"},
		{"no session", ask{method: "POST", path: "/leads", head: browser}, policy.NoSession, testKept, SignInPath + "?return=%2F.crmgate%2Fkept"},
		{"program", ask{method: "POST", path: "/leads"}, policy.NoSession, testKept, ""},
		{"not a matter of signing in", ask{method: "POST", path: "/leads", head: browser}, policy.Locked, testKept, ""},
		{"no value of ours", ask{method: "POST", path: "/leads", head: browser}, policy.NoSession, "a;b", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			rec := httptest.NewRecorder()
			newWorld().RefuseKept(rec, tc.ask.request(), Refusal{Reason: tc.reason}, tc.value)
			res := rec.Result()
			checkEvery(t, res, rec.Body.String())
			if res.Header.Get("Location") != tc.to || (setCookies(res)[keptCookie] == testKept) != (tc.to != "") || tc.to == "" && res.StatusCode != tc.reason.Status() {
				t.Errorf("%d to %q with %v", res.StatusCode, res.Header.Get("Location"), setCookies(res))
			}
		})
	}
}

// TestOurOtherCookiesNeverReachTheCRM: they are secrets too.
func TestOurOtherCookiesNeverReachTheCRM(t *testing.T) {
	for _, name := range []string{stepCookie, DeviceCookie, keptCookie, "__Host-crmgate_flow", "__Host-crmgate_flow_post", "__HOST-CRMGATE_STEP"} {
		r := ask{path: "/leads", head: map[string]string{"Cookie": "a=b; " + name + "=secret"}}.request()
		StripCookie(r.Header)
		if got := r.Header.Get("Cookie"); got != "a=b" {
			t.Errorf("%s: the CRM sees %q", name, got)
		}
	}
}
