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
// to it mean the same; about others it says nothing. It ends with the colon or
// with a blank behind it.
type glue struct {
	text       []byte
	head, tail uint64 // its first and its last eight bytes; of fewer, what there is
	mask       uint64 // the bytes of head and tail that count
	last       int    // where tail starts
}

// nowhere is a glue that never stands.
var nowhere = glue{head: 1}

// set keeps text. Text that is too long leaves the glue as it is.
func (g *glue) set(text []byte) {
	if len(text) > maxGlue || bytes.Equal(g.text, text) {
		return
	}
	g.text = append(g.text[:0], text...)
	var word [8]byte
	copy(word[:], text)
	g.head = binary.LittleEndian.Uint64(word[:])
	g.tail, g.last, g.mask = g.head, 0, ^uint64(0)
	if len(text) < 8 {
		g.mask = 1<<(8*len(text)) - 1
	} else {
		g.last = len(text) - 8
		g.tail = binary.LittleEndian.Uint64(text[g.last:])
	}
}

// stands reports whether the glue stands at i, with a byte behind it. It reads
// words, so that near the end of the window it says no though it may stand.
func (g *glue) stands(in []byte, i int) bool {
	if i+g.last+8 >= len(in) {
		return false
	}
	here := in[i:]
	if binary.LittleEndian.Uint64(here)&g.mask != g.head {
		return false
	}
	if g.last == 0 {
		return true
	}
	if binary.LittleEndian.Uint64(here[g.last:]) != g.tail {
		return false
	}
	return g.last <= 8 || string(here[8:g.last]) == string(g.text[8:g.last])
}
