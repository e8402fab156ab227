// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"

	"github.com/crmgate/crmgate/modules/internal/signin"
)

// Leave says where to sign out (RP-Initiated Logout 1.0). A provider without such
// an endpoint, as Google, is a zero Next.
func (p *Provider) Leave(ctx context.Context, env signin.Env, g signin.Grant) (signin.Next, error) {
	m, err := p.metadata(ctx, env)
	if err != nil {
		return signin.Next{}, err
	}
	if m.endSession == "" {
		return signin.Next{}, nil
	}
	u, err := url.Parse(m.endSession)
	if err != nil {
		return signin.Next{}, fmt.Errorf("signing out at the provider: its address is none")
	}
	state, err := secret(env.Random)
	if err != nil {
		return signin.Next{}, fmt.Errorf("signing out at the provider: %w", err)
	}
	var kept grant
	_ = json.Unmarshal(g.Data, &kept) // without the hint the provider asks the person
	q := u.Query()
	if kept.IDToken != "" {
		q.Set("id_token_hint", kept.IDToken)
	}
	q.Set("client_id", p.cfg.ClientID)
	q.Set("post_logout_redirect_uri", env.Origin+signin.SSOPath(p.cfg.Name, "signed-out"))
	q.Set("state", state)
	u.RawQuery = q.Encode()
	return signin.Next{URL: u.String()}, nil
}
