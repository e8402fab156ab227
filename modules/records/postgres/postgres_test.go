// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/crmgate/crmgate/modules/internal/audit"
	"github.com/crmgate/crmgate/modules/internal/records"
	"github.com/crmgate/crmgate/modules/internal/records/recordstest"
	"github.com/crmgate/crmgate/modules/internal/testpeer"
)

type database string

func (d database) Open(ctx context.Context, account string) (records.Store, error) {
	return Open(ctx, Config{DSN: string(d), Account: account})
}

func (d database) Exec(t *testing.T, query string, args ...any) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), string(d))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), query, args...); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

// fresh returns a function that makes one database after the other.
func fresh(tb testing.TB) func() database {
	server, n := testpeer.StartPostgres(tb), 0
	return func() database {
		n++
		return database(server.NewDatabase(fmt.Sprintf("db%d", n)))
	}
}

func TestStore(t *testing.T) {
	next := fresh(t)
	recordstest.Run(t, func(*testing.T) recordstest.Database { return next() })
}

func TestTampering(t *testing.T) {
	next := fresh(t)
	recordstest.RunTampering(t, func(*testing.T) recordstest.SQLDatabase { return next() })
}

func TestMigrateTogether(t *testing.T) {
	db := fresh(t)()
	errs := make(chan error)
	for i := range 10 {
		go func() {
			s, err := db.Open(t.Context(), fmt.Sprintf("account %d", i))
			if err == nil {
				err = s.Close()
			}
			errs <- err
		}()
	}
	for range 10 {
		if err := <-errs; err != nil {
			t.Errorf("of ten gateways that start together one fails: %v", err)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	server := testpeer.StartPostgres(t)
	good := server.NewDatabase("good")
	newer := database(server.NewDatabase("newer"))
	newer.Exec(t, `CREATE TABLE crmgate_schema (version INTEGER NOT NULL)`)
	newer.Exec(t, `INSERT INTO crmgate_schema VALUES (99)`)
	foreign := database(server.NewDatabase("foreign"))
	foreign.Exec(t, `CREATE TABLE crmgate_person (x INTEGER)`)
	const secret = "s3cret-word"
	for _, c := range []struct {
		name, dsn, want string
		unavailable     bool
	}{
		{"not an address", "postgres://u:" + secret + "@h:port:port/d", "cannot be parsed", false},
		{"unknown setting", "host=h password=" + secret + " sslmode=" + secret, "cannot be parsed", false},
		{"garbage", "\x00" + secret, "cannot be parsed", false},
		{"wrong password", strings.Replace(good, testpeer.PostgresPassword, secret, 1), "password authentication failed", true},
		{"wrong database", server.DSN("no_such"), "no_such", true},
		{"nobody listens", "postgres://u:" + secret + "@127.0.0.1:1/d", "127.0.0.1:1/d", true},
		{"password that is in every message", "postgres://u:e@127.0.0.1:1/d", "cannot be reached", true},
		{"newer tables", string(newer), "a newer crmgate made the tables", false},
		{"another program's tables", string(foreign), "crmgate_person", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := Open(t.Context(), Config{DSN: c.dsn, Account: "a"})
			if err == nil {
				s.Close()
				t.Fatal("opened")
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("the operator reads %q, want %q", err, c.want)
			}
			if strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), testpeer.PostgresPassword) {
				t.Errorf("the password is in the error: %q", err)
			}
			if errors.Is(err, records.ErrUnavailable) != c.unavailable {
				t.Errorf("%q is unavailable: %v, want %v", err, !c.unavailable, c.unavailable)
			}
		})
	}
}

func TestServerAway(t *testing.T) {
	server := testpeer.StartPostgres(t)
	s, err := Open(t.Context(), Config{DSN: server.NewDatabase("d"), Account: "a"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	p, err := s.PutPerson(t.Context(), records.Person{ID: "p", Email: "a@example.com", Status: records.Active})
	if err != nil {
		t.Fatal(err)
	}
	server.Stop()
	for range 3 {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		_, err := s.Person(ctx, "p")
		cancel()
		if !errors.Is(err, records.ErrUnavailable) {
			t.Errorf("with the server away a read gives %v: the caller would not fail closed", err)
		}
		if err != nil && strings.Contains(err.Error(), testpeer.PostgresPassword) {
			t.Errorf("the password is in the error: %q", err)
		}
	}
	server.Start()
	// A dead connection of the pool may answer once more with an error.
	var got records.Person
	for range 10 {
		if got, err = s.Person(t.Context(), "p"); err == nil {
			break
		}
	}
	if err != nil || got.ID != p.ID {
		t.Errorf("with the server back the person is %+v, %v", got, err)
	}
}

func BenchmarkAppendAudit(b *testing.B) {
	recordstest.BenchmarkAppendAudit(b, fresh(b)())
}

// TestAuditOverOutage cuts the database while records are being written: they
// wait in the spool, and each is in the store once when it is back.
func TestAuditOverOutage(t *testing.T) {
	server := testpeer.StartPostgres(t)
	s, err := Open(t.Context(), Config{DSN: server.NewDatabase("d"), Account: "a"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	w, err := audit.Open(t.Context(), audit.Options{
		Chain: "gw", Store: s, Spool: filepath.Join(t.TempDir(), "spool"), Retry: 100 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	put := func(records int) {
		t.Helper()
		for range records {
			if err := w.Append(audit.Record{Kind: "request", Count: n}); err != nil {
				t.Fatalf("record %d was not taken: %v", n, err)
			}
			n++
		}
	}
	until := func(what string, ok func(audit.Stats) bool) {
		t.Helper()
		for deadline := time.Now().Add(30 * time.Second); !ok(w.Stats()); time.Sleep(5 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("not reached in 30 s: %s: %+v", what, w.Stats())
			}
		}
	}
	for range 2 {
		put(300)
		server.Stop()
		put(700)
		until("records in the spool", func(s audit.Stats) bool { return s.InSpool > 0 && s.Pending == 0 })
		put(100)
		server.Start()
		until("the spool is empty", func(s audit.Stats) bool { return s.InSpool == 0 && s.Pending == 0 })
	}
	put(50)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	report, err := audit.Verify(t.Context(), s)
	if err != nil || !report.OK() || report.Records != int64(n) {
		t.Errorf("%d records were appended over two outages: %+v, %v", n, report, err)
	}
}

func TestAuditOfTheFirstRelease(t *testing.T) {
	db := fresh(t)()
	tables, err := migrations.ReadFile("migrations/0001_tables.sql")
	if err != nil {
		t.Fatal(err)
	}
	db.Exec(t, string(tables))
	db.Exec(t, `CREATE TABLE crmgate_schema (version INTEGER NOT NULL)`)
	db.Exec(t, `INSERT INTO crmgate_schema VALUES (1)`)
	recordstest.RunAuditRows(t, db)
}
