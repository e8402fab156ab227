// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package resource

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"
)

func TestSessionShape(t *testing.T) {
	s := loadMap(t, "tryton").Session
	code := func(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }
	got, err := s.Read("session " + code("sal:ly:7:c0ffee"))
	if err != nil || got["login"] != "sal:ly" || got["uid"] != "7" || got[s.Secret] != "c0ffee" {
		t.Errorf("a session of the CRM cannot be bound to its person: %v, %v", got, err)
	}
	for name, value := range map[string]string{
		"nothing":        "",
		"another scheme": "Basic " + code("sally:7:c0ffee"),
		"no base64":      "Session c0ffee!",
		"a part missing": "Session " + code("sally:c0ffee"),
		"an empty part":  "Session " + code("sally:7:"),
		"no scheme":      code("sally:7:c0ffee"),
	} {
		if got, err := s.Read(value); !errors.Is(err, ErrUnreadable) || strings.Contains(err.Error(), "c0ffee") {
			t.Errorf("%s: read as %v, %v", name, got, err)
		}
	}
}

// A map says how a session of the CRM ends, or is refused with a place.
func TestSessionSignOut(t *testing.T) {
	e := loadMap(t, "tryton").Session.SignOut
	if e == nil || e.Method != "POST" || e.Path != "" || e.ContentType != "application/json" || !strings.Contains(e.Body, "common.db.logout") {
		t.Errorf("a session of the CRM would outlive the gate's: %+v", e)
	}
	for src, want := range map[string]string{
		"{path: logout}":    `path "logout"; begin it with /`,
		"{method: CONNECT}": `method "CONNECT"; write POST, GET, DELETE or PUT`,
		"{url: /x}":         `unknown key "url"`,
	} {
		_, err := Parse("m.yaml", []byte("version: 1\nname: m\nsession: {cookie: sid, form: \"{key}\", secret: key, sign_out: "+src+"}\n"))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", src, err, want)
		}
	}
}
