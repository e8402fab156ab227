// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package portal

import (
	"context"
	"time"
)

// Ticket says by which right somebody acts on his own account. Exactly one is set.
type Ticket struct {
	Session string // a session's token
	Step    string // a pending sign-in, with NextEnrol or NextChangePassword due
	Link    string // a mail link to reset a password; CheckPassword only
}

// String keeps the secrets out of logs.
func (Ticket) String() string { return "Ticket" }

// Factors is what a person does with his own factors and trusted devices.
// Optional: without it nothing of them is shown.
//
// With Ticket.Step the enrolment must be due, otherwise policy.NoSession. With
// Ticket.Session everything that adds, removes or shows a secret is refused with
// policy.StepUp when the person was last proved too long ago.
type Factors interface {
	// Factors lists what is set up and what can be added.
	Factors(ctx context.Context, t Ticket) (FactorsView, error)
	// BeginEnrol starts setting up a kind; a new start ends the one before. For mail
	// and SMS it sends the code.
	BeginEnrol(ctx context.Context, t Ticket, kind string) (EnrolView, error)
	// FinishEnrol proves the new factor once; only then is it usable. A wrong code is
	// policy.WrongCredentials and can be tried again; policy.NoSession with
	// Ticket.Session means that nothing was begun or that it is over.
	FinishEnrol(ctx context.Context, t Ticket, proof EnrolProof) (EnrolDone, error)
	// RemoveFactor removes one by FactorView.ID. Unknown and somebody else's:
	// policy.RowDenied. The last one under a mandate: policy.ActionDenied.
	RemoveFactor(ctx context.Context, token, id string) error
	// NewRecoveryCodes replaces the recovery codes; they are shown once.
	NewRecoveryCodes(ctx context.Context, token string) ([]string, error)

	// Devices lists the trusted devices. device is the value of the browser's own
	// device cookie, or "", by which Current is found.
	Devices(ctx context.Context, token, device string) ([]DeviceView, error)
	// RenameDevice gives one a label of 1 to 64 characters.
	RenameDevice(ctx context.Context, token, id, label string) error
	// RevokeDevice ends the trust in one.
	RevokeDevice(ctx context.Context, token, id string) error
}

// FactorsView is the state of a person's second factor.
type FactorsView struct {
	Factors      []FactorView
	Addable      []Method // kinds that can be set up now
	RecoveryLeft int      // recovery codes that are left; meant only with Recovery
	Recovery     bool     // recovery codes exist or can be made
	Mandatory    bool     // the last factor cannot be removed
	DevicesOn    bool     // devices can be trusted: list them
}

// FactorView is one factor.
type FactorView struct {
	ID       string // 1 to 128 bytes without "/", never a secret
	Kind     string
	Label    string // what the person called it, or ""
	Hint     string // such as "…44 17"
	Added    time.Time
	LastUsed time.Time
	Fixed    bool // only an admin can remove it
}

// EnrolView is what a person needs to set up a factor. It holds a secret: shown
// once, to him, never logged.
type EnrolView struct {
	Kind     string
	Secret   string // totp: the key in base32; shown in groups of four
	URI      string // totp: otpauth URI
	QR       string // totp: the URI as an inline SVG element without script, style or reference
	Creation []byte // passkey: PublicKeyCredentialCreationOptionsJSON
	SentTo   string // mail, sms: a hint of where the code went
}

// String keeps the secret out of logs.
func (v EnrolView) String() string { return "EnrolView kind=" + v.Kind }

// EnrolProof is the first use of a new factor.
type EnrolProof struct {
	Kind     string
	Code     string // 1 to 32 bytes, blanks removed
	Response []byte // passkey: RegistrationResponseJSON, at most 16 KiB
	Label    string // 0 to 64 characters
}

// String keeps the code out of logs.
func (p EnrolProof) String() string { return "EnrolProof kind=" + p.Kind }

// EnrolDone is a factor that is set up.
type EnrolDone struct {
	Recovery []string // new recovery codes, shown once; nil when there were some already
	// Result goes on with the sign-in (Ticket.Step), or replaces the session's token
	// (Ticket.Session); nil leaves everything as it is. nil with Ticket.Step is an
	// internal error.
	Result *SignInResult
}

// String keeps the codes out of logs.
func (EnrolDone) String() string { return "EnrolDone" }

// DeviceView is one trusted device.
type DeviceView struct {
	ID        string // 1 to 128 bytes without "/", never the cookie's value
	Label     string
	UserAgent string
	IP        string
	Since     time.Time
	LastUsed  time.Time
	Ends      time.Time
	Current   bool
}
