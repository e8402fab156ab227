// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestReloadEndsStreamsOfAnotherPolicy: a reload that brings another policy ends
// streams and sockets as a change of the watched file does; any other reload leaves
// them alone.
func TestReloadEndsStreamsOfAnotherPolicy(t *testing.T) {
	s := &setup{crm: sharedDemo(t).CRM, options: "bridge keys"}
	file, port, admin := s.file(t)
	p, _ := start(t, nil, "run", "--config", file, "--adapter", "caddyfile")
	d := s.ready(t, p, port, admin)
	d.add(t, "asha@acme.test", "sales_user", keysOf(t, "asha@acme.test"))
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	reload := func(text string) {
		t.Helper()
		write(t, file, text)
		if out, err := runBinary(t, "", "reload", "--config", file, "--adapter", "caddyfile", "--address", admin); err != nil {
			t.Fatalf("reload: %v\n%s", err, out)
		}
	}
	open := (&cluster{}).watch(t, d.signedIn(t, "asha@acme.test"), d)
	stream := open[1] // Caddy itself closes sockets at every reload

	other := strings.Replace(string(text), "data ", "title \"Another\"\n\t\tdata ", 1)
	reload(other)
	select {
	case <-stream.gone:
		t.Error("a reload that leaves the policy alone ended the event stream")
	case <-time.After(time.Second):
	}

	stricter := filepath.Join(t.TempDir(), "stricter.yaml")
	write(t, stricter, rolesOnly+"templates: {t: {entities: {lead: {view: {partial: {hide: [phone]}}}}}}\nassign: [{template: t, roles: [sales_user]}]\n")
	i := strings.Index(other, "policy ")
	reload(other[:i] + "policy " + stricter + other[i+strings.IndexByte(other[i:], '\n'):])
	for _, c := range open {
		select {
		case <-c.gone:
		case <-time.After(5 * time.Second):
			t.Errorf("the %s goes on under a policy that is no longer in force", c.name)
		}
	}
}
