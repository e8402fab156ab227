// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

//go:build !purego

package jsonmask

import "golang.org/x/sys/cpu"

// vectors says that there are bitmaps.
var vectors = cpu.X86.HasAVX2

// findEnds sets the bits of those bytes that plainEnd stops at. in is a multiple
// of 64 bytes, dst an eighth of in. It needs AVX2.
//
//go:noescape
func findEnds(dst, in []byte)

// findHints sets the bits of digits, @ and %, likewise.
//
//go:noescape
func findHints(dst, in []byte)
