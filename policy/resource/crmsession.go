// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package resource

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/textproto"
	"strings"
)

// ErrNoSession is returned when a request carries no session of the CRM's own, or
// a sign-in's answer grants none.
var ErrNoSession = errors.New("resource: no CRM session")

// CarriedSession returns what identifies the CRM's own session in a request. It is
// ErrNoSession when the place the map names is empty, and ErrUnreadable when
// something stands there that is not of the declared form, or stands there twice:
// another way to prove oneself to the CRM that the gate does not know.
func (m *Map) CarriedSession(r *Request) (string, error) {
	s := m.Session
	if s == nil {
		return "", ErrNoSession
	}
	values := s.carried(r)
	switch len(values) {
	case 0:
		return "", ErrNoSession
	case 1:
	default:
		return "", fmt.Errorf("%w: the CRM session is there twice", ErrUnreadable)
	}
	value := values[0]
	if s.Scheme != "" {
		word, rest, ok := strings.Cut(value, " ")
		if !ok || !equalASCII(word, s.Scheme, true) {
			return "", fmt.Errorf("%w: the CRM session is not of scheme %s", ErrUnreadable, s.Scheme)
		}
		value = strings.TrimSpace(rest)
	}
	return s.secret(value)
}

// CarriedValue returns what stands at the place of the CRM's session, as it came;
// "" unless it stands there once.
func (m *Map) CarriedValue(r *Request) string {
	if m.Session == nil {
		return ""
	}
	if values := m.Session.carried(r); len(values) == 1 {
		return values[0]
	}
	return ""
}

// carried returns every value at the place of the session.
func (s *SessionShape) carried(r *Request) []string {
	switch {
	case s.Header != "":
		return r.Header[textproto.CanonicalMIMEHeaderKey(s.Header)]
	case s.Query != "":
		return foldedValues(r.Query, s.Query)
	}
	var out []string
	for _, line := range r.Header["Cookie"] {
		for pair := range strings.SplitSeq(line, ";") { // RFC 6265 §5.4
			if name, value, ok := strings.Cut(strings.TrimSpace(pair), "="); ok && name == s.Cookie {
				out = append(out, value)
			}
		}
	}
	return out
}

// secret takes the identifying capture out of a carried value.
func (s *SessionShape) secret(value string) (string, error) {
	if s.Base64 {
		raw, err := base64.StdEncoding.DecodeString(value)
		if err != nil {
			return "", fmt.Errorf("%w: the CRM session is not base64", ErrUnreadable)
		}
		value = string(raw)
	}
	captures, ok := s.Form.match(value, false, nil)
	if !ok {
		return "", fmt.Errorf("%w: the CRM session is not of the form the map gives", ErrUnreadable)
	}
	for i, name := range s.Form.Names {
		if name == s.Secret && captures[i] != "" {
			return captures[i], nil
		}
	}
	return "", fmt.Errorf("%w: the CRM session has no %s", ErrUnreadable, s.Secret)
}

// GrantedSession returns what identifies the session that the answer of a sign-in
// route grants. It is ErrNoSession when the answer has nothing at the place the
// map names, which is how a CRM refuses a sign-in, and ErrUnreadable when the
// answer is not strict JSON.
func (m *Map) GrantedSession(route *Route, answer []byte) (string, error) {
	if m.Session == nil || route == nil {
		return "", ErrNoSession
	}
	src, ok := route.Grants[m.Session.Secret]
	if !ok || !src.Reply {
		return "", ErrNoSession
	}
	doc, err := decodeJSON(answer)
	if err != nil {
		return "", fmt.Errorf("%w: the answer of the sign-in: %w", ErrUnreadable, err)
	}
	v, err := doc.at(src.Body)
	if err != nil {
		return "", fmt.Errorf("%w: the answer of the sign-in: %w", ErrUnreadable, err)
	}
	if v == nil {
		return "", ErrNoSession
	}
	text, ok := v.scalar()
	if !ok || text == "" {
		return "", ErrNoSession
	}
	return text, nil
}
