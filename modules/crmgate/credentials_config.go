// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package crmgate

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"golang.org/x/net/http/httpguts"
)

// CredentialsBridge signs people in to the CRM with credentials stored for each of
// them, keeps the cookies or the token it hands out, and sets them on every request
// of theirs. The client never sees them: the CRM's Set-Cookie stays here, and what
// a client sends in these places is removed.
type CredentialsBridge struct {
	// The CRM's own sign-in, as the gate reaches it.
	SignIn string `json:"sign_in,omitempty"`
	// What is called by POST when a person has no session here any more; optional.
	SignOut string `json:"sign_out,omitempty"`
	// `form` (default) or `json`.
	Body string `json:"body,omitempty"`
	// What is posted: names and texts with {user} and {password}. Default username
	// and password.
	Fields []CredentialField `json:"fields,omitempty"`
	// Statuses that say yes; default any 2xx, 302 and 303.
	Success []int `json:"success,omitempty"`
	// Cookies that make the CRM's session; all of them have to come. Without cookies
	// and token, every cookie of the answer is kept, and there has to be one.
	Cookies []string `json:"cookies,omitempty"`
	// Where a token stands in the answer, and the header it goes into.
	Token *CredentialToken `json:"token,omitempty"`
	// How long what the CRM handed out is used at most; default 1h.
	Lifetime caddy.Duration `json:"lifetime,omitempty"`
	// Statuses of the CRM that say that it is over; default 401.
	Expired []int `json:"expired,omitempty"`
	// File of the authority of the CRM's certificate; default the system's.
	CA string `json:"ca,omitempty"`
}

// CredentialField is one member of what is posted to sign in.
type CredentialField struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

// CredentialToken says where a token comes from and where it goes.
type CredentialToken struct {
	Pointer string `json:"pointer"`          // RFC 6901, into the JSON of the answer
	Header  string `json:"header"`           //
	Prefix  string `json:"prefix,omitempty"` // such as Bearer
}

// check refuses what cannot work and fills in the defaults.
func (b *CredentialsBridge) check() error {
	for name, raw := range map[string]string{"sign_in": b.SignIn, "sign_out": b.SignOut} {
		if raw == "" && name == "sign_out" {
			continue
		}
		u, err := url.Parse(raw)
		if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil {
			return fmt.Errorf("reading bridge credentials: %s is to be an address of the CRM, such as https://crm.internal/login", name)
		}
	}
	if b.Body == "" {
		b.Body = "form"
	}
	if len(b.Fields) == 0 {
		b.Fields = []CredentialField{{"username", "{user}"}, {"password", "{password}"}}
	}
	if !strings.Contains(fmt.Sprint(b.Fields), "{password}") {
		return errors.New("reading bridge credentials: no field holds {password}")
	}
	if b.Token != nil {
		if !strings.HasPrefix(b.Token.Pointer, "/") || !httpguts.ValidHeaderFieldName(b.Token.Header) {
			return errors.New("reading bridge credentials: token is a JSON pointer and a header, such as `token /access_token Authorization Bearer`")
		}
		b.Token.Header = http.CanonicalHeaderKey(b.Token.Header)
	}
	if b.Lifetime == 0 {
		b.Lifetime = caddy.Duration(time.Hour)
	}
	if d := time.Duration(b.Lifetime); d < time.Minute || d > 24*time.Hour {
		return fmt.Errorf("reading bridge credentials: a lifetime of %s is not within 1m to 24h", d)
	}
	if len(b.Expired) == 0 {
		b.Expired = []int{http.StatusUnauthorized}
	}
	return nil
}

func unmarshalCredentialsBridge(d *caddyfile.Dispenser, b *CredentialsBridge) error {
	for d.NextBlock(1) {
		var err error
		switch d.Val() {
		case "sign_in":
			err = oneArg(d, &b.SignIn)
		case "sign_out":
			err = oneArg(d, &b.SignOut)
		case "body":
			if err = oneArg(d, &b.Body); err == nil && b.Body != "form" && b.Body != "json" {
				err = d.Errf("body is form or json, not %q", b.Body)
			}
		case "field":
			args := d.RemainingArgs()
			if len(args) != 2 {
				return d.ArgErr()
			}
			b.Fields = append(b.Fields, CredentialField{args[0], args[1]})
		case "success":
			b.Success, err = statuses(d)
		case "cookies":
			if b.Cookies = d.RemainingArgs(); len(b.Cookies) == 0 {
				err = d.ArgErr()
			}
		case "token":
			args := d.RemainingArgs()
			if len(args) < 2 || len(args) > 3 {
				return d.ArgErr()
			}
			b.Token = &CredentialToken{Pointer: args[0], Header: args[1]}
			if len(args) == 3 {
				b.Token.Prefix = args[2]
			}
		case "lifetime":
			err = durationArg(d, &b.Lifetime)
		case "expired":
			b.Expired, err = statuses(d)
		case "ca":
			err = oneArg(d, &b.CA)
		default:
			err = d.Errf("unrecognized bridge option %q", d.Val())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// statuses reads HTTP statuses.
func statuses(d *caddyfile.Dispenser) ([]int, error) {
	var out []int
	for _, s := range d.RemainingArgs() {
		n, err := strconv.Atoi(s)
		if err != nil || n < 100 || n > 599 {
			return nil, d.Errf("%q is no HTTP status", s)
		}
		out = append(out, n)
	}
	if len(out) == 0 {
		return nil, d.ArgErr()
	}
	return out, nil
}
