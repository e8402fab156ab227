// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package crmgate

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/crmgate/crmgate/modules/internal/factor"
	"github.com/crmgate/crmgate/modules/internal/sms"
)

// setUpSMS prepares the webhook that sends text messages.
func (a *App) setUpSMS() error {
	c := a.SMS
	if c == nil {
		return nil
	}
	secret, err := secretReference(c.Secret)
	if err != nil {
		return fmt.Errorf("reading sms: secret: %w", err)
	}
	o := sms.Options{URL: c.URL, Secret: secret, Timeout: time.Duration(c.Timeout), Clock: a.clock()}
	for _, n := range c.Networks {
		p, err := netip.ParsePrefix(n)
		if err != nil {
			return fmt.Errorf("reading sms: networks: %q is no range such as 10.0.0.0/8", n)
		}
		o.Allow = append(o.Allow, p)
	}
	if c.CA != "" {
		if o.RootCAs, err = authority(c.CA); err != nil {
			return fmt.Errorf("reading sms: %w", err)
		}
	}
	if a.post.sms, err = sms.New(o); err != nil {
		return fmt.Errorf("reading sms: %w", err)
	}
	return nil
}

// smsCode sends codes as text messages; nil when none are sent.
func (a *App) smsCode() factor.Sender {
	s := a.post.sms
	if s == nil {
		return nil
	}
	return func(ctx context.Context, msg factor.Message) error {
		return s.Send(ctx, msg.To, string(msg.Code.Reveal())+" is your code for "+a.Title+". Nobody from us will ever ask you for it.")
	}
}
