// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package crmgate

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"go.uber.org/zap"
)

// Send sends one request to the CRM.
type Send func(*http.Request) (*http.Response, error)

// bridgeCredentials sets what the CRM handed out to the person on the request, and
// keeps what the CRM changes of it in the answer.
func (a *App) bridgeCredentials(ctx context.Context, d *Decision) error {
	k, person := a.logins, d.Principal.ID
	l, err := k.login(ctx, person)
	if err != nil {
		return err
	}
	k.wear(d.Identity, l)
	d.Around = func(req *http.Request, send Send) (*http.Response, error) {
		return k.around(req, send, person, l)
	}
	return nil
}

// wear sets cookies and token. The client's own cookies do not reach the CRM: it
// has none of the CRM's, and one that looks like one would be a forgery.
func (k *crmLogins) wear(h http.Header, l *crmLogin) {
	if len(l.Cookies) > 0 {
		pairs := make([]string, len(l.Cookies))
		for i, c := range l.Cookies {
			pairs[i] = c.Name + "=" + c.Value
		}
		h.Set("Cookie", strings.Join(pairs, "; "))
	}
	if t := k.bridge.Token; t != nil {
		h.Set(t.Header, strings.TrimSpace(t.Prefix+" "+l.Token))
	}
}

// around sends a request as a person of the CRM. When the CRM says that its
// session is over, it is renewed, and a request without a body is sent once more;
// another one is not sent twice.
func (k *crmLogins) around(req *http.Request, send Send, personID string, l *crmLogin) (*http.Response, error) {
	res, err := send(req)
	if err != nil {
		return nil, err
	}
	if slices.Contains(k.bridge.Expired, res.StatusCode) {
		ctx := req.Context()
		if err := k.spoil(ctx, personID, l); err != nil {
			k.app.logger.Warn("forgetting an expired session of the CRM failed", zap.Error(err))
		}
		if req.Body == nil || req.Body == http.NoBody || req.ContentLength == 0 {
			if next, err := k.login(ctx, personID); err == nil {
				again := req.Clone(ctx)
				k.wear(again.Header, next)
				_ = res.Body.Close()
				if res, err = send(again); err != nil {
					return nil, err
				}
				l = next
			}
		}
	}
	k.learn(req.Context(), res, personID, l)
	return res, nil
}

// learn takes the cookies out of an answer and keeps those that are part of the
// CRM's session: it may change them at any time.
func (k *crmLogins) learn(ctx context.Context, res *http.Response, personID string, l *crmLogin) {
	cookies := res.Cookies()
	res.Header.Del("Set-Cookie")
	next, now := *l, k.app.clock().Now()
	next.Cookies = slices.Clone(l.Cookies)
	for _, c := range cookies {
		if slices.ContainsFunc(l.Cookies, func(o crmCookie) bool { return o.Name == c.Name && o.Value != c.Value }) && c.Value != "" && c.MaxAge >= 0 {
			next.set(c, now)
		}
	}
	if !slices.Equal(next.Cookies, l.Cookies) && now.Before(next.Until) {
		if err := k.keep(ctx, personID, &next); err != nil {
			k.app.logger.Warn("keeping the CRM's changed session failed", zap.Error(err))
		}
	}
}

// leave signs a person out of the CRM and forgets what it had handed out. It is
// called when the person has no session here any more; whoever takes what is kept
// does it, once.
func (k *crmLogins) leave(ctx context.Context, personID string) error {
	l, err := k.shared(ctx, personID)
	if err != nil || l == nil {
		return err
	}
	k.remember(personID, nil)
	if _, err := k.app.runtime.Load().state.Take(ctx, crmLoginAt+personID); err != nil {
		return nil //nolint:nilerr // somebody else does it, or it has expired
	}
	if k.bridge.SignOut == "" {
		return nil
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, k.bridge.SignOut, http.NoBody)
	if err != nil {
		return err
	}
	k.wear(req.Header, l)
	res, err := k.client.Do(req)
	if err != nil {
		return err
	}
	return res.Body.Close()
}
