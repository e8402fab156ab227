// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package portal

import (
	"net/http/httptest"
	"strings"
	"testing"
)

// Signing out takes no body; one that is there must be JSON.
func TestSignOutWithoutABody(t *testing.T) {
	for _, tc := range []struct {
		name, media, body string
		want              int
	}{
		{"nothing", "", "", 204},
		{"JSON", "application/json", "{}", 204},
		{"a form", "application/x-www-form-urlencoded", "a=b", 415},
		{"bytes of no type", "", "{}", 415},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := httptest.NewRequest("POST", "https://crm.example.com/.crmgate/api/sign-out", strings.NewReader(tc.body))
			if tc.media != "" {
				r.Header.Set("Content-Type", tc.media)
			}
			w := httptest.NewRecorder()
			newPortal(newFake()).ServeHTTP(w, r)
			if w.Code != tc.want {
				t.Errorf("%d, want %d: a program cannot sign out", w.Code, tc.want)
			}
		})
	}
}
