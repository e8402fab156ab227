// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// Package mask holds the masking functions: pure, deterministic, total.
package mask

// Func is a compiled masking function of one field.
type Func struct {
	Name string // function name as policies write it: full, phone, email, keep_last, ...
}
