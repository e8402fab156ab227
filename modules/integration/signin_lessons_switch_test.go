// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// TestNothingAClientSaysSwitchesSigningInOff: CVE-2025-54576 (a query in a bypass
// rule), CVE-2026-34457 (a health check's agent), CVE-2026-40575 (a forwarded
// address), CVE-2026-25748 (a malformed cookie), CVE-2024-47070 (an address that
// does not parse), and a token where no session belongs.
func TestNothingAClientSaysSwitchesSigningInOff(t *testing.T) {
	crm := new(recorder)
	d := (&setup{crm: serve(t, crm)}).start(t)
	d.add(t, "asha@example.test", "administrator", crmUser{})
	token := d.signedIn(t, "asha@example.test").cookie(t, "__Host-crmgate")
	const target = "/app/api/leads"
	try := func(what, method, path string, header ...string) {
		t.Helper()
		crm.take()
		b := d.browser(t).over(false)
		res := b.send(method, path, "", header...)
		if got := crm.take(); len(got) != 0 || res.StatusCode < 300 && method != http.MethodOptions {
			t.Errorf("%s: %s, %d requests at the CRM: it opens the CRM without a session", what, res.Status, len(got))
		}
	}
	for _, agent := range []string{"GoogleHC/1.0", "kube-probe/1.31", "ELB-HealthChecker/2.0", "Prometheus/2.53", "curl/8", "crmgate", "Caddy", " "} {
		try("the agent "+agent, "GET", target, "User-Agent", agent)
	}
	for name, value := range map[string]string{
		"X-Forwarded-Uri": "/.crmgate/health", "X-Original-Url": "/.crmgate/health", "X-Rewrite-Url": "/.crmgate/health", "X-Original-Uri": "/.crmgate/health",
		"X-Forwarded-Method": "OPTIONS", "X-Http-Method-Override": "OPTIONS", "X-Forwarded-For": "not an address", "X-Real-Ip": "127.0.0.1", "Forwarded": "for=;;;",
		"X-Forwarded-Host": "localhost", "X-Forwarded-Proto": "https", "X-Forwarded-User": "asha@example.test", "Remote-User": "asha@example.test",
		"X-Forwarded-Email": "asha@example.test", "X-Auth-Request-Email": "asha@example.test", "X-Crmgate-User": "asha@example.test", "X-Crmgate-Session": token,
		"X-Crmgate-Step": token, "Authorization": "Bearer " + token, "Proxy-Authorization": "Bearer " + token, "Cookie2": "__Host-crmgate=" + token,
		"Access-Control-Request-Method": "GET", "Upgrade": "websocket", "Purpose": "prefetch", "X-Moz": "prefetch", "Max-Forwards": "0", "Expect": "200-ok",
	} {
		try("the header "+name, "GET", target, name, value)
		try("the header "+name+" on a preflight", "OPTIONS", target, name, value, "Origin", d.Gateway)
	}
	for _, path := range []string{
		target + "?/.crmgate/health", target + "?x=/app/static/app.js", target + "?return=/.crmgate/sign-in", target + "?__Host-crmgate=" + token, target + "?token=" + token,
		target + "?access_token=" + token, target + "?id_token=" + token, target + ";/.crmgate/health", target + "%23/.crmgate/health", "/.crmgate/../app/api/leads",
		"/.crmgate/health/../../app/api/leads", "/.crmgate/sign-in/%2e%2e/%2e%2e/app/api/leads", "/.crmgate%2f..%2fapp%2fapi%2fleads", "//app/api/leads", "/app/static/../api/leads",
	} {
		try("the path "+path, "GET", path)
	}
	for _, cookie := range []string{
		"__Host-crmgate", "__Host-crmgate=", "__Host-crmgate=;", "__Host-crmgate=\"" + token, "__Host-crmgate=" + token + "x", "__Host-crmgate=" + token[:len(token)-1],
		"__Host-crmgate=" + strings.ToUpper(token), "__host-crmgate=" + token, "__Secure-crmgate=" + token, "crmgate=" + token, "__Host-crmgate=%00", "__Host-crmgate=" + strings.Repeat("A", 5000),
		"__Host-crmgate=" + url.QueryEscape(token+"\x00"), "=__Host-crmgate=" + token, "__Host-crmgate=null", "__Host-crmgate=undefined", "__Host-crmgate=0", "__Host-crmgate={}",
		"__Host-crmgate_0=" + token + "; __Host-crmgate_1=x", "__Host-crmgate=count:99999999", "__Host-crmgate=../../" + token, strings.Repeat("; ", 2000) + "a=b",
	} {
		try("the cookie "+cookie[:min(40, len(cookie))], "GET", target, "Cookie", cookie)
	}
	for _, method := range []string{"HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND", "get", "X"} {
		try("the method "+method, method, target)
	}
}

// TestASecretOpensOnlyWhatItIsFor: CVE-2024-47616. What stands for one thing is
// nothing in the place of another.
func TestASecretOpensOnlyWhatItIsFor(t *testing.T) {
	l := newLesson(t, nil, nil)
	l.add(t, "asha@example.test", "administrator", crmUser{})
	b, step, secret := l.begun(t, "asha@example.test")
	if res := b.prove(step, secret, true); res.StatusCode != http.StatusOK {
		t.Fatalf("%s %s", res.Status, res.text())
	}
	waiting := l.browser(t)
	_, s := waiting.begin("asha@example.test", password)
	flow := l.browser(t)
	start, err := url.Parse(flow.get("/.crmgate/sso/google/start", lessonPage...).Header.Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	l.browser(t).with("", "/.crmgate/api/password/forgot", map[string]string{"email": "asha@example.test"})
	link, err := url.QueryUnescape(l.mail.find(t, "asha@example.test", lessonLink))
	if err != nil {
		t.Fatal(err)
	}
	var passkey struct{ Flow string }
	l.browser(t).post("/.crmgate/api/passkey/begin", "{}").json(t, &passkey)
	var up struct{ Step string }
	b.post("/.crmgate/api/step-up", "{}").json(t, &up)

	secrets := map[string]string{
		"session": b.cookie(t, "__Host-crmgate"), "device": b.cookie(t, "__Host-crmgate_device"), "step": s.Step, "flow cookie": flow.cookie(t, "__Host-crmgate_flow"),
		"state": start.Query().Get("state"), "reset link": link, "passkey flow": passkey.Flow, "step-up": up.Step,
	}
	places := map[string]func(b *browser, secret string) *answer{
		"session": func(b *browser, s string) *answer { return b.get("/app/api/leads", "Cookie", "__Host-crmgate="+s) },
		"step":    func(b *browser, s string) *answer { return b.get("/.crmgate/api/step", "X-Crmgate-Step", s) },
		"a step's cookie": func(b *browser, s string) *answer {
			return b.post("/.crmgate/api/step/prove", `{"kind":"totp","code":"`+codeAt(t, secret, time.Now().Add(30*time.Second))+`"}`, "Cookie", "__Host-crmgate_step="+s)
		},
		"device": func(b *browser, s string) *answer {
			return b.post("/.crmgate/api/sign-in", `{"email":"asha@example.test","password":"`+password+`"}`, "Cookie", "__Host-crmgate_device="+s)
		},
		"reset link": func(b *browser, s string) *answer {
			return b.with("", "/.crmgate/api/password/reset", map[string]string{"link": s, "new_password": "granite-lantern-orbit-91"})
		},
		"state": func(b *browser, s string) *answer {
			return b.get("/.crmgate/sso/google/callback?code=x&state="+url.QueryEscape(s), "Cookie", "__Host-crmgate_flow="+secrets["flow cookie"])
		},
		"kept form": func(b *browser, s string) *answer {
			return b.get("/.crmgate/kept", append(lessonPage, "Cookie", "__Host-crmgate_kept="+s+"; __Host-crmgate="+s)...)
		},
	}
	for what, value := range secrets {
		if value == "" {
			t.Fatalf("there is no %s to try", what)
		}
		for place, use := range places {
			if what == place || strings.HasPrefix(place, "a step") && strings.HasPrefix(what, "step") || place == "step" && what == "step-up" {
				continue
			}
			bare := l.browser(t)
			bare.Jar = nil
			res := use(bare, value)
			refused := res.StatusCode >= 400 || res.StatusCode == http.StatusSeeOther && strings.HasPrefix(res.Header.Get("Location"), "/.crmgate/sign-in")
			if place == "device" { // the password is right: the second factor is asked
				refused = strings.Contains(res.text(), `"second_factor"`)
			}
			if !refused || strings.Contains(strings.Join(res.Header["Set-Cookie"], ""), "__Host-crmgate=1") {
				t.Errorf("a %s in the place of a %s: %s %.200s", what, place, res.Status, res.text())
			}
		}
	}
}
