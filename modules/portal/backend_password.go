// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package portal

import (
	"context"
	"strconv"
)

// Passwords is what a person does with his own password. Optional: without it
// passwords are neither changed nor reset here.
type Passwords interface {
	// Rules returns what a new password must meet, none of them Met.
	Rules(ctx context.Context) ([]Rule, error)
	// CheckPassword says how far a password a person is thinking of is from the rules.
	// It is asked while he types: bounded work, throttled, never logged. t is checked
	// like that of the change itself, and a link is not used up.
	CheckPassword(ctx context.Context, t Ticket, password string) (PasswordCheck, error)
	// ChangePassword changes it. Wrong Old: policy.WrongCredentials. A New against the
	// rules: *WeakPassword. With Ticket.Session, Old is always given, and the result is
	// the session under a new token (the old one and all others have ended). With
	// Ticket.Step the change must be due; Old may be "" when the person has just
	// proved it, and the result goes on with the sign-in.
	ChangePassword(ctx context.Context, t Ticket, c PasswordChange) (SignInResult, error)
	// Forgot mails a link to whom it may be mailed. Nil in every case that depends on
	// whether such a person exists, with the same work; errors are about the client
	// (policy.Throttled) and the stores alone.
	Forgot(ctx context.Context, email string) error
	// ResetPassword uses a link once. Unknown, used, expired and superseded links:
	// policy.NoSession, all alike. *WeakPassword does not use it up. Nobody is signed
	// in by it.
	ResetPassword(ctx context.Context, link string, c PasswordChange) error
}

// Rule is one condition on a new password.
type Rule struct {
	Text string `json:"text"` // a sentence
	// Kind lets a page judge the rule while somebody types: "min_length",
	// "max_length", "upper", "lower", "digits", "special" with N, and "special_set"
	// with Set, the only special characters allowed. Any other kind is judged by the
	// server alone (the kinds of package password).
	Kind string `json:"kind"`
	N    int    `json:"n,omitzero"`
	Set  string `json:"set,omitempty"`
	Met  bool   `json:"met"`
}

// PasswordCheck is how good a password is.
type PasswordCheck struct {
	Score int // 0 (guessed at once) to 4
	Rules []Rule
}

// PasswordChange is one change. Either Old and New are set, or Sealed.
type PasswordChange struct {
	Old string
	New string
	// Sealed is a sealed form (package sealedform): password is Old and new_password
	// is New; where Old is not asked for (Ticket.Step, a reset), password is New.
	Sealed string
}

// String keeps the passwords out of logs.
func (PasswordChange) String() string { return "PasswordChange" }

// WeakPassword is the error for a password that breaks a rule. Rules are all that
// apply, those that are met marked.
type WeakPassword struct{ Rules []Rule }

// Error counts the broken rules and says nothing of the password.
func (e *WeakPassword) Error() string {
	n := 0
	for _, r := range e.Rules {
		if !r.Met {
			n++
		}
	}
	return "the new password breaks " + strconv.Itoa(n) + " rules"
}
