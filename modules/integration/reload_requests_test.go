// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// TestPolicyLeavesRequestsAlone: a page that is half read and a save that was not answered
// yet, when the policy changes, end as they were decided: cut, nobody would know whether
// the save was made.
func TestPolicyLeavesRequestsAlone(t *testing.T) {
	asked, goOn := make(chan string, 2), make(chan struct{})
	crm := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.Method == http.MethodGet {
			_, _ = io.WriteString(w, `{"RecordCount":1,"Leads":[`)
			_ = http.NewResponseController(w).Flush()
		}
		_, _ = io.Copy(io.Discard, r.Body)
		asked <- r.Method
		<-goOn
		if r.Method == http.MethodGet {
			_, _ = io.WriteString(w, `{"ProspectID":"l-1","Phone":"+91-9812345670","ProspectStage":"Qualified"}]}`)
			return
		}
		_, _ = io.WriteString(w, `{"Status":"Success"}`)
	}))
	t.Cleanup(crm.Close)
	s := &setup{crm: crm.URL, policy: rolesOnly + "templates: {t: {entities: {lead: {view: {partial: {mask: [phone]}}}}}}\nassign: [{template: t, roles: [sales_manager]}]\n"}
	file, port, admin := s.file(t)
	p, _ := start(t, nil, "run", "--config", file, "--adapter", "caddyfile")
	d := s.ready(t, p, port, admin)
	d.add(t, "mira@acme.test", "sales_manager", crmUser{})

	got := make(chan string, 2)
	for _, c := range []struct{ method, path, body string }{
		{http.MethodGet, "/app/api/leads", ""},
		{http.MethodPost, "/app/api/leads/l-1", `{"FirstName":"Ann"}`},
	} {
		b := d.signedIn(t, "mira@acme.test")
		go func() { got <- b.whole(c.method, c.path, c.body) }()
		select {
		case <-asked:
		case <-time.After(20 * time.Second):
			t.Fatal("the CRM was not asked")
		}
	}
	time.Sleep(time.Second) // by now they are connections that a lock would end
	was := strings.Count(p.log(), "policy replaced")
	write(t, s.policyFile(), strings.Replace(s.policy, "mask: [phone]", "hide: [phone]", 1))
	eventually(t, 20*time.Second, "the new policy is in force", func() bool { return strings.Count(p.log(), "policy replaced") > was })
	time.Sleep(200 * time.Millisecond)
	close(goOn)
	for range 2 {
		text := <-got
		if !strings.HasPrefix(text, "200 OK ") || !strings.HasSuffix(text, `{"Status":"Success"}`) && !strings.HasSuffix(text, `"ProspectStage":"Qualified"}]}`) || strings.Contains(text, "9812345670") {
			t.Errorf("what was under way came to %s", text)
		}
	}
}

// whole makes a request and returns what came of it, on whatever goroutine.
func (b *browser) whole(method, path, body string) string {
	req, err := http.NewRequestWithContext(context.Background(), method, b.base+path, strings.NewReader(body))
	if err != nil {
		return err.Error()
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := b.Do(req)
	if err != nil {
		return err.Error()
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		return res.Status + ", broken off: " + err.Error()
	}
	return res.Status + " " + string(raw)
}
