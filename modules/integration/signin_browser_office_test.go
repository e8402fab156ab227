// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package integration

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"

	"github.com/crmgate/crmgate/modules/internal/sms"
	"github.com/crmgate/crmgate/modules/internal/testpeer"
	"github.com/crmgate/crmgate/modules/internal/vault"
)

// office is a gateway that keeps passwords and second factors itself, with a real
// mail server, a receiver of text messages, and a CRM with a form.
type office struct {
	*site
	crm   *formCRM
	smtp  *testpeer.SMTP
	texts *textReceiver
	read  map[string]bool // mail
}

const officePolicy = `version: 1
account: acme
settings:
  throttle: {failures: 5}
  password: {min_length: 10, min_digits: 1, min_score: 2, history: 2}
  sign_in:
    second_factor:
      roles: [super_administrator]
      users: [mia@example.com]
      resend_gap: 1m
      step_up: 45s
    trusted_device: {days: 30}
    profiles:
      - {name: field, users: [ravi@example.com], second_factor: required}
      - {name: desk, users: [desk@example.com], second_factor: "off"}
`

const smsSecret = "a-secret-of-the-webhook-1"

func startOffice(t testing.TB) *office {
	t.Helper()
	o := &office{crm: new(formCRM), smtp: testpeer.StartSMTP(t), texts: &textReceiver{t: t}, read: map[string]bool{}}
	s := &setup{crm: serve(t, o.crm), policy: officePolicy, options: `origin https://localhost:{port}
		mail {
			host ` + o.smtp.Host + `
			port ` + strconv.Itoa(o.smtp.Port) + `
			ca ` + o.smtp.CAFile + `
			user ` + testpeer.SMTPUser + `
			password {env.CRMGATE_TEST_SMTP}
			from crmgate@example.com
		}
		sms {
			url ` + serve(t, o.texts) + `/sms
			secret {env.CRMGATE_TEST_SMS}
			networks 127.0.0.0/8
		}`}
	env := []string{"CRMGATE_TEST_SMTP=" + testpeer.SMTPPassword, "CRMGATE_TEST_SMS=" + smsSecret}
	d := s.startWith(t, env, func(string) map[string]string { return nil })
	for email, role := range map[string]string{
		"boss@example.com": "super_administrator", "mia@example.com": "administrator", "ravi@example.com": "administrator",
		"desk@example.com": "administrator", "asha@example.com": "administrator", "dev@example.com": "administrator",
		"lena@example.com": "administrator", "omar@example.com": "administrator",
	} {
		d.add(t, email, role, crmUser{})
	}
	if out, err := d.command(t, "", "user", "phone", "ravi@example.com", "+441632960961"); err != nil {
		t.Fatalf("setting a number: %v\n%s", err, out)
	}
	o.site = &site{demo: d, chromium: startChromium(t, d)}
	return o
}

// formCRM is a CRM with one page, which holds a form.
type formCRM struct{ recorder }

func (c *formCRM) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet || !strings.Contains(r.Header.Get("Accept"), "text/html") {
		c.recorder.ServeHTTP(w, r)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = io.WriteString(w, `<!DOCTYPE html><html lang="en"><title>CRM</title><link rel="icon" href="data:,"><h1>The CRM</h1>
<form method="post" action="/app/notes/save?x=1"><input name="note" id="note" aria-label="Note"><button id="save">Save</button></form>`)
}

// forms are the requests of forms since the last call.
func (c *formCRM) forms() []seen {
	var out []seen
	for _, s := range c.take() {
		if s.Method == http.MethodPost {
			out = append(out, s)
		}
	}
	return out
}

// textReceiver is what an operator puts behind the webhook.
type textReceiver struct {
	t    testing.TB
	mu   sync.Mutex
	last map[string]string // by number
}

func (r *textReceiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, _ := io.ReadAll(req.Body)
	if err := sms.Verify(vault.NewSecret([]byte(smsSecret)), req.Header, body, time.Now()); err != nil {
		r.t.Errorf("a text message is not signed: %v", err)
	}
	var in struct{ To, Text string }
	if err := json.Unmarshal(body, &in); err != nil {
		r.t.Errorf("a text message that cannot be read: %v", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.last == nil {
		r.last = map[string]string{}
	}
	r.last[in.To] = in.Text
}

// take waits for the next message to a number.
func (r *textReceiver) take(t testing.TB, to string) (text string) {
	t.Helper()
	eventually(t, soon, "a text message comes", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		text = r.last[to]
		delete(r.last, to)
		return text != ""
	})
	return text
}

var (
	digits    = regexp.MustCompile(`(?m)\b(\d{3} ?\d{3})\b`)
	mailCode  = regexp.MustCompile(`(?m)^\s*(\d{3} ?\d{3})\s*$`)
	resetLink = regexp.MustCompile(`(https://localhost:\d+/\.crmgate/reset#[A-Za-z0-9_-]{43})`)
)

// mail waits for mail to somebody that holds a pattern and was not read yet, and
// returns what it matches. Notices come in between.
func (o *office) mail(t testing.TB, to string, pattern *regexp.Regexp) (found string) {
	t.Helper()
	eventually(t, soon, "mail comes", func() bool {
		for _, raw := range o.smtp.Delivered() {
			text := strings.NewReplacer("=\r\n", "", "=\n", "", "=3D", "=").Replace(raw)
			m := pattern.FindStringSubmatch(text)
			if m == nil || o.read[raw] || !strings.Contains(text, "Envelope-to: "+to) {
				continue
			}
			o.read[raw] = true
			found = strings.ReplaceAll(m[1], " ", "")
			return true
		}
		return false
	})
	return found
}

// codeOf asks oathtool what an authenticator app shows; when is as in "30 seconds".
func codeOf(t testing.TB, key, when string) string {
	t.Helper()
	out, err := exec.Command("oathtool", "--totp", "-b", "--now", "now + "+when, strings.ReplaceAll(key, " ", "")).CombinedOutput()
	if err != nil {
		t.Fatalf("oathtool (apt-get install oathtool): %v\n%s", err, out)
	}
	return strings.TrimSpace(string(out))
}

// passkeys gives a tab an authenticator that confirms everything at once.
func (p *page) passkeys() (id webauthn.AuthenticatorID) {
	p.t.Helper()
	p.do("plugging in an authenticator", func(ctx context.Context, _ *chromedp.Target) (chromedp.Void, error) {
		if _, err := chromedp.Call(ctx, webauthn.Enable, webauthn.EnableParams{}); err != nil {
			return chromedp.Void{}, err
		}
		res, err := chromedp.Call(ctx, webauthn.AddVirtualAuthenticator, webauthn.AddVirtualAuthenticatorParams{
			Options: &webauthn.VirtualAuthenticatorOptions{
				Protocol: webauthn.AuthenticatorProtocolCtap2, Transport: webauthn.AuthenticatorTransportInternal,
				HasResidentKey: true, HasUserVerification: true, IsUserVerified: true, AutomaticPresenceSimulation: true,
			},
		})
		if err == nil {
			id = res.AuthenticatorID
		}
		return chromedp.Void{}, err
	})
	return id
}

// password opens a browser and gives e-mail address and password on the way to the
// CRM.
func (o *office) password(t testing.TB, email, pw string) *page {
	t.Helper()
	p := o.page(t)
	p.foretell(401, "/.crmgate/step")
	o.again(p, email, pw)
	return p
}

// again is password in a browser that is open.
func (o *office) again(p *page, email, pw string) {
	p.t.Helper()
	p.open("/app/home")
	p.at("/.crmgate/sign-in")
	p.submit(email, pw)
}

// in waits until the browser has arrived in the CRM with a session.
func (o *office) in(p *page) {
	p.t.Helper()
	p.heading("The CRM")
	if !o.inside(p) {
		p.t.Error("the browser is in the CRM without a session")
	}
}

// outside holds that a browser in the middle of a sign-in has no session and gets no
// byte of the CRM.
func (o *office) outside(p *page) {
	p.t.Helper()
	have := p.cookies()
	if have["__Host-crmgate"] != nil || have["__Host-crmgate_step"] == nil {
		p.t.Errorf("in the middle of a sign-in the browser has the cookies %v", have)
	}
	o.crm.take()
	for _, path := range []string{"/app/api/leads", "/app/home", "/.crmgate/api/session"} {
		if status := o.as(p, path); status != http.StatusUnauthorized {
			p.t.Errorf("in the middle of a sign-in %s answers %d, want 401", path, status)
		}
	}
	if got := o.crm.take(); len(got) != 0 {
		p.t.Errorf("in the middle of a sign-in %d requests reached the CRM", len(got))
	}
}

// code gives a code on the step page.
func (p *page) code(code string) {
	p.t.Helper()
	p.retype("#code", code)
	p.leave("form[action='/.crmgate/step'] button.main")
}

// way chooses another kind of proof on the step page.
func (p *page) way(kind string) {
	p.t.Helper()
	if must[bool](p, "document.querySelector('input[name=kind]')?.value === "+quote(kind)) {
		return
	}
	p.leave("ul.ways a[href*='" + kind + "']")
}
