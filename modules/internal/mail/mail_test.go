// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package mail

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	netmail "net/mail"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/crmgate/crmgate/modules/internal/clock"
	"github.com/crmgate/crmgate/modules/internal/testpeer"
	"github.com/crmgate/crmgate/modules/internal/vault"
)

func secret(s string) vault.Secret { return vault.NewSecret([]byte(s)) }

var at = Place{At: time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC), IP: "203.0.113.7", Agent: "Firefox on Windows"}

func options(s *testpeer.SMTP) Options {
	return Options{
		Host: s.Host, Port: s.Port, User: testpeer.SMTPUser, Password: secret(testpeer.SMTPPassword), RootCAs: s.Roots(),
		From: "Acme CRM <crm@acme.example>", Name: "Acme CRM", Clock: clock.NewFake(at.At), Retries: 2,
	}
}

func mailer(t *testing.T, o Options) *Mailer {
	t.Helper()
	m, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// parts reads a message: its headers, its text and its page.
func parts(t *testing.T, raw string) (h netmail.Header, text, page string) {
	t.Helper()
	m, err := netmail.ReadMessage(strings.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	_, p, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	r := multipart.NewReader(m.Body, p["boundary"])
	for {
		part, err := r.NextRawPart()
		if errors.Is(err, io.EOF) {
			return m.Header, text, page
		}
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(quotedprintable.NewReader(part))
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(part.Header.Get("Content-Type"), "text/html") {
			page = string(b)
		} else {
			text = string(b)
		}
	}
}

func TestMessagesArriveAtARealServer(t *testing.T) {
	s := testpeer.StartSMTP(t)
	implicit := options(s)
	implicit.TLS, implicit.Port = Implicit, s.TLS
	n := 0
	for name, m := range map[string]*Mailer{"STARTTLS": mailer(t, options(s)), "implicit TLS": mailer(t, implicit)} {
		if err := m.Probe(t.Context()); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := m.SendTest(t.Context(), "ada@example.com"); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		n++
	}
	s.Messages(n) // and none of Probe
	m := mailer(t, options(s))
	for _, c := range []struct {
		send  func() error
		title string
		has   []string
	}{
		{
			func() error {
				return m.SendCode(t.Context(), "ada@example.com", Code{Place: at, Code: secret("042137"), Purpose: "sign_in", Lifetime: 5 * time.Minute})
			}, "Your code to sign in",
			[]string{"042137", "2 January 2030, 03:04 UTC", "203.0.113.7", "Firefox on Windows", "5 minutes"},
		},
		{
			func() error {
				return m.SendResetLink(t.Context(), "ada@example.com", ResetLink{Place: at, URL: secret("https://crm.acme.example/.crmgate/reset?a=1&b=2"), Lifetime: 30 * time.Minute})
			}, "Set a new password",
			[]string{"/.crmgate/reset?a=1", "30 minutes"},
		},
		{
			func() error {
				return m.SendNotice(t.Context(), "ada@example.com", Notice{Place: at, What: DeviceTrusted, Label: "<b>laptop</b>\r\nBcc: x@evil.example"})
			}, "A device no longer needs your second factor",
			[]string{"203.0.113.7"},
		},
	} {
		if err := c.send(); err != nil {
			t.Fatalf("%s: %v", c.title, err)
		}
		n++
		all := s.Messages(n)
		h, text, page := parts(t, all[n-1])
		if got := h.Get("Subject"); got != "Acme CRM: "+c.title {
			t.Errorf("the subject is %q", got)
		}
		if h.Get("From") != `"Acme CRM" <crm@acme.example>` || h.Get("Envelope-To") != "ada@example.com" || h.Get("Auto-Submitted") != "auto-generated" ||
			h.Get("Date") != "Wed, 02 Jan 2030 03:04:05 +0000" || h.Get("Message-Id") == "" || h.Get("Bcc") != "" {
			t.Errorf("the headers are %v", h)
		}
		for _, want := range c.has {
			if !strings.Contains(text, want) || !strings.Contains(page, strings.ReplaceAll(want, "&", "&amp;")) {
				t.Errorf("%s: %q is missing in\n%s\n%s", c.title, want, text, page)
			}
		}
		if strings.Contains(page, "<b>") || strings.Contains(text, "\nBcc") {
			t.Errorf("a label wrote into the message:\n%s\n%s", text, page)
		}
		if strings.Contains(s.Log(), "042137") || strings.Contains(h.Get("Subject"), "042137") {
			t.Error("a code is in a log or a subject")
		}
	}
}

func TestWhatTheServerRefusesIsAnErrorAtOnce(t *testing.T) {
	s := testpeer.StartSMTP(t)
	for name, c := range map[string]struct {
		change func(*Options)
		to     string
		want   string
	}{
		"a wrong password":      {func(o *Options) { o.Password = secret("secret-of-mine") }, "ada@example.com", "535"},
		"no authentication":     {func(o *Options) { o.User, o.Password = "", vault.Secret{} }, "ada@example.com", "550"},
		"a refused recipient":   {nil, "nobody@example.com", "550"},
		"an unknown issuer":     {func(o *Options) { o.RootCAs = nil }, "ada@example.com", "certificate"},
		"another server's name": {func(o *Options) { o.Host = "localhost" }, "ada@example.com", "certificate"},
		"nobody listening":      {func(o *Options) { o.Port = 1; o.Retries = 0 }, "ada@example.com", "refused"},
	} {
		t.Run(name, func(t *testing.T) {
			o := options(s)
			if c.change != nil {
				c.change(&o)
			}
			err := mailer(t, o).SendTest(t.Context(), c.to)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q in it", err, c.want)
			}
			if strings.Contains(fmt.Sprintf("%+v", err), "secret-of-mine") || strings.Contains(fmt.Sprintf("%+v", o), "secret-of-mine") {
				t.Errorf("the password is shown: %v", err)
			}
		})
	}
	s.Messages(0)
}

func TestAMessagePutOffIsSentAgain(t *testing.T) {
	s := testpeer.StartSMTP(t)
	o := options(s)
	if err := mailer(t, o).SendTest(t.Context(), "later@example.com"); err != nil {
		t.Errorf("greylisted once: %v", err)
	}
	s.Messages(1)
	s = testpeer.StartSMTP(t)
	o = options(s)
	o.Retries = 0
	if err := mailer(t, o).SendTest(t.Context(), "later@example.com"); err == nil || !strings.Contains(err.Error(), "451") {
		t.Errorf("greylisted without retries: %v", err)
	}
}

// listen is a server that speaks lines of a script and then stays silent.
func listen(t *testing.T, lines ...string) Options {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	t.Cleanup(func() { close(stop); _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = c.Close() }()
				buf := make([]byte, 1024)
				for _, line := range lines {
					if _, err := c.Write([]byte(line + "\r\n")); err != nil {
						return
					}
					if _, err := c.Read(buf); err != nil {
						return
					}
				}
				<-stop
			}()
		}
	}()
	return Options{Host: "127.0.0.1", Port: l.Addr().(*net.TCPAddr).Port, TLS: None, From: "crm@acme.example", Timeout: time.Second}
}

func TestAServerWithoutTLSGetsNothing(t *testing.T) {
	o := listen(t, "220 hello", "250-hello\r\n250 AUTH PLAIN")
	o.TLS, o.User, o.Password = StartTLS, "u", secret("p")
	if err := mailer(t, o).SendTest(t.Context(), "ada@example.com"); err == nil || !strings.Contains(err.Error(), "STARTTLS") {
		t.Errorf("a server that offers no TLS: %v", err)
	}
}

func TestASilentServerIsLeftInTime(t *testing.T) {
	for _, lines := range [][]string{nil, {"220 hello"}, {"220 hello", "250 hello"}} {
		begun := time.Now()
		err := mailer(t, listen(t, lines...)).SendTest(t.Context(), "ada@example.com")
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) > 4*time.Second {
			t.Errorf("silent after %q: %v after %v", lines, err, time.Since(begun))
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := mailer(t, listen(t)).SendTest(ctx, "ada@example.com"); !errors.Is(err, context.Canceled) {
		t.Errorf("somebody who went away: %v", err)
	}
}

func TestPlacesAreBounded(t *testing.T) {
	o := listen(t)
	o.Parallel = 2
	m := mailer(t, o)
	m.places <- struct{}{} // two messages that hang
	m.places <- struct{}{}
	if err := m.SendTest(t.Context(), "ada@example.com"); !errors.Is(err, ErrBusy) {
		t.Errorf("a message beside two that hang: %v; a dead relay takes the gate with it", err)
	}
	<-m.places
	if err := m.SendTest(t.Context(), "ada@example.com"); errors.Is(err, ErrBusy) || len(m.places) != 1 {
		t.Errorf("a message beside one that hangs: %v; %d places are taken afterwards", err, len(m.places))
	}
}

func TestNobodyWritesHeaders(t *testing.T) {
	m := mailer(t, Options{Host: "127.0.0.1", Port: 1, TLS: None, From: "crm@acme.example"})
	for _, to := range []string{
		"", "ada", "ada@example.com\r\nBcc: x@evil.example", "ada@example.com\nBcc: x@evil.example", "ada@example.com, x@evil.example",
		"Ada <ada@example.com>", "<ada@example.com>", "ada@example.com\x00", "a b@example.com", "ada@evil.example@example.com",
		"\"a\r\nb\"@example.com", "ada@example.com\u2028", strings.Repeat("a", 600) + "@example.com", "undisclosed:;",
	} {
		if err := m.SendTest(t.Context(), to); !errors.Is(err, ErrAddress) {
			t.Errorf("%q: %v", to, err)
		}
	}
	if err := m.SendCode(t.Context(), "ada@example.com", Code{Code: secret("1"), Purpose: "x\r\nBcc: y"}); err == nil {
		t.Error("an unknown purpose was sent")
	}
	if err := m.SendResetLink(t.Context(), "ada@example.com", ResetLink{URL: secret("javascript:alert(1)")}); err == nil {
		t.Error("a link that is none was sent")
	}
	if err := m.SendNotice(t.Context(), "ada@example.com", Notice{What: "x"}); err == nil {
		t.Error("an unknown notice was sent")
	}
}

func TestSettings(t *testing.T) {
	good := Options{Host: "mail.example.com", From: "crm@acme.example"}
	if m := mailer(t, good); m.o.Port != 587 || m.String() != "mail server mail.example.com:587 (starttls)" {
		t.Errorf("the defaults are %v", m)
	}
	for name, change := range map[string]func(*Options){
		"no host":                  func(o *Options) { o.Host = "" },
		"a host with a line break": func(o *Options) { o.Host = "a\r\nb" },
		"a host with a path":       func(o *Options) { o.Host = "a/b" },
		"unknown TLS":              func(o *Options) { o.TLS = "opportunistic" },
		"no TLS with a name":       func(o *Options) { o.TLS = None },
		"no TLS with localhost":    func(o *Options) { o.TLS, o.Host = None, "localhost" },
		"no TLS far away":          func(o *Options) { o.TLS, o.Host = None, "192.0.2.1" },
		"a port":                   func(o *Options) { o.Port = 70000 },
		"a user alone":             func(o *Options) { o.User = "u" },
		"a password alone":         func(o *Options) { o.Password = secret("p") },
		"no from":                  func(o *Options) { o.From = "" },
		"from with a line break":   func(o *Options) { o.From = "crm@acme.example\r\nBcc: x@evil.example" },
		"two from":                 func(o *Options) { o.From = "a@acme.example, b@acme.example" },
		"a name with a line break": func(o *Options) { o.Name = "a\nBcc: b" },
		"a short timeout":          func(o *Options) { o.Timeout = time.Millisecond },
		"many retries":             func(o *Options) { o.Retries = 6 },
		"no places":                func(o *Options) { o.Parallel = -1 },
	} {
		o := good
		change(&o)
		if _, err := New(o); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v; a setting that is wrong must be one clear line", name, err)
		}
	}
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
