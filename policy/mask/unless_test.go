// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package mask

import "testing"

// TestUnless: what holds stays byte for byte, everything else is the same text.
func TestUnless(t *testing.T) {
	fit := func(text []byte) bool { return string(text) == "fit" || string(text) == "17" }
	for _, c := range []struct {
		f        *Func
		in, want string
	}{
		{Unless(fit, "no"), "fit", "fit"}, {Unless(fit, "no"), "unfit", "no"}, {Unless(fit, ""), "unfit", FullText}, {Unless(fit, "no"), "", ""},
	} {
		if got := string(c.f.AppendString(nil, c.in)); got != c.want {
			t.Errorf("%q becomes %q, want %q", c.in, got, c.want)
		}
	}
	for in, want := range map[string]string{"17": "17", "98": "null"} {
		if got := string(Unless(fit, "no").Number([]byte(in))); got != want {
			t.Errorf("the number %s becomes %s, want %s", in, got, want)
		}
	}
}
