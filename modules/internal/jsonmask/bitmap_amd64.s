// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

//go:build !purego

#include "textflag.h"

// A byte of a register compares as a signed number: those that are not ASCII are
// below every other, like control characters.

// func wideEnds(dst, in []byte)
TEXT ·wideEnds(SB), NOSPLIT, $0-48
	MOVQ dst_base+0(FP), DI
	MOVQ in_base+24(FP), SI
	MOVQ in_len+32(FP), CX
	SHRQ $6, CX
	JZ   none
	MOVL $0x20202020, AX // below: control characters
	VMOVD AX, X0
	VPBROADCASTD X0, Y0
	MOVL $0x22222222, AX // "
	VMOVD AX, X1
	VPBROADCASTD X1, Y1
	MOVL $0x5C5C5C5C, AX // \
	VMOVD AX, X2
	VPBROADCASTD X2, Y2

ends:
	VMOVDQU   (SI), Y3
	VMOVDQU   32(SI), Y4
	VPCMPGTB  Y3, Y0, Y5
	VPCMPEQB  Y3, Y1, Y6
	VPCMPEQB  Y3, Y2, Y7
	VPOR      Y5, Y6, Y6
	VPOR      Y6, Y7, Y7
	VPMOVMSKB Y7, AX
	VPCMPGTB  Y4, Y0, Y5
	VPCMPEQB  Y4, Y1, Y6
	VPCMPEQB  Y4, Y2, Y7
	VPOR      Y5, Y6, Y6
	VPOR      Y6, Y7, Y7
	VPMOVMSKB Y7, BX
	SHLQ      $32, BX
	ORQ       BX, AX
	MOVQ      AX, (DI)
	ADDQ      $64, SI
	ADDQ      $8, DI
	DECQ      CX
	JNZ       ends
	VZEROUPPER

none:
	RET

// func wideHints(dst, in []byte)
TEXT ·wideHints(SB), NOSPLIT, $0-48
	MOVQ dst_base+0(FP), DI
	MOVQ in_base+24(FP), SI
	MOVQ in_len+32(FP), CX
	SHRQ $6, CX
	JZ   nothing
	MOVL $0x30303030, AX // 0
	VMOVD AX, X0
	VPBROADCASTD X0, Y0
	MOVL $0x10101010, AX // as many above it, up to @
	VMOVD AX, X1
	VPBROADCASTD X1, Y1
	MOVL $0x25252525, AX // %
	VMOVD AX, X2
	VPBROADCASTD X2, Y2
	MOVL $0x01010101, AX // one above it, &
	VMOVD AX, X3
	VPBROADCASTD X3, Y3

hints:
	VMOVDQU   (SI), Y4
	VMOVDQU   32(SI), Y5
	VPSUBB    Y0, Y4, Y6
	VPMINUB   Y1, Y6, Y7
	VPCMPEQB  Y6, Y7, Y6
	VPSUBB    Y2, Y4, Y7
	VPMINUB   Y3, Y7, Y8
	VPCMPEQB  Y7, Y8, Y8
	VPOR      Y6, Y8, Y8
	VPMOVMSKB Y8, AX
	VPSUBB    Y0, Y5, Y6
	VPMINUB   Y1, Y6, Y7
	VPCMPEQB  Y6, Y7, Y6
	VPSUBB    Y2, Y5, Y7
	VPMINUB   Y3, Y7, Y8
	VPCMPEQB  Y7, Y8, Y8
	VPOR      Y6, Y8, Y8
	VPMOVMSKB Y8, BX
	SHLQ      $32, BX
	ORQ       BX, AX
	MOVQ      AX, (DI)
	ADDQ      $64, SI
	ADDQ      $8, DI
	DECQ      CX
	JNZ       hints
	VZEROUPPER

nothing:
	RET
