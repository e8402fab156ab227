// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

//go:build !purego

package jsonmask

import "golang.org/x/sys/cpu"

// vectors says that there are bitmaps.
var vectors = cpu.X86.HasAVX2

// findEnds sets the bits of the bytes that plainEnd stops at, of as many whole
// words as in has; dst has as many. It needs AVX2.
//
//go:noescape
func findEnds(dst []uint64, in []byte)

// findHints sets the bits of digits, @ and %, likewise.
//
//go:noescape
func findHints(dst []uint64, in []byte)
