// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package portal

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json"

	"github.com/crmgate/crmgate/policy"
)

// Limits on what a client sends.
const (
	maxBody     = 16 << 10 // bytes
	maxEmail    = 254      // bytes, RFC 5321 with the erratum
	maxPassword = 1024     // bytes; hashing more is work given away
	maxID       = 128      // bytes of a public handle
	maxLabel    = 64       // characters a person calls something by
	maxCode     = 32       // bytes of a code as typed, without blanks
)

// errForm is a body that does not parse.
var errForm = errors.New("portal: the body is not what the route asks for")

// credentials is what a sign-in sends: the password in clear or sealed.
type credentials struct {
	Email    string `json:"email"`
	Password string `json:"password,omitzero"`
	Sealed   string `json:"sealed,omitzero"`
}

// String keeps the password out of logs.
func (credentials) String() string { return "credentials" }

// complete says whether both are there and within their limits.
func (c credentials) complete() bool {
	return fineEmail(c.Email) && finePassword(c.Password, c.Sealed)
}

func fineEmail(s string) bool {
	return s != "" && len(s) <= maxEmail && utf8.ValidString(s) && !strings.ContainsRune(s, 0)
}

// finePassword says whether exactly one of a password in clear and a sealed one is
// there, and within its limits.
func finePassword(plain, sealed string) bool {
	if sealed != "" {
		return plain == "" && len(sealed) <= maxSealed && compact(sealed)
	}
	return plain != "" && len(plain) <= maxPassword && utf8.ValidString(plain)
}

// compact says whether s has the letters of a compact JWE.
func compact(s string) bool {
	for i := range len(s) {
		if c := s[i]; !isAlnum(c) && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return true
}

// fineID says whether s can be the public handle of something.
func fineID(s string) bool {
	return s != "" && len(s) <= maxID && utf8.ValidString(s) && !strings.ContainsAny(s, "/\x00")
}

// fineLabel says whether s, trimmed, can be what a person calls something.
func fineLabel(s string) bool {
	return utf8.ValidString(s) && utf8.RuneCountInString(s) <= maxLabel && !strings.ContainsFunc(s, unicode.IsControl)
}

// typedCode removes what people put between the digits of a code.
func typedCode(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return -1
		}
		return r
	}, s)
}

// readForm reads a urlencoded body. It answers the request itself and returns
// false when there is none to be had.
func (p *Portal) readForm(w http.ResponseWriter, r *http.Request) (url.Values, bool) {
	body, ok := p.readBody(w, r, asPage, "application/x-www-form-urlencoded")
	if !ok {
		return nil, false
	}
	v, err := url.ParseQuery(string(body))
	if err == nil {
		for _, values := range v {
			if len(values) != 1 || !utf8.ValidString(values[0]) {
				err = errForm
			}
		}
	}
	if err != nil {
		p.refuse(w, r, asPage, Refusal{Reason: policy.BadRequest})
		return nil, false
	}
	return v, true
}

// readJSON reads a JSON body into into, strictly: duplicate and unknown members,
// other letter case, invalid UTF-8 and anything after the value are refused. It
// answers the request itself and returns false on failure.
func (p *Portal) readJSON(w http.ResponseWriter, r *http.Request, into any) bool {
	body, ok := p.readBody(w, r, asJSON, "application/json")
	if !ok {
		return false
	}
	if err := json.Unmarshal(body, into, json.RejectUnknownMembers(true)); err != nil {
		p.refuse(w, r, asJSON, Refusal{Reason: policy.BadRequest})
		return false
	}
	return true
}

// readNothing reads the body of a call that needs none; one that is there must be
// an empty JSON object. It answers the request itself and returns false on failure.
func (p *Portal) readNothing(w http.ResponseWriter, r *http.Request) bool {
	if r.ContentLength == 0 && r.Header.Get("Content-Type") == "" {
		return true
	}
	body, ok := p.readBody(w, r, asJSON, "application/json")
	if !ok {
		return false
	}
	var nothing struct{}
	if len(body) > 0 && json.Unmarshal(body, &nothing, json.RejectUnknownMembers(true)) != nil {
		p.refuse(w, r, asJSON, Refusal{Reason: policy.BadRequest})
		return false
	}
	return true
}

// readBody reads at most maxBody bytes of one media type.
func (p *Portal) readBody(w http.ResponseWriter, r *http.Request, f form, media string) ([]byte, bool) {
	got, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	charset := params["charset"]
	if err != nil || got != media || charset != "" && !strings.EqualFold(charset, "utf-8") || len(r.Header["Content-Type"]) != 1 ||
		r.Header.Get("Content-Encoding") != "" {
		p.fail(w, r, f, faultMedia)
		return nil, false
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			p.fail(w, r, f, faultTooLarge)
		} else {
			p.refuse(w, r, f, Refusal{Reason: policy.BadRequest})
		}
		return nil, false
	}
	return body, true
}
