// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

const adoptMap = `version: 1
map: own
session:
  header: X-CRM-Session
  form: "{key}"
  secret: key
  sign_out: {method: POST, path: /logout, body: '{}'}
requests:
  any: {ignore: [/password]}
responses:
  done: {format: json}
routes:
  - id: sign_in
    kind: sign_in
    on: POST /login
    request: any
    response: done
    grants: {key: {reply: /session}}
  - {id: home, kind: page, on: GET /home, response: done}
`

// sessionCRM signs people in by JSON and hands out a session in the answer.
type sessionCRM struct {
	mu     sync.Mutex
	asked  int
	open   map[string]bool
	closed []string
}

func (c *sessionCRM) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	switch r.URL.Path {
	case "/login":
		c.asked++
		var in struct{ Password string }
		_ = json.NewDecoder(r.Body).Decode(&in)
		if in.Password != "crm-pw" {
			fmt.Fprint(w, `{"error":"no"}`)
			return
		}
		id := fmt.Sprintf("crm-session-%d", c.asked)
		c.open[id] = true
		fmt.Fprintf(w, `{"session":%q}`, id)
	case "/logout":
		id := r.Header.Get("X-CRM-Session")
		delete(c.open, id)
		c.closed = append(c.closed, id)
	default:
		if !c.open[r.Header.Get("X-CRM-Session")] {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		fmt.Fprint(w, `{"ok":true}`)
	}
}

func (c *sessionCRM) count() (asked int, closed []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.asked, append([]string(nil), c.closed...)
}

// With bridge adopt, guesses at the CRM's passwords are counted before the CRM is
// asked, and the CRM's session ends with the gate's: at sign-out and under a lock.
func TestSignInAdopt(t *testing.T) {
	crm := &sessionCRM{open: map[string]bool{}}
	dir := t.TempDir()
	file := filepath.Join(dir, "own.yaml")
	write(t, file, adoptMap)
	s := &setup{crm: serve(t, crm), crmMap: file, options: "bridge adopt"}
	d := s.start(t)
	d.add(t, "asha@example.com", "administrator", crmUser{})
	d.add(t, "ravi@example.com", "administrator", crmUser{})
	d.add(t, "mona@example.com", "administrator", crmUser{})

	if res := d.browser(t).post("/login", `{"password":"crm-pw"}`); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("the CRM's sign-in is reached without a session of the gate: %s", res.Status)
	}
	in := func(b *browser) string {
		t.Helper()
		var got struct{ Session string }
		res := b.post("/login", `{"password":"crm-pw"}`)
		res.json(t, &got)
		if got.Session == "" {
			t.Fatalf("signing in to the CRM: %s %s", res.Status, res.text())
		}
		if res := b.get("/home", "X-CRM-Session", got.Session); res.StatusCode != http.StatusOK {
			t.Fatalf("with the CRM's session: %s %s", res.Status, res.text())
		}
		return got.Session
	}
	asha, ravi := d.signedIn(t, "asha@example.com"), d.signedIn(t, "ravi@example.com")
	first, second := in(asha), in(ravi)
	if res := ravi.get("/home", "X-CRM-Session", first); res.reason() != "crm_session" {
		t.Errorf("somebody else's session of the CRM: %s %s", res.Status, res.text())
	}
	asha.post("/.crmgate/api/sign-out", "{}")
	eventually(t, 10*time.Second, "the CRM's session ends at sign-out", func() bool {
		_, closed := crm.count()
		return len(closed) == 1 && closed[0] == first
	})
	if out, err := d.command(t, "", "lock", "--user", "ravi@example.com"); err != nil {
		t.Fatalf("locking: %v\n%s", err, out)
	}
	eventually(t, 10*time.Second, "the CRM's session ends under a lock", func() bool {
		_, closed := crm.count()
		return len(closed) == 2 && closed[1] == second
	})

	mona := d.signedIn(t, "mona@example.com")
	before, _ := crm.count()
	var last *answer
	for range 8 {
		last = mona.post("/login", `{"password":"guess"}`)
	}
	if after, _ := crm.count(); after-before != 5 {
		t.Errorf("the CRM was asked about %d guesses, want 5", after-before)
	}
	if last.StatusCode != http.StatusTooManyRequests || last.Header.Get("Retry-After") == "" {
		t.Errorf("the eighth guess: %s %s", last.Status, last.text())
	}
	out, err := d.command(t, "", "ban", "list")
	if err != nil || !strings.Contains(out, "crm_sign_in/account/") {
		t.Fatalf("listing bans: %v\n%s", err, out)
	}
	for line := range strings.Lines(out) {
		if id, _, _ := strings.Cut(line, " "); strings.Contains(id, "/") {
			if out, err := d.command(t, "", "ban", "lift", id); err != nil {
				t.Errorf("lifting %s: %v\n%s", id, err, out)
			}
		}
	}
	in(mona)
}
