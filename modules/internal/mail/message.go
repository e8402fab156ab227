// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package mail

import (
	"context"
	"embed"
	"errors"
	"fmt"
	htmltemplate "html/template"
	"strings"
	texttemplate "text/template"
	"time"
	"unicode"

	gomail "github.com/wneessen/go-mail"

	"github.com/crmgate/crmgate/modules/internal/vault"
)

//go:embed templates
var files embed.FS

var (
	texts = texttemplate.Must(texttemplate.ParseFS(files, "templates/*.txt"))
	pages = htmltemplate.Must(htmltemplate.ParseFS(files, "templates/*.html"))
)

// Place is where something happened, as far as the gate knows.
type Place struct {
	At    time.Time
	IP    string // "" is left out
	Agent string // "Firefox on Windows"; "" is left out
}

// Code is a one-time code.
type Code struct {
	Place
	Code     vault.Secret
	Purpose  string // "sign_in", "step_up" or "enrol"
	Lifetime time.Duration
}

// ResetLink is a link to set a new password.
type ResetLink struct {
	Place
	URL      vault.Secret // absolute, https
	Lifetime time.Duration
}

// The things people are told about.
const (
	DeviceTrusted   = "device_trusted"
	FactorAdded     = "factor_added"
	FactorRemoved   = "factor_removed"
	RecoveryCodes   = "recovery_codes"
	PasswordChanged = "password_changed"
)

// Notice tells of something new at somebody's account.
type Notice struct {
	Place
	What  string // one of the constants
	Label string // which factor or device
}

var purposes = map[string]string{
	"sign_in": "sign in", "step_up": "confirm that it is you", "enrol": "set up codes by e-mail",
}

var notices = map[string]string{
	DeviceTrusted:   "A device no longer needs your second factor",
	FactorAdded:     "A way to sign in was added",
	FactorRemoved:   "A way to sign in was removed",
	RecoveryCodes:   "New recovery codes were made",
	PasswordChanged: "Your password was changed",
}

// content is what the templates show.
type content struct {
	Name, Title, Purpose, Code, URL, Label, IP, Agent, At, Lifetime string
}

// SendCode sends a code. It is in the text and never in the subject, which phones
// show while they are locked.
func (m *Mailer) SendCode(ctx context.Context, to string, c Code) error {
	purpose, ok := purposes[c.Purpose]
	if !ok || c.Code.Empty() {
		return fmt.Errorf("writing a message: a code for %q", c.Purpose)
	}
	v := m.content("Your code to "+purpose, c.Place)
	v.Purpose, v.Code, v.Lifetime = purpose, string(c.Code.Reveal()), minutes(c.Lifetime)
	return m.write(ctx, to, "code", v)
}

// SendResetLink sends a link to set a new password.
func (m *Mailer) SendResetLink(ctx context.Context, to string, l ResetLink) error {
	if !strings.HasPrefix(string(l.URL.Reveal()), "https://") {
		return errors.New("writing a message: the link is not https")
	}
	v := m.content("Set a new password", l.Place)
	v.URL, v.Lifetime = string(l.URL.Reveal()), minutes(l.Lifetime)
	return m.write(ctx, to, "reset", v)
}

// SendNotice tells somebody of something new.
func (m *Mailer) SendNotice(ctx context.Context, to string, n Notice) error {
	title, ok := notices[n.What]
	if !ok {
		return fmt.Errorf("writing a message: a notice of %q", n.What)
	}
	v := m.content(title, n.Place)
	v.Label = oneLine(n.Label)
	return m.write(ctx, to, "notice", v)
}

// SendTest sends a message that only says that sending works.
func (m *Mailer) SendTest(ctx context.Context, to string) error {
	return m.write(ctx, to, "test", m.content("Sending mail works", Place{At: m.o.Clock.Now()}))
}

func (m *Mailer) content(title string, p Place) content {
	return content{Name: m.o.Name, Title: title, IP: oneLine(p.IP), Agent: oneLine(p.Agent), At: p.At.UTC().Format("2 January 2006, 15:04 UTC")}
}

// oneLine keeps what somebody else has chosen from writing a message of its own.
func oneLine(s string) string {
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return unsafe(r) || unicode.IsSpace(r) }), " ")
	if r := []rune(s); len(r) > 100 {
		s = string(r[:100])
	}
	return s
}

func minutes(d time.Duration) string {
	if n := int(d.Minutes()); n != 1 {
		return fmt.Sprintf("%d minutes", n)
	}
	return "1 minute"
}

// write makes one message of a pair of templates and sends it.
func (m *Mailer) write(ctx context.Context, to, name string, v content) error {
	rcpt, err := recipient(to)
	if err != nil {
		return fmt.Errorf("writing a message: %w", err)
	}
	msg := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	msg.FromMailAddress(&m.from)
	msg.ToMailAddress(rcpt)
	subject := v.Name + ": " + v.Title
	if strings.ContainsFunc(subject, unsafe) {
		return errors.New("writing a message: the subject holds a control character")
	}
	msg.Subject(subject)
	msg.SetDateWithValue(m.o.Clock.Now().UTC())
	msg.SetMessageID()
	msg.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: no holiday notice comes back
	msg.SetGenHeader("X-Auto-Response-Suppress", "All")
	if err := msg.SetBodyTextTemplate(texts.Lookup(name+".txt"), v); err != nil {
		return fmt.Errorf("writing a message: %w", err)
	}
	if err := msg.AddAlternativeHTMLTemplate(pages.Lookup(name+".html"), v); err != nil {
		return fmt.Errorf("writing a message: %w", err)
	}
	return m.send(ctx, msg)
}
