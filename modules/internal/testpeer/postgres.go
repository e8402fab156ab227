// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package testpeer

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// PostgresPassword is the password of the test server's only user.
const PostgresPassword = "pa55-of-the-test"

// Postgres is a PostgreSQL server of a test's own, with an empty database.
type Postgres struct {
	tb   testing.TB
	bin  string
	data string
	port int
	as   *syscall.Credential
	cmd  *exec.Cmd
	log  bytes.Buffer
}

// StartPostgres starts a server and stops it when the test ends.
func StartPostgres(tb testing.TB) *Postgres {
	tb.Helper()
	bins, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if len(bins) == 0 {
		tb.Fatal("PostgreSQL is not installed and this test talks to a real one: apt-get install postgresql")
	}
	p := &Postgres{tb: tb, bin: filepath.Dir(bins[len(bins)-1])}
	dir, err := os.MkdirTemp("", "crmgate-postgres-")
	p.check("making the data folder", err)
	tb.Cleanup(func() {
		p.Stop()
		_ = os.RemoveAll(dir)
	})
	if os.Geteuid() == 0 { // PostgreSQL refuses to run as root
		u, err := user.Lookup("postgres")
		p.check("looking up the user postgres", err)
		uid, _ := strconv.ParseUint(u.Uid, 10, 32)
		gid, _ := strconv.ParseUint(u.Gid, 10, 32)
		p.as = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		p.check("giving the data folder away", os.Chown(dir, int(uid), int(gid)))
	}
	secret := filepath.Join(dir, "password")
	p.check("writing the password", os.WriteFile(secret, []byte(PostgresPassword), 0o644))
	p.data = filepath.Join(dir, "data")
	out, err := p.command("initdb", "-D", p.data, "-U", "crmgate", "--pwfile="+secret,
		"--auth=scram-sha-256", "--encoding=UTF8", "--no-sync", "--locale=C.UTF-8").CombinedOutput()
	if err != nil {
		tb.Fatalf("initdb: %v\n%s", err, out)
	}
	p.port = freePort(tb)
	p.Start()
	return p
}

func (p *Postgres) check(doing string, err error) {
	p.tb.Helper()
	if err != nil {
		p.tb.Fatalf("%s: %v", doing, err)
	}
}

func (p *Postgres) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(p.bin, name), args...)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: p.as}
	return cmd
}

// Start starts the server again after Stop, on the same port with the same data.
func (p *Postgres) Start() {
	p.tb.Helper()
	p.cmd = p.command("postgres", "-D", p.data, "-p", strconv.Itoa(p.port),
		"-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=",
		"-c", "fsync=off", "-c", "max_connections=200")
	p.cmd.Stdout, p.cmd.Stderr = &p.log, &p.log
	p.check("starting postgres", p.cmd.Start())
	for deadline := time.Now().Add(30 * time.Second); ; {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		conn, err := pgx.Connect(ctx, p.DSN("postgres"))
		if err == nil {
			_ = conn.Close(ctx)
			cancel()
			return
		}
		cancel()
		if time.Now().After(deadline) {
			p.Stop()
			p.tb.Fatalf("postgres does not answer: %v\n%s", err, p.log.String())
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// Stop cuts every connection and stops the server.
func (p *Postgres) Stop() {
	if p.cmd == nil {
		return
	}
	_ = p.cmd.Process.Signal(syscall.SIGQUIT) // immediate: nothing in it is worth a checkpoint
	_ = p.cmd.Wait()
	p.cmd = nil
}

// DSN is the address of one of the server's databases.
func (p *Postgres) DSN(database string) string {
	return fmt.Sprintf("postgres://crmgate:%s@127.0.0.1:%d/%s?sslmode=disable", PostgresPassword, p.port, database)
}

// NewDatabase creates an empty database and returns its address.
func (p *Postgres) NewDatabase(name string) string {
	p.tb.Helper()
	conn, err := pgx.Connect(context.Background(), p.DSN("postgres"))
	p.check("connecting", err)
	defer conn.Close(context.Background())
	_, err = conn.Exec(context.Background(), "CREATE DATABASE "+pgx.Identifier{name}.Sanitize()+" STRATEGY file_copy")
	p.check("creating a database", err)
	return p.DSN(name)
}

func freePort(tb testing.TB) int {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatalf("finding a free port: %v", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}
