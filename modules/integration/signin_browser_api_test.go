// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// TestSignInAPIProvider lets another system check the passwords: right, wrong, and
// an outage, which is never a wrong password.
func TestSignInAPIProviderInChromium(t *testing.T) {
	const apiKey = "key-of-the-api-0123"
	var broken, asked atomic.Int32
	api := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		var in struct{ User, Password string }
		body, _ := io.ReadAll(r.Body)
		switch err := json.Unmarshal(body, &in); {
		case err != nil || r.Header.Get("X-Api-Key") != apiKey:
			t.Errorf("the other system was asked %s without its key, or with %q", r.Method, body)
		case broken.Load() > 0:
			w.WriteHeader(http.StatusBadGateway)
		case in.Password != `a "quoted" one\1`:
			w.WriteHeader(http.StatusUnauthorized)
		case in.User == "ravi@example.com":
			_, _ = io.WriteString(w, `{"ok":true,"email":"somebody.else@example.com"}`)
		default:
			_ = json.NewEncoder(w).Encode(map[string]any{"ok": true, "email": in.User})
		}
	}))
	t.Cleanup(api.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: api.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	s := &setup{crm: serve(t, new(recorder)), options: `identity httpapi {
			url ` + api.URL + `/check
			header X-Api-Key {env.CRMGATE_TEST_API}
			body ` + "`" + `{"user":"{email}","password":"{password}"}` + "`" + `
			success_value /ok true
			email /email
			private 127.0.0.0/8
			ca ` + ca + `
		}`}
	d := s.startWith(t, []string{"CRMGATE_TEST_API=" + apiKey}, func(string) map[string]string { return nil })
	for _, email := range []string{"asha@example.com", "ravi@example.com"} {
		d.add(t, email, "administrator", crmUser{})
	}
	const right = `a "quoted" one\1`
	b := d.browser(t)
	if res := b.signIn("asha@example.com", right); res.StatusCode != http.StatusOK || !b.inside() {
		t.Fatalf("what the other system calls right: %s %s", res.Status, res.text())
	}
	for name, c := range map[string][2]string{
		"a wrong password":                      {"asha@example.com", "wrong-one-1"},
		"the gate's own password":               {"asha@example.com", password},
		"somebody the directory does not have":  {"stranger@example.com", right},
		"an answer that is about somebody else": {"ravi@example.com", right},
	} {
		res := d.browser(t).signIn(c[0], c[1])
		if res.StatusCode == http.StatusOK || res.StatusCode == http.StatusServiceUnavailable && c[0] != "ravi@example.com" {
			t.Errorf("%s: %s %s", name, res.Status, res.text())
		}
	}
	broken.Store(1)
	for range 8 { // more than lock out
		if res := d.browser(t).signIn("asha@example.com", right); res.StatusCode != http.StatusServiceUnavailable {
			t.Fatalf("while the other system is away: %s %s, want 503: people would believe that their password is wrong", res.Status, res.text())
		}
	}
	if !b.inside() {
		t.Error("a session ends because the other system is away")
	}
	test := func() (string, error) {
		return d.command(t, right+"\n", "identity", "test", "httpapi", "--email", "asha@example.com")
	}
	if out, err := test(); err == nil {
		t.Errorf("testing a provider that is away succeeds: %s", out)
	}
	broken.Store(0)
	if res := d.browser(t).signIn("asha@example.com", right); res.StatusCode != http.StatusOK {
		t.Errorf("after an outage: %s %s: tries during it were counted", res.Status, res.text())
	}
	out, err := test()
	if err != nil || strings.Contains(out, right) || strings.Contains(out, apiKey) {
		t.Errorf("testing the provider: %v\n%s", err, out)
	}
	if log := d.log() + d.admin(t, http.MethodGet, "/crmgate/audit", "") + d.admin(t, http.MethodGet, "/crmgate/info", ""); strings.Contains(log, apiKey) || strings.Contains(log, "quoted") {
		t.Error("log or audit hold the key or the password")
	}
}
