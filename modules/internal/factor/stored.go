// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package factor

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/crmgate/crmgate/modules/internal/records"
)

// common is what every stored factor begins with.
type common struct {
	// Serial is drawn when a factor is set up and stays as long as it does: trusted
	// devices end when it changes, not when a counter moves.
	Serial string    `json:"serial"`
	Label  string    `json:"label,omitempty"`
	Added  time.Time `json:"added"`
	Used   time.Time `json:"used,omitzero"`
}

func (c *common) head() *common { return c }

func (c *common) whole() bool { return c.Serial != "" && !c.Added.IsZero() }

// stored is a factor as it is kept.
type stored interface {
	head() *common
	whole() bool // false: members are missing, so this is not what was stored
}

type plainRow struct{ common }

type phoneRow struct {
	common
	Number string `json:"number"`
}

func (r *phoneRow) whole() bool { return r.common.whole() && r.Number != "" }

// newCommon begins a factor.
func (m *Manager) newCommon(label string) (common, error) {
	serial, err := m.random(8)
	return common{Serial: serial, Label: Label(label), Added: m.now()}, err
}

// Label makes a label of what somebody typed: one line of text, at most MaxLabel
// bytes, without invisible characters.
func Label(s string) string {
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool {
		return unicode.IsSpace(r) || !unicode.IsGraphic(r) || r == utf8.RuneError
	}), " ")
	for len(s) > MaxLabel {
		_, n := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-n]
	}
	return s
}

// random returns n random bytes in base64url.
func (m *Manager) random(n int) (string, error) {
	b := make([]byte, n)
	if _, err := io.ReadFull(m.o.Rand, b); err != nil {
		return "", fmt.Errorf("drawing random bytes: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(b), nil
}

// secretLen is the length of the secrets browsers hold: 256 bits in base64url.
const secretLen = 43

// secretHash returns the name under which a secret is kept; false for anything
// that no secret looks like.
func secretHash(secret string) (string, bool) {
	if len(secret) != secretLen {
		return "", false
	}
	if _, err := base64.RawURLEncoding.Strict().DecodeString(secret); err != nil || strings.ContainsAny(secret, "\r\n") {
		return "", false
	}
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:]), true
}

// seal encodes and seals v. Equal values have different bytes every time, so
// comparing the bytes tells whether anybody wrote in between.
func (m *Manager) seal(purpose, owner string, v any) ([]byte, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encoding %s: %w", purpose, err)
	}
	return m.o.Vault.Seal(purpose, owner, b)
}

// open is the opposite. Unknown members are refused: they may mean a restriction
// this gateway would not honour.
func (m *Manager) open(purpose, owner string, sealed []byte, v any) error {
	plain, err := m.o.Vault.Open(purpose, owner, sealed)
	if err != nil {
		return err
	}
	return decodeStrict(plain.Reveal(), v)
}

func decodeStrict(b []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return errors.New("decoding: not what is stored here") // the decoder's own text quotes the value
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("decoding: there is more after the value")
	}
	return nil
}

// openRow opens a credential of the records.
func (m *Manager) openRow(c records.Credential, v stored) error {
	if err := m.open("factor/"+c.Kind, c.PersonID, c.Secret, v); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrUnreadable, kindOf(c.Kind), err)
	}
	if !v.whole() {
		return fmt.Errorf("%w: %s: members are missing", ErrUnreadable, kindOf(c.Kind))
	}
	return nil
}

// kindOf is a credential's kind without its id.
func kindOf(kind string) string {
	kind, _, _ = strings.Cut(kind, "/")
	return kind
}

// readRow reads one credential. One that is not there is records.ErrNotFound.
func (m *Manager) readRow(ctx context.Context, personID, kind string, v stored) (raw []byte, err error) {
	c, err := m.o.Records.Credential(ctx, personID, kind)
	if err != nil {
		return nil, err
	}
	return c.Secret, m.openRow(c, v)
}

// swapRow writes a credential if nobody else did since old was read; old nil: if
// it is not there. Otherwise records.ErrConflict.
func (m *Manager) swapRow(ctx context.Context, personID, kind string, v stored, old []byte) error {
	sealed, err := m.seal("factor/"+kind, personID, v)
	if err != nil {
		return err
	}
	return m.o.Records.SwapCredential(ctx, records.Credential{PersonID: personID, Kind: kind, Secret: sealed}, old)
}

// rounds bounds the repetitions of a change that somebody else got ahead of.
const rounds = 100

// changeRow changes a credential as one atomic act; change may be called several
// times, each time with what is stored by then, and its error ends it.
func changeRow[T any, P interface {
	*T
	stored
}](ctx context.Context, m *Manager, personID, kind string, change func(P) error) error {
	for range rounds {
		v := P(new(T))
		raw, err := m.readRow(ctx, personID, kind, v)
		if err != nil {
			return err
		}
		if err := change(v); err != nil {
			return err
		}
		err = m.swapRow(ctx, personID, kind, v, raw)
		if !errors.Is(err, records.ErrConflict) {
			return err
		}
	}
	return fmt.Errorf("changing a factor: %w", records.ErrConflict)
}
