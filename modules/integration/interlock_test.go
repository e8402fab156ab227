// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestInterlock: only what a gate decided is sent, and only as it was decided.
func TestInterlock(t *testing.T) {
	crm := new(recorder)
	s := &setup{crm: serve(t, crm), body: `route {
		header >X-Decision "{http.crmgate.decision} {http.crmgate.reason} {http.auth.user.email}"
		crmgate
		@boss crmgate_role administrator
		header @boss X-Boss {http.auth.user.email}
		@ravi crmgate_user ravi@acme.test
		header @ravi X-Ravi {http.crmgate.operation}
		@method header X-Change method
		method @method POST
		@path header X-Change path
		rewrite @path /app/export/leads.csv
		@query header X-Change query
		rewrite @query ?size=200
		reverse_proxy {upstream} {
			transport crmgate
			health_uri /healthz
			health_interval 200ms
			fail_duration 30s
			max_fails 1
		}
	}`, more: `https://127.0.0.1:{port} {
		bind 127.0.0.1
		tls internal
		reverse_proxy {upstream} {
			transport crmgate
		}
	}
	`}
	d := s.start(t)
	d.add(t, "boss@acme.test", "administrator", crmUser{})
	d.add(t, "ravi@acme.test", "sales_user", crmUser{})
	b := d.signedIn(t, "boss@acme.test")
	clients := func() (got []seen) { // what did not come from the health checks
		for _, r := range crm.take() {
			if r.URI != "/healthz" {
				got = append(got, r)
			}
		}
		return got
	}

	if a := b.get("/app/api/me"); a.StatusCode != http.StatusOK || len(clients()) != 1 {
		t.Fatalf("a decided request: %s %s", a.Status, a.text())
	} else if a.Header.Get("X-Boss") != "boss@acme.test" || a.Header.Get("X-Ravi") != "" {
		t.Errorf("matchers and placeholders after the gate: X-Boss %q, X-Ravi %q", a.Header.Get("X-Boss"), a.Header.Get("X-Ravi"))
	}
	if a := d.signedIn(t, "ravi@acme.test").get("/app/api/ping"); a.Header.Get("X-Boss") != "" || a.Header.Get("X-Ravi") != "app.ping" {
		t.Errorf("matchers and placeholders after the gate: X-Boss %q, X-Ravi %q", a.Header.Get("X-Boss"), a.Header.Get("X-Ravi"))
	}
	// Whether he may write it, the lead as it is now decides; who he is stands.
	if a := d.signedIn(t, "ravi@acme.test").post("/app/api/leads/7", `{"FirstName":"x"}`); a.StatusCode != http.StatusNotFound || a.Header.Get("X-Ravi") != "app.lead_update" || a.Header.Get("X-Decision") != "deny row_denied ravi@acme.test" {
		t.Errorf("after the gate, before a read: %s, X-Ravi %q, X-Decision %q", a.Status, a.Header.Get("X-Ravi"), a.Header.Get("X-Decision"))
	}
	for path, want := range map[string]string{
		"/app/api/ping": "allow allowed ravi@acme.test", "/nowhere": "deny unmapped ravi@acme.test",
	} {
		if a := d.signedIn(t, "ravi@acme.test").get(path); a.Header.Get("X-Decision") != want {
			t.Errorf("%s: %s, and the placeholders say %q, want %q", path, a.Status, a.Header.Get("X-Decision"), want)
		}
	}
	clients()
	for _, change := range []string{"method", "path", "query"} {
		a := b.get("/app/api/me", "X-Change", change)
		if got := clients(); a.StatusCode != http.StatusForbidden || len(got) != 0 {
			t.Errorf("the %s changed behind the gate: %s, and the CRM got %+v", change, a.Status, got)
		}
	}

	t.Run("a site without the gate", func(t *testing.T) {
		tr := b.Transport.(*http.Transport).Clone()
		tr.TLSClientConfig.ServerName = "localhost"
		c := &browser{t: t, base: strings.Replace(d.Gateway, "localhost", "127.0.0.1", 1), Client: &http.Client{Transport: tr}}
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodHead, http.MethodOptions} {
			if a := c.send(method, "/app/api/me", ""); a.StatusCode != http.StatusForbidden {
				t.Errorf("%s on a site that forgot the gate: %s %s", method, a.Status, a.text())
			}
		}
		if got := clients(); len(got) != 0 {
			t.Errorf("a site that forgot the gate asked the CRM: %+v", got)
		}
	})

	// Health checks go through all the while, and refusals take nobody down.
	healthy := 0
	eventually(t, 10*time.Second, "the CRM was asked for its health", func() bool {
		for _, r := range crm.take() {
			if r.URI == "/healthz" {
				healthy++
			}
		}
		return healthy >= 3
	})
	if a := b.get("/app/api/me"); a.StatusCode != http.StatusOK {
		t.Errorf("after refusals and health checks: %s, the CRM was taken down", a.Status)
	}
}
