// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package session

import (
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"testing"
)

func FuzzToken(f *testing.F) {
	f.Add("")
	f.Add(strings.Repeat("A", 43))
	f.Add(strings.Repeat("_", 42) + "8")
	f.Add(strings.Repeat("a", 42) + "=")
	f.Fuzz(func(t *testing.T, token string) {
		i, ok := parseToken(token)
		raw, err := base64.RawURLEncoding.Strict().DecodeString(token)
		if want := err == nil && len(raw) == tokenBytes && !strings.ContainsAny(token, "\r\n"); ok != want {
			t.Fatalf("token %q: accepted %v, want %v", token, ok, want)
		}
		if ok && i != sha256.Sum256([]byte(token)) {
			t.Fatalf("token %q does not stand for its hash", token)
		}
	})
}

func FuzzRecord(f *testing.F) {
	i := id{1}
	good, err := (&Session{ID: i.String(), PersonID: "p", Created: start, LastSeen: start, Kind: KindUser, IP: "::1"}).encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{}`))
	f.Add([]byte(`null`))
	f.Add([]byte(`{"id":1}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := decode(i, b)
		if err != nil {
			return
		}
		if s.ID != i.String() || s.PersonID == "" || s.Created.IsZero() {
			t.Fatalf("a record that is no session was read: %+v", s)
		}
		if l, err := decodeLock("lock/x", b); err == nil {
			t.Fatalf("a session was read as lock %+v", l)
		}
		again, err := s.encode()
		if err != nil {
			return // a time beyond the year 9999
		}
		if s2, err := decode(i, again); err != nil || s2.PersonID != s.PersonID || s2.Rev != s.Rev {
			t.Fatalf("a session does not read back: %v", err)
		}
	})
}
