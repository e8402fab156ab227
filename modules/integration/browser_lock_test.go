// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

func browserLock(t *testing.T, s *site) {
	const message = "Stock taking until nine. For anything urgent, call extension 4400."
	p := s.signIn(t, "manager@acme.test")
	p.foretell(403, "/")
	out, err := s.command(t, "", "lock", "--role", "sales_manager", "--message", message)
	locked := time.Now()
	if err != nil {
		t.Fatalf("locking: %v\n%s", err, out)
	}
	id := strings.Fields(out)[1]
	p.wait(2*time.Second, "the lock cuts the page's socket", "document.getElementById('live').dataset.live === 'off'")
	t.Logf("the socket was cut within %s of the command", time.Since(locked).Round(10*time.Millisecond))
	p.do("reloading", chromedp.Reload())
	p.wait(soon, "the page of the lock", "document.querySelector('h1')?.innerText === 'Your access is locked at the moment'")
	if got := p.text("main"); !strings.Contains(got, message) {
		t.Errorf("the locked manager reads %q, not what the administrator wrote", got)
	}
	p.picture("locked.png")
	t.Run("nobody else is locked", func(t *testing.T) { s.signIn(t, "marketing@acme.test") })
	t.Run("signing in says why it does not work", func(t *testing.T) {
		again := s.page(t)
		again.foretell(403, "/.crmgate/sign-in")
		again.open("/.crmgate/sign-in")
		again.submit("manager@acme.test", s.person(t, "manager@acme.test").Password)
		if got := again.text("#error"); !strings.Contains(got, "locked") || !strings.Contains(got, message) {
			t.Errorf("the locked manager tries again and reads %q", got)
		}
	})
	t.Run("a wrong password does not tell about the lock", func(t *testing.T) {
		stranger := s.page(t)
		stranger.foretell(401, "/.crmgate/sign-in")
		stranger.open("/.crmgate/sign-in")
		stranger.submit("manager@acme.test", "not-the-password-99")
		if got := stranger.text("#error"); strings.Contains(got, "locked") || strings.Contains(got, message) {
			t.Errorf("a stranger reads %q: the lock is none of his business", got)
		}
	})
	if out, err := s.command(t, "", "unlock", id); err != nil {
		t.Fatalf("unlocking: %v\n%s", err, out)
	}
	p.click("form[action='/.crmgate/sign-out'] button")
	p.at("/.crmgate/sign-in")
	p.submit("manager@acme.test", s.person(t, "manager@acme.test").Password)
	p.at("/app/leads")
	p.listed()
}

// browserNetwork takes the machine's address off the allow-lists: first for one
// person, then for everybody.
func browserNetwork(t *testing.T, s *site) {
	const sentence = "Access is not possible from your network"
	file := filepath.Join(s.data, "policy.yaml")
	policy, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	restrict := func(list string) {
		t.Helper()
		changed := bytes.Replace(policy, []byte("settings:\n"), []byte("settings:\n  network: "+list+"\n"), 1)
		if bytes.Equal(changed, policy) {
			t.Fatal("the demo's policy has no settings")
		}
		if err := os.WriteFile(file+".new", changed, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
	}

	ravi := s.signIn(t, "ravi@acme.test")
	ravi.foretell(403, "/")
	restrict("{users: {ravi@acme.test: {allow: [203.0.113.0/24]}}}")
	blocked(ravi, "/app/leads", sentence)
	again := s.page(t)
	again.foretell(403, "/.crmgate/sign-in")
	again.open("/.crmgate/sign-in")
	again.submit("ravi@acme.test", s.person(t, "ravi@acme.test").Password)
	again.wait(soon, "the page refuses", "document.querySelector('h1')?.innerText === "+quote(sentence))
	t.Run("nobody else is kept out", func(t *testing.T) { s.signIn(t, "marketing@acme.test") })

	p := s.page(t)
	p.foretell(403, "/")
	p.open("/.crmgate/sign-in")
	restrict("{account: {allow: [203.0.113.0/24]}}")
	blocked(p, "/.crmgate/sign-in", sentence)
	if got := p.text("main"); strings.Contains(got, "127.0.0.1") || strings.Contains(got, "203.0.113") || strings.Contains(got, "list") {
		t.Errorf("the page of a blocked address says %q: it tells how to get around it", got)
	}
	if got := p.text(".foot code"); len(got) < 10 {
		t.Errorf("the page gives no request number to name to the administrator: %q", got)
	}
	if got := must[string](p, "getComputedStyle(document.querySelector('.card')).borderStyle"); got != "solid" {
		t.Error("the page of a blocked address has no style")
	}
}

// blocked opens a path until the gateway refuses it.
func blocked(p *page, path, sentence string) {
	p.t.Helper()
	eventually(p.t, soon, "the new policy keeps the address out", func() bool {
		p.open(path)
		return strings.Contains(p.text("h1"), sentence)
	})
}
