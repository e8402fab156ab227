// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package integration

import (
	"context"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"golang.org/x/crypto/bcrypt"
)

// newPassword fills in a form that sets a password; old is "" where it is not asked.
func (p *page) newPassword(old, pw string) {
	p.t.Helper()
	if old != "" {
		p.retype("#old", old)
	}
	p.retype("#new", pw)
	p.retype("#repeat", pw)
	p.mark()
	// By keyboard: the page moves under the mouse when the gate's judgement comes.
	p.do("sending the form", chromedp.SendKeys(chromedp.CSS("#repeat"), kb.Enter))
	p.next()
}

// retype empties a field that people have typed into, and types.
func (p *page) retype(selector, text string) {
	p.t.Helper()
	must[string](p, "document.querySelector("+quote(selector)+").value = ''")
	p.do("typing into "+selector, chromedp.SendKeys(chromedp.CSS(selector), text))
}

func officeChange(t *testing.T, o *office) {
	other, p := o.password(t, "omar@example.com", password), o.password(t, "omar@example.com", password)
	o.in(other)
	o.in(p)
	before := p.cookies()["__Host-crmgate"].Value
	p.foretell(422, "/.crmgate/account/password")
	p.foretell(401, "/.crmgate/account/password")
	p.foretell(400, "/.crmgate/account/password")
	p.open("/.crmgate/account/password")
	p.judgePage()
	p.retype("#new", "abc")
	p.wait(soon, "the rules say what is missing", "document.querySelector('[data-rule=min_length]').dataset.met === 'no' && document.querySelector('[data-rule=digits]').dataset.met === 'no'")
	p.retype("#new", "password12")
	p.wait(soon, "the length and digits are enough", "document.querySelector('[data-rule=min_length]').dataset.met === 'yes' && document.querySelector('[data-rule=digits]').dataset.met === 'yes'")
	p.wait(soon, "the gate says how weak it is", "document.querySelector('[data-strength]').innerText.includes('weak')")
	p.picture("password.png")
	p.newPassword(password, "password12")
	if got := p.text("main"); !strings.Contains(got, "(not met)") {
		t.Errorf("a weak password is refused without a reason, or taken: %q", got)
	}
	p.newPassword("not-the-password-1", "granite-window-0815")
	if got := p.text("#error"); got == "(no such element)" {
		t.Error("a password is changed without the present one")
	}
	p.newPassword(password, "granite-window-0815")
	p.at("/.crmgate/account")
	if after := p.cookies()["__Host-crmgate"]; after == nil || after.Value == before || !o.inside(p) {
		t.Error("after a change of the password the session is over, or has its old id")
	}
	if o.inside(other) {
		t.Error("another session outlives the change of its person's password")
	}
	p.open("/.crmgate/account/password")
	p.newPassword("granite-window-0815", password)
	if got := p.text("main"); !strings.Contains(got, "(not met)") {
		t.Errorf("an earlier password comes back: %q", got)
	}
	if res := o.browser(t).signIn("omar@example.com", password); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("the old password is still good: %s", res.Status)
	}
}

func officeMustChange(t *testing.T, o *office) {
	if out, err := o.command(t, "set-by-admin-42\n", "user", "passwd", "omar@example.com", "--must-change"); err != nil {
		t.Fatalf("setting a password: %v\n%s", err, out)
	}
	p := o.password(t, "omar@example.com", "set-by-admin-42")
	o.outside(p)
	p.judgePage()
	p.foretell(422, "/.crmgate/step/password")
	p.newPassword("", "set-by-admin-42")
	if o.inside(p) {
		t.Error("the password an administrator knows may stay")
	}
	p.newPassword("", "harbour-lantern-77")
	o.in(p)
}

func officeForgot(t *testing.T, o *office) {
	ask := func(email string) *page {
		p := o.page(t)
		p.open("/.crmgate/sign-in")
		p.leave("a[href='/.crmgate/forgot']")
		p.judgePage()
		p.fill("#email", email)
		p.leave("form[action='/.crmgate/forgot'] button")
		return p
	}
	nobody, p := ask("nobody@example.com"), ask("desk@example.com")
	if nobody.text("main") != p.text("main") {
		t.Error("the page tells whether an account exists")
	}
	link := o.mail(t, "desk@example.com", resetLink)
	path := link[strings.Index(link, "/.crmgate/"):]
	first, second := o.page(t), o.page(t)
	for _, p := range []*page{first, second, first} { // looking does not use it up
		p.foretell(422, "/.crmgate/reset")
		p.foretell(410, "/.crmgate/reset")
		p.foretell(401, "/.crmgate/reset")
		p.foretell(404, "/.crmgate/reset")
		p.foretell(401, "/.crmgate/api/password/check") // the link is over
		p.open("/.crmgate/sign-in")
		p.open(path)
		p.wait(soon, "the link leaves the address", "document.querySelector('#new') && location.hash === '' && document.querySelector('[name=link]').value.length > 40")
	}
	first.judgePage()
	first.newPassword("", "meadow-copper-91")
	first.at("/.crmgate/sign-in")
	if got := first.text("main .note"); !strings.Contains(got, "Your password was changed") {
		t.Errorf("after the reset the page says %q", got)
	}
	second.newPassword("", "meadow-copper-92")
	second.heading("The link does not work any more")
	second.judgePage()
	o.in(o.password(t, "desk@example.com", "meadow-copper-91"))

	// A link that waits dies with the password.
	ask("desk@example.com")
	link = o.mail(t, "desk@example.com", resetLink)
	p = o.password(t, "desk@example.com", "meadow-copper-91")
	o.in(p)
	p.open("/.crmgate/account/password")
	p.newPassword("meadow-copper-91", "orchard-velvet-38")
	p.at("/.crmgate/account")
	second.open("/.crmgate/sign-in")
	second.open(link[strings.Index(link, "/.crmgate/"):])
	second.wait(soon, "the form is there", "document.querySelector('#new') && location.hash === ''")
	second.newPassword("", "meadow-copper-93")
	second.heading("The link does not work any more")
}

func officeImported(t *testing.T, o *office) {
	hash, err := bcrypt.GenerateFromPassword([]byte("pebble-sunrise-64"), bcrypt.MinCost+1)
	if err != nil {
		t.Fatal(err)
	}
	if out, err := o.command(t, "omar@example.com "+string(hash)+"\n", "user", "import"); err != nil {
		t.Fatalf("importing a hash: %v\n%s", err, out)
	}
	for range 2 { // by the imported hash, then by the gate's own
		o.in(o.password(t, "omar@example.com", "pebble-sunrise-64"))
	}
	if res := o.browser(t).signIn("omar@example.com", "harbour-lantern-77"); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("the password before the import is still good: %s", res.Status)
	}
}

func officeLockOut(t *testing.T, o *office) {
	p := o.page(t)
	p.foretell(401, "/.crmgate/sign-in")
	p.foretell(429, "/.crmgate/sign-in")
	p.open("/.crmgate/sign-in")
	for n := 0; ; n++ {
		p.submit("omar@example.com", "not-the-password-1")
		if strings.Contains(p.text("#error"), "Try again in") {
			break
		}
		if n == 8 {
			t.Fatal("somebody can go on guessing")
		}
	}
	p.submit("omar@example.com", "pebble-sunrise-64")
	if got := p.text("#error"); !strings.Contains(got, "Try again in") {
		t.Errorf("the right password ends the wait: %q", got)
	}
	out, err := o.command(t, "", "ban", "list")
	if err != nil || !strings.Contains(out, "omar@example.com") {
		t.Errorf("the administrator does not see who is locked out: %v\n%s", err, out)
	}
}

func officeKept(t *testing.T, o *office) {
	const note = "Zoë called; a long note"
	sent := func(email, pw string) *page {
		p := o.password(t, email, pw)
		o.in(p)
		p.fill("#note", note)
		if out, err := o.command(t, "", "sessions", "end", "--email", email); err != nil {
			t.Fatalf("ending the session: %v\n%s", err, out)
		}
		o.crm.take()
		p.leave("#save")
		p.at("/.crmgate/sign-in")
		return p
	}
	p := sent("desk@example.com", "orchard-velvet-38")
	p.judgeCookies()
	p.submit("desk@example.com", "orchard-velvet-38")
	p.heading("Send the form now?")
	p.judgePage()
	if got := p.text("main"); strings.Contains(got, "Zo") || !strings.Contains(got, "/app/notes/save") {
		t.Errorf("the page shows what is in the form, or not where it goes: %q", got)
	}
	if got := o.crm.forms(); len(got) != 0 {
		t.Fatalf("the form was sent before anybody said so: %+v", got)
	}
	p.leave("form[action='/.crmgate/kept'] button")
	got := o.crm.forms()
	want := url.Values{"note": {note}}.Encode()
	if len(got) != 1 || got[0].URI != "/app/notes/save?x=1" || string(got[0].Body) != want {
		t.Fatalf("the CRM got %+v, want %s once", got, want)
	}
	p.foretell(410, "/.crmgate/kept")
	p.open("/.crmgate/kept")
	p.heading("The form is gone")

	p = sent("desk@example.com", "orchard-velvet-38")
	p.foretell(410, "/.crmgate/kept")
	p.submit("dev@example.com", password)
	p.heading("The form is gone")
	if got := o.crm.forms(); len(got) != 0 {
		t.Errorf("somebody else sent the form: %+v", got)
	}
}

func officeSealed(t *testing.T, o *office) {
	o.rule(t, strings.Replace(officePolicy, "  sign_in:\n", "  sign_in:\n    password_encryption: true\n", 1))
	p := o.page(t)
	p.foretell(401, "/.crmgate/sign-in")
	var mu sync.Mutex
	var posted string
	if err := chromedp.Listen(p.ctx, func(ev any) {
		if e, ok := ev.(*network.EventRequestWillBeSent); ok && e.Request.Method == http.MethodPost && strings.HasSuffix(e.Request.URL, "/.crmgate/sign-in") {
			mu.Lock()
			defer mu.Unlock()
			for _, part := range e.Request.PostDataEntries {
				posted += base64.StdEncoding.EncodeToString(part.Bytes)
			}
		}
	}); err != nil {
		t.Fatal(err)
	}
	p.do("watching what is sent", func(ctx context.Context, _ *chromedp.Target) (chromedp.Void, error) {
		_, err := chromedp.Call(ctx, network.Enable, network.EnableParams{})
		return chromedp.Void{}, err
	})
	p.open("/app/home")
	p.at("/.crmgate/sign-in")
	p.judgePage()
	if n := must[int](p, "document.querySelectorAll('input[type=password][name]').length + document.querySelectorAll('input[autocomplete=current-password]').length"); n != 0 {
		t.Error("the password's field has a name, or asks the browser to remember it")
	}
	p.submit("desk@example.com", "orchard-velvet-38")
	o.in(p)
	mu.Lock()
	raw, err := base64.StdEncoding.DecodeString(posted)
	mu.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	form, err := url.ParseQuery(string(raw))
	if err != nil || strings.Count(form.Get("sealed"), ".") != 4 || form.Has("password") || strings.Contains(string(raw), "velvet") {
		t.Fatalf("the browser posted %q, want a JWE", raw)
	}
	send := func(body string) *answer {
		return o.browser(t).post("/.crmgate/sign-in", body, "Content-Type", "application/x-www-form-urlencoded", "Sec-Fetch-Mode", "navigate", "Accept", "text/html")
	}
	if res := send(string(raw)); res.StatusCode < 400 {
		t.Errorf("what was posted is good again: %s", res.Status)
	}
	clear := url.Values{"email": {"desk@example.com"}, "password": {"orchard-velvet-38"}, "return": {"/"}}
	if res := send(clear.Encode()); res.StatusCode != http.StatusBadRequest {
		t.Errorf("a password in clear: %s", res.Status)
	}

	plain := o.page(t)
	plain.do("switching scripts off", func(ctx context.Context, _ *chromedp.Target) (chromedp.Void, error) {
		_, err := chromedp.Call(ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
		return chromedp.Void{}, err
	})
	plain.open("/.crmgate/sign-in")
	if got := plain.text("main"); !strings.Contains(got, "This needs JavaScript") {
		t.Errorf("without scripts the page does not say why nothing works: %q", got)
	}
	plain.foretell(400, "/.crmgate/sign-in")
	plain.submit("desk@example.com", "orchard-velvet-38")
	if plain.cookies()["__Host-crmgate"] != nil {
		t.Error("a form without scripts signs in with a password nobody encrypted")
	}
}
