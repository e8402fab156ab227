// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package democrm

import (
	"bufio"
	"context"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
)

func TestHomeRedirects(t *testing.T) {
	b := newBench(t)
	w := b.do(b.request("", get, "/", ""))
	if w.Code != http.StatusFound || w.Header().Get("Location") != "/app/leads" {
		t.Errorf("status %d to %q, want 302 to /app/leads", w.Code, w.Header().Get("Location"))
	}
}

var inline = regexp.MustCompile(`(?i)<script(?:[^>]*\ssrc=)?[^>]*>\s*[^<\s]|<style|\sstyle=|\son[a-z]+=|javascript:`)

// The pages run under a policy that allows no inline script or style, so
// nothing in them may need one.
func TestPagesKeepToTheirPolicy(t *testing.T) {
	b := newBench(t)
	for _, path := range []string{"/app/leads", "/app/leads/" + knownLead, "/app/reports", "/app/dashboard", "/app/tasks", "/app/print/leads/" + knownLead} {
		w := b.do(b.request("asha", get, path, ""))
		if policy := w.Header().Get("Content-Security-Policy"); !strings.HasPrefix(policy, "default-src 'self';") || strings.Contains(policy, "unsafe") {
			t.Errorf("%s: policy %q", path, policy)
		}
		if found := inline.FindString(w.Body.String()); found != "" {
			t.Errorf("%s has inline code that the policy blocks: %q", path, found)
		}
		print := strings.HasPrefix(path, "/app/print/")
		if shows := strings.Contains(w.Body.String(), "919876543210"); shows != print {
			t.Errorf("%s: record data in the page is %v, want %v", path, shows, print)
		}
	}
}

func TestAssets(t *testing.T) {
	b := newBench(t)
	page := b.do(b.request("", get, "/app/leads", "")).Body.String()
	for _, m := range regexp.MustCompile(`(?:src|href)="(/app/(?:static/|favicon)[^"]*)"`).FindAllStringSubmatch(page, -1) {
		w := b.do(b.request("", get, m[1], ""))
		if w.Code != 200 || w.Header().Get("Content-Type") == "" {
			t.Errorf("%s: status %d, type %q: the page would be broken", m[1], w.Code, w.Header().Get("Content-Type"))
		}
		r := b.request("", get, m[1], "")
		r.Header.Set("If-None-Match", w.Header().Get("ETag"))
		if w := b.do(r); w.Code != http.StatusNotModified {
			t.Errorf("%s: status %d with the right ETag, want 304", m[1], w.Code)
		}
	}
	for _, name := range []string{"leads", "lead", "reports", "dashboard", "tasks", "chart", "app"} {
		w := b.do(b.request("", get, "/app/static/"+name+".js", ""))
		if w.Code != 200 || w.Header().Get("Content-Type") != "text/javascript; charset=utf-8" {
			t.Errorf("%s.js: status %d, type %q: browsers refuse modules of another type", name, w.Code, w.Header().Get("Content-Type"))
		}
	}
	b.refused("", get, "/app/static/nothing.js", "", 404, "MXNotFoundException")
	b.refused("", get, "/app/static/..%2fpages/print.html", "", 404, "MXInvalidOperationException")
}

func TestPrintEscapes(t *testing.T) {
	b := newBench(t)
	b.call("asha", post, "/app/api/leads/"+knownLead, `{"Notes":"<script>alert(1)</script>"}`, nil)
	if w := b.do(b.request("asha", get, "/app/print/leads/"+knownLead, "")); strings.Contains(w.Body.String(), "<script") {
		t.Error("a note must never become markup of the print page")
	}
	b.refused("asha", get, "/app/print/leads/x", "", 404, "MXNotFoundException")
}

func TestAppPatch(t *testing.T) {
	b := newBench(t)
	var row flatRow
	b.call("ravi", post, "/app/api/leads/"+knownLead, `{"Phone":"+919800099999","Notes":null}`, &row)
	if str(row["Phone"]) != "+919800099999" || row["Notes"] != nil || str(row["ModifiedByName"]) != "Ravi Menon" {
		t.Errorf("the changed lead must come back: phone %s, notes %s", str(row["Phone"]), str(row["Notes"]))
	}
	if again := b.lead(knownLead); str(again["Phone"]) != "+919800099999" {
		t.Errorf("the change must stay, phone is %s", str(again["Phone"]))
	}
}

func TestMe(t *testing.T) {
	b := newBench(t)
	want := `{"ID":"` + idAsha + `","Name":"Asha Rao","EmailAddress":"asha@acme.test","Role":"Sales_User"}`
	if got := b.call("asha", get, "/app/api/me", "", nil); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func (b *bench) serve() (*httptest.Server, http.Header) {
	b.t.Helper()
	b.crm.eventsEvery, b.crm.socketEvery = 5*time.Millisecond, 5*time.Millisecond
	server := httptest.NewServer(b.crm.Handler())
	b.t.Cleanup(server.Close)
	return server, b.request("asha", get, "/", "").Header
}

func TestEvents(t *testing.T) {
	b := newBench(t)
	server, keys := b.serve()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, get, server.URL+"/app/api/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header = keys
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if kind := answer.Header.Get("Content-Type"); kind != "text/event-stream" {
		t.Errorf("content type %q", kind)
	}
	lines := bufio.NewScanner(answer.Body)
	for seen := 0; seen < 3 && lines.Scan(); {
		if line := lines.Text(); line != "" {
			seen++
			if line != `data: {"type":"heartbeat","at":"2026-07-01 09:00:00.000"}` {
				t.Fatalf("the stream must carry heartbeats and nothing else: %q", line)
			}
		}
	}
	if lines.Err() != nil {
		t.Errorf("the stream ended early: %v", lines.Err())
	}
}

func TestSocket(t *testing.T) {
	b := newBench(t)
	server, keys := b.serve()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, server.URL+"/app/socket", &websocket.DialOptions{HTTPHeader: keys})
	if err != nil {
		t.Fatalf("connecting: %v", err)
	}
	for range 3 {
		_, message, err := conn.Read(ctx)
		if err != nil {
			t.Fatalf("reading: %v", err)
		}
		if string(message) != `{"type":"heartbeat","at":"2026-07-01 09:00:00.000"}` {
			t.Fatalf("the socket must carry heartbeats and nothing else: %q", message)
		}
	}
	if err := conn.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Errorf("closing: %v", err)
	}
	if _, _, err := websocket.Dial(ctx, server.URL+"/app/socket", nil); err == nil {
		t.Error("the socket must not open without keys")
	}
}

// Reads and writes side by side; the race detector is the judge.
func TestConcurrentUse(t *testing.T) {
	b := newBench(t)
	calls := []struct{ method, target, body string }{
		{get, "/app/api/leads?size=50&sort=FirstName", ""},
		{get, "/app/export/leads.csv", ""},
		{post, "/app/api/leads/" + knownLead, `{"mx_City":"Pune"}`},
		{post, leadsSvc + "Lead.CreateOrUpdate", pairsJSON("EmailAddress", "same@example.com", "mx_City", "Kochi")},
		{post, actSvc + "Create", `{"RelatedProspectId":"` + knownLead + `","ActivityEvent":201}`},
		{get, "/app/api/leads/" + knownLead + "/activities", ""},
	}
	var group sync.WaitGroup
	for _, c := range calls {
		group.Go(func() {
			for range 20 {
				if w := b.do(b.request("asha", c.method, c.target, c.body)); w.Code != 200 {
					t.Errorf("%s %s: status %d", c.method, c.target, w.Code)
				}
			}
		})
	}
	group.Wait()
	if n := len(b.crm.leads.rows); n != 241 {
		t.Errorf("%d leads, want 241: one upsert of many must create, the others update", n)
	}
}
