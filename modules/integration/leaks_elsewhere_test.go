// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// rewriters is the program of that name; `make bench-leaks` builds it.
var rewriters = flag.String("rewriters", "", "Caddy with the other ways to mask, to run the corpus of hostile answers against")

// elsewhere are the ways to mask without the gate, with the same fields masked.
var elsewhere = []struct{ name, directive string }{
	{"plain-proxy", ""}, {"decode-mask-encode", "decode_mask_encode"}, {"replace-by-regexp", "replace_by_regexp"},
}

// elsewhereFields are the fields that the corpus's policy masks for a manager, in
// every spelling that the maps know.
const elsewhereFields = ` {
		mask phone Phone Mobile P_Phone P_Mobile "Phone Number" mx_Phone_2 Switchboard
		mask email EmailAddress P_EmailAddress mx_Secondary_Email
		mask full mx_PAN_Number mx_PAN
	}`

// TestLeaksElsewhere says how many cases of the corpus leak through what masks
// without the gate, and through a proxy that masks nothing: numbers to read beside
// those of TestLeaks. Cases in which the person may see the values, and those that
// are limits of the gate, are not counted.
func TestLeaksElsewhere(t *testing.T) {
	if *rewriters == "" {
		return // somebody else's leaks are no test of ours
	}
	cases := leakCases(t)
	crm, addr, addr2 := startLeakCRM(t, cases)
	site := startRewriters(t, addr, addr2)
	leaks, all := map[string]int{}, 0
	for _, c := range cases {
		if c.Want.Clear || c.Limit || c.Only == "h2" {
			continue
		}
		all++
		for _, way := range elsewhere {
			run := &leakRun{T: t, c: c, crm: crm, site: site}
			if run.through(way.name) {
				leaks[way.name]++
			}
		}
	}
	for _, way := range elsewhere {
		fmt.Printf("leaks %s: %d of %d\n", way.name, leaks[way.name], all)
		if leaks[way.name] == 0 {
			t.Errorf("nothing leaks through %s: the corpus says nothing about it", way.name)
		}
	}
}

// through sends a case's request through one of the sites and says whether a
// canary comes back.
func (r *leakRun) through(host string) bool {
	h := http.Header{caseHeader: {r.c.ID}, exchangeHeader: {host}}
	for name, v := range r.c.Ask.Headers {
		h.Set(name, v)
	}
	if r.c.Answer.HTTP2 {
		h.Set("X-Http2", "1")
	}
	w := &leakWire{addr: r.site.hosts[host], pool: r.site.pool}
	g, err := w.send(r.c.Ask.Method, r.c.Ask.Path, h, r.c.Ask.Body)
	return err == nil && len(findCanaries(g.raw))+len(findCanaries(g.body))+len(findCanaries(g.plain)) > 0
}

// startRewriters starts the program with a site for each way.
func startRewriters(t testing.TB, addr, addr2 string) *leakSite {
	t.Helper()
	dir := t.TempDir()
	site := &leakSite{demo: &demo{}, hosts: map[string]string{}}
	text := "{\n\tadmin off\n\tpersist_config off\n\tskip_install_trust\n\tauto_https disable_redirects\n}\n"
	for _, way := range elsewhere {
		_, port, _ := net.SplitHostPort(freeAddr(t))
		site.hosts[way.name] = "localhost:" + port
		if way.directive != "" {
			way.directive += elsewhereFields
		}
		text += fmt.Sprintf(`https://localhost:%s {
	bind 127.0.0.1
	tls internal
	route {
		%s
		@two header X-Http2 *
		reverse_proxy @two h2c://%s
		reverse_proxy %s
	}
}
`, port, way.directive, addr2, addr)
	}
	file := filepath.Join(dir, "Caddyfile")
	write(t, file, text)
	cmd := exec.Command(*rewriters, "run", "--config", file, "--adapter", "caddyfile")
	cmd.Env = append(os.Environ(), "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir, "HOME="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var log strings.Builder
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	})
	root := filepath.Join(dir, "caddy", "pki", "authorities", "local", "root.crt")
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		if _, err := os.Stat(root); err == nil {
			if conn, err := net.Dial("tcp", strings.Replace(site.hosts[elsewhere[0].name], "localhost", "127.0.0.1", 1)); err == nil {
				_ = conn.Close()
				break
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("the rewriters did not start:\n%s", log.String())
		}
	}
	site.pool = certPool(t, root)
	return site
}
