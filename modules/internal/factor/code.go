// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package factor

import (
	"context"
	"crypto/hmac"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"

	"github.com/crmgate/crmgate/modules/internal/state"
	"github.com/crmgate/crmgate/modules/internal/vault"
)

// Message is a code on its way to a person.
type Message struct {
	To       string // an e-mail address or a phone number in E.164
	Code     vault.Secret
	Purpose  Purpose
	At       time.Time
	Lifetime time.Duration
	IP       netip.Addr // where it was asked for
	Agent    string     // by which browser
}

// Sender sends a code and returns when it was handed over, or why not. Its error
// must not hold the code.
type Sender func(ctx context.Context, msg Message) error

// sendLimit is how many codes a person is sent at all, so that nobody's mailbox or
// phone is filled by somebody who knows a password.
var sendLimit = state.Limit{Events: 20, Per: time.Hour}

// code is one that was sent. It is part of a pending sign-in or an enrolment and
// of no use in another one; a new one takes its place.
type code struct {
	Kind    string    `json:"kind"`
	MAC     string    `json:"mac"` // of what it is bound to and the digits; they are stored nowhere
	Sent    time.Time `json:"sent"`
	Expires time.Time `json:"expires"`
	Tries   int       `json:"tries"` // taken so far
}

// newCode draws six digits bound to one purpose.
func (m *Manager) newCode(kind, bound string) (digits string, c *code, err error) {
	digits, err = drawDigits(m.o.Rand)
	if err != nil {
		return "", nil, err
	}
	now := m.now()
	return digits, &code{
		Kind: kind, MAC: m.o.Vault.LookupHMAC(codePurpose(kind, bound), digits),
		Sent: now, Expires: now.Add(m.settings().CodeLifetime),
	}, nil
}

func codePurpose(kind, bound string) string { return "factor code " + kind + " " + bound }

// drawDigits draws a number below a million, each as likely as another.
func drawDigits(rand io.Reader) (string, error) {
	const n = 1_000_000
	const fair = (1 << 32) / n * n
	for range 128 {
		var b [4]byte
		if _, err := io.ReadFull(rand, b[:]); err != nil {
			return "", fmt.Errorf("drawing a code: %w", err)
		}
		if v := binary.BigEndian.Uint32(b[:]); v < fair {
			return fmt.Sprintf("%06d", v%n), nil
		}
	}
	return "", errors.New("drawing a code: the random source repeats itself")
}

// check compares what was typed with a code whose try was taken before.
func (m *Manager) check(c *code, kind, bound, typed string) error {
	switch {
	case c == nil || c.Kind != kind:
		return wrong(kind, "no code was sent")
	case !m.now().Before(c.Expires):
		return wrong(kind, "the code has expired")
	case c.Tries > m.settings().Tries:
		return wrong(kind, "the code has had too many tries")
	}
	digits, ok := sixDigits(typed)
	if !ok {
		return wrong(kind, "not six digits")
	}
	fits := false
	for _, mac := range m.o.Vault.Lookups(codePurpose(kind, bound), digits) {
		fits = hmac.Equal([]byte(mac), []byte(c.MAC)) || fits
	}
	if !fits {
		return wrong(kind, "not the code that was sent")
	}
	return nil
}

// maySend takes a place for one more code to a person. The gap is the person's,
// not the pending sign-in's: a second tab does not fill a mailbox faster.
func (m *Manager) maySend(ctx context.Context, personID, kind string) error {
	gap := state.Limit{Events: 1, Per: m.settings().ResendGap}
	if err := m.admit(ctx, "factor/gap/"+kind+"/"+personID, gap); err != nil {
		return err
	}
	return m.admit(ctx, "factor/sent/"+personID, sendLimit)
}

func (m *Manager) admit(ctx context.Context, key string, limit state.Limit) error {
	v, err := m.o.State.Admit(ctx, key, limit)
	if err != nil {
		return fmt.Errorf("counting: %w", err)
	}
	if !v.Allowed {
		return &WaitError{v.RetryAt}
	}
	return nil
}

// send hands a code over.
func (m *Manager) send(ctx context.Context, kind string, msg Message) error {
	sender := m.o.Mail
	if kind == SMS {
		sender = m.o.SMS
	}
	if sender == nil {
		return ErrKind
	}
	if err := sender(ctx, msg); err != nil {
		return fmt.Errorf("%w: %w", ErrSend, err)
	}
	return nil
}

// mailHint shows an address to somebody who knows it: a***@example.com.
func mailHint(email string) string {
	at := strings.LastIndexByte(email, '@')
	if at < 1 {
		return ""
	}
	for _, first := range email[:at] {
		return string(first) + "***" + email[at:]
	}
	return ""
}

// phoneHint shows the last two digits of a number.
func phoneHint(number string) string {
	if len(number) < 2 {
		return ""
	}
	return "***" + number[len(number)-2:]
}

// validPhone takes E.164: a plus and 8 to 15 digits, the first not 0.
func validPhone(s string) bool {
	if len(s) < 9 || len(s) > 16 || s[0] != '+' || s[1] == '0' {
		return false
	}
	for i := 1; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}
