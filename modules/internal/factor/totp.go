// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package factor

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"
	"github.com/pquerna/otp/totp"

	"github.com/crmgate/crmgate/modules/internal/records"
)

const (
	totpPeriod = 30 * time.Second
	codeDigits = 6
	totpBytes  = 20 // of the secret: the length of a SHA-1 key (RFC 4226 section 4)
)

// totpRow is the credential "totp".
type totpRow struct {
	common
	Secret string `json:"secret"` // base32
	Step   int64  `json:"step"`   // the last one accepted; it and all before are used up
}

func (r *totpRow) whole() bool { return r.common.whole() && r.Secret != "" }

// newTOTP draws a secret and returns it with the URI that apps read.
func (m *Manager) newTOTP(email string) (secret, uri string, err error) {
	key, err := totp.Generate(totp.GenerateOpts{
		Issuer: m.o.Name, AccountName: email, Period: uint(totpPeriod / time.Second),
		SecretSize: totpBytes, Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1, Rand: m.o.Rand,
	})
	if err != nil {
		return "", "", fmt.Errorf("drawing a TOTP secret: %w", err)
	}
	return key.Secret(), key.URL(), nil
}

// matchTOTP returns the step a code belongs to: the one now, the one before or the
// one after, and later than the last one used. Otherwise the reason is for audit.
func (m *Manager) matchTOTP(code, secret string, used int64) (step int64, err error) {
	code, ok := sixDigits(code)
	if !ok {
		return 0, wrong(TOTP, "not six digits")
	}
	now := m.now().Unix() / int64(totpPeriod/time.Second)
	replay := false
	for step := max(now-1, 0); step <= now+1; step++ {
		fits, err := hotp.ValidateCustom(code, uint64(step), secret, hotp.ValidateOpts{Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1})
		switch {
		case err != nil:
			return 0, fmt.Errorf("%w: totp: its secret is none", ErrUnreadable)
		case fits && step > used:
			return step, nil
		case fits:
			replay = true
		}
	}
	if replay {
		return 0, wrong(TOTP, "the code was used already")
	}
	return 0, wrong(TOTP, "not the code of this moment")
}

// proveTOTP accepts a step once, in the whole cluster.
func (m *Manager) proveTOTP(ctx context.Context, personID, code string) error {
	err := changeRow(ctx, m, personID, TOTP, func(r *totpRow) error {
		step, err := m.matchTOTP(code, r.Secret, r.Step)
		if err != nil {
			return err
		}
		r.Step, r.Used = step, m.now()
		return nil
	})
	if errors.Is(err, records.ErrNotFound) {
		return ErrKind
	}
	return err
}

// sixDigits takes a code as people type it: spaces do not count.
func sixDigits(s string) (string, bool) {
	if len(s) > 32 {
		return "", false
	}
	s = strings.Join(strings.Fields(s), "")
	if len(s) != codeDigits {
		return "", false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return "", false
		}
	}
	return s, true
}
