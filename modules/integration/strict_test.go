// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"database/sql"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// hold keeps the records of a gateway from being written until release: its store
// is away, and comes back.
func hold(t testing.TB, data string) (release func()) {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(data, "records.db")+"?_txlock=immediate&_pragma=busy_timeout(5000)")
	if err != nil {
		t.Fatal(err)
	}
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		_ = tx.Rollback()
		_ = db.Close()
	}
}

// TestStrictAuditForwardsNothingThatOnlyWaitsOnDisk: with a strict audit the CRM
// sees no request whose record is not in the store, not even the one that finds
// out that the store is away.
func TestStrictAuditForwardsNothingThatOnlyWaitsOnDisk(t *testing.T) {
	crm := new(recorder)
	s := &setup{options: "audit {\n strict\n}"}
	release := func() {}
	s.crm = serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/ByIds") {
			crm.ServeHTTP(w, r)
			return
		}
		ask, _ := io.ReadAll(r.Body)
		id := "l-1"
		if strings.Contains(string(ask), "l-2") {
			id, release = "l-2", hold(t, s.data) // between the read and the write the store goes away
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"RecordCount":1,"Leads":[{"ProspectID":"`+id+`","OwnerId":"1"}]}`)
	}))
	d := s.start(t)
	d.add(t, "asha@acme.test", "sales_user", crmUser{ID: "1"})
	b := d.signedIn(t, "asha@acme.test")
	write := func(lead string) *answer {
		return b.post("/v2/LeadManagement.svc/Lead.Update?leadId="+lead, `[{"Attribute":"FirstName","Value":"Ada"}]`)
	}
	back := func() {
		release()
		eventually(t, 20*time.Second, "the store is back", func() bool { return write("l-1").StatusCode == http.StatusOK })
		crm.take()
	}
	back()

	release = hold(t, s.data)
	if a, got := b.get("/app/api/me"), crm.take(); a.reason() != "unwritable" || len(got) != 0 {
		t.Errorf("a request while the store is away: %s %s, and the CRM saw %d requests", a.Status, a.text(), len(got))
	}
	back()
	a := write("l-2")
	if got := crm.take(); a.reason() != "unwritable" || len(got) != 0 {
		t.Errorf("a write while the store is away: %s %s, and the CRM saw %+v behind the read", a.Status, a.text(), got)
	}
	back()
	var refused int
	for _, e := range d.audit(t, "--decision", "deny") {
		if e.Reason == "unwritable" && (e.Kind == "request" && e.Path == "/app/api/me" || e.Kind == "read_before_write") {
			refused++
		}
	}
	if refused != 2 {
		t.Errorf("the audit has %d records of what was refused for want of one, want 2", refused)
	}
}
