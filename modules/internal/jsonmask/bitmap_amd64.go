// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

//go:build !purego

package jsonmask

import "golang.org/x/sys/cpu"

// wide says that the two below can be called.
var wide = cpu.X86.HasAVX2

// wideEnds is find for ends. It needs AVX2.
//
//go:noescape
func wideEnds(dst, in []byte)

// wideHints is find for hints. It needs AVX2.
//
//go:noescape
func wideHints(dst, in []byte)
