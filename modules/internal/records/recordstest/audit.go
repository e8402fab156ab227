// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package recordstest

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/crmgate/crmgate/modules/internal/audit"
	"github.com/crmgate/crmgate/modules/internal/records"
)

var dawn = time.Date(2031, 1, 1, 6, 0, 0, 0, time.UTC)

// chainOf makes n records with every member set that continue head.
func chainOf(head audit.Head, n int) []audit.Record {
	rs := make([]audit.Record, n)
	for i := range rs {
		rs[i] = fullRecord(head.Seq + int64(i) + 1)
	}
	audit.Seal(head, rs)
	return rs
}

func fullRecord(seq int64) audit.Record {
	n := strconv.FormatInt(seq, 10)
	return audit.Record{
		Time: dawn.Add(time.Duration(seq) * time.Millisecond), Kind: "request",
		RequestID: "req-" + n, PersonID: "p" + n, Email: "asha@example.com", Role: "sales_user",
		Session: "0123456789ab", Device: "d-" + n, IP: "203.0.113.9", IPFlags: "tor,hosting",
		Method: "POST", Host: "crm.example.com", Path: "/api/leads/" + n, Operation: "lead.get", Entity: "lead", Action: "view",
		Records: []string{"r" + n, "s" + n}, Count: 2, Decision: "allow", Reason: "allowed", Detail: "because " + n,
		Plan: "plan-1", Masked: []string{"Phone", "Mobile"}, Hidden: []string{"Notes"}, Dropped: 3, Status: 200, Bytes: 1 << 40, Micros: 1234,
	}
}

func head(rs []audit.Record) audit.Head {
	last := rs[len(rs)-1]
	return audit.Head{Chain: last.Chain, Seq: last.Seq, Hash: last.Hash}
}

func auditRoundTrip(e *env) {
	s, ctx := e.open("a"), e.Context()
	e.ok("appending nothing", s.AppendAudit(ctx, nil))
	full := fullRecord(1)
	v := reflect.ValueOf(full)
	for i := range v.NumField() {
		name := v.Type().Field(i).Name
		if v.Field(i).IsZero() && !strings.Contains("Chain Seq Prev Hash", name) {
			e.Fatalf("the test's record leaves %s unset: its loss would not be seen", name)
		}
	}
	for _, n := range []int{1, 2, 63, 64, 65, 200} {
		h := audit.Head{Chain: "chain-" + strconv.Itoa(n)}
		rs := append(chainOf(h, n), audit.Record{})
		rs[n] = audit.Record{Time: dawn}
		audit.Seal(head(rs[:n]), rs[n:])
		e.ok("appending", s.AppendAudit(ctx, rs))
		got := must[[]audit.Record](e, "reading")(s.Audit(ctx, audit.Query{Chain: h.Chain, Ascending: true, Limit: 1000}))
		if len(got) != len(rs) {
			e.Fatalf("of %d records %d came back", len(rs), len(got))
		}
		for i := range rs {
			if !reflect.DeepEqual(rs[i], got[i]) {
				e.Fatalf("a record was stored as\n%+v\nand read as\n%+v", rs[i], got[i])
			}
		}
	}
}

func auditAllOrNothing(e *env) {
	s, ctx := e.open("a"), e.Context()
	rs := chainOf(audit.Head{Chain: "c"}, 100)
	bad := make([]audit.Record, len(rs))
	copy(bad, rs)
	bad[99].Detail = "\xff"
	e.is("a batch whose last record cannot be stored", s.AppendAudit(ctx, bad), records.ErrInvalid)
	copy(bad, rs)
	bad[50].Seq = 7
	e.is("a batch with a wrong number inside", s.AppendAudit(ctx, bad), records.ErrConflict)
	copy(bad, rs)
	bad[50].Prev = "0000"
	e.is("a batch with a wrong link inside", s.AppendAudit(ctx, bad), records.ErrConflict)
	// The first chain continues, the second does not.
	e.ok("beginning a chain", s.AppendAudit(ctx, chainOf(audit.Head{Chain: "d"}, 5)))
	mixed := append(append([]audit.Record{}, rs...), chainOf(audit.Head{Chain: "d", Seq: 9, Hash: "ff"}, 1)...)
	e.is("a batch of which one chain does not continue", s.AppendAudit(ctx, mixed), records.ErrConflict)
	if h := must[audit.Head](e, "head")(s.AuditHead(ctx, "c")); h != (audit.Head{}) {
		e.Errorf("after refused batches the chain ends at %+v", h)
	}
	if got := must[[]audit.Record](e, "reading")(s.Audit(ctx, audit.Query{Chain: "c"})); len(got) != 0 {
		e.Errorf("of refused batches %d records were stored", len(got))
	}
	e.ok("the batch as it should be", s.AppendAudit(ctx, rs))
	two := append(chainOf(head(rs), 3), chainOf(audit.Head{Chain: "e"}, 3)...)
	e.ok("a batch of two chains", s.AppendAudit(ctx, two))
}

func auditNeverForks(e *env) {
	s, other, ctx := e.open("a"), e.open("a"), e.Context()
	e.oneWinner("beginning a chain", parallel(writers, func(i int) error {
		return []records.Store{s, other}[i%2].AppendAudit(ctx, chainOf(audit.Head{Chain: "c"}, i%3+1))
	}))
	h := must[audit.Head](e, "head")(s.AuditHead(ctx, "c"))
	e.oneWinner("continuing a chain", parallel(writers, func(i int) error {
		return []records.Store{s, other}[i%2].AppendAudit(ctx, chainOf(h, i%3+1))
	}))
	h = must[audit.Head](e, "head")(s.AuditHead(ctx, "c"))
	for name, wrong := range map[string]audit.Head{
		"again from the start": {Chain: "c"},
		"a gap":                {Chain: "c", Seq: h.Seq + 1, Hash: h.Hash},
		"another hash":         {Chain: "c", Seq: h.Seq, Hash: strings.Repeat("0", 64)},
		"a record back":        {Chain: "c", Seq: h.Seq - 1, Hash: h.Hash},
	} {
		e.is(name, s.AppendAudit(ctx, chainOf(wrong, 1)), records.ErrConflict)
	}
	first := chainOf(audit.Head{Chain: "new", Seq: 4, Hash: "aa"}, 1)
	e.is("a chain that begins in the middle", s.AppendAudit(ctx, first), records.ErrConflict)
	if n := int64(len(must[[]audit.Record](e, "reading")(s.Audit(ctx, audit.Query{Chain: "c"})))); n != h.Seq {
		e.Errorf("the chain ends at %d and has %d records", h.Seq, n)
	}
}

func auditQueries(e *env) {
	s, ctx := e.open("a"), e.Context()
	one, two := chainOf(audit.Head{Chain: "one"}, 150), chainOf(audit.Head{Chain: "two"}, 3)
	for i := range two {
		two[i].Time = dawn.Add(time.Duration(i)*time.Millisecond + 500*time.Microsecond)
		two[i].Kind, two[i].Email, two[i].Operation, two[i].Decision = "sign_in", "Ravi@Example.com", "session.create", "deny"
	}
	two[1].Email = "ravi@example.com"
	audit.Seal(audit.Head{Chain: "two"}, two)
	e.ok("appending", s.AppendAudit(ctx, append(append([]audit.Record{}, one...), two...)))

	for _, c := range []struct {
		name string
		q    audit.Query
		want string // chain:seq of the first few, then the number of all
	}{
		{"newest first, 100 without limit", audit.Query{}, "one:150 one:149 one:148 =100"},
		{"limit", audit.Query{Limit: 2}, "one:150 one:149 =2"},
		{"negative limit", audit.Query{Limit: -1}, "one:150 one:149 one:148 =100"},
		{"ascending across chains by time", audit.Query{Ascending: true, Limit: 4}, "two:1 one:1 two:2 =4"},
		{"descending across chains by time", audit.Query{To: dawn.Add(3 * time.Millisecond)}, "two:3 one:2 two:2 =5"},
		{"from is part of it", audit.Query{From: dawn.Add(150 * time.Millisecond)}, "one:150 =1"},
		{"to is not", audit.Query{To: dawn.Add(time.Millisecond)}, "two:1 =1"},
		{"chain", audit.Query{Chain: "two"}, "two:3 two:2 two:1 =3"},
		{"chain ascending after", audit.Query{Chain: "one", AfterSeq: 147, Ascending: true}, "one:148 one:149 one:150 =3"},
		{"chain descending after", audit.Query{Chain: "one", AfterSeq: 148}, "one:150 one:149 =2"},
		{"after without chain does not restrict", audit.Query{AfterSeq: 149, Kind: "sign_in"}, "two:3 two:2 two:1 =3"},
		{"kind", audit.Query{Kind: "sign_in"}, "two:3 two:2 two:1 =3"},
		{"operation", audit.Query{Operation: "session.create"}, "two:3 two:2 two:1 =3"},
		{"decision", audit.Query{Decision: "deny"}, "two:3 two:2 two:1 =3"},
		{"e-mail as recorded or folded", audit.Query{Email: "Ravi@Example.com"}, "two:3 two:2 two:1 =3"},
		{"e-mail folded", audit.Query{Email: "ravi@example.com"}, "two:2 =1"},
		{"request id", audit.Query{RequestID: "req-2", Chain: "one"}, "one:2 =1"},
		{"all together", audit.Query{From: dawn, To: dawn.Add(time.Hour), Kind: "sign_in", Email: "Ravi@Example.com", Operation: "session.create", Decision: "deny", RequestID: "req-3", Chain: "two", AfterSeq: 2, Limit: 5}, "two:3 =1"},
		{"nothing", audit.Query{Kind: "request", Decision: "deny"}, "=0"},
		{"text no record can hold", audit.Query{Kind: "\x00"}, "=0"},
		{"no injection", audit.Query{Chain: "x' OR '1'='1"}, "=0"},
	} {
		got := must[[]audit.Record](e, c.name)(s.Audit(ctx, c.q))
		var text strings.Builder
		for _, r := range got[:min(3, len(got))] {
			fmt.Fprintf(&text, "%s:%d ", r.Chain, r.Seq)
		}
		if fmt.Fprintf(&text, "=%d", len(got)); text.String() != c.want {
			e.Errorf("%s: got %q, want %q", c.name, text.String(), c.want)
		}
	}
}

func auditChainsAndHeads(e *env) {
	s, ctx := e.open("a"), e.Context()
	if got := must[[]string](e, "chains")(s.AuditChains(ctx)); len(got) != 0 {
		e.Errorf("a new store has the chains %q", got)
	}
	for _, chain := range []string{"none", "", "\xff"} {
		if h := must[audit.Head](e, "head")(s.AuditHead(ctx, chain)); h != (audit.Head{}) {
			e.Errorf("a chain that does not exist ends at %+v", h)
		}
	}
	for _, chain := range []string{"b", "a", "c"} {
		rs := chainOf(audit.Head{Chain: chain}, 5)
		e.ok("appending", s.AppendAudit(ctx, rs[:2]))
		e.ok("appending", s.AppendAudit(ctx, rs[2:]))
		if h := must[audit.Head](e, "head")(s.AuditHead(ctx, chain)); h != head(rs) {
			e.Errorf("the head is %+v, want %+v", h, head(rs))
		}
	}
	if got := fmt.Sprint(must[[]string](e, "chains")(s.AuditChains(ctx))); got != "[a b c]" {
		e.Errorf("the chains are %s", got)
	}
}

func auditInvalid(e *env) {
	s, ctx := e.open("a"), e.Context()
	for name, spoil := range map[string]func(*audit.Record){
		"no chain":          func(r *audit.Record) { r.Chain = "" },
		"no hash":           func(r *audit.Record) { r.Hash = "" },
		"NUL":               func(r *audit.Record) { r.Path = "/a\x00" },
		"bad UTF-8 in list": func(r *audit.Record) { r.Masked = []string{"\xff"} },
		"long chain":        func(r *audit.Record) { r.Chain = strings.Repeat("x", records.MaxKey+1) },
		"long address":      func(r *audit.Record) { r.Email = strings.Repeat("x", records.MaxKey+1) },
		"long request id":   func(r *audit.Record) { r.RequestID = strings.Repeat("x", records.MaxKey+1) },
	} {
		rs := chainOf(audit.Head{Chain: "c"}, 1)
		spoil(&rs[0])
		e.is(name, s.AppendAudit(ctx, rs), records.ErrInvalid)
	}
}
