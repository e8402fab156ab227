// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package recordstest

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/crmgate/crmgate/modules/internal/audit"
)

// SQLDatabase is a Database whose tables a test can change behind the store's
// back. Exec runs one statement whose arguments are $1, $2, ...
type SQLDatabase interface {
	Database
	Exec(t *testing.T, query string, args ...any)
}

// RunTampering proves that audit.Verify finds what somebody with the database's
// password did to the audit: every member of a record changed, records taken
// out, swapped, put in, cut off at the end.
func RunTampering(t *testing.T, fresh func(t *testing.T) SQLDatabase) {
	const where = ` WHERE account = 'a' AND chain = 'c' AND seq = 5`
	type tampering struct {
		name, sql string
		want      string // chain:seq:kind of the first finding
	}
	var list []tampering
	for _, column := range []string{
		"kind", "request_id", "person_id", "email", "role", "session", "device", "ip", "ip_flags", "method", "host", "path",
		"operation", "entity", "action", "decision", "reason", "detail", "plan",
	} {
		list = append(list, tampering{column, `UPDATE crmgate_audit SET ` + column + ` = ` + column + ` || 'x'` + where, "c:5:changed"},
			tampering{column + " emptied", `UPDATE crmgate_audit SET ` + column + ` = ''` + where, "c:5:changed"})
	}
	for _, column := range []string{"at", "record_count", "dropped", "status", "bytes", "micros"} {
		list = append(list, tampering{column, `UPDATE crmgate_audit SET ` + column + ` = ` + column + ` + 1` + where, "c:5:changed"})
	}
	for _, column := range []string{"records", "masked", "hidden"} {
		list = append(list,
			tampering{column, `UPDATE crmgate_audit SET ` + column + ` = '["x"]'` + where, "c:5:changed"},
			tampering{column + " emptied", `UPDATE crmgate_audit SET ` + column + ` = ''` + where, "c:5:changed"},
			tampering{column + " unreadable", `UPDATE crmgate_audit SET ` + column + ` = '["Phone"'` + where, "c:5:changed"})
	}
	list = append(list,
		tampering{"hash", `UPDATE crmgate_audit SET hash = 'x'` + where, "c:5:changed"},
		tampering{"prev", `UPDATE crmgate_audit SET prev = 'x'` + where, "c:5:changed"},
		tampering{"chain", `UPDATE crmgate_audit SET chain = 'other'` + where, "c:5:missing"},
		tampering{"number", `UPDATE crmgate_audit SET seq = 99` + where, "c:5:missing"},
		tampering{"account", `UPDATE crmgate_audit SET account = 'other'` + where, "c:5:missing"},
		tampering{"taken out", `DELETE FROM crmgate_audit` + where, "c:5:missing"},
		tampering{"first taken out", `DELETE FROM crmgate_audit WHERE seq = 1`, "c:1:missing"},
		tampering{"last taken out", `DELETE FROM crmgate_audit WHERE seq = 10`, "c:10:missing"},
		tampering{"tail cut off", `DELETE FROM crmgate_audit WHERE seq > 6`, "c:7:missing"},
		tampering{"all cut off", `DELETE FROM crmgate_audit`, "c:1:missing"},
		tampering{"head moved back", `UPDATE crmgate_audit_head SET seq = 9`, "c:10:beyond_head"},
		tampering{"head's hash", `UPDATE crmgate_audit_head SET hash = 'x'`, "c:10:head"},
		tampering{"head taken out", `DELETE FROM crmgate_audit_head`, "c:10:beyond_head"},
		tampering{"swapped", `UPDATE crmgate_audit SET detail = CASE seq WHEN 5 THEN 'because 6' ELSE 'because 5' END WHERE seq IN (5, 6)`, "c:5:changed"},
		tampering{"chain and head taken out", `DELETE FROM crmgate_audit; DELETE FROM crmgate_audit_head`, "c:10:anchor"},
	)
	db := fresh(t)
	e := &env{T: t, db: db}
	s := e.open("a")
	rs := chainOf(audit.Head{Chain: "c"}, 10)
	for _, c := range list {
		t.Run(c.name, func(t *testing.T) {
			e := &env{T: t, db: db}
			db.Exec(t, `DELETE FROM crmgate_audit`)
			db.Exec(t, `DELETE FROM crmgate_audit_head`)
			e.ok("appending", s.AppendAudit(context.Background(), rs))
			report := must[audit.Report](e, "verifying")(audit.Verify(t.Context(), s, head(rs)))
			if !report.OK() || report.Records != 10 {
				t.Fatalf("before any tampering: %+v", report)
			}
			for statement := range strings.SplitSeq(c.sql, ";") {
				db.Exec(t, statement)
			}
			report = must[audit.Report](e, "verifying")(audit.Verify(t.Context(), s, head(rs)))
			if report.OK() {
				t.Fatalf("somebody ran %s and nobody notices", c.sql)
			}
			f := report.Findings[0]
			if got := fmt.Sprintf("%s:%d:%s", f.Chain, f.Seq, f.Kind); got != c.want {
				t.Errorf("after %s the first finding is %s (%s), want %s", c.sql, got, f.Detail, c.want)
			}
		})
	}
}
