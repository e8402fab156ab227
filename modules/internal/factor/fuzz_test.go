// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package factor

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/crmgate/crmgate/modules/internal/clock"
	"github.com/crmgate/crmgate/modules/internal/factor/factortest"
	"github.com/crmgate/crmgate/modules/internal/records"
	"github.com/crmgate/crmgate/modules/internal/vault"
)

// bare is a manager without stores, and a person with one passkey and a challenge
// that nobody has answered yet.
func bare(f *testing.F) (*Manager, *factortest.Authenticator, *webUser) {
	f.Helper()
	u, err := url.Parse(origin)
	if err != nil {
		f.Fatal(err)
	}
	web, err := newWebAuthn("Acme CRM", u)
	if err != nil {
		f.Fatal(err)
	}
	m := &Manager{o: Options{Clock: clock.NewFake(start), Rand: rand.Reader}, web: web}
	return m, factortest.New(origin), &webUser{handle: bytes.Repeat([]byte{7}, handleBytes), email: "ada@example.com", name: "ada"}
}

func FuzzPasskeyAnswer(f *testing.F) {
	m, a, u := bare(f)
	creation, data, err := m.web.BeginRegistration(u)
	if err != nil {
		f.Fatal(err)
	}
	request, err := json.Marshal(creation.Response)
	if err != nil {
		f.Fatal(err)
	}
	attested, err := a.Create(request)
	if err != nil {
		f.Fatal(err)
	}
	key, err := m.checkCreation(u, m.newChallenge(data), attested)
	if err != nil {
		f.Fatal(err)
	}
	u.keys = []webauthn.Credential{*key}
	a.Keys[0].Counter++
	asserted, err := a.Assert(a.Keys[0], data.Challenge)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(attested)
	f.Add(asserted)
	f.Add([]byte(`{"id":"AA","rawId":"AA","type":"public-key","response":{}}`))
	login := &challenge{Data: webauthn.SessionData{Challenge: data.Challenge, UserID: u.handle, AllowedCredentialIDs: [][]byte{key.ID}}, Expires: start.AddDate(1, 0, 0)}
	other := &challenge{Data: *data, Expires: start.AddDate(1, 0, 0)}
	other.Data.Challenge = strings.Repeat("A", 43)
	f.Fuzz(func(t *testing.T, b []byte) {
		// Nobody can sign, so what is taken is the seed, however it is spelled.
		if got, err := m.checkAssertion(u, login, b); err == nil && got.Authenticator.SignCount != 2 || err != nil && !errors.Is(err, ErrWrong) {
			t.Errorf("proving: %v", err)
		}
		if _, err := m.checkCreation(u, other, b); !errors.Is(err, ErrWrong) {
			t.Errorf("registering with a challenge nobody answered: %v", err)
		}
	})
}

func FuzzStored(f *testing.F) {
	f.Add([]byte(`{"serial":"x","secret":"JBSWY3DP","step":1,"added":"2030-01-01T00:00:00Z"}`))
	f.Add([]byte(`{"id":"x","person":"ada","purpose":"sign_in","due":["second_factor"],"expires":"2099-01-01T00:00:00Z"}`))
	f.Add([]byte(`{"serial":"x","added":"2030-01-01T00:00:00Z","key":{"id":"AA==","publicKey":"AA=="}}`))
	f.Add([]byte(`null`))
	m, _, _ := bare(f)
	key, err := vault.New(bytes.Repeat([]byte{1}, vault.KeyBytes))
	if err != nil {
		f.Fatal(err)
	}
	m.o.Vault = key
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, kind := range []string{TOTP, Passkey, Mail, SMS, "phone", Recovery, "device"} {
			sealed, err := m.o.Vault.Seal("factor/"+kind, "ada", b)
			if err != nil {
				t.Fatal(err)
			}
			row := newRow(kind)
			if kind == "device" {
				row = new(deviceRow)
			}
			if m.openRow(records.Credential{PersonID: "ada", Kind: kind, Secret: sealed}, row) == nil && !row.whole() {
				t.Errorf("%s: half a row was taken", kind)
			}
		}
		hash := strings.Repeat("a", 64)
		sealed, err := m.o.Vault.Seal("factor/pending", hash, b)
		if err != nil {
			t.Fatal(err)
		}
		if r, err := m.openPending(hash, sealed, Holder{}); err == nil && (r.ID != hash || r.PersonID == "" || !r.Expires.After(start)) {
			t.Errorf("a pending sign-in of %q was taken", r.PersonID)
		}
		if _, err := m.openPending(hash, b, Holder{}); err == nil {
			t.Error("bytes nobody sealed are a pending sign-in")
		}
	})
}

func FuzzDeviceCookie(f *testing.F) {
	f.Add(strings.Repeat("A", 22) + "." + strings.Repeat("A", 43))
	f.Add("..")
	f.Add("")
	f.Fuzz(func(t *testing.T, cookie string) {
		id, secret, ok := parseDevice(cookie)
		if ok && (id+"."+secret != cookie || len(cookie) != 66 || strings.ContainsAny(cookie, "\r\n/ ;,\"")) {
			t.Errorf("%q is taken as a cookie", cookie)
		}
	})
}
