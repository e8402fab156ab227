// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// kept collects what a run says in its refusals: error pages hold no secrets.
type kept struct {
	http.RoundTripper
	refusals *safeBuffer
}

func (k kept) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := k.RoundTripper.RoundTrip(r)
	if err != nil || res.StatusCode < 400 {
		return res, err
	}
	body := new(safeBuffer)
	_, _ = body.ReadFrom(res.Body)
	_ = res.Body.Close()
	_, _ = k.refusals.ReadFrom(bytes.NewReader(append([]byte(headerText(res.Header)), body.bytes()...)))
	res.Body = readCloser{bytes.NewReader(body.bytes())}
	return res, nil
}

type readCloser struct{ *bytes.Reader }

func (readCloser) Close() error { return nil }

// TestSignInSecretsAreNowhere: after every kind of sign-in with everything logged,
// nothing the run wrote or refused with holds a secret: CVE-2024-39315,
// CVE-2021-29651 and their like.
func TestSignInSecretsAreNowhere(t *testing.T) {
	crm := &loginCRM{sessions: map[string]string{}}
	var logFile string
	l := newLesson(t, func(s *setup) {
		s.crm = serve(t, crm)
		s.policy = strings.Replace(lessonPolicy, "  sign_in:\n", "  sign_in:\n    second_factor: {methods: [totp, mail, sms, passkey]}\n", 1)
		s.options += strings.ReplaceAll(`
		bridge credentials {
			sign_in {crm}/login
			sign_out {crm}/logout
			field login {user}
			field pw {password}
			cookies CRMSESSION
		}`, "{crm}", s.crm)
		s.body = "log {\nformat crmgate\n}\nencode\ncrmgate_proxy {upstream}" // as docs/operations.md says
	}, func(text string) string {
		_, after, _ := strings.Cut(text, "storage file_system ")
		folder, _, _ := strings.Cut(after, "\n")
		logFile = filepath.Join(filepath.Dir(folder), "gateway.log")
		return strings.Replace(text, "{\n", "{\n\tlog {\n\t\tlevel DEBUG\n\t\toutput file "+logFile+"\n\t}\n", 1)
	})
	secrets := map[string]string{"the CRM's password": "crm-secret-1", "a CRM password mistyped": "crm-mistyped-77", "the password": password, "the password elsewhere": lessonAPIPassword}
	maps.Copy(secrets, lessonSecrets)
	refusals := new(safeBuffer)
	exerciseSignIn(t, l, refusals, secrets)
	for i, given := range l.op.given {
		secrets[fmt.Sprintf("%s (%d)", given.what, i)] = given.value
	}
	places := everythingWritten(t, l, logFile)
	places["the refusals"] = refusals.bytes()
	if len(secrets) < 40 || len(places) < 20 || bytes.Count(places[logFile], []byte("\n")) < 50 || len(places["the refusals"]) < 1000 {
		t.Errorf("%d secrets were looked for in %d places, with %d lines of log and %d bytes of refusals: too few", len(secrets), len(places), bytes.Count(places[logFile], []byte("\n")), len(places["the refusals"]))
	}
	token := regexp.MustCompile(`eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}`)
	for where, text := range places {
		if found := token.Find(text); found != nil {
			t.Errorf("%s holds a token: %.60s...", where, found)
		}
		for what, secret := range secrets {
			if len(secret) < 6 {
				t.Fatalf("%s is %q: it would be found anywhere", what, secret)
			}
			for form, v := range map[string]string{"": secret, " escaped": url.QueryEscape(secret), " in hex": hex.EncodeToString([]byte(secret)), " in base64": strings.TrimRight(base64.StdEncoding.EncodeToString([]byte(secret)), "=")} {
				if i := bytes.Index(text, []byte(v)); i >= 0 {
					t.Errorf("%s holds %s%s: ...%q...", where, what, form, text[max(0, i-120):min(len(text), i+len(v)+20)])
					break
				}
			}
		}
	}
}

// everythingWritten stops the gateway and returns all it wrote, and what its admin
// API said before.
func everythingWritten(t *testing.T, l *lesson, logFile string) map[string][]byte {
	t.Helper()
	places := map[string][]byte{}
	for _, path := range []string{
		"/config/", "/crmgate/info", "/crmgate/people", "/crmgate/people/asha@example.test/factors", "/crmgate/people/asha@example.test/devices", "/crmgate/sessions", "/crmgate/bans",
		"/crmgate/policy", "/crmgate/audit?limit=10000", "/crmgate/audit/export", "/metrics", "/debug/vars", "/reverse_proxy/upstreams",
	} {
		_, text := l.tryAdmin(http.MethodGet, path, "")
		places["GET "+path] = []byte(text)
	}
	for _, c := range [][]string{{"user", "list"}, {"user", "factors", "asha@example.test"}, {"user", "devices", "asha@example.test"}, {"sessions"}, {"ban", "list"}, {"identity", "test", "google"}} {
		out, _ := l.command(t, "", c...)
		places["crmgate "+strings.Join(c, " ")] = []byte(out)
	}
	if len(places["GET /config/"]) < 500 {
		t.Errorf("the configuration cannot be read: %s", places["GET /config/"])
	}
	l.stop(t)
	places["standard error"] = []byte(l.log())
	err := filepath.WalkDir(filepath.Dir(l.data), func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		places[path] = b
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if places[logFile] == nil {
		t.Errorf("%s was not looked at", logFile)
	}
	return places
}

// exerciseSignIn uses every secret of a sign-in, rightly and wrongly.
func exerciseSignIn(t *testing.T, l *lesson, refusals *safeBuffer, secrets map[string]string) {
	t.Helper()
	fresh := func() *browser {
		b := l.browser(t)
		b.Transport = kept{b.Transport, refusals}
		return b
	}
	cookies := func(who string, b *browser) {
		for _, name := range append(ownCookies, "__Host-crmgate_flow") {
			if v := b.cookie(t, name); v != "" {
				secrets[name+" of "+who] = v
			}
		}
	}
	for _, name := range []string{"asha", "ravi", "gwen", "lena"} {
		l.add(t, name+"@example.test", "administrator", crmUser{})
	}
	for _, stdin := range []string{"asha\ncrm-mistyped-77\n", "asha\ncrm-secret-1\n"} {
		if out, err := l.command(t, stdin, "user", "credentials", "asha@example.test"); err != nil || strings.Contains(out, "crm-") {
			t.Fatalf("storing credentials: %v\n%s", err, out)
		}
		fresh().get("/app/api/leads")
		b := fresh()
		b.signIn("asha@example.test", password)
		b.get("/app/api/leads")
	}
	if out, err := l.command(t, "", "user", "phone", "ravi@example.test", "+4915112345678"); err != nil {
		t.Fatalf("setting a number: %v\n%s", err, out)
	}

	// An authenticator app, recovery codes, a trusted device.
	b := fresh()
	b.signIn("asha@example.test", password)
	cookies("asha, setting up", b)
	totp, recovery := b.lessonTOTP()
	secrets["the authenticator's secret"], secrets["it without blanks"] = totp, strings.ReplaceAll(totp, " ", "")
	for i, c := range recovery {
		secrets[fmt.Sprintf("recovery code %d", i)] = c
		secrets[fmt.Sprintf("recovery code %d, folded", i)] = strings.ReplaceAll(c, "-", "")
	}
	b = fresh()
	_, s := b.begin("asha@example.test", password)
	secrets["asha's step"] = s.Step
	b.with(s.Step, "/.crmgate/api/step/prove", map[string]any{"kind": "recovery", "code": "wrong-code-0"})
	b.with(s.Step, "/.crmgate/api/step/prove", map[string]any{"kind": "recovery", "code": recovery[0], "trust": false})
	b.get("/app/api/leads", "X-Crmgate-Step", s.Step)
	b = fresh()
	_, s = b.begin("asha@example.test", password)
	secrets["asha's other step"] = s.Step
	cookies("asha, stepping", b)
	if res := b.prove(s.Step, totp, true); res.StatusCode != http.StatusOK || !b.inside() {
		t.Fatalf("a right code: %s %s", res.Status, res.text())
	}
	cookies("asha", b)

	// Codes by mail and text message, right and wrong.
	b = fresh()
	b.signIn("ravi@example.test", password)
	for _, kind := range []string{"mail", "sms"} {
		b.with("", "/.crmgate/api/factors/begin", map[string]string{"kind": kind})
		code := l.code(t, kind, "ravi@example.test")
		secrets["a code by "+kind] = code
		b.with("", "/.crmgate/api/factors/finish", map[string]string{"kind": kind, "code": "000000"})
		if res := b.with("", "/.crmgate/api/factors/finish", map[string]string{"kind": kind, "code": code}); res.StatusCode != http.StatusOK {
			t.Fatalf("setting up %s: %s %s", kind, res.Status, res.text())
		}
	}
	cookies("ravi", b)

	// The provider, its grant kept; an answer replayed, and one nobody asked for.
	b = fresh()
	start := b.get("/.crmgate/sso/google/start?return=/app/leads", lessonPage...).Header.Get("Location")
	cookies("gwen on her way", b)
	back := l.op.answer(t, start, "gwen@example.test")
	for range 2 {
		b.get(back, append(lessonPage, "Sec-Fetch-Site", "cross-site")...)
	}
	cookies("gwen", b)
	b.get("/.crmgate/api/session")
	b.lessonForm("/.crmgate/sign-out", url.Values{})
	b = fresh()
	l.throughProvider(b, "stranger@example.test")

	// A link, used twice; a password elsewhere; passkeys; encrypted forms not switched on.
	b = fresh()
	b.with("", "/.crmgate/api/password/forgot", map[string]string{"email": "lena@example.test"})
	link, err := url.QueryUnescape(l.mail.find(t, "lena@example.test", lessonLink))
	if err != nil {
		t.Fatal(err)
	}
	secrets["a link to reset a password"], secrets["a new password"] = link, "orbit-granite-lantern-19"
	for range 2 {
		b.with("", "/.crmgate/api/password/reset", map[string]string{"link": link, "new_password": "orbit-granite-lantern-19"})
	}
	l.mu.Lock()
	l.api["lena@example.test"] = true
	l.mu.Unlock()
	b.signIn("lena@example.test", lessonAPIPassword)
	cookies("lena", b)
	b.lessonPasskey()
	b.lessonForm("/.crmgate/sign-in", url.Values{"email": {"lena@example.test"}, "password": {secrets["a new password"]}, "sealed": {"x"}})
	b.with("", "/.crmgate/api/password/change", map[string]string{"password": secrets["a new password"], "new_password": "short"})
	b.with("", "/.crmgate/api/step/prove", map[string]any{"kind": "totp", "code": "1", "unknown": password})
	fresh().with(strings.Repeat("s", 43), "/.crmgate/api/step/prove", map[string]any{"kind": "recovery", "code": recovery[5]})
	for name := range lessonSecrets { // CVE-2026-30852: nothing a client sends is expanded
		ref := "{env." + name + "}"
		b := fresh()
		b.signIn(ref+"@example.test", ref)
		b.get("/.crmgate/sign-in?return=/"+url.QueryEscape(ref), lessonPage...)
		b.get("/.crmgate/sso/"+url.PathEscape(ref)+"/start", lessonPage...)
		b.get("/.crmgate/"+url.PathEscape(ref), append(lessonPage, "X-Crmgate-Step", ref, "User-Agent", ref, "Cookie", "__Host-crmgate="+ref)...)
		b.lessonForm("/.crmgate/sign-in", url.Values{"email": {ref}, "password": {ref}, "return": {"/" + ref}})
	}
	b.post("/.crmgate/api/sign-out", "{}")
}

var smsCode = regexp.MustCompile(`\b(\d{6})\b`)

// code waits for a code that was sent.
func (l *lesson) code(t *testing.T, kind, email string) string {
	t.Helper()
	if kind == "mail" {
		return strings.ReplaceAll(l.mail.find(t, email, lessonCode), " ", "")
	}
	var code string
	eventually(t, 20*time.Second, "a text message with a code", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		for _, text := range l.texts {
			if m := smsCode.FindStringSubmatch(text); m != nil {
				code = m[1]
			}
		}
		return code != ""
	})
	return code
}
