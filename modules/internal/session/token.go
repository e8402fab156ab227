// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package session

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// TokenLen is the length of a session token: 256 random bits in base64url (RFC
// 4648 section 5) without padding.
const TokenLen = 43

const tokenBytes = 32

// newToken draws a token.
func newToken(rand io.Reader) (string, id, error) {
	var raw [tokenBytes]byte
	if _, err := io.ReadFull(rand, raw[:]); err != nil {
		return "", id{}, fmt.Errorf("drawing a session token: %w", err)
	}
	token := base64.RawURLEncoding.EncodeToString(raw[:])
	i, ok := parseToken(token)
	if !ok {
		return "", id{}, errors.New("drawing a session token: it does not parse")
	}
	return token, i, nil
}

// parseToken checks the shape of a token and returns the id it stands for. Any
// other spelling of the same bits is refused: a token has one form.
func parseToken(token string) (id, bool) {
	if len(token) != TokenLen {
		return id{}, false
	}
	var text [TokenLen]byte
	copy(text[:], token)
	for _, c := range text {
		if !base64url[c] {
			return id{}, false
		}
	}
	if !lastChar[text[TokenLen-1]] {
		return id{}, false
	}
	return sha256.Sum256(text[:]), true
}

var base64url, lastChar = func() (all, last [256]bool) {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	for i, c := range []byte(alphabet) {
		all[c] = true
		last[c] = i%4 == 0 // 43 characters carry two bits more than 32 bytes: they are zero
	}
	return all, last
}()

// decodeStrict reads one JSON value without unknown members and nothing after it.
func decodeStrict(b []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is more after the record")
	}
	return nil
}
