// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package session

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/crmgate/crmgate/modules/internal/state"
)

func TestCreateAndLookup(t *testing.T) {
	w := newWorld(t)
	m, l := w.gateway()
	token, s := signIn(t, m, ada)
	if len(token) != TokenLen {
		t.Errorf("the token has %d characters, want %d", len(token), TokenLen)
	}
	before := l.calls.Load()
	got := wantGood(t, m, token)
	if l.calls.Load() != before {
		t.Error("a lookup of a known session asked the store: every request would cost a round trip")
	}
	if got.ID != s.ID || got.PersonID != "p1" || got.Email != "ada@example.com" || got.Role != "sales_user" ||
		got.Kind != KindUser || got.IP != "192.0.2.7" || got.Label != "laptop" || got.Device != "d1" ||
		strings.Join(got.Methods, ",") != "pwd,otp" || !got.Created.Equal(start) || !got.AuthTime.Equal(start) {
		t.Errorf("the session reads back as %+v", got)
	}
	if err := w.store.List(t.Context(), "", func(e state.Entry) bool {
		if strings.Contains(e.Key, token) || bytes.Contains(e.Value, []byte(token)) {
			t.Error("the token itself is in the store: whoever reads the store can use it")
		}
		return true
	}); err != nil {
		t.Fatal(err)
	}
}

func TestCreateRefuses(t *testing.T) {
	w := newWorld(t)
	m, l := w.gateway()
	for name, n := range map[string]SignIn{
		"nobody":         {Email: "x@example.com"},
		"no address":     {PersonID: "p", IP: "localhost"},
		"over at once":   {PersonID: "p", Until: start},
		"over long ago":  {PersonID: "p", Until: start.Add(-time.Hour)},
		"address + port": {PersonID: "p", IP: "192.0.2.1:80"},
	} {
		if _, _, err := m.Create(t.Context(), n); err == nil {
			t.Errorf("%s: a session was made", name)
		}
	}
	l.away.Store(true)
	if _, _, err := m.Create(t.Context(), ada); !errors.Is(err, ErrUnavailable) {
		t.Errorf("without a store: %v, want ErrUnavailable", err)
	}
	bad, _ := w.gateway(func(o *Options) { o.Rand = bytes.NewReader(make([]byte, 31)) })
	if _, _, err := bad.Create(t.Context(), ada); err == nil {
		t.Error("a session was made of too little randomness")
	}
}

func TestTokenShape(t *testing.T) {
	w := newWorld(t)
	m, l := w.gateway()
	token, _ := signIn(t, m, ada)
	twin := token[:42] + string(token[42]+1) // the same 256 bits, other spare bits
	calls := l.calls.Load()
	for _, bad := range []string{
		"", token[:42], token + "A", token + "=", " " + token[1:], "+" + token[1:], "/" + token[1:],
		twin, strings.Repeat("\x00", 43), strings.Repeat("é", 22)[:43], token + token, strings.Repeat("A", 1<<20),
	} {
		wantErr(t, m, bad, ErrNoSession)
	}
	if l.calls.Load() != calls {
		t.Error("malformed tokens reached the store")
	}
}
