// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/crmgate/crmgate/modules/internal/records"
	"github.com/crmgate/crmgate/modules/internal/records/recordstest"
)

type file string

func (f file) Open(ctx context.Context, account string) (records.Store, error) {
	return Open(ctx, Config{Path: string(f), Account: account})
}

func (f file) Exec(t *testing.T, query string, args ...any) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+string(f)+"?_pragma=busy_timeout(5000)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), query, args...); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

func TestStore(t *testing.T) {
	recordstest.Run(t, func(t *testing.T) recordstest.Database {
		return file(filepath.Join(t.TempDir(), "records.db"))
	})
}

func TestTampering(t *testing.T) {
	recordstest.RunTampering(t, func(t *testing.T) recordstest.SQLDatabase {
		return file(filepath.Join(t.TempDir(), "records.db"))
	})
}

func TestOpenMakesPrivateFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new folder", "r?e%c#ords.db")
	s, err := Open(t.Context(), Config{Path: path, Account: "a"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, name := range []string{path, path + "-wal"} {
		fi, err := os.Stat(name)
		if err != nil {
			t.Fatalf("the file is not where it was asked for: %v", err)
		}
		if fi.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v: others on the machine can read password hashes", name, fi.Mode())
		}
	}
	var mode string
	var full int
	if err := s.pragma(t, "journal_mode", &mode); err != nil || mode != "wal" {
		t.Errorf("journal mode %q, %v", mode, err)
	}
	if err := s.pragma(t, "synchronous", &full); err != nil || full != 2 {
		t.Errorf("synchronous is %d, %v: a power cut loses acknowledged people", full, err)
	}
}

// pragma asks a second handle opened the way Open does.
func (s *Store) pragma(t *testing.T, name string, into any) error {
	path := filepath.Join(t.TempDir(), "other.db")
	other, err := Open(t.Context(), Config{Path: path, Account: "a"})
	if err != nil {
		return err
	}
	defer other.Close()
	db, err := connect(path, 1, "_txlock=immediate")
	if err != nil {
		return err
	}
	defer db.Close()
	return db.QueryRowContext(t.Context(), "PRAGMA "+name).Scan(into)
}

func TestOpenRefuses(t *testing.T) {
	foreign := func(t *testing.T, statements string) string {
		path := filepath.Join(t.TempDir(), "x.db")
		file(path).Exec(t, statements)
		return path
	}
	written := func(t *testing.T, content string) string {
		path := filepath.Join(t.TempDir(), "x.db")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	ours := func(t *testing.T, statements string) string {
		path := filepath.Join(t.TempDir(), "x.db")
		s, err := Open(t.Context(), Config{Path: path, Account: "a"})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		file(path).Exec(t, statements)
		return path
	}
	for _, c := range []struct {
		name string
		path func(t *testing.T) string
		want string
	}{
		{"no path", func(*testing.T) string { return "" }, "no path is given"},
		{"folder is a file", func(t *testing.T) string { return filepath.Join(written(t, "x"), "records.db") }, "data folder cannot be made"},
		{"path is a folder", func(t *testing.T) string { return t.TempDir() }, "cannot be written"},
		{"kernel's folder", func(*testing.T) string { return "/proc/self/records.db" }, "cannot be written"},
		{"not SQLite", func(t *testing.T) string { return written(t, strings.Repeat("not a database. ", 100)) }, "is not a SQLite file"},
		{"another program's", func(t *testing.T) string { return foreign(t, "CREATE TABLE x (y)") }, "belongs to another program"},
		{"another program's, empty", func(t *testing.T) string { return foreign(t, "PRAGMA application_id = 42") }, "belongs to another program"},
		{"newer", func(t *testing.T) string { return ours(t, "PRAGMA user_version = 99") }, "a newer crmgate wrote the file (version 99"},
		{"negative version", func(t *testing.T) string { return ours(t, "PRAGMA user_version = -1") }, "a newer crmgate"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := c.path(t)
			before, _ := os.ReadFile(path)
			s, err := Open(t.Context(), Config{Path: path, Account: "a"})
			if err == nil {
				s.Close()
				t.Fatal("opened")
			}
			if !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("the operator reads %q, want one line with %q", err, c.want)
			}
			if after, _ := os.ReadFile(path); string(after) != string(before) {
				t.Error("a file that was refused was changed")
			}
		})
	}
}

func TestReopenKeepsVersion(t *testing.T) {
	path := filepath.Join(t.TempDir(), "records.db")
	for range 3 {
		s, err := Open(t.Context(), Config{Path: path, Account: "a"})
		if err != nil {
			t.Fatalf("a restart refuses the file the last start made: %v", err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func BenchmarkAppendAudit(b *testing.B) {
	recordstest.BenchmarkAppendAudit(b, file(filepath.Join(b.TempDir(), "records.db")))
}

// firstRelease makes a file as the first release left it.
func firstRelease(t *testing.T) file {
	t.Helper()
	f := file(filepath.Join(t.TempDir(), "records.db"))
	tables, err := migrations.ReadFile("migrations/0001_tables.sql")
	if err != nil {
		t.Fatal(err)
	}
	f.Exec(t, string(tables))
	f.Exec(t, fmt.Sprintf("PRAGMA application_id = %d", applicationID))
	f.Exec(t, "PRAGMA user_version = 1")
	return f
}

func TestAuditOfTheFirstRelease(t *testing.T) {
	recordstest.RunAuditRows(t, firstRelease(t))
}
