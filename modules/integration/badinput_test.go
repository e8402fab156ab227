// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestBadInput: what cannot be right does not start, and says in one line what
// is wrong and where.
func TestBadInput(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	builtin, err := os.ReadFile(filepath.Join(root, "policy", "maps", "leadsquared.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	brokenMap := filepath.Join(dir, "broken-map.yaml")
	write(t, brokenMap, strings.Replace(string(builtin), "at: /Leads/*", "at: Leads/~", 1))
	plain := filepath.Join(dir, "a-file")
	write(t, plain, "not a folder\n")

	for _, c := range []struct {
		name string
		site setup
		edit [2]string // in the Caddyfile
		want []string  // all in one line
	}{
		{"an unknown policy key", setup{policy: "version: 1\naccount: acme\nsettngs: {}\n"}, [2]string{}, []string{"-policy.yaml:3:1", "settngs"}},
		{"an unknown field", setup{policy: "version: 1\naccount: acme\ntemplates:\n  t:\n    entities:\n      lead: {view: {partial: {mask: [fone]}}}\n"}, [2]string{}, []string{"-policy.yaml:6:", "fone"}},
		{"a policy that is no YAML", setup{policy: "version: 1\n\t- x\n"}, [2]string{}, []string{"-policy.yaml:2:"}},
		{"an empty policy", setup{policy: " \n"}, [2]string{}, []string{"policy"}},
		{"a missing policy", setup{}, [2]string{"-policy.yaml", "-nowhere.yaml"}, []string{"reading policy", "-nowhere.yaml", "no such file"}},
		{"a missing MMDB", setup{options: "network {\n anonymous_ip /nowhere/anonymous.mmdb\n}"}, [2]string{}, []string{"/nowhere/anonymous.mmdb", "no such file"}},
		{"an MMDB that is none", setup{options: "network {\n anonymous_ip " + plain + "\n}"}, [2]string{}, []string{plain}},
		{"a Tor list that is none", setup{options: "network {\n tor_exits " + filepath.Join(root, "testdata/tor/error-page.html") + "\n}"}, [2]string{}, []string{"error-page.html", "HTML"}},
		{"a Tor list with everybody", setup{options: "network {\n tor_exits " + filepath.Join(root, "testdata/tor/everybody.txt") + "\n}"}, [2]string{}, []string{"everybody.txt"}},
		{"a wrong map pointer", setup{}, [2]string{"map leadsquared", "map " + brokenMap}, []string{"broken-map.yaml:", "Leads/~"}},
		{"an unknown map", setup{}, [2]string{"map leadsquared", "map leadsquard"}, []string{"leadsquard", "leadsquared, tryton"}},
		{"a data folder below a file", setup{data: filepath.Join(plain, "data")}, [2]string{}, []string{"data folder", "not a directory"}},
		{"a key that is too short", setup{options: "key {env.CRMGATE_SHORT_KEY}"}, [2]string{}, []string{"reading key", "32 bytes"}},
		{"a key in the open", setup{options: "key AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="}, [2]string{}, []string{"reading key", "{env.NAME}"}},
		{"a key that is nowhere", setup{options: "key {env.CRMGATE_NO_SUCH_KEY}"}, [2]string{}, []string{"reading key"}},
		{"trusted proxies that may lie", setup{servers: "trusted_proxies static 10.0.0.1/32"}, [2]string{}, []string{"trusted_proxies without trusted_proxies_strict"}},
		{"a password in a URL", setup{options: "state redis redis://:hunter2@127.0.0.1:1/0"}, [2]string{}, []string{"state redis"}},
		{"Redis that is away", setup{options: "state redis redis://127.0.0.1:1/0"}, [2]string{}, []string{"redis", "refused"}},
		{"PostgreSQL that is away", setup{options: "records postgres postgres://crmgate@127.0.0.1:1/crmgate"}, [2]string{}, []string{"postgres", "refused"}},
		{"an unknown transport", setup{body: "crmgate_proxy {upstream} {\n transport fastcgi\n}"}, [2]string{}, []string{"only its own transport holds the interlock"}},
		{"a header that is none", setup{options: "bridge headers {\n email \"X E\"\n}"}, [2]string{}, []string{"bridge headers", `X E`}},
		{"the header of the connection", setup{options: "bridge jwt {\n header host\n}"}, [2]string{}, []string{"bridge jwt", "host"}},
		{"the client's cookies", setup{options: "bridge headers {\n email Cookie\n}"}, [2]string{}, []string{"bridge headers", "Cookie"}},
		{"a header for two", setup{options: "bridge headers {\n email X-Who\n name x_who\n}"}, [2]string{}, []string{"bridge headers", "x_who", "choose another"}},
		{"a header for two bridges", setup{options: "bridge jwt {\n header X-Who\n}\nbridge headers {\n email X-Who\n}"}, [2]string{}, []string{"bridge jwt uses", "X-Who"}},
		{"no header at all", setup{options: "bridge headers"}, [2]string{}, []string{"names no header"}},
		{"an interval below the least", setup{options: "network {\n interval 1ms\n}"}, [2]string{}, []string{"interval", "100ms"}},
		{"a lifetime out of range", setup{options: "bridge jwt {\n lifetime 1h\n}"}, [2]string{}, []string{"lifetime", "10s to 5m"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.site.crm = "http://127.0.0.1:1"
			if c.site.data == "" {
				c.site.data = filepath.Join(t.TempDir(), "data")
			}
			file := brokenSite(t, &c.site, c.edit)
			code, stderr := runFails(t, "run", "--config", file, "--adapter", "caddyfile")
			if code == 0 {
				t.Fatalf("it ended well:\n%s", stderr)
			}
			line := errorLine(stderr)
			if strings.Contains(line, "add a crmgate block") {
				t.Errorf("it is told to add what is there: %s", line)
			}
			for _, want := range c.want {
				if !strings.Contains(line, want) {
					t.Errorf("the error line does not say %q:\n%s\n\nall:\n%.2000s", want, line, stderr)
				}
			}
			if strings.Contains(stderr, "hunter2") || strings.Contains(stderr, "c2hvcnQ=") || strings.Contains(stderr, "AAECAwQF") || strings.Contains(stderr, "panic") {
				t.Errorf("a secret or a panic on standard error:\n%s", stderr)
			}
		})
	}
}

// brokenSite writes the Caddyfile where the data folder itself may be impossible.
func brokenSite(t *testing.T, s *setup, edit [2]string) string {
	t.Helper()
	data := s.data
	s.data = filepath.Join(t.TempDir(), "site")
	file, _, _ := s.file(t)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	out := strings.ReplaceAll(string(text), "data "+s.data+"\n", "data "+data+"\n")
	if edit[0] != "" {
		if !strings.Contains(out, edit[0]) {
			t.Fatalf("the Caddyfile has no %q", edit[0])
		}
		out = strings.Replace(out, edit[0], edit[1], 1)
	}
	write(t, file, out)
	return file
}

// errorLine is the line the command ends with.
func errorLine(stderr string) string {
	for line := range strings.SplitSeq(stderr, "\n") {
		if strings.HasPrefix(line, "Error: ") {
			return line
		}
	}
	return fmt.Sprintf("there is no line that starts with Error: in %q", stderr)
}

// runFails runs a command that should end by itself.
func runFails(t *testing.T, args ...string) (code int, stderr string) {
	t.Helper()
	p, _ := start(t, []string{"CRMGATE_SHORT_KEY=c2hvcnQ="}, args...)
	select {
	case <-p.done:
	case <-time.After(30 * time.Second):
		t.Fatalf("it is running:\n%s", p.log())
	}
	if exit, ok := errors.AsType[*exec.ExitError](p.err); ok {
		return exit.ExitCode(), p.log()
	}
	return 0, p.log()
}

// TestBadCommands: commands end with a line and a code as well.
func TestBadCommands(t *testing.T) {
	dir := t.TempDir()
	bad := filepath.Join(dir, "bad.yaml")
	write(t, bad, "version: 1\ntemplates: []\n")
	empty := filepath.Join(dir, "empty.yaml")
	write(t, empty, "\n")
	mask := filepath.Join(dir, "mask.yaml")
	write(t, mask, "version: 1\nmap: x\nentities: {lead: {fields: {id: Id, phone: {names: Phone, mask: fone}}}}\nroutes: [{id: a, on: GET /a, entity: lead, action: view, response: {records: {at: /}}}]\n")
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"policy", "check", bad}, "bad.yaml:2:"},
		{[]string{"policy", "check", filepath.Join(dir, "none.yaml")}, "no such file"},
		{[]string{"policy", "check", empty}, "the file is empty"},
		{[]string{"policy", "check", dir}, "not a regular file"},
		{[]string{"policy", "chek"}, "chek"},
		{[]string{"map", "check", bad}, "bad.yaml"},
		{[]string{"map", "check", mask}, `mask.yaml:3:36: entity lead, field phone: mask: fn: unknown function "fone"`},
		{[]string{"user", "list", "--address", "127.0.0.1:1"}, "refused"},
		{[]string{"sessions", "--address", "127.0.0.1:1"}, "refused"},
		{[]string{"audit", "verify", "--address", "127.0.0.1:1"}, "refused"},
		{[]string{"lock", "--everyone", "--role", "x"}, "one target"},
		{[]string{"demo", "--crm-listen", "256.0.0.1:1"}, "--crm-listen"},
	} {
		out, err := runBinary(t, "", c.args...)
		if err == nil || !strings.Contains(out, c.want) {
			t.Errorf("crmgate %s: %v, want a line with %q:\n%s", strings.Join(c.args, " "), err, c.want, out)
		}
		if strings.Count(out, "Error:") > 1 || strings.Contains(out, "Usage:") {
			t.Errorf("crmgate %s says more than one line:\n%s", strings.Join(c.args, " "), out)
		}
	}
	if out, err := runBinary(t, "", "policy", "check", "../../caddyfiles/quickstart-policy.yaml"); err != nil {
		t.Errorf("the quickstart's policy: %v\n%s", err, out)
	}
}
