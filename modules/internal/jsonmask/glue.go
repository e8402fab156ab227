// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package jsonmask

import (
	"bytes"
	"encoding/binary"
)

const (
	maxGlue   = 160 // bytes of a glue that is kept
	glueWords = 5   // of a glue that is compared word by word
	glueReach = 64  // bytes that must be left in the window for that
)

// glue is what stood in front of a value, from the end of the value before, kept
// as it was read strictly once. Bytes that are equal to it mean the same; about
// others it says nothing. It ends with the colon or with a blank behind it; an
// empty one stands nowhere.
type glue struct {
	text  []byte
	size  int // of a text that words hold, else 0
	words [glueWords]uint64
	masks [glueWords]uint64 // the bytes of words that count
}

// set keeps text. Text that is too long leaves the glue as it is.
func (g *glue) set(text []byte) {
	if len(text) > maxGlue || bytes.Equal(g.text, text) {
		return
	}
	*g = glue{text: append(g.text[:0], text...)}
	if len(text) > 8*glueWords {
		return
	}
	g.size = len(text)
	var all, used [8 * glueWords]byte
	copy(all[:], text)
	for i := range text {
		used[i] = 0xFF
	}
	for i := range glueWords {
		g.words[i] = binary.LittleEndian.Uint64(all[8*i:])
		g.masks[i] = binary.LittleEndian.Uint64(used[8*i:])
	}
}

// differs reports whether something else than the words stands here. A glue
// without words stands nowhere.
func (g *glue) differs(here *[glueReach]byte) bool {
	return g.size == 0 || g.front(here)|g.back(here) != 0
}

// front is not 0 where the first 16 bytes are others. Without words it is 0.
func (g *glue) front(here *[glueReach]byte) uint64 {
	return (binary.LittleEndian.Uint64(here[:])^g.words[0])&g.masks[0] |
		(binary.LittleEndian.Uint64(here[8:])^g.words[1])&g.masks[1]
}

// back is not 0 where those behind them are.
func (g *glue) back(here *[glueReach]byte) uint64 {
	return (binary.LittleEndian.Uint64(here[16:])^g.words[2])&g.masks[2] |
		(binary.LittleEndian.Uint64(here[24:])^g.words[3])&g.masks[3] |
		(binary.LittleEndian.Uint64(here[32:])^g.words[4])&g.masks[4]
}

// stands reports whether the glue, without its first bytes, stands at i, with a
// byte behind it.
func (g *glue) stands(in []byte, i, without int) bool {
	end := i + len(g.text) - without
	return end < len(in) && end > i && in[end-1] == g.text[len(g.text)-1] && string(in[i:end]) == string(g.text[without:])
}
