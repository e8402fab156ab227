// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"
)

// stepped is the answer of a sign-in, or of a step of one.
type stepped struct {
	Next     string
	Step     string
	Methods  []string
	Session  *struct{ Email string }
	Recovery []string `json:"recovery_codes"`
}

// begin signs in with a password and returns what came of it.
func (b *browser) begin(email, pw string) (*answer, stepped) {
	b.t.Helper()
	var s stepped
	res := b.signIn(email, pw)
	if res.StatusCode == http.StatusOK {
		res.json(b.t, &s)
	}
	return res, s
}

// with sends JSON for a pending sign-in.
func (b *browser) with(step, path string, body any, header ...string) *answer {
	b.t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		b.t.Fatal(err)
	}
	if step != "" {
		header = append(header, "X-Crmgate-Step", step)
	}
	return b.post(path, string(raw), header...)
}

// inside says whether the browser has a session that opens the CRM.
func (b *browser) inside() bool {
	b.t.Helper()
	return b.get("/app/api/leads").StatusCode == http.StatusOK
}

// codeAt is what an authenticator app shows.
func codeAt(t testing.TB, secret string, at time.Time) string {
	t.Helper()
	code, err := totp.GenerateCode(strings.ReplaceAll(secret, " ", ""), at)
	if err != nil {
		t.Fatal(err)
	}
	return code
}

const factorPolicy = `version: 1
account: acme
settings:
  sign_in:
    second_factor: {roles: [administrator]}
    trusted_device: {days: 30}
`

// enrol signs somebody in of whom a second factor is demanded, sets one up, and
// returns its secret and the recovery codes.
func (b *browser) enrol(email string) (secret string, recovery []string) {
	b.t.Helper()
	res, s := b.begin(email, password)
	if s.Next != "enrol" || s.Step == "" || s.Session != nil || !slices.Contains(s.Methods, "totp") {
		b.t.Fatalf("a mandated factor is not set up while signing in: %s %s", res.Status, res.text())
	}
	if b.inside() {
		b.t.Fatal("there is a session before the second factor is set up")
	}
	var e struct{ Secret string }
	b.with(s.Step, "/.crmgate/api/factors/begin", map[string]string{"kind": "totp"}).json(b.t, &e)
	wrong := codeAt(b.t, e.Secret, time.Now().Add(time.Hour))
	if res := b.with(s.Step, "/.crmgate/api/factors/finish", map[string]string{"kind": "totp", "code": wrong}); res.StatusCode != http.StatusUnauthorized {
		b.t.Fatalf("a wrong first code: %s %s", res.Status, res.text())
	}
	res = b.with(s.Step, "/.crmgate/api/factors/finish", map[string]string{"kind": "totp", "code": codeAt(b.t, e.Secret, time.Now())})
	res.json(b.t, &s)
	if res.StatusCode != http.StatusOK || len(s.Recovery) != 10 || !b.inside() {
		b.t.Fatalf("a factor that was set up opens nothing: %s %s", res.Status, res.text())
	}
	return e.Secret, s.Recovery
}

// R020, R021, R025: a second factor is demanded by role, set up while signing in,
// asked at every sign-in but on a trusted device, and can be reset.
func TestSignInSecondFactor(t *testing.T) {
	crm := new(recorder)
	s := &setup{crm: serve(t, crm), policy: factorPolicy}
	d := s.start(t)
	d.add(t, "asha@example.com", "administrator", crmUser{})
	d.add(t, "ravi@example.com", "sales_user", crmUser{})

	if _, s := d.browser(t).begin("ravi@example.com", password); s.Session == nil {
		t.Error("a factor is asked of somebody of whom none is demanded")
	}
	b := d.browser(t)
	secret, recovery := b.enrol("asha@example.com")

	// The next sign-in asks; a step that was used is not taken again.
	b = d.browser(t)
	_, step := b.begin("asha@example.com", password)
	if step.Next != "second_factor" || b.inside() {
		t.Fatalf("a password alone opens an account with a second factor: %+v", step)
	}
	prove := func(b *browser, step, kind, code string, trust bool) *answer {
		return b.with(step, "/.crmgate/api/step/prove", map[string]any{"kind": kind, "code": code, "trust": trust})
	}
	used := codeAt(t, secret, time.Now().Add(-30*time.Second))
	if res := prove(b, step.Step, "totp", used, false); res.StatusCode != http.StatusUnauthorized || b.inside() {
		t.Errorf("a step before the last one is taken: %s %s", res.Status, res.text())
	}
	if res := prove(d.browser(t), step.Step, "totp", "", false); res.StatusCode == http.StatusOK {
		t.Error("an empty proof is a proof")
	}
	res := prove(b, step.Step, "totp", codeAt(t, secret, time.Now().Add(30*time.Second)), true)
	if res.StatusCode != http.StatusOK || !b.inside() {
		t.Fatalf("a right code: %s %s", res.Status, res.text())
	}
	if again := prove(d.browser(t), step.Step, "recovery", recovery[9], false); again.StatusCode != http.StatusUnauthorized {
		t.Errorf("a pending sign-in that is over goes on: %s %s", again.Status, again.text())
	}

	// The device is trusted, and nothing but that one.
	b.post("/.crmgate/api/sign-out", "{}")
	if _, s := b.begin("asha@example.com", password); s.Session == nil {
		t.Errorf("on a trusted device the factor is asked again: %+v", s)
	}
	other := d.browser(t)
	_, step = other.begin("asha@example.com", password)
	if step.Next != "second_factor" {
		t.Errorf("another device is trusted: %+v", step)
	}
	body, _ := json.Marshal(map[string]string{"email": "asha@example.com", "password": password})
	b.post("/.crmgate/api/sign-out", "{}")
	var stolen stepped
	b.post("/.crmgate/api/sign-in", string(body), "User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0").json(t, &stolen)
	if stolen.Next != "second_factor" {
		t.Errorf("a stolen device cookie is good in another browser: %+v", stolen)
	}
	if out, err := d.command(t, "", "user", "devices", "asha@example.com"); err != nil || !strings.Contains(out, "127.0.0.1") {
		t.Errorf("listing devices: %v\n%s", err, out)
	}
	if out, err := d.command(t, "", "user", "devices", "asha@example.com", "--revoke", "all"); err != nil {
		t.Errorf("revoking devices: %v\n%s", err, out)
	}
	if _, s := b.begin("asha@example.com", password); s.Next != "second_factor" {
		t.Errorf("a revoked device is trusted: %+v", s)
	}

	// Recovery codes, once each; five wrong ones end it.
	if res := prove(other, step.Step, "recovery", recovery[0], true); res.StatusCode != http.StatusOK || !other.inside() {
		t.Fatalf("a recovery code: %s %s", res.Status, res.text())
	}
	third := d.browser(t)
	_, step = third.begin("asha@example.com", password)
	for range 5 {
		if res := prove(third, step.Step, "recovery", recovery[0], false); res.StatusCode == http.StatusOK {
			t.Fatal("a recovery code is good twice")
		}
	}
	if res := prove(third, step.Step, "recovery", recovery[1], false); res.StatusCode == http.StatusOK {
		t.Error("a sign-in with five wrong proofs goes on")
	}

	// An administrator of the gateway resets.
	if out, err := d.command(t, "", "user", "factors", "asha@example.com"); err != nil || !strings.Contains(out, "totp") || strings.Contains(out, secret[:4]) {
		t.Errorf("listing factors: %v\n%s", err, out)
	}
	if out, err := d.command(t, "", "user", "factors", "asha@example.com", "--reset"); err != nil {
		t.Fatalf("resetting factors: %v\n%s", err, out)
	}
	if other.inside() {
		t.Error("a session outlives the reset of its person's factors")
	}
	if out, err := d.command(t, "", "ban", "list"); err != nil || !strings.Contains(out, "asha@example.com") {
		t.Errorf("guessing at a second factor bans nobody: %v\n%s", err, out)
	}
	audit := d.admin(t, http.MethodGet, "/crmgate/audit", "")
	for _, kind := range []string{`"second_factor"`, `"enrol"`, `"device"`, `"factors"`} {
		if !strings.Contains(audit, kind) {
			t.Errorf("the audit has no record of kind %s", kind)
		}
	}
	for _, leak := range append(recovery, used, strings.ReplaceAll(secret, " ", "")) {
		if strings.Contains(d.log(), leak) || strings.Contains(audit, leak) {
			t.Error("a secret of a second factor is in log or audit")
		}
	}
}

// A sensitive act needs a fresh proof, which gives the session a new id.
func TestSignInStepUp(t *testing.T) {
	crm := new(recorder)
	s := &setup{crm: serve(t, crm), policy: strings.Replace(factorPolicy, "{roles: [administrator]}", "{roles: [administrator], step_up: 10s}", 1)}
	d := s.start(t)
	d.add(t, "asha@example.com", "administrator", crmUser{})
	b := d.browser(t)
	_, recovery := b.enrol("asha@example.com")
	before := b.cookie(t, "__Host-crmgate")
	fresh := 0
	eventually(t, 30*time.Second, "a proof ten seconds old is too old", func() bool {
		var out struct {
			Recovery []string `json:"recovery_codes"`
		}
		res := b.post("/.crmgate/api/recovery-codes", "{}")
		if res.StatusCode == http.StatusOK {
			res.json(t, &out)
			recovery = out.Recovery
			fresh++
		}
		time.Sleep(500 * time.Millisecond)
		return res.reason() == "step_up"
	})
	if fresh == 0 {
		t.Fatal("a proof is too old right after signing in")
	}
	if !b.inside() {
		t.Error("a session that needs a fresh proof for one act lost everything else")
	}
	var begun struct{ Step string }
	b.post("/.crmgate/api/step-up", "{}").json(t, &begun)
	if res := d.browser(t).with(begun.Step, "/.crmgate/api/step/prove", map[string]any{"kind": "recovery", "code": "00000-00000"}); res.StatusCode == http.StatusOK {
		t.Fatal("a wrong proof steps up")
	}
	res := b.with(begun.Step, "/.crmgate/api/step/prove", map[string]any{"kind": "recovery", "code": recovery[0]})
	if res.StatusCode != http.StatusOK {
		t.Fatalf("stepping up: %s %s", res.Status, res.text())
	}
	if after := b.cookie(t, "__Host-crmgate"); after == before || after == "" {
		t.Error("the session's id is the same after a privilege change: a fixed one stays usable")
	}
	if res := b.post("/.crmgate/api/recovery-codes", "{}"); res.StatusCode != http.StatusOK {
		t.Errorf("after stepping up: %s %s", res.Status, res.text())
	}
	old := d.browser(t)
	if res := old.get("/app/api/leads", "Cookie", "__Host-crmgate="+before); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("the id before the step-up is still good: %s", res.Status)
	}
}

// cookie returns the value of a cookie of the jar.
func (b *browser) cookie(t testing.TB, name string) string {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, b.base, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range b.Jar.Cookies(req.URL) {
		if c.Name == name {
			return c.Value
		}
	}
	return ""
}
