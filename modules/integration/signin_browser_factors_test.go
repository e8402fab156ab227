// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package integration

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// TestSignInBrowserOffice goes through everything the gate keeps itself, in
// Chromium: second factors, trusted devices, passwords, kept forms.
func TestSignInBrowserOffice(t *testing.T) {
	o := startOffice(t)
	dev := o.password(t, "dev@example.com", password) // whose proof grows old meanwhile
	o.in(dev)
	since := time.Now()
	for _, c := range []struct {
		name string
		test func(*testing.T, *office)
	}{
		{"a factor is set up where it is demanded", officeTOTP},
		{"a code by mail, sent again too soon", officeMail},
		{"a code by text message", officeSMS},
		{"nobody is asked who is not to be", officeOff},
		{"a passkey is the second factor, and the first", officePasskey},
		{"a trusted device is not asked", officeDevice},
		{"a password is changed", officeChange},
		{"a password an administrator set is changed first", officeMustChange},
		{"a forgotten password", officeForgot},
		{"a password of another system", officeImported},
		{"guessing locks out", officeLockOut},
		{"a form outlives its session", officeKept},
		{"a sensitive act wants a fresh proof", func(t *testing.T, o *office) { officeStepUp(t, o, dev, since) }},
		{"passwords are encrypted in the page", officeSealed}, // changes the policy: the last
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, o) })
	}
}

// setUp enrols an authenticator app by the page and returns its key and the
// recovery codes.
func (o *office) setUp(p *page) (key string, recovery []string) {
	p.t.Helper()
	p.heading("Set up a second step")
	o.outside(p)
	p.judgePage()
	p.leave("ul.ways form:has(input[value=totp]) button")
	p.heading("Set up")
	p.judgePage()
	if n := must[float64](p, "document.querySelector('.qr svg')?.getBoundingClientRect().width ?? 0"); n < 120 {
		p.t.Errorf("the picture to scan is %v pixels wide", n)
	}
	key = must[string](p, "document.querySelector('main p code').innerText")
	if !regexp.MustCompile(`^([A-Z2-7]{4} )+[A-Z2-7]{1,4}$`).MatchString(key) {
		p.t.Fatalf("the key to type is %q", key)
	}
	p.foretell(401, "/.crmgate/step/enrol/finish")
	finish := "form[action='/.crmgate/step/enrol/finish'] button.main"
	p.fill("#code", codeOf(p.t, key, "600 seconds"))
	p.leave(finish)
	if got := p.text("#error"); !strings.Contains(got, "not right") {
		p.t.Errorf("a wrong first code: %q", got)
	}
	o.outside(p)
	p.retype("#code", codeOf(p.t, key, "0 seconds"))
	p.leave(finish)
	p.heading("Your recovery codes")
	p.judgePage()
	return key, p.texts("#codes code")
}

func officeTOTP(t *testing.T, o *office) {
	p := o.password(t, "boss@example.com", password)
	key, recovery := o.setUp(p)
	if len(recovery) != 10 {
		t.Fatalf("%d recovery codes", len(recovery))
	}
	p.leave("a.main")
	o.in(p)
	p.judgeCookies()
	_ = chromedp.Do(p.ctx, chromedp.NavigateBack()) // the browser may have nothing to go back to
	if strings.Contains(p.state(), recovery[0]) {
		t.Error("the next person at this machine goes back and reads the recovery codes")
	}

	next := o.password(t, "boss@example.com", password)
	next.heading("Confirm that it is you")
	o.outside(next)
	next.judgePage()
	next.picture("second-step.png")
	next.wait(soon, "the focus is on the code", "document.activeElement.id === 'code'")
	next.code(codeOf(t, key, "-30 seconds"))
	if got := next.text("#error"); !strings.Contains(got, "not right") {
		t.Errorf("a code from before the last one used: %q", got)
	}
	o.outside(next)
	// By keyboard alone.
	next.do("typing the next code", chromedp.KeyEvent(codeOf(t, key, "30 seconds")), chromedp.KeyEvent(kb.Enter))
	o.in(next)
	if next.cookies()["__Host-crmgate_step"] != nil {
		t.Error("the step's cookie stays after the sign-in")
	}

	third := o.password(t, "boss@example.com", password)
	third.way("recovery")
	third.code(recovery[0])
	o.in(third)
	fourth := o.password(t, "boss@example.com", password)
	for n := range 6 {
		if must[bool](fourth, "location.pathname === '/.crmgate/sign-in'") {
			break
		}
		if got := fourth.text("#tries"); n == 4 && got != "This is the last try." {
			t.Errorf("the page says %q of the tries that are left", got)
		}
		fourth.way("recovery")
		fourth.code(recovery[0])
	}
	fourth.at("/.crmgate/sign-in")
	if got := fourth.text("main .note"); !strings.Contains(got, "tried too often") {
		t.Errorf("after six wrong codes the page says %q", got)
	}
	if fourth.cookies()["__Host-crmgate_step"] != nil {
		t.Error("a sign-in that is over keeps its cookie")
	}
	third.open("/.crmgate/account")
	third.judgePage()
	third.picture("account.png")
	if got := third.text("main"); !strings.Contains(got, "9 recovery codes are left.") {
		t.Errorf("the account page does not say that a recovery code was used: %q", got)
	}
}

func officeMail(t *testing.T, o *office) {
	p := o.password(t, "mia@example.com", password)
	p.heading("Set up a second step")
	p.leave("ul.ways form:has(input[value=mail]) button")
	p.heading("Set up")
	p.fill("#code", o.mail(t, "mia@example.com", mailCode))
	p.leave("form[action='/.crmgate/step/enrol/finish'] button.main")
	p.heading("Your recovery codes")
	p.leave("a.main")
	o.in(p)

	p = o.password(t, "mia@example.com", password)
	p.foretell(429, "/.crmgate/step")
	p.way("mail")
	const send = "form[action='/.crmgate/step/send'] button"
	if strings.Contains(p.text("main"), "mia@example.com") && !strings.Contains(p.text(".lead"), "mia@example.com") {
		t.Error("the page shows the whole address the code goes to")
	}
	// The gap since the code of the enrolment holds for the person.
	p.leave(send)
	if got := p.text("#error"); !strings.Contains(got, "Try again in") {
		t.Errorf("a code right after another one: %q", got)
	}
	o.outside(p)
}

func officeSMS(t *testing.T, o *office) {
	p := o.password(t, "ravi@example.com", password)
	p.heading("Set up a second step")
	if got := p.text("ul.ways form:has(input[value=sms])"); strings.Contains(got, "1632960") || !strings.Contains(got, "61") {
		t.Errorf("the button names the number as %q: its last digits alone are to be seen", got)
	}
	p.leave("ul.ways form:has(input[value=sms]) button")
	code := digits.FindString(o.texts.take(t, "+441632960961"))
	o.outside(p)
	p.fill("#code", code)
	p.leave("form[action='/.crmgate/step/enrol/finish'] button.main")
	p.heading("Your recovery codes")
	p.leave("a.main")
	o.in(p)
	p = o.password(t, "ravi@example.com", password)
	p.way("sms")
	if must[bool](p, "!!document.querySelector('#code')") {
		t.Error("the page asks for a code before one was sent")
	}
	o.outside(p)
}

func officeOff(t *testing.T, o *office) {
	p := o.password(t, "desk@example.com", password)
	o.in(p)
	p.open("/.crmgate/account")
	if got := p.text("main"); strings.Contains(got, "Authenticator") && strings.Contains(got, "Add") {
		t.Errorf("somebody whose profile says off is offered a second factor: %q", got)
	}
	p = o.password(t, "asha@example.com", password)
	o.in(p)
	p.open("/.crmgate/account")
	if n := must[int](p, "document.querySelectorAll(\"form[action='/.crmgate/account/factors/begin']\").length"); n == 0 {
		t.Error("people who may set up a second factor are offered none")
	}
}

// withPasskey signs somebody in and adds a passkey by the account page.
func (o *office) withPasskey(t testing.TB, email string) *page {
	t.Helper()
	p := o.page(t)
	p.passkeys()
	o.again(p, email, password)
	o.in(p)
	p.open("/.crmgate/account")
	p.leave("form[action='/.crmgate/account/factors/begin']:has(input[value=passkey]) button")
	p.heading("Set up")
	p.judgePage()
	p.fill("#label", "My laptop")
	p.leave("form[data-passkey=create] button.main")
	p.heading("Your recovery codes")
	return p
}

// usePasskey confirms the step by passkey.
func (p *page) usePasskey(trust bool) {
	p.t.Helper()
	p.heading("Confirm that it is you")
	p.way("passkey")
	if trust {
		p.click("#trust")
	}
	p.wait(soon, "the button is there", "document.querySelector('form[data-passkey=get] button.main') && !document.querySelector('form[data-passkey=get] button.main').hidden")
	p.leave("form[data-passkey=get] button.main")
}

func officePasskey(t *testing.T, o *office) {
	p := o.withPasskey(t, "asha@example.com")
	p.signOut()
	p.at("/.crmgate/sign-in")
	o.again(p, "asha@example.com", password)
	o.outside(p)
	p.judgePage()
	p.usePasskey(false)
	o.in(p)
	p.signOut()
	p.open("/app/home")
	p.at("/.crmgate/sign-in")
	p.wait(soon, "the button is there", "!document.querySelector('form[data-passkey=get] button').hidden")
	p.leave("form[data-passkey=get] button")
	o.in(p)
	p.judgeCookies()
	if audit := o.admin(t, http.MethodGet, "/crmgate/audit?kind=sign_in", ""); !strings.Contains(audit, "asha@example.com") {
		t.Error("the audit has no sign-in by passkey")
	}
	// Another browser has no passkey, and the person only has a password there.
	other := o.password(t, "asha@example.com", password)
	o.outside(other)
}

func officeDevice(t *testing.T, o *office) {
	p := o.withPasskey(t, "lena@example.com")
	p.open("/.crmgate/account")
	trust := func() {
		t.Helper()
		p.signOut()
		o.again(p, "lena@example.com", password)
		p.usePasskey(true)
		o.in(p)
	}
	asked := func(what string) {
		t.Helper()
		p.signOut()
		o.again(p, "lena@example.com", password)
		if got := p.text("h1"); got != "Confirm that it is you" {
			t.Fatalf("%s: the device is still trusted; the page is %q", what, got)
		}
		p.usePasskey(false)
		o.in(p)
	}
	trust()
	p.judgeCookies()
	if c := p.cookies()["__Host-crmgate_device"]; c == nil || c.Expires < float64(time.Now().Add(29*24*time.Hour).Unix()) {
		t.Fatalf("the cookie of the device is %+v", c)
	}
	p.signOut()
	o.again(p, "lena@example.com", password)
	o.in(p) // not asked
	other := o.password(t, "lena@example.com", password)
	other.heading("Confirm that it is you")

	p.open("/.crmgate/account")
	p.judgePage()
	p.leave("form[action='/.crmgate/account/devices/revoke'] button")
	asked("revoked by the person")
	trust()
	if out, err := o.command(t, "", "user", "devices", "lena@example.com", "--revoke", "all"); err != nil {
		t.Fatalf("revoking: %v\n%s", err, out)
	}
	asked("revoked by an administrator")
	trust()
	before := p.cookies()["__Host-crmgate"].Value
	p.open("/.crmgate/account/password")
	p.newPassword(password, "granite-window-4711")
	if after := p.cookies()["__Host-crmgate"]; after == nil || after.Value == before {
		t.Error("the session's id stays after a change of the password")
	}
	p.signOut()
	o.again(p, "lena@example.com", "granite-window-4711")
	p.heading("Confirm that it is you")
}

func officeStepUp(t *testing.T, o *office, p *page, since time.Time) {
	before := p.cookies()["__Host-crmgate"].Value
	eventually(t, time.Minute, "the proof is too old", func() bool { return time.Since(since) > 46*time.Second })
	p.t = t
	p.foretell(401, "/.crmgate/account")
	p.open("/.crmgate/account")
	p.leave("form[action='/.crmgate/account/factors/begin']:has(input[value=totp]) button")
	p.heading("Confirm that it is you")
	if p.cookies()["__Host-crmgate"].Value != before || !o.inside(p) {
		t.Error("a question before a sensitive act costs the session")
	}
	if must[bool](p, "location.pathname === '/.crmgate/step-up' || !!document.querySelector(\"form[action='/.crmgate/step-up']\")") {
		p.judgePage()
		p.leave("form[action='/.crmgate/step-up'] button")
	}
	p.foretell(401, "/.crmgate/step")
	p.retype("#password", "not-the-password-1")
	p.leave("form[action='/.crmgate/step'] button.main")
	if got := p.text("#error"); !strings.Contains(got, "not right") {
		t.Errorf("a wrong password: %q", got)
	}
	p.retype("#password", password)
	p.leave("form[action='/.crmgate/step'] button.main")
	p.at("/.crmgate/account")
	if p.cookies()["__Host-crmgate"].Value == before {
		t.Error("the session's id stays after a proof: one that was planted goes on being good")
	}
	p.leave("form[action='/.crmgate/account/factors/begin']:has(input[value=totp]) button")
	p.heading("Set up")
}
