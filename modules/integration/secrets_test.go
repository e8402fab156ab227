// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestSecrets: after a full run with everything logged, no file, no log, no export
// and no answer of the admin API holds a secret or a value that was masked.
func TestSecrets(t *testing.T) {
	shared := sharedDemo(t) // its CRM
	boss, asha := keysOf(t, "admin@acme.test"), keysOf(t, "asha@acme.test")
	s := &setup{
		crm:     shared.CRM,
		options: "bridge keys\nbridge jwt\nbridge headers {\n email X-Remote-Email\n}\nkey {env.CRMGATE_TEST_KEY}",
		body:    "log\nencode\ncrmgate_proxy {upstream}",
	}
	policy, err := os.ReadFile("../../caddyfiles/quickstart-policy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	s.policy = string(policy)
	file, port, admin := s.file(t)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	logFile := filepath.Join(s.data, "gateway.log")
	write(t, file, strings.Replace(string(text), "{\n", "{\n\tlog {\n\t\tlevel DEBUG\n\t\toutput file "+logFile+"\n\t}\n", 1))
	const vaultKey = "kZ8sQ2vXn5bT1mYp7wEr3uJh9gLc4dAa6fNx0oVi2zM="
	p, out := start(t, []string{"CRMGATE_TEST_KEY=" + vaultKey}, "run", "--config", file, "--adapter", "caddyfile")
	d := s.ready(t, p, port, admin)
	stdout := new(safeBuffer)
	go func() { _, _ = stdout.ReadFrom(out) }()

	secrets := map[string]string{
		"the password": password, "a password mistyped": "mistyped-granite-99", "a password in the field of the address": "oops-typed-here-42",
		"boss's secret key": boss.SecretKey, "asha's secret key": asha.SecretKey, "asha's access key": asha.AccessKey, "boss's access key": boss.AccessKey,
		"the vault's key": vaultKey, "a phone": "9876543210", "an address": "ishaan.kapoor@example.com",
		"a changed password": "changed-password-31",
	}
	if raw, err := base64.StdEncoding.DecodeString(vaultKey); err == nil {
		secrets["the vault's key in hex"] = hex.EncodeToString(raw)
		secrets["the vault's key in bytes"] = string(raw)
	}
	var lead map[string]any
	d0 := shared.direct(t, "admin@acme.test", http.MethodGet, "/app/api/leads/"+knownLead, "")
	d0.json(t, &lead)
	for _, name := range []string{"mx_PAN_Number", "mx_Aadhaar"} {
		if v, _ := lead[name].(string); v != "" {
			secrets[name] = v
		}
	}
	exercise(t, d, boss, asha, secrets)

	export, err := d.command(t, "", "audit", "export", "--limit", "10000")
	if err != nil {
		t.Fatalf("exporting: %v\n%s", err, export)
	}
	places := map[string][]byte{"the audit's export": []byte(export)}
	for _, path := range []string{"/config/", "/crmgate/info", "/crmgate/people", "/crmgate/sessions", "/crmgate/locks", "/crmgate/policy", "/crmgate/policy/revisions", "/crmgate/audit?limit=10000", "/metrics", "/debug/vars", "/reverse_proxy/upstreams"} {
		_, text := d.tryAdmin(http.MethodGet, path, "")
		places["GET "+path] = []byte(text)
	}
	if len(places["GET /config/"]) < 500 {
		t.Errorf("the configuration cannot be read: %s", places["GET /config/"])
	}
	d.stop(t)
	places["standard error"], places["standard output"] = []byte(d.log()), stdout.bytes()
	if log, err := os.ReadFile(logFile); err != nil || bytes.Count(log, []byte("\n")) < 50 || !bytes.Contains(log, []byte(`"level":"debug"`)) {
		t.Errorf("the log at level debug is not there: nothing was looked at (%v, %d lines)", err, bytes.Count(log, []byte("\n")))
	}
	err = filepath.WalkDir(filepath.Dir(s.data), func(path string, e fs.DirEntry, err error) error {
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
	if len(places) < 20 {
		t.Errorf("only %d places were looked at", len(places))
	}
	for where, text := range places {
		for what, secret := range secrets {
			for form, v := range map[string]string{"": secret, " escaped": url.QueryEscape(secret), " in hex": hex.EncodeToString([]byte(secret)), " in base64": strings.TrimRight(base64.StdEncoding.EncodeToString([]byte(secret)), "=")} {
				if i := bytes.Index(text, []byte(v)); i >= 0 {
					t.Errorf("%s holds %s%s: ...%q...", where, what, form, text[max(0, i-80):min(len(text), i+len(v)+20)])
					break
				}
			}
		}
	}
}

// exercise does everything that touches a secret.
func exercise(t *testing.T, d *demo, boss, asha crmUser, secrets map[string]string) {
	t.Helper()
	d.add(t, "boss@acme.test", "administrator", boss)
	d.add(t, "asha@acme.test", "sales_user", asha)
	d.browser(t).signIn("asha@acme.test", secrets["a password mistyped"])
	d.browser(t).signIn(secrets["a password in the field of the address"], "x")
	u, _ := url.Parse(d.Gateway)
	for _, who := range []string{"boss@acme.test", "asha@acme.test"} {
		b := d.signedIn(t, who)
		secrets["the session of "+who] = b.Jar.Cookies(u)[0].Value
		for _, path := range []string{
			"/app/api/leads/" + knownLead, "/app/api/leads?size=50", "/app/api/leads/" + knownLead + "/activities", "/app/api/me", "/app/export/leads.csv", "/app/print/leads/" + knownLead,
			"/app/api/leads?q=98", "/nowhere",
		} {
			b.get(path)
		}
		b.post("/app/api/leads/"+knownLead, `{"Phone":"+91`+secrets["a phone"]+`"}`)
		b.post("/v2/LeadManagement.svc/Leads.Get", `{"Parameter":{"LookupName":"Phone","LookupValue":"`+secrets["a phone"]+`","SqlOperator":"="}}`)
		b.post("/v2/LeadManagement.svc/Leads.Get", `{"Parameter":{"LookupName":"`+secrets["a phone"]+`"`)
		b.get("/.crmgate/account", "Accept", "text/html", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document")
		b.get("/.crmgate/api/sessions")
	}
	b := d.browser(t)
	b.get("/app/api/me", "x-LSQ-AccessKey", asha.AccessKey, "x-LSQ-SecretKey", asha.SecretKey)
	b.get("/app/api/me?accessKey=" + url.QueryEscape(asha.AccessKey) + "&secretKey=" + asha.SecretKey)
	b.get("/app/api/me?accessKey=" + url.QueryEscape(asha.AccessKey) + "&secretKey=wrong")
	b.get("/app/api/me", "x-LSQ-AccessKey", asha.AccessKey)
	if out, err := d.command(t, secrets["a changed password"]+"\n", "user", "passwd", "asha@acme.test"); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	if out, err := d.command(t, asha.AccessKey+"\n"+asha.SecretKey+"\n", "user", "key", "asha@acme.test"); err != nil || strings.Contains(out, asha.SecretKey) {
		t.Fatalf("%v %s", err, out)
	}
	// What is wrong is quoted in no error either.
	d.tryAdmin(http.MethodPost, "/crmgate/people", `{"email":"x@acme.test","role":"sales_user","password":"`+secrets["a password mistyped"]+`","pasword":"x"}`)
	d.tryAdmin(http.MethodPost, "/crmgate/people", `{"email":"x@acme.test","role":"nobody","password":"`+secrets["a password mistyped"]+`"}`)
	d.tryAdmin(http.MethodPut, "/crmgate/people/boss@acme.test/crm-key", `{"access_key":"`+boss.AccessKey+`","secret_key":"`+boss.SecretKey+`"`)
}
