// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package factor

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/crmgate/crmgate/modules/internal/records"
)

// Recovery codes are ten characters of Crockford's base32, 50 bits, written as
// xxxxx-xxxxx: four and four would be 40 bits.
const (
	crockford     = "0123456789abcdefghjkmnpqrstvwxyz"
	recoveryChars = 10
)

// recoveryRow is the credential "recovery": what is left of a set.
type recoveryRow struct {
	common
	Salt  string   `json:"salt"`
	Codes []string `json:"codes"` // SHA-256 of salt and code, base64url; a used one is gone
}

func (r *recoveryRow) whole() bool { return r.common.whole() && r.Salt != "" }

func (r *recoveryRow) hash(code string) string {
	sum := sha256.Sum256([]byte(r.Salt + "\x00" + code))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// NewRecoveryCodes draws a new set and returns the codes, which are shown once and
// kept nowhere. The old set is void. Somebody without any other factor has no use
// for them: ErrKind.
func (m *Manager) NewRecoveryCodes(ctx context.Context, personID string) ([]string, error) {
	factors, err := m.Factors(ctx, personID)
	if err != nil {
		return nil, err
	}
	if !factors.Any() {
		return nil, ErrKind
	}
	return m.writeRecovery(ctx, personID, true)
}

// writeRecovery draws a set. When replace is false and there is one, nothing
// happens and no codes come back.
func (m *Manager) writeRecovery(ctx context.Context, personID string, replace bool) ([]string, error) {
	head, err := m.newCommon("")
	if err != nil {
		return nil, err
	}
	row := &recoveryRow{common: head}
	if row.Salt, err = m.random(16); err != nil {
		return nil, err
	}
	codes := make([]string, RecoveryCodes)
	for i := range codes {
		code, err := m.recoveryCode()
		if err != nil {
			return nil, err
		}
		row.Codes = append(row.Codes, row.hash(code))
		codes[i] = code[:recoveryChars/2] + "-" + code[recoveryChars/2:]
	}
	if !replace {
		err := m.swapRow(ctx, personID, Recovery, row, nil)
		if errors.Is(err, records.ErrConflict) {
			return nil, nil
		}
		return codes, err
	}
	sealed, err := m.seal("factor/"+Recovery, personID, row)
	if err != nil {
		return nil, err
	}
	err = m.o.Records.PutCredential(ctx, records.Credential{PersonID: personID, Kind: Recovery, Secret: sealed})
	if err != nil {
		return nil, err
	}
	return codes, nil
}

func (m *Manager) recoveryCode() (string, error) {
	b := make([]byte, recoveryChars)
	if _, err := io.ReadFull(m.o.Rand, b); err != nil {
		return "", fmt.Errorf("drawing a recovery code: %w", err)
	}
	for i := range b {
		b[i] = crockford[b[i]&31] // 32 divides 256: every character is as likely
	}
	return string(b), nil
}

// proveRecovery uses a code up.
func (m *Manager) proveRecovery(ctx context.Context, personID, typed string) error {
	code, ok := foldRecovery(typed)
	if !ok {
		return wrong(Recovery, "not a recovery code")
	}
	err := changeRow(ctx, m, personID, Recovery, func(r *recoveryRow) error {
		want, at := []byte(r.hash(code)), -1
		for i, c := range r.Codes {
			if subtle.ConstantTimeCompare([]byte(c), want) == 1 {
				at = i
			}
		}
		if at < 0 {
			return wrong(Recovery, "no such code, or used already")
		}
		r.Codes = append(r.Codes[:at], r.Codes[at+1:]...)
		r.Used = m.now()
		return nil
	})
	if errors.Is(err, records.ErrNotFound) {
		return ErrKind
	}
	return err
}

// foldRecovery reads a code as people copy it: in any case, with or without
// hyphens and spaces, with O for 0, I and L for 1.
func foldRecovery(s string) (string, bool) {
	if len(s) > 64 {
		return "", false
	}
	var b strings.Builder
	for _, r := range strings.ToLower(s) {
		switch r {
		case ' ', '-':
			continue
		case 'o':
			r = '0'
		case 'i', 'l':
			r = '1'
		}
		if !strings.ContainsRune(crockford, r) {
			return "", false
		}
		b.WriteRune(r)
	}
	return b.String(), b.Len() == recoveryChars
}
