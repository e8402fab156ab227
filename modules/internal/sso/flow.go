// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package sso

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/crmgate/crmgate/modules/internal/signin"
	"github.com/crmgate/crmgate/modules/internal/state"
)

const (
	flowsAt     = "flow/"
	purposeFlow = "sso flow"
	idChars     = 43 // 32 bytes as base64url without padding
)

// flow is what is kept of one sign-in that has begun.
type flow struct {
	Provider string    `json:"provider"`
	Purpose  Purpose   `json:"purpose,omitempty"`
	Return   string    `json:"return"`
	Session  string    `json:"session,omitempty"`
	Lax      string    `json:"lax"`            // hash of the browser's cookie for answers by GET
	Post     string    `json:"post,omitempty"` // hash of the one for answers by POST, "" when there is none
	Expires  time.Time `json:"expires"`
	Kept     []byte    `json:"kept,omitempty"` // the provider's own
}

// The ways in which a flow is not to be used.
var (
	errNoFlow       = errors.New("the flow is not there: it was used, is over, or never was")
	errOtherBrowser = errors.New("the answer comes from another browser than the question")
	errOtherStart   = errors.New("the flow was begun at another provider")
)

// newID returns 32 random bytes as 43 characters of base64url.
func newID(random io.Reader) (string, error) {
	b := make([]byte, 32)
	if _, err := io.ReadFull(random, b); err != nil {
		return "", fmt.Errorf("reading randomness: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(b), nil
}

// isID says whether s has the form newID gives.
func isID(s string) bool {
	if len(s) != idChars {
		return false
	}
	_, err := base64.RawURLEncoding.DecodeString(s)
	return err == nil
}

func hashOf(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

func flowKey(id string) string { return flowsAt + hashOf(id) }

// keepFlow stores a flow. An id is used once.
func keepFlow(ctx context.Context, env signin.Env, id string, f flow) error {
	plain, err := json.Marshal(f)
	if err != nil {
		return fmt.Errorf("encoding a flow: %w", err)
	}
	key := flowKey(id)
	sealed, err := env.Vault.Seal(purposeFlow, key, plain)
	if err != nil {
		return fmt.Errorf("keeping a flow: %w", err)
	}
	fresh, err := env.State.PutNew(ctx, key, sealed, f.Expires.Sub(env.Clock.Now()))
	if err != nil {
		return fmt.Errorf("keeping a flow: %w", err)
	}
	if !fresh {
		return errors.New("keeping a flow: the random source gave an id twice")
	}
	return nil
}

// browser is what an answer proves about who brings it: one of the two cookies,
// or neither.
type browser struct {
	value string
	post  bool
}

// takeFlow returns the flow an answer belongs to and makes sure that no other
// answer gets it. A flow is looked at before it is taken: an answer that somebody
// else brings must not use up the flow of the one who waits for it.
func takeFlow(ctx context.Context, env signin.Env, id, provider string, from browser) (flow, error) {
	if !isID(id) {
		return flow{}, errNoFlow
	}
	key := flowKey(id)
	e, err := env.State.Get(ctx, key)
	if err != nil {
		return flow{}, absent(err)
	}
	if _, err := openFlow(env, e, provider, from); err != nil {
		return flow{}, err
	}
	if e, err = env.State.Take(ctx, key); err != nil {
		return flow{}, absent(err)
	}
	return openFlow(env, e, provider, from)
}

func absent(err error) error {
	if errors.Is(err, state.ErrNotFound) {
		return errNoFlow
	}
	return fmt.Errorf("reading a flow: %w", err)
}

// openFlow reads a stored flow and says whether this answer may have it.
func openFlow(env signin.Env, e state.Entry, provider string, from browser) (flow, error) {
	plain, err := env.Vault.Open(purposeFlow, e.Key, e.Value)
	if err != nil {
		return flow{}, errNoFlow
	}
	var f flow
	if err := json.Unmarshal(plain.Reveal(), &f); err != nil {
		return flow{}, errNoFlow
	}
	want := f.Lax
	if from.post {
		want = f.Post
	}
	switch {
	case !env.Clock.Now().Before(f.Expires):
		return flow{}, errNoFlow
	case f.Provider != provider:
		return flow{}, errOtherStart
	case from.value == "" || want == "" || subtle.ConstantTimeCompare([]byte(want), []byte(hashOf(from.value))) != 1:
		return flow{}, errOtherBrowser
	}
	return f, nil
}
