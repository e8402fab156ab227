// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// live is an open event stream or socket; ended tells when it died.
type live struct {
	name  string
	ended chan time.Time
}

// openEvents opens the CRM's event stream and reads its first line.
func (b *browser) openEvents(t *testing.T) live {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.base+"/app/api/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "text/event-stream")
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	client := *b.Client
	client.Timeout = 0
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(res.Body)
	if line, err := r.ReadString('\n'); err != nil || !strings.HasPrefix(line, "data:") {
		t.Fatalf("the event stream: %s %q %v", res.Status, line, err)
	}
	l := live{"the event stream", make(chan time.Time, 1)}
	go func() {
		_, _ = io.Copy(io.Discard, r)
		_ = res.Body.Close()
		l.ended <- time.Now()
	}()
	return l
}

// openSocket opens the CRM's WebSocket and reads its first message.
func (b *browser) openSocket(t *testing.T) live {
	t.Helper()
	client := *b.over(false).Client
	client.Timeout = 0
	conn, res, err := websocket.Dial(t.Context(), "wss"+strings.TrimPrefix(b.base, "https")+"/app/socket", &websocket.DialOptions{
		HTTPClient: &client, HTTPHeader: http.Header{"Origin": {b.base}},
	})
	if err != nil {
		t.Fatalf("opening the socket: %v %v", err, res)
	}
	t.Cleanup(func() { _ = conn.CloseNow() })
	if _, _, err := conn.Read(t.Context()); err != nil {
		t.Fatalf("reading the socket: %v", err)
	}
	l := live{"the socket", make(chan time.Time, 1)}
	go func() {
		for {
			if _, _, err := conn.Read(context.Background()); err != nil {
				l.ended <- time.Now()
				return
			}
		}
	}()
	return l
}

// diesWithin waits for the end of a connection.
func (l live) diesWithin(t *testing.T, since time.Time, within time.Duration) {
	t.Helper()
	select {
	case at := <-l.ended:
		if took := at.Sub(since); took > within {
			t.Errorf("%s lived on for %s", l.name, took)
		}
	case <-time.After(within + 5*time.Second):
		t.Errorf("%s lives on", l.name)
	}
}

func (l live) lives(t *testing.T) {
	t.Helper()
	select {
	case <-l.ended:
		t.Errorf("%s of somebody who was not meant died", l.name)
	default:
	}
}

// TestLocks: a lock is felt at once by whom it is for and by nobody else.
func TestLocks(t *testing.T) {
	d := sharedDemo(t)
	manager, asha := d.signedIn(t, "manager@acme.test"), d.signedIn(t, "asha@acme.test")
	events, socket := manager.openEvents(t), manager.openSocket(t)
	others := []live{asha.openEvents(t), asha.openSocket(t)}

	before := time.Now()
	var lock struct{ ID string }
	text := d.admin(t, http.MethodPost, "/crmgate/locks", `{"target":"role","value":"sales_manager","message":"Back at nine."}`)
	if err := json.Unmarshal([]byte(text), &lock); err != nil || lock.ID == "" {
		t.Fatalf("the lock: %v %s", err, text)
	}
	events.diesWithin(t, before, time.Second)
	socket.diesWithin(t, before, time.Second)
	a := manager.get("/app/api/me")
	if a.StatusCode != http.StatusForbidden || a.reason() != "locked" || !strings.Contains(a.text(), "Back at nine.") {
		t.Errorf("the manager's next request: %s %s", a.Status, a.text())
	}
	if page := manager.get("/app/leads", "Accept", "text/html", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"); page.StatusCode != http.StatusForbidden || !strings.Contains(page.text(), "Back at nine.") {
		t.Errorf("the manager's page: %s %.300s", page.Status, page.text())
	}
	if a := d.browser(t).signIn("manager@acme.test", "lantern-orchard-34"); a.StatusCode != http.StatusForbidden || a.reason() != "locked" {
		t.Errorf("the manager signing in: %s %s", a.Status, a.text())
	}
	if a := asha.get("/app/api/me"); a.StatusCode != http.StatusOK {
		t.Errorf("asha is locked out as well: %s", a.Status)
	}
	for _, l := range others {
		l.lives(t)
	}
	if out, err := d.command(t, "", "lock", "list"); err != nil || !strings.Contains(out, "Back at nine.") {
		t.Errorf("crmgate lock list: %v\n%s", err, out)
	}

	if out, err := d.command(t, "", "unlock", lock.ID); err != nil {
		t.Fatalf("crmgate unlock: %v\n%s", err, out)
	}
	// The old session is gone for good; what the manager reads is to sign in.
	if a := manager.get("/app/api/me"); a.StatusCode != http.StatusUnauthorized || a.reason() != "no_session" {
		t.Errorf("the old session after the lock was lifted: %s %s, want 401 no_session", a.Status, a.reason())
	}
	if a := manager.signIn("manager@acme.test", "lantern-orchard-34"); a.StatusCode != http.StatusOK {
		t.Errorf("the manager signing in after the lock was lifted: %s", a.Status)
	}
	if a := manager.get("/app/api/me"); a.StatusCode != http.StatusOK {
		t.Errorf("the manager's new session: %s", a.Status)
	}
}

// TestLocksEndThoseWhoJoinedAGroup: a group is who is in it now, whoever was in it when
// they signed in.
func TestLocksEndThoseWhoJoinedAGroup(t *testing.T) {
	d := startDemo(t, "", "--leads", "50")
	ravi, asha := d.signedIn(t, "ravi@acme.test"), d.signedIn(t, "asha@acme.test")
	file := filepath.Join(d.data, "policy.yaml")
	was, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	write(t, file, strings.Replace(string(was), "groups:\n", "groups:\n  joined:\n    name: Joined\n    members: {ravi@acme.test: []}\n", 1))
	d.admin(t, http.MethodPost, "/crmgate/refresh", "{}")
	d.admin(t, http.MethodPost, "/crmgate/locks", `{"target":"group","value":"joined","for":"0"}`)
	if a := ravi.get("/app/api/me"); a.StatusCode != http.StatusUnauthorized {
		t.Errorf("ravi, who joined the group after signing in: %s %s; his session outlives the lock", a.Status, a.reason())
	}
	if a := asha.get("/app/api/me"); a.StatusCode != http.StatusOK {
		t.Errorf("asha, who is in another group: %s", a.Status)
	}
}

// TestLocksByCommand: the command line ends sessions and sets locks that end by
// themselves.
func TestLocksByCommand(t *testing.T) {
	d := sharedDemo(t)
	ravi, asha := d.signedIn(t, "ravi@acme.test"), d.signedIn(t, "asha@acme.test")
	stream := ravi.openEvents(t)
	out, err := d.command(t, "", "sessions", "--email", "ravi@acme.test")
	if err != nil || !strings.Contains(out, "ravi@acme.test") {
		t.Fatalf("crmgate sessions: %v\n%s", err, out)
	}
	u, _ := url.Parse(d.Gateway)
	if token := ravi.Jar.Cookies(u)[0].Value; strings.Contains(out, token) {
		t.Error("crmgate sessions prints the token itself")
	}
	if out, err := d.command(t, "", "sessions", "end", "--email", "ravi@acme.test"); err != nil {
		t.Fatalf("crmgate sessions end: %v\n%s", err, out)
	}
	stream.diesWithin(t, time.Now(), time.Second)
	if a := ravi.get("/app/api/me"); a.StatusCode != http.StatusUnauthorized {
		t.Errorf("ravi's session after it was ended: %s %s", a.Status, a.reason())
	}
	if a := ravi.signIn("ravi@acme.test", "saffron-bridge-90"); a.StatusCode != http.StatusOK {
		t.Errorf("ravi signing in again: %s", a.Status)
	}

	stream = ravi.openEvents(t)
	if out, err := d.command(t, "", "lock", "--user", "ravi@acme.test", "--for", "2s", "--message", "A short break."); err != nil {
		t.Fatalf("crmgate lock: %v\n%s", err, out)
	}
	stream.diesWithin(t, time.Now(), time.Second)
	eventually(t, 10*time.Second, "the lock is over by itself", func() bool {
		return d.browser(t).signIn("ravi@acme.test", "saffron-bridge-90").StatusCode == http.StatusOK
	})
	if a := ravi.get("/app/api/me"); a.StatusCode != http.StatusUnauthorized {
		t.Errorf("ravi's old session after the lock: %s %s, want to be asked to sign in", a.Status, a.reason())
	}
	if a := asha.get("/app/api/me"); a.StatusCode != http.StatusOK {
		t.Errorf("asha's session: %s", a.Status)
	}
	if out, err := d.command(t, "", "lock"); err == nil || !strings.Contains(out, "who is to be locked?") {
		t.Errorf("a lock on nobody: %v\n%s", err, out)
	}
	if out, err := d.command(t, "", "lock", "--user", "nobody@acme.test"); err == nil {
		t.Errorf("a lock on somebody unknown is accepted: %s", out)
	}
}
