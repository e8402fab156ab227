// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package factor

import (
	"errors"
	"strings"
	"testing"

	"github.com/crmgate/crmgate/modules/internal/factor/factortest"
	"github.com/crmgate/crmgate/modules/internal/records"
)

func FuzzPasskeyAnswer(f *testing.F) {
	a := factortest.New(origin)
	w := newWorld(f)
	e, err := w.BeginEnrol(f.Context(), w.at(w.ada), Passkey)
	if err != nil {
		f.Fatal(err)
	}
	answer, err := a.Create(e.Creation)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(answer)
	_, request, err := w.PasskeyBegin(f.Context(), firefox, office)
	if err != nil {
		f.Fatal(err)
	}
	answer, err = a.Get(request)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(answer)
	f.Add([]byte(`{"id":"AA","rawId":"AA","type":"public-key","response":{}}`))
	ch := &challenge{Expires: start.AddDate(100, 0, 0)}
	ch.Data.Challenge, ch.Data.UserVerification = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "required"
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := w.provePasskey(t.Context(), w.ada, ch, b); !errors.Is(err, ErrWrong) {
			t.Errorf("proving: %v", err)
		}
		if _, err := w.create(t.Context(), w.ada, ch, b, ""); !errors.Is(err, ErrWrong) {
			t.Errorf("registering: %v", err)
		}
	})
}

func FuzzStored(f *testing.F) {
	f.Add([]byte(`{"serial":"x","secret":"JBSWY3DP","step":1,"added":"2030-01-01T00:00:00Z"}`))
	f.Add([]byte(`{"id":"x","person":"ada","purpose":"sign_in","due":["second_factor"],"expires":"2099-01-01T00:00:00Z"}`))
	f.Add([]byte(`{"serial":"x","added":"2030-01-01T00:00:00Z","key":{"id":"AA==","publicKey":"AA=="}}`))
	f.Add([]byte(`null`))
	w := newWorld(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, kind := range []string{TOTP, Passkey, Mail, SMS, "phone", Recovery, "device"} {
			sealed, err := w.vault.Seal("factor/"+kind, "ada", b)
			if err != nil {
				t.Fatal(err)
			}
			row := newRow(kind)
			if kind == "device" {
				row = new(deviceRow)
			}
			if w.openRow(records.Credential{PersonID: "ada", Kind: kind, Secret: sealed}, row) == nil && !row.whole() {
				t.Errorf("%s: half a row was taken", kind)
			}
		}
		hash := strings.Repeat("a", 64)
		sealed, err := w.vault.Seal("factor/pending", hash, b)
		if err != nil {
			t.Fatal(err)
		}
		if r, err := w.openPending(hash, sealed, Holder{}); err == nil && (r.ID != hash || r.PersonID == "" || !r.Expires.After(start)) {
			t.Errorf("a pending sign-in of %q was taken", r.PersonID)
		}
		if _, err := w.openPending(hash, b, Holder{}); err == nil {
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
