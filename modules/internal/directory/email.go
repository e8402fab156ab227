// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package directory

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/crmgate/crmgate/modules/internal/records"
)

// MaxEmail is the greatest length of an e-mail address in bytes (RFC 5321
// section 4.5.3.1.3, without the angle brackets).
const MaxEmail = 254

// ErrEmail is returned by ParseEmail for anything that is no e-mail address.
var ErrEmail = errors.New("this is no e-mail address; write name@example.com")

// ParseEmail returns an address in the one form in which it is stored and
// compared: folded. It takes exactly one @ with something on both sides, and no
// spaces, controls, invisible characters or bad UTF-8; quoted local parts,
// comments and display names are refused. White space around it is not cut off.
func ParseEmail(s string) (string, error) {
	local, domain, found := strings.Cut(s, "@")
	if !found || local == "" || len(s) > MaxEmail || !utf8.ValidString(s) || !validDomain(domain) {
		return "", ErrEmail
	}
	for _, r := range s {
		if !unicode.IsGraphic(r) || unicode.IsSpace(r) || strings.ContainsRune(`"(),:;<>[\]`, r) {
			return "", ErrEmail
		}
	}
	folded := records.FoldEmail(s)
	if len(folded) > MaxEmail {
		return "", ErrEmail
	}
	return folded, nil
}

// validDomain takes dot-separated labels, none of them empty.
func validDomain(domain string) bool {
	if strings.Contains(domain, "@") {
		return false
	}
	for label := range strings.SplitSeq(domain, ".") {
		if label == "" || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
	}
	return true
}
