// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"net/url"
	"testing"
)

// TestOtherMethod: no parameter makes a CRM do something else than was judged.
func TestOtherMethod(t *testing.T) {
	for query, want := range map[string]bool{
		"": false, "a=b&method=PUT": false, "_method=post": false, "_method=POST&_method=POST": false,
		"_method=DELETE": true, "a=b&_METHOD=delete": true, "_method=POST&_method=PUT": true, "_method": true, "X-HTTP-Method-Override=PUT": true, "%5fmethod=PUT": true,
	} {
		q, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		if got := otherMethod("POST", q); got != want {
			t.Errorf("POST ?%s says another method: %v, want %v", query, got, want)
		}
	}
}
