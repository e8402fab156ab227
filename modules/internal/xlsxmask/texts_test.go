// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package xlsxmask

import (
	"fmt"
	"testing"
)

// A text is never given as another one, however many there are, and one that
// comes again is written once.
func TestTexts(t *testing.T) {
	const n = 3 * (1 << 16)
	x := texts{shared: make([]uint32, n)}
	for i := range n {
		s := fmt.Append(nil, "text ", i)
		for _, k := range []int{x.place(s), x.place(s), x.keep(i, s), x.keep(i, s)} {
			if string(x.at(k)) != string(s) {
				t.Fatalf("%s is written as %s", s, x.at(k))
			}
		}
	}
	if len(x.ends) != 2*n {
		t.Errorf("%d texts are written of %d", len(x.ends), n)
	}
}
