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
