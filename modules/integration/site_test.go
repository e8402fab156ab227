// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// atExit runs after the last test.
var atExit []func()

// forever is a testing.TB for what many tests share: it is cleaned up after the
// last one.
type forever struct{ testing.TB }

func (forever) Cleanup(f func()) { atExit = append(atExit, f) }

func (f forever) TempDir() string {
	dir, err := os.MkdirTemp("", "crmgate-shared-*")
	if err != nil {
		f.Fatal(err)
	}
	atExit = append(atExit, func() { _ = os.RemoveAll(dir) })
	return dir
}

func (forever) Errorf(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }

// shared is the demo that tests use which change nothing others look at.
var shared struct {
	once sync.Once
	demo *demo
}

func sharedDemo(t testing.TB) *demo {
	t.Helper()
	shared.once.Do(func() { shared.demo = startDemo(forever{t}, "", "--leads", "1500") })
	if shared.demo == nil {
		t.Fatal("the shared demo did not start; see the first failure")
	}
	return shared.demo
}

// crmUser is a person as the demo CRM knows them. Keys are the same in every copy.
type crmUser struct{ ID, Email, AccessKey, SecretKey string }

var crmUsers = sync.OnceValues(func() (map[string]crmUser, error) {
	bin := binary + "-democrm"
	if out, err := exec.Command("go", "build", "-o", bin, "github.com/crmgate/crmgate/cmd/democrm").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("building the demo CRM: %w\n%s", err, out)
	}
	cmd := exec.Command(bin, "--json", "--leads", "1", "--listen", "127.0.0.1:0")
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err != nil {
		return nil, fmt.Errorf("reading the demo CRM's line: %w", err)
	}
	var said struct{ Users []crmUser }
	if err := json.Unmarshal(line, &said); err != nil {
		return nil, err
	}
	users := map[string]crmUser{}
	for _, u := range said.Users {
		users[u.Email] = u
	}
	return users, nil
})

// keysOf returns the key pair the demo CRM gave a person.
func keysOf(t testing.TB, email string) crmUser {
	t.Helper()
	users, err := crmUsers()
	if err != nil {
		t.Fatal(err)
	}
	u, ok := users[email]
	if !ok {
		t.Fatalf("the demo CRM has nobody called %s", email)
	}
	return u
}

// setup describes a gateway of a test's own.
type setup struct {
	servers string // lines of the servers block of its own address, beside the listener wrappers
	global  string // further global options, each line with its line break before it
	options string // lines of the crmgate block, beside account, data, map and policy
	policy  string // YAML; "" for the built-in rights
	body    string // lines of the site, in which {upstream} is the CRM's address
	more    string // further sites and snippets; {port} is the gateway's port
	data    string // data folder; "" for a fresh one
	crm     string // the CRM's address
	crmMap  string // name or file of the map; "" for leadsquared
}

const rolesOnly = "version: 1\naccount: acme\n"

// policyFile is where the policy is, once file was called.
func (s *setup) policyFile() string {
	return filepath.Join(filepath.Dir(s.data), filepath.Base(s.data)+"-policy.yaml")
}

// file writes the Caddyfile and returns its path, the gateway's port and the
// admin address.
func (s *setup) file(t testing.TB) (file, port, admin string) {
	t.Helper()
	if s.data == "" {
		s.data = t.TempDir()
	}
	if s.policy == "" {
		s.policy = rolesOnly
	}
	dir := filepath.Dir(s.data)
	policy := s.policyFile()
	write(t, policy, s.policy)
	_, port, _ = net.SplitHostPort(freeAddr(t))
	admin = freeAddr(t)
	if s.body == "" {
		s.body = "crmgate_proxy {upstream}"
	}
	text := fmt.Sprintf(`{
	admin %s
	storage file_system %s/caddy
	persist_config off
	skip_install_trust
	auto_https disable_redirects
	default_sni localhost
	servers 127.0.0.1:%s {
		listener_wrappers {
			crmgate
			tls
		}
		%s
	}%s
	crmgate {
		account acme
		data %s
		map %s
		policy %s
		%s
	}
}
https://localhost:%s {
	bind 127.0.0.1
	tls internal
	%s
}
%s
`, admin, s.data, port, s.servers, s.global, s.data, cmp.Or(s.crmMap, "leadsquared"), policy, s.options, port, s.body, s.more)
	text = strings.NewReplacer("{upstream}", strings.TrimPrefix(s.crm, "http://"), "{port}", port).Replace(text)
	file = filepath.Join(dir, filepath.Base(s.data)+".Caddyfile")
	write(t, file, text)
	return file, port, admin
}

// start runs the gateway and waits until its admin API knows the account.
func (s *setup) start(t testing.TB) *demo {
	t.Helper()
	file, port, admin := s.file(t)
	p, _ := start(t, nil, "run", "--config", file, "--adapter", "caddyfile")
	return s.ready(t, p, port, admin)
}

// ready waits for a gateway that was started.
func (s *setup) ready(t testing.TB, p *process, port, admin string) *demo {
	t.Helper()
	d := &demo{process: p, Gateway: "https://localhost:" + port, CRM: s.crm, Admin: admin, data: s.data}
	d.CA = filepath.Join(s.data, "caddy", "pki", "authorities", "local", "root.crt")
	deadline := time.Now().Add(60 * time.Second)
	for {
		if status, _ := d.tryAdmin(http.MethodGet, "/crmgate/info", ""); status == http.StatusOK {
			break
		}
		select {
		case <-p.done:
			t.Fatalf("the gateway did not start:\n%s", p.log())
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("the gateway was not ready within 60s:\n%s", p.log())
		}
		time.Sleep(50 * time.Millisecond)
	}
	d.pool = certPool(t, d.CA)
	d.handshake(t)
	return d
}

// password is what everybody of a test's own gateway signs in with.
const password = "correct-horse-battery-7"

// add makes a person of the gateway, with a CRM key pair when the CRM has one.
func (d *demo) add(t testing.TB, email, role string, keys crmUser) {
	t.Helper()
	d.admin(t, http.MethodPost, "/crmgate/people", fmt.Sprintf(
		`{"email":%q,"name":"A Person","role":%q,"owner_ids":[%q],"password":%q}`, email, role, keys.ID, password))
	if keys.AccessKey != "" {
		d.admin(t, http.MethodPut, "/crmgate/people/"+email+"/crm-key",
			fmt.Sprintf(`{"access_key":%q,"secret_key":%q}`, keys.AccessKey, keys.SecretKey))
	}
	d.People = append(d.People, person{Email: email, Password: password, Role: role})
}

// tryAdmin asks the admin API; status 0 when nobody answers.
func (d *demo) tryAdmin(method, path, body string) (int, string) {
	req, err := http.NewRequest(method, "http://"+d.Admin+path, strings.NewReader(body))
	if err != nil {
		return 0, err.Error()
	}
	req.Header.Set("Content-Type", "application/json")
	c := http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := c.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer res.Body.Close()
	b, _ := io.ReadAll(res.Body)
	return res.StatusCode, string(b)
}

// admin asks the admin API and expects success.
func (d *demo) admin(t testing.TB, method, path, body string) string {
	t.Helper()
	status, text := d.tryAdmin(method, path, body)
	if status != http.StatusOK {
		t.Fatalf("the admin API answered %s %s with %d %s", method, path, status, text)
	}
	return text
}

func write(t testing.TB, file, text string) {
	t.Helper()
	// Renamed into place, like editors and deployments do.
	if err := os.WriteFile(file+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
}

// safeBuffer is a buffer somebody else fills.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// ReadFrom keeps everything r gives.
func (s *safeBuffer) ReadFrom(r io.Reader) (n int64, err error) {
	chunk := make([]byte, 4096)
	for {
		m, err := r.Read(chunk)
		s.mu.Lock()
		s.b.Write(chunk[:m])
		s.mu.Unlock()
		n += int64(m)
		if err != nil {
			return n, err
		}
	}
}

func (s *safeBuffer) bytes() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return bytes.Clone(s.b.Bytes())
}

// seen is one request as a CRM got it.
type seen struct {
	Method, URI, Host string
	Header            http.Header
	Body              []byte
	Trailer           http.Header
}

// recorder is a CRM that remembers what it got and answers {"ok":true}.
type recorder struct {
	mu  sync.Mutex
	got []seen
}

func (c *recorder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	c.mu.Lock()
	c.got = append(c.got, seen{r.Method, r.RequestURI, r.Host, r.Header.Clone(), body, r.Trailer.Clone()})
	c.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, `{"ok":true}`)
}

// take returns what was got since the last call.
func (c *recorder) take() []seen {
	c.mu.Lock()
	defer c.mu.Unlock()
	got := c.got
	c.got = nil
	return got
}

// serve listens on a loopback address until the test ends.
func serve(t testing.TB, h http.Handler) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = srv.Serve(l) }()
	t.Cleanup(func() { _ = srv.Close() })
	return "http://" + l.Addr().String()
}

// reason reads the reason out of a problem document.
func (a *answer) reason() string {
	var p struct {
		Reason string `json:"reason"`
	}
	_ = json.Unmarshal(a.body, &p)
	return p.Reason
}

// header writes a header the way it goes over the line, for searching.
func headerText(h http.Header) string {
	var b bytes.Buffer
	_ = h.Write(&b)
	return b.String()
}
