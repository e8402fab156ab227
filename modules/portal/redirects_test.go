// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package portal

import (
	"encoding/json"
	"html"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

var (
	returnField = regexp.MustCompile(`name="return" value="([^"]*)"`)
	startLink   = regexp.MustCompile(`href="(/\.crmgate/sso/[^"]*)"`)
)

// placesOfReturn are all places that take a return target, from a request or from
// the Backend. Each returns every address the browser would be sent to by it.
var placesOfReturn = map[string]func(t *testing.T, w *world, raw string) []string{
	"sign-in page": func(t *testing.T, w *world, raw string) []string {
		res := do(t, w, ask{path: SignInPath + "?return=" + url.QueryEscape(raw), head: browser})
		var out []string
		body := bodyOf(t, res)
		for _, m := range returnField.FindAllStringSubmatch(body, -1) {
			out = append(out, html.UnescapeString(m[1]))
		}
		for _, m := range startLink.FindAllStringSubmatch(body, -1) {
			out = append(out, queryReturn(t, html.UnescapeString(m[1])))
		}
		if len(out) != 4 {
			t.Fatalf("%d places on the page, want 4: the test does not look at all of them", len(out))
		}
		return out
	},
	"sign-in of somebody who is signed in": func(t *testing.T, w *world, raw string) []string {
		return []string{do(t, w, ask{path: SignInPath + "?return=" + url.QueryEscape(raw), token: testToken, head: browser}).Header.Get("Location")}
	},
	"sign-in form": func(t *testing.T, w *world, raw string) []string {
		res := do(t, w, ask{method: "POST", path: SignInPath, head: browser, body: signInForm(testEmail, "x", raw)})
		if res.StatusCode == 400 { // no UTF-8
			return nil
		}
		return []string{queryReturn(t, res.Header.Get("Location")), w.backend.seen.Return}
	},
	"passkey form": func(t *testing.T, w *world, raw string) []string {
		res := do(t, w, ask{method: "POST", path: passkeyPath, head: browser, body: url.Values{"flow": {testFlow}, "response": {"{}"}, "return": {raw}}.Encode()})
		if res.StatusCode == 400 {
			return nil
		}
		return []string{queryReturn(t, res.Header.Get("Location")), w.entry.seen.Return}
	},
	"check page": func(t *testing.T, w *world, raw string) []string {
		return []string{do(t, w, ask{path: signedInPath + "?return=" + url.QueryEscape(raw), token: testToken, head: browser}).Header.Get("Location")}
	},
	"step, kept by the backend": func(t *testing.T, w *world, raw string) []string {
		w.steps.result.Return = raw
		res := do(t, w, ask{method: "POST", path: StepPath, head: with(stepCookie, testStep), body: "kind=totp&code=" + testCode})
		return []string{queryReturn(t, res.Header.Get("Location"))}
	},
	"step page's provider": func(t *testing.T, w *world, raw string) []string {
		w.steps.view.Return, w.steps.view.Methods = raw, []Method{{Kind: KindProvider, Provider: "google"}}
		m := startLink.FindStringSubmatch(bodyOf(t, do(t, w, ask{path: StepPath, head: with(stepCookie, testStep)})))
		return []string{queryReturn(t, html.UnescapeString(m[1]))}
	},
	"step-up page": func(t *testing.T, w *world, raw string) []string {
		body := bodyOf(t, do(t, w, ask{path: StepUpPath + "?return=" + url.QueryEscape(raw), token: testToken, head: browser}))
		return []string{html.UnescapeString(returnField.FindStringSubmatch(body)[1])}
	},
	"step-up form": func(t *testing.T, w *world, raw string) []string {
		do(t, w, ask{method: "POST", path: StepUpPath, token: testToken, head: browser, body: url.Values{"return": {raw}}.Encode()})
		return w.steps.ups
	},
	"provider's start": func(t *testing.T, w *world, raw string) []string {
		do(t, w, ask{path: "/.crmgate/sso/google/start?return=" + url.QueryEscape(raw), head: browser})
		return []string{w.ssoSeen.URL.Query().Get("return"), queryReturn(t, w.ssoSeen.RequestURI)}
	},
	"provider's failure": func(t *testing.T, w *world, raw string) []string {
		rec := httptest.NewRecorder()
		w.SSOFailed(rec, ask{path: "/.crmgate/sso/google/callback", head: browser}.request(), SSOFailure{Provider: "google", Return: raw})
		return []string{queryReturn(t, html.UnescapeString(startLink.FindStringSubmatch(rec.Body.String())[1]))}
	},
	"finished elsewhere": func(t *testing.T, w *world, raw string) []string {
		rec := httptest.NewRecorder()
		w.FinishSignIn(rec, ask{path: "/.crmgate/x"}.request(), SignInResult{Token: otherToken}, raw)
		return []string{queryReturn(t, rec.Header().Get("Location"))}
	},
	"sign-out": func(t *testing.T, w *world, raw string) []string {
		res := do(t, w, ask{method: "POST", path: SignOutPath + "?return=" + url.QueryEscape(raw), token: testToken, head: browser, body: url.Values{"return": {raw}}.Encode()})
		return []string{res.Header.Get("Location")}
	},
	"refusal": func(t *testing.T, w *world, raw string) []string {
		rec := httptest.NewRecorder()
		w.Refuse(rec, ask{path: "/x", head: browser}.request(), Refusal{Reason: "no_session", Return: raw})
		return []string{queryReturn(t, rec.Header().Get("Location"))}
	},
	"kept form": func(t *testing.T, w *world, raw string) []string {
		res := do(t, w, ask{method: "POST", path: KeptPath + "/drop?return=" + url.QueryEscape(raw), head: with(keptCookie, testKept), body: url.Values{"return": {raw}}.Encode()})
		if res.StatusCode == 400 {
			return nil
		}
		return []string{res.Header.Get("Location")}
	},
	"json": func(t *testing.T, w *world, raw string) []string {
		body, _ := json.Marshal(map[string]string{"email": testEmail, "password": "x"})
		do(t, w, ask{method: "POST", path: apiPrefix + "sign-in?return=" + url.QueryEscape(raw), body: string(body)})
		return []string{w.backend.seen.Return}
	},
}

// queryReturn takes an address of ours apart; what is in its query is where the
// browser goes later, "/" when nothing is.
func queryReturn(t *testing.T, location string) string {
	t.Helper()
	u, err := url.Parse(location)
	if err != nil || u.Host != "" || !strings.HasPrefix(location, Prefix) {
		t.Errorf("sent to %q, want an address of ours", location)
		return "//"
	}
	if all := u.Query()["return"]; len(all) > 0 {
		return all[0]
	}
	return "/"
}

// TestOpenRedirectsEverywhere holds the whole corpus against every place that
// takes a return target.
func TestOpenRedirectsEverywhere(t *testing.T) {
	all := corpus(t, "open-redirects.txt")
	for place, send := range placesOfReturn {
		t.Run(place, func(t *testing.T) {
			t.Parallel()
			for _, raw := range all {
				for _, to := range send(t, newWorld(), raw) {
					if to != SignInPath+"?why=signed_out" && !staysHere(to) {
						t.Fatalf("%q leads to %q: a person who signs in can be sent to a foreign site", raw, to)
					}
				}
			}
		})
	}
}

// TestReturnTargetSurvivesEverywhere is the other side: what is harmless is kept.
func TestReturnTargetSurvivesEverywhere(t *testing.T) {
	for _, place := range []string{
		"sign-in page", "sign-in of somebody who is signed in", "sign-in form", "passkey form", "check page", "step, kept by the backend",
		"step page's provider", "step-up page", "step-up form", "provider's start", "provider's failure", "finished elsewhere", "refusal",
	} {
		for _, to := range placesOfReturn[place](t, newWorld(), "/leads?page=2") {
			if to != "/leads?page=2" {
				t.Errorf("%s: %q, want what was asked for: people lose the page they wanted", place, to)
			}
		}
	}
}

func TestReturnTargetGivenTwiceIsHome(t *testing.T) {
	w := newWorld()
	do(t, w, ask{path: "/.crmgate/sso/google/start?return=%2Fa&return=%2Fb&hint=x", head: browser})
	if q := w.ssoSeen.URL.Query(); len(q["return"]) != 1 || q.Get("return") != "/" || q.Get("hint") != "x" {
		t.Errorf("%v: a target given twice reaches the provider's handler", q)
	}
}
