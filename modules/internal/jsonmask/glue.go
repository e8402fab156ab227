// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package jsonmask

import (
	"bytes"
	"encoding/binary"
)

const maxGlue = 160 // bytes of a glue that is kept

// glue is what stood in front of a value, down from the value before or from
// the brace of a pair, kept as it was read strictly once. Bytes that are equal
// to it mean the same; about others it says nothing.
type glue struct {
	text  []byte   // ends with the colon or with a blank behind it; empty for none
	words []uint64 // all of text but the last one to eight bytes
	tail  uint64   // those, in the low bytes
	mask  uint64
}

// set keeps text. Text that is too long leaves the glue as it is.
func (g *glue) set(text []byte) {
	if len(text) > maxGlue || len(text) == 0 || bytes.Equal(g.text, text) {
		return
	}
	g.text, g.words = append(g.text[:0], text...), g.words[:0]
	for ; len(text) > 8; text = text[8:] {
		g.words = append(g.words, binary.LittleEndian.Uint64(text))
	}
	var last [8]byte
	copy(last[:], text)
	g.tail, g.mask = binary.LittleEndian.Uint64(last[:]), ^uint64(0)>>(64-8*len(text))
}

// stands reports whether the glue stands at i, with a byte behind it. Near the
// end of in it may say no although it does.
func (g *glue) stands(in []byte, i int) bool {
	last := i + 8*len(g.words)
	if len(g.text) == 0 || last+8 >= len(in) || binary.LittleEndian.Uint64(in[last:])&g.mask != g.tail {
		return false
	}
	at := in[i:last]
	for _, word := range g.words {
		if len(at) < 8 || binary.LittleEndian.Uint64(at) != word {
			return false
		}
		at = at[8:]
	}
	return true
}
