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
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const policy = `version: 1
templates:
  masked:
    entities:
      lead:
        view: {partial: {mask: [phone, email, pan, income], hide: [aadhaar, dob, notes]}}
assign:
  - {template: masked, roles: [sales_manager]}
`

const bareFile = `{
	admin off
	persist_config off
}
http://%s {
	reverse_proxy %s
}
`

const gateFile = `{
	admin %s
	persist_config off
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
`

// variant is one thing measured.
type variant struct {
	name   string
	base   string
	cookie string
	pid    int
	masked bool
}

// gateway holds the processes.
type gateway struct {
	variants []*variant
	procs    []*exec.Cmd
}

func startAll(binary, dir, crm string) (*gateway, error) {
	b := new(gateway)
	bare, gate, admin := free(), free(), free()
	files := map[string]string{
		"bare.Caddyfile": fmt.Sprintf(bareFile, bare, crm),
		"gate.Caddyfile": fmt.Sprintf(gateFile, admin, filepath.Join(dir, "data"), filepath.Join(dir, "policy.yaml"), gate, crm),
		"policy.yaml":    policy,
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	barePID, err := b.start(binary, dir, "bare.Caddyfile", "GOGC=100", bare) // Caddy as it comes
	if err != nil {
		return b, err
	}
	gatePID, err := b.start(binary, dir, "gate.Caddyfile", "", gate)
	if err != nil {
		return b, err
	}
	b.variants = append(b.variants, &variant{name: "bare", base: "http://" + bare, pid: barePID})
	for _, p := range []struct{ variant, role string }{{"pass", "administrator"}, {"masked", "sales_manager"}} {
		email, pw := p.variant+"@acme.test", "orchard-lantern-5150"
		if err := post("http://"+admin+"/crmgate/people", map[string]any{"email": email, "role": p.role, "password": pw}, nil); err != nil {
			return b, err
		}
		v := &variant{name: p.variant, base: "http://" + gate, pid: gatePID, masked: p.variant == "masked"}
		if err := post(v.base+"/.crmgate/api/sign-in", map[string]any{"email": email, "password": pw}, v); err != nil {
			return b, err
		}
		b.variants = append(b.variants, v)
	}
	return b, nil
}

func free() string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func (b *gateway) start(binary, dir, config, env, addr string) (int, error) {
	cmd := exec.Command(binary, "run", "--config", filepath.Join(dir, config), "--adapter", "caddyfile")
	cmd.Env = append(os.Environ(), "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir, "HOME="+dir)
	if env != "" {
		cmd.Env = append(cmd.Env, env)
	}
	var log bytes.Buffer
	cmd.Stderr = &log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	b.procs = append(b.procs, cmd)
	for range 200 {
		if c, err := net.Dial("tcp", addr); err == nil {
			_ = c.Close()
			return cmd.Process.Pid, nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return 0, fmt.Errorf("%s did not start:\n%s", config, log.String())
}

func (b *gateway) stop() {
	for _, p := range b.procs {
		_ = p.Process.Signal(syscall.SIGTERM)
		_ = p.Wait()
	}
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

// load asks for one size as fast as it goes and returns CPU microseconds per request.
func (v *variant) load(size bodySize, length time.Duration, clients int) (float64, error) {
	tr := &http.Transport{MaxIdleConnsPerHost: clients, DisableCompression: true}
	defer tr.CloseIdleConnections()
	client := &http.Client{Transport: tr}
	url := v.base + "/app/api/leads?size=" + strconv.Itoa(size.leads)
	if err := v.ask(client, url, true); err != nil {
		return 0, err
	}
	before, err := cpu(v.pid)
	if err != nil {
		return 0, err
	}
	var n atomic.Int64
	var failed atomic.Pointer[error]
	var wg sync.WaitGroup
	end := time.Now().Add(length)
	for range clients {
		wg.Go(func() {
			for time.Now().Before(end) && failed.Load() == nil {
				if err := v.ask(client, url, false); err != nil {
					failed.Store(&err)
					return
				}
				n.Add(1)
			}
		})
	}
	wg.Wait()
	if err := failed.Load(); err != nil {
		return 0, *err
	}
	after, err := cpu(v.pid)
	if err != nil {
		return 0, err
	}
	return float64((after - before).Microseconds()) / float64(n.Load()), nil
}

// ask makes one request; with check it looks at what came.
func (v *variant) ask(client *http.Client, url string, check bool) error {
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	if v.cookie != "" {
		req.Header.Set("Cookie", v.cookie)
	}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, res.Status)
	}
	if !check {
		_, err = io.Copy(io.Discard, res.Body)
		return err
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if strings.Contains(string(body), canary) == v.masked {
		return fmt.Errorf("%s: the answer of %s is not what its role sees", url, v.name)
	}
	return nil
}

// cpu is the user and system time a process has used, in ticks of 10 ms.
func cpu(pid int) (time.Duration, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(raw[bytes.LastIndexByte(raw, ')')+1:]))
	var ticks int64
	for _, f := range fields[11:13] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond, nil
}
