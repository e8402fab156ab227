// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

//go:build !amd64 || purego

package jsonmask

const vectors = false

func findEnds([]uint64, []byte) {}

func findHints([]uint64, []byte) {}
