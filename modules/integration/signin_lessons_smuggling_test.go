// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// lessonSpellings writes a header's name in every way a server behind the gate could take
// for it.
func lessonSpellings(name string) []string {
	words := strings.Split(name, "-")
	seen, out := map[string]bool{}, []string(nil)
	for _, sep := range []string{"-", "_", ".", "", "--", "-_", "~", "'", "|"} {
		joined := strings.Join(words, sep)
		for _, s := range []string{joined, strings.ToLower(joined), strings.ToUpper(joined), joined + "-", "_" + joined, words[0] + "." + strings.Join(words[1:], "_")} {
			if !seen[s] {
				seen[s] = true
				out = append(out, s)
			}
		}
	}
	return out
}

// TestIdentityHeadersAndStepsNeverReachTheCRM: CVE-2025-64484, CVE-2026-30851,
// CVE-2026-52845 and their like. What says who asks, and the secret of a sign-in
// that waits, stay at the gate in any spelling, for any method, on any route.
func TestIdentityHeadersAndStepsNeverReachTheCRM(t *testing.T) {
	d, crm := bridged(t)
	b := d.signedIn(t, "boss@acme.test")
	const forged = "forged-by-the-client"
	names := []string{
		"X-Remote-User", "X-Remote-Email", "X-Remote-Name", "X-Remote-Role", "X-Crmgate-Jwt-Assertion", "X-Crmgate-Step",
	}
	sent := 0
	for _, http2 := range []bool{false, true} {
		c := b.over(http2)
		for _, name := range names {
			for _, as := range lessonSpellings(name) {
				if http2 && as != strings.ToLower(as) {
					continue
				}
				req, err := http.NewRequest(http.MethodGet, d.Gateway+"/app/api/me", nil)
				if err != nil {
					t.Fatal(err)
				}
				req.Header[as] = []string{forged}
				crm.take()
				res, err := c.Do(req)
				if err != nil {
					t.Fatalf("%s: %v", as, err)
				}
				_ = res.Body.Close()
				sent++
				for _, got := range crm.take() {
					bossAlone(t, as, got, forged)
				}
			}
		}
	}
	if sent < 300 {
		t.Errorf("only %d spellings were sent", sent)
	}
	all := []string{}
	for _, name := range names {
		all = append(all, name, forged, strings.ReplaceAll(name, "-", "."), forged)
	}
	for _, method := range []string{"GET", "HEAD", "OPTIONS", "POST", "PUT", "DELETE", "PATCH", "TRACE", "PROPFIND"} {
		for _, path := range []string{"/", "/app/static/app.js", "/app/api/leads", "/nowhere", "/.crmgate/health", "/.crmgate/sign-in", "/v2/LeadManagement.svc/Leads.Get"} {
			crm.take()
			for _, who := range []*browser{b.over(false), d.browser(t)} {
				who.send(method, path, "", append(all, "Upgrade", "websocket", "Connection", "Upgrade, X-Remote-Email")...)
				who.send(method, path, "", all...)
			}
			for _, got := range crm.take() {
				if strings.Contains(headerText(got.Header), forged) {
					t.Errorf("%s %s: a forged header reached the CRM:\n%s", method, path, headerText(got.Header))
				}
			}
		}
	}
}

// ownCookies are the cookies of the gate that hold a secret.
var ownCookies = []string{"__Host-crmgate", "__Host-crmgate_step", "__Host-crmgate_device", "__Host-crmgate_kept", "__Host-crmgate_flow", "__Host-crmgate_flow_post"}

// TestCookiesOfTheGateNeverReachTheCRM: caddy-security forwards its session to the
// upstream, where every log and page can read it.
func TestCookiesOfTheGateNeverReachTheCRM(t *testing.T) {
	d, crm := bridged(t)
	session := d.signedIn(t, "boss@acme.test").cookie(t, "__Host-crmgate")
	const secret = "planted-cookie-0123456789abcdef"
	for _, name := range ownCookies[1:] {
		for _, as := range []string{name, strings.ToLower(name), strings.ToUpper(name), strings.Replace(name, "crmgate_", "crmgate-", 1), " " + name, "\t" + name} {
			for _, line := range []string{as + "=" + secret, as + "=\"" + secret + "\"", as + " = " + secret, as + "=a=" + secret, "theme=dark;" + as + "=" + secret + ";lang=en", as + secret + "=1"} {
				for _, http2 := range []bool{false, true} {
					req, err := http.NewRequest(http.MethodGet, d.Gateway+"/app/api/me", nil)
					if err != nil {
						t.Fatal(err)
					}
					req.Header["Cookie"] = []string{"__Host-crmgate=" + session, line}
					crm.take()
					bare := d.browser(t).over(http2)
					bare.Jar = nil
					res, err := bare.Do(req)
					if err != nil {
						t.Fatal(err)
					}
					_ = res.Body.Close()
					for _, got := range crm.take() {
						if text := headerText(got.Header); strings.Contains(text, secret) && !strings.Contains(line, as+secret) || strings.Contains(strings.ToLower(text), "crmgate_") || strings.Contains(text, session) {
							t.Errorf("%q reached the CRM:\n%s", line, text)
						}
					}
				}
			}
		}
	}
}

// TestTheCRMSetsNoCookieOfTheGate: an answer of the CRM, masked or not, signs nobody in
// as somebody else and nobody out.
func TestTheCRMSetsNoCookieOfTheGate(t *testing.T) {
	d := (&setup{policy: leakPolicy, crm: serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for _, name := range ownCookies {
			for _, as := range []string{name, strings.ToLower(name), strings.ToUpper(name), " " + name + " ", "=" + name, " = " + name} {
				w.Header().Add("Set-Cookie", as+"=planted; Path=/; Secure; HttpOnly")
				w.Header().Add("Set-Cookie", as+"=; Path=/; Secure; Max-Age=0")
			}
		}
		w.Header().Add("Set-Cookie", "crm=1; Path=/")
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte("[]"))
	}))}).start(t)
	d.add(t, "boss@acme.test", "administrator", crmUser{})
	d.add(t, "ravi@acme.test", "sales_user", crmUser{ID: "ravi-1"})
	for _, who := range []string{"boss@acme.test", "ravi@acme.test"} {
		b := d.signedIn(t, who)
		for _, path := range []string{"/v2/LeadManagement.svc/Leads.GetById?id=1", "/app/static/app.js", "/app/api/ping", "/app/leads"} {
			for _, http2 := range []bool{false, true} {
				a := b.over(http2).get(path)
				if got := a.Header["Set-Cookie"]; a.StatusCode != http.StatusOK || len(got) != 1 || got[0] != "crm=1; Path=/" {
					t.Errorf("%s, %s: %s, and cookies are set: %q", who, path, a.Status, got)
				}
			}
		}
		if a := b.get("/app/api/ping"); a.StatusCode != http.StatusOK {
			t.Errorf("%s is signed out: %s", who, a.Status)
		}
	}
}

// TestTwoCopiesOfASecretAreRefused: one of them was planted by a neighbour, and
// nobody can tell which.
func TestTwoCopiesOfASecretAreRefused(t *testing.T) {
	l := newLesson(t, nil, nil)
	l.add(t, "asha@example.test", "administrator", crmUser{})
	b, step, secret := l.begun(t, "asha@example.test")
	flow := l.browser(t)
	back := l.op.answer(t, flow.get("/.crmgate/sso/google/start", lessonPage...).Header.Get("Location"), "asha@example.test")

	for _, name := range ownCookies {
		for _, path := range []string{"/.crmgate/sign-in", "/.crmgate/step", "/.crmgate/api/step", "/.crmgate/account", "/.crmgate/kept", back} {
			if name == "__Host-crmgate_flow" && path != back {
				continue
			}
			for _, second := range []string{name + "=" + strings.Repeat("b", 43), name + "=", name + "=" + step} {
				first := name + "=" + step
				if name == "__Host-crmgate_flow" {
					first = name + "=" + flow.cookie(t, name)
				}
				bare := l.browser(t)
				bare.Jar = nil
				res := bare.get(path, append(lessonPage, "Cookie", first+"; "+second)...)
				cleared := strings.Contains(strings.Join(res.Header["Set-Cookie"], "\n"), name+"=; Path=/; Max-Age=0")
				if res.StatusCode != http.StatusBadRequest || !cleared {
					t.Errorf("two %s to %.40s: %s, cleared %v, want 400 and the cookie gone", name, path, res.Status, cleared)
				}
				if token := strings.Join(res.Header["Set-Cookie"], "\n"); strings.Contains(token, "__Host-crmgate=") && !strings.Contains(token, "__Host-crmgate=;") {
					t.Errorf("two %s to %.40s start a session", name, path)
				}
			}
		}
	}
	code := codeAt(t, secret, time.Now().Add(30*time.Second))
	req, err := http.NewRequest(http.MethodPost, l.Gateway+"/.crmgate/api/step/prove", strings.NewReader(`{"kind":"totp","code":"`+code+`"}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header["X-Crmgate-Step"] = []string{step, step}
	bare := l.browser(t)
	bare.Jar = nil
	res, err := bare.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusBadRequest {
		t.Errorf("two X-Crmgate-Step: %s, want 400", res.Status)
	}
	// Neither was used up by it.
	if res := b.prove(step, secret, false); res.StatusCode != http.StatusOK || !b.inside() {
		t.Errorf("the step is over although it was only sent twice: %s %s", res.Status, res.text())
	}
	if res := flow.get(back, lessonPage...); res.StatusCode != http.StatusSeeOther {
		t.Errorf("the flow is over although its cookie was only sent twice: %s %s", res.Status, res.text())
	}
}
