// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package testpeer

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// The client as the test provider knows it.
const (
	OIDCClientID     = "crmgate"
	OIDCClientSecret = "a-secret-of-the-test-0123456789-abcdef"
)

//go:embed oidc/op.mjs oidc/package.json oidc/package-lock.json
var oidcFiles embed.FS

// OIDCClient says where the provider may send browsers and logout tokens.
type OIDCClient struct {
	Redirects   []string // exact
	PostLogout  []string
	BackChannel string // "" for none; http on this machine is fine
}

// OIDC is a certified OpenID provider (npm oidc-provider) on free ports, once with
// Google's claims and once with those of ADFS. Any login signs in with the password
// "pw-" and the part before its @; at Google, logins that begin with "unverified",
// "private" and "guest" have an unverified address, no hosted domain, another one.
type OIDC struct {
	Google string // issuer
	ADFS   string // issuer

	tb    testing.TB
	cmd   *exec.Cmd
	mu    sync.Mutex
	in    io.WriteCloser
	lines *bufio.Scanner
	log   bytes.Buffer
}

// StartOIDC starts the provider and stops it when the test ends. The packages it
// needs are installed once, into the user's cache folder.
func StartOIDC(tb testing.TB, c OIDCClient) *OIDC {
	tb.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		tb.Fatal("Node.js is not installed and this test talks to a real OpenID provider: apt-get install nodejs npm (Node.js 20 or later)")
	}
	dir := installOIDC(tb)
	p := &OIDC{tb: tb, cmd: exec.Command(node, filepath.Join(dir, "op.mjs"))}
	p.cmd.Dir, p.cmd.Stderr = dir, &p.log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		tb.Fatalf("starting the OpenID provider: %v", err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		tb.Fatalf("starting the OpenID provider: %v", err)
	}
	if err := p.cmd.Start(); err != nil {
		tb.Fatalf("starting the OpenID provider: %v", err)
	}
	tb.Cleanup(p.Stop)
	p.lines = bufio.NewScanner(out)
	p.lines.Buffer(nil, 4<<20)
	p.send(map[string]any{"client": map[string]any{
		"id": OIDCClientID, "secret": OIDCClientSecret, "redirects": c.Redirects, "post_logout": c.PostLogout, "backchannel": c.BackChannel,
	}})
	var ready struct{ Google, ADFS string }
	p.receive(&ready)
	p.Google, p.ADFS = ready.Google, ready.ADFS
	return p
}

// Stop kills the provider.
func (p *OIDC) Stop() {
	if p.cmd == nil {
		return
	}
	_ = p.in.Close()
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
	p.cmd = nil
}

func (p *OIDC) send(x any) {
	p.tb.Helper()
	b, err := json.Marshal(x)
	if err == nil {
		_, err = p.in.Write(append(b, '\n'))
	}
	if err != nil {
		p.tb.Fatalf("telling the OpenID provider: %v\n%s", err, p.log.String())
	}
}

// receive reads the next line that is JSON: the library greets on standard output.
func (p *OIDC) receive(dst any) {
	p.tb.Helper()
	slow := time.AfterFunc(30*time.Second, func() { _ = p.cmd.Process.Kill() })
	defer slow.Stop()
	for p.lines.Scan() {
		if line := p.lines.Bytes(); len(line) > 0 && line[0] == '{' {
			if err := json.Unmarshal(line, dst); err != nil {
				p.tb.Fatalf("the OpenID provider says %q: %v", line, err)
			}
			return
		}
	}
	p.tb.Fatalf("the OpenID provider does not answer: %v\n%s", p.lines.Err(), p.log.String())
}

func (p *OIDC) act(x map[string]any, answer any) {
	p.tb.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.send(x)
	got := struct{ Answer any }{answer}
	p.receive(&got)
}

// RotateKeys gives a persona ("google", "adfs") a new signing key; with keep the
// old one stays published.
func (p *OIDC) RotateKeys(persona string, keep bool) {
	p.tb.Helper()
	p.act(map[string]any{"act": "rotate", "persona": persona, "keep": keep}, nil)
}

// SetClaims changes what is told about a login from now on.
func (p *OIDC) SetClaims(persona, login string, claims map[string]any) {
	p.tb.Helper()
	p.act(map[string]any{"act": "claims", "persona": persona, "login": login, "claims": claims}, nil)
}

// OIDCEvent is something the provider noticed.
type OIDCEvent struct{ Event, Detail string }

// Events returns what a persona noticed so far, such as "backchannel.success".
func (p *OIDC) Events(persona string) []OIDCEvent {
	p.tb.Helper()
	var log []OIDCEvent
	p.act(map[string]any{"act": "log", "persona": persona}, &log)
	return log
}

var errArrived = errors.New("arrived")

// OIDCSignIn does what a person does at the provider: it opens an address with c,
// whose jar keeps the provider's session, fills in the form when there is one, and
// returns the address below back that the browser is sent to in the end. A login of
// "" presses Cancel.
func OIDCSignIn(c *http.Client, address, login, back string) (*url.URL, error) {
	var arrived *url.URL
	browser := *c
	browser.CheckRedirect = func(r *http.Request, via []*http.Request) error {
		if strings.HasPrefix(r.URL.String(), back) {
			arrived = r.URL
			return errArrived
		}
		if len(via) > 15 {
			return errors.New("the provider redirects without end")
		}
		return nil
	}
	res, err := browser.Get(address)
	if err == nil && arrived == nil {
		form := url.Values{"login": {login}, "password": {"pw-" + strings.Split(login, "@")[0]}}
		if login == "" {
			form = url.Values{"cancel": {"1"}}
		}
		body, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if !bytes.Contains(body, []byte(`id="login"`)) {
			return nil, fmt.Errorf("no form at %s: %d %s", res.Request.URL, res.StatusCode, body)
		}
		res, err = browser.PostForm(res.Request.URL.String(), form)
	}
	if arrived != nil {
		return arrived, nil
	}
	if err != nil {
		return nil, fmt.Errorf("signing in at the provider: %w", err)
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	return nil, fmt.Errorf("the provider stays at %s: %d %s", res.Request.URL, res.StatusCode, body)
}

// installOIDC installs the provider's packages into a folder of their own, named
// after what is installed, unless it is there already. Tests of several packages
// may do so at once.
func installOIDC(tb testing.TB) string {
	tb.Helper()
	npm, err := exec.LookPath("npm")
	if err != nil {
		tb.Fatal("npm is not installed and this test talks to a real OpenID provider: apt-get install nodejs npm (Node.js 20 or later)")
	}
	fail := func(err error) {
		if err != nil {
			tb.Helper()
			tb.Fatalf("installing the OpenID provider: %v", err)
		}
	}
	sum := sha256.New()
	files := map[string][]byte{}
	for _, name := range []string{"op.mjs", "package.json", "package-lock.json"} {
		b, err := oidcFiles.ReadFile("oidc/" + name)
		fail(err)
		files[name] = b
		fmt.Fprintf(sum, "%s %d\n%s", name, len(b), b)
	}
	cache, err := os.UserCacheDir()
	fail(err)
	dir := filepath.Join(cache, "crmgate-test", "oidc-"+hex.EncodeToString(sum.Sum(nil))[:16])
	if _, err := os.Stat(filepath.Join(dir, "node_modules")); err == nil {
		return dir
	}
	fail(os.MkdirAll(filepath.Dir(dir), 0o700))
	building, err := os.MkdirTemp(filepath.Dir(dir), "building-")
	fail(err)
	defer os.RemoveAll(building)
	for name, b := range files {
		fail(os.WriteFile(filepath.Join(building, name), b, 0o600))
	}
	cmd := exec.Command(npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	cmd.Dir = building
	if out, err := cmd.CombinedOutput(); err != nil {
		tb.Fatalf("installing the OpenID provider: %v\n%s", err, out)
	}
	if err := os.Rename(building, dir); err != nil { // whole, or not at all
		if _, there := os.Stat(filepath.Join(dir, "node_modules")); there != nil {
			fail(err)
		}
	}
	return dir
}
