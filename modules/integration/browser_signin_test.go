// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

func browserWrongPassword(t *testing.T, s *site) {
	p := s.page(t)
	p.open("/.crmgate/sign-in")
	p.picture("sign-in.png")
	p.foretell(401, "/.crmgate/sign-in")
	var said []string
	for _, email := range []string{"asha@acme.test", "nobody@acme.test"} {
		p.submit(email, "not-the-password-99")
		said = append(said, strings.ReplaceAll(p.text("main"), email, "…"))
		if got := must[string](p, "document.querySelector('#password').value"); got != "" {
			t.Error("the page sends the password back")
		}
		if got := must[string](p, "document.activeElement.id"); got != "password" {
			t.Errorf("the focus is on %q: people must find the password field again themselves", got)
		}
	}
	if said[0] != said[1] || !strings.Contains(said[0], "E-mail or password is not right.") {
		t.Errorf("a stranger learns which accounts exist:\n%s\n%s", said[0], said[1])
	}
	p.submit("asha@acme.test", s.person(t, "asha@acme.test").Password)
	p.at("/app/leads")
	p.listed()
}

func browserThrottled(t *testing.T, s *site) {
	p := s.page(t)
	p.foretell(401, "/.crmgate/sign-in")
	p.foretell(429, "/.crmgate/sign-in")
	p.open("/.crmgate/sign-in")
	for n := 1; ; n++ {
		p.submit("guessed@acme.test", fmt.Sprintf("guess-number-%d", n))
		if strings.Contains(p.text("#error"), "Try again in") {
			break
		}
		if n == 10 {
			t.Fatalf("ten guesses, and the page says %q: somebody can go on guessing", p.text("#error"))
		}
	}
	if got := p.text("#error"); !strings.Contains(got, "Too many requests.") || !strings.Contains(got, "seconds, at ") {
		t.Errorf("the page says %q: nobody knows when to try again", got)
	}
	// Somebody else at the same address is not kept waiting.
	s.signIn(t, "ravi@acme.test")
}

func browserKeyboard(t *testing.T, s *site) {
	p := s.page(t)
	p.open("/.crmgate/sign-in")
	p.wait(soon, "the focus is on the first field", "document.activeElement.id === 'email'")
	p.do("signing in by keyboard",
		chromedp.KeyEvent("marketing@acme.test"), chromedp.KeyEvent(kb.Tab),
		chromedp.KeyEvent(s.person(t, "marketing@acme.test").Password), chromedp.KeyEvent(kb.Enter))
	p.at("/app/leads")
	p.listed()
	p.open("/.crmgate/account")
	p.do("going to the first link", chromedp.KeyEvent(kb.Tab))
	if got := must[string](p, "document.activeElement.innerText"); got != "Skip to content" {
		t.Errorf("the first stop of the keyboard is %q: people must pass everything to reach the page", got)
	}
	p.do("going on", chromedp.KeyEvent(kb.Tab))
	if got := must[string](p, "getComputedStyle(document.activeElement).outlineStyle"); got == "none" {
		t.Error("people with a keyboard do not see where they are")
	}
}

func browserWithoutScript(t *testing.T, s *site) {
	p := s.page(t)
	p.do("switching scripts off", func(ctx context.Context, _ *chromedp.Target) (chromedp.Void, error) {
		_, err := chromedp.Call(ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
		return chromedp.Void{}, err
	})
	p.open("/.crmgate/account")
	p.at("/.crmgate/sign-in")
	if must[bool](p, "!document.querySelector('[data-reveal]').hidden") {
		t.Error("the page offers a button that does nothing without scripts")
	}
	p.submit("ravi@acme.test", s.person(t, "ravi@acme.test").Password)
	p.at("/.crmgate/account")
	if got := p.text("main"); !strings.Contains(got, "ravi@acme.test") || !strings.Contains(got, "UTC") {
		t.Errorf("the account page without scripts says %q: it must name the person and say in which zone its times are", got)
	}
	p.click("form[action='/.crmgate/sign-out'] button")
	p.at("/.crmgate/sign-in")
}

func browserSignOut(t *testing.T, s *site) {
	p := s.signIn(t, "marketing@acme.test")
	p.foretell(401, "/app/") // the old page may still ask why its socket was cut
	p.click(".person summary")
	p.click("form[action='/.crmgate/sign-out'] button")
	p.at("/.crmgate/sign-in")
	if got := p.text("main .note"); got != "You are signed out." {
		t.Errorf("after signing out the page says %q", got)
	}
	p.do("going back", chromedp.NavigateBack())
	p.at("/.crmgate/sign-in")
	if n := must[int](p, "document.querySelectorAll('[data-testid=lead-row]').length"); n != 0 {
		t.Errorf("the next person at this machine goes back and sees %d leads", n)
	}
}

func browserEndsOther(t *testing.T, s *site) {
	other := s.signIn(t, "ravi@acme.test")
	p := s.signIn(t, "ravi@acme.test")
	p.click(".person summary")
	p.click(".menu a[href='/.crmgate/account']")
	p.at("/.crmgate/account")
	before := must[int](p, "document.querySelectorAll('.sessions li').length")
	if before < 2 {
		t.Fatalf("the account page shows %d sessions of two: somebody else's would go unseen", before)
	}
	if got := p.texts(".sessions h3 .tag"); len(got) != 1 {
		t.Errorf("the page marks %d sessions as this one", len(got))
	}
	other.foretell(401, "/app/")
	for left := before; left > 1; left-- {
		p.click(".sessions li:last-child button")
		p.wait(soon, "the session is gone from the page", fmt.Sprintf("document.querySelectorAll('.sessions li').length === %d", left-1))
		if got := p.text("main .note"); got != "The session was ended." {
			t.Errorf("after ending a session the page says %q", got)
		}
	}
	other.wait(soon, "the other browser notices", "document.getElementById('live').dataset.live === 'off'")
	other.wait(soon, "the other browser stops trying", "document.getElementById('live').innerText.includes('signed out')")
	other.open("/app/leads")
	other.at("/.crmgate/sign-in")
}
