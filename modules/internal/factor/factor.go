// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// Package factor is everything about second factors: what a person has set up,
// how it is proved, the devices that need not prove it again, and the sign-in
// that waits for the proof.
//
// The kinds are TOTP apps (RFC 6238: SHA-1, six digits, 30 seconds, one step of
// tolerance), passkeys (WebAuthn), codes by mail to the address in the directory,
// codes by SMS to the number an admin has set, and recovery codes. Whether a
// factor is demanded is decided by the caller, who says what is due; this package
// holds him to it.
//
// # Where things are
//
// What a person has set up is in the records, sealed by the vault for that person
// and that kind: a row copied to somebody else's name does not open. The kinds of
// credential are "totp", "mail", "sms", "phone" (the number), "recovery",
// "passkey/<id>", "passkey_user" (the user handle) and "device/<id>". A factor is
// there from the moment it was proved for the first time and not before; what is
// being set up lives in the state store for ten minutes.
//
// What waits is in the state store, under the hash of a secret that only the
// browser has, and sealed.
//
// # Once
//
// A TOTP step, a mailed code, a recovery code, the challenge of a passkey and a
// pending sign-in are each consumed by one atomic act of a store, so of any number
// of requests to any number of gateways one is accepted.
//
// # Guessing
//
// Every try takes its place before it is verified: five for one pending sign-in,
// Settings.Tries for one code, and for the account and the address across all of
// them what package attempts allows. A pending sign-in that has no tries left is
// dead; a right proof does not bring it back.
//
// # Failing
//
// A factor that cannot be read (changed, sealed with a lost key) is an error and
// never no factor: otherwise damage would switch the second factor off. A device
// that cannot be read is not trusted. A pending sign-in that cannot be read does
// not exist. Without a store nothing is proved. Expiry is compared on read.
package factor

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/url"
	"time"

	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/crmgate/crmgate/modules/internal/attempts"
	"github.com/crmgate/crmgate/modules/internal/clock"
	"github.com/crmgate/crmgate/modules/internal/records"
	"github.com/crmgate/crmgate/modules/internal/state"
	"github.com/crmgate/crmgate/modules/internal/vault"
)

// The kinds of factor, the same strings everywhere.
const (
	TOTP     = "totp"
	Passkey  = "passkey"
	Mail     = "mail"
	SMS      = "sms"
	Recovery = "recovery"
)

// Kinds are all kinds, the strongest first; recovery codes are the last resort.
var Kinds = []string{Passkey, TOTP, SMS, Mail, Recovery}

// Bounds.
const (
	PendingLifetime = 10 * time.Minute // of a pending sign-in and of an enrolment
	PendingTries    = 5                // wrong proofs a pending sign-in survives, less one
	MaxPasskeys     = 10               // a person
	MaxDevices      = 10               // a person; the oldest goes
	MaxLabel        = 100              // bytes of a label
	MaxResponse     = 64 << 10         // bytes of a passkey's answer
	RecoveryCodes   = 10               // in a set
)

// Settings are what the policy may change while the gateway runs.
type Settings struct {
	CodeLifetime time.Duration // of a code by mail or SMS; 1 to 15 minutes
	ResendGap    time.Duration // between two codes of a kind for one person; 5 seconds to 10 minutes
	Tries        int           // wrong tries one code survives, less one; 1 to 10
	Device       DeviceSettings
}

// DefaultSettings: five minutes, half a minute, five tries, no trusted devices.
func DefaultSettings() Settings {
	return Settings{
		CodeLifetime: 5 * time.Minute, ResendGap: 30 * time.Second, Tries: 5,
		Device: DeviceSettings{BindAgent: true, IPv4Prefix: 24, IPv6Prefix: 56},
	}
}

// Check says what is out of range.
func (s Settings) Check() error {
	switch {
	case s.CodeLifetime < time.Minute || s.CodeLifetime > 15*time.Minute:
		return fmt.Errorf("checking second-factor settings: a code's lifetime is %v; use 1m to 15m", s.CodeLifetime)
	case s.ResendGap < 5*time.Second || s.ResendGap > 10*time.Minute:
		return fmt.Errorf("checking second-factor settings: the resend gap is %v; use 5s to 10m", s.ResendGap)
	case s.Tries < 1 || s.Tries > 10:
		return fmt.Errorf("checking second-factor settings: %d tries for a code; use 1 to 10", s.Tries)
	}
	return s.Device.Check()
}

// Options of New. Records, State and Vault must be set.
type Options struct {
	Records records.Store
	State   state.Store
	Vault   *vault.Vault

	// Name is what authenticator apps and browsers show people; "crmgate" when empty.
	Name string
	// Origin is the gateway's own address, https://crm.example.com. Passkeys belong
	// to it: without it there are none, and with another one the old ones are of no
	// use.
	Origin string

	Mail Sender // nil: no codes by mail
	SMS  Sender // nil: no codes by SMS

	// Settings returns the settings in force; nil: DefaultSettings. What does not
	// pass Check is replaced by the defaults.
	Settings func() Settings
	// Throttle counts tries across pending sign-ins; nil: one named "second_factor"
	// with the limits of package attempts.
	Throttle *attempts.Throttle

	Clock clock.Clock // nil: the machine's
	Rand  io.Reader   // nil: crypto/rand
}

// Manager keeps factors, devices and pending sign-ins of one account. It is safe
// for concurrent use.
type Manager struct {
	o   Options
	web *webauthn.WebAuthn // nil: no passkeys
}

// New returns a manager. An origin that cannot have passkeys is an error.
func New(o Options) (*Manager, error) {
	if o.Records == nil || o.State == nil || o.Vault == nil {
		return nil, errors.New("starting second factors: records, state and vault are needed")
	}
	if o.Name == "" {
		o.Name = "crmgate"
	}
	if o.Settings == nil {
		o.Settings = DefaultSettings
	}
	if o.Clock == nil {
		o.Clock = clock.System{}
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	if o.Throttle == nil {
		t, err := attempts.New(o.State, attempts.Options{Name: "second_factor", Clock: o.Clock, Rand: o.Rand})
		if err != nil {
			return nil, fmt.Errorf("starting second factors: %w", err)
		}
		o.Throttle = t
	}
	m := &Manager{o: o}
	if o.Origin == "" {
		return m, nil
	}
	u, err := url.Parse(o.Origin)
	if err != nil || u.Host == "" || u.Path != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil ||
		u.Scheme != "https" && (u.Scheme != "http" || u.Hostname() != "localhost") {
		return nil, fmt.Errorf("starting second factors: the origin %q is not of the form https://crm.example.com", o.Origin)
	}
	m.web, err = newWebAuthn(o.Name, u)
	if err != nil {
		return nil, fmt.Errorf("starting second factors: passkeys for %q: %w", o.Origin, err)
	}
	return m, nil
}

func (m *Manager) now() time.Time { return m.o.Clock.Now().UTC().Round(0) }

// settings in force. A snapshot that is out of range must not make codes live for
// ever, so it counts as none.
func (m *Manager) settings() Settings {
	if s := m.o.Settings(); s.Check() == nil {
		return s
	}
	return DefaultSettings()
}

// offers says whether the gateway can use factors of a kind at all.
func (m *Manager) offers(kind string) bool {
	switch kind {
	case TOTP, Recovery:
		return true
	case Passkey:
		return m.web != nil
	case Mail:
		return m.o.Mail != nil
	case SMS:
		return m.o.SMS != nil
	}
	return false
}
