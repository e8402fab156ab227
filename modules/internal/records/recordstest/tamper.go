// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package recordstest

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/crmgate/crmgate/modules/internal/audit"
)

// SQLDatabase is a Database whose tables a test can change behind the store's
// back. Exec runs one statement whose arguments are $1, $2, ...
type SQLDatabase interface {
	Database
	Exec(t *testing.T, query string, args ...any)
}

// RunTampering proves that audit.Verify finds what somebody with the database's
// password did to the audit: every member of a record changed, blocks taken out,
// swapped, damaged, put elsewhere, cut off at the end, and the index by person
// changed beside them.
func RunTampering(t *testing.T, fresh func(t *testing.T) SQLDatabase) {
	db := fresh(t)
	s := (&env{T: t, db: db}).open("a")
	rs := chainOf(audit.Head{Chain: "c"}, 10)
	rs[7].Email, rs[8].Email = "mina@example.com", ""
	audit.Seal(audit.Head{Chain: "c"}, rs)
	for _, c := range tamperings(t, rs) {
		t.Run(c.name, func(t *testing.T) {
			e := &env{T: t, db: db}
			db.Exec(t, `DELETE FROM crmgate_audit_block`)
			db.Exec(t, `DELETE FROM crmgate_audit_head`)
			db.Exec(t, `DELETE FROM crmgate_audit_person`)
			for _, part := range [][]audit.Record{rs[:4], rs[4:5], rs[5:6], rs[6:9], rs[9:]} { // a block each
				e.ok("appending", s.AppendAudit(context.Background(), part))
			}
			report := must[audit.Report](e, "verifying")(audit.Verify(t.Context(), s, head(rs)))
			if !report.OK() || report.Records != 10 {
				t.Fatalf("before any tampering: %+v", report)
			}
			for statement := range strings.SplitSeq(c.sql, ";") {
				db.Exec(t, statement, c.args...)
			}
			report = must[audit.Report](e, "verifying")(audit.Verify(t.Context(), s, head(rs)))
			if report.OK() {
				t.Fatalf("somebody ran %s and nobody notices", c.sql)
			}
			f := report.Findings[0]
			if got := fmt.Sprintf("%s:%d:%s", f.Chain, f.Seq, f.Kind); got != c.want {
				t.Errorf("after %s the first finding is %s (%s), want %s", c.sql, got, f.Detail, c.want)
			}
			if c.says != "" && !strings.Contains(f.Detail, c.says) {
				t.Errorf("after %s the finding says %q, not %q", c.sql, f.Detail, c.says)
			}
		})
	}
}

type tampering struct {
	name, sql string
	args      []any
	want      string // chain:seq:kind of the first finding
	says      string // in its detail
}

func tamperings(t *testing.T, rs []audit.Record) []tampering {
	const (
		where = ` WHERE account = 'a' AND chain = 'c' AND first_seq = 5`
		body  = `UPDATE crmgate_audit_block SET body = $1` + where
	)
	fifth, sixth := encode(t, rs[4]), encode(t, rs[5])
	const (
		into       = `INSERT INTO crmgate_audit_person (account, email, last_at, block) SELECT 'a', `
		ofSixth    = ` FROM crmgate_audit_block WHERE first_seq = 6`
		sixthBlock = ` WHERE block = (SELECT id` + ofSixth + `)`
	)
	list := []tampering{
		{"a block of another record", body, []any{sixth}, "c:5:changed", ""},
		{"damaged", body, []any{fifth[:len(fifth)-1]}, "c:5:changed", ""},
		{"emptied", body, []any{[]byte{}}, "c:5:changed", ""},
		{"chain", `UPDATE crmgate_audit_block SET chain = 'other'` + where, nil, "c:5:missing", ""},
		{"number", `UPDATE crmgate_audit_block SET first_seq = 99, last_seq = 99` + where, nil, "c:5:missing", ""},
		{"last number", `UPDATE crmgate_audit_block SET last_seq = 7` + where, nil, "c:5:changed", ""},
		{"latest time", `UPDATE crmgate_audit_block SET last_at = 0` + where, nil, "c:5:changed", ""},
		{"earliest time", `UPDATE crmgate_audit_block SET first_at = last_at + 1` + where, nil, "c:5:changed", ""},
		{"account", `UPDATE crmgate_audit_block SET account = 'other'` + where, nil, "c:5:missing", ""},
		{"taken out", `DELETE FROM crmgate_audit_block` + where, nil, "c:5:missing", ""},
		{"first taken out", `DELETE FROM crmgate_audit_block WHERE first_seq = 1`, nil, "c:1:missing", ""},
		{"last taken out", `DELETE FROM crmgate_audit_block WHERE last_seq = 10`, nil, "c:10:missing", ""},
		{"tail cut off", `DELETE FROM crmgate_audit_block WHERE first_seq > 6`, nil, "c:7:missing", ""},
		{"all cut off", `DELETE FROM crmgate_audit_block`, nil, "c:1:missing", ""},
		{"head moved back", `UPDATE crmgate_audit_head SET seq = 9`, nil, "c:10:beyond_head", ""},
		{"head's hash", `UPDATE crmgate_audit_head SET hash = 'x'`, nil, "c:10:head", ""},
		{"head taken out", `DELETE FROM crmgate_audit_head`, nil, "c:10:beyond_head", ""},
		{"chain and head taken out", `DELETE FROM crmgate_audit_block; DELETE FROM crmgate_audit_head`, nil, "c:10:anchor", ""},
		{"index emptied", `DELETE FROM crmgate_audit_person`, nil, "c:1:index", "asha@example.com"},
		{"one of several taken out of the index", `DELETE FROM crmgate_audit_person WHERE email = 'mina@example.com'`, nil, "c:8:index", "mina@example.com"},
		{"a block taken out of the index", `DELETE FROM crmgate_audit_person` + sixthBlock, nil, "c:6:index", "asha@example.com"},
		{"another person in the index", `UPDATE crmgate_audit_person SET email = 'nobody@example.com'` + sixthBlock, nil, "c:6:index", "asha@example.com"},
		{"another time in the index", `UPDATE crmgate_audit_person SET last_at = 7` + sixthBlock, nil, "c:6:index", "asha@example.com"},
		{"another account in the index", `UPDATE crmgate_audit_person SET account = 'other'` + sixthBlock, nil, "c:6:index", "asha@example.com"},
		{"a person put into the index", into + `'mina@example.com', last_at, id` + ofSixth, nil, "c:6:index", "mina@example.com"},
		{"a person put into the index at another time", into + `'mina@example.com', 7, id` + ofSixth, nil, "c:6:index", "mina@example.com"},
		{"nobody put into the index", into + `'', last_at, id` + ofSixth, nil, "c:6:index", `""`},
		{"a block that is none in the index", into + `'asha@example.com', last_at, id + 1000` + ofSixth, nil, ":0:index", "asha@example.com"},
	}
	for i := range reflect.TypeFor[audit.Record]().NumField() {
		r := rs[4]
		name := reflect.TypeFor[audit.Record]().Field(i).Name
		switch name {
		case "Chain", "Seq": // the row's own, above
			continue
		case "Prev", "Hash":
			reflect.ValueOf(&r).Elem().Field(i).SetString(rs[2].Hash)
		default:
			change(reflect.ValueOf(&r).Elem().Field(i))
		}
		list = append(list, tampering{name, body, []any{encode(t, r)}, "c:5:changed", ""})
	}
	return list
}

func encode(t *testing.T, r audit.Record) []byte {
	t.Helper()
	b, err := audit.EncodeBlock([]audit.Record{r})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// change makes a value another one.
func change(v reflect.Value) {
	switch x := v.Addr().Interface().(type) {
	case *string:
		*x += "x"
	case *[]string:
		*x = append([]string{"x"}, *x...)
	case *time.Time:
		*x = x.Add(time.Microsecond)
	default:
		v.SetInt(v.Int() + 1)
	}
}
