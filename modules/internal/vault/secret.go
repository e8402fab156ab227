// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package vault

import (
	"crypto/subtle"
	"fmt"
	"io"
	"log/slog"
)

// Redacted is what a Secret shows of itself.
const Redacted = "REDACTED"

// Secret carries bytes that must not be shown. Printed, logged or marshalled in
// any way, also inside another value, it is REDACTED; only Reveal gives it away.
// The zero value is an empty secret.
type Secret struct {
	// A function: package fmt prints what an unexported member holds, or points
	// to, without asking its methods; of a function it has only the address.
	reveal func() []byte
}

// NewSecret takes b over; it must not be changed afterwards.
func NewSecret(b []byte) Secret { return Secret{func() []byte { return b }} }

// Reveal returns the bytes, which must not be changed.
func (s Secret) Reveal() []byte {
	if s.reveal == nil {
		return nil
	}
	return s.reveal()
}

// Empty says whether there is nothing in it.
func (s Secret) Empty() bool { return len(s.Reveal()) == 0 }

// Equal compares in constant time.
func (s Secret) Equal(t Secret) bool { return subtle.ConstantTimeCompare(s.Reveal(), t.Reveal()) == 1 }

// String returns REDACTED.
func (Secret) String() string { return Redacted }

// Format prints REDACTED for every verb.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, Redacted) }

// MarshalText returns REDACTED; JSON, YAML and XML use it.
func (Secret) MarshalText() ([]byte, error) { return []byte(Redacted), nil }

// MarshalJSON returns "REDACTED".
func (Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + Redacted + `"`), nil }

// LogValue returns REDACTED.
func (Secret) LogValue() slog.Value { return slog.StringValue(Redacted) }
