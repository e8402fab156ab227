// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package crmgate

import (
	"strconv"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

func (a *App) unmarshalMail(d *caddyfile.Dispenser) error {
	if d.NextArg() {
		return d.ArgErr()
	}
	m := new(MailConfig)
	a.Mail = m
	for d.NextBlock(1) {
		var err error
		switch d.Val() {
		case "host":
			err = oneArg(d, &m.Host)
		case "port":
			var s string
			if err = oneArg(d, &s); err == nil {
				if m.Port, err = strconv.Atoi(s); err != nil || m.Port < 1 || m.Port > 65535 {
					err = d.Errf("%q is no port", s)
				}
			}
		case "tls":
			err = oneArg(d, &m.TLS)
		case "ca":
			err = oneArg(d, &m.CA)
		case "user":
			err = oneArg(d, &m.User)
		case "password":
			err = oneArg(d, &m.Password)
		case "from":
			err = oneArg(d, &m.From)
		case "timeout":
			err = durationArg(d, &m.Timeout)
		default:
			err = d.Errf("unrecognized mail option %q", d.Val())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (a *App) unmarshalSMS(d *caddyfile.Dispenser) error {
	if d.NextArg() {
		return d.ArgErr()
	}
	s := new(SMSConfig)
	a.SMS = s
	for d.NextBlock(1) {
		var err error
		switch d.Val() {
		case "url":
			err = oneArg(d, &s.URL)
		case "secret":
			err = oneArg(d, &s.Secret)
		case "networks":
			if s.Networks = d.RemainingArgs(); len(s.Networks) == 0 {
				err = d.ArgErr()
			}
		case "ca":
			err = oneArg(d, &s.CA)
		case "timeout":
			err = durationArg(d, &s.Timeout)
		default:
			err = d.Errf("unrecognized sms option %q", d.Val())
		}
		if err != nil {
			return err
		}
	}
	return nil
}
