// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// killed: a gateway that dies takes no session with it.
func (c *cluster) killed(t *testing.T) {
	b := visitor(t, c.a, "ravi@acme.test")
	if status, _ := b.at(c.a, leads); status != http.StatusOK {
		t.Fatalf("before: %d", status)
	}
	c.a.kill()
	if status, reason := b.at(c.b, leads); status != http.StatusOK {
		t.Errorf("a session of a gateway that was killed: %d %s on the other, want 200", status, reason)
	}
	pool := c.a.pool
	c.a = c.member("gateway-a", c.a)
	c.a.pool = pool
	if status, reason := b.at(c.a, leads); status != http.StatusOK {
		t.Errorf("a session of a gateway that was killed: %d %s after its restart, want 200", status, reason)
	}
}

// redisAway: without the state store nothing is served; with it, everything again.
func (c *cluster) redisAway(t *testing.T) {
	b := visitor(t, c.a, "ravi@acme.test")
	for _, d := range []*demo{c.a, c.b} {
		if status, _ := b.at(d, leads); status != http.StatusOK {
			t.Fatalf("before: %d", status)
		}
	}
	c.redis.Stop()
	for name, d := range map[string]*demo{"a": c.a, "b": c.b} {
		eventually(t, 5*time.Second, "gateway "+name+" refuses what it cannot check", func() bool {
			status, _ := b.at(d, leads)
			return status == http.StatusServiceUnavailable
		})
		if a := d.browser(t).signIn("ravi@acme.test", password); a.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("signing in on gateway %s without the state store: %s, want 503", name, a.Status)
		}
	}
	c.redis.Start()
	for name, d := range map[string]*demo{"a": c.a, "b": c.b} {
		eventually(t, 20*time.Second, "gateway "+name+" serves the same session again", func() bool {
			status, _ := b.at(d, leads)
			return status == http.StatusOK
		})
		if a := d.browser(t).signIn("ravi@acme.test", password); a.StatusCode != http.StatusOK {
			t.Errorf("signing in on gateway %s with the state store back: %s %s, want 200", name, a.Status, a.text())
		}
	}
	// The fan-out is back too, not only the store.
	c.a.admin(t, http.MethodPost, "/crmgate/sessions/end", `{"email":"ravi@acme.test"}`)
	eventually(t, within, "a session ended on one gateway is out on the other after Redis was away", func() bool {
		status, _ := b.at(c.b, leads)
		return status == http.StatusUnauthorized || status == http.StatusForbidden
	})
}

// postgresAway: who is in goes on working and is recorded; nobody new comes in and
// nothing is changed until the records store is back.
func (c *cluster) postgresAway(t *testing.T) {
	b := visitor(t, c.a, "ravi@acme.test")
	if status, _ := b.at(c.a, leads); status != http.StatusOK {
		t.Fatal("before")
	}
	c.pg.Stop()
	const served = 5
	since := time.Now().UTC().Format(time.RFC3339)
	for range served {
		a := b.get(c.a.Gateway + leads)
		if a.StatusCode != http.StatusOK {
			t.Fatalf("traffic while PostgreSQL is away: %s %s, want 200", a.Status, a.text())
		}
	}
	if a := c.b.browser(t).signIn("ravi@acme.test", password); a.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("signing in while PostgreSQL is away: %s %s, want 503", a.Status, a.text())
	}
	if status, text := c.a.tryAdmin(http.MethodPost, "/crmgate/people", `{"email":"late@acme.test","role":"sales_user","password":"`+password+`"}`); status != http.StatusServiceUnavailable {
		t.Errorf("adding a person while PostgreSQL is away: %d %s, want 503", status, text)
	}
	spool := filepath.Join(c.a.data, "audit-spool.jsonl")
	eventually(t, 10*time.Second, "the audit waits on disk", func() bool { return size(spool) > 0 })
	c.pg.Start()
	eventually(t, 20*time.Second, "the spool has drained", func() bool { return size(spool) == 0 })
	var rows []json.RawMessage
	text := c.a.admin(t, http.MethodGet, "/crmgate/audit?kind=request&email=ravi@acme.test&from="+since, "")
	if err := json.Unmarshal([]byte(text), &rows); err != nil || len(rows) < served {
		t.Errorf("the audit has %d of the %d requests made while PostgreSQL was away (%v)", len(rows), served, err)
	}
	eventually(t, 10*time.Second, "people sign in again", func() bool {
		return c.b.browser(t).signIn("ravi@acme.test", password).StatusCode == http.StatusOK
	})
	if status, _ := c.a.tryAdmin(http.MethodPost, "/crmgate/people", `{"email":"late@acme.test","role":"sales_user","password":"`+password+`"}`); status != http.StatusOK {
		t.Errorf("adding a person with PostgreSQL back: %d, want 200", status)
	}
}

// size returns the size of a file; 0 when there is none.
func size(file string) int64 {
	info, err := os.Stat(file)
	if err != nil {
		return 0
	}
	return info.Size()
}
