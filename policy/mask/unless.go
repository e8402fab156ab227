// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package mask

// Unless returns a function that leaves text for which shown holds as it is, and
// replaces all other text by instead, printable ASCII without quotes and
// backslashes; FullText when that is "". Numbers, as they are written, are asked
// about in the same way, and become null. shown must be safe for concurrent use
// and must not keep what it is given.
//
// It is for texts whose author is a program and not a person, such as the errors of
// a CRM. No policy and no map can name it.
func Unless(shown func(text []byte) bool, instead string) *Func {
	return &Func{Name: "unless", kind: unless, shown: shown, text: instead}
}
