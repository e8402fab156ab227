// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package integration

import (
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
