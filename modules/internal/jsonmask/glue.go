// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package jsonmask

import "bytes"

const maxGlue = 160 // bytes of a glue that is kept

// glue is what stood in front of a value, down from the value before or from
// the brace of a pair, kept as it was read strictly once. Bytes that are equal
// to it mean the same; about others it says nothing. It ends with the colon or
// with a blank behind it; an empty one stands nowhere.
type glue []byte

// set keeps text. Text that is too long leaves the glue as it is.
func (g *glue) set(text []byte) {
	if len(text) <= maxGlue && !bytes.Equal(*g, text) {
		*g = append((*g)[:0], text...)
	}
}

// stands reports whether the glue stands at i, with a byte behind it.
func (g glue) stands(in []byte, i int) bool {
	end := i + len(g)
	return end < len(in) && end > i && in[end-1] == g[len(g)-1] && string(in[i:end]) == string(g)
}
