// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"slices"
	"time"
)

// SignIn holds what concerns signing in (product facts §1.3 to §1.6).
type SignIn struct {
	MaxSessions        int            `yaml:"max_sessions"`          // a person's concurrent sessions; 0: not limited
	Provider           string         `yaml:"provider,omitempty"`    // the only way in for everybody; "": each may choose
	BreakGlass         []string       `yaml:"break_glass,omitempty"` // e-mails who may use a password in spite of Provider
	PasswordEncryption bool           `yaml:"password_encryption"`   // no password in clear, not even inside TLS
	SecondFactor       SecondFactors  `yaml:"second_factor"`
	TrustedDevice      TrustedDevices `yaml:"trusted_device"`
	Profiles           []Profile      `yaml:"profiles,omitempty"`
}

// SecondFactors says who has to give a second factor and how.
type SecondFactors struct {
	Mandate      string   `yaml:"mandate"`           // none or all
	Roles        []string `yaml:"roles,omitempty"`   // required of these
	Users        []string `yaml:"users,omitempty"`   // and of these e-mails
	Methods      []string `yaml:"methods,omitempty"` // totp, passkey, mail, sms; empty: whatever the gateway can do
	Optional     bool     `yaml:"optional"`          // others may set one up by themselves
	CodeLifetime Duration `yaml:"code_lifetime"`
	ResendGap    Duration `yaml:"resend_gap"`
	Tries        int      `yaml:"tries"`
	StepUp       Duration `yaml:"step_up"` // how old a proof may be for a sensitive act
}

// TrustedDevices says when the second factor is left out on a known device.
type TrustedDevices struct {
	Days int         `yaml:"days"` // 7, 15, 30, 60, 90 or 180; 0: there are none
	Bind DeviceBonds `yaml:"bind"`
}

// DeviceBonds says what has to stay the same for a device to be known.
type DeviceBonds struct {
	Agent      bool `yaml:"agent"`       // browser and system
	IPv4Prefix int  `yaml:"ipv4_prefix"` // bits of the address; 0: not bound
	IPv6Prefix int  `yaml:"ipv6_prefix"`
}

// Profile is an authentication profile: what it says of the second factor stands
// above role and account.
type Profile struct {
	Name         string   `yaml:"name"`
	Description  string   `yaml:"description,omitempty"`
	Users        []string `yaml:"users"` // e-mails; nobody is in two profiles
	SecondFactor Mandate  `yaml:"second_factor"`
}

// Mandate says what of a second factor is asked of a person.
type Mandate string

// The mandates. The zero value is none of them and has to be read as Required.
const (
	FactorRequired Mandate = "required" // asked; who has none has to set one up to get in
	FactorOptional Mandate = "optional" // asked of those who have set one up
	FactorOff      Mandate = "off"      // never asked, and none can be set up
)

// SecondFactorFor says what of a second factor is asked of a person: by his
// profile, else because of his address, his role or the whole account, else by
// whether people may set one up for themselves.
func (s *Set) SecondFactorFor(email, role string) Mandate {
	r := &s.settings.SignIn
	email = foldEmail(email)
	for i := range r.Profiles {
		if hasEmail(r.Profiles[i].Users, email) {
			return r.Profiles[i].SecondFactor
		}
	}
	f := &r.SecondFactor
	switch {
	case hasEmail(f.Users, email), slices.Contains(f.Roles, role), f.Mandate == "all":
		return FactorRequired
	case f.Optional:
		return FactorOptional
	}
	return FactorOff
}

// ProviderFor returns the provider a person must sign in with, "" when he may
// choose. glass says that there is one and that the person may break the glass:
// use a password in spite of it.
func (s *Set) ProviderFor(email string) (provider string, glass bool) {
	r := &s.settings.SignIn
	if r.Provider == "" || !hasEmail(r.BreakGlass, foldEmail(email)) {
		return r.Provider, false
	}
	return "", true
}

func hasEmail(list []string, folded string) bool {
	return slices.ContainsFunc(list, func(e string) bool { return foldEmail(e) == folded })
}

// defaultSignIn is what an empty policy says about signing in.
func defaultSignIn() SignIn {
	return SignIn{
		MaxSessions: 10,
		SecondFactor: SecondFactors{
			Mandate: "none", Optional: true, CodeLifetime: Duration(5 * time.Minute), ResendGap: Duration(30 * time.Second),
			Tries: 5, StepUp: Duration(10 * time.Minute),
		},
		TrustedDevice: TrustedDevices{Bind: DeviceBonds{Agent: true, IPv4Prefix: 24, IPv6Prefix: 56}},
	}
}
