// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package portal

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/crmgate/crmgate/policy"
)

// missing returns what a page should hold and does not.
func missing(body string, want ...string) []string {
	var out []string
	for _, s := range want {
		if !strings.Contains(body, s) {
			out = append(out, s)
		}
	}
	return out
}

func TestStepPage(t *testing.T) {
	for _, tc := range []struct {
		name, query string
		change      func(*StepView)
		has, lacks  []string
	}{
		{"first method", "", nil, []string{
			`autocomplete="one-time-code"`, `inputmode="numeric"`, `<label for="code">`, `name="kind" value="totp"`,
			"Do not ask on this device for 30 days", `href="/.crmgate/step?method=recovery"`, `href="/.crmgate/step?method=mail"`,
			`action="/.crmgate/step/cancel"`, testEmail,
		}, []string{"tries are left", "Send the code", "data-passkey", `method=totp`}},
		{"last try", "", func(s *StepView) { s.TriesLeft = 1 }, []string{"This is the last try."}, nil},
		{"three tries", "", func(s *StepView) { s.TriesLeft = 3 }, []string{"3 tries are left."}, nil},
		{"no trust", "", func(s *StepView) { s.TrustDays = 0 }, nil, []string{`name="trust"`}},
		{"mail, not sent", "?method=mail", nil, []string{`action="/.crmgate/step/send"`, "Send the code", "a…@example.com"}, []string{`name="code"`}},
		{"mail, sent", "", func(s *StepView) {
			s.SentKind, s.SentTo, s.ResendAt = KindMail, "a…@example.com", testNow.Add(30*time.Second)
		}, []string{"We sent a code to a…@example.com", `name="code"`, "Send another code", "Possible in 30 seconds."}, nil},
		{"mail, may be sent again", "", func(s *StepView) {
			s.SentKind, s.ResendAt = KindMail, testNow
		}, []string{"Send another code"}, []string{"Possible in"}},
		{"recovery", "?method=recovery", nil, []string{`<label for="code">Recovery code`, `value="recovery"`}, []string{"one-time-code"}},
		{"passkey", "?method=passkey", nil, []string{
			`data-passkey="get"`, `data-request="{&#34;challenge&#34;:&#34;AA\&#34;&gt;&lt;script&gt;&#34;}"`, "data-needs-script", "factor.",
		}, []string{"data-once data-passkey"}},
		{"made-up method", "?method=%3Cb%3E", nil, []string{`value="totp"`}, nil},
		{"method nobody may use", "?method=sms", nil, []string{`value="totp"`}, nil},
		{"step-up by password", "", func(s *StepView) {
			s.StepUp, s.Methods = true, []Method{{Kind: KindPassword}}
		}, []string{`autocomplete="current-password"`, `name="password"`, ">Cancel<"}, []string{"somebody else"}},
		{"step-up at the provider", "", func(s *StepView) {
			s.StepUp, s.Methods = true, []Method{{Kind: KindProvider, Label: "Google", Provider: "google"}}
		}, []string{`href="/.crmgate/sso/google/start?for=step-up&amp;return=%2Fleads"`, "Google"}, []string{`name="code"`}},
		{"enrolment", "", func(s *StepView) {
			s.Next, s.Methods = NextEnrol, []Method{{Kind: KindTOTP}, {Kind: KindPasskey}}
		}, []string{"Set up a second step", `action="/.crmgate/step/enrol"`, `value="passkey"`}, []string{`name="code"`}},
		{"new password, expired", "", func(s *StepView) { s.Next, s.Why = NextChangePassword, "expired" }, []string{
			"too old", `action="/.crmgate/step/password"`, `name="new"`, `autocomplete="new-password"`, "At least 12 characters.", `data-rule="min_length" data-n="12"`,
		}, []string{`name="old"`}},
		{"new password, set by an admin", "", func(s *StepView) { s.Next, s.Why = NextChangePassword, "set_by_admin" }, []string{"set by an administrator"}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld()
			if tc.change != nil {
				tc.change(&w.steps.view)
			}
			res := do(t, w, ask{path: StepPath + tc.query, head: with(stepCookie, testStep)})
			body := bodyOf(t, res)
			if m := missing(body, tc.has...); res.StatusCode != 200 || len(m) > 0 {
				t.Errorf("%d, the page lacks %q\n%s", res.StatusCode, m, body)
			}
			for _, bad := range tc.lacks {
				if strings.Contains(body, bad) {
					t.Errorf("the page holds %q", bad)
				}
			}
			if strings.Contains(body, testStep) {
				t.Error("the secret of the pending sign-in is on the page")
			}
		})
	}
}

func TestStepIsOver(t *testing.T) {
	for name, head := range map[string]map[string]string{
		"unknown": with(stepCookie, otherStep), "none": browser, "no secret of ours": with(stepCookie, "x"),
	} {
		for _, a := range []ask{
			{path: StepPath},
			{method: "POST", path: StepPath, body: "kind=totp&code=" + testCode},
			{method: "POST", path: sendPath, body: "kind=mail"},
			{method: "POST", path: stepBeginPath, body: "kind=totp"},
			{method: "POST", path: stepFinishPath, body: "kind=totp&code=1"},
			{method: "POST", path: stepPasswordPath, body: "new=x&repeat=x"},
		} {
			a.head = head
			w := newWorld()
			w.factors.err, w.passwords.err = &Refusal{Reason: policy.NoSession}, &Refusal{Reason: policy.NoSession}
			res := do(t, w, a)
			if res.StatusCode == 303 && res.Header.Get("Location") == SignInPath+"?why=step_over" {
				continue
			}
			t.Errorf("%s: %s %s: %d to %q, want the sign-in page that says so", name, a.method, a.path, res.StatusCode, res.Header.Get("Location"))
		}
		if res := do(t, newWorld(), ask{path: StepPath, head: head}); name != "none" && setCookies(res)[stepCookie] != "-" {
			t.Errorf("%s: the cookie stays: every visit ends here again", name)
		}
	}
	body := bodyOf(t, do(t, newWorld(), ask{path: SignInPath + "?why=step_over", head: browser}))
	if !strings.Contains(body, "took too long") {
		t.Error("the sign-in page does not say why")
	}
	res := do(t, newWorld(), ask{path: StepPath, head: with(stepCookie, otherStep, CookieName, testToken)})
	if res.Header.Get("Location") != AccountPath+"?done=unconfirmed" {
		t.Errorf("somebody with a session is sent to %q", res.Header.Get("Location"))
	}
}

func TestStepProof(t *testing.T) {
	form := func(v ...string) string {
		u := url.Values{}
		for i := 0; i < len(v); i += 2 {
			u.Set(v[i], v[i+1])
		}
		return u.Encode()
	}
	for _, tc := range []struct {
		name   string
		body   string
		err    error
		result *SignInResult
		status int
		to     string
		has    string
		proof  FactorProof
		tried  bool
	}{
		{name: "code", body: form("kind", "totp", "code", " 492 817\t"), status: 303, to: signedInPath, proof: FactorProof{Kind: "totp", Code: testCode}, tried: true},
		{name: "code and trust", body: form("kind", "mail", "code", testCode, "trust", "on"), status: 303, to: signedInPath, proof: FactorProof{Kind: "mail", Code: testCode, Trust: true}, tried: true},
		{name: "recovery", body: form("kind", "recovery", "code", "7K3M-Q9TZ"), status: 303, to: signedInPath, proof: FactorProof{Kind: "recovery", Code: "7K3M-Q9TZ"}, tried: true},
		{name: "next step", body: form("kind", "totp", "code", testCode), result: &SignInResult{Step: testStep, Next: NextChangePassword}, status: 303, to: StepPath, tried: true, proof: FactorProof{Kind: "totp", Code: testCode}},
		{name: "wrong", body: form("kind", "totp", "code", "000000"), err: &Refusal{Reason: policy.WrongCredentials}, status: 401, has: "The code is not right", tried: true, proof: FactorProof{Kind: "totp", Code: "000000"}},
		{name: "wrong recovery code", body: form("kind", "recovery", "code", "x"), err: &Refusal{Reason: policy.WrongCredentials}, status: 401, has: "recovery code is not right", tried: true, proof: FactorProof{Kind: "recovery", Code: "x"}},
		{name: "too many", body: form("kind", "totp", "code", "1"), err: &Refusal{Reason: policy.Throttled, RetryAfter: time.Minute}, status: 429, has: "Too many", tried: true, proof: FactorProof{Kind: "totp", Code: "1"}},
		{name: "over", body: form("kind", "totp", "code", "1"), err: &Refusal{Reason: policy.NoSession}, status: 303, to: SignInPath + "?why=step_over", tried: true, proof: FactorProof{Kind: "totp", Code: "1"}},
		{name: "store away", body: form("kind", "totp", "code", "1"), err: &Refusal{Reason: policy.StoreUnavailable}, status: 503, tried: true, proof: FactorProof{Kind: "totp", Code: "1"}},
		{name: "locked", body: form("kind", "totp", "code", "1"), err: &Refusal{Reason: policy.Locked}, status: 403, tried: true, proof: FactorProof{Kind: "totp", Code: "1"}},
		{name: "result without a token", body: form("kind", "totp", "code", "1"), result: &SignInResult{}, status: 500, tried: true, proof: FactorProof{Kind: "totp", Code: "1"}},
		{name: "empty", body: "", status: 400, has: "Enter the code."},
		{name: "no code", body: form("kind", "totp"), status: 400, has: "Enter the code."},
		{name: "no kind", body: form("code", testCode), status: 400},
		{name: "unknown kind", body: form("kind", "magic", "code", testCode), status: 400},
		{name: "provider is not proved here", body: form("kind", "provider", "code", testCode), status: 400},
		{name: "code too long", body: form("kind", "totp", "code", strings.Repeat("1", maxCode+1)), status: 400},
		{name: "passkey without response", body: form("kind", "passkey", "code", testCode), status: 400},
		{name: "code and password", body: form("kind", "totp", "code", testCode, "password", "x"), status: 400},
		{name: "two codes", body: "kind=totp&code=1&code=2", status: 400},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld()
			w.steps.proveErr, w.steps.view.Return = tc.err, ""
			if tc.result != nil {
				w.steps.result = *tc.result
			}
			res := do(t, w, ask{method: "POST", path: StepPath, head: with(stepCookie, testStep), body: tc.body})
			body := bodyOf(t, res)
			if res.StatusCode != tc.status || res.Header.Get("Location") != tc.to || !strings.Contains(body, tc.has) {
				t.Errorf("%d to %q, want %d to %q with %q\n%s", res.StatusCode, res.Header.Get("Location"), tc.status, tc.to, tc.has, body)
			}
			if (len(w.steps.proofs) == 1) != tc.tried {
				t.Errorf("%d proofs reach the backend, want %v: tries are lost on what is none, or the check is passed by", len(w.steps.proofs), tc.tried)
			}
			if tc.tried {
				p := w.steps.proofs[0]
				if p.Kind != tc.proof.Kind || p.Code != tc.proof.Code || p.Trust != tc.proof.Trust {
					t.Errorf("the backend sees kind %q, code %q, trust %v", p.Kind, p.Code, p.Trust)
				}
			}
			c := setCookies(res)
			if done := tc.to == signedInPath; (c[CookieName] == otherToken) != done || done && c[stepCookie] != "-" {
				t.Errorf("cookies %v: half a sign-in is a whole one, or its secret stays", c)
			}
		})
	}
}

func TestStepUpEndsTheOldSessionAndTakesANewID(t *testing.T) {
	w := newWorld()
	res := do(t, w, ask{method: "POST", path: StepPath, head: with(stepCookie, testStep, CookieName, testToken), body: "kind=totp&code=1"})
	if setCookies(res)[CookieName] != otherToken || len(w.backend.signedOut) != 1 || w.backend.signedOut[0] != testToken {
		t.Errorf("cookies %v, signed out %v: the id from before the proof is still good", setCookies(res), w.backend.signedOut)
	}
}

func TestTrustedDeviceCookie(t *testing.T) {
	w := newWorld()
	w.steps.result.Device, w.steps.result.DeviceEnds = testDevice, testNow.Add(30*24*time.Hour)
	res := do(t, w, ask{method: "POST", path: StepPath, head: with(stepCookie, testStep), body: "kind=totp&code=1&trust=on"})
	for _, c := range res.Cookies() {
		if c.Name == DeviceCookie && c.Value == testDevice && c.MaxAge == 30*24*3600 {
			res = nil
			break
		}
	}
	if res != nil {
		t.Errorf("%v: the device is asked again tomorrow", res.Cookies())
	}
	res = do(t, w, ask{method: "POST", path: SignInPath, head: with(DeviceCookie, testDevice), body: signInForm(testEmail, "x", "/")})
	if w.backend.seen.Device != testDevice || setCookies(res)[DeviceCookie] != "" {
		t.Error("the backend does not see the device, or it is forgotten")
	}
	do(t, w, ask{method: "POST", path: SignInPath, head: with(DeviceCookie, "a b"), body: signInForm(testEmail, "x", "/")})
	if w.backend.seen.Device != "" {
		t.Error("a value that is none of ours reaches the backend")
	}
	if res := do(t, w, ask{method: "POST", path: SignOutPath, head: with(CookieName, testToken, DeviceCookie, testDevice)}); setCookies(res)[DeviceCookie] != "" {
		t.Error("signing out forgets the device")
	}
}

func TestSendCode(t *testing.T) {
	for _, tc := range []struct {
		kind   string
		err    error
		status int
		to     string
		sent   int
	}{
		{"mail", nil, 303, StepPath + "?method=mail", 1},
		{"sms", nil, 303, StepPath + "?method=sms", 1},
		{"mail", &Refusal{Reason: policy.Throttled, RetryAfter: 20 * time.Second}, 429, "", 0},
		{"mail", &Refusal{Reason: policy.UpstreamFailed}, 502, "", 0},
		{"totp", nil, 400, "", 0},
		{"mail%0d%0aX: y", nil, 400, "", 0},
	} {
		w := newWorld()
		w.steps.sendErr = tc.err
		res := do(t, w, ask{method: "POST", path: sendPath, head: with(stepCookie, testStep), body: "kind=" + tc.kind})
		if res.StatusCode != tc.status || res.Header.Get("Location") != tc.to || len(w.steps.sent) != tc.sent {
			t.Errorf("%s: %d to %q, %v sent", tc.kind, res.StatusCode, res.Header.Get("Location"), w.steps.sent)
		}
		if tc.status == 429 && !strings.Contains(bodyOf(t, res), "Try again in 20 seconds") {
			t.Error("nobody learns when another code can be sent")
		}
	}
}

func TestCancelStep(t *testing.T) {
	w := newWorld()
	res := do(t, w, ask{method: "POST", path: cancelPath, head: with(stepCookie, testStep)})
	if w.steps.cancelled != 1 || setCookies(res)[stepCookie] != "-" || res.Header.Get("Location") != SignInPath {
		t.Errorf("%d cancelled, %v, to %q", w.steps.cancelled, setCookies(res), res.Header.Get("Location"))
	}
	w = newWorld()
	w.steps.err = &Refusal{Reason: policy.StoreUnavailable}
	if res := do(t, w, ask{method: "POST", path: cancelPath, head: with(stepCookie, testStep)}); res.StatusCode != 503 || len(res.Cookies()) != 0 {
		t.Errorf("%d %v: a sign-in that could not be ended is called ended", res.StatusCode, res.Cookies())
	}
}

func TestStepAPI(t *testing.T) {
	w := newWorld()
	head := map[string]string{StepHeader: testStep}
	m := object(t, do(t, w, ask{path: apiPrefix + "step", head: head}))
	if m["next"] != NextSecondFactor || m["tries_left"] != 5.0 || m["trust_days"] != 30.0 || len(m["methods"].([]any)) != 4 {
		t.Errorf("%v: an app does not learn what is due", m)
	}
	if m := object(t, do(t, w, ask{method: "POST", path: apiPrefix + "step/code", head: head, body: `{"kind":"mail"}`})); m["next"] != NextSecondFactor || len(w.steps.sent) != 1 {
		t.Errorf("%v, sent %v", m, w.steps.sent)
	}
	if m := object(t, do(t, w, ask{method: "POST", path: apiPrefix + "step/passkey", head: head})); m["request"] == nil {
		t.Errorf("%v: no challenge", m)
	}
	m = object(t, do(t, w, ask{method: "POST", path: apiPrefix + "step/prove", head: head, body: `{"kind":"passkey","response":{"id":"x"},"trust":true}`}))
	if m["session"] == nil || string(w.steps.proofs[0].Response) != `{"id":"x"}` || !w.steps.proofs[0].Trust {
		t.Errorf("%v %v", m, w.steps.proofs)
	}
	w.steps.proveErr = &Refusal{Reason: policy.WrongCredentials}
	m = object(t, do(t, w, ask{method: "POST", path: apiPrefix + "step/prove", head: head, body: `{"kind":"totp","code":"1"}`}))
	if m["reason"] != "wrong_credentials" || m["detail"] != wrongProof(KindTOTP) {
		t.Errorf("%v: an app shows the wrong sentence", m)
	}
	if res := do(t, w, ask{method: "DELETE", path: apiPrefix + "step", head: head}); res.StatusCode != 204 || w.steps.cancelled != 1 {
		t.Errorf("%d, %d cancelled", res.StatusCode, w.steps.cancelled)
	}
	m = object(t, do(t, w, ask{method: "POST", path: apiPrefix + "step-up", token: testToken}))
	if m["step"] != testStep || m["next"] != NextSecondFactor {
		t.Errorf("%v: an app cannot begin a step-up", m)
	}
}

func TestStepAPIRefuses(t *testing.T) {
	for _, tc := range []struct {
		name, method, path, body string
		head                     map[string]string
		status                   int
	}{
		{"no step", "GET", "step", "", nil, 401},
		{"unknown step", "GET", "step", "", map[string]string{StepHeader: otherStep}, 401},
		{"no secret of ours", "GET", "step", "", map[string]string{StepHeader: "a b"}, 400},
		{"header wins over cookie", "GET", "step", "", map[string]string{StepHeader: otherStep, "Cookie": cookies(stepCookie, testStep)}, 401},
		{"cookie", "GET", "step", "", map[string]string{"Cookie": cookies(stepCookie, testStep)}, 200},
		{"a session is no step", "GET", "step", "", map[string]string{"Cookie": cookies(CookieName, testStep)}, 401},
		{"empty proof", "POST", "step/prove", `{}`, map[string]string{StepHeader: testStep}, 400},
		{"null proof", "POST", "step/prove", `null`, map[string]string{StepHeader: testStep}, 400},
		{"no body", "POST", "step/prove", ``, map[string]string{StepHeader: testStep}, 400},
		{"unknown member", "POST", "step/prove", `{"kind":"totp","code":"1","done":true}`, map[string]string{StepHeader: testStep}, 400},
		{"kind twice", "POST", "step/prove", `{"kind":"totp","kind":"mail","code":"1"}`, map[string]string{StepHeader: testStep}, 400},
		{"code and response", "POST", "step/prove", `{"kind":"totp","code":"1","response":{}}`, map[string]string{StepHeader: testStep}, 400},
		{"trust is no text", "POST", "step/prove", `{"kind":"totp","code":"1","trust":"on"}`, map[string]string{StepHeader: testStep}, 400},
		{"challenge with a body", "POST", "step/passkey", `{"x":1}`, map[string]string{StepHeader: testStep}, 400},
		{"step-up without a session", "POST", "step-up", ``, map[string]string{StepHeader: testStep}, 401},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld()
			if res := do(t, w, ask{method: tc.method, path: apiPrefix + tc.path, head: tc.head, body: tc.body}); res.StatusCode != tc.status || len(w.steps.proofs) != 0 {
				t.Errorf("%d, %d proofs, want %d and none: a step is inferred from what is not there", res.StatusCode, len(w.steps.proofs), tc.status)
			}
		})
	}
}

func TestStepUpDoesNotGoRoundInCircles(t *testing.T) {
	w := newWorld()
	w.steps.upErr = &Refusal{Reason: policy.StepUp}
	if res := do(t, w, ask{method: "POST", path: StepUpPath, token: testToken, head: browser}); res.StatusCode != 401 {
		t.Errorf("%d to %q", res.StatusCode, res.Header.Get("Location"))
	}
	res := refuseOf(t, newWorld().Portal, ask{path: "/.crmgate/console", head: browser}, Refusal{Reason: policy.StepUp})
	if res.Header.Get("Location") != StepUpPath+"?return=%2F.crmgate%2Fconsole" {
		t.Errorf("to %q, want the question", res.Header.Get("Location"))
	}
	if res := refuseOf(t, newPortal(newFake()), ask{path: "/x", head: browser}, Refusal{Reason: policy.StepUp}); res.StatusCode != 401 {
		t.Errorf("without steps %d, want 401", res.StatusCode)
	}
	if m := object(t, refuseOf(t, newWorld().Portal, ask{path: "/x"}, Refusal{Reason: policy.StepUp})); m["next"] != "step_up" || m["reason"] != "step_up" {
		t.Errorf("%v: an app does not learn that a proof is due", m)
	}
}

func FuzzStepProveJSON(f *testing.F) {
	for _, s := range []string{`{"kind":"totp","code":"1"}`, `{"kind":"passkey","response":{}}`, `{"kind":"password","sealed":"a.b"}`, `{}`, `null`, "{\"code\":\"\xff\"}"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		w := newWorld()
		res := do(t, w, ask{method: "POST", path: apiPrefix + "step/prove", head: map[string]string{StepHeader: testStep}, body: body})
		if (res.StatusCode == 200) != (len(w.steps.proofs) == 1) || res.StatusCode != 200 && res.StatusCode != 400 && res.StatusCode != 413 {
			t.Errorf("%q: %d after %d proofs", body, res.StatusCode, len(w.steps.proofs))
		}
		if len(w.steps.proofs) == 1 && !w.steps.proofs[0].complete() {
			t.Errorf("%q: half a proof reaches the backend", body)
		}
	})
}
