// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/crmgate/crmgate/modules/internal/sms"
	"github.com/crmgate/crmgate/modules/internal/vault"
)

// R024: another system checks passwords. What it cannot answer is no wrong
// password, and an answer about somebody else is no sign-in.
func TestSignInAPIProvider(t *testing.T) {
	var mu sync.Mutex
	status, email := http.StatusOK, "asha@example.com"
	api := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		var in struct{ User, Password string }
		_ = json.NewDecoder(r.Body).Decode(&in)
		w.Header().Set("Content-Type", "application/json")
		if r.Header.Get("Authorization") != "api-token-1" || status != http.StatusOK {
			w.WriteHeader(max(status, http.StatusInternalServerError))
			return
		}
		if in.Password != "staff \"pw\" 1" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"active": true, "email": email})
	}))
	crm := new(recorder)
	s := &setup{crm: serve(t, crm), options: `identity httpapi {
			url ` + api + `/check
			header Authorization {env.API_TOKEN}
			body ` + "`" + `{"user":"{email}","password":"{password}"}` + "`" + `
			success_value /active true
			email /email
			private 127.0.0.0/8
		}`}
	file, port, admin := s.file(t)
	p, _ := start(t, []string{"API_TOKEN=api-token-1"}, "run", "--config", file, "--adapter", "caddyfile")
	d := s.ready(t, p, port, admin)
	d.add(t, "asha@example.com", "administrator", crmUser{})
	d.add(t, "ravi@example.com", "administrator", crmUser{})
	const right = `staff "pw" 1`
	for _, c := range []struct {
		name, email, pw string
		before          func()
		want            int
	}{
		{"right", "asha@example.com", right, func() {}, http.StatusOK},
		{"wrong", "asha@example.com", "staff", func() {}, http.StatusUnauthorized},
		{"the gate's own password", "asha@example.com", password, func() {}, http.StatusUnauthorized},
		{"an answer about somebody else", "ravi@example.com", right, func() {}, http.StatusServiceUnavailable},
		{"away", "asha@example.com", right, func() { status = http.StatusBadGateway }, http.StatusServiceUnavailable},
	} {
		mu.Lock()
		c.before()
		mu.Unlock()
		res := d.browser(t).signIn(c.email, c.pw)
		if c.name == "an answer about somebody else" && res.StatusCode == http.StatusUnauthorized {
			continue // refused in either way
		}
		if res.StatusCode != c.want {
			t.Errorf("%s: %s %s, want %d", c.name, res.Status, res.text(), c.want)
		}
	}
	mu.Lock()
	status = http.StatusOK
	mu.Unlock()
	if out, err := d.command(t, right+"\n", "identity", "test", "httpapi", "--email", "asha@example.com"); err != nil || !strings.Contains(out, "right") || strings.Contains(out, "staff") {
		t.Errorf("testing the provider: %v\n%s", err, out)
	}
	if out, err := d.command(t, "nonsense\n", "identity", "test", "httpapi", "--email", "asha@example.com"); err == nil {
		t.Errorf("a test with a wrong password succeeds:\n%s", out)
	}
	if log := d.log(); strings.Contains(log, "api-token-1") || strings.Contains(log, `staff \"pw\"`) {
		t.Error("the log holds the token or a password")
	}
}

// R020: a code by SMS goes to the number an administrator set, through a signed
// webhook.
func TestSignInSMSCode(t *testing.T) {
	const key = "webhook-secret-0123456789"
	texts := make(chan struct{ To, Text string }, 4)
	hook := serve(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if err := sms.Verify(vault.NewSecret([]byte(key)), r.Header, body, time.Now()); err != nil {
			t.Errorf("the webhook got what it cannot believe: %v", err)
		}
		var m struct{ To, Text string }
		_ = json.Unmarshal(body, &m)
		texts <- m
	}))
	crm := new(recorder)
	s := &setup{crm: serve(t, crm), policy: "version: 1\nsettings: {sign_in: {second_factor: {mandate: all, methods: [sms, totp]}}}\n", options: `sms {
			url ` + hook + `/send
			secret {env.SMS_SECRET}
			networks 127.0.0.0/8
		}`}
	file, port, admin := s.file(t)
	p, _ := start(t, []string{"SMS_SECRET=" + key}, "run", "--config", file, "--adapter", "caddyfile")
	d := s.ready(t, p, port, admin)
	d.add(t, "asha@example.com", "administrator", crmUser{})
	if out, err := d.command(t, "", "user", "phone", "asha@example.com", "12345"); err == nil {
		t.Errorf("a number that is none is taken:\n%s", out)
	}
	if out, err := d.command(t, "", "user", "phone", "asha@example.com", "+4915112345678"); err != nil {
		t.Fatalf("setting the number: %v\n%s", err, out)
	}
	b := d.browser(t)
	_, step := b.begin("asha@example.com", password)
	if res := b.with(step.Step, "/.crmgate/api/factors/begin", map[string]string{"kind": "sms"}); res.StatusCode != http.StatusOK || strings.Contains(res.text(), "12345") {
		t.Fatalf("sending a code: %s %s\n%s", res.Status, res.text(), d.log())
	}
	m := <-texts
	code := regexp.MustCompile(`\b\d{6}\b`).FindString(m.Text)
	if m.To != "+4915112345678" || code == "" {
		t.Fatalf("the text %+v has no code, or goes elsewhere", m)
	}
	if res := b.with(step.Step, "/.crmgate/api/factors/finish", map[string]string{"kind": "sms", "code": code}); res.StatusCode != http.StatusOK || !b.inside() {
		t.Fatalf("the code: %s %s", res.Status, res.text())
	}
	if strings.Contains(d.log(), code) || strings.Contains(d.admin(t, http.MethodGet, "/crmgate/audit", ""), code) {
		t.Error("a code is in log or audit")
	}
}

// Nobody learns from the time an answer takes who has an account.
func TestSignInTellsNobodyByTime(t *testing.T) {
	crm := new(recorder)
	s := &setup{crm: serve(t, crm)}
	d := s.start(t)
	var known, unknown time.Duration
	for i := range 4 {
		email := string(rune('a'+i)) + "sha@example.com"
		d.add(t, email, "sales_user", crmUser{})
		took := func(email string) time.Duration {
			start := time.Now()
			if res := d.browser(t).signIn(email, "not-the-password-1"); res.StatusCode != http.StatusUnauthorized {
				t.Fatalf("%s: %s", email, res.Status)
			}
			return time.Since(start)
		}
		known += took(email)
		unknown += took("x" + email)
	}
	if known < time.Second || unknown < time.Second {
		t.Errorf("refusals come at once (%s known, %s unknown for four): differences in work show", known, unknown)
	}
	if diff := (known - unknown).Abs() / 4; diff > 100*time.Millisecond {
		t.Errorf("known accounts answer %s apart from unknown ones", diff)
	}
}
