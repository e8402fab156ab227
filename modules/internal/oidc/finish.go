// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/crmgate/crmgate/modules/internal/signin"
)

// What a provider may give us to keep: a session's grant must fit the store.
const (
	maxIDToken      = 16 << 10
	maxRefreshToken = 8 << 10
)

// Finish redeems the code and checks what it brings.
func (p *Provider) Finish(ctx context.Context, env signin.Env, r *http.Request, kept []byte) (signin.Proof, error) {
	a, err := p.read(r)
	if err != nil {
		return signin.Proof{}, err
	}
	var b begun
	if kept == nil || json.Unmarshal(kept, &b) != nil || b.Nonce == "" || b.Verifier == "" {
		return signin.Proof{}, signin.Denied("the answer belongs to no sign-in that was begun here")
	}
	m, err := p.metadata(ctx, env)
	if err != nil {
		return signin.Proof{}, err
	}
	switch {
	case a.iss != "" && a.iss != p.cfg.Issuer:
		return signin.Proof{}, signin.Denied("the answer is of another provider: its iss is " + clip(a.iss))
	case a.iss == "" && m.issInAnswer:
		return signin.Proof{}, signin.Denied("the provider promises iss in its answers, and there is none")
	case a.err != "":
		return signin.Proof{}, signin.Denied("the provider says " + a.err)
	}
	token, err := p.oauth(env, m).Exchange(oidc.ClientContext(ctx, p.client), a.code, oauth2.VerifierOption(b.Verifier))
	if err != nil {
		return signin.Proof{}, tokenError("redeeming the code", err)
	}
	raw, _ := token.Extra("id_token").(string)
	c, err := p.checkToken(ctx, env, m, raw)
	if err != nil {
		return signin.Proof{}, err
	}
	if err := c.checkSignIn(b, token.AccessToken, p.cfg.Skew); err != nil {
		return signin.Proof{}, err
	}
	return p.proof(env, c, grant{Refresh: token.RefreshToken, IDToken: raw, Nonce: b.Nonce, Email: c.email, AuthTime: c.authTime})
}

// tokenError says whether the token endpoint's error is about this sign-in, or
// about anything else: only then is it a denial.
func tokenError(doing string, err error) error {
	var x *oauth2.RetrieveError
	if !errors.As(err, &x) {
		return fmt.Errorf("%s: %s", doing, clip(err.Error())) // the transport's; it names the endpoint
	}
	status := 0
	if x.Response != nil {
		status = x.Response.StatusCode
	}
	if x.ErrorCode == "invalid_grant" && status < http.StatusInternalServerError {
		return signin.Denied("the provider says invalid_grant: " + clip(x.ErrorDescription))
	}
	// The body is not repeated: it may quote what was sent.
	return fmt.Errorf("%s: the token endpoint answered %d %s", doing, status, clip(x.ErrorCode))
}

// grant is what is kept of a sign-in; package sso seals it.
type grant struct {
	Refresh  string `json:"refresh,omitempty"`
	IDToken  string `json:"id_token,omitempty"` // tells the provider who signs out
	Nonce    string `json:"nonce,omitempty"`
	Email    string `json:"email"`
	AuthTime int64  `json:"auth_time,omitempty"`
}

// proof puts together what was checked.
func (p *Provider) proof(env signin.Env, c *claims, g grant) (signin.Proof, error) {
	if len(g.Refresh) > maxRefreshToken {
		return signin.Proof{}, signin.Denied("the provider's refresh token is too long")
	}
	data, err := json.Marshal(g)
	if err != nil {
		return signin.Proof{}, errors.New("keeping the grant failed")
	}
	out := signin.Proof{
		Email: c.email, Subject: c.subject, Methods: c.methods, AuthTime: when(c.authTime),
		Grant: signin.Grant{Provider: p.cfg.Name, Subject: c.subject, Session: c.session, Data: data},
	}
	if p.cfg.Recheck > 0 && g.Refresh != "" {
		out.Grant.Recheck = env.Clock.Now().Add(p.cfg.Recheck)
	}
	return out, nil
}
