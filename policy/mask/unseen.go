// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package mask

import (
	"encoding/binary"
	"unicode"
	"unicode/utf8"
)

// unseen are the characters that leave nothing on a screen: those that Unicode says may be
// ignored (Default_Ignorable_Code_Point). They come with copied text, and a name with a soft
// hyphen in it reads like the name.
var unseen = &unicode.RangeTable{
	R16: []unicode.Range16{
		{Lo: 0x00AD, Hi: 0x00AD, Stride: 1},
		{Lo: 0x034F, Hi: 0x034F, Stride: 1},
		{Lo: 0x061C, Hi: 0x061C, Stride: 1},
		{Lo: 0x115F, Hi: 0x1160, Stride: 1},
		{Lo: 0x17B4, Hi: 0x17B5, Stride: 1},
		{Lo: 0x180B, Hi: 0x180F, Stride: 1},
		{Lo: 0x200B, Hi: 0x200F, Stride: 1},
		{Lo: 0x202A, Hi: 0x202E, Stride: 1},
		{Lo: 0x2060, Hi: 0x206F, Stride: 1},
		{Lo: 0x3164, Hi: 0x3164, Stride: 1},
		{Lo: 0xFE00, Hi: 0xFE0F, Stride: 1},
		{Lo: 0xFEFF, Hi: 0xFEFF, Stride: 1},
		{Lo: 0xFFA0, Hi: 0xFFA0, Stride: 1},
		{Lo: 0xFFF0, Hi: 0xFFF8, Stride: 1},
	},
	R32: []unicode.Range32{
		{Lo: 0x1BCA0, Hi: 0x1BCA3, Stride: 1}, {Lo: 0x1D173, Hi: 0x1D17A, Stride: 1}, {Lo: 0xE0000, Hi: 0xE0FFF, Stride: 1},
	},
	LatinOffset: 1,
}

// first are the bytes that they begin with, and those that blanks beyond ASCII do.
var first = func() (out [256]bool) {
	for _, c := range []byte{0xC2, 0xCD, 0xD8, 0xE1, 0xE2, 0xE3, 0xEF, 0xF0, 0xF3} {
		out[c] = true
	}
	return out
}()

// Unseen reports whether text has characters that nobody sees, or blanks that are not those
// of ASCII: it reads otherwise than it is written, see AppendViews.
func Unseen(text []byte) bool {
	for i := 0; i < len(text); {
		if i+8 <= len(text) && binary.LittleEndian.Uint64(text[i:])&0x8080808080808080 == 0 {
			i += 8
			continue
		}
		if !first[text[i]] {
			i++
			continue
		}
		r, w := utf8.DecodeRune(text[i:])
		if unicode.Is(unseen, r) || otherBlank(r) {
			return true
		}
		i += w
	}
	return false
}

// AppendSeen appends text to dst without what nobody sees, and with a space for each blank
// that is not one of ASCII.
func AppendSeen(dst, text []byte) []byte {
	for i := 0; i < len(text); {
		r, w := utf8.DecodeRune(text[i:])
		switch {
		case unicode.Is(unseen, r):
		case otherBlank(r):
			dst = append(dst, ' ')
		default:
			dst = append(dst, text[i:i+w]...)
		}
		i += w
	}
	return dst
}

// otherBlank reports whether r is a blank beyond ASCII.
func otherBlank(r rune) bool { return r >= utf8.RuneSelf && unicode.Is(unicode.Zs, r) }

// blankLen returns the length of the blank that text starts with, 0 for none: one of those
// that pages show as a space, however many there are.
func blankLen(text []byte) int {
	switch c := text[0]; {
	case c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\f':
		return 1
	case c < utf8.RuneSelf || !first[c]:
		return 0
	}
	if r, w := utf8.DecodeRune(text); otherBlank(r) {
		return w
	}
	return 0
}

// unseenLen returns the length of the character that text starts with, if nobody sees it, else 0.
func unseenLen(text []byte) int {
	if !first[text[0]] {
		return 0
	}
	if r, w := utf8.DecodeRune(text); unicode.Is(unseen, r) {
		return w
	}
	return 0
}
