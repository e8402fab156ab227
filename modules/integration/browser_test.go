// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// TestBrowser uses the demo as its people do: in Chromium, by mouse and keyboard.
// Every page must stay free of console errors and of violations of its content
// policy, except the failed requests a test foretells.
func TestBrowser(t *testing.T) {
	s := &site{demo: startDemo(t, "")}
	s.chromium = startChromium(t, s.demo)
	for _, c := range []struct {
		name string
		test func(*testing.T, *site)
	}{
		{"the browser's complaints are heard", browserHears},
		{"people see what their role may", browserRoles},
		{"the list pages and searches", browserList},
		{"a search by what is masked is refused", browserSearchRefused},
		{"sign-in returns to the page asked for", browserReturn},
		{"wrong password tells nobody who exists", browserWrongPassword},
		{"guessing is slowed down", browserThrottled},
		{"keyboard alone is enough", browserKeyboard},
		{"scripts are not needed to sign in", browserWithoutScript},
		{"signing out ends the session", browserSignOut},
		{"the account page ends another session", browserEndsOther},
		{"pages fit a phone", browserPhone},
		{"pages are dark where people like it dark", browserDark},
		{"a lock reaches an open page", browserLock},
		{"a network list keeps people out", browserNetwork}, // changes the policy: the last
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, s) })
	}
}

// site is the demo with a browser in front.
type site struct {
	*demo
	chromium context.Context
}

// person returns somebody by e-mail address.
func (s *site) person(t testing.TB, email string) person {
	t.Helper()
	i := slices.IndexFunc(s.People, func(p person) bool { return p.Email == email })
	if i < 0 {
		t.Fatalf("the demo has nobody called %s", email)
	}
	return s.People[i]
}

// startChromium starts a headless Chromium with a profile of its own, which
// believes no certificate but the gateway's.
func startChromium(t testing.TB, d *demo) context.Context {
	t.Helper()
	program, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatalf("the browser tests need Chromium (Debian and Ubuntu: apt install chromium): %v", err)
	}
	ctx, cancel := chromedp.NewExecAllocator(context.Background(),
		chromedp.ExecPath(program), chromedp.UserDataDir(t.TempDir()), chromedp.WindowSize(1200, 800),
		chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true),
		chromedp.Flag("disable-dev-shm-usage", true), chromedp.Flag("disable-extensions", true),
		chromedp.Flag("password-store", "basic"), chromedp.Flag("lang", "en-GB"),
		chromedp.Flag("ignore-certificate-errors-spki-list", strings.Join(keyHashes(t, d), ",")),
	)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("starting %s: %v", program, err)
	}
	return ctx
}

// keyHashes returns the hashes of the public keys the gateway shows, once they
// are proven by its authority.
func keyHashes(t testing.TB, d *demo) []string {
	t.Helper()
	u, err := url.Parse(d.Gateway)
	if err != nil {
		t.Fatal(err)
	}
	var conn *tls.Conn
	eventually(t, 20*time.Second, "the gateway answers with a certificate of its authority", func() bool {
		conn, err = tls.Dial("tcp", u.Host, &tls.Config{RootCAs: d.pool})
		return err == nil
	})
	defer conn.Close()
	var out []string
	for _, c := range conn.ConnectionState().PeerCertificates {
		sum := sha256.Sum256(c.RawSubjectPublicKeyInfo)
		out = append(out, base64.StdEncoding.EncodeToString(sum[:]))
	}
	return out
}

// page is one person's browser: a tab with cookies of its own.
type page struct {
	t    testing.TB
	base string
	ctx  context.Context

	mu       sync.Mutex
	messages []string
	foretold []failure
}

// failure is a failed request that a test provokes.
type failure struct {
	status int
	start  string // of the address, without the scheme
}

func (f failure) is(message string) bool {
	said := strings.Contains(message, fmt.Sprintf("status of %d ", f.status)) || strings.Contains(message, fmt.Sprintf("response code: %d ", f.status))
	return said && strings.Contains(message, "://"+f.start)
}

// page opens a browser of somebody nobody knows yet.
func (s *site) page(t testing.TB) *page {
	t.Helper()
	p := &page{t: t, base: s.Gateway}
	ctx, cancel := chromedp.NewContext(s.chromium, chromedp.WithNewBrowserContext(), chromedp.WithListener(p.hear))
	p.ctx = ctx
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(1200, 800)); err != nil {
		t.Fatalf("opening a tab: %v", err)
	}
	t.Cleanup(p.judge)
	return p
}

// hear keeps what the browser complains about.
func (p *page) hear(ev any) {
	var message string
	switch ev := ev.(type) {
	case *log.EventEntryAdded:
		if ev.Entry.Level == log.EntryLevelError || ev.Entry.Level == log.EntryLevelWarning {
			message = fmt.Sprintf("%s: %s %s", ev.Entry.Source, ev.Entry.Text, ev.Entry.URL)
		}
	case *runtime.EventExceptionThrown:
		message = "exception: " + ev.ExceptionDetails.Text
		if x := ev.ExceptionDetails.Exception; x != nil {
			message += " " + x.Description
		}
	case *runtime.EventConsoleAPICalled:
		if ev.Type == runtime.ConsoleAPICalledTypeError || ev.Type == runtime.ConsoleAPICalledTypeWarning {
			message = fmt.Sprintf("console.%s", ev.Type)
		}
	}
	if message == "" {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.messages = append(p.messages, message)
}

// foretell allows the browser to report requests and sockets below a path that
// fail with a status.
func (p *page) foretell(status int, path string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.foretold = append(p.foretold, failure{status, strings.TrimPrefix(p.base, "https://") + path})
}

// judge fails the test for every complaint that nobody foretold.
func (p *page) judge() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range p.messages {
		if !slices.ContainsFunc(p.foretold, func(f failure) bool { return f.is(m) }) {
			p.t.Errorf("the browser complained: %s", m)
		}
	}
}

// browserHears proves that the other tests hear what a page does wrong.
func browserHears(t *testing.T, s *site) {
	p := s.page(t)
	p.open("/.crmgate/sign-in")
	must[bool](p, `(() => { const s = document.createElement("script"); s.textContent = "0"; document.body.append(s); return true; })()`)
	must[bool](p, `(() => { setTimeout(() => { throw new Error("on purpose"); }); console.error("on purpose"); return true; })()`)
	heard := func(want string) {
		eventually(t, soon, "the browser complains: "+want, func() bool {
			p.mu.Lock()
			defer p.mu.Unlock()
			n := len(p.messages)
			p.messages = slices.DeleteFunc(p.messages, func(m string) bool { return strings.Contains(m, want) })
			return len(p.messages) < n
		})
	}
	// Before the page is left: a timer of a page that is gone throws nothing.
	for _, want := range []string{"Content Security Policy", "exception: ", "console.error"} {
		heard(want)
	}
	p.open("/.crmgate/none")
	heard("status of 404 () " + s.Gateway + "/.crmgate/none")
}

// do acts on the page.
func (p *page) do(what string, steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, 20*time.Second)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		p.t.Fatalf("%s: %v\n%s", what, err, p.state())
	}
}

// open goes to a path of the site.
func (p *page) open(path string) {
	p.t.Helper()
	p.do("opening "+path, chromedp.Navigate(p.base+path))
}

func (p *page) click(selector string) {
	p.t.Helper()
	p.do("clicking "+selector, chromedp.Click(chromedp.CSS(selector)))
}

// fill replaces what an input holds, by typing.
func (p *page) fill(selector, text string) {
	p.t.Helper()
	p.do("typing into "+selector, chromedp.Clear(chromedp.CSS(selector)), chromedp.SendKeys(chromedp.CSS(selector), text))
}

// ask evaluates an expression of the page; a page that is on its way is an error.
func ask[T any](p *page, expression string) (T, error) {
	ctx, cancel := context.WithTimeout(p.ctx, 5*time.Second)
	defer cancel()
	return chromedp.Run(ctx, chromedp.Evaluate[T](expression))
}

// must is ask for a page that stands still.
func must[T any](p *page, expression string) T {
	p.t.Helper()
	v, err := ask[T](p, expression)
	if err != nil {
		p.t.Fatalf("asking the page for %s: %v\n%s", expression, err, p.state())
	}
	return v
}

// wait waits until an expression of the page is true.
func (p *page) wait(within time.Duration, what, expression string) {
	p.t.Helper()
	for deadline := time.Now().Add(within); ; time.Sleep(20 * time.Millisecond) {
		if yes, err := ask[bool](p, "!!("+expression+")"); err == nil && yes {
			return
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("not within %s: %s\n%s", within, what, p.state())
		}
	}
}

// soon is how long a page may take on a loaded machine.
const soon = 20 * time.Second

// at waits until the browser has a page of a path, loaded.
func (p *page) at(path string) {
	p.t.Helper()
	p.wait(soon, "the browser is at "+path, fmt.Sprintf("location.pathname === %s && document.readyState === 'complete'", quote(path)))
}

// state says where the browser is, for messages.
func (p *page) state() string {
	s, err := ask[string](p, "location.href + '\\n' + (document.body?.innerText ?? '').slice(0, 600)")
	if err != nil {
		return err.Error()
	}
	return "The browser is at " + s
}

// text returns what people read in the first element of a selector.
func (p *page) text(selector string) string {
	p.t.Helper()
	return must[string](p, fmt.Sprintf("document.querySelector(%s)?.innerText.trim() ?? '(no such element)'", quote(selector)))
}

// texts returns what people read in all elements of a selector.
func (p *page) texts(selector string) []string {
	p.t.Helper()
	return must[[]string](p, fmt.Sprintf("[...document.querySelectorAll(%s)].map((e) => e.innerText.trim())", quote(selector)))
}

func quote(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}

// submit types into the sign-in form, sends it, and waits for the next page.
func (p *page) submit(email, password string) {
	p.t.Helper()
	must[string](p, "document.body.dataset.old = 'yes'")
	p.fill("#email", email)
	p.fill("#password", password)
	p.click("form[action='/.crmgate/sign-in'] button[type=submit]")
	p.wait(soon, "the form is answered", "document.body && !document.body.dataset.old && document.readyState === 'complete'")
}

// signIn opens a browser in which somebody has signed in by the form and looks at
// the list of leads.
func (s *site) signIn(t testing.TB, email string) *page {
	t.Helper()
	p := s.page(t)
	p.open("/app/leads")
	p.at("/.crmgate/sign-in")
	p.submit(email, s.person(t, email).Password)
	p.at("/app/leads")
	p.listed()
	return p
}

// listed waits until the list shows leads and its socket lives.
func (p *page) listed() {
	p.t.Helper()
	p.wait(soon, "the list shows leads", "document.querySelector('[data-testid=lead-row]')")
	p.wait(soon, "the page is live", "document.getElementById('live').dataset.live === 'on'")
}

// dark makes the browser prefer a dark page.
func dark(ctx context.Context, _ *chromedp.Target) (chromedp.Void, error) {
	_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}},
	})
	return chromedp.Void{}, err
}

// picture writes what the page shows into docs when SCREENSHOTS=1.
func (p *page) picture(name string) {
	p.t.Helper()
	if os.Getenv("SCREENSHOTS") != "1" {
		return
	}
	png, err := chromedp.Run(p.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		p.t.Fatalf("taking the picture %s: %v", name, err)
	}
	if err := os.WriteFile(filepath.Join("..", "..", "docs", name), png, 0o644); err != nil {
		p.t.Fatal(err)
	}
	if len(png) > 200<<10 {
		p.t.Errorf("%s has %d KiB: pictures of the documentation are to stay below 200", name, len(png)>>10)
	}
}
