// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package testpeer

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// SMTPUser and SMTPPassword sign in to the test server.
const (
	SMTPUser     = "crmgate"
	SMTPPassword = "pa55-of-the-test"
)

// SMTP is an Exim of a test's own. It takes mail for anybody from whoever signed
// in, offers signing in only under TLS, and delivers into files. It refuses
// "nobody@..." for good and "later@..." the first time.
type SMTP struct {
	Host   string // 127.0.0.1
	Port   int    // STARTTLS
	TLS    int    // TLS from the first byte
	CAFile string // PEM of the certificate's issuer

	tb  testing.TB
	dir string
	cmd *exec.Cmd
	log bytes.Buffer
}

const eximConf = `
primary_hostname = mail.test
spool_directory = DIR/spool
log_file_path = DIR/%slog
pid_file_path =
daemon_smtp_ports = PORT : TLSPORT
tls_on_connect_ports = TLSPORT
local_interfaces = 127.0.0.1
tls_advertise_hosts = *
tls_certificate = DIR/cert.pem
tls_privatekey = DIR/key.pem
auth_advertise_hosts = ${if eq{$tls_in_cipher}{}{}{*}}
acl_smtp_rcpt = rcpt
deliver_drop_privilege = true
keep_environment =
rfc1413_query_timeout = 0s
message_size_limit = 1M

begin acl
rcpt:
  deny    local_parts = nobody
  defer   local_parts = later
          condition = ${if exists{DIR/later}{no}{yes}}
          condition = ${run{/usr/bin/touch DIR/later}{yes}{yes}}
  accept  authenticated = *
  deny

begin routers
all:
  driver = accept
  transport = files

begin transports
files:
  driver = appendfile
  directory = DIR/mail
  maildir_format
  create_directory
  envelope_to_add

begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${if and{{eq{$auth2}{NAME}}{eq{$auth3}{PASS}}}}
  server_set_id = $auth2
login:
  driver = plaintext
  public_name = LOGIN
  server_prompts = Username:: : Password::
  server_condition = ${if and{{eq{$auth1}{NAME}}{eq{$auth2}{PASS}}}}
  server_set_id = $auth1
`

// StartSMTP starts a server and stops it when the test ends.
func StartSMTP(tb testing.TB) *SMTP {
	tb.Helper()
	bin, err := exec.LookPath("exim4")
	if err != nil {
		bin = "/usr/sbin/exim4"
		if _, err := os.Stat(bin); err != nil {
			tb.Fatal("Exim is not installed and this test talks to a real mail server: apt-get install exim4-daemon-light")
		}
	}
	dir, err := os.MkdirTemp("", "crmgate-smtp-")
	if err != nil {
		tb.Fatalf("making a folder for Exim: %v", err)
	}
	s := &SMTP{Host: "127.0.0.1", Port: freePort(tb), TLS: freePort(tb), CAFile: filepath.Join(dir, "cert.pem"), tb: tb, dir: dir}
	tb.Cleanup(func() {
		s.Stop()
		_ = os.RemoveAll(dir)
	})
	s.certificate()
	as := s.owner()
	conf := strings.NewReplacer("DIR", dir, "TLSPORT", strconv.Itoa(s.TLS), "PORT", strconv.Itoa(s.Port),
		"NAME", SMTPUser, "PASS", SMTPPassword).Replace(eximConf)
	s.check("writing exim.conf", os.WriteFile(filepath.Join(dir, "exim.conf"), []byte(conf), 0o644))
	s.check("making the spool", os.Mkdir(filepath.Join(dir, "spool"), 0o700))
	if as != nil {
		for _, name := range []string{"", "spool", "key.pem", "cert.pem"} {
			s.check("giving Exim its files", os.Chown(filepath.Join(dir, name), int(as.Uid), int(as.Gid)))
		}
	}
	s.cmd = exec.Command(bin, "-C", filepath.Join(dir, "exim.conf"), "-bdf", "-q10m")
	s.cmd.Stdout, s.cmd.Stderr = &s.log, &s.log
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Credential: as, Setpgid: true}
	s.check("starting Exim", s.cmd.Start())
	for deadline := time.Now().Add(20 * time.Second); ; {
		c, err := net.Dial("tcp", net.JoinHostPort(s.Host, strconv.Itoa(s.Port)))
		if err == nil {
			_ = c.Close()
			return s
		}
		if time.Now().After(deadline) {
			s.Stop()
			tb.Fatalf("Exim does not answer: %v\n%s%s", err, s.log.String(), s.Log())
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// owner is who Exim runs as. It refuses to deliver as root, so that root starts it
// as the package's own user.
func (s *SMTP) owner() *syscall.Credential {
	if os.Geteuid() != 0 {
		return nil
	}
	u, err := user.Lookup("Debian-exim")
	s.check("looking up Exim's user", err)
	uid, _ := strconv.ParseUint(u.Uid, 10, 32)
	gid, _ := strconv.ParseUint(u.Gid, 10, 32)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

func (s *SMTP) check(doing string, err error) {
	s.tb.Helper()
	if err != nil {
		s.tb.Fatalf("%s: %v", doing, err)
	}
}

// certificate makes one for 127.0.0.1 that is its own issuer.
func (s *SMTP) certificate() {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	s.check("making a key", err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "mail.test"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	s.check("making a certificate", err)
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	s.check("encoding a key", err)
	write := func(name, kind string, b []byte) {
		s.check("writing "+name, os.WriteFile(filepath.Join(s.dir, name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}), 0o600))
	}
	write("cert.pem", "CERTIFICATE", der)
	write("key.pem", "PRIVATE KEY", raw)
}

// Roots is a pool that trusts the server.
func (s *SMTP) Roots() *x509.CertPool {
	s.tb.Helper()
	b, err := os.ReadFile(s.CAFile)
	s.check("reading the certificate", err)
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(b)
	return pool
}

// Messages waits until n messages were delivered and returns them in the order of
// their delivery. More than n fail the test.
func (s *SMTP) Messages(n int) []string {
	s.tb.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; {
		all := s.Delivered()
		if len(all) > n {
			s.tb.Fatalf("%d messages were delivered, want %d", len(all), n)
		}
		if len(all) == n {
			return all
		}
		if time.Now().After(deadline) {
			s.tb.Fatalf("%d messages were delivered, want %d\n%s", len(all), n, s.Log())
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// Delivered returns what was delivered so far, in the order of its delivery.
func (s *SMTP) Delivered() []string {
	s.tb.Helper()
	names, _ := filepath.Glob(filepath.Join(s.dir, "mail", "new", "*"))
	// The names hold seconds and microseconds, without zeros before them.
	at := map[string]time.Time{}
	for _, name := range names {
		info, err := os.Stat(name)
		s.check("looking at a message", err)
		at[name] = info.ModTime()
	}
	slices.SortStableFunc(names, func(a, b string) int { return at[a].Compare(at[b]) })
	var out []string
	for _, name := range names {
		b, err := os.ReadFile(name)
		s.check("reading a message", err)
		out = append(out, string(b))
	}
	return out
}

// Log is what the server wrote down.
func (s *SMTP) Log() string {
	var all strings.Builder
	for _, name := range []string{"mainlog", "rejectlog", "paniclog"} {
		b, _ := os.ReadFile(filepath.Join(s.dir, name))
		fmt.Fprintf(&all, "%s", b)
	}
	return all.String()
}

// Stop kills the server and what it started.
func (s *SMTP) Stop() {
	if s.cmd == nil {
		return
	}
	_ = syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL)
	_ = s.cmd.Wait()
	s.cmd = nil
}
