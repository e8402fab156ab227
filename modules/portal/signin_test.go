// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package portal

import (
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/crmgate/crmgate/policy"
)

func signInForm(email, password, target string) string {
	return url.Values{"email": {email}, "password": {password}, "return": {target}}.Encode()
}

// outcomes of a sign-in, the same for form and JSON.
var signInOutcomes = []struct {
	name   string
	err    error
	reason policy.Reason // what the client is told
	form   bool          // the form is shown again
}{
	{"wrong", &Refusal{Reason: policy.WrongCredentials}, policy.WrongCredentials, true},
	{"deactivated looks like wrong", &Refusal{Reason: policy.Deactivated}, policy.WrongCredentials, true},
	{"unknown looks like wrong", &Refusal{Reason: policy.NoSession}, policy.WrongCredentials, true},
	{"throttled", &Refusal{Reason: policy.Throttled, RetryAfter: 30 * time.Second}, policy.Throttled, true},
	{"locked", &Refusal{Reason: policy.Locked, Message: "Audit day", Until: testNow.Add(time.Hour)}, policy.Locked, true},
	{"network", &Refusal{Reason: policy.IPNotAllowed}, policy.IPNotAllowed, false},
	{"reputation", &Refusal{Reason: policy.IPReputation}, policy.IPReputation, false},
	{"store away", &Refusal{Reason: policy.StoreUnavailable}, policy.StoreUnavailable, false},
	{"audit away", &Refusal{Reason: policy.Unwritable}, policy.Unwritable, false},
	{"not a refusal", errBoom, policy.Internal, false},
	{"refused as allowed", &Refusal{Reason: policy.Allowed}, policy.Internal, false},
	{"refused as nothing", &Refusal{}, policy.Internal, false},
}

func TestSignInRefused(t *testing.T) {
	for _, tc := range signInOutcomes {
		b := newFake()
		b.signInErr = tc.err
		p := newPortal(b)
		t.Run(tc.name+"/json", func(t *testing.T) {
			res := do(t, p, ask{method: "POST", path: "/.crmgate/api/sign-in", body: `{"email":"ann@example.com","password":"` + testPassword + `"}`})
			m := object(t, res)
			if res.StatusCode != tc.reason.Status() || m["reason"] != string(tc.reason) || m["title"] != tc.reason.Text() {
				t.Errorf("%d %v, want %s", res.StatusCode, m, tc.reason)
			}
			if len(res.Cookies()) != 0 {
				t.Errorf("cookies %v on a refused sign-in", res.Cookies())
			}
		})
		t.Run(tc.name+"/form", func(t *testing.T) {
			res := do(t, p, ask{method: "POST", path: SignInPath, head: browser, body: signInForm(`"><i>@example.com`, testPassword, "/leads")})
			body := bodyOf(t, res)
			if res.StatusCode != tc.reason.Status() || !strings.Contains(body, sentence(tc.reason.Text())) {
				t.Errorf("%d %s, want %s", res.StatusCode, body, tc.reason)
			}
			if strings.Contains(body, "boom") || strings.Contains(body, "hunter2") {
				t.Error("an inner error reaches the client")
			}
			if _, ok := setCookies(res)[CookieName]; ok {
				t.Error("a refused sign-in sets a session")
			}
			if !tc.form {
				return
			}
			for _, want := range []string{`role="alert"`, `value="&#34;&gt;&lt;i&gt;@example.com"`, `name="return" value="/leads"`, `aria-describedby="error" autofocus`, "<title>Error: Sign in"} {
				if !strings.Contains(body, want) {
					t.Errorf("the form lacks %s: people lose what they typed, their way back, or what went wrong\n%s", want, body)
				}
			}
		})
	}
}

func TestSignInTellsNobodyApart(t *testing.T) {
	bodies := map[string]string{}
	for _, reason := range []policy.Reason{policy.WrongCredentials, policy.Deactivated, policy.NoSession} {
		b := newFake()
		b.signInErr = &Refusal{Reason: reason}
		res := do(t, newPortal(b), ask{method: "POST", path: SignInPath, head: browser, body: signInForm(testEmail, "x", "/")})
		bodies[bodyOf(t, res)] = string(reason)
	}
	if len(bodies) != 1 {
		t.Errorf("%d different pages: somebody can find out who has an account", len(bodies))
	}
}

func TestSignInForm(t *testing.T) {
	b := newFake()
	p := newPortal(b)
	res := do(t, p, ask{method: "POST", path: SignInPath, head: browser, body: signInForm("  ann@example.com ", testPassword, "/leads?page=2")})
	if res.StatusCode != 303 || res.Header.Get("Location") != signedInPath+"?return=%2Fleads%3Fpage%3D2" {
		t.Fatalf("%d to %q, want the check page with the way back", res.StatusCode, res.Header.Get("Location"))
	}
	if c := setCookies(res); c[CookieName] != otherToken || c[tripsCookie] != "1" {
		t.Errorf("cookies %v, want the new session and the first trip", c)
	}
	if b.seen.Email != testEmail || b.seen.Password != testPassword || b.seen.RequestID != testRequest || !b.seen.IP.IsValid() {
		t.Error("the backend does not see the attempt as it came")
	}
	if len(b.signedOut) != 0 {
		t.Errorf("signed out %d sessions without there being one", len(b.signedOut))
	}
}

func TestSignInEndsTheOldSession(t *testing.T) {
	b := newFake()
	res := do(t, newPortal(b), ask{method: "POST", path: SignInPath, head: browser, token: testToken, body: signInForm(testEmail, "x", "/")})
	if len(b.signedOut) != 1 || b.signedOut[0] != testToken || setCookies(res)[CookieName] != otherToken {
		t.Error("the session the browser came with lives on: whoever planted it can use it")
	}
	b = newFake()
	b.outErr = &Refusal{Reason: policy.StoreUnavailable}
	res = do(t, newPortal(b), ask{method: "POST", path: SignInPath, head: browser, token: testToken, body: signInForm(testEmail, "x", "/")})
	if _, set := setCookies(res)[CookieName]; res.StatusCode != 503 || set {
		t.Errorf("%d: signed in although the old session could not be ended", res.StatusCode)
	}
	b = newFake()
	b.outErr = &Refusal{Reason: policy.SessionExpired}
	res = do(t, newPortal(b), ask{method: "POST", path: SignInPath, head: browser, token: testToken, body: signInForm(testEmail, "x", "/")})
	if setCookies(res)[CookieName] != otherToken {
		t.Error("an old session that is over already keeps a person from signing in")
	}
}

func TestSignInResults(t *testing.T) {
	for _, tc := range []struct {
		name   string
		result SignInResult
		status int
		cookie string
	}{
		{"session", SignInResult{Token: otherToken}, 200, otherToken},
		{"second step", SignInResult{Step: testStep, Next: NextSecondFactor, Methods: []string{"totp"}}, 200, ""},
		{"second step and a session", SignInResult{Token: otherToken, Step: testStep, Next: NextSecondFactor}, 500, ""},
		{"session with a step to come", SignInResult{Token: otherToken, Next: NextSecondFactor}, 500, ""},
		{"second step without its secret", SignInResult{Next: NextSecondFactor}, 500, ""},
		{"short secret", SignInResult{Step: "short", Next: NextSecondFactor}, 500, ""},
		{"step without what is due", SignInResult{Step: testStep}, 500, ""},
		{"step nobody has a page for", SignInResult{Step: testStep, Next: "dance"}, 500, ""},
		{"trusted device", SignInResult{Token: otherToken, Device: testDevice, DeviceEnds: testNow.Add(time.Hour)}, 200, otherToken},
		{"device no cookie can hold", SignInResult{Token: otherToken, Device: "a;b", DeviceEnds: testNow.Add(time.Hour)}, 500, ""},
		{"device that is over", SignInResult{Token: otherToken, Device: testDevice, DeviceEnds: testNow}, 500, ""},
		{"nothing", SignInResult{}, 500, ""},
		{"unknown next step", SignInResult{Token: otherToken, Next: "dance"}, 500, ""},
		{"short token", SignInResult{Token: "short"}, 500, ""},
		{"token no cookie can hold", SignInResult{Token: "abcdefghijklmnop; Domain=x"}, 500, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newFake()
			b.result = tc.result
			p := withSteps(b)
			res := do(t, p, ask{method: "POST", path: "/.crmgate/api/sign-in", body: `{"email":"a@b.example","password":"x"}`})
			if res.StatusCode != tc.status || setCookies(res)[CookieName] != tc.cookie {
				t.Errorf("%d %v, want %d and cookie %q", res.StatusCode, setCookies(res), tc.status, tc.cookie)
			}
			m := object(t, res)
			if tc.status == 200 {
				_, has := m["session"]
				if next, _ := m["next"].(string); next != tc.result.Next || has == (tc.result.Next != "") {
					t.Errorf("%v: an app takes a half sign-in for a whole one", m)
				}
				if step, _ := m["step"].(string); step != tc.result.Step || setCookies(res)[stepCookie] != "" {
					t.Errorf("%v: an app cannot go on with the step", m)
				}
				if setCookies(res)[DeviceCookie] != tc.result.Device {
					t.Errorf("%v: the device is not remembered", setCookies(res))
				}
			}
			page := do(t, p, ask{method: "POST", path: SignInPath, head: browser, body: signInForm("a@b.example", "x", "/leads")})
			switch {
			case tc.status == 500 && page.StatusCode != 500:
				t.Errorf("form: %d, want 500", page.StatusCode)
			case tc.result.Next != "" && tc.status == 200 && (page.Header.Get("Location") != StepPath || setCookies(page)[stepCookie] != testStep):
				t.Errorf("form: to %q with %v, want the second step", page.Header.Get("Location"), setCookies(page))
			case tc.result.Next != "" && b.seen.Return != "/leads":
				t.Errorf("the backend keeps %q as the way back: people lose the page they wanted", b.seen.Return)
			}
		})
	}
}

// withSteps is newPortal with pages for every step.
func withSteps(b *fakeBackend) *Portal {
	w := newWorld()
	w.backend, w.entry.open = b, Entrances{Password: true}
	return w.portal()
}

func TestStepsThatAreOffAreNoWayIn(t *testing.T) {
	for next, off := range map[string]func(*Options){
		NextSecondFactor:   func(o *Options) { o.Steps = nil },
		NextEnrol:          func(o *Options) { o.Factors = nil },
		NextChangePassword: func(o *Options) { o.Passwords = nil },
	} {
		b := newFake()
		b.result = SignInResult{Step: testStep, Next: next}
		o := withSteps(b).opts
		off(&o)
		res := do(t, New(o), ask{method: "POST", path: "/.crmgate/api/sign-in", body: `{"email":"a@b.example","password":"x"}`})
		if res.StatusCode != 500 || len(res.Cookies()) != 0 {
			t.Errorf("%s: %d %v: somebody is sent to a page that is not there", next, res.StatusCode, res.Cookies())
		}
	}
}

func TestSignInBodies(t *testing.T) {
	const api, good = "/.crmgate/api/sign-in", `{"email":"a@b.example","password":"x"}`
	form := map[string]string{"Content-Type": "application/x-www-form-urlencoded"}
	for _, tc := range []struct {
		name   string
		path   string
		body   string
		head   map[string]string
		status int
	}{
		{"json", api, good, nil, 200},
		{"json with charset", api, good, map[string]string{"Content-Type": "application/json; charset=UTF-8"}, 200},
		{"json as text", api, good, map[string]string{"Content-Type": "text/plain"}, 415},
		{"json as form", api, good, form, 415},
		{"json without type", api, good, map[string]string{"Content-Type": ""}, 415},
		{"json, other charset", api, good, map[string]string{"Content-Type": "application/json; charset=utf-16"}, 415},
		{"json, compressed", api, good, map[string]string{"Content-Encoding": "gzip"}, 415},
		{"json duplicate", api, `{"email":"a@b.example","password":"x","password":"y"}`, nil, 400},
		{"json unknown member", api, `{"email":"a@b.example","password":"x","role":"admin"}`, nil, 400},
		{"json letter case", api, `{"Email":"a@b.example","password":"x"}`, nil, 400},
		{"json junk after", api, good + `{}`, nil, 400},
		{"json broken", api, `{"email":`, nil, 400},
		{"json bad UTF-8", api, "{\"email\":\"a@b.example\",\"password\":\"\xff\"}", nil, 400},
		{"json wrong type", api, `{"email":["a@b.example"],"password":"x"}`, nil, 400},
		{"json null", api, `null`, nil, 400},
		{"json empty", api, ``, nil, 400},
		{"json no password", api, `{"email":"a@b.example"}`, nil, 400},
		{"json long password", api, `{"email":"a@b.example","password":"` + strings.Repeat("x", maxPassword+1) + `"}`, nil, 400},
		{"json long e-mail", api, `{"email":"` + strings.Repeat("x", maxEmail+1) + `","password":"x"}`, nil, 400},
		{"json NUL in e-mail", api, `{"email":"a@b.example\u0000","password":"x"}`, nil, 400},
		{"json too large", api, good + strings.Repeat(" ", maxBody), nil, 413},
		{"form", SignInPath, "email=a%40b.example&password=x", nil, 303},
		{"form no password", SignInPath, "email=a%40b.example", nil, 400},
		{"form empty", SignInPath, "", nil, 400},
		{"form password twice", SignInPath, "email=a%40b.example&password=x&password=y", nil, 400},
		{"form broken escape", SignInPath, "email=a%zz&password=x", nil, 400},
		{"form bad UTF-8", SignInPath, "email=a%ff&password=x", nil, 400},
		{"form multipart", SignInPath, "x", map[string]string{"Content-Type": "multipart/form-data; boundary=x"}, 415},
		{"form too large", SignInPath, "email=" + strings.Repeat("x", maxBody), nil, 413},
		{"two cookies", SignInPath, "email=a%40b.example&password=x", map[string]string{"Cookie": "__Host-crmgate=a; __Host-crmgate=b"}, 400},
		{"two cookies, json", api, good, map[string]string{"Cookie": "__Host-crmgate=a; __Host-crmgate=b"}, 400},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newFake()
			res := do(t, newPortal(b), ask{method: "POST", path: tc.path, body: tc.body, head: tc.head})
			if res.StatusCode != tc.status {
				t.Errorf("%d, want %d", res.StatusCode, tc.status)
			}
			if (b.signIns > 0) != (tc.status < 400) {
				t.Errorf("the backend saw %d attempts: a body that is not understood is acted on", b.signIns)
			}
			if strings.HasPrefix(tc.name, "two cookies") && setCookies(res)[CookieName] != "-" {
				t.Error("the planted cookie stays")
			}
		})
	}
}

// TestSignInIgnoresTheQuery holds that credentials count in the body only.
func TestSignInIgnoresTheQuery(t *testing.T) {
	b := newFake()
	res := do(t, newPortal(b), ask{method: "POST", path: SignInPath + "?email=a%40b.example&password=x", body: "a=b"})
	if res.StatusCode != 400 || b.signIns != 0 {
		t.Errorf("%d, %d attempts: passwords in addresses end up in logs", res.StatusCode, b.signIns)
	}
}

func TestShowSignIn(t *testing.T) {
	for _, tc := range []struct {
		name    string
		path    string
		token   string
		err     error
		status  int
		to      string
		has     []string
		cleared bool
	}{
		{name: "plain", path: SignInPath, status: 200, has: []string{`autocomplete="username"`, `autocomplete="current-password"`, `<label for="email">`, `<label for="password">`, `value="/"`, `value="" autofocus`, "Example CRM"}},
		{name: "way back", path: SignInPath + "?return=%2Fleads%3Fq%3D1", status: 200, has: []string{`name="return" value="/leads?q=1"`}},
		{name: "hostile way back", path: SignInPath + "?return=%2F%2Fevil.example", status: 200, has: []string{`name="return" value="/"`}},
		{name: "two ways back", path: SignInPath + "?return=%2Fa&return=%2Fb", status: 200, has: []string{`name="return" value="/"`}},
		{name: "idle", path: SignInPath + "?why=session_idle", status: 200, has: []string{"because it was idle"}},
		{name: "signed out", path: SignInPath + "?why=signed_out", status: 200, has: []string{"You are signed out."}},
		{name: "made-up reason", path: SignInPath + "?why=%3Cb%3E", status: 200},
		{name: "live session", path: SignInPath + "?return=%2Fleads", token: testToken, status: 303, to: "/leads"},
		{name: "dead session", path: SignInPath, token: otherToken, status: 200, cleared: true},
		{name: "locked", path: SignInPath, token: testToken, err: &Refusal{Reason: policy.Locked, Message: "Audit day"}, status: 200, has: []string{"Audit day", "locked"}, cleared: true},
		{name: "second step due", path: SignInPath, token: testToken, err: &Refusal{Reason: policy.SecondFactor}, status: 200, cleared: true},
		{name: "store away", path: SignInPath, token: testToken, err: &Refusal{Reason: policy.StoreUnavailable}, status: 503},
		{name: "backend broken", path: SignInPath, token: testToken, err: errBoom, status: 500},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newFake()
			b.err = tc.err
			res := do(t, newPortal(b), ask{path: tc.path, token: tc.token, head: browser})
			body := bodyOf(t, res)
			if res.StatusCode != tc.status || res.Header.Get("Location") != tc.to {
				t.Fatalf("%d to %q, want %d to %q", res.StatusCode, res.Header.Get("Location"), tc.status, tc.to)
			}
			for _, want := range tc.has {
				if !strings.Contains(body, want) {
					t.Errorf("the page lacks %s\n%s", want, body)
				}
			}
			if (setCookies(res)[CookieName] == "-") != tc.cleared {
				t.Errorf("cookie cleared: %v, want %v", !tc.cleared, tc.cleared)
			}
		})
	}
}

func TestSignedIn(t *testing.T) {
	for _, tc := range []struct {
		name, token string
		err         error
		status      int
		want        string
	}{
		{"cookie kept", testToken, nil, 303, ""},
		{"cookie not kept", "", nil, 401, "did not keep the cookie"},
		{"session not found", otherToken, nil, 401, "did not find the session"},
		{"store away", testToken, &Refusal{Reason: policy.StoreUnavailable}, 503, "not available"},
		{"second step due", testToken, &Refusal{Reason: policy.SecondFactor}, 401, "second step"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newFake()
			b.err = tc.err
			res := do(t, newPortal(b), ask{path: signedInPath + "?return=%2Fleads", token: tc.token, head: browser})
			if res.StatusCode != tc.status || !strings.Contains(bodyOf(t, res), tc.want) {
				t.Errorf("%d, want %d and %q: a person goes round in circles", res.StatusCode, tc.status, tc.want)
			}
			if tc.status == 303 && res.Header.Get("Location") != "/leads" {
				t.Errorf("to %q, want /leads", res.Header.Get("Location"))
			}
		})
	}
}

func TestFinishSignIn(t *testing.T) {
	p := withSteps(newFake())
	w := httptest.NewRecorder()
	p.FinishSignIn(w, ask{path: "/.crmgate/x"}.request(), SignInResult{Token: otherToken}, "//evil.example")
	if res := w.Result(); res.StatusCode != 303 || res.Header.Get("Location") != signedInPath || setCookies(res)[CookieName] != otherToken {
		t.Errorf("%d to %q with %v", res.StatusCode, res.Header.Get("Location"), setCookies(res))
	}
	w = httptest.NewRecorder()
	p.FinishSignIn(w, ask{path: "/.crmgate/x"}.request(), SignInResult{Token: "a;b"}, "/")
	if res := w.Result(); res.StatusCode != 500 || len(res.Cookies()) != 0 {
		t.Errorf("%d with %v: half a token is set as a session", res.StatusCode, res.Cookies())
	}
	w = httptest.NewRecorder()
	p.FinishSignIn(w, ask{path: "/.crmgate/x", token: testToken}.request(), SignInResult{Step: testStep, Next: NextEnrol}, "/")
	if res := w.Result(); res.Header.Get("Location") != StepPath || setCookies(res)[stepCookie] != testStep || setCookies(res)[CookieName] != "" {
		t.Errorf("to %q with %v: a provider's sign-in goes past the second step", res.Header.Get("Location"), setCookies(res))
	}
	w = httptest.NewRecorder()
	p.FinishSignIn(w, ask{path: "/.crmgate/x"}.request(), SignInResult{Token: otherToken, Return: "/leads/7"}, "/")
	if to := w.Header().Get("Location"); to != signedInPath+"?return=%2Fleads%2F7" {
		t.Errorf("to %q, want what the backend kept", to)
	}
}

func TestCredentialsPrintNothing(t *testing.T) {
	if s := (credentials{Email: "a", Password: testPassword}).String(); strings.Contains(s, testPassword) {
		t.Error("a password can reach a log")
	}
}

func FuzzSignInJSON(f *testing.F) {
	for _, s := range []string{`{"email":"a@b.example","password":"x"}`, `{}`, `null`, `{"email":1}`, "{\"email\":\"\xff\"}", `{"password":"x","password":"y"}`} {
		f.Add(s)
	}
	b := newFake()
	p := newPortal(b)
	f.Fuzz(func(t *testing.T, body string) {
		b.signIns = 0
		w := httptest.NewRecorder()
		p.ServeHTTP(w, ask{method: "POST", path: "/.crmgate/api/sign-in", body: body}.request())
		if (w.Code == 200) != (b.signIns == 1) || w.Code != 200 && w.Code != 400 && w.Code != 413 {
			t.Errorf("%q: %d after %d attempts", body, w.Code, b.signIns)
		}
		if b.signIns == 1 && (b.seen.Email == "" || b.seen.Password == "" || len(b.seen.Email) > maxEmail || len(b.seen.Password) > maxPassword) {
			t.Errorf("%q: the backend gets what the limits forbid", body)
		}
	})
}
