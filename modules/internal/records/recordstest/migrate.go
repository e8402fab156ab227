// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package recordstest

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/crmgate/crmgate/modules/internal/audit"
)

// RunAuditRows proves that an audit of the first release, a row for each record,
// is whole after its tables were brought up to date. old must hold the first
// release's tables and nothing else.
func RunAuditRows(t *testing.T, old SQLDatabase) {
	rs := chainOf(audit.Head{Chain: "c"}, 30)
	rs[3].Detail, rs[3].Path, rs[4].Email = `"quoted" \ <b> ü 😀`, "/tab\tnew\nline", ""
	rs[5].Records, rs[5].Masked, rs[5].Hidden = nil, []string{`a "b"`, ""}, nil
	rs[6].Time = time.Date(1969, 12, 31, 23, 59, 59, 999_999_000, time.UTC)
	rs[7].Time = time.Date(2026, 2, 28, 23, 59, 59, 0, time.UTC)
	end := audit.Seal(audit.Head{Chain: "c"}, rs)
	list := func(v []string) string {
		if len(v) == 0 {
			return ""
		}
		b, _ := json.Marshal(v)
		return string(b)
	}
	old.Exec(t, `INSERT INTO crmgate_account (account) VALUES ('a')`)
	old.Exec(t, `INSERT INTO crmgate_audit_head (account, chain, seq, hash) VALUES ('a', $1, $2, $3)`, end.Chain, end.Seq, end.Hash)
	for i := range rs {
		r := &rs[i]
		old.Exec(t, `INSERT INTO crmgate_audit (account, chain, seq, at, kind, request_id, person_id, email, role, session, device, ip, ip_flags,
			method, host, path, operation, entity, action, records, record_count, decision, reason, detail, plan, masked, hidden,
			dropped, status, bytes, micros, prev, hash)
			VALUES ('a', $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32)`,
			r.Chain, r.Seq, r.Time.UnixMicro(), r.Kind, r.RequestID, r.PersonID, r.Email, r.Role, r.Session, r.Device, r.IP, r.IPFlags,
			r.Method, r.Host, r.Path, r.Operation, r.Entity, r.Action, list(r.Records), r.Count, r.Decision, r.Reason, r.Detail, r.Plan, list(r.Masked), list(r.Hidden),
			r.Dropped, r.Status, r.Bytes, r.Micros, r.Prev, r.Hash)
	}

	e := &env{T: t, db: old}
	s := e.open("a")
	got := must[[]audit.Record](e, "reading")(s.Audit(t.Context(), audit.Query{Chain: "c", Ascending: true, Limit: 100}))
	if diff := cmp.Diff(rs, got); diff != "" {
		t.Errorf("records changed on the way to the new tables:\n%s", diff)
	}
	if report := must[audit.Report](e, "verifying")(audit.Verify(t.Context(), s, head(rs))); !report.OK() || report.Records != 30 {
		t.Errorf("the audit is not whole after the upgrade: %+v", report)
	}
	if got := must[[]audit.Record](e, "reading")(s.Audit(t.Context(), audit.Query{Email: "asha@example.com"})); len(got) != 29 {
		t.Errorf("a person's older records are not found: %d of 29", len(got))
	}
	more := chainOf(end, 2)
	e.ok("going on", s.AppendAudit(t.Context(), more))
}
