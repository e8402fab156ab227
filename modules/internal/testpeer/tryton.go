// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package testpeer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TrytonDatabase is the name of the one database, and the first part of its URL.
const TrytonDatabase = "crm"

const trytonPackages = "apt-get install --no-install-recommends tryton-server tryton-proteus tryton-modules-party tryton-modules-sale-opportunity"

// Tryton is a Tryton 6.0 server with the party and sale_opportunity modules on a
// SQLite file, and what its seed made.
type Tryton struct {
	Addr string     // host:port
	Seed TrytonSeed //

	tb  testing.TB
	dir string
	cmd *exec.Cmd
	log bytes.Buffer
}

// TrytonSeed holds the ids of what testdata/tryton/seed.py made.
type TrytonSeed struct {
	Company       int            `json:"company"`
	Employees     map[string]int `json:"employees"` // by login
	Users         map[string]int `json:"users"`     // by login
	Parties       []int          `json:"parties"`
	Opportunities []int          `json:"opportunities"`
}

// StartTryton makes a database (most of a minute), fills it by the seed script,
// starts the server and stops it when the test ends. people maps logins to
// passwords.
func StartTryton(tb testing.TB, seed string, people map[string]string) *Tryton {
	tb.Helper()
	for _, bin := range []string{"/usr/bin/trytond", "/usr/bin/trytond-admin", "/usr/bin/python3"} {
		if _, err := os.Stat(bin); err != nil {
			tb.Fatalf("%s is not there and this test talks to a real Tryton: %s", bin, trytonPackages)
		}
	}
	if out, err := exec.Command("/usr/bin/python3", "-c", "import proteus, trytond.modules.party, trytond.modules.sale_opportunity").CombinedOutput(); err != nil {
		tb.Fatalf("Tryton is not complete: %s\n%s", trytonPackages, out)
	}
	p := &Tryton{tb: tb, dir: tb.TempDir(), Addr: "127.0.0.1:" + strconv.Itoa(freePort(tb))}
	p.file("trytond.conf", fmt.Sprintf("[database]\nuri = sqlite://\npath = %s\n[web]\nlisten = %s\n[session]\ntimeout = 3600\n", p.dir, p.Addr))
	p.file("password", "admin-Passw0rd-1")
	p.file(TrytonDatabase+".sqlite", "")
	admin := p.command("/usr/bin/trytond-admin", "-c", p.path("trytond.conf"), "-d", TrytonDatabase,
		"-u", "ir", "res", "party", "sale_opportunity", "--activate-dependencies", "--email", "admin@example.test")
	admin.Env = append(os.Environ(), "TRYTONPASSFILE="+p.path("password"))
	if out, err := admin.CombinedOutput(); err != nil {
		tb.Fatalf("making the Tryton database: %v\n%s", err, out)
	}
	p.seed(seed, people)
	p.start()
	return p
}

func (p *Tryton) path(name string) string { return filepath.Join(p.dir, name) }

func (p *Tryton) file(name, text string) {
	p.tb.Helper()
	if err := os.WriteFile(p.path(name), []byte(text), 0o600); err != nil {
		p.tb.Fatalf("preparing Tryton: %v", err)
	}
}

func (p *Tryton) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Dir = p.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd
}

func (p *Tryton) seed(script string, people map[string]string) {
	p.tb.Helper()
	in, err := json.Marshal(people)
	if err != nil {
		p.tb.Fatalf("seeding Tryton: %v", err)
	}
	if script, err = filepath.Abs(script); err != nil {
		p.tb.Fatalf("seeding Tryton: %v", err)
	}
	var stderr bytes.Buffer
	cmd := p.command("/usr/bin/python3", script, p.path("trytond.conf"), TrytonDatabase)
	cmd.Stdin, cmd.Stderr = bytes.NewReader(in), &stderr
	out, err := cmd.Output()
	if err == nil {
		err = json.Unmarshal(out, &p.Seed)
	}
	if err != nil {
		p.tb.Fatalf("seeding Tryton: %v\n%s%s", err, out, stderr.String())
	}
}

func (p *Tryton) start() {
	p.tb.Helper()
	p.cmd = p.command("/usr/bin/trytond", "-c", p.path("trytond.conf"), "-d", TrytonDatabase)
	p.cmd.Stdout, p.cmd.Stderr = &p.log, &p.log
	if err := p.cmd.Start(); err != nil {
		p.tb.Fatalf("starting trytond: %v", err)
	}
	p.tb.Cleanup(func() {
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) // the group it was started in: itself and its children
		_ = p.cmd.Wait()
	})
	for deadline := time.Now().Add(60 * time.Second); ; {
		conn, err := net.DialTimeout("tcp", p.Addr, time.Second)
		if err == nil {
			_ = conn.Close()
			return
		}
		if time.Now().After(deadline) {
			p.tb.Fatalf("trytond does not listen: %v", err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// String says where it is.
func (p *Tryton) String() string {
	return strings.Join([]string{"http:/", p.Addr, TrytonDatabase, ""}, "/")
}
