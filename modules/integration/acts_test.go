// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"encoding/json"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/crmgate/crmgate/modules/internal/testpeer"
)

// lastAct is the newest record of an administrative act of a kind.
func (d *demo) lastAct(t *testing.T, kind string) entry {
	t.Helper()
	var newest entry
	for _, e := range d.audit(t) {
		if e.Kind == kind && e.Seq > newest.Seq {
			newest = e
		}
	}
	return newest
}

// TestAdminActs: what the admin API did is in the audit with the person it was done
// to, what it says it did was done, and what it refuses has changed nothing.
func TestAdminActs(t *testing.T) {
	s := &setup{crm: serve(t, new(recorder))}
	d := s.start(t)
	d.add(t, "asha@acme.test", "sales_user", crmUser{ID: "1"})
	d.admin(t, http.MethodPost, "/crmgate/people", `{"email":"sso@acme.test","role":"sales_user"}`)
	people := func() string { return d.admin(t, http.MethodGet, "/crmgate/people", "") }

	t.Run("a change that is refused changes nothing", func(t *testing.T) {
		before := people()
		for _, change := range []string{`{"role":"administrator","must_change":true}`, `{"status":"inactive","must_change":true}`} {
			if status, text := d.tryAdmin(http.MethodPatch, "/crmgate/people/sso@acme.test", change); status != http.StatusNotFound {
				t.Errorf("%s of somebody without a password: %d %s, want 404", change, status, text)
			}
			if after := people(); after != before {
				t.Errorf("%s was refused, and done:\n%s\n%s", change, before, after)
			}
		}
	})
	t.Run("a session and a lock that are not there", func(t *testing.T) {
		b := d.signedIn(t, "asha@acme.test")
		var list []struct{ ID string }
		if err := json.Unmarshal([]byte(d.admin(t, http.MethodGet, "/crmgate/sessions", "")), &list); err != nil || len(list) != 1 {
			t.Fatal(err, list)
		}
		id := list[0].ID
		for _, path := range []string{"/crmgate/sessions/" + id[:12], "/crmgate/sessions/" + strings.Repeat("0", len(id)), "/crmgate/locks/nonsense"} {
			if status, text := d.tryAdmin(http.MethodDelete, path, ""); status != http.StatusNotFound {
				t.Errorf("DELETE %s: %d %s, want 404", path, status, text)
			}
		}
		if out, err := d.command(t, "", "sessions", "end", id[:12]); err == nil {
			t.Errorf("ending a session by the beginning of its id says: %s", out)
		}
		if a := b.get("/app/api/me"); a.StatusCode != http.StatusOK {
			t.Errorf("the session: %s %s", a.Status, a.text())
		}
		if s, l := d.lastAct(t, "session"), d.lastAct(t, "lock"); s.Seq+l.Seq > 0 {
			t.Errorf("the audit has records of what was not done: %+v %+v", s, l)
		}
		d.admin(t, http.MethodDelete, "/crmgate/sessions/"+id, "")
		if a := b.get("/app/api/me"); a.StatusCode != http.StatusUnauthorized {
			t.Errorf("after it has been ended: %s %s", a.Status, a.text())
		}
		if e := d.lastAct(t, "session"); e.Email != "asha@acme.test" {
			t.Errorf("the record of the end does not say whose session it was: %+v", e)
		}
	})
	t.Run("a lock says whom it locks", func(t *testing.T) {
		var l struct{ ID string }
		if err := json.Unmarshal([]byte(d.admin(t, http.MethodPost, "/crmgate/locks", `{"target":"user","value":"asha@acme.test"}`)), &l); err != nil {
			t.Fatal(err)
		}
		if e := d.lastAct(t, "lock"); e.Email != "asha@acme.test" {
			t.Errorf("the record of the lock: %+v", e)
		}
		d.admin(t, http.MethodDelete, "/crmgate/locks/"+l.ID, "")
		if a := d.signedIn(t, "asha@acme.test").get("/app/api/me"); a.StatusCode != http.StatusOK {
			t.Errorf("after the lock was lifted: %s", a.Status)
		}
	})
}

// TestAdminActsWhileOtherGatewaysCannotBeTold: a change that holds here is in the
// audit although Redis is away and the call says that not all of it was done.
func TestAdminActsWhileOtherGatewaysCannotBeTold(t *testing.T) {
	redis := testpeer.StartRedis(t)
	address := filepath.Join(t.TempDir(), "redis.url")
	write(t, address, redis.URL())
	s := &setup{crm: serve(t, new(recorder)), options: "state redis {file." + address + "}"}
	d := s.start(t)
	d.add(t, "asha@acme.test", "sales_user", crmUser{ID: "1"})
	redis.Stop()
	status, text := d.tryAdmin(http.MethodPatch, "/crmgate/people/asha@acme.test", `{"role":"sales_manager"}`)
	if status != http.StatusServiceUnavailable || !strings.Contains(d.admin(t, http.MethodGet, "/crmgate/people", ""), `"role":"sales_manager"`) {
		t.Fatalf("the change: %d %s, want 503 and made", status, text)
	}
	eventually(t, 10*time.Second, "the change is recorded", func() bool {
		e := d.lastAct(t, "person")
		return e.Email == "asha@acme.test" && strings.Contains(e.Detail, "changed role; not all")
	})
}
