// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// Package secretref checks addresses that may hold a password: a configuration
// can be read back through the admin API and is saved to disk, so a secret never
// stands in it, only a reference to where it is.
package secretref

import (
	"errors"
	"net/url"
	"regexp"
	"strings"
)

// ErrInline is returned for a password written into the configuration.
var ErrInline = errors.New("a password stands in the configuration; put the address into the environment and write {env.NAME}, or into a file and write {file./path}")

var placeholder = regexp.MustCompile(`\{[^{}]*\}`)

// Check refuses an address with a password in it, as it stands in the
// configuration, before placeholders are replaced.
func Check(raw string) error {
	raw = placeholder.ReplaceAllString(raw, "")
	if i := strings.Index(strings.ToLower(raw), "password="); i >= 0 && strings.Trim(raw[i+len("password="):], " '&") != "" {
		return ErrInline
	}
	u, err := url.Parse(raw)
	if err != nil {
		return errors.New("it is no address") // the parser's own message quotes what it could not parse
	}
	if pw, _ := u.User.Password(); pw != "" {
		return ErrInline
	}
	return nil
}

// Redact returns an address without its password, to tell two resources apart in
// keys and messages.
func Redact(addr string) string {
	u, err := url.Parse(addr)
	if err != nil || u.Scheme == "" {
		return "(unparsable address)"
	}
	if u.User != nil {
		u.User = url.User(u.User.Username())
	}
	q := u.Query()
	q.Del("password")
	u.RawQuery = q.Encode()
	return u.String()
}
