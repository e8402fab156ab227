// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package portal

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/crmgate/crmgate/policy"
)

func TestChangePassword(t *testing.T) {
	for _, tc := range []struct {
		name, body string
		err        error
		status     int
		to, has    string
		called     bool
	}{
		{"changed", "old=a&new=b&repeat=b", nil, 303, AccountPath + "?done=password", "", true},
		{"wrong old one", "old=a&new=b&repeat=b", &Refusal{Reason: policy.WrongCredentials}, 401, "", "present password is not right", true},
		{"weak", "old=a&new=weak&repeat=weak", nil, 422, "", `data-met="no">At least 12`, true},
		{"confirm first", "old=a&new=b&repeat=b", &Refusal{Reason: policy.StepUp}, 303, StepPath, "", true},
		{"throttled", "old=a&new=b&repeat=b", &Refusal{Reason: policy.Throttled}, 429, "", "Too many", true},
		{"entries differ", "old=a&new=b&repeat=c", nil, 400, "", "entries of the new password differ", false},
		{"no old one", "new=b&repeat=b", nil, 400, "", "Fill in every field", false},
		{"nothing", "", nil, 400, "", "Fill in every field", false},
		{"too long", "old=a&new=" + strings.Repeat("b", maxPassword+1) + "&repeat=" + strings.Repeat("b", maxPassword+1), nil, 400, "", "Fill in", false},
		{"sealed where it is not", "sealed=" + testSealed, nil, 400, "", "cannot be processed", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld()
			w.passwords.err = tc.err
			res := do(t, w, ask{method: "POST", path: passwordPath, token: testToken, head: browser, body: tc.body})
			body := bodyOf(t, res)
			if res.StatusCode != tc.status || res.Header.Get("Location") != tc.to || !strings.Contains(body, tc.has) || (len(w.passwords.changes) > 0) != tc.called {
				t.Errorf("%d to %q, %d calls, want %d to %q with %q\n%s", res.StatusCode, res.Header.Get("Location"), len(w.passwords.changes), tc.status, tc.to, tc.has, body)
			}
			if (setCookies(res)[CookieName] == otherToken) != (tc.name == "changed") {
				t.Errorf("cookies %v: the session keeps its id over a change of password, or loses it without one", setCookies(res))
			}
			if strings.Contains(body, `value="a"`) || strings.Contains(body, `value="b"`) {
				t.Error("a password is on the page")
			}
		})
	}
}

func TestForcedChangeOfPassword(t *testing.T) {
	w := newWorld()
	w.steps.view.Next = NextChangePassword
	res := do(t, w, ask{method: "POST", path: stepPasswordPath, head: with(stepCookie, testStep), body: "new=b&repeat=b"})
	if res.StatusCode != 303 || setCookies(res)[CookieName] != otherToken || w.passwords.tickets[0] != (Ticket{Step: testStep}) {
		t.Errorf("%d %v %v", res.StatusCode, setCookies(res), w.passwords.tickets)
	}
	res = do(t, w, ask{method: "POST", path: stepPasswordPath, head: with(stepCookie, testStep), body: "new=weak&repeat=weak"})
	if body := bodyOf(t, res); res.StatusCode != 422 || !strings.Contains(body, `action="/.crmgate/step/password"`) || len(res.Cookies()) != 0 {
		t.Errorf("%d %v\n%s", res.StatusCode, res.Cookies(), body)
	}
	res = do(t, w, ask{method: "POST", path: apiPrefix + "password/change", head: map[string]string{StepHeader: testStep}, body: `{"new_password":"weak"}`})
	m := object(t, res)
	if rules, _ := m["rules"].([]any); res.StatusCode != 422 || m["reason"] != "weak_password" || len(rules) != 2 {
		t.Errorf("%d %v: an app does not learn which rule is broken", res.StatusCode, m)
	}
}

// TestPasswordEncryptionFailsClosed holds every place that takes a password.
func TestPasswordEncryptionFailsClosed(t *testing.T) {
	const clear = "c1earPassword"
	step := map[string]string{StepHeader: testStep}
	for _, tc := range []struct {
		name   string
		ask    ask
		sealed string // the same with the sealed form
		seen   func(*world) (clear, sealed string)
	}{
		{
			"sign-in",
			ask{path: SignInPath, head: browser, body: "email=a%40b.example&password=" + clear},
			"email=a%40b.example&sealed=" + testSealed,
			func(w *world) (string, string) { return w.backend.seen.Password, w.backend.seen.Sealed },
		},
		{
			"sign-in, json",
			ask{path: apiPrefix + "sign-in", body: `{"email":"a@b.example","password":"` + clear + `"}`},
			`{"email":"a@b.example","sealed":"` + testSealed + `"}`,
			func(w *world) (string, string) { return w.backend.seen.Password, w.backend.seen.Sealed },
		},
		{"step", ask{path: StepPath, head: with(stepCookie, testStep), body: "kind=password&password=" + clear}, "kind=password&sealed=" + testSealed, proofSeen},
		{"step, json", ask{path: apiPrefix + "step/prove", head: step, body: `{"kind":"password","password":"` + clear + `"}`}, `{"kind":"password","sealed":"` + testSealed + `"}`, proofSeen},
		{"change", ask{path: passwordPath, head: with(CookieName, testToken), body: "old=a&new=" + clear + "&repeat=" + clear}, "sealed=" + testSealed, changeSeen},
		{"change, json", ask{path: apiPrefix + "password/change", token: testToken, body: `{"password":"a","new_password":"` + clear + `"}`}, `{"sealed":"` + testSealed + `"}`, changeSeen},
		{"forced change", ask{path: stepPasswordPath, head: with(stepCookie, testStep), body: "new=" + clear + "&repeat=" + clear}, "sealed=" + testSealed, changeSeen},
		{"reset", ask{path: ResetPath, head: browser, body: "link=" + testLink + "&new=" + clear + "&repeat=" + clear}, "link=" + testLink + "&sealed=" + testSealed, changeSeen},
		{"reset, json", ask{path: apiPrefix + "password/reset", body: `{"link":"` + testLink + `","new_password":"` + clear + `"}`}, `{"link":"` + testLink + `","sealed":"` + testSealed + `"}`, changeSeen},
		{"check", ask{path: apiPrefix + "password/check", token: testToken, body: `{"password":"` + clear + `"}`}, "", nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.ask.method = "POST"
			w := newWorld()
			w.entry.open.Encrypt, w.steps.view.Next = true, NextChangePassword
			res := do(t, w, tc.ask)
			if want := map[bool]int{true: 404, false: 400}[tc.seen == nil]; res.StatusCode != want || w.deeds() != 0 {
				t.Errorf("a password in clear: %d, %d calls, want %d and none", res.StatusCode, w.deeds(), want)
			}
			if strings.Contains(bodyOf(t, res), clear) {
				t.Error("it is sent back")
			}
			if tc.seen == nil {
				return
			}
			tc.ask.body = tc.sealed
			if res := do(t, w, tc.ask); res.StatusCode >= 400 {
				t.Errorf("a sealed one: %d", res.StatusCode)
			}
			if c, s := tc.seen(w); c != "" || s != testSealed {
				t.Errorf("the backend sees %q and %q", c, s)
			}
			w = newWorld()
			w.entry.open.Encrypt, w.steps.view.Next = false, NextChangePassword
			if res := do(t, w, tc.ask); res.StatusCode != 400 || w.deeds() != 0 {
				t.Errorf("a sealed one while nothing is encrypted: %d, %d calls", res.StatusCode, w.deeds())
			}
			w = newWorld()
			w.entry.err = &Refusal{Reason: policy.StoreUnavailable}
			if res := do(t, w, tc.ask); res.StatusCode != 503 || w.deeds() != 0 {
				t.Errorf("while nobody knows whether passwords are encrypted: %d, %d calls, want 503 and none", res.StatusCode, w.deeds())
			}
		})
	}
	for _, bad := range []string{testSealed + "=", "a b", strings.Repeat("a", maxSealed+1)} {
		w := newWorld()
		w.entry.open.Encrypt = true
		if res := do(t, w, ask{method: "POST", path: apiPrefix + "sign-in", body: fmt.Sprintf(`{"email":"a@b.example","sealed":%q}`, bad)}); res.StatusCode != 400 || w.deeds() != 0 {
			t.Errorf("sealed %.20q: %d, %d calls", bad, res.StatusCode, w.deeds())
		}
	}
}

func proofSeen(w *world) (string, string) {
	return w.steps.proofs[0].Password, w.steps.proofs[0].Sealed
}

func changeSeen(w *world) (string, string) {
	return w.passwords.changes[0].New + w.passwords.changes[0].Old, w.passwords.changes[0].Sealed
}

// TestEncryptedFormsSendNothingInClear: without the script the fields have no
// names, so a browser has nothing to send.
func TestEncryptedFormsSendNothingInClear(t *testing.T) {
	w := newWorld()
	w.entry.open.Encrypt = true
	for name, a := range map[string]ask{
		"sign-in": {path: SignInPath, head: browser},
		"change":  {path: passwordPath, head: with(CookieName, testToken)},
		"reset":   {path: ResetPath + "?link=" + testLink, head: browser},
		"step-up": {path: StepPath, head: with(stepCookie, testStep)},
	} {
		w.steps.view.Methods = []Method{{Kind: KindPassword}}
		body := bodyOf(t, do(t, w, a))
		for line := range strings.Lines(body) {
			if strings.Contains(line, `type="password"`) && (strings.Contains(line, " name=") || !strings.Contains(line, `autocomplete="off"`)) {
				t.Errorf("%s: %s: sent in clear without the script, or remembered", name, line)
			}
		}
		if m := missing(body, `data-seal="/.crmgate/assets/seal.`, `data-key="/.crmgate/api/password/key"`, "data-needs-script", "password.", `autocomplete="off"`); len(m) > 0 {
			t.Errorf("%s: the page lacks %q", name, m)
		}
		if strings.Contains(body, "data-check") {
			t.Errorf("%s: the page sends what is typed to be checked, in clear", name)
		}
	}
	w.entry.open.Encrypt = false
	if body := bodyOf(t, do(t, w, ask{path: passwordPath, token: testToken, head: browser})); !strings.Contains(body, `data-check="/.crmgate/api/password/check"`) || strings.Contains(body, "data-seal") {
		t.Error("without encryption the page does not check, or encrypts")
	}
}

func TestForgotSaysTheSameToEverybody(t *testing.T) {
	pages, calls := map[string]bool{}, map[string]bool{}
	for _, err := range []error{nil, &Refusal{Reason: policy.NoSession}, &Refusal{Reason: policy.Deactivated}, &Refusal{Reason: policy.WrongCredentials}, &Refusal{Reason: policy.Locked}, &Refusal{Reason: policy.RowDenied}} {
		w := newWorld()
		w.passwords.err = err
		res := do(t, w, ask{method: "POST", path: ForgotPath, head: browser, body: "email=+ann%40example.com+"})
		pages[fmt.Sprint(res.StatusCode, res.Header, bodyOf(t, res))] = true
		res = do(t, w, ask{method: "POST", path: apiPrefix + "password/forgot", body: `{"email":"ann@example.com"}`})
		calls[fmt.Sprint(res.StatusCode, res.Header, bodyOf(t, res))] = true
		if len(w.passwords.forgot) != 2 || w.passwords.forgot[0] != testEmail {
			t.Errorf("the backend sees %q", w.passwords.forgot)
		}
	}
	if len(pages) != 1 || len(calls) != 1 {
		t.Errorf("%d pages and %d answers, want one of each: somebody can find out who has an account", len(pages), len(calls))
	}
	w := newWorld()
	w.passwords.err = &Refusal{Reason: policy.Throttled}
	if res := do(t, w, ask{method: "POST", path: ForgotPath, head: browser, body: "email=a%40b.example"}); res.StatusCode != 429 {
		t.Errorf("throttled: %d", res.StatusCode)
	}
	if res := do(t, w, ask{method: "POST", path: ForgotPath, head: browser, body: "email="}); res.StatusCode != 400 || !strings.Contains(bodyOf(t, res), "Enter your e-mail") {
		t.Errorf("no address: %d", res.StatusCode)
	}
	w.entry.open.Forgot = false
	for _, a := range []ask{{path: ForgotPath}, {method: "POST", path: ForgotPath, body: "email=a%40b.example"}, {method: "POST", path: apiPrefix + "password/forgot", body: `{"email":"a@b.example"}`}} {
		if res := do(t, w, a); res.StatusCode != 404 {
			t.Errorf("%s %s while it is off: %d, want 404", a.method, a.path, res.StatusCode)
		}
	}
}

func TestResetByLink(t *testing.T) {
	w := newWorld()
	for range 3 { // a scanner of mails, then the person
		res := do(t, w, ask{path: ResetPath + "?link=" + testLink, head: browser})
		body := bodyOf(t, res)
		if m := missing(body, `type="hidden" name="link" value="`+testLink+`"`, `name="new"`); len(m) > 0 || res.Header.Get("Referrer-Policy") != "no-referrer" {
			t.Errorf("the page lacks %q, Referrer-Policy %q", m, res.Header.Get("Referrer-Policy"))
		}
	}
	if w.deeds() != 0 {
		t.Fatal("opening the link uses it up: mail scanners do")
	}
	if body := bodyOf(t, do(t, w, ask{path: ResetPath, head: browser})); !strings.Contains(body, `<label for="link">Link from the mail`) {
		t.Error("without a script there is no place for the link")
	}
	for _, tc := range []struct {
		name, body string
		status     int
		to         string
		called     bool
	}{
		{"weak", "link=" + testLink + "&new=weak&repeat=weak", 422, "", true},
		{"differ", "link=" + testLink + "&new=a&repeat=b", 400, "", false},
		{"done", "link=" + testLink + "&new=a&repeat=a", 303, SignInPath + "?why=reset", true},
		{"pasted whole", "link=" + "https%3A%2F%2Fcrm.example.com%2F.crmgate%2Freset%23" + testLink + "&new=a&repeat=a", 303, SignInPath + "?why=reset", true},
		{"another one", "link=" + otherToken + "&new=a&repeat=a", 401, "", true},
		{"none", "link=&new=a&repeat=a", 401, "", false},
		{"no link of ours", "link=a+b&new=a&repeat=a", 401, "", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld()
			res := do(t, w, ask{method: "POST", path: ResetPath, head: with(CookieName, testToken), body: tc.body})
			if res.StatusCode != tc.status || res.Header.Get("Location") != tc.to || (len(w.passwords.links) > 0) != tc.called {
				t.Errorf("%d to %q, links %q", res.StatusCode, res.Header.Get("Location"), w.passwords.links)
			}
			if c := setCookies(res)[CookieName]; tc.status == 303 && c != "-" || c != "" && c != "-" {
				t.Errorf("cookies %v: a link signs somebody in, or leaves a session over", setCookies(res))
			}
			if tc.called && tc.status != 401 && w.passwords.links[0] != testLink {
				t.Errorf("the backend sees %q", w.passwords.links)
			}
		})
	}
	res := do(t, w, ask{method: "POST", path: apiPrefix + "password/reset", body: `{"link":"` + testLink + `","new_password":"a"}`})
	if res.StatusCode != 204 || len(res.Cookies()) != 0 {
		t.Errorf("api: %d %v", res.StatusCode, res.Cookies())
	}
	if got := ResetURL("https://crm.example.com", testLink); got != "https://crm.example.com/.crmgate/reset#"+testLink {
		t.Errorf("ResetURL = %q: the link reaches logs", got)
	}
}

func TestPasswordCheckAndRules(t *testing.T) {
	w := newWorld()
	m := object(t, do(t, w, ask{path: apiPrefix + "password/rules"}))
	if rules, _ := m["rules"].([]any); len(rules) != 2 || rules[0].(map[string]any)["kind"] != "min_length" {
		t.Errorf("%v", m)
	}
	m = object(t, do(t, w, ask{method: "POST", path: apiPrefix + "password/check", token: testToken, body: `{"password":"x"}`}))
	if m["score"] != 3.0 || w.passwords.tickets[0] != (Ticket{Session: testToken}) {
		t.Errorf("%v", m)
	}
	do(t, w, ask{method: "POST", path: apiPrefix + "password/check", body: `{"password":"x","link":"` + testLink + `"}`})
	if w.passwords.tickets[1] != (Ticket{Link: testLink}) {
		t.Error("a link does not count")
	}
	w = newWorld()
	if res := do(t, w, ask{method: "POST", path: apiPrefix + "password/check", body: `{"password":"x"}`}); res.StatusCode != 401 || w.deeds() != 0 {
		t.Errorf("nobody: %d, %d calls: anybody can have passwords judged, which is work", res.StatusCode, w.deeds())
	}
}

func TestSecretsPrintNothing(t *testing.T) {
	for _, v := range []any{
		SignInRequest{Password: testPassword, Sealed: testPassword},
		SignInResult{Token: testPassword, Step: testPassword, Device: testPassword},
		FactorProof{Code: testPassword, Password: testPassword},
		PasswordChange{Old: testPassword, New: testPassword},
		Ticket{Session: testPassword},
		EnrolView{Secret: testPassword, URI: testPassword},
		EnrolProof{Code: testPassword},
		EnrolDone{Recovery: []string{testPassword}},
		&WeakPassword{Rules: testRules},
	} {
		for _, verb := range []string{"%v", "%s", "%+v"} {
			if s := fmt.Sprintf(verb, v); strings.Contains(s, testPassword) {
				t.Errorf("%T prints its secret with %s", v, verb)
			}
		}
	}
	var _ http.Handler = newWorld()
}
