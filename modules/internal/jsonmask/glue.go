// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package jsonmask

import (
	"bytes"
	"encoding/binary"
)

const (
	maxGlue   = 160 // bytes of a glue that is kept
	maxWords  = 48  // bytes of one that is compared word by word
	glueReach = 72  // bytes that must be left in the window for that
)

// glue is what stood in front of a value, from the end of the value before, kept
// as it was read strictly once. Bytes that are equal to it mean the same; about
// others it says nothing. It ends with the colon or with a blank behind it; an
// empty one stands nowhere.
//
// Up to maxWords bytes of it are kept as words as well, from both ends inwards;
// they overlap unless it is as long as they are together.
type glue struct {
	head, tail uint64    // the first eight bytes and the last
	used       uint64    // the bytes of the two that count, where it is shorter
	size       uint8     // of a text that words hold, else 0
	off        uint8     // where tail starts
	inner      [4]uint64 // at 8 and size-16, where it is longer than 16; at 16 and size-24, where it is longer than 32
	text       []byte
}

// nowhere is an empty glue. Its head and its tail stand at the same place and
// contradict each other, so that no bytes are equal to it.
var nowhere = glue{head: 0, tail: 1, used: ^uint64(0)}

// set keeps text, where it does not fit with the letters of s. Text that is too long
// leaves the glue as it is.
func (g *glue) set(text []byte, s *shape) {
	if len(text) == 0 || len(text) > maxGlue || bytes.Equal(g.text, text) {
		return
	}
	var kept []byte
	if len(text) <= cap(g.text) {
		kept = append(g.text[:0], text...)
	} else {
		kept = s.keep(text, "")
	}
	*g = nowhere
	g.text = kept
	n := len(text)
	if n > maxWords {
		return
	}
	g.size = uint8(n)
	at := binary.LittleEndian.Uint64
	if n < 8 {
		var all [8]byte
		copy(all[:], text)
		g.head, g.used = at(all[:]), uint64(1)<<(8*n)-1
		g.tail = g.head
		return
	}
	g.head, g.tail, g.off = at(text), at(text[n-8:]), uint8(n-8)
	if n > 16 {
		g.inner[0], g.inner[1] = at(text[8:]), at(text[n-16:])
	}
	if n > 32 {
		g.inner[2], g.inner[3] = at(text[16:]), at(text[n-24:])
	}
}

// ends is not 0 where the first eight bytes or the last ones are others.
func (g *glue) ends(here *[glueReach]byte) uint64 {
	return (g.head ^ word(here, 0) | (g.tail ^ word(here, g.off))) & g.used
}

// middle is not 0 where those between them are, of a glue of more than 16 bytes.
func (g *glue) middle(here *[glueReach]byte) uint64 {
	return g.inner[0] ^ word(here, 8) | (g.inner[1] ^ word(here, g.size-16))
}

// core is not 0 where the innermost ones are, of a glue of more than 32 bytes.
func (g *glue) core(here *[glueReach]byte) uint64 {
	return g.inner[2] ^ word(here, 16) | (g.inner[3] ^ word(here, g.size-24))
}

// word returns the eight bytes from one of the first 64 on.
func word(here *[glueReach]byte, at uint8) uint64 {
	return binary.LittleEndian.Uint64(here[at&63:])
}

// is reports whether the words stand here.
func (g *glue) is(here *[glueReach]byte) bool {
	return g.ends(here) == 0 && (g.size <= 16 || g.middle(here) == 0 && (g.size <= 32 || g.core(here) == 0))
}

// stands reports whether the glue, without its first bytes, stands at i, with a
// byte behind it.
func (g *glue) stands(in []byte, i, without int) bool {
	end := i + len(g.text) - without
	return end < len(in) && end > i && in[end-1] == g.text[len(g.text)-1] && string(in[i:end]) == string(g.text[without:])
}
