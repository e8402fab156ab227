// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package crmgate

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/crmgate/crmgate/modules/internal/assertion"
	"github.com/crmgate/crmgate/modules/portal"
	"github.com/crmgate/crmgate/policy"
	"github.com/crmgate/crmgate/policy/resource"
)

// DefaultJWTHeader carries the signed identity unless the configuration says otherwise.
const DefaultJWTHeader = "X-Crmgate-Jwt-Assertion"

// refusedError is an error with a reason from the closed list.
type refusedError struct {
	reason policy.Reason
	error
}

// Unwrap returns what was wrong.
func (e *refusedError) Unwrap() error { return e.error }

// because gives an error its reason.
func because(reason policy.Reason, err error) error { return &refusedError{reason: reason, error: err} }

// ReasonOf returns the reason an error carries, or Internal.
func ReasonOf(err error) policy.Reason {
	if r, ok := errors.AsType[*refusedError](err); ok {
		return r.reason
	}
	return policy.Internal
}

// checkBridges holds the bridges against the map and collects what clients must
// not send to the CRM: what says who they are, and the secret of a sign-in that waits.
func (a *App) checkBridges() error {
	b := a.Config.Bridge
	if b == nil {
		b = new(BridgeConfig)
	}
	headers := append([]string{DefaultJWTHeader, portal.StepHeader}, a.resources.Credentials.Headers...)
	if b.JWT != nil {
		if b.JWT.Header == "" {
			b.JWT.Header = DefaultJWTHeader
		}
		if b.JWT.Audience == "" {
			b.JWT.Audience = a.Account
		}
		if d := time.Duration(b.JWT.Lifetime); d != 0 && (d < 10*time.Second || d > 5*time.Minute) {
			return fmt.Errorf("reading bridge jwt: a lifetime of %s is not within 10s to 5m", d)
		}
		headers = append(headers, b.JWT.Header)
	}
	if h := b.Headers; h != nil {
		for _, name := range []string{h.User, h.Email, h.Name, h.Role} {
			if name != "" {
				headers = append(headers, name)
			}
		}
	}
	if b.Keys && len(a.resources.Credentials.Headers) < 2 && len(a.resources.Credentials.Query) < 2 {
		return fmt.Errorf("reading bridge keys: the map %s does not say where a key pair goes", a.resources.Name)
	}
	if b.Adopt && a.resources.Session == nil {
		return fmt.Errorf("reading bridge adopt: the map %s describes no session of the CRM's own", a.resources.Name)
	}
	if c := b.Credentials; c != nil {
		if b.Adopt {
			return errors.New("reading bridge credentials: with bridge adopt people sign in to the CRM themselves; keep one of the two")
		}
		if err := c.check(); err != nil {
			return err
		}
		if c.Token != nil {
			headers = append(headers, c.Token.Header)
		}
		var err error
		if a.logins, err = newCRMLogins(a, c); err != nil {
			return err
		}
	}
	if err := b.checkNames(a.resources.Credentials.Headers); err != nil {
		return err
	}
	a.forbidden = NewForbidden(headers, a.resources.Credentials.Query)
	a.pairNames = pairNames(a.resources.Credentials)
	return nil
}

// Bridge tells the CRM who asks: it fills what the transport sets on the request,
// after everything a client sent has been removed.
func (a *App) Bridge(ctx context.Context, d *Decision, req *resource.Request) error {
	b, p := a.Config.Bridge, d.Principal
	if b == nil || p == nil || p.Kind == policy.Nobody {
		return nil
	}
	d.Identity = http.Header{}
	if b.JWT != nil {
		if err := a.bridgeJWT(d, b.JWT); err != nil {
			return err
		}
	}
	if h := b.Headers; h != nil {
		for name, value := range map[string]string{h.User: p.ID, h.Email: p.Email, h.Name: headerText(p.Name), h.Role: p.Role} {
			if name != "" && value != "" {
				d.Identity.Set(name, value)
			}
		}
	}
	if b.Keys {
		if err := a.bridgeKeys(ctx, d); err != nil {
			return err
		}
	}
	if b.Credentials != nil {
		if err := a.bridgeCredentials(ctx, d); err != nil {
			return err
		}
	}
	if b.Adopt {
		return a.adopt(ctx, d, req)
	}
	return nil
}

func (a *App) bridgeJWT(d *Decision, b *JWTBridge) error {
	p := d.Principal
	sid := ""
	if d.Session != nil {
		sid = ShortID(d.Session.ID)
	}
	token, err := a.runtime.Load().signer.Token(assertion.Claims{
		Subject: p.ID, Email: p.Email, Name: p.Name, Role: p.Role, Session: sid, Audience: b.Audience, Policy: short(a.snapshot.Load().Policy.Digest()),
	})
	if err != nil {
		return because(policy.Internal, fmt.Errorf("signing the assertion: %w", err))
	}
	d.Identity.Set(b.Header, token)
	return nil
}

// bridgeKeys injects the person's own key pair.
func (a *App) bridgeKeys(ctx context.Context, d *Decision) error {
	access, secret, err := a.runtime.Load().keys.Get(ctx, d.Principal.ID)
	if err != nil {
		return err
	}
	c := a.resources.Credentials
	if len(c.Headers) >= 2 {
		d.Identity.Set(c.Headers[0], access)
		d.Identity.Set(c.Headers[1], secret)
		return nil
	}
	d.Query = map[string]string{c.Query[0]: access, c.Query[1]: secret}
	return nil
}

// headerText reduces a name to what a header may carry.
func headerText(s string) string {
	out := make([]byte, 0, len(s))
	for _, r := range s {
		if r >= ' ' && r < 0x7f {
			out = append(out, byte(r))
		}
	}
	return string(out)
}
