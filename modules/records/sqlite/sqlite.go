// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// Package sqlite keeps the records of one gateway in one SQLite file: no server,
// nothing to install, every write on disk before it is acknowledged.
//
// A file that cannot be written, that is no SQLite file, that belongs to another
// program or that a newer crmgate wrote is one clear error of Open, and the file
// is left as it was. The file is created readable by its owner only.
package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/crmgate/crmgate/modules/internal/clock"
	"github.com/crmgate/crmgate/modules/internal/records/sqlstore"
)

// Config says where the records are.
type Config struct {
	// Path of the file, such as /var/lib/crmgate/records.db. The file and the
	// folder it is in are created when missing.
	Path string
	// Account is the name of the account, part of every key. Must not be empty.
	Account string
	// Clock tells the store the time; nil is the machine's.
	Clock clock.Clock
}

// Store is a records.Store in a SQLite file.
type Store struct{ *sqlstore.Store }

// busy is how long a writer waits for another process to finish its write.
const busy = 5 * time.Second

// readers is the number of connections that read beside the one that writes; WAL
// lets them read while it writes.
const readers = 4

// Open opens the file, creates or updates its tables, and returns the store.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	if err := prepare(cfg.Path); err != nil {
		return nil, err
	}
	// A page cache that holds the ends of the audit's indexes, and a log that is
	// moved into the file every 32 MiB: the audit is most of what is written.
	write, err := connect(cfg.Path, 1, "_txlock=immediate&_pragma=cache_size(-16384)&_pragma=wal_autocheckpoint(8192)")
	if err != nil {
		return nil, err
	}
	if err := migrate(ctx, write, cfg.Path); err != nil {
		return nil, errors.Join(err, write.Close())
	}
	read, err := connect(cfg.Path, readers, "_pragma=query_only(1)")
	if err != nil {
		return nil, errors.Join(err, write.Close())
	}
	s, err := sqlstore.New(ctx, sqlstore.Config{
		Account: cfg.Account, Write: write, Read: read, Fault: fault, Clock: cfg.Clock,
	})
	if err != nil {
		return nil, errors.Join(err, read.Close(), write.Close())
	}
	return &Store{s}, nil
}

// prepare makes sure that the file exists, is ours to write, and is private.
func prepare(path string) error {
	if path == "" {
		return errors.New("opening the records: no path is given")
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("opening the records: the data folder cannot be made: %w", err)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("opening the records: the file cannot be written; give its folder to the user the gateway runs as: %w", err)
	}
	return f.Close()
}

func connect(path string, connections int, options string) (*sql.DB, error) {
	address := (&url.URL{Scheme: "file", Path: filepath.ToSlash(path)}).String()
	if !filepath.IsAbs(path) {
		address = (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: filepath.ToSlash(path)}).EscapedPath()}).String()
	}
	db, err := sql.Open("sqlite", fmt.Sprintf("%s?%s&_pragma=busy_timeout(%d)&_pragma=foreign_keys(1)&_pragma=synchronous(FULL)",
		address, options, busy.Milliseconds()))
	if err != nil {
		return nil, fmt.Errorf("opening the records in %s: %w", path, err)
	}
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return db, nil
}

// applicationID marks a SQLite file as crmgate's records: "cgRD".
const applicationID = 0x63675244

//go:embed migrations/*.sql
var migrations embed.FS

// migrate brings the file up to date in one transaction. The number of the last
// migration is the file's user_version.
func migrate(ctx context.Context, db *sql.DB, path string) error {
	wrap := func(err error) error {
		var e *sqlite.Error
		if errors.As(err, &e) && e.Code()&0xff == sqlite3.SQLITE_NOTADB {
			return fmt.Errorf("opening the records: %s is not a SQLite file; name another path", path)
		}
		return fmt.Errorf("opening the records in %s: %w", path, err)
	}
	files, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return wrap(err)
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return wrap(err)
	}
	defer tx.Rollback()
	version, err := identify(ctx, tx, path, len(files))
	if err != nil {
		return wrap(err)
	}
	for _, name := range files[version:] {
		text, err := migrations.ReadFile(name)
		if err != nil {
			return wrap(err)
		}
		if _, err := tx.ExecContext(ctx, string(text)); err != nil {
			return wrap(fmt.Errorf("%s: %w", name, err))
		}
	}
	if version < len(files) {
		mark := fmt.Sprintf("PRAGMA application_id = %d; PRAGMA user_version = %d", applicationID, len(files))
		if _, err := tx.ExecContext(ctx, mark); err != nil {
			return wrap(err)
		}
	}
	if err := tx.Commit(); err != nil {
		return wrap(err)
	}
	// Not before the file is known to be ours: the journal's mode is kept in it.
	var mode string
	if err := db.QueryRowContext(ctx, "PRAGMA journal_mode = WAL").Scan(&mode); err != nil {
		return wrap(err)
	}
	if mode != "wal" {
		return wrap(fmt.Errorf("the file system does not allow write-ahead logging (journal mode %q); use a local disk", mode))
	}
	return nil
}

// identify returns the number of the file's last migration, 0 for a new file.
func identify(ctx context.Context, tx *sql.Tx, path string, newest int) (int, error) {
	var id, version, tables int
	err := errors.Join(
		tx.QueryRowContext(ctx, "PRAGMA application_id").Scan(&id),
		tx.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version),
		tx.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&tables),
	)
	switch {
	case err != nil:
		return 0, err
	case id == 0 && version == 0 && tables == 0:
		return 0, nil
	case id != applicationID:
		return 0, errors.New("the file belongs to another program; name another path")
	case version < 0 || version > newest:
		return 0, fmt.Errorf("a newer crmgate wrote the file (version %d, this one knows %d); use that release", version, newest)
	}
	return version, nil
}

func fault(err error) sqlstore.Fault {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		switch e.Code() {
		case sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY:
			return sqlstore.Duplicate
		case sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY:
			return sqlstore.Parentless
		}
	}
	return sqlstore.Unreachable
}
