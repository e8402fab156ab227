// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/crmgate/crmgate/modules/internal/testpeer"
)

// R029: a password an administrator set has to be changed at the next sign-in,
// old ones do not come back, and every other session ends.
func TestSignInPasswordChange(t *testing.T) {
	crm := new(recorder)
	s := &setup{crm: serve(t, crm), policy: "version: 1\nsettings: {password: {min_digits: 2, history: 3}}\n"}
	d := s.start(t)
	const first, second, third = "first-long-password-11", "second-long-password-22", "third-long-password-33"
	d.admin(t, http.MethodPost, "/crmgate/people", `{"email":"asha@example.com","name":"Asha","role":"administrator","password":"`+first+`"}`)
	if out, err := d.command(t, second+"\n", "user", "passwd", "asha@example.com"); err != nil {
		t.Fatalf("setting the password: %v\n%s", err, out)
	}
	b := d.browser(t)
	_, step := b.begin("asha@example.com", second)
	if step.Next != "change_password" || b.inside() {
		t.Fatalf("a password an administrator set opens the CRM: %+v", step)
	}
	change := func(b *browser, step, old, pw string) *answer {
		return b.with(step, "/.crmgate/api/password/change", map[string]string{"password": old, "new_password": pw})
	}
	for pw, kind := range map[string]string{"short-1": "min_length", second: "same", first: "history", "no-digits-at-all-here": "digits"} {
		res := change(b, step.Step, second, pw)
		if res.StatusCode != http.StatusUnprocessableEntity && res.StatusCode != http.StatusBadRequest || !strings.Contains(res.text(), `"`+kind+`"`) {
			t.Errorf("%q is taken, or nobody says why it is not (%s): %s %s", pw, kind, res.Status, res.text())
		}
	}
	if res := change(b, step.Step, second, third); res.StatusCode != http.StatusOK || !b.inside() {
		t.Fatalf("changing a password that is due: %s %s", res.Status, res.text())
	}
	other := d.browser(t)
	other.signIn("asha@example.com", third)
	before := b.cookie(t, "__Host-crmgate")
	if res := change(b, "", "wrong-password-00", first+"4"); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("a change without the present password: %s %s", res.Status, res.text())
	}
	if res := change(b, "", third, first+"4"); res.StatusCode != http.StatusOK {
		t.Fatalf("changing the own password: %s %s", res.Status, res.text())
	}
	if !b.inside() || b.cookie(t, "__Host-crmgate") == before {
		t.Error("the session does not go on under a new id")
	}
	if other.inside() {
		t.Error("a session opened with the old password outlives it")
	}
	// Hashes made elsewhere are taken over and verified.
	hash := "$2y$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy"
	if out, err := d.command(t, "asha@example.com "+hash+"\nnobody@example.com "+hash+"\n", "user", "import"); err == nil || !strings.Contains(out, "1 hashes imported") {
		t.Errorf("importing hashes: %v\n%s", err, out)
	}
	for _, secret := range []string{first, second, third} {
		if strings.Contains(d.log(), secret) {
			t.Error("a password is in the log")
		}
	}
}

// A forgotten password is reset by a link that is mailed, once; nobody learns who
// has an account.
func TestSignInForgot(t *testing.T) {
	smtp := testpeer.StartSMTP(t)
	crm := new(recorder)
	s := &setup{crm: serve(t, crm), options: `origin https://localhost:{port}
		mail {
			host ` + smtp.Host + `
			port ` + strconv.Itoa(smtp.Port) + `
			ca ` + smtp.CAFile + `
			user ` + testpeer.SMTPUser + `
			password {env.SMTP_PASSWORD}
			from crmgate@example.com
		}`}
	file, port, admin := s.file(t)
	p, _ := start(t, []string{"SMTP_PASSWORD=" + testpeer.SMTPPassword}, "run", "--config", file, "--adapter", "caddyfile")
	d := s.ready(t, p, port, admin)
	d.add(t, "asha@example.com", "administrator", crmUser{})
	if out, err := d.command(t, "", "mail", "test", "asha@example.com"); err != nil {
		t.Fatalf("testing mail: %v\n%s\n%s", err, out, smtp.Log())
	}
	smtp.Messages(1)
	b := d.browser(t)
	for _, email := range []string{"nobody@example.com", "Asha@Example.com"} {
		if res := b.with("", "/.crmgate/api/password/forgot", map[string]string{"email": email}); res.StatusCode != http.StatusNoContent {
			t.Errorf("%s: %s %s", email, res.Status, res.text())
		}
	}
	text := strings.NewReplacer("=\r\n", "", "=\n", "", "=3D", "=").Replace(smtp.Messages(2)[1])
	m := regexp.MustCompile(`/\.crmgate/reset#([A-Za-z0-9_-]{43})`).FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("the mail holds no link:\n%s", text)
	}
	const pw = "a-new-password-99"
	reset := func(link, pw string) *answer {
		return b.with("", "/.crmgate/api/password/reset", map[string]string{"link": link, "new_password": pw})
	}
	if res := reset(m[1], "short"); res.StatusCode == http.StatusNoContent {
		t.Error("a link takes a password that breaks the rules")
	}
	if res := reset(m[1], pw); res.StatusCode != http.StatusNoContent {
		t.Fatalf("resetting: %s %s", res.Status, res.text())
	}
	if res := reset(m[1], pw+"1"); res.StatusCode == http.StatusNoContent {
		t.Error("a link is good twice")
	}
	if res := b.signIn("asha@example.com", pw); res.StatusCode != http.StatusOK {
		t.Errorf("signing in with the new password: %s %s", res.Status, res.text())
	}
	if strings.Contains(d.log(), m[1]) || strings.Contains(d.log(), testpeer.SMTPPassword) {
		t.Error("the log holds a link or the mail server's password")
	}
}

// A code by mail is a second factor of its own.
func TestSignInMailCode(t *testing.T) {
	smtp := testpeer.StartSMTP(t)
	crm := new(recorder)
	s := &setup{crm: serve(t, crm), policy: "version: 1\nsettings: {sign_in: {second_factor: {mandate: all, methods: [mail]}}}\n", options: `origin https://localhost:{port}
		mail {
			host ` + smtp.Host + `
			port ` + strconv.Itoa(smtp.Port) + `
			ca ` + smtp.CAFile + `
			user ` + testpeer.SMTPUser + `
			password {env.SMTP_PASSWORD}
			from crmgate@example.com
		}`}
	file, port, admin := s.file(t)
	p, _ := start(t, []string{"SMTP_PASSWORD=" + testpeer.SMTPPassword}, "run", "--config", file, "--adapter", "caddyfile")
	d := s.ready(t, p, port, admin)
	d.add(t, "asha@example.com", "administrator", crmUser{})
	b := d.browser(t)
	_, step := b.begin("asha@example.com", password)
	if step.Next != "enrol" {
		t.Fatalf("no factor is set up: %+v", step)
	}
	if res := b.with(step.Step, "/.crmgate/api/factors/begin", map[string]string{"kind": "totp"}); res.StatusCode == http.StatusOK {
		t.Error("a kind the policy does not name is set up")
	}
	if res := b.with(step.Step, "/.crmgate/api/factors/begin", map[string]string{"kind": "mail"}); res.StatusCode != http.StatusOK {
		t.Fatalf("sending a code: %s %s\n%s", res.Status, res.text(), smtp.Log())
	}
	code := regexp.MustCompile(`(?m)^\s*(\d{3} ?\d{3})\s*$`).FindStringSubmatch(smtp.Messages(1)[0])
	if code == nil {
		t.Fatalf("the mail holds no code:\n%s", smtp.Messages(1)[0])
	}
	res := b.with(step.Step, "/.crmgate/api/factors/finish", map[string]string{"kind": "mail", "code": strings.ReplaceAll(code[1], " ", "")})
	if res.StatusCode != http.StatusOK || !b.inside() {
		t.Fatalf("the code of the mail: %s %s", res.Status, res.text())
	}
	if res := b.with(step.Step, "/.crmgate/api/step/code", map[string]string{"kind": "mail"}); res.StatusCode == http.StatusOK {
		t.Error("a sign-in that is over sends codes")
	}
}

// R018: while passwords are encrypted, one in clear is refused, and an encrypted
// one is good once.
func TestSignInEncryption(t *testing.T) {
	crm := new(recorder)
	s := &setup{crm: serve(t, crm), policy: "version: 1\nsettings: {sign_in: {password_encryption: true}}\n"}
	d := s.start(t)
	d.add(t, "asha@example.com", "administrator", crmUser{})
	b := d.browser(t)
	if res := b.signIn("asha@example.com", password); res.StatusCode != http.StatusBadRequest {
		t.Errorf("a password in clear: %s %s", res.Status, res.text())
	}
	page := b.get("/.crmgate/sign-in", "Accept", "text/html")
	if c := page.Header.Get("Cache-Control"); !strings.Contains(c, "no-store") || strings.Contains(page.text(), `autocomplete="current-password"`) {
		t.Errorf("the page can be kept, or offers to remember the password: %q", c)
	}
	sealed := b.seal(t, map[string]string{"password": password})
	form := map[string]string{"email": "asha@example.com", "sealed": sealed}
	if res := b.with("", "/.crmgate/api/sign-in", form); res.StatusCode != http.StatusOK || !b.inside() {
		t.Fatalf("an encrypted password: %s %s", res.Status, res.text())
	}
	if res := d.browser(t).with("", "/.crmgate/api/sign-in", form); res.StatusCode == http.StatusOK {
		t.Error("an encrypted password that was recorded is good again")
	}
	form["sealed"] = b.seal(t, map[string]string{"password": "another-password-1"})
	if res := d.browser(t).with("", "/.crmgate/api/sign-in", form); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("a wrong encrypted password: %s %s", res.Status, res.text())
	}
}

// seal encrypts a form the way the page does.
func (b *browser) seal(t testing.TB, fields map[string]string) string {
	t.Helper()
	var key struct {
		ID    string `json:"kid"`
		JWK   jose.JSONWebKey
		Nonce string
	}
	b.post("/.crmgate/api/password/key", "{}").json(t, &key)
	enc, err := jose.NewEncrypter(jose.A256GCM, jose.Recipient{Algorithm: jose.ECDH_ES, Key: key.JWK.Key, KeyID: key.ID}, nil)
	if err != nil {
		t.Fatal(err)
	}
	fields["nonce"] = key.Nonce
	plain, _ := json.Marshal(fields)
	obj, err := enc.Encrypt(plain)
	if err != nil {
		t.Fatal(err)
	}
	out, err := obj.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// A form that was sent with a session that has ended is kept, and sent once after
// signing in again, through every stage; another site's is not.
func TestSignInKeptForm(t *testing.T) {
	crm := new(recorder)
	s := &setup{crm: serve(t, crm)}
	d := s.start(t)
	d.add(t, "asha@example.com", "administrator", crmUser{})
	d.add(t, "ravi@example.com", "administrator", crmUser{})
	b := d.signedIn(t, "asha@example.com")
	if out, err := d.command(t, "", "sessions", "end", "--email", "asha@example.com"); err != nil {
		t.Fatalf("ending the session: %v\n%s", err, out)
	}
	crm.take()
	const form = "FirstName=Z%C3%A9&Phone=%2B4912345"
	page := []string{"Content-Type", "application/x-www-form-urlencoded", "Accept", "text/html", "Sec-Fetch-Mode", "navigate"}
	for site, mode := range map[string]string{"cross-site": "navigate", "same-site": "navigate", "same-origin": "cors"} {
		res := b.post("/app/leads/save?x=1", form, append(page, "Sec-Fetch-Site", site, "Sec-Fetch-Mode", mode)...)
		if strings.Contains(headerText(res.Header), "_kept") {
			t.Errorf("a form from %s (%s) is kept", site, mode)
		}
	}
	res := b.post("/app/leads/save?x=1", form, page...)
	if res.StatusCode != http.StatusSeeOther || b.cookie(t, "__Host-crmgate_kept") == "" {
		t.Fatalf("the form is not kept: %s %s", res.Status, headerText(res.Header))
	}
	if at, _ := url.QueryUnescape(res.Header.Get("Location")); !strings.Contains(at, "return=/.crmgate/kept") {
		t.Errorf("the browser is sent to %s", at)
	}
	if n := len(crm.take()); n != 0 {
		t.Fatalf("%d requests without a session reached the CRM", n)
	}
	b.signIn("asha@example.com", password)
	shown := b.get("/.crmgate/kept", "Accept", "text/html")
	if !strings.Contains(shown.text(), "/app/leads/save") || strings.Contains(shown.text(), "12345") {
		t.Errorf("the question does not name the form, or shows what is in it: %s", shown.text())
	}
	res = b.post("/.crmgate/kept", "x=1", page...)
	got := crm.take()
	if len(got) != 1 || got[0].Method != http.MethodPost || got[0].URI != "/app/leads/save?x=1" || string(got[0].Body) != form {
		t.Fatalf("the CRM got %+v; the browser %s %s", got, res.Status, res.text())
	}
	b.post("/.crmgate/kept", "x=1", page...)
	if n := len(crm.take()); n != 0 {
		t.Error("a kept form is sent twice")
	}
}
