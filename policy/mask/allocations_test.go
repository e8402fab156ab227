// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// The race detector's build keeps more on the heap; the run without it holds the
// promise.
//go:build !race

package mask

import "testing"

// TestMaskingMakesNoGarbage holds that masking a value allocates nothing; token,
// which hashes, is the exception.
func TestMaskingMakesNoGarbage(t *testing.T) {
	values := map[string]string{
		"phone": "+91-98765 43210", "email": "asha.rao@example.co.in", "pan": "ABCPE1234F", "aadhaar": "2345 6789 0123",
		"card": "4111-1111-1111-1111", "date": "2024-05-17 10:11:12.000", "round": "45678.90", "bucket": "45678",
	}
	dst := make([]byte, 0, 256)
	for _, name := range Names() {
		if name == "token" {
			continue
		}
		s := Spec{Fn: name}
		if name == "round" || name == "bucket" {
			s.Step = 1000
		}
		f, value, number := compile(t, s), []byte("Bengaluru, Karnataka"), []byte("9876543210")
		if v := values[name]; v != "" {
			value = []byte(v)
		}
		if n := testing.AllocsPerRun(100, func() { f.AppendBytes(dst, value); f.AppendNumber(dst, number) }); n > 0 {
			t.Errorf("%s: %.0f allocations a value: a page of records makes garbage", name, n)
		}
	}
	for _, text := range []string{"call +91 98765-43210 now", "asha@example.in", "pan abcpe1234f, 2024-05-17", "Pending since 1998, 2004"} {
		if n := testing.AllocsPerRun(100, func() { Detect(dst, []byte(text)) }); n > 0 {
			t.Errorf("detecting in %q: %.0f allocations: a page of records makes garbage", text, n)
		}
	}
}
