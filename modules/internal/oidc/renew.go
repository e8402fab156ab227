// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"cmp"
	"context"
	"encoding/json"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/crmgate/crmgate/modules/internal/signin"
)

// Renew redeems the refresh token. The provider's no (invalid_grant) and a new ID
// token that fails any check of a sign-in, or names another person or address, are
// denials; every other failure says nothing about the person. A provider that gives
// no new ID token is believed about the refresh token alone.
func (p *Provider) Renew(ctx context.Context, env signin.Env, g signin.Grant) (signin.Proof, error) {
	var old grant
	if err := json.Unmarshal(g.Data, &old); err != nil || old.Refresh == "" {
		return signin.Proof{}, signin.Denied("there is nothing to renew the sign-in with")
	}
	m, err := p.metadata(ctx, env)
	if err != nil {
		return signin.Proof{}, err
	}
	source := p.oauth(env, m).TokenSource(oidc.ClientContext(ctx, p.client), &oauth2.Token{RefreshToken: old.Refresh})
	token, err := source.Token()
	if err != nil {
		return signin.Proof{}, tokenError("renewing a sign-in", err)
	}
	next := old
	next.Refresh = cmp.Or(token.RefreshToken, old.Refresh)
	raw, _ := token.Extra("id_token").(string)
	if raw == "" {
		return p.proof(env, &claims{subject: g.Subject, session: g.Session, email: old.Email, authTime: old.AuthTime}, next)
	}
	c, err := p.checkToken(ctx, env, m, raw)
	if err != nil {
		return signin.Proof{}, err
	}
	switch {
	case c.subject != g.Subject:
		return signin.Proof{}, signin.Denied("the new ID token is of somebody else (sub)")
	case c.nonce != "" && c.nonce != old.Nonce:
		return signin.Proof{}, signin.Denied("the new ID token was made for another sign-in (nonce)")
	case c.email != old.Email:
		return signin.Proof{}, signin.Denied("the e-mail address has changed at the provider")
	case old.AuthTime != 0 && c.authTime != 0 && c.authTime != old.AuthTime:
		return signin.Proof{}, signin.Denied("the new ID token is of another sign-in (auth_time)")
	}
	next.IDToken = raw
	return p.proof(env, c, next)
}
