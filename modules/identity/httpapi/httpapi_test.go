// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package httpapi

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/crmgate/crmgate/modules/internal/httpapi"
	"github.com/crmgate/crmgate/modules/internal/signin"
)

func parse(t *testing.T, text string) (*API, error) {
	t.Helper()
	a := new(API)
	return a, a.UnmarshalCaddyfile(caddyfile.NewTestDispenser(text))
}

func provision(t *testing.T, a *API) error {
	t.Helper()
	ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
	t.Cleanup(cancel)
	err := a.Provision(ctx)
	t.Cleanup(func() { _ = a.Cleanup() })
	return err
}

func TestFromCaddyfileToAnAnswer(t *testing.T) {
	var key, body string
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key = r.Header.Get("Authorization")
		var in map[string]string
		_ = json.NewDecoder(r.Body).Decode(&in)
		body = in["user"] + "|" + in["password"]
		w.WriteHeader(http.StatusCreated)
		_, _ = w.Write([]byte(`{"ok":true,"user":{"email":"mona@example.com"}}`))
	}))
	defer srv.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AUTH_KEY", "k-1")
	a, err := parse(t, `httpapi {
		url           `+srv.URL+`/check
		method        POST
		content_type  application/json
		header        Authorization "Bearer {env.AUTH_KEY}"
		header        Accept-Language en
		body          `+"`"+`{"user":"{email}","password":"{password}"}`+"`"+`
		success       200 201
		success_value /ok true
		wrong         401 403
		email         /user/email
		timeout       10s
		concurrency   4
		private       127.0.0.1
		private       ::1/128 10.0.0.0/8
		ca            `+ca+`
	}`)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Password(t.Context(), signin.Env{}, "mona@example.com", "x"); err == nil {
		t.Error("a provider that is not set up signs in")
	}
	if err := provision(t, a); err != nil {
		t.Fatal(err)
	}
	report, err := a.Probe(t.Context(), "Mona@example.com", `a"b`)
	if err != nil || report.Decision != httpapi.Right {
		t.Fatalf("%+v, %v", report, err)
	}
	if key != "Bearer k-1" || body != `mona@example.com|a"b` {
		t.Errorf("the service got %q and %q", key, body)
	}
	if raw, err := json.Marshal(a); err != nil || strings.Contains(string(raw), "k-1") {
		t.Errorf("the configuration that can be read back holds the secret: %s, %v", raw, err)
	}
}

func TestWrongConfigurationsAreOneClearLine(t *testing.T) {
	t.Setenv("EMPTY", "")
	good := "url https://auth.example.com/\nbody `{\"e\":\"{email}\",\"p\":\"{password}\"}`\n"
	for text, want := range map[string]string{
		"httpapi x {\n" + good + "}":                                              "wrong argument count",
		"httpapi {\n" + good + "retries 3\n}":                                     "retries is no option",
		"httpapi {\n" + good + "url https://x.example.com/\n}":                    "url is given twice",
		"httpapi {\n" + good + "header X-A a\nheader X-A b\n}":                    "header X-A is given twice",
		"httpapi {\n" + good + "success\n}":                                       "wrong argument count",
		"httpapi {\n" + good + "success ok\n}":                                    "no HTTP status",
		"httpapi {\n" + good + "timeout soon\n}":                                  "write a time such as 5s",
		"httpapi {\n" + good + "timeout 0s\n}":                                    "write a time such as 5s",
		"httpapi {\n" + good + "concurrency 0\n}":                                 "from 1 to 256",
		"httpapi {\n" + good + "header X-Api-Key hunter2\n}":                      "looks like a secret written out",
		"httpapi {\n" + good + "header Authorization \"Basic {env.A}hunter2\"\n}": "looks like a secret written out",
		"httpapi {\n" + good + "header X-Api-Key {env.EMPTY}\n}":                  "X-Api-Key",
		"httpapi {\n" + good + "header X-Api-Key {file./none/at/all}\n}":          "X-Api-Key",
		"httpapi {\n" + good + "header X-User {email}\n}":                         "in the query and the body only",
		"httpapi {\n" + good + "private here\n}":                                  "this is no network",
		"httpapi {\n" + good + "ca /none/at/all.pem\n}":                           "ca",
		"httpapi {\n" + good + "success 500\n}":                                   "from 200 to 299",
		"httpapi":                                                                 "no address",
		"httpapi {\nurl http://auth.example.com/\n}":                              "over https only",
	} {
		a, err := parse(t, text)
		if err == nil {
			err = provision(t, a)
		}
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: the operator reads %v, want one line with %q", text, err, want)
		}
	}
}
