// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// policy has two roles that mask and hide the same fields. To one the fields that
// nobody declared are shown, as the other rewriters do; for the other they are
// searched for personal data, which is what a policy does that says nothing.
const policy = `version: 1
templates:
  masked:
    entities:
      lead:
        view: {partial: {mask: [phone, email, pan, income], hide: [aadhaar, dob, notes]}}
        unknown_fields: show
  searched:
    entities:
      lead:
        view: {partial: {mask: [phone, email, pan, income], hide: [aadhaar, dob, notes]}}
assign:
  - {template: masked, roles: [sales_manager]}
  - {template: searched, roles: [marketing_user]}
`

const bareFile = `{
	admin %s
	persist_config off
}
http://%s {
	reverse_proxy %s
}
`

// The second site is for the answer that does not end: a listener of its own, the
// same gate.
const gateFile = `{
	admin %s
	persist_config off
	servers {
		listener_wrappers {
			crmgate
			tls
		}
	}
	log {
		format crmgate
	}
	crmgate {
		account bench
		data %s
		map leadsquared
		policy %s
	}
}
http://%s {
	crmgate_proxy %s
}
http://%s {
	crmgate_proxy %s
}
`

const rewriterFile = `{
	admin %[1]s
	persist_config off
}
http://%[2]s {
	route {
		%[3]s {
			mask phone Phone Mobile
			mask email EmailAddress
			mask full mx_PAN_Number mx_Annual_Income
			hide mx_Aadhaar mx_Date_of_Birth Notes
		}
		reverse_proxy %[4]s
	}
}
`

// processes are what is measured, and what it needs.
type processes struct {
	dir      string
	variants []*variant
	streams  *variant // of the gate, before the answer that does not end
	crm      *httptest.Server
	running  []*exec.Cmd
}

func startAll(s *settings, dir string) (*processes, error) {
	b := &processes{dir: dir, crm: startCRM()}
	memory := b.crm.Listener.Addr().String()
	crm, err := b.startFiles()
	if err != nil {
		return b, err
	}
	if crm == "" {
		crm = memory
	}
	bare, admin := free(), free()
	pid, err := b.caddy(s.stock, "bare", fmt.Sprintf(bareFile, admin, bare, crm), "GOGC=100", bare) // Caddy as it comes
	if err != nil {
		return b, err
	}
	b.variants = append(b.variants, &variant{name: "bare", addr: bare, pid: pid, admin: admin})
	if err := b.startGate(s.binary, crm, memory); err != nil {
		return b, err
	}
	if err := b.startRewriters(s.rewriters, crm); err != nil {
		return b, err
	}
	if err := b.startLua(crm); err != nil {
		return b, err
	}
	if s.only != "" {
		only := append(strings.Split(s.only, ","), "bare")
		b.variants = slices.DeleteFunc(b.variants, func(v *variant) bool { return !slices.Contains(only, v.name) })
	}
	return b, nil
}

// startGate starts the gate twice: people sign in to the first, which costs
// memory, and the second knows their sessions.
func (b *processes) startGate(binary, crm, memory string) error {
	gate, stream, admin := free(), free(), free()
	rules := filepath.Join(b.dir, "policy.yaml")
	if err := os.WriteFile(rules, []byte(policy), 0o600); err != nil {
		return err
	}
	text := fmt.Sprintf(gateFile, admin, filepath.Join(b.dir, "data"), rules, gate, crm, stream, memory)
	pid, err := b.caddy(binary, "gate", text, "", gate)
	if err != nil {
		return err
	}
	var roles []*variant
	for _, p := range []struct{ variant, role string }{{"pass", "administrator"}, {"masked", "sales_manager"}, {"masked-detect", "marketing_user"}} {
		email, pw := p.variant+"@acme.test", "orchard-lantern-5150"
		if err := post("http://"+admin+"/crmgate/people", map[string]any{"email": email, "role": p.role, "password": pw}, nil); err != nil {
			return err
		}
		v := &variant{name: p.variant, addr: gate, admin: admin, masked: p.variant != "pass"}
		if err := post("http://"+gate+"/.crmgate/api/sign-in", map[string]any{"email": email, "password": pw}, v); err != nil {
			return err
		}
		roles = append(roles, v)
	}
	b.halt(pid)
	if pid, err = b.caddy(binary, "gate", text, "", gate); err != nil {
		return err
	}
	for _, v := range roles {
		v.pid = pid
		if err := v.ready(); err != nil {
			return err
		}
	}
	b.variants = append(b.variants, roles...)
	b.streams = &variant{name: "stream", addr: stream, cookie: roles[1].cookie, pid: pid, masked: true}
	return nil
}

// ready waits until the stores are open.
func (v *variant) ready() error {
	var err error
	for range 100 {
		if err = v.check("1"); err == nil {
			return nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return fmt.Errorf("%s: %w", v.name, err)
}

// startRewriters starts Caddy with each of the other ways to mask.
func (b *processes) startRewriters(binary, crm string) error {
	if _, err := os.Stat(binary); err != nil {
		fmt.Printf("bench: the rewriters are left out: there is no %s\n", binary)
		return nil
	}
	for _, p := range []struct{ name, directive string }{{"decode", "decode_mask_encode"}, {"replace", "replace_by_regexp"}} {
		addr, admin := free(), free()
		pid, err := b.caddy(binary, p.name, fmt.Sprintf(rewriterFile, admin, addr, p.directive, crm), "GOGC=100", addr)
		if err != nil {
			return err
		}
		b.variants = append(b.variants, &variant{name: p.name, addr: addr, pid: pid, admin: admin, masked: true})
	}
	return nil
}

func free() string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// caddy starts a binary with a Caddyfile.
func (b *processes) caddy(binary, name, text, env, addr string) (int, error) {
	file := filepath.Join(b.dir, name+".Caddyfile")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return 0, err
	}
	cmd := exec.Command(binary, "run", "--config", file, "--adapter", "caddyfile")
	cmd.Env = append(os.Environ(), "XDG_DATA_HOME="+b.dir, "XDG_CONFIG_HOME="+b.dir, "HOME="+b.dir)
	if env != "" {
		cmd.Env = append(cmd.Env, env)
	}
	return b.start(cmd, addr)
}

// start starts a process and waits until it listens.
func (b *processes) start(cmd *exec.Cmd, addr string) (int, error) {
	log, err := os.CreateTemp(b.dir, "log-*")
	if err != nil {
		return 0, err
	}
	defer log.Close()
	cmd.Stderr = log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	b.running = append(b.running, cmd)
	for range 300 {
		if c, err := net.Dial("tcp", addr); err == nil {
			_ = c.Close()
			return cmd.Process.Pid, nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	said, _ := os.ReadFile(log.Name())
	return 0, fmt.Errorf("%s did not start:\n%s", cmd, said)
}

// halt ends the process of that number.
func (b *processes) halt(pid int) {
	b.running = slices.DeleteFunc(b.running, func(p *exec.Cmd) bool {
		if p.Process.Pid != pid {
			return false
		}
		_ = p.Process.Signal(syscall.SIGTERM)
		_ = p.Wait()
		return true
	})
}

func (b *processes) stop() {
	for len(b.running) > 0 {
		b.halt(b.running[0].Process.Pid)
	}
	b.crm.Close()
}

// post sends JSON; a session cookie in the answer goes to v.
func post(url string, in any, v *variant) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	for range 50 { // the admin API answers 503 until the stores are open
		res, err := http.Post(url, "application/json", bytes.NewReader(body))
		if err != nil {
			return err
		}
		raw, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if res.StatusCode == http.StatusServiceUnavailable {
			time.Sleep(100 * time.Millisecond)
			continue
		}
		if res.StatusCode != http.StatusOK {
			return fmt.Errorf("%s: %s: %s", url, res.Status, raw)
		}
		if v != nil {
			for _, c := range res.Cookies() {
				if c.Name == "__Host-crmgate" {
					v.cookie = c.Name + "=" + c.Value
				}
			}
			if v.cookie == "" {
				return errors.New("signing in gave no session")
			}
		}
		return nil
	}
	return fmt.Errorf("%s: not ready", url)
}
