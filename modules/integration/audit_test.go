// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"database/sql"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	_ "modernc.org/sqlite"
)

// entry is what these tests read of an audit record.
type entry struct {
	Seq                                                     int64
	Kind, Email, Operation, Decision, Reason, Path, Details string
	Method, Entity, Action                                  string
	Detail                                                  string
	Status, Dropped                                         int
	Masked, Hidden, Records                                 []string
	Count                                                   int
	RequestID                                               string `json:"request_id"`
}

func (d *demo) audit(t *testing.T, args ...string) []entry {
	t.Helper()
	out, err := d.command(t, "", append([]string{"audit", "export", "--limit", "10000"}, args...)...)
	if err != nil {
		t.Fatalf("crmgate audit export: %v\n%s", err, out)
	}
	var list []entry
	for line := range strings.SplitSeq(strings.TrimSpace(out), "\n") {
		var e entry
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("a line of the export: %v\n%s", err, line)
		}
		list = append(list, e)
	}
	return list
}

// TestAudit: every request and every act leaves one record, and a change shows.
func TestAudit(t *testing.T) {
	data := t.TempDir()
	gateway, admin := freeAddr(t), freeAddr(t)
	again := func() *demo { return startDemo(t, data, "--leads", "50", "--listen", gateway, "--admin", admin) }
	d := again()
	asha := d.signedIn(t, "asha@acme.test")
	d.browser(t).signIn("ravi@acme.test", "wrong")
	for range 7 {
		asha.get("/app/api/leads/" + knownLead)
		asha.get("/app/api/leads?dir=secret-in-the-query")
	}
	asha.get("/app/export/leads.csv")
	asha.get("/nowhere")
	d.browser(t).get("/app/api/me")
	if out, err := d.command(t, "", "lock", "--user", "ravi@acme.test", "--message", "m"); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	if out, err := d.command(t, "another-long-pass-1\n", "user", "passwd", "ravi@acme.test"); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	asha.post("/.crmgate/api/sign-out", "")

	count := map[string]int{}
	for _, e := range d.audit(t) {
		count[fmt.Sprintf("%s %s %s", e.Kind, e.Operation, e.Reason)]++
		if strings.Contains(e.Path, "?") {
			t.Errorf("a record with a query: %+v", e)
		}
		if e.Operation == "app.lead" && (len(e.Masked) == 0 || len(e.Hidden) == 0 || e.Status != 200 || e.Email != "asha@acme.test" || e.RequestID == "") {
			t.Errorf("the record of a masked lead does not say so: %+v", e)
		}
	}
	for what, want := range map[string]int{
		"request app.lead allowed": 7, "request app.leads allowed": 7, "request app.export action_denied": 1, "request  unmapped": 1, "request  no_session": 1,
		"sign_in  allowed": 1, "sign_in  wrong_credentials": 1, "sign_out  allowed": 1, "lock  allowed": 1,
		"person  allowed":  6, // 5 people, 1 password
		"crm_key  allowed": 5, "policy  allowed": 1,
	} {
		if count[what] != want {
			t.Errorf("%d records of %q, want %d\n%v", count[what], what, want, count)
		}
	}
	if got := d.audit(t, "--kind", "sign_in", "--decision", "deny"); len(got) != 1 || got[0].Email != "ravi@acme.test" {
		t.Errorf("the failed sign-ins: %+v", got)
	}
	out, err := d.command(t, "", "audit", "list", "--email", "asha@acme.test", "--limit", "3")
	if err != nil || strings.Count(out, "asha@acme.test") != 3 {
		t.Errorf("crmgate audit list: %v\n%s", err, out)
	}
	out, err = d.command(t, "", "audit", "export", "--format", "csv")
	if rows, cerr := csv.NewReader(strings.NewReader(out)).ReadAll(); err != nil || cerr != nil || len(rows) < 20 {
		t.Errorf("crmgate audit export --format csv: %v %v, %d rows", err, cerr, len(rows))
	}
	if out, err := d.command(t, "", "audit", "verify"); err != nil || !strings.Contains(out, "the audit is whole") {
		t.Errorf("crmgate audit verify: %v\n%s", err, out)
	}

	// Somebody with the file changes what is in it, deletes records.
	for name, change := range map[string]string{
		"a change":   `UPDATE crmgate_audit_block SET body = CAST(substr(body, 1, length(body) - 1) || 'x' AS BLOB) WHERE 5 BETWEEN first_seq AND last_seq`,
		"a deletion": `DELETE FROM crmgate_audit_block WHERE 8 BETWEEN first_seq AND last_seq`,
	} {
		d.stop(t)
		tamper(t, filepath.Join(data, "records.db"), change)
		d = again()
		out, err := d.command(t, "", "audit", "verify")
		if err == nil || !strings.Contains(out, "the audit was changed") {
			t.Errorf("%s was not found: %v\n%s", name, err, out)
		}
		// The gateway works on: its audit tells what happened to it.
		if a := d.signedIn(t, "asha@acme.test").get("/app/api/me"); a.StatusCode != http.StatusOK {
			t.Errorf("after %s: %s", name, a.Status)
		}
	}
}

func tamper(t *testing.T, file, statement string) {
	t.Helper()
	db, err := sql.Open("sqlite", file)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, trigger := range triggers(t, db) { // whoever has the file has no need to obey it
		if _, err := db.Exec("DROP TRIGGER " + trigger); err != nil {
			t.Fatal(err)
		}
	}
	res, err := db.Exec(statement)
	if err != nil {
		t.Fatal(err)
	}
	if n, _ := res.RowsAffected(); n != 1 {
		t.Fatalf("%s changed %d rows", statement, n)
	}
}

func triggers(t *testing.T, db *sql.DB) (names []string) {
	t.Helper()
	rows, err := db.Query("SELECT name FROM sqlite_master WHERE type = 'trigger'")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var n string
		if err := rows.Scan(&n); err != nil {
			t.Fatal(err)
		}
		names = append(names, n)
	}
	return names
}
