// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package recordstest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/crmgate/crmgate/modules/internal/audit"
	"github.com/crmgate/crmgate/modules/internal/records"
)

func blobVersions(e *env) {
	s, ctx := e.open("a"), e.Context()
	_, err := s.Blob(ctx, "keys")
	e.is("reading a blob not there", err, records.ErrNotFound)
	b := must[records.Blob](e, "adding")(s.PutBlob(ctx, records.Blob{Name: "keys", Value: []byte{0, 0xff, 1}}))
	got := must[records.Blob](e, "reading")(s.Blob(ctx, "keys"))
	if got.Name != "keys" || got.Version != b.Version || b.Version == 0 || !bytes.Equal(got.Value, []byte{0, 0xff, 1}) {
		e.Errorf("a blob was stored as %+v and read as %+v", b, got)
	}
	b.Value = []byte("two")
	b2 := must[records.Blob](e, "replacing")(s.PutBlob(ctx, b))
	if got := must[records.Blob](e, "reading")(s.Blob(ctx, "keys")); string(got.Value) != "two" || got.Version != b2.Version {
		e.Errorf("a blob was replaced by %+v and read as %+v", b2, got)
	}
	_, err = s.PutBlob(ctx, b)
	e.is("replacing a blob somebody replaced since", err, records.ErrConflict)
	_, err = s.PutBlob(ctx, records.Blob{Name: "none", Version: 7})
	e.is("replacing a blob not there", err, records.ErrConflict)
	_, err = s.PutBlob(ctx, records.Blob{})
	e.is("a blob without name", err, records.ErrInvalid)
}

func blobCreatedOnce(e *env) {
	s, other, ctx := e.open("a"), e.open("a"), e.Context()
	e.oneWinner("creating the signing keys", parallel(writers, func(i int) error {
		_, err := []records.Store{s, other}[i%2].PutBlob(ctx, records.Blob{Name: "keys", Value: []byte(strconv.Itoa(i))})
		return err
	}))
	b := must[records.Blob](e, "reading")(s.Blob(ctx, "keys"))
	e.oneWinner("replacing the signing keys", parallel(writers, func(i int) error {
		_, err := []records.Store{s, other}[i%2].PutBlob(ctx, records.Blob{Name: "keys", Version: b.Version})
		return err
	}))
}

func revisionNumbers(e *env) {
	s, ctx := e.open("a"), e.Context()
	if got := must[[]records.Revision](e, "reading")(s.Revisions(ctx, 0)); len(got) != 0 {
		e.Errorf("a new store holds %d revisions", len(got))
	}
	at := time.Date(2031, 2, 3, 4, 5, 6, 789_123_456, time.FixedZone("IST", 19800))
	add := func(digest string, want int64) records.Revision {
		e.Helper()
		r := must[records.Revision](e, "adding "+digest)(s.AddRevision(ctx, records.Revision{Digest: digest, Source: []byte("source " + digest), By: "admin", At: at}))
		if r.Number != want {
			e.Errorf("policy %s became revision %d, want %d", digest, r.Number, want)
		}
		return r
	}
	first := add("one", 1)
	if !first.At.Equal(at.Truncate(time.Microsecond)) || first.At.Location() != time.UTC {
		e.Errorf("the revision's time is %v", first.At)
	}
	add("two", 2)
	again := must[records.Revision](e, "adding the newest again")(s.AddRevision(ctx, records.Revision{Digest: "two", Source: []byte("other"), By: "somebody"}))
	if again.Number != 2 || string(again.Source) != "source two" || again.By != "admin" {
		e.Errorf("the newest revision again came back as %+v", again)
	}
	add("one", 3) // an old policy restored is a new revision
	e.fresh("At of a revision without", must[records.Revision](e, "adding")(s.AddRevision(ctx, records.Revision{Digest: "four"})).At)
	var list strings.Builder
	for _, r := range must[[]records.Revision](e, "reading")(s.Revisions(ctx, 3)) {
		fmt.Fprintf(&list, "%d:%s:%s ", r.Number, r.Digest, r.Source)
	}
	if list.String() != "4:four: 3:one:source one 2:two:source two " {
		e.Errorf("the three newest revisions are %q", list.String())
	}
	if n := len(must[[]records.Revision](e, "reading")(s.Revisions(ctx, 0))); n != 4 {
		e.Errorf("without a limit %d of 4 revisions came", n)
	}
	_, err := s.AddRevision(ctx, records.Revision{})
	e.is("a revision without digest", err, records.ErrInvalid)
}

func revisionNumbersParallel(e *env) {
	s, other, ctx := e.open("a"), e.open("a"), e.Context()
	seen := make([]int64, writers)
	for _, err := range parallel(writers, func(i int) error {
		r, err := []records.Store{s, other}[i%2].AddRevision(ctx, records.Revision{Digest: "d" + strconv.Itoa(i)})
		seen[i] = r.Number
		return err
	}) {
		e.ok("adding a revision beside others", err)
	}
	taken := map[int64]bool{}
	for _, n := range seen {
		taken[n] = true
	}
	for n := int64(1); n <= writers; n++ {
		if !taken[n] {
			e.Fatalf("revision %d is missing: an admin sees a gap in the history", n)
		}
	}
	for _, err := range parallel(writers, func(i int) error {
		r, err := s.AddRevision(ctx, records.Revision{Digest: "same"})
		if err == nil && r.Number != writers+1 {
			err = fmt.Errorf("the same policy became revision %d", r.Number)
		}
		return err
	}) {
		e.ok("adding one policy many times", err)
	}
}

func accountsApart(e *env) {
	a, b, ctx := e.open("a"), e.open("b"), e.Context()
	for _, s := range []records.Store{a, b} {
		p := must[records.Person](e, "adding")(s.PutPerson(ctx, person("p1", "x@example.com")))
		e.ok("credential", s.PutCredential(ctx, records.Credential{PersonID: p.ID, Kind: "password", Secret: []byte("s")}))
		e.ok("key", s.PutCRMKey(ctx, records.CRMKey{PersonID: p.ID, Lookup: "l", Sealed: []byte("s")}))
		must[records.Blob](e, "blob")(s.PutBlob(ctx, records.Blob{Name: "n", Value: []byte("v")}))
		must[records.Revision](e, "revision")(s.AddRevision(ctx, records.Revision{Digest: "d"}))
		e.ok("audit", s.AppendAudit(ctx, chainOf(audit.Head{Chain: "c"}, 2)))
	}
	p := must[records.Person](e, "reading")(a.Person(ctx, "p1"))
	p.Name = "only a"
	must[records.Person](e, "changing")(a.PutPerson(ctx, p))
	must[records.Person](e, "adding")(a.PutPerson(ctx, person("p2", "only-a@example.com")))
	e.ok("deleting", a.DeleteCredential(ctx, "p1", "password"))
	e.ok("audit", a.AppendAudit(ctx, chainOf(audit.Head{Chain: "only-a"}, 1)))

	if got := must[records.Person](e, "reading")(b.Person(ctx, "p1")); got.Name == "only a" {
		e.Error("a change in one account shows in the other")
	}
	_, err := b.Person(ctx, "p2")
	e.is("reading another account's person", err, records.ErrNotFound)
	_, err = b.PersonByEmail(ctx, "only-a@example.com")
	e.is("reading another account's person by address", err, records.ErrNotFound)
	must[records.Credential](e, "the other account's password")(b.Credential(ctx, "p1", "password"))
	if n := len(must[[]records.Person](e, "people")(b.People(ctx))); n != 1 {
		e.Errorf("an account of one person shows %d", n)
	}
	if n := len(must[[]records.CRMKey](e, "keys")(b.CRMKeys(ctx))); n != 1 {
		e.Errorf("an account of one key shows %d", n)
	}
	if n := len(must[[]records.Revision](e, "revisions")(b.Revisions(ctx, 0))); n != 1 {
		e.Errorf("an account of one revision shows %d", n)
	}
	if got := must[[]string](e, "chains")(b.AuditChains(ctx)); len(got) != 1 {
		e.Errorf("an account of one chain shows %q", got)
	}
	if n := len(must[[]audit.Record](e, "audit")(b.Audit(ctx, audit.Query{}))); n != 2 {
		e.Errorf("an account of two audit records shows %d", n)
	}
	for _, account := range []string{"", strings.Repeat("x", records.MaxKey+1), "\xff"} {
		if _, err := e.db.Open(ctx, account); err == nil {
			e.Errorf("account %.10q was opened", account)
		}
	}
}

func valuesHuge(e *env) {
	s, ctx := e.open("a"), e.Context()
	big := strings.Repeat("0123456789abcdef", 64<<10) // 1 MiB
	key := strings.Repeat("k", records.MaxKey)
	p := person(key, key)
	p.Name, p.OwnerIDs = big, []string{big, "x"}
	p = must[records.Person](e, "adding")(s.PutPerson(ctx, p))
	if got := must[records.Person](e, "reading")(s.PersonByEmail(ctx, key)); !samePerson(got, p) {
		e.Error("a person of 2 MiB was not read as stored")
	}
	e.ok("credential", s.PutCredential(ctx, records.Credential{PersonID: key, Kind: key, Secret: []byte(big)}))
	if got := must[records.Credential](e, "reading")(s.Credential(ctx, key, key)); string(got.Secret) != big {
		e.Error("a secret of 1 MiB was not read as stored")
	}
	e.ok("key", s.PutCRMKey(ctx, records.CRMKey{PersonID: key, Lookup: key, Sealed: []byte(big)}))
	if got := must[records.CRMKey](e, "reading")(s.CRMKeyByLookup(ctx, key)); string(got.Sealed) != big {
		e.Error("a key of 1 MiB was not read as stored")
	}
	must[records.Blob](e, "blob")(s.PutBlob(ctx, records.Blob{Name: key, Value: []byte(big + big)}))
	if got := must[records.Blob](e, "reading")(s.Blob(ctx, key)); string(got.Value) != big+big {
		e.Error("a blob of 2 MiB was not read as stored")
	}
	must[records.Revision](e, "revision")(s.AddRevision(ctx, records.Revision{Digest: key, Source: []byte(big), By: big}))
	if got := must[[]records.Revision](e, "reading")(s.Revisions(ctx, 1)); string(got[0].Source) != big || got[0].By != big {
		e.Error("a policy of 1 MiB was not read as stored")
	}
}

func valuesUnicode(e *env) {
	s, ctx := e.open("a/'%;--é"), e.Context()
	for i, text := range []string{"आशा ☎ 中文 \U0001f600", "a'b\"c\\d%e_f;--", "tab\tnew\nline", "e\u0301 \u202e rtl", " lead and trail "} {
		id := text + strconv.Itoa(i)
		p := records.Person{ID: id, Email: id + "@example.com", Name: text, Role: text, OwnerIDs: []string{text, ""}, UserType: text, Status: records.Active}
		p = must[records.Person](e, "adding")(s.PutPerson(ctx, p))
		if got := must[records.Person](e, "reading")(s.Person(ctx, id)); !samePerson(got, p) {
			e.Errorf("a person was stored as\n%+v\nand read as\n%+v", p, got)
		}
		r := audit.Record{Kind: text, Detail: text, Path: text, Email: id, Records: []string{text, "", text}}
		head := must[audit.Head](e, "head")(s.AuditHead(ctx, text))
		head.Chain = text
		rs := []audit.Record{r}
		audit.Seal(head, rs)
		e.ok("audit", s.AppendAudit(ctx, rs))
		got := must[[]audit.Record](e, "reading the audit")(s.Audit(ctx, audit.Query{Chain: text, Kind: text, Email: id}))
		if len(got) != 1 || audit.HashOf(&got[0]) != rs[0].Hash {
			e.Errorf("an audit record was stored as\n%+v\nand read as\n%+v", rs[0], got)
		}
	}
}

func durable(e *env) {
	ctx := e.Context()
	s := e.open("a")
	p := must[records.Person](e, "adding")(s.PutPerson(ctx, person("p1", "a@example.com")))
	e.ok("audit", s.AppendAudit(ctx, chainOf(audit.Head{Chain: "c"}, 3)))
	e.ok("closing", s.Close())
	s = e.open("a")
	if got := must[records.Person](e, "reading after a restart")(s.Person(ctx, "p1")); !samePerson(got, p) {
		e.Errorf("after a restart the person is %+v", got)
	}
	if h := must[audit.Head](e, "head")(s.AuditHead(ctx, "c")); h.Seq != 3 {
		e.Errorf("after a restart the chain ends at %d", h.Seq)
	}
}

func cancelledContext(e *env) {
	s := e.open("a")
	ctx, cancel := context.WithCancel(e.Context())
	cancel()
	for name, err := range everyCall(ctx, s) {
		if !errors.Is(err, records.ErrUnavailable) || !errors.Is(err, context.Canceled) {
			e.Errorf("%s with a context that has ended: %v", name, err)
		}
	}
	e.ok("reaching the store afterwards", s.Ping(e.Context()))
}

func closedIsUnavailable(e *env) {
	s := e.open("a")
	e.ok("reaching the store", s.Ping(e.Context()))
	e.ok("closing", s.Close())
	for name, err := range everyCall(e.Context(), s) {
		if !errors.Is(err, records.ErrUnavailable) {
			e.Errorf("%s after Close: %v, callers fail closed on %v", name, err, records.ErrUnavailable)
		}
	}
}

// everyCall makes each call a store knows, and says how it ended.
func everyCall(ctx context.Context, s records.Store) map[string]error {
	errs := map[string]error{}
	add := func(name string, err error) { errs[name] = err }
	_, err := s.PutPerson(ctx, person("p1", "a@example.com"))
	add("PutPerson", err)
	changed := person("p1", "a@example.com")
	changed.Version = 1
	_, err = s.PutPerson(ctx, changed)
	add("PutPerson of version 1", err)
	_, err = s.Person(ctx, "p1")
	add("Person", err)
	_, err = s.PersonByEmail(ctx, "a@example.com")
	add("PersonByEmail", err)
	_, err = s.People(ctx)
	add("People", err)
	add("PutCredential", s.PutCredential(ctx, records.Credential{PersonID: "p1", Kind: "password"}))
	_, err = s.Credential(ctx, "p1", "password")
	add("Credential", err)
	_, err = s.Credentials(ctx, "p1")
	add("Credentials", err)
	add("SwapCredential of none", s.SwapCredential(ctx, records.Credential{PersonID: "p1", Kind: "totp"}, nil))
	add("SwapCredential", s.SwapCredential(ctx, records.Credential{PersonID: "p1", Kind: "totp"}, []byte("x")))
	add("DropCredential", s.DropCredential(ctx, "p1", "totp", []byte("x")))
	add("DeleteCredential", s.DeleteCredential(ctx, "p1", "password"))
	add("PutCRMKey", s.PutCRMKey(ctx, records.CRMKey{PersonID: "p1", Lookup: "l"}))
	_, err = s.CRMKey(ctx, "p1")
	add("CRMKey", err)
	_, err = s.CRMKeyByLookup(ctx, "l")
	add("CRMKeyByLookup", err)
	_, err = s.CRMKeys(ctx)
	add("CRMKeys", err)
	_, err = s.PutBlob(ctx, records.Blob{Name: "n"})
	add("PutBlob", err)
	_, err = s.Blob(ctx, "n")
	add("Blob", err)
	_, err = s.AddRevision(ctx, records.Revision{Digest: "d"})
	add("AddRevision", err)
	_, err = s.Revisions(ctx, 1)
	add("Revisions", err)
	add("AppendAudit", s.AppendAudit(ctx, chainOf(audit.Head{Chain: "c"}, 1)))
	_, err = s.AuditHead(ctx, "c")
	add("AuditHead", err)
	_, err = s.Audit(ctx, audit.Query{})
	add("Audit", err)
	_, err = s.AuditChains(ctx)
	add("AuditChains", err)
	add("AuditIndex", s.AuditIndex(ctx, func(string, int64, string) {}))
	add("Ping", s.Ping(ctx))
	return errs
}
