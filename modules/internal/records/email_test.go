// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package records

import "testing"

func TestFoldEmail(t *testing.T) {
	for in, want := range map[string]string{
		"asha@example.com":      "asha@example.com",
		"Asha@EXAMPLE.com":      "asha@example.com",
		"ÉLODIE@example.com":    "élodie@example.com",
		"as\u212aa@example.com": "as\u212aa@example.com", // Kelvin sign, not k
		"rav\u0130@example.com": "rav\u0130@example.com", // capital I with a dot, not i
		"":                      "",
	} {
		if got := FoldEmail(in); got != want {
			t.Errorf("%q is folded to %q, want %q: two people share an address, or one has two", in, got, want)
		}
	}
	if n := testing.AllocsPerRun(10, func() { _ = FoldEmail("asha@example.com") }); n != 0 {
		t.Errorf("folding what is folded allocates %v times", n)
	}
}
