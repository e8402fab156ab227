// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/crmgate/crmgate/modules/internal/clock"
)

// Check is one thing Probe looked at.
type Check struct {
	Name   string `json:"name"` // "discovery", "keys", "clock", "sign-out", "redirect"
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`
}

// Probe asks the provider what a sign-in would, without signing anybody in, and
// says what it found. The error is that of the first check that failed; none of
// what is known for sign-ins is changed. c is the clock to compare with.
func (p *Provider) Probe(ctx context.Context, c clock.Clock) ([]Check, error) {
	now := c.Now()
	var checks []Check
	var first error
	add := func(name, good string, err error) {
		x := Check{Name: name, OK: err == nil, Detail: good}
		if err != nil {
			x.Detail = err.Error()
			if first == nil {
				first = fmt.Errorf("%s: %w", name, err)
			}
		}
		checks = append(checks, x)
	}
	cfg := p.cfg
	cfg.HTTP = p.trans.next
	fresh, err := New(cfg)
	if err != nil {
		return nil, err
	}
	m, err := fresh.discover(ctx, now)
	add("discovery", "the provider calls itself "+p.cfg.Issuer, err)
	if err != nil {
		return checks, first
	}
	detail, date, err := fresh.probeKeys(ctx, m)
	add("keys", detail, err)
	add("clock", "the clocks agree", p.probeClock(now, date))
	if m.endSession == "" {
		add("sign-out", "the provider has no address to sign out; signing out here leaves people signed in there", nil)
	} else {
		add("sign-out", "at "+m.endSession, nil)
	}
	return checks, first
}

// probeKeys reads the keys and counts those that could have signed a token.
func (p *Provider) probeKeys(ctx context.Context, m *metadata) (detail, date string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, m.keysURL, nil)
	if err != nil {
		return "", "", errors.New("the address of the keys is none")
	}
	res, err := p.client.Do(req)
	if err != nil {
		return "", "", errors.New(clip(err.Error()))
	}
	defer res.Body.Close()
	date = res.Header.Get("Date")
	if res.StatusCode != http.StatusOK {
		return "", date, fmt.Errorf("%s answered %d", m.keysURL, res.StatusCode)
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.NewDecoder(res.Body).Decode(&set); err != nil {
		return "", date, fmt.Errorf("%s gives no key set", m.keysURL)
	}
	n := 0
	for _, raw := range set.Keys {
		var k jose.JSONWebKey
		if k.UnmarshalJSON(raw) == nil && k.Valid() && k.IsPublic() && (k.Use == "" || k.Use == "sig") {
			n++
		}
	}
	if n == 0 {
		return "", date, fmt.Errorf("%s has no key that could sign a token", m.keysURL)
	}
	return fmt.Sprintf("%d keys; tokens signed with %s are accepted", n, strings.Join(m.algorithms, ", ")), date, nil
}

// probeClock compares the provider's clock with ours, within the skew and the
// second in which the header is rounded.
func (p *Provider) probeClock(now time.Time, date string) error {
	at, err := http.ParseTime(date)
	if err != nil {
		return nil //nolint:nilerr // a provider that does not tell the time is no mistake of anybody's
	}
	if d := at.Sub(now).Abs(); d > p.cfg.Skew+2*time.Second {
		return fmt.Errorf("the provider's clock differs by %v, and %v is accepted", d.Round(time.Second), p.cfg.Skew)
	}
	return nil
}
