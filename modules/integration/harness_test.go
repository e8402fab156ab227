// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// Package integration runs the real binary: the demo, clusters, other CRMs, and a
// browser in front of it.
package integration

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// binary is bin/crmgate as this checkout builds it.
var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "crmgate-integration-*")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	binary = filepath.Join(dir, "crmgate")
	build := exec.Command("go", "build", "-o", binary, "github.com/crmgate/crmgate/cmd/crmgate")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "building the binary under test:", err)
		os.Exit(1)
	}
	code := m.Run()
	for _, f := range atExit {
		f()
	}
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// freeAddr returns a loopback address nobody listens on.
func freeAddr(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// process is a running binary; what it prints is kept.
type process struct {
	cmd  *exec.Cmd
	done chan struct{}
	err  error

	mu     sync.Mutex
	stderr bytes.Buffer
}

// start runs the binary and stops it when the test ends.
func start(t testing.TB, env []string, args ...string) (*process, io.Reader) {
	t.Helper()
	p := &process{cmd: exec.Command(binary, args...), done: make(chan struct{})}
	home := t.TempDir()
	p.cmd.Env = append(os.Environ(), "XDG_DATA_HOME="+home, "XDG_CONFIG_HOME="+home, "HOME="+home)
	p.cmd.Env = append(p.cmd.Env, env...)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.cmd.Stderr = writerFunc(func(b []byte) (int, error) {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.stderr.Write(b)
	})
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() { p.stop(t) })
	return p, out
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

// log returns what the process has written to standard error.
func (p *process) log() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stderr.String()
}

// stop asks the process to end and waits for it.
func (p *process) stop(t testing.TB) {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(20 * time.Second):
		_ = p.cmd.Process.Kill()
		t.Errorf("the gateway did not stop on SIGTERM:\n%s", p.log())
	}
}

// kill ends the process without a word, like a machine that fails.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// person is somebody who can sign in.
type person struct{ Email, Password, Role string }

// demo is a running `crmgate demo`.
type demo struct {
	*process
	Gateway, CRM, Admin, CA string
	People                  []person
	data                    string
	pool                    *x509.CertPool
}

// startDemo runs the demo in a data folder ("" for a fresh one) and waits for its line.
func startDemo(t testing.TB, data string, more ...string) *demo {
	t.Helper()
	if data == "" {
		data = t.TempDir()
	}
	args := append([]string{"demo", "--json", "--listen", freeAddr(t), "--crm-listen", freeAddr(t), "--admin", freeAddr(t), "--data", data}, more...)
	p, out := start(t, nil, args...)
	d := &demo{process: p, data: data}
	line := make(chan []byte, 1)
	go func() {
		b, _ := bufio.NewReaderSize(out, 1<<20).ReadBytes('\n')
		line <- b
	}()
	select {
	case b := <-line:
		if err := json.Unmarshal(b, d); err != nil {
			<-p.done
			t.Fatalf("the demo's ready line %q: %v\n%s", b, err, p.log())
		}
	case <-time.After(90 * time.Second):
		t.Fatalf("the demo was not ready within 90s:\n%s", p.log())
	}
	d.pool = certPool(t, d.CA)
	return d
}

// certPool trusts one authority.
func certPool(t testing.TB, file string) *x509.CertPool {
	t.Helper()
	var pem []byte
	var err error
	for range 100 { // the authority's file appears when its first certificate is made
		if pem, err = os.ReadFile(file); err == nil {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	pool := x509.NewCertPool()
	if err != nil || !pool.AppendCertsFromPEM(pem) {
		t.Fatalf("reading the gateway's authority %s: %v", file, err)
	}
	return pool
}

// browser is an HTTP client with a cookie jar that trusts only the gateway, and
// follows no redirect.
type browser struct {
	t    testing.TB
	base string
	*http.Client
}

func newBrowser(t testing.TB, base string, pool *x509.CertPool) *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true}
	t.Cleanup(tr.CloseIdleConnections)
	return &browser{t: t, base: base, Client: &http.Client{
		Jar: jar, Transport: tr, Timeout: 20 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

func (d *demo) browser(t testing.TB) *browser { return newBrowser(t, d.Gateway, d.pool) }

// signedIn returns a browser with the session of the first person of a role, or
// of an e-mail address.
func (d *demo) signedIn(t testing.TB, who string) *browser {
	t.Helper()
	for _, p := range d.People {
		if p.Role == who || p.Email == who {
			b := d.browser(t)
			if res := b.signIn(p.Email, p.Password); res.StatusCode != http.StatusOK {
				t.Fatalf("signing %s in: %s\n%s", p.Email, res.Status, res.text())
			}
			return b
		}
	}
	t.Fatalf("the demo has nobody called %s", who)
	return nil
}

// answer is a response whose body was read.
type answer struct {
	*http.Response
	body []byte
}

func (a *answer) text() string { return string(a.body) }

// json decodes the body.
func (a *answer) json(t testing.TB, v any) {
	t.Helper()
	if err := json.Unmarshal(a.body, v); err != nil {
		t.Fatalf("%s %s answered %s, not the JSON expected: %v\n%.500s", a.Request.Method, a.Request.URL, a.Status, err, a.body)
	}
}

// send makes a request; header pairs follow the body. JSON is its default form,
// and it comes from a page of the gateway's own site.
func (b *browser) send(method, path, body string, header ...string) *answer {
	b.t.Helper()
	var r io.Reader
	if body != "" {
		r = strings.NewReader(body)
	}
	target := path
	if !strings.HasPrefix(path, "http") {
		target = b.base + path
	}
	req, err := http.NewRequestWithContext(context.Background(), method, target, r)
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	req.Header.Set("Sec-Fetch-Mode", "cors")
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		if header[i+1] == "" {
			req.Header.Del(header[i])
			continue
		}
		req.Header.Set(header[i], header[i+1])
	}
	res, err := b.Do(req)
	if err != nil {
		b.t.Fatalf("%s %s: %v", method, target, err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatalf("%s %s: reading the answer: %v", method, target, err)
	}
	return &answer{res, raw}
}

func (b *browser) get(path string, header ...string) *answer {
	b.t.Helper()
	return b.send(http.MethodGet, path, "", header...)
}

func (b *browser) post(path, body string, header ...string) *answer {
	b.t.Helper()
	return b.send(http.MethodPost, path, body, header...)
}

// signIn uses the JSON twin of the sign-in page.
func (b *browser) signIn(email, password string) *answer {
	b.t.Helper()
	body, _ := json.Marshal(map[string]string{"email": email, "password": password})
	return b.post("/.crmgate/api/sign-in", string(body))
}

// command runs a subcommand of the binary against the demo's admin address.
func (d *demo) command(t testing.TB, stdin string, args ...string) (string, error) {
	t.Helper()
	return runBinary(t, stdin, append(args, "--address", d.Admin)...)
}

// runBinary runs a subcommand to its end and returns all it printed.
func runBinary(t testing.TB, stdin string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.Command(binary, args...)
	home := t.TempDir()
	cmd.Env = append(os.Environ(), "XDG_DATA_HOME="+home, "XDG_CONFIG_HOME="+home, "HOME="+home)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// eventually waits for a condition that something else brings about.
func eventually(t testing.TB, within time.Duration, what string, cond func() bool) {
	t.Helper()
	deadline := time.Now().Add(within)
	for !cond() {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", within, what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
