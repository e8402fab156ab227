// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/crmgate/crmgate/modules/internal/signin"
)

// begun is what is kept of a sign-in until its answer comes. It is sealed.
type begun struct {
	Nonce    string    `json:"nonce"`
	Verifier string    `json:"verifier"`
	Fresh    bool      `json:"fresh,omitempty"`
	At       time.Time `json:"at"`
}

// Begin sends the browser to the provider's authorization endpoint.
func (p *Provider) Begin(ctx context.Context, env signin.Env, flow signin.Flow) (signin.Next, []byte, error) {
	m, err := p.metadata(ctx, env)
	if err != nil {
		return signin.Next{}, nil, err
	}
	b := begun{Fresh: flow.Fresh, At: env.Clock.Now()}
	if b.Nonce, err = secret(env.Random); err == nil {
		b.Verifier, err = secret(env.Random)
	}
	if err != nil {
		return signin.Next{}, nil, fmt.Errorf("beginning a sign-in: %w", err)
	}
	kept, err := json.Marshal(b)
	if err != nil {
		return signin.Next{}, nil, errors.New("beginning a sign-in: keeping it failed")
	}
	opts := []oauth2.AuthCodeOption{oidc.Nonce(b.Nonce), oauth2.S256ChallengeOption(b.Verifier)}
	add := func(name, value string) { opts = append(opts, oauth2.SetAuthURLParam(name, value)) }
	for name, value := range p.cfg.Extra {
		add(name, value)
	}
	if p.cfg.FormPost {
		add("response_mode", "form_post")
	}
	if len(p.cfg.HostedDomains) == 1 {
		add("hd", p.cfg.HostedDomains[0]) // what the provider shows; the claim is what counts
	}
	if flow.LoginHint != "" {
		add("login_hint", flow.LoginHint)
	}
	if flow.Fresh {
		add("max_age", "0")
		add("prompt", "login")
	}
	return signin.Next{URL: p.oauth(env, m).AuthCodeURL(flow.ID, opts...)}, kept, nil
}

// secret returns 32 random bytes as 43 characters, which is also the form RFC 7636
// section 4.1 asks of a verifier.
func secret(random io.Reader) (string, error) {
	if random == nil {
		random = rand.Reader
	}
	b := make([]byte, 32)
	if _, err := io.ReadFull(random, b); err != nil {
		return "", fmt.Errorf("reading randomness: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(b), nil
}
