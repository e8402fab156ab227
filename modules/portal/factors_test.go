// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package portal

import (
	"encoding/xml"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/crmgate/crmgate/policy"
)

func TestEnrolOnTheAccountPageAndInAStep(t *testing.T) {
	for _, way := range []struct {
		name          string
		begin, finish string
		head          map[string]string
		ticket        Ticket
		back          string
	}{
		{"account", beginPath, finishPath, with(CookieName, testToken), Ticket{Session: testToken}, AccountPath},
		{"step", stepBeginPath, stepFinishPath, with(stepCookie, testStep, CookieName, otherToken), Ticket{Step: testStep}, StepPath},
	} {
		t.Run(way.name, func(t *testing.T) {
			w := newWorld()
			w.factors.done.Result = &SignInResult{Token: otherToken, Return: "/leads"}
			body := bodyOf(t, do(t, w, ask{method: "POST", path: way.begin, head: way.head, body: "kind=totp"}))
			if m := missing(body, "<code>JBSW Y3DP EHPK 3PXP</code>", `<svg viewBox="0 0 9 9" role="img" aria-label="QR code"`, `href="otpauth://totp/Example:ann?secret=`,
				`action="`+way.finish+`"`, `autocomplete="one-time-code"`, `href="`+way.back+`"`); len(m) > 0 {
				t.Errorf("the page lacks %q\n%s", m, body)
			}
			res := do(t, w, ask{method: "POST", path: way.finish, head: way.head, body: "kind=totp&code=492+817&label=+Phone+"})
			if res.StatusCode != 303 || setCookies(res)[CookieName] != otherToken || w.factors.acts[1] != "finish totp 492817 Phone" {
				t.Errorf("%d %v %q", res.StatusCode, setCookies(res), w.factors.acts)
			}
			for _, got := range w.factors.tickets {
				if got != way.ticket {
					t.Errorf("acted by %+v, want %+v: somebody acts by a right he does not have", got, way.ticket)
				}
			}
			w = newWorld()
			w.factors.done = EnrolDone{Result: &SignInResult{Token: otherToken}, Recovery: []string{"7K3M-Q9TZ", "XW2P-44HN"}}
			body = bodyOf(t, do(t, w, ask{method: "POST", path: way.finish, head: way.head, body: "kind=totp&code=1"}))
			if m := missing(body, "<code>7K3M-Q9TZ</code>", "not shown again", `data-do="print"`, "I have kept them"); len(m) > 0 {
				t.Errorf("the codes page lacks %q", m)
			}
			w = newWorld()
			w.factors.err = &Refusal{Reason: policy.WrongCredentials}
			res = do(t, w, ask{method: "POST", path: way.finish, head: way.head, body: "kind=totp&code=1"})
			if body := bodyOf(t, res); res.StatusCode != 401 || !strings.Contains(body, `role="alert"`) || strings.Contains(body, testSecret) {
				t.Errorf("a wrong code: %d\n%s", res.StatusCode, body)
			}
		})
	}
}

func TestEnrolStaysWithinTheStep(t *testing.T) {
	w := newWorld() // no result: the backend says nothing of how the sign-in goes on
	res := do(t, w, ask{method: "POST", path: stepFinishPath, head: with(stepCookie, testStep), body: "kind=totp&code=1"})
	if res.StatusCode != 500 || len(res.Cookies()) != 0 {
		t.Errorf("%d %v: a sign-in goes on without its result", res.StatusCode, res.Cookies())
	}
	w = newWorld()
	w.factors.done.Result = &SignInResult{Step: testStep, Next: NextChangePassword}
	if res := do(t, w, ask{method: "POST", path: stepFinishPath, head: with(stepCookie, testStep), body: "kind=totp&code=1"}); res.Header.Get("Location") != StepPath {
		t.Errorf("to %q, want what is due next", res.Header.Get("Location"))
	}
}

func TestEnrolPasskeyPage(t *testing.T) {
	w := newWorld()
	w.factors.enrol = EnrolView{Creation: []byte(`{"challenge":"<AA>"}`)}
	body := bodyOf(t, do(t, w, ask{method: "POST", path: beginPath, head: with(CookieName, testToken), body: "kind=passkey"}))
	if m := missing(body, `data-passkey="create"`, `data-request="{&#34;challenge&#34;:&#34;&lt;AA&gt;&#34;}"`, "data-needs-script", `name="label"`); len(m) > 0 {
		t.Errorf("the page lacks %q\n%s", m, body)
	}
	w.factors.enrol = EnrolView{SentTo: "…44 17"}
	if body := bodyOf(t, do(t, w, ask{method: "POST", path: beginPath, head: with(CookieName, testToken), body: "kind=sms"})); !strings.Contains(body, "…44 17") {
		t.Errorf("nobody learns where the code went\n%s", body)
	}
}

func TestEnrolRefusesHalfAnswers(t *testing.T) {
	for _, body := range []string{
		"", "kind=totp", "code=1", "kind=password&code=1", "kind=recovery&code=1", "kind=passkey&code=1", "kind=totp&response=%7B%7D",
		"kind=passkey&response=%7B%7D&code=1", "kind=totp&code=1&label=" + strings.Repeat("x", maxLabel+1), "kind=totp&code=1&label=a%0ab",
	} {
		w := newWorld()
		res := do(t, w, ask{method: "POST", path: finishPath, head: with(CookieName, testToken), body: body})
		if res.StatusCode != 400 || len(w.factors.acts) != 0 {
			t.Errorf("%q: %d, acts %q, want 400 and none", body, res.StatusCode, w.factors.acts)
		}
	}
}

func TestSafeSVG(t *testing.T) {
	if got := string(safeSVG(testQR)); !strings.HasPrefix(got, `<svg viewBox="0 0 9 9"`) || strings.Count(got, "<path") != 2 {
		t.Errorf("%s: people cannot scan it", got)
	}
	for _, bad := range []string{
		"", "x", "<p></p>", "<svg>", "<svg></svg><svg></svg>", "<svg></svg>x", "<svg><script>x</script></svg>", `<svg onload="x"></svg>`, `<svg><a href="x"></a></svg>`,
		`<svg><path style="x"/></svg>`, `<svg><path d="url(x)"/></svg>`, `<svg><use xlink:href="#x"/></svg>`, "<svg><!-- x --></svg>", "<!DOCTYPE svg><svg></svg>",
		"<?xml version=\"1.0\"?><svg></svg>", "<svg>text</svg>", "<svg><foreignObject/></svg>", `<svg><image x="1"/></svg>`, "<g></g>", "<svg><svg/></svg>",
		`<svg viewBox="&quot;&gt;"></svg>`,
	} {
		if got := safeSVG(bad); got != "" {
			t.Errorf("safeSVG(%q) = %q: a drawing brings something along that is none", bad, got)
		}
	}
}

func FuzzSafeSVG(f *testing.F) {
	f.Add(testQR)
	f.Add("<svg><g><rect x='1'/></g></svg>")
	f.Fuzz(func(t *testing.T, src string) {
		out := string(safeSVG(src))
		d := xml.NewDecoder(strings.NewReader(out))
		for {
			token, err := d.Token()
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				t.Fatalf("safeSVG(%q) = %q is not well-formed: %v", src, out, err)
			}
			e, ok := token.(xml.StartElement)
			if !ok {
				continue
			}
			if !slices.Contains([]string{"svg", "g", "path", "rect"}, e.Name.Local) || e.Name.Space != "" {
				t.Errorf("safeSVG(%q) lets <%s> through", src, e.Name.Local)
			}
			for _, a := range e.Attr {
				if strings.HasPrefix(a.Name.Local, "on") || strings.Contains(a.Name.Local, "href") || a.Name.Local == "style" || strings.ContainsAny(a.Value, "(:<>") {
					t.Errorf("safeSVG(%q) lets %s=%q through", src, a.Name.Local, a.Value)
				}
			}
		}
	})
}

func TestAccountShowsFactorsAndDevices(t *testing.T) {
	w := newWorld()
	body := bodyOf(t, do(t, w, ask{path: AccountPath + "?done=added", head: with(CookieName, testToken, DeviceCookie, testDevice)}))
	if m := missing(body, "My &lt;phone&gt;", `action="/.crmgate/account/factors/remove"`, `name="id" value="f1"`, "7 recovery codes are left.",
		`action="/.crmgate/account/factors/begin"`, `value="passkey"`, "Work &lt;laptop&gt;", `name="id" value="dev7"`, "this one", "No longer trust",
		`href="/.crmgate/account/password"`, "It was added."); len(m) > 0 {
		t.Errorf("the page lacks %q\n%s", m, body)
	}
	w.factors.view.Mandatory = true
	if body := bodyOf(t, do(t, w, ask{path: AccountPath, token: testToken, head: browser})); strings.Contains(body, "factors/remove") {
		t.Error("the last factor under a mandate has a remove button")
	}
	w.factors.view.DevicesOn, w.factors.view.RecoveryLeft = false, 0
	body = bodyOf(t, do(t, w, ask{path: AccountPath, token: testToken, head: browser}))
	if strings.Contains(body, "Trusted devices") || !strings.Contains(body, "No recovery codes are left.") {
		t.Error("devices are shown although nobody can trust one, or a person does not learn that no code is left")
	}
	w.factors.listErr = &Refusal{Reason: policy.StoreUnavailable}
	if res := do(t, w, ask{path: AccountPath, token: testToken, head: browser}); res.StatusCode != 503 {
		t.Errorf("%d: a store that is away looks like no factors", res.StatusCode)
	}
}

// acts on the account, as page and as call.
var accountActs = []struct {
	name       string
	page, body string
	method     string
	api, json  string
	act, done  string
}{
	{"remove", removePath, "id=f1", "DELETE", apiFactorsPath + "f1", "", "remove f1", "removed"},
	{"rename", renamePath, "id=dev7&label=+Home+", "POST", apiDevicesPath + "dev7", `{"label":" Home "}`, "rename dev7 Home", "renamed"},
	{"revoke", revokePath, "id=dev7", "DELETE", apiDevicesPath + "dev7", "", "revoke dev7", "revoked"},
}

func TestAccountActs(t *testing.T) {
	for _, tc := range accountActs {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld()
			page := do(t, w, ask{method: "POST", path: tc.page, token: testToken, head: browser, body: tc.body})
			api := do(t, w, ask{method: tc.method, path: tc.api, token: testToken, body: tc.json})
			if page.Header.Get("Location") != AccountPath+"?done="+tc.done || api.StatusCode != 204 || !slices.Equal(w.factors.acts, []string{tc.act, tc.act}) {
				t.Errorf("page to %q, api %d, acts %q", page.Header.Get("Location"), api.StatusCode, w.factors.acts)
			}
			w = newWorld()
			w.factors.err = &Refusal{Reason: policy.StepUp}
			page = do(t, w, ask{method: "POST", path: tc.page, token: testToken, head: browser, body: tc.body})
			api = do(t, w, ask{method: tc.method, path: tc.api, token: testToken, body: tc.json})
			if page.Header.Get("Location") != StepPath || setCookies(page)[stepCookie] != testStep || api.StatusCode != 401 || w.steps.ups[0] != AccountPath {
				t.Errorf("page to %q %v, api %d: nobody is asked to confirm", page.Header.Get("Location"), setCookies(page), api.StatusCode)
			}
			for _, head := range []map[string]string{browser, with(stepCookie, testStep), with(CookieName, "x")} {
				w = newWorld()
				page = do(t, w, ask{method: "POST", path: tc.page, head: head, body: tc.body})
				api = do(t, w, ask{method: tc.method, path: tc.api, head: map[string]string{StepHeader: testStep}, body: tc.json})
				if page.StatusCode != 401 || api.StatusCode != 401 || len(w.factors.acts) != 0 {
					t.Errorf("page %d, api %d, acts %q: a pending sign-in changes the account", page.StatusCode, api.StatusCode, w.factors.acts)
				}
			}
			w = newWorld()
			w.factors.err = &Refusal{Reason: policy.RowDenied}
			if page = do(t, w, ask{method: "POST", path: tc.page, token: testToken, head: browser, body: tc.body}); page.StatusCode != 404 {
				t.Errorf("somebody else's: %d, want 404", page.StatusCode)
			}
		})
	}
	for _, body := range []string{"", "id=", "id=a%2Fb", "id=" + strings.Repeat("x", maxID+1), "id=a%00", "id=a&id=b"} {
		w := newWorld()
		if res := do(t, w, ask{method: "POST", path: removePath, token: testToken, head: browser, body: body}); res.StatusCode < 400 || len(w.factors.acts) != 0 {
			t.Errorf("%q: %d, acts %q", body, res.StatusCode, w.factors.acts)
		}
	}
	w := newWorld()
	if res := do(t, w, ask{method: "POST", path: renamePath, token: testToken, head: browser, body: "id=dev7&label=+"}); res.StatusCode != 400 || len(w.factors.acts) != 0 {
		t.Errorf("a device without a name: %d", res.StatusCode)
	}
}

func TestRecoveryCodes(t *testing.T) {
	w := newWorld()
	body := bodyOf(t, do(t, w, ask{method: "POST", path: recoveryPath, token: testToken, head: browser}))
	if m := missing(body, "<code>XW2P-44HN</code>", "not shown again"); len(m) > 0 {
		t.Errorf("the page lacks %q", m)
	}
	m := object(t, do(t, w, ask{method: "POST", path: apiPrefix + "recovery-codes", token: testToken}))
	if list, _ := m["recovery_codes"].([]any); len(list) != 2 {
		t.Errorf("%v", m)
	}
}

func TestFactorsAPI(t *testing.T) {
	w := newWorld()
	m := object(t, do(t, w, ask{path: apiPrefix + "factors", token: testToken}))
	if m["recovery_left"] != 7.0 || len(m["factors"].([]any)) != 1 || len(m["addable"].([]any)) != 2 {
		t.Errorf("%v", m)
	}
	m = object(t, do(t, w, ask{method: "POST", path: apiPrefix + "factors/begin", token: testToken, body: `{"kind":"totp"}`}))
	if m["secret"] != testSecret || !strings.HasPrefix(m["uri"].(string), "otpauth://") {
		t.Errorf("%v", m)
	}
	w.factors.done = EnrolDone{Recovery: []string{"7K3M-Q9TZ"}}
	m = object(t, do(t, w, ask{method: "POST", path: apiPrefix + "factors/finish", token: testToken, body: `{"kind":"passkey","response":{"id":"x"},"label":"Key"}`}))
	if m["recovery_codes"] == nil || w.factors.acts[1] != `finish passkey {"id":"x"} Key` {
		t.Errorf("%v %q", m, w.factors.acts)
	}
	w.factors.tickets = nil
	do(t, w, ask{path: apiPrefix + "factors", head: map[string]string{StepHeader: testStep, "Cookie": cookies(CookieName, testToken)}})
	do(t, w, ask{path: apiPrefix + "factors", head: map[string]string{"Cookie": cookies(CookieName, testToken, stepCookie, testStep)}})
	do(t, w, ask{path: apiPrefix + "factors", head: map[string]string{"Cookie": cookies(stepCookie, testStep)}})
	if want := []Ticket{{Step: testStep}, {Session: testToken}, {Step: testStep}}; !slices.Equal(w.factors.tickets, want) {
		t.Errorf("tickets are in the wrong order of precedence")
	}
	d := object(t, do(t, w, ask{path: apiPrefix + "devices", head: map[string]string{"Cookie": cookies(CookieName, testToken, DeviceCookie, testDevice)}}))
	if list, _ := d["devices"].([]any); len(list) != 1 || list[0].(map[string]any)["current"] != true {
		t.Errorf("%v", d)
	}
}
