// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package resource

import (
	"encoding/base64"
	"fmt"
	"strings"
)

// Read takes the value of the header, cookie or parameter that carries the CRM's
// session apart, by the names of Form. A value of another scheme, coding or form
// is an error that wraps ErrUnreadable and never holds the value.
func (s *SessionShape) Read(value string) (map[string]string, error) {
	if s.Scheme != "" {
		scheme, rest, ok := strings.Cut(value, " ")
		if !ok || !strings.EqualFold(scheme, s.Scheme) {
			return nil, fmt.Errorf("%w: the CRM's session is of another scheme", ErrUnreadable)
		}
		value = strings.TrimSpace(rest)
	}
	if s.Base64 {
		plain, err := base64.StdEncoding.Strict().DecodeString(value)
		if err != nil {
			return nil, fmt.Errorf("%w: the CRM's session is not base64", ErrUnreadable)
		}
		value = string(plain)
	}
	texts, ok := s.Form.match(value, false, nil)
	if !ok {
		return nil, fmt.Errorf("%w: the CRM's session is of another form", ErrUnreadable)
	}
	parts := make(map[string]string, len(texts))
	for i, name := range s.Form.Names {
		parts[name] = texts[i]
	}
	return parts, nil
}
