// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package embedded

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite"
)

// schemaVersion is the version of the tables this code reads and writes.
const schemaVersion = 1

// disk is one open state file. The accounts of one process share it; another
// process cannot open it meanwhile.
type disk struct {
	file     string
	db       *sql.DB
	accounts map[string]bool // guarded by disks.mu
}

// row is an entry to be written, or a key to be deleted.
type row struct {
	key string
	item
	gone bool
}

var disks = struct {
	mu   sync.Mutex
	open map[string]*disk
}{open: map[string]*disk{}}

func openDisk(ctx context.Context, folder, account string) (*disk, error) {
	folder, err := filepath.Abs(folder)
	if err != nil {
		return nil, fmt.Errorf("finding the data folder %s: %w", folder, err)
	}
	file := filepath.Join(folder, FileName)
	disks.mu.Lock()
	defer disks.mu.Unlock()
	if d := disks.open[file]; d != nil {
		if d.accounts[account] {
			return nil, fmt.Errorf("opening %s: %w: account %q is already open in this process", file, ErrInUse, account)
		}
		d.accounts[account] = true
		return d, nil
	}
	db, err := openFile(ctx, folder, file)
	if err != nil {
		return nil, err
	}
	d := &disk{file: file, db: db, accounts: map[string]bool{account: true}}
	disks.open[file] = d
	return d, nil
}

func openFile(ctx context.Context, folder, file string) (*sql.DB, error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, fmt.Errorf("making the data folder %s: %w; give crmgate a folder it may write to", folder, err)
	}
	f, err := os.OpenFile(file, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the state file: %w; give crmgate a data folder it may write to", err)
	}
	if err := f.Close(); err != nil {
		return nil, fmt.Errorf("opening the state file %s: %w", file, err)
	}
	// EXCLUSIVE keeps the file's lock until Close, so that a second gateway finds
	// out at its start and not by losing sessions. FULL puts every commit through
	// to the disk.
	dsn := (&url.URL{Scheme: "file", Path: file, RawQuery: url.Values{"_pragma": {
		"busy_timeout(200)", "locking_mode(EXCLUSIVE)", "journal_mode(WAL)", "synchronous(FULL)",
	}}.Encode()}).String()
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, fmt.Errorf("opening the state file %s: %w", file, err)
	}
	db.SetMaxOpenConns(1) // the one connection holds the lock
	if err := prepare(ctx, db); err != nil {
		_ = db.Close() // the error below is the one that matters
		return nil, openError(file, err)
	}
	return db, nil
}

// openError turns SQLite's words into what to do about it.
func openError(file string, err error) error {
	switch text := err.Error(); {
	case strings.Contains(text, "SQLITE_BUSY"), strings.Contains(text, "database is locked"):
		return fmt.Errorf("opening %s: %w by another process; give every gateway a data folder of its own", file, ErrInUse)
	case strings.Contains(text, "not a database"), strings.Contains(text, "malformed"):
		return fmt.Errorf("opening %s: it is no state file (%w); move it away to start with an empty one: everybody signs in again", file, err)
	}
	return fmt.Errorf("opening the state file %s: %w", file, err)
}

func prepare(ctx context.Context, db *sql.DB) error {
	var version int
	if err := db.QueryRowContext(ctx, `PRAGMA user_version`).Scan(&version); err != nil {
		return err
	}
	if version > schemaVersion {
		return fmt.Errorf("written by a newer crmgate (format %d, this one knows %d)", version, schemaVersion)
	}
	_, err := db.ExecContext(ctx, fmt.Sprintf(`BEGIN IMMEDIATE;
		CREATE TABLE IF NOT EXISTS entries (
			account TEXT NOT NULL,
			key     BLOB NOT NULL,
			value   BLOB NOT NULL,
			expires INTEGER NOT NULL, -- nanoseconds since 1970, 0: never
			PRIMARY KEY (account, key)
		) WITHOUT ROWID;
		PRAGMA user_version = %d;
		COMMIT`, schemaVersion))
	return err
}

// load reads an account's entries and deletes the expired ones.
func (d *disk) load(ctx context.Context, account string, now time.Time) (map[string]item, error) {
	if _, err := d.db.ExecContext(ctx, `DELETE FROM entries WHERE account = ? AND expires != 0 AND expires <= ?`,
		account, now.UnixNano()); err != nil {
		return nil, fmt.Errorf("reading state from %s: %w", d.file, err)
	}
	rows, err := d.db.QueryContext(ctx, `SELECT key, value, expires FROM entries WHERE account = ?`, account)
	if err != nil {
		return nil, fmt.Errorf("reading state from %s: %w", d.file, err)
	}
	defer func() { _ = rows.Close() }()
	items := map[string]item{}
	for rows.Next() {
		var key, value []byte
		var expires int64
		if err := rows.Scan(&key, &value, &expires); err != nil {
			return nil, fmt.Errorf("reading state from %s: %w", d.file, err)
		}
		it := item{value: value}
		if expires != 0 {
			it.expires = time.Unix(0, expires)
		}
		items[string(key)] = it
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("reading state from %s: %w", d.file, err)
	}
	return items, nil
}

// write puts rows on disk in one transaction. Without rows it asks whether a
// transaction is possible at all.
func (d *disk) write(account string, rows []row) error {
	tx, err := d.db.Begin()
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // after Commit it does nothing
	if err := writeRows(tx, account, rows); err != nil {
		return err
	}
	return tx.Commit()
}

func writeRows(tx *sql.Tx, account string, rows []row) error {
	if len(rows) == 0 {
		return nil
	}
	put, err := tx.Prepare(`INSERT INTO entries (account, key, value, expires) VALUES (?, ?, ?, ?)
		ON CONFLICT (account, key) DO UPDATE SET value = excluded.value, expires = excluded.expires`)
	if err != nil {
		return err
	}
	defer func() { _ = put.Close() }()
	del, err := tx.Prepare(`DELETE FROM entries WHERE account = ? AND key = ?`)
	if err != nil {
		return err
	}
	defer func() { _ = del.Close() }()
	for _, r := range rows {
		if r.gone {
			_, err = del.Exec(account, []byte(r.key))
		} else {
			_, err = put.Exec(account, []byte(r.key), r.value, nanos(r.expires))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

// release gives the file up for one account; the last one closes it.
func (d *disk) release(account string) {
	disks.mu.Lock()
	defer disks.mu.Unlock()
	delete(d.accounts, account)
	if len(d.accounts) == 0 {
		delete(disks.open, d.file)
		_ = d.db.Close() // everything was committed before
	}
}
